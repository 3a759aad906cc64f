"""Casts, text, regular expressions and JSON as Trino means them."""

import re
from typing import Any

from sqlglot import exp

from local_cloud.athena.errors import QueryFailed
from local_cloud.athena.inference import FLOATS, INTEGERS, Kind, Kinds
from local_cloud.athena.nodes import Rule, as_text, call, macro, not_registered, refuse_argument, string, unsupported


def _cast(t: Kinds, node: exp.Cast) -> Any:  # one branch per target
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
    if name in ("TIMESTAMP", "TIMESTAMPNTZ") and target.expressions:
        return _cast_to_timestamp(node, int(target.expressions[0].this.this))
    return None


def _with_inner(node: exp.Cast, inner: exp.Expression) -> exp.Expression:
    fresh = node.copy()
    fresh.set("this", inner)
    return fresh


def _cast_to_timestamp(node: exp.Cast, digits: int) -> exp.Expression | None:
    """DuckDB's types of fewer digits do not meet those with a zone: one type for all, rounded as Trino does."""
    if isinstance(node.this, exp.Literal) and _shows_digits(node.parent):
        return None
    fresh = node.copy()
    fresh.set("to", exp.DataType.build("TIMESTAMP", dialect="duckdb"))
    if digits >= 6 or isinstance(node.this, exp.Literal):
        return fresh
    if digits not in ROUNDING:
        raise unsupported(f"timestamp({digits})")
    unit, half = ROUNDING[digits]
    later = exp.Add(this=fresh, expression=exp.Interval(this=string(half), unit=exp.var("MICROSECOND")))
    return call("date_trunc", string(unit), later)


ROUNDING = {0: ("second", "500000"), 3: ("millisecond", "500")}


def _shows_digits(parent: exp.Expression | None) -> bool:
    """Whether the text of a literal shows how many digits were written."""
    if isinstance(parent, exp.Anonymous):
        return parent.name.lower() == "to_iso8601"
    return isinstance(parent, exp.Cast) and parent.to.is_type("VARCHAR", "TEXT")


def _cast_to_text(node: exp.Cast, kind: Kind) -> Any:
    lengths = [int(param.this.this) for param in node.to.expressions]
    simple = kind is not None and kind.name in {*INTEGERS, "VARCHAR", "DATE", "BOOLEAN", "DECIMAL"}
    written = node.this.copy() if kind and kind.name == "VARCHAR" else as_text(node.this) if simple else None
    written = written or call("lake_varchar", node.this.copy())
    return call("substr", written, 1, lengths[0]) if lengths else written


_FORMAT_ITEM = re.compile(r"%(?:%|n|[-0+,(]*\d*(?:\.\d+)?([a-zA-Z]))")
_FORMAT_LETTERS = set("sdfxXeE")


def _format(_: Kinds, node: exp.Format) -> Any:
    if not (isinstance(node.this, exp.Literal) and node.this.is_string):
        raise unsupported("format() with a computed pattern")
    pattern = str(node.this.this)
    items = [m for m in _FORMAT_ITEM.finditer(pattern) if m.group(1)]
    leftover = _FORMAT_ITEM.sub("", pattern)
    if "%" in leftover or "%(" in pattern or any(m.group(1) not in _FORMAT_LETTERS for m in items):
        raise unsupported(f"format() with the pattern '{pattern}'")
    if len(items) != len(node.expressions):
        raise QueryFailed("INVALID_FUNCTION_ARGUMENT", f"Invalid format string: {pattern}")
    values = [
        call("lake_varchar", value.copy()) if item.group(1) == "s" else value
        for item, value in zip(items, node.expressions, strict=True)
    ]
    return call("printf", node.this, *values)


def _regexp_replace(_: Kinds, node: exp.RegexpReplace) -> Any:
    replacement = node.args.get("replacement")
    if replacement is None:
        return None
    if not (isinstance(replacement, exp.Literal) and replacement.is_string):
        if isinstance(replacement, exp.Lambda):
            raise unsupported("regexp_replace with a function")
        return call("regexp_replace", node.this, node.expression, call("lake_backrefs", replacement), string("g"))
    written = str(replacement.this).replace("\\", "\\\\") if "\\" in str(replacement.this) else str(replacement.this)
    converted = re.sub(r"\$(\d)", r"\\\1", written)
    return call("regexp_replace", node.this, node.expression, string(converted), string("g"))


def _substring(_: Kinds, node: exp.Substring) -> Any:
    length = node.args.get("length")
    if length is None:
        return call("lake_substr", node.this, node.args["start"])
    return call("lake_substr_of", node.this, node.args["start"], length)


def _sha2(_: Kinds, node: exp.SHA2Digest) -> Any:
    length = node.args.get("length")
    if length is not None and str(length) != "256":
        raise not_registered(f"sha{length}", node)
    return None


def _json_extract(_: Kinds, node: exp.JSONExtract) -> Any:
    if _is_sql_json(node):
        raise unsupported("a JSON path with lax or strict (json_query, json_value, json_exists)")


def _is_sql_json(node: exp.Expression) -> bool:
    return any(str(found.this).startswith(("lax", "strict")) for found in node.expression.find_all(exp.Literal))


def _json_path(node: exp.JSONExtractScalar) -> str:
    path = node.expression
    if _is_sql_json(node):
        raise unsupported("a JSON path with lax or strict (json_query, json_value, json_exists)")
    if isinstance(path, exp.JSONPath):
        return str(path.sql("duckdb")).strip("'").replace("''", "'")
    if isinstance(path, exp.Literal):
        return str(path.this)
    raise unsupported("json_extract_scalar with a computed path")


RULES: dict[type, Rule] = {
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Format: _format,
    exp.RegexpReplace: _regexp_replace,
    exp.Split: refuse_argument("limit", "split with a limit"),
    exp.StrPosition: refuse_argument("occurrence", "strpos with an instance"),
    exp.Substring: _substring,
    exp.SHA2Digest: _sha2,
    exp.SHA: lambda _, node: call("unhex", call("sha1", node.this)),
    exp.Typeof: macro("lake_typeof", "this"),
    exp.JSONExtract: _json_extract,
    exp.JSONExtractScalar: lambda _, node: call("lake_json_scalar", node.this, string(_json_path(node))),
}
