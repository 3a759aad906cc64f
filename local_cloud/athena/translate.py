"""Trino's SQL as Athena speaks it, rewritten so that DuckDB gives the same values, or refused.

DuckDB has functions of the same name and another meaning; each is rewritten here (macros.py holds the SQL), and what
cannot be told apart before the query runs is guarded so that it fails loudly instead of answering differently.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import ErrorLevel, UnsupportedError, exp
from sqlglot.optimizer.annotate_types import annotate_types

from local_cloud.athena import names
from local_cloud.athena.errors import QueryFailed
from local_cloud.athena.functions import PLAIN, RENAMED
from local_cloud.athena.types import Type

INTEGERS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19}
FLOATS = {"DOUBLE", "FLOAT"}
MAX_PRECISION = 38
UNNAMED = "__unnamed_"
UNKNOWN = None
Kind = Type | None
REFUSED_NODES: tuple[tuple[str, str], ...] = (
    ("Pivot", "PIVOT"),
    ("Into", "SELECT INTO"),
    ("Columns", "COLUMNS"),
    ("Parameter", "parameters"),
    ("Command", "statements inside a query"),
    ("Insert", "statements inside a query"),
    ("Delete", "statements inside a query"),
    ("Update", "statements inside a query"),
    ("Create", "statements inside a query"),
    ("Drop", "statements inside a query"),
    ("MatchRecognize", "MATCH_RECOGNIZE"),
    ("Qualify", "QUALIFY"),
    ("JSONTable", "JSON_TABLE"),
    ("JSONValue", "json_value"),
    ("JSONExists", "json_exists"),
)


@dataclass
class Translation:
    """One query's rewriting. `columns` are the catalog's types by column name, where all tables agree on them."""

    columns: Mapping[str, Kind]
    aliases: dict[str, Kind] = field(default_factory=dict)

    def run(self, tree: exp.Expression) -> str:
        """DuckDB's text of the query."""
        refuse_unknown(tree)
        name_columns(tree)
        self._visit(tree)
        for node in tree.find_all(exp.Table):
            node.set("catalog", None)
        try:
            return tree.sql("duckdb", unsupported_level=ErrorLevel.RAISE)
        except UnsupportedError as e:
            raise QueryFailed("NOT_SUPPORTED", str(e)) from e

    def expression(self, node: exp.Expression) -> str:
        """DuckDB's text of a condition."""
        holder = exp.Paren(this=node)
        refuse_unknown(holder)
        self._visit(holder)
        return holder.sql("duckdb", unsupported_level=ErrorLevel.RAISE)

    def _visit(self, node: exp.Expression) -> None:
        """Children first, and what a SELECT reads from before what it computes."""
        first = ("with_", "from_", "joins", "laterals", "this")
        keys = [key for key in first if key in node.args] + [key for key in node.args if key not in first]
        for key in keys:
            value = node.args[key]
            for child in list(value) if isinstance(value, list) else [value]:
                if isinstance(child, exp.Expression):
                    self._visit(child)
        self._rewrite(node)

    def _rewrite(self, node: exp.Expression) -> None:
        kind = self.kind(node)
        rule = RULES.get(type(node))
        replacement = rule(self, node) if rule else None
        if replacement is not None and replacement is not node:
            node.replace(replacement)
            node = replacement
        node.meta["kind"] = kind
        if isinstance(node, exp.Alias):
            self._remember(node.alias.lower(), kind)
        elif isinstance(node, exp.TableAlias):
            for column in node.columns:
                self.aliases[column.name.lower()] = UNKNOWN

    def _remember(self, name: str, kind: Kind) -> None:
        known = self.aliases.get(name, self.columns.get(name, kind))
        self.aliases[name] = kind if known == kind else UNKNOWN

    def kind(self, node: Any) -> Kind:
        """The type of an expression where it is certain, else None."""
        if not isinstance(node, exp.Expression):
            return UNKNOWN
        if "kind" in node.meta:
            return node.meta["kind"]  # type: ignore[no-any-return]
        if isinstance(node, exp.Column):
            name = node.name.lower()
            return self.aliases[name] if name in self.aliases else self.columns.get(name)
        return _kind(self, node)


