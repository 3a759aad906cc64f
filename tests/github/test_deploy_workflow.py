"""deploy.yml, really run: dispatched by a local runner, its `lake` against a rehearsal of environment dev.

What GitHub itself does is recorded only: approvals, the queue of runs, and the exchange of a token for a role.
"""

import shutil

import boto3
import pytest

from tests.cli.test_deploy import ORDERS, PROJECT, Lake
from tests.workflow_runner import stubs as standard
from tests.workflow_runner.record import Concurrency
from tests.workflow_runner.refusals import Refused
from tests.workflow_runner.runner import Event, run

ACCOUNT, REGION = "111122223333", "eu-central-1"
ENVIRONMENTS = f"""
environments:
  local: {{account: "000000000000", region: us-east-1, removal_policy: destroy, termination_protection: false}}
  dev: {{account: "{ACCOUNT}", region: {REGION}, removal_policy: destroy, termination_protection: false}}
"""
TENANT = """  - id: {0}
    name: {0}
    owner: it@{0}.example
    datasets: [orders]
    retention: {{raw: {1} days}}
"""
TENANTS = ("acme", "globex", "hooli", "initech")
SUSPENDED = "    state: suspended\n"
LEAVING = """    state: offboarding
    offboarding: {requested_by: jane@acme.example, export: none, grace: 0 days}
"""
CREDENTIALS = "aws-actions/configure-aws-credentials"


def checkout(use):
    """As everywhere, and beside it the registry as main has it now: in these tests, what the run itself has."""
    if "ref" not in use.inputs:
        return standard.checkout(use)
    assert use.inputs == {"ref": "main", "path": "now", "sparse-checkout": "tenants", "persist-credentials": "false"}
    shutil.copytree(MAIN["tenants"], use.workspace / "now/tenants")
    return None


MAIN = {}
STUBS = {
    "actions/checkout": checkout,
    # Who has no role has no credentials and rehearses nothing: it would ask AWS, and fail.
    CREDENTIALS: {"env": {"LAKE_REHEARSAL": "1"}, "needs": {"id-token": "write"}},
    "$/.github/actions/setup": {},
}
VARIABLES = {"AWS_ACCOUNT_ID": ACCOUNT, "AWS_REGION": REGION}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
READ, WRITE = f"{ROLE}tenantlake-deploy-read", f"{ROLE}tenantlake-deploy-write"
NOTHING_BEGUN = {"plan": "failure", "first": "skipped", "apply": "skipped", "report": "skipped"}


class Workflow:
    """A registry, a local cloud to rehearse in, and dispatches of deploy.yml."""

    def __init__(self, folder):
        self.lake = Lake(folder)
        (self.lake.tenants / "environments.yaml").write_text(ENVIRONMENTS)
        (self.lake.tenants / "contracts" / "orders.yaml").write_text(ORDERS)
        self.runs = 1_000

    def write(self, **changed):
        """By tenant the days of its retention, and what else its lines say; the others are as they are by themselves."""
        lines = dict.fromkeys(TENANTS, (7, "")) | changed
        self.lake.write(
            "organization: mycompany\ntenants:\n"
            + "".join(TENANT.format(name, days) + more for name, (days, more) in sorted(lines.items()))
        )

    def __call__(self, action, tenants="all", *, environment="dev", confirmation="", at_once=1, main=None):
        self.runs += 1
        MAIN["tenants"] = main or self.lake.tenants
        return run(
            "deploy.yml",
            {"environment": environment, "action": action, "tenants": tenants, "confirmation": confirmation},
            PROJECT,
            STUBS,
            environments={f"dev{ending}": VARIABLES for ending in ("", "-plan", "-offboard")},
            environment={
                "LAKE_HOME": str(self.lake.home),
                "LAKE_TENANTS": str(self.lake.tenants),
                "PYTHONPATH": str(PROJECT),
            },
            event=Event(run_id=str(self.runs)),
            at_once=at_once,
            linked=(".venv", ".tools"),
        )

    def client(self, service):
        return client(self.lake, service)


def client(lake, service):
    """As whoever administers the account of dev."""
    known = lake("env", "--json").json
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=known["AWS_ENDPOINT_URL"],
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="test",
        verify=known["AWS_CA_BUNDLE"],
    )


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    made = Workflow(tmp_path_factory.mktemp("workflow"))
    made.write()
    answer = made.lake("up", "--spares", "0")
    assert answer.code == 0, answer.err
    yield made
    made.lake("down")


@pytest.fixture
def taken(workflow):
    """A tenant's database is there already, and not its own: the tenant cannot be made."""
    glue, made = workflow.client("glue"), []

    def take(tenant):
        glue.create_database(DatabaseInput={"Name": f"mycompany_{tenant}_dev"})
        made.append(f"mycompany_{tenant}_dev")

    yield take
    for name in made:
        glue.delete_database(Name=name)


