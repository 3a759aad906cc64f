"""Both jobs, as they are run on Spark, die at their calls to AWS: those of Python, of Spark's workers and of the JVM.

Then Glue or the missing heartbeat tells the ledger, the files wait again, and the next run finds what is there. In the
end each row is in the table once, and no snapshot of the table ever held a part of a batch.
"""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.injection import Process
from tests.faults.spark_lake import FIRST, SECOND, Lake

pytestmark = [pytest.mark.cloud, pytest.mark.spark]

JOBS = (FIRST, SECOND)
COMMIT = "s3.PUT */_commits/*"
TELLING = {
    FIRST: [f"kill_after:1@{COMMIT}"],
    SECOND: ["kill_after:1@glue.UpdateTable", "kill_after:1@dynamodb.TransactWriteItems"],
}
"""The calls that decide something; `make test-all` dies at all others too."""

FRESH_AFTER = 12


def die(lake: Lake, job: str, plan: str, name: str) -> Process:
    """A new file, the job that dies on its way, and then a day as any other."""
    process = Process(plan)
    lake.put(f"{name}.csv", f"{name} {plan} 1", f"{name} {plan} 2")
    if job == SECOND:
        lake.run(FIRST)
        lake.hear()
    lake.run(job, process)
    lake.drain()
    return process


def test_the_calls_that_decide_may_be_the_last_ones(wire):
    lake = Lake(wire, primary_key=[])
    for job, plans in TELLING.items():
        for number, plan in enumerate(plans):
            assert die(lake, job, plan, f"{job}-{number}").fired, f"{job}: no call for {plan}"

    assert lake.violations() == []


def every_point(wire, job: str, plan: str, **contract) -> None:
    """The n-th call for all n, a fresh table every so often; until a plan does not fire any more."""
    for number in itertools.count(1):
        if number % FRESH_AFTER == 1:
            lake = Lake(wire, **contract)
        if not die(lake, job, plan.format(number), f"{job}-{number}").fired:
            break
        assert lake.violations() == [], f"{job}, {plan.format(number)}"
    assert number > 15


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plan", ["kill_before:{}", "kill_after:{}", "lost:{}", "error:{}:AccessDenied"])
@pytest.mark.parametrize("job", JOBS)
def test_any_call_may_be_the_last_one(wire, job, plan):
    every_point(wire, job, plan, primary_key=[])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plan", ["kill_after:{}", "lost:{}"])
def test_any_call_may_be_the_last_one_of_a_merge_by_key(wire, plan):
    every_point(wire, SECOND, plan, primary_key=["id"])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plan", ["kill_before:{}", "kill_after:{}", "lost:{}"])
def test_any_call_may_be_the_last_one_of_the_run_that_makes_the_table(wire, plan):
    for number in range(1, 80, 3):
        lake = Lake(wire, primary_key=[])
        fired = die(lake, SECOND, plan.format(number), "first").fired
        assert lake.violations() == [], plan.format(number)
        if not fired:
            break


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("orders", [1, pytest.param(24, marks=pytest.mark.slow)])
def test_of_four_versions_the_newest_stays_in_whatever_order_they_come(wire, orders):
    """Each twice, and each in a batch of its own."""
    lake = Lake(wire, primary_key=["id"])
    moments = [datetime.now(UTC) + timedelta(seconds=second) for second in range(4)]
    every = list(itertools.permutations(range(4)))
    for order in reversed(every[:: len(every) // orders]):
        name = "".join(map(str, order))
        versions = [lake.version(f"{name}.csv", f"id,at,amount\n{name},2024-09-20,{amount}\n") for amount in range(4)]
        for number in order:
            for _ in range(2):
                lake.arrive(versions[number], moments[number])
            lake.run(FIRST)
        lake.hear()
        while lake.run(SECOND, most=1):
            pass

    found = lake.spark.sql(f"SELECT id, amount FROM {lake.table}").collect()
    assert [str(amount) for _, amount in found] == ["3.00"] * orders


class Interrupted(Process):
    """Before its first call of that kind something else happens; then it goes on as if nothing had."""

    def __init__(self, wire: Any, call: str, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self.wire = wire
        self.call = call
        self.meanwhile: Callable[[], None] | None = meanwhile

    def around(self, service: str, operation: str, send: Callable[[], Any]) -> Any:
        if f"{service}.{operation}" == self.call and self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            with self.wire.on(Process()):
                meanwhile()
            self.fired.append(f"interrupted {self.call}")
        return super().around(service, operation, send)


def test_a_zombie_that_commits_to_the_table_after_its_heir_adds_nothing(wire):
    """It stands just before its commit while it is given up, and another run does all of its work."""
    lake = Lake(wire, primary_key=[])
    lake.put("a.csv", "1", "2")
    lake.drain()
    lake.put("b.csv", "3", "4")
    lake.run(FIRST)
    lake.hear()

    zombie = Interrupted(wire, "glue.UpdateTable", lake.drain)
    lake.run(SECOND, zombie)
    lake.drain()

    assert zombie.fired
    assert lake.violations() == []


@pytest.mark.slow
@pytest.mark.parametrize("primary_key", [[], ["id"]])
def test_a_table_that_is_compacted_between_look_and_commit_loses_and_doubles_nothing(wire, primary_key, monkeypatch):
    monkeypatch.setattr("glue_scripts.maintenance.upkeep.SMALL_FILES", 2)
    lake = Lake(wire, primary_key=primary_key)
    for number in range(3):
        lake.put(f"{number}.csv", f"{number}-1", f"{number}-2")
        lake.drain()
    lake.put("late.csv", "late-1", "late-2")
    lake.run(FIRST)
    lake.hear()

    job = Interrupted(wire, "glue.UpdateTable", lambda: lake.errand("maintain", dataset=lake.dataset))
    lake.run(SECOND, job)
    lake.drain()

    assert job.fired
    assert lake.violations() == []
