"""Events and listings come late, or again: an object that was settled is never news while it, or a version, is there."""

from datetime import timedelta

import pytest

from tests.faults.injection import Process
from tests.faults.memory import MemoryTable
from tests.faults.worlds import LedgerWorld, seeded
from tests.lineage.builders import RAW, enter

RETENTION_D, NONCURRENT_D = 60, 30
DAYS = (0, 1, 29, 30, 31, 59, 60, 61, 89, 90)


def expire(rows: MemoryTable, now: float) -> None:
    """What DynamoDB does with items whose time is over."""
    for key in [key for key, item in rows.items.items() if "ttl" in item and int(item["ttl"]["N"]) < now]:
        del rows.items[key]


def twice_after(days: int) -> list[str]:
    """Each file is done, and its event comes again so many days later."""
    with seeded(0):
        world = LedgerWorld()
        enter(world.ledger, "acme", retention={"raw": RETENTION_D, "processed": RETENTION_D})
        world.drain()
        world.clock.now = world.files[0].arrived_at + timedelta(days=days)
        expire(world.rows, world.clock.now.timestamp())
        late = world.seen_by(Process())
        return [f"{file.key}: new again after {days} days" for file in world.files if late.receive(file, RAW)]


@pytest.mark.parametrize("days", DAYS)
def test_no_event_however_late_brings_a_settled_file_again(days):
    assert twice_after(days) == []
