"""Turns: the tenants that Glue had no place for, in line, so that a place that becomes free goes to one of them."""

from datetime import timedelta

from lineage import table
from lineage.history import History
from lineage.items import Turn
from lineage.values import stamp

LASTS = timedelta(minutes=5)
"""Who still waits takes its turn again at least once a minute. One that nobody took away is forgotten after this."""


class Turns:
    """One small item per tenant that waits for a place."""

    def __init__(self, ledger: History) -> None:
        self.store = ledger.store
        self.clock = ledger.clock

    def wait(self, tenant: str) -> None:
        """Who is in line already keeps its place. One request."""
        now = self.clock()
        actions = [
            Turn.kind.set(Turn),
            Turn.tenant.set(tenant),
            Turn.since.set(Turn.since | stamp(now)),
            Turn.ttl.set(int((now + LASTS).timestamp())),
        ]
        self.store.update((table.TURNS, tenant), actions)

    def leave(self, tenant: str) -> None:
        self.store.delete((table.TURNS, tenant))

    def waiting(self) -> list[str]:
        """Who waits longest comes first. One request, strongly consistent."""
        turns = sorted(self.store.query(Turn, table.TURNS), key=lambda turn: (turn.since, turn.tenant))
        return [turn.tenant for turn in turns]
