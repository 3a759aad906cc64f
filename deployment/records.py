"""What is deployed in a cell, as one object of its account: what each stack was last brought to, and by which deploy.

A record is knowledge, the stack is the truth: where it is missing or cannot be read, live stacks have to be asked, and
what is written says that it is not whole, until somebody has entered all that stand. No stack tells of a tenant that
has left, so that is read from what its offboarding has put down.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from botocore.exceptions import ClientError

from deployment.errors import BootstrapError, DeployError, Overtaken

__all__ = ["ABSENT", "Record", "Recorded", "RecordedOffboarding", "Shelf", "bucket_of", "platforms_in"]

FORMAT, FIRST_FORMAT = 2, 1
FOLDER = "deployments/"
ABSENT = "is not there yet"
PARTIAL = "was lost, and is not whole since"
TRIES = 5
OFFBOARDINGS, INTENT, CERTIFICATE = "offboarding/", "intent.json", "certificate.json"
"""Where an offboarding puts down what it does, below the platform's folder, the tenant's and a number."""
GONE, CONFLICT, FAILED = 404, 409, 412
SELDOM = {"is_begun": False, "updated": None, "since": None, "life": 1, "terms": None, "whose": None}
"""What is left out of a row where it says this."""


@dataclass(frozen=True)
class Recorded:
    """One stack as a deploy left it.

    `digest` is that which its description carries, `entries` that of what the ledger was told of its tenant, `state`
    the tenant's, `at` a time in ISO 8601, `deploy` the id of the deploy, `mould` the template's (`deployment.moulds`).
    `is_begun`: a deploy set about making it, and no one knows what came of it. `updated` is when CloudFormation took
    the template that was last sent by a deploy, None where nobody knows. `since` is when a deploy saw `state` first.
    `life` is the tenant's, 0 where nobody knows. Of one that is offboarding, `terms` tells how, `whose` a digest of its
    name and owner, None where nobody knows (`deployment.lifecycle`).
    """

    stack: str
    tenant: str | None
    digest: str
    entries: str | None
    state: str | None
    at: str
    deploy: str
    mould: str | None = None
    is_begun: bool = False
    updated: str | None = None
    since: str | None = None
    life: int = 1
    terms: str | None = None
    whose: str | None = None


@dataclass(frozen=True)
class RecordedOffboarding:
    """How far the end of a tenant has come; its id is not free before that is certified, and with `never` not then.

    `at` is when it came so far, in ISO 8601, `stack` the tenant's, `certificate` the key of the certificate in the
    bucket that holds the record, and `sha256` that of its bytes.
    """

    state: Literal["begun", "certified"]
    at: str
    stack: str
    reuse: str = "never"
    certificate: str | None = None
    sha256: str | None = None
    life: int = 1

    @property
    def is_certified(self) -> bool:
        return self.state == "certified"


@dataclass(frozen=True)
class Record:
    """Every stack of a cell that is known to stand, or may, by name. `fence` is the lock's number of who wrote last."""

    stacks: Mapping[str, Recorded] = field(default_factory=dict)
    fence: int = 0
    offboardings: Mapping[str, RecordedOffboarding] = field(default_factory=dict)
    """By tenant; also of those whose stack is long gone."""
    unread: str | None = None
    """Why what is not in it may stand all the same; None for a record that says everything."""
    is_later: bool = False
    """Whether a later version of lake has written it, and says more than this one knows."""

    @property
    def is_known(self) -> bool:
        return self.unread is None

    def has_stood(self, stack: str) -> bool:
        """Whether a deploy ever saw it as it should be."""
        return stack in self.stacks and not self.stacks[stack].is_begun

    def having(self, *stands: Recorded) -> "Record":
        return self._with({**self.stacks, **{each.stack: each for each in stands}})

    def lacking(self, *stacks: str) -> "Record":
        return self._with({name: each for name, each in self.stacks.items() if name not in stacks})

    def offboarding(self, tenant: str, how_far: RecordedOffboarding) -> "Record":
        life = self._life(tenant, how_far)
        return replace(self, offboardings={**self.offboardings, tenant: replace(how_far, life=life)})

    def _life(self, tenant: str, how_far: RecordedOffboarding) -> int:
        """Which tenant of this id ends: the one whose stack it is, or the one after the last that ended."""
        stack, before = self.stacks.get(how_far.stack), self.offboardings.get(tenant)
        if stack is not None and stack.life:
            return stack.life
        if before is None:
            return how_far.life
        return before.life + (1 if stack is not None and before.is_certified else 0)

    def whole(self) -> "Record":
        """What it says is all there is."""
        return replace(self, unread=None)

    def _with(self, stacks: Mapping[str, Recorded]) -> "Record":
        return replace(self, stacks=stacks)

    def text(self) -> str:
        facts = {
            "format": FORMAT,
            "fence": self.fence,
            "stacks": [row_of(each) for _, each in sorted(self.stacks.items())],
            "offboardings": {tenant: asdict(each) for tenant, each in sorted(self.offboardings.items())},
            **({} if self.is_known else {"partial": True}),
        }
        return json.dumps(facts, separators=(",", ":"))

    @classmethod
    def read(cls, text: bytes) -> "Record":
        """What cannot be read is as good as nothing, and says why."""
        try:
            facts = json.loads(text)
            if (form := facts["format"]) not in {FIRST_FORMAT, FORMAT}:
                is_later = isinstance(form, int) and form > FORMAT
                return cls(unread=f"has format {form!r}, and this version of lake knows {FORMAT}", is_later=is_later)
            rows = [recorded(row) for row in facts["stacks"]]
            if form == FIRST_FORMAT:
                rows = [entered(row) for row in rows]
            ends = {} if form == FIRST_FORMAT else facts["offboardings"]
            offboardings = {str(tenant): recorded_offboarding(end) for tenant, end in ends.items()}
            unread = PARTIAL if facts.get("partial") else None
            return cls({each.stack: each for each in rows}, int(facts["fence"]), offboardings, unread)
        except (AttributeError, ValueError, KeyError, TypeError) as error:
            return cls(unread=f"cannot be read ({type(error).__name__}: {error})")


