"""The begin of a run: a header in the tenant's slot and seat, and the files it claims."""

from collections.abc import Sequence
from typing import Any

from lineage import chunks, table
from lineage.endings import Endings, can_be_claimed
from lineage.errors import NoSeat, NothingClaimed, RunNotOpen, RunOpen
from lineage.items import Claim, Item
from lineage.items import Run as Header
from lineage.items import Seat as SeatItem
from lineage.items import Slot as SlotItem
from lineage.store import Cancelled, ConditionFailed, Key
from lineage.values import ClaimState, HeaderState, Member, batch_of, new_run_id, stamp

TRIES = 5  # of getting a seat that others want too


class Claims(Endings):
    """Begin: header, slot and seat; members, claims, seal."""

    def begin(self, tenant: str, job: str, dataset: str, members: Sequence[Member]) -> str:
        """Opens a run and claims the members for it; gives its id. Raises RunOpen, NoSeat or NothingClaimed."""
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

    # -- a place -------------------------------------------------------------------------------------------------

    def _open(self, tenant: str, job: str, dataset: str) -> Header:
        """The header with its slot and its seat, in one transaction."""
        header = self._new_header(tenant, job, dataset)
        slot = SlotItem(pk=table.slots_pk(tenant), sk=f"{job}#{dataset}", run=header.sk, job=job, dataset=dataset)
        for _ in range(TRIES):
            header.seat = self._free_seat(tenant, job)
            seat = SeatItem(pk=table.seats_pk(tenant), sk=str(header.seat), run=header.sk)
            writes = [
                ("Put", self.store.putting(header, Header.pk.does_not_exist())),
                ("Put", self.store.putting(slot, SlotItem.pk.does_not_exist())),
                ("Put", self.store.putting(seat, SeatItem.pk.does_not_exist())),
            ]
            try:
                self.store.transact(writes)
            except Cancelled as refused:
                if refused.failed.get(0) is not None:
                    return header  # it is there, whole: the answer to the first try was lost
                if 1 in refused.failed and not self._vacate_slot(tenant, job, (slot.pk, slot.sk)):
                    raise RunOpen(
                        f"{job} on {tenant}/{dataset} has an open run already; dispatch again when it ends"
                    ) from refused
            else:
                return header
        raise NoSeat(f"{job} on {tenant}/{dataset}: others took each free seat first; dispatch again")

    def _free_seat(self, tenant: str, job: str) -> int:
        """The first one that nobody has; a seat whose owner is dead is free as soon as that is fenced."""
        places = self.tenant(tenant).max_in_flight
        taken = self._seats(tenant)
        if len(taken) >= places:
            for number, run in taken.items():
                self._vacate_seat(tenant, number, run)
            taken = self._seats(tenant)
        free = [number for number in range(places) if number not in taken]
        if len(taken) >= places or not free:
            raise NoSeat(f"{job} of {tenant}: {len(taken)} runs in flight, {places} allowed; dispatch when one ends")
        return free[0]

    def _seats(self, tenant: str) -> dict[int, str]:
        seats = self.store.query(SeatItem, table.seats_pk(tenant), forgiving=True)
        return {int(seat.sk): seat.run for seat in seats if seat.sk.isdecimal()}

    def _vacate_seat(self, tenant: str, number: int, run: str) -> None:
        headers = self.headers(tenant, [(job, run) for job in self.tenant(tenant).jobs])
        self._vacate((table.seats_pk(tenant), str(number)), run, headers.get(run))

    def _vacate_slot(self, tenant: str, job: str, key: Key) -> bool:
        """True = the slot is free now, or its owner was dead and is fenced."""
        slot = self.store.get(SlotItem, key)
        return slot is None or self._vacate(key, slot.run, self._header(tenant, job, slot.run))

    def _vacate(self, key: Key, run: str, owner: Header | None) -> bool:
        if owner is not None and owner.st == HeaderState.RUNNING:
            return self._close_if_stale(owner)
        # Who closes a run frees its place with it; this one was left by a table that was restored, say.
        try:
            self.store.delete(key, Item.pk.does_not_exist() | (SlotItem.run == run))
        except ConditionFailed:
            return False
        return True

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

    # -- the files -----------------------------------------------------------------------------------------------

    def _claim(self, header: Header, members: Sequence[Member]) -> list[Member]:
        """Those of the members that are this run's now.

        The chunks name each file, with the fence under which it is about to be claimed, before the header says
        `listed`, and that before the first claim. So whoever fences this run finds each claim that it has made and
        raises the fence of each that it has not: if this dispatch slept meanwhile, its claims fail when it wakes.
        """
        chunks.write_members(self.store, header.tenant, header.sk, members)
        self._still_running(header, [Header.listed.set(True)])
        mine = self.store.each(lambda member: self._claim_one(header, member), members)
        claimed = [member for member, got in zip(members, mine, strict=True) if got]
        if len(claimed) < len(members):
            chunks.rewrite_members(self.store, header.tenant, header.sk, members, claimed)
        if claimed:
            self._seal(header, claimed)
        return claimed

    def _claim_one(self, header: Header, member: Member) -> bool:
        """False: it is another's, or was moved since it was listed as waiting; the next dispatch sees it anew."""
        actions = [
            Claim.st.set(ClaimState.CLAIMED),
            Claim.owner.set(header.sk),
            Claim.fence.set(member.fence + 1),
            Claim.g2pk.remove(),
            Claim.g2sk.remove(),
            Claim.retry_at.remove(),
            Claim.group.remove(),
        ]
        key = (table.file_pk(header.tenant, member.fid), table.claim_sk(member.ver, header.job))
        try:
            self.store.update(key, actions, can_be_claimed(member))
        except ConditionFailed as refused:
            old = refused.old  # ours when the answer to the first try was lost
            return isinstance(old, Claim) and old.st == ClaimState.CLAIMED and old.owner == header.sk
        return True

    def _seal(self, header: Header, members: Sequence[Member]) -> None:
        actions = [
            Header.sealed.set(True),
            Header.batch.set(batch_of(members, header.job, header.dataset)),
            Header.files.set(len(members)),
            Header.attempt.set(1 + max(member.attempt for member in members)),
            Header.hb.set(stamp(self.clock())),
        ]
        if any(member.replaces for member in members) and self.dataset(header.tenant, header.dataset).is_plain:
            actions.append(Header.whole.set(True))
        self._still_running(header, actions)

    def _still_running(self, header: Header, actions: list[Any]) -> None:
        try:
            self.store.update((header.pk, header.sk), actions, Header.st == HeaderState.RUNNING)
        except ConditionFailed as fenced:
            raise RunNotOpen(f"run {header.sk} of {header.job} was fenced while it claimed its files") from fenced

    def _discard(self, header: Header) -> None:
        """A run that got no file never was: header, slot and seat go."""
        writes = [
            ("Delete", self.store.deleting((header.pk, header.sk), Header.st == HeaderState.RUNNING)),
            *self.freeing(header.tenant, header.job, header.dataset, header.sk, header.seat),
        ]
        try:
            self.store.transact(writes)
        except Cancelled:
            return  # fenced meanwhile: whoever did that tidies up
