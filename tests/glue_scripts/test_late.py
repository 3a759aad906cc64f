"""Runs that wake up after others have done their work: what they write must not become part of the table."""

from contextlib import contextmanager
from decimal import Decimal

import pytest

from glue_scripts import processed_to_analytics
from glue_scripts.job_run import JobRun
from tests.glue_scripts.conftest import DATABASE
from tests.glue_scripts.lake import cut_off

pytestmark = [pytest.mark.cloud, pytest.mark.spark]

SECOND = "processed_to_analytics"
TWO_BODIES = b"id,at,amount\n1,2024-09-20,1\n", b"id,at,amount\n1,2024-09-20,2\n"


ONLY_GOOD_AMOUNTS = {"id": "amount.small", "column": "amount", "predicate": "amount < 1", "reason": "'too much'"}


def sleep_and_be_replaced(lake, monkeypatch, afterwards):
    """The next run of the second job sleeps before its write; meanwhile it is fenced, and another does its work.

    `afterwards` is what happens before it wakes. Both see the table as processes of their own do.
    """
    elsewhere = _other_process(lake.spark)
    is_ours, asleep = JobRun.still_ours, iter([True])

    def still_ours(job):
        is_ours(job)
        if next(asleep, False):
            lake.wait(minutes=10)
            lake.ledger.recover()
            lake.wait(minutes=10)
            with monkeypatch.context() as patch:
                patch.setattr(processed_to_analytics, "session", _given(elsewhere))
                lake.run(SECOND)
                afterwards(elsewhere)

    monkeypatch.setattr(JobRun, "still_ours", still_ours)


def _other_process(spark):
    """A session with a catalog, and therefore a memory of tables, of its own."""
    other = spark.newSession()
    for name in ("glue.endpoint", "s3.endpoint", "s3.path-style-access", "client.region"):
        other.conf.set(f"spark.sql.catalog.lake.{name}", spark.conf.get(f"spark.sql.catalog.lake.{name}"))
    return other


def _given(session):
    @contextmanager
    def given(*_):
        yield session

    return given


@pytest.mark.parametrize("primary_key", [["id"], pytest.param([], marks=pytest.mark.slow)])
@pytest.mark.parametrize("first", [False, True])
def test_a_run_that_slept_while_another_took_its_place_writes_nothing(lake, monkeypatch, primary_key, first):
    lake = lake(primary_key=primary_key)
    if not first:
        lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
        lake.flow()
    lake.put("b.csv", "id,at,amount\n2,2024-09-20,2\n3,2024-09-20,3\n")
    lake.run("raw_to_processed")
    lake.enter_commits()
    table = f"lake.{DATABASE}.{lake.dataset}"
    sleep_and_be_replaced(lake, monkeypatch, lambda other: other.sql(f"DELETE FROM {table} WHERE id = '3'"))

    lake.run(SECOND)

    assert lake.rows() == [("1", Decimal(1)), ("2", Decimal(2))][first:]


def test_a_run_that_slept_with_the_older_of_two_versions_of_one_second_leaves_the_newer_one(lake, monkeypatch):
    lake = lake()
    older, newer = lake.put_in_one_second("a.csv", TWO_BODIES)

    def the_newer_is_merged(_):
        newer()
        lake.flow()

    older()
    lake.run("raw_to_processed")
    lake.enter_commits()
    sleep_and_be_replaced(lake, monkeypatch, the_newer_is_merged)

    lake.run(SECOND)

    assert lake.rows() == [("1", Decimal(2))]


@pytest.mark.parametrize("rules", [pytest.param(None, marks=pytest.mark.slow), [ONLY_GOOD_AMOUNTS]])
def test_plain_files_of_a_run_that_slept_while_they_were_replayed_are_not_there_beside_the_new_ones(
    lake, monkeypatch, rules
):
    lake = lake(format="parquet", primary_key=[])
    there = put_back_what_was_replayed(lake, monkeypatch, rules)

    lake.run(SECOND)

    assert lake.objects("analytics-ready") == there.pop()


def test_plain_files_that_a_run_put_back_that_died_are_removed_by_upkeep(lake, monkeypatch):
    lake = lake(format="parquet", primary_key=[])
    there = put_back_what_was_replayed(lake, monkeypatch, None)
    with monkeypatch.context() as patch:
        patch.setattr("glue_scripts.plain_table.outdated", cut_off)
        with pytest.raises(ConnectionError):
            lake.run(SECOND)
    (new,) = there.pop()
    assert len(lake.objects("analytics-ready")) == 2
    assert new in lake.objects("analytics-ready")

    rehearsed = lake.errand("maintain", dataset=lake.dataset, dry_run=True)
    assert len(lake.objects("analytics-ready")) == 2
    done = lake.errand("maintain", dataset=lake.dataset)

    assert [result["datasets"][0]["outdated_removed"] for result in (rehearsed, done)] == [1, 1]
    assert lake.objects("analytics-ready") == [new]


def put_back_what_was_replayed(lake, monkeypatch, rules) -> list[list[str]]:
    """The next run of the second job sleeps before it copies; what is there when it wakes is told."""
    there = []

    def it_is_replayed(_):
        if rules:
            lake.deploy(format="parquet", primary_key=[], rules=rules)
        lake.replay("a.csv")
        lake.enter_commits()
        lake.run(SECOND)
        there.append(lake.objects("analytics-ready"))

    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.run("raw_to_processed")
    lake.enter_commits()
    sleep_and_be_replaced(lake, monkeypatch, it_is_replayed)
    return there
