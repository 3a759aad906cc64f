import pytest

from lineage.errands import Errands
from lineage.errors import NotInLedger, RunNotOpen
from lineage.items import Errand as Item
from lineage.table import errands_pk
from lineage.values import ErrandState


@pytest.fixture
def errands(ledger):
    return Errands(ledger)


def test_an_errand_goes_from_asked_to_done_with_its_answer(errands, clock):
    asked = errands.ask("acme", "maintain", {"dataset": "sales", "dry_run": False})
    clock.move(seconds=10)
    taken = errands.take("acme", asked.id, "jr_1")
    clock.move(seconds=50)
    errands.finish(taken, {"files_after": 3})

    done = errands.get("acme", asked.id)
    assert (asked.state, taken.state, done.state) == (ErrandState.ASKED, ErrandState.RUNNING, ErrandState.DONE)
    assert (done.task, done.arguments, done.result) == (
        "maintain",
        {"dataset": "sales", "dry_run": False},
        {"files_after": 3},
    )
    assert (done.ended - done.asked).total_seconds() == 60
    assert done.glue_run == "jr_1"
    assert asked.started is None
    assert (done.started - done.asked).total_seconds() == 10


def test_only_one_glue_run_takes_it_and_that_one_may_take_it_again(errands):
    asked = errands.ask("acme", "rebuild", {})
    errands.take("acme", asked.id, "jr_1")

    assert errands.take("acme", asked.id, "jr_1").glue_run == "jr_1"
    with pytest.raises(RunNotOpen, match="held by Glue run jr_1, this is jr_2"):
        errands.take("acme", asked.id, "jr_2")


def test_what_has_ended_is_not_taken_again(errands):
    asked = errands.ask("acme", "rebuild", {})
    assert errands.fail("acme", asked.id, "the job could not be started")

    with pytest.raises(RunNotOpen, match="already FAILED"):
        errands.take("acme", asked.id, "jr_1")


def test_a_failure_does_not_undo_an_answer_and_an_answer_not_a_failure(errands):
    done = errands.take("acme", errands.ask("acme", "maintain", {}).id, "jr_1")
    errands.finish(done, {"ok": True})
    failed = errands.take("acme", errands.ask("acme", "maintain", {}).id, "jr_2")
    errands.fail("acme", failed.id, "Glue run jr_2: TIMEOUT")

    assert errands.fail("acme", done.id, "too late") is False
    errands.finish(done, {"ok": True})  # the answer to the first time was lost
    with pytest.raises(RunNotOpen, match="already FAILED"):
        errands.finish(failed, {"ok": True})
    assert [(one.state, one.error) for one in errands.list("acme")] == [
        (ErrandState.FAILED, "Glue run jr_2: TIMEOUT"),
        (ErrandState.DONE, None),
    ]


def test_an_errand_that_nobody_asked_for_is_named(errands):
    with pytest.raises(NotInLedger, match="errand 0190: not in the ledger of tenant acme"):
        errands.get("acme", "0190")
    with pytest.raises(NotInLedger, match="errand 0190"):
        errands.take("acme", "0190", "jr_1")
    assert errands.fail("acme", "0190", "no") is False
    assert errands.list("acme") == []


def test_the_latest_come_first_and_no_more_than_asked_for(errands):
    ids = [errands.ask("acme", "maintain", {"n": n}).id for n in range(3)]

    assert sorted(one.id for one in errands.list("acme")) == sorted(ids)
    latest = max(ids)
    assert [one.id for one in errands.list("acme", limit=1)] == [latest]


def test_a_result_that_no_item_holds_is_refused_by_its_size(errands):
    taken = errands.take("acme", errands.ask("acme", "snapshots", {}).id, "jr_1")

    with pytest.raises(ValueError, match=r"300,\d+ bytes"):
        errands.finish(taken, {"keys": "x" * 300_000})
    assert errands.get("acme", taken.id).state == ErrandState.RUNNING


def test_errands_are_forgotten_after_ninety_days(errands, ledger, clock):
    asked = errands.ask("acme", "maintain", {})

    item = ledger.store.get(Item, (errands_pk("acme"), asked.id))
    assert item.ttl - clock.now.timestamp() == 90 * 86_400
