"""The tenant's Athena workgroup and the queries that stand ready in it."""

import aws_cdk as cdk
from aws_cdk import aws_athena as athena
from constructs import Construct

from cdk_app.values import ATHENA_RESULTS, SavedQuery, Site

__all__ = ["QUERY_ROLE_TAG", "Queries"]

# Who runs the queries of a workgroup: the local cloud's Athena assumes this role.
QUERY_ROLE_TAG = "lake:query-role"


class Queries(Construct):
    """Results stay in the tenant's bucket under the tenant's key, whatever a client asks for."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: Site,
        name: str,
        state: str,
        bucket: str,
        key_arn: str,
        bytes_limit: int,
        query_role_arn: str,
        database: str,
        queries: tuple[SavedQuery, ...],
    ) -> None:
        super().__init__(scope, construct_id)
        self.workgroup = athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=name,
            state=state,
            recursive_delete_option=site.destroys_data,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=bytes_limit,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{bucket}/{ATHENA_RESULTS}",
                    expected_bucket_owner=site.account,
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=key_arn
                    ),
                ),
            ),
        )
        cdk.Tags.of(self.workgroup).add(QUERY_ROLE_TAG, query_role_arn)
        for query in queries:
            self._save(query, database)

    def _save(self, query: SavedQuery, database: str) -> None:
        named = athena.CfnNamedQuery(
            self,
            f"Query-{query.name}",
            name=query.name,
            description=query.description,
            database=database,
            query_string=query.sql,
            work_group=self.workgroup.name,
        )
        named.add_resource_dependency(self.workgroup)
