import json
import time

import boto3
import pytest

from ingestion.alerts import Alerts
from ingestion.dispatch import Dispatcher
from ingestion.watch import Watch
from lineage import table
from lineage.errands import Errands
from lineage.holds import Holds
from lineage.notices import Notices
from lineage.turns import Turns
from lineage.values import ErrandState, FileStatus, HeaderState
from tests.ingestion.builders import Glue, Queue, Topics, with_topic
from tests.lineage.builders import (
    ANALYTICS,
    RAW,
    TABLE,
    a_dataset,
    a_file,
    begin,
    commit_key,
    enter,
    merged,
    process,
    processed,
)

TOLD = {"tenant": "acme", "dataset": "sales", "job": RAW}
TICK: dict[str, str] = {}
NOISY, QUIET, OTHER = "acme", "skyline", "northwind"


@pytest.fixture
def glue():
    return Glue()


@pytest.fixture
def dispatcher(ledger, glue, clock):
    return Dispatcher(ledger, glue, clock=clock, sleep=lambda seconds: clock.move(seconds=seconds), side_by_side=1)


@pytest.fixture
def topics():
    return Topics()


@pytest.fixture
def watched(ledger, glue, topics, clock):
    """A dispatcher that tells."""
    alerts = Alerts(Notices(ledger), topics, topic="platform", environment="dev")
    watch = Watch(ledger, alerts, Queue(), "https://sqs/dead", clock=clock)
    return Dispatcher(ledger, glue, watch=watch, clock=clock, sleep=lambda seconds: None, side_by_side=1)


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


def test_after_three_deaths_a_file_that_is_alone_is_set_aside(dispatcher, ledger, clock):
    ledger.receive(a_file(), RAW)
    for number in (1, 2, 3):
        dispatcher.handle(TICK)
        dispatcher.handle(ended("FAILED", f"jr_{number}"))
        clock.move(minutes=5)

    assert dispatcher.handle(TICK) == []
    [file] = ledger.files("acme")
    assert (file.state, "Command failed" in file.reason) == (FileStatus.QUARANTINED, True)


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


def test_a_run_that_cannot_be_started_shows_why_on_its_files(ledger, clock):
    glue = Glue(errors=("EntityNotFoundException",))
    dispatcher = Dispatcher(ledger, glue, clock=clock, sleep=lambda seconds: None)
    ledger.receive(a_file(), RAW)

    dispatcher.handle(TOLD)

    [file] = ledger.files("acme")
    assert (file.state, file.attempt) == (FileStatus.RECEIVED, 0)
    assert "could not be started" in file.reason
    assert "EntityNotFoundException" in file.reason
    clock.move(minutes=1)
    assert len(dispatcher.handle(TICK)) == 1


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


JOB = "lake-acme-dev-raw-to-processed"


@pytest.mark.parametrize("taken", [True, False])
def test_the_glue_run_of_a_fenced_run_is_stopped(dispatcher, ledger, glue, clock, taken):
    """A run that hangs after it was taken, and one that hangs in Glue before."""
    ledger.receive(a_file(), RAW)
    [run] = dispatcher.handle(TOLD)
    if taken:
        ledger.take("acme", RAW, run, "jr_1")

    clock.move(minutes=16)
    dispatcher.handle(TICK)

    assert ledger.run("acme", run).state == HeaderState.FENCED
    assert glue.stopped == [(JOB, "jr_1")]


def test_what_others_fenced_is_stopped_by_the_next_look(watched, ledger, glue, clock):
    ledger.receive(a_file(), RAW)
    [run] = watched.handle(TOLD)
    ledger.take("acme", RAW, run, "jr_1")
    clock.move(minutes=6)
    assert [done.outcome for done in ledger.recover()] == ["fenced"]

    watched.handle(TICK)

    assert glue.stopped == [(JOB, "jr_1")]


