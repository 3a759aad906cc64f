"""What a step does is what it does at GitHub: shell, variables, files of assignments, composite actions, stubs."""

import json
import os
import time
from pathlib import Path
from textwrap import dedent, indent

import pytest

from tests.workflow_runner.record import Annotation
from tests.workflow_runner.refusals import Refused, Unsupported
from tests.workflow_runner.runner import Event, run
from tests.workflow_runner.sample import PIN, write
from tests.workflow_runner.stubs import Effect

STEPS = "on: [workflow_dispatch, pull_request]\njobs:\n  one:\n    runs-on: x\n    steps:\n"


@pytest.fixture
def ran(tmp_path):
    """Runs a job of these steps; `action` is the local action `./act`."""

    def job(steps, action="", **options):
        repository = write(tmp_path / "repository", steps=STEPS + indent(dedent(steps), "      "))
        if action:
            (repository / "act").mkdir()
            (repository / "act/action.yml").write_text(dedent(action).replace("PIN", PIN))
        record = run("steps.yml", {}, repository, **options)
        assert record.result == record.job("one").result
        return record.job("one")

    return job


def test_a_command_ends_at_the_first_that_fails_and_skips_the_rest(ran):
    job = ran("""
        - {id: first, run: "false\\necho not reached"}
        - {id: second, run: echo skipped}
        - {id: told, if: failure(), run: echo told}
        - {id: always, if: always(), run: "echo ${{ steps.first.outcome }} ${{ job.status }}"}
        """)

    assert [step.outcome for step in job.steps] == ["failure", "skipped", "success", "success"]
    assert job.step("always").log == "failure failure\n"
    assert (job.result, "not reached" in job.log) == ("failure", False)


@pytest.mark.parametrize(
    ("shell", "outcome"), [("", "success"), ("shell: bash, ", "failure"), ("shell: sh, ", "success")]
)
def test_only_a_bash_that_is_asked_for_fails_with_a_broken_pipe(ran, shell, outcome):
    assert ran(f"- {{{shell}run: false | true}}").steps[0].outcome == outcome


def test_a_shell_may_be_python_or_any_command(ran):
    job = ran("""
        - {shell: python, run: "import sys; print(sys.argv[0][-6:])"}
        - {shell: "cat -n {0}", run: hello}
        """)

    assert [step.log.split() for step in job.steps] == [["script"], ["1", "hello"]]


def test_defaults_of_the_workflow_and_the_job_hold_where_a_command_says_nothing(tmp_path):
    text = """
        on: workflow_dispatch
        defaults: {run: {shell: bash, working-directory: a}}
        jobs:
          one:
            runs-on: x
            defaults: {run: {working-directory: b}}
            steps:
              - {run: mkdir a b, working-directory: .}
              - {id: where, run: 'basename "$PWD"; false | true'}
        """
    step = run("steps.yml", {}, write(tmp_path, steps=text)).job("one").step("where")

    assert (step.log.split()[0], step.outcome) == ("b", "failure")


def test_a_condition_without_a_status_means_and_nothing_has_failed(ran):
    job = ran("""
        - run: "false"
        - if: github.ref == 'refs/heads/main'
          run: echo
        - if: github.ref == 'refs/heads/main' && !cancelled()
          run: echo
        - if: ${{ always() }}
          run: echo
        - if: contains('always()', 'x') || 'success()' == 'success()'
          run: echo
        """)

    assert [step.outcome for step in job.steps] == ["failure", "skipped", "success", "success", "skipped"]


def test_a_failure_that_may_be_is_forgiven(ran):
    job = ran("""
        - {id: may, run: "false", continue-on-error: true}
        - {id: next, run: "echo ${{ steps.may.outcome }} ${{ steps.may.conclusion }}"}
        """)

    assert (job.result, job.step("next").log) == ("success", "failure success\n")


