"""What jobs are to each other is what it is at GitHub: needs, results, matrices, called workflows."""

from textwrap import dedent, indent

import pytest

from tests.workflow_runner.refusals import Refused
from tests.workflow_runner.runner import run
from tests.workflow_runner.sample import PIN, write

WELL = "{runs-on: x, steps: [{run: 'true'}]}"


@pytest.fixture
def ran(tmp_path):
    def workflow(jobs, inner="", **options):
        text = "on: workflow_dispatch\njobs:\n" + indent(dedent(jobs), "  ")
        return run("jobs.yml", {}, write(tmp_path, jobs=text, **({"inner": inner} if inner else {})), **options)

    return workflow


def test_a_job_after_one_that_failed_or_was_skipped_is_skipped_however_far_back_that_was(ran):
    record = ran("""
        fails: {runs-on: x, steps: [{run: 'false'}]}
        skipped: {if: false, runs-on: x, steps: [{run: 'true'}]}
        after_failure: {needs: fails, runs-on: x, steps: [{run: 'true'}]}
        after_skip: {needs: [skipped], runs-on: x, steps: [{run: 'true'}]}
        nevertheless: {needs: skipped, if: "!failure()", runs-on: x, steps: [{run: 'true'}]}
        far: {needs: nevertheless, runs-on: x, steps: [{run: 'true'}]}
        told: {needs: after_failure, if: failure(), runs-on: x, steps: [{run: 'true'}]}
        quiet: {needs: skipped, if: failure(), runs-on: x, steps: [{run: 'true'}]}
        always: {needs: [fails, skipped], if: always(), runs-on: x, steps: [{run: 'true'}]}
        """)

    assert record.results == {
        "fails": "failure",
        "skipped": "skipped",
        "after_failure": "skipped",
        "after_skip": "skipped",
        "nevertheless": "success",
        "far": "skipped",
        "told": "success",
        "quiet": "skipped",
        "always": "success",
    }
    assert record.result == "failure"


def test_a_job_stands_before_those_that_need_it_wherever_it_is_written(ran):
    record = ran("""
        last: {needs: [first, middle], runs-on: x, steps: [{run: 'echo ${{ needs.middle.outputs.a }}'}]}
        middle:
          needs: first
          runs-on: x
          outputs: {a: "${{ steps.s.outputs.a }}"}
          steps: [{id: s, run: 'echo a=${{ needs.first.result }} >>$GITHUB_OUTPUT'}]
        first: {runs-on: x, steps: [{run: 'true'}]}
        """)

    assert list(record.results) == ["first", "middle", "last"]
    assert record.job("last").log == "success\n"


def test_a_job_sees_only_those_it_needs_itself(ran):
    record = ran("""
        first: {runs-on: x, steps: [{run: 'true'}]}
        second: {needs: first, runs-on: x, steps: [{run: 'true'}]}
        third: {needs: second, runs-on: x, steps: [{id: s, run: 'echo "${{ needs.first.result }}-${{ needs.second.result }}"'}]}
        """)

    assert record.job("third").log == "-success\n"


def test_a_failure_of_a_job_that_may_be_is_forgiven(ran):
    record = ran("""
        may: {continue-on-error: true, runs-on: x, steps: [{run: 'false'}]}
        after: {needs: may, runs-on: x, steps: [{run: 'echo ${{ needs.may.result }}'}]}
        """)

    assert (record.result, record.job("may").is_forgiven, record.job("after").log) == ("success", True, "success\n")


def test_every_job_begins_in_a_folder_and_with_variables_of_its_own(ran):
    record = ran("""
        one: {runs-on: x, steps: [{run: 'touch here "$HOME/there"; echo A=b >>$GITHUB_ENV'}]}
        two: {needs: one, runs-on: x, steps: [{run: 'ls -A . "$HOME"; echo "${A:-none}"'}]}
        """)

    assert [line for line in record.job("two").log.splitlines() if line and not line.endswith(":")] == ["none"]


def test_a_matrix_is_every_combination_less_what_is_left_out_with_what_is_added(ran):
    record = ran("""
        one:
          name: ${{ matrix.os }} ${{ matrix.size }}
          strategy:
            matrix:
              os: [a, b]
              size: [1, 2]
              exclude: [{os: a, size: 2}]
              include: [{os: b, more: yes}, {os: c, size: 3}]
          runs-on: x
          steps: [{run: "echo ${{ strategy.job-index }} of ${{ strategy.job-total }}"}]
        """)

    assert [job.matrix for job in record.jobs] == [
        {"os": "a", "size": 1},
        {"os": "b", "size": 1, "more": "yes"},
        {"os": "b", "size": 2, "more": "yes"},
        {"os": "c", "size": 3},
    ]
    assert [job.name for job in record.jobs] == ["a 1", "b 1", "b 2", "c 3"]
    assert record.jobs[3].log == "3 of 4\n"


