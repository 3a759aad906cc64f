"""What one tenant must not reach, each beside its twin that must work."""

import pyarrow as pa
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.local_cloud.athena.conftest import Lake, bucket_of, database_of, workgroup_of

pytestmark = pytest.mark.cloud


@pytest.fixture(scope="module")
def theirs(lake: Lake) -> str:
    """A table of globex, and the location of its files."""
    lake.put_parquet("globex", "secrets/part.parquet", pa.table({"x": [42]}))
    lake.table("secrets", {"x": "bigint"}, tenant="globex")
    return f"s3://{bucket_of('globex')}/secrets/"


def test_another_tenants_table_is_refused_and_the_owners_query_works(lake: Lake, theirs: str):
    sql = f"SELECT x FROM {database_of('globex')}.secrets"

    assert "PERMISSION_DENIED" in lake.reason(sql, "acme")
    assert lake.rows(sql, "globex") == [["42"]]


def test_a_table_over_another_tenants_files_is_refused_by_s3(lake: Lake, theirs: str):
    lake.table("mine_only_in_name", {"x": "bigint"}, tenant="acme", location=theirs)
    lake.table("mine", {"x": "bigint"}, tenant="globex", location=theirs)

    assert "PERMISSION_DENIED" in lake.reason("SELECT x FROM mine_only_in_name", "acme")
    assert lake.rows("SELECT x FROM mine", "globex") == [["42"]]


def test_an_iceberg_table_over_another_tenants_metadata_is_refused_by_s3(lake: Lake):
    table = lake.root("glue").get_table(DatabaseName=database_of("acme"), Name="transactions")["Table"]
    copy = {key: table[key] for key in ("TableType", "Parameters", "StorageDescriptor")} | {"Name": "borrowed"}
    lake.root("glue").create_table(DatabaseName=database_of("globex"), TableInput=copy)

    assert "PERMISSION_DENIED" in lake.reason("SELECT count(*) FROM borrowed", "globex")
    assert lake.rows("SELECT count(*) FROM transactions", "acme") == [["5"]]


def test_data_cannot_be_written_to_another_tenants_bucket(lake: Lake):
    unload = "UNLOAD (SELECT 1 AS x) TO 's3://{}/unloaded/' WITH (format = 'PARQUET')"

    assert "PERMISSION_DENIED" in lake.reason(unload.format(bucket_of("globex")), "acme")
    assert lake.rows(unload.format(bucket_of("acme")), "acme") == []


def test_another_tenants_table_cannot_be_dropped_nor_replaced(lake: Lake, theirs: str):
    name = f"{database_of('globex')}.secrets"

    assert "PERMISSION_DENIED" in lake.reason(f"DROP TABLE {name}", "acme")
    assert "PERMISSION_DENIED" in lake.reason(f"DROP TABLE IF EXISTS {name}", "acme")
    columns = f"CREATE EXTERNAL TABLE {database_of('globex')}.planted (x int) LOCATION '{theirs}'"
    assert "PERMISSION_DENIED" in lake.reason(columns, "acme")

    names = [table["Name"] for table in lake.root("glue").get_tables(DatabaseName=database_of("globex"))["TableList"]]
    assert "secrets" in names
    assert "planted" not in names


def test_a_clients_location_in_another_tenants_bucket_leaves_nothing_there(lake: Lake):
    before = _objects(lake, "globex")

    execution = lake.run("SELECT 1", ResultConfiguration={"OutputLocation": f"s3://{bucket_of('globex')}/x/"})
    refused = lake.run(
        "SELECT 1",
        workgroup="org-acme-test-free",
        ResultConfiguration={"OutputLocation": f"s3://{bucket_of('globex')}/x/"},
    )

    assert execution["Status"]["State"] == "SUCCEEDED"
    assert "PERMISSION_DENIED" in refused["Status"]["StateChangeReason"]
    assert _objects(lake, "globex") == before


