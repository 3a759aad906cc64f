from datetime import UTC, datetime

import boto3
import pytest

from lineage import table
from lineage.errors import NotInLedger
from lineage.items import Arrival
from lineage.receipts import Receipt
from lineage.store import Store
from lineage.values import FileStatus, HeaderState
from tests.lineage.builders import ANALYTICS, RAW, TABLE, a_dataset, a_file, begin, merge, process


def test_files_come_oldest_first_over_all_datasets(ledger):
    ledger.put_dataset(a_dataset(dataset="flights"))
    ledger.receive(a_file("b.csv", arrived_at=datetime(2024, 9, 20, 11, 2, tzinfo=UTC)), RAW)
    ledger.receive(
        a_file(key="raw/flights/a.csv", dataset="flights", arrived_at=datetime(2024, 9, 20, 11, 1, tzinfo=UTC)), RAW
    )

    assert [(file.dataset, file.key) for file in ledger.files("acme")] == [
        ("flights", "raw/flights/a.csv"),
        ("sales", "raw/sales/b.csv"),
    ]
    assert [file.dataset for file in ledger.files("acme", "sales")] == ["sales"]


def test_the_newest_come_first_page_by_page_and_no_further_than_somebody_asks(ledger, monkeypatch):
    for number in range(5):
        ledger.receive(a_file(f"{number}.csv", arrived_at=datetime(2024, 9, 20, 11, number, tzinfo=UTC)), RAW)
    ledger.receive(
        a_file("odd.csv", key="raw/odd.csv", dataset=None, arrived_at=datetime(2024, 9, 20, 11, 3, 30, tzinfo=UTC)),
        None,
        reason="no contract",
    )
    followed: list[int] = []
    states = type(ledger)._states
    monkeypatch.setattr(
        type(ledger), "_states", lambda self, *args: followed.append(len(args[2])) or states(self, *args)
    )

    newest = ledger.newest("acme", page=2)

    assert [next(newest).key for _ in range(3)] == ["raw/sales/4.csv", "raw/odd.csv", "raw/sales/3.csv"]
    assert followed == [2, 2]
    assert [file.key for file in newest] == ["raw/sales/2.csv", "raw/sales/1.csv", "raw/sales/0.csv"]
    assert [file.key for file in ledger.newest("acme", "sales")] == [f"raw/sales/{n}.csv" for n in (4, 3, 2, 1, 0)]


def test_of_the_newest_a_file_that_is_listed_twice_comes_once_where_its_dataset_has_it(ledger):
    file = a_file()
    ledger.receive(file, RAW)
    listing = next(ledger.store.query(Arrival, table.dataset_pk("acme", "sales"), "A#"))
    ledger.store.put(Arrival(pk=table.dataset_pk("acme", None), sk=listing.sk, key=file.key, size=1))

    assert [(one.dataset, one.key) for one in ledger.newest("acme")] == [("sales", file.key)]


def test_one_file_is_found_by_its_key_with_all_its_versions(ledger):
    ledger.receive(a_file(version="v1"), RAW)
    process(ledger)
    ledger.receive(a_file(version="v2", arrived_at=datetime(2024, 9, 20, 12, 30, tzinfo=UTC)), RAW)

    assert [(file.version, file.state) for file in ledger.file("acme", "raw/sales/a.csv")] == [
        ("v1", FileStatus.PROCESSED),
        ("v2", FileStatus.RECEIVED),
    ]
    assert [file.version for file in ledger.file("acme", "raw/sales/a.csv", "v2")] == ["v2"]


def test_an_unknown_file_or_run_is_named(ledger):
    with pytest.raises(NotInLedger, match=r"raw/sales/none\.csv"):
        ledger.file("acme", "raw/sales/none.csv")
    with pytest.raises(NotInLedger, match="run 0192"):
        ledger.run("acme", "0192")


def test_another_tenants_files_and_runs_are_not_seen(ledger):
    from tests.lineage.builders import enter

    enter(ledger, "acme2")
    ledger.receive(a_file(), RAW)
    run = process(ledger)

    assert ledger.files("acme2") == []
    assert ledger.runs("acme2") == []
    with pytest.raises(NotInLedger):
        ledger.run("acme2", run.run)


def test_runs_come_newest_first_with_their_numbers(ledger):
    ledger.receive(a_file(), RAW)
    first = process(ledger, rows=5, rejected=1)
    second = merge(ledger)

    assert [(run.run, run.job, run.files, run.rows_in, run.rows_out, run.rejected) for run in ledger.runs("acme")] == [
        (second.run, ANALYTICS, 1, 5, 5, 0),
        (first.run, RAW, 1, 6, 5, 1),
    ]
    assert [run.run for run in ledger.runs("acme", RAW)] == [first.run]
    assert [run.run for run in ledger.runs("acme", limit=1)] == [second.run]


def test_a_failed_run_tells_its_error(ledger):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    ledger.fail(run, "out of memory")

    state = ledger.run("acme", run.run)
    assert (state.state, state.error, state.ended is not None) == (HeaderState.FAILED, "out of memory", True)


def test_open_and_silent_runs_are_listed(ledger, clock):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)

    assert [(one.run, one.stale) for one in ledger.open_runs("acme")] == [(run.run, False)]

    clock.move(minutes=6)

    assert [(one.run, one.stale) for one in ledger.open_runs("acme")] == [(run.run, True)]
    assert [one.tenant for one in ledger.unfinished()] == ["acme"]


def test_files_are_read_in_batches_not_one_by_one(ledger, monkeypatch):
    monkeypatch.setattr("lineage.store.BATCH_GET", 10)

    class Counts(Store):
        calls = 0

        def send(self, operation, request):
            self.calls += 1
            return super().send(operation, request)

    ledger.receive_all([Receipt(file=a_file(f"{number:03d}.csv"), job=RAW) for number in range(25)])
    process(ledger)
    merge(ledger)
    ledger.store = Counts(ledger.store.name, workers=1, clock=ledger.clock)

    assert {file.state for file in ledger.files("acme")} == {FileStatus.QUERYABLE}
    # tenant, names, two listings, three pages of claims, one of runs, one of the second job's claims and runs
    assert ledger.store.calls == 10


def test_a_file_that_is_listed_and_not_yet_claimable_is_received_and_not_unrouted(ledger):
    file = a_file()
    ledger.receive(file, RAW)
    key = {"PK": {"S": table.file_pk("acme", file.fid)}, "SK": {"S": table.claim_sk(file.ver, RAW)}}
    boto3.client("dynamodb").delete_item(TableName=TABLE, Key=key)

    assert [state.state for state in ledger.files("acme")] == ["RECEIVED"]
