"""The control plane: the functions that register what arrived and dispatch runs, and what calls them."""

from pathlib import Path

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_app.keys import USE_OF_TABLE
from cdk_app.values import Site
from glue_scripts.arguments import JOBS
from ingestion.settings import Settings

__all__ = ["REGISTER_TIMEOUT", "ControlFunction", "ControlPlane"]

REGISTER_TIMEOUT = Duration.seconds(60)
DISPATCH_TIMEOUT = Duration.minutes(5)
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


class ControlFunction(Construct):
    """A function of `ingestion` under its own role and log group, with its rights on the ledger."""

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
    ) -> None:
        super().__init__(scope, construct_id)
        platform = site.platform
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{name}",
            retention=logs.RetentionDays.THREE_MONTHS,
            encryption_key=key,
            removal_policy=site.removal_policy,
        )
        self.role = iam.Role(self, "Role", role_name=name, assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler=handler,
            code=lambda_.Code.from_asset(str(archive)),
            timeout=timeout,
            memory_size=512,
            role=self.role,
            log_group=log_group,
            environment=settings_of(site).to_environment(),
        )
        table = site.arn("dynamodb", f"table/{platform.ledger}")
        self.allow(["logs:CreateLogStream", "logs:PutLogEvents"], [log_group.log_group_arn])
        self.allow(LEDGER_ACTIONS, [table, f"{table}/index/*"])
        self.allow(
            USE_OF_TABLE, [key.key_arn], {"StringEquals": {"kms:ViaService": f"dynamodb.{site.region}.amazonaws.com"}}
        )

    def allow(self, actions: list[str], resources: list[str], conditions: dict[str, object] | None = None) -> None:
        self.role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions))


class ControlPlane(Construct):
    """register, on the queue; dispatch, called by register, by the clock and by the end of a job."""

    def __init__(
        self, scope: Construct, construct_id: str, *, site: Site, archive: Path, key: kms.IKey, queue: sqs.Queue
    ) -> None:
        super().__init__(scope, construct_id)
        platform = site.platform
        self.register = ControlFunction(
            self,
            "Register",
            site=site,
            name=platform.register_function,
            handler="ingestion.register.handler",
            archive=archive,
            timeout=REGISTER_TIMEOUT,
            key=key,
        )
        self.dispatch = ControlFunction(
            self,
            "Dispatch",
            site=site,
            name=platform.dispatch_function,
            handler="ingestion.dispatch.handler",
            archive=archive,
            timeout=DISPATCH_TIMEOUT,
            key=key,
        )
        self._feed_register(site, key, queue)
        self._let_dispatch_start_jobs(site)
        dispatch = platform.dispatch_function
        self._call_dispatch("Clock", f"{dispatch}-clock", schedule_expression="rate(1 minute)")
        self._call_dispatch("JobEnds", f"{dispatch}-job-ends", event_pattern=job_ends(site))

    def _feed_register(self, site: Site, key: kms.IKey, queue: sqs.Queue) -> None:
        self.register.allow(
            ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
            [queue.queue_arn],
        )
        self.register.allow(
            ["kms:Decrypt"],
            [key.key_arn],
            {"StringEquals": {"kms:ViaService": f"sqs.{site.region}.amazonaws.com"}},
        )
        self.register.allow(
            ["lambda:InvokeFunction"], [site.arn("lambda", f"function:{site.platform.dispatch_function}")]
        )
        # No window: a file that comes alone is on its way at once; under load messages are there to fill the batch.
        mapping = lambda_.CfnEventSourceMapping(
            self,
            "Arrivals",
            function_name=self.register.function.function_name,
            event_source_arn=queue.queue_arn,
            batch_size=10,
            maximum_batching_window_in_seconds=0,
            function_response_types=["ReportBatchItemFailures"],
        )
        mapping.node.add_dependency(self.register.role)

    def _let_dispatch_start_jobs(self, site: Site) -> None:
        self.dispatch.allow(
            ["glue:BatchStopJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:StartJobRun"],
            [site.arn("glue", f"job/{name}") for name in job_names(site)],
        )

    def _call_dispatch(
        self,
        construct_id: str,
        name: str,
        *,
        schedule_expression: str | None = None,
        event_pattern: dict[str, object] | None = None,
    ) -> None:
        function = self.dispatch.function
        # A tick that fails is followed by the next one.
        target = events.CfnRule.TargetProperty(
            id="Dispatch",
            arn=function.function_arn,
            input="{}" if schedule_expression else None,
            retry_policy=events.CfnRule.RetryPolicyProperty(
                maximum_event_age_in_seconds=60 if schedule_expression else 3600, maximum_retry_attempts=3
            ),
        )
        rule = events.CfnRule(
            self,
            construct_id,
            name=name,
            schedule_expression=schedule_expression,
            event_pattern=event_pattern,
            targets=[target],
        )
        lambda_.CfnPermission(
            self,
            f"{construct_id}MayCall",
            action="lambda:InvokeFunction",
            principal="events.amazonaws.com",
            function_name=function.function_name,
            source_arn=rule.attr_arn,
        )


def settings_of(site: Site) -> Settings:
    """What every function is told."""
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


def job_names(site: Site) -> list[str]:
    """Patterns of the Glue jobs of all tenants."""
    return [f"{site.every_tenant}{job.replace('_', '-')}" for job in JOBS]


def job_ends(site: Site) -> dict[str, object]:
    return {
        "source": ["aws.glue"],
        "account": [site.account],
        "detail-type": ["Glue Job State Change"],
        "detail": {
            "jobName": [{"wildcard": name} for name in job_names(site)],
            "state": ["SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"],
        },
    }
