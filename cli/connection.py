"""The cell of an environment that a command works on: its registry, its names and its AWS clients."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import output
from cli.errors import CloudIsDown, LakeError, NotFound, WrongInput
from cli.options import tenants_folder

if TYPE_CHECKING:
    from lineage.ledger import Ledger
    from local_cloud.state import Cloud
    from tenants.model import Environment, Tenant
    from tenants.naming import PlatformNames, TenantNames
    from tenants.registry import Registry

__all__ = [
    "LOCAL",
    "Connection",
    "cell_of",
    "cells",
    "cloud_home",
    "connect",
    "is_rehearsal",
    "registered",
    "running_cloud",
    "suffix_of",
    "within_reach",
]

LOCAL = "local"
REHEARSAL = "LAKE_REHEARSAL"
LOGINS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""Variables by which AWS's clients are somebody."""


def is_rehearsal() -> bool:
    """Whether environments other than `local` are played in the local cloud: no account is asked or changed."""
    said = os.environ.get(REHEARSAL, "")
    if said not in {"", "1"}:
        raise WrongInput(f"{REHEARSAL}={said}: expected 1, for a rehearsal in the local cloud, or nothing")
    return said == "1"


def cloud_home() -> Path:
    """Folder of the local cloud: `$LAKE_HOME`, or `.lake` beside the project."""
    from local_cloud.state import default_home

    return default_home()


def known_cloud() -> "Cloud":
    """The local cloud that runs."""
    from local_cloud import state
    from local_cloud.errors import NotRunningError

    try:
        return state.load(cloud_home())
    except NotRunningError as error:
        raise CloudIsDown from error


def running_cloud() -> "Cloud":
    """The running local cloud, with its variables in this process's environment."""
    cloud = known_cloud()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(cloud.environment())
    return cloud


