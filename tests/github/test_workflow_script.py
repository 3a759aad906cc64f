"""What the deploy workflow calls: each input of a run is one argument of `lake`, whatever is in it."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from cli.orders import Task
from tenants.registry import load

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / ".github/scripts/workflow"
HOSTILE = [
    "acme; touch injected",
    "$(touch injected)",
    "`touch injected`",
    "--dry-run",
    "*",
    "a\ntouch injected",
    '"',
    "~",
]


def test_who_dispatches_chooses_among_the_environments_that_there_are_and_all_that_can_be_done_there():
    document = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())
    inputs = document[True]["workflow_dispatch"]["inputs"]  # YAML 1.1 reads the key `on` so

    assert {*inputs["environment"]["options"], "local"} == set(load().environments)
    assert inputs["action"]["options"] == list(Task)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose `lake` writes down its arguments."""
    lake = tmp_path / ".venv/bin/lake"
    lake.parent.mkdir(parents=True)
    lake.write_text('#!/usr/bin/env bash\nprintf "%s\\0" "$@" > arguments\nexit "${LAKE_EXIT:-0}"\n')
    lake.chmod(0o755)
    return tmp_path


def call(checkout: Path, word: str, **variables: str) -> subprocess.CompletedProcess[str]:
    known = {"PATH": os.environ["PATH"], "ENVIRONMENT": "dev", "ACTION": "deploy", **variables}
    return subprocess.run([SCRIPT, word], cwd=checkout, env=known, capture_output=True, text=True, check=False)


def arguments(checkout: Path) -> list[str]:
    return (checkout / "arguments").read_text().split("\0")[:-1]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_plan_is_asked_for_what_was_typed_in_and_for_nothing_else(checkout: Path, hostile: str):
    call(checkout, "plan", TENANTS=hostile, CONFIRMATION=hostile, ACTION=hostile)

    assert arguments(checkout) == [
        "workflow",
        "plan",
        "--environment=dev",
        f"--action={hostile}",
        f"--tenants={hostile}",
        f"--confirmation={hostile}",
    ]
    assert not (checkout / "injected").exists()


def test_a_portion_is_handed_over_as_the_plan_wrote_it_and_waits_for_its_cells_lock(checkout: Path):
    portion = '{\n  "id": "portion-1",\n  "place": "dev",\n  "tenants": "acme globex"\n}'

    call(checkout, "apply", PORTION=portion)

    words = arguments(checkout)
    assert words[:5] == ["workflow", "apply", "--environment=dev", "--action=deploy", f"--portion={portion}"]
    assert words[5:] == ["--confirmation=", "--main=now/tenants", "--wait=18000"]


def test_a_report_is_made_also_of_a_run_in_which_nothing_was_to_be_done(checkout: Path):
    call(checkout, "report", RESULTS="skipped skipped")

    assert arguments(checkout)[4:] == ["--first=", "--portions=", "--since=", "--results=skipped skipped"]


def test_the_certificate_of_the_tenant_that_was_typed_in_is_held_against_the_account(checkout: Path):
    call(checkout, "verify", CONFIRMATION="--json")

    assert arguments(checkout) == ["tenant", "verify-certificate", "--environment=dev", "--", "--json"]


@pytest.mark.parametrize("said", ["0", "1", "2", "11"])
def test_a_step_ends_as_lake_does(checkout: Path, said: str):
    assert call(checkout, "plan", LAKE_EXIT=said).returncode == int(said)


@pytest.mark.parametrize("word", ["", "destroy", "plan; touch injected", "plan apply"])
def test_another_word_than_the_workflows_own_calls_nothing(checkout: Path, word: str):
    assert call(checkout, word).returncode == 2
    assert not (checkout / "arguments").exists()
