import pytest
from aws_cdk import aws_kms as kms

from cdk_app.storage import CodeBucket, Lake


@pytest.fixture
def lake(stack, site):
    return Lake(
        stack,
        "Lake",
        site=site,
        name="mycompany-acme-prod-datalake",
        key=kms.Key(stack, "Key"),
        roles=["mycompany-acme-prod-job", "mycompany-acme-prod-analyst"],
        raw_days=90,
        processed_days=365,
        quarantine_days=30,
        old_version_days=30,
    )


def statements(policy):
    return {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}


def test_the_bucket_is_private_versioned_and_encrypted_with_the_tenants_key(lake, stack, found):
    (bucket,) = found(stack, "AWS::S3::Bucket")

    assert bucket["BucketName"] == "mycompany-acme-prod-datalake"
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == {"Fn::GetAtt": ["Key961B73FD", "Arn"]}


def test_its_events_go_to_eventbridge_without_a_function_of_cdk(lake, stack, found):
    (bucket,) = found(stack, "AWS::S3::Bucket")

    assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert found(stack, "AWS::Lambda::Function") == []


def test_each_zone_expires_after_its_own_days_and_tables_never(lake, stack, found):
    (bucket,) = found(stack, "AWS::S3::Bucket")

    days = {
        rule["Prefix"]: rule["ExpirationInDays"]
        for rule in bucket["LifecycleConfiguration"]["Rules"]
        if "ExpirationInDays" in rule
    }
    assert days == {"raw/": 90, "processed/": 365, "quarantine/": 30, "athena-results/": 7}


def test_old_versions_and_abandoned_uploads_go_everywhere(lake, stack, found):
    (bucket,) = found(stack, "AWS::S3::Bucket")

    (everywhere,) = [rule for rule in bucket["LifecycleConfiguration"]["Rules"] if "Prefix" not in rule]
    assert everywhere["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert everywhere["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}


def test_nobody_reaches_it_without_tls(lake, stack, found):
    (policy,) = found(stack, "AWS::S3::BucketPolicy")

    denial = statements(policy)["PlainText"]
    assert (denial["Effect"], denial["Action"], denial["Principal"]) == ("Deny", "s3:*", {"AWS": "*"})
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(denial["Resource"]) == 2
    assert statements(policy)["OldTls"]["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}


def test_roles_of_other_tenants_are_denied_whatever_they_are_given(lake, stack, found):
    (policy,) = found(stack, "AWS::S3::BucketPolicy")

    denial = statements(policy)["ForeignTenants"]
    roles = "arn:aws:iam::777788889999:role"
    assert denial["Action"] == "s3:*"
    assert denial["Condition"] == {
        "ArnLike": {"aws:PrincipalArn": [f"{roles}/mycompany-*-prod-job", f"{roles}/mycompany-*-prod-analyst"]},
        "ArnNotEquals": {
            "aws:PrincipalArn": [f"{roles}/mycompany-acme-prod-job", f"{roles}/mycompany-acme-prod-analyst"]
        },
    }


def test_an_object_under_another_key_is_refused(lake, stack, found):
    (policy,) = found(stack, "AWS::S3::BucketPolicy")

    denial = statements(policy)["OtherKeys"]
    header = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    assert denial["Action"] == "s3:PutObject"
    assert denial["Condition"] == {
        "Null": {header: "false"},
        "StringNotEquals": {header: {"Fn::GetAtt": ["Key961B73FD", "Arn"]}},
    }


def test_code_lies_in_a_bucket_of_the_platform_and_does_not_expire(stack, site, found):
    CodeBucket(stack, "Code", site=site, key=kms.Key(stack, "Key"))

    (bucket,) = found(stack, "AWS::S3::Bucket")
    assert bucket["BucketName"] == "mycompany-prod-platform-code"
    assert [rule["Id"] for rule in bucket["LifecycleConfiguration"]["Rules"]] == ["leftovers"]


ROLES = "arn:aws:iam::777788889999:role/mycompany-prod"


def test_functions_of_the_platform_reach_nothing_in_a_lake_whatever_they_are_given(lake, stack, found):
    (policy,) = found(stack, "AWS::S3::BucketPolicy")

    denial = statements(policy)["PlatformFunctions"]
    assert (denial["Effect"], denial["Action"]) == ("Deny", "s3:*")
    assert denial["Condition"] == {
        "ArnEquals": {"aws:PrincipalArn": [f"{ROLES}-register", f"{ROLES}-dispatch", f"{ROLES}-webhook"]}
    }


def test_reconcile_lists_a_lake_and_deletes_only_what_jobs_left_lying_about(lake, stack, found):
    (policy,) = found(stack, "AWS::S3::BucketPolicy")

    rest, staging = statements(policy)["Reconcile"], statements(policy)["Staging"]
    assert (rest["Effect"], staging["Effect"]) == ("Deny", "Deny")
    assert rest["NotAction"] == ["s3:ListBucket", "s3:ListBucketVersions", "s3:DeleteObject"]
    assert staging["Action"] == "s3:DeleteObject"
    assert [resource["Fn::Join"][1][-1] for resource in staging["NotResource"]] == ["/processed/*", "/quarantine/*"]
    for denial in (rest, staging):
        assert denial["Condition"] == {"ArnEquals": {"aws:PrincipalArn": [f"{ROLES}-reconcile"]}}