def refuse_unknown(tree: exp.Expression) -> None:
    """Raises QueryFailed for functions and clauses that are not answered."""
    refused = {getattr(exp, name): words for name, words in REFUSED_NODES if hasattr(exp, name)}
    for node in tree.walk():
        if type(node) in refused:
            raise QueryFailed("NOT_SUPPORTED", f"{refused[type(node)]} is not answered by the local cloud")
        if isinstance(node, exp.Placeholder):
            raise QueryFailed("INVALID_PARAMETER_USAGE", "Incorrect number of parameters: a ? has no value")
        if isinstance(node, exp.Anonymous):
            if node.name.lower() not in RENAMED:
                raise not_registered(node.name.lower(), node)
        elif isinstance(node, exp.Func) and type(node).__name__ not in PLAIN:
            raise not_registered(node.sql_name().lower(), node)


def not_registered(name: str, node: exp.Expression) -> QueryFailed:
    return QueryFailed("FUNCTION_NOT_FOUND", f"Function '{name}' not registered in the local cloud", names.place(node))


def unsupported(what: str) -> QueryFailed:
    return QueryFailed("NOT_SUPPORTED", f"{what} is not answered by the local cloud")


def name_columns(tree: exp.Expression) -> None:
    """Names for computed columns: `_colN` in subqueries, a mark in the outermost SELECT (see `shown_names`)."""
    for select in list(tree.find_all(exp.Select)):
        mark = UNNAMED if _is_outermost(select, tree) else "_col"
        for index, expression in enumerate(list(select.expressions)):
            named = isinstance(expression, exp.Alias | exp.Column | exp.Star | exp.Dot | exp.Aliases)
            if not named and not _is_scalar_context(select):
                expression.replace(exp.alias_(expression.copy(), f"{mark}{index}"))


def shown_names(columns: list[str]) -> list[str]:
    """Names as Athena reports them: `_colN` counts the columns after `*` was expanded."""
    return [f"_col{index}" if name.startswith(UNNAMED) else name for index, name in enumerate(columns)]


def _is_outermost(select: exp.Expression, tree: exp.Expression) -> bool:
    node = select
    while (
        node is not tree and isinstance(node.parent, exp.SetOperation | exp.Subquery) and node.arg_key != "expression"
    ):
        node = node.parent
    return node is tree


def _is_scalar_context(select: exp.Expression) -> bool:
    return isinstance(select.parent, exp.Exists | exp.In)


# Types


