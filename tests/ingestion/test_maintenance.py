import pytest

from ingestion.glue import GlueJobs
from ingestion.maintenance import Maintenance
from lineage.errands import Errands
from lineage.errors import NotInLedger
from lineage.values import ErrandState
from tests.ingestion.builders import Glue, with_topic
from tests.lineage.builders import ANALYTICS, RAW, a_file, begin, merge, process

JOB = "lake-acme-dev-maintain"


@pytest.fixture
def glue():
    return Glue()


@pytest.fixture
def errands(ledger):
    return Errands(ledger)


@pytest.fixture
def acme(ledger):
    return with_topic(ledger, "arn:lake-acme-dev-alerts", errand_job=JOB)


@pytest.fixture
def maintenance(ledger, glue, clock):
    return Maintenance(ledger, GlueJobs(glue, sleep=lambda seconds: None), worth=4, clock=clock)


def commits(ledger, clock, number: int) -> None:
    for file in range(number):
        ledger.receive(a_file(f"{clock.now:%H%M%S}-{file}.csv"), RAW)
        process(ledger)
        merge(ledger, snapshot=f"{clock.now:%H%M%S%f}")
        clock.move(seconds=10)


def done(errands, errand, *, glue_run: str = "jr_1") -> None:
    errands.finish(errands.take("acme", errand.id, glue_run), {})


def test_what_was_never_written_is_not_maintained(maintenance, acme, glue):
    assert maintenance.look(acme) is None
    assert glue.started == []


def test_so_many_commits_are_worth_a_run(maintenance, acme, ledger, glue, clock):
    commits(ledger, clock, 3)
    assert maintenance.look(acme) is None

    commits(ledger, clock, 1)
    errand = maintenance.look(acme)

    assert (errand.task, dict(errand.arguments)) == ("maintain", {"dataset": None, "dry_run": False})
    assert glue.started == [(JOB, {"--run": errand.id})]


def test_runs_that_failed_in_between_do_not_hide_the_commits(maintenance, acme, ledger, clock):
    commits(ledger, clock, 2)
    for number in range(2):
        ledger.receive(a_file(f"failed-{number}.csv"), RAW)
        process(ledger)
        ledger.fail(begin(ledger, job=ANALYTICS, glue_run=f"jr_failed_{number}"), "out of memory")
        clock.move(minutes=1)
        merge(ledger, snapshot=f"after-{number}")

    assert maintenance.look(acme) is not None


def test_one_commit_is_worth_a_run_a_day_later(maintenance, acme, ledger, clock):
    commits(ledger, clock, 1)
    clock.move(hours=23)
    assert maintenance.look(acme) is None

    clock.move(hours=2)
    assert maintenance.look(acme) is not None


def test_after_a_run_it_takes_new_commits_for_the_next(maintenance, acme, ledger, errands, clock):
    commits(ledger, clock, 1)
    clock.move(hours=25)
    done(errands, maintenance.look(acme))

    clock.move(hours=48)
    assert maintenance.look(acme) is None

    commits(ledger, clock, 1)
    assert maintenance.look(acme) is not None


def test_a_busy_tenant_is_maintained_at_most_once_an_hour(maintenance, acme, ledger, errands, clock):
    commits(ledger, clock, 4)
    done(errands, maintenance.look(acme))
    commits(ledger, clock, 4)
    assert maintenance.look(acme) is None

    clock.move(hours=1)
    assert maintenance.look(acme) is not None


def test_while_an_errand_is_open_there_is_no_other(maintenance, acme, ledger, errands, clock):
    commits(ledger, clock, 4)
    errands.ask("acme", "rebuild", {})

    assert maintenance.look(acme) is None


def test_an_errand_that_nobody_works_on_any_more_has_failed(maintenance, acme, errands, clock):
    lost = errands.ask("acme", "maintain", {})
    clock.move(hours=2, minutes=59)
    maintenance.look(acme)
    assert errands.get("acme", lost.id).state == ErrandState.ASKED

    clock.move(minutes=2)
    maintenance.look(acme)
    found = errands.get("acme", lost.id)
    assert (found.state, found.error) == (ErrandState.FAILED, "no sign of its end since 2024-09-20 12:00 UTC")


def test_an_errand_that_waited_for_a_place_is_given_its_time_from_its_start_on(maintenance, acme, errands, clock):
    late = errands.ask("acme", "maintain", {})
    clock.move(hours=2)
    errands.take("acme", late.id, "jr_1")

    clock.move(hours=2, minutes=59)
    maintenance.look(acme)
    assert errands.get("acme", late.id).state == ErrandState.RUNNING

    clock.move(minutes=2)
    maintenance.look(acme)
    found = errands.get("acme", late.id)
    assert (found.state, found.error) == (ErrandState.FAILED, "no sign of its end since 2024-09-20 14:00 UTC")


def test_an_errand_that_cannot_be_started_says_so(ledger, acme, errands, clock):
    glue = Glue(errors=("EntityNotFoundException",))
    commits(ledger, clock, 4)

    assert Maintenance(ledger, GlueJobs(glue), worth=4, clock=clock).look(acme) is None

    [errand] = errands.list("acme", 5)
    assert errand.state == ErrandState.FAILED
    assert "could not be started" in errand.error
    assert "EntityNotFoundException" in errand.error


def test_a_tenant_without_the_job_is_left_alone(maintenance, ledger, clock):
    commits(ledger, clock, 4)

    assert maintenance.look(ledger.tenant("acme")) is None


def ended(state: str, glue_run: str = "jr_1") -> dict[str, str]:
    return {"jobName": JOB, "jobRunId": glue_run, "state": state, "message": "Command failed"}


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("FAILED", "Glue run jr_1: FAILED. Command failed"),
        ("TIMEOUT", "Glue run jr_1: TIMEOUT. Command failed"),
        ("SUCCEEDED", "Glue run jr_1: ended without finishing it. Command failed"),
    ],
)
def test_an_errand_whose_run_died_has_failed(maintenance, errands, glue, state, error):
    errand = errands.ask("acme", "rollback", {})
    glue.start_job_run(JobName=JOB, Arguments={"--run": errand.id})

    found = maintenance.ended("acme", ended(state))

    assert (found.state, found.error) == (ErrandState.FAILED, error)


def test_an_errand_that_was_finished_stays_so(maintenance, errands, glue):
    errand = errands.ask("acme", "maintain", {})
    glue.start_job_run(JobName=JOB, Arguments={"--run": errand.id})
    done(errands, errand)

    assert maintenance.ended("acme", ended("SUCCEEDED")).state == ErrandState.DONE


def test_a_run_that_was_started_by_hand_is_nobodys_errand(maintenance, glue):
    glue.start_job_run(JobName=JOB, Arguments={})
    glue.start_job_run(JobName=JOB, Arguments={"--run": "typed-wrong"})

    assert maintenance.ended("acme", ended("FAILED")) is None
    with pytest.raises(NotInLedger, match="typed-wrong"):
        maintenance.ended("acme", ended("FAILED", "jr_2"))
