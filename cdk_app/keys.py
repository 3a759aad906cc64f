"""Encryption keys: one for the platform, one per tenant, each with the services that may use it on its behalf."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_app.denials import foreign_tenants_denied
from cdk_app.values import Site

__all__ = ["USE_OF_TABLE", "PlatformKey", "TenantKey"]

ENCRYPT_AND_DECRYPT = ["kms:Decrypt", "kms:GenerateDataKey*"]
# What DynamoDB does with the caller's rights; grants are its own business (kms:CreateGrant is not here).
USE_OF_TABLE = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]


def logs_allowed(site: Site, log_groups: list[str]) -> iam.PolicyStatement:
    """CloudWatch Logs, for log groups under these names only."""
    return iam.PolicyStatement(
        sid="Logs",
        principals=[iam.ServicePrincipal(f"logs.{site.region}.amazonaws.com")],
        actions=["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
        resources=["*"],
        conditions={
            "ArnLike": {
                "kms:EncryptionContext:aws:logs:arn": [site.arn("logs", f"log-group:{group}") for group in log_groups]
            }
        },
    )


class PlatformKey(Construct):
    """Key of everything that tenants share, and of what is told about them: ledger, queues, topics, code and logs."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site) -> None:
        super().__init__(scope, construct_id)
        platform = site.platform
        self.key = kms.Key(
            self,
            "Key",
            alias=platform.key_alias,
            description=f"Ledger, queues, topics and code of {platform.stack}",
            enable_key_rotation=True,
            removal_policy=site.removal_policy,
        )
        self.key.add_to_resource_policy(logs_allowed(site, [f"/aws/lambda/{name}" for name in platform.functions]))
        self.key.add_to_resource_policy(self._service("Events", site, "events", "rule/", site.organization))
        self.key.add_to_resource_policy(self._service("Alarms", site, "cloudwatch", "alarm:", site.organization))

    @staticmethod
    def _service(sid: str, site: Site, service: str, kind: str, organization: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid=sid,
            principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
            actions=ENCRYPT_AND_DECRYPT,
            resources=["*"],
            conditions={
                "StringEquals": {"aws:SourceAccount": site.account},
                "ArnLike": {"aws:SourceArn": site.arn(service, f"{kind}{organization}-*")},
            },
        )


class TenantKey(Construct):
    """Key of everything that a tenant owns. No role of another tenant may use it, whatever that role is given."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: Site,
        owner: str,
        alias: str,
        roles: list[str],
        log_group: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.key = kms.Key(
            self,
            "Key",
            alias=alias,
            description=f"Data of {owner}",
            enable_key_rotation=True,
            removal_policy=site.removal_policy,
        )
        self.key.add_to_resource_policy(logs_allowed(site, [f"{log_group}/*"]))
        self.key.add_to_resource_policy(foreign_tenants_denied(site, roles, "kms:*", ["*"]))
        self.key.add_to_resource_policy(grants_for_services_only())


def grants_for_services_only() -> iam.PolicyStatement:
    """A grant would hand the key on past every policy."""
    return iam.PolicyStatement(
        sid="Grants",
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=["kms:CreateGrant"],
        resources=["*"],
        conditions={"BoolIfExists": {"kms:GrantIsForAWSResource": "false"}},
    )
