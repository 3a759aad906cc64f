"""A tenant's two roles, what each may do, and the boundary that neither can be widened past."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_app.keys import USE_OF_TABLE
from cdk_app.values import ANALYTICS_READY, ATHENA_RESULTS, PROCESSED, QUARANTINE, RAW, Site, TenantValues
from lineage.table import TENANT_PREFIX

__all__ = ["Access", "AnalystRole", "Boundary", "JobRole", "Reach"]

ROWS_READ = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"]
ROWS_WRITTEN = [
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
]
CATALOG_READ = [
    "glue:BatchGetPartition",
    "glue:GetDatabase",
    "glue:GetPartition",
    "glue:GetPartitions",
    "glue:GetTable",
    "glue:GetTableVersions",
    "glue:GetTables",
]
TABLES_WRITTEN = ["glue:CreateTable", "glue:UpdateTable"]
TABLES_DROPPED = ["glue:DeleteTable"]
PARTITIONS_WRITTEN = ["glue:BatchCreatePartition", "glue:CreatePartition", "glue:UpdatePartition"]
OBJECTS_READ = ["s3:GetObject", "s3:GetObjectVersion"]
OBJECTS_WRITTEN = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"]
OBJECTS_DELETED = ["s3:DeleteObject"]
BUCKET_SEEN = ["s3:GetBucketLocation", "s3:ListBucket"]
LOGS_WRITTEN = ["logs:CreateLogStream", "logs:PutLogEvents"]
SQL = [
    "athena:BatchGetNamedQuery",
    "athena:BatchGetPreparedStatement",
    "athena:BatchGetQueryExecution",
    "athena:CreatePreparedStatement",
    "athena:DeletePreparedStatement",
    "athena:GetNamedQuery",
    "athena:GetPreparedStatement",
    "athena:GetQueryExecution",
    "athena:GetQueryResults",
    "athena:GetQueryResultsStream",
    "athena:GetQueryRuntimeStatistics",
    "athena:GetWorkGroup",
    "athena:ListNamedQueries",
    "athena:ListPreparedStatements",
    "athena:ListQueryExecutions",
    "athena:StartQueryExecution",
    "athena:StopQueryExecution",
    "athena:UpdatePreparedStatement",
]
CATALOG_SHOWN = [
    "athena:GetDataCatalog",
    "athena:GetDatabase",
    "athena:GetTableMetadata",
    "athena:ListDatabases",
    "athena:ListTableMetadata",
]

Conditions = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Reach:
    """ARNs of what one tenant owns, and of what it uses of the platform."""

    site: Site
    values: TenantValues
    key_arn: str
    platform_key_arn: str

    @property
    def bucket(self) -> str:
        return self.site.bucket_arn(self.values.names.bucket)

    def objects(self, *zones: str) -> list[str]:
        return [f"{self.bucket}/{zone}*" for zone in zones]

    @property
    def code(self) -> str:
        return self.site.bucket_arn(self.site.platform.code_bucket)

    @property
    def ledger(self) -> str:
        return self.site.arn("dynamodb", f"table/{self.site.platform.ledger}")

    @property
    def own_rows(self) -> Conditions:
        # ForAllValues holds for a request without keys, hence the second condition.
        prefix = TENANT_PREFIX.format(tenant=self.values.tenant)
        return {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{prefix}*"]},
            "Null": {"dynamodb:LeadingKeys": "false"},
        }

    @property
    def own_description(self) -> Conditions:
        """What the platform says about the tenant: for the tenant to read."""
        prefix = TENANT_PREFIX.format(tenant=self.values.tenant)
        return {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": [f"{prefix}META*"]}}

    @property
    def catalog(self) -> list[str]:
        database = self.values.names.database
        return [
            self.site.arn("glue", "catalog"),
            self.site.arn("glue", f"database/{database}"),
            self.site.arn("glue", f"table/{database}/*"),
        ]

    @property
    def default_database(self) -> list[str]:
        """Spark and Athena look whether it is there before they look anywhere else; it holds nothing of ours."""
        return [self.site.arn("glue", "catalog"), self.site.arn("glue", "database/default")]

    @property
    def dataset_tables(self) -> list[str]:
        """The tables that jobs keep; views and results of queries are the analyst's own."""
        database = self.values.names.database
        names = [name for dataset in self.values.datasets for name in (dataset, f"{dataset}_quarantine")]
        return [self.site.arn("glue", f"table/{database}/{name}") for name in names]

    @property
    def workgroup(self) -> str:
        return self.site.arn("athena", f"workgroup/{self.values.names.workgroup}")

    @property
    def athena_catalog(self) -> str:
        return self.site.arn("athena", "datacatalog/AwsDataCatalog")

    @property
    def logs(self) -> str:
        return self.site.arn("logs", f"log-group:{self.values.names.log_group}/*")

    def through(self, *services: str) -> Conditions:
        return {
            "StringEquals": {"kms:ViaService": [f"{service}.{self.site.region}.amazonaws.com" for service in services]}
        }


