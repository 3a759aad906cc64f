"""Everything that one tenant owns."""

import aws_cdk as cdk
from constructs import Construct

from cdk_app.access import Access, Reach
from cdk_app.alerts import OwnerAlerts
from cdk_app.catalog import Catalog
from cdk_app.code import Code
from cdk_app.events import ArrivalRule
from cdk_app.jobs import JobCode, JobLogs, Jobs
from cdk_app.keys import TenantKey
from cdk_app.monitoring import TenantAlarms
from cdk_app.queries import Queries
from cdk_app.storage import Lake
from cdk_app.values import Site, TenantValues
from glue_scripts.arguments import JobDefaults

__all__ = ["TenantStack"]


class TenantStack(cdk.Stack):
    """Bucket, key, rule, jobs, roles, catalog, workgroup, topic, alarms.

    Its shape is the tenant's datasets and queries.
    """

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, values: TenantValues, code: Code) -> None:
        names = values.names
        super().__init__(
            scope,
            construct_id,
            stack_name=names.stack,
            description=f"Tenant {values.tenant} of {site.organization} in {site.environment}",
            env=site.cdk_environment,
            termination_protection=site.termination_protection,
            synthesizer=cdk.DefaultStackSynthesizer(file_assets_bucket_name=site.platform.code_bucket),
        )
        self.site, self.values = site, values
        key = TenantKey(
            self,
            "TenantKey",
            site=site,
            owner=names.workgroup,
            alias=names.key_alias,
            roles=values.roles,
            log_group=names.log_group,
        ).key
        Lake(
            self,
            "Lake",
            site=site,
            name=names.bucket,
            key=key,
            roles=values.roles,
            raw_days=values.raw_days,
            processed_days=values.processed_days,
            quarantine_days=values.quarantine_days,
            old_version_days=values.old_version_days,
        )
        ArrivalRule(self, "ArrivalRule", site=site, name=names.rule, bucket=names.bucket, tenant=values.tenant)
        platform_key_arn = cdk.Fn.import_value(site.key_export)
        self.access = Access(
            self,
            "Access",
            reach=Reach(site=site, values=values, key_arn=key.key_arn, platform_key_arn=platform_key_arn),
        )
        Catalog(self, "Catalog", site=site, database=names.database, bucket=names.bucket, datasets=values.datasets)
        self._queries(key.key_arn)
        self._jobs(code)
        JobLogs(self, "JobLogs", site=site, prefix=names.log_group, key=key)
        self._alerts(platform_key_arn)
        for name, value in {**site.tags, "tenant": values.tenant}.items():
            cdk.Tags.of(self).add(name, value)

    def _queries(self, key_arn: str) -> None:
        values, names = self.values, self.values.names
        Queries(
            self,
            "Queries",
            site=self.site,
            name=names.workgroup,
            state=values.workgroup_state,
            bucket=names.bucket,
            key_arn=key_arn,
            bytes_limit=values.query_bytes_limit,
            query_role_arn=self.site.role_arn(names.analyst_role),
            database=names.database,
            queries=values.queries,
        )

    def _jobs(self, code: Code) -> None:
        values, names, platform = self.values, self.values.names, self.site.platform
        Jobs(
            self,
            "Jobs",
            names=values.jobs,
            maintenance=values.maintenance,
            code=JobCode(self, "Code", code=code),
            defaults=JobDefaults(
                tenant=values.tenant,
                bucket=names.bucket,
                database=names.database,
                ledger=platform.ledger,
                account=self.site.account,
                code=code.version,
            ),
            role_arn=self.access.job_role.role_arn,
            log_prefix=names.log_group,
            worker_type=values.worker_type,
            workers=values.workers,
            max_concurrent_runs=values.max_concurrent_runs,
        )

    def _alerts(self, platform_key_arn: str) -> None:
        values, names = self.values, self.values.names
        OwnerAlerts(
            self,
            "Alerts",
            site=self.site,
            name=names.topic,
            alarms=f"{names.workgroup}-*",
            owner=values.owner,
            key_arn=platform_key_arn,
        )
        TenantAlarms(
            self,
            "Alarms",
            site=self.site,
            rule=names.rule,
            jobs=values.jobs,
            workgroup=names.workgroup,
            bytes_a_day=values.daily_bytes_alarm,
            owner_topic=names.topic,
        )