@dataclass(frozen=True)
class Connection:
    """What a command needs to talk to one environment, in one of its cells."""

    registry: "Registry"
    environment: "Environment"
    """As it is in this cell."""
    folder: Path = field(default_factory=tenants_folder)
    """Where the registry was read from."""

    @property
    def is_local(self) -> bool:
        """Whether it stands in the local cloud: `local` itself, and any other while it is rehearsed there."""
        return self.environment.name == LOCAL or is_rehearsal()

    @cached_property
    def platform(self) -> "PlatformNames":
        return self.registry.platform_names(f"{self.environment.name}/{self.environment.cell_name}")

    @cached_property
    def ledger(self) -> "Ledger":
        from lineage.ledger import Ledger

        return Ledger(self.platform.ledger, region=self.environment.region)

    @property
    def tenants(self) -> "tuple[Tenant, ...]":
        """Those that are placed in this cell."""
        return self.registry.tenants_in(self.environment)

    def tenant(self, tenant: str) -> "Tenant":
        return self.registry.tenant(tenant)

    def names(self, tenant: str) -> "TenantNames":
        from tenants.naming import TenantNames

        return TenantNames(self.platform.organization, tenant, self.environment.name)

    def client(self, service: str, session: Any = None) -> Any:
        """A boto3 client; one of S3 takes no bucket but this environment's account's."""
        import boto3

        made = (session or boto3).client(service, region_name=self.environment.region)
        if service != "s3":
            return made
        from lineage.bucket_owner import insisting

        return insisting(made, self.environment.account)

    def account_of_login(self) -> str:
        """The account that the credentials in use are of."""
        return str(self.client("sts").get_caller_identity()["Account"])

    def check_account(self) -> None:
        """Raises LakeError if the credentials in use are of another account than this cell."""
        account, place = self.account_of_login(), self.environment.place
        if account != self.environment.account:
            raise LakeError(
                f"environment {place} is account {self.environment.account}, but the credentials in use are of "
                f"account {account}: log in to the right one"
            )

    def deployed_tenant(self, tenant: str) -> "Tenant":
        """The tenant, if its bucket is there; else what to run first."""
        known = self.tenant(tenant)
        if not self.is_deployed(tenant):
            raise LakeError(
                f"tenant {tenant} is not deployed in environment {self.environment.place}: "
                f"run `lake deploy {tenant}{self.suffix}`"
            )
        return known

    def is_deployed(self, tenant: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            self.client("s3").head_bucket(Bucket=self.names(tenant).bucket)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == NOT_THERE:
                return False
            raise
        return True

    @property
    def suffix(self) -> str:
        """The option that repeats this cell in a suggested command."""
        return suffix_of(self.environment.place)

    def dataset(self, tenant: str, dataset: str) -> str:
        names = [each.name for each in self.tenant(tenant).datasets]
        if dataset not in names:
            raise NotFound(f"tenant {tenant} has no dataset {dataset!r}; it has: {', '.join(names)}")
        return dataset


NOT_THERE = 404


def suffix_of(environment: str) -> str:
    """The option that repeats an environment, or a cell of it, in a suggested command."""
    return "" if environment == LOCAL else f" -e {environment}"


def connect(environment: str, tenant: str | None = None) -> Connection:
    """The tenant's cell, or without a tenant the one that is meant; for `local` the local cloud reached.

    `environment` may name a cell, such as `prod/b`. Without a tenant it has to, where there are several.
    """
    name, found = environment.partition("/")[0], registered(environment)
    if tenant is not None:
        own = cell_of(found[0].registry, tenant, environment)
        found = [each for each in found if each.environment == own]
    elif len(found) > 1:
        known = ", ".join(f"-e {name}/{each.environment.cell_name}" for each in found)
        raise WrongInput(f"environment {name} has several cells: name the one that is meant, {known}")
    (connection,) = found
    _reach(connection)
    return connection


def cell_of(registry: "Registry", tenant: str, environment: str) -> "Environment":
    """The cell that a tenant is placed in; raises WrongInput if `environment` names another."""
    name, _, named = environment.partition("/")
    own = registry.cell_of(tenant, name)
    if named and registry.cell(environment) != own:
        raise WrongInput(f"tenant {tenant} is not in cell {environment}, but in {name}/{own.cell_name}: -e {name}")
    return own


def cells(environment: str) -> list[Connection]:
    """A connection to each cell of an environment, the first one first; to one of them, if `prod/b` names it.

    For `local` the local cloud is reached.
    """
    found = registered(environment)
    _reach(found[0])
    return found


def registered(environment: str) -> list[Connection]:
    """As `cells`, for who asks the registry only: no cloud is reached. The registry is loaded once."""
    from tenants import registry

    name, _, named = environment.partition("/")
    loaded = registry.load(tenants_folder(), memory=cloud_home() / "registry.json")
    return [Connection(loaded, each) for each in ((loaded.cell(environment),) if named else loaded.cells(name))]


def _reach(connection: Connection) -> None:
    """Elsewhere the cell's own Region: a person's default would lead to a ledger that is not there."""
    if connection.environment.name == LOCAL:
        running_cloud()
        return
    if is_rehearsal():
        _rehearse(connection.environment)
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        os.environ[variable] = connection.environment.region


def _rehearse(environment: "Environment") -> None:
    """The local cloud as the environment's account: twelve digits as an access key are root of that account there."""
    logged_in = [name for name in LOGINS if os.environ.get(name)]
    if logged_in and os.environ.get("AWS_ENDPOINT_URL") != known_cloud().endpoint:
        raise WrongInput(
            f"{REHEARSAL}=1, and {logged_in[0]} is set: a rehearsal asks no account; unset {REHEARSAL} if "
            f"environment {environment.name} itself is meant, else {', '.join(logged_in)}"
        )
    running_cloud()
    os.environ["AWS_ACCESS_KEY_ID"] = environment.account
    output.message(f"rehearsal: environment {environment.name} is played in the local cloud, no account is asked")


def within_reach(environment: str) -> list[Connection]:
    """The cells in the account that the credentials are of; what is left out is told. Raises LakeError for none."""
    found = cells(environment)
    if len({each.environment.account for each in found}) == 1:
        return found
    account = found[0].account_of_login()
    if elsewhere := [each for each in found if each.environment.account != account]:
        places = ", ".join(f"{each.environment.place} (account {each.environment.account})" for each in elsewhere)
        output.message(f"left out, since the credentials in use are of account {account}: {places}; log in there, too")
    reached = [each for each in found if each not in elsewhere]
    if not reached:
        raise LakeError(f"no cell of environment {environment} is in account {account}: log in to one of the others")
    return reached