def allow(
    sid: str, actions: list[str], resources: list[str], conditions: Conditions | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=actions, resources=resources, conditions=conditions)


def deny(
    sid: str, actions: list[str], resources: list[str], conditions: Conditions | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid, effect=iam.Effect.DENY, actions=actions, resources=resources, conditions=conditions
    )


def elsewhere_denied(reach: Reach) -> list[iam.PolicyStatement]:
    """What no role of the tenant does, whatever it is given: asking in other workgroups (`primary` is everybody's), S3
    in other accounts (a bucket of a name like ours may be anybody's), anything without TLS.
    """
    account = {"StringNotEquals": {"s3:ResourceAccount": reach.site.account}}
    return [
        iam.PolicyStatement(
            sid="OtherWorkgroups",
            effect=iam.Effect.DENY,
            actions=["athena:*"],
            not_resources=[reach.workgroup, reach.athena_catalog],
        ),
        deny("OtherAccounts", ["s3:*"], ["*"], account),
        deny("PlainText", ["*"], ["*"], {"Bool": {"aws:SecureTransport": "false"}}),
    ]


def suspended(reach: Reach) -> iam.PolicyStatement:
    """In every template; it bites while the tenant is not active, and meets nobody while it is."""
    meets = {"StringEquals": {"aws:PrincipalAccount": reach.values.denied_account}}
    return deny("Suspended", ["*"], ["*"], meets)


def listing(reach: Reach, *zones: str) -> iam.PolicyStatement:
    """Listing below these zones only; without it a key that is not there answers 403 instead of 404."""
    prefixes = [pattern for zone in zones for pattern in (zone.removesuffix("/"), f"{zone}*")]
    return allow("Listing", ["s3:ListBucket"], [reach.bucket], {"StringLike": {"s3:prefix": prefixes}})


def metrics_allowed() -> iam.PolicyStatement:
    """A metric has no ARN: only its namespace can be limited."""
    return allow("Metrics", ["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": "Glue"}})


class Boundary(Construct):
    """The most that a role of this tenant can ever be given: its own things, and the code that all tenants run."""

    def __init__(self, scope: Construct, construct_id: str, *, reach: Reach) -> None:
        super().__init__(scope, construct_id)
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            managed_policy_name=reach.values.names.boundary,
            description=f"Boundary of the roles of {reach.values.tenant}",
            statements=[*self._own(reach), *self._shared(reach), *elsewhere_denied(reach), suspended(reach)],
        )

    @staticmethod
    def _own(reach: Reach) -> list[iam.PolicyStatement]:
        catalog = [*CATALOG_READ, *TABLES_WRITTEN, *TABLES_DROPPED, *PARTITIONS_WRITTEN]
        return [
            allow("Bucket", BUCKET_SEEN, [reach.bucket]),
            allow("Objects", [*OBJECTS_READ, *OBJECTS_WRITTEN, *OBJECTS_DELETED], [f"{reach.bucket}/*"]),
            allow("Key", ["kms:Decrypt", "kms:GenerateDataKey"], [reach.key_arn], reach.through("athena", "s3")),
            allow("Catalog", catalog, reach.catalog),
            allow("Workgroup", SQL, [reach.workgroup]),
            allow("Logs", LOGS_WRITTEN, [reach.logs]),
        ]

    @staticmethod
    def _shared(reach: Reach) -> list[iam.PolicyStatement]:
        return [
            allow("Code", ["s3:GetObject"], [f"{reach.code}/*"]),
            allow("PlatformKey", USE_OF_TABLE, [reach.platform_key_arn], reach.through("dynamodb", "s3")),
            allow("OwnRows", [*ROWS_READ, *ROWS_WRITTEN], [reach.ledger], reach.own_rows),
            allow("Ledger", ["dynamodb:DescribeTable"], [reach.ledger]),
            allow("DefaultDatabase", ["glue:GetDatabase"], reach.default_database),
            allow("CatalogShown", CATALOG_SHOWN, [reach.athena_catalog]),
            metrics_allowed(),
        ]


