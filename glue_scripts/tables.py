"""Iceberg tables in analytics-ready: made from the plan, merged into by one commit per run.

A row keeps in `_batch` the batch of the first job that made it. Batches are the same on every attempt, so that a
repeated run replaces or finds its own rows and never adds them twice.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name everybody knows
from pyspark.sql.types import StructType

from glue_scripts.bucket import Bucket
from glue_scripts.commit_object import CommitObject
from glue_scripts.errors import TableUnfit
from glue_scripts.plan import Plan
from glue_scripts.transforms.newest import age_columns, newest
from glue_scripts.zones import stored_columns

CATALOG = "lake"
BATCH_PROPERTY, RUN_PROPERTY = "lake.batch", "lake.run"
PARTITION_TYPES = {"year": "int", "month": "string"}

_CATALOG_CONF = {
    "": "org.apache.iceberg.spark.SparkCatalog",
    ".type": "glue",
    ".io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
}

_PROPERTIES = {
    "format-version": "2",  # Athena reads no version 3
    "write.parquet.compression-codec": "zstd",
    "write.delete.mode": "copy-on-write",
    "write.update.mode": "copy-on-write",
    "write.merge.mode": "copy-on-write",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
}


def prepare(spark: SparkSession, bucket: Bucket, *, small: bool) -> None:
    """Names the catalog, unless the host has. A small batch is written as it lies, without a shuffle."""
    settings = {f"spark.sql.catalog.{CATALOG}{name}": value for name, value in _CATALOG_CONF.items()}
    settings[f"spark.sql.catalog.{CATALOG}.warehouse"] = f"s3://{bucket.name}/analytics-ready"
    if small:
        settings["spark.sql.iceberg.distribution-mode"] = "none"
    for name, value in settings.items():
        if spark.conf.get(name, None) is None:
            spark.conf.set(name, value)


@dataclass(frozen=True)
class Snapshot:
    """A commit to a table; `batches` are those whose rows it brought."""

    id: str
    run: str
    batches: frozenset[str]


class Table:
    """One dataset's table; made if it is not there."""

    def __init__(self, spark: SparkSession, bucket: Bucket, database: str, plan: Plan) -> None:
        self._spark = spark
        self._plan = plan
        self._location = f"s3://{bucket.name}/analytics-ready/{plan.dataset}"
        self._name = f"{CATALOG}.{database}.{plan.dataset}"
        self._table = self._load() or self._create()

    def snapshots_since(self, moment: datetime) -> Iterator[Snapshot]:
        """The commits of our jobs from `moment` on, newest first."""
        snapshot = self._table.currentSnapshot()
        while snapshot is not None and snapshot.timestampMillis() >= moment.timestamp() * 1000:
            summary = snapshot.summary()
            batches = frozenset((summary.get(BATCH_PROPERTY) or "").split(","))
            yield Snapshot(str(snapshot.snapshotId()), summary.get(RUN_PROPERTY) or "", batches)
            parent = snapshot.parentId()
            snapshot = self._table.snapshot(parent) if parent is not None else None

    def fit(self, contract: StructType) -> None:
        """Adds columns that the contract has gained. Raises TableUnfit where the two differ in a type."""
        there = {field.name: field.dataType.simpleString() for field in self._spark.table(self._name).schema}
        wanted = {field.name: field.dataType.simpleString() for field in contract}
        differing = [
            f"{name} is {there[name]} in the table and {kind} in the contract"
            for name, kind in wanted.items()
            if there.get(name, kind) != kind
        ]
        if differing:
            raise TableUnfit(f"{self._name}: {'; '.join(differing)}. Give the new type a column of its own.")
        added = ", ".join(f"`{name}` {kind}" for name, kind in wanted.items() if name not in there)
        if added:
            self._spark.sql(f"ALTER TABLE {self._sql_name} ADD COLUMNS ({added})")

    def write(self, rows: DataFrame, commits: Sequence[CommitObject], run: str) -> str | None:
        """Merges by key, or puts batches in the place of themselves; gives the id of the snapshot."""
        self.fit(rows.schema)
        with self._labelled(commits, run):
            if self._plan.primary_key:
                self._merge(newest(self._shaped(rows), self._plan.primary_key, self._plan.version_column))
            else:
                self._replace(self._shaped(rows), commits)
        self._table.refresh()
        current = self._table.currentSnapshot()
        return str(current.snapshotId()) if current is not None else None

    @property
    def _sql_name(self) -> str:
        return ".".join(f"`{part}`" for part in self._name.split("."))

    def _load(self) -> Any:
        loader = self._spark._jvm.org.apache.iceberg.spark.Spark3Util  # noqa: SLF001 - no other way in
        try:
            return loader.loadIcebergTable(self._spark._jsparkSession, self._name)  # noqa: SLF001
        except AnalysisException:  # no such table
            return None

    def _create(self) -> Any:
        comments = {column.name: column.description for column in self._plan.contract_columns}
        types = stored_columns(self._plan) | {"_batch": "string"} | PARTITION_TYPES
        columns = ", ".join(f"`{name}` {kind}{_comment(comments.get(name))}" for name, kind in types.items())
        properties = ", ".join(
            f"'{name}' = '{value}'" for name, value in (_PROPERTIES | {"write.data.path": self._location}).items()
        )
        self._spark.sql(
            f"CREATE TABLE IF NOT EXISTS {self._sql_name} ({columns}) USING iceberg "
            f"PARTITIONED BY ({', '.join(PARTITION_TYPES)}) LOCATION '{self._location}' TBLPROPERTIES ({properties})"
        )
        return self._load()

    def _shaped(self, rows: DataFrame) -> DataFrame:
        """The table's columns in its order; one that the contract has lost stays empty."""
        return rows.select(
            *(
                F.col(f"`{field.name}`")
                if field.name in rows.columns
                else F.lit(None).cast(field.dataType).alias(field.name)
                for field in self._spark.table(self._name).schema
            )
        )

    def _merge(self, rows: DataFrame) -> None:
        key = " AND ".join(f"old.`{name}` = new.`{name}`" for name in self._plan.primary_key)
        newer = self._newer()
        self._run_merge(rows, f"ON {key} WHEN MATCHED AND {newer} THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")

    def _newer(self) -> str:
        """Compared field by field; a row without a version is older than any with one.

        `_row` orders the rows of one batch only. Of two batches that arrived in the same second the later one to be
        merged is the later one.
        """
        names = [name for name in age_columns(self._plan.version_column) if name != "_row"]
        new, old = (f"struct({', '.join(f'{side}.`{name}`' for name in names)})" for side in ("new", "old"))
        return f"({new} > {old} OR ({new} <=> {old} AND (new._batch <> old._batch OR new._row > old._row)))"

    def _replace(self, rows: DataFrame, commits: Sequence[CommitObject]) -> None:
        """Deletes the batches' rows and adds them, in one commit, if nobody else has added any meanwhile."""
        batches = ", ".join(f"'{commit.batch}'" for commit in commits)
        # The time of arrival keeps the files of other batches out of the question.
        first, last = min(commit.arrived[0] for commit in commits), max(commit.arrived[1] for commit in commits)
        own = f"_batch IN ({batches}) AND _arrived_at BETWEEN TIMESTAMP '{first}' AND TIMESTAMP '{last}'"
        writer = rows.writeTo(self._sql_name).option("isolation-level", "serializable")
        current = self._table.currentSnapshot()
        if current is not None:
            writer = writer.option("validate-from-snapshot-id", str(current.snapshotId()))
        try:
            writer.overwrite(F.expr(own))
        except Exception as error:
            if "some, but not all, rows match" not in str(error):
                raise
            # Compaction has put other batches' rows into the same files: whole files cannot be replaced.
            self._run_merge(rows, "ON old._batch = new._batch AND old._row = new._row WHEN NOT MATCHED THEN INSERT *")

    def _run_merge(self, rows: DataFrame, clauses: str) -> None:
        view = f"batch_of_{self._plan.dataset}"
        rows.createOrReplaceTempView(view)
        try:
            self._spark.sql(f"MERGE INTO {self._sql_name} old USING {view} new {clauses}")
        finally:
            self._spark.catalog.dropTempView(view)

    @contextmanager
    def _labelled(self, commits: Sequence[CommitObject], run: str) -> Iterator[None]:
        """Commits made inside carry batch and run in their summary: SQL has no option for it as writers have."""
        labels = {BATCH_PROPERTY: ",".join(sorted(commit.batch for commit in commits)), RUN_PROPERTY: run}
        context = self._spark._jvm.org.apache.iceberg.EnvironmentContext  # noqa: SLF001
        for name, value in labels.items():
            context.put(name, value)
        try:
            yield
        finally:
            for name in labels:
                context.remove(name)


def _comment(text: str | None) -> str:
    if not text:
        return ""
    escaped = " ".join(text.split()).replace("\\", "\\\\").replace("'", "\\'")
    return f" COMMENT '{escaped}'"
