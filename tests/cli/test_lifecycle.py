"""A tenant that is suspended and goes on, by deploys on a local cloud of its own, whose Glue runs really run."""

import signal

import pytest

from cli.exit_codes import ExitCode
from tests.cli.test_deploy import TENANTS, Lake
from tests.cli.test_deploys_interrupted import assert_all_is_well, ended, started, wait_for

WAITS = {"HELD", "RECEIVED"}
"""A register that read the tenant a moment before it was suspended enters a file as RECEIVED; it waits all the same."""
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


def is_at_work(lake):
    return any(each["state"] == "RUNNING" for each in lake("runs", "acme", "--json").json)


@pytest.mark.cloud
@pytest.mark.timeout(600)
def test_a_suspended_tenants_runs_end_its_files_are_held_its_roles_refused_and_all_goes_on_later(active, tmp_path):
    assert active.run(AS_ITS_ROLES) == {"analyst": "let in", "job": "let in"}
    assert put(active, tmp_path, "before").code == 0
    assert wait_for(lambda: is_at_work(active))

    active.write(SUSPENDED)
    plan = active("plan")
    assert f"{ACME}: suspend\n" in plan.out
    assert "! what arrives is HELD from then on, runs in flight end first" in plan.out
    suspended = active("deploy", "--json")

    assert suspended.actions[ACME] == "updated"
    assert "acme: waiting for 1 run in flight to end" in suspended.err
    assert not is_at_work(active)
    assert state(active, "before") == "PROCESSED"  # and what that made waits, as everything does
    assert active("plan", "--refresh").code == 0
    assert put(active, tmp_path, "meanwhile").code == 0
    assert wait_for(lambda: state(active, "meanwhile") == "HELD")
    assert active.run(AS_ITS_ROLES) == {"analyst": "AccessDenied", "job": "AccessDenied"}

    active.write(TENANTS)
    assert f"{ACME}: resume\n" in active("plan").out
    (line,) = [each for each in active("deploy", "--json").json if each["stack"] == ACME]

    assert line["changes"][0] == "state: suspended → active"
    assert line["changes"][-1] in {"let go of 1 HELD file", "let go of 2 HELD files"}
    assert wait_for(lambda: {state(active, name) for name in ("before", "meanwhile")} == {"QUERYABLE"}, 300)
    assert active.run(AS_ITS_ROLES) == {"analyst": "let in", "job": "let in"}


ASK = """
import json
from lineage.errands import Errands
from lineage.ledger import Ledger
print(json.dumps(Errands(Ledger("mycompany-local-ledger")).ask("acme", "maintain", {}).id))
"""
GIVE_UP = ASK.replace('.ask("acme", "maintain", {}).id', '.fail("acme", "ERRAND", "never mind")')


@pytest.mark.slow
@pytest.mark.cloud
@pytest.mark.timeout(300)
def test_without_patience_for_what_is_at_work_a_tenant_is_held_and_not_yet_denied(active, tmp_path):
    errand = active.run(ASK)
    active.write(SUSPENDED)

    hasty = active("deploy", "--patience", "0", "--json")

    assert (hasty.code, hasty.actions[ACME]) == (ExitCode.FAILED, "failed")
    assert "tenant acme: 1 run still in flight after 0 s; its files are HELD and nothing new begins" in hasty.err
    assert active.run(AS_ITS_ROLES)["job"] == "let in"
    assert put(active, tmp_path, "hasty").code == 0
    assert wait_for(lambda: state(active, "hasty") in WAITS)
    assert f"{ACME}: suspend\n" in active("plan").out
    assert active.run(GIVE_UP.replace("ERRAND", errand))
    assert active("deploy", "--json").actions[ACME] == "updated"
    assert active.run(AS_ITS_ROLES)["job"] == "AccessDenied"


SUSPENDING = (
    "kill_after:1@dynamodb.UpdateItem",
    "kill_before:1@cloudformation.UpdateStack",
    "kill_after:2@dynamodb.UpdateItem",
    "kill_after:1@cloudformation.UpdateStack",
)
RESUMING = ("kill_after:1@cloudformation.UpdateStack", "kill_after:1@dynamodb.UpdateItem", "kill_after:2@dynamodb.*")


@pytest.mark.cloud
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "kill", [SUSPENDING[0], *(pytest.param(kill, marks=pytest.mark.slow) for kill in SUSPENDING[1:])]
)
def test_a_suspension_that_was_killed_keeps_files_held_and_is_ended_by_the_next_deploy(active, tmp_path, kill):
    active.write(SUSPENDED)
    assert ended(started(active, kill))[0] == -signal.SIGKILL
    name = f"killed-{SUSPENDING.index(kill)}"
    assert put(active, tmp_path, name).code == 0

    assert f"{ACME}: suspend\n" in active("plan").out
    assert active("deploy").code == 0

    assert_all_is_well(active)
    assert active.run(AS_ITS_ROLES)["job"] == "AccessDenied"
    assert wait_for(lambda: state(active, name) in WAITS)


@pytest.mark.cloud
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kill", RESUMING)
def test_a_resumption_that_was_killed_loses_no_held_file(active, tmp_path, kill):
    active.write(SUSPENDED)
    assert active("deploy").code == 0
    name = f"resumed-{RESUMING.index(kill)}"
    assert put(active, tmp_path, name).code == 0
    assert wait_for(lambda: state(active, name) in WAITS)

    active.write(TENANTS)
    assert ended(started(active, kill))[0] == -signal.SIGKILL
    assert active("deploy").code == 0

    assert_all_is_well(active)
    assert wait_for(lambda: state(active, name) not in {*WAITS, None}, 200)


@pytest.mark.slow
@pytest.mark.cloud
def test_a_suspension_that_was_killed_and_taken_back_leaves_nothing_held(active, tmp_path):
    active.write(SUSPENDED)
    assert ended(started(active, "kill_before:1@cloudformation.UpdateStack"))[0] == -signal.SIGKILL
    assert put(active, tmp_path, "taken-back").code == 0
    assert wait_for(lambda: state(active, "taken-back") in WAITS)

    active.write(TENANTS)
    assert f"{ACME}: resume\n" in active("plan").out
    assert active("deploy").code == 0

    assert_all_is_well(active)
    assert wait_for(lambda: state(active, "taken-back") not in WAITS, 120)


@pytest.mark.cloud
def test_who_leaves_is_suspended_and_told_when_the_data_may_go(active):
    active.write(LEAVING)

    plan = active("plan").out
    assert f"{ACME}: offboard\n" in plan
    assert (
        "! asked for by jane@acme.example; nothing is deleted before `lake tenant offboard acme --delete-everything "
        "--confirm acme`, which waits until 30 days after this deploy\n"
    ) in plan
    assert "! its data go nowhere before that\n" in plan
    assert active("deploy").code == 0
    assert active.run(AS_ITS_ROLES) == {"analyst": "AccessDenied", "job": "AccessDenied"}
