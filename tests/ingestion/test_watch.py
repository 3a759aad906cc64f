from dataclasses import replace
from datetime import timedelta

import pytest

from ingestion.alerts import Alerts
from ingestion.watch import Watch
from lineage.notices import Notices
from tests.ingestion.builders import Queue, Topics, with_topic
from tests.lineage.builders import ANALYTICS, RAW, a_dataset, a_file, begin, commit_key, enter, process, processed

PLATFORM, OWNER = "arn:lake-dev-alerts", "arn:lake-acme-dev-alerts"


@pytest.fixture
def topics():
    return Topics()


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
def watch(ledger, topics, queue, clock):
    alerts = Alerts(Notices(ledger), topics, topic=PLATFORM, environment="dev")
    return Watch(ledger, alerts, queue, "https://sqs/lake-dev-arrivals-dead", clock=clock)


@pytest.fixture
def acme(ledger):
    return with_topic(ledger, OWNER)


def last(topics: Topics) -> str:
    return topics.published[-1]["Message"]


def fail(ledger, clock, *, times: int = 1, job: str = RAW, error: str = "boom") -> None:
    for _ in range(times):
        ledger.fail(begin(ledger, job=job), error)
        clock.move(minutes=2)


def test_the_fleet_is_looked_at_once_in_ten_minutes(watch, clock):
    assert watch.is_time()
    assert not watch.is_time()
    clock.move(minutes=9)
    assert not watch.is_time()
    clock.move(minutes=1)
    assert watch.is_time()


def test_without_a_ledger_it_is_never_time_and_nothing_breaks(watch, monkeypatch):
    def broken(*args):
        raise RuntimeError("no table")

    monkeypatch.setattr(watch.alerts.notices, "may_tell", broken)

    assert not watch.is_time()


def test_all_is_well_nobody_is_told(watch, ledger, acme, topics):
    ledger.receive(a_file(), RAW)
    process(ledger)

    watch.look([acme])

    assert topics.published == []


def test_a_failed_batch_is_told_with_its_error_and_its_run(watch, ledger, acme, topics, clock):
    ledger.receive(a_file("a.csv"), RAW)
    ledger.receive(a_file("b.csv"), RAW)
    run = begin(ledger)
    ledger.fail(run, "No space left on device")

    watch.failures(acme)

    assert (topics.told(PLATFORM), topics.told(OWNER)) == (["batch_failed"], ["batch_failed"])
    lines = last(topics).splitlines()
    assert "reason: No space left on device" in lines
    assert any(line.startswith("file: raw/sales/") and line.endswith("(and 1 more)") for line in lines)
    assert lines[-1] == f"lake runs acme --logs {run.run} -e dev"


def test_the_attempts_of_one_batch_are_one_alert(watch, ledger, acme, topics, clock):
    ledger.receive(a_file("a.csv"), RAW)
    ledger.receive(a_file("b.csv"), RAW)
    for _ in range(3):
        fail(ledger, clock)
        watch.failures(acme)

    assert topics.told(OWNER) == ["batch_failed"]


def test_a_file_that_is_given_up_is_told_with_the_command_that_tries_it_again(watch, ledger, acme, topics, clock):
    ledger.receive(a_file("a.csv"), RAW)
    for _ in range(3):
        fail(ledger, clock, error="boom")
        watch.failures(acme)

    assert topics.told(OWNER) == ["batch_failed", "file_quarantined"]
    assert "reason: boom" in last(topics).splitlines()
    assert last(topics).splitlines()[-1] == "lake replay acme --file raw/sales/a.csv -e dev"


