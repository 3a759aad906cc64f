"""All of one tenant's rows of a ledger: read as they are, for an archive; deleted; and put back from one."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lineage import notices, table
from lineage.items import Pointer
from lineage.store import Key, Store

__all__ = ["Archive"]

PAGE = 5_000  # rows that are handed over at a time
POINTERS = (table.bucket_pk(""), table.glue_job_pk(""))

Row = Mapping[str, Any]
"""A row as DynamoDB's own JSON has it, bytes in base 64: `{"PK": {"S": "T#acme#META"}, …}`."""


class Archive:
    """The rows under the tenant's prefix, and those by which the platform knows it: the fleet's entry, the pointers
    from its bucket and its jobs, its turn, the tallies of what it was told.
    """

    def __init__(self, store: Store, tenant: str) -> None:
        self.store, self.tenant = store, tenant

    def chunks(self) -> Iterator[Sequence[Row]]:
        """A pass over the whole table, consistent. The platform's rows come first: who is not in the fleet is not
        looked for below its prefix either.
        """
        chunk = [plain(row) for row in self._fleet()]
        seen = {key_of(row) for row in chunk}
        if chunk:
            yield chunk
        chunk = []
        for row in map(plain, self._scan()):
            if key_of(row) in seen:
                continue
            chunk.append(row)
            if len(chunk) >= PAGE:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def delete(self, rows: Sequence[Row]) -> None:
        """Whatever they say by now; what is gone already is no error."""
        self.store.delete_all([key_of(row) for row in rows])

    def restore(self, rows: Iterable[Row]) -> None:
        """Put rows back as they were, in place of any that are there."""
        self.store.put_raw([raw(row) for row in rows])

    def _fleet(self) -> list[dict[str, Any]]:
        found = [self.store.get_raw(key) for key in ((table.FLEET, self.tenant), (table.TURNS, self.tenant))]
        return [row for row in found if row is not None]

    def _scan(self) -> Iterator[dict[str, Any]]:
        request: dict[str, Any] = {
            "TableName": self.store.name,
            "ConsistentRead": True,
            "FilterExpression": "begins_with(#p, :own) OR begins_with(#p, :platform)",
            "ExpressionAttributeNames": {"#p": table.PARTITION_KEY},
            "ExpressionAttributeValues": {
                ":own": {"S": table.TENANT_PREFIX.format(tenant=self.tenant)},
                ":platform": {"S": "PLATFORM#"},
            },
        }
        while True:
            answer = self.store.call("Scan", dict(request))
            yield from filter(self._is_own, answer["Items"])
            if not answer.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _is_own(self, row: Mapping[str, Any]) -> bool:
        partition, sort = row[table.PARTITION_KEY]["S"], row[table.SORT_KEY]["S"]
        if partition in {table.FLEET, table.TURNS}:
            return bool(sort == self.tenant)
        if partition == notices.PLATFORM_PK:
            return bool(notices.tenant_of(sort) == self.tenant)
        if partition.startswith(POINTERS):
            return bool(row.get(Pointer.tenant.attr_name, {}).get("S") == self.tenant)
        return bool(partition.startswith(table.TENANT_PREFIX.format(tenant=self.tenant)))


def key_of(row: Row) -> Key:
    return row[table.PARTITION_KEY]["S"], row[table.SORT_KEY]["S"]


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {kind: _plain(kind, value) for kind, value in typed.items()} for name, typed in row.items()}


def _plain(kind: str, value: Any) -> Any:
    if kind == "B":
        return base64.b64encode(value).decode()
    if kind == "BS":
        return [base64.b64encode(each).decode() for each in value]
    if kind == "M":
        return plain(value)
    return [plain({"": each})[""] for each in value] if kind == "L" else value


def raw(row: Row) -> dict[str, Any]:
    return {name: {kind: _raw(kind, value) for kind, value in typed.items()} for name, typed in row.items()}


def _raw(kind: str, value: Any) -> Any:
    if kind == "B":
        return base64.b64decode(value)
    if kind == "BS":
        return [base64.b64decode(each) for each in value]
    if kind == "M":
        return raw(value)
    return [raw({"": each})[""] for each in value] if kind == "L" else value
