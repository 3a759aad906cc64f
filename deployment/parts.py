"""What an offboarding knows, as objects that are written once: single ones, and long lists in numbered parts."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from deployment.errors import BootstrapError, Overtaken

__all__ = ["Folder", "Parts", "Summary", "digest", "packed", "unpacked"]

Row = Mapping[str, Any]

CONFLICT, FAILED = 409, 412
TRIES = 5


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def packed(rows: Iterable[Row]) -> bytes:
    """Rows as compressed NDJSON; the same rows give the same bytes."""
    lines = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    return gzip.compress(lines.encode(), mtime=0)


def unpacked(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


@dataclass(frozen=True)
class Folder:
    """A place in a bucket. `guard` is asked before anything is written."""

    s3: Any
    bucket: str
    prefix: str
    """Ends in a slash."""
    guard: Callable[[], None] = lambda: None

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def key(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def below(self, name: str) -> "Folder":
        return Folder(self.s3, self.bucket, f"{self.prefix}{name}/", self.guard)

    def once(self, name: str, body: bytes) -> bytes:
        """Write an object, unless it is there already; what lies there then."""
        self.guard()
        for _ in range(TRIES):
            try:
                self.s3.put_object(
                    Bucket=self.bucket, Key=self.key(name), Body=body, ContentType=kind_of(name), IfNoneMatch="*"
                )
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] not in {CONFLICT, FAILED}:
                    raise missing(self.bucket, error) from error
            else:
                return body
            # Refused because it is there: somebody else's, or our own whose answer was lost.
            if (there := self.get(name)) is not None:
                return there
        raise Overtaken(f"{self.address}{name}: changes too fast; try again")

    def get(self, name: str) -> bytes | None:
        try:
            body: bytes = self.s3.get_object(Bucket=self.bucket, Key=self.key(name))["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise missing(self.bucket, error) from error
        return body

    def document(self, name: str) -> dict[str, Any] | None:
        """An object's JSON."""
        body = self.get(name)
        return None if body is None else dict(json.loads(body))

    def names(self) -> list[str]:
        """What lies directly here, sorted; folders end in a slash."""
        found: list[str] = []
        request = {"Bucket": self.bucket, "Prefix": self.prefix, "Delimiter": "/"}
        try:
            for page in self.s3.get_paginator("list_objects_v2").paginate(**request):
                found += [each["Key"] for each in page.get("Contents", ())]
                found += [each["Prefix"] for each in page.get("CommonPrefixes", ())]
        except ClientError as error:
            raise missing(self.bucket, error) from error
        return sorted(each.removeprefix(self.prefix) for each in found)


def missing(bucket: str, error: ClientError) -> Exception:
    """The error, told as what it means where the bucket for everything is not there."""
    if error.response["Error"]["Code"] != "NoSuchBucket":
        return error
    return BootstrapError(f"bucket {bucket}: does not exist; prepare the account once, see docs/github_actions.md")


def kind_of(name: str) -> str:
    return "application/gzip" if name.endswith(".gz") else "application/json"


@dataclass(frozen=True)
class Summary:
    """All parts of a list in one line; `sha256` is that of the parts' own, one per line in their order."""

    parts: int
    rows: int
    sha256: str


class Parts:
    """A list that grows by parts. A part is written once, and never again."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._count: int | None = None

    @property
    def count(self) -> int:
        if self._count is None:
            self._count = len(self.names())
        return self._count

    def names(self) -> list[str]:
        return [name for name in self.folder.names() if name.endswith(".ndjson.gz")]

    def add(self, rows: Sequence[Row]) -> None:
        """Raises Overtaken if another process has written this part meanwhile."""
        name, body = f"{self.count:06}.ndjson.gz", packed(rows)
        if self.folder.once(name, body) != body:
            raise Overtaken(f"{self.folder.address}{name}: was written by another process; run the command again")
        self._count = self.count + 1

    def last(self) -> list[dict[str, Any]]:
        """Rows of the newest part; none of a list that has none yet."""
        return self._read(f"{self.count - 1:06}.ndjson.gz")[0] if self.count else []

    def rows(self) -> Iterator[dict[str, Any]]:
        for name in self.names():
            yield from self._read(name)[0]

    def bodies(self) -> Iterator[tuple[str, bytes]]:
        for name in self.names():
            body = self.folder.get(name)
            yield name, body or b""

    def summary(self) -> Summary:
        digests, rows = [], 0
        for name in self.names():
            found, sha256 = self._read(name)
            rows += len(found)
            digests.append(sha256)
        return Summary(len(digests), rows, digest("\n".join(digests).encode()))

    def _read(self, name: str) -> tuple[list[dict[str, Any]], str]:
        body = self.folder.get(name)
        if body is None:
            raise Overtaken(f"{self.folder.address}{name}: has gone; nothing may be taken out of this folder")
        return unpacked(body), digest(body)
