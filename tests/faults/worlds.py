"""What tests of faults share: ids that a seed gives, a ledger in memory, the actors that work on it."""

import functools
import random
import types
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from lineage import table, values
from lineage.commits import key_of
from lineage.errors import LedgerError, NothingClaimed, RunNotOpen, RunOpen
from lineage.items import Claim
from lineage.items import Run as Header
from lineage.ledger import Ledger
from lineage.values import ClaimState, CommitRecord, HeaderState, InputResult, Output, Run
from tests.faults.injection import Process
from tests.faults.memory import MemoryStore, memory_table
from tests.faults.schedule import Actor, Stage
from tests.lineage.builders import ANALYTICS, RAW, Clock, a_file, enter


@contextmanager
def seeded(seed: object) -> Iterator[random.Random]:
    """Run ids from the seed instead of clock and entropy: they order claims, jitter and shards."""
    drawn = random.Random(f"ids {seed}")
    kept = values.os, values.time, table.SHARDS
    moment = 1_726_833_600_000_000_000

    def time_ns() -> int:
        nonlocal moment
        moment += 1_000_000
        return moment

    values.os = types.SimpleNamespace(urandom=drawn.randbytes)
    values.time = types.SimpleNamespace(time_ns=time_ns)
    table.SHARDS = 1  # fifteen empty ones would be most of the time
    try:
        yield random.Random(seed)
    finally:
        values.os, values.time, table.SHARDS = kept


