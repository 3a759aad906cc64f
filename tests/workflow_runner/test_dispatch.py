"""A workflow of the usual kind, run whole: what is chosen runs, what is refused does not, a failure stops nobody else."""

import json

import pytest

from tests.workflow_runner.record import Annotation, Concurrency
from tests.workflow_runner.refusals import Refused
from tests.workflow_runner.runner import run
from tests.workflow_runner.sample import write

STUBS = {"aws-actions/configure-aws-credentials": {"env": {"WHO": "a role"}, "needs": {"id-token": "write"}}}


@pytest.fixture
def dispatch(tmp_path):
    def dispatched(**inputs):
        given = {"environment": "dev", "action": "deploy", **inputs}
        return run("deploy.yml", given, write(tmp_path / "repository"), STUBS, {"AWS_ACCOUNT_ID": "111122223333"})

    return dispatched


def test_a_plan_applies_nothing_and_is_reported(dispatch):
    record = dispatch(action="plan")

    assert record.result == "success"
    assert record.results == {"plan": "success", "apply": "skipped", "report": "success"}
    assert record.name == "plan all in dev"
    assert json.loads(record.job("report").summary)["plan"]["outputs"]["count"] == "3"


def test_one_is_deployed_with_the_role_that_is_recorded(dispatch):
    record = dispatch(tenant="acme")

    (assumed,) = record.job("apply/apply").uses("aws-actions/configure-aws-credentials")
    assert record.results == {"plan": "success", "apply/apply {'batch': 'acme'}": "success", "report": "success"}
    assert assumed.inputs == {
        "role-to-assume": "arn:aws:iam::111122223333:role/write",
        "role-session-name": "gha-1001-1",
    }
    assert record.job("apply/apply").summary == "| acme | with a role |\n"


def test_one_that_fails_lets_the_others_go_on_and_fails_the_run(dispatch):
    record = dispatch()

    assert record.result == "failure"
    assert [(job.matrix["batch"], job.result) for job in record.legs("apply/apply")] == [
        ("acme", "success"),
        ("bad", "failure"),
        ("skyline", "success"),
    ]
    assert json.loads(record.job("report").summary)["apply"]["result"] == "failure"


def test_rights_environments_and_what_waits_for_what_are_recorded(dispatch):
    record = dispatch(action="offboard", tenant="acme", confirm="acme", environment="prod")

    apply = record.job("apply/apply")
    assert record.concurrency == Concurrency("deploy-prod", False, "max")
    assert record.permissions == {}
    assert {job.id: job.permissions for job in record.jobs} == {
        "plan": {"contents": "read"},
        "apply/apply": {"contents": "read", "id-token": "write"},
        "report": {},
    }
    assert (apply.environment, apply.timeout_minutes, apply.runs_on) == ("prod-offboard", 60, "ubuntu-24.04")
    assert apply.subject == "repo:example@1234/tenantlake@5678:environment:prod-offboard"
    assert record.job("plan").subject == "repo:example@1234/tenantlake@5678:ref:refs/heads/main"
    assert apply.inputs == {"environment": "prod", "action": "offboard", "batch": "acme"}


def test_what_the_workflow_itself_refuses_skips_the_rest(dispatch):
    record = dispatch(action="offboard", tenant="acme")

    assert record.results == {"plan": "failure", "apply": "skipped", "report": "success"}
    assert record.result == "failure"
    assert record.annotations[0] == Annotation("error", "offboard: type the id again")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"environment": "elsewhere"}, r"input environment: expected one of \['dev', 'prod'\], not 'elsewhere'"),
        (
            {"tenants": "acme"},
            r"unknown inputs \['tenants'\]; it takes \['action', 'confirm', 'environment', 'tenant'\]",
        ),
        ({"tenant": "x" * 65_536}, "more than 65535 characters"),
    ],
)
def test_inputs_that_github_refuses_begin_nothing(dispatch, inputs, message):
    with pytest.raises(Refused, match=message):
        dispatch(**inputs)


def test_an_input_that_is_required_has_to_be_given(tmp_path):
    with pytest.raises(Refused, match="input environment is required"):
        run("deploy.yml", {"action": "plan"}, write(tmp_path))


@pytest.mark.parametrize("text", ["$(touch {})", "`touch {}`", "'; touch {}; '", '"; touch {}; "', "acme\n; touch {}"])
def test_an_input_that_goes_through_env_is_no_command(dispatch, tmp_path, text):
    record = dispatch(tenant=text.format(tmp_path / "touched"))

    assert record.results == {"plan": "failure", "apply": "skipped", "report": "success"}
    assert not (tmp_path / "touched").exists()


def test_an_input_that_is_written_into_a_command_is_one(tmp_path):
    """The runner shows what GitHub would do, not something safer."""
    careless = """
        on: {workflow_dispatch: {inputs: {who: {type: string}}}}
        jobs: {greet: {runs-on: x, steps: [{run: "echo hello ${{ inputs.who }}"}]}}
        """
    run("careless.yml", {"who": f"; touch {tmp_path}/touched"}, write(tmp_path / "repository", careless=careless))

    assert (tmp_path / "touched").exists()
