"""The ledger made anew from S3 alone: the same states, the same lineage, and the table as its newest commit left it."""

import json
from dataclasses import replace

import boto3
import pytest

from glue_scripts.bucket import Bucket
from glue_scripts.errors import ErrandRefused
from glue_scripts.maintenance import metadata
from lineage import graph
from lineage.commits import key_of
from lineage.table import PARTITION_KEY, SORT_KEY
from tests.glue_scripts.conftest import ACCOUNT, BUCKET, DATABASE, LEDGER
from tests.glue_scripts.lake import TENANT, a_plan

pytestmark = [pytest.mark.cloud, pytest.mark.spark]

FIRST, SECOND = "raw_to_processed", "processed_to_analytics"
DEPLOYED = {"tenant", "pointer", "dataset", "dataset_name"}
ONLY_GOOD_AMOUNTS = {"id": "amount.small", "column": "amount", "predicate": "amount < 5", "reason": "'too much'"}


@pytest.mark.parametrize("primary_key", [["id"], pytest.param([], marks=pytest.mark.slow)])
def test_a_lost_ledger_comes_back_the_same_and_a_table_set_back_is_whole_again(lake, primary_key):
    lake = lake(primary_key=primary_key)
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n2,2024-10-20,9\n")
    lake.put("b.csv", "id,at,amount\n3,2024-09-20,3\n")
    lake.flow()
    long_ago = pointer(lake)
    lake.deploy(primary_key=primary_key, rules=[*a_plan("x")["rules"], ONLY_GOOD_AMOUNTS])
    lake.replay("a.csv")
    lake.enter_commits()
    lake.run(SECOND)
    before, rows, snapshots = story(lake), lake.rows("id, amount, _batch, _row"), lake.snapshots()
    assert [row[0] for row in rows] == ["1", "3"]

    lose_the_ledger(lake)
    point(lake, long_ago)
    assert len(lake.rows()) == 3
    rehearsed = rebuilt(lake, dry_run=True)
    assert lake.ledger.files(TENANT, lake.dataset) == []
    result = rebuilt(lake)

    assert (rehearsed["table"], result["table"]) == ("forwarded", "forwarded")
    assert (result["runs"], result["runs_written"], result["files"]) == (4, 4, 2)
    assert lake.rows("id, amount, _batch, _row") == rows
    assert lake.snapshots() == snapshots
    assert story(lake) == before
    again = rebuilt(lake)
    assert (again["table"], again["runs_written"]) == ("kept", 0)
    assert story(lake) == before
    lake.enter_commits()
    assert lake.ledger.waiting(TENANT, lake.dataset, SECOND) == []


