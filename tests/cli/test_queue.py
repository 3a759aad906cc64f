import json
import time

import boto3
import pytest
from moto import mock_aws

from cli import connection, queue
from lineage import table
from tests.ingestion.builders import an_event
from tests.lineage.builders import enter

QUEUE, DEAD, LEDGER = "mycompany-dev-arrivals", "mycompany-dev-arrivals-dead", "mycompany-dev-ledger"


@pytest.fixture
def aws(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setattr(queue, "WAIT_S", 0)
    for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        boto3.client("dynamodb").create_table(**table.definition(LEDGER))
        yield


@pytest.fixture
def sqs(aws):
    client = boto3.client("sqs")
    client.create_queue(QueueName=QUEUE)
    client.create_queue(QueueName=DEAD)
    return client


def url(sqs, name):
    return sqs.get_queue_url(QueueName=name)["QueueUrl"]


def put(sqs, name, *bodies, **more):
    for body in bodies:
        sqs.send_message(QueueUrl=url(sqs, name), MessageBody=body, **more)
    time.sleep(0.01)  # their times are in milliseconds: what was sent before a command is older than it


def bodies(sqs, name):
    found = sqs.receive_message(QueueUrl=url(sqs, name), MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [message["Body"] for message in found.get("Messages", [])]


@pytest.fixture
def shown(lake, sqs):
    def run(*arguments):
        result = lake("queue", *arguments, "-e", "dev")
        assert result.exit_code == 0, result.output
        return result

    return run


def test_both_queues_are_counted_and_dead_letters_told_with_their_reason(shown, sqs):
    enter(connection.connect("dev").ledger, "acme")
    put(sqs, QUEUE, an_event())
    put(sqs, DEAD, an_event("raw/sales/ü b.csv", bucket="nobodys-bucket"), "rubbish", an_event("raw/sales/c.csv"))

    answer = json.loads(shown("show", "--json").stdout)

    assert answer["queues"] == [
        {"queue": QUEUE, "visible": 1, "in_flight": 0, "delayed": 0},
        {"queue": DEAD, "visible": 3, "in_flight": 0, "delayed": 0},
    ]
    assert {(one["bucket"], one["key"]): one["why"] for one in answer["dead_letters"]} == {
        ("nobodys-bucket", "raw/sales/ü b.csv"): "no tenant has this bucket: deploy it, then redrive",
        (None, None): "it is not an S3 event from EventBridge: nobody can register it",
        ("lake-acme-dev-datalake", "raw/sales/c.csv"): (
            "could not be registered for acme: the log of the register function says why"
        ),
    }
    assert answer["oldest_dead_letter"] == min(one["sent"] for one in answer["dead_letters"])


def test_looking_at_dead_letters_leaves_them_to_the_next_who_looks(shown, sqs):
    put(sqs, DEAD, *(an_event(f"raw/sales/{number}.csv") for number in range(12)))

    first, second = (json.loads(shown("show", "--json").stdout) for _ in range(2))

    assert len(first["dead_letters"]) == len(second["dead_letters"]) == 10
    assert second["queues"][1] == {"queue": DEAD, "visible": 12, "in_flight": 0, "delayed": 0}


def test_what_eventbridge_could_not_deliver_says_why(shown, sqs):
    told = {"ERROR_MESSAGE": {"DataType": "String", "StringValue": "no permission"}}
    put(sqs, DEAD, an_event(), MessageAttributes=told)

    assert "EventBridge could not deliver it: no permission" in shown("show").stdout


def test_a_queue_that_is_not_there_says_what_to_deploy(lake, aws):
    result = lake("queue", "show", "-e", "dev")

    assert result.exit_code == 1
    assert f"queue {QUEUE} does not exist" in result.output
    assert "lake deploy -e dev" in result.output


def test_a_redrive_moves_every_message_as_it_was(shown, sqs):
    events = [an_event(f"raw/sales/{number}.csv") for number in range(23)]
    put(sqs, DEAD, *events)

    answer = json.loads(shown("redrive", "--json").stdout)

    assert answer == {"dry_run": False, "moved": 23, "would_move": None, "left": 0}
    assert queue.depths(sqs, url(sqs, QUEUE))["visible"] == 23
    assert set(bodies(sqs, QUEUE)) <= set(events)


def test_a_redrive_moves_as_many_as_it_may_and_leaves_the_rest_in_sight(shown, sqs):
    put(sqs, DEAD, *(an_event(f"raw/sales/{number}.csv") for number in range(5)))

    shown("redrive", "--limit", 3)

    assert queue.depths(sqs, url(sqs, QUEUE))["visible"] == 3
    assert queue.depths(sqs, url(sqs, DEAD)) == {"visible": 2, "in_flight": 0, "delayed": 0}


def test_a_dry_run_moves_nothing(shown, sqs):
    put(sqs, DEAD, an_event())

    assert json.loads(shown("redrive", "--dry-run", "--json").stdout) == {
        "dry_run": True,
        "moved": 0,
        "would_move": 1,
        "left": 1,
    }
    assert queue.depths(sqs, url(sqs, QUEUE))["visible"] == 0


def test_a_redrive_of_nothing_is_no_error_and_may_be_repeated(shown, sqs):
    put(sqs, DEAD, an_event())

    moved = [json.loads(shown("redrive", "--json").stdout)["moved"] for _ in range(2)]

    assert moved == [1, 0]


def test_what_fails_again_meanwhile_is_not_moved_in_circles(sqs):
    put(sqs, DEAD, an_event())
    real = sqs.send_message_batch

    def fails_at_once(**call):
        put(sqs, DEAD, *(entry["MessageBody"] for entry in call["Entries"]))
        return real(**call)

    sqs.send_message_batch = fails_at_once

    assert queue.move(sqs, url(sqs, DEAD), url(sqs, QUEUE)) == 1
    assert bodies(sqs, DEAD) == [an_event()]


def test_what_the_queue_refuses_stays_a_dead_letter(sqs):
    put(sqs, DEAD, "one", "two")

    def refuses_two(**call):
        entries = {entry["Id"]: entry["MessageBody"] for entry in call["Entries"]}
        return {
            "Successful": [{"Id": number} for number, body in entries.items() if body != "two"],
            "Failed": [{"Id": number, "Message": "too big"} for number, body in entries.items() if body == "two"],
        }

    sqs.send_message_batch = refuses_two

    assert queue.move(sqs, url(sqs, DEAD), url(sqs, QUEUE)) == 1
    assert queue.depths(sqs, url(sqs, DEAD)) == {"visible": 0, "in_flight": 1, "delayed": 0}


def test_a_message_stays_in_the_group_of_its_tenant():
    message = {"Body": "{}", "Attributes": {"MessageGroupId": "acme"}}

    assert queue._again(message) == {"MessageBody": "{}", "MessageGroupId": "acme"}
