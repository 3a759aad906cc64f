import boto3
import pytest
from botocore.exceptions import ClientError
from pynamodb.exceptions import VerboseClientError

from lineage import endings, table
from lineage import store as module
from lineage.holds import Holds
from lineage.items import Pointer
from lineage.store import ConditionFailed, Store
from lineage.values import stamp
from tests.lineage.builders import RAW, TABLE, a_file, begin


class Troubled(Store):
    """Refuses the first requests of one kind as DynamoDB does when transactions meet."""

    def __init__(self, operation: str, times: int, code: str, reasons: list[dict[str, str]] | None = None) -> None:
        super().__init__(TABLE, workers=1)
        self.operation, self.left, self.code, self.reasons = operation, times, code, reasons
        self.sent = 0

    def send(self, operation, request):
        if operation == self.operation:
            self.sent += 1
            if self.left:
                self.left -= 1
                answer = {"Error": {"Code": self.code, "Message": "no"}, "CancellationReasons": self.reasons or []}
                cause = ClientError(answer, operation)
                raise VerboseClientError({"Error": answer["Error"]}, operation, {}) from cause
        return super().send(operation, request)


def a_pointer(tenant: str = "acme") -> Pointer:
    return Pointer(pk="PLATFORM#BUCKET#b", sk="#", tenant=tenant)


def test_a_write_that_meets_a_transaction_is_tried_again(aws):
    store = Troubled("PutItem", 2, "TransactionConflictException")

    store.put(a_pointer())

    assert store.get(Pointer, ("PLATFORM#BUCKET#b", "#")).tenant == "acme"


def test_a_transaction_that_meets_another_is_tried_again(aws):
    reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
    store = Troubled("TransactWriteItems", 2, "TransactionCanceledException", reasons)

    store.transact([("Put", store.putting(a_pointer()))])

    assert store.sent == 3


def test_what_the_service_forbids_is_not_tried_again(aws):
    store = Troubled("PutItem", 9, "AccessDeniedException")

    with pytest.raises(VerboseClientError):
        store.put(a_pointer())
    assert store.sent == 1


def test_a_refused_write_hands_back_the_item_in_its_way(aws):
    store = Store(TABLE, workers=1)
    store.put(a_pointer("acme"))

    with pytest.raises(ConditionFailed) as refused:
        store.put(a_pointer("skyline"), Pointer.pk.does_not_exist())
    assert isinstance(refused.value.old, Pointer)
    assert refused.value.old.tenant == "acme"


def test_what_a_batch_leaves_over_is_asked_and_sent_again(aws):
    class LeavesOver(Store):
        def send(self, operation, request):
            if operation in {"BatchGetItem", "BatchWriteItem"}:
                return self.one(operation, request)
            return super().send(operation, request)

        def one(self, operation, request):
            asked = request["RequestItems"][TABLE]
            things = asked["Keys"] if operation == "BatchGetItem" else asked
            first = {**asked, "Keys": things[:1]} if operation == "BatchGetItem" else things[:1]
            rest = {**asked, "Keys": things[1:]} if operation == "BatchGetItem" else things[1:]
            left = "UnprocessedKeys" if operation == "BatchGetItem" else "UnprocessedItems"
            answer = super().send(operation, {"RequestItems": {TABLE: first}})
            return {**answer, left: {TABLE: rest} if things[1:] else {}}

    store = LeavesOver(TABLE, workers=1)
    store.put_all([Pointer(pk=f"PLATFORM#BUCKET#{number}", sk="#", tenant="acme") for number in range(3)])

    found = store.batch_get(Pointer, [(f"PLATFORM#BUCKET#{number}", "#") for number in range(4)])
    assert sorted(pk for pk, _ in found) == ["PLATFORM#BUCKET#0", "PLATFORM#BUCKET#1", "PLATFORM#BUCKET#2"]


WAITING = table.waiting_pk("acme", "sales", RAW)


def put_row(**row):
    item = {name: {"S": value} if isinstance(value, str) else value for name, value in row.items()}
    boto3.client("dynamodb").put_item(TableName=TABLE, Item=item)


def lie(place, count=1, *, pk="T#globex#X", **row):
    for number in range(count):
        put_row(**{"PK": pk, "SK": f"x{number}", "kind": "claim", "g2pk": place, "g2sk": "0", **row})


