"""The platform's Lambda functions: each under its own role and log group, with the rights that it is given."""

from collections.abc import Mapping
from pathlib import Path

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_app.keys import ENCRYPT_AND_DECRYPT, USE_OF_TABLE
from cdk_app.values import Site
from ingestion.settings import Settings
from lineage.table import INDEX

__all__ = ["ControlFunction", "FunctionsBoundary", "PlatformFunction", "settings_of"]

MEMORY_MB = 512
LEDGER_ACTIONS = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
]


class FunctionsBoundary(Construct):
    """The most that roles of functions can be given: what they are given together, and no right over rights."""

    def __init__(self, scope: Construct, construct_id: str, *, name: str) -> None:
        super().__init__(scope, construct_id)
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            managed_policy_name=name,
            description="Boundary of roles of the platform's functions",
        )


class PlatformFunction(Construct):
    """A function of `ingestion`; of itself it may log, and nothing else."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: Site,
        name: str,
        handler: str,
        archive: Path,
        timeout: Duration,
        environment: Mapping[str, str],
        key: kms.IKey,
        boundary: FunctionsBoundary,
        memory: int = MEMORY_MB,
        calls_itself: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        self.site, self.key, self.boundary = site, key, boundary
        # What calls the function stands beside it, not below it.
        self.around = scope
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{name}",
            retention=logs.RetentionDays.THREE_MONTHS,
            encryption_key=key,
            removal_policy=site.removal_policy,
        )
        self.role = iam.Role(
            self,
            "Role",
            role_name=name,
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            permissions_boundary=boundary.policy,
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler=handler,
            code=lambda_.Code.from_asset(str(archive)),
            timeout=timeout,
            memory_size=memory,
            role=self.role,
            log_group=log_group,
            environment=dict(environment),
            # Without this Lambda takes sixteen calls in a row for a mistake and drops the next one.
            recursive_loop=lambda_.RecursiveLoop.ALLOW if calls_itself else None,
        )
        self.allow(["logs:CreateLogStream", "logs:PutLogEvents"], [log_group.log_group_arn])

    def allow(self, actions: list[str], resources: list[str], conditions: Mapping[str, object] | None = None) -> None:
        statement = iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions)
        self.role.add_to_policy(statement)
        self.boundary.policy.add_statements(statement)

    def use_key(self, actions: list[str], service: str) -> None:
        """The platform's key, through one service only."""
        via = {"StringEquals": {"kms:ViaService": f"{service}.{self.site.region}.amazonaws.com"}}
        self.allow(actions, [self.key.key_arn], via)

    def call(self, *functions: str) -> None:
        """May call these functions of the platform."""
        self.allow(["lambda:InvokeFunction"], [self.site.arn("lambda", f"function:{name}") for name in functions])

    def be_called(
        self,
        construct_id: str,
        name: str,
        *,
        schedule: str | None = None,
        pattern: Mapping[str, object] | None = None,
        not_after: Duration,
    ) -> None:
        """By a rule called `name`, by the clock or on an event, for as long as that is worth while."""
        target = events.CfnRule.TargetProperty(
            id=self.node.id,
            arn=self.function.function_arn,
            input="{}" if schedule else None,
            retry_policy=events.CfnRule.RetryPolicyProperty(
                maximum_event_age_in_seconds=not_after.to_seconds(), maximum_retry_attempts=3
            ),
        )
        rule = events.CfnRule(
            self.around, construct_id, name=name, schedule_expression=schedule, event_pattern=pattern, targets=[target]
        )
        self.admit(f"{construct_id}MayCall", "events.amazonaws.com", rule.attr_arn)

    def admit(self, construct_id: str, service: str, source_arn: str) -> None:
        """A service may call the function for one source."""
        lambda_.CfnPermission(
            self.around,
            construct_id,
            action="lambda:InvokeFunction",
            principal=service,
            function_name=self.function.function_name,
            source_arn=source_arn,
        )


class ControlFunction(PlatformFunction):
    """A function that works on the ledger."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: Site,
        name: str,
        handler: str,
        archive: Path,
        timeout: Duration,
        key: kms.IKey,
        boundary: FunctionsBoundary,
        memory: int = MEMORY_MB,
        calls_itself: bool = False,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            site=site,
            name=name,
            handler=handler,
            archive=archive,
            timeout=timeout,
            environment=settings_of(site).to_environment(),
            key=key,
            boundary=boundary,
            memory=memory,
            calls_itself=calls_itself,
        )
        table = site.arn("dynamodb", f"table/{site.platform.ledger}")
        self.allow(LEDGER_ACTIONS, [table, f"{table}/index/{INDEX}"])
        self.use_key(USE_OF_TABLE, "dynamodb")

    def tell_people(self) -> None:
        """May publish to the platform's topic and to those of tenants."""
        topics = (self.site.platform.topic, f"{self.site.every_tenant}alerts")
        self.allow(["sns:Publish"], [self.site.arn("sns", topic) for topic in topics])
        self.use_key(ENCRYPT_AND_DECRYPT, "sns")


def settings_of(site: Site) -> Settings:
    """What every function of the control plane is told."""
    platform = site.platform
    return Settings(
        ledger=platform.ledger,
        dispatch_function=platform.dispatch_function,
        reconcile_function=platform.reconcile_function,
        topic=site.arn("sns", platform.topic),
        queue=site.queue_url(platform.queue),
        dead_letter_queue=site.queue_url(platform.dead_letter_queue),
        environment=platform.environment,
    )
