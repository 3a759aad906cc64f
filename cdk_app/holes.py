"""Holes: stand-ins for the values of a tenant, which a construct may place and do nothing else with.

A hole is a real text or whole number, so that the CDK library takes it, of a spelling that nothing else has, so that it
is found again in the template. Comparing, measuring, cutting or counting with one raises HoleRefused: what a construct
decides by a value belongs to the shape, or is decided before, in `tenants` or in `cdk_app.values`.

HoleError
├── HoleRefused   a construct looked at a value that it may only place
├── HoleInKey     a value reached a key of the template, such as a logical id
├── HoleLost      a value that every template holds is not in this one, or there is one too many
├── HoleMistaken  the shape itself holds what looks like a hole
└── HoleUnfit     a value does not fit where its hole is
"""

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, NoReturn, Self

from cdk_app.values import SavedQuery, TenantValues
from tenants.naming import TenantNames

__all__ = [
    "BEGINNINGS",
    "FIRST_NUMBER",
    "FREE",
    "MARK",
    "NAMES",
    "HoleError",
    "HoleInKey",
    "HoleLost",
    "HoleMistaken",
    "HoleRefused",
    "HoleUnfit",
    "Number",
    "Text",
    "holed",
    "numbers",
    "texts",
]

# The ends hold letters that no hexadecimal or base64 text of a template brings together with hyphens.
MARK = "qzhole-"
END = "-qz"
# Sixteen digits, exact in the numbers of JavaScript.
FIRST_NUMBER = 7_310_259_481_630_000
FREE = frozenset({"owner"})
"""Values that may hold any sign; all others stand in names."""
BEGINNINGS = {"key_alias": "alias/"}
"""How a value begins for every tenant, where the CDK library looks at that; the hole is what follows."""


class HoleError(Exception):
    """Raised when a tenant's template cannot be made from its shape."""


class HoleRefused(HoleError, TypeError):
    """Raised when a construct looks at a value that it may only place."""


class HoleInKey(HoleError):
    """Raised when a value reached a key of a template."""


class HoleLost(HoleError):
    """Raised when holes of a template are not those that every template has."""


class HoleMistaken(HoleError):
    """Raised when the shape itself holds what looks like a hole."""


class HoleUnfit(HoleError):
    """Raised when a value does not fit where its hole is."""


def refusing(operation: str) -> Callable[..., NoReturn]:
    def refuse(self: Any, *_given: Any, **_named: Any) -> NoReturn:
        raise HoleRefused(
            f"{self.hole}: a construct used {operation} on it, but one template is made for all tenants of a shape: "
            "decide this in cdk_app/values.py, or make it part of the shape in cdk_app/shapes.py"
        )

    return refuse


# What placing a value takes: being made, copied, printed and put between other texts.
PLACING = {
    "__add__",
    "__class__",
    "__deepcopy__",
    "__delattr__",
    "__dict__",
    "__dir__",
    "__doc__",
    "__format__",
    "__getattribute__",
    "__getnewargs__",
    "__getstate__",
    "__init__",
    "__init_subclass__",
    "__module__",
    "__new__",
    "__reduce__",
    "__reduce_ex__",
    "__repr__",
    "__setattr__",
    "__sizeof__",
    "__str__",
    "__subclasshook__",
}


class Text(str):
    """A hole for a text; may stand between other texts."""

    __slots__ = ("hole",)
    hole: str

    def __new__(cls, hole: str) -> Self:
        end = '"qz' if hole in FREE else END
        made = super().__new__(cls, BEGINNINGS.get(hole, "") + MARK + hole.replace("_", "-") + end)
        made.hole = hole
        return made

    def __deepcopy__(self, _known: object) -> Self:
        return self

    def __format__(self, how: str) -> str:
        if how:
            refusing("a width or precision")(self)
        return super().__format__(how)


class Number(int):
    """A hole for a whole number; may stand by itself only."""

    hole: str

    def __new__(cls, hole: str, position: int) -> Self:
        made = super().__new__(cls, FIRST_NUMBER + position)
        made.hole = hole
        return made

    def __deepcopy__(self, _known: object) -> Self:
        return self


def refuse_all_but(placing: set[str], kind: type) -> None:
    # Also what neither type has: without __bool__ a text is asked for its length, without __rmod__ nothing is refused.
    for operation in {*dir(kind), "__bool__", "__rmod__"} - placing - {"hole"}:
        setattr(kind, operation, refusing(operation))


refuse_all_but(PLACING, Text)
refuse_all_but(PLACING - {"__add__", "__format__", "__str__"}, Number)

NAMES = tuple(name for name, found in vars(TenantNames).items() if isinstance(found, property))


class HoleNames(TenantNames):
    """Every name a hole of its own, however it is made from others."""

    def __init__(self) -> None:
        pass

    def __getattribute__(self, name: str) -> Any:
        return Text(name) if name in NAMES else super().__getattribute__(name)

    def job(self, name: str) -> str:
        return Text(f"job_{name}")


@cache
def numbers() -> dict[str, int]:
    """Position of every whole number among those of a tenant."""
    return {name: position for position, name in enumerate(of_type(int))}


@cache
def texts() -> tuple[str, ...]:
    """Every text of a tenant that is none of its names."""
    return of_type(str)


def of_type(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(TenantValues) if field.type is kind)


def holed(datasets: tuple[str, ...], queries: tuple[SavedQuery, ...]) -> TenantValues:
    """The values of no tenant: the shape as it is, a hole for everything else."""
    made: dict[str, Any] = {name: Number(name, position) for name, position in numbers().items()}
    made |= {name: Text(name) for name in texts()}
    return TenantValues(names=HoleNames(), datasets=datasets, queries=queries, **made)
