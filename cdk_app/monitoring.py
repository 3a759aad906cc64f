"""Alarms: metrics that tell of what no alert of the control plane can tell of."""

from collections.abc import Mapping, Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from cdk_app.values import Site

__all__ = ["Alarm", "PlatformAlarms", "TenantAlarms"]

FIVE_MINUTES = 300
DAY = 86_400


class Alarm(cloudwatch.CfnAlarm):
    """A metric that reaches `threshold`; no data is no alarm. `period` in seconds.

    The platform's topic hears of it, and so do `topics`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: Site,
        name: str,
        description: str,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, str],
        threshold: float,
        statistic: str = "Sum",
        period: int = FIVE_MINUTES,
        periods: int = 1,
        topics: Sequence[str] = (),
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            alarm_name=name,
            alarm_description=description,
            namespace=namespace,
            metric_name=metric,
            dimensions=[
                cloudwatch.CfnAlarm.DimensionProperty(name=key, value=value) for key, value in dimensions.items()
            ],
            statistic=statistic,
            period=period,
            evaluation_periods=periods,
            threshold=threshold,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[site.arn("sns", topic) for topic in (site.platform.topic, *topics)],
        )


class PlatformAlarms(Construct):
    """What stops files of every tenant."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site) -> None:
        super().__init__(scope, construct_id)
        self.site = site
        platform = site.platform
        self._of_queue(
            "DeadLetters",
            platform.dead_letter_queue,
            name=f"{platform.dead_letter_queue}-not-empty",
            description="Events that could not be registered are waiting in the dead-letter queue",
            metric="ApproximateNumberOfMessagesVisible",
            threshold=1,
        )
        self._of_queue(
            "Backlog",
            platform.queue,
            name=f"{platform.queue}-age",
            description="The oldest event has waited for 15 minutes to be registered",
            metric="ApproximateAgeOfOldestMessage",
            threshold=900,
        )
        thrice = "failed in three periods of five minutes in a row"
        self._of_function("RegisterErrors", platform.register_function, thrice, periods=3)
        self._of_function("DispatchErrors", platform.dispatch_function, thrice, periods=3)
        never = "failed: buckets were not compared with the ledger"
        self._of_function("ReconcileErrors", platform.reconcile_function, never, periods=1)

    def _of_queue(
        self, construct_id: str, queue: str, *, name: str, description: str, metric: str, threshold: float
    ) -> None:
        Alarm(
            self,
            construct_id,
            site=self.site,
            name=name,
            description=description,
            namespace="AWS/SQS",
            metric=metric,
            dimensions={"QueueName": queue},
            statistic="Maximum",
            threshold=threshold,
        )

    def _of_function(self, construct_id: str, function: str, what: str, *, periods: int) -> None:
        Alarm(
            self,
            construct_id,
            site=self.site,
            name=f"{function}-errors",
            description=f"{function} {what}",
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions={"FunctionName": function},
            threshold=1,
            periods=periods,
        )


class TenantAlarms(Construct):
    """What stops files of one tenant, or lets its queries cost more than one full scan a day."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: Site,
        rule: str,
        jobs: Mapping[str, str],
        workgroup: str,
        bytes_a_day: float,
        owner_topic: str,
    ) -> None:
        super().__init__(scope, construct_id)
        Alarm(
            self,
            "Arrivals",
            site=site,
            name=f"{rule}-undelivered",
            description="EventBridge could not hand events of this tenant to the queue",
            namespace="AWS/Events",
            metric="FailedInvocations",
            dimensions={"RuleName": rule},
            threshold=1,
        )
        Alarm(
            self,
            "Scanned",
            site=site,
            name=f"{workgroup}-scanned",
            description="A day's queries of this tenant scanned ten times what one query may",
            namespace="AWS/Athena",
            metric="ProcessedBytes",
            dimensions={"WorkGroup": workgroup},
            period=DAY,
            threshold=bytes_a_day,
            topics=[owner_topic],
        )
        for job, name in jobs.items():
            Alarm(
                self,
                f"{job.title().replace('_', '')}Tasks",
                site=site,
                name=f"{name}-failed-tasks",
                description=f"Tasks of {name} fail",
                namespace="Glue",
                metric="glue.driver.aggregate.numFailedTasks",
                dimensions={"JobName": name, "JobRunId": "ALL", "Type": "count"},
                threshold=1,
            )
