"""What requests to the ledger cost in DynamoDB's units: calls, and write and read units worked out from the items.

    meter = Meter(boto3.client("dynamodb"), table.definition(name))
    meter.attach(ledger.store.connection.client)
    …
    meter.calls, meter.write_units, meter.read_units

DynamoDB's own figures (`ReturnConsumedCapacity`) are made up by emulators. The rules are the service's: an item costs
a write unit per KB of its larger image, twice in a transaction, also when its condition refuses it; an index entry
costs one when it appears, goes or changes, and two when its key changes.
"""

import json
import math
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

Item = dict[str, Any]
Key = tuple[str, str]

WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})
KB = 1024


class Meter:
    """Counts what clients that it is attached to ask of one table. `observer` reads items before and after a write."""

    def __init__(self, observer: Any, definition: Mapping[str, Any]) -> None:
        self.observer = observer
        self.table = str(definition["TableName"])
        self.key = [part["AttributeName"] for part in definition["KeySchema"]]
        self.indexes = [_index(index) for index in definition.get("GlobalSecondaryIndexes", ())]
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.calls: Counter[str] = Counter()
        self.write_units = 0.0
        self.index_units = 0.0
        self.read_units = 0.0
        self.by_kind: Counter[str] = Counter()

    def attach(self, client: Any) -> None:
        client.meta.events.register_first("before-call.dynamodb", self._before)
        client.meta.events.register_last("after-call.dynamodb", self._after)

    def _before(self, model: Any, params: Any, context: Any, **_: Any) -> None:
        request = json.loads(params["body"])
        keys = sorted(set(self._written(model.name, request)))
        context["metered"] = request, {key: self._item(key) for key in keys}

    def _after(self, model: Any, parsed: Any, context: Any, **_: Any) -> None:
        request, before = context.get("metered", ({}, {}))
        with self.lock:
            self.calls[model.name] += 1
            self.read_units += _read(request, parsed)
        factor = 2 if model.name == "TransactWriteItems" else 1
        for key, old in before.items():
            self._count(old, self._item(key), factor)

    def _count(self, old: Item, new: Item, factor: int) -> None:
        base = factor * _units(max(size(old), size(new)))
        index = sum(
            _index_units(_image(old, names, keys), _image(new, names, keys), keys) for keys, names in self.indexes
        )
        kind = (new or old).get("kind", {}).get("S", "?")
        with self.lock:
            self.write_units += base + index
            self.index_units += index
            self.by_kind[kind] += base + index

    def _written(self, operation: str, request: Mapping[str, Any]) -> Iterator[Key]:
        if operation not in WRITES:
            return
        if operation == "TransactWriteItems":
            parts = [part for action in request["TransactItems"] for part in action.values()]
        elif operation == "BatchWriteItem":
            parts = [part for puts in request["RequestItems"].values() for put in puts for part in put.values()]
        else:
            parts = [request]
        for part in parts:
            held = part.get("Key") or part["Item"]
            yield held[self.key[0]]["S"], held[self.key[1]]["S"]

    def _item(self, key: Key) -> Item:
        asked = {name: {"S": value} for name, value in zip(self.key, key, strict=True)}
        found: Item = self.observer.get_item(TableName=self.table, Key=asked, ConsistentRead=True).get("Item") or {}
        return found


def size(item: Mapping[str, Any]) -> int:
    """Bytes of an item as DynamoDB counts them: names and values."""
    return sum(len(name.encode()) + _value(value) for name, value in item.items())


def _value(value: Mapping[str, Any]) -> int:
    [(kind, held)] = value.items()
    if kind in {"S", "B"}:
        return len(held if isinstance(held, bytes) else held.encode())
    if kind == "N":
        return math.ceil(len(held.strip("-").replace(".", "")) / 2) + 1
    if kind == "L":
        return 3 + sum(1 + _value(one) for one in held)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _value(one) for name, one in held.items())
    if kind in {"SS", "NS", "BS"}:
        return sum(map(len, held))
    return 1


def _units(size_in_bytes: int) -> int:
    return max(1, math.ceil(size_in_bytes / KB))


def _index(index: Mapping[str, Any]) -> tuple[tuple[str, ...], frozenset[str]]:
    keys = tuple(part["AttributeName"] for part in index["KeySchema"])
    return keys, frozenset({*keys, *index["Projection"].get("NonKeyAttributes", ())})


def _image(item: Item, names: frozenset[str], keys: tuple[str, ...]) -> Item:
    """The item's entry in an index; none without the index's keys."""
    if not all(key in item for key in keys):
        return {}
    return {name: value for name, value in item.items() if name in names or name in {"PK", "SK"}}


def _index_units(old: Item, new: Item, keys: tuple[str, ...]) -> int:
    if old == new:
        return 0
    if old and new and any(old[key] != new[key] for key in keys):
        return _units(size(old)) + _units(size(new))
    return _units(max(size(old), size(new)))


def _read(request: Mapping[str, Any], parsed: Mapping[str, Any]) -> float:
    """4 KB to a unit, half for reads that need not be consistent; each item by itself but in a query."""
    pages = [parsed["Item"]] if parsed.get("Item") else []
    consistent = bool(request.get("ConsistentRead"))
    for name, items in (parsed.get("Responses") or {}).items():
        pages += items
        consistent = bool(request["RequestItems"][name].get("ConsistentRead"))
    units = sum(max(1, math.ceil(size(item) / (4 * KB))) for item in pages)
    if "Items" in parsed:
        units += max(1, math.ceil(sum(map(size, parsed["Items"])) / (4 * KB)))
    return units if consistent else units / 2