def _kind(translation: Translation, node: exp.Expression) -> Kind:  # one branch per node class
    of = translation.kind
    match node:
        case exp.Literal():
            return _literal_kind(node)
        case exp.Boolean():
            return Type("BOOLEAN")
        case exp.Paren() | exp.Neg() | exp.Alias() | exp.Window() | exp.Filter() | exp.Distinct() | exp.Order():
            inner = node.this if node.this is not None else (node.expressions or [None])[0]
            return of(inner)
        case exp.Cast():
            return data_type(node.to)
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div() | exp.Mod():
            return _arithmetic_kind(type(node), of(node.this), of(node.expression))
        case exp.Sum():
            return _sum_kind(of(node.this))
        case exp.Avg():
            inner = of(node.this)
            return inner if inner and inner.name == "DECIMAL" else Type("DOUBLE") if inner else UNKNOWN
        case exp.Count() | exp.CountIf() | exp.RowNumber() | exp.Rank() | exp.DenseRank() | exp.Length():
            return Type("BIGINT")
        case exp.DateDiff() | exp.ArraySize() | exp.ApproxDistinct():
            return Type("BIGINT")
        case exp.Min() | exp.Max() | exp.AnyValue() | exp.Abs() | exp.FirstValue() | exp.LastValue() | exp.Lag():
            return UNKNOWN if node.expressions else of(node.this)
        case exp.ArgMax() | exp.ArgMin() | exp.Lead() | exp.Nullif():
            return of(node.this)
        case exp.Coalesce() | exp.Greatest() | exp.Least():
            return _common([of(node.this), *(of(e) for e in node.expressions)])
        case exp.If():
            return _common([of(node.args.get("true")), *([of(f)] if (f := node.args.get("false")) else [])])
        case exp.Case():
            branches = [of(branch.args.get("true")) for branch in node.args["ifs"]]
            return _common([*branches, *([of(d)] if (d := node.args.get("default")) else [])])
        case exp.Concat() | exp.Lower() | exp.Upper() | exp.Trim() | exp.Substring() | exp.TimeToStr() | exp.DPipe():
            return Type("VARCHAR") if not isinstance(node, exp.Concat | exp.DPipe) else UNKNOWN
        case exp.CurrentDate() | exp.Date():
            return Type("DATE")
        case exp.CurrentTimestamp() | exp.UnixToTime() | exp.FromISO8601Timestamp():
            return Type("TIMESTAMP WITH TIME ZONE")
        case exp.StrToTime() | exp.Localtimestamp():
            return Type("TIMESTAMP")
        case exp.Sqrt() | exp.Cbrt() | exp.Ln() | exp.Log() | exp.Exp() | exp.Pow() | exp.Rand() | exp.Pi():
            return Type("DOUBLE")
        case exp.TimeToUnix() | exp.Stddev() | exp.StddevPop() | exp.StddevSamp() | exp.Variance() | exp.VariancePop():
            return Type("DOUBLE")
        case exp.Year() | exp.Month() | exp.Day() | exp.Hour() | exp.Minute() | exp.Second() | exp.Extract():
            return Type("BIGINT")
        case exp.Interval():
            return Type("INTERVAL")
        case exp.Array():
            return Type("LIST", fields=(("", _common([of(e) for e in node.expressions]) or Type("VARCHAR")),))
        case exp.Split() | exp.RegexpExtractAll() | exp.RegexpSplit() | exp.ArrayAgg() | exp.ArraySort():
            return Type("LIST", fields=(("", Type("VARCHAR")),))
        case exp.ArrayFilter() | exp.Transform() | exp.ArrayDistinct() | exp.ArraySlice() | exp.GenerateSeries():
            return Type("LIST", fields=(("", Type("VARCHAR")),))
        case exp.Map() | exp.MapFromEntries():
            return Type("MAP", fields=(("", Type("VARCHAR")), ("", Type("VARCHAR"))))
        case exp.Subquery():
            return UNKNOWN
    return UNKNOWN


def _literal_kind(node: exp.Literal) -> Kind:
    if node.is_string:
        return Type("VARCHAR")
    written = str(node.this)
    if "e" in written.lower():
        return Type("DOUBLE")
    if "." in written:
        whole, _, fraction = written.partition(".")
        digits = len(whole.lstrip("0")) + len(fraction)
        return Type("DECIMAL", max(digits, len(fraction), 1) if whole.lstrip("0") else len(fraction) + 1, len(fraction))
    return Type("INTEGER" if int(written) < 2**31 else "BIGINT")


def _common(kinds: list[Kind]) -> Kind:
    return kinds[0] if kinds and all(kind == kinds[0] for kind in kinds) else UNKNOWN


def _sum_kind(inner: Kind) -> Kind:
    if inner is None:
        return UNKNOWN
    if inner.name == "DECIMAL":
        return Type("DECIMAL", MAX_PRECISION, inner.scale)
    if inner.name in INTEGERS:
        return Type("BIGINT")
    return Type("DOUBLE") if inner.name in FLOATS else UNKNOWN


def _arithmetic_kind(operation: type, left: Kind, right: Kind) -> Kind:
    if left is None or right is None:
        return UNKNOWN
    if left.name in FLOATS or right.name in FLOATS:
        return Type("DOUBLE")
    if left.name in INTEGERS and right.name in INTEGERS:
        return left if INTEGERS[left.name] >= INTEGERS[right.name] else right
    if right.name == "INTERVAL":
        return left
    a, b = as_decimal(left), as_decimal(right)
    if a is None or b is None:
        return UNKNOWN
    return decimal_result(operation, a, b)


def decimal_result(operation: type, a: Type, b: Type) -> Type:
    """Trino's result type of decimal arithmetic."""
    if operation is exp.Div:
        scale = max(a.scale, b.scale)
        precision = a.precision + b.scale + max(b.scale - a.scale, 0)
    elif operation is exp.Mul:
        scale, precision = a.scale + b.scale, a.precision + b.precision
    elif operation is exp.Mod:
        scale = max(a.scale, b.scale)
        precision = min(b.precision - b.scale, a.precision - a.scale) + scale
    else:
        scale = max(a.scale, b.scale)
        precision = max(a.precision - a.scale, b.precision - b.scale) + scale + 1
    return Type("DECIMAL", min(MAX_PRECISION, max(precision, 1)), scale)


