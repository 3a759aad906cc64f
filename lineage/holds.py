"""Holds: a tenant's files are registered as HELD, nothing of it starts, and a release lets all of them go on."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from lineage import table
from lineage.errors import NotInLedger
from lineage.history import History
from lineage.items import Claim, Tenant
from lineage.receipts import is_claim_of
from lineage.store import ConditionFailed, Key
from lineage.values import ACTIVE, ClaimState, TenantEntry, stamp

PAGE = 1000
REASON_LENGTH = 500


def is_held(tenant: TenantEntry) -> bool:
    """Are the tenant's files kept waiting: by an operator, or because it is not active."""
    return tenant.state != ACTIVE or tenant.held_since is not None


class Holds:
    """An operator's hold stands on the tenant's entry; a deploy leaves it as it is."""

    def __init__(self, ledger: History) -> None:
        self.ledger = ledger
        self.store = ledger.store

    def hold(self, tenant: str, reason: str) -> TenantEntry:
        """From now on files are entered as HELD and no run is begun. A tenant that is held stays held since then."""
        now = stamp(self.ledger.clock())
        held = [Tenant.held_since.set(Tenant.held_since | now), Tenant.held_reason.set(reason[:REASON_LENGTH])]
        self._note(tenant, held)
        return self.ledger.tenant(tenant)

    def release(self, tenant: str) -> int:
        """Takes the hold away and lets its files go on; says how many did. Safe to repeat, also half way.

        Of a tenant that is not active they stay: its state holds them as well.
        """
        self._note(tenant, [Tenant.held_since.remove(), Tenant.held_reason.remove()])
        return self.drain(tenant)

    def _note(self, tenant: str, actions: list[Any]) -> None:
        """On the tenant's own entry, which register believes, then on the fleet's list, which dispatch reads."""
        own, listed = (table.tenant_pk(tenant), "#"), (table.FLEET, tenant)
        try:
            self.store.update(own, actions, Tenant.pk.exists())
        except ConditionFailed as absent:
            raise NotInLedger(f"tenant {tenant}: not in ledger {self.store.name}; deploy it: lake deploy") from absent
        try:
            self.store.update(listed, actions, Tenant.pk.exists())
        except ConditionFailed:
            return  # a first deploy that has not come so far: nobody dispatches for this tenant yet

    def drain(self, tenant: str) -> int:
        """HELD files of a tenant that is not held wait for their job again. One request when there are none."""
        held = self._held(tenant)
        first = list(itertools.islice(held, PAGE))
        if not first or is_held(self.ledger.tenant(tenant)):
            return 0
        drained = self._let_go(tenant, first)
        while page := list(itertools.islice(held, PAGE)):
            drained += self._let_go(tenant, page)
        return drained

    def waiting(self, tenant: TenantEntry) -> int:
        """How many wait for a job without being HELD: they came before the hold, or a replay has opened them since."""
        names = self.ledger.dataset_names(tenant.tenant)
        places = [table.waiting_pk(tenant.tenant, name, job) for name in names for job in tenant.jobs]
        return sum(1 for place in places for _ in self._listed(tenant.tenant, place))

    def _held(self, tenant: str) -> Iterator[Claim]:
        return self._listed(tenant, table.held_pk(tenant))

    def _listed(self, tenant: str, place: str) -> Iterator[Claim]:
        return self.store.listed(Claim, place, lambda claim: is_claim_of(tenant, claim))

    def _let_go(self, tenant: str, page: Sequence[Claim]) -> int:
        return sum(self.store.each(lambda claim: self._waits(tenant, (claim.pk, claim.sk), claim), page))

    def _waits(self, tenant: str, key: Key, claim: Claim) -> bool:
        actions = [
            Claim.st.set(ClaimState.RECEIVED),
            Claim.fence.set((Claim.fence | 0) + 1),
            Claim.g2pk.set(table.waiting_pk(tenant, claim.dataset, claim.job)),
            Claim.g2sk.set(claim.g2sk),
        ]
        try:
            self.store.update(key, actions, Claim.st == ClaimState.HELD)
        except ConditionFailed:
            return False  # the index lags: another drain was faster
        return True
