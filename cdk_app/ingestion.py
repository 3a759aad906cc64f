"""The control plane: what registers files, dispatches runs and reconciles buckets, and what calls each of them."""

from pathlib import Path

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk_app.events import Arrivals
from cdk_app.functions import ControlFunction, FunctionsBoundary
from cdk_app.values import PROCESSED, QUARANTINE, Site
from glue_scripts.arguments import SCRIPTS

__all__ = ["REGISTER_TIMEOUT", "ControlPlane", "job_names"]

REGISTER_TIMEOUT = Duration.seconds(60)
DISPATCH_TIMEOUT = Duration.minutes(5)
# A bucket of millions of objects takes several calls; one call holds what it listed in memory.
RECONCILE_TIMEOUT = Duration.minutes(15)
RECONCILE_MEMORY_MB = 1024


class ControlPlane(Construct):
    """register, on the queue; dispatch, called by register, by the clock and by the end of a job; reconcile, daily."""

    def __init__(
        self, scope: Construct, construct_id: str, *, site: Site, archive: Path, key: kms.IKey, arrivals: Arrivals
    ) -> None:
        super().__init__(scope, construct_id)
        platform = site.platform
        boundary = FunctionsBoundary(self, "Boundary", name=platform.boundary)
        self.register = ControlFunction(
            self,
            "Register",
            site=site,
            name=platform.register_function,
            handler="ingestion.register.handler",
            archive=archive,
            timeout=REGISTER_TIMEOUT,
            key=key,
            boundary=boundary,
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
            boundary=boundary,
        )
        self.reconcile = ControlFunction(
            self,
            "Reconcile",
            site=site,
            name=platform.reconcile_function,
            handler="ingestion.reconcile.handler",
            archive=archive,
            timeout=RECONCILE_TIMEOUT,
            key=key,
            boundary=boundary,
            memory=RECONCILE_MEMORY_MB,
            calls_itself=True,
        )
        self._feed_register(site, arrivals)
        self._let_dispatch_start_jobs(site, arrivals)
        self._let_reconcile_list_buckets(site)

    def _feed_register(self, site: Site, arrivals: Arrivals) -> None:
        register, queue = self.register, arrivals.queue
        register.allow(
            ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
            [queue.queue_arn],
        )
        register.use_key(["kms:Decrypt"], "sqs")
        register.call(site.platform.dispatch_function)
        register.tell_people()
        # No window: a file that comes alone is on its way at once; under load messages are there to fill the batch.
        mapping = lambda_.CfnEventSourceMapping(
            self,
            "Arrivals",
            function_name=register.function.function_name,
            event_source_arn=queue.queue_arn,
            batch_size=10,
            maximum_batching_window_in_seconds=0,
            function_response_types=["ReportBatchItemFailures"],
        )
        mapping.node.add_dependency(register.role)

    def _let_dispatch_start_jobs(self, site: Site, arrivals: Arrivals) -> None:
        dispatch, name = self.dispatch, site.platform.dispatch_function
        dispatch.allow(
            ["glue:BatchStopJobRun", "glue:GetJobRun", "glue:StartJobRun"],
            [site.arn("glue", f"job/{job}") for job in job_names(site)],
        )
        dispatch.allow(["sqs:GetQueueAttributes"], [arrivals.dead_letters.queue_arn])
        dispatch.tell_people()
        # A tick that fails is followed by the next one.
        dispatch.be_called("Clock", f"{name}-clock", schedule="rate(1 minute)", not_after=Duration.minutes(1))
        dispatch.be_called("JobEnds", f"{name}-job-ends", pattern=job_ends(site), not_after=Duration.hours(1))

    def _let_reconcile_list_buckets(self, site: Site) -> None:
        """It compares lists: no object is read, and what it deletes stays as an old version for a while."""
        reconcile, platform = self.reconcile, site.platform
        reconcile.allow(["s3:ListBucket", "s3:ListBucketVersions"], [site.every_lake])
        reconcile.allow(["s3:DeleteObject"], [f"{site.every_lake}/{zone}*" for zone in (PROCESSED, QUARANTINE)])
        reconcile.call(platform.reconcile_function, platform.dispatch_function)
        reconcile.tell_people()
        # Repeating is safe, but what failed twice in a row fails for a reason, and there is another day.
        reconcile.function.configure_async_invoke(retry_attempts=1)
        name = f"{platform.reconcile_function}-daily"
        reconcile.be_called("Daily", name, schedule="rate(1 day)", not_after=Duration.hours(1))


def job_names(site: Site) -> list[str]:
    """Patterns of the Glue jobs of all tenants."""
    return [f"{site.every_tenant}{script.replace('_', '-')}" for script in SCRIPTS]


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
