"""Which partitions a query needs: the conditions of its WHERE clauses that speak of partition columns only."""
# ruff: noqa: S608  every name and value in these texts is quoted by types.quoted and types.text

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local_cloud.athena.types import Type, quoted, text

if TYPE_CHECKING:
    import duckdb

ALIAS = "lake_partitions"


@dataclass
class Conditions:
    """Per reference of a table: conditions as syntax trees. A reference without any needs every partition."""

    references: list[list[Any]] = field(default_factory=list)

    def merge(self, other: "Conditions") -> None:
        self.references += other.references


def conditions(tree: Any, table: Any, keys: Sequence[str]) -> list[Any]:
    """Conditions that every row of this reference must meet, over the partition keys alone."""
    from sqlglot import exp

    select = table.find_ancestor(exp.Select)
    if select is None or not keys or _is_joined_elsewhere(table, select):
        return []
    where = select.args.get("where")
    found = where.this.flatten() if where and isinstance(where.this, exp.And) else [where.this] if where else []
    alone = len(list(_sources(select))) == 1
    del tree
    return [condition for condition in found if _speaks_of(condition, table.alias_or_name, keys, alone=alone)]


def _sources(select: Any) -> Any:
    yield select.args.get("from_")
    yield from select.args.get("joins") or []
    yield from select.args.get("laterals") or []


def _is_joined_elsewhere(table: Any, select: Any) -> bool:
    """A table inside a parenthesised join is left unpruned."""
    from sqlglot import exp

    return not isinstance(table.parent, exp.From | exp.Join) or table.find_ancestor(exp.Select) is not select


def _speaks_of(condition: Any, alias: str, keys: Sequence[str], *, alone: bool) -> bool:
    from sqlglot import exp

    if any(True for _ in condition.find_all(exp.Query, exp.AggFunc, exp.Window, exp.Rand, exp.Anonymous)):
        return False
    columns = list(condition.find_all(exp.Column))
    if not columns:
        return False
    for column in columns:
        if column.name.lower() not in keys:
            return False
        owner = column.table.lower()
        if owner != alias.lower() and (owner or not alone):
            return False
    return True


def keep(
    connection: "duckdb.DuckDBPyConnection",
    keys: Sequence[tuple[str, Type]],
    rows: Sequence[Sequence[str | None]],
    needed: Conditions,
) -> list[int]:
    """Positions of the partitions that at least one reference needs. `rows` are values as text, as Hive stores them."""
    names = {name for name, _ in keys}
    useful = [[c for c in reference if _columns(c) <= names] for reference in needed.references]
    if not rows or not useful or any(not reference for reference in useful):
        return list(range(len(rows)))
    chosen: set[int] = set()
    for reference in useful:
        chosen |= _matching(connection, keys, rows, reference)
    return sorted(chosen)


def _columns(condition: Any) -> set[str]:
    from sqlglot import exp

    return {column.name.lower() for column in condition.find_all(exp.Column)}


def _matching(
    connection: "duckdb.DuckDBPyConnection",
    keys: Sequence[tuple[str, Type]],
    rows: Sequence[Sequence[str | None]],
    reference: list[Any],
) -> set[int]:
    """A condition that fails on some value rules nothing out: the query itself will tell."""
    import duckdb

    found = set(range(len(rows)))
    for condition in reference:
        with contextlib.suppress(duckdb.Error):
            found &= _meeting(connection, keys, rows, condition)
    return found


def _meeting(
    connection: "duckdb.DuckDBPyConnection",
    keys: Sequence[tuple[str, Type]],
    rows: Sequence[Sequence[str | None]],
    condition: Any,
) -> set[int]:
    from local_cloud.athena.translate import Translation

    bare = condition.copy()
    _unqualify(bare)
    written = Translation(dict(keys)).expression(bare)
    unknown = ", ".join(f"CAST(NULL AS {kind.sql}) AS {quoted(name)}" for name, kind in keys)
    # A row that an outer join fills with NULLs may meet the condition as well: then nothing can be left out.
    if connection.execute(f"SELECT ({written}) IS TRUE FROM (SELECT {unknown})").fetchall()[0][0]:
        return set(range(len(rows)))
    values = ", ".join(_row(index, keys, row) for index, row in enumerate(rows))
    names = ", ".join(["lake_position", *(quoted(name) for name, _ in keys)])
    query = f"SELECT lake_position FROM (VALUES {values}) AS {ALIAS}({names}) WHERE {written}"
    return {int(row[0]) for row in connection.execute(query).fetchall()}


def _unqualify(condition: Any) -> None:
    from sqlglot import exp

    for column in condition.find_all(exp.Column):
        column.set("table", None)


def _row(index: int, keys: Sequence[tuple[str, Type]], row: Sequence[str | None]) -> str:
    shown = [literal(value, kind) for value, (_, kind) in zip(row, keys, strict=True)]
    return f"({', '.join([str(index), *shown])})"


def literal(value: str | None, kind: Type) -> str:
    """A partition value, typed."""
    return f"CAST({'NULL' if value is None else text(value)} AS {kind.sql})"