def as_decimal(kind: Kind) -> Type | None:
    if kind is None:
        return None
    if kind.name == "DECIMAL":
        return kind
    return Type("DECIMAL", INTEGERS[kind.name], 0) if kind.name in INTEGERS else None


def data_type(node: exp.DataType) -> Kind:
    """A type written in SQL."""
    names_ = {
        "TINYINT": "TINYINT", "SMALLINT": "SMALLINT", "INT": "INTEGER", "BIGINT": "BIGINT", "FLOAT": "FLOAT",
        "DOUBLE": "DOUBLE", "BOOLEAN": "BOOLEAN", "DATE": "DATE", "TIMESTAMP": "TIMESTAMP", "VARCHAR": "VARCHAR",
        "TEXT": "VARCHAR", "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE", "JSON": "JSON", "VARBINARY": "BLOB",
    }  # fmt: skip
    name = node.this.value if hasattr(node.this, "value") else str(node.this)
    if name == "DECIMAL":
        numbers = [int(param.this.this) for param in node.expressions]
        return Type("DECIMAL", numbers[0] if numbers else MAX_PRECISION, numbers[1] if len(numbers) > 1 else 0)
    if name == "ARRAY":
        return Type("LIST", fields=(("", Type("VARCHAR")),))
    if name == "MAP":
        return Type("MAP", fields=(("", Type("VARCHAR")), ("", Type("VARCHAR"))))
    return Type(names_[name]) if name in names_ else UNKNOWN


# Rules: each gives a new node, or None to leave it


def call(name: str, *arguments: Any) -> exp.Anonymous:
    """A call of one of our macros or a function of DuckDB's."""
    return exp.Anonymous(this=name, expressions=[exp.convert(a) if not _is_node(a) else a for a in arguments])


def _is_node(value: Any) -> bool:
    return isinstance(value, exp.Expression)


def _in_try(node: exp.Expression) -> bool:
    return node.find_ancestor(exp.Try) is not None


def _divide(t: Translation, node: exp.Div) -> Any:
    left, right = t.kind(node.this), t.kind(node.expression)
    a, b = node.this, node.expression
    if (left and left.name in FLOATS) or (right and right.name in FLOATS):
        return call("lake_double_div", a, b)
    if left and right and left.name in INTEGERS and right.name in INTEGERS:
        return call("lake_integer_div", a, b)
    decimals = as_decimal(left), as_decimal(right)
    if decimals[0] and decimals[1]:
        return quotient(a, decimals[0], b, decimals[1], decimal_result(exp.Div, *decimals))
    if left and left.name == "INTERVAL":
        return None
    if _in_try(node):
        raise unsupported("try() over a division of values whose types are not known (cast them first)")
    return call("lake_div", a, b)


def quotient(a: exp.Expression, kind_a: Type, b: exp.Expression, kind_b: Type, result: Type) -> exp.Expression:
    """Exact decimal division, rounded half up as Trino does."""
    text = call("lake_quotient", _as_text(a), kind_a.scale, _as_text(b), kind_b.scale, result.scale)
    return exp.cast(text, exp.DataType.build(f"DECIMAL({result.precision},{result.scale})", dialect="duckdb"))


def _as_text(node: exp.Expression) -> exp.Expression:
    return exp.cast(node.copy(), exp.DataType.build("VARCHAR", dialect="duckdb"))


def _modulo(t: Translation, node: exp.Mod) -> Any:
    kinds = t.kind(node.this), t.kind(node.expression)
    if any(kind and kind.name in FLOATS for kind in kinds):
        return None
    return call("lake_mod", _bare(node.this), _bare(node.expression))


def _bare(node: exp.Expression) -> exp.Expression:
    return node.this if isinstance(node, exp.Paren) else node


