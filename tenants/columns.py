"""ODCS properties as typed columns: which Spark type each has, which text counts as a value of it, and the SQL between.

A column's source is always text (of nested JSON: its JSON text), so that a refused value can be shown as it came.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from open_data_contract_standard.model import SchemaProperty

from tenants.formats import ISO_DATE, ISO_TIMESTAMP, TextFormat
from tenants.sql import identifier, literal

__all__ = ["Column", "Formats", "typed"]

PHYSICAL = {
    "string": ("string",),
    "integer": ("bigint", "int"),
    "number": ("double", "float", "decimal", "bigint", "int"),
    "boolean": ("boolean",),
    "date": ("date", "timestamp"),
    "timestamp": ("timestamp", "date"),
    "time": ("string",),
}
SYNONYMS = {"integer": "int", "long": "bigint", "numeric": "decimal", "bool": "boolean"}
DECIMAL = re.compile(r"decimal\(([0-9]{1,2}),([0-9]{1,2})\)\Z")
# Narrower than Python's own numbers, which may be `1_000`, `٣`, or a billion digits long.
WHOLE = re.compile(r"[+-]?[0-9]{1,19}\Z")
NUMBER = re.compile(r"[+-]?(?:[0-9]{1,38}(?:\.[0-9]{0,38})?|\.[0-9]{1,38})(?:[eE][+-]?[0-9]{1,3})?\Z")
FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

NUMBER_TEXT = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"
TIME_TEXT = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?$"

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Formats:
    """Formats of a contract's dates and timestamps; ISO where None."""

    date: TextFormat | None = None
    timestamp: TextFormat | None = None


@dataclass(frozen=True)
class Column:
    """A column, or a field inside one. `kind` is its Spark type without parameters."""

    name: str
    type: str
    kind: str
    odcs: SchemaProperty
    place: Place
    format: TextFormat | None = None
    fields: tuple["Column", ...] = ()
    item: "Column | None" = None

    @property
    def is_nested(self) -> bool:
        return self.kind in ("struct", "array", "map")

    @property
    def source(self) -> str:
        """The column's name in the files."""
        return self.odcs.physicalName or self.name

    @property
    def pattern(self) -> str | None:
        """What text must match to be a value of this type, beside being castable; None if casting says it all."""
        if self.kind in ("date", "timestamp"):
            return self.format.pattern if self.format else ISO_DATE if self.kind == "date" else ISO_TIMESTAMP
        if self.odcs.logicalType == "time":
            return TIME_TEXT
        return NUMBER_TEXT if self.kind in ("double", "float") else None

    def conformed(self) -> str:
        """SQL of the value, over the source columns; NULL for text that is no value."""
        source = identifier(self.source)
        if self.is_nested:
            return f"{self._parsed(source)}.`v`"
        if self.kind == "string":
            return source
        if self.format:
            return self.cast(self.format.to_iso(source))
        if self.kind in ("int", "bigint"):
            # Whole numbers arrive as 517.0 from whoever had missing values in a float column.
            whole = f"regexp_replace({source}, '[.]0+$', '')"
            return f"coalesce({self.cast(source)}, {self.cast(whole)})"
        return self.cast(source)

    def cast(self, expression: str) -> str:
        return f"try_cast({expression} AS {self.type})"

    def _parsed(self, source: str) -> str:
        """SQL of a struct of the value `v` and, if any part of it is not of its type, the text in `_corrupt`."""
        schema = literal(f"struct<v:{self.type},_corrupt:string>")
        text = f"concat('{{\"v\":', {source}, '}}')"
        return f"from_json({text}, {schema}, map('columnNameOfCorruptRecord', '_corrupt'))"

    def is_of_type(self) -> str:
        """SQL that is TRUE if the source text, where there is one, is a value of this type."""
        source = f"_src.{identifier(self.source)}"
        value = identifier(self.name)
        tests = [f"{value} IS NOT NULL"]
        if self.is_nested:
            one = f"size(from_json(concat('[', {source}, ']'), 'array<string>')) = 1"
            tests = [
                f"{source} = 'null'",
                f"{value} IS NOT NULL AND {self._parsed(source)}.`_corrupt` IS NULL AND {one}",
            ]
            return f"{source} IS NULL OR " + " OR ".join(f"({test})" for test in tests)
        if self.pattern:
            tests.append(f"trim({source}) RLIKE {literal(self.pattern)}")
        return f"{source} IS NULL OR ({' AND '.join(tests)})"

    def literal(self, text: str) -> str:
        """SQL of `text` as a value of this type; raises ValueError."""
        try:
            return self._literal(str(text).strip())
        except ValueError:
            raise ValueError(f"{text!r} is no {self.type}") from None

    def _literal(self, text: str) -> str:
        if self.kind == "string":
            return literal(text)
        if self.kind in ("int", "bigint"):
            return _whole(text)
        if self.kind in ("decimal", "double", "float"):
            return _number(text)
        if self.kind == "date":
            return f"DATE'{date.fromisoformat(text).isoformat()}'"
        if self.kind == "timestamp":
            return f"TIMESTAMP'{datetime.fromisoformat(text).isoformat(sep=' ')}'"
        if self.kind == "boolean" and text in ("true", "false"):
            return text
        raise ValueError(text)


def _whole(text: str) -> str:
    if not WHOLE.match(text):
        raise ValueError(text)
    return str(int(text))


