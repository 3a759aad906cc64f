"""Actors that take turns: each request to AWS is a point where another may go first, or this one may die.

An actor is a thread that runs only when it is its turn, so that a schedule is a list of choices: drawn from a seed, or
enumerated until every order has been seen.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from tests.faults.injection import Killed, Process

T = TypeVar("T")


class Actor(Process):
    """A process that waits for its turn before each call, and after it if `stage.stops_after`."""

    def __init__(self, stage: "Stage", name: str, work: Callable[["Actor"], None], plan: str = "") -> None:
        super().__init__(plan)
        self.stage = stage
        self.name = name
        self.turn = threading.Semaphore(0)
        self.thread = threading.Thread(target=self._live, args=(work,), daemon=True)

    def around(self, service: str, operation: str, send: Callable[[], T]) -> T:
        self.wait()
        answer = super().around(service, operation, send)
        if self.stage.stops_after:
            self.wait()
        return answer

    def wait(self) -> None:
        self._stay_dead()
        self.stage.back.release()
        self.turn.acquire()
        self._stay_dead()

    def _live(self, work: Callable[["Actor"], None]) -> None:
        self.turn.acquire()
        try:
            if not self.dead:
                work(self)
        except Killed:
            pass
        except BaseException as error:
            self.stage.errors.append(error)
        finally:
            self.stage.actors.remove(self)
            self.stage.back.release()


class Stage:
    """Runs actors one call at a time; `choose` says who is next, `before` may do something to the world each time."""

    def __init__(
        self,
        choose: Callable[[Sequence[Actor]], Actor],
        *,
        before: Callable[[Actor], None] = lambda _: None,
        stops_after: bool = False,
    ) -> None:
        self.choose = choose
        self.before = before
        self.stops_after = stops_after
        self.actors: list[Actor] = []
        self.errors: list[BaseException] = []
        self.back = threading.Semaphore(0)

    def add(self, name: str, work: Callable[[Actor], None], plan: str = "") -> Actor:
        actor = Actor(self, name, work, plan)
        self.actors.append(actor)
        actor.thread.start()
        return actor

    def run(self) -> None:
        while self.actors:
            actor = self.choose(self.actors)
            self.before(actor)
            actor.turn.release()
            self.back.acquire()
        if self.errors:
            raise self.errors[0]


class Orders:
    """All orders, depth first: after each play the last choice that can be another is another.

    `for choose in Orders(limit): …play with Stage(choose)…`; `complete` tells whether there was no further one.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.complete = False
        self.played = 0
        self._choices: list[tuple[int, int]] = []

    def __iter__(self) -> Iterator[Callable[[Sequence[Actor]], Actor]]:
        while self.played < self.limit:
            self.played += 1
            yield self._chooser()
            while self._choices and self._choices[-1][0] + 1 == self._choices[-1][1]:
                self._choices.pop()
            if not self._choices:
                self.complete = True
                return
            taken, of = self._choices.pop()
            self._choices.append((taken + 1, of))

    @property
    def path(self) -> str:
        """The order last played, to be given to `told`."""
        return "".join(str(taken) for taken, _ in self._choices)

    def _chooser(self) -> Callable[[Sequence[Actor]], Actor]:
        at = 0

        def choose(actors: Sequence[Actor]) -> Actor:
            nonlocal at
            if at == len(self._choices):
                self._choices.append((0, len(actors)))
            taken, _ = self._choices[at]
            at += 1
            return actors[taken]

        return choose


def told(path: str) -> Callable[[Sequence[Actor]], Actor]:
    """The order that `Orders.path` wrote down; the first actor where the text ends."""
    digits = iter(path)
    return lambda actors: actors[min(int(next(digits, "0")), len(actors) - 1)]


def drawn(seed: int) -> Callable[[Sequence[Actor]], Actor]:
    return random.Random(seed).choice


def play(chooser: Callable[[Sequence[Actor]], Actor], *works: Callable[[Actor], Any]) -> Stage:
    """Runs the works side by side in the order that the chooser gives."""
    stage = Stage(chooser)
    for number, work in enumerate(works):
        stage.add(f"actor {number}", work)
    stage.run()
    return stage
