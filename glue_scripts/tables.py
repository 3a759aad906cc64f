"""Iceberg tables in analytics-ready: made from the plan, merged into by one commit per run.

A row keeps in `_batch` the batch of the first job that made it. Batches are the same on every attempt, so that a
repeated run replaces or finds its own rows and never adds them twice.

Nothing is written but on top of the snapshot that was looked at: whoever slept since, while others committed, is
refused by Iceberg (`TableMoved`) and looks again. Between the look and the write a run makes sure that it still owns
its batch; so what a run wrote that woke too late is never part of the table.
"""

from collections.abc import Iterator, Mapping, Sequence
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
from glue_scripts.errors import TableMoved, TableUnfit
from glue_scripts.plan import Plan
from glue_scripts.reading.task import FILE_ROWS
from glue_scripts.replaced import Portion
from glue_scripts.transforms.newest import age_columns, newest
from glue_scripts.zones import stored_columns

CATALOG = "lake"
BATCH_PROPERTY, RUN_PROPERTY = "lake.batch", "lake.run"
PARTITION_TYPES = {"year": "int", "month": "string"}
LISTED = 200  # batches that a scan is told by name, so that it can pass files over

_CATALOG_CONF = {
    "": "org.apache.iceberg.spark.SparkCatalog",
    ".type": "glue",
    ".io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
    # What this process has read of a table stays until it asks again: a write stands on the snapshot of its look.
    ".cache-enabled": "true",
    ".cache.expiration-interval-ms": "-1",
}

SAME_ROW = "ON old._batch = new._batch AND old._row = new._row"

_REFUSED = ("exceptions.ValidationException", "exceptions.CommitFailedException", "CommitStateUnknownException")
"""What Iceberg says where others have committed meanwhile, or where it does not know whether it has."""

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


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a run brings: the batches' rows, and of which files' rows in earlier batches they take the place."""

    rows: DataFrame
    commits: Sequence[CommitObject]
    replaced: Sequence[Portion] = ()


class Table:
    """One dataset's table; made if it is not there, with the columns that the contract has gained."""

    def __init__(self, spark: SparkSession, bucket: Bucket, database: str, plan: Plan) -> None:
        self._spark = spark
        self._plan = plan
        self._location = f"s3://{bucket.name}/analytics-ready/{plan.dataset}"
        self._name = name_of(database, plan.dataset)
        self._table = load(spark, self._name) or self._create()
        self.fit()

    def look(self) -> None:
        """Reads anew where the table stands; what follows stands on that."""
        self._table.refresh()

    def snapshots_since(self, moment: datetime) -> Iterator[Snapshot]:
        """The commits of our jobs from `moment` on, newest first."""
        for snapshot in ancestry(self._table):
            if snapshot.timestampMillis() < moment.timestamp() * 1000:
                return
            yield Snapshot(str(snapshot.snapshotId()), snapshot.summary().get(RUN_PROPERTY) or "", batches_of(snapshot))

    def fit(self) -> None:
        """Adds columns that the contract has gained. Raises TableUnfit where the two differ in a type."""
        self.look()
        there = {field.name: field.dataType.simpleString() for field in self._spark.table(self._name).schema}
        wanted = {field.name: field.dataType.simpleString() for field in self._contract()}
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
            self.look()

    def write(self, change: Change, labels: Mapping[str, str]) -> str | None:
        """Merges by key, or puts batches in the place of themselves; gives the id of the snapshot.

        One commit, whose summary carries the batches and the labels. Raises TableMoved when others have committed
        since the last look.
        """
        batches = ",".join(sorted(commit.batch for commit in change.commits))
        with labelled(self._spark, {BATCH_PROPERTY: batches} | dict(labels)), _moves_told(self._name):
            if self._plan.primary_key:
                self._merge(change)
            elif change.replaced:
                self._exchange(change)
            else:
                self._replace(change)
        self.look()
        current = self._table.currentSnapshot()
        return str(current.snapshotId()) if current is not None else None

    def _contract(self) -> StructType:
        types = stored_columns(self._plan) | {"_batch": "string"} | PARTITION_TYPES
        return self._spark.createDataFrame([], ", ".join(f"`{name}` {kind}" for name, kind in types.items())).schema

    @property
    def _sql_name(self) -> str:
        return ".".join(f"`{part}`" for part in self._name.split("."))

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
        return load(self._spark, self._name)

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

    def _merge(self, change: Change) -> None:
        """By key: the newer row stays. A row that is replaced gives way to an older one too, and goes if none comes."""
        rows = newest(self._shaped(change.rows), self._plan.primary_key, self._plan.version_column)
        key = " AND ".join(f"old.`{name}` = new.`{name}`" for name in self._plan.primary_key)
        if not change.replaced:
            clauses = f"WHEN MATCHED AND {self._newer()} THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
            self._run_merge(rows, f"ON {key} {clauses}")
            return
        keys = list(self._plan.primary_key)
        taken = self._replaced(change.replaced).select(*(F.col(f"`{name}`") for name in keys))
        both = rows.withColumn("_comes", F.lit(True)).join(taken.withColumn("_goes", F.lit(True)), keys, "full_outer")
        self._run_merge(
            both.select(*(F.col(f"`{name}`") for name in rows.columns), "_comes", "_goes"),
            f"ON {key} WHEN MATCHED AND new._comes IS NULL THEN DELETE "
            f"WHEN MATCHED AND (new._goes OR {self._newer()}) THEN UPDATE SET * "
            "WHEN NOT MATCHED AND new._comes THEN INSERT *",
        )

    def _replaced(self, portions: Sequence[Portion]) -> DataFrame:
        """The table's rows that the portions name."""
        rows = self._spark.table(self._name)
        batches = sorted({portion.batch for portion in portions})
        if len(batches) <= LISTED:
            rows = rows.where(F.col("_batch").isin(batches))
        named = self._spark.createDataFrame(
            [(old.batch, old.place, old.key, old.arrived_at, old.sequencer) for old in portions],
            "_old_batch string, _old_place bigint, _old_key string, _old_arrival string, _old_sequencer string",
        )
        by_place = F.expr(f"_row DIV {FILE_ROWS} = _old_place")
        by_name = F.expr(
            "_old_place IS NULL AND _source_file = _old_key AND _arrived_at = CAST(_old_arrival AS timestamp) "
            # Rows that earlier code has written have none; the others' are padded.
            "AND (_sequencer IS NULL OR _sequencer = lpad(_old_sequencer, length(_sequencer), '0'))"
        )
        matches = (F.col("_batch") == F.col("_old_batch")) & (by_place | by_name)
        return rows.join(F.broadcast(named), matches, "left_semi")

    def _newer(self) -> str:
        """Compared field by field; a row without a version is older than any with one.

        `_row` orders the rows of one batch only; files of several batches that arrived in the same second are ordered
        by name and sequencer, as those of one batch are. What is equal in all of these is one version of a file, done
        again, or two whose events carried no sequencer: there the later one to be merged is the later one.
        """
        names = [name for name in age_columns(self._plan.version_column) if name != "_row"]
        new, old = (f"struct({', '.join(f'{side}.`{name}`' for name in names)})" for side in ("new", "old"))
        return f"({new} > {old} OR ({new} <=> {old} AND (new._batch <> old._batch OR new._row > old._row)))"

    def _exchange(self, change: Change) -> None:
        """Rows that are replaced go, the batches' rows come, if they are not there yet."""
        comes = self._shaped(change.rows).withColumn("_comes", F.lit(True))
        goes = self._replaced(change.replaced).select("_batch", "_row").withColumn("_comes", F.lit(False))
        self._run_merge(
            comes.unionByName(goes, allowMissingColumns=True),
            f"{SAME_ROW} WHEN MATCHED AND NOT new._comes THEN DELETE WHEN NOT MATCHED AND new._comes THEN INSERT *",
        )

    def _replace(self, change: Change) -> None:
        """Deletes the batches' rows and adds them, in one commit, if nobody else has added any meanwhile."""
        rows, commits = self._shaped(change.rows), change.commits
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
            self._run_merge(rows, f"{SAME_ROW} WHEN NOT MATCHED THEN INSERT *")

    def _run_merge(self, rows: DataFrame, clauses: str) -> None:
        view = f"batch_of_{self._plan.dataset}"
        rows.createOrReplaceTempView(view)
        try:
            self._spark.sql(f"MERGE INTO {self._sql_name} old USING {view} new {clauses}")
        finally:
            self._spark.catalog.dropTempView(view)


