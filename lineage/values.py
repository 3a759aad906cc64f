"""The values that go into the ledger and come out of it; none of them knows a database."""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from lineage.table import file_id, node_id, version_id

ACTIVE, SUSPENDED, OFFBOARDING = "active", "suspended", "offboarding"

MOST_FILES = 5_000
"""Members of one run, whatever a dataset asks: claiming more takes longer than a function may run."""


class ClaimState(StrEnum):
    RECEIVED = "RECEIVED"
    HELD = "HELD"
    CLAIMED = "CLAIMED"
    RETRY = "RETRY"
    DONE = "DONE"
    DEAD = "DEAD"


class HeaderState(StrEnum):
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    FENCED = "FENCED"


class FileStatus(StrEnum):
    """A file as a person sees it; derived by reading, never stored."""

    RECEIVED = "RECEIVED"
    HELD = "HELD"
    UNROUTED = "UNROUTED"
    PROCESSING = "PROCESSING"
    PROCESSED = "PROCESSED"
    QUERYABLE = "QUERYABLE"
    QUARANTINED = "QUARANTINED"
    FAILED = "FAILED"


@dataclass(frozen=True, kw_only=True)
class TenantEntry:
    """What the control plane knows of a tenant; written after its stack is up."""

    tenant: str
    state: str
    bucket: str
    account: str
    database: str
    jobs: Mapping[str, str]
    """Job name → name of the Glue job, in the order in which the jobs follow each other."""
    max_in_flight: int = 2
    errand_job: str | None = None
    """Name of the Glue job that does the tenant's errands: work that is no batch of files."""
    retention: Mapping[str, int] = field(default_factory=dict)
    """Zone → days that its objects live; nothing expires from the ledger where it is not known."""
    topic: str | None = None
    """ARN of the topic that carries alerts to the tenant's owner."""
    held_since: datetime | None = None
    """Since when an operator holds the tenant's files; `put_tenant` leaves it as it is."""
    held_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetEntry:
    """What a job and the control plane know of a dataset. `plan` is the compiled contract as JSON."""

    tenant: str
    dataset: str
    files: tuple[str, ...]
    max_wait_s: int
    max_files: int
    max_bytes: int
    plan: str
    schedule: Mapping[str, object] | None = None
    """The compiled schedule (`ingestion.schedules`) that starts its batches; None: the arrivals do."""

    @property
    def is_plain(self) -> bool:
        """Is its table plain Parquet files, which can only be added or dropped whole."""
        return bool(json.loads(self.plan or "{}").get("format") == "parquet")


@dataclass(frozen=True, kw_only=True)
class FileVersion:
    """One version of one object, as its "Object Created" event tells it. `dataset` None: no contract matches."""

    tenant: str
    dataset: str | None
    key: str
    version: str | None
    size: int
    etag: str
    arrived_at: datetime
    sequencer: str = ""

    @property
    def fid(self) -> str:
        return file_id(self.key)

    @property
    def ver(self) -> str:
        # Without a version id the sequencer, which is new with every PUT, tells content A, B and A again apart.
        return version_id(self.key, self.version, f"{self.etag}#{self.sequencer}", self.size)


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file version as a batch holds it. `attempt` counts the runs that failed with it so far.

    `group`: id of the batch in which it is tried again, whole; `replaces`: of a replay, the batches whose rows
    of this file give way.
    """

    key: str
    version: str | None
    fid: str
    ver: str
    size: int
    etag: str
    arrived_at: datetime
    attempt: int = 0
    sequencer: str = ""
    fence: int = 0
    group: str | None = None
    epoch: int = 0
    replaces: tuple[str, ...] = ()
    retry_at: datetime | None = None
    """Of a file that waits again: not before then."""

    @property
    def id(self) -> str:
        return f"{self.fid}.{self.ver}"

    @property
    def ref(self) -> str:
        """What its batch is named after: a replay makes another batch of the same file."""
        return f"{self.id}@{self.epoch}" if self.epoch else self.id


@dataclass(frozen=True, kw_only=True)
class Output:
    """Something a run wrote.

    Files: `version` is the S3 version id where it is known; keys under processed/ and quarantine/ are written once and
    need none. Partitions: `key` is the folder (`analytics-ready/<ds>/year=…/month=…`), `version` the snapshot id.
    """

    key: str
    version: str | None
    zone: str
    dataset: str
    year: str | None = None
    month: str | None = None
    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class InputResult:
    """What became of one member: rows that went through, rows rejected, and why (the first reasons, for a person)."""

    key: str
    version: str | None
    rows: int
    rejected: int
    reason: str | None = None
    id: str | None = None
    """The member's, where key and version alone would not tell two apart."""


