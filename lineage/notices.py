"""Notices: what people were told of, so that nobody is told of the same thing every minute."""

from datetime import timedelta

from lineage import table
from lineage.history import History
from lineage.items import Notice, Tally
from lineage.store import ConditionFailed, Key
from lineage.values import stamp

PLATFORM = "-"
"""Stands for the tenant where a notice is the platform's own."""

PLATFORM_PK = "PLATFORM#N"
SUBJECT_BYTES = 800  # a sort key has 1,024 bytes; a file's key alone may have as many


class Notices:
    """One item per kind and subject, taken by whoever is first to tell."""

    def __init__(self, ledger: History) -> None:
        self.store = ledger.store
        self.clock = ledger.clock

    def may_tell(self, tenant: str, kind: str, subject: str, again_after: timedelta) -> bool:
        """True for the first who asks, and then for nobody until `again_after` has passed. One request."""
        now = self.clock()
        pk, sk = _key(tenant, kind, subject)
        again_at = now + again_after
        notice = Notice(pk=pk, sk=sk, again_at=stamp(again_at), ttl=int(again_at.timestamp()) + 1)
        try:
            self.store.put(notice, Notice.pk.does_not_exist() | (Notice.again_at <= stamp(now)))
        except ConditionFailed:
            return False
        return True

    def has_room(self, tenant: str, kind: str, most: int) -> bool:
        """True `most` times a day (UTC). Counted among the platform's rows, where no tenant's job can write.

        One request. What is withdrawn later has been counted.
        """
        now = self.clock()
        key = PLATFORM_PK, f"tally#{now:%Y-%m-%d}#{tenant}#{kind}"
        ends = int((now + timedelta(days=2)).timestamp())
        actions = [Tally.kind.set(Tally), Tally.told.set((Tally.told | 0) + 1), Tally.ttl.set(ends)]
        try:
            self.store.update(key, actions, Tally.told.does_not_exist() | (Tally.told < most))
        except ConditionFailed:
            return False
        return True

    def withdraw(self, tenant: str, kind: str, subject: str) -> None:
        """They could not be told after all: the next who asks may try."""
        self.store.call("DeleteItem", self.store.deleting(_key(tenant, kind, subject)))


def tenant_of(tally: str) -> str | None:
    """Whose it is, by the sort key of a row under `PLATFORM_PK`; None of what is no tenant's tally."""
    word, _, rest = tally.partition("#")
    parts = rest.split("#")
    return parts[1] if word == "tally" and len(parts) > 2 else None


def _key(tenant: str, kind: str, subject: str) -> Key:
    raw = subject.encode()
    if len(raw) > SUBJECT_BYTES:
        subject = f"{raw[:SUBJECT_BYTES].decode(errors='ignore')}#{table.file_id(subject)}"
    return PLATFORM_PK if tenant == PLATFORM else table.notices_pk(tenant), f"{kind}#{subject}"
