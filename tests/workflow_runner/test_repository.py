"""The workflows of this repository that need no account, run whole: only `make` and `gh` are pretended.

Those that plan, deploy, look for drift or comment have tests of their own (tests/github).
"""

import pytest

from tests.workflow_runner.runner import Event, run

PUSH = Event(name="push")
NIGHT = Event(name="schedule", payload={"schedule": "17 2 * * *"})
TAG = "refs/tags/v0.1.0"


@pytest.fixture
def ran(tmp_path):
    """Runs a workflow with programs that write down what they were asked, and give what is asked of them."""
    tools = tmp_path / "tools"
    tools.mkdir()

    def workflow(name, make="true", gh="true", **options):
        merged = f'if [[ "$1" == api ]]; then echo behind; else {gh}; fi'
        for tool, script in (("make", make), ("gh", merged)):
            path = tools / tool
            path.write_text(f'#!/bin/bash\necho "{tool} $*" >>{tmp_path}/asked\nset -e\n{script}\n')
            path.chmod(0o755)
        record = run(name, path=[tools], **options)
        asked = (tmp_path / "asked").read_text().replace(str(tmp_path), "").splitlines()
        return record, [line for line in asked if ".tools/" not in line and line != "make setup"]

    return workflow


def test_a_push_to_main_is_checked_and_tested_with_rights_to_read(ran):
    record, asked = ran("check.yml", event=PUSH)

    assert [line for line in asked if line.startswith("make")] == ["make check", "make actionlint", "make test"]
    assert record.job("check").result == "success"
    assert record.job("plan").result == "skipped"
    assert {tuple(job.permissions.items()) for job in record.jobs} == {(("contents", "read"),)}
    assert record.concurrency.group == "check-refs/heads/main"


def test_a_check_that_fails_stands_before_the_tests(ran):
    record, asked = ran("check.yml", 'if [[ "$1" == check ]]; then exit 2; fi', event=PUSH)

    assert "make test" not in asked
    assert (record.job("check").result, record.result) == ("failure", "failure")


def test_the_night_runs_all_tests(ran):
    record, asked = ran("nightly.yml", event=NIGHT)

    assert asked == ["make test-all"]
    assert record.results == {"test-all": "success"}


@pytest.mark.parametrize(
    ("licences", "result"),
    [("git checkout --quiet docs/licences.md", "success"), ("echo another >>docs/licences.md", "failure")],
)
def test_the_audit_asks_for_holes_and_compares_the_licences(ran, licences, result):
    record, asked = ran("audit.yml", f'if [[ "$1" == licences ]]; then {licences}; fi', event=NIGHT)

    assert asked == ["make audit", "make licences"]
    assert record.results == {"audit": "success", "licences": result}


SBOM = "mkdir sbom; for n in project emulator jars; do echo {} >sbom/$n.cdx.json; done"
MADE = f'if [[ "$1" == sbom ]]; then {SBOM}; fi'
# What GitHub gives back, in the checkout of a commit whose changelog has its day.
TAKEN = f'if [[ "$2" == download ]]; then {SBOM}; sed -i "s/ - unreleased$/ - 2026-11-21/" CHANGELOG.md; fi'


@pytest.mark.parametrize(
    ("ref", "make", "materials", "release"),
    [
        (TAG, MADE, "success", "success"),
        (TAG, "true", "failure", "skipped"),
        ("refs/tags/v9.9.9", MADE, "success", "failure"),
    ],
)
def test_a_release_is_made_of_the_tag_of_this_version_with_its_bills_of_materials(ran, ref, make, materials, release):
    record, asked = ran("release.yml", make, TAKEN, event=PUSH, ref=ref)

    assert record.results == {"materials": materials, "release": release}
    assert record.job("materials").permissions == {"contents": "read"}
    assert record.job("release").permissions == {"actions": "read", "contents": "write"}
    assert any(line.startswith("gh release create") for line in asked) == (release == "success")
