"""Arrays, maps and functions over them as Trino means them."""

from collections.abc import Callable
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types

from local_cloud.athena.errors import QueryFailed
from local_cloud.athena.functions import RENAMED
from local_cloud.athena.inference import Kinds
from local_cloud.athena.moments import at_time_zone
from local_cloud.athena.nodes import Rule, call, in_try, macro, string, unsupported


def _bracket(t: Kinds, node: exp.Bracket) -> Any:
    """A subscript outside of the array, or a missing key, is an error."""
    if len(node.expressions) != 1:
        raise unsupported("a subscript of several values")
    index, kind = node.expressions[0], t.kind(node.this)
    is_map = kind.name == "MAP" if kind else isinstance(index, exp.Literal) and index.is_string
    if node.args.get("returns_list_for_maps") or _is_element_at(node):
        return None
    container = node.this
    position = _one_based(node, index)
    if is_map:
        return call("element_at", container, position) if in_try(node) else call("lake_key", container, position)
    return call("list_extract", container, position) if in_try(node) else call("lake_at", container, position)


def _is_element_at(node: exp.Bracket) -> bool:
    return bool(node.args.get("safe"))


def _one_based(node: exp.Bracket, index: exp.Expression) -> exp.Expression:
    """The parser counts from zero where it knows that the index is a number."""
    if isinstance(index, exp.Literal) and index.is_string:
        return index
    offset = 1 - (node.args.get("offset") or 0)
    shifted = annotate_types(index.copy()).is_type(*exp.DataType.INTEGER_TYPES)
    if not shifted or not offset:
        return index
    if isinstance(index, exp.Literal):
        return exp.Literal.number(int(index.this) + offset)
    return exp.Add(this=exp.Paren(this=index.copy()), expression=exp.Literal.number(offset))


def _match(name: str) -> Callable[[exp.Anonymous], exp.Expression]:
    return lambda node: call(name, call("list_transform", node.expressions[0], node.expressions[1]))


def _map_lambda(node: exp.Anonymous, body_of: Callable[[exp.Expression, exp.Expression], exp.Expression]) -> Any:
    """A function over key and value as one over entries."""
    function = node.expressions[1]
    if not isinstance(function, exp.Lambda) or len(function.expressions) != 2:
        raise QueryFailed("TYPE_MISMATCH", f"{node.name.lower()} takes a function of key and value")
    key, value = (parameter.name for parameter in function.expressions)
    body = function.this.copy()
    holder = exp.Paren(this=body)
    for column in list(holder.find_all(exp.Column, exp.Identifier)):
        if isinstance(column, exp.Identifier) and not isinstance(column.parent, exp.Lambda | exp.Column):
            parts = {key: "key", value: "value"}
            if column.name in parts and column.parent is not None:
                column.replace(_entry(parts[column.name]))
        elif isinstance(column, exp.Column) and not column.table and column.name in (key, value):
            column.replace(_entry("key" if column.name == key else "value"))
    return body_of(node.expressions[0], holder)


def _entry(part: str) -> exp.Expression:
    return call("struct_extract", exp.column("lake_entry"), string(part))


def _lambda(body: exp.Expression) -> exp.Lambda:
    return exp.Lambda(this=body, expressions=[exp.to_identifier("lake_entry")])


def _map_filter(node: exp.Anonymous) -> Any:
    return _map_lambda(
        node,
        lambda source, body: call("map_from_entries", call("list_filter", call("map_entries", source), _lambda(body))),
    )


def _transform_values(node: exp.Anonymous) -> Any:
    return _map_lambda(
        node,
        lambda source, body: call(
            "map", call("map_keys", source), call("list_transform", call("map_entries", source.copy()), _lambda(body))
        ),
    )


def _transform_keys(node: exp.Anonymous) -> Any:
    return _map_lambda(
        node,
        lambda source, body: call(
            "map", call("list_transform", call("map_entries", source), _lambda(body)), call("map_values", source.copy())
        ),
    )


