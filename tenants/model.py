"""Tenants, datasets and environments as the rest of the platform sees them: frozen, every default filled in."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from tenants.naming import (
    CELL,
    DATASET,
    ENVIRONMENT,
    FIRST_CELL,
    ORGANIZATION,
    TENANT,
    check_cell,
    check_dataset,
    check_environment,
    check_organization,
    check_tenant,
)
from tenants.quantities import Days, PlainDigits, Seconds, Size
from tenants.schedule import check_schedule

__all__ = [
    "KEPT_DAYS",
    "CellEntry",
    "Dataset",
    "Environment",
    "EnvironmentEntry",
    "Offboarding",
    "Retention",
    "RetentionCeiling",
    "Tenant",
    "Tier",
    "Webhook",
]

LINE = r"^[^\x00-\x1f\x7f]+$"
# The dots and signs that mail systems use, and no braces: `{{resolve:…}}` in a template is read by CloudFormation.
EMAIL = r"^[A-Za-z0-9.!#%&'*+/=?^_~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$"


def check_line(text: str) -> str:
    """`text` if it prints as it is: no line end, no sign that turns or hides the text after it."""
    if not text.isprintable():
        raise ValueError(f"{text!a} holds what does not print; expected one line of printable text")
    return text


def _as_schema(rule: re.Pattern[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": "^" + rule.pattern.replace(r"\Z", "$")})


Line = Annotated[str, Field(pattern=LINE, max_length=100), AfterValidator(check_line)]
Organization = Annotated[str, AfterValidator(check_organization), _as_schema(ORGANIZATION)]
TenantId = Annotated[str, AfterValidator(check_tenant), _as_schema(TENANT)]
DatasetName = Annotated[str, AfterValidator(check_dataset), _as_schema(DATASET)]
EnvironmentName = Annotated[str, AfterValidator(check_environment), _as_schema(ENVIRONMENT)]
CellName = Annotated[str, AfterValidator(check_cell), _as_schema(CELL)]
CellReference = Annotated[str, _as_schema(CELL)]
Schedule = Annotated[
    str,
    AfterValidator(check_schedule),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(rate\([1-9][0-9]* +(minute|hour|day)s?\)|cron\([^()]+\))$",
            "examples": ["rate(1 day)", "cron(0 6 * * ? *)"],
        }
    ),
]
WorkerType = Literal["G.1X", "G.2X", "G.4X", "G.8X", "G.12X", "G.16X", "R.1X", "R.2X", "R.4X", "R.8X"]
State = Literal["active", "suspended", "offboarding", "offboarded"]
Reuse = Literal["never", "after certificate"]
RemovalPolicy = Literal["retain", "destroy"]
WebhookFormat = Literal["slack", "teams"]

KEPT_DAYS = 36_500
"""As good as for ever: how long what nothing may take away is kept."""

LOCAL = "local"
"""The environment that is one machine: nothing of it reaches people elsewhere."""


class Value(BaseModel):
    """A frozen value that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Retention(Value):
    """How many days each zone keeps its objects."""

    raw: Annotated[Days, Field(ge=1, le=36_500)] = 90
    """Files as they came."""
    processed: Annotated[Days, Field(ge=1, le=36_500)] = 365
    """Conformed files, from which the tables can be built again."""
    quarantine: Annotated[Days, Field(ge=1, le=36_500)] = 30
    """Refused rows with their reasons."""