def test_a_step_says_outputs_variables_folders_of_the_path_and_a_summary(ran):
    job = ran("""
        - id: says
          run: |
            mkdir tools; printf '#!/bin/sh\\necho tool' >tools/mine; chmod +x tools/mine
            echo "plain=a=b" >>"$GITHUB_OUTPUT"
            printf 'long<<END\\none\\n\\ntwo=2\\nEND\\n' >>"$GITHUB_OUTPUT"
            echo "COLOUR=blue" >>"$GITHUB_ENV"
            echo "$PWD/tools" >>"$GITHUB_PATH"
            echo "# said" >>"$GITHUB_STEP_SUMMARY"
            echo "here: ${COLOUR:-none}"
        - {id: hears, run: 'mine; echo "$COLOUR ${{ env.COLOUR }}"'}
        """)

    assert job.step("says").outputs == {"plain": "a=b", "long": "one\n\ntwo=2"}
    assert job.step("says").log == "here: none\n"
    assert job.step("hears").log == "tool\nblue blue\n"
    assert job.summary == "# said\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nothing", "Invalid format 'nothing'"),
        ("=value", "Invalid format '=value'"),
        ("name<<END\\nvalue", "Matching delimiter not found 'END'"),
    ],
)
@pytest.mark.parametrize("file", ["GITHUB_OUTPUT", "GITHUB_ENV"])
def test_a_line_that_github_does_not_understand_fails_the_step(ran, line, message, file):
    job = ran(f"- run: printf '{line}\\n' >>\"${file}\"")

    assert job.result == "failure"
    assert message in job.annotations[-1].message


def test_a_step_cannot_store_options_for_node(ran):
    assert ran("- run: echo NODE_OPTIONS=--inspect >>$GITHUB_ENV").result == "failure"


def test_variables_go_from_the_workflow_over_the_job_and_the_steps_before_to_the_step(tmp_path):
    text = """
        on: workflow_dispatch
        env: {A: workflow, B: workflow, C: workflow, D: workflow}
        jobs:
          one:
            runs-on: x
            env: {B: job, C: job, D: "${{ github.ref_name }} job"}
            steps:
              - run: echo C=file >>$GITHUB_ENV
              - {id: all, run: 'echo "$A $B $C $D $E"', env: {D: "step of ${{ env.D }}", E: 1.50}}
              - {id: after, run: 'echo "$D ${E:-gone}"'}
        """
    job = run("steps.yml", {}, write(tmp_path, steps=text)).job("one")

    assert job.step("all").log == "workflow job file step of main job 1.5\n"
    assert job.step("after").log == "main job gone\n"


