"""What a call of the reconcile function asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from ingestion.listing import RAW, ZONES

RECONCILE, BACKFILL = "reconcile", "backfill"

GRACE = timedelta(minutes=15)
OLDEST = timedelta(days=30)
STAGING_GRACE_S = 24 * 3600.0


class WrongOrder(ValueError):
    """Raised when the payload asks for what there is not."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """The payload of a call for one tenant. The module `ingestion.reconcile` says what the fields mean."""

    tenant: str
    task: str = RECONCILE
    prefix: str = ""
    grace_s: float | None = None
    oldest_s: float | None = None
    staging_grace_s: float = STAGING_GRACE_S
    budget_s: float | None = None
    resume: str | None = None
    dry_run: bool = False
    goes_on: bool = False

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Order":
        known = {field.name for field in fields(cls)}
        odd = sorted(payload.keys() - known)
        if odd:
            raise WrongOrder(f"payload of reconcile: {', '.join(odd)} unknown; it takes {', '.join(sorted(known))}")
        order = cls(**payload)
        if order.task not in {RECONCILE, BACKFILL}:
            raise WrongOrder(f"task {order.task!r}: expected {RECONCILE} or {BACKFILL}")
        if order.is_backfill and not order.prefix.startswith(RAW):
            raise WrongOrder(f"prefix {order.prefix!r}: a backfill registers what lies under {RAW}")
        if order.resume is not None and not order.resume.startswith(ZONES):
            raise WrongOrder(f"resume {order.resume!r}: expected a key under {', '.join(ZONES)}")
        return order

    @property
    def is_backfill(self) -> bool:
        return self.task == BACKFILL

    @property
    def grace(self) -> timedelta:
        if self.grace_s is not None:
            return timedelta(seconds=self.grace_s)
        return timedelta(0) if self.is_backfill else GRACE

    @property
    def oldest(self) -> timedelta | None:
        """An event that is missed is found missing within days. What has had no entry for longer was there before
        its tenant, or its entry has expired: registered in passing, its rows might come a second time.
        """
        if self.oldest_s is not None:
            return timedelta(seconds=self.oldest_s)
        return None if self.is_backfill else OLDEST