def _average(t: Translation, node: exp.Avg) -> Any:
    kind = t.kind(node.this)
    windowed = isinstance(node.parent, exp.Window) or (
        isinstance(node.parent, exp.Filter) and isinstance(node.parent.parent, exp.Window)
    )
    if kind is None:
        return None if windowed else _guarded_average(node)
    if kind.name != "DECIMAL":
        return None
    if windowed or isinstance(node.parent, exp.Filter):
        raise unsupported("avg of a decimal with OVER or FILTER (cast the value to double)")
    total = exp.Sum(this=node.this.copy())
    count = exp.Count(this=node.this.copy())
    result = quotient(total, Type("DECIMAL", MAX_PRECISION, kind.scale), count, Type("BIGINT"), kind)
    empty = exp.EQ(this=count.copy(), expression=exp.Literal.number(0))
    return exp.Case(ifs=[exp.If(this=empty, true=exp.Null())], default=result)


def _guarded_average(node: exp.Avg) -> exp.Expression | None:
    """A decimal that was not recognised is an error, not a double."""
    if _in_try(node) or isinstance(node.parent, exp.Filter) or isinstance(node.this, exp.Distinct):
        return None
    return call("lake_avg_guard", node.copy(), exp.AnyValue(this=node.this.copy()))


def _subtract(t: Translation, node: exp.Sub) -> Any:
    left, right = t.kind(node.this), t.kind(node.expression)
    if _is_interval(t, node.expression):
        return _shifted(t, node)
    if left and right and left.name == right.name == "DATE":
        raise unsupported("date minus date (use date_diff('day', from, to))")
    if left is None and right is None and not _in_try(node):
        return call("lake_minus", node.this, node.expression)
    return None


def _add(t: Translation, node: exp.Add) -> Any:
    if _is_interval(t, node.expression) or _is_interval(t, node.this):
        return _shifted(t, node)
    return None


def _is_interval(t: Translation, node: exp.Expression) -> bool:
    kind = t.kind(node)
    return isinstance(_bare(node), exp.Interval) or bool(kind and kind.name == "INTERVAL")


def _shifted(t: Translation, node: exp.Binary) -> Any:
    """A date stays a date when days or months are added."""
    moment = node.expression if _is_interval(t, node.this) else node.this
    kind = t.kind(moment)
    if kind and kind.name != "DATE":
        return None
    if kind is None and _is_interval(t, moment):
        return None
    return call("cast_to_type", node.copy(), moment.copy())


def _date_add(t: Translation, node: exp.DateAdd) -> Any:
    unit = str(node.args.get("unit") or "DAY").upper()
    amount, moment = node.expression, node.this
    step = exp.Mul(
        this=exp.Paren(this=amount),
        expression=exp.Interval(this=exp.Literal.string("1"), unit=exp.var(_plain_unit(unit))),
    )
    if unit == "QUARTER":
        step = exp.Mul(
            this=exp.Paren(this=amount), expression=exp.Interval(this=exp.Literal.string("3"), unit=exp.var("MONTH"))
        )
    moved = exp.Add(this=exp.Paren(this=moment.copy()), expression=step)
    kind = t.kind(moment)
    if unit in ("HOUR", "MINUTE", "SECOND", "MILLISECOND"):
        if kind and kind.name == "DATE":
            raise QueryFailed("INVALID_FUNCTION_ARGUMENT", f"'{unit.lower()}' is not a valid Date field")
        return exp.Paren(this=moved)
    return call("cast_to_type", moved, moment.copy())


def _plain_unit(unit: str) -> str:
    if unit not in ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND"):
        raise QueryFailed("INVALID_FUNCTION_ARGUMENT", f"'{unit.lower()}' is not a valid Timestamp field")
    return unit


def _date_diff(_: Translation, node: exp.DateDiff) -> Any:
    """Complete units, not crossed boundaries."""
    unit = _plain_unit(str(node.args.get("unit") or "DAY").upper()).lower()
    return call("date_sub", exp.Literal.string(unit), node.expression, node.this)


def _date_trunc(t: Translation, node: exp.Expression) -> Any:
    unit = str(node.args.get("unit") or "").strip("'").lower()
    kind = t.kind(node.this)
    truncated = call("date_trunc", exp.Literal.string(_plain_unit(unit.upper()).lower()), node.this.copy())
    if kind and kind.name != "DATE":
        return truncated
    return call("cast_to_type", truncated, node.this.copy())


