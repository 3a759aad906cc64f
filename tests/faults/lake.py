"""A whole lake in memory: bucket, queue of arrivals, register, dispatch, Glue, both jobs, the table people query.

The code is the project's own, down to the jobs' order of steps; only Spark's part of them is played: a file of N rows
becomes one processed file, and a commit to the table is one swap of a pointer, as with Iceberg. Every call to AWS goes
through the process that makes it, so that it can die there.
"""

import contextlib
import hashlib
import io
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from glue_scripts import bucket as bucket_module
from glue_scripts import catalog, job_run, plain_table, processed_to_analytics, raw_to_processed
from glue_scripts.commit_object import CommitObject
from ingestion.dispatch import Dispatcher
from ingestion.register import Registrar
from lineage import table
from lineage.commits import is_commit, key_of
from lineage.ledger import Ledger
from lineage.values import DatasetEntry, FileState, TenantEntry
from tests.faults.injection import AnswerLost, Process, Refused
from tests.faults.memory import MemoryStore, memory_table
from tests.lineage.builders import ANALYTICS, RAW, Clock

TENANT, BUCKET, DATABASE, ACCOUNT = "acme", "lake-acme-dev-datalake", "lake_acme_dev", "000000000000"
GLUE_NAMES = {RAW: "lake-acme-dev-raw-to-processed", ANALYTICS: "lake-acme-dev-processed-to-analytics"}
MODULES = {RAW: raw_to_processed, ANALYTICS: processed_to_analytics}

PLAN = {
    "dataset": "sales",
    "contract": "sales",
    "version": "1.0.0",
    "fingerprint": "f1",
    "format": "iceberg",
    "processed_format": "parquet",
    "csv": {"delimiter": ",", "quote": '"', "encoding": "UTF-8", "null_values": [""]},
    "source_columns": ["id"],
    "columns": [{"name": "id", "type": "string", "expression": "`id`"}],
    "derived": [],
    "rules": [],
    "primary_key": [],
    "version_column": None,
    "partition": {"year": "2024", "month": "'09'"},
}

BOTO3_ATTEMPTS = 5
STILL = 2  # rounds without news: files of a run that died wait for a while


class Service:
    """A client of AWS as one process has it: asks again when an answer is lost or the service is busy, as boto3 does."""

    def __init__(self, process: Process, name: str) -> None:
        self.process = process
        self.name = name

    def call(self, operation: str, work: Callable[[], Any]) -> Any:
        for attempt in range(1, BOTO3_ATTEMPTS + 1):
            try:
                return self.process.around(self.name, operation, work)
            except AnswerLost:
                if attempt == BOTO3_ATTEMPTS:
                    raise ConnectionClosedError(endpoint_url=self.name) from None
            except Refused as refused:
                if attempt == BOTO3_ATTEMPTS or refused.code not in ("ThrottlingException", "SlowDown"):
                    raise ClientError(refused.answer(), operation) from refused
        raise AssertionError("unreachable")


@dataclass
class Stored:
    """One version of an object; `body` None is a delete marker."""

    version: str
    body: bytes | None
    etag: str
    sequencer: str