@pytest.mark.slow
def test_a_table_that_the_catalog_has_forgotten_is_entered_again_and_goes_on(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    lose_the_ledger(lake)
    boto3.client("glue").delete_table(DatabaseName=DATABASE, Name=lake.dataset)

    assert rebuilt(lake)["table"] == "restored"

    assert lake.rows("id") == [("1",)]
    lake.put("b.csv", "id,at,amount\n2,2024-09-20,2\n")
    lake.flow()
    assert lake.rows("id") == [("1",), ("2",)]


@pytest.mark.slow
def test_a_table_whose_metadata_file_is_gone_moves_to_the_newest(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    point(lake, pointer(lake).replace("metadata/", "metadata/0", 1))

    assert rebuilt(lake)["table"] == "forwarded"

    assert lake.rows("id") == [("1",)]


@pytest.mark.slow
def test_a_table_whose_current_snapshot_is_gone_moves_back_and_what_it_brought_waits_again(lake):
    """As a run leaves it that was about to commit while the table was moved to its metadata, and found it moved."""
    lake = lake(primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    lake.put("b.csv", "id,at,amount\n2,2024-09-20,2\n")
    lake.flow()
    lose_the_ledger(lake)
    newest = metadata.newest(Bucket(name=BUCKET, account=ACCOUNT), lake.dataset)
    lake.s3.delete_object(Bucket=BUCKET, Key=newest.current.removeprefix(f"s3://{BUCKET}/"))

    result = rebuilt(lake)

    assert (result["table"], result["waiting"]) == ("forwarded", 1)
    assert lake.rows("id") == [("1",)]
    lake.run(SECOND)
    assert lake.rows("id") == [("1",), ("2",)]


def test_of_two_metadata_files_that_of_more_commits_is_newer_whatever_the_clocks_of_their_writers_said(lake):
    lake = lake(primary_key=[])
    for number in (1, 2):
        lake.put(f"{number}.csv", f"id,at,amount\n{number},2024-09-20,1\n")
        lake.flow()
    key = pointer(lake).removeprefix(f"s3://{BUCKET}/")
    said = json.loads(lake.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    long_ago = json.dumps(said | {"last-updated-ms": 1}).encode()
    lake.s3.put_object(Bucket=BUCKET, Key=key, Body=long_ago)

    newest = metadata.newest(Bucket(name=BUCKET, account=ACCOUNT), lake.dataset)

    assert newest.location == pointer(lake)


@pytest.mark.slow
def test_a_cut_off_metadata_file_is_passed_over(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    folder = f"analytics-ready/{lake.dataset}/metadata"
    lake.s3.put_object(Bucket=BUCKET, Key=f"{folder}/00009-cut-off.metadata.json", Body=b'{"format-version": 2, "loc')

    assert rebuilt(lake)["table"] == "kept"


@pytest.mark.slow
def test_what_was_not_merged_yet_waits_for_the_second_job_again(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    lake.put("b.csv", "id,at,amount\n2,2024-09-20,2\n")
    lake.run(FIRST)
    lose_the_ledger(lake)

    assert rebuilt(lake)["waiting"] == 1

    assert {name: state[0] for name, state in lake.files().items()} == {"a.csv": "QUERYABLE", "b.csv": "PROCESSED"}
    lake.run(SECOND)
    assert lake.rows("id") == [("1",), ("2",)]
    assert {state[0] for state in lake.files().values()} == {"QUERYABLE"}


@pytest.mark.slow
def test_the_commit_object_of_a_run_that_lost_is_known_and_never_merged(lake, monkeypatch):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.dies(FIRST, monkeypatch)  # its commit object is there
    lake.wait(minutes=10)
    lake.put("b.csv", "id,at,amount\n2,2024-09-20,2\n")
    lake.run(FIRST)  # a batch of both
    mine = [found for found in lake.commits() if found["Key"] == newest_commit(lake)]
    for found in mine:
        lake.receive(found["Key"], found["VersionId"], found["Size"], found["ETag"], SECOND)
    lake.run(SECOND)
    before = lake.rows()
    lose_the_ledger(lake)

    result = rebuilt(lake)

    assert (result["not_counted"], result["waiting"]) == (1, 0)
    assert lake.ledger.waiting(TENANT, lake.dataset, SECOND) == []
    assert lake.rows() == before
    states = sorted(run.state for run in lake.ledger.runs(TENANT, FIRST) if run.dataset == lake.dataset)
    assert states == ["COMPLETED", "FENCED"]


@pytest.mark.slow
def test_batches_whose_snapshots_have_expired_or_were_rolled_back_are_done_nevertheless(lake):
    lake = lake(primary_key=[])
    for number in (1, 2, 3):
        lake.put(f"{number}.csv", f"id,at,amount\n{number},2024-09-20,{number}\n")
        lake.flow()
    second = lake.snapshots()[1].snapshot_id
    lake.errand("rollback", dataset=lake.dataset, snapshot=str(second))
    lake.errand("maintain", dataset=lake.dataset, keep_days=0, keep_snapshots=1)
    assert len(lake.snapshots()) == 1
    before = lake.files()
    lose_the_ledger(lake)

    result = rebuilt(lake)

    assert result["waiting"] == 0
    assert lake.files() == before
    assert lake.rows("id") == [("1",), ("2",)]
    assert rebuilt(lake)["runs_written"] == 0


@pytest.mark.slow
def test_an_unreadable_commit_object_is_named_and_the_others_come_back(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    lake.s3.put_object(Bucket=BUCKET, Key=f"processed/{lake.dataset}/_commits/torn.json", Body=b"{")
    lose_the_ledger(lake)

    result = rebuilt(lake)

    assert len(result["unreadable"]) == 1
    assert result["unreadable"][0].startswith(f"processed/{lake.dataset}/_commits/torn.json: not a commit object")
    assert lake.files()["a.csv"][0] == "QUERYABLE"


def test_a_plain_dataset_comes_back_by_the_copies_that_are_there(lake):
    lake = lake(format="parquet", primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    lake.replay("a.csv")  # the copies of the first batch are gone
    lake.enter_commits()
    lake.run(SECOND)
    before, there = lake.files(), lake.objects("analytics-ready")
    lose_the_ledger(lake)
    glue = boto3.client("glue")
    glue.delete_table(DatabaseName=DATABASE, Name=lake.dataset)

    result = rebuilt(lake)

    assert (result["table"], result["waiting"]) == ("restored", 0)
    assert lake.files() == before
    (partition,) = glue.get_partitions(DatabaseName=DATABASE, TableName=lake.dataset)["Partitions"]
    assert partition["Values"] == ["2024", "09"]
    assert lake.objects("analytics-ready") == there
    assert (rebuilt(lake)["table"], rebuilt(lake)["runs_written"]) == ("kept", 0)


@pytest.mark.slow
def test_a_file_that_brought_no_row_is_not_merged_once_more(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    lake.put("b.csv", "id,at,amount\n,2024-09-20,1\n")
    lake.flow()
    before = lake.files()
    lose_the_ledger(lake)

    assert rebuilt(lake)["waiting"] == 0

    assert lake.files() == before
    assert before["b.csv"][0] == "QUARANTINED"


def test_a_file_that_was_away_for_one_replay_replaces_its_rows_though_the_ledger_was_lost_since(lake):
    lake = lake(primary_key=[])
    key, body = f"raw/{lake.dataset}/a.csv", b"id,at,amount\n1,2024-09-20,1\n"
    etag = lake.s3.put_object(Bucket=BUCKET, Key=key, Body=body)["ETag"]
    lake.receive(key, None, len(body), etag, FIRST)
    lake.flow()
    hidden = lake.s3.delete_object(Bucket=BUCKET, Key=key)
    lake.replay("a.csv")
    lake.enter_commits()
    lake.run(SECOND)
    assert (lake.files()["a.csv"][0], lake.rows("id")) == ("QUARANTINED", [("1",)])

    lose_the_ledger(lake)
    rebuilt(lake)
    lake.s3.delete_object(Bucket=BUCKET, Key=key, VersionId=hidden["VersionId"])
    lake.replay("a.csv", force=False)
    lake.enter_commits()
    lake.run(SECOND)

    assert lake.rows("id") == [("1",)]


@pytest.mark.slow
def test_a_dataset_that_cannot_be_rebuilt_keeps_no_other_waiting_and_is_named(lake, monkeypatch):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    lose_the_ledger(lake)
    sound = metadata.newest

    def torn(bucket, dataset):
        if dataset != lake.dataset:
            raise OSError("torn")
        return sound(bucket, dataset)

    lake.s3.put_object(Bucket=BUCKET, Key="processed/another/_commits/x.json", Body=b"{")
    monkeypatch.setattr(metadata, "newest", torn)

    with pytest.raises(ErrandRefused, match="another: OSError: torn"):
        lake.errand("rebuild")

    assert lake.files()["a.csv"][0] == "QUERYABLE"
    lake.s3.delete_object(Bucket=BUCKET, Key="processed/another/_commits/x.json")


def test_rejected_rows_are_shown_again_by_a_catalog_that_has_forgotten_them(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n2,2024-09-20,x\n")
    lake.flow()
    before = lake.quarantined()
    glue, table = boto3.client("glue"), f"{lake.dataset}_quarantine"
    for partition in glue.get_partitions(DatabaseName=DATABASE, TableName=table)["Partitions"]:
        glue.delete_partition(DatabaseName=DATABASE, TableName=table, PartitionValues=partition["Values"])
    assert lake.quarantined() == []

    rebuilt(lake)

    assert len(before) == 1
    assert lake.quarantined() == before


def lose_the_ledger(lake) -> None:
    """Nothing is left of it but what a deploy writes."""
    dynamodb = boto3.client("dynamodb")
    for page in dynamodb.get_paginator("scan").paginate(TableName=LEDGER):
        for item in page["Items"]:
            if item["kind"]["S"] not in DEPLOYED:
                key = {name: item[name] for name in (PARTITION_KEY, SORT_KEY)}
                dynamodb.delete_item(TableName=LEDGER, Key=key)
    assert lake.ledger.files(TENANT) == []


def story(lake) -> list:
    """What people see of the dataset: its files, its runs, and what was made of each file."""
    files = lake.ledger.files(TENANT, lake.dataset)
    runs = [
        replace(run, heartbeat=None, started=None, ended=None)
        for run in lake.ledger.runs(TENANT)
        if run.dataset == lake.dataset
    ]
    down = [graph.down(lake.ledger, TENANT, f"{file.key}@{file.version}").to_json() for file in files]
    for walk in down:
        for node in walk["nodes"]:
            node.pop("at", None)  # S3 tells when an object was put, not when its event came or its run ended
    return [files, runs, down]


def newest_commit(lake) -> str:
    newest = lake.ledger.runs(TENANT, FIRST)[0]
    return key_of(lake.dataset, newest.batch)


def pointer(lake) -> str:
    """Where the catalog says that the table stands."""
    return boto3.client("glue").get_table(DatabaseName=DATABASE, Name=lake.dataset)["Table"]["Parameters"][
        "metadata_location"
    ]


def point(lake, location: str) -> None:
    """As a catalog that was set back to an earlier state."""
    glue = boto3.client("glue")
    found = glue.get_table(DatabaseName=DATABASE, Name=lake.dataset)["Table"]
    kept = {name: found[name] for name in ("Name", "TableType", "StorageDescriptor")}
    parameters = found["Parameters"] | {"metadata_location": location}
    glue.update_table(DatabaseName=DATABASE, TableInput=kept | {"Parameters": parameters})


def rebuilt(lake, **arguments) -> dict:
    found = lake.errand("rebuild", **arguments)["datasets"]
    return next(one for one in found if one["dataset"] == lake.dataset)