def row_of(stack: Recorded) -> dict[str, Any]:
    row = asdict(stack)
    return {name: value for name, value in row.items() if name not in SELDOM or value != SELDOM[name]}


def recorded(row: Mapping[str, Any]) -> Recorded:
    found = Recorded(**row)
    optional = [found.tenant, found.entries, found.state, found.mould, found.updated, found.since]
    optional += [found.terms, found.whose]
    wrong = [text for text in (found.stack, found.digest, found.at, found.deploy) if not isinstance(text, str)]
    wrong += [found.is_begun] if not isinstance(found.is_begun, bool) else []
    wrong += [found.life] if not isinstance(found.life, int) else []
    if wrong or not all(text is None or isinstance(text, str) for text in optional):
        raise TypeError(f"{row} is no stack")
    return found


def entered(stack: Recorded) -> Recorded:
    """The first format did not say since when: at the latest since the deploy that wrote the row."""
    return stack if stack.state is None else replace(stack, since=stack.at)


def recorded_offboarding(row: Mapping[str, Any]) -> RecordedOffboarding:
    found = RecordedOffboarding(**row)
    texts = (found.at, found.stack, found.reuse, *([found.certificate, found.sha256] if found.is_certified else []))
    is_life = isinstance(found.life, int)
    if found.state not in {"begun", "certified"} or not is_life or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"{row} is no offboarding")
    return found


def bucket_of(account: str, region: str) -> str:
    """The bucket that `cdk bootstrap` makes, which is there before any stack."""
    return f"cdk-hnb659fds-assets-{account}-{region}"


def platforms_in(s3: Any, bucket: str) -> frozenset[str]:
    """The stacks of platforms that anything was ever put down about in a bucket of `bucket_of`, whosever they are."""
    try:
        pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=FOLDER, Delimiter="/"))
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            return frozenset()
        raise
    folders = (each["Prefix"] for page in pages for each in page.get("CommonPrefixes", ()))
    return frozenset(folder.removeprefix(FOLDER).rstrip("/") for folder in folders)


