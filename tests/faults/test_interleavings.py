"""Two that race: every order of their calls where there are at most ten thousand, else as many drawn orders.

An order is a list of whose turn it was. One that went wrong is printed, and goes into FOUND to be played for ever.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from lineage.commits import key_of
from lineage.errors import RunNotOpen
from lineage.holds import Holds, is_held
from lineage.ledger import Ledger
from tests.faults.injection import Process
from tests.faults.schedule import Actor, Orders, drawn, play, told
from tests.faults.worlds import LedgerWorld, seeded
from tests.lineage.builders import ANALYTICS, RAW, a_file

Work = Callable[["Race", Actor], None]

QUICK_ORDERS, QUICK_DRAWN = 100, 60
ALL_ORDERS, MANY_DRAWN = 10_000, 20_000


class Race(LedgerWorld):
    """A world with what the racers share besides the ledger."""

    run: str | None = None

    def begun(self) -> str:
        """A run over everything, begun before the race."""
        run = self.dispatch(Process())
        assert run is not None
        return run


def begins(race: Race, actor: Actor) -> None:
    """A dispatch whose run is then done."""
    run = race.dispatch(actor)
    if run:
        race.job(actor, run)


def begins_with_one(race: Race, actor: Actor) -> None:
    run = race.dispatch(actor, limit=1)
    if run:
        race.job(actor, run)


def only_begins(race: Race, actor: Actor) -> None:
    race.dispatch(actor)


def works(race: Race, actor: Actor) -> None:
    """A Glue run of the run that was begun."""
    race.job(actor, str(race.run))


def fails(race: Race, actor: Actor) -> None:
    race.job(actor, str(race.run), fails=True)


def is_told_of_its_death(race: Race, actor: Actor) -> None:
    """Dispatch hears that the Glue run has ended badly."""
    ledger = race.seen_by(actor)
    state = ledger.run("acme", str(race.run))
    ledger.fail(state, "Glue run jr_1: TIMEOUT")


def fences_and_begins_anew(race: Race, actor: Actor) -> None:
    race.recover(actor)
    race.clock.move(minutes=1)  # the pause after a failure
    begins(race, actor)


def waits_and_fences(race: Race, actor: Actor) -> None:
    """As time goes by: whoever sleeps meanwhile is given up."""
    race.clock.move(minutes=20)
    race.recover(actor)
    race.clock.move(minutes=1)
    begins(race, actor)


def recovers(race: Race, actor: Actor) -> None:
    race.recover(actor)


def settles_late(race: Race, actor: Actor) -> None:
    race.clock.move(minutes=2)
    race.recover(actor)


def registers(race: Race, actor: Actor) -> None:
    """The event of a file that is not in the ledger yet."""
    race.seen_by(actor).receive(race.files[-1], RAW)


def reconciles(race: Race, actor: Actor) -> None:
    """The same file as the listing of the bucket tells it: another moment of arrival."""
    file = race.files[-1]
    later = a_file(file.key.rsplit("/", 1)[1], arrived_at=file.arrived_at + timedelta(seconds=1))
    race.seen_by(actor).receive(later, RAW)


def registers_the_commit(race: Race, actor: Actor) -> None:
    ledger = race.seen_by(actor)
    state = ledger.run("acme", str(race.run))
    ledger.receive(a_file(key=key_of("sales", state.batch), version="1"), ANALYTICS)


def begins_the_second_job(race: Race, actor: Actor) -> None:
    for _ in range(2):
        run = race.dispatch(actor, job=ANALYTICS)
        if run:
            race.job(actor, run, job=ANALYTICS)


def holds_and_lets_go(race: Race, actor: Actor) -> None:
    holds = Holds(race.seen_by(actor))
    holds.hold("acme", "a look at the numbers")
    holds.release("acme")


def registers_held(race: Race, actor: Actor) -> None:
    """What register believes of the tenant is a minute old."""
    held = is_held(race.seen_by(actor).tenant("acme"))
    race.seen_by(actor).receive(race.files[-1], RAW, held=held)


def drains(race: Race, actor: Actor) -> None:
    Holds(race.seen_by(actor)).drain("acme")


# -- before the race --------------------------------------------------------------------------------------------------


def nothing(race: Race) -> None:
    del race


def a_run(race: Race) -> None:
    race.run = race.begun()


def a_silent_run(race: Race) -> None:
    """Begun, and not heard of since: its Glue run may still be alive."""
    race.run = race.begun()
    race.clock.move(minutes=20)


def a_new_file(race: Race) -> None:
    race.files.append(a_file("new.csv"))


@dataclass(frozen=True)
class Scenario:
    name: str
    racers: tuple[Work, ...]
    before: Callable[[Race], None] = nothing
    files: int = 2
    found: tuple[str, ...] = field(default=())
    """Orders under which an earlier version went wrong."""

    def __str__(self) -> str:
        return self.name


SCENARIOS = [
    Scenario("two dispatches begin at once", (begins, begins), files=1),
    Scenario("two dispatches begin with other files", (begins, begins_with_one)),
    Scenario("a dispatch is fenced while it begins", (only_begins, waits_and_fences)),
    Scenario("a zombie commits while its files are taken over", (works, fences_and_begins_anew), a_silent_run),
    Scenario("two Glue runs of one run", (works, works), a_run),
    Scenario("a run fails while Glue tells that it died", (fails, is_told_of_its_death), a_run),
    Scenario("a run commits while Glue tells that it died", (works, is_told_of_its_death), a_run),
    Scenario("a run is fenced by two", (recovers, recovers), a_silent_run),
    Scenario("a commit is settled by two", (works, settles_late), a_run),
    Scenario("an event comes twice at once", (registers, registers), a_new_file),
    Scenario("an event comes while the bucket is listed", (registers, reconciles), a_new_file),
    Scenario("a file comes while a run begins", (registers, begins), a_new_file, files=1),
    Scenario("the commit object's event overtakes the commit", (works, registers_the_commit), a_run),
    Scenario(
        "a file comes while its tenant is held and let go", (registers_held, holds_and_lets_go), a_new_file, files=1
    ),
]


def one(scenario: Scenario, choose: Callable[[Sequence[Actor]], Actor], kind: type[Ledger] = Ledger) -> list[str]:
    """What is wrong after the race, and after everything else has had its time."""
    with seeded(0):
        race = Race(kind=kind, files=scenario.files)
        scenario.before(race)
        play(choose, *(lambda actor, work=work: _run(work, race, actor) for work in scenario.racers))
        wrong = [f"{node} counts twice" for node in race.twice()]
        _let_go(race)
        race.drain(jobs=(RAW, ANALYTICS))
        return wrong + race.violations()


def _run(work: Work, race: Race, actor: Actor) -> None:
    try:
        work(race, actor)
    except RunNotOpen:
        return


def _let_go(race: Race) -> None:
    """What the scheduled dispatch does each minute for a tenant that is not held."""
    Holds(race.ledger).drain("acme")


def explore(scenario: Scenario, *, orders: int, seeds: int) -> None:
    for path in scenario.found:
        assert one(scenario, told(path)) == [], f"{scenario}: order {path}"
    every = Orders(orders)
    for choose in every:
        assert one(scenario, choose) == [], f"{scenario}: order {every.path}"
    if not every.complete:
        for seed in range(seeds):
            assert one(scenario, drawn(seed)) == [], f"{scenario}: seed {seed}"
    print(f"{scenario}: {every.played} orders, {'all' if every.complete else f'and {seeds} drawn ones'}")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_some_orders(scenario):
    explore(scenario, orders=QUICK_ORDERS, seeds=QUICK_DRAWN)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_all_orders(scenario):
    explore(scenario, orders=ALL_ORDERS, seeds=MANY_DRAWN)
