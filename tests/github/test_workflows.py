"""The workflows: pinned, least rights, and inputs that cannot become commands."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
GRANTS = {
    "deploy.yml": {"contents": "read", "id-token": "write"},
    "release.yml": {"contents": "write"},
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
def test_a_workflow_grants_nothing_at_the_top_and_only_deploy_and_release_ask_for_more_than_reading(path: Path):
    document = yaml.safe_load(path.read_text())
    granted = {name: job["permissions"] for name, job in document["jobs"].items()}

    assert document["permissions"] == {}
    for grants in granted.values():
        assert grants == GRANTS.get(path.name, {"contents": "read"})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_runs_a_strangers_code_with_rights(path: Path):
    """A pull request from a fork runs without secrets and with a token that reads: `pull_request`, nothing stronger."""
    document = yaml.safe_load(path.read_text())
    triggers = document[True]  # YAML 1.1 reads the key `on` so

    assert set(triggers) <= {"pull_request", "push", "schedule", "workflow_dispatch"}
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


def test_deploy_of_all_names_no_tenant_and_a_plan_changes_nothing(checkout: Path):
    deploy(checkout, "plan", "prod", "all")

    assert (checkout / "arguments").read_text().split() == ["plan", "--markdown", "--environment", "prod"]


@pytest.mark.parametrize(("said", "status"), [("0", 0), ("10", 0), ("11", 11), ("1", 1)])
def test_a_plan_with_changes_goes_on_and_a_refused_one_ends_the_workflow(checkout: Path, said: str, status: int):
    assert deploy(checkout, "plan", "dev", "all", LAKE_EXIT=said).returncode == status


def test_a_plan_is_the_summary(checkout: Path):
    (checkout / ".venv/bin/lake").write_text("#!/usr/bin/env bash\necho '### Plan for dev'\nexit 10\n")

    deploy(checkout, "plan", "dev", "all", GITHUB_STEP_SUMMARY=str(checkout / "summary"))

    assert (checkout / "summary").read_text() == "### Plan for dev\n"


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
        ("dev", "-acme"),
        ("dev", "acme --hotswap"),
        ("dev", "acme*"),
        ("dev", "?cme"),
        ("dev", "{acme,globex}"),
        ("dev", "~"),
        ("dev", "ACME"),
        ("dev", "аcme"),
        ("dev", "acme\u202e"),
        ("dev", "acme\r"),
        ("dev", "acme\ttouch"),
        ("dev", "${{ secrets.X }}"),
        ("dev", "%0A::set-output name=x::y"),
        ("dev", "acme > injected"),
        ("dev", "acme&touch injected"),
        ("dev", "all\n"),
        ("dev\n", "all"),
        ("dev prod", "all"),
        ("-e", "all"),
        ("DEV", "all"),
        ("", "all"),
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


def test_a_tenant_named_as_a_file_or_an_option_of_the_folder_is_passed_on_as_it_is(checkout: Path):
    for name in ("acme1", "acme2", "--all"):
        (checkout / name).touch()

    assert deploy(checkout, "apply", "dev", "acme all").returncode == 0
    assert (checkout / "arguments").read_text().split() == ["deploy", "--environment", "dev", "acme", "all"]


@pytest.mark.parametrize("action", ["", "destroy", "apply; touch injected", "plan apply"])
def test_another_action_than_plan_and_apply_is_refused(checkout: Path, action: str):
    assert deploy(checkout, action, "dev", "all").returncode == 2
    assert not (checkout / "arguments").exists()


@pytest.fixture
def releasing(tmp_path: Path) -> Path:
    """A checkout of version 1.2.3 with its bills of materials, and a `gh` that writes down its arguments."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1.2.3"\n')
    (tmp_path / "sbom").mkdir()
    for name in ("project", "emulator", "jars"):
        (tmp_path / f"sbom/{name}.cdx.json").write_text("{}")
    (tmp_path / "bin").mkdir()
    gh = tmp_path / "bin/gh"
    gh.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@" > arguments\n')
    gh.chmod(0o755)
    return tmp_path


def release(folder: Path, tag: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "TAG": tag}
    script = ROOT / ".github/scripts/release"
    return subprocess.run([script], cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_a_release_has_the_bills_of_materials_of_what_is_released(releasing: Path):
    result = release(releasing, "v1.2.3")

    assert result.returncode == 0, result.stderr
    assert (releasing / "arguments").read_text().splitlines() == [
        "release", "create", "v1.2.3", "--verify-tag", "--title", "Tenantlake 1.2.3", "--generate-notes",
        "sbom/emulator.cdx.json", "sbom/jars.cdx.json", "sbom/project.cdx.json",
    ]  # fmt: skip


@pytest.mark.parametrize("tag", ["v1.2.4", "1.2.3", "v1.2.3-rc1", "v1.2.3; touch injected", "", "v1.2.3\nx", "--help"])
def test_a_tag_that_is_not_the_version_is_refused(releasing: Path, tag: str):
    assert release(releasing, tag).returncode == 2
    assert not (releasing / "arguments").exists()
    assert not (releasing / "injected").exists()


def test_no_release_without_its_bills_of_materials(releasing: Path):
    (releasing / "sbom/jars.cdx.json").unlink()

    result = release(releasing, "v1.2.3")

    assert "sbom/jars.cdx.json is not there: run make sbom first" in result.stderr
    assert (result.returncode, (releasing / "arguments").exists()) == (2, False)
