"""The type of an expression, where it is certain before the query runs; None where it is not."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlglot import exp

from local_cloud.athena.types import Type

INTEGERS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19}
FLOATS = {"DOUBLE", "FLOAT"}
MAX_PRECISION = 38
Kind = Type | None
TEXT, BIGINT, DOUBLE, DATE = Type("VARCHAR"), Type("BIGINT"), Type("DOUBLE"), Type("DATE")
TIMESTAMP, ZONED = Type("TIMESTAMP"), Type("TIMESTAMP WITH TIME ZONE")
# Of arrays and maps only that they are one is asked for.
LIST, MAP = Type("LIST", fields=(("", TEXT),)), Type("MAP", fields=(("", TEXT), ("", TEXT)))


class Kinds(Protocol):
    """Knows the kinds of columns, and of nodes that were visited."""

    def kind(self, node: Any) -> Kind: ...


def infer(kinds: Kinds, node: exp.Expression) -> Kind:
    """The kind of any node but a column."""
    if type(node) in FIXED:
        return FIXED[type(node)]
    rule = RULES.get(type(node))
    return rule(kinds.kind, node) if rule else None


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


def _common(kinds: Sequence[Kind]) -> Kind:
    return kinds[0] if kinds and all(kind == kinds[0] for kind in kinds) else None


def _sum_kind(inner: Kind) -> Kind:
    if inner is None:
        return None
    if inner.name == "DECIMAL":
        return Type("DECIMAL", MAX_PRECISION, inner.scale)
    if inner.name in INTEGERS:
        return Type("BIGINT")
    return Type("DOUBLE") if inner.name in FLOATS else None


def _arithmetic_kind(operation: type, left: Kind, right: Kind) -> Kind:
    if left is None or right is None:
        return None
    if left.name in FLOATS or right.name in FLOATS:
        return Type("DOUBLE")
    if left.name in INTEGERS and right.name in INTEGERS:
        return left if INTEGERS[left.name] >= INTEGERS[right.name] else right
    if right.name == "INTERVAL":
        return left
    a, b = as_decimal(left), as_decimal(right)
    if a is None or b is None:
        return None
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


SIMPLE = {
    "TINYINT": "TINYINT", "SMALLINT": "SMALLINT", "INT": "INTEGER", "BIGINT": "BIGINT", "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE", "BOOLEAN": "BOOLEAN", "DATE": "DATE", "TIMESTAMP": "TIMESTAMP", "VARCHAR": "VARCHAR",
    "TEXT": "VARCHAR", "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE", "JSON": "JSON", "VARBINARY": "BLOB",
}  # fmt: skip


def data_type(node: exp.DataType) -> Kind:
    """A type written in SQL."""
    name = node.this.value if hasattr(node.this, "value") else str(node.this)
    if name == "DECIMAL":
        numbers = [int(param.this.this) for param in node.expressions]
        return Type("DECIMAL", numbers[0] if numbers else MAX_PRECISION, numbers[1] if len(numbers) > 1 else 0)
    if name == "ARRAY":
        return LIST
    if name == "MAP":
        return MAP
    return Type(SIMPLE[name]) if name in SIMPLE else None


KindOf = Callable[[Any], Kind]


def _of_inner(of: KindOf, node: Any) -> Kind:
    return of(node.this if node.this is not None else (node.expressions or [None])[0])


def _of_only_argument(of: KindOf, node: Any) -> Kind:
    return None if node.expressions else of(node.this)


def _average_kind(of: KindOf, node: Any) -> Kind:
    inner = of(node.this)
    if inner is None or inner.name == "DECIMAL":
        return inner
    return DOUBLE


def _if_kind(of: KindOf, node: Any) -> Kind:
    branches = [node.args.get("true"), node.args.get("false")]
    return _common([of(branch) for branch in branches if branch is not None])


def _case_kind(of: KindOf, node: Any) -> Kind:
    branches = [branch.args.get("true") for branch in node.args["ifs"]] + [node.args.get("default")]
    return _common([of(branch) for branch in branches if branch is not None])


def _arithmetic(of: KindOf, node: Any) -> Kind:
    return _arithmetic_kind(type(node), of(node.this), of(node.expression))


def _every_argument(of: KindOf, node: Any) -> Kind:
    return _common([of(node.this), *(of(entry) for entry in node.expressions)])


def _fixed(kind: Type, *classes: type) -> dict[type, Type]:
    return dict.fromkeys(classes, kind)


FIXED: Mapping[type, Type] = {
    exp.Boolean: Type("BOOLEAN"),
    exp.Interval: Type("INTERVAL"),
    **_fixed(TEXT, exp.Lower, exp.Upper, exp.Trim, exp.Substring, exp.TimeToStr),
    **_fixed(BIGINT, exp.Count, exp.CountIf, exp.RowNumber, exp.Rank, exp.DenseRank, exp.Length, exp.DateDiff),
    **_fixed(BIGINT, exp.ArraySize, exp.ApproxDistinct, exp.Extract),
    **_fixed(BIGINT, exp.Year, exp.Month, exp.Day, exp.Hour, exp.Minute, exp.Second),
    **_fixed(DATE, exp.CurrentDate, exp.Date, exp.FromISO8601Date, exp.LastDay),
    **_fixed(ZONED, exp.CurrentTimestamp, exp.UnixToTime, exp.FromISO8601Timestamp),
    **_fixed(TIMESTAMP, exp.StrToTime, exp.Localtimestamp),
    **_fixed(DOUBLE, exp.Sqrt, exp.Cbrt, exp.Ln, exp.Log, exp.Exp, exp.Pow, exp.Rand, exp.Pi, exp.TimeToUnix),
    **_fixed(DOUBLE, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop, exp.Corr),
    **_fixed(LIST, exp.Array, exp.Split, exp.RegexpExtractAll, exp.RegexpSplit, exp.ArrayAgg, exp.ArraySort),
    **_fixed(LIST, exp.ArrayFilter, exp.Transform, exp.ArrayDistinct, exp.ArraySlice, exp.GenerateSeries),
    **_fixed(MAP, exp.Map, exp.MapFromEntries),
}
RULES: Mapping[type, Callable[[KindOf, Any], Kind]] = {
    exp.Literal: lambda _, node: _literal_kind(node),
    exp.Cast: lambda _, node: data_type(node.to),
    exp.TryCast: lambda _, node: data_type(node.to),
    exp.Avg: _average_kind,
    exp.Sum: lambda of, node: _sum_kind(of(node.this)),
    exp.If: _if_kind,
    exp.Case: _case_kind,
    **dict.fromkeys((exp.Paren, exp.Neg, exp.Alias, exp.Window, exp.Filter, exp.Distinct, exp.Order), _of_inner),
    **dict.fromkeys((exp.Min, exp.Max, exp.AnyValue, exp.Abs), _of_only_argument),
    **dict.fromkeys((exp.FirstValue, exp.LastValue, exp.Lag, exp.Lead, exp.ArgMax, exp.ArgMin, exp.Nullif), _of_inner),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod), _arithmetic),
    **dict.fromkeys((exp.Coalesce, exp.Greatest, exp.Least), _every_argument),
}
