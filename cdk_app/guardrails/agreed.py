"""What the registry says and no template can say of itself: in which account, who is written to, which webhook."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenants.naming import PlatformNames, TenantNames

if TYPE_CHECKING:
    from tenants.registry import Registry

__all__ = ["NOTHING", "Agreed", "agreed"]


@dataclass(frozen=True)
class Agreed:
    """Of one stack. None: there is none, and so nobody is written to, and no parameter is read."""

    account: str | None = None
    address: str | None = None
    parameter: str | None = None


NOTHING = Agreed()


def agreed(registry: "Registry", environment: str) -> dict[str, Agreed]:
    """By stack name."""
    here = registry.environment(environment)
    parameter = here.webhook.parameter if here.webhook else None
    platform = PlatformNames(registry.organization, environment).stack
    found = {platform: Agreed(here.account, here.notification, parameter)}
    for tenant in registry.tenants:
        stack = TenantNames(registry.organization, tenant.id, environment).stack
        found[stack] = Agreed(here.account, None if here.is_local else tenant.owner)
    return found
