"""Each hole, made on purpose in a template that is otherwise as deployed, has to be found."""

import copy

import pytest

from cdk_app.guardrails import findings


def first(template, kind):
    return next(each["Properties"] for each in template["Resources"].values() if each["Type"] == kind)


def holes():
    def drop(kind, *path):
        def change(template):
            value = first(template, kind)
            for step in path[:-1]:
                value = value[step]
            del value[path[-1]]

        return change

    def put(kind, value, *path):
        def change(template):
            place = first(template, kind)
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value

        return change

    bucket, job = "AWS::S3::Bucket", "AWS::Glue::Job"
    workgroup = "AWS::Athena::WorkGroup"
    yield "an unencrypted bucket", drop(bucket, "BucketEncryption"), "not encrypted"
    yield "an open bucket", put(bucket, False, "PublicAccessBlockConfiguration", "BlockPublicPolicy"), "not on"
    yield "an unversioned bucket", drop(bucket, "VersioningConfiguration"), "not versioned"
    yield "access lists", drop(bucket, "OwnershipControls"), "access lists"
    yield "no tags", drop(bucket, "Tags"), "lacks tags"
    yield "a key for ever", put("AWS::KMS::Key", False, "EnableKeyRotation"), "not rotated"
    yield "logs for ever", drop("AWS::Logs::LogGroup", "RetentionInDays"), "no retention"
    yield "readable logs", drop("AWS::Logs::LogGroup", "KmsKeyId"), "KmsKeyId is missing"
    yield (
        "an optional workgroup",
        put(workgroup, False, "WorkGroupConfiguration", "EnforceWorkGroupConfiguration"),
        "override",
    )
    yield (
        "results for anybody",
        drop(workgroup, "WorkGroupConfiguration", "ResultConfiguration", "ExpectedBucketOwner"),
        "anybody's bucket",
    )
    yield "queries without limit", drop(workgroup, "WorkGroupConfiguration", "BytesScannedCutoffPerQuery"), "no limit"
    yield "shared logs", put(job, "/aws-glue/jobs", "DefaultArguments", "--custom-logGroup-prefix"), "share"
    yield "bookmarks", drop(job, "DefaultArguments", "--job-bookmark-option"), "bookmarks"
    yield "a retry by Glue", put(job, 1, "MaxRetries"), "behind the ledger's back"
    yield "an unbounded role", drop("AWS::IAM::Role", "PermissionsBoundary"), "no permissions boundary"
    yield "a wide managed policy", put("AWS::IAM::Role", ["AWSGlueServiceRole"], "ManagedPolicyArns"), "reaches further"
    yield "every action", put("AWS::IAM::Policy", "*", "PolicyDocument", "Statement", 0, "Action"), "every action"
    yield "every resource", put("AWS::IAM::Policy", "*", "PolicyDocument", "Statement", 0, "Resource"), "on everything"


@pytest.mark.parametrize(("hole", "finding"), [pytest.param(h, f, id=name) for name, h, f in holes()])
def test_a_hole_is_found(prod, hole, finding):
    template = copy.deepcopy(prod["mycompany-acme-prod-tenant"])
    hole(template)

    assert finding in "\n".join(findings("acme", template))


def test_a_policy_that_forgets_tls_is_found(prod):
    template = copy.deepcopy(prod["mycompany-acme-prod-tenant"])
    statements = first(template, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    statements[:] = [each for each in statements if each["Sid"] != "PlainText"]

    assert any("without TLS" in each for each in findings("acme", template))


def test_a_service_that_may_act_for_anybody_is_found(prod):
    template = copy.deepcopy(prod["mycompany-prod-platform"])
    for policy in template["Resources"].values():
        if policy["Type"] == "AWS::SQS::QueuePolicy":
            policy["Properties"]["PolicyDocument"]["Statement"][1].pop("Condition")

    assert any("act for anybody" in each for each in findings("platform", template))


def test_a_permission_without_a_source_is_found(prod):
    template = copy.deepcopy(prod["mycompany-prod-platform"])
    del first(template, "AWS::Lambda::Permission")["SourceArn"]

    assert any("may call it" in each for each in findings("platform", template))


def test_a_table_that_cannot_be_recovered_is_found(prod):
    template = copy.deepcopy(prod["mycompany-prod-platform"])
    del first(template, "AWS::DynamoDB::Table")["PointInTimeRecoverySpecification"]

    assert any("point-in-time" in each for each in findings("platform", template))


def test_a_type_that_nobody_thought_about_is_found():
    template = {"Resources": {"Cluster": {"Type": "AWS::Redshift::Cluster", "Properties": {}}}}

    assert findings("acme", template) == [
        "acme: Cluster (AWS::Redshift::Cluster): unregistered type: say in cdk_app.guardrails what must hold for it"
    ]
