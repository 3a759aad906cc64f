"""What the protocol costs: write units and calls per file, as the service would count them."""

import boto3
import pytest

from benchmarks.capacity import Meter, size
from lineage import table
from lineage.ledger import Ledger
from lineage.receipts import Receipt
from tests.lineage.builders import ANALYTICS, RAW, TABLE, a_file, begin, commit_key, merged, processed

FILES = 50
WRITE_UNITS = 8.0


@pytest.fixture
def meter(ledger: Ledger) -> Meter:
    made = Meter(boto3.client("dynamodb"), table.definition(TABLE))
    made.attach(ledger.store.connection.client)
    return made


def as_dispatch_and_job_do(ledger: Ledger, job: str, glue_run: str):
    members = ledger.waiting("acme", "sales", job)
    run = ledger.begin("acme", job, "sales", members)
    ledger.started("acme", job, run, glue_run)
    taken = ledger.take("acme", job, run, glue_run)
    ledger.heartbeat(taken)
    return taken


def test_a_file_in_a_run_of_fifty_costs_no_more_than_eight_write_units_in_the_first_job(ledger, meter):
    names = [f"2024/09/sales-2024-09-20-{number:04d}.csv" for number in range(FILES)]
    files = [a_file(name, version="3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", etag="9b2cf535f27731c974343645a3985328",
                    size=123456) for name in names]  # fmt: skip
    ledger.receive_all([Receipt(file=file, job=RAW) for file in files])
    received, meter.write_units = meter.write_units, 0.0
    run = as_dispatch_and_job_do(ledger, RAW, "jr_1")
    ledger.commit(run, processed(run, files=2))
    ledger.finalise(run)
    ledger.receive(a_file(key=commit_key(run), version=None), ANALYTICS)

    print(f"receive {received / FILES:.2f}, job {meter.write_units / FILES:.2f} write units per file,", end=" ")
    print(f"{meter.calls.total() / FILES:.2f} calls per file: {dict(meter.calls)}, {dict(meter.by_kind)}")
    assert (received + meter.write_units) / FILES <= WRITE_UNITS

    meter.reset()
    second = as_dispatch_and_job_do(ledger, ANALYTICS, "jr_2")
    ledger.commit(second, merged(second))
    ledger.finalise(second)

    print(f"second job: {meter.write_units:.0f} write units per batch")
    assert meter.write_units / FILES <= 1.0
    assert {file.state for file in ledger.files("acme")} == {"QUERYABLE"}


def test_a_heartbeat_costs_one_write_unit(ledger, meter):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    meter.reset()

    ledger.heartbeat(run)

    assert (meter.write_units, meter.index_units, meter.calls.total()) == (1, 0, 1)


def test_a_duplicate_costs_its_entry_and_one_refused_claim(ledger, meter):
    ledger.receive(a_file(), RAW)
    meter.reset()

    ledger.receive(a_file(), RAW)

    assert (meter.write_units, meter.index_units) == (3, 0)


def test_the_size_of_an_item_is_its_names_and_values():
    item = {"PK": {"S": "abc"}, "n": {"N": "1234"}, "yes": {"BOOL": True}, "l": {"L": [{"S": "é"}]}}
    assert size(item) == (2 + 3) + (1 + 3) + (3 + 1) + (1 + 3 + 1 + 2)