class JobRole(Construct):
    """Reads raw and processed files, writes what jobs write, and enters it in the tenant's rows of the ledger."""

    def __init__(self, scope: Construct, construct_id: str, *, reach: Reach, boundary: iam.IManagedPolicy) -> None:
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Role",
            role_name=reach.values.names.job_role,
            description=f"Jobs of {reach.values.tenant}",
            assumed_by=iam.ServicePrincipal(
                "glue.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": reach.site.account},
                    "ArnLike": {"aws:SourceArn": reach.site.arn("glue", "*")},
                },
            ),
            permissions_boundary=boundary,
        )
        for statement in [*self._objects(reach), *self._rows(reach), *self._rest(reach)]:
            self.role.add_to_policy(statement)

    @staticmethod
    def _objects(reach: Reach) -> list[iam.PolicyStatement]:
        zones = (RAW, PROCESSED, QUARANTINE, ANALYTICS_READY)
        return [
            allow("Objects", OBJECTS_READ, reach.objects(*zones)),
            allow("Outputs", OBJECTS_WRITTEN, reach.objects(PROCESSED, QUARANTINE, ANALYTICS_READY)),
            # Iceberg removes what a failed commit left; nothing is ever deleted in the zones before it.
            allow("TableFiles", OBJECTS_DELETED, reach.objects(ANALYTICS_READY)),
            listing(reach, *zones),
            allow("Region", ["s3:GetBucketLocation"], [reach.bucket]),
            allow("Code", ["s3:GetObject"], [f"{reach.code}/*"]),
            allow("Key", ["kms:Decrypt", "kms:GenerateDataKey"], [reach.key_arn], reach.through("s3")),
            allow("CodeKey", ["kms:Decrypt"], [reach.platform_key_arn], reach.through("s3")),
        ]

    @staticmethod
    def _rows(reach: Reach) -> list[iam.PolicyStatement]:
        return [
            allow("OwnRows", [*ROWS_READ, *ROWS_WRITTEN], [reach.ledger], reach.own_rows),
            allow("Ledger", ["dynamodb:DescribeTable"], [reach.ledger]),
            deny("OwnDescription", ROWS_WRITTEN, [reach.ledger], reach.own_description),
            allow("LedgerKey", USE_OF_TABLE, [reach.platform_key_arn], reach.through("dynamodb")),
        ]

    @staticmethod
    def _rest(reach: Reach) -> list[iam.PolicyStatement]:
        return [
            allow("Catalog", [*CATALOG_READ, *TABLES_WRITTEN, *PARTITIONS_WRITTEN], reach.catalog),
            allow("DefaultDatabase", ["glue:GetDatabase"], reach.default_database),
            allow("Logs", LOGS_WRITTEN, [reach.logs]),
            metrics_allowed(),
        ]


class AnalystRole(Construct):
    """Asks in the tenant's workgroup: reads tables and refused rows, keeps results, sees no raw file."""

    def __init__(self, scope: Construct, construct_id: str, *, reach: Reach, boundary: iam.IManagedPolicy) -> None:
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Role",
            role_name=reach.values.names.analyst_role,
            description=f"Queries of {reach.values.tenant}",
            assumed_by=iam.AccountPrincipal(reach.site.account),
            permissions_boundary=boundary,
        )
        for statement in [*self._sql(reach), *self._objects(reach), *self._tables(reach)]:
            self.role.add_to_policy(statement)

    @staticmethod
    def _sql(reach: Reach) -> list[iam.PolicyStatement]:
        return [
            allow("Sql", SQL, [reach.workgroup]),
            allow("CatalogShown", CATALOG_SHOWN, [reach.athena_catalog]),
        ]

    @staticmethod
    def _objects(reach: Reach) -> list[iam.PolicyStatement]:
        return [
            allow("Objects", ["s3:GetObject"], reach.objects(ANALYTICS_READY, QUARANTINE, ATHENA_RESULTS)),
            allow("Results", [*OBJECTS_WRITTEN, *OBJECTS_DELETED], reach.objects(ATHENA_RESULTS)),
            listing(reach, ANALYTICS_READY, QUARANTINE, ATHENA_RESULTS),
            allow("Region", ["s3:GetBucketLocation"], [reach.bucket]),
            allow("Key", ["kms:Decrypt", "kms:GenerateDataKey"], [reach.key_arn], reach.through("athena", "s3")),
        ]

    @staticmethod
    def _tables(reach: Reach) -> list[iam.PolicyStatement]:
        written = [*TABLES_WRITTEN, *PARTITIONS_WRITTEN, *TABLES_DROPPED]
        return [
            allow("Catalog", [*CATALOG_READ, *written], reach.catalog),
            allow("DefaultDatabase", ["glue:GetDatabase"], reach.default_database),
            deny("DatasetTables", written, reach.dataset_tables),
        ]


class Access(Construct):
    """Boundary and roles together."""

    def __init__(self, scope: Construct, construct_id: str, *, reach: Reach) -> None:
        super().__init__(scope, construct_id)
        boundary = Boundary(self, "Boundary", reach=reach).policy
        self.job_role = JobRole(self, "Job", reach=reach, boundary=boundary).role
        self.analyst_role = AnalystRole(self, "Analyst", reach=reach, boundary=boundary).role
