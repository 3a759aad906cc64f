"""Task `rebuild`: the ledger written anew from S3 alone, after its table was lost or set back to an earlier state.

    metadata files      ─► the catalog's tables, where it does not know them or stands on an earlier commit
    commit objects      ─► the catalog's partitions of plain tables and of rejected rows
    snapshot summaries  ─► runs of the second job
    commit objects      ─► runs of the first job, with their files, outputs and edges

Commit objects that no snapshot names are waiting for the second job again, those that never counted are known as the
work of a fenced run. Files whose first run has left nothing in S3 are entered by reconcile, as if they came today.
Runs of the second job go first, then replays before what they replaced: so at no moment does something seem to wait
that was done. Safe to repeat, and safe on a ledger that knows some of it already.

A run of a ledger that was lost finds itself unknown at its next look, and leaves. Its work is not lost: a commit object
or a snapshot that it was quick enough to put is known by the next rebuild, or found by the run that merges its batch
again (`metadata` tells of the one moment in which a table suffers, until the next rebuild).
"""

import hashlib
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from glue_scripts import catalog, plain_table, processed_to_analytics, raw_to_processed, tables
from glue_scripts.arguments import PROCESSED_TO_ANALYTICS, RAW_TO_PROCESSED
from glue_scripts.errors import ErrandRefused
from glue_scripts.job_run import one_line
from glue_scripts.maintenance import metadata, redo_log
from glue_scripts.maintenance.errand_run import ErrandRun, Result, named
from glue_scripts.maintenance.iceberg import IcebergTable
from glue_scripts.maintenance.redo_log import Found
from glue_scripts.maintenance.rollback import ROLLED_OUT
from glue_scripts.plain_table import FORMAT as PLAIN
from glue_scripts.plain_table import copies
from lineage.errors import NotInLedger
from lineage.restoring import RestoredRun, Restoring
from lineage.values import CommitRecord, FileVersion, batch_of


@dataclass(frozen=True, kw_only=True)
class Merge:
    """A run of the second job as a snapshot's summary tells it."""

    run: str
    batches: frozenset[str]
    snapshot: str | None
    at: datetime
    started: datetime
    attempt: int = 1
    glue_run: str = ""
    code: str = ""
    contract: str = ""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What a dataset's table says: runs that brought batches, and batches that are in without a run being known."""

    merges: Sequence[Merge] = ()
    others: Collection[str] = ()

    @property
    def batches(self) -> set[str]:
        return set(self.others).union(*(merge.batches for merge in self.merges))


def work(run: ErrandRun, spark: SparkSession) -> Result:
    """Raises ErrandRefused naming every dataset that failed, after the others were done."""
    described: list[Result] = []
    failed: list[str] = []
    datasets = _datasets(run)
    for dataset in datasets:
        try:
            with run.step("rebuild", dataset=dataset):
                described.append({"dataset": dataset} | _rebuild(run, spark, dataset))
        except Exception as error:  # one dataset keeps no other waiting
            run.log(dataset=dataset, failed=one_line(error))
            failed.append(f"{dataset}: {one_line(error)}")
    if failed:
        raise ErrandRefused(f"{len(failed)} of {len(datasets)} datasets: {'; '.join(failed)}")
    names = ("runs", "files", "waiting", "not_counted")
    totals = {name: sum(int(str(one[name])) for one in described) for name in names}
    return {"datasets": described, **totals, "done": not run.dry}


def _datasets(run: ErrandRun) -> list[str]:
    """Those that are deployed, and those that have left something in the bucket."""
    return sorted({*run.ledger.dataset_names(run.tenant), *run.bucket.folders("processed/")})


def _rebuild(run: ErrandRun, spark: SparkSession, dataset: str) -> Result:
    found, unreadable = redo_log.read_sound(run.bucket, redo_log.keys(run.bucket, dataset))
    table, merged = _table(run, spark, dataset, found)
    counted, left = redo_log.counting(found, merged.batches)
    settled = redo_log.nothing_to_bring(counted, merged.batches) - merged.batches
    merged = replace(merged, others={*merged.others, *settled})
    restored = [
        *_second_runs(run.tenant, dataset, counted, merged),
        *_first_runs(run.tenant, dataset, counted, counts=True),
        *_first_runs(run.tenant, dataset, left, counts=False),
    ]
    waiting = [one for one in counted if one.commit.batch not in merged.batches]
    written = 0
    if not run.dry:
        restoring = Restoring(run.ledger)
        written = sum(restoring.run(one) for one in restored)
        for one in waiting:
            run.ledger.receive(_file(run.tenant, dataset, one), PROCESSED_TO_ANALYTICS)
        if _format(run, dataset):  # what is no longer deployed has no table of rejected rows
            catalog.register_partitions(run.arguments, *(one.commit for one in counted))
    return {
        "table": table,
        "runs": len(restored),
        "runs_written": written,
        "files": len({source.key for one in counted for source in one.commit.sources}),
        "waiting": len(waiting),
        "not_counted": len(left),
        "unreadable": named(unreadable),
    }


# -- what the table says -----------------------------------------------------------------------------------------


def _table(run: ErrandRun, spark: SparkSession, dataset: str, found: Sequence[Found]) -> tuple[str, Merged]:
    if _format(run, dataset) == PLAIN:
        return _plain(run, dataset, found)
    return _iceberg(run, spark, dataset, found)


