import pytest

from cli.errands import attend
from cli.errors import LakeError


def test_an_errand_is_started_and_its_result_given(dev, glue):
    assert attend(dev.connection, "acme", "maintain", {"dataset": None}) == {"files": 3}

    [errand] = dev.errands.list("acme")
    assert glue.started == [{"job": "mycompany-acme-dev-maintain", "--run": errand.id}]


def test_a_second_call_is_a_second_errand_once_the_first_is_done(dev, glue):
    for _ in range(2):
        attend(dev.connection, "acme", "maintain", {"dataset": None})

    assert len(dev.errands.list("acme")) == len(glue.started) == 2


def test_an_errand_that_somebody_left_is_gone_on_with(dev, glue):
    left = dev.errands.ask("acme", "maintain", {"dataset": None})

    attend(dev.connection, "acme", "maintain", {"dataset": None})

    assert [each.id for each in dev.errands.list("acme")] == [left.id]


def test_an_errand_that_runs_already_is_only_waited_for(dev, glue):
    left = dev.errands.ask("acme", "maintain", {"dataset": None})
    taken = dev.errands.take("acme", left.id, "jr_7")
    glue.states["jr_7"] = "RUNNING"
    looks = iter(["RUNNING", "RUNNING"])

    def get_job_run(**_):
        state = next(looks, None)
        if state is None:
            dev.errands.finish(taken, {"files": 1})
        return {"JobRun": {"JobRunState": state or "SUCCEEDED"}}

    glue.get_job_run = get_job_run

    assert attend(dev.connection, "acme", "maintain", {"dataset": None}) == {"files": 1}
    assert glue.started == []


def test_while_another_errand_of_the_tenant_runs_this_one_waits(dev, glue, capsys):
    glue.busy = 3

    assert attend(dev.connection, "acme", "maintain", {}) == {"files": 3}
    assert "waiting for another errand" in capsys.readouterr().err


def test_the_reason_of_a_failed_errand_is_told(dev, glue):
    def job(errand, glue_run):
        dev.errands.take("acme", errand, glue_run)
        dev.errands.fail("acme", errand, "snapshot 7 is not there")
        return "FAILED"

    glue.job = job

    with pytest.raises(LakeError, match="acme: rollback: snapshot 7 is not there"):
        attend(dev.connection, "acme", "rollback", {})


def test_a_job_that_died_without_a_word_ends_the_errand_with_glues_reason(dev, glue):
    glue.job = lambda *_: "FAILED"

    with pytest.raises(LakeError, match=r"Glue run jr_1 ended as FAILED: out of memory"):
        attend(dev.connection, "acme", "maintain", {})

    assert [str(each.state) for each in dev.errands.list("acme")] == ["FAILED"]
