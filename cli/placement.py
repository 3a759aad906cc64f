"""The cell that a new tenant is placed in, in each environment that has several: once, and written down."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli import output
from cli.errors import NotFound, WrongInput

if TYPE_CHECKING:
    from tenants.model import Environment
    from tenants.registry import Registry

__all__ = ["placements"]


def placements(registry: "Registry", wanted: Sequence[str] = ()) -> dict[str, str]:
    """Cell by environment. `wanted`: those that a person chose, such as `prod/b`."""
    chosen = dict(chosen_by(each, registry) for each in wanted)
    if len(chosen) < len(wanted):
        raise WrongInput(
            f"--cell {' --cell '.join(wanted)}: a tenant is in one cell of an environment; name one of each"
        )
    return {name: chosen.get(name) or roomiest(registry, name) for name in registry.further_cells}


def chosen_by(place: str, registry: "Registry") -> tuple[str, str]:
    name = place.partition("/")[0]
    known = [f"{cell.name}/{cell.cell_name}" for each in registry.further_cells for cell in registry.cells(each)]
    if place not in known:
        raise NotFound(f"--cell {place}: no such cell; known: {', '.join(known) or 'none'}")
    return name, registry.cell(place).cell_name


def roomiest(registry: "Registry", environment: str) -> str:
    """The cell with fewest tenants of those that have room for one more, by the quotas of a new account."""
    cells = registry.cells(environment)
    numbers = {cell.cell_name: len(registry.tenants_in(cell)) for cell in cells}
    roomy = [cell.cell_name for cell in cells if has_room(cell, cells, numbers)]
    if not roomy:
        output.message(
            f"no cell of {environment} has room by the quotas of a new account: `lake quotas -e {environment}` says "
            "what yours has; ask for more, or add a cell to environments.yaml"
        )
    return min(roomy or numbers, key=numbers.__getitem__)


def has_room(cell: "Environment", cells: "Sequence[Environment]", numbers: dict[str, int]) -> bool:
    from deployment.loads import expected
    from deployment.quotas import shipped, uses

    loads = [
        expected(each.cell_name, each.account, each.region, numbers[each.cell_name] + (each == cell)) for each in cells
    ]
    return not any(use.is_exceeded for use in uses(loads, shipped(loads)) if cell.cell_name in use.cells)