@dataclass(frozen=True, kw_only=True)
class CommitRecord:
    outputs: tuple[Output, ...] | list[Output]
    inputs: tuple[InputResult, ...] | list[InputResult]
    rows_in: int
    rows_out: int
    rejected: int
    snapshot: str | None = None
    code: str = ""
    contract: str = ""
    """Fingerprint of the plan."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """An open run in the hands of the one Glue run that took it. `attempt` counts from 1."""

    run: str
    job: str
    tenant: str
    dataset: str
    batch: str
    attempt: int
    glue_run: str
    members: tuple[Member, ...] = field(repr=False)
    seat: int | None = None


@dataclass(frozen=True, kw_only=True)
class FileState:
    key: str
    version: str | None
    dataset: str | None
    state: FileStatus
    rows: int | None
    rejected: int | None
    reason: str | None
    run: str | None
    arrived_at: datetime
    size: int = 0
    attempt: int = 0
    """Runs that failed with it."""
    epoch: int = 0
    """Replays."""


@dataclass(frozen=True, kw_only=True)
class RunState:
    run: str
    job: str
    dataset: str
    state: HeaderState
    started: datetime
    ended: datetime | None
    files: int
    rows_in: int | None
    rows_out: int | None
    rejected: int | None
    error: str | None
    glue_run: str | None
    batch: str | None
    tenant: str = ""
    attempt: int = 1
    heartbeat: datetime | None = None
    stale: bool = False
    snapshot: str | None = None
    code: str | None = None
    contract: str | None = None


class ErrandTask(StrEnum):
    """What can be asked of a tenant's job `maintain`."""

    MAINTAIN = "maintain"
    ROLLBACK = "rollback"
    SNAPSHOTS = "snapshots"
    REBUILD = "rebuild"


class ErrandState(StrEnum):
    ASKED = "ASKED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, kw_only=True)
class Errand:
    """Work for a tenant's `maintain` job that is no batch of files. `arguments` and `result` are JSON objects."""

    id: str
    tenant: str
    task: str
    arguments: Mapping[str, object]
    state: ErrandState
    asked: datetime
    started: datetime | None = None
    """When a Glue run took it."""
    ended: datetime | None = None
    glue_run: str | None = None
    result: Mapping[str, object] | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Slot:
    """An open run's place: one per tenant, dataset and job."""

    run: str
    job: str
    dataset: str


ABSENT = ("the file is no longer in the bucket", "the file was overwritten before it was read")
"""How the reason begins where a file could not be read at all, for its object was not there."""


def zone_of(key: str) -> str:
    return key.split("/", 1)[0]


def stamp(moment: datetime) -> str:
    """UTC with microseconds: text that sorts as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def new_run_id() -> str:
    """A UUID version 7: sorts by the millisecond it was made in."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


def batch_id(refs: Iterable[str], job: str, dataset: str) -> str:
    """The same files for the same job are the same batch, whichever attempt it is."""
    return hashlib.sha256("\n".join([*sorted(refs), job, dataset]).encode()).hexdigest()[:20]


def batch_of(members: Iterable[Member], job: str, dataset: str) -> str:
    return batch_id((member.ref for member in members), job, dataset)


def output_id(output: Output, run: str, snapshot: str | None) -> str:
    """`fid.ver` of an output: a partition without a version of its own is versioned by snapshot, else by run."""
    version = output.version or (snapshot or run if output.zone == "analytics-ready" else None)
    return node_id(output.key, version)
