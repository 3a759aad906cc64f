"""What the local cloud cannot check: each item of the list fails here as soon as the emulator begins to check it."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local_cloud.blind_spots import BLIND_SPOTS, EVALUATED_KEYS, is_known_key
from local_cloud.state import ACCOUNT, REGION
from tests.local_cloud.isolation.calls import JOB
from tests.local_cloud.isolation.conftest import KEY, Site, Tenant, a_table, arn, is_refused

Probe = Callable[[Site, Tenant, Tenant], bool]
PROBES: dict[str, Probe] = {}


def probe(name: str) -> Callable[[Probe], Probe]:
    def enter(function: Probe) -> Probe:
        PROBES[name] = function
        return function

    return enter


def a_role(site: Site, action: str, resource: str | list[str] = "*", **condition: Any) -> Any:
    """Clients of a new role with one right."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": action, "Resource": resource}
    return site.bare_role(f"probe-{uuid.uuid4().hex}", statement | ({"Condition": condition} if condition else {}))


@probe("leading-keys")
def _(site: Site, own: Tenant, other: Tenant) -> bool:
    """Asked as the template has it, before parity takes the condition out."""
    condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"T#{own.id}#*"]}}
    reader = a_role(site, "dynamodb:GetItem", **condition)
    row = {"PK": {"S": f"T#{other.id}#PROBE"}, "SK": {"S": "x"}}
    return is_refused(lambda: reader("dynamodb").get_item(TableName=site.platform.ledger, Key=row))


@probe("principal-arn")
def _(site: Site, own: Tenant, _other: Tenant) -> bool:
    reader = a_role(site, "s3:GetObject", ArnLike={"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/probe-*"})
    return not is_refused(lambda: reader("s3").get_object(Bucket=own.bucket, Key=KEY))


@probe("use-of-a-key")
def _(site: Site, own: Tenant, _other: Tenant) -> bool:
    reader = a_role(site, "s3:GetObject")
    assert is_refused(lambda: reader("kms").generate_data_key(KeyId=own.key, KeySpec="AES_256"))
    return is_refused(lambda: reader("s3").get_object(Bucket=own.bucket, Key=KEY))


@probe("conditions-of-kms")
def _(site: Site, own: Tenant, _other: Tenant) -> bool:
    conditions = {"kms:CallerAccount": ACCOUNT, "kms:EncryptionContext:tenant": "acme"}
    holders = [a_role(site, "kms:Encrypt", StringEquals={key: value}) for key, value in conditions.items()]
    context = {"tenant": "acme"}
    calls = [
        lambda holder=each: holder("kms").encrypt(KeyId=own.key, Plaintext=b"x", EncryptionContext=context)
        for each in holders
    ]
    granting = a_role(site, "kms:CreateGrant", Bool={"kms:GrantIsForAWSResource": "false"})
    grant = {"KeyId": own.key, "GranteePrincipal": own.role(JOB), "Operations": ["Decrypt"]}
    calls.append(lambda: granting("kms").create_grant(**grant))
    return not all(is_refused(call) for call in calls)


@probe("tls-version")
def _(site: Site, own: Tenant, _other: Tenant) -> bool:
    reader = a_role(site, "s3:GetObject", NumericGreaterThanEquals={"s3:TlsVersion": "1.2"})
    return not is_refused(lambda: reader("s3").get_object(Bucket=own.bucket, Key=KEY))


@probe("key-of-an-object")
def _(site: Site, own: Tenant, other: Tenant) -> bool:
    """The bucket's policy denies the neighbour's key."""
    writer = site.actor(own.role(JOB))
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{other.key}"}
    return is_refused(lambda: writer("s3").put_object(Bucket=own.bucket, Key="processed/probe/k", **encryption))


