"""Every physical name of the platform, as pure functions of organization, tenant and environment.

Names of two tenants are never equal and never begin one another, so a policy that ends at a name (or at a name
and a delimiter) reaches one tenant only. This rests on the rules of the ids below: organization and environment
hold no hyphen, and no part of a tenant id begins with the environment's name.
"""

import re
from dataclasses import dataclass

from tenants.errors import InvalidName

__all__ = [
    "FIRST_CELL",
    "NO_ACCOUNT",
    "RESERVED_CELLS",
    "RESERVED_TENANTS",
    "PlatformNames",
    "TenantNames",
    "arn",
    "check_cell",
    "check_dataset",
    "check_environment",
    "check_organization",
    "check_tenant",
    "check_tenant_in",
    "partition_of",
]

# \Z, not $: $ also accepts a trailing newline.
ORGANIZATION = re.compile(r"[a-z][a-z0-9]{2,15}\Z")
ENVIRONMENT = re.compile(r"[a-z][a-z0-9]{1,7}\Z")
CELL = re.compile(r"[a-z][a-z0-9]{0,7}\Z")
TENANT = re.compile(r"[a-z](?:[a-z0-9]|-(?=[a-z0-9])){2,19}\Z")
DATASET = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
JOB = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*\Z")

RESERVED_TENANTS = frozenset(
    {"shared", "all", "changed", "default", "primary", "admin", "root", "aws", "system", "public"}
)
NO_ACCOUNT = "none"
"""Stands where an account would, in a rule that is to meet nobody."""
FIRST_CELL = "first"
"""What people call the cell that has no name: the account and Region of the environment itself."""
# A cell's name is the last part of its names: with these it would be that of something else (`arrivals-dead`,
# `platform-code`, and the `tenant` that ends the name of a tenant's stack).
RESERVED_CELLS = frozenset({FIRST_CELL, "dead", "code", "tenant"})
# S3 keeps bucket names that begin with these for itself; `cdk-` begins the names of CDK's own roles and buckets.
RESERVED_ORGANIZATIONS = frozenset({"sthree", "amzn", "aws", "cdk"})
# Athena takes these for SQL where a table stands without quotes, as it does in a contract's queries.
SQL_WORDS = (
    "alter and as between by case cast constraint create cross cube current_catalog current_date current_path "
    "current_schema current_time current_timestamp current_user deallocate delete describe distinct drop else end "
    "escape except execute exists extract false first for from full group grouping having in inner insert intersect "
    "into is join json_array json_exists json_object json_query json_table json_value last left like listagg localtime "
    "localtimestamp natural normalize not null of on or order outer prepare recursive right rollup select skip table "
    "then trim true uescape union unnest using values when where with"
)
RESERVED_DATASETS = frozenset(SQL_WORDS.split())


def arn(service: str, region: str, account: str, resource: str) -> str:
    """`arn:aws:sns:eu-central-1:111122223333:name`; services without Regions or accounts want these empty."""
    return f"arn:{partition_of(region)}:{service}:{region}:{account}:{resource}"


def partition_of(region: str) -> str:
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")


def check_organization(name: str) -> str:
    if not ORGANIZATION.match(name):
        raise InvalidName(f"{name!a} is no organization: expected 3 to 16 lower-case letters and digits, letter first")
    if name in RESERVED_ORGANIZATIONS:
        raise InvalidName(f"{name!a} is reserved by AWS: choose another organization name")
    return name


def check_environment(name: str) -> str:
    if not ENVIRONMENT.match(name):
        raise InvalidName(f"{name!a} is no environment: expected 2 to 8 lower-case letters and digits, letter first")
    return name


def check_cell(name: str) -> str:
    if not CELL.match(name):
        raise InvalidName(f"{name!a} is no cell: expected 1 to 8 lower-case letters and digits, letter first")
    if name in RESERVED_CELLS:
        raise InvalidName(f"{name!a} is reserved: choose another name for the cell")
    return name


def check_tenant(name: str) -> str:
    if not TENANT.match(name):
        raise InvalidName(
            f"{name!a} is no tenant id: expected 3 to 20 lower-case letters, digits and single hyphens, "
            "letter first, no hyphen last"
        )
    if name in RESERVED_TENANTS:
        raise InvalidName(f"{name!a} is reserved: choose another tenant id")
    return name


