"""The environment a command works on: its registry, its names and its AWS clients."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import CloudIsDown, LakeError, NotFound
from cli.options import tenants_folder

if TYPE_CHECKING:
    from lineage.ledger import Ledger
    from local_cloud.state import Cloud
    from tenants.model import Environment, Tenant
    from tenants.naming import PlatformNames, TenantNames
    from tenants.registry import Registry

__all__ = ["LOCAL", "Connection", "cloud_home", "connect", "running_cloud"]

LOCAL = "local"


def cloud_home() -> Path:
    """Folder of the local cloud: `$LAKE_HOME`, or `.lake` beside the project."""
    from local_cloud.state import default_home

    return default_home()


def running_cloud() -> "Cloud":
    """The running local cloud, with its variables in this process's environment."""
    from local_cloud import state
    from local_cloud.errors import NotRunningError

    try:
        cloud = state.load(cloud_home())
    except NotRunningError as error:
        raise CloudIsDown from error
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(cloud.environment())
    return cloud


@dataclass(frozen=True)
class Connection:
    """What a command needs to talk to one environment."""

    registry: "Registry"
    environment: "Environment"
    folder: Path = field(default_factory=tenants_folder)
    """Where the registry was read from."""

    @property
    def is_local(self) -> bool:
        return self.environment.name == LOCAL

    @cached_property
    def platform(self) -> "PlatformNames":
        from tenants.naming import PlatformNames

        return PlatformNames(self.registry.organization, self.environment.name)

    @cached_property
    def ledger(self) -> "Ledger":
        from lineage.ledger import Ledger

        return Ledger(self.platform.ledger)

    def tenant(self, tenant: str) -> "Tenant":
        return self.registry.tenant(tenant)

    def names(self, tenant: str) -> "TenantNames":
        from tenants.naming import TenantNames

        return TenantNames(self.registry.organization, tenant, self.environment.name)

    def client(self, service: str, session: Any = None) -> Any:
        """A boto3 client; one of S3 takes no bucket but this environment's account's."""
        import boto3

        made = (session or boto3).client(service, region_name=self.environment.region)
        if service != "s3":
            return made
        from lineage.bucket_owner import insisting

        return insisting(made, self.environment.account)

    def deployed_tenant(self, tenant: str) -> "Tenant":
        """The tenant, if its bucket is there; else what to run first."""
        known = self.tenant(tenant)
        if not self.is_deployed(tenant):
            raise LakeError(
                f"tenant {tenant} is not deployed in environment {self.environment.name}: "
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
        """The option that repeats this environment in a suggested command."""
        return "" if self.is_local else f" -e {self.environment.name}"

    def dataset(self, tenant: str, dataset: str) -> str:
        names = [each.name for each in self.tenant(tenant).datasets]
        if dataset not in names:
            raise NotFound(f"tenant {tenant} has no dataset {dataset!r}; it has: {', '.join(names)}")
        return dataset


NOT_THERE = 404


def connect(environment: str, tenant: str | None = None) -> Connection:
    """Registry loaded, environment and tenant known, and for `local` the local cloud reached."""
    from tenants import registry

    loaded = registry.load(tenants_folder())
    connection = Connection(loaded, loaded.environment(environment))
    if tenant is not None:
        connection.tenant(tenant)
    if connection.is_local:
        running_cloud()
    else:
        # The environment's own: a person's default Region would lead to a ledger that is not there.
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            os.environ[name] = connection.environment.region
    return connection
