"""The workflows: pinned, least rights, and inputs that cannot become commands."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
GRANTS = {
    "deploy.yml": {"contents": "read", "id-token": "write"},
    "_apply.yml": {"contents": "read", "id-token": "write"},
    "drift.yml": {"contents": "read", "id-token": "write", "issues": "write"},
    "pull_request_comment.yml": {"actions": "read", "contents": "read", "pull-requests": "write"},
    "release.yml release": {"actions": "read", "contents": "write"},
}
ACTIONS = sorted((ROOT / ".github/actions").glob("*/action.yml"))


def steps(document: dict) -> list[dict]:
    jobs = document.get("jobs", {}).values()
    return [step for job in jobs for step in job.get("steps", [])] + document.get("runs", {}).get("steps", [])


@pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=lambda path: path.parent.name + "/" + path.name)
def test_every_action_is_pinned_by_commit_or_part_of_this_repository(path: Path):
    used = [step["uses"] for step in steps(yaml.safe_load(path.read_text())) if "uses" in step]

    assert [name for name in used if not re.fullmatch(r"(\$/\S+|[\w-]+/[\w-]+@[0-9a-f]{40})", name)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_grants_nothing_at_the_top_and_its_jobs_ask_for_what_is_written_here(path: Path):
    document = yaml.safe_load(path.read_text())
    granted = {name: job["permissions"] for name, job in document["jobs"].items()}

    assert document["permissions"] == {}
    for job, grants in granted.items():
        assert grants == GRANTS.get(f"{path.name} {job}", GRANTS.get(path.name, {"contents": "read"}))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_runs_a_strangers_code_with_rights(path: Path):
    """A pull request from a fork runs without secrets and with a token that reads: `pull_request`, nothing stronger."""
    document = yaml.safe_load(path.read_text())
    triggers = document[True]  # YAML 1.1 reads the key `on` so

    known = {"pull_request", "push", "schedule", "workflow_call", "workflow_dispatch"}
    # This one runs after a stranger's code, and none of it: test_pull_request_comment.py.
    assert set(triggers) <= ({"workflow_run"} if path.name == "pull_request_comment.yml" else known)
    if "pull_request" in triggers:
        assert "secrets" not in path.read_text()
        assert all("write" not in job["permissions"].values() for job in document["jobs"].values())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_checkout_leaves_no_credentials_behind(path: Path):
    checkouts = [
        step for step in steps(yaml.safe_load(path.read_text())) if "actions/checkout@" in step.get("uses", "")
    ]

    assert [step["with"]["persist-credentials"] for step in checkouts] == [False] * len(checkouts)
    assert checkouts


def test_the_job_that_may_write_a_release_installs_nothing():
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    (writing,) = (job for job in jobs.values() if "write" in job["permissions"].values())
    commands = [step["run"] for step in writing["steps"] if "run" in step]

    assert [step["uses"].partition("@")[0] for step in writing["steps"] if "uses" in step] == ["actions/checkout"]
    assert [command.split()[0] for command in commands] == ["gh", ".github/scripts/release"]


def test_the_audit_runs_for_every_pull_request_and_on_working_days():
    document = yaml.safe_load((ROOT / ".github/workflows/audit.yml").read_text())

    assert set(document[True]) == {"pull_request", "schedule", "workflow_dispatch"}
    assert document[True]["pull_request"] is None
    assert "make audit" in [step.get("run") for step in steps(document)]


@pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=lambda path: path.parent.name + "/" + path.name)
def test_nothing_is_installed_but_by_the_makefile_from_lock_files(path: Path):
    commands = " ".join(step["run"] for step in steps(yaml.safe_load(path.read_text())) if "run" in step)

    assert re.findall(r"\b(?:pip|npm|npx|uvx?|pipx|curl|wget|apt|apt-get|brew)\b", commands) == []


@pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=lambda path: path.parent.name + "/" + path.name)
def test_no_expression_is_written_into_a_command(path: Path):
    commands = [step["run"] for step in steps(yaml.safe_load(path.read_text())) if "run" in step]

    assert [command for command in commands if "${{" in command] == []


def test_the_workflow_linter_is_content_and_would_not_be_with_an_input_in_a_command(tmp_path: Path):
    def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [ROOT / ".venv/bin/zizmor", "--offline", "--no-progress", "--persona", "auditor", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    bad = tmp_path / ".github/workflows/bad.yml"
    bad.parent.mkdir(parents=True)
    bad.write_text(
        "on: {workflow_dispatch: {inputs: {tenant: {type: string}}}}\n"
        "jobs: {a: {runs-on: ubuntu-24.04, steps: [{run: 'echo ${{ inputs.tenant }}'}]}}\n"
    )

    assert zizmor(ROOT / ".github").returncode == 0
    assert "template-injection" in zizmor(tmp_path).stdout
