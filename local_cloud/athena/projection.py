"""Partition projection: partitions that a table's properties describe, instead of registered ones."""

import datetime as dt
import itertools
import re
from collections.abc import Mapping
from typing import Any

from local_cloud.athena.catalog import Partition, Table
from local_cloud.athena.errors import QueryFailed

LIMIT = 100_000
UNITS = {"YEARS": 366, "MONTHS": 31, "WEEKS": 7, "DAYS": 1}
_JAVA_DATE = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S", "yy": "%y"}


def is_on(table: Table) -> bool:
    return table.parameters.get("projection.enabled", "").lower() == "true"


def partitions(table: Table, fixed: Mapping[str, list[str]]) -> list[Partition]:
    """Every partition of the ranges. `fixed` has the values that the query asks for, for injected columns."""
    names = [key.name for key in table.partition_keys]
    choices = [_values(table, name, fixed) for name in names]
    total = 1
    for choice in choices:
        total *= max(len(choice), 1)
    if total > LIMIT:
        raise QueryFailed("CONSTRAINT_VIOLATION", f"Projection of table {table.qualified} names {total} partitions")
    return [Partition(values, location(table, values)) for values in itertools.product(*choices)]


def location(table: Table, values: tuple[str, ...]) -> str:
    names = [key.name for key in table.partition_keys]
    template = table.parameters.get("storage.location.template")
    if not template:
        parts = "/".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        return f"{table.location.rstrip('/')}/{parts}/"
    for name, value in zip(names, values, strict=True):
        template = template.replace("${" + name + "}", value)
    return template if template.endswith("/") else f"{template}/"


def _values(table: Table, name: str, fixed: Mapping[str, list[str]]) -> list[str]:
    properties = table.parameters
    kind = properties.get(f"projection.{name}.type", "").lower()
    if kind == "enum":
        return [value.strip() for value in _need(table, name, "values").split(",")]
    if kind == "integer":
        return _integers(table, name)
    if kind == "date":
        return _dates(table, name)
    if kind == "injected":
        if name not in fixed:
            raise QueryFailed(
                "CONSTRAINT_VIOLATION",
                f"For the injected projected partition column {name}, the WHERE clause must contain only static "
                "equality conditions, and at least one such condition must be present.",
            )
        return fixed[name]
    raise QueryFailed("INVALID_TABLE_PROPERTY", f"projection.{name}.type of {table.qualified}: '{kind}' is unknown")


def _need(table: Table, name: str, key: str) -> str:
    try:
        return table.parameters[f"projection.{name}.{key}"]
    except KeyError as e:
        raise QueryFailed(
            "INVALID_TABLE_PROPERTY", f"Table {table.qualified}: projection.{name}.{key} is missing"
        ) from e


def _integers(table: Table, name: str) -> list[str]:
    low, high = (int(part) for part in _need(table, name, "range").split(","))
    step = int(table.parameters.get(f"projection.{name}.interval", "1"))
    digits = int(table.parameters.get(f"projection.{name}.digits", "0"))
    return [str(value).zfill(digits) for value in range(low, high + 1, step)]


def _dates(table: Table, name: str) -> list[str]:
    written = _need(table, name, "format")
    pattern = _strftime(written)
    low, high = (_moment(part.strip(), pattern) for part in _need(table, name, "range").split(","))
    unit = table.parameters.get(f"projection.{name}.interval.unit", _smallest_unit(written)).upper()
    step = int(table.parameters.get(f"projection.{name}.interval", "1"))
    found: list[str] = []
    moment = low
    while moment <= high and len(found) <= LIMIT:
        found.append(moment.strftime(pattern))
        moment = _advance(moment, unit, step)
    return found


def _strftime(java: str) -> str:
    return re.sub(r"yyyy|yy|MM|dd|HH|mm|ss", lambda match: _JAVA_DATE[match.group()], java).replace("'", "")


def _smallest_unit(java: str) -> str:
    for mark, unit in (("mm", "MINUTES"), ("HH", "HOURS"), ("dd", "DAYS"), ("MM", "MONTHS")):
        if mark in java:
            return unit
    return "YEARS"


def _moment(written: str, pattern: str) -> dt.datetime:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    relative = re.fullmatch(r"NOW\s*(?:([+-])\s*(\d+)\s*([A-Z]+?)S?)?", written, re.IGNORECASE)
    if relative:
        if not relative.group(1):
            return now
        amount = int(relative.group(2)) * (1 if relative.group(1) == "+" else -1)
        return _advance(now, f"{relative.group(3).upper()}S", amount)
    return dt.datetime.strptime(written, pattern)  # noqa: DTZ007  partition values carry no zone


def _advance(moment: dt.datetime, unit: str, step: int) -> dt.datetime:
    if unit in ("YEARS", "MONTHS"):
        months = moment.year * 12 + moment.month - 1 + step * (12 if unit == "YEARS" else 1)
        return moment.replace(year=months // 12, month=months % 12 + 1, day=min(moment.day, 28))
    seconds: dict[str, Any] = {"WEEKS": 604800, "DAYS": 86400, "HOURS": 3600, "MINUTES": 60, "SECONDS": 1}
    return moment + dt.timedelta(seconds=seconds[unit] * step)
