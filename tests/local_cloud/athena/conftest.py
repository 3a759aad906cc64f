"""An emulator with two tenants, acme and globex, and the Athena endpoint in front of it."""

import gc
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local_cloud import emulator as emulators
from local_cloud import ports, tls
from local_cloud.athena import server
from local_cloud.athena.facts import AthenaFacts
from local_cloud.state import ACCOUNT, HOST, REGION, Folders

TABLE = Path(__file__).with_name("iceberg")
PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
CSV = PARQUET | {
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde",
        "Parameters": {"separatorChar": ",", "quoteChar": '"'},
    }
}


def bucket_of(tenant: str) -> str:
    return f"org-{tenant}-test-datalake"


def database_of(tenant: str) -> str:
    return f"org_{tenant}_test"


def role_of(tenant: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/org-{tenant}-test-analyst"


def workgroup_of(tenant: str) -> str:
    return f"org-{tenant}-test"


@dataclass
class Lake:
    """The emulator and the endpoint, and what tests do with them."""

    endpoint: str
    athena_endpoint: str
    facts: AthenaFacts
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def root(self, service: str) -> Any:
        return self._made((service, "root"), self.endpoint, service, ("test", "test", None))

    def keys(self, tenant: str) -> tuple[str, str, str]:
        found = self.root("sts").assume_role(RoleArn=role_of(tenant), RoleSessionName="analyst")["Credentials"]
        return found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]

    def athena(self, tenant: str) -> Any:
        """A client with the keys of the tenant's analyst; of nobody in particular for `root`."""
        known = self._clients.get(("endpoint", tenant))
        if known is not None:
            return known
        keys = ("test", "test", None) if tenant == "root" else self.keys(tenant)
        return self._made(("endpoint", tenant), self.athena_endpoint, "athena", keys)

    def _made(self, key: tuple[str, str], endpoint: str, service: str, keys: tuple[Any, ...]) -> Any:
        if key not in self._clients:
            self._clients[key] = boto3.session.Session().client(
                service,
                endpoint_url=endpoint,
                region_name=REGION,
                verify=str(self.facts.ca_bundle),
                aws_access_key_id=keys[0],
                aws_secret_access_key=keys[1],
                aws_session_token=keys[2],
            )
        return self._clients[key]

    def start(self, sql: str, tenant: str = "acme", workgroup: str | None = None, **more: Any) -> str:
        context = {"Database": database_of(tenant)} if tenant != "root" else {}
        return str(
            self.athena(tenant).start_query_execution(
                QueryString=sql, WorkGroup=workgroup or workgroup_of(tenant), QueryExecutionContext=context, **more
            )["QueryExecutionId"]
        )

    def wait(self, identity: str, tenant: str = "acme") -> dict[str, Any]:
        client = self.athena(tenant)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            execution = client.get_query_execution(QueryExecutionId=identity)["QueryExecution"]
            if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
                return dict(execution)
            time.sleep(0.01)
        raise TimeoutError(identity)

    def run(self, sql: str, tenant: str = "acme", **more: Any) -> dict[str, Any]:
        """The finished execution."""
        return self.wait(self.start(sql, tenant, **more), tenant)

    def rows(self, sql: str, tenant: str = "acme", **more: Any) -> list[list[str | None]]:
        """A successful query's rows as text, without the names."""
        execution = self.run(sql, tenant, **more)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"].get("StateChangeReason")
        found = self.athena(tenant).get_query_results(QueryExecutionId=execution["QueryExecutionId"])
        rows = [[datum.get("VarCharValue") for datum in row["Data"]] for row in found["ResultSet"]["Rows"]]
        is_select = execution["ResultConfiguration"]["OutputLocation"].endswith(".csv")
        return rows[1:] if is_select else rows

    def reason(self, sql: str, tenant: str = "acme", **more: Any) -> str:
        """Why a query failed; fails the test where it did not."""
        execution = self.run(sql, tenant, **more)
        assert execution["Status"]["State"] == "FAILED", execution["Status"]
        return str(execution["Status"]["StateChangeReason"])

    def put(self, tenant: str, key: str, content: bytes) -> None:
        self.root("s3").put_object(Bucket=bucket_of(tenant), Key=key, Body=content)

    def put_parquet(self, tenant: str, key: str, table: pa.Table) -> int:
        """Returns the size in bytes."""
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        self.put(tenant, key, sink.getvalue())
        return len(sink.getvalue())

    def table(
        self,
        name: str,
        columns: dict[str, str],
        *,
        keys: dict[str, str] | None = None,
        storage: dict[str, Any] = PARQUET,
        parameters: dict[str, str] | None = None,
        tenant: str = "acme",
        location: str | None = None,
    ) -> None:
        described = [{"Name": column, "Type": kind} for column, kind in columns.items()]
        partition_keys = [{"Name": column, "Type": kind} for column, kind in (keys or {}).items()]
        place = location or f"s3://{bucket_of(tenant)}/{name}/"
        self.root("glue").create_table(
            DatabaseName=database_of(tenant),
            TableInput={
                "Name": name,
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {"EXTERNAL": "TRUE"} | (parameters or {}),
                "PartitionKeys": partition_keys,
                "StorageDescriptor": storage | {"Columns": described, "Location": place},
            },
        )

    def partition(self, name: str, values: list[str], folder: str, tenant: str = "acme") -> None:
        table = self.root("glue").get_table(DatabaseName=database_of(tenant), Name=name)["Table"]
        storage = table["StorageDescriptor"] | {"Location": f"s3://{bucket_of(tenant)}/{folder}/"}
        self.root("glue").create_partition(
            DatabaseName=database_of(tenant),
            TableName=name,
            PartitionInput={"Values": values, "StorageDescriptor": storage},
        )