@probe("sources-of-services")
def _(site: Site, _own: Tenant, _other: Tenant) -> bool:
    """A queue that takes messages of one rule gets those of another."""
    name = f"probe-{uuid.uuid4().hex}"
    queue = site.root("sqs").create_queue(QueueName=name)["QueueUrl"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn("sqs", name),
        "Condition": {"ArnEquals": {"aws:SourceArn": arn("events", "rule/another")}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    site.root("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    site.root("events").put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    site.root("events").put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn("sqs", name)}])
    site.root("events").put_events(Entries=[{"Source": name, "DetailType": "x", "Detail": "{}"}])
    return "Messages" not in site.root("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=5)


@probe("metric-namespace")
def _(site: Site, _own: Tenant, _other: Tenant) -> bool:
    job = a_role(site, "cloudwatch:PutMetricData", StringEquals={"cloudwatch:namespace": "Glue"})
    metric = [{"MetricName": "x", "Value": 1.0}]
    return not is_refused(lambda: job("cloudwatch").put_metric_data(Namespace="Glue", MetricData=metric))


@probe("tables-of-the-catalog")
def _(site: Site, own: Tenant, _other: Tenant) -> bool:
    database = [arn("glue", "catalog"), arn("glue", f"database/{own.database}")]
    reader = a_role(site, "glue:Get*", database)
    reads_tables = not is_refused(lambda: reader("glue").get_table(DatabaseName=own.database, Name="probe"))
    reads_databases = not is_refused(lambda: reader("glue").get_database(Name=own.database))
    return not reads_tables or reads_databases


@probe("bucket-owner")
def _(site: Site, own: Tenant, _other: Tenant) -> bool:
    reader = site.actor(own.role(JOB))
    return is_refused(lambda: reader("s3").get_object(Bucket=own.bucket, Key=KEY, ExpectedBucketOwner="111122223333"))


@probe("passing-roles")
def _(site: Site, own: Tenant, _other: Tenant) -> bool:
    maker = a_role(site, "glue:CreateJob")
    command = {"Name": "glueetl", "ScriptLocation": "s3://x/y.py"}
    made = {"Name": f"probe-{uuid.uuid4().hex}", "Role": own.role(JOB), "Command": command}
    return is_refused(lambda: maker("glue").create_job(**made))


@probe("root-key")
def _(site: Site, own: Tenant, _other: Tenant) -> bool:
    """A job's role trusts Glue alone. A user who may take any role is refused, so trust is read at all."""
    user = a_user(site, {"Effect": "Allow", "Action": "sts:*", "Resource": "*"})
    call = {"RoleArn": own.role(JOB), "RoleSessionName": "probe"}
    assert is_refused(lambda: user("sts").assume_role(**call))
    assert not is_refused(lambda: user("sts").assume_role(**call | {"RoleArn": own.role("analyst")}))
    return is_refused(lambda: site.root("sts").assume_role(**call))


def a_user(site: Site, statement: dict[str, Any]) -> Any:
    iam, name = site.root("iam"), f"probe-{uuid.uuid4().hex}"
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return lambda service: site.client((key["AccessKeyId"], key["SecretAccessKey"], None), service)


@probe("sql-past-its-endpoint")
def _(site: Site, own: Tenant, other: Tenant) -> bool:
    """At the endpoint the same statement is refused."""
    name = f"probe_{uuid.uuid4().hex}"
    site.root("glue").create_table(DatabaseName=other.database, TableInput=a_table(other.bucket, name))
    drop = {"QueryString": f"DROP TABLE {other.database}.{name}", "WorkGroup": own.workgroup}
    analyst = site.actor(own.role("analyst"))
    refused = analyst("athena").start_query_execution(**drop)["QueryExecutionId"]
    assert "PERMISSION_DENIED" in ended(analyst("athena"), refused)["StateChangeReason"]
    assert is_there(site, other, name)

    past = analyst("athena", endpoint=site.cloud.endpoint)
    past.start_query_execution(**drop)
    return within(2, lambda: not is_there(site, other, name)) is False


def ended(athena: Any, query: str) -> dict[str, Any]:
    def status() -> dict[str, Any]:
        return athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]

    assert within(60, lambda: status()["State"] not in ("QUEUED", "RUNNING"))
    return status()


def is_there(site: Site, tenant: Tenant, table: str) -> bool:
    found = site.root("glue").get_tables(DatabaseName=tenant.database)["TableList"]
    return table in [each["Name"] for each in found]


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@probe("caller-of-a-query")
def _(site: Site, own: Tenant, _other: Tenant) -> bool:
    """Who may use every workgroup and nothing else: one who may use this one is refused the table."""
    known = a_role(site, "athena:*", arn("athena", f"workgroup/{own.workgroup}"))
    caller = a_role(site, "athena:*")
    assert is_refused(lambda: caller("glue").get_tables(DatabaseName=own.database))
    query = {"QueryString": f"SELECT x FROM {own.database}.probe", "WorkGroup": own.workgroup}
    by_known = known("athena").start_query_execution(**query)["QueryExecutionId"]
    assert "PERMISSION_DENIED" in ended(known("athena"), by_known)["StateChangeReason"]
    started = caller("athena").start_query_execution(**query)["QueryExecutionId"]
    return ended(caller("athena"), started)["State"] == "FAILED"


@pytest.mark.cloud
@pytest.mark.parametrize("name", [spot.name for spot in BLIND_SPOTS])
def test_the_emulator_does_not_check_it_yet(site: Site, tenants: dict[str, Tenant], name: str):
    """When this fails: take the item off `local_cloud.blind_spots`, and parity's rewriting of policies for it."""
    assert not PROBES[name](site, tenants["acme"], tenants["acme-eu"])


def test_every_item_has_its_probe():
    assert sorted(PROBES) == sorted(spot.name for spot in BLIND_SPOTS)


VALUES = {
    "aws:PrincipalAccount": (ACCOUNT, "111122223333"),
    "aws:ResourceAccount": (ACCOUNT, "111122223333"),
    "aws:SecureTransport": ("true", "false"),
    "s3:ResourceAccount": (ACCOUNT, "111122223333"),
    "s3:prefix": ("raw/", "processed/"),
}


@pytest.mark.cloud
@pytest.mark.parametrize("key", sorted(EVALUATED_KEYS))
def test_a_key_that_counts_as_evaluated_lets_through_and_keeps_out(site: Site, tenants: dict[str, Tenant], key: str):
    met, missed = (a_role(site, "s3:ListBucket", StringEquals={key: value}) for value in VALUES[key])
    call = {"Bucket": tenants["acme"].bucket, "Prefix": "raw/"}

    assert not is_refused(lambda: met("s3").list_objects_v2(**call))
    assert is_refused(lambda: missed("s3").list_objects_v2(**call))


@pytest.mark.cloud
def test_of_every_condition_in_the_templates_it_is_known_what_becomes_of_it_here(site: Site, tenants):
    """When this fails: show that the emulator evaluates the key (EVALUATED_KEYS), or list it as a blind spot."""
    templates = list(site.home.glob("assembly/*/*.template.json"))
    keys = {key for path in templates for key in conditions(json.loads(path.read_text()))}

    assert len(templates) == len(tenants) + 1
    assert "dynamodb:LeadingKeys" in keys
    assert [key for key in sorted(keys) if not is_known_key(key)] == []


def conditions(value: Any) -> Iterator[str]:
    """Condition keys of every statement in a template."""
    if isinstance(value, dict):
        if "Effect" in value:
            yield from (key for block in value.get("Condition", {}).values() for key in block)
        for inner in value.values():
            yield from conditions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from conditions(inner)
