"""Files that are done again: their new rows take the place of the old ones, in one commit."""

from decimal import Decimal

import pytest

from glue_scripts import processed_to_analytics
from glue_scripts.errors import TableUnfit
from lineage.replays import Replays
from tests.glue_scripts.conftest import BUCKET
from tests.glue_scripts.lake import TENANT, a_plan, cut_off

pytestmark = [pytest.mark.cloud, pytest.mark.spark]

FIRST, SECOND = "raw_to_processed", "processed_to_analytics"
ONLY_GOOD_AMOUNTS = {"id": "amount.small", "column": "amount", "predicate": "amount < 5", "reason": "'too much'"}


def merged(lake) -> None:
    lake.enter_commits()
    lake.run(SECOND)


@pytest.mark.parametrize("primary_key", [["id"], pytest.param([], marks=pytest.mark.slow)])
def test_rows_that_the_new_contract_refuses_go_and_the_others_come_again(lake, primary_key):
    lake = lake(primary_key=primary_key)
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n2,2024-10-20,9\n")
    lake.put("b.csv", "id,at,amount\n3,2024-09-20,3\n4,2024-09-20,9\n")
    lake.flow()
    lake.deploy(primary_key=primary_key, rules=[*a_plan("x")["rules"], ONLY_GOOD_AMOUNTS])

    lake.replay("a.csv")
    assert lake.rows("id") == [("1",), ("2",), ("3",), ("4",)]  # until the second job has merged it
    merged(lake)

    assert lake.rows("id, _source_file") == [
        ("1", f"raw/{lake.dataset}/a.csv"),
        ("3", f"raw/{lake.dataset}/b.csv"),
        ("4", f"raw/{lake.dataset}/b.csv"),  # of a file that was not replayed
    ]
    assert lake.files()["a.csv"] == ("QUERYABLE", 1, 1, "1 of 2 rows rejected; the first: too much")
    assert len(lake.snapshots()) == 2


@pytest.mark.parametrize("primary_key", [["id"], pytest.param([], marks=pytest.mark.slow)])
def test_a_file_of_which_nothing_is_right_any_more_leaves_no_row(lake, primary_key):
    lake = lake(primary_key=primary_key)
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,9\n")
    lake.put("b.csv", "id,at,amount\n2,2024-09-20,2\n")
    lake.flow()
    lake.deploy(primary_key=primary_key, rules=[ONLY_GOOD_AMOUNTS])

    lake.replay("a.csv")
    merged(lake)

    assert lake.rows("id") == [("2",)]
    assert lake.files()["a.csv"][0] == "QUARANTINED"


@pytest.mark.slow
@pytest.mark.parametrize("primary_key", [["id"], pytest.param([], marks=pytest.mark.slow)])
def test_a_replay_of_a_replay_replaces_both(lake, primary_key):
    lake = lake(primary_key=primary_key)
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n1,2024-09-20,2\n"[: 100 if primary_key else 28])
    lake.flow()

    for _ in range(2):
        lake.replay("a.csv")
        merged(lake)

    assert lake.rows("count(*)") == [(1,)]


@pytest.mark.slow
def test_a_replayed_row_takes_the_place_of_its_former_self_though_it_is_older_now(lake):
    lake = lake(version_column="at")
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    columns = [
        column | ({"expression": "TIMESTAMP '2020-01-01'"} if column["name"] == "at" else {})
        for column in a_plan("x")["columns"]
    ]
    lake.deploy(version_column="at", columns=columns)

    lake.replay("a.csv")
    merged(lake)

    assert lake.rows("id, year(at), year") == [("1", 2020, 2020)]


