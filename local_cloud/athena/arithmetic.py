"""Division, remainder and averages with Trino's types and its errors."""

from typing import Any

from sqlglot import exp

from local_cloud.athena.inference import BIGINT, FLOATS, INTEGERS, MAX_PRECISION, Kinds, as_decimal, decimal_result
from local_cloud.athena.nodes import Rule, as_text, bare, call, cast, in_try, unsupported
from local_cloud.athena.types import Type


def _divide(t: Kinds, node: exp.Div) -> Any:
    left, right = t.kind(node.this), t.kind(node.expression)
    a, b = node.this, node.expression
    if (left and left.name in FLOATS) or (right and right.name in FLOATS):
        return call("lake_double_div", a, b)
    if left and right and left.name in INTEGERS and right.name in INTEGERS:
        return call("lake_integer_div", a, b)
    exact_left, exact_right = as_decimal(left), as_decimal(right)
    if exact_left and exact_right:
        return quotient(a, exact_left, b, exact_right, decimal_result(exp.Div, exact_left, exact_right))
    if left and left.name == "INTERVAL":
        return None
    if in_try(node):
        raise unsupported("try() over a division of values whose types are not known (cast them first)")
    return call("lake_div", a, b)


def quotient(a: exp.Expression, kind_a: Type, b: exp.Expression, kind_b: Type, result: Type) -> exp.Expression:
    """Exact decimal division, rounded half up as Trino does."""
    text = call("lake_quotient", as_text(a), kind_a.scale, as_text(b), kind_b.scale, result.scale)
    return cast(text, f"DECIMAL({result.precision},{result.scale})")


def _modulo(t: Kinds, node: exp.Mod) -> Any:
    kinds = t.kind(node.this), t.kind(node.expression)
    if any(kind and kind.name in FLOATS for kind in kinds):
        return None
    return call("lake_mod", bare(node.this), bare(node.expression))


def _average(t: Kinds, node: exp.Avg) -> Any:
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
    result = quotient(total, Type("DECIMAL", MAX_PRECISION, kind.scale), count, BIGINT, kind)
    empty = exp.EQ(this=count.copy(), expression=exp.Literal.number(0))
    return exp.Case(ifs=[exp.If(this=empty, true=exp.Null())], default=result)


def _guarded_average(node: exp.Avg) -> exp.Expression | None:
    """A decimal that was not recognised is an error, not a double."""
    if in_try(node) or isinstance(node.parent, exp.Filter) or isinstance(node.this, exp.Distinct):
        return None
    return call("lake_avg_guard", node.copy(), exp.AnyValue(this=node.this.copy()))


def _rand(_: Kinds, node: exp.Rand) -> Any:
    if node.this is None:
        return None
    return cast(call("floor", exp.Mul(this=call("random"), expression=node.this)), "BIGINT")


_BUCKET_KEYS = ("min_value", "max_value", "num_buckets")
RULES: dict[type, Rule] = {
    exp.Div: _divide,
    exp.Mod: _modulo,
    exp.Avg: _average,
    exp.Rand: _rand,
    exp.CountIf: lambda _, node: cast(node.copy(), "BIGINT"),
    exp.WidthBucket: lambda _, node: call("lake_width_bucket", node.this, *(node.args[k] for k in _BUCKET_KEYS)),
}