def _extract(_: Translation, node: exp.Extract) -> Any:
    unit = node.this.name.upper()
    renamed = {
        "DOW": "ISODOW", "DAYOFWEEK": "ISODOW", "DAY_OF_WEEK": "ISODOW", "DOY": "DOY", "DAY_OF_YEAR": "DOY",
        "DAYOFYEAR": "DOY", "YOW": "ISOYEAR", "YEAR_OF_WEEK": "ISOYEAR", "DAY_OF_MONTH": "DAY", "DAYOFMONTH": "DAY",
    }  # fmt: skip
    value = call("date_part", exp.Literal.string(renamed.get(unit, unit).lower()), node.expression)
    if unit == "MILLISECOND":
        return exp.Mod(this=value, expression=exp.Literal.number(1000))
    if unit == "SECOND":
        return exp.cast(call("floor", value), exp.DataType.build("BIGINT"))
    return value


ZONED_PARENTS = (
    exp.Extract,
    exp.Year,
    exp.Month,
    exp.Day,
    exp.Hour,
    exp.Minute,
    exp.Second,
    exp.TimeToStr,
    exp.DayOfWeekIso,
)


def _at_time_zone(_: Translation, node: exp.Expression) -> Any:
    """The wall clock of a zone, where only that is asked for; DuckDB's values carry no zone of their own."""
    moment = node.this if isinstance(node, exp.AtTimeZone) else node.expressions[0]
    zone = node.args["zone"] if isinstance(node, exp.AtTimeZone) else node.expressions[1]
    parent = node.parent
    while isinstance(parent, exp.Paren):
        parent = parent.parent
    kind = data_type(parent.to) if isinstance(parent, exp.Cast) else None
    if not isinstance(parent, ZONED_PARENTS) and (kind is None or kind.name not in ("DATE", "TIMESTAMP")):
        raise unsupported(
            "AT TIME ZONE outside of CAST(… AS date or timestamp), extract, year … second and date_format: a value "
            "with a zone of its own"
        )
    return call("timezone", zone, exp.cast(moment.copy(), exp.DataType.build("TIMESTAMPTZ", dialect="duckdb")))


def _cast(t: Translation, node: exp.Cast) -> Any:  # one branch per target
    target = node.to
    name = target.this.value if hasattr(target.this, "value") else str(target.this)
    kind = t.kind(node.this)
    if isinstance(node.this, exp.Null):
        return None
    if name in ("CHAR", "NCHAR"):
        raise unsupported("char(n), whose padding changes lengths and comparisons (use varchar),")
    if name in ("VARCHAR", "TEXT"):
        return _cast_to_text(node, kind)
    if name in ("TINYINT", "SMALLINT", "INT", "BIGINT") and (kind is None or kind.name in FLOATS | {"VARCHAR"}):
        return _with_inner(node, call("lake_for_integer", node.this.copy()))
    if name == "JSON" and not isinstance(node.this, exp.ParseJSON):
        return call("to_json", node.this)
    if name in ("TIMESTAMP", "TIMESTAMPNTZ") and target.expressions and not isinstance(node.this, exp.Literal):
        return _with_type(node, "TIMESTAMP")
    return None


def _with_inner(node: exp.Cast, inner: exp.Expression) -> exp.Expression:
    fresh = node.copy()
    fresh.set("this", inner)
    return fresh


def _with_type(node: exp.Cast, written: str) -> exp.Expression:
    fresh = node.copy()
    fresh.set("to", exp.DataType.build(written, dialect="duckdb"))
    return fresh


def _cast_to_text(node: exp.Cast, kind: Kind) -> Any:
    lengths = [int(param.this.this) for param in node.to.expressions]
    simple = kind is not None and kind.name in {*INTEGERS, "VARCHAR", "DATE", "BOOLEAN", "DECIMAL"}
    written = node.this.copy() if kind and kind.name == "VARCHAR" else _as_text(node.this) if simple else None
    written = written or call("lake_varchar", node.this.copy())
    return call("substr", written, 1, lengths[0]) if lengths else written


def _bracket(t: Translation, node: exp.Bracket) -> Any:
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
        return call("element_at", container, position) if _in_try(node) else call("lake_key", container, position)
    return call("list_extract", container, position) if _in_try(node) else call("lake_at", container, position)


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