class S3(Service):
    """The tenant's bucket, with versions."""

    def __init__(self, lake: "Lake", process: Process) -> None:
        super().__init__(process, "s3")
        self.lake = lake

    def put_object(self, *, Key: str, Body: Any, IfNoneMatch: str | None = None, **_: Any) -> Mapping[str, Any]:
        body = Body if isinstance(Body, bytes) else Body.read()
        return self.call("PutObject", lambda: self._put(Key, body, once=IfNoneMatch == "*"))

    def _put(self, key: str, body: bytes, *, once: bool) -> Mapping[str, Any]:
        if once and self.lake.newest(key) is not None:
            raise refusal("PreconditionFailed", "PutObject")
        stored = self.lake.store(key, body)
        return {"VersionId": stored.version, "ETag": f'"{stored.etag}"'}

    def get_object(self, *, Key: str, VersionId: str | None = None, **_: Any) -> Mapping[str, Any]:
        return self.call("GetObject", lambda: self._get(Key, VersionId))

    def _get(self, key: str, version: str | None) -> Mapping[str, Any]:
        versions = {stored.version: stored for stored in self.lake.objects.get(key, [])}
        stored = versions.get(version) if version else self.lake.newest(key)
        if stored is None or stored.body is None:
            raise refusal("NoSuchKey", "GetObject")
        return {
            "Body": io.BytesIO(stored.body),
            "VersionId": stored.version,
            "ContentLength": len(stored.body),
            "ETag": f'"{stored.etag}"',
            "LastModified": self.lake.clock(),
        }

    def copy_object(self, *, Key: str, CopySource: Mapping[str, str], **_: Any) -> Mapping[str, Any]:
        return self.call("CopyObject", lambda: self._put(Key, self.lake.newest(CopySource["Key"]).body, once=False))


class Glue(Service):
    """Starts runs of jobs; takes partitions."""

    def __init__(self, lake: "Lake", process: Process) -> None:
        super().__init__(process, "glue")
        self.lake = lake

    def start_job_run(self, *, JobName: str, Arguments: Mapping[str, str]) -> Mapping[str, str]:
        return self.call("StartJobRun", lambda: self._start(JobName, Arguments["--run"]))

    def _start(self, name: str, run: str) -> Mapping[str, str]:
        glue_run = GlueRun(id=f"jr_{next(self.lake.numbers)}", name=name, run=run)
        self.lake.glue_runs.append(glue_run)
        return {"JobRunId": glue_run.id}

    def batch_stop_job_run(self, **_: Any) -> Mapping[str, Any]:
        """A run that is told to stop may work on for a while: here, to its end."""
        return self.call("BatchStopJobRun", lambda: {"Errors": []})

    def batch_create_partition(self, **_: Any) -> Mapping[str, Any]:
        return self.call("BatchCreatePartition", lambda: {"Errors": []})


class Functions(Service):
    """Invokes dispatch, some time."""

    def __init__(self, lake: "Lake", process: Process) -> None:
        super().__init__(process, "lambda")
        self.lake = lake

    def invoke(self, *, Payload: bytes, **_: Any) -> Mapping[str, Any]:
        return self.call("Invoke", lambda: self.lake.invocations.append(json.loads(Payload)) or {"StatusCode": 202})


@dataclass
class GlueRun:
    id: str
    name: str
    run: str
    state: str = "STARTING"


@dataclass(frozen=True)
class Snapshot:
    """The table after one commit: per batch the file versions whose rows are in it."""

    batches: Mapping[str, frozenset[str]]
    brought: tuple[str, ...] = ()
    run: str = ""


