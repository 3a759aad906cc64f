import json

import pytest

from local_cloud import parity

ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "glue.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"aws:SourceAccount": "000000000000"}},
                }
            ]
        }
    },
}


def template(**resources):
    return {"Resources": resources}


def policy(*statements):
    return {
        "Type": "AWS::IAM::Policy",
        "Properties": {"PolicyName": "p", "Roles": ["r"], "PolicyDocument": {"Statement": list(statements)}},
    }


def statements_of(adapted):
    return adapted["Resources"]["P"]["Properties"]["PolicyDocument"]["Statement"]


def test_refused_types_and_whatever_refers_to_them_are_taken_out():
    given = template(
        Flow={"Type": "AWS::Glue::Workflow", "Properties": {"Name": "w"}},
        Trigger={
            "Type": "AWS::Glue::Trigger",
            "DependsOn": ["Flow", "Other"],
            "Properties": {"WorkflowName": {"Ref": "Flow"}, "Type": "ON_DEMAND"},
        },
        Other={
            "Type": "AWS::SSM::Parameter",
            "DependsOn": "Flow",
            "Properties": {"Value": {"Fn::Sub": "x-${Flow}"}, "Name": "n"},
        },
    )
    given["Outputs"] = {"Flow": {"Value": {"Ref": "Flow"}}, "Kept": {"Value": "x"}}

    adapted, found = parity.adapt(given)

    assert adapted == {
        "Resources": {
            "Trigger": {"Type": "AWS::Glue::Trigger", "DependsOn": ["Other"], "Properties": {"Type": "ON_DEMAND"}},
            "Other": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "n"}},
        },
        "Outputs": {"Kept": {"Value": "x"}},
    }
    assert [difference.resource for difference in found] == ["AWS::Glue::Workflow"]


def test_the_given_template_stays_as_it_was():
    given = template(Q={"Type": "AWS::Athena::NamedQuery", "Properties": {}}, R=ROLE)
    before = json.dumps(given)

    parity.adapt(given)

    assert json.dumps(given) == before


def test_every_type_of_a_family_is_refused():
    adapted, _ = parity.adapt(template(T={"Type": "AWS::LakeFormation::Tag", "Properties": {}}))

    assert adapted["Resources"] == {}


def test_only_alarms_with_metric_math_are_taken_out():
    adapted, _ = parity.adapt(
        template(
            Plain={"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "Errors"}},
            Math={"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": []}},
        )
    )

    assert list(adapted["Resources"]) == ["Plain"]


def test_the_number_of_concurrent_runs_becomes_a_tag():
    job = {"Type": "AWS::Glue::Job", "Properties": {"Tags": {"a": "b"}, "ExecutionProperty": {"MaxConcurrentRuns": 3}}}

    adapted, _ = parity.adapt(template(J=job))

    assert adapted["Resources"]["J"]["Properties"]["Tags"] == {"a": "b", "lake:max-concurrent-runs": "3"}


def test_rows_are_allowed_without_the_condition_that_the_emulator_does_not_know():
    own_rows = {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["T#acme#*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
        "StringEquals": {"aws:PrincipalAccount": "000000000000"},
    }
    allow = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "t", "Condition": own_rows}
    deny = {"Effect": "Deny", "Action": "dynamodb:PutItem", "Resource": "t", "Condition": own_rows}

    adapted, _ = parity.adapt(template(P=policy(allow, deny)))

    assert statements_of(adapted) == [
        {
            "Effect": "Allow",
            "Action": "dynamodb:GetItem",
            "Resource": "t",
            "Condition": {"StringEquals": {"aws:PrincipalAccount": "000000000000"}},
        }
    ]


@pytest.mark.parametrize(
    ("tables", "database"),
    [
        ("arn:aws:glue:r:1:table/db/*", "arn:aws:glue:r:1:table/db"),
        (
            {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":glue:r:1:table/db/*"]]},
            {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":glue:r:1:table/db"]]},
        ),
        (
            {"Fn::Sub": "arn:${AWS::Partition}:glue:r:1:table/db/*"},
            {"Fn::Sub": "arn:${AWS::Partition}:glue:r:1:table/db"},
        ),
    ],
)
def test_a_database_is_also_allowed_under_the_name_that_the_emulator_checks(tables, database):
    adapted, _ = parity.adapt(
        template(P=policy({"Effect": "Allow", "Action": ["glue:GetDatabase"], "Resource": [tables]}))
    )

    assert statements_of(adapted)[0]["Resource"] == [tables, database]


def test_denials_and_other_services_are_not_widened():
    tables = "arn:aws:glue:r:1:table/db/*"
    deny = {"Effect": "Deny", "Action": "glue:DeleteTable", "Resource": [tables]}
    other = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": [tables]}

    adapted, found = parity.adapt(template(P=policy(deny, other)))

    assert (statements_of(adapted), found) == ([deny, other], [])


