"""The register: for each type of resource what must hold. What is not in it must not be in a template."""

from collections.abc import Iterator
from typing import Any

from cdk_app.guardrails.agreed import NOTHING, Agreed
from cdk_app.guardrails.listeners import own_alias, own_dead_letters, own_listener, own_targets, without
from cdk_app.guardrails.names import names_only_own
from cdk_app.guardrails.policies import (
    closed_bucket,
    closed_key,
    denies_plain_text,
    exact_allowances,
    least_rights,
    pinned_caller,
    pinned_services,
    services_only,
    shut_as_agreed,
    trusting_role,
)
from cdk_app.guardrails.properties import (
    checked_table,
    contained_job,
    encrypted_bucket,
    encrypted_by,
    enforced_workgroup,
    kept,
    kept_for_a_time,
    lying_in_own_bucket,
    own_events,
    own_log_group,
    private_bucket,
    rotated,
    tagged,
    versioned_bucket,
)
from cdk_app.guardrails.runners import own_function, own_source, shipped_job
from cdk_app.guardrails.subject import Check, Owner, Resource, Subject

__all__ = ["CHECKS", "findings"]

Template = dict[str, Any]

EVERYWHERE: tuple[Check, ...] = (exact_allowances, names_only_own)

# Ways out of a bucket, beside those of its policy.
HANDS_ON = (
    "InventoryConfigurations",
    "LoggingConfiguration",
    "NotificationConfiguration.LambdaConfigurations",
    "NotificationConfiguration.QueueConfigurations",
    "NotificationConfiguration.TopicConfigurations",
    "ReplicationConfiguration",
)

CHECKS: dict[str, tuple[Check, ...]] = {
    "AWS::Athena::NamedQuery": (),
    "AWS::Athena::WorkGroup": (enforced_workgroup, without("WorkGroupConfiguration.ExecutionRole"), tagged),
    "AWS::CDK::Metadata": (),
    "AWS::CloudWatch::Alarm": (tagged,),
    "AWS::DynamoDB::Table": (
        checked_table,
        without("KinesisStreamSpecification", "StreamSpecification"),
        kept,
        tagged,
    ),
    "AWS::Events::Rule": (own_events, own_targets, tagged),
    "AWS::Glue::Database": (
        lying_in_own_bucket("DatabaseInput", "LocationUri"),
        without("DatabaseInput.TargetDatabase", "DatabaseInput.FederatedDatabase"),
        kept,
    ),
    "AWS::Glue::Job": (contained_job, shipped_job, tagged),
    "AWS::Glue::Table": (
        lying_in_own_bucket("TableInput", "StorageDescriptor", "Location"),
        without("TableInput.TargetTable"),
    ),
    "AWS::IAM::ManagedPolicy": (least_rights, shut_as_agreed),
    "AWS::IAM::Policy": (least_rights,),
    "AWS::IAM::Role": (trusting_role, least_rights, tagged),
    "AWS::KMS::Alias": (own_alias,),
    "AWS::KMS::Key": (rotated, closed_key, pinned_services, kept, tagged),
    "AWS::Lambda::EventInvokeConfig": (without("DestinationConfig"),),
    "AWS::Lambda::EventSourceMapping": (own_source, without("DestinationConfig"), tagged),
    "AWS::Lambda::Function": (own_function, own_log_group, without("DeadLetterConfig"), tagged),
    "AWS::Lambda::Permission": (pinned_caller,),
    "AWS::Logs::LogGroup": (encrypted_by("KmsKeyId"), kept_for_a_time, kept, tagged),
    "AWS::S3::Bucket": (
        encrypted_bucket,
        private_bucket,
        versioned_bucket,
        denies_plain_text,
        closed_bucket,
        without(*HANDS_ON),
        kept,
        tagged,
    ),
    "AWS::S3::BucketPolicy": (pinned_services, services_only),
    "AWS::SNS::Subscription": (own_listener,),
    "AWS::SNS::Topic": (encrypted_by("KmsMasterKeyId"), denies_plain_text, without("Subscription"), tagged),
    "AWS::SNS::TopicPolicy": (pinned_services, services_only),
    "AWS::SQS::Queue": (encrypted_by("KmsMasterKeyId"), denies_plain_text, own_dead_letters, tagged),
    "AWS::SQS::QueuePolicy": (pinned_services, services_only),
}


def findings(stack: str, template: Template, agreed: Agreed = NOTHING) -> list[str]:
    """Every violation as one line: `<stack>: <logical id> (<type>): <what is wrong>`; `agreed`: of this stack."""
    resources: dict[str, Resource] = template.get("Resources", {})
    owner = Owner.of(stack, agreed)
    if owner is None:
        expected = "<organization>-<environment>-platform or <organization>-<tenant>-<environment>-tenant"
        return [f"{stack}: the name says not whose stack it is: expected {expected}"]
    return [
        f"{stack}: {logical_id} ({resource['Type']}): {problem}"
        for logical_id, resource in resources.items()
        for problem in problems(Subject(owner, logical_id, resource, resources))
    ]


def problems(subject: Subject) -> Iterator[str]:
    if subject.kind not in CHECKS:
        yield "unregistered type: say in cdk_app.guardrails.register what must hold for it"
        return
    for check in (*CHECKS[subject.kind], *EVERYWHERE):
        yield from check(subject)