def name_of(database: str, dataset: str) -> str:
    return f"{CATALOG}.{database}.{dataset}"


def load(spark: SparkSession, name: str) -> Any:
    """Iceberg's own object of a table, or None where there is no such table."""
    loader = spark._jvm.org.apache.iceberg.spark.Spark3Util  # noqa: SLF001 - no other way in
    try:
        return loader.loadIcebergTable(spark._jsparkSession, name)  # noqa: SLF001 - no other way in
    except AnalysisException:  # no such table
        return None


def ancestry(table: Any) -> Iterator[Any]:
    """The current snapshot and those before it, newest first, as far back as they are kept."""
    snapshot = table.currentSnapshot()
    while snapshot is not None:
        yield snapshot
        parent = snapshot.parentId()
        snapshot = table.snapshot(parent) if parent is not None else None


def batches_of(snapshot: Any) -> frozenset[str]:
    """The batches that a snapshot brought; none where it was not made by the second job."""
    return frozenset(filter(None, (snapshot.summary().get(BATCH_PROPERTY) or "").split(",")))


@contextmanager
def labelled(spark: SparkSession, labels: Mapping[str, str]) -> Iterator[None]:
    """Commits made inside carry the labels in their summary: SQL has no option for it as writers have."""
    context = spark._jvm.org.apache.iceberg.EnvironmentContext  # noqa: SLF001 - no other way in
    for name, value in labels.items():
        context.put(name, value)
    try:
        yield
    finally:
        for name in labels:
            context.remove(name)


@contextmanager
def _moves_told(name: str) -> Iterator[None]:
    """Raises TableMoved where Iceberg has refused a commit because of others, or does not know what became of it."""
    try:
        yield
    except Exception as error:
        if any(kind in str(error) for kind in _REFUSED):
            raise TableMoved(f"{name}: others have committed since it was looked at; look again.") from error
        raise


def _comment(text: str | None) -> str:
    if not text:
        return ""
    # Spark fills in ${env:NAME} in every statement, also inside quotes.
    escaped = " ".join(text.split()).replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\u0024{")
    return f" COMMENT '{escaped}'"
