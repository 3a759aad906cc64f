"""What a stack is made from: the registry's facts as flat, typed values, so that constructs only place them.

The shape of a tenant's stack is its datasets and their named queries. Every other field is a scalar that no construct
looks at; whatever has to be decided about it is decided here or in `tenants`.
"""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glue_scripts.arguments import JOBS, MAINTAIN
from tenants.model import KEPT_DAYS, Environment, Tenant, Webhook
from tenants.naming import NO_ACCOUNT, PlatformNames, TenantNames, arn, partition_of

if TYPE_CHECKING:
    import aws_cdk as cdk

    from tenants.registry import Registry

__all__ = [
    "ANALYTICS_READY",
    "ATHENA_RESULTS",
    "OLD_VERSION_DAYS",
    "PROCESSED",
    "QUARANTINE",
    "RAW",
    "SavedQuery",
    "Site",
    "TenantValues",
    "saved_queries",
]

RAW = "raw/"
PROCESSED = "processed/"
ANALYTICS_READY = "analytics-ready/"
QUARANTINE = "quarantine/"
ATHENA_RESULTS = "athena-results/"

OLD_VERSION_DAYS = 30
WORKGROUP_STATES = {"active": "ENABLED", "suspended": "DISABLED", "offboarding": "DISABLED"}


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a stack stands, and what holds for everything that stands there."""

    platform: PlatformNames
    account: str
    region: str
    notification: str | None
    webhook: Webhook | None
    writes_to_owners: bool
    termination_protection: bool
    destroys_data: bool

    @classmethod
    def of(cls, organization: str, environment: Environment) -> "Site":
        """A cell of an environment; `organization` where it has none of its own."""
        return cls(
            platform=PlatformNames(environment.organization or organization, environment.name, environment.cell),
            account=environment.account,
            region=environment.region,
            notification=environment.notification,
            webhook=environment.webhook,
            writes_to_owners=not environment.is_local,
            termination_protection=environment.termination_protection,
            destroys_data=environment.removal_policy == "destroy",
        )

    @property
    def organization(self) -> str:
        return self.platform.organization

    @property
    def environment(self) -> str:
        return self.platform.environment

    @property
    def cdk_environment(self) -> "cdk.Environment":
        import aws_cdk as cdk

        return cdk.Environment(account=self.account, region=self.region)

    @property
    def removal_policy(self) -> "cdk.RemovalPolicy":
        """Of whatever holds data. A creation that failed leaves nothing behind, so that it can be tried again."""
        import aws_cdk as cdk

        if self.destroys_data:
            return cdk.RemovalPolicy.DESTROY
        return cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE

    @property
    def tags(self) -> dict[str, str]:
        tags = {"organization": self.organization, "environment": self.environment}
        return {**tags, "cell": self.platform.cell} if self.platform.cell else tags

    @property
    def partition(self) -> str:
        return partition_of(self.region)

    def arn(self, service: str, resource: str) -> str:
        return arn(service, self.region, self.account, resource)

    def role_arn(self, role: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{role}"

    def queue_url(self, queue: str) -> str:
        suffix = {"aws-cn": "amazonaws.com.cn"}.get(self.partition, "amazonaws.com")
        return f"https://sqs.{self.region}.{suffix}/{self.account}/{queue}"

    def bucket_arn(self, bucket: str) -> str:
        return f"arn:{self.partition}:s3:::{bucket}"

    @property
    def every_tenant(self) -> str:
        """Name pattern of whatever any tenant owns here, up to the hyphen before what it is."""
        return f"{self.organization}-*-{self.environment}-"

    @property
    def tenant_role_arns(self) -> list[str]:
        """Patterns of the roles of all tenants."""
        return [self.role_arn(f"{self.every_tenant}job"), self.role_arn(f"{self.every_tenant}analyst")]

    @property
    def every_lake(self) -> str:
        """Pattern of the ARNs of all tenants' buckets."""
        return self.bucket_arn(f"{self.every_tenant}datalake")

    @property
    def key_export(self) -> str:
        """Name under which the platform's stack exports the ARN of its key."""
        return f"{self.platform.stack}-key"


@dataclass(frozen=True, kw_only=True)
class SavedQuery:
    """A query that stands ready in a tenant's workgroup."""

    name: str
    description: str
    sql: str


@dataclass(frozen=True, kw_only=True)
class TenantValues:
    """One tenant in one environment. Retention in days, limits in bytes."""

    tenant: str
    owner: str
    names: TenantNames
    raw_days: int
    processed_days: int
    quarantine_days: int
    old_version_days: int
    """How long a version outlives what replaced it: a job reads the version that it was told."""
    workers: int
    worker_type: str
    max_concurrent_runs: int
    query_bytes_limit: int
    daily_bytes_alarm: int
    workgroup_state: str
    denied_account: str
    """Whose roles are denied everything: the account's while the tenant is not active, else nobody's."""
    datasets: tuple[str, ...]
    queries: tuple[SavedQuery, ...]

    @classmethod
    def of(
        cls,
        tenant: Tenant,
        registry: "Registry",
        environment: str,
        *,
        queries: tuple[SavedQuery, ...] | None = None,
    ) -> "TenantValues":
        """`queries`: as `saved_queries` gives them, where they are known."""
        retention = registry.environment(environment).kept_of(tenant)
        return cls(
            tenant=tenant.id,
            owner=tenant.owner,
            names=TenantNames(registry.organization_of(environment), tenant.id, environment),
            raw_days=retention.raw,
            processed_days=retention.processed,
            quarantine_days=retention.quarantine,
            old_version_days=OLD_VERSION_DAYS if tenant.is_active else KEPT_DAYS,
            workers=tenant.workers,
            worker_type=tenant.worker_type,
            max_concurrent_runs=tenant.max_concurrent_runs,
            query_bytes_limit=tenant.query_bytes_limit,
            daily_bytes_alarm=10 * tenant.query_bytes_limit,
            workgroup_state=WORKGROUP_STATES[tenant.state],
            denied_account=NO_ACCOUNT if tenant.is_active else registry.place_of(tenant, environment).account,
            datasets=tuple(dataset.name for dataset in tenant.datasets),
            queries=saved_queries(tenant, registry) if queries is None else queries,
        )

    @property
    def roles(self) -> list[str]:
        """Names of the tenant's own roles."""
        return [self.names.job_role, self.names.analyst_role]

    @property
    def jobs(self) -> dict[str, str]:
        """Glue's name of each job."""
        return {job: self.names.job(job) for job in JOBS}

    @property
    def maintenance(self) -> str:
        """Glue's name of the job for errands."""
        return self.names.job(MAINTAIN)


def saved_queries(tenant: Tenant, registry: "Registry") -> tuple[SavedQuery, ...]:
    """The queries of a tenant's contracts. Where two datasets bring the same name, each goes under its dataset's."""
    found = [
        (dataset.name, query)
        for dataset in tenant.datasets
        for query in registry.contracts[dataset.contract].queries_of(dataset.name)
    ]
    taken = Counter(query.name for _, query in found)
    return tuple(
        SavedQuery(
            name=query.name if taken[query.name] == 1 else f"{dataset}_{query.name}",
            description=query.description,
            sql=query.sql,
        )
        for dataset, query in found
    )
