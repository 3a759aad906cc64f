"""Topics that carry alerts: the platform's, to whoever operates it, and each tenant's, to its owner."""

from pathlib import Path

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_app.denials import plain_text_denied
from cdk_app.functions import FunctionsBoundary, PlatformFunction
from cdk_app.ingestion import job_names
from cdk_app.values import Site
from ingestion.settings import WebhookSettings
from tenants.model import Webhook

__all__ = ["Alerts", "Chat", "OwnerAlerts"]

CHAT_TIMEOUT = Duration.seconds(30)


class AlertTopic(sns.Topic):
    """An encrypted topic. Functions publish by the rights of their roles; a service, for sources that are named."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, name: str, key_arn: str) -> None:
        super().__init__(scope, construct_id, topic_name=name)
        self.site = site
        # Not the L2 property: the key of a tenant's topic is known by its ARN alone.
        resource = self.node.default_child
        assert isinstance(resource, sns.CfnTopic)  # noqa: S101 - tells mypy what L2 made
        resource.kms_master_key_id = key_arn
        self.add_to_resource_policy(plain_text_denied("sns:Publish", [self.topic_arn]))

    def admit(self, service: str, sources: str) -> None:
        """A service may publish for sources of this account that match, such as `alarm:mycompany-*`."""
        statement = iam.PolicyStatement(
            sid=service.capitalize(),
            principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[self.topic_arn],
            conditions={
                "StringEquals": {"aws:SourceAccount": self.site.account},
                "ArnLike": {"aws:SourceArn": self.site.arn(service, sources)},
            },
        )
        self.add_to_resource_policy(statement)

    def write_to(self, scope: Construct, address: str) -> None:
        # The L2 subscription would put the address into the logical id.
        sns.CfnSubscription(scope, "Mail", topic_arn=self.topic_arn, protocol="email", endpoint=address)


class Alerts(Construct):
    """The platform's topic, whoever reads it, and the mail about a job that failed."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, key: kms.IKey) -> None:
        super().__init__(scope, construct_id)
        self.topic = AlertTopic(self, "Topic", site=site, name=site.platform.topic, key_arn=key.key_arn)
        self.topic.admit("cloudwatch", f"alarm:{site.organization}-*")
        self.topic.admit("events", f"rule/{site.organization}-*")
        self._tell_of_failed_jobs(site)
        if site.notification:
            self.topic.write_to(self, site.notification)

    def _tell_of_failed_jobs(self, site: Site) -> None:
        """Beside the alert of dispatch, which says more: this one comes though dispatch itself cannot run."""
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


class Chat(Construct):
    """What the platform's topic says, in a chat: a function that knows nothing but the address to post to."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: Site,
        webhook: Webhook,
        archive: Path,
        key: kms.IKey,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        self.webhook = PlatformFunction(
            self,
            "Webhook",
            site=site,
            name=site.platform.webhook_function,
            handler="ingestion.webhook.handler",
            archive=archive,
            timeout=CHAT_TIMEOUT,
            environment=WebhookSettings(
                webhook_parameter=webhook.parameter, webhook_format=webhook.format
            ).to_environment(),
            key=key,
            boundary=FunctionsBoundary(self, "Boundary", name=site.platform.webhook_boundary),
        )
        parameter = site.arn("ssm", f"parameter{webhook.parameter}")
        self.webhook.allow(["ssm:GetParameter"], [parameter])
        # Whichever key the parameter was written with: for this parameter only.
        self.webhook.allow(
            ["kms:Decrypt"],
            [site.arn("kms", "key/*")],
            {
                "StringEquals": {
                    "kms:EncryptionContext:PARAMETER_ARN": parameter,
                    "kms:ViaService": f"ssm.{site.region}.amazonaws.com",
                }
            },
        )
        self.webhook.admit("TopicMayCall", "sns.amazonaws.com", topic.topic_arn)
        sns.CfnSubscription(
            self,
            "Subscription",
            topic_arn=topic.topic_arn,
            protocol="lambda",
            endpoint=self.webhook.function.function_arn,
        )


class OwnerAlerts(Construct):
    """A tenant's topic, with its owner's address.

    It is under the platform's key, as is the ledger that it quotes: functions need no right on a tenant's key.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: Site,
        name: str,
        alarms: str,
        owner: str,
        key_arn: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.topic = AlertTopic(self, "Topic", site=site, name=name, key_arn=key_arn)
        self.topic.admit("cloudwatch", f"alarm:{alarms}")
        if site.writes_to_owners:
            self.topic.write_to(self, owner)