_FORMAT_ITEM = re.compile(r"%(?:%|n|[-0+,(]*\d*(?:\.\d+)?([a-zA-Z]))")
_FORMAT_LETTERS = set("sdfxXeE")


def _format(_: Translation, node: exp.Format) -> Any:
    if not (isinstance(node.this, exp.Literal) and node.this.is_string):
        raise unsupported("format() with a computed pattern")
    pattern = str(node.this.this)
    items = [m for m in _FORMAT_ITEM.finditer(pattern) if m.group(1)]
    leftover = _FORMAT_ITEM.sub("", pattern)
    if "%" in leftover or "(" in pattern and "%(" in pattern or any(m.group(1) not in _FORMAT_LETTERS for m in items):
        raise unsupported(f"format() with the pattern '{pattern}'")
    if len(items) != len(node.expressions):
        raise QueryFailed("INVALID_FUNCTION_ARGUMENT", f"Invalid format string: {pattern}")
    values = [
        call("lake_varchar", value.copy()) if item.group(1) == "s" else value
        for item, value in zip(items, node.expressions, strict=True)
    ]
    return call("printf", node.this, *values)


def _regexp_replace(_: Translation, node: exp.RegexpReplace) -> Any:
    replacement = node.args.get("replacement")
    if replacement is None:
        return None
    if not (isinstance(replacement, exp.Literal) and replacement.is_string):
        if isinstance(replacement, exp.Lambda):
            raise unsupported("regexp_replace with a function")
        return call(
            "regexp_replace", node.this, node.expression, call("lake_backrefs", replacement), exp.Literal.string("g")
        )
    written = str(replacement.this).replace("\\", "\\\\") if "\\" in str(replacement.this) else str(replacement.this)
    converted = re.sub(r"\$(\d)", r"\\\1", written)
    return call("regexp_replace", node.this, node.expression, exp.Literal.string(converted), exp.Literal.string("g"))


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
    return call("struct_extract", exp.column("lake_entry"), exp.Literal.string(part))


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


def _anonymous(t: Translation, node: exp.Anonymous) -> Any:
    name = node.name.lower()
    if name == "at_timezone":
        return _at_time_zone(t, node)
    if name in _SPECIAL:
        return _SPECIAL[name](node)
    target = RENAMED.get(name)
    return call(target, *node.expressions) if target else None


def _generate_series(t: Translation, node: exp.GenerateSeries) -> Any:
    start, end, step = node.args["start"], node.args["end"], node.args.get("step")
    kind = t.kind(start)
    if step is None and kind and kind.name == "DATE":
        step = exp.Interval(this=exp.Literal.string("1"), unit=exp.var("DAY"))
    elif step is None and kind and kind.name in INTEGERS:
        step = call("lake_step", start.copy(), end.copy())
    series = call("generate_series", start, end, *([step] if step is not None else []))
    return call("cast_to_type", series, exp.Array(expressions=[start.copy()]))


def _reduce(_: Translation, node: exp.Reduce) -> Any:
    finish = node.args.get("finish")
    if finish is not None:
        is_identity = isinstance(finish, exp.Lambda) and finish.this.name == finish.expressions[0].name
        if not is_identity or not isinstance(finish.this, exp.Identifier | exp.Column):
            raise unsupported("reduce with a final function other than s -> s")
    return call("list_reduce", node.this, node.args["merge"], node.args["initial"])


def _refuse_argument(key: str, words: str) -> Callable[[Translation, exp.Expression], Any]:
    """For an argument that the generator would drop in silence."""

    def rule(_: Translation, node: exp.Expression) -> Any:
        if node.args.get(key) is not None:
            raise unsupported(words)
        return None

    return rule


def _array_sort(_: Translation, node: exp.ArraySort) -> Any:
    if node.expression is not None:
        raise unsupported("array_sort with a comparator")
    return call("list_sort", node.this, exp.Literal.string("ASC"), exp.Literal.string("NULLS LAST"))


def _substring(_: Translation, node: exp.Substring) -> Any:
    length = node.args.get("length")
    if length is None:
        return call("lake_substr", node.this, node.args["start"])
    return call("lake_substr_of", node.this, node.args["start"], length)


