"""Every workflow and action of this repository is what GitHub's own parser takes; a bad one is told with its line."""

from pathlib import Path

import pytest

from tests.workflow_runner import files
from tests.workflow_runner.github import Source, github
from tests.workflow_runner.refusals import Refused, Unsupported
from tests.workflow_runner.runner import PROJECT, run
from tests.workflow_runner.sample import write

FOLDER = PROJECT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").glob("*.yml"))
ACTIONS = sorted((FOLDER / "actions").glob("*/action.yml"))
BAD = """
on:
  workflow_dispatch:
    inputs:
      environment: {type: choise}
jobs:
  plan:
    runs-on: ubuntu-24.04
    timeout: 15
    steps:
      - run: echo ${{ input.environment }}
      - run: echo ${{ toYAML(inputs) }}
      - run: echo ${{ inputs.environment
      - if: success( && true
        run: echo
  apply:
    needs: paln
    uses: ./.github/workflows/lost.yml
    steps: []
"""
TOLD = {
    5: "Unexpected value 'choise'",
    9: "Unexpected value 'timeout'",
    11: "Unrecognized named-value: 'input'",
    12: "Unrecognized function: 'toYAML'",
    13: "The expression is not closed",
}


@pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=lambda path: path.parent.name + "/" + path.name)
def test_the_parser_has_nothing_against_a_file_of_this_repository(path: Path):
    kind = "action" if path in ACTIONS else "workflow"

    assert files.faults(github(), PROJECT, [Source(str(path.relative_to(PROJECT)), path.read_text(), kind)]) == []


def test_every_fault_of_a_bad_workflow_is_told_with_its_line():
    told = files.faults(github(), PROJECT, [Source("bad.yml", BAD, "workflow")])

    for line, message in TOLD.items():
        assert any(each.startswith(f"bad.yml:{line}: ") and message in each for each in told), (line, told)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("needs: []", "needs: lost"), "unknown job 'lost'|one that is not there"),
        (("needs: []", "needs: other"), "depend|need each other"),
        (("steps: [{run: 'true'}]", "steps: [{uses: $/.github/actions/lost}]"), "lost is not in this repository"),
        (("steps: [{run: 'true'}]", "steps: [{run: 'true', uses: a/b@v1}]"), "uses"),
        (("if: success()", "if: env.A == 'b'"), "Unrecognized named-value: 'env'"),
    ],
)
def test_a_file_with_faults_begins_no_run(tmp_path, changes, message):
    text = """
        on: workflow_dispatch
        jobs:
          one: {needs: [], if: success(), runs-on: x, steps: [{run: 'true'}]}
          other: {needs: one, runs-on: x, steps: [{run: 'true'}]}
        """
    with pytest.raises(Refused, match=message):
        run("bad.yml", {}, write(tmp_path, bad=text.replace(*changes, 1)))


def test_a_key_that_stands_twice_begins_no_run(tmp_path):
    with pytest.raises(Refused, match="Map keys must be unique"):
        run("bad.yml", {}, write(tmp_path, bad="on: push\non: workflow_dispatch\njobs: {}"))


def test_an_event_that_the_file_does_not_name_begins_no_run(tmp_path):
    with pytest.raises(Refused, match="workflow_dispatch begins nothing here, only push, schedule"):
        run(
            "pushed.yml",
            {},
            write(tmp_path, pushed="on: [push, schedule]\njobs: {one: {runs-on: x, steps: [{run: a}]}}"),
        )


@pytest.mark.parametrize("uses", ["other/repository/.github/workflows/a.yml@main", f"a/b/c.yml@{'0' * 40}"])
def test_a_workflow_of_somebody_else_is_not_called(tmp_path, uses):
    with pytest.raises(Unsupported, match="only workflows of this repository are here"):
        run("calling.yml", {}, write(tmp_path, calling=f"on: workflow_dispatch\njobs: {{one: {{uses: {uses}}}}}"))


@pytest.mark.parametrize("job", ["container: node:24", "services: {redis: {image: redis}}"])
def test_a_job_in_a_container_is_refused_rather_than_run_outside_it(tmp_path, job):
    text = f"on: workflow_dispatch\njobs: {{one: {{runs-on: x, {job}, steps: [{{run: a}}]}}}}"

    with pytest.raises(Unsupported, match="jobs run on this machine"):
        run("contained.yml", {}, write(tmp_path, contained=text))


@pytest.mark.parametrize(
    ("caller", "inner", "message"),
    [
        (
            "{contents: read}",
            "{contents: read, id-token: write}",
            "asks for 'id-token: write', but its caller has 'id-token: none'",
        ),
        ("{contents: read}", "{contents: write}", "asks for 'contents: write', but its caller has 'contents: read'"),
        ("{}", "read-all", "asks for 'actions: read', but its caller has 'actions: none'"),
    ],
)
def test_a_called_workflow_never_has_more_rights_than_its_caller(tmp_path, caller, inner, message):
    calling = f"on: workflow_dispatch\njobs: {{one: {{permissions: {caller}, uses: ./.github/workflows/inner.yml}}}}"
    text = f"on: workflow_call\njobs: {{two: {{permissions: {inner}, runs-on: x, steps: [{{run: 'true'}}]}}}}"

    with pytest.raises(Refused, match=message):
        run("calling.yml", {}, write(tmp_path, calling=calling, inner=text))


def test_a_called_workflow_that_says_nothing_has_the_rights_of_its_caller(tmp_path):
    calling = "on: workflow_dispatch\njobs: {one: {permissions: {issues: write}, uses: ./.github/workflows/inner.yml}}"
    inner = "on: workflow_call\njobs: {two: {runs-on: x, steps: [{run: 'true'}]}}"

    record = run("calling.yml", {}, write(tmp_path, calling=calling, inner=inner))

    assert record.job("one/two").permissions == {"issues": "write"}


def test_workflows_that_call_each_other_for_ever_begin_no_run(tmp_path):
    text = "on: [workflow_dispatch, workflow_call]\njobs: {one: {uses: ./.github/workflows/loop.yml}}"

    with pytest.raises(Refused, match="call each other more than 10 deep"):
        run("loop.yml", {}, write(tmp_path, loop=text))
