import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs

from cdk_app.ingestion import ControlPlane
from ingestion.settings import Settings


@pytest.fixture
def plane(stack, site, tmp_path):
    archive = tmp_path / "functions.zip"
    archive.write_bytes(b"PK")
    return ControlPlane(
        stack,
        "ControlPlane",
        site=site,
        archive=archive,
        key=kms.Key(stack, "Key"),
        queue=sqs.Queue(stack, "Queue"),
    )


def functions(stack, found):
    return {each["FunctionName"]: each for each in found(stack, "AWS::Lambda::Function")}


def allowed(stack, found, role):
    (policy,) = [each for each in found(stack, "AWS::IAM::Policy") if role in str(each["Roles"])]
    return [
        (action, statement["Resource"], statement.get("Condition"))
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]


def test_the_functions_are_those_of_the_ingestion_room(plane, stack, found):
    handlers = {name: function["Handler"] for name, function in functions(stack, found).items()}

    assert handlers == {
        "mycompany-prod-register": "ingestion.register.handler",
        "mycompany-prod-dispatch": "ingestion.dispatch.handler",
    }


def test_functions_read_their_settings_from_what_the_template_gives(plane, stack, found):
    for function in functions(stack, found).values():
        assert Settings.from_environment(function["Environment"]["Variables"]) == Settings(
            ledger="mycompany-prod-ledger", dispatch_function="mycompany-prod-dispatch"
        )


def test_functions_log_into_groups_that_are_kept_for_a_time_and_encrypted(plane, stack, found):
    groups = found(stack, "AWS::Logs::LogGroup")

    assert {group["LogGroupName"] for group in groups} == {
        "/aws/lambda/mycompany-prod-register",
        "/aws/lambda/mycompany-prod-dispatch",
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
    ]


def test_only_those_two_rules_may_call_dispatch(plane, stack, found):
    permissions = found(stack, "AWS::Lambda::Permission")

    assert len(permissions) == 2
    assert all(each["Principal"] == "events.amazonaws.com" and "SourceArn" in each for each in permissions)


def test_dispatch_starts_jobs_of_this_environment_only(plane, stack, found):
    starts = [resource for action, resource, _ in allowed(stack, found, "Dispatch") if action == "glue:StartJobRun"]

    jobs = "arn:aws:glue:eu-central-1:777788889999:job"
    assert starts == [[f"{jobs}/mycompany-*-prod-processed-to-analytics", f"{jobs}/mycompany-*-prod-raw-to-processed"]]


def test_neither_function_may_touch_an_object_or_pass_a_role(plane, stack, found):
    for role in ("Register", "Dispatch"):
        actions = {action for action, _, _ in allowed(stack, found, role)}
        assert not {action for action in actions if action.startswith(("s3:", "iam:", "sts:"))}


def test_the_control_plane_works_on_the_ledger_and_its_index_only(plane, stack, found):
    table = "arn:aws:dynamodb:eu-central-1:777788889999:table/mycompany-prod-ledger"

    for role in ("Register", "Dispatch"):
        reached = {
            tuple(resource) for action, resource, _ in allowed(stack, found, role) if action.startswith("dynamodb:")
        }
        assert reached == {(table, f"{table}/index/*")}
