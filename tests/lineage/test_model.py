"""The ledger against a small model of it: whatever is asked of both, in whatever order, both say the same.

The model knows files and runs as a person does, no items, fences or indexes. What is random in the ledger, the pause
of files whose run failed, it takes over once it has seen that it is within its bounds.
"""

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lineage import table
from lineage.endings import GRACE
from lineage.errors import NothingClaimed, RunNotOpen, RunOpen
from lineage.fates import BACKOFF_S, MAX_ATTEMPTS, UNSTARTED_S
from lineage.history import SILENT_AFTER, UNSTARTED_AFTER
from lineage.holds import Holds
from lineage.items import Claim
from lineage.items import Run as Header
from lineage.ledger import Ledger
from lineage.replays import Replays
from lineage.values import ClaimState, HeaderState, Run, batch_of, moment
from tests.faults.memory import MemoryStore, memory_table
from tests.faults.worlds import a_record, seeded
from tests.lineage.builders import ANALYTICS, RAW, Clock, a_file, enter

NAMES = ("a.csv", "b.csv", "c.csv", "d.csv", "e.csv")
WAITS, HELD, CLAIMED, DONE, DEAD = "waits", "held", "claimed", "done", "dead"
OPEN, COMMITTED, OVER = "open", "committed", "over"
STATES = {
    ClaimState.RECEIVED: WAITS,
    ClaimState.RETRY: WAITS,
    ClaimState.HELD: HELD,
    ClaimState.CLAIMED: CLAIMED,
    ClaimState.DONE: DONE,
    ClaimState.DEAD: DEAD,
}


@dataclass
class ModelFile:
    state: str
    attempt: int = 0
    epoch: int = 0
    not_before: datetime | None = None
    goes_with: frozenset[str] = frozenset()
    """Files that it is tried again with; empty: with any."""
    batch: str | None = None
    """Of the run that was the last to have it done."""
    counted: int = 0


@dataclass
class ModelRun:
    files: frozenset[str]
    batch: str
    attempt: int
    seen: datetime
    state: str = OPEN
    glue_run: str | None = None
    ended: datetime | None = None
    counts: bool = False
    """Has committed."""
    taken: Run | None = field(default=None, repr=False)


