import json

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms

from cdk_app.events import Arrivals
from cdk_app.ingestion import ControlPlane
from ingestion.settings import Settings


@pytest.fixture
def plane(stack, site, tmp_path):
    archive = tmp_path / "functions.zip"
    archive.write_bytes(b"PK")
    key = kms.Key(stack, "Key")
    arrivals = Arrivals(stack, "Arrivals", site=site, key=key, visibility_timeout=cdk.Duration.minutes(6))
    return ControlPlane(stack, "ControlPlane", site=site, archive=archive, key=key, arrivals=arrivals)


def functions(stack, found):
    return {each["FunctionName"]: each for each in found(stack, "AWS::Lambda::Function")}


def rights(document):
    """Every action on every resource, with its condition."""
    return {
        (action, json.dumps(resource, sort_keys=True), json.dumps(statement.get("Condition"), sort_keys=True))
        for statement in document["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def listed(value):
    return value if isinstance(value, list) else [value]


def allowed(stack, found, role):
    (policy,) = [each for each in found(stack, "AWS::IAM::Policy") if role in str(each["Roles"])]
    return [
        (action, statement["Resource"], statement.get("Condition"))
        for statement in policy["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
    ]


def test_the_functions_are_those_of_the_ingestion_room(plane, stack, found):
    handlers = {name: function["Handler"] for name, function in functions(stack, found).items()}

    assert handlers == {
        "mycompany-prod-register": "ingestion.register.handler",
        "mycompany-prod-dispatch": "ingestion.dispatch.handler",
        "mycompany-prod-reconcile": "ingestion.reconcile.handler",
    }


def test_functions_read_their_settings_from_what_the_template_gives(plane, stack, found):
    for function in functions(stack, found).values():
        assert Settings.from_environment(function["Environment"]["Variables"]) == Settings(
            ledger="mycompany-prod-ledger",
            dispatch_function="mycompany-prod-dispatch",
            reconcile_function="mycompany-prod-reconcile",
            topic="arn:aws:sns:eu-central-1:777788889999:mycompany-prod-alerts",
            queue="https://sqs.eu-central-1.amazonaws.com/777788889999/mycompany-prod-arrivals",
            dead_letter_queue="https://sqs.eu-central-1.amazonaws.com/777788889999/mycompany-prod-arrivals-dead",
            environment="prod",
        )


def test_a_function_has_what_it_is_given_under_a_boundary_of_all_that_functions_are_given(plane, stack, found):
    (boundary,) = found(stack, "AWS::IAM::ManagedPolicy")
    given = [each["PolicyDocument"] for each in found(stack, "AWS::IAM::Policy")]
    bounded = [role["PermissionsBoundary"] for role in found(stack, "AWS::IAM::Role")]

    assert boundary["ManagedPolicyName"] == "mycompany-prod-boundary"
    assert bounded == [stack.resolve(plane.register.boundary.policy.managed_policy_arn)] * 3
    assert rights(boundary["PolicyDocument"]) == set.union(*map(rights, given))


def test_functions_log_into_groups_that_are_kept_for_a_time_and_encrypted(plane, stack, found):
    groups = found(stack, "AWS::Logs::LogGroup")

    assert {group["LogGroupName"] for group in groups} == {
        "/aws/lambda/mycompany-prod-register",
        "/aws/lambda/mycompany-prod-dispatch",
        "/aws/lambda/mycompany-prod-reconcile",
    }
    assert {group["RetentionInDays"] for group in groups} == {90}
    assert all("KmsKeyId" in group for group in groups)


def test_register_takes_messages_at_once_and_hands_back_only_what_failed(plane, stack, found):
    (mapping,) = found(stack, "AWS::Lambda::EventSourceMapping")

    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (10, 0)


def test_dispatch_is_called_every_minute_and_when_a_tenants_job_ends(plane, stack, found):
    rules = {each["Name"]: each for each in found(stack, "AWS::Events::Rule")}

    assert rules["mycompany-prod-dispatch-clock"]["ScheduleExpression"] == "rate(1 minute)"
    assert rules["mycompany-prod-dispatch-clock"]["Targets"][0]["Input"] == "{}"
    pattern = rules["mycompany-prod-dispatch-job-ends"]["EventPattern"]
    assert pattern["source"] == ["aws.glue"]
    assert pattern["detail-type"] == ["Glue Job State Change"]
    assert pattern["detail"]["jobName"] == [
        {"wildcard": "mycompany-*-prod-raw-to-processed"},
        {"wildcard": "mycompany-*-prod-processed-to-analytics"},
        {"wildcard": "mycompany-*-prod-maintain"},
    ]


def test_reconcile_looks_at_every_tenant_once_a_day_and_is_given_a_quarter_of_an_hour(plane, stack, found):
    rules = {each["Name"]: each for each in found(stack, "AWS::Events::Rule")}
    function = functions(stack, found)["mycompany-prod-reconcile"]
    (config,) = found(stack, "AWS::Lambda::EventInvokeConfig")

    assert rules["mycompany-prod-reconcile-daily"]["ScheduleExpression"] == "rate(1 day)"
    assert rules["mycompany-prod-reconcile-daily"]["Targets"][0]["Input"] == "{}"
    assert (function["Timeout"], function["MemorySize"]) == (900, 1024)
    assert config["MaximumRetryAttempts"] == 1


def test_only_reconcile_may_call_itself_as_often_as_its_bucket_is_large(plane, stack, found):
    loops = {name: function.get("RecursiveLoop") for name, function in functions(stack, found).items()}

    assert loops == {
        "mycompany-prod-register": None,
        "mycompany-prod-dispatch": None,
        "mycompany-prod-reconcile": "Allow",
    }


def test_only_those_three_rules_may_call_a_function(plane, stack, found):
    permissions = found(stack, "AWS::Lambda::Permission")

    assert len(permissions) == 3
    assert all(each["Principal"] == "events.amazonaws.com" and "SourceArn" in each for each in permissions)


def test_dispatch_starts_asks_and_stops_jobs_of_this_environment_only(plane, stack, found):
    rights = {
        action: resource for action, resource, _ in allowed(stack, found, "Dispatch") if action.startswith("glue:")
    }

    jobs = "arn:aws:glue:eu-central-1:777788889999:job"
    of_this_environment = [
        f"{jobs}/mycompany-*-prod-maintain",
        f"{jobs}/mycompany-*-prod-processed-to-analytics",
        f"{jobs}/mycompany-*-prod-raw-to-processed",
    ]
    assert rights == dict.fromkeys(["glue:BatchStopJobRun", "glue:GetJobRun", "glue:StartJobRun"], of_this_environment)


def test_no_function_may_pass_a_role_and_only_reconcile_knows_of_buckets(plane, stack, found):
    for role in ("Register", "Dispatch", "Reconcile"):
        actions = {action for action, _, _ in allowed(stack, found, role)}
        assert not {action for action in actions if action.startswith(("iam:", "sts:"))}
        assert role == "Reconcile" or not {action for action in actions if action.startswith("s3:")}


def test_reconcile_lists_every_lake_and_deletes_in_two_zones_and_reads_no_object(plane, stack, found):
    lakes = "arn:aws:s3:::mycompany-*-prod-datalake"
    rights = {
        action: resource
        for action, resource, _ in allowed(stack, found, "Reconcile")
        if not action.startswith(("dynamodb:", "kms:", "logs:", "sns:"))
    }

    function = "arn:aws:lambda:eu-central-1:777788889999:function:mycompany-prod"
    assert rights == {
        "s3:ListBucket": lakes,
        "s3:ListBucketVersions": lakes,
        "s3:DeleteObject": [f"{lakes}/processed/*", f"{lakes}/quarantine/*"],
        "lambda:InvokeFunction": [f"{function}-dispatch", f"{function}-reconcile"],
    }


def test_no_function_uses_another_key_than_the_platforms_nor_that_one_by_itself(plane, stack, found):
    for role in ("Register", "Dispatch", "Reconcile"):
        uses = [(r, c["StringEquals"]) for action, r, c in allowed(stack, found, role) if action.startswith("kms:")]
        assert {str(resource) for resource, _ in uses} == {"{'Fn::GetAtt': ['Key961B73FD', 'Arn']}"}
        services = {condition["kms:ViaService"].partition(".")[0] for _, condition in uses}
        assert services == {"dynamodb", "sns"} | ({"sqs"} if role == "Register" else set())


@pytest.mark.parametrize("role", ["Register", "Dispatch", "Reconcile"])
def test_what_was_seen_is_told_on_topics_of_this_environment_only(plane, stack, found, role):
    (topics,) = [resource for action, resource, _ in allowed(stack, found, role) if action == "sns:Publish"]

    account = "arn:aws:sns:eu-central-1:777788889999"
    assert topics == [f"{account}:mycompany-*-prod-alerts", f"{account}:mycompany-prod-alerts"]
    via = {str(condition) for action, _, condition in allowed(stack, found, role) if action == "kms:GenerateDataKey*"}
    assert "{'StringEquals': {'kms:ViaService': 'sns.eu-central-1.amazonaws.com'}}" in via


def test_dispatch_counts_dead_letters_and_takes_none(plane, stack, found):
    queues = {
        action: resource for action, resource, _ in allowed(stack, found, "Dispatch") if action.startswith("sqs:")
    }

    assert list(queues) == ["sqs:GetQueueAttributes"]
    assert "DeadLetters" in str(queues)


def test_the_control_plane_works_on_the_ledger_and_its_index_only(plane, stack, found):
    table = "arn:aws:dynamodb:eu-central-1:777788889999:table/mycompany-prod-ledger"

    for role in ("Register", "Dispatch", "Reconcile"):
        reached = {
            tuple(resource) for action, resource, _ in allowed(stack, found, role) if action.startswith("dynamodb:")
        }
        assert reached == {(table, f"{table}/index/open")}