def test_a_run_that_failed_by_itself_or_was_never_started_is_not_stopped(dispatcher, ledger, glue, clock):
    ledger.receive(a_file(), RAW)
    ledger.begin("acme", RAW, "sales", ledger.waiting("acme", "sales", RAW))
    clock.move(minutes=3)
    dispatcher.handle(TICK)
    clock.move(minutes=1)
    [run] = dispatcher.handle(TICK)
    ledger.fail(ledger.take("acme", RAW, run, "jr_1"), "out of memory")
    dispatcher.handle(TICK)

    assert glue.stopped == []


def test_a_glue_that_stops_nothing_keeps_no_run_from_starting(dispatcher, ledger, glue, clock, monkeypatch):
    def broken(**_):
        raise RuntimeError("AccessDeniedException")

    monkeypatch.setattr(glue, "batch_stop_job_run", broken)
    enter(ledger, "skyline")
    ledger.receive(a_file(), RAW)
    dispatcher.handle(TOLD)
    ledger.receive(a_file(tenant="skyline"), RAW)
    clock.move(minutes=16)

    dispatcher.handle(TICK)

    assert glue.started[-1][0] == "lake-skyline-dev-raw-to-processed"


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


def play(ledger, dispatcher, glue, *, poison: str) -> None:
    """Plays Glue for all that a tick starts, and what starts after it: a run fails that has the poison in it."""
    runs = dispatcher.handle(TICK)
    while runs:
        run = runs.pop(0)
        glue_run = f"jr_{1 + [arguments['--run'] for _, arguments in glue.started].index(run)}"
        taken = ledger.take("acme", RAW, run, glue_run)
        fails = any(member.key.endswith(poison) for member in taken.members)
        if not fails:
            ledger.commit(taken, processed(taken))
            ledger.finalise(taken)
        runs += dispatcher.handle(ended("FAILED" if fails else "SUCCEEDED", glue_run))


def test_a_failed_batch_is_tried_again_as_it_was_and_what_came_meanwhile_goes_by_itself(dispatcher, ledger, clock):
    ledger.receive(a_file("a.csv"), RAW)
    ledger.receive(a_file("b.csv"), RAW)
    [first] = dispatcher.handle(TICK)
    batch = ledger.run("acme", first).batch
    dispatcher.handle(ended("FAILED"))
    clock.move(seconds=1)
    ledger.receive(a_file("c.csv"), RAW)
    clock.move(minutes=1)

    [second] = dispatcher.handle(TICK)

    found = ledger.run("acme", second)
    assert (found.batch, found.files, found.attempt) == (batch, 2, 2)


def test_one_bad_file_is_found_and_the_others_go_through(dispatcher, ledger, glue, clock):
    names = [f"{number}.csv" for number in range(6)]
    for name in names:
        ledger.receive(a_file(name), RAW)

    for _ in range(4):
        play(ledger, dispatcher, glue, poison="4.csv")
        clock.move(minutes=1)

    states = {file.key: file.state for file in ledger.files("acme")}
    assert states.pop("raw/sales/4.csv") == FileStatus.QUARANTINED
    assert set(states.values()) == {FileStatus.PROCESSED}
    assert len(glue.started) <= 3 + 2 * 3  # three attempts, then two halves on each of three levels


def test_a_failed_batch_stays_whole_though_the_dataset_takes_fewer_files_now(dispatcher, ledger, clock):
    for name in ("a.csv", "b.csv", "c.csv"):
        ledger.receive(a_file(name), RAW)
    dispatcher.handle(TICK)
    dispatcher.handle(ended("FAILED"))
    ledger.put_dataset(a_dataset(max_files=1))
    clock.move(minutes=1)

    [run] = dispatcher.handle(TICK)

    assert ledger.run("acme", run).files == 3


def test_a_look_that_is_out_of_date_starts_no_more_runs_than_there_are_places(ledger, glue, clock, monkeypatch):
    for name in ("one", "two", "three"):
        ledger.put_dataset(a_dataset(dataset=name))
        ledger.receive(a_file(key=f"raw/{name}/a.csv", dataset=name), RAW)
    dispatcher = Dispatcher(ledger, glue, clock=clock, side_by_side=1)
    assert len(dispatcher.handle(TICK)) == 2

    monkeypatch.setattr(ledger, "slots", lambda tenant: [])  # as another dispatch saw it a moment before

    assert dispatcher.handle(TICK) == []
    assert len(glue.started) == 2


