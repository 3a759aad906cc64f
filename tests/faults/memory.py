"""A ledger table in memory: DynamoDB's answers at a hundredth of moto's price, for ten thousand schedules.

It knows the operations and expressions that `lineage.store` sends and refuses all others; `test_memory.py` holds it
against moto with the same random requests.
"""

import collections
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.exceptions import VerboseClientError

from lineage import table
from lineage.store import Store
from tests.faults import expressions
from tests.faults.injection import AnswerLost, Process, Refused

Raw = dict[str, Any]
Key = tuple[str, str]

BOTOCORE_ATTEMPTS = 6
TRANSACTION_ACTIONS = 100
BATCH_WRITES, BATCH_KEYS = 25, 100
MOST_LAG = 16

_tokens = itertools.count()


class MemoryTable:
    """One table with its index, and the clients' idempotency tokens."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.name = definition["TableName"]
        (index,) = definition["GlobalSecondaryIndexes"]
        self.projection = {
            *index["Projection"]["NonKeyAttributes"],
            *(key["AttributeName"] for key in index["KeySchema"]),
        }
        self.projection |= {table.PARTITION_KEY, table.SORT_KEY}
        self.items: dict[Key, Raw] = {}
        self.tokens: dict[str, str] = {}
        self.lag = 0
        """How many writes ago the index was as it is seen."""
        self._before: collections.deque[dict[Key, Raw]] = collections.deque(maxlen=MOST_LAG)

    def answer(self, operation: str, request: Raw) -> Raw:
        """The answer, or Refusal. What is returned is the caller's to keep."""
        if operation in WRITES:
            self._before.append(dict(self.items))
        return _copied(_OPERATIONS[operation](self, request))

    # -- reading ------------------------------------------------------------------------------------------------------

    def get(self, request: Raw) -> Raw:
        found = self.items.get(_key(request["Key"]))
        return {"Item": found} if found else {}

    def batch_get(self, request: Raw) -> Raw:
        wanted = request["RequestItems"][self.name]["Keys"]
        _check(len(wanted) <= BATCH_KEYS, "Too many items requested for the BatchGetItem call")
        _check(len({_key(key) for key in wanted}) == len(wanted), "Provided list of item keys contains duplicates")
        found = [self.items[_key(key)] for key in wanted if _key(key) in self.items]
        return {"Responses": {self.name: found}, "UnprocessedKeys": {}}

    def query(self, request: Raw) -> Raw:
        listed = list(self._listed(request))
        limit = request.get("Limit", len(listed))
        page, more = listed[:limit], len(listed) > limit
        answer: Raw = {"Count": len(page)}
        if request.get("Select") != "COUNT":
            answer["Items"] = [self._projected(item, request) for item in page]
        if more:
            answer["LastEvaluatedKey"] = _place(page[-1], request)
        return answer

    def _listed(self, request: Raw) -> Iterator[Raw]:
        names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
        within = expressions.condition(request["KeyConditionExpression"])
        seen = self.items
        if _index(request) and self.lag and self._before:
            seen = self._before[-min(self.lag, len(self._before))]
        chosen = [item for item in seen.values() if within(item, names, values)]
        order = (table.INDEX_SORT_KEY, table.PARTITION_KEY, table.SORT_KEY) if _index(request) else (table.SORT_KEY,)
        chosen = [item for item in chosen if all(name in item for name in order)]
        backwards = not request.get("ScanIndexForward", True)
        chosen.sort(key=lambda item: [item[name]["S"] for name in order], reverse=backwards)
        start = request.get("ExclusiveStartKey")
        passed = start is None
        for item in chosen:
            if passed:
                yield item
            passed = passed or _place(item, request) == start

    def _projected(self, item: Raw, request: Raw) -> Raw:
        if request.get("ProjectionExpression"):
            names = request.get("ExpressionAttributeNames", {})
            kept = {names.get(name.strip(), name.strip()) for name in request["ProjectionExpression"].split(",")}
        elif _index(request):
            kept = self.projection
        else:
            return item
        return {name: value for name, value in item.items() if name in kept}

    # -- writing ------------------------------------------------------------------------------------------------------

    def put(self, request: Raw) -> Raw:
        return self._write("Put", request)

    def update(self, request: Raw) -> Raw:
        return self._write("Update", request)

    def delete(self, request: Raw) -> Raw:
        return self._write("Delete", request)

    def _write(self, verb: str, request: Raw) -> Raw:
        key = _key_of(verb, request)
        old = self.items.get(key)
        if not _holds(request, old):
            raise Refusal("ConditionalCheckFailedException", "The conditional request failed", _old(request, old))
        self._apply(verb, key, request)
        wanted = {"ALL_OLD": old, "ALL_NEW": self.items.get(key)}.get(request.get("ReturnValues", "NONE"))
        return {"Attributes": wanted} if wanted else {}

    def batch_write(self, request: Raw) -> Raw:
        writes = request["RequestItems"][self.name]
        _check(len(writes) <= BATCH_WRITES, "Too many items requested for the BatchWriteItem call")
        for write in writes:
            ((verb, one),) = write.items()
            self._apply(verb.removesuffix("Request"), _key_of(verb.removesuffix("Request"), one), one)
        return {"UnprocessedItems": {}}

    def transact(self, request: Raw) -> Raw:
        writes = [next(iter(write.items())) for write in request["TransactItems"]]
        token = request.get("ClientRequestToken")
        if token and self.tokens.get(token) == _text(request):
            return {}
        keys = [_key_of(verb, one) for verb, one in writes]
        _check(len(writes) <= TRANSACTION_ACTIONS, "Member must have length less than or equal to 100")
        _check(len(set(keys)) == len(keys), "Transaction request cannot include multiple operations on one item")
        held = [_holds(one, self.items.get(key)) for (_, one), key in zip(writes, keys, strict=True)]
        if not all(held):
            reasons = [
                {"Code": "None"} if holds else {"Code": "ConditionalCheckFailed"} | _old(one, self.items.get(key))
                for holds, (_, one), key in zip(held, writes, keys, strict=True)
            ]
            raise Refusal("TransactionCanceledException", "Transaction cancelled", {"CancellationReasons": reasons})
        for (verb, one), key in zip(writes, keys, strict=True):
            self._apply(verb, key, one)
        if token:
            self.tokens[token] = _text(request)
        return {}

    def _apply(self, verb: str, key: Key, request: Raw) -> None:
        if verb == "Delete":
            self.items.pop(key, None)
        elif verb == "Put":
            self.items[key] = _copied(request["Item"])
        elif verb == "Update":
            self.items[key] = self._updated(key, request)

    def _updated(self, key: Key, request: Raw) -> Raw:
        names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
        old = self.items.get(key) or {table.PARTITION_KEY: {"S": key[0]}, table.SORT_KEY: {"S": key[1]}}
        sets, removed = expressions.update(request.get("UpdateExpression", ""))
        new = dict(old)
        for path, operand in sets:
            try:
                new[names.get(path, path)] = _copied(operand(old, names, values))
            except ValueError as error:
                raise Refusal("ValidationException", str(error)) from error
        for path in removed:
            new.pop(names.get(path, path), None)
        return new


WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}

_OPERATIONS: dict[str, Callable[[MemoryTable, Raw], Raw]] = {
    "GetItem": MemoryTable.get,
    "BatchGetItem": MemoryTable.batch_get,
    "Query": MemoryTable.query,
    "PutItem": MemoryTable.put,
    "UpdateItem": MemoryTable.update,
    "DeleteItem": MemoryTable.delete,
    "BatchWriteItem": MemoryTable.batch_write,
    "TransactWriteItems": MemoryTable.transact,
}


class Refusal(Exception):
    def __init__(self, code: str, message: str, more: Raw | None = None) -> None:
        super().__init__(message)
        self.response = {"Error": {"Code": code, "Message": message}} | (more or {})


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise Refusal("ValidationException", message)


def _holds(request: Raw, old: Raw | None) -> bool:
    text = request.get("ConditionExpression")
    if not text:
        return True
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    return expressions.condition(text)(old or {}, names, values)


def _old(request: Raw, old: Raw | None) -> Raw:
    return {"Item": old} if old and request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else {}


def _key_of(verb: str, request: Raw) -> Key:
    return _key(request["Item" if verb == "Put" else "Key"])


def _key(raw: Mapping[str, Any]) -> Key:
    return raw[table.PARTITION_KEY]["S"], raw[table.SORT_KEY]["S"]


def _index(request: Raw) -> bool:
    return request.get("IndexName") is not None


def _place(item: Raw, request: Raw) -> Raw:
    names = [table.PARTITION_KEY, table.SORT_KEY]
    if _index(request):
        names += [table.INDEX_PARTITION_KEY, table.INDEX_SORT_KEY]
    return {name: item[name] for name in names}


def _copied(value: Any) -> Any:
    """Deep; `copy.deepcopy` is five times as slow on plain JSON."""
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def _text(request: Raw) -> str:
    return json.dumps(request["TransactItems"], sort_keys=True, default=str)


# -- the store over it ------------------------------------------------------------------------------------------------


class MemoryStore(Store):
    """The ledger's store on such a table, one process's: its requests go through `gate`, which may do anything."""

    _shared: Connection | None = None

    def __init__(self, rows: MemoryTable, gate: Process | None = None) -> None:
        super().__init__(rows.name, workers=1)
        self.rows = rows
        self.gate = gate or Process()

    def _connect(self) -> Connection:
        # It only shapes requests; making one costs more than a schedule.
        if MemoryStore._shared is None:
            MemoryStore._shared = Connection()
        if self.name not in MemoryStore._shared._tables:
            MemoryStore._shared.add_meta_table(MetaTable(table.definition(self.name)))
        return MemoryStore._shared

    def send(self, operation: str, request: Raw) -> Raw:
        """As pynamodb over botocore: lost answers and refusals of a busy service are tried again, with one token."""
        if operation == "TransactWriteItems":
            request = {"ClientRequestToken": f"token-{next(_tokens)}"} | request
        for attempt in range(1, BOTOCORE_ATTEMPTS + 1):
            try:
                return self.gate.around("dynamodb", operation, lambda: self.rows.answer(operation, request))
            except AnswerLost:
                if attempt == BOTOCORE_ATTEMPTS:
                    raise connection_closed() from None
            except Refused as refused:
                if attempt == BOTOCORE_ATTEMPTS or refused.code != "ThrottlingException":
                    raise VerboseClientError(refused.answer(), operation) from refused
            except Refusal as refused:
                raise VerboseClientError(refused.response, operation) from refused
        raise AssertionError("unreachable")


def connection_closed() -> Exception:
    from botocore.exceptions import ConnectionClosedError

    return ConnectionClosedError(endpoint_url="memory")


def memory_table(name: str = "ledger") -> MemoryTable:
    return MemoryTable(table.definition(name))