def test_a_replay_of_an_older_file_does_not_overwrite_a_newer_one(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n2,2024-09-20,1\n")
    lake.flow()
    lake.put("b.csv", "id,at,amount\n1,2024-09-20,2\n")
    lake.flow()

    lake.replay("a.csv")
    merged(lake)

    assert lake.rows() == [("1", Decimal(2)), ("2", Decimal(1))]


@pytest.mark.slow
def test_of_two_versions_of_a_file_in_one_batch_only_the_replayed_one_gives_way(lake):
    lake = lake(primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.put("a.csv", "id,at,amount\n2,2024-09-20,9\n")
    lake.flow()
    lake.deploy(primary_key=[], rules=[ONLY_GOOD_AMOUNTS])
    newest = lake.s3.head_object(Bucket=BUCKET, Key=f"raw/{lake.dataset}/a.csv")["VersionId"]

    lake.replay("a.csv", version=newest)
    merged(lake)

    assert lake.rows("id") == [("1",)]


@pytest.mark.slow
def test_rows_are_replaced_though_the_old_commit_object_has_expired(lake):
    lake = lake(primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.put("b.csv", "id,at,amount\n2,2024-09-20,2\n")
    lake.flow()
    (old,) = lake.commits()
    lake.s3.delete_object(Bucket=BUCKET, Key=old["Key"])

    lake.replay("a.csv")
    merged(lake)

    assert lake.rows() == [("1", Decimal(1)), ("2", Decimal(2))]


def test_of_two_versions_of_one_second_whose_commit_object_expired_only_the_replayed_one_goes(lake):
    lake = lake(primary_key=[])
    bodies = b"id,at,amount\n1,2024-09-20,1\n", b"id,at,amount\n2,2024-09-20,9\n"
    for arrives in lake.put_in_one_second("a.csv", bodies):
        arrives()
    lake.flow()
    lake.deploy(primary_key=[], rules=[ONLY_GOOD_AMOUNTS])
    (old,) = lake.commits()
    lake.s3.delete_object(Bucket=BUCKET, Key=old["Key"])
    newest = lake.s3.head_object(Bucket=BUCKET, Key=f"raw/{lake.dataset}/a.csv")["VersionId"]

    lake.replay("a.csv", version=newest)
    merged(lake)

    assert lake.rows("id") == [("1",)]


@pytest.mark.slow
def test_a_file_that_is_no_longer_there_keeps_the_rows_that_it_has_brought(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    gone = lake.s3.list_object_versions(Bucket=BUCKET, Prefix=f"raw/{lake.dataset}/")["Versions"][0]
    lake.s3.delete_object(Bucket=BUCKET, Key=gone["Key"], VersionId=gone["VersionId"])

    lake.replay("a.csv")
    merged(lake)

    assert lake.rows() == [("1", Decimal(1))]
    reason = "the file is no longer in the bucket; the rows that it has brought before stay"
    assert lake.files()["a.csv"] == ("QUARANTINED", 0, 0, reason)


def test_a_file_whose_rows_never_came_into_the_table_does_not_say_that_they_stay(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.run(FIRST)
    lake.enter_commits()
    for _ in range(3):
        lake.ledger.fail(lake.ledger.take(TENANT, SECOND, lake.begin(SECOND), "jr_2"), "no such column")
        lake.wait(minutes=10)
    gone = lake.s3.list_object_versions(Bucket=BUCKET, Prefix=f"raw/{lake.dataset}/")["Versions"][0]
    lake.s3.delete_object(Bucket=BUCKET, Key=gone["Key"], VersionId=gone["VersionId"])

    lake.replay("a.csv")

    assert lake.files()["a.csv"] == ("QUARANTINED", 0, 0, "the file is no longer in the bucket")


def test_a_replay_that_dies_after_its_commit_to_the_table_is_not_merged_twice(lake, monkeypatch):
    lake = lake(primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    lake.replay("a.csv")
    lake.enter_commits()
    lake.dies(SECOND, monkeypatch)

    lake.wait(minutes=10)
    lake.run(SECOND)

    assert lake.rows() == [("1", Decimal(1))]
    assert len(lake.snapshots()) == 2


def test_a_batch_that_failed_and_is_merged_after_its_file_was_replayed_brings_nothing_of_that_file(lake, monkeypatch):
    lake = lake(primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.put("b.csv", "id,at,amount\n2,2024-09-20,2\n")
    lake.run(FIRST)
    lake.enter_commits()
    with monkeypatch.context() as patch:
        patch.setattr(processed_to_analytics, "merge", cut_off)
        for _ in range(3):
            with pytest.raises(ConnectionError):
                lake.run(SECOND)
            lake.wait(minutes=10)
    assert lake.files()["a.csv"][0] == "FAILED"
    lake.replay("a.csv")
    merged(lake)
    assert lake.rows("id") == [("1",)]

    lake.replay("b.csv", force=False, job=SECOND)  # of which the first job has made what it would make today

    assert lake.rows() == [("1", Decimal(1)), ("2", Decimal(2))]


def test_plain_parquet_is_replaced_by_whole_batches_only(lake):
    lake = lake(format="parquet", primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n2,2024-10-20,2\n")
    lake.flow()
    old = lake.objects("analytics-ready")

    lake.replay("a.csv")
    merged(lake)

    new = lake.objects("analytics-ready")
    assert len(old) == len(new) == 2
    assert not set(old) & set(new)


def test_plain_parquet_refuses_a_replay_of_some_of_a_batchs_files(lake, monkeypatch):
    lake = lake(format="parquet", primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.put("b.csv", "id,at,amount\n2,2024-09-20,2\n")
    lake.flow()
    old = lake.objects("analytics-ready")
    monkeypatch.setattr("lineage.values.DatasetEntry.is_plain", False)  # as where the table was Iceberg's until now

    with pytest.raises(TableUnfit, match=r"append-only: .* leaves out 1, the first: raw/.*/b\.csv"):
        lake.replay("a.csv")

    assert lake.objects("analytics-ready") == old


def test_plain_parquet_whose_file_is_gone_keeps_its_rows_and_the_run_names_the_file(lake):
    lake = lake(format="parquet", primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.put("b.csv", "id,at,amount\n2,2024-09-20,2\n")
    lake.flow()
    old, commits = lake.objects("analytics-ready"), lake.commits()
    gone = lake.s3.list_object_versions(Bucket=BUCKET, Prefix=f"raw/{lake.dataset}/b.csv")["Versions"][0]
    lake.s3.delete_object(Bucket=BUCKET, Key=gone["Key"], VersionId=gone["VersionId"])
    replays = Replays(lake.ledger)
    replays.replay(replays.plan(TENANT, dataset=lake.dataset, force=True))

    with pytest.raises(TableUnfit, match=r"^raw/.*/b\.csv: no longer in the bucket. .* append-only"):
        lake.run(FIRST)

    assert lake.commits() == commits
    assert lake.objects("analytics-ready") == old


@pytest.mark.slow
def test_plain_parquet_that_was_replayed_is_not_published_again_though_its_batch_waits_again(lake):
    lake = lake(format="parquet", primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    (old,) = lake.commits()
    lake.replay("a.csv")
    merged(lake)
    there = lake.objects("analytics-ready")
    assert len(there) == 1

    lake.forget_the_merge_of(old["Key"])  # as in a ledger that was written anew from S3, where its copies are gone
    lake.enter_commits()
    lake.run(SECOND)

    assert lake.objects("analytics-ready") == there
