"""A key at the end of its tenant: found by whatever still names it, kept, and scheduled once."""

import boto3
import pytest
from moto import mock_aws

from deployment.keys import TenantKey
from lineage.bucket_owner import insisting
from tenants.naming import TenantNames

NAMES = TenantNames("mycompany", "acme", "dev")
REGION = "us-east-1"


@pytest.fixture
def kms(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield boto3.client("kms", region_name=REGION)


@pytest.fixture
def key(kms):
    """Its id: moto takes no ARN where KMS does."""
    return kms.create_key()["KeyMetadata"]["KeyId"]


def s3():
    return insisting(boto3.client("s3", region_name=REGION), "123456789012")


def state(kms, key):
    return kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]


def found(kms, *resources):
    return TenantKey(kms).found(NAMES, lambda _service: s3(), resources)


def test_it_is_found_in_the_stack_by_its_alias_or_by_what_the_bucket_is_encrypted_with(kms, key):
    assert found(kms) is None

    s3().create_bucket(Bucket=NAMES.bucket)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3().put_bucket_encryption(Bucket=NAMES.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert found(kms) == kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"]

    other = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName=NAMES.key_alias, TargetKeyId=other)
    assert found(kms) == other

    stacked = kms.create_key()["KeyMetadata"]
    assert found(kms, {"type": "AWS::KMS::Key", "name": stacked["KeyId"]}) == stacked["Arn"]


def test_one_that_goes_or_is_switched_off_is_got_back_and_any_other_left_alone(kms, key):
    tenant_key = TenantKey(kms)
    tenant_key.keep({"key": key})
    tenant_key.keep({"key": None})
    assert state(kms, key) == "Enabled"

    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    tenant_key.keep({"key": key})
    assert state(kms, key) == "Enabled"

    kms.disable_key(KeyId=key)
    tenant_key.keep({"key": key})
    assert state(kms, key) == "Enabled"


def test_it_is_scheduled_once_with_thirty_days(kms, key):
    first = TenantKey(kms).schedule({"key": key})

    assert TenantKey(kms).schedule({"key": key}) == first
    described = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert described["KeyState"] == "PendingDeletion"
    assert first == {"key": key, "deletion_date": described["DeletionDate"].isoformat()}
    assert 29 <= (described["DeletionDate"] - described["CreationDate"]).days <= 30


def test_one_that_is_gone_or_that_nobody_found_is_no_error(kms):
    gone = f"arn:aws:kms:{REGION}:123456789012:key/00000000-0000-0000-0000-000000000000"

    assert TenantKey(kms).schedule({"key": gone}) == {"key": gone, "deletion_date": None}
    assert TenantKey(kms).schedule({"key": None}) == {"key": None, "deletion_date": None}
