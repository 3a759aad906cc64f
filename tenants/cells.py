"""Cells: the accounts and Regions that an environment is spread over, and which of them a tenant is placed in.

Like `crossings` it reads documents and not models, so that a mistake in one place does not hide those in others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tenants.document import Document, nearest
from tenants.errors import Problem
from tenants.model import LOCAL, Environment, Tenant
from tenants.naming import FIRST_CELL

__all__ = ["CANARY", "Place", "misplaced", "overlapping", "unfit_canaries"]

Place = tuple[str | int, ...]

CANARY = "canary"
"""The dataset, and its contract, of the file that a deploy drives through a canary."""


def overlapping(document: Document) -> Iterator[Problem]:
    """What is wrong with the cells of environments.yaml: two of them in one place, and any of this machine."""
    environments = _mapping(_mapping(document.value).get("environments"))
    for name, entry in environments.items():
        place: Place = ("environments", name, "cells")
        further = _mapping(_mapping(entry).get("cells"))
        if name == LOCAL and further:
            yield document.problem(place, "local is this machine and has no cells: take them out")
        first = {_address(entry): FIRST_CELL}
        for cell, given in further.items():
            if cell in environments:
                yield document.problem((*place, cell), f"environment {cell!r} has this name: choose another")
            address = _address(given)
            if None not in address and (other := first.setdefault(address, cell)) != cell:
                yield document.problem(
                    (*place, cell),
                    f"is account {address[0]} in {address[1]}, as cell {other!r} is; no two cells are: give one of "
                    "them another account or Region, or take it out",
                )


def _address(entry: Any) -> tuple[Any, Any]:
    known = _mapping(entry)
    account, region = (value if isinstance(value, str) else None for value in map(known.get, ("account", "region")))
    return account, region


def misplaced(document: Document, cells: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Placements in tenants.yaml that lead nowhere. `cells`: names of the cells of each environment."""
    tenants = _mapping(document.value).get("tenants")
    for position, tenant in enumerate(tenants if isinstance(tenants, list) else []):
        for environment, cell in _mapping(_mapping(tenant).get("cells")).items():
            place = ("tenants", position, "cells", environment)
            if environment not in cells:
                yield document.problem(place, f"no environment {environment!r}{nearest(environment, cells)}")
            elif isinstance(cell, str) and cell not in cells[environment]:
                yield document.problem(place, _no_such(cell, environment, cells[environment]))


def unfit_canaries(cells: Iterable[Environment], tenants: Mapping[str, Tenant]) -> Iterator[tuple[Place, str]]:
    """Canaries that no file can be driven through in their cell, by their place in environments.yaml."""
    for cell in cells:
        if cell.canary is not None and (reason := _unfit(cell, cell.canary, tenants)):
            further = () if cell.cell is None else ("cells", cell.cell)
            yield ("environments", cell.name, *further, "canary"), reason


def _unfit(cell: Environment, canary: str, tenants: Mapping[str, Tenant]) -> str | None:
    if canary not in tenants:
        return f"no tenant {canary!r}{nearest(canary, tenants)}"
    tenant = tenants[canary]
    if tenant.cells.get(cell.name) != cell.cell:
        placed = tenant.cells.get(cell.name, FIRST_CELL)
        return f"tenant {canary} is in cell {placed} of {cell.name}, not in {cell.cell_name}: name a tenant of this one"
    if tenant.state != "active":
        return f"tenant {canary} is {tenant.state}: a canary is active, or no file comes through it"
    dataset = tenant.dataset(CANARY)
    if dataset is None or dataset.contract != CANARY:
        return f"tenant {canary} has no dataset {CANARY!r} with contract {CANARY!r}: add it to its datasets"
    return None


def _no_such(cell: str, environment: str, known: Sequence[str]) -> str:
    if len(known) == 1:
        return (
            f"environment {environment} has no cells: take this line out, or write the cell {cell!r} with its account "
            "and region into environments.yaml"
        )
    return f"no cell {cell!r} in environment {environment}{nearest(cell, known)}"


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
