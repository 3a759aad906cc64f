"""A key at the end of its tenant: found by whatever still names it, kept, and scheduled once."""

import boto3
import pytest
from moto import mock_aws

from deployment.errors import DeployError
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


def a_key(kms, **tags):
    """Its id: moto takes no ARN where KMS does."""
    own = {"organization": "mycompany", "tenant": "acme", "environment": "dev"} | tags
    listed = [{"TagKey": name, "TagValue": value} for name, value in own.items() if value]
    return kms.create_key(Tags=listed)["KeyMetadata"]["KeyId"]


@pytest.fixture
def key(kms):
    return a_key(kms)


def client(service):
    made = boto3.client(service, region_name=REGION)
    return insisting(made, "123456789012") if service == "s3" else made


def described(kms, key):
    return kms.describe_key(KeyId=key)["KeyMetadata"]


def tenant_key():
    return TenantKey(client, NAMES)


def encrypt(bucket, key):
    client("s3").create_bucket(Bucket=bucket)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    client("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def test_it_is_found_in_the_stack_by_its_alias_or_by_what_the_bucket_is_encrypted_with(kms, monkeypatch):
    monkeypatch.setattr(TenantKey, "tagged", lambda _self: [])
    assert tenant_key().found([]) is None

    third = a_key(kms)
    encrypt(NAMES.bucket, third)
    assert tenant_key().found([]) == described(kms, third)["Arn"]

    second = a_key(kms)
    kms.create_alias(AliasName=NAMES.key_alias, TargetKeyId=second)
    assert tenant_key().found([]) == described(kms, second)["Arn"]

    first = a_key(kms)
    assert tenant_key().found([{"type": "AWS::KMS::Key", "name": first}]) == described(kms, first)["Arn"]


@pytest.mark.parametrize("tags", [{"tenant": "acme-eu"}, {"environment": "prod"}, {"tenant": None}])
def test_anothers_key_that_the_alias_or_the_bucket_names_is_not_taken_for_it(kms, tags):
    """Such as the platform's, whose deletion would be the end of everybody's ledger."""
    other = a_key(kms, **tags)
    encrypt(NAMES.bucket, other)
    kms.create_alias(AliasName=NAMES.key_alias, TargetKeyId=other)
    assert tenant_key().found([]) is None

    own = a_key(kms)
    assert tenant_key().found([]) == described(kms, own)["Arn"]
    assert tenant_key().tagged() == [described(kms, own)["Arn"]]


def test_anothers_key_is_never_scheduled(kms):
    other = a_key(kms, tenant=None)

    with pytest.raises(DeployError, match=f"key {other}: does not carry the tags of tenant acme"):
        tenant_key().schedule({"key": other})

    assert described(kms, other)["KeyState"] == "Enabled"


def test_one_that_goes_or_is_switched_off_is_got_back_and_any_other_left_alone(kms, key):
    tenant_key().keep({"key": key})
    tenant_key().keep({"key": None})
    assert described(kms, key)["KeyState"] == "Enabled"

    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    tenant_key().keep({"key": key})
    assert described(kms, key)["KeyState"] == "Enabled"

    kms.disable_key(KeyId=key)
    tenant_key().keep({"key": key})
    assert described(kms, key)["KeyState"] == "Enabled"


def test_it_is_scheduled_once_with_thirty_days(kms, key):
    first = tenant_key().schedule({"key": key})

    assert tenant_key().schedule({"key": key}) == first
    found = described(kms, key)
    assert found["KeyState"] == "PendingDeletion"
    assert first == {"key": key, "deletion_date": found["DeletionDate"].isoformat()}
    assert 29 <= (found["DeletionDate"] - found["CreationDate"]).days <= 30


def test_one_that_is_gone_or_that_nobody_found_is_no_error(kms):
    gone = f"arn:aws:kms:{REGION}:123456789012:key/00000000-0000-0000-0000-000000000000"

    assert tenant_key().schedule({"key": gone}) == {"key": gone, "deletion_date": None}
    assert tenant_key().schedule({"key": None}) == {"key": None, "deletion_date": None}
