"""Durations and sizes as people write them, as whole seconds, days and bytes."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

__all__ = ["Days", "DaysOrNone", "PlainDigits", "Seconds", "Size", "duration_text", "size_text"]

# Others read 1_000, 010, 0x1F or 1:30 as numbers, and not all as the same one.
COUNT = re.compile(r"(?:0|[1-9][0-9]{0,11})\Z")
QUANTITY = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([A-Za-z]*)\Z")
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
# Decimal units, as AWS counts (a workgroup's cut-off is given in bytes); binary ones are there by their own names.
BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", start=1)
}


def _split(text: str) -> tuple[Decimal, str] | None:
    match = QUANTITY.match(text.strip())
    return (Decimal(match[1]), match[2]) if match else None


def _whole(value: Decimal) -> int | None:
    return int(value) if value == value.to_integral_value() else None


def parse_count(value: Any) -> Any:
    """The number in '5000'; a number stands for itself."""
    if not isinstance(value, str):
        return value
    if not COUNT.match(value):
        raise ValueError(f"{value!r} is no whole number; expected digits without a leading zero, such as 5000")
    return int(value)


def parse_seconds(value: Any) -> Any:
    """Seconds in '15 minutes', '1 hour', '90 days' or 0; a number stands for itself."""
    if not isinstance(value, str):
        return value
    parts = _split(value)
    unit = SECONDS.get(parts[1].removesuffix("s")) if parts else None
    if parts and unit is None and parts == (Decimal(0), ""):
        unit = 1
    seconds = _whole(parts[0] * unit) if parts and unit else None
    if seconds is None:
        raise ValueError(f"{value!r} is no duration; expected a number and a unit, such as '15 minutes', '1 hour', 0")
    return seconds


def parse_days(value: Any) -> Any:
    """Days in '90 days' or '2 weeks'; a number stands for itself."""
    if not isinstance(value, str):
        return value
    try:
        days = _whole(Decimal(parse_seconds(value)) / SECONDS["day"])
    except ValueError:
        days = None
    if days is None:
        raise ValueError(f"{value!r} is no number of days; expected such as '90 days'")
    return days


def parse_bytes(value: Any) -> Any:
    """Bytes in '100 GB' (decimal: 10^9) or '100 GiB' (binary: 2^30); a number stands for itself."""
    if not isinstance(value, str):
        return value
    parts = _split(value)
    unit = BYTES.get(parts[1]) if parts else None
    size = _whole(parts[0] * unit) if parts and unit else None
    if size is None:
        raise ValueError(f"{value!r} is no size; expected a number and a unit, such as '100 GB', '1 TB', '512 MiB'")
    return size


def _text_schema(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


PlainDigits = BeforeValidator(parse_count)
Seconds = Annotated[
    int,
    BeforeValidator(parse_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": 0},
                {"type": "string", "pattern": r"^[0-9.]+ *(second|minute|hour|day|week)s?$"},
            ],
            "examples": ["15 minutes", "1 hour", 0],
        }
    ),
]
Days = Annotated[int, BeforeValidator(parse_days), _text_schema(r"^[0-9]+ *(day|week)s?$", "90 days", "2 weeks")]
DaysOrNone = Annotated[
    int,
    BeforeValidator(parse_days),
    WithJsonSchema(
        {
            "anyOf": [{"const": 0}, {"type": "string", "pattern": r"^[0-9]+ *(day|week)s?$"}],
            "examples": ["30 days", "2 weeks", 0],
        }
    ),
]
Size = Annotated[int, BeforeValidator(parse_bytes), _text_schema(r"^[0-9.]+ *([KMGT]i?)?B$", "100 GB", "1 TB")]


def duration_text(seconds: int) -> str:
    """'15 minutes' for 900: the largest unit that divides it."""
    for unit, size in sorted(SECONDS.items(), key=lambda item: -item[1]):
        if seconds and seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "0"


def size_text(size: int) -> str:
    """'100 GB' for 100,000,000,000: the largest decimal unit that divides it."""
    for unit in ("TB", "GB", "MB", "KB"):
        if size and size % BYTES[unit] == 0:
            return f"{size // BYTES[unit]} {unit}"
    return f"{size} B"