@dataclass(frozen=True)
class Shelf:
    """Where the record of a cell lies. `s3` is a client in the account and Region of the cell."""

    s3: Any
    bucket: str
    platform_stack: str

    @property
    def key(self) -> str:
        return f"{FOLDER}{self.platform_stack}/record.json"

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def read(self) -> tuple[Record, str | None]:
        """The record and the ETag to write it again with; None for one that is not there yet."""
        body, etag = self._get()
        found = Record(unread=ABSENT) if body is None else Record.read(body)
        if found.unread not in {None, PARTIAL} and not found.is_later:
            found = replace(found, offboardings=dict(self._offboardings()))
        return found, etag

    def _offboardings(self) -> Iterator[tuple[str, RecordedOffboarding]]:
        """Of each tenant the last one: an id that was given again may have ended twice."""
        place = f"{FOLDER}{self.platform_stack}/{OFFBOARDINGS}"
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=place)
        keys = {str(each["Key"]) for page in pages for each in page.get("Contents", ())}
        last: dict[str, int] = {}
        for key in keys:
            tenant, number, *rest = [*key.removeprefix(place).split("/"), "", ""][:4]
            if number.isdecimal() and rest[0] == INTENT:
                last[tenant] = max(int(number), last.get(tenant, 0))
        for tenant, life in sorted(last.items()):
            folder = f"{place}{tenant}/{life}/"
            yield tenant, self._offboarding(folder, is_certified=f"{folder}{CERTIFICATE}" in keys)

    def _offboarding(self, folder: str, *, is_certified: bool) -> RecordedOffboarding:
        key = f"{folder}{CERTIFICATE if is_certified else INTENT}"
        body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        try:
            facts = json.loads(body)
            at, stack, reuse = (str(facts[name]) for name in ("at", "stack", "reuse"))
            life = int(facts.get("life", 1))
        except (ValueError, KeyError, TypeError) as error:
            raise DeployError(
                f"s3://{self.bucket}/{key}: cannot be read ({type(error).__name__}: {error}), so it is not known "
                "whether its tenant may be deployed; bring its former version back"
            ) from error
        sha256 = hashlib.sha256(body).hexdigest() if is_certified else None
        state: Literal["begun", "certified"] = "certified" if is_certified else "begun"
        return RecordedOffboarding(state, at, stack, reuse, f"{folder}{CERTIFICATE}", sha256, life)

    def write(self, record: Record, etag: str | None, fence: int) -> str:
        """Put `record` in place of the one that was read with `etag`; the new ETag.

        Raises Overtaken if another deploy has written since, or if a later holder of the lock has written it.
        """
        if record.fence > fence:
            raise Overtaken(self._overtaken(f"under lock {record.fence}, and this deploy holds {fence}"))
        body = replace(record, fence=fence).text().encode()
        for _ in range(TRIES):
            try:
                return self._put(body, etag)
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status not in {GONE, CONFLICT, FAILED}:
                    raise
            # An answer that was lost on its way: what lies there is what was to be written.
            there, current = self._get()
            if there == body and current is not None:
                return current
            if current != etag:
                break
        raise Overtaken(self._overtaken("since this one read it"))

    def _overtaken(self, how: str) -> str:
        return f"{self.address}: another deploy has written it {how}; nothing more is done here, see `lake plan`"

    def _put(self, body: bytes, etag: str | None) -> str:
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        answer = self.s3.put_object(
            Bucket=self.bucket, Key=self.key, Body=body, ContentType="application/json", **condition
        )
        return str(answer["ETag"])

    def _get(self) -> tuple[bytes | None, str | None]:
        try:
            found = self.s3.get_object(Bucket=self.bucket, Key=self.key)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "NoSuchKey":
                return None, None
            if code == "NoSuchBucket":
                raise BootstrapError(
                    f"bucket {self.bucket}: does not exist; prepare the account once, as docs/github_actions.md says "
                    "under 'The account'"
                ) from error
            raise
        return found["Body"].read(), str(found["ETag"])
