"""`lake workflow` against a rehearsal: what jobs of one run tell each other, and how one of them stops the others.

The workflow itself, with all its jobs, is run by tests/github/test_deploy_workflow.py.
"""

import json
import signal
from itertools import count

import pytest

from cli.exit_codes import ExitCode
from tests.cli.test_deploy import PROJECT, Lake
from tests.github.test_deploy_workflow import ENVIRONMENTS, TENANT, client

TENANTS = ("acme", "beta", "gamma", "delta", "omega")
RUNS = count(9)
SITE = PROJECT / "tests" / "faults" / "site"
HEAD = "organization: mycompany\ntenants:\n"


class Jobs:
    """The jobs of one workflow run, each a process."""

    def __init__(self, lake, monkeypatch, folder, run):
        self.lake, self.monkeypatch = lake, monkeypatch
        self.outputs, self.summary = folder / "outputs", folder / "summary"
        monkeypatch.setenv("LAKE_REHEARSAL", "1")
        monkeypatch.setenv("GITHUB_RUN_ID", run)
        monkeypatch.setenv("GITHUB_OUTPUT", str(self.outputs))
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(self.summary))
        self.attempt("1")

    def attempt(self, number):
        self.monkeypatch.setenv("GITHUB_RUN_ATTEMPT", number)

    def __call__(self, job, *arguments):
        return self.lake("workflow", job, "-e", "dev", "--action", "deploy", *arguments)

    def apply(self, name, *tenants):
        """How it ended, and what became of each tenant."""
        portion = {"id": name, "place": "dev", "tenants": " ".join(tenants)}
        answer = self("apply", "--portion", json.dumps(portion), "--json")
        return answer.code, {row["tenant"]: row["action"] for row in answer.json if row["tenant"]} if answer.out else {}

    def report(self, **portions):
        meant = [{"id": name.replace("_", "-"), "place": "dev", "tenants": ids} for name, ids in portions.items()]
        answer = self("report", "--portions", json.dumps(meant), "--results", "success success", "--json")
        return answer.code, {row["tenant"]: row["action"] for row in answer.json if row["tenant"]}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("workflow"))
    (made.tenants / "environments.yaml").write_text(ENVIRONMENTS)
    made.write(HEAD + "".join(TENANT.format(name, 7) for name in TENANTS))
    answer = made("up", "--spares", "0")
    assert answer.code == 0, answer.err
    yield made
    made("down")


@pytest.fixture
def jobs(lake, monkeypatch, tmp_path):
    return Jobs(lake, monkeypatch, tmp_path, str(next(RUNS)))


@pytest.mark.cloud
def test_a_plan_hands_on_who_is_done_by_which_job(jobs):
    answer = jobs("plan", "--tenants", "all")

    handed_on = dict(line.split("=", 1) for line in jobs.outputs.read_text().splitlines())
    assert answer.code == ExitCode.OK, answer.err
    assert handed_on == {
        "first": '[{"id":"first-1","place":"dev","tenants":"acme"}]',
        "portions": '[{"id":"portion-1","place":"dev","tenants":"beta gamma delta omega"}]',
        "firsts": "1",
        "count": "1",
        "since": "1",
    }
    assert jobs.summary.read_text().startswith("### Plan for environment dev: 6 to create\n")


@pytest.mark.cloud
def test_too_many_failures_of_one_job_stop_the_others_and_another_attempt_does_what_is_left(jobs):
    glue = client(jobs.lake, "glue")
    for tenant in ("beta", "gamma"):
        glue.create_database(DatabaseInput={"Name": f"mycompany_{tenant}_dev"})

    assert jobs.apply("first-1", "acme") == (ExitCode.OK, {"acme": "created"})
    failed = {"beta": "failed", "gamma": "failed", "delta": "created"}
    assert jobs.apply("portion-1", "beta", "gamma", "delta") == (ExitCode.FAILED, failed)
    assert jobs.apply("portion-2", "omega") == (ExitCode.FAILED, {"omega": "not begun"})
    assert jobs.report(first_1="acme", portion_1="beta gamma delta", portion_2="omega") == (
        ExitCode.FAILED,
        {**failed, "omega": "not begun", "acme": "created"},
    )
    assert "| omega | dev | **not begun** | 0.0 | portion-1 of this workflow run had too many failures |" in (
        jobs.summary.read_text()
    )

    for tenant in ("beta", "gamma"):
        glue.delete_database(Name=f"mycompany_{tenant}_dev")
    jobs.attempt("2")

    assert jobs.apply("portion-1", "beta", "gamma", "delta")[0] == ExitCode.OK
    assert jobs.apply("portion-2", "omega") == (ExitCode.OK, {"omega": "created"})
    assert jobs.report(first_1="acme", portion_1="beta gamma delta", portion_2="omega") == (
        ExitCode.OK,
        {"acme": "created", "beta": "created", "gamma": "created", "delta": "unchanged", "omega": "created"},
    )


