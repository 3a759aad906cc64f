"""Buckets: the tenant's lake with its zones, and the platform's store of code."""

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_app.denials import foreign_tenants_denied, plain_text_denied
from cdk_app.values import ATHENA_RESULTS, OLD_VERSION_DAYS, PROCESSED, QUARANTINE, RAW, Site

__all__ = ["CodeBucket", "Lake"]

QUERY_RESULT_DAYS = 7


class PrivateBucket(s3.Bucket):
    """A bucket that is versioned, encrypted with `key`, closed to the public and to anything but TLS 1.2 and up."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: Site,
        name: str,
        key: kms.IKey,
        rules: list[s3.LifecycleRule],
        old_version_days: int = OLD_VERSION_DAYS,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            bucket_name=name,
            versioned=True,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=site.removal_policy,
            lifecycle_rules=[leftovers(old_version_days), *rules],
        )
        self.everything = [self.bucket_arn, self.arn_for_objects("*")]
        self.add_to_resource_policy(plain_text_denied("s3:*", self.everything))
        self.add_to_resource_policy(self._old_tls_denied())

    def _old_tls_denied(self) -> iam.PolicyStatement:
        # Written here and not by `minimum_tls_version`, which emits a float that policy tools refuse.
        return iam.PolicyStatement(
            sid="OldTls",
            effect=iam.Effect.DENY,
            principals=[iam.AnyPrincipal()],
            actions=["s3:*"],
            resources=self.everything,
            conditions={"NumericLessThan": {"s3:TlsVersion": "1.2"}},
        )


class CodeBucket(PrivateBucket):
    """What the jobs of all tenants run: put there by a deploy, read by job roles, written by neither."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, key: kms.IKey) -> None:
        super().__init__(scope, construct_id, site=site, name=site.platform.code_bucket, key=key, rules=[])


class Lake(PrivateBucket):
    """A tenant's bucket. Its events go to EventBridge; no role of another tenant reaches it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: Site,
        name: str,
        key: kms.IKey,
        roles: list[str],
        raw_days: int,
        processed_days: int,
        quarantine_days: int,
        old_version_days: int,
    ) -> None:
        rules = [
            expiry("raw", RAW, raw_days),
            expiry("processed", PROCESSED, processed_days),
            expiry("quarantine", QUARANTINE, quarantine_days),
            expiry("athena-results", ATHENA_RESULTS, QUERY_RESULT_DAYS),
        ]
        super().__init__(
            scope, construct_id, site=site, name=name, key=key, rules=rules, old_version_days=old_version_days
        )
        # The L2 flag would add a Lambda function to every stack.
        resource = self.node.default_child
        assert isinstance(resource, s3.CfnBucket)  # noqa: S101 - tells mypy what L2 made
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        )
        self.add_to_resource_policy(foreign_tenants_denied(site, roles, "s3:*", self.everything))
        for statement in self._platform_denied(site):
            self.add_to_resource_policy(statement)
        self.add_to_resource_policy(self._other_keys_denied(key))

    def _platform_denied(self, site: Site) -> list[iam.PolicyStatement]:
        """Whatever the platform's functions are ever given: none opens an object, and reconcile, which lists, deletes
        only where jobs leave things lying about.
        """
        roles = {name: site.role_arn(name) for name in site.platform.functions}
        reconcile = roles.pop(site.platform.reconcile_function)
        staging = [self.arn_for_objects(f"{zone}*") for zone in (PROCESSED, QUARANTINE)]
        listing = ["s3:ListBucket", "s3:ListBucketVersions"]
        return [
            denied("PlatformFunctions", list(roles.values()), actions=["s3:*"], resources=self.everything),
            denied("Reconcile", [reconcile], not_actions=[*listing, "s3:DeleteObject"], resources=self.everything),
            denied("Staging", [reconcile], actions=["s3:DeleteObject"], not_resources=staging),
        ]

    def _other_keys_denied(self, key: kms.IKey) -> iam.PolicyStatement:
        """Objects are written with the tenant's key or, by saying nothing, with the bucket's default: the same."""
        header = "s3:x-amz-server-side-encryption-aws-kms-key-id"
        return iam.PolicyStatement(
            sid="OtherKeys",
            effect=iam.Effect.DENY,
            principals=[iam.AnyPrincipal()],
            actions=["s3:PutObject"],
            resources=[self.arn_for_objects("*")],
            conditions={"Null": {header: "false"}, "StringNotEquals": {header: key.key_arn}},
        )


def denied(
    sid: str,
    roles: list[str],
    *,
    actions: list[str] | None = None,
    not_actions: list[str] | None = None,
    resources: list[str] | None = None,
    not_resources: list[str] | None = None,
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid,
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=actions,
        not_actions=not_actions,
        resources=resources,
        not_resources=not_resources,
        conditions={"ArnEquals": {"aws:PrincipalArn": roles}},
    )


def expiry(rule: str, prefix: str, days: int) -> s3.LifecycleRule:
    return s3.LifecycleRule(id=rule, prefix=prefix, expiration=Duration.days(days))


def leftovers(old_version_days: int) -> s3.LifecycleRule:
    """Replaced versions, markers without versions, and uploads that nobody completed."""
    return s3.LifecycleRule(
        id="leftovers",
        noncurrent_version_expiration=Duration.days(old_version_days),
        expired_object_delete_marker=True,
        abort_incomplete_multipart_upload_after=Duration.days(2),
    )
