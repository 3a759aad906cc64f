"""The functions as Lambda calls them: settings from the environment, clients made at the first event."""

import json

import boto3
import pytest

from ingestion import dispatch, reconcile, register
from tests.ingestion.builders import BUCKET, an_event, messages
from tests.lineage.builders import TABLE


@pytest.fixture(autouse=True)
def _deployed(ledger, monkeypatch):
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    dead = sqs.create_queue(QueueName="lake-dev-arrivals-dead")["QueueUrl"]
    monkeypatch.setenv("LAKE_LEDGER", TABLE)
    monkeypatch.setenv("LAKE_DISPATCH_FUNCTION", "lake-dev-dispatch")
    monkeypatch.setenv("LAKE_RECONCILE_FUNCTION", "lake-dev-reconcile")
    monkeypatch.setenv("LAKE_TOPIC", sns.create_topic(Name="lake-dev-alerts")["TopicArn"])
    monkeypatch.setenv("LAKE_QUEUE", sqs.create_queue(QueueName="lake-dev-arrivals")["QueueUrl"])
    monkeypatch.setenv("LAKE_DEAD_LETTER_QUEUE", dead)
    monkeypatch.setenv("LAKE_ENVIRONMENT", "dev")
    register.registrar.cache_clear()
    dispatch.dispatcher.cache_clear()
    yield
    register.registrar.cache_clear()
    dispatch.dispatcher.cache_clear()


@pytest.fixture
def alerts(aws):
    """What a subscriber of the platform's topic gets."""
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    url = sqs.create_queue(QueueName="mail")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="lake-dev-alerts")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def received():
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]

    return received


def test_register_answers_with_the_messages_that_failed(ledger):
    answer = register.handler({"Records": messages(an_event(), "rubbish")}, None)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert [file.key for file in ledger.files("acme")] == ["raw/sales/a.csv"]


def test_register_tells_of_a_file_that_no_contract_takes(alerts):
    register.handler({"Records": messages(an_event("raw/odd.bin"))}, None)

    [alert] = alerts()
    assert alert["Subject"] == "[dev] acme: no contract takes a file in raw/"
    assert alert["Message"].splitlines()[-1] == "lake replay acme --unrouted -e dev"
    assert alert["MessageAttributes"] == {
        "kind": {"Type": "String", "Value": "unrouted_file"},
        "tenant": {"Type": "String", "Value": "acme"},
    }


def test_dispatch_answers_with_the_runs_it_started():
    assert dispatch.handler({}, None) == {"started": []}
    assert dispatch.handler({"source": "aws.scheduler", "detail-type": "Scheduled Event"}, None) == {"started": []}


def test_dispatch_tells_of_dead_letters(alerts):
    sqs = boto3.client("sqs")
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="lake-dev-arrivals-dead")["QueueUrl"], MessageBody="{}")

    dispatch.handler({}, None)
    dispatch.handler({}, None)

    [alert] = alerts()
    assert alert["Subject"] == "[dev] platform: one message in the dead-letter queue of arrivals"
    assert alert["Message"].splitlines()[-1] == "lake queue show -e dev"


def test_reconcile_lists_no_bucket_but_one_of_its_own_account(ledger, s3_calls):
    reconcile.reconciler.cache_clear()
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    before = s3_calls.careful

    report = reconcile.handler({"tenant": "acme"})

    assert report["tenant"] == "acme"
    assert s3_calls.careful > before
