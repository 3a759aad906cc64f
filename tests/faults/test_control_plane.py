"""Every call that register, dispatch and the jobs make is a point where they die, or an answer is lost, or is refused.

Then the rest goes on as on any day: messages come again, the schedule looks, Glue is asked again. In the end each file
is in the table once, and nothing is left.
"""

import itertools
from collections.abc import Callable, Iterator

import pytest

from glue_scripts import raw_to_processed
from glue_scripts.raw_to_processed import in_order
from lineage.commits import is_commit
from lineage.values import Member
from tests.faults.injection import Killed, Process
from tests.faults.lake import Lake
from tests.faults.worlds import seeded
from tests.lineage.builders import a_file

Step = Callable[[Lake, Process], None]

FAULTS = ("kill_after:{}", "lost:{}", "lost:{}:99", "throttle:{}:99")
MORE_FAULTS = ("kill_before:{}", "lost:{}:2", "throttle:{}:2", "error:{}:AccessDenied", "error:{}:InternalServerError")

STEPS: dict[str, Step] = {
    "register arrivals": Lake.register,
    "begin the first job": Lake.dispatch,
    "run the first job": Lake.work,
    "register its commit": Lake.register,
    "begin the second job": Lake.dispatch,
    "run the second job": Lake.work,
    "hear of an end": Lake.told_end,
    "look at everything": Lake.dispatch,
}


def arrivals(lake: Lake) -> None:
    """Two versions of a file, another one told twice, one that no contract wants."""
    lake.put("a.csv", 2)
    lake.put("a.csv", 3)
    lake.put("b%20c+d.csv")
    lake.queue.append(lake.queue[-1])
    lake.put("raw/elsewhere/x.csv")


def calm(lake: Lake) -> dict[str, list[str]]:
    """The calls of each step when nothing goes wrong."""
    calls: dict[str, list[str]] = {}
    for name, step in STEPS.items():
        process = Process()
        step(lake, process)
        calls[name] = process.calls
    return calls


def faulty(lake: Lake, where: str, plan: str) -> Process:
    """All steps, one of them with a fault; who dies or fails is not missed."""
    found = Process()
    for name, step in STEPS.items():
        process = Process(plan if name == where else "")
        try:
            step(lake, process)
        except Killed:
            pass
        except Exception:  # a function that fails: what called it tries again, as `drain` does
            assert name == where
        if name == where:
            found = process
    return found


def points(calls: list[str], faults: tuple[str, ...]) -> Iterator[str]:
    for number in range(1, len(calls) + 1):
        for fault in faults:
            yield fault.format(number)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr("lineage.store._pause", lambda _attempt: None)
    monkeypatch.setattr("traceback.print_exc", lambda **_: None)


def everything(played: Callable[[Lake], Lake], where: str, faults: tuple[str, ...]) -> tuple[list[str], int]:
    """Each fault at each call of one step: what is wrong, and how many points there were."""
    with seeded(0):
        lake = played(Lake())
        arrivals(lake)
        calls = calm(lake)
        assert lake.violations() == []
    wrong, count = [], 0
    for plan in points(calls[where], faults):
        with seeded(count):
            lake = played(Lake())
            arrivals(lake)
            process = faulty(lake, where, plan)
            assert process.fired, f"{where}: no call for {plan}"
            lake.drain()
            wrong += [f"{plan} ({process.fired[-1]}): {one}" for one in lake.violations()]
            count += 1
        if len(wrong) > 5:
            break
    return wrong, count


@pytest.mark.parametrize("where", STEPS)
def test_no_fault_at_any_call_loses_a_file_or_counts_it_twice(played, where):
    wrong, count = everything(played, where, FAULTS)

    assert wrong == [], f"the first of {count} points"
    assert count >= 20


@pytest.mark.slow
@pytest.mark.parametrize("where", STEPS)
def test_nor_do_others(played, where):
    assert everything(played, where, MORE_FAULTS)[0] == []


ODD_KEYS = ["a b+c%20d.csv", "größe/ä.csv", "2024-09-20T10:00:00.csv", "x%2Fy.csv", "a=b&c;d?.csv", "é" * 400 + ".csv"]


def test_keys_of_any_shape_go_through_to_the_letter(played):
    lake = played(Lake())
    for name in ODD_KEYS:
        lake.put(f"raw/sales/{name}")

    lake.drain()

    assert {file.key for file in lake.ledger.files("acme")} == {f"raw/sales/{name}" for name in ODD_KEYS}
    assert lake.violations() == []


def test_versions_of_one_second_are_ordered_by_their_sequencers():
    """Hexadecimal numbers without leading zeros, which S3 says to pad before they are compared as text."""
    sequencers = ["9", "A", "10", "9A", "1B0", "0055AED6DCD90281E5", "1055AED6DCD90281E5A"]
    for order in itertools.permutations(sequencers, 4):
        members = [a_member(sequencer) for sequencer in order]
        expected = sorted(order, key=lambda sequencer: int(sequencer, 16))
        assert [source.version for source in in_order(members)] == expected


def a_member(sequencer: str) -> Member:
    file = a_file(version=sequencer, sequencer=sequencer)
    return Member(
        key=file.key,
        version=file.version,
        fid=file.fid,
        ver=file.ver,
        size=1,
        etag="",
        arrived_at=file.arrived_at,
        sequencer=sequencer,
    )


def test_the_commit_object_is_written_once(played):
    """Whoever dies before the ledger's commit, and whoever does the batch again: the first list of files holds."""
    lake = played(Lake())
    lake.put("a.csv")
    lake.register(Process())
    lake.dispatch(Process())
    with pytest.raises(Killed):
        lake.work(Process("kill_before:1@dynamodb.TransactWriteItems"))

    with pytest.MonkeyPatch.context() as patch:
        looks = itertools.count()
        find = raw_to_processed.find
        # The next attempt looked for it a moment too early: there was none yet.
        patch.setattr(raw_to_processed, "find", lambda *where: find(*where) if next(looks) else None)
        lake.drain()

    [commit] = [versions for key, versions in lake.objects.items() if is_commit(key)]
    assert len(commit) == 1
    assert lake.violations() == []
