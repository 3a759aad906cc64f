"""When waiting files become a batch, and whose batch starts first: rules on values, no clock, no service."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    def group(self) -> str | None:
        """The batch in which it is to be tried again, whole; None: it is new."""

    @property
    def retry_at(self) -> datetime | None: ...


W = TypeVar("W", bound=Waiting)

BatchId = Callable[[Sequence[W]], str]
"""The id of the batch that these files would be: a group whose files give its own id lacks none."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a batch closes: as soon as one of the three is reached.

    It never holds more than `max_files` files, nor, beyond its first file, more than `max_bytes` bytes. `due`: of a
    dataset with a schedule, when it was due last. What arrived until then goes, what arrived later waits for the next
    time, and the limits only cut.
    """

    max_wait: timedelta
    max_files: int
    max_bytes: int
    due: datetime | None = None


STRAGGLERS = timedelta(minutes=2)
"""How long a group waits for files of its own that do not wait yet, counted from its newest retry."""

# Files that one run wrote were batched already: the next job takes them as soon as it is idle.
AT_ONCE = Rule(max_wait=timedelta(0), max_files=100, max_bytes=2**63)


def close(waiting: Iterable[W], rule: Rule, now: datetime, batch_id: BatchId[W]) -> list[W]:
    """The batch to start now, oldest first; empty if it is not time yet.

    Groups come first: the files of a failed run, a half of them, or those of a replay. A group is a batch by itself,
    neither cut nor filled up, so that each attempt is the same batch as the one before, and so that whatever is wrong
    with one file costs only those that failed with it.
    """
    oldest_first = sorted(waiting, key=lambda file: file.arrived_at)
    for name, group in _groups(oldest_first).items():
        if batch_id(group) == name or _newest(group) + STRAGGLERS <= now:
            return group
    new = [file for file in oldest_first if file.group is None]
    if rule.due is not None:
        return _fill([file for file in new if file.arrived_at <= rule.due], rule)
    batch = _fill(new, rule)
    full = len(batch) == rule.max_files or len(batch) < len(new) or _bytes(batch) >= rule.max_bytes
    return batch if batch and (full or now - batch[0].arrived_at >= rule.max_wait) else []


def _groups(oldest_first: Iterable[W]) -> dict[str, list[W]]:
    """The groups, that of the oldest file first."""
    groups: dict[str, list[W]] = {}
    for file in oldest_first:
        if file.group is not None:
            groups.setdefault(file.group, []).append(file)
    return groups


def _newest(group: Iterable[Waiting]) -> datetime:
    return max(file.retry_at or file.arrived_at for file in group)


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
    """What a tenant may have in flight, and what it has: `busy` are its open (job, dataset) pairs.

    `turn`: its place in the line of those that were refused; infinite when it does not stand there.
    """

    max_in_flight: int
    busy: frozenset[tuple[str, str]] = frozenset()
    weight: int = 1
    turn: float = math.inf


def choose(
    candidates: Iterable[Candidate], shares: Mapping[str, Share], *, limit: int | None = None
) -> list[Candidate]:
    """What starts now, in order.

    One run per tenant, dataset and job; at most `max_in_flight` per tenant; at most `limit` in all. The next start
    goes to the tenant with the fewest runs in flight for its weight: a tenant that drops ten thousand files waits for
    itself, not others for it. Among equals goes first who waits longest in line, or whoever has the oldest files would
    have each place again and again; then the latest job, for what was begun wants to become queryable and a steady
    stream of new files would keep it waiting for ever; then the oldest file.
    """
    left = sorted(
        candidates,
        key=lambda one: (shares[one.tenant].turn, -one.stage, one.oldest, one.tenant, one.job, one.dataset),
    )
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
