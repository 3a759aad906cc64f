"""drift.yml, run on this machine: the read role in an environment that nobody approves, and one issue per environment."""

import json
from pathlib import Path

import pytest

from tests.workflow_runner.runner import Event, run

SCHEDULED = Event(name="schedule")
DEPLOYED = {"LAKE_DEPLOYED": '["dev", "prod"]'}
ENVIRONMENTS = {
    f"{name}-plan": {"AWS_ACCOUNT_ID": account, "AWS_REGION": "eu-central-1"}
    for name, account in (("dev", "111122223333"), ("prod", "777788889999"))
}
STUBS = {
    "$/.github/actions/setup": {},
    "aws-actions/configure-aws-credentials": {"needs": {"id-token": "write"}},
}
LAKE = """#!/usr/bin/env bash
# Stands in for .venv/bin/python: answers as `lake drift` does, and runs anything else.
if [[ "$1" != -m ]]; then exec python3 "$@"; fi
printf 'stack\\tresource\\nmycompany-acme-tenant\\tRole <b>@admins</b>\\n'
if [[ -e "$FOLDER/more" ]]; then cat "$FOLDER/more"; fi
printf '%s\\n' "$*" >>"$FOLDER/lake"
exit "$(cat "$FOLDER/exit")"
"""
GH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$FOLDER/gh"
case "$1 $2" in
  "issue list") cat "$FOLDER/issues" ;;
  "issue create" | "issue edit") cp body.md "$FOLDER/body.md" ;;
esac
"""


@pytest.fixture
def drift(tmp_path: Path):
    """Runs the workflow where `lake drift` ends with `ended` and these issues are open."""
    folder, fakes = tmp_path / "said", tmp_path / "fakes"
    for made in (folder, fakes):
        made.mkdir()
    (fakes / "gh").write_text(GH)
    (fakes / "gh").chmod(0o755)

    def setup(use):
        python = use.workspace / ".venv/bin/python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(LAKE)
        python.chmod(0o755)

    def of(ended: int, issues: list | None = None, variables=DEPLOYED):
        (folder / "exit").write_text(str(ended))
        (folder / "issues").write_text(json.dumps(issues or []))
        return run(
            "drift.yml",
            stubs={**STUBS, "$/.github/actions/setup": setup},
            variables=variables,
            environments=ENVIRONMENTS,
            environment={"FOLDER": str(folder)},
            path=(fakes,),
            event=SCHEDULED,
        )

    of.folder = folder
    of.said = lambda name: (folder / name).read_text() if (folder / name).exists() else ""
    return of


def test_every_deployed_environment_is_looked_at_by_the_role_that_reads(drift):
    record = drift(0)

    assert record.result == "success"
    legs = record.legs("drift")
    assert [leg.environment for leg in legs] == ["dev-plan", "prod-plan"]
    assert [leg.subject.rpartition(":environment:")[2] for leg in legs] == ["dev-plan", "prod-plan"]
    assert [leg.uses("aws-actions/configure-aws-credentials")[0].inputs["role-to-assume"] for leg in legs] == [
        "arn:aws:iam::111122223333:role/tenantlake-deploy-read",
        "arn:aws:iam::777788889999:role/tenantlake-deploy-read",
    ]
    assert {json.dumps(leg.permissions, sort_keys=True) for leg in legs} == {
        '{"contents": "read", "id-token": "write", "issues": "write"}'
    }
    assert drift.said("lake").splitlines() == [
        "-m cli.app drift --environment dev --number 200",
        "-m cli.app drift --environment prod --number 200",
    ]


def test_where_nothing_is_deployed_nothing_is_looked_at(drift):
    record = drift(0, variables={})

    assert drift.said("lake") == ""
    assert record.result in ("success", "skipped")


def test_what_differs_becomes_one_issue_in_which_nothing_is_alive(drift):
    drift(10, variables={"LAKE_DEPLOYED": '["prod"]'})

    said = drift.said("gh").splitlines()
    assert said[-1] == "issue create --title Drift in prod --label drift --body-file body.md"
    assert "\n    mycompany-acme-tenant\tRole <b>@admins</b>\n" in drift.said("body.md")


def test_an_issue_that_is_open_is_written_again_and_one_of_another_title_is_left(drift):
    issues = [{"number": 3, "title": "Drift in production"}, {"number": 8, "title": "Drift in prod"}]

    drift(10, issues, variables={"LAKE_DEPLOYED": '["prod"]'})

    assert drift.said("gh").splitlines()[1:] == ["issue edit 8 --body-file body.md"]


def test_an_issue_is_closed_when_nothing_differs_any_more(drift):
    drift(0, [{"number": 8, "title": "Drift in prod"}], variables={"LAKE_DEPLOYED": '["prod"]'})

    assert drift.said("gh").splitlines()[1].startswith("issue close 8 --comment Nothing differs any more: https://")


def test_a_check_that_fails_fails_the_run_and_says_nothing_of_drift(drift):
    record = drift(1, variables={"LAKE_DEPLOYED": '["prod"]'})

    assert record.result == "failure"
    assert drift.said("gh") == ""


@pytest.mark.parametrize(
    "more",
    [
        "é".encode() * 80_000,
        b"x" + "é".encode() * 80_000,
        b"y\n" * 60_000,
        b"\xff\xfe broken \xc3",
        "\u2028@admins\r@admins\x0b@admins\x00".encode(),
        b"z" * 200_000,
    ],
    ids=["letters of two bytes", "shifted by one", "short lines", "no UTF-8", "other ends of lines", "one long line"],
)
def test_whatever_the_values_are_the_issue_is_written_and_nothing_in_it_is_alive(drift, more: bytes):
    drift.folder.joinpath("more").write_bytes(more)

    record = drift(10, variables={"LAKE_DEPLOYED": '["prod"]'})

    body = drift.said("body.md")
    assert record.result == "success"
    assert len(body) <= 65_536
    head, *lines = body.split("\n")
    assert head.startswith("Resources differ from what their stacks say.")
    assert [line for line in lines if line and not line.startswith("    ")] == []
    assert not any(character in body for character in "\r\x0b\x00\u2028")
