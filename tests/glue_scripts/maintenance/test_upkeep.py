"""Tables kept in shape: fewer files, fewer snapshots, no leftovers; the same rows as before, batch by batch."""

from datetime import timedelta
from decimal import Decimal

import pytest

from glue_scripts.maintenance import orphans, upkeep
from tests.glue_scripts.conftest import BUCKET

pytestmark = [pytest.mark.cloud, pytest.mark.spark]

SECOND = "processed_to_analytics"
ROWS = "id, amount, _batch, _row, _source_file"
NOTHING_KEPT = {"keep_days": 0, "keep_snapshots": 1}


@pytest.fixture
def lake(lake, monkeypatch):
    monkeypatch.setattr(upkeep, "SMALL_FILES", 2)
    return lake


def two_files(lake, **plan):
    made = lake(primary_key=[], **plan)
    for number in (1, 2):
        made.put(f"{number}.csv", f"id,at,amount\n{number},2024-09-20,{number}\n")
        made.flow()
    return made


def maintained(lake, **arguments) -> dict:
    (result,) = lake.errand("maintain", dataset=lake.dataset, **arguments)["datasets"]
    return result


@pytest.mark.slow
def test_compaction_keeps_every_row_with_the_batch_that_brought_it_and_a_replay_still_finds_it(lake):
    lake = two_files(lake)
    before = lake.rows(ROWS)

    rehearsed = maintained(lake, dry_run=True)
    assert len(lake.snapshots()) == 2
    result = maintained(lake)

    assert (result["files_before"], result["files_after"]) == (2, 1)
    assert rehearsed["files_after"] == 1
    assert lake.rows(ROWS) == before
    summary = lake.snapshots()[-1].summary
    assert summary["lake.task"] == "maintain"
    assert "lake.batch" not in summary
    lake.replay("1.csv")
    lake.enter_commits()
    lake.run(SECOND)
    assert lake.rows() == [("1", Decimal(1)), ("2", Decimal(2))]
    assert maintained(lake)["files_after"] == 1


def test_old_snapshots_go_but_never_those_that_an_unsettled_batch_is_looked_for_in(lake, monkeypatch):
    lake = lake(primary_key=[])
    lake.put("1.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    lake.put("2.csv", "id,at,amount\n2,2024-09-20,2\n")
    lake.run("raw_to_processed")
    lake.enter_commits()
    lake.dies(SECOND, monkeypatch)  # in the table, and the ledger does not know
    unsettled = lake.snapshots()[-1].snapshot_id

    maintained(lake, **NOTHING_KEPT)

    assert unsettled in {kept.snapshot_id for kept in lake.snapshots()}
    lake.wait(minutes=10)
    lake.run(SECOND)
    assert lake.rows("id") == [("1",), ("2",)]
    before = len(lake.snapshots())
    assert maintained(lake, **NOTHING_KEPT)["snapshots_expired"] == before - 1
    assert len(lake.snapshots()) == 1
    assert lake.rows("id") == [("1",), ("2",)]


def test_only_leftovers_of_this_table_that_are_past_their_grace_are_removed(lake, monkeypatch):
    lake = two_files(lake)
    root = f"analytics-ready/{lake.dataset}"
    part = "year=2024/month=09/00000-7-0f8f7a5c-5d3e-4f1c-9a50-3b8f7a5c5d3e-0-00001.parquet"
    ours = [f"{root}/{part}", f"{root}/metadata/00009-0f8f7a5c-5d3e-4f1c-9a50-3b8f7a5c5d3e.metadata.json"]
    others = [f"{root}/notes.txt", f"{root}_2/{part}", f"{root}/year=2024/month=09/by-hand.parquet"]
    for key in (*ours, *others):
        lake.s3.put_object(Bucket=BUCKET, Key=key, Body=b"left over")

    assert maintained(lake)["orphans_removed"] == 0
    monkeypatch.setattr(orphans, "GRACE", timedelta(seconds=-5))  # five seconds from now is past it
    result = maintained(lake)

    assert result["orphans_removed"] == len(ours)
    there = {found["Key"] for found in lake.s3.list_objects_v2(Bucket=BUCKET, Prefix=root)["Contents"]}
    assert not there & set(ours)
    assert there >= set(others)
    assert lake.rows("id") == [("1",), ("2",)]
    first = lake.snapshots()[0].snapshot_id
    table = f"lake.mycompany_acme_local.{lake.dataset}"
    assert lake.spark.sql(f"SELECT id FROM {table} VERSION AS OF {first}").collect() == [("1",)]


def test_what_has_no_snapshots_or_no_rows_is_said_and_left_alone(lake):
    assert maintained(lake())["note"] == "no rows yet"


def test_a_plain_dataset_is_append_only(lake):
    assert "append-only" in maintained(lake(format="parquet", primary_key=[]))["note"]


@pytest.mark.slow
def test_one_broken_dataset_keeps_no_other_waiting_and_the_errand_says_which(lake, monkeypatch):
    lake = lake()
    monkeypatch.setattr(upkeep, "_maintain", broken)

    with pytest.raises(Exception, match=rf"{lake.dataset}: .*no such bucket"):
        maintained(lake)


def broken(*_):
    raise OSError("no such bucket")
