"""The zones as Spark sees them: the only place that knows the session, paths and parallelism."""

from collections.abc import Collection, Mapping, Sequence

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name everybody knows

from glue_scripts.bucket import Bucket
from glue_scripts.commit_object import CommitObject
from glue_scripts.plan import Plan
from glue_scripts.reading.source import Layout, Source
from glue_scripts.reading.task import FILE_ROWS, INTERNAL, ReadTask
from glue_scripts.writing import RESULT, WriteTask

MB = 1024 * 1024

TASK_BYTES = 32 * MB  # of unpacked content, up to two tasks per core; then tasks grow
LARGEST_TASK_BYTES = 128 * MB
FILE_BYTES = 64 * 1024  # what opening a file is worth in bytes of reading
UNPACKED = 5  # a packed byte holds about five
SPREAD_FROM = 256 * MB  # a file that one task reads and several should work on

SMALL_BATCH = 64 * MB  # of Parquet: one task, no shuffle

RECORD_TYPES = {"_source_file": "string", "_arrived_at": "timestamp", "_row": "bigint", "_sequencer": "string"}


def read_raw(spark: SparkSession, bucket: Bucket, sources: Sequence[Source], layout: Layout) -> DataFrame:
    """Rows of strings under `_src` beside the reader's columns; lazily, in the tasks of whatever uses them."""
    packets = in_packets(sources, spark.sparkContext.defaultParallelism)
    task = ReadTask(bucket, layout, packets)
    columns = ", ".join(f"`{name.replace('`', '``')}`: string" for name in layout.columns)
    numbers = spark.range(0, len(packets), 1, len(packets))
    rows = numbers.mapInArrow(task, f"{INTERNAL}, _src struct<{columns}>")
    if max(weight(source) for source in sources) > SPREAD_FROM:
        return rows.repartition(2 * spark.sparkContext.defaultParallelism)
    return rows


def in_packets(sources: Sequence[Source], cores: int) -> tuple[tuple[Source, ...], ...]:
    """Neighbours together, about the same weight each; a few small files are one task."""
    total = sum(weight(source) for source in sources)
    count = max(1, min(-(-total // TASK_BYTES), 2 * cores), -(-total // LARGEST_TASK_BYTES))
    packets: list[list[Source]] = [[]]
    taken = 0
    for source in sources:
        if packets[-1] and taken >= total * len(packets) / count:
            packets.append([])
        packets[-1].append(source)
        taken += weight(source)
    return tuple(tuple(packet) for packet in packets)


def weight(source: Source) -> int:
    return FILE_BYTES + source.size * (UNPACKED if source.key.lower().endswith(".gz") else 1)


def write_processed(rows: DataFrame, plan: Plan, task: WriteTask) -> list[Row]:
    """Good and rejected rows in one pass; gives what `writing.RESULT` says, a row per file and per source."""
    if plan.processed_format == "json":
        columns = [f"`{name}`" for name in stored_columns(plan)]
        rows = rows.withColumn("_json", F.to_json(F.struct(*columns)))
    together = rows.sortWithinPartitions(F.col("_reasons").isNotNull(), "_year", "_month", "_row")
    return together.mapInArrow(task, RESULT).collect()


def read_processed(spark: SparkSession, bucket: Bucket, plan: Plan, commits: Sequence[CommitObject]) -> DataFrame:
    """The rows that commit objects name, each under `_batch`, in tasks that hold rows of one batch only."""
    frames = [_read_batch(spark, bucket, plan, commit) for commit in commits if commit.files]
    return _union(frames) if frames else spark.createDataFrame([], f"{_stored(plan)}, _batch string")


def _read_batch(spark: SparkSession, bucket: Bucket, plan: Plan, commit: CommitObject) -> DataFrame:
    folder = f"s3://{bucket.name}/processed/{plan.dataset}"
    paths = [f"s3://{bucket.name}/{file.key}" for file in commit.files]
    reader = spark.read.schema(_stored(plan)).option("basePath", folder)
    # Our writer is Arrow, whose dates before 1582 are what they say; Spark's own older files are what it fears.
    reader = reader.option("datetimeRebaseMode", "CORRECTED").option("int96RebaseMode", "CORRECTED")
    rows = reader.json(paths) if plan.processed_format == "json" else reader.parquet(*paths)
    if sum(file.bytes for file in commit.files) < SMALL_BATCH:
        rows = rows.coalesce(1)
    return rows.withColumn("_batch", F.lit(commit.batch))


def without(rows: DataFrame, places: Mapping[str, Collection[int]]) -> DataFrame:
    """The rows but for those of the files at these places, by batch."""
    for batch, numbers in places.items():
        of_these = F.expr(f"_row DIV {FILE_ROWS}").isin(sorted(numbers))
        rows = rows.where(~((F.col("_batch") == batch) & of_these))
    return rows


def _stored(plan: Plan) -> str:
    columns = [f"`{name}` {kind}" for name, kind in stored_columns(plan).items()]
    return ", ".join([*columns, "year int", "month string"])


def stored_columns(plan: Plan) -> dict[str, str]:
    """Name and type of what a processed file holds."""
    return {column.name: column.type for column in plan.contract_columns} | RECORD_TYPES


def _union(frames: Sequence[DataFrame]) -> DataFrame:
    together = frames[0]
    for frame in frames[1:]:
        together = together.union(frame)
    return together


def is_small(commits: Sequence[CommitObject]) -> bool:
    """Whether a shuffle would cost more than it could bring."""
    return sum(file.bytes for commit in commits for file in commit.files) < SMALL_BATCH
