"""The end of a tenant by the command line, on a local cloud of its own: real templates, real runs, real rows."""

import json

import pytest

from cli.exit_codes import ExitCode
from tests.cli.test_deploy import GLOBEX, TENANTS, Lake

LEAVES = (
    "    state: offboarding\n"
    "    offboarding: {requested_by: jane@acme.example, export: 's3://acme-takeout/lake/', "
    "export_account: '000000000000', grace: %s}\n"
)
AT_ONCE = TENANTS.replace("max_wait: 1 hour", "max_wait: 0")
LEFT = "    state: offboarded\n    offboarding: {requested_by: jane@acme.example, export: none}\n"
ORDERED = ("tenant", "offboard", "acme", "-e", "local", "--delete-everything", "--confirm", "acme")
VERIFIED = ("tenant", "verify-certificate", "acme", "-e", "local", "--json")

TAKEOUT = """
import boto3
boto3.client("s3").create_bucket(Bucket="acme-takeout")
print("{}")
"""
TAKEN = """
import boto3, json
listed = boto3.client("s3").list_objects_v2(Bucket="acme-takeout")["Contents"]
print(json.dumps([each["Key"] for each in listed]))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("offboarding"))
    made.write(AT_ONCE + GLOBEX)
    for answer in (made("up", "--spares", "0"), made("deploy")):
        assert answer.code == 0, answer.err
    made.run(TAKEOUT)
    yield made
    made("down")


def put(lake, folder, tenant, *options):
    file = folder / f"{tenant}.csv"
    file.write_text("order_id\n1\n2\n")
    answer = lake("put", tenant, str(file), "--dataset", "orders", *options, "--json")
    assert answer.code == 0, answer.err
    return [each["state"] for each in answer.json]


def wrong(answer):
    return [each["what"] for each in answer.json if not each["is_right"]]


def leave(lake, grace):
    lake.write(AT_ONCE + LEAVES % grace + GLOBEX)
    answer = lake("deploy")
    assert answer.code == 0, answer.err


@pytest.mark.cloud
@pytest.mark.timeout(900)
def test_a_tenant_leaves_with_its_data_and_lineage_and_nothing_of_it_stays(lake, tmp_path):
    assert lake("hold", "globex", "--reason", "a neighbour with one file").code == 0
    put(lake, tmp_path, "globex")
    assert put(lake, tmp_path, "acme", "--wait") == ["QUERYABLE"]

    active = lake(*ORDERED)
    assert active.code == ExitCode.FAILED
    assert "tenant acme is `active` by tenants.yaml: set `state: offboarding` there" in active.err

    leave(lake, "30 days")
    early = lake(*ORDERED)
    assert early.code == ExitCode.FAILED
    assert "its grace is 30 days" in early.err

    leave(lake, "0 days")
    for unsure in (ORDERED[:5], ORDERED[:6], (*ORDERED[:7], "globex")):
        assert lake(*unsure).code == ExitCode.INPUT
    prospect = lake(*ORDERED[:5], "--dry-run", "--json").json
    assert prospect["refused"] is None
    assert {"kind": "bucket", "name": "mycompany-acme-local-datalake"} in prospect["resources"]

    done = lake(*ORDERED, "--json")
    assert done.code == 0, done.err
    certificate = done.json
    assert certificate["requested_by"] == "jane@acme.example"
    assert certificate["deleted"]["object_versions"] >= 6
    assert certificate["deleted"]["ledger_rows"] > 10
    assert certificate["export"]["openlineage_rows"] == 4

    verified = lake(*VERIFIED)
    assert verified.code == 0, verified.out
    taken = lake.run(TAKEN)
    assert {"lake/local/acme/1/data/raw/orders/acme.csv", "lake/local/acme/1/manifest.json"} <= set(taken)

    again = lake(*ORDERED, "--json")
    assert (again.code, again.json) == (0, certificate)
    assert [each["state"] for each in lake("files", "globex", "--json").json] == ["HELD"]

    the_file_and_the_plan_agree(lake)
    a_certificate_as_a_file_is_held_against_the_account(lake, tmp_path, certificate)


def the_file_and_the_plan_agree(lake):
    plan = lake("plan")
    assert plan.code == 0
    assert "has been offboarded" in plan.out + plan.err

    lake.write(AT_ONCE + GLOBEX)
    back = lake("deploy")
    assert back.code == ExitCode.REFUSED
    assert "the id acme is not given again" in back.err

    lake.write(AT_ONCE.replace("    datasets: [{name: orders, max_wait: 0}]\n", "") + LEFT + GLOBEX)
    assert lake("deploy", "--json").actions == {
        "mycompany-local-platform": "unchanged",
        "mycompany-globex-local-tenant": "unchanged",
    }
    assert lake(*VERIFIED).code == 0
    assert lake(*ORDERED).code == ExitCode.NOT_FOUND


def a_certificate_as_a_file_is_held_against_the_account(lake, folder, certificate):
    file = folder / "certificate.json"
    file.write_text(json.dumps(certificate, indent=1))
    assert lake("tenant", "verify-certificate", str(file), "-e", "local").code == 0

    file.write_text(json.dumps(certificate | {"reuse": "after certificate"}, indent=1))
    answer = lake("tenant", "verify-certificate", str(file), "-e", "local", "--json")
    assert answer.code == ExitCode.FAILED
    assert wrong(answer) == ["seal", "kept copy", "record of deploys"]

    file.write_text("[]")
    assert lake("tenant", "verify-certificate", str(file), "-e", "local").code == ExitCode.INPUT
    assert lake("tenant", "verify-certificate", "globex", "-e", "local").code == ExitCode.NOT_FOUND
