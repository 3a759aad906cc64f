"""What a person may write in tenants.yaml and environments.yaml; editors read the same models as JSON Schema."""

from typing import Annotated

from pydantic import Field

from tenants.model import (
    EMAIL,
    CellReference,
    Dataset,
    EnvironmentEntry,
    EnvironmentName,
    Line,
    Organization,
    Retention,
    State,
    TenantId,
    Tier,
    Value,
)
from tenants.quantities import Days

__all__ = ["EnvironmentsFile", "TenantEntry", "TenantsFile"]

TierName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class RetentionEntry(Value):
    """How many days each zone keeps its objects; what is not given comes from the defaults."""

    raw: Annotated[Days, Field(ge=1, le=36_500)] | None = None
    """Files as they came."""
    processed: Annotated[Days, Field(ge=1, le=36_500)] | None = None
    """Conformed files, from which the tables can be built again."""
    quarantine: Annotated[Days, Field(ge=1, le=36_500)] | None = None
    """Refused rows with their reasons."""

    def over(self, defaults: Retention) -> Retention:
        """These days where they are given, the defaults' elsewhere."""
        return Retention.model_validate(defaults.model_dump() | self.model_dump(exclude_none=True))


class Defaults(Value):
    """What holds for every tenant that says nothing else."""

    tier: TierName = "standard"
    """One of the tiers below."""
    retention: RetentionEntry = RetentionEntry()
    """How many days each zone keeps its objects."""


class TenantEntry(Value):
    """One tenant. Removing it deletes nothing; set its state instead."""

    id: TenantId
    """Lower-case letters, digits, single hyphens; 3 to 20 characters; part of every name; never re-used."""
    name: Line
    """The name that people read."""
    owner: str = Field(pattern=EMAIL, max_length=254)
    """Mail address of whoever answers for the data."""
    tier: TierName | None = None
    """One of the tiers; the default tier if not given."""
    state: State = "active"
    """active; suspended (files are kept and wait); offboarding (nothing is taken in any more)."""
    retention: RetentionEntry = RetentionEntry()
    """How many days each zone keeps its objects."""
    cells: dict[EnvironmentName, CellReference] = Field(default={})
    """The cell that the tenant is placed in, by environment; the first if not given. Written once, never changed."""
    datasets: tuple[Dataset, ...] = Field(min_length=1)
    """What the tenant sends: a name, or a mapping with name, contract, max_wait or schedule, max_files, max_bytes."""


class TenantsFile(Value):
    """tenants.yaml: who is on the platform."""

    organization: Organization
    """First part of every name; lower-case letters and digits, no hyphen."""
    defaults: Defaults = Defaults()
    """What holds for every tenant that says nothing else."""
    tiers: dict[TierName, Tier] = Field(default={"standard": Tier()}, min_length=1)
    """What tenants of a tier may use, by the tier's name."""
    tenants: tuple[TenantEntry, ...] = ()
    """The tenants."""


class EnvironmentsFile(Value):
    """environments.yaml: where the platform runs."""

    environments: dict[EnvironmentName, EnvironmentEntry] = Field(min_length=1)
    """Account, Region, policies and cells by the environment's name (lower-case letters and digits, 2 to 8)."""
