"""What of a tenant may stand in an account beside its stack and its data: how each kind is found, and how removed.

Everything is found by the tenant's names, which begin no other tenant's; so it is found where no stack knows of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from deployment.inventory import is_there
from tenants.naming import TenantNames, arn, partition_of

__all__ = ["GONE", "KINDS", "Clients", "Kind", "Place", "is_gone"]

GONE = {
    "EntityNotFoundException",
    "NoSuchBucket",
    "NoSuchEntity",
    "NotFound",
    "NotFoundException",
    "ResourceNotFoundException",
}
UNKNOWN_WORKGROUP = "InvalidRequestException"  # Athena has no other word for it
TABLES = 100  # to one deletion, Glue's limit

Clients = Callable[[str], Any]
"""The boto3 client of a service, in the account and Region of the tenant."""


@dataclass(frozen=True)
class Place:
    """One tenant in one account: its names, and Glue's names of its jobs."""

    names: TenantNames
    account: str
    region: str
    jobs: tuple[str, ...]

    @property
    def partition(self) -> str:
        return partition_of(self.region)

    @property
    def roles(self) -> tuple[str, str]:
        return self.names.job_role, self.names.analyst_role

    @property
    def boundary_arn(self) -> str:
        return f"arn:{self.partition}:iam::{self.account}:policy/{self.names.boundary}"

    @property
    def topic_arn(self) -> str:
        return arn("sns", self.region, self.account, self.names.topic)


@dataclass(frozen=True)
class Kind:
    """One kind of thing. `find` gives names of what stands, `remove` takes one away; what is gone is no error."""

    name: str
    find: Callable[[Place, Clients], Iterator[str]]
    remove: Callable[[Place, Clients, str], None]


def is_gone(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in GONE or error.response["ResponseMetadata"].get("HTTPStatusCode") == 404


def if_there(name: str, ask: Callable[[], object], also: Sequence[str] = ()) -> Iterator[str]:
    """The name, unless asking for it tells that it is not there."""
    try:
        ask()
    except ClientError as error:
        if not is_gone(error) and error.response["Error"]["Code"] not in also:
            raise
        return
    yield name


def forget(do: Callable[[], object], also: Sequence[str] = ()) -> None:
    """Do it; what is gone already is no error."""
    for _ in if_there("", do, also):
        pass


# -- events, queries, catalog ------------------------------------------------------------------------------------------


def rules(place: Place, clients: Clients) -> Iterator[str]:
    yield from if_there(place.names.rule, lambda: clients("events").describe_rule(Name=place.names.rule))


def remove_rule(_: Place, clients: Clients, name: str) -> None:
    events = clients("events")

    def remove() -> None:
        targets = [each["Id"] for each in events.list_targets_by_rule(Rule=name)["Targets"]]
        if targets:
            events.remove_targets(Rule=name, Ids=targets)
        events.delete_rule(Name=name)

    forget(remove)


def workgroups(place: Place, clients: Clients) -> Iterator[str]:
    name = place.names.workgroup
    yield from if_there(name, lambda: clients("athena").get_work_group(WorkGroup=name), [UNKNOWN_WORKGROUP])


def remove_workgroup(_: Place, clients: Clients, name: str) -> None:
    """With its saved queries and its history."""
    athena = clients("athena")
    forget(lambda: athena.delete_work_group(WorkGroup=name, RecursiveDeleteOption=True), [UNKNOWN_WORKGROUP])


def databases(place: Place, clients: Clients) -> Iterator[str]:
    name = place.names.database
    yield from if_there(name, lambda: clients("glue").get_database(Name=name))


def remove_database(_: Place, clients: Clients, name: str) -> None:
    """Tables first, a batch at a time: a database with thousands of them takes Glue too long."""
    glue = clients("glue")

    def remove() -> None:
        while tables := [each["Name"] for each in glue.get_tables(DatabaseName=name, MaxResults=TABLES)["TableList"]]:
            glue.batch_delete_table(DatabaseName=name, TablesToDelete=tables[:TABLES])
        glue.delete_database(Name=name)

    forget(remove)


def jobs(place: Place, clients: Clients) -> Iterator[str]:
    for job in place.jobs:
        yield from if_there(job, partial(clients("glue").get_job, JobName=job))


def remove_job(_: Place, clients: Clients, name: str) -> None:
    clients("glue").delete_job(JobName=name)  # Glue does not mind if it is gone


# -- roles -------------------------------------------------------------------------------------------------------------


def roles(place: Place, clients: Clients) -> Iterator[str]:
    for role in place.roles:
        yield from if_there(role, partial(clients("iam").get_role, RoleName=role))


def remove_role(_: Place, clients: Clients, name: str) -> None:
    iam = clients("iam")

    def remove() -> None:
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        for inline in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=inline)
        iam.delete_role(RoleName=name)

    forget(remove)