def test_the_halves_of_a_batch_are_silent_until_the_file_is_found(watch, ledger, acme, topics, clock):
    for name in ("a.csv", "b.csv", "c.csv", "d.csv"):
        ledger.receive(a_file(name), RAW)
    poison = next(one.id for one in ledger.waiting("acme", "sales", RAW) if one.key.endswith("c.csv"))
    for _ in range(30):
        waiting = ledger.waiting("acme", "sales", RAW)
        if not waiting:
            break
        group = [one for one in waiting if one.group == waiting[0].group]
        run = ledger.take("acme", RAW, ledger.begin("acme", RAW, "sales", group), "jr_1")
        if poison in {member.id for member in run.members}:
            ledger.fail(run, "c.csv is no CSV")
        else:
            ledger.commit(run, processed(run))
            ledger.finalise(run)
        watch.failures(acme)
        clock.move(minutes=2)

    assert topics.told(OWNER) == ["batch_failed", "file_quarantined"]
    assert "file: raw/sales/c.csv" in last(topics).splitlines()


def test_a_commit_object_that_is_given_up_leads_to_a_replay_of_its_files(watch, ledger, acme, topics, clock):
    ledger.receive(a_file(), RAW)
    made = process(ledger)
    fail(ledger, clock, times=3, job=ANALYTICS)

    watch.failures(acme)

    assert topics.told(OWNER)[-1] == "file_quarantined"
    assert f"file: {commit_key(made)}" in last(topics).splitlines()
    assert last(topics).splitlines()[-1] == f"lake replay acme --file {commit_key(made)} -e dev"


def test_that_glue_was_busy_is_no_failure(watch, ledger, acme, topics):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    ledger.fail(run, "could not be started: An error occurred (ThrottlingException)", counts=False)

    watch.failures(acme)

    assert topics.published == []


def test_a_run_that_was_fenced_has_failed_too(watch, ledger, acme, topics, clock):
    ledger.receive(a_file(), RAW)
    begin(ledger)
    clock.move(minutes=6)
    ledger.recover()

    watch.failures(acme)

    assert "reason: no sign of life since" in last(topics)


def test_what_failed_long_ago_is_not_told_any_more(watch, ledger, acme, topics, clock):
    ledger.receive(a_file(), RAW)
    fail(ledger, clock)
    clock.move(minutes=31)

    watch.failures(acme)

    assert topics.published == []


def test_a_file_of_which_no_row_could_be_used_is_told_with_the_reason(watch, ledger, acme, topics):
    ledger.receive(a_file("a.csv"), RAW)
    ledger.receive(a_file("b.csv"), RAW)
    run = process(ledger, rows=0, reason="the header lacks amount")

    watch.refusals(acme, RAW, run.glue_run)
    watch.refusals(acme, RAW, run.glue_run)

    assert topics.told(OWNER) == ["file_quarantined"]
    assert topics.published[0]["Subject"] == "[dev] acme: no row could be used of 2 files of sales"
    lines = last(topics).splitlines()
    assert "reason: the header lacks amount" in lines
    assert lines[-1] == "lake files acme --dataset sales --state QUARANTINED -e dev"


def test_a_file_with_some_bad_rows_is_no_alert(watch, ledger, acme, topics):
    ledger.receive(a_file(), RAW)
    run = process(ledger, rows=5, rejected=2, reason="2 of 7 rows rejected")

    watch.refusals(acme, RAW, run.glue_run)

    assert topics.published == []


def test_a_file_that_waits_longer_than_an_hour_is_told(watch, ledger, acme, topics, clock):
    ledger.receive(a_file(), RAW)  # 11:59
    clock.move(minutes=58)
    watch.look([acme])
    assert topics.published == []

    clock.move(minutes=1)
    watch.look([acme])
    watch.look([acme])
    assert topics.told(OWNER) == ["waiting_too_long"]
    assert (
        "reason: the oldest arrived 2024-09-20 11:59 UTC; no run of it is open; the log of dispatch says why none "
        "was started"
    ) in last(topics).splitlines()


def test_a_dataset_that_may_wait_has_three_times_that(watch, ledger, acme, topics, clock):
    ledger.put_dataset(a_dataset(max_wait_s=3600))
    ledger.receive(a_file(), RAW)
    clock.move(hours=2, minutes=58)
    watch.look([acme])
    assert topics.published == []

    clock.move(minutes=1)
    watch.look([acme])
    assert topics.told(OWNER) == ["waiting_too_long"]


