"""Files of an assembly, put where templates look for them; and the place for them, for the local cloud."""

import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from deployment.assembly import Asset, present
from deployment.errors import BootstrapError
from deployment.records import bucket_of

__all__ = ["Publisher", "bootstrap"]


class Publisher:
    """Puts what is not there yet. `guard` is asked before; `say` hears (bucket, what is published)."""

    def __init__(self, s3: Any, say: Callable[[str, str], None], guard: Callable[[], None]) -> None:
        self.s3, self.say, self.guard = s3, say, guard
        self.published: set[tuple[str, str]] = set()

    def publish(self, assets: Iterable[Asset], account: str) -> None:
        """An object's key is the hash of its content: what is there is right."""
        for asset in assets:
            place = (asset.bucket, asset.key)
            if place not in self.published and not self._is_there(asset):
                self.say(asset.bucket, f"publishing {asset.source.name}")
                self.put(asset.bucket, asset.key, content(asset), account)
            self.published.add(place)

    def put_template(self, bucket: str, key: str, body: bytes, account: str) -> str:
        """The template's URL."""
        self.put(bucket, key, body, account)
        return f"{self.s3.meta.endpoint_url}/{bucket}/{key}"

    def put(self, bucket: str, key: str, body: bytes, account: str) -> None:
        self.guard()
        try:
            self.s3.put_object(Bucket=bucket, Key=key, Body=body)
        except ClientError as e:
            if e.response["Error"]["Code"] != "NoSuchBucket":
                raise
            raise BootstrapError(
                f"bucket {bucket}: does not exist in {self.s3.meta.region_name} of account {account}; prepare the "
                "account once, as docs/github_actions.md says under 'The account'"
            ) from e

    def _is_there(self, asset: Asset) -> bool:
        try:
            self.s3.head_object(Bucket=asset.bucket, Key=asset.key)
        except ClientError as e:
            if e.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True


def content(asset: Asset) -> bytes:
    """The object's bytes; a folder becomes a zip archive."""
    with present(asset.source):
        return zipped(asset.source) if asset.packaging == "zip" else asset.source.read_bytes()


def zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder).as_posix())
    return buffer.getvalue()


def bootstrap(s3: Any, ssm: Any, account: str, region: str) -> None:
    """What `cdk bootstrap` leaves and stacks ask for: for the local cloud, which has no other user."""
    bucket = bucket_of(account, region)
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        # Everywhere but in S3's first Region a bucket has to be told where it is.
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **place)
    ssm.put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String", Overwrite=True)