def test_a_held_tenant_starts_nothing_until_it_is_released(dispatcher, ledger):
    ledger.receive(a_file(), RAW)
    Holds(ledger).hold("acme", "the source sends rubbish")

    assert dispatcher.handle(TICK) == []
    assert dispatcher.handle(TOLD) == []
    assert dispatcher.handle(ended("SUCCEEDED")) == []

    Holds(ledger).release("acme")
    assert len(dispatcher.handle(TICK)) == 1


def test_what_was_entered_as_held_after_the_release_is_let_go_by_the_next_tick(dispatcher, ledger):
    ledger.receive(a_file(), RAW, held=True)

    assert len(dispatcher.handle(TICK)) == 1


def test_what_is_held_of_a_held_tenant_stays(dispatcher, ledger):
    Holds(ledger).hold("acme", "maintenance at the source")
    ledger.receive(a_file(), RAW, held=True)

    dispatcher.handle(TICK)

    assert [file.state for file in ledger.files("acme")] == [FileStatus.HELD]


def test_a_dataset_on_schedule_starts_when_it_is_due(dispatcher, ledger, clock):
    six_in_the_evening = {"minutes": [0], "hours": [18], "days": None, "months": [9], "weekdays": None, "years": None}
    ledger.put_dataset(a_dataset(schedule={"cron": six_in_the_evening}))
    ledger.receive(a_file("a.csv"), RAW)
    clock.move(hours=5, minutes=59)
    assert dispatcher.handle(TICK) == []
    assert dispatcher.handle(TOLD) == []

    clock.move(minutes=1)
    [run] = dispatcher.handle(TICK)
    assert ledger.run("acme", run).files == 1


def test_what_a_scheduled_run_wrote_goes_on_at_once(dispatcher, ledger, glue):
    ledger.put_dataset(a_dataset(schedule={"rate_s": 86400}))
    ledger.receive(a_file(), RAW)
    process(ledger)

    assert len(dispatcher.handle(TICK)) == 1
    assert glue.started[0][0] == "lake-acme-dev-processed-to-analytics"


def test_a_death_is_told_at_once(watched, ledger, topics):
    ledger.receive(a_file(), RAW)
    watched.handle(TOLD)

    watched.handle(ended("FAILED"))

    assert topics.told("platform") == ["batch_failed"]


def test_a_failure_that_the_job_noted_itself_is_told_at_once_too(watched, ledger, topics):
    ledger.receive(a_file(), RAW)
    [run] = watched.handle(TOLD)
    ledger.fail(ledger.take("acme", RAW, run, "jr_1"), "the table is unfit")

    watched.handle(ended("FAILED"))

    assert "reason: the table is unfit" in topics.published[0]["Message"]


def test_a_run_that_could_use_nothing_of_a_file_is_told_when_it_ends(watched, ledger, topics):
    ledger.receive(a_file(), RAW)
    [run] = watched.handle(TOLD)
    taken = ledger.take("acme", RAW, run, "jr_1")
    ledger.commit(taken, processed(taken, rows=0, reason="not gzip"))
    ledger.finalise(taken)

    watched.handle(ended("SUCCEEDED"))

    assert topics.told("platform") == ["file_quarantined"]
    assert "reason: not gzip" in topics.published[0]["Message"]


def test_that_no_run_can_be_started_is_told_unless_glue_is_only_busy(watched, ledger, glue, topics, clock):
    ledger.receive(a_file(), RAW)
    glue.errors = ["ThrottlingException"] * 5
    watched.handle(TOLD)
    assert topics.told("platform") == []

    clock.move(minutes=1)
    glue.errors = ["EntityNotFoundException"]
    watched.handle(TOLD)
    assert topics.told("platform") == ["batch_failed"]


