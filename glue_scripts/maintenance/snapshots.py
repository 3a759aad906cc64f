"""Task `snapshots`: the versions of a dataset's table, newest first, with the batches and the run that made each."""

from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from glue_scripts import tables
from glue_scripts.errors import ErrandRefused
from glue_scripts.maintenance.errand_run import ErrandRun, Result, named
from glue_scripts.maintenance.iceberg import IcebergTable


def work(run: ErrandRun, spark: SparkSession) -> Result:
    table = opened(run, spark, run.asked("dataset"))
    current = {snapshot.snapshotId() for snapshot in table.ancestry()}
    newest = table.table.currentSnapshot()
    described = [
        describe(snapshot)
        | {
            "current": newest is not None and snapshot.snapshotId() == newest.snapshotId(),
            "left_aside": snapshot.snapshotId() not in current,
        }
        for snapshot in reversed(table.snapshots())
    ]
    return {"dataset": table.dataset, "count": len(described), "snapshots": named(described)}


def opened(run: ErrandRun, spark: SparkSession, dataset: str) -> IcebergTable:
    """Raises ErrandRefused for a dataset without snapshots."""
    run.iceberg_plan(dataset)
    table = IcebergTable.open(run, spark, dataset)
    if table is None:
        raise ErrandRefused(f"{dataset}: no table yet; nothing has reached analytics-ready.")
    return table


def describe(snapshot: Any) -> Result:
    summary = snapshot.summary()
    return {
        "id": str(snapshot.snapshotId()),
        "at": datetime.fromtimestamp(snapshot.timestampMillis() / 1000, UTC).isoformat(),
        "operation": snapshot.operation(),
        "run": summary.get(tables.RUN_PROPERTY),
        "errand": summary.get("lake.errand"),
        "batches": sorted(tables.batches_of(snapshot)),
        "rows_added": count(summary, "added-records"),
        "rows_removed": count(summary, "deleted-records"),
        "rows": count(summary, "total-records"),
    }


def count(summary: Any, name: str) -> int:
    return int(summary.get(name) or 0)
