"""The table as the ledger needs it: typed items, conditions that hand back the old item, batches, transactions."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.exceptions import VerboseClientError

from lineage import table
from lineage.errors import LedgerError, Unreadable
from lineage.items import Item

M = TypeVar("M", bound=Item)
T = TypeVar("T")
R = TypeVar("R")

Key = tuple[str, str]
Write = tuple[str, dict[str, Any]]
"""A verb of a transaction (Put, Update, Delete, ConditionCheck) and its request."""

WORKERS = 16
BATCH_GET = 100  # keys per BatchGetItem, DynamoDB's limit
BATCH_WRITE = 25  # puts or deletions per BatchWriteItem, the same
ROW_BYTES = 32_000  # of one row that the index shows; a key has 1,024
STRANGE_PAGES = 20  # of the index, in which nothing belonged where it lay: then a look goes no further
STRANGERS = 1000  # that are remembered for `Store.strip`
PATIENCE = 8  # tries of a write that collides with a transaction or is throttled beyond botocore's own retries

PASSING = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"}


class ConditionFailed(LedgerError):
    """Raised when a conditional write was refused; `old` is the item that stood in the way, None if there is none."""

    def __init__(self, old: Item | None) -> None:
        super().__init__("condition failed")
        self.old = old


class Cancelled(LedgerError):
    """Raised when a transaction was refused: `failed` maps the position of a write to the item in its way."""

    def __init__(self, failed: dict[int, Item | None]) -> None:
        super().__init__(f"transaction cancelled by its conditions {sorted(failed)}")
        self.failed = failed


class Store:
    """One ledger table. Endpoint, Region and credentials are botocore's ambient ones.

    pynamodb binds a model to one table for the whole process; here the models only give shape, and the table's name
    travels with the request, so that one process may read two ledgers. `update` and transactions use the raw request
    because `Model.update` cannot hand back the item that refused it (pynamodb PR #1304).

    DynamoDB deletes what has expired days later: until then reading leaves it out. Conditions still see it, so what
    is refused may be older than what can be read.
    """

    def __init__(
        self,
        name: str,
        *,
        region: str | None = None,
        workers: int = WORKERS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self.region = region
        self.workers = workers
        self.clock = clock
        self.strangers: dict[Key, str] = {}
        """Rows that the index showed where they do not belong: key → where. `strip` takes them out of it."""
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    # -- requests ------------------------------------------------------------------------------------------------

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """One request; waits out conflicts with running transactions."""
        for attempt in range(PATIENCE):
            try:
                return self.send(operation, request)
            except VerboseClientError as error:
                if attempt == PATIENCE - 1 or not _passes(error):
                    raise
                _pause(attempt)
        raise AssertionError("unreachable")

    def send(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.connection.dispatch(operation, request)
        return answer

    @property
    def connection(self) -> Connection:
        with self._lock:
            if self._connection is None:
                self._connection = self._connect()
            return self._connection

    def _connect(self) -> Connection:
        connection = Connection(
            region=self.region,
            max_pool_connections=2 * WORKERS,
            retry_configuration={"mode": "standard", "total_max_attempts": 6},
        )
        definition = table.definition(self.name)
        connection.add_meta_table(MetaTable(definition))
        assert connection.client  # noqa: S101 - made here, once, under the lock: botocore's making is not thread-safe
        return connection

    # -- reading -------------------------------------------------------------------------------------------------

    def get(self, model: type[M], key: Key, *, consistent: bool = True) -> M | None:
        request = {"TableName": self.name, "Key": _key(key), "ConsistentRead": consistent}
        item = self.call("GetItem", request).get("Item")
        return _typed(model, item) if item and self._lives(item) else None

    def get_raw(self, key: Key) -> dict[str, Any] | None:
        """A row as DynamoDB has it, whatever it says and however old; consistent."""
        request = {"TableName": self.name, "Key": _key(key), "ConsistentRead": True}
        return self.call("GetItem", request).get("Item")

    def _lives(self, item: dict[str, Any]) -> bool:
        ends = item.get(table.TTL)
        return ends is None or float(ends["N"]) >= self.clock().timestamp()

    def query(
        self,
        model: type[M],
        partition: str,
        begins_with: str | None = None,
        *,
        index: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        consistent: bool = True,
        forgiving: bool = False,
    ) -> Iterator[M]:
        """Pages through one item collection; of the index (never consistent, always forgiving) or of the table.

        `forgiving` passes over what is not of the model, where its owner alone is the worse for it.
        """
        request = self._query(partition, begins_with, index, newest_first=newest_first, limit=limit)
        request["ConsistentRead"] = consistent and index is None
        seen = 0
        while True:
            answer = self.call("Query", dict(request))
            for item in filter(self._lives, answer["Items"]):
                typed = _readable(model, item) if forgiving or index else _typed(model, item)
                if typed is None:
                    continue
                yield typed
                seen += 1
                if limit is not None and seen >= limit:
                    return
            if not answer.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def listed(self, model: type[M], place: str, belongs: Callable[[M], bool]) -> Iterator[M]:
        """What the index shows at a place and belongs there, never consistent.

        A tenant's jobs may write any index key into rows of their own. They cost every look at that place, until
        `strip` has taken them out; a look that finds nothing else for `STRANGE_PAGES` pages ends.
        """
        request = self._query(place, None, table.INDEX, newest_first=False, limit=None)
        strange_pages = 0
        while strange_pages < STRANGE_PAGES:
            answer = self.call("Query", dict(request))
            strange = True
            for raw in filter(self._lives, answer["Items"]):
                item = _readable(model, raw)
                if item is None or not _is_small(raw) or not _holds(belongs, item):
                    self.note_stranger((raw[table.PARTITION_KEY]["S"], raw[table.SORT_KEY]["S"]), place)
                    continue
                strange = False
                yield item
            if not answer.get("LastEvaluatedKey"):
                return
            strange_pages += strange
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def note_stranger(self, key: Key, place: str) -> None:
        if len(self.strangers) < STRANGERS:
            self.strangers[key] = place

    def _query(
        self, partition: str, begins_with: str | None, index: str | None, *, newest_first: bool, limit: int | None
    ) -> dict[str, Any]:
        hash_key, range_key = (
            (table.INDEX_PARTITION_KEY, table.INDEX_SORT_KEY) if index else (table.PARTITION_KEY, table.SORT_KEY)
        )
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "#h = :h" + (" AND begins_with(#r, :r)" if begins_with else ""),
            "ExpressionAttributeNames": {"#h": hash_key, **({"#r": range_key} if begins_with else {})},
            "ExpressionAttributeValues": {
                ":h": {"S": partition},
                **({":r": {"S": begins_with}} if begins_with else {}),
            },
            "ScanIndexForward": not newest_first,
        }
        return request | ({"IndexName": index} if index else {}) | ({"Limit": limit} if limit else {})

    def batch_get(
        self, model: type[M], keys: Iterable[Key], *, consistent: bool = True, forgiving: bool = False
    ) -> dict[Key, M]:
        """What exists of the keys; duplicates are asked once, what DynamoDB leaves over is asked again.

        `forgiving` passes over what is not of the model, where anybody may have given the keys.
        """
        wanted = list(dict.fromkeys(keys))
        pages = [wanted[start : start + BATCH_GET] for start in range(0, len(wanted), BATCH_GET)]
        found: dict[Key, M] = {}
        for items in self.each(lambda page: self._page(page, consistent=consistent), pages):
            for item in filter(self._lives, items):
                typed = _readable(model, item) if forgiving else _typed(model, item)
                if typed is not None:
                    found[item[table.PARTITION_KEY]["S"], item[table.SORT_KEY]["S"]] = typed
        return found

    def _page(self, keys: Sequence[Key], *, consistent: bool) -> list[dict[str, Any]]:
        pending: Any = {self.name: {"Keys": [_key(key) for key in keys], "ConsistentRead": consistent}}
        items: list[dict[str, Any]] = []
        for attempt in itertools.count():
            answer = self.call("BatchGetItem", {"RequestItems": pending})
            items += answer["Responses"].get(self.name, [])
            pending = answer.get("UnprocessedKeys")
            if not pending:
                break
            _pause(attempt)
        return items

    # -- writing -------------------------------------------------------------------------------------------------

    def put(self, item: Item, condition: Any = None) -> None:
        self._conditional("PutItem", self.putting(item, condition))

    def update(self, key: Key, actions: list[Any], condition: Any = None) -> None:
        """Raises ConditionFailed with the old item."""
        self.apply(self.updating(key, actions, condition))

    def apply(self, update: dict[str, Any]) -> None:
        """An update made by `updating`, by itself. Raises ConditionFailed."""
        self._conditional("UpdateItem", update)

    def putting(self, item: Item, condition: Any = None) -> dict[str, Any]:
        attributes = item.serialize()
        pk, sk = attributes.pop(table.PARTITION_KEY)["S"], attributes.pop(table.SORT_KEY)["S"]
        return self._write(pk, sk, "Item", condition, attributes=attributes)

    def updating(self, key: Key, actions: list[Any], condition: Any = None) -> dict[str, Any]:
        return self._write(*key, "Key", condition, actions=actions)

    def deleting(self, key: Key, condition: Any = None) -> dict[str, Any]:
        return self._write(*key, "Key", condition)

    def checking(self, key: Key, condition: Any) -> dict[str, Any]:
        return self._write(*key, "Key", condition)

    def delete(self, key: Key, condition: Any = None) -> None:
        """Raises ConditionFailed with the old item."""
        self._conditional("DeleteItem", self.deleting(key, condition))

    def strip(self) -> list[Key]:
        """Takes the index keys off the rows that do not belong where the index showed them; says off which."""
        noted, self.strangers = self.strangers, {}
        stripped = self.each(self._strip, list(noted.items()))
        return [key for key, was_there in zip(noted, stripped, strict=True) if was_there]

    def _strip(self, stranger: tuple[Key, str]) -> bool:
        key, place = stranger
        try:
            self.update(key, [Item.g2pk.remove(), Item.g2sk.remove()], Item.g2pk == place)
        except (ConditionFailed, Unreadable):
            return False  # the index lags: it is not there any more
        return True

    def put_all(self, items: Sequence[Item]) -> None:
        """Many puts without conditions, 25 to a request; what DynamoDB leaves over is sent again."""
        self.put_raw([item.serialize() for item in items])

    def put_raw(self, rows: Sequence[dict[str, Any]]) -> None:
        """The same of rows as DynamoDB has them."""
        self._send_all([{"PutRequest": {"Item": row}} for row in rows])

    def delete_all(self, keys: Sequence[Key]) -> None:
        """Many deletions without conditions; what is not there is no error."""
        self._send_all([{"DeleteRequest": {"Key": _key(key)}} for key in keys])

    def _send_all(self, writes: Sequence[dict[str, Any]]) -> None:
        pages = [writes[start : start + BATCH_WRITE] for start in range(0, len(writes), BATCH_WRITE)]
        self.each(self._write_page, pages)

    def _write_page(self, page: Sequence[dict[str, Any]]) -> None:
        pending: Any = {self.name: list(page)}
        for attempt in itertools.count():
            pending = self.call("BatchWriteItem", {"RequestItems": pending}).get("UnprocessedItems")
            if not pending:
                return
            _pause(attempt)

    def _write(self, pk: str, sk: str, part: str, condition: Any, **more: Any) -> dict[str, Any]:
        request: dict[str, Any] = self.connection.get_operation_kwargs(
            self.name,
            pk,
            sk,
            key=part,
            condition=condition,
            return_values_on_condition_failure="ALL_OLD" if condition is not None else None,
            **more,
        )
        return request

    def _conditional(self, operation: str, request: dict[str, Any]) -> None:
        try:
            self.call(operation, request)
        except VerboseClientError as error:
            if _code(error) != "ConditionalCheckFailedException":
                raise
            old = _response(error).get("Item")
            raise ConditionFailed(_typed(Item, old) if old else None) from error

    def transact(self, writes: Sequence[Write]) -> None:
        """All or nothing. Raises Cancelled."""
        try:
            self.call("TransactWriteItems", {"TransactItems": [{verb: request} for verb, request in writes]})
        except VerboseClientError as error:
            reasons = _response(error).get("CancellationReasons", [])
            failed = {
                position: _typed(Item, reason["Item"]) if reason.get("Item") else None
                for position, reason in enumerate(reasons)
                if reason.get("Code") == "ConditionalCheckFailed"
            }
            if not failed:
                raise
            raise Cancelled(failed) from error

    def each(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """The work done on each item, side by side: one item's round trip hides behind the others'."""
        if len(items) < 2 or self.workers < 2:
            return [work(item) for item in items]
        with ThreadPoolExecutor(min(self.workers, len(items))) as pool:
            return list(pool.map(work, items))


def sets(model: type[Item], known: dict[str, Any]) -> list[Any]:
    """SET actions for what is known; None leaves an attribute as it is."""
    return [getattr(model, name).set(value) for name, value in known.items() if value is not None]


def _key(key: Key) -> dict[str, Any]:
    return {table.PARTITION_KEY: {"S": key[0]}, table.SORT_KEY: {"S": key[1]}}


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, min(1.0, 0.02 * 2**attempt)))  # noqa: S311 - jitter, no secret


def _typed(model: type[M], raw: dict[str, Any]) -> M:
    try:
        item: M = model.from_raw_data(raw)
    except Exception as error:
        place = [raw.get(name, {}).get("S") for name in (table.PARTITION_KEY, table.SORT_KEY)]
        raise Unreadable(f"row {place} cannot be read as {model.__name__}: {error}") from error
    return item


def _readable(model: type[M], raw: dict[str, Any]) -> M | None:
    """None of what is no item of the model's: a row of a tenant's must not keep the others waiting."""
    try:
        item = _typed(model, raw)
    except Unreadable:
        return None
    return item if isinstance(item, model) else None


def _is_small(raw: dict[str, Any]) -> bool:
    return len(str(raw)) <= ROW_BYTES


def _holds(belongs: Callable[[M], bool], item: M) -> bool:
    try:
        return belongs(item)
    except Exception:
        return False  # it lacks what it would be judged by


def _response(error: VerboseClientError) -> dict[str, Any]:
    # pynamodb keeps only code and message; the whole answer is on the botocore error underneath.
    return getattr(error.__cause__, "response", None) or error.response


def _code(error: VerboseClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _passes(error: VerboseClientError) -> bool:
    if _code(error) in {"TransactionConflictException", "TransactionInProgressException", "ThrottlingException"}:
        return True
    codes = {reason.get("Code") for reason in _response(error).get("CancellationReasons", [])} - {"None", None}
    return bool(codes) and codes <= PASSING