def test_ten_minutes_pass_between_two_looks_at_the_fleet(watched, topics, clock):
    watched.handle(TICK)
    watched.watch.sqs.depth = 3
    clock.move(minutes=9)
    watched.handle(TICK)
    assert topics.told("platform") == []

    clock.move(minutes=1)
    watched.handle(TICK)
    assert topics.told("platform") == ["dead_letters"]


def test_tables_are_maintained_by_the_tick(watched, ledger, glue, clock):
    with_topic(ledger, "owner", errand_job="lake-acme-dev-maintain")
    ledger.receive(a_file(), RAW)
    process(ledger)
    watched.handle(TICK)
    run = ledger.take("acme", ANALYTICS, glue.started[0][1]["--run"], "jr_1")
    ledger.commit(run, merged(run))
    ledger.finalise(run)
    clock.move(hours=25)

    watched.handle(TICK)

    [errand] = Errands(ledger).list("acme", 5)
    assert glue.started[-1] == ("lake-acme-dev-maintain", {"--run": errand.id})


def test_an_errand_that_died_has_failed_and_is_told(watched, ledger, glue, topics):
    with_topic(ledger, "owner", errand_job="lake-acme-dev-maintain")
    errand = Errands(ledger).ask("acme", "maintain", {})
    glue.start_job_run(JobName="lake-acme-dev-maintain", Arguments={"--run": errand.id})

    assert watched.handle(ended("TIMEOUT", "jr_1", "lake-acme-dev-maintain")) == []

    assert Errands(ledger).get("acme", errand.id).state == ErrandState.FAILED
    assert topics.told("owner") == ["errand_failed"]
    assert topics.published[0]["Message"].splitlines()[-1] == "lake maintain acme -e dev"


def test_a_look_after_things_that_fails_keeps_no_run_from_starting(watched, ledger, monkeypatch):
    ledger.receive(a_file(), RAW)

    def broken(*args):
        raise RuntimeError("no")

    monkeypatch.setattr(watched.watch.sqs, "get_queue_attributes", broken)
    monkeypatch.setattr(watched.maintenance, "look", broken)
    monkeypatch.setattr(watched.holds, "drain", broken)

    assert len(watched.handle(TICK)) == 1


def test_a_run_that_cannot_be_begun_does_not_keep_other_tenants_waiting(dispatcher, ledger, glue, monkeypatch):
    enter(ledger, "skyline")
    ledger.receive(a_file(), RAW)
    ledger.receive(a_file(tenant="skyline"), RAW)
    begin_run = ledger.begin

    def breaks(tenant, *rest):
        if tenant == "acme":
            raise RuntimeError("InternalServerError")
        return begin_run(tenant, *rest)

    monkeypatch.setattr(ledger, "begin", breaks)

    with pytest.raises(RuntimeError, match="InternalServerError"):
        dispatcher.handle(TICK)
    assert [job for job, _ in glue.started] == ["lake-skyline-dev-raw-to-processed"]


def test_tenants_go_on_side_by_side(ledger, glue, clock):
    """A queue that lets one go at a time, say by the tenant's name, would let all wait for the slowest."""
    for tenant in ("skyline", "northwind"):
        enter(ledger, tenant)
    for number in range(30):
        ledger.receive(a_file(f"{number}.csv"), RAW)
    for tenant in ("skyline", "northwind"):
        ledger.receive(a_file(tenant=tenant), RAW)

    Dispatcher(ledger, glue, clock=clock, side_by_side=1).handle(TICK)

    assert {job for job, _ in glue.started} == {
        f"lake-{tenant}-dev-raw-to-processed" for tenant in ("acme", "skyline", "northwind")
    }


# -- places that an account has not ----------------------------------------------------------------------------------


@pytest.fixture
def full(dispatcher, ledger, glue):
    """Noisy has Glue's only place and more to do; quiet and another came later."""
    glue.places = 1
    ledger.receive(a_file("0.csv"), RAW)
    dispatcher.handle(TOLD)
    for number in range(1, 4):
        ledger.receive(a_file(f"{number}.csv"), RAW)
    for tenant in (QUIET, OTHER):
        enter(ledger, tenant)
        ledger.receive(a_file(tenant=tenant), RAW)
    return dispatcher


