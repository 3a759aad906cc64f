"""The protocol under random schedules: dispatchers, jobs, crashes, lost answers, zombies, a jumping clock.

Every request to the table is a point where another actor may go first or this one may die. Whatever happens, a file
version may be among the inputs of one COMPLETED run only, and in the end each file is consumed once or given up with
a reason. Two broken ledgers show that the test would notice.
"""

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import boto3
import pytest
from moto import mock_aws
from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable

from lineage import table
from lineage.errors import LedgerError, NothingClaimed, RunNotOpen, RunOpen
from lineage.ledger import Ledger
from lineage.store import Store
from lineage.table import Run as Header
from lineage.values import ClaimState, CommitRecord, HeaderState, InputResult, Output
from tests.lineage.builders import ANALYTICS, RAW, Clock, a_file, enter

SCHEDULES = 200
FILES = 3


class Killed(BaseException):
    """A process dies: nothing in the code under test may catch it."""


class Schedule:
    """Runs actors one request at a time, in an order drawn from a seed."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self.random = random.Random(seed)
        self.clock = clock
        self.turn: dict[threading.Thread, threading.Semaphore] = {}
        self.back = threading.Semaphore(0)
        self.doomed: set[threading.Thread] = set()
        self.errors: list[BaseException] = []

    def add(self, work: Callable[[], None]) -> None:
        turn = threading.Semaphore(0)

        def body() -> None:
            turn.acquire()
            try:
                work()
            except Killed:
                pass
            except BaseException as error:
                self.errors.append(error)
            finally:
                del self.turn[thread]
                self.back.release()

        thread = threading.Thread(target=body, daemon=True)
        self.turn[thread] = turn
        thread.start()

    def gate(self) -> None:
        """An actor is about to make a request, or has just had its answer."""
        thread = threading.current_thread()
        if thread not in self.turn:
            return
        self.back.release()
        self.turn[thread].acquire()
        if thread in self.doomed:
            raise Killed

    def run(self) -> None:
        while self.turn:
            thread = self.random.choice(list(self.turn))
            if self.random.random() < 0.02:
                self.doomed.add(thread)
            if self.random.random() < 0.04:
                self.clock.move(minutes=self.random.choice([1, 6, 16]))
            self.turn[thread].release()
            self.back.acquire()
        if self.errors:
            raise self.errors[0]


class GatedStore(Store):
    shared: Connection | None = None
    schedule: Schedule | None = None

    def _connect(self) -> Connection:
        # One client for all schedules: making one costs more than a schedule.
        if GatedStore.shared is None:
            GatedStore.shared = super()._connect()
        elif self.name not in GatedStore.shared._tables:
            GatedStore.shared.add_meta_table(MetaTable(table.definition(self.name)))
        return GatedStore.shared

    def send(self, operation, request):
        if self.schedule:
            self.schedule.gate()
        answer = super().send(operation, request)
        if self.schedule:
            self.schedule.gate()
        return answer


class World:
    """A tenant with a few files, a bucket, and actors that do what dispatch and the jobs do."""

    def __init__(self, seed: int, kind: type[Ledger]) -> None:
        self.clock = Clock()
        self.name = f"ledger-{seed}"
        self.dynamodb = boto3.client("dynamodb")
        self.dynamodb.create_table(**table.definition(self.name))
        self.store = GatedStore(self.name, workers=1)
        self.ledger = kind(self.name, store=self.store, clock=self.clock)
        self.schedule = Schedule(seed, self.clock)
        self.glue_runs = 0
        enter(self.ledger, "acme")
        for number in range(FILES):
            self.ledger.receive(a_file(f"{number}.csv"), RAW)

    def play(self) -> None:
        self.store.schedule = self.schedule
        for _ in range(3):
            self.schedule.add(self.dispatch)
        self.schedule.add(self.recover)
        self.schedule.run()
        self.store.schedule = None

    def dispatch(self) -> None:
        waiting = self.ledger.waiting("acme", "sales", RAW, limit=self.schedule.random.choice([1, FILES]))
        if not waiting:
            return
        try:
            run = self.ledger.begin("acme", RAW, "sales", waiting)
        except (RunOpen, NothingClaimed, RunNotOpen):
            return
        for _ in range(self.schedule.random.choice([1, 1, 2])):  # a lost answer of StartJobRun starts a second one
            self.schedule.add(lambda: self.job(run))
        if self.schedule.random.random() < 0.5:
            self.schedule.add(self.dispatch)

    def job(self, run_id: str) -> None:
        self.glue_runs += 1
        glue_run = f"jr_{self.glue_runs}"
        try:
            run = self.ledger.take("acme", RAW, run_id, glue_run)
            if self.schedule.random.random() < 0.3:
                self.ledger.heartbeat(run)
            if self.schedule.random.random() < 0.15:
                self.ledger.fail(run, "a bad day")
                return
            self.ledger.commit(run, a_record(run))
            self.ledger.finalise(run)
        except RunNotOpen:
            return

    def recover(self) -> None:
        for _ in range(3):
            self.clock.move(minutes=self.schedule.random.choice([1, 7, 20]))
            self.ledger.recover()
            self.dispatch()

    def drain(self) -> None:
        for _ in range(12):
            self.clock.move(hours=1)
            self.ledger.recover()
            self.clock.move(hours=1)
            waiting = self.ledger.waiting("acme", "sales", RAW)
            if not waiting:
                return
            run = self.ledger.take("acme", RAW, self.ledger.begin("acme", RAW, "sales", waiting), "jr_last")
            self.ledger.commit(run, a_record(run))
            self.ledger.finalise(run)

    def consumed(self) -> Counter[str]:
        headers = self.store.query(Header, table.job_pk("acme", RAW))
        completed = [header for header in headers if header.st == HeaderState.COMPLETED]
        return Counter(node for header in completed for node in self.ledger.inputs_of(header))

    def twice(self) -> list[str]:
        return [node for node, times in self.consumed().items() if times > 1]


def a_record(run) -> CommitRecord:
    commit = f"processed/sales/_commits/{run.batch}.json"
    return CommitRecord(
        outputs=[
            Output(key=f"processed/sales/{run.run}-0.parquet", version=None, zone="processed", dataset="sales", rows=1),
            Output(key=commit, version="1", zone="processed", dataset="sales"),
        ],
        inputs=[InputResult(key=one.key, version=one.version, rows=1, rejected=0) for one in run.members],
        rows_in=len(run.members),
        rows_out=len(run.members),
        rejected=0,
    )


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(table, "SHARDS", 1)  # fifteen empty ones would be most of the time
    with mock_aws():
        GatedStore.shared = None
        yield
        GatedStore.shared = None


def test_no_schedule_lets_a_file_count_twice_or_loses_it():
    for seed in range(SCHEDULES):
        world = World(seed, Ledger)
        world.play()
        assert world.twice() == [], f"seed {seed}"

        world.drain()
        consumed = world.consumed()
        for file in range(FILES):
            one = a_file(f"{file}.csv")
            node = f"{one.fid}.{one.ver}"
            claim = world.store.get(table.Claim, (table.file_pk("acme", one.fid), table.claim_sk(one.ver, RAW)))
            expected = {ClaimState.DONE: 1, ClaimState.DEAD: 0}
            assert consumed[node] == expected.get(claim.st), f"seed {seed}: {claim.st} {node} {consumed}"
        assert world.ledger.unfinished() == [], f"seed {seed}"
        assert world.ledger.slots("acme") == [], f"seed {seed}"
        world.dynamodb.delete_table(TableName=world.name)


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
@pytest.mark.parametrize(("mutant", "known"), [(StealsWithoutFencing, 68), (CommitsUnchecked, 105)])
def test_a_broken_ledger_is_caught(mutant: type[Ledger], known: int):
    for seed in [known, *range(SCHEDULES)]:
        world = World(seed, mutant)
        with contextlib.suppress(LedgerError):  # confused; what it counted is what matters
            world.play()
        if world.twice():
            return
        world.dynamodb.delete_table(TableName=world.name)
    pytest.fail(f"{mutant.__name__} survived {SCHEDULES} schedules")


def test_the_second_job_never_sees_a_commit_object_of_a_run_that_did_not_commit():
    for seed in range(40):
        world = World(seed, Ledger)
        batches: list[str] = []

        def eager(run_id: str, world: World = world, batches: list[str] = batches) -> None:
            # The object is PUT, and its event registered, before the ledger's commit: that is the real order.
            try:
                run = world.ledger.take("acme", RAW, run_id, f"jr_{run_id}")
                key = f"processed/sales/_commits/{run.batch}.json"
                world.ledger.receive(a_file(key=key, version="1"), ANALYTICS)
                batches.append(key)
                world.ledger.commit(run, a_record(run))
            except RunNotOpen:
                return

        world.job = eager  # type: ignore[method-assign]
        world.play()

        offered = {member.key for member in world.ledger.waiting("acme", "sales", ANALYTICS)}
        headers = list(world.store.query(Header, table.job_pk("acme", RAW)))
        committed = {f"processed/sales/_commits/{h.batch}.json" for h in headers if h.st == HeaderState.COMPLETED}
        assert offered == committed & set(batches), f"seed {seed}"
        world.dynamodb.delete_table(TableName=world.name)
