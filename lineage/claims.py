"""The begin of a run: a header in the tenant's slot, and the files it claims."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lineage import chunks, table
from lineage.endings import Endings
from lineage.errors import NothingClaimed, RunNotOpen, RunOpen
from lineage.receipts import member_of
from lineage.store import Cancelled, ConditionFailed
from lineage.table import Claim, Item
from lineage.table import Run as Header
from lineage.table import Slot as SlotItem
from lineage.values import ClaimState, HeaderState, Member, new_run_id, stamp

CLAIMS = 99  # claims in one transaction beside the check of the header
TRIES = 5


class Claims(Endings):
    """Begin: header and slot, members, claims, seal."""

    def begin(self, tenant: str, job: str, dataset: str, members: Sequence[Member]) -> str:
        """Opens a run and claims the members for it; gives its id. Raises RunOpen or NothingClaimed."""
        header = self._open(tenant, job, dataset)
        try:
            claimed = self._claim(header, members)
        except RunNotOpen:
            raise
        except Exception as error:
            self._close(header, HeaderState.FAILED, f"while claiming its files: {error}", counts=False)
            raise
        if not claimed:
            self._discard(header)
            raise NothingClaimed(f"{job} on {tenant}/{dataset}: all {len(members)} files belong to others")
        return str(header.sk)

    def _claim(self, header: Header, members: Sequence[Member]) -> list[Member]:
        chunks.write_members(self.store, header.tenant, header.sk, members)
        claimed: list[Member] = []
        for start in range(0, len(members), CLAIMS):
            # One after the other: transactions that check the same header would cancel each other.
            claimed += self._claim_some(header, members[start : start + CLAIMS])
        if claimed != list(members):
            chunks.rewrite_members(self.store, header.tenant, header.sk, members, claimed)
        if claimed:
            self._seal(header, claimed)
        return claimed

    def _open(self, tenant: str, job: str, dataset: str) -> Header:
        header = self._new_header(tenant, job, dataset)
        key = (table.slots_pk(tenant), f"{job}#{dataset}")
        slot = SlotItem(pk=key[0], sk=key[1], run=header.sk, job=job, dataset=dataset)
        writes = [
            ("Put", self.store.putting(header, Header.pk.does_not_exist())),
            ("Put", self.store.putting(slot, SlotItem.pk.does_not_exist())),
        ]
        for _ in range(2):
            try:
                self.store.transact(writes)
            except Cancelled:
                if not self._vacate(tenant, job, key):
                    break
            else:
                return header
        raise RunOpen(f"{job} on {tenant}/{dataset} has an open run already; dispatch again when it ends")

    def _vacate(self, tenant: str, job: str, key: tuple[str, str]) -> bool:
        """True = the slot is free now, or its owner was dead and is fenced."""
        slot = self.store.get(SlotItem, key)
        owner = self._header(tenant, job, slot.run) if slot else None
        return slot is None or (owner is not None and self._close_if_stale(owner))

    def _new_header(self, tenant: str, job: str, dataset: str) -> Header:
        run, now = new_run_id(), stamp(self.clock())
        return Header(
            pk=table.job_pk(tenant, job),
            sk=run,
            tenant=tenant,
            job=job,
            dataset=dataset,
            st=HeaderState.RUNNING,
            started=now,
            hb=now,
            g2pk=table.open_pk(run),
            g2sk=f"{now}#{tenant}#{job}~{run}",
        )

    def _claim_some(self, header: Header, members: Sequence[Member]) -> list[Member]:
        """Those that are this run's now. In a transaction with the header: a fenced run claims nothing any more.

        Without that check a dispatch that slept while it was fenced would wake, claim files for its dead run after
        their release, and nobody would look for them there.
        """
        mine: list[Member] = []
        left = list(members)
        for _ in range(TRIES):
            if not left:
                break
            alive = self.store.checking((header.pk, header.sk), Header.st == HeaderState.RUNNING)
            writes = [("ConditionCheck", alive), *(("Update", self._claiming(header, member)) for member in left)]
            try:
                self.store.transact(writes)
            except Cancelled as refused:
                if 0 in refused.failed:
                    raise RunNotOpen(f"run {header.sk} of {header.job} was fenced while it claimed") from refused
                had, left = self._sift(header, left, refused.failed)
                mine += had
            else:
                return mine + left
        return mine

    def _claiming(self, header: Header, member: Member) -> dict[str, Any]:
        actions = [
            Claim.st.set(ClaimState.CLAIMED),
            Claim.owner.set(header.sk),
            Claim.g2pk.remove(),
            Claim.g2sk.remove(),
            Claim.retry_at.remove(),
        ]
        takeable = Claim.st.is_in(ClaimState.RECEIVED, ClaimState.RETRY) & (Claim.attempt == member.attempt)
        key = (table.file_pk(header.tenant, member.fid), table.claim_sk(member.ver, header.job))
        return self.store.updating(key, actions, takeable)

    def _sift(
        self, header: Header, members: Sequence[Member], refused: Mapping[int, Item | None]
    ) -> tuple[list[Member], list[Member]]:
        """What is this run's already (an answer was lost), and what to try again. The rest belongs to others."""
        mine: list[Member] = []
        again: list[Member] = []
        for position, member in enumerate(members, start=1):
            claim = refused.get(position)
            if position not in refused:
                again.append(member)
            elif isinstance(claim, Claim) and claim.st == ClaimState.CLAIMED and claim.owner == header.sk:
                mine.append(member)
            elif isinstance(claim, Claim) and self._takeable(header.tenant, claim):
                key = (claim.pk, claim.sk)
                found = self.store.get(Claim, key)
                again += [member_of(found)] if found else []
        return mine, again

    def _takeable(self, tenant: str, claim: Claim) -> bool:
        if claim.st == ClaimState.CLAIMED:
            return self._free(tenant, claim)
        return claim.st in {ClaimState.RECEIVED, ClaimState.RETRY}

    def _free(self, tenant: str, claim: Claim) -> bool:
        """Takes a claim from a dead owner: fenced first, so that nothing it still does can count."""
        owner = self._header(tenant, claim.job, claim.owner)
        if owner is None:
            return False
        if owner.st == HeaderState.COMPLETED:
            self._settle(owner)
            return False
        if owner.st == HeaderState.RUNNING and not self._close_if_stale(owner):
            return False
        owner = self._header(tenant, claim.job, claim.owner)
        if owner is None or owner.st not in {HeaderState.FAILED, HeaderState.FENCED}:
            return False
        self._release(owner, member_of(claim))
        return True

    def _discard(self, header: Header) -> None:
        """A run that got no file never was: header and slot go."""
        key = (table.slots_pk(header.tenant), f"{header.job}#{header.dataset}")
        writes = [
            ("Delete", self.store.deleting((header.pk, header.sk), Header.st == HeaderState.RUNNING)),
            ("Delete", self.store.deleting(key, SlotItem.run == header.sk)),
        ]
        try:
            self.store.transact(writes)
        except Cancelled:
            return  # fenced meanwhile: whoever did that tidies up

    def _seal(self, header: Header, members: Sequence[Member]) -> None:
        ids = [member.id for member in members]
        actions = [
            Header.sealed.set(True),
            Header.batch.set(batch_id(ids, header.job, header.dataset)),
            Header.files.set(len(ids)),
            Header.attempt.set(1 + max(member.attempt for member in members)),
            Header.hb.set(stamp(self.clock())),
        ]
        if len(ids) <= chunks.INLINE:
            actions.append(Header.inp.set(ids))
        try:
            self.store.update((header.pk, header.sk), actions, Header.st == HeaderState.RUNNING)
        except ConditionFailed as fenced:
            raise RunNotOpen(f"run {header.sk} of {header.job} was fenced while it claimed its files") from fenced


def batch_id(ids: Iterable[str], job: str, dataset: str) -> str:
    """The same files for the same job are the same batch, whichever attempt it is."""
    return hashlib.sha256("\n".join([*sorted(ids), job, dataset]).encode()).hexdigest()[:20]
