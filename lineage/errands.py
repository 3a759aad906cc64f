"""Errands: work on a tenant's tables or ledger that is no batch of files, asked for here and answered here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lineage import lifetimes, table
from lineage.errors import NotInLedger, RunNotOpen
from lineage.history import History
from lineage.items import Errand as Item
from lineage.store import ConditionFailed
from lineage.values import Errand, ErrandState, moment, new_run_id, stamp

ERROR_LENGTH = 2000
RESULT_BYTES = 300_000  # an item holds 400 KB

OPEN = (ErrandState.ASKED, ErrandState.RUNNING)


class Errands:
    """Asked by an operator or by dispatch, taken by one Glue run of the tenant's `maintain`, finished or failed once.

    errand = errands.ask("acme", "maintain", {"dataset": None})    # then StartJobRun(--run errand.id)
    errand = errands.take("acme", run, glue_run)                   # in the job
    errands.finish(errand, {…})
    """

    def __init__(self, ledger: History) -> None:
        self.store = ledger.store
        self.clock = ledger.clock

    def ask(self, tenant: str, task: str, arguments: Mapping[str, object]) -> Errand:
        """Notes the errand; whoever asks starts the job."""
        now = self.clock()
        item = Item(
            pk=table.errands_pk(tenant),
            sk=new_run_id(),
            tenant=tenant,
            task=task,
            arguments=dict(arguments),
            st=ErrandState.ASKED,
            asked=stamp(now),
            ttl=lifetimes.of_errand(now),
        )
        self.store.put(item, Item.pk.does_not_exist())
        return _errand(item)

    def take(self, tenant: str, errand: str, glue_run: str) -> Errand:
        """Makes the errand this Glue run's own, and no other's. Raises NotInLedger or RunNotOpen."""
        mine = (Item.st == ErrandState.ASKED) | ((Item.st == ErrandState.RUNNING) & (Item.glue_run == glue_run))
        now = stamp(self.clock())
        actions = [
            Item.st.set(ErrandState.RUNNING),
            Item.glue_run.set(glue_run),
            Item.started.set(Item.started | now),
        ]
        try:
            self.store.update(_key(tenant, errand), actions, mine)
        except ConditionFailed as refused:
            raise self._why_not(tenant, errand, glue_run, refused.old) from refused
        return self.get(tenant, errand)

    def _why_not(self, tenant: str, errand: str, glue_run: str, old: Any) -> NotInLedger | RunNotOpen:
        if old is None:
            return _unknown(tenant, errand)
        if old.st == ErrandState.RUNNING:
            return RunNotOpen(f"errand {errand} of {tenant}: held by Glue run {old.glue_run}, this is {glue_run}")
        return RunNotOpen(f"errand {errand} of {tenant}: already {old.st} at {old.ended}; ask for a new one")

    def finish(self, errand: Errand, result: Mapping[str, object]) -> None:
        """Ends an errand that its Glue run has taken. Safe to repeat. Raises RunNotOpen if it is not its own any more.

        ValueError if the result is too large for an item: give counts and the first of a list, not all of it.
        """
        size = len(json.dumps(result).encode())
        if size > RESULT_BYTES:
            raise ValueError(f"errand {errand.id}: its result has {size:,} bytes, the ledger takes {RESULT_BYTES:,}")
        actions = [Item.st.set(ErrandState.DONE), Item.ended.set(stamp(self.clock())), Item.result.set(dict(result))]
        held = (Item.st == ErrandState.RUNNING) & (Item.glue_run == errand.glue_run)
        try:
            self.store.update(_key(errand.tenant, errand.id), actions, held)
        except ConditionFailed as refused:
            old: Any = refused.old
            if old is not None and old.st == ErrandState.DONE and old.glue_run == errand.glue_run:
                return  # done before, and the answer was lost
            raise self._why_not(errand.tenant, errand.id, str(errand.glue_run), old) from refused

    def fail(self, tenant: str, errand: str, error: str) -> bool:
        """Ends an errand that is still open, with the reason; False = it has ended already, or never was."""
        actions = [
            Item.st.set(ErrandState.FAILED),
            Item.ended.set(stamp(self.clock())),
            Item.error.set(error[:ERROR_LENGTH] or "it ended without a word"),
        ]
        try:
            self.store.update(_key(tenant, errand), actions, Item.st.is_in(*OPEN))
        except ConditionFailed:
            return False
        return True

    def get(self, tenant: str, errand: str) -> Errand:
        item = self.store.get(Item, _key(tenant, errand))
        if item is None:
            raise _unknown(tenant, errand)
        return _errand(item)

    def list(self, tenant: str, limit: int = 20) -> Sequence[Errand]:
        """The latest, newest first."""
        found = self.store.query(Item, table.errands_pk(tenant), newest_first=True, limit=limit)
        return [_errand(item) for item in found]


def _key(tenant: str, errand: str) -> tuple[str, str]:
    return table.errands_pk(tenant), errand


def _unknown(tenant: str, errand: str) -> NotInLedger:
    return NotInLedger(
        f"errand {errand}: not in the ledger of tenant {tenant}; it was never asked for, or is long over"
    )


def _errand(item: Item) -> Errand:
    return Errand(
        id=item.sk,
        tenant=item.tenant,
        task=item.task,
        arguments=item.arguments,
        state=ErrandState(item.st),
        asked=moment(item.asked),
        started=moment(item.started) if item.started else None,
        ended=moment(item.ended) if item.ended else None,
        glue_run=item.glue_run,
        result=item.result,
        error=item.error,
    )
