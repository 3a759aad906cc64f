import gzip
import json
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError

from cli.connection import Connection
from cli.errors import NotFound
from cli.exit_codes import ExitCode
from cli.maintenance import _plan
from cli.snapshots import versions

DATABASE, BUCKET = "mycompany_acme_dev", "mycompany-acme-dev-datalake"


def a_snapshot(number, parent, *, batch, added, total, operation="append", deleted=None):
    summary = {"operation": operation, "added-records": str(added), "total-records": str(total)}
    summary |= {"lake.batch": batch, "lake.run": f"run-{number}"} if batch else {}
    summary |= {"deleted-records": str(deleted)} if deleted else {}
    made = {"snapshot-id": number, "timestamp-ms": 1_726_800_000_000 + number, "summary": summary}
    return made if parent is None else made | {"parent-snapshot-id": parent}


# 1 ── 2 ── 4 (now)
#       └── 3, rolled back
LISTED = [
    a_snapshot(1, None, batch="b1", added=10, total=10),
    a_snapshot(2, 1, batch="b2,b3", added=25, deleted=10, total=25, operation="overwrite"),
    a_snapshot(3, 2, batch="b4", added=5, total=30),
    a_snapshot(4, 2, batch=None, added=0, total=25, operation="replace"),
]


@dataclass
class Catalog:
    """A Glue catalog of one table: moto's asks for a library that the project does without."""

    parameters: dict[str, str] | None = None

    def get_table(self, *, DatabaseName, Name):
        if (DatabaseName, Name) != (DATABASE, "transactions") or self.parameters is None:
            raise ClientError({"Error": {"Code": "EntityNotFoundException"}}, "GetTable")
        return {"Table": {"Name": Name, "Parameters": self.parameters}}


@pytest.fixture(autouse=True)
def catalog(monkeypatch):
    made, client = Catalog(), Connection.client

    def of(self, name, session=None):
        return made if name == "glue" else client(self, name, session)

    monkeypatch.setattr(Connection, "client", of)
    return made


@pytest.fixture
def table(dev, catalog):
    """Acme's transactions as a catalog entry and a metadata file."""

    def make(snapshots=LISTED, current=4, *, compress=False, iceberg=True):
        body = json.dumps({"current-snapshot-id": current, "snapshots": snapshots}).encode()
        key = "analytics-ready/transactions/metadata/00001.metadata.json"
        dev.connection.client("s3").put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(body) if compress else body)
        location = {"metadata_location": f"s3://{BUCKET}/{key}"}
        catalog.parameters = location if iceberg else {"classification": "parquet"}
        return versions(dev.connection, "acme", "transactions") if iceberg else None

    return make


def test_snapshots_are_told_newest_first_with_batches_run_and_rows(dev, table):
    table()

    told = json.loads(dev.lake("snapshots", "acme", "transactions", "--json").stdout)

    assert [each["snapshot"] for each in told] == ["4", "3", "2", "1"]
    assert told[2] == {
        "snapshot": "2",
        "time": "2024-09-20T02:40:00.002000+00:00",
        "operation": "overwrite",
        "batches": ["b2", "b3"],
        "run": "run-2",
        "rows_added": 25,
        "rows_deleted": 10,
        "rows": 25,
        "current": False,
        "reachable": True,
    }


def test_the_current_snapshot_and_those_that_were_rolled_back_are_marked(dev, table):
    table()

    lines = dev.lake("snapshots", "acme", "transactions").stdout.splitlines()
    header, *rows = [line.split("\t") for line in lines]

    standing = header.index("standing")
    assert [(row[0], row[standing]) for row in rows] == [("4", "current"), ("3", "rolled back"), ("2", ""), ("1", "")]


def test_compressed_metadata_is_read_too(table):
    assert len(table(compress=True).snapshots) == 4


def test_a_table_that_was_made_and_never_written_has_no_snapshots(table):
    assert table([], -1).snapshots == ()


def test_a_dataset_without_a_table_has_no_rows_yet(dev):
    answer = dev.lake("snapshots", "acme", "transactions")

    assert (answer.exit_code, answer.stdout) == (ExitCode.OK, "")
    assert "has no rows yet" in answer.stderr


def test_a_plain_table_says_that_it_is_append_only(dev, table):
    table(iceberg=False)

    answer = dev.lake("snapshots", "acme", "transactions")

    assert answer.exit_code == ExitCode.FAILED
    assert "append-only" in answer.stderr


def test_a_snapshot_is_found_by_its_id_or_the_end_of_it(table):
    known = table(
        [a_snapshot(3177, None, batch="b1", added=1, total=1), a_snapshot(77, 3177, batch="b", added=1, total=2)]
    )

    assert known.find("77").snapshot == "77"
    assert known.find("177").snapshot == "3177"
    with pytest.raises(NotFound, match="no snapshot '9'; `lake snapshots acme transactions` lists them: 3177, 77"):
        known.find("9")


def test_a_rollback_takes_out_what_came_after_and_nothing_that_is_out_already(table):
    known = table()
    target = known.find("1")

    assert _plan(target, known.current, known.after(target)) == {
        "from": "4",
        "to": "1",
        "rows_before": 25,
        "rows_after": 10,
        "batches_out": ["b2", "b3"],
        "snapshots_out": ["4", "2"],
    }


def test_a_dry_run_of_a_rollback_starts_nothing(dev, table):
    table()

    answer = dev.lake("rollback", "acme", "transactions", "1", "--dry-run", "--json")

    assert json.loads(answer.stdout)["batches_out"] == ["b2", "b3"]
    assert dev.errands.list("acme") == []


def test_a_rollback_to_the_current_snapshot_is_done_already(dev, table):
    table()

    answer = dev.lake("rollback", "acme", "transactions", "4")

    assert answer.exit_code == ExitCode.OK
    assert "is at snapshot 4 already" in answer.stderr
    assert dev.errands.list("acme") == []


def test_a_snapshot_that_was_rolled_back_is_no_way_back(dev, table):
    table()

    answer = dev.lake("rollback", "acme", "transactions", "3")

    assert answer.exit_code == ExitCode.INPUT
    assert "lake replay acme --dataset transactions --force -e dev" in answer.stderr
