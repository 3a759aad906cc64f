"""How long the ledger's items live, as the epoch seconds of DynamoDB's TTL; None lives for good.

A settled claim and the entry of a file outlive the object, or an event or a listing that comes late would bring the
file in a second time. What still waits, and what a tenant's graph and its places in flight hold, never expires.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lineage.values import HeaderState

AFTER_OBJECT = timedelta(days=45)  # its last version stays for thirty days more, and lifecycle rules lag
COMMITTED_RUN = timedelta(days=400)
LOST_RUN = timedelta(days=90)
ERRAND = timedelta(days=90)
CHUNK = COMMITTED_RUN + timedelta(days=1)  # written before its run has ended


@dataclass(frozen=True)
class Lifetimes:
    """Of one tenant: `retention` says how many days the objects of each zone live."""

    retention: Mapping[str, int] = field(default_factory=dict)

    def of_object(self, zone: str, since: datetime) -> int | None:
        """Of what the ledger holds of an object that has been there since then: its entry, listing, settled claims."""
        days = self.retention.get(zone)
        return None if days is None else _seconds(since + timedelta(days=days) + AFTER_OBJECT)


def of_run(state: str, ended: datetime) -> int:
    return _seconds(ended + (COMMITTED_RUN if state == HeaderState.COMPLETED else LOST_RUN))


def of_chunk(written: datetime) -> int:
    return _seconds(written + CHUNK)


def of_errand(asked: datetime) -> int:
    return _seconds(asked + ERRAND)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
