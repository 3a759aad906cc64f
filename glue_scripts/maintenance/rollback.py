"""Task `rollback`: a dataset's table as it was at an earlier snapshot; says which batches are thereby out.

The ledger does not change: the files have been processed. What is out comes back by a replay of its files.
"""

from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession

from glue_scripts import tables
from glue_scripts.errors import ErrandRefused
from glue_scripts.maintenance.errand_run import ErrandRun, Result, named
from glue_scripts.maintenance.iceberg import IcebergTable
from glue_scripts.maintenance.redo_log import read_all
from glue_scripts.maintenance.snapshots import count, opened
from lineage.commits import key_of

ROLLED_OUT = "lake.rolled-out"
"""Batches that rollbacks took out: for a ledger written anew they are done, though one day no snapshot names them."""


def work(run: ErrandRun, spark: SparkSession) -> Result:
    table = opened(run, spark, run.asked("dataset"))
    target = _target(table, run.asked("snapshot"))
    newest = table.table.currentSnapshot()
    out = _above(table, target)
    if not run.dry and out:
        with run.step("roll back", dataset=table.dataset, snapshot=str(target.snapshotId())):
            _note(table, _batches(out))
            table.call("rollback_to_snapshot", snapshot_id=str(target.snapshotId()))
        newest, out = _really_out(table, target, newest)
    batches = _batches(out)
    files, back = _files(run, table.dataset, batches)
    return {
        "dataset": table.dataset,
        "from": str(newest.snapshotId()),
        "to": str(target.snapshotId()),
        "batches": len(batches),
        "batches_out": named(batches),
        "batches_back": named(back),
        "files": len(files),
        "files_out": named(files),
        "rows_before": count(newest.summary(), "total-records"),
        "rows_after": count(target.summary(), "total-records"),
        "done": not run.dry,
    }


def _target(table: IcebergTable, wanted: str) -> Any:
    known = [str(snapshot.snapshotId()) for snapshot in table.ancestry()]
    if wanted not in known:
        raise ErrandRefused(
            f"{table.dataset}: no snapshot {wanted} on the way to the current one; there are {', '.join(known[:5])}"
            f"{' and more' if len(known) > 5 else ''}."
        )
    return table.table.snapshot(int(wanted))


def _above(table: IcebergTable, target: Any, newest: Any = None) -> list[Any]:
    """The snapshots after the target, up to the newest, newest first."""
    found, snapshot = [], newest or table.table.currentSnapshot()
    while snapshot is not None and snapshot.snapshotId() != target.snapshotId():
        found.append(snapshot)
        parent = snapshot.parentId()
        snapshot = table.table.snapshot(parent) if parent is not None else None
    return found


def _note(table: IcebergTable, batches: Sequence[str]) -> None:
    before = filter(None, table.properties().get(ROLLED_OUT, "").split(","))
    table.set_property(ROLLED_OUT, ",".join(sorted({*before, *batches})))


def _really_out(table: IcebergTable, target: Any, newest: Any) -> tuple[Any, list[Any]]:
    """With what a run may have committed between our look and the rollback; what came after the rollback stands."""
    was_current = [entry.snapshotId() for entry in table.table.history()]
    while was_current.pop() != target.snapshotId():
        pass  # of a run that was quicker than this look
    newest = table.table.snapshot(was_current[-1]) or newest
    out = _above(table, target, newest)
    _note(table, _batches(out))
    return newest, out


def _batches(snapshots: Sequence[Any]) -> list[str]:
    """In the order in which they came."""
    return [batch for snapshot in reversed(snapshots) for batch in sorted(tables.batches_of(snapshot))]


def _files(run: ErrandRun, dataset: str, batches: Sequence[str]) -> tuple[list[str], list[str]]:
    """The raw files of the batches, and the batches of earlier epochs whose rows come back with them gone."""
    commits = [found.commit for found in read_all(run.bucket, [key_of(dataset, batch) for batch in batches])]
    files = {source.key for commit in commits for source in commit.sources}
    back = {old for commit in commits for source in commit.sources for old in source.replaces}
    return sorted(files), sorted(back - set(batches))
