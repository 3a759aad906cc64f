"""A bucket's every version, delete marker and unfinished upload: written down, then deleted, until nothing is left."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from deployment.errors import DeployError
from deployment.parts import Folder, Parts

__all__ = ["RESULTS", "Counts", "Inventory", "is_there"]

PAGE = 1_000  # keys to a listing and to a deletion, S3's limit
RESULTS = "athena-results/"
ABORTS = 5  # of one upload
NOT_THERE, FORBIDDEN = 404, 403

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Counts:
    """What was deleted of a bucket."""

    versions: int = 0
    markers: int = 0
    bytes: int = 0
    uploads: int = 0
    results: int = 0
    """Of the versions, those that queries left."""


class Inventory:
    """Of one bucket. A part of the list is written before what it lists is deleted, and deleted before the next one is
    written: so each version is listed once, however often this dies.
    """

    def __init__(self, s3: Any, bucket: str, folder: Folder, say: Callable[[str], None] = lambda _text: None) -> None:
        self.s3, self.bucket, self.say, self.guard = s3, bucket, say, folder.guard
        self.versions = Parts(folder.below("versions"))
        self.uploads = Parts(folder.below("uploads"))
        self.aborted: Counter[str] = Counter()
        self.deleted: set[tuple[str, str]] = set()
        """By the newest call, keys with their versions."""
        self.tried: set[tuple[str, str]] = set()

    def empty(self) -> None:
        """Until a listing of the whole bucket shows nothing; a bucket that is gone is empty."""
        self.tried.clear()
        try:
            self.aborted.update(row["upload"] for row in self.uploads.last())
            self._abort(self.uploads.last())
            self._delete(self.versions.last())
            while self._uploads() or self._versions():
                pass
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise

    def counts(self) -> Counts:
        versions = markers = size = results = 0
        for row in self.versions.rows():
            markers += bool(row.get("marker"))
            versions += not row.get("marker")
            size += int(row.get("size", 0))
            results += not row.get("marker") and row["key"].startswith(RESULTS)
        return Counts(versions, markers, size, sum(1 for _ in self.uploads.rows()), results)

    def _versions(self) -> int:
        page = self.s3.list_object_versions(Bucket=self.bucket, MaxKeys=PAGE)
        found = [version_row(each) for each in page.get("Versions", ())]
        found += [marker_row(each) for each in page.get("DeleteMarkers", ())]
        self._one_by_one([row for row in found if identity(row) in self.deleted])
        if new := [row for row in found if identity(row) not in self.deleted]:
            self.versions.add(new)
            self._delete(new)
            self.say(f"{len(new):,} more versions and markers deleted")
        return len(found)

    def _delete(self, rows: Sequence[Row]) -> None:
        """By version, so that nothing else is hit and nothing is made; what is gone already is no error."""
        self.deleted = {identity(row) for row in rows}
        together = [row for row in rows if is_xml(row["key"])]
        for start in range(0, len(together), PAGE):
            self.guard()
            objects = [{"Key": row["key"], "VersionId": row["version"]} for row in together[start : start + PAGE]]
            answer = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})
            self._raise(answer.get("Errors", ()))
        self._one_by_one([row for row in rows if not is_xml(row["key"])])

    def _one_by_one(self, rows: Sequence[Row]) -> None:
        """What a list of keys cannot carry, or did not; each once, since what is still there then stays for good."""
        for row in rows:
            if identity(row) in self.tried:
                raise DeployError(
                    f"bucket {self.bucket}: version {row['version']} of {row['key']!r} was deleted and is still there; "
                    "look at it in S3, and run the command again"
                )
            self.tried.add(identity(row))
            self.guard()
            self.s3.delete_object(Bucket=self.bucket, Key=row["key"], VersionId=row["version"])

    def _raise(self, errors: Sequence[Mapping[str, str]]) -> None:
        if errors:
            first = errors[0]
            raise DeployError(
                f"bucket {self.bucket}: {len(errors):,} versions could not be deleted, the first is {first['Key']!r} "
                f"({first.get('Code')}: {first.get('Message')}); put that right and run the command again"
            )

    def _uploads(self) -> int:
        """One whose part is on its way may have to be aborted again; it is written down once."""
        page = self.s3.list_multipart_uploads(Bucket=self.bucket, MaxUploads=PAGE, EncodingType="url")
        decode = unquote_plus if page.get("EncodingType") == "url" else str
        found = [{"key": decode(each["Key"]), "upload": each["UploadId"]} for each in page.get("Uploads", ())]
        self.aborted.update(row["upload"] for row in found)
        if tough := [row for row in found if self.aborted[row["upload"]] > ABORTS]:
            raise DeployError(
                f"bucket {self.bucket}: upload {tough[0]['upload']} of {tough[0]['key']!r} is there after {ABORTS} "
                "attempts to abort it: somebody is sending parts of it; stop that and run the command again"
            )
        if new := [row for row in found if self.aborted[row["upload"]] == 1]:
            self.uploads.add(new)
        self._abort(found)
        return len(found)

    def _abort(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.guard()
            try:
                self.s3.abort_multipart_upload(Bucket=self.bucket, Key=row["key"], UploadId=row["upload"])
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchUpload":
                    raise


def identity(row: Row) -> tuple[str, str]:
    return row["key"], row["version"]


def version_row(each: Row) -> dict[str, Any]:
    return {
        "key": each["Key"],
        "version": each["VersionId"],
        "size": int(each["Size"]),
        "etag": each["ETag"].strip('"'),
        "modified": each["LastModified"].isoformat(),
    }


def marker_row(each: Row) -> dict[str, Any]:
    return {
        "key": each["Key"],
        "version": each["VersionId"],
        "marker": True,
        "modified": each["LastModified"].isoformat(),
    }


def is_xml(key: str) -> bool:
    """Whether a list of keys can carry it: XML has no place for most control characters."""
    return all(char in "\t\n\r" or (ord(char) >= 0x20 and char not in "\ufffe\uffff") for char in key)


def is_there(s3: Any, bucket: str) -> bool:
    """Whether the account has such a bucket. Names are everybody's: once it is gone, another may have taken it."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == NOT_THERE or (status == FORBIDDEN and not is_own(s3, bucket)):
            return False
        raise
    return True


def is_own(s3: Any, bucket: str) -> bool:
    """By the list of the account's own, which no bucket's policy can refuse."""
    pages = s3.get_paginator("list_buckets").paginate(Prefix=bucket)
    return any(each["Name"] == bucket for page in pages for each in page["Buckets"])
