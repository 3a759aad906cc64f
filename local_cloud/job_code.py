"""A job's script and packages, fetched from S3 with the job's own rights and kept by version."""

import contextlib
import hashlib
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.exceptions

from local_cloud.errors import LocalCloudError

KEPT = 60  # folders


class JobCodeError(LocalCloudError):
    """Raised when a script or package cannot be fetched with the job's role."""


@dataclass(frozen=True)
class JobCode:
    """What a run needs of its job's code. `folders` go in front of the Python path, in order."""

    script: Path
    folders: tuple[Path, ...]
    fingerprint: str


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` URI."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme not in {"s3", "s3a"} or not bucket or not key:
        raise JobCodeError(f"{uri}: expected s3://bucket/key")
    return bucket, key


def fetch(s3: Any, cache: Path, script: str, packages: str) -> JobCode:
    """The code of one job. `s3` is a client with the job's rights, `packages` the value of `--extra-py-files`."""
    uris = [uri.strip() for uri in packages.split(",") if uri.strip()]
    script_folder, _ = _fetched(s3, cache, script)
    fetched = [_fetched(s3, cache, uri) for uri in uris]
    fingerprint = hashlib.sha256("\n".join(version for _, version in fetched).encode()).hexdigest()
    name = split(script)[1].rpartition("/")[2]
    return JobCode(script_folder / name, tuple(folder for folder, _ in fetched), fingerprint)


def prune(cache: Path) -> None:
    """Forget all but the code that was fetched last."""
    folders = sorted((f for f in cache.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime, reverse=True)
    for folder in folders[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


def _fetched(s3: Any, cache: Path, uri: str) -> tuple[Path, str]:
    """The folder with this version of an object, unpacked when it is an archive, and the version's name."""
    bucket, key = split(uri)
    try:
        head = s3.head_object(Bucket=bucket, Key=key)
        version = f"{uri}#{head['ETag']}#{head.get('VersionId', '')}"
        folder = cache / hashlib.sha256(version.encode()).hexdigest()[:32]
        if not folder.exists():
            body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            _unpack(body, key.rpartition("/")[2], folder)
    except botocore.exceptions.ClientError as e:
        reason = e.response["Error"].get("Message") or e.response["Error"].get("Code")
        raise JobCodeError(f"{uri}: not readable by the job's role ({reason})") from e
    return folder, version


def _unpack(body: bytes, name: str, folder: Path) -> None:
    """Make the folder at once, so that nobody finds half of it."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as staging:
        file = Path(staging) / name
        file.write_bytes(body)
        content = Path(staging) / ".content"
        content.mkdir()
        if file.suffix in {".zip", ".whl", ".egg"}:
            with zipfile.ZipFile(file) as archive:
                archive.extractall(content)
        else:
            file.rename(content / name)
        with contextlib.suppress(OSError):  # another run was first
            content.rename(folder)
