"""The mutants: what somebody might get wrong in a protocol for files that count once."""

import itertools
from collections.abc import Callable, Iterator

from glue_scripts import raw_to_processed
from tests.faults import operations
from tests.faults.injection import Process
from tests.faults.lake import Lake
from tests.faults.schedule import drawn, told
from tests.faults.test_control_plane import arrivals, calm, faulty
from tests.faults.test_interleavings import SCENARIOS, one
from tests.faults.test_late_events import DAYS, twice_after
from tests.faults.test_operations import one_seat
from tests.faults.test_sleepers import ASLEEP, of_the_second_job, orders
from tests.faults.worlds import LedgerWorld, seeded
from tests.lineage.builders import a_file
from tests.lineage.test_schedules import uncommitted
from tests.mutants.mutation import Change, Mutant, Play

DRAWN = 400

INTERLEAVINGS = "tests/faults/test_interleavings.py::test_some_orders"
CONTROL_PLANE = "tests/faults/test_control_plane.py::test_no_fault_at_any_call_loses_a_file_or_counts_it_twice"

Lakes = Callable[[Lake], Lake]


# -- plays ------------------------------------------------------------------------------------------------------------


def orders_of(name: str) -> Callable[[Lakes], Iterator[Play]]:
    """Two that race, in one order after another."""
    [scenario] = [scenario for scenario in SCENARIOS if scenario.name == name]

    def plays(_lakes: Lakes) -> Iterator[Play]:
        for seed in range(DRAWN):
            yield lambda seed=seed: one(scenario, drawn(seed))

    return plays


def zombies_of_the_second_job(_lakes: Lakes) -> Iterator[Play]:
    for path in orders():
        yield lambda path=path: of_the_second_job(path)


def sleepers(_lakes: Lakes) -> Iterator[Play]:
    for path in orders():
        yield lambda path=path: one(ASLEEP[-1], told(path))


def seats(_lakes: Lakes) -> Iterator[Play]:
    for seed in range(DRAWN):
        yield lambda seed=seed: one_seat(drawn(seed))


def uncommitted_commits(_lakes: Lakes) -> Iterator[Play]:
    for seed in range(DRAWN):
        yield lambda seed=seed: uncommitted(seed)


def faults_in(step: str, *faults: str) -> Callable[[Lakes], Iterator[Play]]:
    """The lake's way from arrival to table with a fault at each call of one step."""

    def play(lakes: Lakes, plan: str) -> list[str]:
        with seeded(0):
            lake = lakes(Lake())
            arrivals(lake)
            faulty(lake, step, plan)
            lake.drain()
            return lake.violations()

    def plays(lakes: Lakes) -> Iterator[Play]:
        yield lambda: play(lakes, "")
        with seeded(0):
            lake = lakes(Lake())
            arrivals(lake)
            calls = calm(lake)[step]
        for number, fault in itertools.product(range(1, len(calls) + 1), faults):
            plan = fault.format(number)
            yield lambda plan=plan: play(lakes, plan)

    return plays


def odd_keys(lakes: Lakes) -> Iterator[Play]:
    def play() -> list[str]:
        with seeded(0):
            lake = lakes(Lake())
            arrivals(lake)
            lake.register(Process())
            return [one for one in lake.violations() if "in the ledger" in one]

    yield play


def a_bad_file(lakes: Lakes) -> Iterator[Play]:
    def play() -> list[str]:
        with seeded(0):
            return one_bad_file(lakes(Lake()))

    yield play


def one_bad_file(lake: Lake, files: int = 5) -> list[str]:
    """A batch in which one file fails whatever is done: it is isolated and given up, the others go through."""
    for number in range(files):
        lake.put(f"{number}.csv")
    lake.bad.add(f"raw/sales/{files // 2}.csv")
    lake.register(Process())
    lake.drain()
    return lake.violations()


def a_replay(lakes: Lakes) -> Iterator[Play]:
    def play() -> list[str]:
        with seeded(0):
            lake = lakes(Lake())
            lake.put("a.csv")
            lake.put("b.csv")
            lake.drain()
            operations.replay(lake, Process())
            lake.drain()
            return lake.violations()

    yield play


def late_events(_lakes: Lakes) -> Iterator[Play]:
    for days in DAYS:
        yield lambda days=days: twice_after(days)


def versions_of_a_second(_lakes: Lakes) -> Iterator[Play]:
    yield lambda: misordered("9A", "1B0")


