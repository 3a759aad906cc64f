"""A small workload on local disk that takes Spark through what most jobs do, so that runs find it compiled."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CATALOG = "warm"
ROUNDS = 2


def warm_up(spark: Any, folder: Path) -> None:
    """Read text, conform, check, write with pyarrow, merge into an Iceberg table: twice, each in a new session."""
    folder.mkdir(parents=True, exist_ok=True)
    _sources(folder)
    for number in range(ROUNDS):
        session = spark.newSession()
        processed = _process(session, folder, number)
        _publish(session, folder, processed)
    _load_s3_classes(spark)


def _sources(folder: Path) -> None:
    rows = [{"id": str(n), "at": f"2024-0{n % 9 + 1}-11 10:00:00", "amount": f"{n}.25"} for n in range(200)]
    lines = ["id,at,amount", *(",".join(row.values()) for row in rows), "x,not a date,y"]
    (folder / "in.csv").write_text("\n".join(lines))
    (folder / "in.json").write_text("\n".join(json.dumps(row) for row in rows))


def _process(spark: Any, folder: Path, number: int) -> str:
    from pyspark.sql import functions as f

    schema = "id string, at string, amount string"
    csv = spark.read.schema(schema).option("header", True).option("mode", "PERMISSIVE").csv(str(folder / "in.csv"))
    text = spark.read.text(str(folder / "in.json"))
    rows = csv.unionByName(text.select(f.from_json("value", schema).alias("r")).select("r.*"))
    rows = rows.withColumn("_file", f.input_file_name()).withColumn("_src", f.struct("id", "at", "amount"))
    conformed = rows.selectExpr(
        "try_cast(`id` AS bigint) AS id",
        "try_to_timestamp(`at`, 'yyyy-MM-dd HH:mm:ss') AS at",
        "try_cast(`amount` AS decimal(18,2)) AS amount",
        "_src",
        "_file",
        "monotonically_increasing_id() AS _row",
    )
    checked = conformed.selectExpr(
        "*",
        "filter(array(CASE WHEN id IS NULL THEN concat('id: ', _src.id) END), r -> r IS NOT NULL) AS reasons",
        "year(at) AS year",
        "date_format(at, 'MM') AS month",
        "to_json(_src) AS record",
    )
    out = folder / f"processed-{number}"
    out.mkdir(exist_ok=True)
    written = checked.select("id", "at", "amount", "_row", "year", "month", "reasons", "record")
    written.repartition(2, "year", "month").mapInArrow(_writer(str(out)), "path string, rows bigint").collect()
    checked.groupBy("year", "month").agg(f.count("*"), f.max("at")).orderBy("year").collect()
    return str(out)


def _writer(folder: str) -> Any:
    def write(batches: Iterator[Any]) -> Iterator[Any]:
        import uuid

        import pyarrow as pa
        import pyarrow.parquet as pq

        tables = [pa.Table.from_batches([batch]) for batch in batches]
        table = pa.concat_tables(tables) if tables else None
        if table is not None and table.num_rows:
            path = f"{folder}/{uuid.uuid4()}.parquet"
            pq.write_table(table.drop_columns(["reasons", "record"]), path, compression="zstd")
            yield pa.RecordBatch.from_pydict({"path": [path], "rows": [table.num_rows]})

    return write


def _publish(spark: Any, folder: Path, processed: str) -> None:
    for name, value in {"": "org.apache.iceberg.spark.SparkCatalog", ".type": "hadoop"}.items():
        spark.conf.set(f"spark.sql.catalog.{CATALOG}{name}", value)
    spark.conf.set(f"spark.sql.catalog.{CATALOG}.warehouse", str(folder / "warehouse"))
    table = f"{CATALOG}.db.rows"
    spark.sql(
        f"CREATE TABLE IF NOT EXISTS {table} "
        "(id bigint, at timestamp, amount decimal(18,2), _row bigint, year int, month string, _batch string) "
        "USING iceberg PARTITIONED BY (year, month) TBLPROPERTIES ('format-version'='2', "
        "'write.parquet.compression-codec'='zstd')"
    )
    rows = spark.read.parquet(processed).selectExpr("*", "'b' AS _batch").where("id IS NOT NULL")
    rows.writeTo(table).option("snapshot-property.lake.batch", "b").overwrite(_equals_batch())
    rows.createOrReplaceTempView("news")
    ranked = (
        "(SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY at DESC, _row DESC) AS n FROM news) "
        "WHERE n = 1)"
    )
    columns = ("id", "at", "amount", "_row", "year", "month", "_batch")
    assigned = ", ".join(f"t.{c} = s.{c}" for c in columns)
    spark.sql(
        f"MERGE INTO {table} t USING {ranked} s ON t.id = s.id "  # noqa: S608  literal names
        f"WHEN MATCHED AND s.at >= t.at THEN UPDATE SET {assigned} "
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(columns)}) VALUES ({', '.join(f's.{c}' for c in columns)})"
    )
    spark.sql(f"SELECT summary FROM {table}.snapshots").collect()  # noqa: S608  a literal name
    spark.table(table).groupBy("year").count().collect()


def _equals_batch() -> Any:
    from pyspark.sql import functions as f

    return f.col("_batch") == f.lit("b")


def _load_s3_classes(spark: Any) -> None:
    """Load, without a request, what the first access to S3 and to the Glue catalog would load."""
    jvm = spark._jvm  # noqa: SLF001  the only way to the JVM's classes
    for name in (
        "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "com.amazonaws.services.s3.AmazonS3Client",
        "org.apache.iceberg.aws.glue.GlueCatalog",
        "org.apache.iceberg.aws.s3.S3FileIO",
    ):
        jvm.java.lang.Class.forName(name, True, jvm.Thread.currentThread().getContextClassLoader())
