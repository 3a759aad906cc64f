"""Conditions of IAM in three values: true, false, and unknown (`None`), which is neither."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from isolation.errors import UnknownCondition
from isolation.globs import covers, is_literal, meets

__all__ = ["ABSENT", "Absent", "Condition", "Context", "Truth", "Values", "filled", "holds", "parse"]

Truth = bool | None


class Absent:
    """A key that the request certainly does not carry."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()
# What a request carries under one key; each value may be a pattern and then stands for any text that matches.
Values = tuple[str, ...] | Absent


@dataclass(frozen=True, eq=False)
class Context:
    """What is known of a request: values by key; ABSENT for keys below `closed`; of any other key nothing.

    `memo` is for whoever asks about the same conditions again.
    """

    values: Mapping[str, Values] = field(default_factory=dict)
    closed: tuple[str, ...] = ()
    memo: dict[object, Truth] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", {key.lower(): value for key, value in self.values.items()})
        object.__setattr__(self, "closed", tuple(prefix.lower() for prefix in self.closed))

    def get(self, key: str) -> Values | None:
        """None: nothing is known."""
        key = key.lower()
        if key in self.values:
            return self.values[key]
        return ABSENT if key.startswith(self.closed) else None

    def having(self, more: Mapping[str, Values]) -> "Context":
        return Context({**self.values, **more}, self.closed)


@dataclass(frozen=True)
class Condition:
    """One key of a condition block: `ForAllValues:StringLikeIfExists` is set, base and the flag."""

    operator: str
    key: str
    wanted: tuple[str, ...]
    quantifier: str
    base: str
    if_exists: bool

    def __str__(self) -> str:
        return f"{self.operator} {self.key} = {' | '.join(self.wanted)}"


OPERATOR = re.compile(r"(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?\Z")
# Compared by nothing here: unknown when the key is there.
OPAQUE = frozenset(
    f"{family}{comparison}"
    for family in ("Numeric", "Date")
    for comparison in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
) | {"IpAddress", "NotIpAddress", "BinaryEquals"}
NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnLike",
    "ArnNotLike": "ArnLike",
}
NEGATED_OPAQUE = frozenset({"NumericNotEquals", "DateNotEquals", "NotIpAddress"})


def parse(where: str, block: Mapping[str, Mapping[str, Any]]) -> tuple[Condition, ...]:
    return tuple(
        condition(where, operator, key, wanted) for operator, keys in block.items() for key, wanted in keys.items()
    )


def condition(where: str, operator: str, key: str, wanted: Any) -> Condition:
    found = OPERATOR.match(operator)
    base = found.group(2) if found else ""
    if found is None or base not in KNOWN or (base == "Null" and operator != "Null"):
        raise UnknownCondition(
            f"{where}: condition operator {operator} is not modelled: expected one of {', '.join(sorted(KNOWN))}; "
            "teach isolation/conditions.py what it means"
        )
    values = wanted if isinstance(wanted, list) else [wanted]
    return Condition(operator, key, tuple(map(text, values)), found.group(1) or "", base, bool(found.group(3)))


def text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def holds(conditions: Iterable[Condition], context: Context) -> Truth:
    """All of them; no condition at all holds."""
    return all_of(one_holds(each, context) for each in conditions)


def one_holds(condition: Condition, context: Context) -> Truth:
    values = context.get(condition.key)
    if condition.base == "Null":
        return absence_holds(condition, values)
    if values is None:
        return None
    if isinstance(values, Absent):
        return without_key(condition)
    if condition.base in OPAQUE:
        return None
    return with_key(condition, values, context)


def absence_holds(condition: Condition, values: Values | None) -> Truth:
    if values is None:
        return None
    return str(isinstance(values, Absent)).lower() in {wanted.lower() for wanted in condition.wanted}


def without_key(condition: Condition) -> Truth:
    if condition.if_exists and condition.quantifier == "ForAnyValue":
        return None  # one says yes and the other no: what AWS does then is not documented
    if condition.if_exists or condition.quantifier == "ForAllValues":
        return True
    negated = condition.base in NEGATED or condition.base in NEGATED_OPAQUE
    return negated and condition.quantifier != "ForAnyValue"


def with_key(condition: Condition, values: tuple[str, ...], context: Context) -> Truth:
    each = [value_fits(condition, value, context) for value in values]
    if condition.quantifier == "ForAllValues":
        return all_of(each)
    if condition.quantifier == "ForAnyValue":
        return any_of(each)
    # An operator for one value, asked about several: what AWS does then is not documented.
    return each[0] if len(each) == 1 else None


def value_fits(condition: Condition, value: str, context: Context) -> Truth:
    """Whether one value is among those that are wanted or, negated, is none of them."""
    base = NEGATED.get(condition.base, condition.base)
    among = any_of(COMPARE[base](*filled(wanted, context), value) for wanted in condition.wanted)
    if condition.base not in NEGATED:
        return among
    return None if among is None else not among


VARIABLE = re.compile(r"\$\{([^}]*)\}")


def filled(pattern: str, context: Context) -> tuple[str, bool]:
    """The pattern with its variables filled in, and whether it is exact; what is not known becomes `*`."""
    if "${" not in pattern:
        return pattern, True
    exact = True

    def fill(variable: re.Match[str]) -> str:
        nonlocal exact
        values = context.get(variable.group(1).strip())
        if isinstance(values, tuple) and len(values) == 1 and is_literal(values[0]):
            return values[0]
        exact = False
        return "*"

    return VARIABLE.sub(fill, pattern), exact


def equals(wanted: str, exact: bool, value: str) -> Truth:  # noqa: FBT001  (called from a table, by position)
    if exact and is_literal(value):
        return wanted == value
    return None if meets(wanted, value) else False


def equals_ignoring_case(wanted: str, exact: bool, value: str) -> Truth:  # noqa: FBT001  (likewise)
    return equals(wanted.lower(), exact, value.lower())


def like(wanted: str, exact: bool, value: str) -> Truth:  # noqa: FBT001  (likewise)
    if not meets(wanted, value):
        return False
    return True if exact and covers(wanted, value) else None


ARN_PARTS = 6


def arn_like(wanted: str, exact: bool, value: str) -> Truth:  # noqa: FBT001  (likewise)
    """Part by part: a `*` between two colons does not reach over them."""
    wanted_parts, parts = wanted.split(":", ARN_PARTS - 1), value.split(":", ARN_PARTS - 1)
    if len(wanted_parts) != ARN_PARTS or len(parts) != ARN_PARTS:
        return None
    return all_of(like(a, exact, b) for a, b in zip(wanted_parts, parts, strict=True))


COMPARE: dict[str, Callable[[str, bool, str], Truth]] = {
    "StringEquals": equals,
    "StringEqualsIgnoreCase": equals_ignoring_case,
    "StringLike": like,
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    "Bool": equals_ignoring_case,
}
KNOWN = frozenset({*COMPARE, *NEGATED, *OPAQUE, "Null"})


def all_of(truths: Iterable[Truth]) -> Truth:
    found = set(truths)
    return False if False in found else None if None in found else True


def any_of(truths: Iterable[Truth]) -> Truth:
    found = set(truths)
    return True if True in found else None if None in found else False