class RetentionCeiling(Value):
    """How many days each zone keeps its objects at most; as long as each tenant says where nothing is given."""

    raw: Annotated[Days, Field(ge=1, le=36_500)] | None = None
    """Files as they came."""
    processed: Annotated[Days, Field(ge=1, le=36_500)] | None = None
    """Conformed files, from which the tables can be built again; not shorter than raw."""
    quarantine: Annotated[Days, Field(ge=1, le=36_500)] | None = None
    """Refused rows with their reasons."""

    @model_validator(mode="after")
    def _processed_outlives_raw(self) -> Self:
        if self.processed is not None and (self.raw is None or self.raw > self.processed):
            raise ValueError(
                f"processed is kept {self.processed} days at most, and raw longer: what lies in processed/ says which "
                f"raw files are done; set raw to {self.processed} days or less"
            )
        return self

    def over(self, retention: Retention) -> Retention:
        """`retention`, cut to what is kept at most."""
        if not self.model_fields_set:
            return retention  # thousands of tenants, and few environments with a ceiling
        return Retention(
            raw=min(retention.raw, self.raw or retention.raw),
            processed=min(retention.processed, self.processed or retention.processed),
            quarantine=min(retention.quarantine, self.quarantine or retention.quarantine),
        )


class Tier(Value):
    """What a tenant of this tier may use."""

    workers: Annotated[int, Field(ge=2, le=299), PlainDigits] = 2
    """Glue workers per run."""
    worker_type: WorkerType = "G.1X"
    """Glue worker type."""
    max_concurrent_runs: Annotated[int, Field(ge=1, le=200), PlainDigits] = 2
    """Runs of this tenant at the same time."""
    query_bytes_limit: Annotated[Size, Field(ge=10_000_000)] = 100 * 10**9
    """Bytes that one query may scan, at least 10 MB; units are decimal (100 GB = 10^11)."""


class Dataset(Value):
    """A named thing that a tenant sends."""

    name: DatasetName
    """Also the table's name."""
    contract: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    """The file in contracts/ without .yaml; the dataset's name if not given."""
    max_wait: Annotated[Seconds, Field(ge=0, le=7 * 86_400)] = 900
    """How long a file may wait for others before its run starts; 0 starts at once. Excludes schedule."""
    max_files: Annotated[int, Field(ge=1, le=100_000), PlainDigits] = 5_000
    """A batch of this many files starts without waiting; no batch takes more."""
    max_bytes: Annotated[Size, Field(ge=1)] = 10**9
    """A batch of this size starts without waiting; units are decimal."""
    schedule: Schedule | None = None
    """When runs start, whatever arrived before: rate(1 day) or cron(0 6 * * ? *), in UTC. Excludes max_wait."""

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if isinstance(value, dict) and isinstance(value.get("name"), str):
            value = {"contract": value["name"], **value}
        return value

    @model_validator(mode="after")
    def _starts_in_one_way(self) -> Self:
        if self.schedule is not None and "max_wait" in self.model_fields_set:
            raise ValueError("schedule and max_wait exclude each other: a run starts by the clock or by what arrives")
        return self


class Offboarding(Value):
    """How a tenant leaves."""

    requested_by: str
    """Who asked for it."""
    export: str | None
    """Where data and lineage go before anything is deleted, `s3://bucket/` or `s3://bucket/prefix/`; None: nowhere."""
    export_account: str | None
    """The account whose bucket that is."""
    grace: int
    """Days from the deploy that saw `offboarding` to the first deletion."""
    reuse: Reuse
    """Whether the id may be taken again, once the certificate is there."""

    @property
    def export_bucket(self) -> str | None:
        return None if self.export is None else self.export.removeprefix("s3://").partition("/")[0]

    @property
    def export_prefix(self) -> str:
        """Empty, or it ends in a slash."""
        return "" if self.export is None else self.export.removeprefix("s3://").partition("/")[2]


