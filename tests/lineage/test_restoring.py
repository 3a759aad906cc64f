"""The ledger written anew from what commit objects and snapshots say: the same states and the same lineage come back."""

from collections.abc import Iterator
from dataclasses import replace

import boto3
import pytest

from lineage import chunks, graph, table
from lineage.holds import Holds
from lineage.items import Claim
from lineage.items import Run as Header
from lineage.ledger import Ledger
from lineage.replays import Replays
from lineage.restoring import RestoredRun, Restoring
from lineage.store import Store
from lineage.values import CommitRecord, FileStatus, HeaderState, InputResult
from tests.lineage.builders import ANALYTICS, RAW, Clock, a_dataset, a_file, begin, commit_key, enter, merged, processed

PLAN = '{"fingerprint": "fp1"}'


class Work:
    """Does runs and remembers of each what S3 would say of it."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.told: list[RestoredRun] = []

    def first(self, *, enters: bool = True, rows: int = 5, files: int = 1) -> RestoredRun:
        run = begin(self.ledger)
        record = replace(processed(run, rows=rows, files=files), contract="fp1")
        self._done(run, record)
        if enters:
            self.ledger.receive(self.commit_object(run), ANALYTICS)
        return self.told[-1]

    def second(self) -> RestoredRun:
        run = begin(self.ledger, job=ANALYTICS, glue_run="jr_2")
        self._done(run, merged(run, snapshot=run.run[-6:]))
        return self.told[-1]

    def commit_object(self, run):
        return a_file(key=commit_key(run), version="c1", arrived_at=self.clock.now, etag="", size=0, sequencer="")

    def _done(self, run, record: CommitRecord) -> None:
        inputs = [replace(one, id=member.id) for one, member in zip(record.inputs, run.members, strict=True)]
        record = replace(record, inputs=inputs)
        started = self.clock.now
        self.clock.move(seconds=30)
        self.ledger.commit(run, record)
        self.ledger.finalise(run)
        told = RestoredRun(
            tenant="acme",
            job=run.job,
            dataset="sales",
            run=run.run,
            batch=run.batch,
            attempt=run.attempt,
            glue_run=run.glue_run,
            started=started,
            ended=self.clock.now,
            members=run.members,
            record=record,
        )
        self.told.append(told)


@pytest.fixture
def work(ledger: Ledger, clock: Clock) -> Work:
    ledger.put_dataset(a_dataset(plan=PLAN))
    return Work(ledger, clock)


@pytest.fixture
def lost(aws: None, clock: Clock) -> Iterator[Ledger]:
    """An empty ledger into which the tenant has been deployed again."""
    boto3.client("dynamodb").create_table(**table.definition("second-ledger"))
    made = Ledger("second-ledger", store=Store("second-ledger", workers=1), clock=clock)
    enter(made, "acme")
    made.put_dataset(a_dataset(plan=PLAN))
    return made


def restore(ledger: Ledger, told: list[RestoredRun]) -> list[bool]:
    ordered = sorted(told, key=lambda one: (one.job != RAW, one.started))
    return [Restoring(ledger).run(one) for one in ordered]


def items(ledger: Ledger, *, ignoring: frozenset[str] = frozenset({"fence", "attempt", "retry_at"})) -> dict:
    """Every item of the table that is data of the tenant, without what counts tries, and when an edge was last seen."""
    found = boto3.client("dynamodb").scan(TableName=ledger.store.name)["Items"]
    kinds = {"version", "arrival", "claim", "partition", "edge"}
    return {
        (item["PK"]["S"], item["SK"]["S"]): {
            name: value
            for name, value in item.items()
            if name not in ignoring and not (item["kind"]["S"] == "edge" and name in {"first", "last", "run"})
        }
        for item in found
        if item["kind"]["S"] in kinds
    }


def story(ledger: Ledger) -> list:
    """What a person sees: files, runs, lineage."""
    runs = [replace(run, heartbeat=None, started=None) for run in ledger.runs("acme")]
    down = [graph.down(ledger, "acme", f"{file.key}@{file.version}").to_json() for file in ledger.files("acme")]
    return [ledger.files("acme"), runs, down, graph.tables(ledger, "acme").to_json()]


# -- a lost ledger ---------------------------------------------------------------------------------------------------


def test_after_the_table_is_lost_the_same_states_items_and_lineage_come_back(work, ledger, lost):
    for name in ("a.csv", "b.csv"):
        ledger.receive(a_file(name), RAW)
    work.first(files=2)
    ledger.receive(a_file("c.csv"), RAW)
    work.first()
    work.second()

    assert restore(lost, work.told) == [True] * 3

    assert story(lost) == story(ledger)
    assert items(lost) == items(ledger)
    assert [file.state for file in lost.files("acme")] == [FileStatus.QUERYABLE] * 3


def test_a_replayed_file_comes_back_with_both_its_edges(work, ledger, lost):
    ledger.receive(a_file(), RAW)
    work.first()
    work.second()
    replays = Replays(ledger)
    replays.replay(replays.plan("acme", dataset="sales", force=True))
    work.first(rows=7)
    work.second()

    restore(lost, work.told)

    assert items(lost) == items(ledger)
    assert (lost.files("acme")[0].rows, lost.files("acme")[0].epoch) == (7, 1)


def test_in_whatever_order_the_runs_come_the_latest_epoch_has_the_claim(work, ledger, lost):
    ledger.receive(a_file(), RAW)
    work.first()
    work.second()
    replays = Replays(ledger)
    replays.replay(replays.plan("acme", dataset="sales", force=True))
    work.first(rows=7)
    work.second()

    for told in reversed(work.told):
        assert Restoring(lost).run(told) is True

    assert items(lost) == items(ledger)


def test_more_outputs_than_a_header_holds_come_back(work, ledger, lost, monkeypatch):
    monkeypatch.setattr(chunks, "INLINE", 2)
    ledger.receive(a_file(), RAW)
    work.first(files=5)

    restore(lost, work.told)

    header = lost.header("acme", work.told[0].run)
    assert (header.out, len(lost.outputs_of(header))) == (None, 6)


def test_many_are_restored_at_once_and_counted(work, ledger, lost):
    for name in ("a.csv", "b.csv", "c.csv"):
        ledger.receive(a_file(name), RAW)
        work.first()
    work.second()

    assert Restoring(lost).runs(work.told) == 4
    assert Restoring(lost).runs(work.told) == 0
    assert items(lost) == items(ledger)


def test_a_commit_object_that_was_never_merged_waits_for_the_next_job(work, ledger, lost, clock):
    ledger.receive(a_file(), RAW)
    told = work.first()
    restore(lost, work.told)
    commit = next(output for output in told.record.outputs if "_commits" in output.key)
    lost.receive(a_file(key=commit.key, version="c1", arrived_at=clock.now), ANALYTICS)

    assert [one.key for one in lost.waiting("acme", "sales", ANALYTICS)] == [commit.key]
    assert lost.waiting("acme", "sales", RAW) == []


def test_the_event_of_a_restored_file_is_a_duplicate(work, ledger, lost):
    ledger.receive(a_file(), RAW)
    work.first()
    restore(lost, work.told)

    assert lost.receive(a_file(), RAW) is False
    assert len(lost.files("acme")) == 1


def test_restored_files_can_be_replayed_and_replace_their_batch(work, ledger, lost):
    ledger.receive(a_file(), RAW)
    told = work.first()
    work.second()
    restore(lost, work.told)

    [file] = Replays(lost).plan("acme", dataset="sales", force=True).files

    assert (file.epoch, file.member.replaces) == (1, (told.batch,))


# -- repeating, and dying half way -----------------------------------------------------------------------------------


def test_what_the_ledger_knows_is_left_as_it_is(work, ledger):
    ledger.receive(a_file(), RAW)
    work.first()
    work.second()
    before = items(ledger, ignoring=frozenset())

    assert restore(ledger, work.told) == [False, False]
    assert items(ledger, ignoring=frozenset()) == before


def test_wherever_a_restoring_dies_the_next_finishes_it(work, ledger, lost, monkeypatch):
    for name in ("a.csv", "b.csv"):
        ledger.receive(a_file(name), RAW)
    work.first()
    work.second()
    real = lost.store.call
    writes = {"PutItem", "UpdateItem", "BatchWriteItem", "TransactWriteItems"}

    for point in range(1, 60):
        calls = []

        def dies(operation, request, calls=calls, point=point):
            calls.append(operation) if operation in writes else None
            if len(calls) >= point and operation in writes:
                raise KeyboardInterrupt
            return real(operation, request)

        with monkeypatch.context() as patch:
            patch.setattr(lost.store, "call", dies)
            try:
                restore(lost, work.told)
            except KeyboardInterrupt:
                continue
        break

    assert point > 10
    assert items(lost) == items(ledger)
    assert story(lost) == story(ledger)


def test_recovery_and_repair_in_between_do_no_harm(work, ledger, lost, monkeypatch, clock):
    """The header counts already and one claim is made; then the restoring dies, and the every-minute recovery comes."""
    for name in ("a.csv", "b.csv"):
        ledger.receive(a_file(name), RAW)
    [told] = [work.first()]
    real, made = lost.store.put, []

    def dies(item, condition=None):
        if isinstance(item, Claim):
            made.append(item)
            if len(made) == 2:
                raise KeyboardInterrupt
        real(item, condition)

    with monkeypatch.context() as patch:
        patch.setattr(lost.store, "put", dies)
        with pytest.raises(KeyboardInterrupt):
            restore(lost, work.told)
    clock.move(hours=1)
    lost.recover()
    lost.free("acme", made[0])

    assert restore(lost, work.told) == [True]
    assert [file.run for file in lost.files("acme")] == [told.run] * 2
    assert items(lost).keys() >= {(claim.pk, claim.sk) for claim in made}


# -- a ledger that was set back --------------------------------------------------------------------------------------


def test_files_that_wait_held_or_dead_in_an_older_ledger_become_done(work, ledger, lost, clock):
    for name in ("a.csv", "b.csv", "c.csv"):
        ledger.receive(a_file(name), RAW)
    told = work.first(enters=False)
    lost.receive(a_file("a.csv"), RAW)
    lost.receive(a_file("b.csv"), RAW, held=True)
    lost.receive(a_file("c.csv"), RAW)
    key = table.file_pk("acme", table.file_id("raw/sales/c.csv"))
    dead = next(lost.store.query(Claim, key, "C#"))
    lost.store.update((dead.pk, dead.sk), [Claim.st.set("DEAD"), Claim.g2pk.remove(), Claim.g2sk.remove()])

    assert restore(lost, [told]) == [True]

    assert lost.waiting("acme", "sales", RAW) == []
    assert Holds(lost).drain("acme") == 0
    assert [file.run for file in lost.files("acme")] == [told.run] * 3
    assert items(lost) == items(ledger)


def test_a_run_that_the_backup_shows_at_work_and_that_has_committed_since_counts(work, ledger, lost, clock):
    """The header of the backup is RUNNING with its slot, its seat and its claims, and nobody beats its heart."""
    ledger.receive(a_file(), RAW)
    told = work.first()
    lost.receive(a_file(), RAW)
    stale = begin(lost)
    clock.move(minutes=10)
    told = replace(told, run=stale.run, batch=stale.batch, glue_run=stale.glue_run)

    assert restore(lost, [told]) == [True]

    header = lost.header("acme", stale.run)
    assert (header.st, header.tidy) == (HeaderState.COMPLETED, True)
    assert lost.slots("acme") == []
    assert lost.files("acme")[0].run == stale.run


def test_files_of_a_living_run_are_left_to_it(work, ledger, lost):
    ledger.receive(a_file(), RAW)
    told = work.first()
    lost.receive(a_file(), RAW)
    living = begin(lost)

    assert restore(lost, [told]) == [False]
    assert lost.files("acme")[0].state == FileStatus.PROCESSING
    lost.heartbeat(living)


def test_the_attempt_that_adopted_a_dead_ones_commit_object_keeps_it(work, ledger, clock):
    """The commit object names the run that wrote it, which was fenced; the ledger counts the attempt after it."""
    ledger.receive(a_file(), RAW)
    writer = begin(ledger)
    ledger.fail(writer, "killed after the commit object")
    clock.move(minutes=5)
    told = work.first()
    before = items(ledger, ignoring=frozenset())

    assert restore(ledger, [replace(told, run=writer.run)]) == [False]
    assert ledger.header("acme", writer.run).st == HeaderState.FAILED
    assert items(ledger, ignoring=frozenset()) == before


def test_also_when_its_files_have_been_replayed_since(work, ledger, clock):
    ledger.receive(a_file(), RAW)
    writer = begin(ledger)
    ledger.fail(writer, "killed after the commit object")
    clock.move(minutes=5)
    told = work.first()
    work.second()
    replays = Replays(ledger)
    replays.replay(replays.plan("acme", dataset="sales", force=True))
    before = items(ledger, ignoring=frozenset())

    assert restore(ledger, [replace(told, run=writer.run)]) == [False]
    assert items(ledger, ignoring=frozenset()) == before


# -- what never counted ----------------------------------------------------------------------------------------------


def test_a_run_whose_work_never_counted_is_known_as_lost_and_holds_nothing(work, ledger, lost):
    ledger.receive(a_file(), RAW)
    told = replace(work.first(), counts=False)

    assert [Restoring(lost).run(told), Restoring(lost).run(told)] == [True, False]

    header = lost.header("acme", told.run)
    assert (header.st, header.tidy, header.batch, header.g2pk) == (HeaderState.FENCED, True, told.batch, None)
    assert [member.id for member in chunks.members(lost.store, "acme", told.run)] == [told.members[0].id]
    assert lost.files("acme") == []
    assert lost.unfinished() == []


def test_a_result_that_is_missing_is_named_rather_than_a_file_lost(work, ledger, lost):
    ledger.receive(a_file(), RAW)
    told = work.first()
    short = replace(told, record=replace(told.record, inputs=[InputResult(key="x", version=None, rows=0, rejected=0)]))

    with pytest.raises(ValueError, match="results are not those of its 1 members"):
        Restoring(lost).run(short)
    assert lost.store.get(Header, (table.job_pk("acme", RAW), told.run)) is None
