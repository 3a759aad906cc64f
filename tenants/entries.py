"""What a person may write in tenants.yaml and environments.yaml; editors read the same models as JSON Schema."""

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tenants.model import (
    EMAIL,
    CellReference,
    Dataset,
    EnvironmentEntry,
    EnvironmentName,
    Line,
    Offboarding,
    Organization,
    Retention,
    Reuse,
    State,
    TenantId,
    Tier,
    Value,
)
from tenants.quantities import Days, DaysOrNone, PlainDigits

__all__ = ["EnvironmentsFile", "TenantEntry", "TenantsFile"]

NOWHERE = "none"
LEAVING = ("offboarding", "offboarded")
EXPORT = r"^(none|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.=-]+)*/?)$"


def check_export(text: str) -> str:
    """`text` if no part of it leads elsewhere for a reader that takes keys for paths."""
    if {".", ".."} & set(text.split("/")):
        raise ValueError(f"{text!r} has a part '.' or '..'; expected such as s3://bucket/prefix/, or none")
    return text


def _states(*states: str) -> dict[str, Any]:
    return {"properties": {"state": {"enum": list(states)}}, "required": ["state"]}


SCHEMA_OF_STATES: dict[str, Any] = {
    "allOf": [
        {"if": _states("offboarded"), "else": {"required": ["datasets"]}},
        {
            "if": _states(*LEAVING),
            "then": {"required": ["offboarding"]},
            "else": {"not": {"required": ["offboarding"]}},
        },
    ]
}
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


class OffboardingEntry(Value):
    """How a tenant leaves; goes with the states offboarding and offboarded."""

    requested_by: Line
    """Who asked for it: a person, such as jane@acme.example."""
    export: Annotated[str, Field(pattern=EXPORT, max_length=600), AfterValidator(check_export)]
    """Where data and lineage go before anything is deleted: s3://bucket/prefix/, or none, which has to be said."""
    export_account: str | None = Field(default=None, pattern=r"^[0-9]{12}$")
    """The AWS account whose bucket that is, 12 digits in quotes; needed with s3://."""
    grace: Annotated[DaysOrNone, Field(ge=0, le=3_650)] = 30
    """How long the data stay after the deploy that saw `offboarding`; 0 is none."""
    reuse: Reuse = "never"
    """Whether the id may be taken again: never, or after certificate."""

    @model_validator(mode="after")
    def _bucket_has_an_owner(self) -> Self:
        if (self.export == NOWHERE) != (self.export_account is None):
            raise ValueError(
                "export goes to a bucket and export_account is missing: say whose account it is, 12 digits in quotes"
                if self.export_account is None
                else "export is none, and export_account is given: take it out, or say where the data go"
            )
        return self

    def resolved(self) -> Offboarding:
        export = None if self.export == NOWHERE else self.export.removesuffix("/") + "/"
        return Offboarding.model_validate(self.model_dump() | {"export": export})


class Defaults(Value):
    """What holds for every tenant that says nothing else."""

    tier: TierName = "standard"
    """One of the tiers below."""
    retention: RetentionEntry = RetentionEntry()
    """How many days each zone keeps its objects."""


class TenantEntry(Value):
    """One tenant. Removing it deletes nothing; set its state instead."""

    model_config = ConfigDict(json_schema_extra=SCHEMA_OF_STATES)

    id: TenantId
    """Lower-case letters, digits, single hyphens; 3 to 20 characters; part of every name; never re-used."""
    name: Line
    """The name that people read."""
    owner: str = Field(pattern=EMAIL, max_length=254)
    """Mail address of whoever answers for the data."""
    tier: TierName | None = None
    """One of the tiers; the default tier if not given."""
    state: State = "active"
    """active; suspended (files wait, nobody queries); offboarding (leaves); offboarded (left, the id stays taken)."""
    offboarding: OffboardingEntry | None = Field(default=None, validate_default=True)
    """How it leaves: with the states offboarding and offboarded, and with no other."""
    life: Annotated[int, Field(ge=1, le=99), PlainDigits] = 1
    """Which tenant of this id it is: 2 for the one that takes the place of the first, which left. Never changed."""
    retention: RetentionEntry = RetentionEntry()
    """How many days each zone keeps its objects."""
    cells: dict[EnvironmentName, CellReference] = Field(default={})
    """The cell that the tenant is placed in, by environment; the first if not given. Written once, never changed."""
    datasets: tuple[Dataset, ...] = Field(default=(), min_length=1, validate_default=True)
    """What the tenant sends: a name, or a mapping with name, contract, max_wait or schedule, max_files, max_bytes."""

    @field_validator("offboarding")
    @classmethod
    def _goes_with_the_state(cls, value: OffboardingEntry | None, info: ValidationInfo) -> OffboardingEntry | None:
        state = info.data.get("state")
        if value is None and state in LEAVING:
            raise ValueError(
                f"state {state} needs `offboarding:` with requested_by (who asked) and export "
                "(s3://bucket/prefix/ with export_account, or none)"
            )
        if value is not None and state not in {*LEAVING, None}:
            raise ValueError(
                f"goes with state offboarding or offboarded, and the state is {state}: take these lines out, or set "
                "the state"
            )
        return value

    @field_validator("datasets", mode="wrap")
    @classmethod
    def _left_out_only_of_one_that_left(
        cls, value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> tuple[Dataset, ...]:
        if value != ():  # what is written is a list
            found: tuple[Dataset, ...] = read(value)
            return found
        if info.data.get("state") != "offboarded":
            raise PydanticCustomError("missing", "is missing")
        return ()


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
