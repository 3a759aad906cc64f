"""One of two sleeps at a call while the other goes its whole way, then wakes: each of the two, at each of its calls.

Drawn orders seldom let anybody sleep so long; a pause of a garbage collector, or a function that is frozen, does.
"""

from collections.abc import Iterator

import pytest

from lineage.commits import key_of
from tests.faults.injection import Process
from tests.faults.schedule import Actor, play, told
from tests.faults.test_interleavings import SCENARIOS, Race, Scenario, a_run, one, only_begins, waits_and_fences, works
from tests.faults.worlds import seeded
from tests.lineage.builders import ANALYTICS, RAW, a_file

MOST_CALLS = 60


def waits_and_recovers(race: Race, actor: Actor) -> None:
    race.clock.move(minutes=20)
    race.recover(actor)


ASLEEP = [
    *SCENARIOS,
    Scenario("a run sleeps until its files are taken over", (works, waits_and_fences), a_run),
    Scenario("a dispatch is fenced while it begins, and nobody begins anew", (only_begins, waits_and_recovers)),
]


def orders() -> Iterator[str]:
    """As `told` takes them; the first of two is 0, and when one has ended the other is 0."""
    for calls in range(MOST_CALLS):
        yield "0" * calls + "1" * MOST_CALLS
        yield "1" * calls


def of_the_second_job(path: str) -> list[str]:
    """A zombie of the second job, whose outputs are in nobody's way, and the run that takes its batches over."""
    with seeded(0):
        race = Race(files=1)
        first = race.begun()
        race.job(Process(), first)
        batch = race.ledger.run("acme", first).batch
        race.ledger.receive(a_file(key=key_of("sales", batch), version="1"), ANALYTICS)
        run = race.dispatch(Process(), job=ANALYTICS)

        def takes_over(actor: Actor) -> None:
            race.clock.move(minutes=20)
            race.recover(actor)
            race.clock.move(minutes=1)
            heir = race.dispatch(actor, job=ANALYTICS)
            if heir:
                race.job(actor, heir, job=ANALYTICS)

        play(told(path), lambda actor: race.job(actor, str(run), job=ANALYTICS), takes_over)
        race.drain(jobs=(RAW, ANALYTICS))
        return [f"{node} counts twice" for node in race.twice(ANALYTICS)] + race.violations()


def test_a_zombie_of_the_second_job_never_counts_beside_its_heir():
    for path in orders():
        assert of_the_second_job(path) == [], f"order {path}"


@pytest.mark.parametrize("scenario", ASLEEP, ids=str)
def test_whoever_sleeps_at_whatever_call_does_no_harm_when_it_wakes(scenario):
    for path in orders():
        assert one(scenario, told(path)) == [], f"{scenario}: order {path}"