def test_the_last_leg_that_says_an_output_has_said_it(ran):
    record = ran("""
        one:
          strategy: {matrix: {of: [a, b, ""]}}
          runs-on: x
          outputs: {of: "${{ steps.s.outputs.of }}"}
          steps: [{id: s, run: 'echo of=${{ matrix.of }} >>$GITHUB_OUTPUT'}]
        two: {needs: one, runs-on: x, steps: [{run: 'echo ${{ needs.one.outputs.of }}'}]}
        """)

    assert record.job("two").log == "b\n"


@pytest.mark.parametrize(("hasty", "results"), [("true", ["failure", "cancelled"]), ("false", ["failure", "success"])])
def test_a_leg_that_fails_cancels_the_others_unless_it_is_said_not_to(ran, hasty, results):
    record = ran(f"""
        one:
          strategy: {{fail-fast: {hasty}, matrix: {{of: ["false", "true"]}}}}
          runs-on: x
          steps: [{{run: "${{{{ matrix.of }}}}"}}]
        """)

    assert [job.result for job in record.jobs] == results
    assert record.result == "failure"
    assert [job.name for job in record.jobs] == ["one (false)", "one (true)"]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ("{of: \"${{ fromJSON('[]') }}\"}", "of has no values"),
        ('"${{ fromJSON(\'{\\"include\\":[]}\') }}"', "nothing is left"),
        ("{a: [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16], b: [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]}", "272 jobs"),
        ("{of: \"${{ fromJSON('1') }}\"}", "of is no list"),
    ],
)
def test_a_matrix_that_is_empty_or_too_large_fails_the_run(ran, matrix, message):
    record = ran(f"one: {{strategy: {{matrix: {matrix}}}, runs-on: x, steps: [{{run: 'true'}}]}}")

    assert record.result == "failure"
    assert message in record.job("one").error


def test_legs_may_run_side_by_side_as_far_as_max_parallel_allows(ran, tmp_path):
    """Each waits until it sees another one."""
    wait = f"mkdir -p {tmp_path}/s; touch {tmp_path}/s/${{{{ matrix.of }}}}; for i in $(seq 100); do "
    wait += f"(($(ls {tmp_path}/s | wc -l) >= 2)) && exit 0; sleep 0.05; done; exit 1"
    record = ran(
        f"""
        one:
          strategy: {{max-parallel: 2, matrix: {{of: [1, 2]}}}}
          runs-on: x
          steps: [{{run: '{wait}'}}]
        """,
        at_once=4,
    )

    assert [(job.matrix["of"], job.result) for job in record.jobs] == [(1, "success"), (2, "success")]


INNER = """
    name: inner
    on:
      workflow_call:
        inputs: {text: {type: string, required: true}, truth: {type: boolean}, count: {type: number, default: 3}}
        secrets: {KEY: {required: false}}
        outputs: {said: {value: "${{ jobs.work.outputs.said }}"}}
    env: {FROM: inner}
    jobs:
      work:
        runs-on: x
        outputs: {said: "${{ steps.s.outputs.said }}"}
        steps:
          - id: s
            run: |
              echo "said=${{ inputs.text }}/${{ inputs.truth }}/${{ inputs.count }}" >>$GITHUB_OUTPUT
              [[ -n "${{ secrets.KEY }}" ]] && echo "key $FROM ${OUTER:-none} ${{ github.workflow }}"
              true
    """


def test_a_called_workflow_has_its_inputs_and_gives_its_outputs(ran):
    record = ran(
        """
        call: {uses: $/.github/workflows/inner.yml, with: {text: "${{ github.ref_name }}", truth: "${{ 1 == 1 }}"}}
        after: {needs: call, runs-on: x, steps: [{run: "echo ${{ needs.call.outputs.said }} ${{ needs.call.result }}"}]}
        """,
        INNER,
    )

    assert record.job("after").log == "main/true/3 success\n"
    assert record.job("call/work").name == "call / work"
    assert record.job("call/work").inputs == {"text": "main", "truth": True, "count": 3}