def _sha2(_: Translation, node: exp.SHA2Digest) -> Any:
    length = node.args.get("length")
    if length is not None and str(length) != "256":
        raise not_registered(f"sha{length}", node)
    return None


def _rand(_: Translation, node: exp.Rand) -> Any:
    if node.this is None:
        return None
    return exp.cast(call("floor", exp.Mul(this=call("random"), expression=node.this)), exp.DataType.build("BIGINT"))


def _unnest(_: Translation, node: exp.Unnest) -> Any:
    if len(node.expressions) > 1:
        raise unsupported("UNNEST of several arrays")
    return None


def _macro(name: str, *keys: str) -> Callable[[Translation, exp.Expression], Any]:
    return lambda _, node: call(name, *(node.args[key] for key in keys))


def _json_extract(_: Translation, node: exp.JSONExtract) -> Any:
    if _is_sql_json(node):
        raise unsupported("a JSON path with lax or strict (json_query, json_value, json_exists)")


def _is_sql_json(node: exp.Expression) -> bool:
    return any(str(found.this).startswith(("lax", "strict")) for found in node.expression.find_all(exp.Literal))


RULES: dict[type, Callable[[Translation, Any], Any]] = {
    exp.Div: _divide,
    exp.Mod: _modulo,
    exp.Avg: _average,
    exp.Sub: _subtract,
    exp.Add: _add,
    exp.DateAdd: _date_add,
    exp.DateDiff: _date_diff,
    exp.TimestampTrunc: _date_trunc,
    exp.DateTrunc: _date_trunc,
    exp.Extract: _extract,
    exp.AtTimeZone: _at_time_zone,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Bracket: _bracket,
    exp.Format: _format,
    exp.RegexpReplace: _regexp_replace,
    exp.Anonymous: _anonymous,
    exp.GenerateSeries: _generate_series,
    exp.ArraySort: _array_sort,
    exp.Split: _refuse_argument("limit", "split with a limit"),
    exp.StrPosition: _refuse_argument("occurrence", "strpos with an instance"),
    exp.UnixToTime: _refuse_argument("zone", "from_unixtime with a zone"),
    exp.Substring: _substring,
    exp.SHA2Digest: _sha2,
    exp.SHA: lambda _, node: call("unhex", call("sha1", node.this)),
    exp.Rand: _rand,
    exp.Unnest: _unnest,
    exp.Reduce: _reduce,
    exp.ArraySlice: _macro("lake_slice", "this", "start", "end"),
    exp.Repeat: _macro("lake_repeat", "this", "times"),
    exp.WidthBucket: lambda _, node: call("lake_width_bucket", node.this, *(node.args[k] for k in _BUCKET_KEYS)),
    exp.CurrentTimestamp: lambda _, node: call("date_trunc", exp.Literal.string("millisecond"), call("now")),
    exp.Localtimestamp: lambda _, node: call(
        "date_trunc", exp.Literal.string("millisecond"), exp.cast(call("now"), exp.DataType.build("TIMESTAMP"))
    ),
    exp.JSONExtract: _json_extract,
    exp.ArrayDistinct: _macro("lake_array_distinct", "this"),
    exp.ArrayPosition: _macro("lake_array_position", "this", "expression"),
    exp.ArrayRemove: _macro("lake_array_remove", "this", "expression"),
    exp.ArrayIntersect: lambda _, node: call("lake_array_intersect", *node.expressions),
    exp.Typeof: _macro("lake_typeof", "this"),
    exp.JSONExtractScalar: lambda _, node: call("lake_json_scalar", node.this, exp.Literal.string(_json_path(node))),
    exp.CountIf: lambda _, node: exp.cast(node.copy(), exp.DataType.build("BIGINT")),
}


_BUCKET_KEYS = ("min_value", "max_value", "num_buckets")


def _json_path(node: exp.JSONExtractScalar) -> str:
    path = node.expression
    if _is_sql_json(node):
        raise unsupported("a JSON path with lax or strict (json_query, json_value, json_exists)")
    if isinstance(path, exp.JSONPath):
        return str(path.sql("duckdb")).strip("'").replace("''", "'")
    if isinstance(path, exp.Literal):
        return str(path.this)
    raise unsupported("json_extract_scalar with a computed path")
