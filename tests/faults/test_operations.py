"""Every call of the reconciler, of a hold, a release and a replay is a point where they die or are refused.

Who ran the command runs it again, as its error message asks; the clock calls the reconciler another day. In the end
each file is in the table once, by whatever epoch, and nothing is left.
"""

import contextlib
from collections.abc import Callable, Sequence

import pytest

from lineage.errors import NothingClaimed, RunNotOpen, RunOpen
from tests.faults import operations
from tests.faults.injection import Killed, Process
from tests.faults.lake import Lake
from tests.faults.operations import OperatedLake
from tests.faults.schedule import Actor, Orders, drawn, play
from tests.faults.worlds import LedgerWorld, seeded
from tests.lineage.builders import RAW, a_dataset, a_file, enter

Step = Callable[[OperatedLake, Process], object]

FAULTS = ("kill_before:{}", "kill_after:{}", "lost:{}", "throttle:{}:99")
QUICK = ("kill_after:{}", "throttle:{}:99")
"""To die before a call is to die after the one before it; in the nightly run they all have their turn."""

STEPS: dict[str, Step] = {
    "hold": operations.hold,
    "register while held": Lake.register,
    "reconcile while held": operations.reconcile,
    "release": operations.release,
    "replay": operations.replay,
    "reconcile": operations.reconcile,
}
CALLS = {
    "hold": 3,
    "register while held": 4,
    "reconcile while held": 20,
    "release": 4,
    "replay": 8,
    "reconcile": 15,
}
"""At least so many: a step that does nothing shows nothing."""


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr("lineage.store._pause", lambda _attempt: None)
    monkeypatch.setattr("traceback.print_exc", lambda **_: None)


def a_day_in(lake: OperatedLake) -> OperatedLake:
    """Two files done, the events of one and of another's commit object lost, one on its way, and a run that died."""
    lake.put("a.csv", 2)
    lake.put("b.csv")
    for _ in range(2):
        one_job(lake)
    lake.put("half.csv")
    one_job(lake)
    lake.put("lost.csv")
    lake.queue.clear()
    lake.put("dies.csv")
    with contextlib.suppress(Killed):
        one_job(lake, "kill_after:1@s3.PutObject")  # a processed file that no commit object names
    lake.ends.clear()
    lake.clock.move(minutes=30)
    lake.put("new.csv")
    return lake


def one_job(lake: Lake, plan: str = "") -> None:
    lake.register(Process())
    lake.dispatch(Process())
    lake.work(Process(plan))


def day(lake: OperatedLake, where: str = "", plan: str = "") -> dict[str, Process]:
    """All steps, one of them with a fault; whoever dies or fails there does it again."""
    done: dict[str, Process] = {}
    for name, step in STEPS.items():
        done[name] = process = Process(plan if name == where else "")
        try:
            step(lake, process)
        except Exception:
            assert name == where
            step(lake, Process())
        except Killed:
            step(lake, Process())
    return done


def wrong_with(played, where: str, plan: str) -> list[str]:
    with seeded(f"{where} {plan}"):
        lake = played(a_lake(played))
        fired = day(lake, where, plan)[where].fired if where else [""]
        lake.drain()
        operations.reconcile(lake, Process())
        lake.drain()
        return [f"{where}, {plan} ({fired[-1:]}): {one}" for one in lake.violations()]


def a_lake(played) -> OperatedLake:
    return a_day_in(played(OperatedLake()))


def sweep(played, where: str, faults: Sequence[str]) -> int:
    with seeded(0):
        calls = day(a_lake(played))[where].calls
    assert len(calls) >= CALLS[where]
    assert wrong_with(played, "", "") == []
    plans = [fault.format(number) for number in range(1, len(calls) + 1) for fault in faults]

    wrong = [one for plan in plans for one in wrong_with(played, where, plan)]

    assert wrong == [], f"{len(plans)} points"
    return len(plans)


@pytest.mark.parametrize("where", STEPS)
def test_no_fault_at_any_call_loses_a_file_or_counts_it_twice(played, where):
    sweep(played, where, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("where", STEPS)
def test_nor_does_any_other_fault(played, where, capsys):
    points = sweep(played, where, FAULTS)
    with capsys.disabled():
        print(f" {where}: {points} points ", end="")


# -- the last seat ----------------------------------------------------------------------------------------------------


def one_seat(choose: Callable[[Sequence[Actor]], Actor]) -> list[str]:
    """Two datasets of a tenant that may have one run in flight, begun at once."""
    with seeded(0):
        world = LedgerWorld(files=1)
        enter(world.ledger, "acme", max_in_flight=1)
        world.ledger.put_dataset(a_dataset(dataset="costs"))
        world.ledger.receive(a_file(key="raw/costs/x.csv", dataset="costs"), RAW)
        play(choose, *(lambda actor, name=name: _begins(world, actor, name) for name in ("sales", "costs")))
        running = [slot.run for slot in world.ledger.slots("acme")]
        return [f"{len(running)} runs in flight, 1 allowed"] if len(running) > 1 else []


def _begins(world: LedgerWorld, actor: Actor, dataset: str) -> None:
    ledger = world.seen_by(actor)
    try:
        ledger.begin("acme", RAW, dataset, ledger.waiting("acme", dataset, RAW))
    except (RunOpen, NothingClaimed, RunNotOpen):
        return


def test_the_last_seat_goes_to_one_of_two_who_want_it():
    for choose in (orders := Orders(100)):
        assert one_seat(choose) == [], f"order {orders.path}"
    for seed in range(50):
        assert one_seat(drawn(seed)) == [], f"seed {seed}"