def lying(place):
    names = {"#p": table.INDEX_PARTITION_KEY}
    answer = boto3.client("dynamodb").query(
        TableName=TABLE, IndexName=table.INDEX, KeyConditionExpression="#p = :p",
        ExpressionAttributeNames=names, ExpressionAttributeValues={":p": {"S": place}},
    )  # fmt: skip
    return [(item["PK"]["S"], item["SK"]["S"]) for item in answer["Items"]]


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"kind": "nonsense"},
        {"pk": "T#acme#F#f"},
        {"pk": "T#acme#F#f", "key": "x" * 40_000, "size": {"N": "1"}, "etag": "e", "arrived": "2024-09-20T00:00:00Z"},
        {"pk": "T#acme#F#f", "key": "x", "size": {"N": "1"}, "etag": "e", "arrived": "x"},
    ],
    ids=["another's", "none", "half", "huge", "no time"],
)
@pytest.mark.parametrize("place", [WAITING, table.held_pk("acme")])
def test_what_does_not_belong_where_the_index_shows_it_is_passed_over_and_taken_out(ledger, place, row):
    ledger.receive(a_file(), RAW, held=place != WAITING)
    [mine] = lying(place)
    lie(place, 3, **row)
    assert len(lying(place)) == 4

    seen = ledger.waiting("acme", "sales", RAW) if place == WAITING else list(Holds(ledger)._held("acme"))

    assert len(seen) == 1
    assert len(ledger.store.strip()) == 3
    assert lying(place) == [mine]
    assert ledger.store.strip() == []


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"kind": "run"},
        {"kind": "run", "pk": "T#globex#J#zz", "tenant": "acme", "job": RAW, "dataset": "sales", "st": "RUNNING"},
        {"kind": "run", "pk": "PLATFORM#TENANTS#x"},
    ],
    ids=["claim", "empty", "another's run", "the platform's"],
)
def test_a_run_that_is_none_is_looked_at_once(ledger, clock, row):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    place = table.open_pk(run.run)
    lie(place, 3, **{"started": "x", "hb": "x", **row})
    clock.move(hours=1)

    assert "fenced" in [done.outcome for done in ledger.recover()]

    assert len(ledger.store.strip()) == 3
    assert lying(place) == []
    assert ledger.recover() == []


def test_a_row_that_has_moved_on_stays_where_it_is_now(ledger):
    ledger.receive(a_file(), RAW)
    [mine] = lying(WAITING)
    ledger.store.note_stranger(mine, table.held_pk("acme"))
    ledger.store.note_stranger(("T#acme#X", "never"), WAITING)

    assert ledger.store.strip() == []
    assert lying(WAITING) == [mine]
    assert (
        boto3.client("dynamodb").get_item(TableName=TABLE, Key=module._key(("T#acme#X", "never"))).get("Item") is None
    )


def test_a_look_ends_where_page_after_page_holds_nothing_of_its_own(ledger, monkeypatch):
    monkeypatch.setattr(module, "STRANGE_PAGES", 2)
    ledger.receive(a_file(), RAW)
    lie(WAITING, 12, key="x" * 300_000)
    asked = []
    send = ledger.store.send
    monkeypatch.setattr(
        ledger.store, "send", lambda operation, request: asked.append(operation) or send(operation, request)
    )

    assert ledger.waiting("acme", "sales", RAW) == []
    assert asked == ["Query"] * 2

    while ledger.store.strip():
        found = ledger.waiting("acme", "sales", RAW)
    assert [member.key for member in found] == ["raw/sales/a.csv"]


def test_no_more_strangers_are_remembered_than_are_taken_out_at_a_time(ledger, monkeypatch):
    monkeypatch.setattr(module, "STRANGERS", 2)
    lie(WAITING, 3)
    for left in (2, 1):
        ledger.waiting("acme", "sales", RAW)
        assert len(ledger.store.strip()) == left


def test_one_tenants_many_dead_runs_are_put_in_order_over_several_looks(ledger, clock, monkeypatch):
    monkeypatch.setattr(endings, "MOST_AT_ONCE", 2)
    begun = stamp(clock())
    dead = {"tenant": "globex", "job": RAW, "dataset": "sales", "st": "RUNNING", "started": begun, "hb": begun}
    lie("OPEN#0", 3, pk=table.job_pk("globex", RAW), **{**dead, "kind": "run"})
    clock.move(hours=1)

    assert [[done.outcome for done in ledger.recover()] for _ in range(2)] == [["fenced"] * 2, ["fenced"]]
