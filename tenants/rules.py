"""What each row must hold: ODCS options, enumerations and quality rules as SQL predicates with their reasons."""

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from open_data_contract_standard.model import DataQuality

from tenants.columns import Column, Place, Problems
from tenants.document import nearest
from tenants.plan import PlanRule
from tenants.sql import expression_problems, identifier, literal

__all__ = ["row_rules", "rules_of"]

LONGEST_PATTERN = 1_000  # characters
SHOWN = 200  # characters of a value that a reason shows


@dataclass(frozen=True)
class Check:
    """A test of one value that is not NULL: its id below the column's, SQL, and what is wrong if it is not TRUE."""

    id: str
    predicate: str
    said: str

    def below(self, name: str, predicate: str) -> "Check":
        return Check(f"{name}.{self.id}", predicate, f"{name} {self.said}")


def rules_of(column: Column, *, is_derived: bool, is_key: bool, problems: Problems) -> Iterator[PlanRule]:
    """The rules of a column in the order in which they are told."""
    value = identifier(column.name)
    source = f"_src.{identifier(column.source)}"
    whole = _whole(column, value) if is_derived else source
    shown = f"coalesce(substring({whole}, 1, {SHOWN}), 'null')"
    if column.odcs.required or is_key:
        yield PlanRule(
            id=f"{column.name}.required",
            column=column.name,
            predicate=_present(column, whole, is_derived=is_derived),
            reason=literal(f"{column.name} is missing"),
        )
    if not is_derived and (column.kind != "string" or column.pattern):
        said = column.odcs.logicalType if column.pattern and column.kind == "string" else column.type
        yield _rule(column, Check("type", column.is_of_type(), f"is not {said}"), shown)
    for check in _checks(column, value, problems):
        guarded = Check(check.id, f"{value} IS NULL OR ({check.predicate})", check.said)
        yield _rule(column, guarded, shown)


def _present(column: Column, whole: str, *, is_derived: bool) -> str:
    if column.is_nested and not is_derived:
        return f"{whole} IS NOT NULL AND {whole} <> 'null'"
    return f"{whole} IS NOT NULL"


def _whole(column: Column, value: str) -> str:
    return f"to_json({value})" if column.is_nested else f"CAST({value} AS string)"


def _rule(column: Column, check: Check, shown: str) -> PlanRule:
    before, after = literal(f"{column.name}: "), literal(f" {check.said}")
    return PlanRule(
        id=f"{column.name}.{check.id}",
        column=column.name,
        predicate=check.predicate,
        reason=f"concat({before}, {shown}, {after})",
    )


def row_rules(qualities: list[DataQuality], place: Place, columns: list[str], problems: Problems) -> Iterator[PlanRule]:
    """Rules over several columns: `type: custom, engine: lake, implementation: <SQL predicate>`."""
    for position, quality in enumerate(qualities):
        here = (*place, position)
        if quality.type == "text":
            continue
        if quality.type != "custom" or quality.engine != "lake" or not isinstance(quality.implementation, str):
            problems.append((here, "is not checked; expected type: custom, engine: lake, implementation: <SQL>"))
            continue
        found = list(expression_problems(quality.implementation, columns))
        problems += [((*here, "implementation"), message) for message in found]
        name = quality.name or quality.id or f"rule_{position + 1}"
        said = quality.description or f"{name}: {quality.implementation}"
        yield PlanRule(id=f"row.{name}", column="", predicate=quality.implementation, reason=literal(said))


def _checks(column: Column, value: str, problems: Problems, depth: int = 0) -> Iterator[Check]:
    yield from _options(column, value, problems)
    yield from _enumeration(column, value, problems)
    yield from _quality(column, value, problems)
    if column.odcs.unique and not column.odcs.primaryKey:
        problems.append(((*column.place, "unique"), "is not checked row by row; make it part of the primary key"))
    yield from _inside(column, value, problems, depth)


def _inside(column: Column, value: str, problems: Problems, depth: int) -> Iterator[Check]:
    """Checks of an object's fields and of an array's or map's items."""
    for field in column.fields:
        part = f"{value}.{identifier(field.name)}"
        if field.odcs.required:
            yield Check("needed", f"{part} IS NOT NULL", "is missing").below(field.name, f"{part} IS NOT NULL")
        for check in _checks(field, part, problems, depth):
            yield check.below(field.name, f"({part} IS NULL OR ({check.predicate}))")
    if column.item:
        items, one = (f"map_values({value})" if column.kind == "map" else value), f"item{depth}"
        if column.item.odcs.required:
            yield Check("needed", "", "is missing").below("items", f"forall({items}, {one} -> {one} IS NOT NULL)")
        for check in _checks(column.item, one, problems, depth + 1):
            yield check.below("items", f"forall({items}, {one} -> {one} IS NULL OR ({check.predicate}))")


Maker = Callable[[Column, str, Any], Check]


def _compared(operator: str, said: str) -> Maker:
    def make(column: Column, value: str, bound: Any) -> Check:
        return Check("", f"{value} {operator} {column.literal(bound)}", f"{said} {bound}")

    return make


def _counted(function: str, operator: str, said: str) -> Maker:
    def make(_: Column, value: str, bound: Any) -> Check:
        return Check("", f"{function}({value}) {operator} {_count(bound)}", f"{said} {bound}")

    return make