def _policy(tenant: str) -> dict[str, Any]:
    arn, bucket, database = f"arn:aws:glue:{REGION}:{ACCOUNT}", bucket_of(tenant), database_of(tenant)
    workgroups = f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/{workgroup_of(tenant)}"
    catalog = f"arn:aws:athena:{REGION}:{ACCOUNT}:datacatalog/AwsDataCatalog"
    shown = ["athena:GetDatabase", "athena:GetTableMetadata", "athena:ListDatabases", "athena:ListTableMetadata"]
    statements = [
        (["s3:GetObject", "s3:PutObject", "s3:ListBucket"], [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]),
        (["glue:*"], [f"{arn}:catalog", f"{arn}:database/{database}", f"{arn}:table/{database}/*"]),
        (
            ["athena:*Query*", "athena:*Queries", "athena:GetWorkGroup", "athena:BatchGet*"],
            [workgroups, f"{workgroups}-*"],
        ),
        (shown, [catalog]),
    ]
    allowed = [{"Effect": "Allow", "Action": actions, "Resource": on} for actions, on in statements]
    kept = {"Effect": "Deny", "Action": ["glue:Delete*", "glue:Update*"], "Resource": [f"{arn}:table/{database}/sales"]}
    return {"Version": "2012-10-17", "Statement": [*allowed, kept]}


def _workgroup(lake: Lake, name: str, tenant: str, *, tagged: bool = True, **configuration: Any) -> None:
    location = {"OutputLocation": f"s3://{bucket_of(tenant)}/athena-results/"}
    settings = {"EnforceWorkGroupConfiguration": True, "ResultConfiguration": location} | configuration
    tags = [{"Key": "lake:query-role", "Value": role_of(tenant)}] if tagged else []
    lake.root("athena").create_work_group(Name=name, Configuration=settings, Tags=tags)


def _tenant(lake: Lake, tenant: str) -> None:
    lake.root("s3").create_bucket(Bucket=bucket_of(tenant))
    lake.root("glue").create_database(DatabaseInput={"Name": database_of(tenant)})
    iam, name = lake.root("iam"), role_of(tenant).rpartition("/")[2]
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(_policy(tenant)))
    _workgroup(lake, workgroup_of(tenant), tenant)


def _iceberg(lake: Lake) -> None:
    """The table of make_iceberg_table.py."""
    for path in (TABLE / "objects").rglob("*"):
        if path.is_file():
            lake.put("acme", path.relative_to(TABLE / "objects").as_posix(), path.read_bytes())
    definition = json.loads((TABLE / "table.json").read_text())
    lake.root("glue").create_table(DatabaseName=database_of("acme"), TableInput=definition)


def _sales(lake: Lake) -> None:
    """Three months of files, of which two are registered; one file lacks the column `note`."""
    lake.table(
        "sales", {"id": "bigint", "amount": "decimal(10,2)", "note": "string"}, keys={"year": "int", "month": "string"}
    )
    for month, rows, with_note in (("09", [1, 2], True), ("10", [3], False), ("11", [4, 5, 6], True)):
        amounts = pa.array([f"{row}.50" for row in rows]).cast(pa.decimal128(10, 2))
        columns = {"id": pa.array(rows, pa.int64()), "amount": amounts}
        columns |= {"note": pa.array([f"n{row}" for row in rows])} if with_note else {}
        folder = f"sales/year=2024/month={month}"
        lake.put_parquet("acme", f"{folder}/part-0.parquet", pa.table(columns))
        lake.put("acme", f"{folder}/_SUCCESS", b"not a data file")
        if month != "11":
            lake.partition("sales", ["2024", month], folder)


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    home = tmp_path_factory.mktemp("athena")
    folders = Folders(home)
    folders.make()
    material = tls.ensure(folders.tls)
    emulator = emulators.start(folders, material, ports.choose(None, set()), {})
    facts = AthenaFacts(
        endpoint=emulator.endpoint,
        access_key="test",
        secret_key="test",
        region=REGION,
        account=ACCOUNT,
        ca_bundle=material.ca,
        folder=folders.athena,
    )
    endpoint = server.serve(facts, HOST)
    made = Lake(emulator.endpoint, f"http://{HOST}:{endpoint.port}", facts)
    try:
        for tenant in ("acme", "globex"):
            _tenant(made, tenant)
        _workgroup(made, "org-acme-test-free", "acme", EnforceWorkGroupConfiguration=False)
        _workgroup(made, "org-acme-test-small", "acme", BytesScannedCutoffPerQuery=10_000_000)
        _workgroup(made, "org-acme-test-untagged", "acme", tagged=False)
        _iceberg(made)
        _sales(made)
        yield made
    finally:
        for client in made._clients.values():
            client.close()
        gc.collect()  # clients that the tests left behind: the emulator waits 30 s for open connections
        endpoint.stop()
        emulator.stop()
