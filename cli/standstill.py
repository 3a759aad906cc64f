"""Waiting until nothing of a tenant is at work: its runs and errands end by themselves before its roles are denied."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cli import output

if TYPE_CHECKING:
    from lineage.ledger import Ledger
    from lineage.values import Errand

__all__ = ["PATIENCE", "POLL", "QUIET", "Standstill", "in_flight"]

PATIENCE = 900.0  # seconds
QUIET = 10.0
"""Seconds after which a dispatch that had not heard of the suspension has begun what it was about to begin."""
POLL = 2.0
ERRANDS = 20
UNTAKEN_AFTER, LOST_AFTER = timedelta(minutes=15), timedelta(hours=3)  # the job's timeout is two


def in_flight(ledger: "Ledger", tenant: str) -> int:
    """Runs and errands that have not ended. Those that nobody has heard of for too long are dead and not waited for."""
    from lineage.errands import Errands

    runs = sum(not run.stale for run in ledger.open_runs(tenant))
    return runs + sum(is_alive(errand, ledger.clock()) for errand in Errands(ledger).list(tenant, ERRANDS))


def is_alive(errand: "Errand", now: datetime) -> bool:
    from lineage.values import ErrandState

    if errand.state == ErrandState.RUNNING:
        return (errand.started or errand.asked) + LOST_AFTER > now
    return errand.state == ErrandState.ASKED and errand.asked + UNTAKEN_AFTER > now


@dataclass
class Standstill:
    """Tenants that are told to begin nothing, since this was made; which of them are still is told as they become so.

    `busy`: how much of a tenant is at work. After `patience` seconds those that are not still are left in `waiting`.
    """

    waiting: Sequence[str]
    busy: Callable[[str], int]
    say: Callable[[str, str], None]
    patience: float = PATIENCE
    quiet: float = QUIET
    poll: float = POLL
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.since = self.clock()

    def still(self) -> Iterator[list[str]]:
        if self.waiting:
            self.sleep(max(0.0, self.since + self.quiet - self.clock()))
        while self.waiting:
            is_over = self.clock() - self.since >= self.patience
            found = {tenant: self.busy(tenant) for tenant in self.waiting}
            self._tell({tenant: number for tenant, number in found.items() if number})
            self.waiting = [tenant for tenant, number in found.items() if number]
            if done := [tenant for tenant, number in found.items() if not number]:
                yield done
            if is_over:
                return
            if self.waiting:
                self.sleep(self.poll)

    def _tell(self, found: dict[str, int]) -> None:
        for tenant, number in found.items():
            if self.numbers.get(tenant) != number:
                self.say(tenant, f"waiting for {output.counted(number, 'run')} in flight to end")
        self.numbers = found

    def given_up(self, tenant: str) -> str:
        """What is told of one that is left in `waiting`."""
        runs = output.counted(self.numbers[tenant], "run")
        return (
            f"tenant {tenant}: {runs} still in flight after {self.patience:,.0f} s; its files are HELD and nothing "
            "new begins, but its roles and its workgroup are as they were: nothing is lost, deploy again"
        )
