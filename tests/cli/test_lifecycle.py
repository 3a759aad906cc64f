"""A tenant that is suspended and goes on, by deploys on a local cloud of its own, whose Glue runs really run."""

import pytest

from tests.cli.test_deploy import TENANTS, Lake
from tests.cli.test_deploys_interrupted import wait_for

ACME = "mycompany-acme-local-tenant"
SUSPENDED = TENANTS + "    state: suspended\n"
LEAVING = TENANTS + "    state: offboarding\n    offboarding: {requested_by: jane@acme.example, export: none}\n"

AS_ITS_ROLES = """
import boto3, json
from botocore.exceptions import ClientError
found = {}
for role in ("analyst", "job"):
    arn = f"arn:aws:iam::000000000000:role/mycompany-acme-local-{role}"
    given = boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    s3 = boto3.client(
        "s3", aws_access_key_id=given["AccessKeyId"], aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    try:
        s3.list_objects_v2(Bucket="mycompany-acme-local-datalake", Prefix="analytics-ready/")
        found[role] = "let in"
    except ClientError as error:
        found[role] = error.response["Error"]["Code"]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("lifecycle"))
    for answer in (made("up", "--spares", "0"), made("deploy")):
        assert answer.code == 0, answer.err
    yield made
    made("down")


@pytest.fixture
def active(lake):
    lake.write(TENANTS)
    answer = lake("deploy")
    assert answer.code == 0, answer.err
    return lake


def put(lake, folder, name, *options):
    file = folder / f"{name}.csv"
    file.write_text(f"order_id\n{name}-1\n{name}-2\n")
    return lake("put", "acme", str(file), "--dataset", "orders", "--json", *options)


def state(lake, name):
    listed = lake("files", "acme", "--json").json
    return next((each["state"] for each in listed if each["key"].endswith(f"{name}.csv")), None)


@pytest.mark.cloud
@pytest.mark.timeout(300)
def test_a_suspended_tenants_files_are_held_its_roles_refused_and_all_goes_on_when_it_resumes(active, tmp_path):
    assert active.run(AS_ITS_ROLES) == {"analyst": "let in", "job": "let in"}

    active.write(SUSPENDED)
    plan = active("plan")
    assert f"{ACME}: suspend\n" in plan.out
    assert "! what arrives is HELD from then on, runs in flight end first" in plan.out
    assert active("deploy", "--json").actions[ACME] == "updated"

    assert active("plan", "--refresh").code == 0
    assert put(active, tmp_path, "meanwhile").code == 0
    assert wait_for(lambda: state(active, "meanwhile") == "HELD")
    assert active.run(AS_ITS_ROLES) == {"analyst": "AccessDenied", "job": "AccessDenied"}

    active.write(TENANTS)
    assert f"{ACME}: resume\n" in active("plan").out
    (line,) = [each for each in active("deploy", "--json").json if each["stack"] == ACME]

    assert line["changes"] == ["state: suspended → active", "let go of 1 HELD file"]
    assert put(active, tmp_path, "afterwards", "--wait").json[0]["state"] == "QUERYABLE"
    assert state(active, "meanwhile") == "QUERYABLE"
    assert active.run(AS_ITS_ROLES) == {"analyst": "let in", "job": "let in"}
