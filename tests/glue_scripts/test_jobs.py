"""Both jobs, as they are run, over a real S3, Glue and DynamoDB look-alike."""

import gzip
import hashlib
import io
import json
from datetime import datetime
from decimal import Decimal

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glue_scripts import raw_to_processed
from glue_scripts.commit_object import CommitObject
from glue_scripts.errors import TableUnfit
from tests.glue_scripts.conftest import BUCKET, DATABASE
from tests.glue_scripts.lake import TENANT, a_plan, cut_off

pytestmark = [pytest.mark.cloud, pytest.mark.spark]

TWO_BODIES = (b"id,at,amount\n1,2024-09-20,1\n", b"id,at,amount\n1,2024-09-20,2\n")


def _blind_once(function):
    """Finds nothing at the first look."""
    answers = [None]
    return lambda *args: answers.pop() if answers else function(*args)


def test_files_of_every_format_become_rows_of_one_table(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20 10:00:00,1.10\n")
    lake.put("b.csv.gz", gzip.compress(b"amount,id,at\n2.20,2,2024-10-01\n"))
    lake.put("c.json", '[{"id": 3, "at": "2024-09-21", "amount": 3.30}]')
    lake.put("d.ndjson", '{"id": 4, "at": "2024-09-21", "amount": 4.40}\n')
    body = io.BytesIO()
    pq.write_table(pa.table({"id": ["5"], "at": [datetime(2024, 9, 21)], "amount": [Decimal("5.50")]}), body)
    lake.put("e.parquet", body.getvalue())

    lake.flow()

    assert lake.rows("id, amount, double, year, month") == [
        ("1", Decimal("1.10"), Decimal("2.20"), 2024, "09"),
        ("2", Decimal("2.20"), Decimal("4.40"), 2024, "10"),
        ("3", Decimal("3.30"), Decimal("6.60"), 2024, "09"),
        ("4", Decimal("4.40"), Decimal("8.80"), 2024, "09"),
        ("5", Decimal("5.50"), Decimal("11.00"), 2024, "09"),
    ]
    assert {state for state, *_ in lake.files().values()} == {"QUERYABLE"}
    assert {key.rsplit("/", 1)[0] for key in lake.objects("analytics-ready") if key.endswith(".parquet")} == {
        f"analytics-ready/{lake.dataset}/year=2024/month=09",
        f"analytics-ready/{lake.dataset}/year=2024/month=10",
    }


def test_what_is_malformed_goes_to_quarantine_and_the_rest_goes_on(lake):
    lake = lake()
    lake.put("good.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.put("partly.csv", "id,at,amount\n2,2024-09-20,2\n,2024-09-20,x\n3,2024-09-20\n")
    lake.put("hopeless.csv", "id,at,amount\n4,2024-09-20,four\n")
    lake.put("empty.csv", "")
    lake.put("other.csv", "nr;at\n1;2\n")
    lake.put("cut.csv.gz", gzip.compress(b"id,at,amount\n5,2024-09-20,5\n")[:-10])

    lake.flow()

    assert lake.rows() == [("1", Decimal(1)), ("2", Decimal(2))]
    assert lake.files() == {
        "good.csv": ("QUERYABLE", 1, 0, None),
        "partly.csv": ("QUERYABLE", 1, 2, "2 of 3 rows rejected; the first: id is missing"),
        "hopeless.csv": ("QUARANTINED", 0, 1, "all 1 rows rejected; the first: amount: four is no decimal"),
        "empty.csv": ("QUARANTINED", 0, 0, "the file is empty"),
        "other.csv": ("QUARANTINED", 0, 0, "the header lacks id; it has: nr;at"),
        "cut.csv.gz": ("QUARANTINED", 0, 0, "the gzip stream ends too early: the file was cut off"),
    }
    rejected = {(row["file"].rsplit("/", 1)[1], tuple(row["reasons"]), row["record"]) for row in lake.quarantined()}
    assert rejected == {
        ("partly.csv", ("id is missing", "amount: x is no decimal"), '{"at":"2024-09-20","amount":"x"}'),
        ("partly.csv", ("2 fields where the header has 3",), "3,2024-09-20"),
        ("hopeless.csv", ("amount: four is no decimal",), '{"id":"4","at":"2024-09-20","amount":"four"}'),
        ("empty.csv", ("the file is empty",), None),
        ("other.csv", ("the header lacks id; it has: nr;at",), None),
        ("cut.csv.gz", ("the gzip stream ends too early: the file was cut off",), None),
    }


def test_a_file_that_breaks_its_reader_costs_only_itself(lake):
    lake = lake()
    ids = pa.array(["7"])
    doubled = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([ids, ids], ["id", "id"]), doubled)
    lake.put("doubled.parquet", doubled.getvalue())
    lake.put("good.csv", "id,at,amount\n1,2024-09-20,1\n")

    lake.flow()

    assert lake.rows() == [("1", Decimal(1))]
    assert {name: facts[0] for name, facts in lake.files().items()} == {
        "doubled.parquet": "QUARANTINED",
        "good.csv": "QUERYABLE",
    }


def test_dates_of_long_ago_go_through(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,0001-01-01,1\n2,1582-10-10,2\n3,2024-09-20,3\n")

    lake.flow()

    assert lake.rows("id, year(at)") == [("1", 1), ("2", 1582), ("3", 2024)]


def test_of_two_puts_in_one_second_the_later_one_wins(lake):
    lake = lake()
    older, newer = lake.put_in_one_second("a.csv", TWO_BODIES)

    newer()
    older()
    lake.flow()

    assert lake.rows() == [("1", Decimal(2))]


@pytest.mark.parametrize("order", [pytest.param((0, 1), marks=pytest.mark.slow), (1, 0)])
def test_of_two_puts_in_one_second_the_later_one_wins_though_they_come_in_two_batches(lake, order):
    lake = lake()
    arrivals = lake.put_in_one_second("a.csv", TWO_BODIES)

    for number in order:
        arrivals[number]()
        lake.flow()

    assert lake.rows() == [("1", Decimal(2))]


def test_a_table_without_sequencers_gets_them_and_its_rows_are_older(lake):
    lake = lake()
    older, newer = lake.put_in_one_second("a.csv", TWO_BODIES)
    older()
    lake.flow()
    lake.spark.sql(f"ALTER TABLE lake.{DATABASE}.{lake.dataset} DROP COLUMN _sequencer")

    newer()
    lake.flow()

    assert lake.rows("id, amount, ltrim('0', _sequencer)") == [("1", Decimal(2), "1B0")]


@pytest.mark.parametrize("order", [pytest.param((0, 1), marks=pytest.mark.slow), (1, 0)])
def test_of_two_files_of_one_second_the_later_name_wins_in_whatever_batches(lake, order):
    lake = lake()
    arrivals = [
        lake.put_in_one_second(name, [body])[0] for name, body in zip(("a.csv", "b.csv"), TWO_BODIES, strict=True)
    ]

    for number in order:
        arrivals[number]()
        lake.flow()

    assert lake.rows() == [("1", Decimal(2))]


def test_versions_that_no_version_id_tells_apart_have_each_its_own_result(lake):
    lake = lake()
    key = f"raw/{lake.dataset}/a.csv"
    for body, sequencer in zip(TWO_BODIES, ("01", "02"), strict=True):
        answer = lake.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        lake.receive(key, None, len(body), answer["ETag"], "raw_to_processed", sequencer=sequencer)

    lake.flow()

    states = sorted((str(file.state), file.rows) for file in lake.ledger.files(TENANT, lake.dataset))
    assert states == [("QUARANTINED", 0), ("QUERYABLE", 1)]  # what was overwritten cannot be read without its id
    assert lake.rows() == [("1", Decimal(2))]


def test_quarantine_of_a_run_that_died_after_its_commit_is_shown_by_the_second_job(lake, monkeypatch):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n2,2024-09-20,x\n")
    with monkeypatch.context() as patch:
        patch.setattr("glue_scripts.raw_to_processed.register_partitions", cut_off)
        with pytest.raises(ConnectionError):
            lake.run("raw_to_processed")
    assert lake.quarantined() == []

    lake.enter_commits()
    lake.run("processed_to_analytics")

    assert len(lake.quarantined()) == 1


def test_keys_of_any_shape(lake):
    lake = lake()
    names = ["a b+c%20.csv", "größe/ä.csv", "2024-09-20T10:00:00.csv", "{a}[b]*?.csv", "_hidden/.x.csv", "a//b\\c.csv"]
    for i, name in enumerate(names):
        lake.put(name, f"id,at,amount\n{i},2024-09-20,1\n")

    lake.flow()

    assert lake.rows("id, _source_file") == [(str(i), f"raw/{lake.dataset}/{name}") for i, name in enumerate(names)]


def test_the_version_that_arrived_is_read_though_another_has_taken_its_place(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.s3.put_object(Bucket=BUCKET, Key=f"raw/{lake.dataset}/a.csv", Body=b"id,at,amount\n9,2024-09-20,9\n")

    lake.flow()

    assert lake.rows() == [("1", Decimal(1))]


def test_two_versions_of_one_key_in_one_batch_count_once_each(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n2,2024-09-20,2\n")
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,10\n")

    lake.flow()

    assert lake.rows() == [("1", Decimal(10)), ("2", Decimal(2))]


def test_a_version_that_was_deleted_is_quarantined(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    gone = lake.s3.list_object_versions(Bucket=BUCKET, Prefix=f"raw/{lake.dataset}/")["Versions"][0]
    lake.s3.delete_object(Bucket=BUCKET, Key=gone["Key"], VersionId=gone["VersionId"])

    lake.run("raw_to_processed")

    assert lake.files()["a.csv"] == ("QUARANTINED", 0, 0, "the file is no longer in the bucket")


def test_a_run_that_is_over_is_left_alone(lake, capsys):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    run = lake.run("raw_to_processed")
    before = lake.objects("processed")

    lake.run("raw_to_processed", run)

    assert lake.objects("processed") == before
    assert "left alone" in capsys.readouterr().out


@pytest.mark.parametrize("at_once", [False, True])
def test_of_two_attempts_at_a_batch_the_commit_object_of_the_first_holds(lake, monkeypatch, at_once):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n2,2024-09-20,x\n")
    lake.dies("raw_to_processed", monkeypatch)

    with monkeypatch.context() as patch:
        if at_once:  # the second looks for it before the first has put it
            patch.setattr(raw_to_processed, "find", _blind_once(raw_to_processed.find))
        else:
            patch.setattr(raw_to_processed, "session", cut_off)  # what is written already costs no session
        second = lake.run("raw_to_processed")
    lake.run("processed_to_analytics")  # without any event: the second attempt has entered the commit object itself

    assert len(lake.commits()) == 1
    # The commit object, the file that it names; and where both wrote, the file that it does not name.
    assert len(lake.objects("processed")) == (3 if at_once else 2)
    assert lake.rows() == [("1", Decimal(1))]
    assert lake.files()["a.csv"][0] == "QUERYABLE"
    assert len(lake.quarantined()) == 1
    assert str(lake.ledger.run(TENANT, second).state) == "COMPLETED"


def test_a_commit_object_says_what_the_ledger_knows(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    run = lake.run("raw_to_processed")

    (listed,) = lake.commits()
    commit = CommitObject.from_json(lake.s3.get_object(Bucket=BUCKET, Key=listed["Key"])["Body"].read(), "k")

    (source,) = commit.sources
    (file,) = lake.ledger.files(TENANT, lake.dataset)
    assert (source.key, source.size, source.arrived_at) == (file.key, file.size, file.arrived_at.isoformat())
    assert (source.etag, source.epoch, source.replaces) == (
        hashlib.md5(b"id,at,amount\n1,2024-09-20,1\n").hexdigest(),
        0,
        (),
    )
    assert (commit.run, commit.glue_run, commit.attempt, commit.code) == (run, f"jr_{run}", 1, "1")
    entered = lake.ledger.run(TENANT, run)
    assert (entered.code, entered.batch) == (commit.code, commit.batch)
    assert entered.started <= datetime.fromisoformat(commit.started) <= entered.ended


def test_a_merge_found_in_the_table_is_not_done_again(lake, monkeypatch):
    lake = lake(primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n1,2024-09-20,1\n")
    lake.run("raw_to_processed")
    lake.enter_commits()
    lake.dies("processed_to_analytics", monkeypatch)

    second = lake.run("processed_to_analytics")

    assert lake.rows() == [("1", Decimal(1)), ("1", Decimal(1))]
    assert lake.rows("count(*)") == [(2,)]
    snapshots = lake.spark.sql(f"SELECT snapshot_id, summary FROM lake.{DATABASE}.{lake.dataset}.snapshots").collect()
    assert len(snapshots) == 1
    assert snapshots[0]["summary"]["lake.run"] != second
    assert str(lake.ledger.run(TENANT, second).snapshot) == str(snapshots[0]["snapshot_id"])


@pytest.mark.parametrize("compacted", [False, True])
def test_a_batch_is_there_once_even_if_its_trace_is_gone(lake, monkeypatch, compacted):
    lake = lake(primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    lake.put("b.csv", "id,at,amount\n2,2024-09-20,2\n")
    lake.run("raw_to_processed")
    lake.enter_commits()
    lake.dies("processed_to_analytics", monkeypatch)
    if compacted:
        files = lake.compact()
        assert len(files) == 1
    monkeypatch.setattr("glue_scripts.tables.Table.snapshots_since", lambda *_: iter(()))

    lake.run("processed_to_analytics")

    assert lake.rows() == [("1", Decimal(1)), ("2", Decimal(2))]


def test_rows_that_arrive_later_replace_those_of_the_same_key(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n2,2024-09-20,2\n")
    lake.flow()
    lake.put("b.csv", "id,at,amount\n2,2024-10-01,20\n3,2024-10-01,30\n")

    lake.flow()

    assert lake.rows("id, amount, month") == [
        ("1", Decimal(1), "09"),
        ("2", Decimal(20), "10"),
        ("3", Decimal(30), "10"),
    ]


def test_an_older_row_that_comes_late_does_not_replace_a_newer_one(lake):
    lake = lake(version_column="at")
    lake.put("new.csv", "id,at,amount\n1,2024-09-20,1\n2,,2\n")
    lake.flow()
    lake.put("late.csv", "id,at,amount\n1,2024-09-19,9\n2,2024-09-19,9\n")
    lake.put("unversioned.csv", "id,at,amount\n1,,7\n")

    lake.flow()

    assert lake.rows() == [("1", Decimal(1)), ("2", Decimal(9))]


def test_a_column_that_the_contract_gains_is_added_and_empty_in_older_rows(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    plan = a_plan(lake.dataset)
    gained = {"name": "note", "type": "string", "expression": "`note`"}
    lake.deploy(source_columns=[*plan["source_columns"], "note"], columns=[*plan["columns"], gained])
    lake.put("b.csv", "id,at,amount,note\n2,2024-09-20,2,new\n")

    lake.flow()

    assert lake.rows("id, note") == [("1", None), ("2", "new")]


def test_a_column_that_changes_its_type_fails_the_run_with_its_name(lake):
    lake = lake()
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    columns = [column | ({"type": "double"} if column["name"] == "amount" else {}) for column in a_plan("x")["columns"]]
    lake.deploy(columns=columns)
    lake.put("b.csv", "id,at,amount\n2,2024-09-20,2\n")
    lake.run("raw_to_processed")
    lake.enter_commits()
    run = lake.begin("processed_to_analytics")

    with pytest.raises(TableUnfit, match=r"amount is decimal\(18,2\) in the table and double in the contract"):
        lake.run("processed_to_analytics", run)

    assert "amount is decimal(18,2)" in lake.ledger.run(TENANT, run).error


def test_processed_files_may_be_json(lake):
    lake = lake(processed_format="json")
    lake.put("a.csv", "id,at,amount\n1,2024-09-20 10:00:00,1.10\n")

    lake.flow()

    (file,) = [key for key in lake.objects("processed") if "/year=" in key]
    line = json.loads(lake.s3.get_object(Bucket=BUCKET, Key=file)["Body"].read())
    assert file.endswith(".json")
    assert (line["id"], line["amount"]) == ("1", 1.10)
    assert lake.rows("id, amount, at") == [("1", Decimal("1.10"), datetime(2024, 9, 20, 10, 0))]


def test_an_append_only_dataset_may_be_plain_parquet(lake):
    lake = lake(format="parquet", primary_key=[])
    lake.put("a.csv", "id,at,amount\n1,2024-09-20,1\n2,2024-10-20,2\n")

    lake.flow()

    (first, second) = lake.objects("analytics-ready")
    assert first.startswith(f"analytics-ready/{lake.dataset}/year=2024/month=09/")
    assert second.startswith(f"analytics-ready/{lake.dataset}/year=2024/month=10/")
    body = lake.s3.get_object(Bucket=BUCKET, Key=first)["Body"].read()
    assert [row["id"] for row in pq.read_table(io.BytesIO(body)).to_pylist()] == ["1"]
    glue = boto3.client("glue")
    partitions = glue.get_partitions(DatabaseName=DATABASE, TableName=lake.dataset)["Partitions"]
    assert sorted(partition["Values"] for partition in partitions) == [["2024", "09"], ["2024", "10"]]
    assert lake.files()["a.csv"][:3] == ("QUERYABLE", 2, 0)


def test_a_hundred_files_are_one_run_and_every_row_names_its_file(lake):
    lake = lake()
    for i in range(100):
        lake.put(f"{i:03d}.csv", f"id,at,amount\n{i},2024-09-20,{i}\n")

    lake.flow()

    assert lake.rows("count(*), count(DISTINCT _source_file), sum(amount)") == [(100, 100, Decimal(4950))]
    assert len(lake.commits()) == 1


def test_jobs_take_no_bucket_but_one_of_the_account_they_were_told(lake, s3_calls):
    before = s3_calls.careful
    sales = lake()
    sales.put("a.csv", "id,at,amount\nr1,2024-09-01,1.00\n")
    sales.run("raw_to_processed")

    assert s3_calls.careful > before
    assert s3_calls.careless == []
