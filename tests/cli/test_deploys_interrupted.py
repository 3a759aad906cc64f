"""Deploys that die, race, fail in part or find what others left half-way; the command line against a local cloud.

That all is well again is judged by the plan: by what is recorded, and compared with the live stacks, there is nothing
to do.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from cli.exit_codes import ExitCode
from tests.cli.test_deploy import PROJECT, TENANTS, Lake

SITE = PROJECT / "tests" / "faults" / "site"
PLATFORM = "mycompany-local-platform"
TENANT = """  - id: {0}
    name: {0}
    owner: it@{0}.example
    datasets: [orders]
    retention: {{raw: {1} days}}
"""
IMPOSSIBLE = (
    "{'Alarm': {'Type': 'AWS::CloudWatch::Alarm', 'Properties': {'AlarmName': 'impossible', 'EvaluationPeriods': 1,"
    "'ComparisonOperator': 'GreaterThanThreshold', 'Threshold': 1, 'Metrics': [{'Id': 'm', 'Expression': '1+1'}]}}}"
)


def registry(days, *tenants):
    return TENANTS + f"    retention: {{raw: {days} days}}\n" + "".join(TENANT.format(name, days) for name in tenants)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("interrupted"))
    made.write(registry(7, "beta", "gamma"))
    for answer in (made("up", "--spares", "0"), made("deploy")):
        assert answer.code == 0, answer.err
    yield made
    made("down")


def started(lake, fault, *arguments):
    """`lake deploy` as a process whose calls are under a fault."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    mine = {"LAKE_HOME": str(lake.home), "LAKE_TENANTS": str(lake.tenants), "LAKE_FAULT": fault}
    return subprocess.Popen(
        [sys.executable, "-m", "cli.app", "deploy", *arguments],
        cwd=PROJECT,
        env=own | mine | {"PYTHONPATH": str(SITE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def assert_all_is_well(lake):
    by_record, by_live_stacks = lake("plan"), lake("plan", "--refresh")
    assert (by_record.code, by_live_stacks.code) == (0, 0), by_record.out + by_live_stacks.out


KILLS = (
    "kill_before:1@s3.PutObject",
    "kill_after:2@cloudformation.UpdateStack",
    "kill_after:1@dynamodb.PutItem",
    "kill_before:4@s3.PutObject",
)


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("number", "kill"),
    [pytest.param(number, kill, marks=[pytest.mark.slow] if number > 1 else []) for number, kill in enumerate(KILLS)],
)
def test_a_deploy_that_was_killed_is_gone_on_with(lake, number, kill):
    lake.write(registry(20 + number, "beta", "gamma"))
    code, _, err = ended(started(lake, kill))
    assert code == -signal.SIGKILL, err

    resumed = lake("deploy", "--json")

    assert resumed.code == 0, resumed.err
    assert_all_is_well(lake)


@pytest.mark.slow
@pytest.mark.cloud
def test_a_change_that_was_taken_back_after_a_kill_is_taken_back_in_the_stacks_too(lake):
    lake.write(registry(7, "beta", "gamma"))
    assert lake("deploy").code == 0
    lake.write(registry(30, "beta", "gamma"))
    assert ended(started(lake, "kill_after:2@cloudformation.UpdateStack"))[0] == -signal.SIGKILL

    lake.write(registry(7, "beta", "gamma"))
    back = lake("deploy", "--json")

    assert back.code == 0, back.err
    assert "updated" in back.actions.values()
    assert_all_is_well(lake)


@pytest.mark.slow
@pytest.mark.cloud
def test_a_tenant_whose_first_deploy_was_killed_does_not_vanish_unseen(lake):
    lake.write(registry(7, "beta", "gamma"))
    assert lake("deploy").code == 0
    lake.write(registry(7, "beta", "gamma", "delta"))
    assert ended(started(lake, "kill_after:1@cloudformation.CreateStack"))[0] == -signal.SIGKILL

    lake.write(registry(7, "beta", "gamma"))
    plan = lake("plan")

    assert plan.code == ExitCode.REFUSED, plan.out
    assert "tenant delta is deployed and no longer in tenants.yaml" in plan.out
    lake.write(registry(7, "beta", "gamma", "delta"))
    assert lake("deploy").code == 0
    assert_all_is_well(lake)
    lake.run(
        "import boto3, json; boto3.client('cloudformation').delete_stack(StackName='mycompany-delta-local-tenant');"
        "print(json.dumps(None))"
    )
    lake.write(registry(7, "beta", "gamma"))
    assert lake("deploy").code == 0
    assert_all_is_well(lake)


@pytest.mark.cloud
@pytest.mark.slow
@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("calls", ["cloudformation.*", "s3.*", "dynamodb.*"])
def test_wherever_a_deploy_is_killed_the_next_one_ends_it(lake, calls):
    """After every call that a change of three tenants makes: which is also before the next one."""
    lake.write(registry(7, "beta", "gamma"))
    assert lake("deploy").code == 0
    for number in range(1, 80):
        lake.write(registry(100 + number, "beta", "gamma"))
        code, _, err = ended(started(lake, f"kill_after:{number}@{calls}"))
        if code == 0:
            return
        assert code == -signal.SIGKILL, err
        assert lake("deploy").code == 0
        assert_all_is_well(lake)
    pytest.fail("more calls than were tried")


@pytest.mark.cloud
def test_of_two_deploys_at_once_one_goes_and_the_other_is_told_who_or_waits(lake):
    lake.write(registry(40, "beta", "gamma"))
    first = started(lake, "slow:1@cloudformation.UpdateStack:8")
    assert wait_for(lambda: "acme" in first.stderr.readline())

    second = lake("deploy")
    assert (second.code, second.out) == (ExitCode.FAILED, "")
    assert f"(process {first.pid}) has been deploying here since 20" in second.err
    assert "--wait" in second.err

    third = lake("deploy", "--wait", "60", "--json")
    assert set(third.actions.values()) == {"unchanged"}
    assert ended(first)[0] == 0
    assert_all_is_well(lake)


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
    return False


@pytest.mark.cloud
def test_a_creation_that_failed_and_one_that_was_only_reviewed_are_made_anew(lake):
    lake.run(
        "import boto3, json; cloudformation = boto3.client('cloudformation');"
        f"body = json.dumps({{'Resources': {IMPOSSIBLE}}});"
        "cloudformation.create_stack(StackName='mycompany-failed-local-tenant', TemplateBody=body);"
        "good = json.dumps({'Resources': {'T': {'Type': 'AWS::SNS::Topic'}}});"
        "cloudformation.create_change_set(StackName='mycompany-review-local-tenant', ChangeSetName='c',"
        " ChangeSetType='CREATE', TemplateBody=good); print(json.dumps(None))"
    )
    assert states(lake, "failed", "review") == ["ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"]

    lake.write(registry(7, "beta", "gamma", "failed", "review"))
    done = lake("deploy", "--json")

    assert done.code == 0, done.err
    assert [done.actions[f"mycompany-{name}-local-tenant"] for name in ("failed", "review")] == ["created", "created"]
    assert_all_is_well(lake)


def states(lake, *tenants):
    names = [f"mycompany-{tenant}-local-tenant" for tenant in tenants]
    return lake.run(
        "import boto3, json; cloudformation = boto3.client('cloudformation');"
        f"print(json.dumps([cloudformation.describe_stacks(StackName=name)['Stacks'][0]['StackStatus'] for name in {names}]))"
    )


@pytest.mark.cloud
def test_one_tenant_that_fails_is_told_with_its_reason_and_keeps_no_other_back(lake):
    """Its database is somebody else's."""
    lake.write(registry(7, "beta", "gamma", "failed", "review"))
    assert lake("deploy").code == 0
    lake.run(
        "import boto3, json;"
        "boto3.client('glue').create_database(DatabaseInput={'Name': 'mycompany_taken_local'});"
        "print(json.dumps(None))"
    )
    lake.write(registry(7, "beta", "gamma", "failed", "review", "later", "taken"))

    done = lake("deploy", "--json")

    assert done.code == ExitCode.FAILED
    failed = {each["stack"]: each["error"] for each in done.json if each["action"] == "failed"}
    assert list(failed) == ["mycompany-taken-local-tenant"]
    assert "mycompany_taken_local" in failed["mycompany-taken-local-tenant"]
    assert failed["mycompany-taken-local-tenant"] in done.err
    assert done.actions["mycompany-later-local-tenant"] == "created"
    assert "1 created, 1 failed" in done.err
    assert json.loads(lake("plan", "--json").out)["counts"]["create"] == 1
