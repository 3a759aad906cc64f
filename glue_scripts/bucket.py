"""A tenant's bucket as the jobs use it: exact versions in, new objects out, never somebody else's bucket."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from lineage.bucket_owner import insisting

MULTIPART_FROM = 32 * 1024 * 1024  # bytes
PER_DELETE = 1000  # keys that DeleteObjects takes

_ABSENT = {"NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed", "405"}
LONG_AGO = datetime.min.replace(tzinfo=UTC)
_UNVERSIONED = {None, "", "null"}


class ObjectGone(Exception):
    """Raised when the wanted version of an object no longer exists."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """An object being read: `body` is a stream, `version` None in a bucket without versions."""

    body: Any
    version: str | None
    size: int
    etag: str = ""
    modified: datetime = LONG_AGO


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An object as a listing tells it."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Every call names the account that must own the bucket, so a name taken over elsewhere is refused by S3."""

    name: str
    account: str

    def open(self, key: str, version: str | None = None, etag: str | None = None) -> Content:
        """Exactly the version asked for. Raises ObjectGone when it was deleted, or overwritten without a history."""
        wanted = {} if version in _UNVERSIONED else {"VersionId": version}
        try:
            answer = client(self.account).get_object(Bucket=self.name, Key=key, **wanted)
        except ClientError as error:
            raise _renamed(error) from error
        if not wanted and etag and answer["ETag"].strip('"') != etag.strip('"'):
            answer["Body"].close()
            raise ObjectGone("was overwritten before it was read, and its bucket keeps no old versions")
        return Content(
            body=answer["Body"],
            version=answer.get("VersionId"),
            size=answer["ContentLength"],
            etag=answer["ETag"].strip('"'),
            modified=answer["LastModified"],
        )

    def put_once(self, key: str, body: bytes) -> str | None:
        """Creates the object and returns its version. Raises FileExistsError when the key is taken."""
        for pause in (0.1, 0.4, 1.6, None):
            try:
                answer = client(self.account).put_object(Bucket=self.name, Key=key, Body=body, IfNoneMatch="*")
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in {"PreconditionFailed", "412"}:
                    raise FileExistsError(key) from error
                if code not in {"ConditionalRequestConflict", "409"} or pause is None:
                    raise
                time.sleep(pause)  # another writer is at it; S3 asks to try again
            else:
                return answer.get("VersionId")
        raise AssertionError

    def put(self, key: str, body: IO[bytes], size: int) -> None:
        """Writes from the start of `body`; large ones in parts."""
        body.seek(0)
        if size < MULTIPART_FROM:
            client(self.account).put_object(Bucket=self.name, Key=key, Body=body)
        else:
            client(self.account).upload_fileobj(body, self.name, key)

    def listed(self, prefix: str) -> Iterator[Listed]:
        """The objects whose keys begin so, in the order of their keys."""
        pages = client(self.account).get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.name, Prefix=prefix):
            for found in page.get("Contents", []):
                yield Listed(key=found["Key"], size=found["Size"], modified=found["LastModified"])

    def folders(self, prefix: str) -> list[str]:
        """The names that follow the prefix, up to the next slash."""
        pages = client(self.account).get_paginator("list_objects_v2")
        found: list[str] = []
        for page in pages.paginate(Bucket=self.name, Prefix=prefix, Delimiter="/"):
            found += [common["Prefix"].removeprefix(prefix).rstrip("/") for common in page.get("CommonPrefixes", [])]
        return found

    def copy(self, source: str, target: str) -> None:
        """Within the bucket and without the bytes passing through here; up to 5 GB."""
        client(self.account).copy_object(
            Bucket=self.name,
            Key=target,
            CopySource={"Bucket": self.name, "Key": source},
        )

    def delete(self, keys: Sequence[str]) -> None:
        """Removes objects, or what hides their versions is put on top; keys without an object are none's concern."""
        for start in range(0, len(keys), PER_DELETE):
            wanted = [{"Key": key} for key in keys[start : start + PER_DELETE]]
            answer = client(self.account).delete_objects(Bucket=self.name, Delete={"Objects": wanted, "Quiet": True})
            if answer.get("Errors"):
                refused = answer["Errors"][0]
                raise OSError(f"{refused['Key']}: S3 did not delete it: {refused['Code']} {refused.get('Message', '')}")


def _renamed(error: ClientError) -> Exception:
    if error.response["Error"]["Code"] in _ABSENT:
        return ObjectGone("is no longer in the bucket")
    return error


def client(account: str) -> Any:
    """One client per process and set of credentials: a process may outlive them. It expects `account`'s buckets."""
    return _client(
        account, os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SESSION_TOKEN"), _credentials_file()
    )


def _credentials_file() -> int | None:
    """When the file that credentials are read from was written, for hosts that renew them there."""
    try:
        return Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]).stat().st_mtime_ns
    except (KeyError, OSError):
        return None


@lru_cache(maxsize=1)
def _client(account: str, _key: str | None, _token: str | None, _file: int | None) -> Any:
    config = Config(max_pool_connections=32, retries={"mode": "standard", "max_attempts": 5})
    return insisting(boto3.session.Session().client("s3", config=config), account)
