"""What the registry says and no template can say of itself: in which account and cell, who is written to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenants.registry import Registry

__all__ = ["NOTHING", "Agreed", "agreed"]


@dataclass(frozen=True)
class Agreed:
    """Of one stack. None: there is none, and so nobody is written to, and no parameter is read."""

    account: str | None = None
    address: str | None = None
    parameter: str | None = None
    cell: str | None = None
    state: str | None = None
    """Of a tenant."""


NOTHING = Agreed()


def agreed(registry: "Registry", environment: str) -> dict[str, Agreed]:
    """By stack name, for all cells."""
    found = {}
    for cell in registry.cells(environment):
        parameter = cell.webhook.parameter if cell.webhook else None
        platform = registry.platform_names(f"{cell.name}/{cell.cell_name}").stack
        found[platform] = Agreed(cell.account, cell.notification, parameter, cell.cell)
        for tenant in registry.tenants_in(cell):
            stack = registry.names(tenant.id, environment).stack
            owner = None if cell.is_local else tenant.owner
            found[stack] = Agreed(cell.account, owner, cell=cell.cell, state=tenant.state)
    return found
