"""The protocol under random schedules: dispatchers, jobs, crashes, lost answers, zombies, a jumping clock.

Every request to the table is a point where another actor may go first or this one may die. Whatever happens, a file
version may be among the inputs of one COMPLETED run only, and in the end each file is consumed once or given up with
a reason. Broken ledgers show that these tests would notice: tests/mutants.
"""

import pytest

from lineage import table
from lineage.errors import RunNotOpen
from lineage.items import Run as Header
from lineage.ledger import Ledger
from lineage.values import HeaderState
from tests.faults.worlds import LedgerWorld, a_record, seeded
from tests.lineage.builders import ANALYTICS, RAW, a_file

QUICK, MANY = 250, 20_000
FOUND: tuple[int, ...] = ()
"""Seeds under which an earlier version went wrong."""


def violations(seed: int, kind: type[Ledger] = Ledger) -> list[str]:
    with seeded(seed) as rng:
        world = LedgerWorld(kind=kind, rng=rng)
        world.play()
        twice = world.twice()
        world.drain()
        return [f"{node} counts twice" for node in twice] + world.violations()


def check(seeds: range | tuple[int, ...]) -> None:
    for seed in seeds:
        assert violations(seed) == [], f"seed {seed}"


def test_no_schedule_lets_a_file_count_twice_or_loses_it():
    check(FOUND)
    check(range(QUICK))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_nor_do_twenty_thousand():
    check(range(QUICK, MANY))


def test_the_second_job_never_sees_a_commit_object_of_a_run_that_did_not_commit():
    for seed in range(60):
        assert uncommitted(seed) == [], f"seed {seed}"


def uncommitted(seed: int) -> list[str]:
    """What is offered to the second job and should not be, or should be and is not."""
    with seeded(seed) as rng:
        world = LedgerWorld(rng=rng)
        put: set[str] = set()

        def eager(actor, run_id, **_: object) -> None:
            # The object is PUT, and its event registered, before the ledger's commit: that is the real order.
            ledger = world.seen_by(actor)
            try:
                run = ledger.take("acme", RAW, run_id, f"jr_{run_id}")
                key = f"processed/sales/_commits/{run.batch}.json"
                ledger.receive(a_file(key=key, version="1"), ANALYTICS)
                put.add(key)
                ledger.commit(run, a_record(run))
            except RunNotOpen:
                return

        world.job = eager
        world.play()

        offered = {member.key for member in world.ledger.waiting("acme", "sales", ANALYTICS)}
        headers = list(world.ledger.store.query(Header, table.job_pk("acme", RAW)))
        committed = {f"processed/sales/_commits/{h.batch}.json" for h in headers if h.st == HeaderState.COMPLETED}
        return [f"{key}: offered, its run did not commit" for key in sorted(offered - committed)] + [
            f"{key}: not offered" for key in sorted((committed & put) - offered)
        ]
