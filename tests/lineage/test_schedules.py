"""The protocol under random schedules: dispatchers, jobs, crashes, lost answers, zombies, a jumping clock.

Every request to the table is a point where another actor may go first or this one may die. Whatever happens, a file
version may be among the inputs of one COMPLETED run only, and in the end each file is consumed once or given up with
a reason. Two broken ledgers show that the test would notice.
"""

import contextlib

import pytest

from lineage import table
from lineage.errors import LedgerError, RunNotOpen
from lineage.ledger import Ledger
from lineage.table import Run as Header
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


class StealsWithoutFencing(Ledger):
    """Mutant: the files of a silent run are given away, but the run may still commit."""

    def _close(self, header, state, error, *, counts, seen=None):
        if header is None or state != HeaderState.FENCED:
            return super()._close(header, state, error, counts=counts, seen=seen)
        header.counts, header.error = counts, error
        self.store.transact([("Delete", self.freeing(header.tenant, header.job, header.dataset, header.sk))])
        self._release_all(header)
        return True


class CommitsUnchecked(Ledger):
    """Mutant: the commit does not ask whether the run is still open."""

    def may_commit(self, run):
        return Header.pk.exists()


# A seed that kills it, and then others: the order of a schedule changes with every change of the protocol.
@pytest.mark.parametrize(("mutant", "known"), [(StealsWithoutFencing, 2), (CommitsUnchecked, 31)])
def test_a_broken_ledger_is_caught(mutant: type[Ledger], known: int):
    for seed in [known, *range(QUICK)]:
        with seeded(seed) as rng:
            world = LedgerWorld(kind=mutant, rng=rng)
            with contextlib.suppress(LedgerError):  # confused; what it counted is what matters
                world.play()
            if world.twice():
                return
    pytest.fail(f"{mutant.__name__} survived {QUICK} schedules")


def test_the_second_job_never_sees_a_commit_object_of_a_run_that_did_not_commit():
    for seed in range(60):
        with seeded(seed) as rng:
            world = LedgerWorld(rng=rng)
            put: list[str] = []

            def eager(actor, run_id, world=world, put=put, **_: object) -> None:
                # The object is PUT, and its event registered, before the ledger's commit: that is the real order.
                ledger = world.seen_by(actor)
                try:
                    run = ledger.take("acme", RAW, run_id, f"jr_{run_id}")
                    key = f"processed/sales/_commits/{run.batch}.json"
                    ledger.receive(a_file(key=key, version="1"), ANALYTICS)
                    put.append(key)
                    ledger.commit(run, a_record(run))
                except RunNotOpen:
                    return

            world.job = eager
            world.play()

            offered = {member.key for member in world.ledger.waiting("acme", "sales", ANALYTICS)}
            headers = list(world.ledger.store.query(Header, table.job_pk("acme", RAW)))
            committed = {f"processed/sales/_commits/{h.batch}.json" for h in headers if h.st == HeaderState.COMPLETED}
            assert offered == committed & set(put), f"seed {seed}"