def _count(bound: Any) -> int:
    if not str(bound).isascii() or not str(bound).isdigit():
        raise ValueError(f"{bound!r} is no count")
    return int(bound)


def _matching(_: Column, value: str, pattern: Any) -> Check:
    text = str(pattern)
    if len(text) > LONGEST_PATTERN:
        raise ValueError(f"is longer than {LONGEST_PATTERN:,} characters")
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    if "(?P" in text:
        raise ValueError(f"{text!r} names a group as Python does; Java writes (?<name>…)")
    return Check("", f"{value} RLIKE {literal(text)}", f"does not match {text}")


def _multiple(column: Column, value: str, step: Any) -> Check:
    if column.kind not in ("int", "bigint", "decimal"):
        raise ValueError(f"cannot be checked on a {column.kind}; use decimal(p,s)")
    return Check("", f"{value} % {column.literal(step)} = 0", f"is no multiple of {step}")


def _distinct(_: Column, value: str, wanted: Any) -> Check:
    if wanted not in ("true", "false", True, False):
        raise ValueError(f"{wanted!r} is neither true nor false")
    test = "true" if wanted in ("false", False) else f"size(array_distinct({value})) = size({value})"
    return Check("", test, "holds an item twice")


def _nothing(*_: Any) -> None:
    """`format` is read where the type is."""


RANGE: dict[str, Any] = {
    "minimum": _compared(">=", "is below the minimum"),
    "maximum": _compared("<=", "is above the maximum"),
    "exclusiveMinimum": _compared(">", "is not above"),
    "exclusiveMaximum": _compared("<", "is not below"),
    "format": _nothing,
}
LENGTH: dict[str, Any] = {
    "minLength": _counted("length", ">=", "is shorter than"),
    "maxLength": _counted("length", "<=", "is longer than"),
    "pattern": _matching,
    "format": _nothing,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "string": LENGTH,
    "boolean": {},
    "date": RANGE,
    "timestamp": RANGE,
    "array": {
        "minItems": _counted("size", ">=", "has fewer items than"),
        "maxItems": _counted("size", "<=", "has more items than"),
        "uniqueItems": _distinct,
    },
    "struct": {},
    "map": {},
} | dict.fromkeys(("int", "bigint", "decimal", "double", "float"), RANGE | {"multipleOf": _multiple})


def _options(column: Column, value: str, problems: Problems) -> Iterator[Check]:
    makers = OPTIONS[column.kind]
    for name, bound in (column.odcs.logicalTypeOptions or {}).items():
        place = (*column.place, "logicalTypeOptions", name)
        if name not in makers:
            problems.append((place, f"unknown option of a {column.kind}{nearest(name, makers) if makers else ''}"))
            continue
        try:
            check = makers[name](column, value, bound)
        except ValueError as error:
            problems.append((place, str(error)))
            continue
        if check:
            yield Check(name, check.predicate, check.said)


def _enumeration(column: Column, value: str, problems: Problems) -> Iterator[Check]:
    if column.odcs.enum:
        values = [item.value for item in column.odcs.enum]
        yield from _one_of(column, value, values, (*column.place, "enum"), problems)


def _one_of(column: Column, value: str, values: list[Any], place: Place, problems: Problems) -> Iterator[Check]:
    try:
        listed = ", ".join(column.literal(_given(item)) for item in values)
    except ValueError as error:
        problems.append((place, str(error)))
        return
    yield Check("enum", f"{value} IN ({listed})", f"is none of {', '.join(map(str, values))}")


def _given(item: Any) -> str:
    if not isinstance(item, (str, int, float)):
        raise ValueError(f"{item!r} is no single value; put quotes around text")  # noqa: TRY004 - told as a problem of the file
    return str(item)


def _quality(column: Column, value: str, problems: Problems) -> Iterator[Check]:
    """Quality rules that one row can hold or break: a metric that must be 0."""
    for position, quality in enumerate(column.odcs.quality or []):
        place = (*column.place, "quality", position)
        metric = quality.metric or quality.rule
        arguments = quality.arguments or {}
        if quality.type == "text":
            continue
        if metric not in ("nullValues", "invalidValues") or str(quality.mustBe) != "0" or quality.type == "sql":
            expected = "expected metric nullValues or invalidValues with mustBe: 0"
            problems.append((place, f"cannot be checked row by row; {expected}"))
        elif metric == "invalidValues":
            yield from _valid_values(column, value, arguments, place, problems)
        elif not column.odcs.required:
            problems.append((place, "write required: true instead"))


def _valid_values(
    column: Column, value: str, arguments: dict[str, Any], place: Place, problems: Problems
) -> Iterator[Check]:
    if unknown := set(arguments) - {"validValues", "pattern"} or (not arguments and {"arguments"}):
        problems.append((place, f"{', '.join(sorted(unknown))}: expected arguments validValues or pattern"))
    if isinstance(arguments.get("validValues"), list):
        yield from _one_of(column, value, arguments["validValues"], (*place, "arguments", "validValues"), problems)
    if "pattern" in arguments:
        try:
            yield Check("pattern", *_parts(_matching(column, value, arguments["pattern"])))
        except ValueError as error:
            problems.append(((*place, "arguments", "pattern"), str(error)))


def _parts(check: Check) -> tuple[str, str]:
    return check.predicate, check.said
