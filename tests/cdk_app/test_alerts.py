import pytest
from aws_cdk import aws_kms as kms

from cdk_app.alerts import Alerts, Chat, OwnerAlerts
from cdk_app.values import Site
from ingestion.settings import WebhookSettings
from tenants.model import Environment, Webhook

KEY = "arn:aws:kms:eu-central-1:777788889999:key/platform"
HOOK = Webhook(parameter="/lake/prod/chat", format="slack")


@pytest.fixture
def owners(stack, site):
    def make(at=site):
        return OwnerAlerts(
            stack,
            "Alerts",
            site=at,
            name="mycompany-acme-prod-alerts",
            alarms="mycompany-acme-prod-*",
            owner="data@acme.example",
            key_arn=KEY,
        )

    return make


@pytest.fixture
def chat(stack, site, tmp_path):
    archive = tmp_path / "functions.zip"
    archive.write_bytes(b"PK")
    key = kms.Key(stack, "Key")
    topic = Alerts(stack, "Alerts", site=site, key=key).topic
    return Chat(stack, "Chat", site=site, webhook=HOOK, archive=archive, key=key, topic=topic)


def publishers(stack, found):
    (policy,) = found(stack, "AWS::SNS::TopicPolicy")
    return {
        each["Principal"]["Service"]: each["Condition"]
        for each in policy["PolicyDocument"]["Statement"]
        if each["Effect"] == "Allow"
    }


def source(pattern):
    return {
        "StringEquals": {"aws:SourceAccount": "777788889999"},
        "ArnLike": {"aws:SourceArn": f"arn:aws:{pattern}"},
    }


def test_alarms_and_rules_of_this_account_may_publish_and_no_other_service(stack, site, found):
    Alerts(stack, "Alerts", site=site, key=kms.Key(stack, "Key"))

    assert publishers(stack, found) == {
        "cloudwatch.amazonaws.com": source("cloudwatch:eu-central-1:777788889999:alarm:mycompany-*"),
        "events.amazonaws.com": source("events:eu-central-1:777788889999:rule/mycompany-*"),
    }


def test_the_operators_address_is_no_part_of_a_logical_id(stack, site, found):
    Alerts(stack, "Alerts", site=site, key=kms.Key(stack, "Key"))

    (subscription,) = found(stack, "AWS::SNS::Subscription")
    assert subscription["Endpoint"] == "platform@mycompany.example"
    assert subscription["Protocol"] == "email"


def test_a_failed_job_of_any_tenant_is_told(stack, site, found):
    Alerts(stack, "Alerts", site=site, key=kms.Key(stack, "Key"))

    (rule,) = found(stack, "AWS::Events::Rule")
    assert rule["EventPattern"]["detail"]["state"] == ["FAILED", "TIMEOUT", "ERROR"]
    assert rule["EventPattern"]["detail"]["jobName"] == [
        {"wildcard": "mycompany-*-prod-raw-to-processed"},
        {"wildcard": "mycompany-*-prod-processed-to-analytics"},
        {"wildcard": "mycompany-*-prod-maintain"},
    ]


def test_a_tenants_topic_writes_to_its_owner_under_the_platforms_key(stack, owners, found):
    owners()

    (topic,) = found(stack, "AWS::SNS::Topic")
    assert (topic["TopicName"], topic["KmsMasterKeyId"]) == ("mycompany-acme-prod-alerts", KEY)
    (subscription,) = found(stack, "AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "data@acme.example")


def test_of_services_only_the_tenants_own_alarms_may_publish_to_its_topic(stack, owners, found):
    owners()

    assert publishers(stack, found) == {
        "cloudwatch.amazonaws.com": source("cloudwatch:eu-central-1:777788889999:alarm:mycompany-acme-prod-*")
    }


def test_nobody_publishes_without_tls(stack, owners, found):
    owners()

    (policy,) = found(stack, "AWS::SNS::TopicPolicy")
    denial = policy["PolicyDocument"]["Statement"][0]
    assert (denial["Effect"], denial["Action"]) == ("Deny", "sns:Publish")
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_nothing_of_a_local_environment_is_mailed(stack, owners, found):
    here = Environment(name="local", account="000000000000", region="us-east-1")

    owners(Site.of("mycompany", here))

    assert found(stack, "AWS::SNS::Subscription") == []


def test_a_chat_is_told_whatever_the_platforms_topic_says(chat, stack, found):
    (call,) = [each for each in found(stack, "AWS::SNS::Subscription") if each["Protocol"] == "lambda"]
    (permission,) = found(stack, "AWS::Lambda::Permission")

    assert call["TopicArn"] == permission["SourceArn"] == {"Ref": "AlertsTopicCF7C81C9"}
    assert permission["Principal"] == "sns.amazonaws.com"


def test_the_chats_function_knows_where_its_address_stands_and_not_the_address(chat, stack, found):
    (function,) = found(stack, "AWS::Lambda::Function")

    assert (function["FunctionName"], function["Handler"]) == ("mycompany-prod-webhook", "ingestion.webhook.handler")
    assert WebhookSettings.from_environment(function["Environment"]["Variables"]) == WebhookSettings(
        webhook_parameter="/lake/prod/chat", webhook_format="slack"
    )


def test_the_chats_function_reads_one_parameter_and_writes_its_log_and_that_is_all(chat, stack, found):
    (policy,) = found(stack, "AWS::IAM::Policy")
    logs, parameter, key = policy["PolicyDocument"]["Statement"]

    name = "arn:aws:ssm:eu-central-1:777788889999:parameter/lake/prod/chat"
    assert logs["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert (parameter["Action"], parameter["Resource"]) == ("ssm:GetParameter", name)
    assert key["Action"] == "kms:Decrypt"
    assert key["Condition"] == {
        "StringEquals": {
            "kms:EncryptionContext:PARAMETER_ARN": name,
            "kms:ViaService": "ssm.eu-central-1.amazonaws.com",
        }
    }