def told(tenant: str) -> dict[str, str]:
    return {"tenant": tenant, "dataset": "sales", "job": RAW}


def queue_up(dispatcher, clock) -> None:
    """Quiet, then the other, is refused."""
    for tenant in (QUIET, OTHER):
        assert dispatcher.handle(told(tenant)) == []
        clock.move(seconds=1)


def end(dispatcher, ledger, glue) -> list[str]:
    """The run that was started last commits, its place is free, Glue tells dispatch; gives what that started."""
    glue_job, arguments = glue.started[-1]
    tenant, job = ledger.owner_of_glue_job(glue_job)
    glue_run = f"jr_{len(glue.started)}"
    run = ledger.take(tenant, job, arguments["--run"], glue_run)
    ledger.commit(run, processed(run))
    ledger.finalise(run)
    glue.places += 1
    return dispatcher.handle(ended("SUCCEEDED", glue_run, glue_job))


def tenants_of(jobs: list[str]) -> list[str]:
    return [job.removeprefix("lake-").removesuffix("-dev-raw-to-processed") for job in jobs]


def test_the_end_of_a_noisy_run_gives_its_place_to_whom_glue_refused(full, ledger, glue):
    assert full.handle(told(QUIET)) == []

    assert len(end(full, ledger, glue)) == 1

    assert tenants_of([job for job, _ in glue.started]) == [NOISY, QUIET]


def test_places_go_round_among_all_who_wait(full, ledger, glue, clock):
    queue_up(full, clock)
    ledger.receive(a_file("second.csv", tenant=QUIET), RAW)

    for _ in range(4):
        end(full, ledger, glue)

    # Quiet's second file joins the batch of its first: what Glue refused is no batch yet.
    assert tenants_of([job for job, _ in glue.started]) == [NOISY, QUIET, OTHER, NOISY]


def test_who_got_a_place_and_wants_another_stands_at_the_end_of_the_line(full, ledger, glue, clock):
    ledger.put_dataset(a_dataset(tenant=QUIET, dataset="flights"))
    ledger.receive(a_file(key="raw/flights/f.csv", dataset="flights", tenant=QUIET), RAW)
    queue_up(full, clock)
    assert Turns(ledger).waiting() == [QUIET, OTHER]

    end(full, ledger, glue)

    assert Turns(ledger).waiting() == [OTHER, NOISY, QUIET]


def test_what_glue_had_no_place_for_may_start_at_once_and_with_what_came_meanwhile(full, ledger, glue):
    full.handle(told(QUIET))
    ledger.receive(a_file("second.csv", tenant=QUIET), RAW)

    [run] = end(full, ledger, glue)

    assert ledger.run(QUIET, run).files == 2


def test_while_there_is_no_place_an_arrival_joins_the_line_and_asks_nobody(full, ledger, glue, clock):
    queue_up(full, clock)
    asked = len(glue.refused)

    for tenant in (QUIET, OTHER, NOISY):
        assert full.handle(told(tenant)) == []

    assert len(glue.refused) == asked
    assert set(Turns(ledger).waiting()) == {QUIET, OTHER, NOISY}


def test_an_end_that_gives_its_place_away_asks_for_no_other(full, ledger, glue, clock):
    queue_up(full, clock)
    asked = len(glue.refused)

    end(full, ledger, glue)

    assert len(glue.refused) == asked
    assert QUIET not in Turns(ledger).waiting()


def test_two_refused_tenants_are_enough_for_the_tick(full, ledger, glue):
    for name in ("fourth", "fifth", "sixth"):
        enter(ledger, name)
        ledger.receive(a_file(tenant=name), RAW)

    assert full.handle(TICK) == []

    assert len(set(glue.refused)) == 2
    assert set(Turns(ledger).waiting()) == {QUIET, OTHER, "fourth", "fifth", "sixth"}


