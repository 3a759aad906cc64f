"""`lake workflow` against a rehearsal: what jobs of one run tell each other, and how one of them stops the others.

The workflow itself, with all its jobs, is run by tests/github/test_deploy_workflow.py.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import count

import pytest

from cli.exit_codes import ExitCode
from tests.cli.test_deploy import PROJECT, Answer, Lake
from tests.github.test_deploy_workflow import ENVIRONMENTS, LEAVING, SUSPENDED, TENANT, client

TENANTS = ("acme", "beta", "gamma", "delta", "omega")
RUNS = count(9)
SITE = PROJECT / "tests" / "faults" / "site"
HEAD = "organization: mycompany\ntenants:\n"
HELD_UP = """
import os, subprocess, sys
import cli.app, cli.part

prepare, other = cli.part.prepare, sys.argv[1]

def held_up(*given, **named):
    made = prepare(*given, **named)
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-m", "cli.app", "deploy", "acme", "-e", "dev", "--now"]
    subprocess.run(command, env=own | {"LAKE_TENANTS": other}, stdout=subprocess.DEVNULL, check=True)
    return made

cli.part.prepare = held_up
sys.argv[1:] = sys.argv[2:]
cli.app.main()
"""


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

    def __call__(self, job, *arguments, action="deploy"):
        return self.lake("workflow", job, "-e", "dev", "--action", action, *arguments)

    def apply(self, name, *tenants, action="deploy"):
        """How it ended, and what became of each tenant."""
        portion = {"id": name, "place": "dev", "tenants": " ".join(tenants)}
        confirmation = ("--confirmation", *tenants) if action == "offboard" else ()
        answer = self("apply", "--portion", json.dumps(portion), "--json", *confirmation, action=action)
        return answer.code, {row["tenant"]: row["action"] for row in answer.json if row["tenant"]} if answer.out else {}

    def held_up(self, laptop, name, *tenants):
        """A job between whose start and whose lock somebody else suspends acme, by the registry in `laptop`."""
        portion = json.dumps({"id": name, "place": "dev", "tenants": " ".join(tenants)})
        job = ("workflow", "apply", "-e", "dev", "--action", "deploy", "--portion", portion, "--json")
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return Answer(
            subprocess.run(
                [sys.executable, "-c", HELD_UP, str(laptop), *job],
                cwd=PROJECT,
                env=own | {"LAKE_HOME": str(self.lake.home), "LAKE_TENANTS": str(self.lake.tenants)},
                capture_output=True,
                text=True,
                check=False,
            )
        )

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
    jobs.lake.write(HEAD + "".join(TENANT.format(name, 6) for name in TENANTS))
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


@pytest.mark.slow
@pytest.mark.cloud
def test_who_was_suspended_while_a_job_waited_for_the_lock_is_not_resumed_by_it(jobs, tmp_path):
    """As after a leak: somebody suspends a tenant from a laptop, between two portions of a deploy that goes on."""
    lake, active = jobs.lake, HEAD + "".join(TENANT.format(name, 11) for name in TENANTS)
    lake.write(active)
    assert lake("deploy", "acme", "beta", "-e", "dev").code == ExitCode.OK
    leaked = active.replace(TENANT.format("acme", 11), TENANT.format("acme", 11) + SUSPENDED)
    shutil.copytree(lake.tenants, tmp_path / "laptop")
    (tmp_path / "laptop" / "tenants.yaml").write_text(leaked)
    lake.write(HEAD + "".join(TENANT.format(name, 12) for name in TENANTS))

    answer = jobs.held_up(tmp_path / "laptop", "portion-3", "acme", "beta")

    assert answer.code == ExitCode.FAILED, answer.err
    assert {row["tenant"]: row["action"] for row in answer.json if row["tenant"]} == {
        "acme": "outdated",
        "beta": "updated",
    }
    assert "tenant acme: its state was changed while this job waited for the lock" in answer.err
    lake.write(leaked)
    assert json.loads(lake("plan", "acme", "-e", "dev", "--json").out)["cells"][0]["changes"] == []
    lake.write(active)
    assert jobs.apply("portion-4", "acme") == (ExitCode.OK, {"acme": "updated"})


@pytest.mark.slow
@pytest.mark.cloud
def test_a_suspension_is_done_after_a_younger_deploy_of_others_and_not_after_one_of_the_same(jobs, monkeypatch):
    own = os.environ["GITHUB_RUN_ID"]
    jobs.lake.write(HEAD + "".join(TENANT.format(name, 13) for name in TENANTS))
    assert jobs.lake("deploy", "acme", "beta", "gamma", "-e", "dev").code == ExitCode.OK
    jobs.lake.write(HEAD + "".join(TENANT.format(name, 14) for name in TENANTS))
    monkeypatch.setenv("GITHUB_RUN_ID", str(next(RUNS)))
    assert jobs.apply("portion-1", "acme", "beta") == (ExitCode.OK, {"acme": "updated", "beta": "updated"})
    monkeypatch.setenv("GITHUB_RUN_ID", own)
    jobs.lake.write(HEAD + "".join(TENANT.format(name, 13) + SUSPENDED for name in TENANTS))

    assert jobs.apply("first-1", "gamma", action="suspend") == (ExitCode.OK, {"gamma": "updated"})
    assert jobs.apply("first-1", "acme", action="suspend") == (ExitCode.FAILED, {"acme": "not begun"})


@pytest.mark.slow
@pytest.mark.cloud
def test_an_end_that_waited_for_its_reviewers_is_gone_on_with_whatever_was_deployed_meanwhile(jobs, monkeypatch):
    own = os.environ["GITHUB_RUN_ID"]
    others = HEAD + "".join(TENANT.format(name, 15) for name in TENANTS[:-1])
    jobs.lake.write(others + TENANT.format("omega", 15))
    assert jobs.lake("deploy", "omega", "-e", "dev").code == ExitCode.OK
    jobs.lake.write(others + TENANT.format("omega", 15) + LEAVING)
    assert jobs.lake("deploy", "omega", "-e", "dev").code == ExitCode.OK
    monkeypatch.setenv("GITHUB_RUN_ID", str(next(RUNS)))
    assert jobs.apply("portion-1", "beta") == (ExitCode.OK, {"beta": "updated"})
    monkeypatch.setenv("GITHUB_RUN_ID", own)

    assert jobs.apply("portion-1", "omega", action="offboard") == (ExitCode.OK, {"omega": "certified"})
