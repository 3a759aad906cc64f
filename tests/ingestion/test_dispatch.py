import pytest

from ingestion.dispatch import Dispatcher
from lineage.values import FileStatus, HeaderState
from tests.ingestion.builders import Glue
from tests.lineage.builders import ANALYTICS, RAW, a_dataset, a_file, begin, commit_key, enter, processed

TOLD = {"tenant": "acme", "dataset": "sales", "job": RAW}
TICK: dict[str, str] = {}


@pytest.fixture
def glue():
    return Glue()


@pytest.fixture
def dispatcher(ledger, glue, clock):
    return Dispatcher(ledger, glue, clock=clock, sleep=lambda seconds: clock.move(seconds=seconds), side_by_side=1)


def ended(state: str, glue_run: str = "jr_1", job: str = "lake-acme-dev-raw-to-processed") -> dict[str, object]:
    return {
        "detail-type": "Glue Job State Change",
        "source": "aws.glue",
        "detail": {"jobName": job, "jobRunId": glue_run, "state": state, "message": "Command failed"},
    }


def test_what_waits_is_started_with_the_run_as_its_only_argument(dispatcher, ledger, glue):
    ledger.receive(a_file("a.csv"), RAW)
    ledger.receive(a_file("b.csv"), RAW)

    [run] = dispatcher.handle(TOLD)

    assert glue.started == [("lake-acme-dev-raw-to-processed", {"--run": run})]
    assert len(ledger.take("acme", RAW, run, "jr_1").members) == 2


def test_nothing_waits_nothing_starts(dispatcher, glue):
    assert dispatcher.handle(TOLD) == []
    assert dispatcher.handle(TICK) == []
    assert glue.started == []


def test_the_schedule_looks_at_every_tenant(dispatcher, ledger, glue):
    enter(ledger, "skyline")
    ledger.receive(a_file(), RAW)
    ledger.receive(a_file(tenant="skyline"), RAW)

    dispatcher.handle(TICK)

    assert sorted(job for job, _ in glue.started) == [
        "lake-acme-dev-raw-to-processed",
        "lake-skyline-dev-raw-to-processed",
    ]


def test_a_call_for_one_dataset_starts_no_other(dispatcher, ledger, glue):
    ledger.put_dataset(a_dataset(dataset="flights"))
    ledger.receive(a_file(key="raw/flights/f.csv", dataset="flights"), RAW)

    assert dispatcher.handle(TOLD) == []


def test_a_dataset_that_may_wait_is_closed_by_age(dispatcher, ledger, clock):
    ledger.put_dataset(a_dataset(max_wait_s=900))
    ledger.receive(a_file(), RAW)  # a minute ago

    assert dispatcher.handle(TICK) == []

    clock.move(minutes=14)
    assert len(dispatcher.handle(TICK)) == 1


def test_while_a_run_is_open_the_next_batch_waits(dispatcher, ledger, glue):
    ledger.receive(a_file("a.csv"), RAW)
    dispatcher.handle(TOLD)
    ledger.receive(a_file("b.csv"), RAW)

    assert dispatcher.handle(TOLD) == []
    assert len(glue.started) == 1


def test_a_tenant_has_no_more_runs_in_flight_than_it_may(dispatcher, ledger, glue):
    for name in ("one", "two", "three"):
        ledger.put_dataset(a_dataset(dataset=name))
        ledger.receive(a_file(key=f"raw/{name}/a.csv", dataset=name), RAW)

    assert len(dispatcher.handle(TICK)) == 2
    assert dispatcher.handle(TICK) == []


def test_when_a_run_has_ended_what_waited_for_it_starts(dispatcher, ledger, glue):
    ledger.receive(a_file("a.csv"), RAW)
    [first] = dispatcher.handle(TOLD)
    run = ledger.take("acme", RAW, first, "jr_1")
    ledger.receive(a_file("b.csv"), RAW)
    ledger.commit(run, processed(run))
    ledger.finalise(run)
    ledger.receive(a_file(key=commit_key(run), version="c1"), ANALYTICS)

    started = dispatcher.handle(ended("SUCCEEDED"))

    assert len(started) == 2
    assert sorted(job for job, _ in glue.started[1:]) == [
        "lake-acme-dev-processed-to-analytics",
        "lake-acme-dev-raw-to-processed",
    ]


@pytest.mark.parametrize("state", ["FAILED", "TIMEOUT", "STOPPED"])
def test_a_run_that_glue_lost_is_closed_and_its_files_wait_again(dispatcher, ledger, clock, state):
    ledger.receive(a_file(), RAW)
    [run] = dispatcher.handle(TOLD)

    assert dispatcher.handle(ended(state)) == []

    found = ledger.run("acme", run)
    assert found.state == HeaderState.FAILED
    assert found.error == f"Glue run jr_1: {state}. Command failed"
    clock.move(minutes=1)
    assert len(dispatcher.handle(TICK)) == 1


