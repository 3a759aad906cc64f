"""Tenants that leave, in an emulated account: each with a stack, data, rows and a key, and a neighbour who stays."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cli.connection import Connection
from cli.departure import Departure
from cli.entries import dataset_entry, tenant_entry
from cli.rollout import terms_in
from deployment.publishing import bootstrap
from deployment.records import Record, Recorded, Shelf, bucket_of
from lineage import table
from lineage.archive import Archive
from lineage.ledger import Ledger
from lineage.receipts import Receipt
from lineage.store import Store
from lineage.values import FileVersion
from tenants.registry import load
from tests.cli.test_deploy import ORDERS

NEIGHBOUR = "stays"
TAKEOUT = "takeout"
ACCOUNT, REGION = "000000000000", "us-east-1"
RAW = "raw_to_processed"
LONG_AGO = (datetime.now(UTC) - timedelta(days=31)).isoformat(timespec="seconds")

TENANTS = """organization: mycompany
tenants:
  - {id: stays, name: Stays, owner: a@stays.example, datasets: [orders]}
"""
LEAVING = """  - id: %s
    name: Leaving
    owner: a@leaving.example
    datasets: [orders]
    state: offboarding
    offboarding: {requested_by: jane@leaving.example, export: %s, grace: 30 days}
"""
ENVIRONMENTS = """environments:
  local: {account: "000000000000", region: us-east-1, removal_policy: destroy, termination_protection: false}
"""


def tenants_yaml(names: list[str], export: str = "none") -> str:
    return TENANTS + "".join(LEAVING % (name, export) for name in names)


def template(names: Any, *, keeps: bool) -> dict[str, Any]:
    """A stack with one of everything that a person may find in a tenant's. `keeps`: as in an account with real data."""
    policy = {"DeletionPolicy": "Retain"} if keeps else {"DeletionPolicy": "Delete"}
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    }
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    resources: dict[str, Any] = {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": nothing, "Tags": tags_of(names)}, **policy},
        "Alias": {
            "Type": "AWS::KMS::Alias",
            "Properties": {"AliasName": names.key_alias, "TargetKeyId": {"Ref": "Key"}},
        },
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {"BucketName": names.bucket, "VersioningConfiguration": {"Status": "Enabled"}},
            **policy,
        },
        "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": f"{names.log_group}/output"}, **policy},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": names.topic}},
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {"Name": names.rule, "EventPattern": {"source": ["aws.s3"]}, "State": "ENABLED"},
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {"RoleName": names.job_role, "AssumeRolePolicyDocument": trust},
        },
        "Boundary": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"ManagedPolicyName": names.boundary, "PolicyDocument": nothing},
        },
        "Database": {
            "Type": "AWS::Glue::Database",
            "Properties": {"CatalogId": ACCOUNT, "DatabaseInput": {"Name": names.database}},
            **policy,
        },
        "Workgroup": {"Type": "AWS::Athena::WorkGroup", "Properties": {"Name": names.workgroup}},
    }
    return {"Resources": resources}


def tags_of(names: Any) -> list[dict[str, str]]:
    tags = {"organization": names.organization, "tenant": names.tenant, "environment": names.environment}
    return [{"Key": name, "Value": value} for name, value in tags.items()]


