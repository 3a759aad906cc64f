import pytest

from glue_scripts.errors import ArgumentMissing
from glue_scripts.runtime import invocation, resolve_options

OPTIONS = {
    "--tenant": "acme",
    "--bucket": "b",
    "--database": "d",
    "--ledger": "l",
    "--account": "111122223333",
    "--code": "1",
    "--run": "r",
}


def argv(options: dict) -> list[str]:
    return ["job.py", *(word for pair in options.items() for word in pair)]


def test_arguments_are_found_among_those_that_glue_adds():
    given = argv({"--JOB_NAME": "acme-raw", "--JOB_RUN_ID": "jr_1", "--enable-metrics": "true"} | OPTIONS)

    started = invocation(given)

    assert started.arguments.tenant == "acme"
    assert started.arguments.run == "r"
    assert (started.job_name, started.glue_run) == ("acme-raw", "jr_1")


def test_a_start_without_an_id_gets_one_of_its_own():
    first, second = invocation(argv(OPTIONS)), invocation(argv(OPTIONS))

    assert first.glue_run != second.glue_run


def test_every_missing_argument_is_named_at_once():
    with pytest.raises(ArgumentMissing, match="--bucket, --run"):
        invocation(argv({name: value for name, value in OPTIONS.items() if name not in {"--bucket", "--run"}}))


def test_a_name_cut_short_is_not_taken_for_the_whole():
    assert "tenant" not in resolve_options(["job.py", "--ten", "acme"], [], optional=["tenant"])


def test_an_argument_may_stand_behind_an_equals_sign():
    assert resolve_options(["job.py", "--tenant=acme"], ["tenant"], optional=[]) == {"tenant": "acme"}