def test_a_run_that_ended_well_without_committing_has_failed(dispatcher, ledger):
    ledger.receive(a_file(), RAW)
    [run] = dispatcher.handle(TOLD)

    dispatcher.handle(ended("SUCCEEDED"))

    assert "ended without committing" in ledger.run("acme", run).error


def test_a_death_that_is_told_before_the_start_was_noted_is_not_missed(ledger, glue, clock):
    ledger.receive(a_file(), RAW)
    run = ledger.begin("acme", RAW, "sales", ledger.waiting("acme", "sales", RAW))

    def note_it_meanwhile(seconds: float) -> None:
        clock.move(seconds=seconds)
        ledger.started("acme", RAW, run, "jr_1")

    Dispatcher(ledger, glue, clock=clock, sleep=note_it_meanwhile, side_by_side=1).handle(ended("FAILED"))

    assert ledger.run("acme", run).state == HeaderState.FAILED


def test_after_three_deaths_the_file_has_failed(dispatcher, ledger, clock):
    ledger.receive(a_file(), RAW)
    for number in (1, 2, 3):
        dispatcher.handle(TICK)
        dispatcher.handle(ended("FAILED", f"jr_{number}"))
        clock.move(minutes=5)

    assert dispatcher.handle(TICK) == []
    [file] = ledger.files("acme")
    assert (file.state, "Command failed" in file.reason) == (FileStatus.FAILED, True)


def test_the_end_of_a_second_glue_run_of_the_same_run_changes_nothing(dispatcher, ledger):
    ledger.receive(a_file(), RAW)
    [run] = dispatcher.handle(TOLD)
    ledger.take("acme", RAW, run, "jr_lost_answer")

    dispatcher.handle(ended("SUCCEEDED", "jr_1"))

    assert ledger.run("acme", run).state == HeaderState.RUNNING


def test_a_glue_job_that_is_not_the_lakes_is_left_alone(dispatcher):
    assert dispatcher.handle(ended("FAILED", job="somebody-elses-job")) == []


def test_a_state_that_is_not_an_end_closes_nothing(dispatcher, ledger):
    ledger.receive(a_file(), RAW)
    [run] = dispatcher.handle(TOLD)

    dispatcher.handle(ended("RUNNING"))

    assert ledger.run("acme", run).state == HeaderState.RUNNING


def test_a_busy_glue_is_tried_again(ledger, clock):
    glue = Glue(errors=("ConcurrentRunsExceededException", "ThrottlingException"))
    pauses: list[float] = []
    dispatcher = Dispatcher(ledger, glue, clock=clock, sleep=pauses.append)
    ledger.receive(a_file(), RAW)

    assert len(dispatcher.handle(TOLD)) == 1
    assert len(pauses) == 2
    assert 0.5 <= pauses[0] <= 1
    assert 1 <= pauses[1] <= 2


@pytest.mark.parametrize("errors", [("ConcurrentRunsExceededException",) * 5, ("EntityNotFoundException",)])
def test_a_run_that_cannot_be_started_costs_its_files_no_attempt(ledger, clock, errors):
    dispatcher = Dispatcher(ledger, Glue(errors=errors), clock=clock, sleep=lambda seconds: None)
    ledger.receive(a_file(), RAW)

    assert dispatcher.handle(TOLD) == []

    clock.move(minutes=1)
    [member] = ledger.waiting("acme", "sales", RAW)
    assert member.attempt == 0
    [run] = ledger.runs("acme")
    assert (run.state, errors[0] in run.error) == (HeaderState.FAILED, True)


def test_a_suspended_tenant_starts_nothing(dispatcher, ledger):
    ledger.receive(a_file(), RAW)
    enter(ledger, "acme", state="suspended")

    assert dispatcher.handle(TICK) == []
    assert dispatcher.handle(TOLD) == []


def test_the_schedule_puts_silent_runs_in_order(dispatcher, ledger, clock):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    clock.move(minutes=6)

    dispatcher.handle(TICK)

    assert ledger.run("acme", run.run).state == HeaderState.FENCED
    clock.move(minutes=1)
    assert len(dispatcher.handle(TICK)) == 1


def test_a_tenant_that_cannot_be_read_does_not_keep_the_others_waiting(dispatcher, ledger, glue, monkeypatch):
    enter(ledger, "broken")
    ledger.receive(a_file(), RAW)
    read = ledger.datasets

    def breaks(tenant):
        if tenant == "broken":
            raise ValueError("broken entry")
        return read(tenant)

    monkeypatch.setattr(ledger, "datasets", breaks)

    with pytest.raises(ValueError, match="broken entry"):
        dispatcher.handle(TICK)
    assert len(glue.started) == 1