@dataclass
class Account:
    """An account with a platform. Clients are made once: a test has hundreds of ends."""

    connection: Connection

    def __post_init__(self) -> None:
        self.client: Callable[[str], Any] = self.connection.client
        self.numbers = count(1)
        self.store = Store(self.connection.platform.ledger, workers=1)
        self.bucket = bucket_of(ACCOUNT, REGION)

    def open(self) -> None:
        """What is there before any tenant, and the neighbour."""
        bootstrap(self.client("s3"), self.client("ssm"), ACCOUNT, REGION)
        self.client("s3").create_bucket(Bucket=TAKEOUT)
        self.client("dynamodb").create_table(**table.definition(self.connection.platform.ledger))
        self.settle(NEIGHBOUR)
        leaving = [each for each in self.connection.registry.tenants if each.id != NEIGHBOUR]
        stacks = {self.stack(each.id): self._recorded(each.id) for each in leaving}
        Shelf(self.client("s3"), self.bucket, self.connection.platform.stack).write(Record(stacks), None, 1)

    def new(self, *, keeps: bool = False, objects: int = 4) -> str:
        """The id of a tenant that has settled, and wants to leave."""
        tenant = f"t{next(self.numbers):04}"
        self.settle(tenant, keeps=keeps, objects=objects)
        return tenant

    def _recorded(self, tenant: str) -> Recorded:
        terms = terms_in(self.connection.registry.tenant(tenant))
        return Recorded(
            self.stack(tenant), tenant, "d", "e", "offboarding", LONG_AGO, "deploy", since=LONG_AGO, terms=terms
        )

    def stack(self, tenant: str) -> str:
        return self.connection.names(tenant).stack

    def settle(self, tenant: str, *, keeps: bool = False, objects: int = 4) -> None:
        """A tenant as deploys and a few days leave it."""
        names = self.connection.names(tenant)
        self.client("cloudformation").create_stack(
            StackName=names.stack,
            TemplateBody=json.dumps(template(names, keeps=keeps)),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            EnableTerminationProtection=True,
        )
        self.client("cloudformation").get_waiter("stack_create_complete").wait(
            StackName=names.stack, WaiterConfig={"Delay": 0.01}
        )
        self._fill(names.bucket, objects)
        self._enter(tenant)

    def _fill(self, bucket: str, objects: int) -> None:
        s3 = self.client("s3")
        for number in range(objects):
            s3.put_object(Bucket=bucket, Key=f"raw/orders/{number}.csv", Body=b"order_id\n1\n")
        if objects:
            s3.put_object(Bucket=bucket, Key="raw/orders/0.csv", Body=b"order_id\n2\n")
            s3.put_object(Bucket=bucket, Key="athena-results/x.csv", Body=b"1")
            s3.delete_object(Bucket=bucket, Key="raw/orders/1.csv")
            s3.create_multipart_upload(Bucket=bucket, Key="raw/orders/half.csv")

    def _enter(self, tenant: str) -> None:
        found, ledger = self.connection.registry.tenant(tenant), self.connection.ledger
        for dataset in found.datasets:
            ledger.put_dataset(dataset_entry(self.connection, found, dataset))
        ledger.put_tenant(tenant_entry(self.connection, found))
        now = datetime.now(UTC)
        file = FileVersion(
            tenant=tenant, dataset="orders", key="raw/orders/0.csv", version="v", size=9, etag="e", arrived_at=now
        )
        ledger.receive_all([Receipt(file=file, job=RAW, held=False)])

    def departure(self, tenant: str, export: str | None = None) -> Departure:
        return Departure(self.connection, tenant, export)

    # -- looking -------------------------------------------------------------------------------------------------

    def versions(self, tenant: str) -> list[tuple[str, str]]:
        s3, bucket = self.client("s3"), self.connection.names(tenant).bucket
        try:
            pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=bucket))
        except s3.exceptions.NoSuchBucket:
            return []
        return [
            (each["Key"], each["VersionId"])
            for page in pages
            for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        ]

    def rows(self, tenant: str) -> list[Any]:
        return [row for rows in Archive(self.store, tenant).chunks() for row in rows]

    def key_state(self, arn: str) -> str:
        return str(self.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"])

    def key(self, tenant: str) -> str:
        """Its ARN, while its stack stands."""
        found = self.client("kms").describe_key(KeyId=self.connection.names(tenant).key_alias)
        return str(found["KeyMetadata"]["Arn"])

    def violations(self, tenant: str, key: str) -> list[str]:
        """What must hold at any moment: who can no longer be read, has nothing left to read."""
        if self.key_state(key) != "PendingDeletion":
            return []
        versions, rows = self.versions(tenant), self.rows(tenant)
        return [f"the key goes, and {len(versions)} versions are there"] * bool(versions) + [
            f"the key goes, and {len(rows)} rows are there"
        ] * bool(rows)

    def neighbour(self) -> Any:
        """Everything of who stays, to be compared with later."""
        key = self.key(NEIGHBOUR)
        rows = sorted(json.dumps(row, sort_keys=True) for row in self.rows(NEIGHBOUR))
        return self.versions(NEIGHBOUR), rows, self.key_state(key)


def wrong_checks(departure: Departure) -> Iterator[str]:
    record = departure.shelf.read()[0]
    end = record.offboardings[departure.id]
    body = departure.s3.get_object(Bucket=departure.shelf.bucket, Key=end.certificate)["Body"].read()
    yield from (
        f"{each.what}: {each.found}" for each in departure.verification(body, record).checks() if not each.is_right
    )


numbers = count(1)


@contextmanager
def opened(folder: Path, *, most: int) -> Iterator[Account]:
    """An account of an emulator of its own, with so many ids of tenants that may leave; clients are made once."""
    from local_cloud import emulator, ports, tls
    from local_cloud.state import Folders

    folders = Folders(folder / "home")
    folders.make()
    material = tls.ensure(folders.tls)
    started = emulator.start(folders, material, ports.choose(None, set()), {})
    variables = {
        "AWS_ENDPOINT_URL": started.endpoint,
        "AWS_CA_BUNDLE": str(material.ca),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        found = Account(a_connection(folder / "registry", most, patch))
        found.open()
        yield found
        for service in ("s3", "cloudformation"):
            found.client(service).close()  # the emulator waits for open connections before it ends
    started.stop()


def a_connection(folder: Path, most: int, patch: pytest.MonkeyPatch) -> Connection:
    (folder / "contracts").mkdir(parents=True)
    (folder / "contracts" / "orders.yaml").write_text(ORDERS)
    (folder / "environments.yaml").write_text(ENVIRONMENTS)
    export = f"s3://{TAKEOUT}/, export_account: '{ACCOUNT}'"
    (folder / "tenants.yaml").write_text(tenants_yaml([f"t{number:04}" for number in range(1, most)], export))
    registry = load(folder)
    connection = Connection(registry, registry.environment("local"), folder)
    make = Connection.client
    made = cache(lambda service: make(connection, service))
    patch.setattr(Connection, "client", lambda _self, service, _session=None: made(service))
    name = connection.platform.ledger
    patch.setattr(Connection, "ledger", Ledger(name, store=Store(name, workers=1)))
    patch.setattr("cli.departure.is_dead", lambda _process: True)  # nobody who died holds anybody up
    patch.setattr("deployment.dissolution.LOOK", 0.01)
    return connection