def test_a_dataset_on_schedule_is_late_an_hour_after_it_was_due(watch, ledger, acme, topics, clock):
    ledger.put_dataset(a_dataset(schedule={"rate_s": 86400}))
    ledger.receive(a_file(), RAW)
    clock.move(hours=12, minutes=59)  # 00:59
    watch.look([acme])
    assert topics.published == []

    clock.move(minutes=1)
    watch.look([acme])
    assert topics.told(OWNER) == ["waiting_too_long"]


def test_a_commit_object_waits_by_no_schedule(watch, ledger, acme, topics, clock):
    ledger.put_dataset(a_dataset(schedule={"rate_s": 86400}))
    ledger.receive(a_file(), RAW)
    process(ledger)
    clock.move(hours=1)

    watch.look([acme])

    assert topics.told(OWNER) == ["waiting_too_long"]
    assert "files of sales wait too long for processed_to_analytics" in topics.published[0]["Subject"]


def test_a_file_that_is_tried_again_waits_from_then_on(watch, ledger, acme, topics, clock):
    ledger.receive(a_file(), RAW)
    clock.move(minutes=50)
    fail(ledger, clock)
    topics.published.clear()
    clock.move(minutes=20)

    watch.look([acme])

    assert topics.told(OWNER) == ["batch_failed"]


def test_it_says_which_run_is_in_the_way(watch, ledger, acme, topics, clock):
    ledger.receive(a_file("a.csv"), RAW)
    run = begin(ledger)
    ledger.receive(a_file("b.csv"), RAW)
    clock.move(hours=1)
    ledger.heartbeat(run)

    watch.look([acme])

    assert f"run {run.run} works on this dataset since 2024-09-20 12:00 UTC" in last(topics)


def test_it_says_when_the_tenants_places_are_taken(watch, ledger, topics, clock):
    enter(ledger, "acme", max_in_flight=1)
    acme = with_topic(ledger, OWNER)
    ledger.put_dataset(a_dataset(dataset="flights"))
    ledger.receive(a_file("a.csv"), RAW)
    begin(ledger)
    ledger.receive(a_file(key="raw/flights/f.csv", dataset="flights"), RAW)
    clock.move(hours=1)

    watch.look([acme])

    assert "1 runs of the tenant are open, its tier lets 1 run at a time" in last(topics)


def test_dead_letters_are_told_to_the_platform(watch, acme, topics, queue):
    queue.depth = 3

    watch.look([acme])

    assert (topics.told(PLATFORM), topics.told(OWNER)) == (["dead_letters"], [])


def test_one_tenant_that_cannot_be_read_does_not_hide_the_others(watch, ledger, acme, topics, clock):
    enter(ledger, "skyline")
    ledger.receive(a_file(tenant="skyline"), RAW)
    clock.move(hours=1)

    watch.look([replace(acme, tenant="nobody", jobs={"no_such_job": "x"}), ledger.tenant("skyline")])

    assert topics.told(PLATFORM) == ["waiting_too_long"]


def test_a_queue_that_does_not_answer_breaks_nothing(watch, acme, queue, monkeypatch, capsys):
    def broken(**request):
        raise RuntimeError("AccessDenied")

    monkeypatch.setattr(queue, "get_queue_attributes", broken)

    watch.look([acme])

    assert "not_watched" in capsys.readouterr().out


def test_thousands_of_alerts_are_not_sent_for_one_thing(watch, ledger, acme, topics, clock):
    ledger.receive(a_file(), RAW)
    clock.move(hours=2)
    for _ in range(100):
        watch.look([acme])
        clock.move(seconds=timedelta(minutes=10).total_seconds())

    assert topics.told(OWNER) == ["waiting_too_long"]
