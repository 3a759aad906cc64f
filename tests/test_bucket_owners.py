"""Who makes a client of S3, and that the watch over all tests sees what it shall see."""

import ast
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from lineage.bucket_owner import insisting
from tests.bucket_owners import PROJECT, Watch

# What `cli.connection.Connection` gives.
OF_CONNECTION = {"connection.client('s3')", "self.connection.client('s3')", "self.client('s3')"}
ROOMS = ("cdk_app", "cli", "demo", "deployment", "glue_scripts", "ingestion", "lineage")


def clients_of_s3(source: str) -> list[str]:
    """The calls that make one and hand it to nobody who insists."""
    tree = ast.parse(source)
    handed_on = {
        id(argument)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "insisting"
        for argument in call.args
    }
    return [
        ast.unparse(call)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"client", "resource"}
        and any(isinstance(each, ast.Constant) and each.value == "s3" for each in call.args)
        and id(call) not in handed_on
    ]


def test_every_client_of_s3_insists_or_is_the_connections():
    """Spark's workers are other processes, which the watch does not see: they take the jobs' one client."""
    found = {
        str(file.relative_to(PROJECT)): careless
        for room in ROOMS
        for file in (PROJECT / room).rglob("*.py")
        if (careless := [call for call in clients_of_s3(file.read_text()) if call not in OF_CONNECTION])
    }

    assert found == {}


def test_a_client_that_nobody_made_insist_is_seen():
    assert clients_of_s3("s3 = boto3.session.Session().client('s3', config=c)") == [
        "boto3.session.Session().client('s3', config=c)"
    ]
    assert clients_of_s3("s3 = insisting(boto3.client('s3'), account)") == []


@pytest.fixture
def call_from(monkeypatch):
    """Lists a bucket with the client given, from a file of the room named."""
    for name, value in (("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="lake")

        def call(room, made=s3):
            code = compile("made.list_objects_v2(Bucket='lake')", str(Path(PROJECT, room, "some.py")), "exec")
            exec(code, {"made": made})

        call.s3 = s3
        yield call


def test_the_watch_sees_a_call_of_a_room_that_expects_nobody(call_from):
    with Watch() as watch:
        call_from("ingestion")

    (careless,) = watch.careless
    assert careless.startswith("ingestion: ListObjectsV2 without x-amz-expected-bucket-owner")


def test_the_watch_is_content_with_a_client_that_insists_and_with_what_tests_do_themselves(call_from):
    with Watch() as watch:
        call_from("tests")
        call_from("cli", insisting(call_from.s3, "123456789012"))

    assert (watch.careless, watch.careful) == ([], 1)
