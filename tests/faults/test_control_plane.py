"""Every call that register, dispatch and the jobs make is a point where they die, or an answer is lost, or is refused.

Then the rest goes on as on any day: messages come again, the schedule looks, Glue is asked again. In the end each file
is in the table once, and nothing is left.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.faults.injection import Killed, Process
from tests.faults.lake import Lake
from tests.faults.worlds import seeded

Step = Callable[[Lake, Process], None]

FAULTS = ("kill_before:{}", "kill_after:{}", "lost:{}", "lost:{}:99", "throttle:{}:2", "error:{}:AccessDenied")

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
    lake.put("b.csv")
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


def points(calls: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    for name, made in calls.items():
        for number in range(1, len(made) + 1):
            for fault in FAULTS:
                yield name, fault.format(number)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr("lineage.store._pause", lambda _attempt: None)
    monkeypatch.setattr("traceback.print_exc", lambda **_: None)


def test_no_fault_at_any_call_loses_a_file_or_counts_it_twice(played, capsys):
    with seeded(0):
        lake = played(Lake())
        arrivals(lake)
        calls = calm(lake)
        assert lake.violations() == []
    wrong, count = [], 0
    for where, plan in points(calls):
        with seeded(count):
            lake = played(Lake())
            arrivals(lake)
            process = faulty(lake, where, plan)
            assert process.fired, f"{where}: no call for {plan}"
            lake.drain()
            wrong += [f"{where}, {plan} ({process.fired[-1]}): {one}" for one in lake.violations()]
            count += 1
        capsys.readouterr()
    assert wrong == [], f"{len(wrong)} of {count} points"
    assert count > 400