@pytest.mark.cloud
@pytest.mark.parametrize(
    "fault",
    [
        "kill_after:1@cloudformation.UpdateStack",
        pytest.param("kill_before:4@s3.PutObject", marks=pytest.mark.slow),
    ],
)
def test_a_job_that_is_killed_is_missed_by_the_report_and_made_good_by_another_attempt(jobs, monkeypatch, fault):
    assert jobs.lake("deploy", "acme", "beta", "-e", "dev").code == ExitCode.OK
    jobs.lake.write(HEAD + "".join(TENANT.format(name, 8 + len(fault)) for name in TENANTS))
    with monkeypatch.context() as killing:
        killing.setenv("LAKE_FAULT", fault)
        killing.setenv("PYTHONPATH", str(SITE))
        assert jobs.apply("portion-1", "acme", "beta") == (-signal.SIGKILL, {})

    assert jobs.report(portion_1="acme beta") == (ExitCode.FAILED, {"acme": "no word", "beta": "no word"})

    jobs.attempt("2")
    assert jobs.apply("portion-1", "acme", "beta")[0] == ExitCode.OK
    assert jobs.report(portion_1="acme beta")[0] == ExitCode.OK
    assert (
        json.loads(jobs.lake("plan", "acme", "beta", "-e", "dev", "--refresh", "--json").out)["cells"][0]["changes"]
        == []
    )


@pytest.mark.cloud
def test_a_run_that_is_started_again_after_a_later_one_takes_nothing_back(jobs, monkeypatch):
    assert jobs.apply("portion-1", "acme")[0] == ExitCode.OK
    jobs.lake.write(HEAD + "".join(TENANT.format(name, 8) for name in TENANTS))
    monkeypatch.setenv("GITHUB_RUN_ID", "8")

    assert jobs.apply("portion-1", "acme") == (ExitCode.FAILED, {"acme": "not begun"})
    assert jobs.report(portion_1="acme") == (ExitCode.FAILED, {"acme": "not begun"})
    assert "after run 8 was started: start a new run" in jobs.summary.read_text()

    jobs.lake.write(HEAD + "".join(TENANT.format(name, 7) for name in TENANTS))


@pytest.mark.cloud
def test_a_portion_that_names_nobody_is_not_one_of_everybody(jobs):
    answer = jobs("apply", "--portion", '{"id": "first-1", "place": "dev", "tenants": ""}')

    assert answer.code == ExitCode.FAILED
    assert "names nobody, and dev has tenants" in answer.err


@pytest.mark.cloud
def test_who_waited_for_the_lock_in_vain_stops_nobody(jobs):
    account = {"Bucket": "cdk-hnb659fds-assets-111122223333-eu-central-1"}
    lock = account | {"Key": "deployments/mycompany-dev-platform/lock.json"}
    assert jobs.apply("first-1", "acme")[0] == ExitCode.OK
    s3 = client(jobs.lake, "s3")
    released = s3.get_object(**lock)["Body"].read()
    held = json.loads(released) | {"released": False, "process": None, "holder": "somebody else"}
    s3.put_object(**lock, Body=json.dumps(held).encode())

    assert jobs.apply("portion-1", "beta")[0] == ExitCode.FAILED

    s3.put_object(**lock, Body=released)
    assert jobs.report(portion_1="beta") == (ExitCode.FAILED, {"beta": "not begun"})
    assert jobs.apply("portion-2", "gamma")[0] == ExitCode.OK


@pytest.mark.cloud
def test_what_keeps_a_job_from_beginning_is_in_the_report(jobs):
    answer = jobs("apply", "--portion", '{"id": "portion-1", "place": "dev", "tenants": "acme nobody"}')

    assert answer.code == ExitCode.NOT_FOUND
    assert jobs.report(portion_1="acme nobody") == (ExitCode.FAILED, {"acme": "failed", "nobody": "failed"})
    assert "nobody" in jobs.summary.read_text()


@pytest.mark.cloud
@pytest.mark.parametrize(
    "portion",
    [
        '{"id": "portion-1", "place": "prod", "tenants": "acme"}',
        '{"id": "../record", "place": "dev", "tenants": "acme"}',
        "acme",
    ],
)
def test_what_no_plan_of_this_environment_wrote_is_not_taken(jobs, portion):
    answer = jobs("apply", "--portion", portion)

    assert answer.code in {ExitCode.INPUT, ExitCode.FAILED}
    assert "lake: portion" in answer.err


@pytest.mark.cloud
def test_a_tenant_of_whom_nobody_told_anything_fails_the_report(jobs):
    assert jobs.report(portion_1="acme") == (ExitCode.FAILED, {"acme": "no word"})