@pytest.mark.parametrize(("handed", "log"), [("", ""), ("secrets: inherit,", "key inner none jobs.yml\n")])
def test_a_called_workflow_sees_no_secret_that_it_is_not_handed_and_no_variable_of_its_caller(ran, handed, log):
    record = ran(
        f"call: {{uses: $/.github/workflows/inner.yml, {handed} with: {{text: a}}}}", INNER, secrets={"KEY": "k" * 9}
    )

    assert record.job("call/work").log.replace(".github/workflows/", "") == log


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{}", "input text is required"),
        ("{text: a, other: b}", r"unknown inputs \['other'\]|Invalid input, other"),
        ("{text: a, truth: 'yes'}", "expected a boolean, not 'yes'"),
        ("{text: a, count: \"${{ '1' }}\"}", "expected a number, not '1'"),
        ("{text: \"${{ fromJSON('[1]') }}\"}", "expected a string, not a list: use toJSON"),
    ],
)
def test_what_a_called_workflow_is_given_has_to_be_what_it_takes(ran, given, message):
    with pytest.raises(Refused, match=message):
        ran(f"call: {{uses: $/.github/workflows/inner.yml, with: {given}}}", INNER)


def test_a_called_workflow_fails_its_caller(ran):
    inner = "on: workflow_call\njobs: {bad: {runs-on: x, steps: [{run: 'false'}]}, good: " + WELL + "}"

    record = ran(f"call: {{uses: $/.github/workflows/inner.yml}}\nafter: {{needs: call, {WELL[1:]}", inner)

    assert record.results == {"call/bad": "failure", "call/good": "success", "after": "skipped"}


def test_variables_of_an_environment_are_seen_by_steps_and_not_by_the_job_itself(ran):
    job = ran(
        """
        one:
          if: vars.WHO == 'repository'
          environment: {name: "${{ vars.WHERE }}", url: https://example.org}
          runs-on: x
          steps: [{run: "echo ${{ vars.WHO }} ${{ vars.WHERE }}"}]
        """,
        variables={"WHO": "repository", "WHERE": "dev"},
        environments={"dev": {"WHO": "environment"}, "prod": {"WHO": "another"}},
    ).job("one")

    assert (job.environment, job.log) == ("dev", "environment dev\n")


def test_what_a_job_waits_for_is_recorded(ran):
    record = ran("one: {concurrency: 'lock-${{ github.ref_name }}', runs-on: [self-hosted, x], steps: [{run: 'true'}]}")

    assert (record.job("one").concurrency.group, record.job("one").runs_on) == ("lock-main", ["self-hosted", "x"])


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("out", "b.txt deep/a.txt"),
        ("out/b.txt", "b.txt"),
        ("out/**/*.txt", "b.txt deep/a.txt"),
        ("out/deep/a.txt\\nother", "other/c.txt out/deep/a.txt"),
    ],
)
def test_an_artifact_holds_its_files_by_their_place_below_what_was_searched(ran, path, kept):
    record = ran(
        f"""
        one:
          runs-on: x
          steps:
            - run: mkdir -p out/deep other; touch out/deep/a.txt out/b.txt other/c.txt
            - {{uses: actions/upload-artifact@{PIN}, with: {{path: "{path}"}}}}
            - {{uses: actions/download-artifact@{PIN}, with: {{name: artifact, path: got}}}}
            - {{id: found, run: "cd got; find * -type f | sort"}}
        """
    )

    assert record.job("one").step("found").log.split() == kept.split()


def test_artifacts_go_from_job_to_job(ran):
    record = ran(
        """
        one:
          runs-on: x
          steps:
            - run: mkdir -p out/deep; echo a >out/deep/a.txt
            - {uses: actions/upload-artifact@PIN, with: {name: made, path: out}}
            - {id: again, continue-on-error: true, uses: actions/upload-artifact@PIN, with: {name: made, path: out}}
        two:
          needs: one
          runs-on: x
          steps:
            - {uses: actions/download-artifact@PIN, with: {name: made, path: here}}
            - {id: found, run: cat here/deep/a.txt}
            - {id: lost, uses: actions/download-artifact@PIN, with: {name: lost}}
        """.replace("PIN", PIN)
    )

    assert record.job("two").step("found").log == "a\n"
    assert record.job("one").step("again").outcome == "failure"
    assert record.job("two").step("lost").outcome == "failure"
