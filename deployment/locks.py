"""One deploy at a time per cell: a lock that is an object of the account, with a number that only grows.

Whoever holds it writes it again every few seconds, each time on the condition that nobody else did. One that was not
written for as long as its `lease` is free for the next, who takes it with a higher number; by whose clock, is S3's
alone. CloudFormation knows no such numbers, so a holder asks `check` before each call that changes something: it raises
once the lock may be somebody else's.
"""

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from deployment.errors import BootstrapError, Locked, Overtaken

__all__ = ["Holder", "Lock", "now"]

LEASE, BEAT = 60.0, 10.0  # seconds
MARGIN = 0.25  # of the lease: what is left of it has to suffice for a call that is being made
TRIES = 5
NOT_THERE, REFUSED = 404, {409, 412}

Say = Callable[[str], None]


def now() -> float:
    """Seconds by a clock that goes on while the machine sleeps."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time()


@dataclass(frozen=True)
class Holder:
    """Who deploys: a name for people, and the process as its own machine knows it."""

    name: str
    process: str | None = None


@dataclass(frozen=True)
class Content:
    """What the object says. `deploy` is the id of one deploy, `beat` counts its writings, `released` ends it.

    A later version may say more.
    """

    number: int
    deploy: str
    holder: str
    process: str | None
    since: str
    lease: float
    beat: int = 0
    released: bool = False

    @classmethod
    def read(cls, body: bytes) -> "Content | None":
        """None for what this version cannot read."""
        try:
            facts = json.loads(body)
            known = {each.name: facts[each.name] for each in fields(cls) if each.name in facts}
            return cls(**known) if isinstance(facts["number"], int) and float(facts["lease"]) >= 0 else None
        except (ValueError, TypeError, KeyError):
            return None

    def body(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()


@dataclass(frozen=True)
class Found:
    """The object as it lies there, `age` seconds after it was written."""

    content: Content | None
    etag: str | None
    age: float = 0.0

    def is_free(self, is_dead: Callable[[str], bool]) -> bool:
        content = self.content
        if self.etag is None or (content is not None and content.released):
            return True
        if content is None:  # another version's, for all that is known, and held as long as one of this version
            return self.age > LEASE + 1
        # S3 tells times in whole seconds.
        return self.age > content.lease + 1 or (content.process is not None and is_dead(content.process))


class Lock:
    """The lock of a cell, as one deploy sees it. `is_dead` tells of a process of this machine that it has ended."""

    def __init__(
        self,
        s3: Any,
        bucket: str,
        platform_stack: str,
        holder: Holder,
        *,
        is_dead: Callable[[str], bool] = lambda _process: False,
        lease: float = LEASE,
        beat: float = BEAT,
        clock: Callable[[], float] = now,
        doing: str = "deploying here",
    ) -> None:
        self.doing = doing
        self.s3, self.bucket, self.key = s3, bucket, f"deployments/{platform_stack}/lock.json"
        self.holder, self.is_dead, self.clock = holder, is_dead, clock
        self.lease, self.every = lease, beat
        self.deploy = uuid.uuid4().hex
        self.held: Content | None = None
        self.etag: str | None = None
        self.good_until = 0.0
        self.lost: str | None = None
        self.one_at_a_time = threading.Lock()
        self.ended = threading.Event()

    @property
    def number(self) -> int:
        return self._own().number

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def take(self, *, above: int = 0, wait: float = 0.0, say: Say = lambda _text: None) -> None:
        """Take the lock with a number over `above`, within `wait` seconds; raises Locked while another holds it."""
        deadline, told = self.clock() + wait, False
        while not self._take(above):
            found = self._find()
            if found.is_free(self.is_dead):
                continue
            if self.clock() >= deadline:
                raise Locked(f"{f'waited {wait:.0f} s: ' if wait else ''}{self._who(found)}")
            if not told:
                say(self._who(found))
                told = True
            self.ended.wait(min(1.0, self.lease / 4))

    def _take(self, above: int) -> bool:
        found = self._find()
        if not found.is_free(self.is_dead):
            return False
        number = max(above, found.content.number if found.content else 0) + 1
        since = datetime.now(UTC).isoformat(timespec="seconds")
        content = Content(number, self.deploy, self.holder.name, self.holder.process, since, self.lease)
        return self._write(content, found.etag)

    def beat(self) -> None:
        """Say that this deploy goes on; raises Overtaken if the lock is another's by now."""
        with self.one_at_a_time:
            held = self._own()
            content = replace(held, beat=held.beat + 1)
            # An object that is gone was cleaned away: it is put again, if nobody else has taken the lock since.
            if not self._write(content, self.etag) and not self._renew(content):
                self._lose(self._find())
                self._own()

    def _renew(self, content: Content) -> bool:
        return self._find().etag is None and self._write(content, None)

    def check(self) -> None:
        """Return while the lock is surely this deploy's; asked before each call that changes something."""
        self._own()
        if self.clock() >= self.good_until - MARGIN * self.lease:
            self.beat()

    def release(self) -> None:
        """Let the next one in at once; what was lost already is not given back."""
        self.ended.set()
        with self.one_at_a_time:
            if self.held is not None and self.lost is None:
                self._write(replace(self.held, released=True), self.etag)
            self.held = None

    def __enter__(self) -> Self:
        threading.Thread(target=self._go_on, name="lock", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _go_on(self) -> None:
        while not self.ended.wait(self.every):
            try:
                self.beat()
            except Overtaken:
                return
            except (ClientError, BotoCoreError):
                continue  # `check` beats by itself once too little of the lease is left, and says what is wrong

    def _write(self, content: Content, etag: str | None) -> bool:
        """Put the object in place of the one with `etag`; False if another one lies there."""
        began = self.clock()
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            written = self.s3.put_object(
                Bucket=self.bucket,
                Key=self.key,
                Body=content.body(),
                ContentType="application/json",
                **condition,
            )["ETag"]
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if error.response["Error"]["Code"] == "NoSuchBucket":
                raise self._unbootstrapped() from error
            if status not in {*REFUSED, NOT_THERE}:
                raise
            # Refused because it was done: the answer to an earlier try was lost.
            found = self._find()
            if found.content != content or found.etag is None:
                return False
            written = found.etag
        self.held, self.etag, self.good_until = content, str(written), began + self.lease
        return True

    def _find(self) -> Found:
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=self.key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucket":
                raise self._unbootstrapped() from error
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == NOT_THERE:
                return Found(None, None)
            raise
        return Found(Content.read(answer["Body"].read()), str(answer["ETag"]), _age(answer))

    def _lose(self, found: Found) -> None:
        by = found.content
        who = f"lock {by.number} is {by.holder}'s since {by.since}" if by else "it is not a lock any more"
        self.lost = f"{self.address}: {who}; this deploy was not heard of for too long and stops, run it again later"

    def _own(self) -> Content:
        if self.lost is not None or self.held is None:
            raise Overtaken(self.lost or f"{self.address}: is not held")
        return self.held

    def _who(self, found: Found) -> str:
        content = found.content
        if found.etag is None:
            return f"{self.address}: changes too fast; try again"
        if content is None:
            left = max(1.0, LEASE + 2 - found.age)
            return (
                f"{self.address}: was written {found.age:.0f} s ago, and this version of lake cannot read it: another "
                f"version may be deploying; --wait waits for its end, or deploy with that version; what nobody writes "
                f"again is free in {left:.0f} s"
            )
        left = max(1.0, content.lease + 2 - found.age)
        return (
            f"{content.holder} has been {self.doing} since {content.since} (lock {content.number}, last heard of "
            f"{found.age:.0f} s ago): --wait waits for the end; if it is dead, the lock is free in {left:.0f} s"
        )

    def _unbootstrapped(self) -> BootstrapError:
        return BootstrapError(
            f"bucket {self.bucket}: does not exist; prepare the account once, as docs/github_actions.md says under "
            "'The account'"
        )


def _age(answer: Mapping[str, Any]) -> float:
    """Seconds since the object was written, both times being S3's."""
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    current = parsedate_to_datetime(told) if told else datetime.now(UTC)
    return float((current - answer["LastModified"]).total_seconds())
