"""Settings of a local Spark session: what Glue's host would give a job, pointed at this local cloud."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HEAP = "1g"


@dataclass(frozen=True, kw_only=True)
class Place:
    """What Spark must know of the local cloud. Paths and URLs as text; `folder` is the worker's own."""

    folder: str
    endpoint: str
    glue_endpoint: str
    athena_endpoint: str
    region: str
    ca_bundle: str
    trust_store: str
    trust_store_password: str
    java_home: str
    jars: tuple[str, ...]
    class_archive: str | None = None
    class_list: str | None = None

    @property
    def scratch(self) -> str:
        return str(Path(self.folder, "tmp"))


def java_options(place: Place) -> str:
    """One JVM, small and quick to start, that trusts only this cloud's certificate.

    The first compiler alone takes a third less CPU until warm than both, and is as fast for jobs of seconds.
    """
    options = [
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Xss2m",
        "-XX:MinHeapFreeRatio=10",
        "-XX:MaxHeapFreeRatio=30",
        f"-Djavax.net.ssl.trustStore={place.trust_store}",
        f"-Djavax.net.ssl.trustStorePassword={place.trust_store_password}",
        "-Djavax.net.ssl.trustStoreType=PKCS12",
        f"-Djava.io.tmpdir={place.scratch}",
        f"-Dlog4j2.configurationFile=file:{place.folder}/log4j2.properties",
    ]
    if place.class_archive:
        options.append(f"-XX:SharedArchiveFile={place.class_archive}")
    elif place.class_list:
        options.append(f"-XX:DumpLoadedClassList={place.class_list}")
    return " ".join(options)


def settings(place: Place) -> dict[str, str]:
    """Every Spark setting of a worker; a job's own `--conf` is laid over those that a session may change."""
    return {**_host(place), **_s3(place), **_iceberg(place)}


def _host(place: Place) -> dict[str, str]:
    return {
        "spark.app.name": "glue",
        "spark.master": "local[2]",
        "spark.driver.extraClassPath": ":".join(place.jars),
        "spark.driver.memory": HEAP,
        "spark.driver.extraJavaOptions": java_options(place),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": f"{place.scratch}",
        "spark.sql.warehouse.dir": f"{place.folder}/warehouse",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.python.daemon.module": "local_cloud.python_daemon",
        "spark.python.worker.reuse": "true",
        # A session is made for every run: Spark must not keep what earlier ones did.
        "spark.sql.ui.retainedExecutions": "1",
        "spark.ui.retainedJobs": "1",
        "spark.ui.retainedStages": "1",
        "spark.ui.retainedTasks": "10",
    }


def _s3(place: Place) -> dict[str, str]:
    s3a = {
        "endpoint": place.endpoint,
        "endpoint.region": place.region,
        "path.style.access": "true",
        "connection.ssl.enabled": "true",
        "aws.credentials.provider": "com.amazonaws.auth.SystemPropertiesCredentialsProvider",
        "multipart.size": "8M",
        "fast.upload.buffer": "bytebuffer",
        "attempts.maximum": "3",
        "directory.marker.retention": "keep",
    }
    scheme = {"spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem"}
    return scheme | {f"spark.hadoop.fs.s3a.{name}": value for name, value in s3a.items()}


def _iceberg(place: Place) -> dict[str, str]:
    catalog = {
        "glue.endpoint": place.endpoint,
        "s3.endpoint": place.endpoint,
        "s3.path-style-access": "true",
        "client.region": place.region,
    }
    extensions = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
    return {"spark.sql.extensions": extensions} | {
        f"spark.sql.catalog.lake.{name}": value for name, value in catalog.items()
    }


def environment(place: Place, inherited: dict[str, str], project: str) -> dict[str, str]:
    """The environment of a worker process. It holds no credentials: these come with a run."""
    return {
        **inherited,
        "PYTHONPATH": project,
        "JAVA_HOME": place.java_home,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "TMPDIR": f"{place.scratch}",
        "AWS_ENDPOINT_URL": place.endpoint,
        "AWS_ENDPOINT_URL_GLUE": place.glue_endpoint,
        "AWS_ENDPOINT_URL_ATHENA": place.athena_endpoint,
        "AWS_REGION": place.region,
        "AWS_DEFAULT_REGION": place.region,
        "AWS_CA_BUNDLE": place.ca_bundle,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": f"{place.folder}/credentials",
    }


def parse_conf(argument: str) -> dict[str, str]:
    """Glue's `--conf` value, one string: `spark.a=1 --conf spark.b=2`."""
    pairs: Sequence[str] = [part.strip() for part in f" {argument}".split(" --conf ")]
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
logger.metrics.name = org.apache.hadoop.metrics2.impl.MetricsConfig
logger.metrics.level = error
logger.dirs.name = org.apache.spark.SparkConf
logger.dirs.level = error
logger.s3a.name = org.apache.hadoop.fs.s3a.S3AInstrumentation
logger.s3a.level = error
"""
