"""The way in: file versions entered, and the list of those that wait for a job."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lineage import table
from lineage.history import History
from lineage.store import Cancelled, sets
from lineage.table import Arrival, Claim, Version
from lineage.values import ClaimState, FileVersion, Member, moment, stamp, zone_of

RECEIPTS = 33  # files in one transaction: three writes each


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A file version to enter, waiting for `job`.

    `job` None: unrouted, with the reason. `held`: kept out of the waiting list until its tenant is released.
    """

    file: FileVersion
    job: str | None
    held: bool = False
    reason: str | None = None


class Receipts(History):
    """Receive, and what waits."""

    def receive(self, file: FileVersion, job: str | None, *, held: bool = False, reason: str | None = None) -> bool:
        """Enters a file version; False = it is there already. See Receipt."""
        return self.receive_all([Receipt(file=file, job=job, held=held, reason=reason)])[0]

    def receive_all(self, receipts: Sequence[Receipt]) -> list[bool]:
        """Enters many, some in one transaction, each whole or not at all; False for those that are there already.

        A commit object may be entered by the commit of its run first and by its event later, or the other way round:
        only `arrived` tells whether the event was seen.
        """
        first = {_identity(receipt): position for position, receipt in reversed(list(enumerate(receipts)))}
        entered = [False] * len(receipts)
        unique = sorted(first.values())
        for start in range(0, len(unique), RECEIPTS):
            page = unique[start : start + RECEIPTS]
            for position in self._enter(receipts, page):
                entered[position] = True
        return entered

    def _enter(self, receipts: Sequence[Receipt], page: Sequence[int]) -> Iterator[int]:
        """The positions that are new; those that refuse the transaction are there already."""
        left = list(page)
        while left:
            writes = [(position, *write) for position in left for write in self._receipt(receipts[position])]
            try:
                self.store.transact([(verb, request) for _, verb, request in writes])
            except Cancelled as refused:
                known = {writes[write][0] for write in refused.failed}
                left = [position for position in left if position not in known]
            else:
                yield from left
                return

    def _receipt(self, receipt: Receipt) -> Iterator[tuple[str, dict[str, Any]]]:
        file = receipt.file
        yield "Update", self._version_receipt(file, receipt.reason)
        if file.key.startswith("raw/"):
            yield "Put", self.store.putting(_arrival(file, receipt.reason))
        if receipt.job is not None and file.dataset is not None:
            state = ClaimState.HELD if receipt.held else ClaimState.RECEIVED
            claim = _claim(file, file.dataset, receipt.job, state)
            yield "Put", self.store.putting(claim, Claim.pk.does_not_exist())

    def _version_receipt(self, file: FileVersion, reason: str | None) -> dict[str, Any]:
        known = {
            "key": file.key,
            "version": file.version,
            "zone": zone_of(file.key),
            "dataset": file.dataset,
            "size": file.size,
            "etag": file.etag,
            "sequencer": file.sequencer,
            "arrived": stamp(file.arrived_at),
            "reason": reason,
        }
        actions = [Version.kind.set(Version), *sets(Version, known)]
        key = (table.file_pk(file.tenant, file.fid), table.version_sk(file.ver))
        return self.store.updating(key, actions, Version.arrived.does_not_exist())

    def waiting(self, tenant: str, dataset: str, job: str, *, limit: int = 5000) -> list[Member]:
        """The files that a run may claim now, oldest first.

        What a run wrote waits too, but counts only once that run has committed: the object of a run that was fenced
        after its PUT never does. The producer stands on the version when, and only when, it has committed.
        """
        now = stamp(self.clock())
        partition = table.waiting_pk(tenant, dataset, job)
        # A tenant's jobs may write any index key into items of their own: what is not this tenant's is not looked at.
        own = table.file_pk(tenant, "")
        claims = (
            claim
            for claim in self.store.query(Claim, partition, index=table.INDEX)
            if claim.pk.startswith(own) and (claim.retry_at is None or claim.retry_at <= now)
        )
        ready: list[Member] = []
        while len(ready) < limit and (page := [member_of(claim) for claim in itertools.islice(claims, limit)]):
            ready += self._that_count(tenant, page)
        return ready[:limit]

    def _that_count(self, tenant: str, first: list[Member]) -> list[Member]:
        written = [member for member in first if not member.key.startswith("raw/")]
        if not written:
            return first
        keys = {member.id: (table.file_pk(tenant, member.fid), table.version_sk(member.ver)) for member in written}
        found = self.store.batch_get(Version, keys.values())
        counted = {node for node, key in keys.items() if key in found and found[key].run}
        return [member for member in first if member.id not in keys or member.id in counted]


def _identity(receipt: Receipt) -> tuple[str, str, str]:
    return receipt.file.tenant, receipt.file.fid, receipt.file.ver


def _claim(file: FileVersion, dataset: str, job: str, state: ClaimState) -> Claim:
    arrived = stamp(file.arrived_at)
    waits = state == ClaimState.RECEIVED
    return Claim(
        pk=table.file_pk(file.tenant, file.fid),
        sk=table.claim_sk(file.ver, job),
        st=state,
        job=job,
        dataset=dataset,
        key=file.key,
        version=file.version,
        size=file.size,
        etag=file.etag,
        sequencer=file.sequencer,
        arrived=arrived,
        g2pk=table.waiting_pk(file.tenant, dataset, job) if waits else None,
        g2sk=f"{arrived}#{file.fid}.{file.ver}" if waits else None,
    )


def _arrival(file: FileVersion, reason: str | None) -> Arrival:
    return Arrival(
        pk=table.dataset_pk(file.tenant, file.dataset),
        sk=f"A#{stamp(file.arrived_at)}#{file.fid}.{file.ver}",
        key=file.key,
        version=file.version,
        size=file.size,
        reason=reason,
    )


def member_of(claim: Claim) -> Member:
    return Member(
        key=claim.key,
        version=claim.version,
        fid=claim.pk.rsplit("#", 1)[1],
        ver=claim.sk.split("#")[1],
        size=int(claim.size),
        etag=claim.etag,
        arrived_at=moment(claim.arrived),
        attempt=int(claim.attempt),
        sequencer=claim.sequencer or "",
    )