def test_a_service_may_take_a_role_without_saying_for_whom():
    adapted, _ = parity.adapt(template(R=ROLE))

    statement = adapted["Resources"]["R"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
    assert statement == {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}


def test_a_rule_for_the_end_of_jobs_hears_the_local_glue_too():
    rule = {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": ["aws.glue"]}}}

    adapted, _ = parity.adapt(template(E=rule))

    assert adapted["Resources"]["E"]["Properties"]["EventPattern"]["source"] == ["aws.glue", "local.glue"]


def every_difference_at_once():
    """A template that has each thing that is done differently, once."""
    properties = {
        "AWS::DynamoDB::Table": [
            "TimeToLiveSpecification",
            "PointInTimeRecoverySpecification",
            "SSESpecification",
            "TableClass",
        ],
        "AWS::Glue::Trigger": ["EventBatchingCondition"],
        "AWS::Lambda::Function": ["ReservedConcurrentExecutions", "RecursiveLoop", "DeadLetterConfig"],
        "AWS::S3::Bucket": ["BucketEncryption", "LifecycleConfiguration", "Tags", "LoggingConfiguration"],
        "AWS::SNS::Topic": ["KmsMasterKeyId"],
        "AWS::Scheduler::Schedule": ["ScheduleExpressionTimezone"],
        "AWS::StepFunctions::StateMachine": ["LoggingConfiguration", "TracingConfiguration"],
        "AWS::CloudWatch::Alarm": ["Metrics"],
    }
    resources = {
        f"R{n}": {"Type": kind, "Properties": dict.fromkeys(names, "")}
        for n, (kind, names) in enumerate(properties.items())
    }
    unheard = ("ExecutionClass", "JobMode", "JobRunQueuingEnabled", "MaintenanceWindow", "NotificationProperty")
    job: dict[str, object] = dict.fromkeys(unheard, "")
    rows = {"Effect": "Allow", "Action": "x", "Resource": "y", "Condition": {"Null": {"dynamodb:LeadingKeys": "false"}}}
    catalog = {"Effect": "Allow", "Action": "glue:GetTable", "Resource": "arn:aws:glue:r:1:table/db/*"}
    return template(
        **resources,
        Job={"Type": "AWS::Glue::Job", "Properties": {**job, "ExecutionProperty": {"MaxConcurrentRuns": 2}}},
        Role={"Type": "AWS::IAM::Role", "Properties": {**ROLE["Properties"], "PermissionsBoundary": "b"}},
        Rule={"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": ["aws.glue"]}}},
        P=policy(rows, catalog),
        **{
            kind.replace(":", "").replace("*", "Tag"): {"Type": kind.replace("*", "Tag"), "Properties": {}}
            for kind in parity.listing.REFUSED_TYPES
        },
    )


def test_what_adapt_does_and_what_is_listed_agree():
    _, found = parity.adapt(every_difference_at_once())

    listed = set(parity.differences())
    of_behaviour = set(parity.listing.BEHAVIOUR)
    assert set(found) == listed - of_behaviour


def test_the_list_says_for_each_difference_what_and_why():
    for difference in parity.differences():
        assert difference.locally, difference
        assert difference.reason, difference


def test_what_the_emulator_dropped_is_put_after_the_stack(account, name):
    given = template(
        Key={"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {"Version": "2012-10-17", "Statement": []}}},
        Bucket={
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": name,
                "Tags": [{"Key": "tenant", "Value": "acme"}],
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {
                            "BucketKeyEnabled": True,
                            "ServerSideEncryptionByDefault": {
                                "SSEAlgorithm": "aws:kms",
                                "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]},
                            },
                        }
                    ]
                },
                "LifecycleConfiguration": {
                    "Rules": [
                        {"Id": "raw", "Prefix": "raw/", "ExpirationInDays": 90, "Status": "Enabled"},
                        {"Id": "old", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}, "Status": "Enabled"},
                    ]
                },
            },
        },
        Boundary={
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}],
                }
            },
        },
        Role={
            "Type": "AWS::IAM::Role",
            "Properties": {
                **ROLE["Properties"],
                "RoleName": name,
                "PermissionsBoundary": {"Ref": "Boundary"},
                "Policies": [
                    {
                        "PolicyName": "all",
                        "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
                    }
                ],
            },
        },
    )
    adapted, _ = parity.adapt(given)
    account.client("cloudformation").create_stack(
        StackName=name, TemplateBody=json.dumps(adapted), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    account.client("cloudformation").get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )

    first = parity.complete(given, name, account.client)
    again = parity.complete(given, name, account.client)

    s3 = account.client("s3")
    encryption = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert encryption["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"].startswith("arn:aws:kms:us-east-1:000000")
    rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert [(rule["ID"], rule["Filter"]) for rule in rules] == [("raw", {"Prefix": "raw/"}), ("old", {"Prefix": ""})]
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "tenant", "Value": "acme"}]
    assert first == again == ["Bucket: encryption", "Bucket: lifecycle", "Bucket: tags", "Role: permissions boundary"]
    bounded = account.client("s3", account.assume(f"arn:aws:iam::000000000000:role/{name}"))
    bounded.list_objects_v2(Bucket=name)
    with pytest.raises(bounded.exceptions.ClientError, match="AccessDenied"):
        bounded.put_object(Bucket=name, Key="k", Body=b"")


def test_a_function_that_may_call_itself_again_and_again_may_do_so_here(account, name):
    logs = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    role = account.role(name, logs, service="lambda.amazonaws.com")
    code = {"ZipFile": "def handler(event, context): return event"}
    function = {"Runtime": "python3.13", "Handler": "index.handler", "Role": role, "Code": code}
    given = template(
        Loop={
            "Type": "AWS::Lambda::Function",
            "Properties": {**function, "FunctionName": name, "RecursiveLoop": "Allow"},
        }
    )
    adapted, _ = parity.adapt(given)
    account.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(adapted))
    account.client("cloudformation").get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )

    assert parity.complete(given, name, account.client) == ["Loop: recursion"]

    found = account.client("lambda").get_function_recursion_config(FunctionName=name)
    assert found["RecursiveLoop"] == "Allow"
