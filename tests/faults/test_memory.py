"""The table in memory answers as moto's does, and as botocore hands answers on."""

import boto3
import pytest
from botocore.exceptions import ConnectionClosedError
from moto import mock_aws
from pynamodb.connection import Connection
from pynamodb.exceptions import VerboseClientError

from lineage import table
from lineage.ledger import Ledger
from lineage.store import Store
from tests.faults.expressions import NotUnderstood
from tests.faults.injection import Process
from tests.faults.memory import MemoryStore, MemoryTable, Refusal, memory_table
from tests.faults.worlds import LedgerWorld, seeded
from tests.lineage.builders import RAW, a_file, enter
from tests.lineage.conftest import _ambient  # noqa: F401 - a fixture

FOREIGN = {"ConsumedCapacity", "ResponseMetadata", "ScannedCount", "ItemCollectionMetrics"}


class Twofold(MemoryTable):
    """Sends every request to moto too, and compares."""

    moto: Connection
    compared = 0

    def answer(self, operation, request):
        theirs, _ = outcome(self.moto.dispatch, operation, dict(request))
        ours, thing = outcome(super().answer, operation, request)
        assert ours == theirs, f"{operation} {request}"
        Twofold.compared += 1
        if isinstance(thing, Exception):
            raise thing
        return thing


def outcome(send, operation, request):
    """What came back in a form that can be compared, and the thing itself."""
    try:
        answer = send(operation, request)
    except (VerboseClientError, Refusal) as error:
        whole = getattr(error.__cause__, "response", None) or error.response
        reasons = [(reason["Code"], reason.get("Item")) for reason in whole.get("CancellationReasons", [])]
        return (whole["Error"]["Code"], reasons, whole.get("Item")), error
    known = {name: value for name, value in answer.items() if name not in FOREIGN and value}
    for items in known.get("Responses", {}).values():
        items.sort(key=str)
    return known, answer


@pytest.fixture
def twofold(monkeypatch):
    with mock_aws():
        Twofold.moto = Store("ledger").connection
        Twofold.compared = 0
        monkeypatch.setattr("tests.faults.worlds.memory_table", lambda: Twofold(table.definition("ledger")))
        yield Twofold


def test_random_plays_get_the_same_answers_from_moto(twofold):
    dynamodb = boto3.client("dynamodb")
    for seed in range(3):
        dynamodb.create_table(**table.definition("ledger"))
        with seeded(seed) as rng:
            world = LedgerWorld(rng=rng, files=2)
            world.play(lag=False)
            world.drain()
            world.ledger.files("acme")
        dynamodb.delete_table(TableName="ledger")
    assert twofold.compared > 200


def a_ledger(plan: str = "") -> Ledger:
    rows = memory_table()
    enter(Ledger("ledger", store=MemoryStore(rows, Process())), "acme")
    return Ledger("ledger", store=MemoryStore(rows, Process(plan)))


def test_an_operation_or_expression_it_does_not_know_is_refused():
    rows = memory_table()
    with pytest.raises(KeyError, match="Scan"):
        rows.answer("Scan", {})
    with pytest.raises(NotUnderstood, match="size"):
        rows.answer("PutItem", {"Item": {"PK": {"S": "a"}, "SK": {"S": "b"}}, "ConditionExpression": "size(#a) > :b"})


def test_a_transaction_whose_answer_is_lost_is_asked_again_with_its_token_and_done_once():
    ledger = a_ledger("lost:1@dynamodb.TransactWriteItems")

    assert ledger.receive(a_file(), RAW) is True


def test_a_table_whose_answers_are_lost_for_good_is_an_error_of_the_connection():
    ledger = a_ledger("lost:1@dynamodb.GetItem:99")

    with pytest.raises(ConnectionClosedError):
        ledger.tenant("acme")


def test_a_busy_table_is_asked_again():
    assert a_ledger("throttle:1@dynamodb.GetItem:3").tenant("acme").tenant == "acme"
