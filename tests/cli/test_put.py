import time

import boto3
import pytest
from moto import mock_aws

from cli.connection import Connection
from cli.exit_codes import ExitCode
from cli.keys import Address
from cli.put import Upload, upload
from tenants.registry import load

BUCKET = "mycompany-acme-dev-datalake"


@pytest.fixture
def connection(monkeypatch):
    """Environment dev of the committed registry, with acme's bucket in a pretended account."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        registry = load()
        made = Connection(registry, registry.environment("dev"))
        s3 = made.client("s3")
        region = made.environment.region
        s3.create_bucket(
            Bucket=BUCKET,
            **({} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}),
        )
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield made


@pytest.fixture
def drop(connection, tmp_path):
    def _drop(content, **options):
        path = tmp_path / "one.csv"
        path.write_bytes(content)
        [arrival] = upload(connection, [Upload("acme", Address(path, "raw/one.csv", "transactions"))], **options)
        return arrival

    return _drop


def versions():
    listed = boto3.client("s3").list_object_versions(Bucket=BUCKET)
    return [each["VersionId"] for each in listed.get("Versions", [])]


def test_a_file_is_put_and_its_version_known(drop):
    arrival = drop(b"a\n1\n")

    assert [arrival.version] == versions()
    assert (arrival.key, arrival.size, arrival.unchanged) == ("raw/one.csv", 4, False)


def test_the_same_bytes_are_not_put_again(drop, capsys):
    first = drop(b"a\n1\n")
    second = drop(b"a\n1\n")

    assert (second.version, second.unchanged) == (first.version, True)
    assert len(versions()) == 1
    assert "1 of 1 unchanged, not put again (--again does): raw/one.csv" in capsys.readouterr().err


def test_the_same_bytes_are_put_again_on_demand(drop):
    first = drop(b"a\n1\n")

    assert drop(b"a\n1\n", again=True).version != first.version
    assert len(versions()) == 2


def test_other_bytes_under_the_same_key_are_a_new_version(drop):
    drop(b"a\n1\n")

    assert not drop(b"a\n2\n").unchanged
    assert len(versions()) == 2


def test_a_file_of_several_parts_is_recognised_too(drop):
    content = b"0123456789abcdef" * (640 * 1024)

    drop(content)

    assert drop(content).unchanged


def test_an_undeployed_tenant_is_told_from_a_deployed_one(connection):
    assert connection.is_deployed("acme")
    assert not connection.is_deployed("skyline")


def test_who_waits_for_a_held_tenant_hears_of_it_at_once(dev, tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("a\n1\n")
    dev.lake("hold", "acme", "--reason", "audit")
    began = time.monotonic()

    answer = dev.lake("put", "acme", path, "--dataset", "transactions", "--wait", "--timeout", 200)

    assert answer.exit_code == ExitCode.FAILED
    assert "acme is held since" in answer.stderr
    assert "(audit)" in answer.stderr
    assert "`lake release acme -e dev` lets them go" in answer.stderr
    assert time.monotonic() - began < 100


def test_a_file_of_a_held_tenant_is_put_with_a_warning(dev, tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("a\n1\n")
    dev.lake("hold", "acme", "--reason", "audit")

    answer = dev.lake("put", "acme", path, "--dataset", "transactions")

    assert answer.exit_code == ExitCode.OK
    assert "warning: tenant acme is held since" in answer.stderr