def _number(text: str) -> str:
    if not NUMBER.match(text):
        raise ValueError(text)
    digits = format(Decimal(text), "f")
    if len(digits) > 38:
        raise ValueError(text)
    return digits


Problems = list[tuple[Place, str]]


def typed(item: SchemaProperty, place: Place, formats: Formats, problems: Problems) -> Column | None:
    """`item` as a column; None, and why in `problems`, if it has no type that we know."""
    before = len(problems)
    column = _nested(item, place, problems) or _scalar(item, place, problems)
    if column and column.kind in ("date", "timestamp"):
        column = _formatted(column, formats, problems)
    return column if len(problems) == before else None


def _scalar(item: SchemaProperty, place: Place, problems: Problems) -> Column | None:
    if item.logicalType in ("object", "array", "map"):
        return None
    logical = item.logicalType or _logical_of(item.physicalType)
    if logical not in PHYSICAL:
        known = ", ".join([*PHYSICAL, "array", "object", "map"])
        problems.append(((*place, "logicalType"), f"{logical or 'nothing'} is no type; expected one of {known}"))
        return None
    written = _normal(item.physicalType or _default(logical, item))
    kind = written.partition("(")[0]
    if kind not in PHYSICAL[logical] or not _is_whole(written):
        expected = ", ".join("decimal(p,s)" if name == "decimal" else name for name in PHYSICAL[logical])
        message = f"{item.physicalType!r} is no type of a {logical}; expected {expected}"
        problems.append(((*place, "physicalType"), message))
        return None
    return Column(item.name or "", written, kind, item, place)


def _normal(physical: str) -> str:
    text = "".join(physical.lower().split())
    word, bracket, rest = text.partition("(")
    return SYNONYMS.get(word, word) + bracket + rest


def _is_whole(physical: str) -> bool:
    if not physical.startswith("decimal"):
        return "(" not in physical
    match = DECIMAL.match(physical)
    return match is not None and 1 <= int(match[1]) <= 38 and int(match[2]) <= int(match[1])


def _logical_of(physical: str | None) -> str | None:
    kind = _normal(physical or "").partition("(")[0]
    return next((logical for logical, kinds in PHYSICAL.items() if kind in kinds), physical)


def _default(logical: str, item: SchemaProperty) -> str:
    if logical == "integer" and (item.logicalTypeOptions or {}).get("format") == "i32":
        return "int"
    return PHYSICAL[logical][0]


def _nested(item: SchemaProperty, place: Place, problems: Problems) -> Column | None:
    shapes = {"object": _object, "array": _array, "map": _map}
    if item.logicalType not in shapes:
        return None
    column = shapes[item.logicalType](item, place, problems)
    if column and item.physicalType and _normal(item.physicalType) not in (column.kind, _normal(column.type)):
        problems.append(((*place, "physicalType"), f"{item.physicalType!r} is not what its parts give: {column.type}"))
    return column


def _object(item: SchemaProperty, place: Place, problems: Problems) -> Column | None:
    if not item.properties:
        problems.append(((*place, "properties"), "is missing; expected the fields of the object"))
        return None
    fields = tuple(_fields(item.properties, (*place, "properties"), problems))
    text = ",".join(f"{field.name}:{field.type}" for field in fields)
    return Column(item.name or "", f"struct<{text}>", "struct", item, place, fields=fields)


def _fields(items: list[SchemaProperty], place: Place, problems: Problems) -> Iterator[Column]:
    seen: set[str] = set()
    for position, item in enumerate(items):
        here, name = (*place, position), item.name or ""
        if not FIELD_NAME.match(name):
            problems.append(((*here, "name"), f"{name!r} is no field name; expected letters, digits and underscores"))
        if name.lower() in seen:
            problems.append(((*here, "name"), f"field {name!r} is given twice"))
        if item.physicalName and item.physicalName != name:
            problems.append(((*here, "physicalName"), "a field of an object keeps its source name"))
        seen.add(name.lower())
        if field := _inner(item, here, problems):
            yield field


def _array(item: SchemaProperty, place: Place, problems: Problems) -> Column | None:
    if not item.items:
        problems.append(((*place, "items"), "is missing; expected what the array holds"))
        return None
    inner = _inner(item.items, (*place, "items"), problems)
    return inner and Column(item.name or "", f"array<{inner.type}>", "array", item, place, item=inner)


def _map(item: SchemaProperty, place: Place, problems: Problems) -> Column | None:
    if not item.map or not item.map.value:
        problems.append(((*place, "map"), "is missing; expected map: {value: …} with string keys"))
        return None
    inner = _inner(item.map.value, (*place, "map", "value"), problems)
    return inner and Column(item.name or "", f"map<string,{inner.type}>", "map", item, place, item=inner)


def _inner(item: SchemaProperty, place: Place, problems: Problems) -> Column | None:
    column = typed(item, place, Formats(), problems)
    if column and column.format:
        problems.append(((*place, "logicalTypeOptions"), "inside an object or array dates are ISO; no format"))
    return column


def _formatted(column: Column, formats: Formats, problems: Problems) -> Column:
    given = (column.odcs.logicalTypeOptions or {}).get("format")
    if given is None:
        return replace(column, format=formats.date if column.kind == "date" else formats.timestamp)
    try:
        return replace(column, format=TextFormat.parse(str(given)))
    except ValueError as error:
        problems.append(((*column.place, "logicalTypeOptions", "format"), str(error)))
        return column
