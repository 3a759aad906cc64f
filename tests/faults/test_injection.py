import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from moto import mock_aws

from tests.faults.injection import Fault, Killed, Process, install, parse
from tests.lineage.conftest import _ambient  # noqa: F401 - a fixture

SITE = Path(__file__).parent / "site"
JOB = """
import boto3
from moto import mock_aws
with mock_aws():
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="lake")
    for number in range(3):
        s3.put_object(Bucket="lake", Key=str(number), Body=b"")
    print("done", flush=True)
"""


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="lake")
        yield client


def put(s3, key: str) -> None:
    s3.put_object(Bucket="lake", Key=key, Body=b"")


def keys(s3) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket="lake").get("Contents", [])]


def test_calls_are_counted_in_their_order(s3):
    with install() as process:
        put(s3, "a")
        keys(s3)

    assert process.calls == ["s3.PutObject", "s3.ListObjectsV2"]


@pytest.mark.parametrize(("plan", "left"), [("kill_before:2", ["a"]), ("kill_after:2", ["a", "b"])])
def test_who_is_killed_makes_no_further_call(s3, plan, left):
    with install(plan) as process:
        put(s3, "a")
        with pytest.raises(Killed):
            put(s3, "b")
        with pytest.raises(Killed):  # an `except BaseException` or a `finally` in the code under test changes nothing
            put(s3, "c")

    assert (keys(s3), process.dead) == (left, True)


def test_no_except_exception_catches_a_death(s3):
    with install("kill_before:1"), pytest.raises(Killed), contextlib.suppress(Exception):
        put(s3, "a")


def test_a_lost_answer_is_asked_for_again(s3):
    with install("lost:1") as process:
        put(s3, "a")

    assert process.calls == ["s3.PutObject"] * 2
    assert keys(s3) == ["a"]


def test_an_answer_lost_for_good_is_an_error_of_what_was_done(s3):
    with install("lost:1:99"), pytest.raises(ConnectionClosedError):
        put(s3, "a")

    assert keys(s3) == ["a"]


def test_a_busy_service_is_asked_again(s3):
    with install("throttle:1:2") as process:
        put(s3, "a")

    assert process.calls == ["s3.PutObject"] * 3
    assert keys(s3) == ["a"]


def test_a_refusal_carries_its_code_and_nothing_is_done(s3):
    with install("error:1:AccessDenied"), pytest.raises(ClientError, match="AccessDenied"):
        put(s3, "a")

    assert keys(s3) == []


def test_slow_is_only_slow(s3, monkeypatch):
    paused = []
    monkeypatch.setattr("tests.faults.injection.time.sleep", paused.append)
    with install("slow:1:7.5"):
        put(s3, "a")

    assert (paused, keys(s3)) == ([7.5], ["a"])


def test_faults_may_be_for_one_service_or_operation_and_be_several(s3):
    with install("error:1@s3.GetObject:Gone,kill_before:1@dynamodb,throttle:2@s3.PutObject") as process:
        put(s3, "a")
        put(s3, "b")
        with pytest.raises(ClientError, match="Gone"):
            s3.get_object(Bucket="lake", Key="a")
        with pytest.raises(Killed):
            boto3.client("dynamodb").list_tables()

    assert process.fired == ["throttle s3.PutObject", "error s3.GetObject", "kill_before dynamodb.ListTables"]


def test_afterwards_all_is_as_before(s3):
    with install("error:1:No"):
        pass

    put(s3, "a")


@pytest.mark.parametrize("text", ["kill:3", "kill_after:0", "kill_after", "error:3", "lost:x", "slow:1:soon"])
def test_a_plan_that_makes_no_sense_is_refused_by_name(text):
    with pytest.raises(ValueError, match=text):
        parse(text)


def test_a_plan_is_read_to_the_letter():
    assert parse("lost:3@s3:2, error:1@dynamodb.GetItem:Gone") == [
        Fault(kind="lost", number=3, target="s3", times=2),
        Fault(kind="error", number=1, target="dynamodb.GetItem", code="Gone"),
    ]


def test_only_who_makes_the_file_has_the_fault(tmp_path):
    once = tmp_path / "fired"
    for expected in (Killed, None):
        process = Process("kill_before:1", once=once)
        if expected:
            with pytest.raises(expected):
                process.around("s3", "PutObject", lambda: 1)
        else:
            assert process.around("s3", "PutObject", lambda: 1) == 1


def unmodified_job(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    job = tmp_path / "job.py"
    job.write_text(JOB)
    log = {"LAKE_FAULT_LOG": str(tmp_path / "calls")}
    return subprocess.run(
        [sys.executable, str(job)],
        env=os.environ | {"PYTHONPATH": str(SITE)} | log | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_any_program_dies_by_sigkill_where_its_environment_says(tmp_path):
    ended = unmodified_job(tmp_path, LAKE_FAULT="kill_after:3")

    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "")
    calls = [line.split()[1:] for line in (tmp_path / "calls").read_text().splitlines()]
    assert calls == [["1", "s3.CreateBucket"], ["2", "s3.PutObject"], ["3", "s3.PutObject"]]


def test_without_a_fault_the_program_is_only_written_down(tmp_path):
    ended = unmodified_job(tmp_path)

    assert (ended.returncode, ended.stdout) == (0, "done\n")
    assert len((tmp_path / "calls").read_text().splitlines()) == 4
