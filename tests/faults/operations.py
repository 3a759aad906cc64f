"""What the operator, the clock and the reconciler do to a lake in memory, beside the ways of its files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ingestion.reconcile import Reconciler
from ingestion.settings import Settings
from lineage.holds import Holds
from lineage.replays import Replays
from tests.faults.injection import Process
from tests.faults.lake import S3, TENANT, Functions, Lake, Stored

SETTINGS = Settings(
    ledger="ledger",
    dispatch_function="dispatch",
    reconcile_function="reconcile",
    topic="arn:aws:sns:us-east-1:000000000000:lake",
    queue="http://queue",
    dead_letter_queue="http://dead-letters",
    environment="dev",
)


@dataclass
class OperatedLake(Lake):
    """A lake whose bucket knows when each version was put."""

    moments: dict[str, datetime] = field(default_factory=dict)

    def store(self, key: str, body: bytes) -> Stored:
        stored = super().store(key, body)
        self.moments[stored.version] = self.clock()
        return stored


def replay(lake: Lake, process: Process) -> None:
    """Everything of the dataset that is settled, again."""
    replays = Replays(lake.seen_by(process))
    replays.replay(replays.plan(TENANT, dataset="sales", force=True))


def hold(lake: Lake, process: Process) -> None:
    Holds(lake.seen_by(process)).hold(TENANT, "a look at the numbers")


def release(lake: Lake, process: Process) -> None:
    Holds(lake.seen_by(process)).release(TENANT)


def reconcile(lake: OperatedLake, process: Process) -> Mapping[str, Any]:
    """The whole bucket; nothing is too young."""
    return Reconciler(
        lake.seen_by(process), Listed(lake, process), Functions(lake, process), SETTINGS, clock=lake.clock
    ).handle({"tenant": TENANT, "grace_s": 0, "staging_grace_s": 0})


class Listed(S3):
    """A bucket as the reconciler sees it: lists, deletes."""

    lake: OperatedLake

    def get_paginator(self, operation: str) -> "Pages":
        return Pages(self, operation)

    def list_object_versions(self, *, Prefix: str, KeyMarker: str = "", **_: Any) -> Mapping[str, Any]:
        return self.call("ListObjectVersions", lambda: self._versions(Prefix, KeyMarker))

    def list_objects_v2(self, *, Prefix: str, StartAfter: str = "", **_: Any) -> Mapping[str, Any]:
        return self.call("ListObjectsV2", lambda: self._current(Prefix, StartAfter))

    def delete_objects(self, *, Delete: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        return self.call("DeleteObjects", lambda: self._delete([one["Key"] for one in Delete["Objects"]]))

    def _keys(self, prefix: str, after: str) -> Iterator[str]:
        return (key for key in sorted(self.lake.objects) if key.startswith(prefix) and key > after)

    def _versions(self, prefix: str, after: str) -> Mapping[str, Any]:
        found: dict[str, list[Mapping[str, Any]]] = {"Versions": [], "DeleteMarkers": []}
        for key in self._keys(prefix, after):
            for stored in reversed(self.lake.objects[key]):
                part = "DeleteMarkers" if stored.body is None else "Versions"
                found[part].append(self._listed(key, stored) | {"VersionId": stored.version})
        return found

    def _current(self, prefix: str, after: str) -> Mapping[str, Any]:
        there = [(key, self.lake.newest(key)) for key in self._keys(prefix, after)]
        return {"Contents": [self._listed(key, stored) for key, stored in there if stored]}

    def _listed(self, key: str, stored: Stored) -> dict[str, Any]:
        return {
            "Key": key,
            "Size": len(stored.body or b""),
            "ETag": f'"{stored.etag}"',
            "LastModified": self.lake.moments[stored.version],
            "IsLatest": stored is self.lake.objects[key][-1],
        }

    def _delete(self, keys: list[str]) -> Mapping[str, Any]:
        for key in keys:
            self.lake.objects.pop(key, None)
        return {}


@dataclass
class Pages:
    s3: Listed
    operation: str

    def paginate(self, **request: Any) -> Iterator[Mapping[str, Any]]:
        """One page: how pages are put together is shown where listings are tested."""
        yield getattr(self.s3, self.operation)(**request)
