"""A local cloud as `lake up` starts it, with two tenants of whom one's id begins the other's."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_cloud import supervisor
from local_cloud.state import ACCOUNT, PROJECT, REGION, Cloud
from tenants.naming import PlatformNames, TenantNames

ORGANIZATION, ENVIRONMENT = "mycompany", "local"
TENANTS = ("acme", "acme-eu")
REGISTRY = """\
organization: mycompany
tiers:
  standard: {workers: 2, worker_type: G.1X, max_concurrent_runs: 2, query_bytes_limit: 100 GB}
tenants:
  - {id: acme, name: Acme GmbH, owner: data@acme.example, datasets: [orders]}
  - {id: acme-eu, name: Acme Europe, owner: data@acme-eu.example, datasets: [orders]}
"""
ENVIRONMENTS = """\
environments:
  local: {account: "000000000000", region: us-east-1, removal_policy: destroy, termination_protection: false, max_wait: 0}
"""
ORDERS = """\
apiVersion: v3.0.2
kind: DataContract
id: orders
name: Orders
version: 1.0.0
status: active
schema:
  - name: orders
    physicalType: table
    properties:
      - {name: order_id, logicalType: string, required: true, primaryKey: true}
"""
DENIALS = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"}
CONTENT = b"x\n"
KEY = "analytics-ready/probe/x.csv"


def is_refused(call: Any) -> bool:
    """Whether a call is denied; any error but a denial is the test's own mistake and raised."""
    try:
        call()
    except ClientError as e:
        if e.response["Error"]["Code"] in DENIALS:
            return True
        raise
    return False


def denied(words: str) -> ClientError:
    return ClientError({"Error": {"Code": "AccessDenied", "Message": words}}, "call")


@dataclass(frozen=True)
class Tenant:
    """One tenant's things, as the tests name them."""

    id: str
    key: str
    version: str
    query: str
    named_query: str

    @cached_property
    def names(self) -> TenantNames:
        return TenantNames(ORGANIZATION, self.id, ENVIRONMENT)

    @property
    def bucket(self) -> str:
        return self.names.bucket

    @property
    def database(self) -> str:
        return self.names.database

    @property
    def workgroup(self) -> str:
        return self.names.workgroup

    def role(self, kind: str) -> str:
        return f"arn:aws:iam::{ACCOUNT}:role/{self.workgroup}-{kind}"


@dataclass(frozen=True)
class Site:
    """The cloud, and who acts in it. One session makes all clients: each would read the services' models anew."""

    cloud: Cloud
    session: boto3.Session
    registry: Path

    def deploy(self, *tenants: str) -> None:
        """As the registry's files say now."""
        deploy(self.home, self.registry, *tenants)

    @property
    def home(self) -> Path:
        return Path(self.cloud.home)

    @property
    def platform(self) -> PlatformNames:
        return PlatformNames(ORGANIZATION, ENVIRONMENT)

    @cached_property
    def root(self) -> Any:
        return cache(partial(self.client, ("test", "test", None)))

    def actor(self, role: str) -> Any:
        """Makes clients of a role, with credentials from STS."""
        given = self.root("sts").assume_role(RoleArn=role, RoleSessionName="intruder")["Credentials"]
        keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        return cache(partial(self.client, keys))

    def client(self, keys: tuple[str, str, str | None], service: str, endpoint: str | None = None) -> Any:
        make: Any = self.session.client
        environment = self.cloud.environment()
        usual = environment.get(f"AWS_ENDPOINT_URL_{service.upper()}", environment["AWS_ENDPOINT_URL"])
        return make(
            service,
            endpoint_url=endpoint or usual,
            region_name=REGION,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            aws_session_token=keys[2],
            verify=self.cloud.ca_bundle,
        )

    def bare_role(self, name: str, *statements: dict[str, Any]) -> Any:
        """A role that no stack made, with these rights alone; clients of it."""
        iam = self.root("iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
        document = {"Version": "2012-10-17", "Statement": [trust]}
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
        if statements:
            own = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(own))
        return self.actor(f"arn:aws:iam::{ACCOUNT}:role/{name}")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    base = tmp_path_factory.mktemp("isolation")
    folder, home = base / "tenants", base / "home"
    (folder / "contracts").mkdir(parents=True)
    (folder / "tenants.yaml").write_text(REGISTRY)
    (folder / "environments.yaml").write_text(ENVIRONMENTS)
    (folder / "contracts" / "orders.yaml").write_text(ORDERS)
    cloud = supervisor.start(home, spares=0)
    try:
        deploy(home, folder)
        yield Site(cloud, boto3.Session(), folder)
    finally:
        supervisor.stop(home)


def deploy(home: Path, folder: Path, *tenants: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAKE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "cli.app", "deploy", *tenants],
        cwd=PROJECT,
        env={**clean, "LAKE_HOME": str(home), "LAKE_TENANTS": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def tenants(site: Site) -> dict[str, Tenant]:
    """Both, each with something of every kind to reach for."""
    return {tenant: _furnished(site, tenant) for tenant in TENANTS}


def _furnished(site: Site, tenant: str) -> Tenant:
    names, root = TenantNames(ORGANIZATION, tenant, ENVIRONMENT), site.root
    for zone in ("raw", "processed", "analytics-ready", "quarantine", "athena-results"):
        version = root("s3").put_object(Bucket=names.bucket, Key=f"{zone}/probe/x.csv", Body=CONTENT)["VersionId"]
        if zone == "analytics-ready":
            first = version
    root("glue").create_table(DatabaseName=names.database, TableInput=a_table(names.bucket, "probe"))
    row = {"PK": {"S": f"T#{tenant}#PROBE"}, "SK": {"S": "x"}}
    root("dynamodb").put_item(TableName=PlatformNames(ORGANIZATION, ENVIRONMENT).ledger, Item=row)
    started = root("athena").start_query_execution(QueryString="SELECT 1", WorkGroup=names.workgroup)
    named = root("athena").create_named_query(
        Name="probe", Database=names.database, QueryString="SELECT 1", WorkGroup=names.workgroup
    )
    root("athena").create_prepared_statement(
        StatementName="probe", WorkGroup=names.workgroup, QueryStatement="SELECT 1"
    )
    root("logs").create_log_stream(logGroupName=f"{names.log_group}/output", logStreamName="probe")
    aliases = root("kms").list_aliases()["Aliases"]
    key = next(each["TargetKeyId"] for each in aliases if each["AliasName"] == names.key_alias)
    return Tenant(tenant, key, first, started["QueryExecutionId"], named["NamedQueryId"])


def a_table(bucket: str, name: str) -> dict[str, Any]:
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": "day", "Type": "string"}],
        "StorageDescriptor": {
            "Columns": [{"Name": "x", "Type": "string"}],
            "Location": f"s3://{bucket}/analytics-ready/{name}/",
            "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"},
        },
    }


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"
