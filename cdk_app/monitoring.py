"""Alarms, and the topic that carries them to whoever operates the environment."""

from collections.abc import Mapping

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_app.denials import plain_text_denied
from cdk_app.ingestion import job_names
from cdk_app.values import Site

__all__ = ["Alarm", "Alerts", "PlatformAlarms", "TenantAlarms"]

FIVE_MINUTES = 300
DAY = 86_400


class Alerts(Construct):
    """The topic, whoever reads it, and the mail about a job that failed."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, key: kms.IKey) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", topic_name=site.platform.topic, master_key=key)
        self.topic.add_to_resource_policy(plain_text_denied("sns:Publish", [self.topic.topic_arn]))
        for service, kind in (("cloudwatch", "alarm:"), ("events", "rule/")):
            self.topic.add_to_resource_policy(self._publisher(site, service, kind))
        self._tell_of_failed_jobs(site)
        if site.notification:
            # The L2 subscription would put the address into the logical id.
            sns.CfnSubscription(
                self, "Mail", topic_arn=self.topic.topic_arn, protocol="email", endpoint=site.notification
            )

    def _publisher(self, site: Site, service: str, kind: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid=service.capitalize(),
            principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[self.topic.topic_arn],
            conditions={
                "StringEquals": {"aws:SourceAccount": site.account},
                "ArnLike": {"aws:SourceArn": site.arn(service, f"{kind}{site.organization}-*")},
            },
        )

    def _tell_of_failed_jobs(self, site: Site) -> None:
        events.CfnRule(
            self,
            "FailedJobs",
            name=f"{site.platform.topic}-failed-jobs",
            event_pattern={
                "source": ["aws.glue"],
                "account": [site.account],
                "detail-type": ["Glue Job State Change"],
                "detail": {
                    "jobName": [{"wildcard": name} for name in job_names(site)],
                    "state": ["FAILED", "TIMEOUT", "ERROR"],
                },
            },
            targets=[
                events.CfnRule.TargetProperty(
                    id="Alerts",
                    arn=self.topic.topic_arn,
                    input_transformer=events.CfnRule.InputTransformerProperty(
                        input_paths_map={
                            "job": "$.detail.jobName",
                            "message": "$.detail.message",
                            "run": "$.detail.jobRunId",
                            "state": "$.detail.state",
                        },
                        input_template='"Job <job>, run <run>: <state>. <message>"',
                    ),
                )
            ],
        )


class Alarm(cloudwatch.CfnAlarm):
    """A metric that reaches `threshold`; no data is no alarm. `period` in seconds."""

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
            alarm_actions=[site.arn("sns", site.platform.topic)],
        )


class PlatformAlarms(Construct):
    """What stops files of every tenant."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site) -> None:
        super().__init__(scope, construct_id)
        platform = site.platform
        Alarm(
            self,
            "DeadLetters",
            site=site,
            name=f"{platform.dead_letter_queue}-not-empty",
            description="Events that could not be registered are waiting in the dead-letter queue",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": platform.dead_letter_queue},
            statistic="Maximum",
            threshold=1,
        )
        Alarm(
            self,
            "Backlog",
            site=site,
            name=f"{platform.queue}-age",
            description="The oldest event has waited for 15 minutes to be registered",
            namespace="AWS/SQS",
            metric="ApproximateAgeOfOldestMessage",
            dimensions={"QueueName": platform.queue},
            statistic="Maximum",
            threshold=900,
        )
        for construct_id_, function in (
            ("RegisterErrors", platform.register_function),
            ("DispatchErrors", platform.dispatch_function),
        ):
            Alarm(
                self,
                construct_id_,
                site=site,
                name=f"{function}-errors",
                description=f"{function} failed in three periods of five minutes in a row",
                namespace="AWS/Lambda",
                metric="Errors",
                dimensions={"FunctionName": function},
                threshold=1,
                periods=3,
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
