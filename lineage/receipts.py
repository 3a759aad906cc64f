"""The way in: file versions entered, and the list of those that wait for a job."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lineage import table
from lineage.history import History
from lineage.items import Arrival, Claim, Item, Version
from lineage.store import Cancelled, ConditionFailed, sets
from lineage.values import ClaimState, FileVersion, Member, moment, stamp, zone_of


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
        """Enters many, side by side; False for those that are there already. Whatever dies half way, do it again.

        Entry and listing of a raw file are plain puts, the same ones whenever its event comes. The claim is the one
        conditional write and comes last: what has a claim can be found, and what has none was never acknowledged.
        """
        first = {_identity(receipt): position for position, receipt in reversed(list(enumerate(receipts)))}
        raw = [receipts[position] for position in first.values() if _is_raw(receipts[position])]
        routed = [receipt for receipt in raw if _is_routed(receipt)]
        self.store.put_all([item for receipt in routed for item in self._entry(receipt)])
        self.store.put_all([self._listing(receipt) for receipt in raw if not _is_routed(receipt)])
        positions = sorted(first.values())
        entered = self.store.each(lambda position: self._enter(receipts[position]), positions)
        new = dict(zip(positions, entered, strict=True))
        return [new.get(position, False) for position in range(len(receipts))]

    def _enter(self, receipt: Receipt) -> bool:
        if not _is_raw(receipt):
            return self._enter_written(receipt)
        item: Item = _claim(receipt) if _is_routed(receipt) else self._version(receipt)
        try:
            self.store.put(item, Item.pk.does_not_exist())
        except ConditionFailed as known:
            self._restate(receipt, known.old)
            return False
        return True

    def _restate(self, receipt: Receipt, old: Item | None) -> None:
        """A file that came before under another time or dataset stays listed where it was, once."""
        arrived, dataset = getattr(old, "arrived", None), getattr(old, "dataset", None)
        if arrived is None or (moment(arrived), dataset) == (receipt.file.arrived_at, receipt.file.dataset):
            return
        listing = self._listing(receipt)
        before = replace(
            receipt,
            file=replace(receipt.file, arrived_at=moment(arrived), dataset=dataset),
            reason=None if dataset else receipt.reason,
        )
        self.store.put_all(self._entry(before))
        self.store.delete((listing.pk, listing.sk))

    def _enter_written(self, receipt: Receipt) -> bool:
        """What a run wrote. Its commit may have entered it before, or will: only `arrived` tells of the event."""
        file = receipt.file
        key = (table.file_pk(file.tenant, file.fid), table.version_sk(file.ver))
        known = {**self._told(receipt), "ttl": self._ttl(file)}
        actions = [Version.kind.set(Version), *sets(Version, known)]
        writes = [("Update", self.store.updating(key, actions, Version.arrived.does_not_exist()))]
        if _is_routed(receipt):
            writes.append(("Put", self.store.putting(_claim(receipt), Claim.pk.does_not_exist())))
        try:
            self.store.transact(writes)
        except Cancelled:
            return False
        return True

    # -- items ---------------------------------------------------------------------------------------------------

    def _entry(self, receipt: Receipt) -> list[Item]:
        return [self._version(receipt), self._listing(receipt)]

    def _told(self, receipt: Receipt) -> dict[str, Any]:
        file = receipt.file
        return {
            "key": file.key,
            "version": file.version,
            "zone": zone_of(file.key),
            "dataset": file.dataset,
            "size": file.size,
            "etag": file.etag,
            "sequencer": file.sequencer or None,
            "arrived": stamp(file.arrived_at),
            "reason": receipt.reason,
        }

    def _ttl(self, file: FileVersion) -> int | None:
        return self.lifetimes(file.tenant).of_object(zone_of(file.key), file.arrived_at)

    def _version(self, receipt: Receipt) -> Version:
        file = receipt.file
        pk, sk = table.file_pk(file.tenant, file.fid), table.version_sk(file.ver)
        return Version(pk=pk, sk=sk, ttl=self._ttl(file), **self._told(receipt))

    def _listing(self, receipt: Receipt) -> Arrival:
        file = receipt.file
        return Arrival(
            pk=table.dataset_pk(file.tenant, file.dataset),
            sk=f"A#{stamp(file.arrived_at)}#{file.fid}.{file.ver}",
            key=file.key,
            version=file.version,
            size=file.size,
            reason=receipt.reason,
            ttl=self._ttl(file),
        )

    # -- what waits ----------------------------------------------------------------------------------------------

    def waiting(self, tenant: str, dataset: str, job: str, *, limit: int = 5000) -> list[Member]:
        """The files that a run may claim now, oldest first.

        What a run wrote waits too, but counts only once that run has committed: the object of a run that was fenced
        after its PUT never does. The producer stands on the version when, and only when, it has committed.
        """
        now = stamp(self.clock())
        partition = table.waiting_pk(tenant, dataset, job)
        listed = self.store.listed(Claim, partition, lambda claim: is_claim_of(tenant, claim))
        claims = (claim for claim in listed if claim.retry_at is None or claim.retry_at <= now)
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


def _is_raw(receipt: Receipt) -> bool:
    return receipt.file.key.startswith("raw/")


def _is_routed(receipt: Receipt) -> bool:
    return receipt.job is not None and receipt.file.dataset is not None


def _claim(receipt: Receipt) -> Claim:
    file = receipt.file
    job, dataset = str(receipt.job), str(file.dataset)
    waiting = table.held_pk(file.tenant) if receipt.held else table.waiting_pk(file.tenant, dataset, job)
    return Claim(
        pk=table.file_pk(file.tenant, file.fid),
        sk=table.claim_sk(file.ver, job),
        st=ClaimState.HELD if receipt.held else ClaimState.RECEIVED,
        job=job,
        dataset=dataset,
        key=file.key,
        version=file.version,
        size=file.size,
        etag=file.etag,
        sequencer=file.sequencer,
        arrived=stamp(file.arrived_at),
        g2pk=waiting,
        g2sk=f"{stamp(file.arrived_at)}#{file.fid}.{file.ver}",
    )


def waits(tenant: str, dataset: str, job: str, member: Member) -> tuple[str, str]:
    """Where the index lists a file that waits for the job."""
    return table.waiting_pk(tenant, dataset, job), f"{stamp(member.arrived_at)}#{member.id}"


def is_claim_of(tenant: str, claim: Claim) -> bool:
    """The tenant's own, and such as it can be tried."""
    return bool(claim.pk.startswith(table.file_pk(tenant, ""))) and bool(member_of(claim).id)


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
        fence=int(claim.fence or 0),
        group=claim.group,
        epoch=int(claim.epoch or 0),
        replaces=tuple(claim.replaces or ()),
        retry_at=moment(claim.retry_at) if claim.retry_at else None,
    )
