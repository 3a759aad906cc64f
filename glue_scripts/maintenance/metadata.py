"""Iceberg's metadata files of a dataset: which is the newest sound one, and the catalog pointed at it.

Each commit writes one and then moves the catalog's pointer. With the catalog lost or set back, the newest file is where
the table was, or what a writer was about to make it that died before it moved the pointer: either is whole.

A writer that is alive is told from a dead one by the ledger alone. Where that is lost, a run may be just about to move
the pointer to the newest file: when it finds the pointer moved it removes what it has written, and nothing can open the
table. The next rebuild moves the pointer back, and the run's batch waits again. So a rebuild after a loss is best begun
when Glue shows no run of the second job any more.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from glue_scripts import catalog, tables
from glue_scripts.arguments import PROCESSED_TO_ANALYTICS
from glue_scripts.bucket import Bucket, ObjectGone
from glue_scripts.maintenance.errand_run import ErrandRun

READERS = 16

RESTORED, FORWARDED, KEPT, NONE = "restored", "forwarded", "kept", "none"
"""What became of a table: entered in the catalog, moved forward there, left as it is, there is none."""


@dataclass(frozen=True)
class MetadataFile:
    """A metadata file that can be read; `earlier` are those of the commits before it."""

    location: str
    sequence: int
    updated: int
    current: str | None
    earlier: frozenset[str]


def newest(bucket: Bucket, dataset: str) -> MetadataFile | None:
    """The latest metadata file whose current snapshot can be read: of the most commits, then of the latest change.

    Time alone is that of the writers' clocks, and they differ.
    """
    folder = f"analytics-ready/{dataset}/metadata/"
    keys = [found.key for found in bucket.listed(folder) if found.key.endswith(".metadata.json")]
    with ThreadPoolExecutor(READERS) as pool:
        files = [file for file in pool.map(lambda key: _read(bucket, key), keys) if file]
    for file in sorted(files, key=lambda file: (file.sequence, file.updated, file.location), reverse=True):
        if _opens(bucket, file):
            return file
    return None


def point(run: ErrandRun, spark: SparkSession, dataset: str, file: MetadataFile) -> str:
    """Makes the catalog know the table; gives what became of it.

    One that stands on an earlier commit of the same table is moved to the newest, unless a run of the second job is at
    work on it: then what looks newest may be what that run is about to commit.
    """
    tables.prepare(spark, run.bucket, small=False)
    pointer = catalog.metadata_location(run.arguments, dataset)
    if pointer == file.location:
        return KEPT
    if pointer is None:
        if not run.dry:
            _register(run, spark, dataset, file)
        return RESTORED
    if _is_written(run, dataset):
        return KEPT
    if not _opens(run.bucket, _read(run.bucket, _key(run.bucket, pointer))):
        if not run.dry:
            catalog.point_at(run.arguments, dataset, old=pointer, new=file.location)
        return FORWARDED
    if pointer not in file.earlier:
        return KEPT
    if not run.dry:
        _move(run, spark, dataset, file)
    return FORWARDED


def _register(run: ErrandRun, spark: SparkSession, dataset: str, file: MetadataFile) -> None:
    name = tables.name_of(run.arguments.database, dataset).removeprefix(f"{tables.CATALOG}.")
    arguments = f"table => '{name}', metadata_file => '{file.location}'"
    spark.sql(f"CALL {tables.CATALOG}.system.register_table({arguments})")


def _move(run: ErrandRun, spark: SparkSession, dataset: str, file: MetadataFile) -> None:
    """A commit as any other: refused if somebody else commits meanwhile."""
    table = tables.load(spark, tables.name_of(run.arguments.database, dataset))
    table.refresh()
    operations = table.operations()
    parser = spark._jvm.org.apache.iceberg.TableMetadataParser  # noqa: SLF001 - no other way in
    operations.commit(operations.current(), parser.read(operations.io(), file.location))
    table.refresh()


def _is_written(run: ErrandRun, dataset: str) -> bool:
    return any(
        (other.job, other.dataset) == (PROCESSED_TO_ANALYTICS, dataset) and not other.stale
        for other in run.ledger.open_runs(run.tenant)
    )


def _read(bucket: Bucket, key: str) -> MetadataFile | None:
    try:
        with bucket.open(key).body as body:
            said = json.loads(body.read())
        snapshots = {snapshot["snapshot-id"]: snapshot for snapshot in said.get("snapshots", [])}
        current = _current(said, snapshots)
        return MetadataFile(
            location=f"s3://{bucket.name}/{key}",
            sequence=int(said["last-sequence-number"]),
            updated=int(said["last-updated-ms"]),
            current=current,
            earlier=frozenset(entry["metadata-file"] for entry in said.get("metadata-log", [])),
        )
    except (ObjectGone, KeyError, TypeError, ValueError):
        return None  # cut off, or something else


def _current(said: Mapping[str, Any], snapshots: Mapping[int, Mapping[str, Any]]) -> str | None:
    wanted = said.get("current-snapshot-id")
    return None if wanted in (None, -1) else str(snapshots[wanted]["manifest-list"])


def _opens(bucket: Bucket, file: MetadataFile | None) -> bool:
    """Whether the table could be read if it stood there."""
    if file is None or file.current is None:
        return file is not None
    try:
        bucket.open(_key(bucket, file.current)).body.close()
    except ObjectGone:
        return False
    return True


def _key(bucket: Bucket, location: str) -> str:
    return location.removeprefix(f"s3://{bucket.name}/")