def test_nothing_of_the_one_who_runs_the_tests_reaches_a_command(ran, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("GITHUB_TOKEN", "mine")

    job = ran("- {id: env, run: 'ls -A \"$HOME\"; env'}", environment={"LAKE_HOME": "/somewhere"})

    lines = dict(line.split("=", 1) for line in job.step("env").log.splitlines())
    assert "mine" not in lines.values()
    assert lines["PATH"] == os.environ["PATH"]
    assert lines["HOME"] != os.environ["HOME"]
    assert lines["GITHUB_REF_NAME"] == "main"
    assert lines["LAKE_HOME"] == "/somewhere"
    assert {name for name in lines if name.startswith("GITHUB_TOKEN")} == set()


def test_a_variable_that_github_sets_cannot_be_set(ran):
    job = ran("""
        - run: echo GITHUB_REPOSITORY=evil/repository >>$GITHUB_ENV
        - {id: who, run: 'echo $GITHUB_REPOSITORY', env: {GITHUB_REPOSITORY: evil/too}}
        """)

    assert job.step("who").log == "example/tenantlake\n"


def test_an_expression_alone_keeps_its_type_and_one_in_a_text_becomes_a_text(ran):
    job = ran(
        """
        - uses: own/action@PIN
          with:
            list: ${{ toJSON(fromJSON('[1, 2]')) }}
            number: ${{ 1.50 }}
            truth: ${{ 1 == 1.0 && 'A' == 'a' }}
            text: a-${{ true }}-${{ null }}-${{ 'it''s }}' }}-${{ fromJSON('{"A":1}').a }}
        """.replace("PIN", PIN),
        stubs={"own/action": {}},
    )

    assert job.steps[0].inputs == {
        "list": "[\n  1,\n  2\n]",
        "number": "1.5",
        "truth": "true",
        "text": "a-true--it's }}-1",
    }


def test_an_expression_that_cannot_be_evaluated_fails_its_step(ran):
    job = ran("- run: echo ${{ fromJSON('{') }}")

    assert job.result == "failure"
    assert "fromJson" in job.annotations[0].message


def test_files_are_hashed_by_what_is_in_them(ran):
    job = ran("""
        - run: echo a >a.lock; echo b >b.lock
        - {id: h, run: "echo ${{ hashFiles('*.lock') }} ${{ hashFiles('none') }} ${{ hashFiles('a.lock', 'b.lock') }}"}
        """)

    both, again = job.step("h").log.split()
    assert both == again
    assert len(both) == 64


def test_a_command_in_the_log_is_heard_and_may_come_from_a_stranger(ran):
    """`set-output` still works at GitHub: a line that begins with what somebody else wrote is a hole, and is shown as one."""
    job = ran("""
        - {id: prints, run: 'echo "$TEXT"', env: {TEXT: "::set-output name=count::0"}}
        - run: |
            echo "::error file=a,line=1::wrong%0Atwice"
            echo "::warning::careful"
            echo "::stop-commands::quiet"
            echo "::error::not heard"
            echo "::warning::nor this"
            echo "::quiet::"
            echo "::notice title=t::heard"
        """)

    assert job.step("prints").outputs == {"count": "0"}
    assert job.annotations == [
        Annotation("error", "wrong\ntwice"),
        Annotation("warning", "careful"),
        Annotation("notice", "heard"),
    ]


@pytest.mark.parametrize("command", ["::set-env name=PATH::/evil", "::add-path::/evil"])
def test_a_command_that_github_switched_off_fails_the_step(ran, command):
    assert ran(f"- run: echo '{command}'").result == "failure"


def test_what_is_secret_is_not_shown_and_does_not_leave_the_job(tmp_path):
    text = """
        on: workflow_dispatch
        jobs:
          one:
            runs-on: x
            outputs: {open: "${{ steps.s.outputs.open }}", closed: "${{ steps.s.outputs.closed }}"}
            steps:
              - id: s
                run: |
                  echo "::add-mask::found"
                  echo "open=1" >>$GITHUB_OUTPUT; echo "closed=x-$KEY" >>$GITHUB_OUTPUT
                  echo "$KEY found ${{ github.token }}"; echo "$KEY" >>$GITHUB_STEP_SUMMARY
                env: {KEY: "${{ secrets.KEY }}"}
        """
    job = run("steps.yml", {}, write(tmp_path, steps=text), secrets={"KEY": "whisper"}).job("one")

    assert job.log.splitlines()[1] == "*** *** ***"
    assert job.summary == "***\n"
    assert job.outputs == {"open": "1"}


def test_a_summary_of_more_than_a_mebibyte_is_lost(ran):
    job = ran("- run: head -c 1048577 /dev/zero | tr '\\0' x >>$GITHUB_STEP_SUMMARY")

    assert (job.result, job.summary) == ("success", "")
    assert "upload aborted" in job.annotations[0].message


def test_a_command_that_takes_too_long_is_killed_with_its_children(ran, tmp_path):
    job = ran(f"""
        - {{timeout-minutes: 0.02, run: 'sleep 60 & echo $! >{tmp_path}/child; wait'}}
        - {{id: after, if: always(), run: 'sleep 0.2; grep -c State:.[RS] /proc/"$(cat {tmp_path}/child)"/status || true'}}
        """)

    assert (job.steps[0].outcome, "too long" in job.steps[0].log) == ("failure", True)
    assert job.step("after").log.splitlines()[-1] != "1"


def test_what_a_command_leaves_running_holds_nobody_up_and_ends_with_the_job(ran, tmp_path):
    job = ran(f"""
        - run: sleep 60 & echo $! >{tmp_path}/left
        - {{id: alive, run: 'kill -0 "$(cat {tmp_path}/left)" && echo alive'}}
        """)

    assert job.step("alive").log == "alive\n"
    assert not is_running(int((tmp_path / "left").read_text()))


def is_running(number: int) -> bool:
    """Whether it still is after a while; killed but not yet collected by its parent counts as ended."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{number}/stat").read_text().split()[2]
        except FileNotFoundError:
            return False
        if state in "ZX":
            return False
        time.sleep(0.05)
    return True


def test_a_composite_action_runs_its_steps_with_its_own_inputs(ran):
    job = ran(
        """
        - uses: actions/checkout@PIN
        - {id: act, uses: ./act, with: {who: you}, env: {TONE: loud}}
        - {id: after, run: 'echo "${{ steps.act.outputs.said }} ${{ steps.inner.outputs.said }}- $KEPT ${TONE:-no} tone"'}
        """.replace("PIN", PIN),
        action="""
            name: act
            description: says something
            inputs: {who: {description: whom, required: true}, how: {description: how, default: "hello to"}}
            outputs: {said: {description: what, value: "${{ steps.inner.outputs.said }}"}}
            runs:
              using: composite
              steps:
                - {id: inner, shell: bash, run: 'echo "said=${{ inputs.how }} ${{ inputs.who }} $TONE" >>$GITHUB_OUTPUT'}
                - {if: inputs.who == 'nobody', shell: bash, run: exit 1}
                - {shell: bash, run: 'echo KEPT=kept >>$GITHUB_ENV; ls "$GITHUB_ACTION_PATH"'}
            """,
    )

    assert job.step("after").log == "hello to you loud - kept no tone\n"
    assert job.step("act").steps[2].log == "action.yml\n"
    assert [step.outcome for step in job.step("act").steps] == ["success", "skipped", "success"]


def test_a_composite_action_fails_with_its_first_step_that_does(ran):
    job = ran(
        "- {uses: $/act}\n- run: echo",
        action="""
            name: act
            description: fails
            runs: {using: composite, steps: [{shell: bash, run: 'false'}, {shell: bash, run: echo}]}
            """,
    )

    assert [step.outcome for step in job.all_steps()] == ["failure", "failure", "skipped", "skipped"]


COMPOSITE = (
    "name: act\ndescription: d\ninputs: {who: {description: w, required: true}}\nruns: {using: composite, steps: []}"
)


@pytest.mark.parametrize(
    ("given", "message"),
    [("{}", "input who is required"), ("{who: a, whom: b}", r"unknown inputs \['whom'\]")],
)
def test_inputs_of_a_composite_action_are_its_own_and_whole(ran, given, message):
    with pytest.raises(Refused, match=message):
        ran(f"- {{uses: $/act, with: {given}}}", action=COMPOSITE)


def test_a_local_action_is_there_only_after_a_checkout_and_from_the_repository_itself_always(ran):
    steps = "- {continue-on-error: true, uses: ./act, with: {who: a}}\n- {uses: $/act, with: {who: a}}"

    job = ran(steps, action=COMPOSITE)

    assert [step.outcome for step in job.steps] == ["failure", "success"]
    assert "is a checkout missing?" in job.steps[0].log


def test_a_local_action_may_have_a_stub(ran):
    job = ran("- {uses: $/act}\n- {id: o, run: echo $A}", action=COMPOSITE, stubs={"$/act": {"env": {"A": "b"}}})

    assert (job.steps[0].is_stub, job.step("o").log) == (True, "b\n")


def test_an_action_that_is_not_pinned_by_its_commit_fails_the_run_though_it_has_a_stub(ran):
    with pytest.raises(Unsupported, match="own/action@v4: expected owner/name@ and 40 hexadecimal digits"):
        ran("- uses: own/action@v4", stubs={"own/action": {}})


def test_an_action_without_a_stub_fails_the_run(ran):
    with pytest.raises(Unsupported, match=f"own/action@{PIN}: no stub says what this action does"):
        ran(f"- uses: own/action@{PIN}")


def test_a_stub_may_be_a_function_of_what_it_is_given(ran):
    def stub(use):
        return Effect(
            outputs={"seen": json.dumps(dict(use.inputs))}, log="::add-mask::hidden\n", is_failed="fail" in use.inputs
        )

    job = ran(
        f"""
        - {{id: act, uses: own/action@{PIN}, with: {{a: 1, b: true}}}}
        - {{id: out, run: 'echo "${{{{ fromJSON(steps.act.outputs.seen).b }}}} hidden"'}}
        - {{uses: own/action@{PIN}, with: {{fail: now}}}}
        """,
        stubs={"own/action": stub},
    )

    assert job.step("out").log == "true ***\n"
    assert [step.outcome for step in job.steps] == ["success", "success", "failure"]


@pytest.mark.parametrize(
    ("permissions", "result"), [("{id-token: write}", "success"), ("{contents: write}", "failure")]
)
def test_a_stub_may_need_rights_that_the_job_has_to_give(tmp_path, permissions, result):
    steps = f"[{{uses: own/action@{PIN}}}]"
    text = f"on: workflow_dispatch\njobs: {{one: {{runs-on: x, permissions: {permissions}, steps: {steps}}}}}"
    stubs = {"own/action": {"needs": {"id-token": "write"}}}

    assert run("steps.yml", {}, write(tmp_path, steps=text), stubs).result == result


def test_a_workspace_is_empty_until_a_checkout_fills_it(ran):
    job = ran(f"- {{id: before, run: ls -A}}\n- uses: actions/checkout@{PIN}\n- {{id: after, run: ls -A}}")

    assert job.step("before").log == ""
    assert job.step("after").log.split() == [".github", "apply", "plan"]


def test_a_pull_request_has_its_own_payload_and_subject(ran):
    event = Event(name="pull_request", payload={"number": 7, "pull_request": {"head": {"sha": "abc"}}})

    job = ran(
        "- {id: n, run: 'echo ${{ github.event.number }} ${{ github.event.pull_request.head.sha }}'}", event=event
    )

    assert job.step("n").log == "7 abc\n"
    assert job.subject == "repo:example@1234/tenantlake@5678:pull_request"
