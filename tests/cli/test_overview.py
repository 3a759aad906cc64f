import json

import boto3
import pytest

from cli import overview
from cli.exit_codes import ExitCode
from tests.cli.account import FIRST, SECOND


@pytest.fixture
def queues(dev):
    """URLs of the queue of arrivals and of the dead letters."""
    sqs, platform = boto3.client("sqs"), dev.connection.platform
    return [sqs.create_queue(QueueName=name)["QueueUrl"] for name in (platform.queue, platform.dead_letter_queue)]


def status(dev):
    answer = dev.lake("status", "--json")
    assert answer.exit_code == ExitCode.OK, answer.stderr
    return json.loads(answer.stdout)


def of_tenant(dev, tenant="acme"):
    return next(each for each in status(dev)["tenants"] if each["tenant"] == tenant)


def test_the_status_counts_files_that_wait_and_says_since_when(dev, queues):
    dev.arrive("a.csv")
    dev.arrive("b.csv")

    acme, skyline = of_tenant(dev), of_tenant(dev, "skyline")

    assert (acme["waiting"], acme["oldest"] is not None) == (2, True)
    assert (skyline["waiting"], skyline["oldest"]) == (0, None)


def test_the_status_says_who_is_held_why_and_how_many_files_that_keeps(dev, queues):
    dev.lake("hold", "acme", "--reason", "audit")
    dev.arrive("a.csv", held=True)

    acme = of_tenant(dev)

    assert (acme["held_reason"], acme["held"], acme["waiting"]) == ("audit", 1, 0)
    assert acme["held_since"] is not None
    assert acme["oldest"] is not None


def test_the_status_counts_open_runs_and_batches_that_are_not_in_the_table_yet(dev, queues):
    dev.arrive("a.csv")
    ledger = dev.connection.ledger
    ledger.begin("acme", FIRST, "transactions", ledger.waiting("acme", "transactions", FIRST))
    dev._receive("processed/transactions/_commits/x.json", SECOND, "acme", "transactions", held=False)

    acme = of_tenant(dev)

    assert (acme["runs"], acme["silent"], acme["waiting"], acme["batches"]) == (1, 0, 0, 1)


def test_the_status_counts_events_on_the_way_and_dead_letters(dev, queues):
    for url, times in zip(queues, (1, 2), strict=True):
        for _ in range(times):
            boto3.client("sqs").send_message(QueueUrl=url, MessageBody="{}")

    told, shown = status(dev), dev.lake("status")

    assert (told["arrivals"], told["dead_letters"]) == (1, 2)
    assert "2 dead letters: `lake queue show -e dev` says why" in shown.stderr


def test_a_long_list_is_counted_so_far_only(dev, queues, monkeypatch):
    monkeypatch.setattr(overview, "COUNTED", 2)
    for name in ("a.csv", "b.csv", "c.csv"):
        dev.arrive(name)

    shown = dev.lake("status").stdout

    header, *rows = [line.split("\t") for line in shown.strip().splitlines()]
    acme = dict(zip(header, next(row for row in rows if row[0] == "acme"), strict=True))
    assert acme["waiting"] == "2+"


def test_a_lake_whose_platform_is_not_deployed_says_so(dev):
    answer = dev.lake("status")

    assert answer.exit_code == ExitCode.FAILED
    assert "deploy the platform first, `lake deploy -e dev`" in answer.stderr
