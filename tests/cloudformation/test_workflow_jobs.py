"""The jobs of the deploy workflow: what each of them calls is allowed to the role that it assumes, and not to a lesser."""

import json

import pytest

from tests.cli.test_deploy import GLOBEX, TENANTS
from tests.cloudformation import calls
from tests.cloudformation.base import Base
from tests.cloudformation.test_workflow_roles import Recorded

DEV = Base.of(calls.ACCOUNT, calls.REGION, Environment="dev", RemovalPolicy="destroy")
ENVIRONMENTS = f"""environments:
  local: {{account: "111122223333", region: us-east-1, removal_policy: destroy, termination_protection: false}}
  dev:
    account: "{calls.ACCOUNT}"
    region: {calls.REGION}
    removal_policy: destroy
    termination_protection: false
"""
LEAVING = """    state: offboarding
    offboarding: {requested_by: jane@acme.example, export: none, grace: 0 days}
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    """What a job needs, by its name, its action and the tenants that it is about."""
    monkeypatch.setattr(calls, "ENVIRONMENT", "dev")
    lake = Recorded(tmp_path)
    (lake.tenants / "environments.yaml").write_text(ENVIRONMENTS)
    for name, value in {"LAKE_REHEARSAL": "1", "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert lake("up", "--spares", "0").code == 0

    def needs(name, action, tenants, *, confirmation=""):
        portion = {"id": "portion-1", "place": "dev", "tenants": tenants}
        more = {
            "plan": ("--tenants", tenants, "--confirmation", confirmation),
            "apply": ("--portion", json.dumps(portion), "--confirmation", confirmation),
            "report": ("--portions", json.dumps([portion]), "--results", "skipped success"),
        }
        return lake.needs("workflow", name, "-e", "dev", "--action", action, *more[name])

    needs.write = lake.write
    yield needs
    lake("down")


def refused(role, needs):
    return {(need.action, need.name) for need in needs if not DEV.may(role, need.action, need.name, need.context)}


@pytest.mark.cloud
def test_what_a_job_calls_is_allowed_to_its_role_and_to_no_lesser_one(job):
    job.write(TENANTS + GLOBEX)
    planned = job("plan", "deploy", "acme")
    applied = job("apply", "deploy", "acme")
    reported = job("report", "deploy", "acme")
    job.write(TENANTS + LEAVING + GLOBEX)
    announced = job("apply", "deploy", "acme")
    leaving = job("plan", "offboard", "acme", confirmation="acme")
    left = job("apply", "offboard", "acme", confirmation="acme")

    assert refused("PlanRole", [*planned, *reported, *leaving]) == set()
    assert refused("DeployRole", [*applied, *announced]) == set()
    assert refused("OffboardRole", left) == set()
    told = {name for action, name in refused("PlanRole", applied) if action == "s3:PutObject"}
    assert any(name.endswith("/runs/1/7/1/portion-1.json") for name in told)
    assert refused("DeployRole", left)