@pytest.fixture
def hung(dispatcher, ledger, glue):
    """Noisy's and another's jobs run as often as they may and never end; both have two datasets that wait."""
    for tenant in (NOISY, OTHER, QUIET):
        enter(ledger, tenant)
    for tenant in (NOISY, OTHER):
        glue.full_jobs.add(f"lake-{tenant}-dev-raw-to-processed")
        ledger.put_dataset(a_dataset(tenant=tenant, dataset="flights"))
        ledger.receive(a_file(tenant=tenant), RAW)
        ledger.receive(a_file(key="raw/flights/f.csv", dataset="flights", tenant=tenant), RAW)
    return dispatcher


def test_tenants_whose_own_jobs_are_full_keep_no_other_waiting(hung, ledger, glue):
    ledger.receive(a_file(tenant=QUIET), RAW)

    assert len(hung.handle(TICK)) == 1

    assert tenants_of([job for job, _ in glue.started]) == [QUIET]
    assert tenants_of(sorted(glue.refused)) == [NOISY, OTHER]  # once each, whatever waits
    assert Turns(ledger).waiting() == []


def test_while_tenants_jobs_are_full_what_arrives_of_others_starts_at_once(hung, ledger):
    for tenant in (NOISY, OTHER):
        assert hung.handle(told(tenant)) == []
    ledger.receive(a_file(tenant=QUIET), RAW)

    assert len(hung.handle(told(QUIET))) == 1


def test_a_place_that_is_free_goes_past_a_tenant_whose_own_job_is_full(hung, ledger, glue, clock):
    for tenant in (NOISY, OTHER, QUIET):  # the account had no place for them a moment ago
        Turns(ledger).wait(tenant)
        clock.move(seconds=1)
    ledger.receive(a_file(tenant=QUIET), RAW)
    glue.places = 1

    hung.dispatch([], places=1)

    assert tenants_of([job for job, _ in glue.started]) == [QUIET]
    assert Turns(ledger).waiting() == []


def test_a_full_job_is_not_tried_at_each_arrival_but_by_the_tick_and_when_a_run_of_it_ends(hung, ledger, glue, clock):
    hung.handle(told(NOISY))
    asked = len(glue.refused)
    clock.move(seconds=30)
    hung.handle(told(NOISY))
    assert len(glue.refused) == asked

    clock.move(minutes=1)
    hung.handle(TICK)
    assert len(glue.refused) > asked

    glue.full_jobs.clear()
    assert len(hung.handle(ended("SUCCEEDED", "jr_hung"))) == 2


def test_who_has_nothing_to_wait_for_leaves_the_line(dispatcher, ledger):
    Turns(ledger).wait("acme")
    enter(ledger, QUIET, state="suspended")
    Turns(ledger).wait(QUIET)

    dispatcher.handle(TICK)

    assert Turns(ledger).waiting() == []


def test_places_that_are_free_again_are_all_taken_by_the_next_tick(full, ledger, glue, clock):
    queue_up(full, clock)
    glue.places = 5

    assert len(full.handle(TICK)) == 2
    assert Turns(ledger).waiting() == []


def test_a_turn_of_a_tenant_that_is_gone_hurts_nobody(dispatcher, ledger):
    Turns(ledger).wait("left-us")
    ledger.receive(a_file(), RAW)

    assert len(dispatcher.handle(TOLD)) == 1


def test_the_end_of_maintenance_gives_its_place_to_whom_glue_refused(full, ledger, glue):
    full.handle(told(QUIET))
    with_topic(ledger, "owner", errand_job="lake-acme-dev-maintain")
    errand = Errands(ledger).ask("acme", "maintain", {})
    glue.started.append(("lake-acme-dev-maintain", {"--run": errand.id}))
    glue.places += 1

    full.handle(ended("SUCCEEDED", f"jr_{len(glue.started)}", "lake-acme-dev-maintain"))

    assert tenants_of([glue.started[-1][0]]) == [QUIET]


