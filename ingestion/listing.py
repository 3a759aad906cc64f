"""What lies in a tenant's bucket: zone by zone its keys, each with its versions. Lists, never reads an object."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

RAW, PROCESSED, QUARANTINE = "raw/", "processed/", "quarantine/"

ZONES = (RAW, PROCESSED, QUARANTINE)
"""In the order of a walk: what was missed is entered first, the rest may come late."""

VERSIONS, MARKERS, CURRENT = "Versions", "DeleteMarkers", "Contents"


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """One version of a key. `version` None: the bucket keeps none, or (beyond raw/) it is the current one."""

    key: str
    version: str | None
    etag: str
    size: int
    modified_at: datetime
    deleted: bool = False
    """A delete marker lies above it."""


def place(key: str) -> tuple[int, str]:
    """How far a walk has come that stands at this key, a zone's or what lies in it."""
    return next(number for number, zone in enumerate(ZONES) if key.startswith(zone)), key


def walk(s3: Any, bucket: str, prefix: str = "", after: str | None = None) -> Iterator[list[StoredObject]]:
    """The versions of each key of the zones, oldest first; key by key, from behind `after` on.

    Of raw/ every version counts as a file of its own. Of what jobs write only the current one is looked at: a version
    that is not has been deleted.
    """
    for zone in ZONES:
        within = _within(zone, prefix)
        if within is None or (after is not None and _is_behind(within, after)):
            continue
        start = after if after is not None and after.startswith(within) else None
        yield from (_versions if zone == RAW else _current)(s3, bucket, within, start)


def exists(s3: Any, bucket: str, key: str) -> bool:
    """Whether the key has a current version; by listing, because a HeadObject needs the right to read."""
    found = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get(CURRENT, [])
    return bool(found) and found[0]["Key"] == key


def _within(zone: str, prefix: str) -> str | None:
    """The narrower of the two; None if they have nothing in common."""
    if prefix.startswith(zone):
        return prefix
    return zone if zone.startswith(prefix) else None


def _is_behind(within: str, after: str) -> bool:
    """Whether a walk that has come to `after` has done all of it."""
    return place(after) > place(within) and not after.startswith(within)


def _versions(s3: Any, bucket: str, prefix: str, after: str | None) -> Iterator[list[StoredObject]]:
    start = {"KeyMarker": after} if after else {}
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix, **start)
    for key, found in _by_key(pages, (VERSIONS, MARKERS)):
        if any(part == VERSIONS for part, _ in found):
            yield _of_key(key, found)


def _current(s3: Any, bucket: str, prefix: str, after: str | None) -> Iterator[list[StoredObject]]:
    start = {"StartAfter": after} if after else {}
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **start)
    for key, found in _by_key(pages, (CURRENT,)):
        yield [_stored(key, raw) for _, raw in found]


def _by_key(
    pages: Iterable[Mapping[str, Any]], parts: Sequence[str]
) -> Iterator[tuple[str, list[tuple[str, Mapping[str, Any]]]]]:
    """Whole keys: the last one of a page may go on in the next."""
    pending: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for page in pages:
        for part in parts:
            for raw in page.get(part, ()):
                pending.setdefault(raw["Key"], []).append((part, raw))
        for key in sorted(pending)[:-1]:
            yield key, pending.pop(key)
    yield from pending.items()


def _of_key(key: str, found: Sequence[tuple[str, Mapping[str, Any]]]) -> list[StoredObject]:
    markers = [raw["LastModified"] for part, raw in found if part == MARKERS]
    # S3 lists the newest first and its times have seconds only: turned round, equal times keep their order.
    versions = sorted((raw for part, raw in reversed(found) if part == VERSIONS), key=lambda raw: raw["LastModified"])
    last = max(markers, default=None)
    return [
        _stored(key, raw, deleted=last is not None and not raw.get("IsLatest") and last >= raw["LastModified"])
        for raw in versions
    ]


def _stored(key: str, raw: Mapping[str, Any], *, deleted: bool = False) -> StoredObject:
    version = raw.get("VersionId")
    return StoredObject(
        key=key,
        version=None if version == "null" else version,
        etag=raw.get("ETag", "").strip('"'),
        size=int(raw["Size"]),
        modified_at=raw["LastModified"].astimezone(UTC),
        deleted=deleted,
    )
