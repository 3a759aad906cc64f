"""A table taken back to an earlier snapshot: what is out is said, and a replay brings it in again."""

import pytest

from glue_scripts.errors import ErrandRefused
from glue_scripts.maintenance.iceberg import IcebergTable

pytestmark = [pytest.mark.cloud, pytest.mark.spark]

SECOND = "processed_to_analytics"


def two_files(lake, **plan):
    made = lake(**plan)
    for number in (1, 2):
        made.put(f"{number}.csv", f"id,at,amount\n{number},2024-09-20,{number}\n")
        made.flow()
    return made


@pytest.mark.parametrize("primary_key", [["id"], pytest.param([], marks=pytest.mark.slow)])
def test_it_says_which_batches_and_files_are_out_and_their_replay_brings_them_in_again(lake, primary_key):
    lake = two_files(lake, primary_key=primary_key)
    old, new = lake.snapshots()

    rehearsed = lake.errand("rollback", dataset=lake.dataset, snapshot=str(old.snapshot_id), dry_run=True)
    assert lake.rows("id") == [("1",), ("2",)]
    result = lake.errand("rollback", dataset=lake.dataset, snapshot=str(old.snapshot_id))

    assert lake.rows("id") == [("1",)]
    assert result == rehearsed | {"done": True}
    assert (result["from"], result["to"]) == (str(new.snapshot_id), str(old.snapshot_id))
    assert (result["rows_before"], result["rows_after"]) == (2, 1)
    assert result["batches_out"] == [new.summary["lake.batch"]]
    assert result["files_out"] == [f"raw/{lake.dataset}/2.csv"]
    again = lake.errand("rollback", dataset=lake.dataset, snapshot=str(old.snapshot_id))
    assert again["batches_out"] == []
    lake.replay("2.csv")
    lake.enter_commits()
    lake.run(SECOND)
    assert lake.rows("id") == [("1",), ("2",)]


def test_what_runs_commit_right_before_it_is_told_and_what_they_commit_right_after_it_stays(lake, monkeypatch):
    lake = two_files(lake, primary_key=[])
    old, _ = lake.snapshots()
    call = IcebergTable.call

    def another_file(number: int) -> None:
        lake.put(f"{number}.csv", f"id,at,amount\n{number},2024-09-20,1\n")
        lake.flow()

    def between_two_runs(table, procedure, **arguments):
        another_file(3)
        answer = call(table, procedure, **arguments)
        another_file(4)
        table.table.refresh()
        return answer

    monkeypatch.setattr(IcebergTable, "call", between_two_runs)
    result = lake.errand("rollback", dataset=lake.dataset, snapshot=str(old.snapshot_id))

    assert result["files_out"] == [f"raw/{lake.dataset}/{number}.csv" for number in (2, 3)]
    assert result["rows_before"] == 3
    assert lake.rows("id") == [("1",), ("4",)]


@pytest.mark.slow
def test_a_replay_that_is_taken_back_names_the_batches_that_are_in_again(lake):
    lake = lake()
    lake.put("1.csv", "id,at,amount\n1,2024-09-20,1\n")
    lake.flow()
    lake.replay("1.csv")
    lake.enter_commits()
    lake.run(SECOND)
    old, new = lake.snapshots()

    result = lake.errand("rollback", dataset=lake.dataset, snapshot=str(old.snapshot_id))

    assert result["batches_out"] == [new.summary["lake.batch"]]
    assert result["batches_back"] == [old.summary["lake.batch"]]


@pytest.mark.slow
def test_versions_are_listed_newest_first_with_batch_run_and_rows(lake):
    lake = two_files(lake)
    old, new = lake.snapshots()
    lake.errand("rollback", dataset=lake.dataset, snapshot=str(old.snapshot_id))

    result = lake.errand("snapshots", dataset=lake.dataset)

    first, second = result["snapshots"]
    assert (first["id"], first["current"], first["left_aside"]) == (str(new.snapshot_id), False, True)
    assert (second["id"], second["current"], second["left_aside"]) == (str(old.snapshot_id), True, False)
    assert (second["batches"], second["run"]) == ([old.summary["lake.batch"]], old.summary["lake.run"])
    assert (second["rows_added"], second["rows"]) == (1, 1)


def test_what_cannot_be_done_is_refused_with_the_reason(lake):
    lake = two_files(lake)

    with pytest.raises(ErrandRefused, match=r"no snapshot 17 on the way to the current one; there are \d+"):
        lake.errand("rollback", dataset=lake.dataset, snapshot="17")
    with pytest.raises(ErrandRefused, match="without `snapshot`"):
        lake.errand("rollback", dataset=lake.dataset)
    with pytest.raises(ErrandRefused, match="no task dance"):
        lake.errand("dance")


def test_a_plain_dataset_has_nothing_to_return_to(lake):
    lake = lake(format="parquet", primary_key=[])

    with pytest.raises(ErrandRefused, match="append-only"):
        lake.errand("rollback", dataset=lake.dataset, snapshot="1")
