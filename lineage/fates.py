"""What becomes of a lost run's files: tried again as the same batch, then as halves of it, or given up."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lineage.items import Run as Header
from lineage.values import ClaimState, Member, batch_of, moment

MAX_ATTEMPTS = 3  # of a batch as it is; after these it is halved, and a file that is alone is given up
BACKOFF_S = 10  # first pause of files whose run failed; doubled and jittered per attempt
UNSTARTED_S = (15, 30)  # pause of files whose run could not be started


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of a file whose run is lost. `group`: the batch in which it is tried again."""

    state: ClaimState
    attempt: int
    reason: str
    group: str | None = None
    retry_at: datetime | None = None


def fates_of(header: Header, members: Sequence[Member]) -> Mapping[str, Fate]:
    """Member id → what becomes of it now that the run is lost. A function of the header and its chunks alone.

    The same files are tried again as the same batch, `MAX_ATTEMPTS` times; then its halves, and theirs, until the one
    file that fails by itself is alone. The others go through on the way. A batch that cannot be divided is given up
    as it is: each of its halves would fail for being one.
    """
    batch = header.batch
    if not (header.counts and header.sealed):
        # It never ran: nothing is known against its files.
        at_once = header.pauses is False
        return {
            member.id: Fate(
                state=ClaimState.RETRY,
                attempt=member.attempt,
                reason=why(header),
                # What never came to Glue is no batch yet: what arrives meanwhile may go with it.
                group=member.group if at_once else batch or member.group,
                retry_at=None if at_once else _jitter(header, *UNSTARTED_S),
            )
            for member in members
        }
    if header.attempt < MAX_ATTEMPTS:
        pause_s = BACKOFF_S * 2 ** (int(header.attempt) - 1)
        pause = _jitter(header, pause_s / 2, pause_s)
        return {member.id: _retry(header, member, batch, pause) for member in members}
    if len(members) == 1 or header.whole:
        return {member.id: _dead(header, member) for member in members}
    return {
        member.id: _retry(header, member, batch_of(half, header.job, header.dataset), None)
        for half in halves(members)
        for member in half
    }


def halves(members: Sequence[Member]) -> tuple[list[Member], list[Member]]:
    ordered = sorted(members, key=lambda member: member.id)
    middle = len(ordered) // 2
    return ordered[:middle], ordered[middle:]


def _retry(header: Header, member: Member, group: str | None, retry_at: datetime | None) -> Fate:
    return Fate(state=ClaimState.RETRY, attempt=member.attempt + 1, reason=why(header), group=group, retry_at=retry_at)


def _dead(header: Header, member: Member) -> Fate:
    return Fate(state=ClaimState.DEAD, attempt=member.attempt + 1, reason=why(header))


def why(header: Header) -> str:
    return header.error or "the run ended without a word"


def _jitter(header: Header, least_s: float, most_s: float) -> datetime:
    """The same for all files of a run: those that failed together come back together."""
    pause = random.Random(header.sk).uniform(least_s, most_s)  # noqa: S311 - no secret
    return moment(header.ended) + timedelta(seconds=pause)