def test_who_comes_first_gets_the_place_though_another_would_be_faster(full, ledger, glue, clock, monkeypatch):
    queue_up(full, clock)
    begin_run = ledger.begin

    def slowly_for_quiet(tenant, *rest):
        time.sleep(0.3 if tenant == QUIET else 0)
        return begin_run(tenant, *rest)

    monkeypatch.setattr(ledger, "begin", slowly_for_quiet)
    glue.places = 1

    Dispatcher(ledger, glue, clock=clock, side_by_side=4).handle(TICK)

    assert tenants_of([glue.started[-1][0]]) == [QUIET]


def put_row(**row):
    boto3.client("dynamodb").put_item(TableName=TABLE, Item={name: {"S": value} for name, value in row.items()})


@pytest.mark.parametrize("place", [table.slots_pk("acme"), table.seats_pk("acme")])
def test_a_row_that_nobody_can_read_among_what_is_open_keeps_nobody(dispatcher, ledger, glue, place):
    enter(ledger, QUIET)
    put_row(PK=place, SK="x", kind="nonsense")
    for tenant in (NOISY, QUIET):
        ledger.receive(a_file(tenant=tenant), RAW)

    assert len(dispatcher.handle(TICK)) == 2


def test_a_slot_that_nobody_can_read_keeps_its_tenant_alone_and_no_look_raises(dispatcher, ledger, glue, capsys):
    enter(ledger, QUIET)
    put_row(PK=table.slots_pk("acme"), SK=f"{RAW}#sales", kind="nonsense")
    for tenant in (NOISY, QUIET):
        ledger.receive(a_file(tenant=tenant), RAW)

    assert len(dispatcher.handle(TICK)) == 1
    assert [job for job, _ in glue.started] == ["lake-skyline-dev-raw-to-processed"]
    assert "Unreadable" in capsys.readouterr().out


def test_an_end_that_cannot_be_settled_for_its_tenants_rows_starts_what_others_wait_for(dispatcher, ledger, glue):
    enter(ledger, QUIET)
    put_row(PK=table.slots_pk("acme"), SK=f"{RAW}#sales", kind="slot", run="r1", job=RAW, dataset="sales")
    put_row(PK=table.job_pk("acme", RAW), SK="r1", kind="nonsense")
    Turns(ledger).wait(QUIET)
    ledger.receive(a_file(tenant=QUIET), RAW)

    assert len(dispatcher.handle(ended("FAILED"))) == 1


def test_what_waits_is_started_before_dead_runs_are_put_in_order(dispatcher, ledger, glue, monkeypatch):
    ledger.receive(a_file(), RAW)
    seen = []
    monkeypatch.setattr(ledger, "recover", lambda: seen.extend(glue.started) or [])

    dispatcher.handle(TICK)

    assert len(seen) == 1


def test_what_waited_behind_a_dead_run_is_started_by_the_look_that_fences_it(dispatcher, ledger, glue, clock):
    ledger.receive(a_file(), RAW)
    lost = ledger.begin("acme", RAW, "sales", ledger.waiting("acme", "sales", RAW))
    clock.move(hours=1)
    ledger.receive(a_file("b.csv"), RAW)

    [run] = dispatcher.handle(TICK)

    assert ledger.run("acme", lost).state == HeaderState.FENCED
    assert [member.key for member in ledger.take("acme", RAW, run, "jr_1").members] == ["raw/sales/b.csv"]


def test_what_one_tenant_puts_into_others_lists_costs_one_look_and_one_line(dispatcher, ledger, capsys):
    for number in range(30):
        forged = {"SK": f"x{number}", "g2sk": "0", "tenant": "acme", "job": RAW, "dataset": "sales", "st": "RUNNING"}
        put_row(PK="T#acme#J#zz", kind="run", g2pk="OPEN#0", started="x", hb="x", **forged)
        put_row(PK="T#acme#X", kind="claim", g2pk=table.waiting_pk(QUIET, "sales", RAW), **forged)
    enter(ledger, QUIET)

    dispatcher.handle(TICK)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["rows"], line["tenants"]) for line in lines if line["event"] == "stripped"] == [(60, ["acme"])]

    dispatcher.handle(TICK)
    assert capsys.readouterr().out == ""
