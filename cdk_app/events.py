"""The way of an event: the platform's queue, and each tenant's rule that leads to it."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk_app.denials import plain_text_denied
from cdk_app.values import RAW, Site
from lineage import commits

__all__ = ["COMMIT_OBJECTS", "ArrivalRule", "Arrivals"]

COMMIT_OBJECTS = commits.key_of("*", "*")
MAX_RECEIVE_COUNT = 5


class Arrivals(Construct):
    """Queue of everything that arrived anywhere, and the queue of what could not be registered."""

    def __init__(
        self, scope: Construct, construct_id: str, *, site: Site, key: kms.IKey, visibility_timeout: Duration
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            queue_name=site.platform.dead_letter_queue,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            data_key_reuse=Duration.hours(1),
            retention_period=Duration.days(14),
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=site.platform.queue,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            data_key_reuse=Duration.hours(1),
            retention_period=Duration.days(4),
            visibility_timeout=visibility_timeout,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=MAX_RECEIVE_COUNT),
        )
        for queue in (self.queue, self.dead_letters):
            queue.add_to_resource_policy(plain_text_denied("sqs:*", [queue.queue_arn]))
            queue.add_to_resource_policy(rules_allowed(site, queue))


def rules_allowed(site: Site, queue: sqs.Queue) -> iam.PolicyStatement:
    """Arrival rules of this environment's tenants. CDK's own grant would let in any rule of any account."""
    return iam.PolicyStatement(
        sid="ArrivalRules",
        principals=[iam.ServicePrincipal("events.amazonaws.com")],
        actions=["sqs:SendMessage"],
        resources=[queue.queue_arn],
        conditions={
            "StringEquals": {"aws:SourceAccount": site.account},
            "ArnLike": {"aws:SourceArn": site.arn("events", f"rule/{site.every_tenant}arrivals")},
        },
    )


class ArrivalRule(Construct):
    """Objects created under `raw/`, and commit objects, of one tenant's bucket go to the platform's queue."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, name: str, bucket: str, tenant: str) -> None:
        super().__init__(scope, construct_id)
        platform = site.platform
        self.rule = events.CfnRule(
            self,
            "Rule",
            name=name,
            description=f"What arrives in {bucket}",
            event_pattern={
                "source": ["aws.s3"],
                "account": [site.account],
                "detail-type": ["Object Created"],
                "detail": {
                    "bucket": {"name": [bucket]},
                    "object": {"key": [{"prefix": RAW}, {"wildcard": COMMIT_OBJECTS}]},
                },
            },
            targets=[
                events.CfnRule.TargetProperty(
                    id="Arrivals",
                    arn=site.arn("sqs", platform.queue),
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(
                        arn=site.arn("sqs", platform.dead_letter_queue)
                    ),
                    # A standard queue with groups is fair: a tenant's burst does not stand in the others' way.
                    sqs_parameters=events.CfnRule.SqsParametersProperty(message_group_id=tenant),
                )
            ],
        )
