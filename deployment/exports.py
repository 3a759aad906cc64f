"""A tenant's data and lineage, copied to a place of its own before they are deleted, with a manifest of all."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

from botocore.exceptions import ClientError

from deployment.errors import DeployError
from deployment.inventory import RESULTS
from deployment.parts import Folder, Parts, digest, packed
from deployment.remnants import is_gone

__all__ = ["LEFT_BEHIND", "Export", "Target"]

LEFT_BEHIND = RESULTS
"""What queries left there can be asked again. Everything else that lies in the bucket is taken along."""

LARGEST = 5 * 1024**3  # bytes that S3 copies in one call
PAGE = 1_000
BUNDLE = 10_000  # rows to an object of the lineage bundle

VOID, NOTE, TARGET = "void.json", "export.json", "target.json"
FORBIDDEN, FAILED = 403, 412
AGAIN = "nothing was deleted; see who writes there, and run the command again: it exports everything anew"

Row = Mapping[str, Any]
Say = Callable[[str], None]


class Differs(DeployError):
    """Raised when at the target lies something else than was exported."""


@dataclass(frozen=True)
class Target:
    """A folder of a bucket that the tenant named. `s3` insists on that bucket's owner, and on ours when it copies."""

    s3: Any
    bucket: str
    prefix: str
    """Ends in a slash."""
    account: str

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def key(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def put(self, name: str, body: bytes) -> Row:
        """The object as the manifest names it."""
        answer = self.s3.put_object(Bucket=self.bucket, Key=self.key(name), Body=body)
        return {"key": name, "size": len(body), "etag": etag_of(answer), "sha256": digest(body)}

    def listing(self, below: str) -> Iterator[Row]:
        """Everything below a folder, in the order of its keys."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.key(below))
        for page in pages:
            for each in page.get("Contents", ()):
                key = each["Key"].removeprefix(self.prefix)
                yield {"key": key, "size": int(each["Size"]), "etag": etag_of(each)}


@dataclass
class Export:
    """One export. What was copied is noted page by page, so that a new start goes on after the last one."""

    source: Any
    bucket: str
    target: Target
    folder: Folder
    bundles: Mapping[str, Callable[[], Iterable[Row]]]
    """The lineage bundle: name → its rows, such as OpenLineage events."""
    say: Say = lambda _text: None
    workers: int = 16
    tried: Folder = field(init=False)
    parts: Parts = field(init=False)

    def __post_init__(self) -> None:
        """A try that was found wrong is not gone on with, nor one that went somewhere else."""
        tries = (self.folder.below(f"export-{number}") for number in count(1))
        self.tried = next(each for each in tries if each.get(VOID) is None and each.get(TARGET) in {None, self._there})
        self.parts = Parts(self.tried)

    @property
    def _there(self) -> bytes:
        return text_of({"to": self.target.address, "account": self.target.account})

    def run(self) -> dict[str, Any]:
        """Copy, write the manifest, and compare all of it with what lies at the target."""
        self.tried.once(TARGET, self._there)
        try:
            for page in self._pages():
                self.parts.add(self._copied(page))
                self.say(f"exported up to {page[-1]['Key']}")
            self._complete()
            manifest = self._manifest()
            self._verify(manifest)
        except Differs as error:
            self.tried.once(VOID, json.dumps({"why": str(error)}).encode())
            raise
        except ClientError as error:
            raise self._explained(error) from error
        return self._result(manifest)

    def announce(self, note: Row) -> None:
        """Write a note at the target, list it, and copy an object there: that all can go there, before anything begins.

        Raises DeployError; also where something else lies there, which would be written over.
        """
        try:
            self._write_note(text_of(note))
            if next(self.target.listing(NOTE), None) is None:
                raise DeployError(f"{self.target.address}{NOTE}: was written there and is not listed")
            for each in islice(self._current(""), 1):
                self._copy(row_of(each))
        except ClientError as error:
            raise self._explained(error) from error

    def _write_note(self, body: bytes) -> None:
        """The first thing in an empty folder, or there already and ours."""
        there = next(self.target.listing(""), None)
        if there is None:
            try:
                self.target.s3.put_object(
                    Bucket=self.target.bucket, Key=self.target.key(NOTE), Body=body, IfNoneMatch="*"
                )
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != FAILED:
                    raise
        if self._note() != body:
            raise DeployError(
                f"{self.target.address}: holds {there['key'] if there else NOTE} already, which is not of this export "
                "and would be written over; name another place, or clear this one"
            )

    def _note(self) -> bytes | None:
        try:
            body: bytes = self.target.s3.get_object(Bucket=self.target.bucket, Key=self.target.key(NOTE))["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None
        return body

    def obstacle(self) -> str | None:
        """Why nothing could go there, as far as a look tells; None also where this login may not look."""
        try:
            self.target.s3.head_bucket(Bucket=self.target.bucket)
        except ClientError as error:
            if is_gone(error):
                return f"bucket {self.target.bucket}, to which {self.bucket} is to be exported, does not exist"
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != FORBIDDEN:
                raise
        return None

    def _result(self, manifest: Row) -> dict[str, Any]:
        body = text_of(manifest)
        self.target.put("manifest.json", body)
        totals = {name: manifest[name] for name in ("objects", "bytes")}
        place = {
            "to": self.target.address,
            "account": self.target.account,
            "manifest": self.target.key("manifest.json"),
        }
        bundle = {f"{name}_rows": manifest["lineage"][name]["rows"] for name in self.bundles}
        return {**place, "manifest_sha256": digest(body), **totals, **bundle}

    # -- data ----------------------------------------------------------------------------------------------------

    def _pages(self) -> Iterator[list[Row]]:
        """The newest version of every object that is there, after what was copied already."""
        last = self.parts.last()
        rows = self._current(last[-1]["key"] if last else "")
        while page := list(islice(rows, PAGE)):
            yield page

    def _current(self, after: str) -> Iterator[Row]:
        marker = {"KeyMarker": after} if after else {}
        for page in self.source.get_paginator("list_object_versions").paginate(Bucket=self.bucket, **marker):
            for each in page.get("Versions", ()):
                if each["IsLatest"] and not each["Key"].startswith(LEFT_BEHIND):
                    yield each

    def _complete(self) -> None:
        """What came in behind the listing, while it went on, would be deleted without having been taken along.

        What has expired since, or was deleted, lies at the target. Both are in the order of the keys' bytes.
        """
        rows = self.parts.rows()
        for listed in map(row_of, self._current("")):
            row = next((each for each in rows if each["key"].encode() >= listed["key"].encode()), None)
            if row is None or (row["key"], row["version"]) != (listed["key"], listed["version"]):
                raise Differs(f"bucket {self.bucket}: {listed['key']} has changed while it was exported; {AGAIN}")

    def _copied(self, page: Sequence[Row]) -> list[Row]:
        found = [row_of(each) for each in page]
        if self.workers < 2:
            return [self._copy(row) for row in found]
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(self._copy, found))

    def _copy(self, row: Row) -> Row:
        """Within S3; nothing of it passes here. Tags stay behind: to write them is a right of its own."""
        to = {"Bucket": self.target.bucket, "Key": self.target.key(f"data/{row['key']}")}
        source = {"Bucket": self.bucket, "Key": row["key"], "VersionId": row["version"]}
        self.folder.guard()
        if row["size"] <= LARGEST:
            try:
                copied = self.target.s3.copy_object(**to, CopySource=source, TaggingDirective="REPLACE")
            except ClientError as error:
                raise self._unreadable(row, error) from error
            answer = copied["CopyObjectResult"]
        else:
            from boto3.s3.transfer import TransferConfig

            self.target.s3.copy(source, **to, SourceClient=self.source, Config=TransferConfig(use_threads=False))
            answer = self.target.s3.head_object(**to)
        return {**row, "etag": etag_of(answer)}

    def _unreadable(self, row: Row, error: ClientError) -> Exception:
        """One in an archive class, or under a key of its uploader's, by its name."""
        code = error.response["Error"]["Code"]
        if code not in {"InvalidObjectState", "InvalidRequest"}:
            return error
        return DeployError(
            f"version {row['version']} of {row['key']!r} in {self.bucket} cannot be copied ({code}): it lies in an "
            "archive class, or its uploader encrypted it with a key of its own; restore it "
            "(`aws s3api restore-object`), or delete it if the tenant agrees, and run the command again"
        )

    # -- manifest ------------------------------------------------------------------------------------------------

    def _manifest(self) -> dict[str, Any]:
        objects = size = 0
        for row in self.parts.rows():
            objects, size = objects + 1, size + row["size"]
        lists = [self.target.put(f"manifest/{name}", body) for name, body in self.parts.bodies()]
        lineage = {name: self._bundle(name, rows()) for name, rows in self.bundles.items()}
        return {"format": 1, "objects": objects, "bytes": size, "lists": lists, "lineage": lineage}

    def _bundle(self, name: str, rows: Iterable[Row]) -> dict[str, Any]:
        found, number = iter(rows), 0
        objects: list[Row] = []
        while some := list(islice(found, BUNDLE)):
            objects.append(self.target.put(f"lineage/{name}-{len(objects):06}.ndjson.gz", packed(some)))
            number += len(some)
        return {"rows": number, "objects": objects}

    def _verify(self, manifest: Row) -> None:
        """Both are in the order of the keys' bytes."""
        there = self.target.listing("data/")
        for row in self.parts.rows():
            self._compare(row, f"data/{row['key']}", there)
        for below in ("lineage/", "manifest/"):
            wanted = {row["key"]: row for row in written(manifest) if row["key"].startswith(below)}
            found = self.target.listing(below)
            for key in sorted(wanted):
                self._compare(wanted[key], key, found)

    def _compare(self, row: Row, key: str, listing: Iterator[Row]) -> None:
        found = next((each for each in listing if each["key"].encode() >= key.encode()), None)
        if found is None or found["key"] != key:
            raise Differs(f"{self.target.address}{key}: was exported and is not there; {AGAIN}")
        if (found["size"], found["etag"]) != (row["size"], row["etag"]):
            raise Differs(
                f"{self.target.address}{key}: has {found['size']} bytes and ETag {found['etag']}, exported were "
                f"{row['size']} and {row['etag']}: somebody has written over it; {AGAIN}"
            )

    def _explained(self, error: ClientError) -> Exception:
        code = error.response["Error"]["Code"]
        if code not in {"AccessDenied", "NoSuchBucket", "403"}:
            return error
        return DeployError(
            f"export from {self.bucket} to {self.target.address} (account {self.target.account}): {code}; the bucket "
            "has to exist in that account, and its policy and key to let in whoever runs this (docs/offboarding.md); "
            "nothing was deleted, and another place may be named, in tenants.yaml and by --export"
        )


def row_of(listed: Row) -> dict[str, Any]:
    return {"key": listed["Key"], "version": listed["VersionId"], "size": int(listed["Size"])}


def written(manifest: Row) -> Iterator[Row]:
    yield from manifest["lists"]
    for bundle in manifest["lineage"].values():
        yield from bundle["objects"]


def text_of(manifest: Row) -> bytes:
    return json.dumps(manifest, indent=1).encode()


def etag_of(answer: Mapping[str, Any]) -> str:
    return str(answer["ETag"]).strip('"')
