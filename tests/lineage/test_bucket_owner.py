import contextlib
import io

import boto3
import pytest
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from moto import mock_aws

from lineage.bucket_owner import insisting

ACCOUNT = "111122223333"
EXPECTED, OF_SOURCE = "x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"


@pytest.fixture
def sent():
    return []


@pytest.fixture
def s3(sent, monkeypatch):
    """A client that insists, of which `sent` holds the headers of each call."""
    for name, value in (("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="lake")

        def note(request, **_):
            sent.append({name: text(value) for name, value in request.headers.items()})

        made = insisting(client, ACCOUNT)
        made.meta.events.register("before-send.s3", note)
        yield made


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def attempt(call, **arguments):
    """Moto has one account, which is not the one expected here: what counts is what was sent."""
    with contextlib.suppress(ClientError):
        call(**arguments)


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get_object", {"Key": "k"}),
        ("put_object", {"Key": "k", "Body": b"x"}),
        ("delete_object", {"Key": "k"}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "k"}]}}),
        ("head_object", {"Key": "k"}),
        ("head_bucket", {}),
        ("list_objects_v2", {}),
        ("list_object_versions", {}),
        ("create_multipart_upload", {"Key": "k"}),
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}}),
    ],
)
def test_a_call_names_the_owner_that_it_expects(s3, sent, call, arguments):
    attempt(getattr(s3, call), Bucket="lake", **arguments)

    assert [headers.get(EXPECTED) for headers in sent] == [ACCOUNT]


def test_a_copy_names_the_owner_of_its_source_too(s3, sent):
    attempt(s3.copy_object, Bucket="lake", Key="b", CopySource={"Bucket": "lake", "Key": "a"})

    (headers,) = sent
    assert (headers[EXPECTED], headers[OF_SOURCE]) == (ACCOUNT, ACCOUNT)


def test_of_a_copy_into_somebody_elses_bucket_both_owners_are_expected(s3):
    other = insisting(boto3.client("s3", region_name="us-east-1"), "999999999999", source=ACCOUNT)
    seen = []
    other.meta.events.register("before-send.s3", lambda request, **_: seen.append(request.headers))

    attempt(other.copy_object, Bucket="theirs", Key="b", CopySource={"Bucket": "lake", "Key": "a"})

    (headers,) = [{name: text(value) for name, value in each.items()} for each in seen]
    assert (headers[EXPECTED], headers[OF_SOURCE]) == ("999999999999", ACCOUNT)


def test_whoever_calls_cannot_expect_somebody_else(s3, sent):
    attempt(s3.get_object, Bucket="lake", Key="k", ExpectedBucketOwner="999999999999")

    assert [headers[EXPECTED] for headers in sent] == [ACCOUNT]


def test_pages_and_every_part_of_a_transfer_name_it(s3, sent):
    pages = s3.get_paginator("list_objects_v2")
    attempt(lambda: list(pages.paginate(Bucket="lake")))
    small = TransferConfig(multipart_threshold=5 * 1024**2, multipart_chunksize=5 * 1024**2)
    body = io.BytesIO(b"x" * (6 * 1024**2))
    with contextlib.suppress(ClientError, S3UploadFailedError):
        s3.upload_fileobj(body, "lake", "k", Config=small)

    assert len(sent) >= 2
    assert {headers.get(EXPECTED) for headers in sent} == {ACCOUNT}


def test_what_takes_no_owner_is_called_as_ever(s3):
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["lake"]