def policies(place: Place, clients: Clients) -> Iterator[str]:
    """The boundary; and what the stack made for roles whose policies are too long, by the stack's name."""
    name = place.boundary_arn
    yield from if_there(name, lambda: clients("iam").get_policy(PolicyArn=name))
    for page in clients("iam").get_paginator("list_policies").paginate(Scope="Local"):
        own = (each for each in page["Policies"] if each["PolicyName"].startswith(f"{place.names.stack}-"))
        yield from (each["Arn"] for each in own)


def remove_policy(_: Place, clients: Clients, name: str) -> None:
    iam = clients("iam")

    def remove() -> None:
        for version in iam.list_policy_versions(PolicyArn=name)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=name, VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=name)

    forget(remove)


# -- what is told ------------------------------------------------------------------------------------------------------


def log_groups(place: Place, clients: Clients) -> Iterator[str]:
    prefix = f"{place.names.log_group}/"
    for page in clients("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
        yield from (each["logGroupName"] for each in page["logGroups"])


def remove_log_group(_: Place, clients: Clients, name: str) -> None:
    forget(lambda: clients("logs").delete_log_group(logGroupName=name))


def topics(place: Place, clients: Clients) -> Iterator[str]:
    name = place.topic_arn
    yield from if_there(name, lambda: clients("sns").get_topic_attributes(TopicArn=name))


def remove_topic(_: Place, clients: Clients, name: str) -> None:
    """Its subscriptions go with it."""
    forget(lambda: clients("sns").delete_topic(TopicArn=name))


def alarms(place: Place, clients: Clients) -> Iterator[str]:
    prefix = f"{place.names.workgroup}-"
    for page in clients("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix):
        yield from (each["AlarmName"] for each in (*page.get("MetricAlarms", ()), *page.get("CompositeAlarms", ())))


def remove_alarm(_: Place, clients: Clients, name: str) -> None:
    forget(lambda: clients("cloudwatch").delete_alarms(AlarmNames=[name]))


# -- data and key ------------------------------------------------------------------------------------------------------


def buckets(place: Place, clients: Clients) -> Iterator[str]:
    if is_there(clients("s3"), place.names.bucket):
        yield place.names.bucket


def remove_bucket(_: Place, clients: Clients, name: str) -> None:
    """Raises BucketNotEmpty of one that is not."""
    forget(lambda: clients("s3").delete_bucket(Bucket=name))


def aliases(place: Place, clients: Clients) -> Iterator[str]:
    name = place.names.key_alias
    yield from if_there(name, lambda: clients("kms").describe_key(KeyId=name))


def remove_alias(_: Place, clients: Clients, name: str) -> None:
    forget(lambda: clients("kms").delete_alias(AliasName=name))


KINDS = (
    Kind("rule", rules, remove_rule),
    Kind("workgroup", workgroups, remove_workgroup),
    Kind("database", databases, remove_database),
    Kind("job", jobs, remove_job),
    Kind("role", roles, remove_role),
    Kind("policy", policies, remove_policy),
    Kind("log group", log_groups, remove_log_group),
    Kind("topic", topics, remove_topic),
    Kind("alarm", alarms, remove_alarm),
    Kind("bucket", buckets, remove_bucket),
    Kind("key alias", aliases, remove_alias),
)
"""In the order in which they are removed: what others need comes after them. The stack and the key are not here."""