def misordered(first: str, second: str) -> list[str]:
    """Two versions of a key within a second, the later one's sequencer longer: hex without its zeros."""
    world = LedgerWorld(files=0)
    for sequencer in (second, first):
        world.ledger.receive(a_file(version=sequencer, sequencer=sequencer), "raw_to_processed")
    order = [
        source.version
        for source in raw_to_processed.in_order(world.ledger.waiting("acme", "sales", "raw_to_processed"))
    ]
    return [] if order == [first, second] else [f"{order}: the older version counts as the newer"]


# -- mutants ----------------------------------------------------------------------------------------------------------

MUTANTS = [
    Mutant(
        name="steal without fencing",
        breaks="the files of a silent run are given to another while the first may still commit: they count twice",
        killed_by=f"{INTERLEAVINGS}[a zombie commits while its files are taken over]",
        sign="counts twice",
        changes=(
            Change(
                "lineage.endings:Endings.fence",
                "return self._close(",
                "header.ended, header.error, header.counts = stamp(self.clock()), 'stolen', False\n"
                "    self.store.transact(\n"
                "        self.freeing(header.tenant, header.job, header.dataset, header.sk, header.seat)\n"
                "    )\n"
                "    self._release_all(header)\n"
                "    return True\n"
                "    return self._close(",
            ),
        ),
        plays=orders_of("a zombie commits while its files are taken over"),
    ),
    Mutant(
        name="commit without state check",
        breaks="a fenced run's commit counts beside that of the run that took its files over",
        killed_by="tests/faults/test_sleepers.py::test_a_zombie_of_the_second_job_never_counts_beside_its_heir",
        sign="counts twice",
        changes=(
            Change(
                "lineage.ledger:Ledger.may_commit",
                "(Header.st == HeaderState.RUNNING) & (Header.glue_run == run.glue_run)",
                "Header.pk.exists()",
            ),
        ),
        plays=zombies_of_the_second_job,
    ),
    Mutant(
        name="work published before the commit object",
        breaks="a run that dies in between counts in the ledger, and nothing names its rows: they never come",
        killed_by=f"{CONTROL_PLANE}[run the first job]",
        sign="rows 0 times in the table",
        changes=(
            Change(
                "glue_scripts.raw_to_processed:process",
                '    with job.step("commit object"):',
                "    told = record(written, None, written.code)\n"
                "    told.outputs.pop(0)\n"
                "    job.commit(told)\n"
                '    with job.step("commit object"):',
            ),
            Change("lineage.receipts:Receipts._that_count", "if not written:", "if True:"),
        ),
        plays=faults_in("run the first job", "kill_before:{}"),
    ),
    Mutant(
        name="a commit object counts before its run has committed",
        breaks="the work of a run that was fenced after its PUT is merged, and so is that of its heir",
        killed_by="tests/lineage/test_schedules.py::"
        "test_the_second_job_never_sees_a_commit_object_of_a_run_that_did_not_commit",
        sign="offered",
        changes=(Change("lineage.receipts:Receipts._that_count", "if not written:", "if True:"),),
        plays=uncommitted_commits,
    ),
    Mutant(
        name="header completed before the table commit",
        breaks="a second job that dies in between leaves its batch out of the table for ever",
        killed_by=f"{CONTROL_PLANE}[run the second job]",
        sign="rows 0 times in the table",
        changes=(
            Change(
                "glue_scripts.processed_to_analytics:process",
                "        snapshot = merge(job, spark, commits)",
                "        job.commit(record(job.run.dataset, job.run.members, commits, snapshot=None,\n"
                "                          code=job.arguments.code, contract=job.plan.fingerprint))\n"
                "        snapshot = merge(job, spark, commits)",
            ),
        ),
        plays=faults_in("run the second job", "kill_before:{}"),
    ),
    Mutant(
        name="ack before insert",
        breaks="a message leaves the queue though its file could not be entered: the file is lost",
        killed_by=f"{CONTROL_PLANE}[register arrivals]",
        sign="in the bucket, not in the ledger",
        changes=(Change("ingestion.register:Registrar._enter", "return [], list(receipts)", "return [], []"),),
        plays=faults_in("register arrivals", "throttle:{}:99"),
    ),
    Mutant(
        name="DONE claim with shorter life than the object",
        breaks="an event or a listing that comes late brings a file in again whose rows are in the table",
        killed_by="tests/faults/test_late_events.py::test_no_event_however_late_brings_a_settled_file_again",
        sign="new again",
        changes=(Change("lineage.lifetimes:Lifetimes.of_object", "+ AFTER_OBJECT", "- AFTER_OBJECT"),),
        plays=late_events,
    ),
    Mutant(
        name="key decoded twice",
        breaks="a key with a plus or a percent sign is entered under a name that no object has",
        killed_by=f"{CONTROL_PLANE}, tests/ingestion/test_arrival.py::test_keys_are_taken_as_they_are",
        sign="in the bucket, not in the ledger",
        changes=(
            Change(
                "ingestion.arrival:_arrival",
                'key=thing["key"],',
                'key=__import__("urllib.parse").parse.unquote_plus(thing["key"]),',
            ),
        ),
        plays=odd_keys,
    ),
    Mutant(
        name="sequencer compared unpadded",
        breaks="of two versions of a key within a second the older one's rows win",
        killed_by="tests/mutants/test_mutants.py::test_versions_of_one_second_are_ordered_by_their_sequencers",
        sign="the older version counts as the newer",
        changes=(Change("glue_scripts.raw_to_processed:in_order", ".zfill(40)", ""),),
        plays=versions_of_a_second,
    ),
    Mutant(
        name="fence not raised for files that are not claimed yet",
        breaks="a dispatch that slept while its run was fenced claims files when it wakes: nobody ever frees them",
        killed_by="tests/faults/test_sleepers.py::test_whoever_sleeps_at_whatever_call_does_no_harm_when_it_wakes",
        sign="for ever",
        changes=(
            Change(
                "lineage.endings:Endings._release", "Claim.fence.set(member.fence + 1)", "Claim.fence.set(member.fence)"
            ),
        ),
        plays=sleepers,
    ),
    Mutant(
        name="seat not given back",
        breaks="after as many runs as its tenant may have in flight none can begin",
        killed_by=f"{INTERLEAVINGS}[two dispatches begin at once]",
        sign="seat",
        changes=(Change("lineage.endings:Endings.freeing", "if seat is not None:", "if seat == -1:"),),
        plays=orders_of("two dispatches begin at once"),
    ),
    Mutant(
        name="seat taken without a look whether it is free",
        breaks="two dispatches at once exceed the number of runs that a tenant may have in flight",
        killed_by="tests/faults/test_operations.py::test_the_last_seat_goes_to_one_of_two_who_want_it",
        sign="2 runs in flight, 1 allowed",
        changes=(
            Change(
                "lineage.claims:Claims._open",
                "self.store.putting(seat, SeatItem.pk.does_not_exist())",
                "self.store.putting(seat)",
            ),
        ),
        plays=seats,
    ),
    Mutant(
        name="bisection that drops a half",
        breaks="files that were in a batch with a bad one are never tried again",
        killed_by="tests/mutants/test_mutants.py::test_one_bad_file_of_a_batch_is_given_up_and_the_others_go_through",
        sign="rows 0 times in the table",
        changes=(
            Change("lineage.fates:halves", "return ordered[:middle], ordered[middle:]", "return ordered[:middle], []"),
            Change(
                "lineage.endings:Endings._release_all",
                "fates[member.id]), members)",
                "fates[member.id]), [member for member in members if member.id in fates])",
            ),
        ),
        plays=a_bad_file,
    ),
    Mutant(
        name="replay that replaces nothing",
        breaks="the rows of before stay beside those of the replay",
        killed_by="tests/faults/test_operations.py::test_no_fault_at_any_call_loses_a_file_or_counts_it_twice[replay]",
        sign="rows 2 times in the table",
        changes=(
            Change("lineage.replays:_opening", "Claim.replaces.set(list(member.replaces))", "Claim.replaces.set([])"),
        ),
        plays=a_replay,
    ),
]

APPENDS = Mutant(
    name="append without replacing its own batch",
    breaks="a batch that is merged again, after its trace in the snapshots has expired, is in the table twice",
    killed_by="tests/glue_scripts/test_jobs.py::test_a_batch_is_there_once_even_if_its_trace_is_gone",
    sign="",
    changes=(Change("glue_scripts.tables:Table._replace", "writer.overwrite(F.expr(own))", "writer.append()"),),
    plays=lambda _lakes: iter(()),
)
"""Only a table can show it: `test_mutants.py` runs the named test on Spark."""