class LedgerAndModel(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 10**6))
    def begin_with(self, seed: int) -> None:
        self.patches = contextlib.ExitStack()
        self.patches.enter_context(seeded(seed))
        self.clock = Clock()
        self.rows = memory_table()
        self.ledger = Ledger("ledger", store=MemoryStore(self.rows), clock=self.clock)
        enter(self.ledger, "acme")
        self.files: dict[str, ModelFile] = {}
        self.runs: dict[str, ModelRun] = {}
        self.held = False
        self.told: set[str] = set()
        """Batches whose commit object's event has come."""
        self.merged: set[str] = set()
        for name in NAMES[:2]:
            self.a_file_arrives_or_its_event_comes_again(name)

    def teardown(self) -> None:
        if hasattr(self, "patches"):
            self.patches.close()

    # -- arrivals ------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES))
    def a_file_arrives_or_its_event_comes_again(self, name: str) -> None:
        is_new = self.ledger.receive(a_file(name), RAW, held=self.held)
        assert is_new == (name not in self.files)
        if is_new:
            self.files[name] = ModelFile(HELD if self.held else WAITS)

    @rule()
    def hold(self) -> None:
        Holds(self.ledger).hold("acme", "why not")
        self.held = True

    @rule()
    def release(self) -> None:
        held = [file for file in self.files.values() if file.state == HELD]
        assert Holds(self.ledger).release("acme") == len(held)
        self.held = False
        for file in held:
            file.state = WAITS

    @rule()
    def drain(self) -> None:
        held = [] if self.held else [file for file in self.files.values() if file.state == HELD]
        assert Holds(self.ledger).drain("acme") == len(held)
        for file in held:
            file.state = WAITS

    # -- runs ----------------------------------------------------------------------------------------------------

    def ready(self) -> set[str]:
        now = self.clock()
        return {
            name
            for name, file in self.files.items()
            if file.state == WAITS and (file.not_before is None or file.not_before <= now)
        }

    def open_run(self) -> str | None:
        return next((run for run, known in self.runs.items() if known.state == OPEN), None)

    @rule(most=st.integers(1, len(NAMES)))
    def begin(self, most: int) -> None:
        members = self.ledger.waiting("acme", "sales", RAW, limit=most)
        names = {name_of(member.key) for member in members}
        assert names <= self.ready()
        assert len(names) == min(most, len(self.ready()))
        if not members:
            return
        before = self.open_run()
        if before and not self.is_silent(before):
            with pytest.raises(RunOpen):
                self.ledger.begin("acme", RAW, "sales", members)
            return
        run = self.ledger.begin("acme", RAW, "sales", members)
        if before:
            self.lost(before)
        self.runs[run] = ModelRun(
            files=frozenset(names),
            batch=batch_of(members, RAW, "sales"),
            attempt=1 + max(self.files[name].attempt for name in names),
            seen=self.clock(),
        )
        for name in names:
            self.files[name].state = CLAIMED
        assert self.ledger.run("acme", run).batch == self.runs[run].batch

    @rule(most=st.integers(1, len(NAMES)))
    def begin_with_files_that_are_another_runs(self, most: int) -> None:
        """A dispatch that looked at what waited before others began."""
        members = self.ledger.waiting("acme", "sales", RAW, limit=most)
        if not members or self.open_run():
            return
        self.begin(len(NAMES))
        run = str(self.open_run())
        self.ledger.fail(self.ledger.run("acme", run), "nothing", counts=False)
        self.unstarted(run)
        with pytest.raises(NothingClaimed):
            self.ledger.begin("acme", RAW, "sales", members)

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), glue_run=st.sampled_from(["jr_1", "jr_2"]))
    def take(self, data: st.DataObject, glue_run: str) -> None:
        run, known = self.some_run(data)
        if known.state != OPEN or known.glue_run not in (None, glue_run):
            with pytest.raises(RunNotOpen):
                self.ledger.take("acme", RAW, run, glue_run)
            return
        known.taken = self.ledger.take("acme", RAW, run, glue_run)
        known.glue_run, known.seen = glue_run, self.clock()
        assert {name_of(member.key) for member in known.taken.members} == known.files
        assert (known.taken.batch, known.taken.attempt) == (known.batch, known.attempt)
        assert all(member.epoch == self.files[name_of(member.key)].epoch for member in known.taken.members)

    @precondition(lambda self: any(run.taken for run in self.runs.values()))
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        _, known = self.some_run(data, taken=True)
        if known.state != OPEN:
            with pytest.raises(RunNotOpen):
                self.ledger.heartbeat(known.taken)
            return
        self.ledger.heartbeat(known.taken)
        known.seen = self.clock()

    @precondition(lambda self: any(run.taken for run in self.runs.values()))
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """Also of runs that are over, and again."""
        _, known = self.some_run(data, taken=True)
        if known.state != OPEN and not known.counts:
            with pytest.raises(RunNotOpen):
                self.ledger.commit(known.taken, a_record(known.taken))
            return
        self.ledger.commit(known.taken, a_record(known.taken))
        if not known.counts:
            known.state, known.counts, known.ended = COMMITTED, True, self.clock()
            for name in known.files:
                self.files[name].counted += 1

    @precondition(lambda self: any(run.taken for run in self.runs.values()))
    @rule(data=st.data())
    def finalise(self, data: st.DataObject) -> None:
        _, known = self.some_run(data, taken=True)
        if not known.counts:
            with pytest.raises(RunNotOpen):
                self.ledger.finalise(known.taken)
            return
        self.ledger.finalise(known.taken)
        self.settled(known)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        run, known = self.some_run(data)
        was_open = known.state == OPEN
        assert self.ledger.fail(self.ledger.run("acme", run), "a bad day") == was_open
        if was_open:
            self.lost(run)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def cannot_be_started(self, data: st.DataObject) -> None:
        run, known = self.some_run(data)
        was_open = known.state == OPEN
        assert self.ledger.fail(self.ledger.run("acme", run), "no Glue", counts=False) == was_open
        if was_open:
            self.unstarted(run)

    @rule(minutes=st.sampled_from([0.5, 1, 6, 16]))
    def time_passes(self, minutes: float) -> None:
        self.clock.move(minutes=minutes)

    @rule()
    def recover(self) -> None:
        now = self.clock()
        outcomes = {one.run: one.outcome for one in self.ledger.recover()}
        expected = {}
        for run, known in self.runs.items():
            if known.state == OPEN and self.is_silent(run):
                expected[run] = "fenced"
                self.lost(run)
            elif known.state == COMMITTED and known.ended + GRACE < now:
                expected[run] = "finalised"
                self.settled(known)
        assert outcomes == expected

    # -- whole ways, which single steps would seldom go ------------------------------------------------------------

    def whole(self) -> str | None:
        """A run over all that waits, taken."""
        self.clock.move(minutes=2)
        self.begin(len(NAMES))
        run = self.open_run()
        if run and self.runs[run].taken is None:
            self.runs[run].taken = self.ledger.take("acme", RAW, run, "jr_1")
            self.runs[run].glue_run, self.runs[run].seen = "jr_1", self.clock()
        return run

    @rule(settles=st.booleans())
    def a_run_goes_well(self, settles: bool) -> None:
        run = self.whole()
        if run:
            known = self.runs[run]
            self.ledger.commit(known.taken, a_record(known.taken))
            known.state, known.counts, known.ended = COMMITTED, True, self.clock()
            for name in known.files:
                self.files[name].counted += 1
            self.ledger.receive(a_file(key=commit_key(known.batch), version="1"), ANALYTICS)
            self.told.add(known.batch)
            if settles:
                self.ledger.finalise(known.taken)
                self.settled(known)

    @rule(times=st.integers(1, 4))
    def runs_fail(self, times: int) -> None:
        for _ in range(times):
            run = self.whole()
            if run:
                self.ledger.fail(self.ledger.run("acme", run), "a bad day")
                self.lost(run)

    # -- the second job ------------------------------------------------------------------------------------------

    @precondition(lambda self: any(run.taken for run in self.runs.values()))
    @rule(data=st.data())
    def the_commit_object_is_told(self, data: st.DataObject) -> None:
        """It is PUT before the ledger's commit, by runs too that never commit."""
        _, known = self.some_run(data, taken=True)
        is_new = self.ledger.receive(a_file(key=commit_key(known.batch), version="1"), ANALYTICS)
        assert is_new == (known.batch not in self.told)
        self.told.add(known.batch)

    @rule()
    def merge(self) -> None:
        """The second job, in one go."""
        waiting = self.ledger.waiting("acme", "sales", ANALYTICS)
        counted = {run.batch for run in self.runs.values() if run.counts}
        expected = (self.told & counted) - self.merged
        assert {member.key for member in waiting} == {commit_key(batch) for batch in expected}
        if waiting:
            run = self.ledger.begin("acme", ANALYTICS, "sales", waiting)
            taken = self.ledger.take("acme", ANALYTICS, run, "jr_3")
            self.ledger.commit(taken, a_record(taken))
            self.ledger.finalise(taken)
            self.merged |= expected

    # -- replays -------------------------------------------------------------------------------------------------

    @rule()
    def replay(self) -> None:
        replays = Replays(self.ledger)
        plan = replays.plan("acme", dataset="sales", force=True)
        settled = {
            name
            for name, file in self.files.items()
            if file.state == DEAD or (file.state == DONE and file.batch in self.merged)
        }
        assert {name_of(file.key) for file in plan.files} == settled
        assert len(replays.replay(plan)) == bool(settled)
        for name in settled:
            file = self.files[name]
            file.state, file.attempt, file.epoch, file.not_before = WAITS, 0, file.epoch + 1, self.clock()

    # -- what follows --------------------------------------------------------------------------------------------

    def some_run(self, data: st.DataObject, *, taken: bool = False) -> tuple[str, ModelRun]:
        chosen = [run for run, known in self.runs.items() if known.taken or not taken]
        # Those of late are the interesting ones.
        run = chosen[-1 - data.draw(st.integers(0, min(3, len(chosen) - 1)))]
        return run, self.runs[run]

    def is_silent(self, run: str) -> bool:
        known = self.runs[run]
        return known.seen + (SILENT_AFTER if known.glue_run else UNSTARTED_AFTER) < self.clock()

    def settled(self, known: ModelRun) -> None:
        if known.state == COMMITTED:
            for name in known.files:
                self.files[name].state, self.files[name].batch = DONE, known.batch
        known.state = OVER

    def lost(self, run: str) -> None:
        """A run that had its batch and did not do it."""
        known = self.runs[run]
        known.state = OVER
        ordered = sorted(known.files, key=lambda name: self.claim(name).pk)
        for name in known.files:
            self.files[name].attempt += 1
            if known.attempt < MAX_ATTEMPTS:
                most = timedelta(seconds=BACKOFF_S * 2 ** (known.attempt - 1))
                self.waits_again(name, most / 2, most)
            elif len(known.files) == 1:
                self.files[name].state = DEAD
            else:
                self.files[name].state, self.files[name].not_before = WAITS, None
        groups = (
            [known.files]
            if known.attempt < MAX_ATTEMPTS
            else [ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]]
        )
        if not (known.attempt >= MAX_ATTEMPTS and len(known.files) == 1):
            named = [{self.claim(name).group for name in group} for group in groups]
            assert all(len(group) == 1 and None not in group for group in named)
            assert len(set.union(*named)) == len(groups)

    def unstarted(self, run: str) -> None:
        self.runs[run].state = OVER
        for name in self.runs[run].files:
            self.waits_again(name, *(timedelta(seconds=seconds) for seconds in UNSTARTED_S))

    def waits_again(self, name: str, least: timedelta, most: timedelta) -> None:
        again = moment(self.claim(name).retry_at)
        assert self.clock() + least <= again <= self.clock() + most
        self.files[name].state, self.files[name].not_before = WAITS, again

    def claim(self, name: str) -> Claim:
        file = a_file(name)
        return self.ledger.store.get(Claim, (table.file_pk("acme", file.fid), table.claim_sk(file.ver, RAW)))

    # -- what both say -------------------------------------------------------------------------------------------

    @invariant()
    def files_are_as_the_model_says(self) -> None:
        for name, file in getattr(self, "files", {}).items():
            claim = self.claim(name)
            assert (STATES[claim.st], claim.attempt, claim.epoch or 0) == (file.state, file.attempt, file.epoch), name
            assert (claim.g2pk is not None) == (file.state in (WAITS, HELD))

    @invariant()
    def each_file_is_listed_once(self) -> None:
        if hasattr(self, "files"):
            listed = Counter(name_of(file.key) for file in self.ledger.files("acme"))
            assert listed == Counter(self.files.keys())

    @invariant()
    def each_epoch_of_a_file_counts_once_at_most(self) -> None:
        if not hasattr(self, "files"):
            return
        headers = self.ledger.store.query(Header, table.job_pk("acme", RAW))
        completed = [header for header in headers if header.st == HeaderState.COMPLETED]
        counted = Counter(node for header in completed for node in self.ledger.inputs_of(header))
        expected = {a_file(name).fid: file.counted for name, file in self.files.items() if file.counted}
        assert {node.split(".")[0]: times for node, times in counted.items()} == expected
        assert all(file.counted <= file.epoch + 1 for file in self.files.values())

    @invariant()
    def places_are_taken_by_open_runs_only(self) -> None:
        if hasattr(self, "files"):
            is_open = [run for run in [self.open_run()] if run]
            assert [slot.run for slot in self.ledger.slots("acme")] == is_open
            assert len([key for key in self.rows.items if key[0] == table.seats_pk("acme")]) == len(is_open)


def name_of(key: str) -> str:
    return key.rsplit("/", 1)[1]


def commit_key(batch: str) -> str:
    return f"processed/sales/_commits/{batch}.json"


LIMITS = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


def test_the_ledger_does_what_the_model_does():
    run_state_machine_as_test(LedgerAndModel, settings=LIMITS)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_it_does_for_hours_too():
    run_state_machine_as_test(
        LedgerAndModel, settings=settings(LIMITS, max_examples=1500, stateful_step_count=80, derandomize=False)
    )
