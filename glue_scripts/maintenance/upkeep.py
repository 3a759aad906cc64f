"""Task `maintain`: small files together, old snapshots away, orphans away; one dataset or all of a tenant."""

from datetime import UTC, datetime, timedelta

from pyspark.sql import SparkSession

from glue_scripts import plain_table
from glue_scripts.arguments import PROCESSED_TO_ANALYTICS
from glue_scripts.errors import ErrandRefused
from glue_scripts.job_run import one_line
from glue_scripts.maintenance.errand_run import ErrandRun, Result
from glue_scripts.maintenance.iceberg import IcebergTable
from glue_scripts.maintenance.orphans import orphans
from glue_scripts.plain_table import FORMAT as PLAIN
from lineage import commits
from lineage.history import claim_key
from lineage.items import Claim
from lineage.table import node_id
from lineage.values import ClaimState, moment

FILE_BYTES = 256 * 1024 * 1024
SMALL_FILES = 5
"""So many small files of a partition are worth writing as one."""

MANIFESTS = 50
KEPT_DAYS = 7
KEPT_SNAPSHOTS = 20
CLOCKS_DIFFER = timedelta(minutes=1)


def work(run: ErrandRun, spark: SparkSession) -> Result:
    """Raises ErrandRefused naming every dataset that failed, after the others were done."""
    asked = run.errand.arguments.get("dataset")
    datasets = [str(asked)] if asked else run.ledger.dataset_names(run.tenant)
    done: list[Result] = []
    failed: list[str] = []
    for dataset in datasets:
        try:
            with run.step("maintain", dataset=dataset):
                done.append({"dataset": dataset} | _maintain(run, spark, dataset))
        except Exception as error:  # one table keeps no other waiting
            run.log(dataset=dataset, failed=one_line(error))
            failed.append(f"{dataset}: {one_line(error)}")
    if failed:
        raise ErrandRefused(f"{len(failed)} of {len(datasets)} datasets: {'; '.join(failed)}")
    return {"datasets": done, "done": not run.dry}


def _maintain(run: ErrandRun, spark: SparkSession, dataset: str) -> Result:
    if run.plan(dataset).format == PLAIN:
        return _sweep(run, dataset)
    table = IcebergTable.open(run, spark, dataset)
    if table is None or table.table.currentSnapshot() is None:
        return {"note": "no rows yet"}
    before = _size(table)
    expiring = _expiring(run, table)
    snapshots = len(table.snapshots())
    if run.dry:
        left = orphans(run.bucket, table, datetime.now(UTC))
        compacted: Result = {"files_after": before["files"] - _spared(table)}
        expired = min(
            sum(s.timestampMillis() < expiring.timestamp() * 1000 for s in table.snapshots()),
            max(0, snapshots - run.number("keep_snapshots", KEPT_SNAPSHOTS)),
        )
    else:
        compacted = _compact(table)
        expired = _expire(run, table, expiring)
        left = orphans(run.bucket, table, datetime.now(UTC))
        run.bucket.delete([orphan.key for orphan in left])
    return {
        "files_before": before["files"],
        "bytes_before": before["bytes"],
        **compacted,
        "snapshots_before": snapshots,
        "snapshots_expired": expired,
        "orphans_removed": len(left),
        "orphan_bytes": sum(orphan.size for orphan in left),
    }


def _sweep(run: ErrandRun, dataset: str) -> Result:
    """Nothing can be compacted where rows cannot be replaced."""
    left = plain_table.outdated(run.bucket, run.ledger, run.tenant, dataset)
    if not run.dry:
        run.bucket.delete(left)
    return {"note": "format parquet is append-only: only outdated copies are removed", "outdated_removed": len(left)}


def _size(table: IcebergTable) -> dict[str, int]:
    (row,) = table.query("count(*), coalesce(sum(file_size_in_bytes), 0)", "files")
    return {"files": int(row[0]), "bytes": int(row[1])}


def _spared(table: IcebergTable) -> int:
    """Files that compaction would save, about."""
    small = table.query("partition, count(*) AS files, sum(file_size_in_bytes) AS bytes", "files", _SMALL)
    return sum(row["files"] - -(-row["bytes"] // FILE_BYTES) for row in small if row["files"] >= SMALL_FILES)


_SMALL = f"WHERE file_size_in_bytes < {FILE_BYTES * 3 // 4} GROUP BY partition"


def _compact(table: IcebergTable) -> Result:
    """Rows keep their `_batch` and `_row`; the commit's summary names no batch, so none seems to come from it."""
    options = f"map('target-file-size-bytes', '{FILE_BYTES}', 'min-input-files', '{SMALL_FILES}')"
    table.call("rewrite_data_files", strategy="'binpack'", options=options)
    (manifests,) = table.query("count(*)", "manifests")
    if manifests[0] > MANIFESTS:
        table.call("rewrite_manifests", use_caching="false")
    after = _size(table)
    return {"files_after": after["files"], "bytes_after": after["bytes"]}


def _expire(run: ErrandRun, table: IcebergTable, older_than: datetime) -> int:
    before = len(table.snapshots())
    table.call(
        "expire_snapshots",
        older_than=f"TIMESTAMP '{older_than.strftime('%Y-%m-%d %H:%M:%S.%f')}'",
        retain_last=str(run.number("keep_snapshots", KEPT_SNAPSHOTS)),
    )
    return before - len(table.snapshots())


def _expiring(run: ErrandRun, table: IcebergTable) -> datetime:
    """What is older may go: never what the second job still looks back to for a batch that it has not settled.

    Asked by the keys of the commit objects: the index of what waits is not for a tenant's jobs to read.
    """
    kept = datetime.now(UTC) - timedelta(days=run.number("keep_days", KEPT_DAYS))
    listed = run.bucket.listed(commits.folder(table.dataset))
    old = [found.key for found in listed if found.modified <= kept + CLOCKS_DIFFER]
    keys = {claim_key(run.tenant, node_id(key, None), PROCESSED_TO_ANALYTICS) for key in old}
    claims = run.ledger.store.batch_get(Claim, keys).values()
    arrivals = (moment(claim.arrived) for claim in claims if claim.st not in {ClaimState.DONE, ClaimState.DEAD})
    return min([kept, *(arrived - CLOCKS_DIFFER for arrived in arrivals)])