def check_tenant_in(name: str, environment: str) -> str:
    """The tenant id, if no part of it begins with the environment's name.

    Otherwise `mycompany-acme-dev` (a workgroup of `acme`) would begin `mycompany-acme-dev-eu-dev` (one of
    `acme-dev-eu`), and a pattern for the first would reach the second.
    """
    for part in check_tenant(name).split("-"):
        if part.startswith(check_environment(environment)):
            raise InvalidName(f"{name!r} has a part {part!r} that begins with the environment name {environment!r}")
    return name


def check_dataset(name: str) -> str:
    if not DATASET.match(name):
        raise InvalidName(
            f"{name!a} is no dataset: expected 1 to 40 lower-case letters, digits and underscores, letter first"
        )
    if name.endswith("_quarantine"):
        raise InvalidName(f"{name!a} is no dataset: names ending in _quarantine are taken by the quarantine tables")
    if name in RESERVED_DATASETS:
        raise InvalidName(f"{name!a} is no dataset: it is a word of SQL; choose another name")
    return name


@dataclass(frozen=True)
class PlatformNames:
    """Names of what all tenants of one cell share; `cell` is None for the first cell of the environment."""

    organization: str
    environment: str
    cell: str | None = None

    def __post_init__(self) -> None:
        check_organization(self.organization)
        check_environment(self.environment)
        if self.cell is not None:
            check_cell(self.cell)

    def _of(self, what: str) -> str:
        ending = "" if self.cell is None else f"-{self.cell}"
        return f"{self.organization}-{self.environment}-{what}{ending}"

    @property
    def stack(self) -> str:
        return self._of("platform")

    @property
    def ledger(self) -> str:
        return self._of("ledger")

    @property
    def queue(self) -> str:
        return self._of("arrivals")

    @property
    def dead_letter_queue(self) -> str:
        return self._of("arrivals-dead")

    @property
    def topic(self) -> str:
        return self._of("alerts")

    @property
    def register_function(self) -> str:
        return self._of("register")

    @property
    def dispatch_function(self) -> str:
        return self._of("dispatch")

    @property
    def reconcile_function(self) -> str:
        return self._of("reconcile")

    @property
    def webhook_function(self) -> str:
        return self._of("webhook")

    @property
    def functions(self) -> tuple[str, ...]:
        """Every function that works for all tenants; their roles and log groups are named as they are."""
        return self.register_function, self.dispatch_function, self.reconcile_function, self.webhook_function

    @property
    def boundary(self) -> str:
        """The managed policy that roles of functions which work on the ledger never reach past."""
        return self._of("boundary")

    @property
    def webhook_boundary(self) -> str:
        """That of the function which knows nothing but an address."""
        return self._of("webhook-boundary")

    @property
    def code_bucket(self) -> str:
        return self._of("platform-code")

    @property
    def key_alias(self) -> str:
        return f"alias/{self._of('platform')}"


@dataclass(frozen=True)
class TenantNames:
    """Names of what one tenant owns in one environment."""

    organization: str
    tenant: str
    environment: str

    def __post_init__(self) -> None:
        check_organization(self.organization)
        check_tenant_in(self.tenant, self.environment)

    @property
    def workgroup(self) -> str:
        return f"{self.organization}-{self.tenant}-{self.environment}"

    @property
    def stack(self) -> str:
        return f"{self.workgroup}-tenant"

    @property
    def bucket(self) -> str:
        return f"{self.workgroup}-datalake"

    @property
    def key_alias(self) -> str:
        return f"alias/{self.workgroup}"

    @property
    def rule(self) -> str:
        return f"{self.workgroup}-arrivals"

    @property
    def database(self) -> str:
        return self.workgroup.replace("-", "_")

    @property
    def job_role(self) -> str:
        return f"{self.workgroup}-job"

    @property
    def analyst_role(self) -> str:
        return f"{self.workgroup}-analyst"

    @property
    def boundary(self) -> str:
        return f"{self.workgroup}-boundary"

    @property
    def topic(self) -> str:
        return f"{self.workgroup}-alerts"

    @property
    def log_group(self) -> str:
        return f"/lake/{self.organization}/{self.environment}/{self.tenant}/jobs"

    def job(self, name: str) -> str:
        """The Glue job's name; `name` is the job's own, such as `raw_to_processed`."""
        if not JOB.match(name):
            raise InvalidName(f"{name!a} is no job: expected lower-case words joined by single underscores")
        return f"{self.workgroup}-{name.replace('_', '-')}"

    def resources(self) -> dict[str, str]:
        """The names that people meet, by what they name."""
        words = (
            "stack",
            "bucket",
            "database",
            "workgroup",
            "job_role",
            "analyst_role",
            "key_alias",
            "rule",
            "topic",
            "log_group",
        )
        return {word: getattr(self, word) for word in words}