class Tenant(Value):
    """A party with its own data, key, roles and budget."""

    id: TenantId
    name: str
    owner: str
    tier: str
    state: State
    retention: Retention
    cells: Mapping[str, str]
    """The cell by environment, where that is not the first."""
    datasets: tuple[Dataset, ...]
    """None of a tenant that is offboarded, where it says none."""
    workers: int
    worker_type: WorkerType
    max_concurrent_runs: int
    query_bytes_limit: int
    offboarding: Offboarding | None = None
    """Of one that is offboarding or offboarded."""
    life: int = 1
    """Which tenant of this id it is; another one's data are none of its own."""

    @property
    def is_active(self) -> bool:
        return self.state == "active"

    @property
    def is_offboarded(self) -> bool:
        """Whether the file says so: nothing of it stands, or is made, and its id stays taken."""
        return self.state == "offboarded"

    def dataset(self, name: str) -> Dataset | None:
        return next((dataset for dataset in self.datasets if dataset.name == name), None)


class Webhook(Value):
    """A chat that alerts go to, by an incoming webhook."""

    parameter: str = Field(pattern=r"^(/[A-Za-z0-9_.-]+)+$", max_length=1_000)
    """Name of the SSM parameter (a SecureString, beginning with a slash) that holds the webhook's URL."""
    format: WebhookFormat
    """Who reads it: slack or teams."""


class CellEntry(Value):
    """A further account and Region of an environment, with a platform stack of its own."""

    account: str = Field(pattern=r"^[0-9]{12}$")
    """AWS account, 12 digits in quotes."""
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")
    """AWS Region."""
    canary: TenantId | None = None
    """The platform's own tenant here: every deploy drives a file through it before it goes on; none if not given."""


class Policies(CellEntry):
    """An account and Region with what holds there."""

    organization: Organization | None = None
    """First part of every name here; the one of tenants.yaml if not given."""
    notification: str | None = Field(default=None, pattern=EMAIL)
    """Mail address of whoever operates this environment."""
    webhook: Webhook | None = None
    """A chat of whoever operates this environment; none if not given."""
    removal_policy: RemovalPolicy = "retain"
    """What happens to buckets, keys and tables whose stack is deleted."""
    termination_protection: bool = True
    """Whether a stack refuses to be deleted until this is switched off."""
    max_wait: Annotated[Seconds, Field(ge=0)] | None = None
    """Ceiling on every dataset's max_wait here; none if not given."""
    retention: RetentionCeiling = RetentionCeiling()
    """Ceilings on every tenant's retention here; none if not given."""

    @model_validator(mode="after")
    def _destroying_means_it(self) -> Self:
        if self.removal_policy == "destroy" and self.termination_protection:
            raise ValueError("removal_policy destroy needs termination_protection: false")
        return self


class EnvironmentEntry(Policies):
    """An environment: its first cell's account and Region, its policies, and further cells."""

    cells: dict[CellName, CellEntry] = Field(default={})
    """Further accounts and Regions, by a name of 1 to 8 lower-case letters and digits."""


class Environment(Policies):
    """An environment under its name, as it is in one of its cells; `cell` is None for the first."""

    name: EnvironmentName
    cell: CellName | None = None

    @property
    def place(self) -> str:
        """As people name it: `prod`, or `prod/b` for a further cell."""
        return self.name if self.cell is None else f"{self.name}/{self.cell}"

    @property
    def cell_name(self) -> str:
        """What people call the cell, also the one that has no name."""
        return self.cell or FIRST_CELL

    @property
    def is_local(self) -> bool:
        return self.name == LOCAL

    def max_wait_of(self, dataset: Dataset) -> int:
        """Seconds that a file of `dataset` may wait here: its own max_wait under this environment's ceiling."""
        return dataset.max_wait if self.max_wait is None else min(dataset.max_wait, self.max_wait)

    def retention_of(self, tenant: Tenant) -> Retention:
        """How long each zone of `tenant` keeps its objects here: its own days under this environment's ceilings."""
        return self.retention.over(tenant.retention)

    def kept_of(self, tenant: Tenant) -> Retention:
        """The same, but while the tenant is not active files wait in raw/ and processed/, and none of them expires."""
        retention = self.retention_of(tenant)
        if tenant.is_active:
            return retention
        return retention.model_copy(update={"raw": KEPT_DAYS, "processed": KEPT_DAYS})