_SPECIAL: dict[str, Callable[[exp.Anonymous], Any]] = {
    "any_match": _match("lake_any"),
    "all_match": _match("lake_all"),
    "none_match": _match("lake_none"),
    "map_filter": _map_filter,
    "transform_values": _transform_values,
    "transform_keys": _transform_keys,
}


def _anonymous(t: Kinds, node: exp.Anonymous) -> Any:
    name = node.name.lower()
    if name == "at_timezone":
        return at_time_zone(t, node)
    if name in _SPECIAL:
        return _SPECIAL[name](node)
    target = RENAMED.get(name)
    return call(target, *node.expressions) if target else None


def _reduce(_: Kinds, node: exp.Reduce) -> Any:
    finish = node.args.get("finish")
    if finish is not None:
        is_identity = isinstance(finish, exp.Lambda) and finish.this.name == finish.expressions[0].name
        if not is_identity or not isinstance(finish.this, exp.Identifier | exp.Column):
            raise unsupported("reduce with a final function other than s -> s")
    return call("list_reduce", node.this, node.args["merge"], node.args["initial"])


def _array_sort(_: Kinds, node: exp.ArraySort) -> Any:
    if node.expression is not None:
        raise unsupported("array_sort with a comparator")
    return call("list_sort", node.this, string("ASC"), string("NULLS LAST"))


def _unnest(t: Kinds, node: exp.Unnest) -> Any:
    """Several arrays side by side, maps as key and value, arrays of rows as their fields."""
    alias = node.args.get("alias")
    columns = [column.name for column in alias.columns] if alias else []
    values = _unnested(t, node, len(columns))
    if values is None:
        return None
    if node.args.get("offset"):
        raise unsupported("UNNEST of maps, rows or several arrays WITH ORDINALITY")
    if len(values) != len(columns):
        raise QueryFailed("SYNTAX_ERROR", f"UNNEST gives {len(values)} columns, its alias names {len(columns)}")
    selected = [
        exp.alias_(call("unnest", value), name, quoted=True) for value, name in zip(values, columns, strict=True)
    ]
    table = exp.TableAlias(this=alias.this.copy())
    return exp.Lateral(this=exp.Subquery(this=exp.select(*selected)), alias=table)


def _unnested(t: Kinds, node: exp.Unnest, names: int) -> list[exp.Expression] | None:
    """What each column unnests; None where DuckDB's own UNNEST does the same."""
    if len(node.expressions) > 1:
        return list(node.expressions)
    source = node.expressions[0]
    kind = t.kind(source)
    if kind and kind.name == "MAP":
        return [call("map_keys", source.copy()), call("map_values", source.copy())]
    element = kind.fields[0][1] if kind and kind.name == "LIST" else None
    if element and element.name == "STRUCT" and (names != 1 or len(element.fields) == 1):
        return [_field_of_each(source, field) for field, _ in element.fields]
    if names > 1:
        raise unsupported("UNNEST into several columns of a value whose type is not known before the query runs")
    return None


def _field_of_each(source: exp.Expression, field: str) -> exp.Expression:
    body = call("struct_extract", exp.column("lake_entry"), string(field))
    return call("list_transform", source.copy(), _lambda(body))


RULES: dict[type, Rule] = {
    exp.Bracket: _bracket,
    exp.Anonymous: _anonymous,
    exp.ArraySort: _array_sort,
    exp.Unnest: _unnest,
    exp.Reduce: _reduce,
    exp.ArraySlice: macro("lake_slice", "this", "start", "end"),
    exp.Repeat: macro("lake_repeat", "this", "times"),
    exp.ArrayDistinct: macro("lake_array_distinct", "this"),
    exp.ArrayPosition: macro("lake_array_position", "this", "expression"),
    exp.ArrayRemove: macro("lake_array_remove", "this", "expression"),
    exp.ArrayIntersect: lambda _, node: call("lake_array_intersect", *node.expressions),
}