@dataclass
class Lake:
    """The world; each activity gets the process that does it."""

    kind: type[Ledger] = Ledger
    clock: Clock = field(default_factory=Clock)
    objects: dict[str, list[Stored]] = field(default_factory=dict)
    queue: list[str] = field(default_factory=list)
    invocations: list[Mapping[str, Any]] = field(default_factory=list)
    ends: list[GlueRun] = field(default_factory=list)
    glue_runs: list[GlueRun] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=lambda: [Snapshot({})])
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    bad: set[str] = field(default_factory=set)
    """Keys on which the first job fails, whatever it does."""
    doing: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        self.rows = memory_table()
        self.ledger = self.seen_by(Process())
        self.ledger.put_tenant(
            TenantEntry(
                tenant=TENANT,
                state="active",
                bucket=BUCKET,
                account=ACCOUNT,
                database=DATABASE,
                jobs=GLUE_NAMES,
            )
        )
        self.deploy()

    def deploy(self, *, files: tuple[str, ...] = ("raw/sales/**",), **rule: Any) -> None:
        rules = {"max_wait_s": 0, "max_files": 100, "max_bytes": 10**9} | rule
        self.ledger.put_dataset(
            DatasetEntry(tenant=TENANT, dataset="sales", files=files, plan=json.dumps(PLAN), **rules)
        )

    def seen_by(self, process: Process) -> Ledger:
        return self.kind("ledger", store=MemoryStore(self.rows, process), clock=self.clock)

    # -- the bucket ---------------------------------------------------------------------------------------------------

    def put(self, name: str, rows: int = 1) -> None:
        self.store(f"raw/sales/{name}" if "/" not in name else name, b"row\n" * rows)

    def store(self, key: str, body: bytes) -> Stored:
        number = next(self.numbers)
        stored = Stored(f"v{number}", body, hashlib.md5(body).hexdigest(), f"{number:016X}")
        self.objects.setdefault(key, []).append(stored)
        if key.startswith("raw/") or is_commit(key):
            self.queue.append(self._event(key, stored))
        return stored

    def newest(self, key: str) -> Stored | None:
        versions = self.objects.get(key)
        return versions[-1] if versions and versions[-1].body is not None else None

    def _event(self, key: str, stored: Stored) -> str:
        thing = {"key": key, "size": len(stored.body or b""), "etag": stored.etag, "version-id": stored.version}
        thing["sequencer"] = stored.sequencer
        detail = {"bucket": {"name": BUCKET}, "object": thing}
        moment = self.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.dumps({"id": stored.version, "detail-type": "Object Created", "time": moment, "detail": detail})

    # -- what processes do --------------------------------------------------------------------------------------------

    def register(self, process: Process, *, most: int = 10) -> None:
        """One invocation: what it does not report as failed leaves the queue when it has returned."""
        taken = self.queue[:most]
        records = [{"messageId": f"m{number}", "body": body} for number, body in enumerate(taken)]
        if not records:
            return
        registrar = Registrar(self.seen_by(process), Functions(self, process), "dispatch")
        failed = {one["itemIdentifier"] for one in registrar.register(records)["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in failed:
                self.queue.remove(record["body"])

    def dispatch(self, process: Process, event: Mapping[str, Any] | None = None) -> None:
        dispatcher = Dispatcher(
            self.seen_by(process), Glue(self, process), clock=self.clock, sleep=lambda _: None, side_by_side=1
        )
        dispatcher.handle(event or {})

    def work(self, process: Process) -> None:
        """The oldest run that Glue has not begun, to its end; how it ended is told by an event."""
        waiting = [run for run in self.glue_runs if run.state == "STARTING"]
        if not waiting:
            return
        run = waiting[0]
        run.state = "FAILED"  # unless it gets to its end
        self.ends.append(run)
        job = next(job for job, name in GLUE_NAMES.items() if name == run.name)
        options = {"--JOB_NAME": job, "--JOB_RUN_ID": run.id, "--tenant": TENANT, "--bucket": BUCKET}
        options |= {
            "--database": DATABASE,
            "--ledger": "ledger",
            "--account": ACCOUNT,
            "--code": "c1",
            "--run": run.run,
        }
        with self._as(process), contextlib.suppress(JobFailed):
            MODULES[job].main(["job.py", *itertools.chain.from_iterable(options.items())])
            run.state = "SUCCEEDED"

    @contextlib.contextmanager
    def _as(self, process: Process) -> Iterator[None]:
        before = getattr(self.doing, "process", None)
        self.doing.process = process
        try:
            yield
        finally:
            self.doing.process = before

    def told_end(self, process: Process) -> None:
        """Glue's event of the oldest end that was not told."""
        if self.ends:
            run = self.ends[0]
            detail = {"jobName": run.name, "jobRunId": run.id, "state": run.state, "message": "as it ended"}
            self.dispatch(process, {"detail-type": "Glue Job State Change", "detail": detail})
            self.ends.pop(0)

    # -- the end ------------------------------------------------------------------------------------------------------

    def drain(self, rounds: int = 40) -> None:
        """Time passes, nobody dies any more; ends are told only by heartbeats that stay away."""
        self.ends.clear()
        still = 0
        for _ in range(rounds):
            before = self._still()
            self.clock.move(minutes=20)
            self.dispatch(Process())
            while any(run.state == "STARTING" for run in self.glue_runs):
                self.work(Process())
            while self.queue:
                self.register(Process())
            still = still + 1 if self._still() == before else 0
            if still == STILL and not self.ledger.unfinished():
                return

    def _still(self) -> tuple[Any, ...]:
        states = [(file.key, file.state) for file in self.ledger.files(TENANT)]
        return len(self.glue_runs), len(self.queue), states

    def violations(self) -> list[str]:
        return [*self._twice(), *self._halves(), *self._unknown(), *self._left(), *self._astray()]

    def _rows(self) -> Counter[str]:
        return Counter(itertools.chain.from_iterable(self.snapshots[-1].batches.values()))

    def _twice(self) -> Iterator[str]:
        """Each input's rows are in the table exactly once."""
        rows = self._rows()
        for node, key in self._nodes().items():
            expected = 0 if key in self.bad or not key.startswith("raw/sales/") else 1
            if rows[node] != expected:
                yield f"{key}: rows {rows[node]} times in the table, expected {expected}"

    def _halves(self) -> Iterator[str]:
        """No snapshot holds a part of a batch: what it names lies under one commit object, whole."""
        for number, snapshot in enumerate(self.snapshots):
            for batch, nodes in snapshot.batches.items():
                stored = self.newest(key_of("sales", batch))
                if stored is None:
                    yield f"snapshot {number}: batch {batch} without a commit object"
                    continue
                sources = {source["id"] for source in json.loads(stored.body)["sources"]}
                elsewhere = {node for other, theirs in snapshot.batches.items() if other != batch for node in theirs}
                if nodes - sources or sources - nodes - elsewhere:  # a replay takes single files out
                    yield f"snapshot {number}: batch {batch} holds {sorted(nodes)} of {sorted(sources)}"

    def _nodes(self) -> dict[str, str]:
        return {
            table.node_id(key, stored.version): key
            for key, versions in self.objects.items()
            if key.startswith("raw/")
            for stored in versions
            if stored.body is not None
        }

    def _unknown(self) -> Iterator[str]:
        """Ledger equals bucket: every version under raw/ is listed once, and nothing else is."""
        listed = Counter((file.key, file.version) for file in self.ledger.files(TENANT))
        there = Counter((key, v.version) for key, vs in self.objects.items() if key.startswith("raw/") for v in vs)
        yield from (f"{key}@{version}: in the bucket, not in the ledger" for key, version in there - listed)
        yield from (f"{key}@{version}: in the ledger too often" for key, version in listed - there)

    def _left(self) -> Iterator[str]:
        """Nothing waits for ever, nothing stays open."""
        for file in self.ledger.files(TENANT):
            if str(file.state) not in self._expected(file):
                yield f"{file.key}: {file.state} ({file.reason})"
        yield from (f"run {run.run} of {run.job}: {run.state}, untidy" for run in self.ledger.unfinished())
        yield from (f"slot of {slot.run}" for slot in self.ledger.slots(TENANT))
        yield from (f"seat {key[1]}" for key in self.rows.items if key[0] == table.seats_pk(TENANT))
        yield from (f"message {body[:80]}" for body in self.queue)

    def _expected(self, file: FileState) -> set[str]:
        if file.dataset is None:
            return {"UNROUTED"}
        return {"QUARANTINED", "FAILED"} if file.key in self.bad else {"QUERYABLE"}

    def _astray(self) -> Iterator[str]:
        """What the ledger says of the table is what the table holds."""
        for file in self.ledger.files(TENANT):
            if str(file.state) == "QUERYABLE" and self._rows()[table.node_id(file.key, file.version)] != 1:
                yield f"{file.key}: QUERYABLE, and not in the table"


class JobFailed(Exception):
    """The first job on a file that is bad."""


def refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


# -- Spark's part -----------------------------------------------------------------------------------------------------


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[[Lake], Lake]:
    """Puts a lake under the jobs."""
    current: list[Lake] = []

    def client(kind: type[Any]) -> Callable[[], Any]:
        return lambda *_owner: kind(current[-1], current[-1].doing.process)

    monkeypatch.setattr(bucket_module, "client", client(S3))
    monkeypatch.setattr(catalog, "client", client(Glue))
    monkeypatch.setattr(plain_table, "client", client(Glue))
    monkeypatch.setattr(job_run, "Ledger", lambda _name: current[-1].seen_by(current[-1].doing.process))
    monkeypatch.setattr(raw_to_processed, "convert", lambda job, _spark: convert(current[-1], job))
    monkeypatch.setattr(processed_to_analytics, "merge", lambda job, _spark, commits: merge(current[-1], job, commits))
    monkeypatch.setattr(raw_to_processed, "datetime", Now(current))
    monkeypatch.setattr(processed_to_analytics, "ThreadPoolExecutor", OneByOne)
    for module in MODULES.values():
        monkeypatch.setattr(module, "session", lambda *_: contextlib.nullcontext())

    def put_under(lake: Lake) -> Lake:
        current.append(lake)
        return lake

    return put_under


class Now:
    """In the place of `datetime`: the lake's clock."""

    def __init__(self, lakes: Sequence["Lake"]) -> None:
        self.lakes = lakes

    def now(self, _zone: object) -> datetime:
        return self.lakes[-1].clock()


class OneByOne:
    """A pool whose work is done by the thread that asks for it: its calls are the actor's."""

    def __init__(self, *_: Any) -> None:
        self.map = map

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def convert(lake: Lake, job: Any) -> CommitObject:
    """A processed file of all sources' rows, named after the run."""
    if any(member.key in lake.bad for member in job.run.members):
        raise JobFailed(f"{job.run.run}: a file that nobody can read")
    sources = raw_to_processed.in_order(job.run.members)
    counts = {}
    for source in sources:
        with job.bucket.open(source.key, source.version).body as body:
            counts[source.index] = len(body.read().splitlines())
    key = f"processed/sales/year=2024/month=09/{job.run.run}-0-0.parquet"
    job.bucket.put(key, io.BytesIO(b"rows"), 4)
    part = {"kind": "processed", "key": key, "rows": sum(counts.values()), "bytes": 4, "year": "2024", "month": "09"}
    counted = [
        {"kind": "counted", "source": index, "rows": rows, "rejected": 0, "reason": None}
        for index, rows in counts.items()
    ]
    return raw_to_processed._commit_object(job, sources, [part, *counted])


def merge(lake: Lake, job: Any, commits: Sequence[CommitObject]) -> str | None:
    """One commit to the table of the batches that it does not hold, in the place of those that they replace."""
    glue = Glue(lake, lake.doing.process)
    base = glue.call("GetTable", lambda: lake.snapshots[-1])
    fresh = [commit for commit in commits if commit.batch not in base.batches]
    if not fresh:
        return f"s{lake.snapshots.index(base)}"
    return glue.call("UpdateTable", lambda: _swap(lake, base, fresh, job.run.run))


def _swap(lake: Lake, base: Snapshot, fresh: Sequence[CommitObject], run: str) -> str:
    now = lake.snapshots[-1]
    if any(commit.batch in now.batches for commit in fresh):
        raise JobFailed("conflicting files")  # Iceberg's validation, when another has added the same batch since
    batches = {batch: set(nodes) for batch, nodes in now.batches.items()}
    for commit in fresh:
        for source in commit.sources:
            for replaced in getattr(source, "replaces", ()):
                batches.get(replaced, set()).discard(source.id)
        batches[commit.batch] = {source.id for source in commit.sources}
    frozen = {batch: frozenset(nodes) for batch, nodes in batches.items()}
    lake.snapshots.append(replace(now, batches=frozen, brought=tuple(commit.batch for commit in fresh), run=run))
    return f"s{len(lake.snapshots) - 1}"
