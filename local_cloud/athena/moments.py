"""Dates, timestamps, intervals and zones as Trino computes with them."""

from typing import Any

from sqlglot import exp

from local_cloud.athena.errors import QueryFailed
from local_cloud.athena.inference import INTEGERS, Kinds, data_type
from local_cloud.athena.nodes import Rule, bare, call, cast, in_try, refuse_argument, string, unsupported

SUB_DAY = ("HOUR", "MINUTE", "SECOND", "MILLISECOND")
UNITS = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", *SUB_DAY)


def _subtract(t: Kinds, node: exp.Sub) -> Any:
    left, right = t.kind(node.this), t.kind(node.expression)
    if _is_interval(t, node.expression):
        return _shifted(t, node)
    if left and right and left.name == right.name == "DATE":
        raise unsupported("date minus date (use date_diff('day', from, to))")
    if left is None and right is None and not in_try(node):
        return call("lake_minus", node.this, node.expression)
    return None


def _add(t: Kinds, node: exp.Add) -> Any:
    if _is_interval(t, node.expression) or _is_interval(t, node.this):
        return _shifted(t, node)
    return None


def _is_interval(t: Kinds, node: exp.Expression) -> bool:
    kind = t.kind(node)
    return isinstance(bare(node), exp.Interval) or bool(kind and kind.name == "INTERVAL")


def _shifted(t: Kinds, node: exp.Binary) -> Any:
    """A date stays a date when days or months are added."""
    moment = node.expression if _is_interval(t, node.this) else node.this
    kind = t.kind(moment)
    if kind and kind.name != "DATE":
        return None
    if kind is None and _is_interval(t, moment):
        return None
    return call("cast_to_type", node.copy(), moment.copy())


def _date_add(t: Kinds, node: exp.DateAdd) -> Any:
    unit = _plain_unit(str(node.args.get("unit") or "DAY").upper())
    count, step = ("3", "MONTH") if unit == "QUARTER" else ("1", unit)
    interval = exp.Interval(this=string(count), unit=exp.var(step))
    moved = exp.Add(
        this=exp.Paren(this=node.this.copy()),
        expression=exp.Mul(this=exp.Paren(this=node.expression), expression=interval),
    )
    if unit not in SUB_DAY:
        return call("cast_to_type", moved, node.this.copy())
    kind = t.kind(node.this)
    if kind and kind.name == "DATE":
        raise QueryFailed("INVALID_FUNCTION_ARGUMENT", f"'{unit.lower()}' is not a valid Date field")
    return exp.Paren(this=moved)


def _plain_unit(unit: str) -> str:
    if unit not in UNITS:
        raise QueryFailed("INVALID_FUNCTION_ARGUMENT", f"'{unit.lower()}' is not a valid Timestamp field")
    return unit


def _date_diff(_: Kinds, node: exp.DateDiff) -> Any:
    """Complete units, not crossed boundaries."""
    unit = _plain_unit(str(node.args.get("unit") or "DAY").upper()).lower()
    return call("date_sub", string(unit), node.expression, node.this)


def _date_trunc(t: Kinds, node: exp.Expression) -> Any:
    unit = str(node.args.get("unit") or "").strip("'").lower()
    kind = t.kind(node.this)
    truncated = call("date_trunc", string(_plain_unit(unit.upper()).lower()), node.this.copy())
    if kind and kind.name != "DATE":
        return truncated
    return call("cast_to_type", truncated, node.this.copy())


def _extract(_: Kinds, node: exp.Extract) -> Any:
    unit = node.this.name.upper()
    renamed = {
        "DOW": "ISODOW", "DAYOFWEEK": "ISODOW", "DAY_OF_WEEK": "ISODOW", "DOY": "DOY", "DAY_OF_YEAR": "DOY",
        "DAYOFYEAR": "DOY", "YOW": "ISOYEAR", "YEAR_OF_WEEK": "ISOYEAR", "DAY_OF_MONTH": "DAY", "DAYOFMONTH": "DAY",
    }  # fmt: skip
    value = call("date_part", string(renamed.get(unit, unit).lower()), node.expression)
    if unit == "MILLISECOND":
        return exp.Mod(this=value, expression=exp.Literal.number(1000))
    if unit == "SECOND":
        return cast(call("floor", value), "BIGINT")
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


def at_time_zone(_: Kinds, node: exp.Expression) -> Any:
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
    return call("timezone", zone, cast(moment.copy(), "TIMESTAMPTZ"))


def _generate_series(t: Kinds, node: exp.GenerateSeries) -> Any:
    start, end, step = node.args["start"], node.args["end"], node.args.get("step")
    kind = t.kind(start)
    if step is None and kind and kind.name == "DATE":
        step = exp.Interval(this=string("1"), unit=exp.var("DAY"))
    elif step is None and kind and kind.name in INTEGERS:
        step = call("lake_step", start.copy(), end.copy())
    series = call("generate_series", start, end, *([step] if step is not None else []))
    return call("cast_to_type", series, exp.Array(expressions=[start.copy()]))


RULES: dict[type, Rule] = {
    exp.Sub: _subtract,
    exp.Add: _add,
    exp.DateAdd: _date_add,
    exp.DateDiff: _date_diff,
    exp.TimestampTrunc: _date_trunc,
    exp.DateTrunc: _date_trunc,
    exp.Extract: _extract,
    exp.AtTimeZone: at_time_zone,
    exp.GenerateSeries: _generate_series,
    exp.UnixToTime: refuse_argument("zone", "from_unixtime with a zone"),
    exp.CurrentTimestamp: lambda *_: call("date_trunc", string("millisecond"), call("now")),
    exp.Localtimestamp: lambda *_: call("date_trunc", string("millisecond"), cast(call("now"), "TIMESTAMP")),
}
