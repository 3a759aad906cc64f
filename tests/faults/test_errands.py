"""Maintenance and rebuild die at their calls to AWS; asked for again they do the rest, and no row was ever missing."""

import itertools
from collections import Counter

import boto3
import pytest

from lineage.table import PARTITION_KEY, SORT_KEY
from lineage.values import ErrandState
from tests.faults.injection import Process
from tests.faults.spark_lake import LEDGER, TENANT, Lake

pytestmark = [pytest.mark.cloud, pytest.mark.spark]

DEPLOYED = {"tenant", "pointer", "dataset", "dataset_name", "errand"}
EVERY = 4
"""One call of four: the others differ in the number of a file."""


@pytest.fixture(autouse=True)
def _eager(monkeypatch):
    monkeypatch.setattr("glue_scripts.maintenance.upkeep.SMALL_FILES", 2)


def a_lake(wire, files: int = 3) -> Lake:
    """Each file in a commit of its own."""
    lake = Lake(wire, primary_key=[])
    for number in range(files):
        lake.put(f"{number}.csv", f"{number}-1", f"{number}-2")
        lake.drain()
    return lake


def maintain(lake: Lake, plan: str) -> Process:
    """Dies, and is asked for again; a file comes on the way."""
    process = Process(plan)
    lake.errand("maintain", process, dataset=lake.dataset, keep_days=0, keep_snapshots=1)
    lake.put(f"{plan}.csv", f"{plan} 1")
    lake.drain()
    again = lake.errand("maintain", dataset=lake.dataset, keep_days=0, keep_snapshots=1)
    assert again.state == ErrandState.DONE, again.error
    return process


@pytest.mark.slow
def test_maintenance_may_die_at_its_commit(wire):
    lake = a_lake(wire, 2)

    assert maintain(lake, "kill_after:1@glue.UpdateTable").fired

    assert lake.violations() == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plan", ["kill_before:{}", "kill_after:{}", "error:{}:AccessDenied"])
def test_maintenance_may_die_anywhere(wire, plan):
    lake = a_lake(wire)
    for number in itertools.count(1, EVERY):
        fired = maintain(lake, plan.format(number)).fired
        assert lake.violations() == [], plan.format(number)
        if not fired:
            break
    assert number > 20


def lose_the_ledger() -> None:
    """Nothing is left of it but what a deploy writes."""
    dynamodb = boto3.client("dynamodb")
    for page in dynamodb.get_paginator("scan").paginate(TableName=LEDGER):
        for item in page["Items"]:
            if item["kind"]["S"] not in DEPLOYED:
                dynamodb.delete_item(TableName=LEDGER, Key={name: item[name] for name in (PARTITION_KEY, SORT_KEY)})


def story(lake: Lake) -> list[object]:
    """What people see."""
    files = lake.ledger.files(TENANT, lake.dataset)
    runs = [run for run in lake.ledger.runs(TENANT, limit=10_000) if run.dataset == lake.dataset]
    return [
        Counter((file.key, file.version, str(file.state), file.rows, file.run) for file in files),
        Counter((run.run, run.job, str(run.state), run.batch, run.rows_out, run.snapshot) for run in runs),
    ]


def rebuild(lake: Lake, plan: str) -> Process:
    lose_the_ledger()
    process = Process(plan)
    lake.errand("rebuild", process, dataset=lake.dataset)
    again = lake.errand("rebuild", dataset=lake.dataset)
    assert again.state == ErrandState.DONE, again.error
    return process


@pytest.mark.parametrize(
    "plans", [("kill_after:12@dynamodb",), pytest.param(("kill_before:{}", "kill_after:{}"), marks=pytest.mark.slow)]
)
def test_a_rebuild_may_die_anywhere(wire, plans):
    lake = a_lake(wire, 2)
    before = story(lake)
    for plan in plans:
        for number in itertools.count(1, EVERY):
            fired = rebuild(lake, plan.format(number)).fired
            assert story(lake) == before, plan.format(number)
            if not fired or "{}" not in plan:
                break
        assert fired or number > 20, plan
    lake.put("later.csv", "later")
    lake.drain()
    assert lake.violations() == []
