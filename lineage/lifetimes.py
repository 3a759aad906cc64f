"""How long the ledger's items live, as the epoch seconds of DynamoDB's TTL; None lives for good.

A settled claim and the entry of a file outlive the object, or an event or a listing that comes late would bring the
file in a second time. What still waits, and what a tenant's graph and its places in flight hold, never expires.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from lineage.values import HeaderState, moment, stamp

AFTER_OBJECT = timedelta(days=45)  # its last version stays for thirty days more, and lifecycle rules lag
COMMITTED_RUN = timedelta(days=400)
LOST_RUN = timedelta(days=90)
ERRAND = timedelta(days=90)
BELIEVED = timedelta(minutes=5)  # a process asks again after that how long a tenant's objects live
CHUNK = COMMITTED_RUN + timedelta(days=1)  # written before its run has ended


@dataclass(frozen=True)
class Lifetimes:
    """Of one tenant: `retention` says how many days the objects of each zone live.

    `raised`: zone → {"at": since when they live longer, "days": how few it were before}.
    """

    retention: Mapping[str, int] = field(default_factory=dict)
    raised: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of_object(self, zone: str, since: datetime) -> int | None:
        """Of what the ledger holds of an object that has been there since then: its entry, listing, settled claims."""
        days = self.retention.get(zone)
        return None if days is None else _seconds(since + timedelta(days=days) + AFTER_OBJECT)

    def may_be_forgotten(self, zone: str, since: datetime, now: datetime) -> bool:
        """Whether the ledger may have settled an object that has been there since then, and forgotten it.

        It forgets by the retention that held when it wrote. Where that was raised since, an object may outlive what
        the ledger knew of it: such a one is no news because it is unknown, and must not be entered again.
        """
        before = self.raised.get(zone)
        if before is None or since > moment(before["at"]) + BELIEVED:
            return False
        return since + timedelta(days=before["days"]) + AFTER_OBJECT < now


def raised_by(
    was: Mapping[str, int], becomes: Mapping[str, int], raised: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """`raised` after a change of the retention."""
    grown = {zone: days for zone, days in was.items() if zone not in becomes or becomes[zone] > days}
    fewest = {zone: min(days, raised.get(zone, {}).get("days", days)) for zone, days in grown.items()}
    return {**raised, **{zone: {"at": stamp(now), "days": days} for zone, days in fewest.items()}}


def of_run(state: str, ended: datetime) -> int:
    return _seconds(ended + (COMMITTED_RUN if state == HeaderState.COMPLETED else LOST_RUN))


def of_chunk(written: datetime) -> int:
    return _seconds(written + CHUNK)


def of_errand(asked: datetime) -> int:
    return _seconds(asked + ERRAND)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
