"""Who asks in a workgroup needs rights of its own on tables and objects: the query role's are not lent."""

import json
import uuid
from typing import Any

import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.local_cloud.athena.conftest import Lake, bucket_of, database_of, role_of, workgroup_of

pytestmark = pytest.mark.cloud

GLUE = f"arn:aws:glue:us-east-1:000000000000:table/{database_of('acme')}"
BUCKET = f"arn:aws:s3:::{bucket_of('acme')}"
ASK = {"Action": "athena:*", "Resource": f"arn:aws:athena:us-east-1:000000000000:workgroup/{workgroup_of('acme')}"}
SEE_SALES = {"Action": "glue:Get*", "Resource": f"{GLUE}/sales"}
SEE_ALL = {"Action": "glue:Get*", "Resource": f"{GLUE}/*"}
CHANGE = {"Action": ["glue:CreateTable", "glue:DeleteTable"], "Resource": f"{GLUE}/*"}
READ_SALES = {"Action": "s3:GetObject", "Resource": f"{BUCKET}/sales/*"}
READ_ALL = {"Action": "s3:GetObject", "Resource": f"{BUCKET}/*"}
RESULTS = {"Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"{BUCKET}/athena-results/*"}
SALES, ICEBERG = "SELECT count(*) FROM sales", "SELECT count(*) FROM transactions"
MADE = f"CREATE EXTERNAL TABLE {{}} (x int) LOCATION 's3://{bucket_of('acme')}/made/'"


def outcome(lake: Lake, sql: str, *rights: dict[str, Any], as_user: bool = False) -> str:
    """How a query of somebody with these rights ends."""
    name = f"caller-{uuid.uuid4().hex}"
    client = (a_user if as_user else a_role)(lake, name, [{"Effect": "Allow"} | right for right in rights])
    started = client.start_query_execution(
        QueryString=sql, WorkGroup=workgroup_of("acme"), QueryExecutionContext={"Database": database_of("acme")}
    )
    status = lake.wait(started["QueryExecutionId"], "acme")["Status"]
    return f"{status['State']} {status.get('StateChangeReason', '')}"


def a_role(lake: Lake, name: str, statements: list[dict[str, Any]]) -> Any:
    iam = lake.root("iam")
    trust = iam.get_role(RoleName=role_of("acme").rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(statements))
    role = f"arn:aws:iam::000000000000:role/{name}"
    given = lake.root("sts").assume_role(RoleArn=role, RoleSessionName="caller")["Credentials"]
    keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return lake._made((name, "athena"), lake.athena_endpoint, "athena", keys)


def a_user(lake: Lake, name: str, statements: list[dict[str, Any]]) -> Any:
    iam = lake.root("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return lake._made(
        (name, "athena"), lake.athena_endpoint, "athena", (key["AccessKeyId"], key["SecretAccessKey"], None)
    )


def document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.mark.parametrize("as_user", [False, True], ids=["role", "user"])
@pytest.mark.parametrize(
    ("sql", "rights", "missing"),
    [
        (SALES, [ASK, SEE_SALES, READ_SALES, RESULTS], ""),
        (SALES, [ASK, READ_SALES, RESULTS], "glue:GetTable"),
        (SALES, [ASK, SEE_SALES, RESULTS], "s3:GetObject"),
        (SALES, [ASK, SEE_SALES, READ_SALES], "s3:PutObject"),
        (ICEBERG, [ASK, SEE_ALL, READ_ALL, RESULTS], ""),
        (ICEBERG, [ASK, SEE_SALES, READ_ALL, RESULTS], "glue:GetTable"),
        (ICEBERG, [ASK, SEE_ALL, READ_SALES, RESULTS], "s3:GetObject"),
        ("SHOW TABLES", [ASK, SEE_ALL, RESULTS], ""),
        ("SHOW TABLES", [ASK, SEE_SALES, RESULTS], "glue:GetTables"),
        (MADE, [ASK, SEE_ALL, CHANGE, RESULTS], ""),
        (MADE, [ASK, SEE_ALL, RESULTS], "glue:CreateTable"),
    ],
)
def test_a_query_needs_its_callers_rights_too(
    lake: Lake, sql: str, rights: list[dict[str, Any]], missing: str, *, as_user: bool
):
    ended = outcome(lake, sql.format(f"made_{uuid.uuid4().hex}"), *rights, as_user=as_user)

    if missing:
        assert "PERMISSION_DENIED" in ended
        assert missing in ended
    else:
        assert ended == "SUCCEEDED "


def test_what_the_catalog_lists_is_what_its_caller_may_see(lake: Lake):
    sql = "SELECT * FROM information_schema.tables"
    everything = [ASK, SEE_ALL, RESULTS]
    client = a_role(lake, f"caller-{uuid.uuid4().hex}", [{"Effect": "Allow"} | right for right in [ASK, RESULTS]])
    started = client.start_query_execution(QueryString=sql, WorkGroup=workgroup_of("acme"))["QueryExecutionId"]

    assert lake.wait(started, "acme")["Status"]["State"] == "SUCCEEDED"
    assert len(client.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]) == 1
    assert outcome(lake, sql, *everything) == "SUCCEEDED "
    assert lake.rows(sql) != []


def test_the_query_role_itself_and_root_ask_as_before(lake: Lake):
    assert lake.rows(SALES) == [["3"]]
    assert lake.rows(
        SALES.replace("sales", f"{database_of('acme')}.sales"), "root", workgroup=workgroup_of("acme")
    ) == [["3"]]


def test_a_second_credential_in_a_signature_makes_nobody_root(lake: Lake):
    """The header that carries the signature is not signed itself."""
    body = json.dumps({"CatalogName": "AwsDataCatalog", "DatabaseName": database_of("globex")}).encode()
    keys = Credentials(*lake.keys("acme"))

    status, answer = listed(lake, body, keys, "")
    assert (status, b"authorized" in answer) == (400, True) or b"AccessDenied" in answer
    for forged in (
        ", Credential=test/20261121/us-east-1/athena/aws4_request",
        " Credential=test/",
        ",Credential=test/x",
    ):
        status, answer = listed(lake, body, keys, forged)
        assert status >= 400, answer
    assert listed(lake, body, Credentials("test", "test"), "")[0] == 200


def listed(lake: Lake, body: bytes, keys: Credentials, forged: str) -> tuple[int, bytes]:
    headers = {"X-Amz-Target": "AmazonAthena.ListTableMetadata", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", lake.athena_endpoint + "/", headers=headers, data=body)
    SigV4Auth(keys, "athena", "us-east-1").add_auth(request)
    sent = dict(request.headers)
    sent["Authorization"] += forged
    answer = urllib3.PoolManager().request("POST", lake.athena_endpoint + "/", body=body, headers=sent)
    return answer.status, answer.data
