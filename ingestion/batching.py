"""When waiting files become a batch, and whose batch starts first: rules on values, no clock, no service."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar


class Waiting(Protocol):
    """What the rules ask of a waiting file."""

    @property
    def size(self) -> int: ...

    @property
    def arrived_at(self) -> datetime: ...

    @property
    def attempt(self) -> int: ...


W = TypeVar("W", bound=Waiting)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a batch closes: as soon as one of the three is reached.

    It never holds more than `max_files` files, nor, beyond its first file, more than `max_bytes` bytes.
    """

    max_wait: timedelta
    max_files: int
    max_bytes: int


SUSPECTS = 32
"""Files of failed runs that are tried again together."""

ALONE_FROM = 2
"""Failed attempts after which a file is tried alone; the ledger gives up after three."""

# Files that one run wrote were batched already: the next job takes them as soon as it is idle.
AT_ONCE = Rule(max_wait=timedelta(0), max_files=100, max_bytes=2**63)


def close(waiting: Iterable[W], rule: Rule, now: datetime) -> list[W]:
    """The batch to start now, oldest first; empty if it is not time yet.

    Files of failed runs come first and never share a batch with others: whatever is wrong with one of them costs only
    those that failed with it. Before its last attempt a file is alone, so that each is judged by its own failure.
    """
    oldest_first = sorted(waiting, key=lambda file: file.arrived_at)
    failed = [file for file in oldest_first if file.attempt]
    if failed:
        last = [file for file in failed if file.attempt >= ALONE_FROM]
        return last[:1] or failed[:SUSPECTS]
    batch = _fill(oldest_first, rule)
    full = len(batch) == rule.max_files or len(batch) < len(oldest_first) or _bytes(batch) >= rule.max_bytes
    return batch if batch and (full or now - batch[0].arrived_at >= rule.max_wait) else []


def _fill(oldest_first: Sequence[W], rule: Rule) -> list[W]:
    batch: list[W] = []
    size = 0
    for file in oldest_first[: rule.max_files]:
        if batch and size + file.size > rule.max_bytes:
            break
        batch.append(file)
        size += file.size
    return batch


def _bytes(batch: Iterable[Waiting]) -> int:
    return sum(file.size for file in batch)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A closed batch that could start: whose, on what, and how long its oldest file has waited.

    `stage` is the job's place among the tenant's jobs.
    """

    tenant: str
    dataset: str
    job: str
    oldest: datetime
    stage: int = 0


@dataclass(frozen=True, kw_only=True)
class Share:
    """What a tenant may have in flight, and what it has: `busy` are its open (job, dataset) pairs."""

    max_in_flight: int
    busy: frozenset[tuple[str, str]] = frozenset()
    weight: int = 1


def choose(
    candidates: Iterable[Candidate], shares: Mapping[str, Share], *, limit: int | None = None
) -> list[Candidate]:
    """What starts now, in order.

    One run per tenant, dataset and job; at most `max_in_flight` per tenant; at most `limit` in all. The next start
    goes to the tenant with the fewest runs in flight for its weight: a tenant that drops ten thousand files waits for
    itself, not others for it. Among equals the latest job goes first, for what was begun wants to become queryable and
    a steady stream of new files would keep it waiting for ever; then the oldest file.
    """
    left = sorted(candidates, key=lambda one: (-one.stage, one.oldest, one.tenant, one.job, one.dataset))
    busy = {tenant: set(share.busy) for tenant, share in shares.items()}
    chosen: list[Candidate] = []
    while limit is None or len(chosen) < limit:
        left = [one for one in left if _may_start(one, shares[one.tenant], busy[one.tenant])]
        if not left:
            break
        first = min(left, key=lambda one: len(busy[one.tenant]) / shares[one.tenant].weight)
        busy[first.tenant].add((first.job, first.dataset))
        chosen.append(first)
    return chosen


def _may_start(candidate: Candidate, share: Share, busy: set[tuple[str, str]]) -> bool:
    return (candidate.job, candidate.dataset) not in busy and len(busy) < share.max_in_flight
