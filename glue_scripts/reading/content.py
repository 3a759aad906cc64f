"""From an object's bytes to sound content: downloaded, unpacked, decoded, its format known."""

import codecs
import gzip
import shutil
import tempfile
import zlib
from pathlib import PurePosixPath
from typing import IO, cast

from glue_scripts.bucket import Bucket, ObjectGone
from glue_scripts.reading.source import SMALL, FileGone, MalformedFile, Source

CHUNK = 1024 * 1024

CSV, JSON, LINES, PARQUET = "csv", "json", "ndjson", "parquet"

_SUFFIXES = {
    ".csv": CSV,
    ".tsv": CSV,
    ".txt": CSV,
    ".json": JSON,
    ".ndjson": LINES,
    ".jsonl": LINES,
    ".parquet": PARQUET,
    ".pq": PARQUET,
}
_GZIP = b"\x1f\x8b"
_BOM = codecs.BOM_UTF8


def download(bucket: Bucket, source: Source) -> IO[bytes]:
    """The object's bytes, at their start. Raises FileGone, or MalformedFile when it is empty."""
    try:
        content = bucket.open(source.key, source.version, source.etag)
    except ObjectGone as gone:
        raise FileGone(f"the file {gone}") from gone
    with content.body as body:
        file = _spool()
        shutil.copyfileobj(body, file, CHUNK)
    if file.tell() == 0:
        raise MalformedFile("the file is empty")
    file.seek(0)
    return file


def unpack(file: IO[bytes], key: str) -> IO[bytes]:
    """Unpacks gzip, which is known by its first bytes: names lie both ways."""
    packed = _head(file, 2) == _GZIP
    if not packed:
        if key.lower().endswith(".gz"):
            raise MalformedFile("the name ends in .gz but the content is not gzip")
        return file
    unpacked = _spool()
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as stream:
            shutil.copyfileobj(stream, unpacked, CHUNK)
    except EOFError as error:
        raise MalformedFile("the gzip stream ends too early: the file was cut off") from error
    except (OSError, zlib.error) as error:
        raise MalformedFile(f"the gzip stream is damaged: {error}") from error
    if unpacked.tell() == 0:
        raise MalformedFile("the file is empty")
    unpacked.seek(0)
    return unpacked


def format_of(file: IO[bytes], key: str) -> str:
    """By suffix, and where that says nothing by the first bytes."""
    name = key.lower().removesuffix(".gz")
    known = _SUFFIXES.get(PurePosixPath(name).suffix)
    if known:
        return known
    head = _head(file, 4096)
    if head.startswith(b"PAR1"):
        return PARQUET
    return JSON if head.removeprefix(_BOM).lstrip()[:1] in (b"{", b"[") else CSV


def as_utf8(file: IO[bytes], encoding: str) -> IO[bytes]:
    """The same text in UTF-8 and without byte order mark. Raises MalformedFile naming the first wrong byte."""
    decoder = codecs.getincrementaldecoder(encoding)()
    same = codecs.lookup(encoding).name == "utf-8"
    text = file if same else _spool()
    place = 0
    try:
        while chunk := file.read(CHUNK):
            decoded = decoder.decode(chunk)
            place += len(chunk)
            if not same:
                text.write(decoded.encode())
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise MalformedFile(f"not valid {encoding}: {error.reason} near byte {place + error.start}") from error
    text.seek(0)
    text.seek(len(_BOM) if _head(text, 3) == _BOM else 0)
    return text


def size_of(file: IO[bytes]) -> int:
    here = file.tell()
    size = file.seek(0, 2)
    file.seek(here)
    return size


def _head(file: IO[bytes], count: int) -> bytes:
    here = file.tell()
    head = file.read(count)
    file.seek(here)
    return head


def _spool() -> IO[bytes]:
    return cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=SMALL))