def role_of(job):
    (assumed,) = job.uses(CREDENTIALS)
    return assumed.inputs["role-to-assume"]


def said(record):
    """What the report says became of each tenant."""
    lines = [line.strip("| ").split(" | ") for line in record.job("report").summary.splitlines()]
    return {cells[0]: cells[2].strip("*") for cells in lines if len(cells) >= 4 and cells[0] != "tenant"}


@pytest.mark.cloud
def test_a_plan_shows_what_would_be_done_and_does_nothing(workflow):
    record = workflow("plan")

    assert record.result == "success", record.log
    assert record.job("plan").summary.startswith("### Plan for environment dev: 5 to create\n")
    assert record.results == {"plan": "success", "first": "skipped", "apply": "skipped", "report": "skipped"}
    assert workflow.client("cloudformation").list_stacks()["StackSummaries"] == []


@pytest.mark.cloud
def test_one_tenant_is_deployed_and_no_other(workflow):
    record = workflow("deploy", "acme")

    assert record.result == "success", record.log
    assert record.job("report").summary.startswith("### deploy in dev: 2 created\n")
    assert said(record) == {"the platform": "created", "acme": "created"}


@pytest.mark.cloud
def test_of_all_one_fails_the_others_go_on_the_run_fails_and_the_report_names_it_first(workflow, taken):
    taken("hooli")

    failed = workflow("deploy")

    assert failed.result == failed.job("report").result == "failure"
    assert said(failed) == {"hooli": "failed", "globex": "created", "initech": "created"}
    assert next(iter(said(failed))) == "hooli"
    assert "mycompany\\_hooli\\_dev" in failed.job("report").summary


@pytest.mark.cloud
def test_the_next_run_does_what_is_left_and_the_one_after_it_nothing(workflow):
    mended, again = workflow("deploy"), workflow("deploy")

    assert mended.result == "success", mended.log
    assert said(mended) == {"hooli": "created"}
    assert again.results == {"plan": "success", "first": "skipped", "apply": "skipped", "report": "success"}
    assert again.job("report").summary.startswith("### deploy in dev: nothing was to be done\n")


@pytest.mark.cloud
def test_if_the_first_one_fails_nothing_else_is_begun_and_the_report_says_of_whom(workflow, taken):
    workflow.write(abel=(8, ""), acme=(8, ""), globex=(8, ""))
    taken("abel")

    record = workflow("deploy")

    assert record.result == "failure"
    assert record.job("apply").result == "skipped"
    assert said(record) == {"abel": "failed", "acme": "not begun", "globex": "not begun"}


@pytest.mark.cloud
def test_who_is_suspended_by_the_file_is_and_comes_back_by_it_and_nobody_else_changes(workflow):
    athena = workflow.client("athena")

    def state():
        return athena.get_work_group(WorkGroup="mycompany-acme-dev")["WorkGroup"]["State"]

    workflow.write(acme=(7, SUSPENDED), globex=(9, ""))
    suspended = workflow("suspend", "all")

    assert suspended.result == "success", suspended.log
    assert (said(suspended), state()) == ({"acme": "updated"}, "DISABLED")
    assert "state: active → suspended" in suspended.job("report").summary

    workflow.write(acme=(7, ""), globex=(9, ""))
    resumed = workflow("resume", "acme")

    assert resumed.result == "success", resumed.log
    assert (said(resumed), state()) == ({"acme": "updated"}, "ENABLED")


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("action", "lines", "expected"),
    [
        ("suspend", "", "tenant acme is active by the file; to suspend it, write `state: suspended` there"),
        ("resume", SUSPENDED, "tenant acme is suspended by the file; to resume it, write `state: active` there"),
        ("offboard", "", "tenant acme is active by the file; to offboard it, write `state: offboarding` there"),
        ("offboard", LEAVING, "tenant acme is not deployed as offboarding yet: run action deploy for it"),
    ],
)
def test_what_the_file_does_not_say_is_refused_with_what_to_change(workflow, action, lines, expected):
    workflow.write(acme=(7, lines))

    record = workflow(action, "acme", confirmation="acme" if action == "offboard" else "")

    assert record.results == NOTHING_BEGUN
    assert expected in record.log
    assert "**Refused**" in record.job("plan").summary


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"tenants": "nobody"}, "tenant 'nobody'"),
        ({"tenants": "all acme"}, "all beside ids"),
        ({"action": "offboard", "tenants": "all", "confirmation": "all"}, "offboard takes exactly one tenant id"),
        ({"action": "offboard", "tenants": "acme"}, "expected its id, typed again"),
    ],
)
def test_wrong_inputs_are_refused_before_any_job_that_changes_something(workflow, given, expected):
    record = workflow(**{"action": "deploy", **given})

    assert record.results == NOTHING_BEGUN
    assert expected in record.log


