import pytest
from botocore.exceptions import ClientError
from pynamodb.exceptions import VerboseClientError

from lineage.items import Pointer
from lineage.store import ConditionFailed, Store
from tests.lineage.builders import TABLE


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
