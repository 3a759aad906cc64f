"""The workflows: pinned, least rights, and inputs that cannot become commands."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github/actions").glob("*/action.yml"))


def steps(document: dict) -> list[dict]:
    jobs = document.get("jobs", {}).values()
    return [step for job in jobs for step in job.get("steps", [])] + document.get("runs", {}).get("steps", [])


@pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=lambda path: path.parent.name + "/" + path.name)
def test_every_action_is_pinned_by_commit_or_part_of_this_repository(path: Path):
    used = [step["uses"] for step in steps(yaml.safe_load(path.read_text())) if "uses" in step]

    assert [name for name in used if not re.fullmatch(r"(\$/\S+|[\w-]+/[\w-]+@[0-9a-f]{40})", name)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_grants_nothing_at_the_top_and_only_deploy_asks_for_an_identity(path: Path):
    document = yaml.safe_load(path.read_text())
    granted = {name: job["permissions"] for name, job in document["jobs"].items()}

    assert document["permissions"] == {}
    for grants in granted.values():
        expected = {"contents": "read", "id-token": "write"} if path.name == "deploy.yml" else {"contents": "read"}
        assert grants == expected


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


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose `lake` writes down its arguments."""
    lake = tmp_path / ".venv/bin/lake"
    lake.parent.mkdir(parents=True)
    lake.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@" > arguments\nexit "${LAKE_EXIT:-0}"\n')
    lake.chmod(0o755)
    return tmp_path


def deploy(
    checkout: Path, action: str, environment: str, tenants: str, **more: str
) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], "ENVIRONMENT": environment, "TENANTS": tenants, **more}
    script = ROOT / ".github/scripts/deploy"
    return subprocess.run([script, action], cwd=checkout, env=variables, capture_output=True, text=True, check=False)


def test_deploy_passes_the_chosen_tenants_on(checkout: Path):
    result = deploy(checkout, "apply", "dev", "acme skyline")

    assert result.returncode == 0, result.stderr
    assert (checkout / "arguments").read_text().split() == ["deploy", "--environment", "dev", "acme", "skyline"]


def test_deploy_of_all_names_no_tenant_and_a_plan_is_a_dry_run(checkout: Path):
    deploy(checkout, "plan", "prod", "all")

    assert (checkout / "arguments").read_text().split() == ["deploy", "--environment", "prod", "--dry-run"]


def test_a_failing_deployment_fails_the_step_and_is_in_the_summary(checkout: Path):
    result = deploy(checkout, "apply", "dev", "all", LAKE_EXIT="1", GITHUB_STEP_SUMMARY=str(checkout / "summary"))

    assert result.returncode == 1
    assert "### apply: all in dev" in (checkout / "summary").read_text()


@pytest.mark.parametrize(
    ("environment", "tenants"),
    [
        ("dev", "acme; touch injected"),
        ("dev", "$(touch injected)"),
        ("dev", "`touch injected`"),
        ("dev", "--dry-run"),
        ("dev", "acme\ntouch injected"),
        ("dev", "   "),
        ("dev", ""),
        ("dev", "../acme"),
        ("local; touch injected", "all"),
        ("staging", "all"),
    ],
)
def test_inputs_that_are_no_names_are_refused_and_harmless(checkout: Path, environment: str, tenants: str):
    result = deploy(checkout, "apply", environment, tenants)

    assert result.returncode == 2
    assert "::error::" in result.stderr
    assert not (checkout / "injected").exists()
    assert not (checkout / "arguments").exists()