def test_results_and_executions_of_another_tenant_are_denied(lake: Lake):
    identity = lake.start("SELECT 1", "acme")
    lake.wait(identity, "acme")
    intruder = lake.athena("globex")

    for call in (intruder.get_query_execution, intruder.get_query_results, intruder.stop_query_execution):
        with pytest.raises(ClientError, match="not authorized"):
            call(QueryExecutionId=identity)
    assert intruder.batch_get_query_execution(QueryExecutionIds=[identity])["QueryExecutions"] == []
    with pytest.raises(ClientError, match="not authorized"):
        intruder.list_query_executions(WorkGroup=workgroup_of("acme"))
    assert lake.athena("acme").get_query_results(QueryExecutionId=identity)["ResultSet"]["Rows"][1]


def test_the_catalog_shows_a_tenant_its_own_database_only(lake: Lake, theirs: str):
    assert lake.rows("SHOW DATABASES", "acme") == [[database_of("acme")]]
    assert "PERMISSION_DENIED" in lake.reason(f"SHOW TABLES IN {database_of('globex')}", "acme")
    assert "PERMISSION_DENIED" in lake.reason(f"DESCRIBE {database_of('globex')}.secrets", "acme")
    seen = lake.rows("SELECT DISTINCT table_schema FROM information_schema.tables", "acme")
    assert seen == [[database_of("acme")]]
    with pytest.raises(ClientError):
        lake.athena("acme").get_table_metadata(
            CatalogName="AwsDataCatalog",
            DatabaseName=database_of("globex"),
            TableName="secrets",
            WorkGroup=workgroup_of("acme"),
        )


def test_a_table_that_the_role_may_not_change_is_not_dropped(lake: Lake):
    lake.rows(f"CREATE EXTERNAL TABLE own (x int) LOCATION 's3://{bucket_of('acme')}/own/'")

    assert "PERMISSION_DENIED" in lake.reason("DROP TABLE sales")
    assert lake.rows("DROP TABLE own") == []


def test_a_view_reads_with_the_rights_of_who_asks(lake: Lake, theirs: str):
    lake.rows("CREATE OR REPLACE VIEW open_secrets AS SELECT x FROM secrets", "globex")
    view = lake.root("glue").get_table(DatabaseName=database_of("globex"), Name="open_secrets")["Table"]
    keep = ("Name", "TableType", "Parameters", "StorageDescriptor", "ViewOriginalText", "ViewExpandedText")
    lake.root("glue").create_table(
        DatabaseName=database_of("acme"), TableInput={key: view[key] for key in keep if key in view}
    )
    named = f"SELECT x FROM {database_of('globex')}.open_secrets"

    assert lake.rows(named, "globex") == [["42"]]
    assert "PERMISSION_DENIED" in lake.reason(named, "acme")
    assert "TABLE_NOT_FOUND" in lake.reason("SELECT x FROM open_secrets", "acme")


def test_a_signature_covers_the_statement(lake: Lake):
    """A proxy in between cannot exchange the text of a signed call."""
    body = b'{"QueryString": "SELECT 1", "WorkGroup": "' + workgroup_of("acme").encode() + b'"}'

    assert _send(lake, body, body)[0] == 200
    status, text = _send(lake, body, body.replace(b"SELECT 1", b"SELECT 2"))
    assert status in (400, 403)
    assert b"ignature" in text


def test_unsigned_and_unknown_callers_are_denied(lake: Lake):
    import urllib3

    answer = urllib3.PoolManager().request(
        "POST",
        lake.athena_endpoint,
        body=b'{"QueryString": "SELECT 1"}',
        headers={"X-Amz-Target": "AmazonAthena.StartQueryExecution", "Content-Type": "application/x-amz-json-1.1"},
    )

    assert answer.status in (400, 403)
    assert b"QueryExecutionId" not in answer.data


def _objects(lake: Lake, tenant: str) -> list[str]:
    found = lake.root("s3").list_objects_v2(Bucket=bucket_of(tenant)).get("Contents", [])
    return sorted(item["Key"] for item in found)


def _send(lake: Lake, signed: bytes, sent: bytes) -> tuple[int, bytes]:
    import urllib3

    headers = {"X-Amz-Target": "AmazonAthena.StartQueryExecution", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", lake.athena_endpoint + "/", headers=headers, data=signed)
    SigV4Auth(Credentials(*lake.keys("acme")), "athena", "us-east-1").add_auth(request)
    answer = urllib3.PoolManager().request("POST", lake.athena_endpoint + "/", body=sent, headers=dict(request.headers))
    return answer.status, answer.data
