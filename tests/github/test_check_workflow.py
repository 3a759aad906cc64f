"""check.yml, run on this machine for a pull request: a proof, and a plan that needs no account and tells the truth."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.workflow_runner.runner import Event, run
from tests.workflow_runner.stubs import Effect

ROOT = Path(__file__).resolve().parents[2]
STUBS = {"$/.github/actions/setup": {}}


def git(folder: Path, *words: str) -> str:
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *author, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """This project as it is now, as the only commit of a repository."""
    folder = tmp_path_factory.mktemp("repository")
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in listed:
        if name.partition("/")[0] not in ("tests", ".venv") and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "base")
    (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    return folder


@pytest.fixture
def checked(repository: Path, tmp_path: Path):
    """Runs the workflow for a pull request that changes tenants.yaml so; the record, and what would be uploaded."""
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    (fakes / "make").write_text('#!/usr/bin/env bash\necho "make $*"\n')
    (fakes / "make").chmod(0o755)
    uploaded: dict[str, str] = {}

    def upload(use):
        uploaded[use.inputs["name"]] = (use.workspace / use.inputs["path"]).read_text()
        return Effect()

    def of(before: str, after: str):
        file = repository / "tenants/tenants.yaml"
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))
        base = {"pull_request": {"base": {"sha": git(repository, "rev-parse", "HEAD")}}}
        try:
            record = run(
                "check.yml",
                repository=repository,
                stubs={**STUBS, "actions/upload-artifact": upload},
                variables={"LAKE_ENVIRONMENTS": "prod"},
                ref="refs/pull/7/merge",
                environment={"LAKE_HOME": str(tmp_path / "home")},
                path=(fakes,),
                linked=(".venv",),
                event=Event(name="pull_request", payload=base),
            )
        finally:
            file.write_text(text)
        return record, uploaded["plan"]

    return of


RETENTION = ("raw: 90 days", "raw: 30 days")


def test_a_pull_request_is_checked_proved_and_planned_with_the_right_to_read_the_repository(checked):
    record, plan = checked(*RETENTION)

    assert record.result == "success", [job.log for job in map(record.job, ("check", "proof", "plan"))]
    assert [record.job(name).permissions for name in ("check", "proof", "plan")] == [{"contents": "read"}] * 3
    assert [record.job(name).environment for name in ("check", "proof", "plan")] == [None] * 3
    assert "make check" in record.job("check").log
    assert "make actionlint" in record.job("check").log
    assert "make test" in record.job("check").log
    assert "prod" in record.job("proof").summary
    assert plan.startswith("== prod ==\n\n")
    assert "mycompany-acme-prod-tenant" in plan
    assert "~ Lake5F1B88EA AWS::S3::Bucket LifecycleConfiguration" in plan


def test_a_tenant_that_vanishes_from_the_file_fails_the_plan_and_the_pull_request_shows_why(checked):
    record, plan = checked("  - id: acme ", "  - id: acmes ")

    assert record.results["plan"] == "failure"
    assert record.results["check"] == "success"
    assert "refused: mycompany-acme-prod-tenant: tenant acme" in plan
    assert "lake tenant offboard acme" in plan


@pytest.mark.slow
def test_a_file_that_cannot_be_read_fails_the_plan_and_its_place_is_shown(checked):
    record, plan = checked("    name: Acme GmbH\n", "    name: Acme GmbH\n    colour: blue\n")

    assert (record.results["plan"], record.results["proof"]) == ("failure", "failure")
    assert "tenants.yaml:" in plan
    assert "colour" in plan


def test_an_environment_that_the_base_does_not_have_is_said_to_be_new(tmp_path: Path):
    (tmp_path / "base/tenants").mkdir(parents=True)
    (tmp_path / "base/tenants/environments.yaml").write_text("environments:\n  dev: {}\n")

    done = plan_against(tmp_path, "staging")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "plan/plan.txt").read_text() == (
        "== staging ==\n\nis new: there is nothing to compare with, everything of it would be made\n\n"
    )


@pytest.mark.parametrize("environments", ["", "  ", "../prod", "prod; touch injected", "-e", "PROD"])
def test_names_that_are_none_are_refused_and_harmless(tmp_path: Path, environments: str):
    assert plan_against(tmp_path, environments).returncode == 2
    assert not (tmp_path / "injected").exists()


def plan_against(folder: Path, environments: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], "ENVIRONMENTS": environments}
    command = [ROOT / ".github/scripts/plan_against", "base", "plan"]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