@pytest.mark.parametrize("given", [{"environment": "staging"}, {"environment": "local"}, {"action": "destroy"}])
def test_a_choice_that_is_none_begins_no_run(given):
    with pytest.raises(Refused):
        run("deploy.yml", {"environment": "dev", "action": "plan", "tenants": "all", **given}, PROJECT, STUBS)


@pytest.mark.cloud
@pytest.mark.parametrize("hostile", ["acme; touch {0}", "$(touch {0})", "acme\n::add-mask::acme\ntouch {0}"])
def test_a_command_in_an_input_is_no_command(workflow, tmp_path, hostile):
    injected = tmp_path / "injected"

    record = workflow("offboard", hostile.format(injected), confirmation=hostile.format(injected))

    assert record.results == NOTHING_BEGUN
    assert "is no tenant id" in record.log
    assert not injected.exists()
    assert {each.level for each in record.annotations} <= {"error"}


@pytest.mark.cloud
@pytest.mark.slow
def test_portions_that_run_beside_each_other_wait_for_their_cells_lock_and_each_tenant_is_done_once(workflow):
    many = {f"many-{number:03}": (7, "") for number in range(120)}
    workflow.write(**many)

    record = workflow("deploy", at_once=3)

    assert record.result == "success", record.log
    assert {each.matrix["portion"]["id"] for each in record.legs("apply/apply")} == {"portion-1", "portion-2"}
    assert dict.fromkeys(many, "created").items() <= said(record).items()
    assert "has been deploying here since" in record.log


@pytest.mark.cloud
def test_who_is_let_go_on_so_late_that_main_says_something_else_is_left_out_and_the_others_are_not(workflow, tmp_path):
    workflow.write()
    shutil.copytree(workflow.lake.tenants, tmp_path / "main")
    workflow.write(acme=(11, ""), globex=(11, ""), initech=(7, SUSPENDED))
    text = (workflow.lake.tenants / "tenants.yaml").read_text()
    (tmp_path / "main/tenants.yaml").write_text(text.replace(SUSPENDED, ""))

    record = workflow("deploy", "acme globex initech", main=tmp_path / "main")

    workflow.write(acme=(11, ""), globex=(11, ""))
    assert record.result == "failure"
    assert said(record) == {"initech": "outdated", "acme": "updated", "globex": "updated"}
    assert "the main branch says something else of it" in record.job("report").summary


@pytest.mark.cloud
def test_each_job_has_its_environment_and_role_and_may_read_the_code_and_ask_for_a_token_only(workflow):
    workflow.write(acme=(10, ""), globex=(10, ""))

    record = workflow("deploy", "acme globex")

    assert record.permissions == {}
    assert record.concurrency == Concurrency("deploy-dev", cancel_in_progress=False, queue="max")
    jobs = [record.job(name) for name in ("plan", "first/apply", "apply/apply", "report")]
    assert [job.environment for job in jobs] == ["dev-plan", "dev", "dev", "dev-plan"]
    assert [role_of(job) for job in jobs] == [READ, WRITE, WRITE, READ]
    assert [dict(job.permissions) for job in jobs] == [{"contents": "read", "id-token": "write"}] * 4
    assert [job.timeout_minutes for job in jobs] == [30, 350, 350, 30]
    assert {job.uses(CREDENTIALS)[0].inputs["allowed-account-ids"] for job in jobs} == {ACCOUNT}


@pytest.mark.cloud
def test_who_leaves_is_deleted_in_an_environment_of_its_own_and_the_certificate_holds(workflow, tmp_path):
    workflow.write(acme=(10, LEAVING), globex=(10, ""))
    announced = workflow("deploy", "acme")
    assert announced.result == "success", announced.log

    refused = workflow("offboard", "acme")
    shutil.copytree(workflow.lake.tenants, tmp_path / "main")
    main = tmp_path / "main/tenants.yaml"
    main.write_text(main.read_text().replace(LEAVING, ""))
    taken_back = workflow("offboard", "acme", confirmation="acme", main=main.parent)
    assert taken_back.result == "failure"
    assert said(taken_back) == {"acme": "outdated"}
    record = workflow("offboard", "acme", confirmation="acme")

    assert refused.results == NOTHING_BEGUN
    assert record.result == "success", record.log
    assert said(record) == {"acme": "certified"}
    job = record.job("apply/apply")
    assert (job.environment, role_of(job)) == ("dev-offboard", f"{ROLE}tenantlake-offboard")
    assert job.step("hold the certificate against the account").outcome == "success"
    stacks = workflow.client("cloudformation").describe_stacks()["Stacks"]
    assert "mycompany-acme-dev-tenant" not in [each["StackName"] for each in stacks]
    assert "mycompany-globex-dev-tenant" in [each["StackName"] for each in stacks]