def _iceberg(run: ErrandRun, spark: SparkSession, dataset: str, found: Sequence[Found]) -> tuple[str, Merged]:
    file = metadata.newest(run.bucket, dataset)
    if file is None:
        return metadata.NONE, Merged()
    became = metadata.point(run, spark, dataset, file)
    table = IcebergTable.open(run, spark, dataset)
    if table is None:
        return became, Merged()  # a rehearsal: the catalog does not know it yet
    merges = list(_merges(table.snapshots()))
    known = set().union(*(merge.batches for merge in merges))
    others = set(filter(None, table.properties().get(ROLLED_OUT, "").split(",")))
    if any(one.commit.batch not in known | others for one in found):
        # Their snapshots may have expired; rows tell as well.
        others |= {row[0] for row in table.query("DISTINCT _batch")}
    return became, Merged(merges=merges, others=others - known)


def _plain(run: ErrandRun, dataset: str, found: Sequence[Found]) -> tuple[str, Merged]:
    """Batches whose copies are all there; the catalog's entry as the second job would make it."""
    there = {listed.key for listed in run.bucket.listed(f"analytics-ready/{dataset}/")}
    published = [
        one.commit for one in found if one.commit.files and all(target in there for _, target in copies(one.commit))
    ]
    merged = Merged(others={commit.batch for commit in published})
    if not published:
        return metadata.NONE, merged
    is_known = catalog.is_there(run.arguments, dataset)
    if not run.dry:
        plain_table.enter(run.arguments, run.plan(dataset), published)
    return metadata.KEPT if is_known else metadata.RESTORED, merged


def _format(run: ErrandRun, dataset: str) -> str:
    try:
        return run.plan(dataset).format
    except NotInLedger:
        return ""  # no longer deployed


def _merges(snapshots: Iterable[Any]) -> Iterator[Merge]:
    """Oldest first, each batch with the run that brought it first."""
    known: set[str] = set()
    for snapshot in sorted(snapshots, key=lambda snapshot: snapshot.sequenceNumber()):
        summary = snapshot.summary()
        batches, run = tables.batches_of(snapshot) - known, summary.get(tables.RUN_PROPERTY)
        if not batches or not run:
            continue
        known |= batches
        at = datetime.fromtimestamp(snapshot.timestampMillis() / 1000, UTC)
        started = summary.get("lake.started")
        yield Merge(
            run=run,
            batches=batches,
            snapshot=str(snapshot.snapshotId()),
            at=at,
            started=min(at, datetime.fromisoformat(started)) if started else at,
            attempt=int(summary.get("lake.attempt") or 1),
            glue_run=summary.get("lake.glue-run") or "",
            code=summary.get("lake.code") or "",
            contract=summary.get("lake.contract") or "",
        )


# -- runs --------------------------------------------------------------------------------------------------------


def _second_runs(tenant: str, dataset: str, counted: Sequence[Found], merged: Merged) -> Iterator[RestoredRun]:
    by_batch = {one.commit.batch: one for one in counted}
    nameless = [_nameless(by_batch[batch]) for batch in merged.others if batch in by_batch]
    for merge in (*merged.merges, *nameless):
        found = [by_batch[batch] for batch in sorted(merge.batches) if batch in by_batch]
        if found:
            yield _second_run(tenant, dataset, merge, found)


def _nameless(found: Found) -> Merge:
    """A run in the place of one whose snapshot has expired; the same each time."""
    digest = hashlib.sha256(found.key.encode()).digest()
    value = int(found.put_at.timestamp() * 1000) << 80 | int.from_bytes(digest[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    run = str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))
    at = found.put_at
    return Merge(run=run, batches=frozenset({found.commit.batch}), snapshot=None, at=at, started=at)


def _second_run(tenant: str, dataset: str, merge: Merge, found: Sequence[Found]) -> RestoredRun:
    members = tuple(one.member() for one in found)
    commits = [one.commit for one in found]
    record = processed_to_analytics.record(
        dataset, members, commits, snapshot=merge.snapshot, code=merge.code, contract=merge.contract
    )
    return RestoredRun(
        tenant=tenant,
        job=PROCESSED_TO_ANALYTICS,
        dataset=dataset,
        run=merge.run,
        batch=batch_of(members, PROCESSED_TO_ANALYTICS, dataset),
        attempt=merge.attempt,
        glue_run=merge.glue_run or f"rebuilt-{merge.run}",
        started=merge.started,
        ended=merge.at,
        members=members,
        record=record,
    )


def _first_runs(tenant: str, dataset: str, found: Iterable[Found], *, counts: bool) -> Iterator[RestoredRun]:
    """Replays before what they replaced."""

    def epoch(one: Found) -> int:
        return max((source.epoch for source in one.commit.sources), default=0)

    for one in sorted(found, key=epoch, reverse=True):
        commit = one.commit
        record: CommitRecord = raw_to_processed.record(commit, one.version, commit.code)
        yield RestoredRun(
            tenant=tenant,
            job=RAW_TO_PROCESSED,
            dataset=dataset,
            run=commit.run,
            batch=commit.batch,
            attempt=commit.attempt,
            glue_run=commit.glue_run or f"rebuilt-{commit.run}",
            started=one.started,
            ended=one.ended,
            members=one.members(),
            record=record,
            counts=counts,
        )


def _file(tenant: str, dataset: str, found: Found) -> FileVersion:
    return FileVersion(
        tenant=tenant,
        dataset=dataset,
        key=found.key,
        version=found.version,
        size=found.size,
        etag=found.etag,
        arrived_at=found.put_at,
    )