class LedgerWorld:
    """A tenant with a few files, and actors that do what dispatch and the jobs do to the ledger."""

    def __init__(self, *, kind: type[Ledger] = Ledger, files: int = 3, rng: random.Random | None = None) -> None:
        self.kind = kind
        self.rng = rng or random.Random(0)
        self.clock = Clock()
        self.rows = memory_table()
        self.ledger = self.seen_by(Process())
        self.files = [a_file(f"{number}.csv") for number in range(files)]
        self.glue_runs = 0
        self.events: list[str] = []  # commit objects that were PUT: their events come some time
        self.confused: list[LedgerError] = []
        enter(self.ledger, "acme")
        for file in self.files:
            self.ledger.receive(file, RAW)

    def seen_by(self, process: Process) -> Ledger:
        return self.kind("ledger", store=MemoryStore(self.rows, process), clock=self.clock)

    # -- actors -------------------------------------------------------------------------------------------------------

    def dispatch(self, actor: Process, *, limit: int | None = None, job: str = RAW) -> str | None:
        """Begins a run over what waits."""
        ledger = self.seen_by(actor)
        waiting = ledger.waiting("acme", "sales", job, limit=limit or len(self.files))
        if not waiting:
            return None
        try:
            return ledger.begin("acme", job, "sales", waiting)
        except (RunOpen, NothingClaimed, RunNotOpen):
            return None

    def job(self, actor: Process, run_id: str, *, job: str = RAW, fails: bool = False, beats: bool = False) -> None:
        """One Glue run: takes, works, commits, finalises."""
        ledger = self.seen_by(actor)
        self.glue_runs += 1
        try:
            run = ledger.take("acme", job, run_id, f"jr_{self.glue_runs}")
            if beats:
                ledger.heartbeat(run)
            if fails:
                ledger.fail(run, "a bad day")
                return
            ledger.commit(run, a_record(run))
            ledger.finalise(run)
        except RunNotOpen:
            return

    def recover(self, actor: Process) -> None:
        self.seen_by(actor).recover()

    # -- a random play ------------------------------------------------------------------------------------------------

    def play(self, *, lag: bool = True) -> None:
        """Three dispatches and a recovery; each dispatch starts jobs. Anybody may die, time may pass at any moment."""
        deaths, jumps = self.rng.choice([0, 0.02, 0.05]), self.rng.choice([0.05, 0.3])
        self.rows.lag = self.rng.choice([0, 0, 3, 10]) if lag else 0
        stage = Stage(self.rng.choice, before=lambda actor: self._fate(actor, deaths, jumps), stops_after=True)
        for number in range(3):
            stage.add(f"dispatch {number}", self._dispatches)
        stage.add("recovery", self._recovers)
        stage.run()
        self.rows.lag = 0

    def _fate(self, actor: Actor, deaths: float, jumps: float) -> None:
        actor.dead = actor.dead or self.rng.random() < deaths
        if self.rng.random() < jumps:
            self.clock.move(minutes=self.rng.choice([1, 6, 16]))

    def _dispatches(self, actor: Actor) -> None:
        run = self.dispatch(actor, limit=self.rng.choice([1, None]))
        if run is None:
            return
        for _ in range(self.rng.choice([1, 1, 2])):  # a lost answer of StartJobRun starts a second one
            nature = {"fails": self.rng.random() < 0.15, "beats": self.rng.random() < 0.3}
            actor.stage.add("job", functools.partial(self.job, run_id=run, **nature))
        if self.rng.random() < 0.5:
            actor.stage.add("dispatch", self._dispatches)

    def _recovers(self, actor: Actor) -> None:
        for _ in range(3):
            self.clock.move(minutes=self.rng.choice([1, 7, 20]))
            self.recover(actor)
            self._dispatches(actor)

    # -- the end ------------------------------------------------------------------------------------------------------

    def drain(self, *, jobs: tuple[str, ...] = (RAW,), rounds: int = 20) -> None:
        """Nobody dies any more: recovery, dispatch and jobs until nothing waits."""
        for _ in range(rounds):
            self.clock.move(hours=1)
            self.ledger.recover()
            self.clock.move(hours=1)
            started = [self.dispatch(Process(), job=job) for job in jobs]
            for job, run in zip(jobs, started, strict=True):
                if run:
                    self.job(Process(), run, job=job)
            if not any(started) and not self.ledger.unfinished():
                return

    def consumed(self, job: str = RAW) -> Counter[str]:
        """How often each file is among the inputs of a COMPLETED run."""
        headers = self.ledger.store.query(Header, table.job_pk("acme", job))
        completed = [header for header in headers if header.st == HeaderState.COMPLETED]
        return Counter(node for header in completed for node in self.ledger.inputs_of(header))

    def twice(self, job: str = RAW) -> list[str]:
        return [node for node, times in self.consumed(job).items() if times > 1]

    def violations(self) -> list[str]:
        """What is wrong after `drain`: each file is consumed once and DONE, or DEAD with a reason; nothing is open."""
        consumed = self.consumed()
        wrong = [f"{file.key}: {found}" for file in self.files if (found := self._wrong(file, consumed))]
        wrong += [f"unfinished {run.run} {run.state}" for run in self.ledger.unfinished()]
        wrong += [f"slot of {slot.run}" for slot in self.ledger.slots("acme")]
        listed = Counter(file.key for file in self.ledger.files("acme"))
        wrong += [f"{file.key}: listed {listed[file.key]} times" for file in self.files if listed[file.key] != 1]
        left = [key for key in self.rows.items if key[0] == table.seats_pk("acme")]
        return wrong + [f"seat {key[1]}" for key in left]

    def _wrong(self, file: object, consumed: Counter[str]) -> str | None:
        claim = self.claim(file)
        times = consumed[f"{file.fid}.{file.ver}"]
        if claim.st == ClaimState.DONE:
            return None if times == 1 else f"DONE and in {times} committed runs"
        if claim.st == ClaimState.DEAD:
            return None if times == 0 and claim.reason else f"DEAD ({claim.reason}) and in {times} committed runs"
        return f"{claim.st} for ever"

    def claim(self, file: object, job: str = RAW) -> Claim:
        return self.ledger.store.get(Claim, (table.file_pk("acme", file.fid), table.claim_sk(file.ver, job)))


def a_record(run: Run) -> CommitRecord:
    """What either job tells the ledger of a run in which all went well."""
    if run.job == ANALYTICS:
        outputs = [
            Output(
                key="analytics-ready/sales/year=2024/month=09", version=run.run, zone="analytics-ready", dataset="sales"
            )
        ]
    else:
        commit = key_of("sales", run.batch)
        outputs = [
            Output(key=f"processed/sales/{run.run}-0.parquet", version=None, zone="processed", dataset="sales", rows=1),
            Output(key=commit, version="1", zone="processed", dataset="sales"),
        ]
    return CommitRecord(
        outputs=outputs,
        inputs=[InputResult(key=one.key, version=one.version, rows=1, rejected=0, id=one.id) for one in run.members],
        rows_in=len(run.members),
        rows_out=len(run.members),
        rejected=0,
    )
