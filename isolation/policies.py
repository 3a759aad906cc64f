"""Policy documents as typed statements; whatever has a form that is not modelled is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from isolation.conditions import Condition, parse
from isolation.errors import UnknownPolicy

__all__ = ["Document", "Named", "Statement"]

VERSION = "2012-10-17"
ELEMENTS = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
KINDS_OF_PRINCIPAL = frozenset({"AWS", "Service", "Federated"})


@dataclass(frozen=True)
class Named:
    """One principal of a statement: its kind (`AWS`, `Service`, `Federated`) and name; `*` is everybody."""

    kind: str
    name: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Statement:
    """One statement. Actions are in lower case; an element that is not there is None."""

    effect: str
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: tuple[Named, ...] | None
    not_principals: tuple[Named, ...] | None
    conditions: tuple[Condition, ...]
    sid: str
    origin: str

    def __str__(self) -> str:
        return f"{self.origin}, statement {self.sid}"

    @property
    def allows(self) -> bool:
        return self.effect == "Allow"


@dataclass(frozen=True, eq=False)
class Document:
    """A policy by the name that a person finds it under; `content` is its JSON, resolved."""

    name: str
    content: Mapping[str, Any]

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        if self.content.get("Version") != VERSION:
            raise UnknownPolicy(
                f"{self.name}: version {self.content.get('Version')!r}: expected {VERSION!r}, since older ones read "
                "variables differently; write that version"
            )
        statements = listed(self.content.get("Statement"))
        return tuple(statement(self.name, number, each) for number, each in enumerate(statements, start=1))

    @cached_property
    def allowing(self) -> tuple[Statement, ...]:
        return tuple(each for each in self.statements if each.allows)

    @cached_property
    def denying(self) -> tuple[Statement, ...]:
        return tuple(each for each in self.statements if not each.allows)


def statement(origin: str, number: int, raw: Mapping[str, Any]) -> Statement:
    where = f"{origin}, statement {raw.get('Sid', number)}"
    check(where, raw)
    return Statement(
        effect=raw["Effect"],
        actions=lowered(raw.get("Action")),
        not_actions=lowered(raw.get("NotAction")),
        resources=texts(raw.get("Resource")),
        not_resources=texts(raw.get("NotResource")),
        principals=named(where, raw.get("Principal")),
        not_principals=named(where, raw.get("NotPrincipal")),
        conditions=parse(where, raw.get("Condition", {})),
        sid=str(raw.get("Sid", number)),
        origin=origin,
    )


def check(where: str, raw: Mapping[str, Any]) -> None:
    if unknown := sorted(set(raw) - ELEMENTS):
        raise UnknownPolicy(f"{where}: unknown element {', '.join(unknown)}: expected {', '.join(sorted(ELEMENTS))}")
    if raw.get("Effect") not in ("Allow", "Deny"):
        raise UnknownPolicy(f"{where}: effect {raw.get('Effect')!r}: expected 'Allow' or 'Deny'")
    if ("Action" in raw) == ("NotAction" in raw):
        raise UnknownPolicy(f"{where}: expected either Action or NotAction")
    for element in ("Resource", "Principal"):
        if element in raw and f"Not{element}" in raw:
            raise UnknownPolicy(f"{where}: expected either {element} or Not{element}, not both")


def named(where: str, raw: Any) -> tuple[Named, ...] | None:
    if raw is None:
        return None
    if raw == "*":
        return (Named("AWS", "*"),)
    if not isinstance(raw, Mapping) or not set(raw) <= KINDS_OF_PRINCIPAL:
        raise UnknownPolicy(f"{where}: principal {raw!r}: expected '*' or {', '.join(sorted(KINDS_OF_PRINCIPAL))}")
    return tuple(Named(kind, str(name)) for kind, names in raw.items() for name in listed(names))


def lowered(raw: Any) -> tuple[str, ...] | None:
    return None if raw is None else tuple(str(each).lower() for each in listed(raw))


def texts(raw: Any) -> tuple[str, ...] | None:
    return None if raw is None else tuple(str(each) for each in listed(raw))


def listed(raw: Any) -> list[Any]:
    if raw is None:
        return []
    return list(raw) if isinstance(raw, list | tuple) else [raw]
