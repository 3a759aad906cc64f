"""The end of a run: what follows from a commit, from a failure, and from a death that nobody announced."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lineage import chunks, lifetimes, table
from lineage.errors import RunNotOpen
from lineage.fates import Fate, fates_of, why
from lineage.history import claim_key, is_stale, names_of
from lineage.items import Claim, Edge, PartitionCommit, Version
from lineage.items import Run as Header
from lineage.items import Seat as SeatItem
from lineage.items import Slot as SlotItem
from lineage.receipts import Receipts, member_of, waits
from lineage.store import Cancelled, ConditionFailed, Write, sets
from lineage.values import (
    ClaimState,
    HeaderState,
    Member,
    Run,
    RunState,
    Slot,
    moment,
    stamp,
    zone_of,
)

ERROR_LENGTH = 2000
MOST_AT_ONCE = 100  # headers of one tenant that one look puts in order; more wait for the next
GRACE = timedelta(seconds=30)  # the owner of a closed run tidies up itself; after this somebody else does
WAITING = (ClaimState.RECEIVED, ClaimState.RETRY)
LOST = frozenset({HeaderState.FAILED, HeaderState.FENCED})
NO_ROWS: chunks.Result = (0, 0, None)


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """One run that `recover` put in order."""

    tenant: str
    dataset: str
    job: str
    run: str
    outcome: str
    """`fenced`, `released` or `finalised`."""


class Endings(Receipts):
    """Finalise, fail, fence, recover."""

    def finalise(self, run: Run) -> None:
        """Settles what follows from a commit: claims DONE, partition listing, table graph. Safe to repeat."""
        header = self._header(run.tenant, run.job, run.run)
        if header is None or header.st != HeaderState.COMPLETED:
            raise RunNotOpen(why_not(run.run, run.job, run.tenant, run.glue_run, header))
        self._settle(header)

    def _settle(self, header: Header) -> None:
        results = chunks.results(self.store, header.tenant, header.sk)
        members = chunks.members(self.store, header.tenant, header.sk)
        self.store.each(lambda member: self._done(header, member, results.get(member.id, NO_ROWS)), members)
        outputs = list(self.outputs_of(header).values())
        for output in outputs:
            if output.zone == "analytics-ready":
                self.store.put(partition_commit(header, output))
        self._touch_graph(header, members, outputs)
        self._tidy(header)

    def _done(self, header: Header, member: Member, result: chunks.Result) -> None:
        """Only while it is that run's claim: who settles late must not close what a replay has opened again."""
        rows, rejected, reason = result
        known = {
            "st": ClaimState.DONE,
            "rows": rows,
            "rejected": rejected,
            "group": header.batch,
            "ttl": self.lifetimes(header.tenant).of_object(zone_of(member.key), member.arrived_at),
        }
        actions = [*sets(Claim, known), Claim.reason.set(reason) if reason else Claim.reason.remove()]
        try:
            self.store.update(claim_key(header.tenant, member.id, header.job), actions, _held_by(header))
        except ConditionFailed:
            return  # settled already, by whosever hand

    def _touch_graph(self, header: Header, members: Sequence[Member], outputs: Sequence[Version]) -> None:
        """Source → sink of datasets, outside the commit, where it would make runs collide; at most hourly."""
        now = self.clock()
        sources = {names_of(zone_of(member.key), header.dataset) for member in members}
        sinks = {names_of(output.zone, output.dataset) for output in outputs}
        for source, sink in itertools.product(sources, sinks - sources):
            actions = [
                Edge.kind.set(Edge),
                Edge.source.set(source),
                Edge.sink.set(sink),
                Edge.job.set(header.job),
                Edge.first.set(Edge.first | stamp(now)),
                Edge.last.set(stamp(now)),
                Edge.run.set(header.sk),
            ]
            old = Edge.last.does_not_exist() | (Edge.last < stamp(now - timedelta(hours=1)))
            try:
                self.store.update((table.graph_pk(header.tenant), f"{source}>{sink}"), actions, old)
            except ConditionFailed:
                continue

    def _tidy(self, header: Header) -> None:
        actions = [Header.tidy.set(True), Header.g2pk.remove(), Header.g2sk.remove()]
        try:
            self.store.update((header.pk, header.sk), actions, Header.st != HeaderState.RUNNING)
        except ConditionFailed:
            return

    def fail(self, run: Run | RunState, error: str, *, counts: bool = True, pauses: bool = True) -> bool:
        """Ends an open run; its files wait again, or one that failed alone often enough is DEAD. False = not open.

        `counts` False: not the files' fault (the run could not be started), no attempt is counted. `pauses` False with
        it: as if the run had never been begun, the files wait as they did before, without a pause.
        """
        header = self._header(run.tenant, run.job, run.run)
        return self._close(header, HeaderState.FAILED, error, counts=counts, pauses=pauses)

    def _close_if_stale(self, header: Header) -> bool:
        """Fences a run that shows no life. True = it is dead now, by whosever hand, and its claims wait again."""
        if header.st == HeaderState.RUNNING:
            if not is_stale(header, self.clock()):
                return False
            return self.fence(header)
        return header.st in LOST

    def freeing(self, tenant: str, job: str, dataset: str, run: str, seat: float | None) -> list[Write]:
        """The writes that give slot and seat back, in the transaction that closes their run."""
        slot_is_ours = SlotItem.run.does_not_exist() | (SlotItem.run == run)
        writes = [("Delete", self.store.deleting((table.slots_pk(tenant), f"{job}#{dataset}"), slot_is_ours))]
        if seat is not None:
            seat_is_ours = SeatItem.run.does_not_exist() | (SeatItem.run == run)
            writes.append(("Delete", self.store.deleting((table.seats_pk(tenant), str(int(seat))), seat_is_ours)))
        return writes

    def fence(self, header: Header) -> bool:
        # One that never got as far as its batch has not tried its files.
        return self._close(
            header,
            HeaderState.FENCED,
            f"no sign of life since {header.hb}",
            counts=bool(header.sealed),
            seen=Header.hb == header.hb,
        )

    def _close(
        self,
        header: Header | None,
        state: HeaderState,
        error: str,
        *,
        counts: bool,
        pauses: bool = True,
        seen: Any = None,
    ) -> bool:
        """Header, slot and seat in one transaction, then the claims. `seen`: only if it looks as it was judged."""
        if header is None:
            return False
        now = self.clock()
        known = {
            "st": state,
            "ended": stamp(now),
            "error": error[:ERROR_LENGTH],
            "counts": counts,
            "pauses": None if pauses else False,
            "ttl": lifetimes.of_run(state, now),
        }
        condition = Header.st == HeaderState.RUNNING
        if seen is not None:
            condition &= seen
        writes = [
            ("Update", self.store.updating((header.pk, header.sk), sets(Header, known), condition)),
            *self.freeing(header.tenant, header.job, header.dataset, header.sk, header.seat),
        ]
        try:
            self.store.transact(writes)
        except Cancelled:
            return False
        self._release_all(self._header(header.tenant, header.job, header.sk))
        return True

    # -- the files of a lost run ---------------------------------------------------------------------------------

    def _release_all(self, header: Header | None) -> None:
        """Everything follows from the header and its chunks, so that who resumes after a crash does the same."""
        if header is None:
            return
        if header.listed or header.sealed:
            members = chunks.members(self.store, header.tenant, header.sk)
            fates = fates_of(header, members)
            self.store.each(lambda member: self._release(header, member, fates[member.id]), members)
        self._tidy(header)

    def _release(self, header: Header, member: Member, fate: Fate) -> None:
        """Gives the claim back. One that the run has not made yet is put out of its reach: its fence moves on."""
        key = claim_key(header.tenant, member.id, header.job)
        while True:
            try:
                self.store.update(key, _actions(header, member, fate), _held_by(header))
            except ConditionFailed as refused:
                if header.sealed or not _could_claim(refused.old, member):
                    return  # moved on already
            else:
                return
            try:
                self.store.update(key, [Claim.fence.set(member.fence + 1)], can_be_claimed(member))
            except ConditionFailed:
                continue  # the run has just claimed it, or somebody else has
            return

    def free(self, tenant: str, claim: Claim) -> str | None:
        """Takes a claim from a dead owner: fenced first, so that nothing it still does can count. None: it lives.

        For a claim that nobody's header leads to any more; `recover` sees to all others.
        """
        if claim.st != ClaimState.CLAIMED:
            return None
        owner = self._header(tenant, claim.job, claim.owner)
        if owner is not None and owner.st == HeaderState.COMPLETED:
            self._settle(owner)
            return "finalised"
        if owner is not None and not self._close_if_stale(owner):
            return None
        owner = owner or Header(
            tenant=tenant, job=claim.job, dataset=claim.dataset, sk=claim.owner, error="its run is not in the ledger"
        )
        member = member_of(claim)
        self._release(owner, member, Fate(state=ClaimState.RETRY, attempt=member.attempt, reason=why(owner)))
        return "released"

    def recover(self) -> list[Recovered]:
        """Puts in order what died half way: fences silent runs, releases dead runs' files, settles commits."""
        of_tenants: dict[str, list[Header]] = {}
        for header in self.unfinished_headers():
            of_tenants.setdefault(header.pk.split("#")[1], []).append(header)
        recovered = self.store.each(self._recover_some, list(of_tenants.values()))
        return [done for some in recovered for done in some]

    def _recover_some(self, headers: Sequence[Header]) -> list[Recovered]:
        """One tenant's, one after the other and `MOST_AT_ONCE` at most: others' runs do not wait for all it wrote."""
        mended = (done for header in headers if (done := self.mend(header)))
        return list(itertools.islice(mended, MOST_AT_ONCE))

    def mend(self, header: Header) -> Recovered | None:
        """What `recover` does to one run; None: nothing. One that cannot be mended keeps no other waiting."""
        try:
            needs_us = self._needs_us(header)
        except Exception as error:
            # Nobody will ever read more out of it: it need not be found again.
            self.store.note_stranger((header.pk, header.sk), str(header.g2pk))
            return Recovered(
                tenant=header.pk, dataset="", job="", run=header.sk, outcome=f"{type(error).__name__}: {error}"
            )
        try:
            return self._recover(header) if needs_us else None
        except Exception as error:
            return Recovered(
                tenant=header.pk, dataset="", job="", run=header.sk, outcome=f"{type(error).__name__}: {error}"
            )

    def _needs_us(self, header: Header) -> bool:
        if header.pk != table.job_pk(header.tenant, header.job):
            raise ValueError(f"run {header.sk} under {header.pk} says that it is {header.tenant}'s {header.job}")
        now = self.clock()
        if header.st == HeaderState.RUNNING:
            return is_stale(header, now)
        return header.ended is not None and moment(header.ended) + GRACE < now

    def _recover(self, header: Header) -> Recovered | None:
        if header.st == HeaderState.RUNNING:
            outcome = "fenced" if self.fence(header) else None
        elif header.st == HeaderState.COMPLETED:
            self._settle(header)
            outcome = "finalised"
        else:
            self._release_all(header)
            outcome = "released"
        if outcome is None:
            return None
        return Recovered(tenant=header.tenant, dataset=header.dataset, job=header.job, run=header.sk, outcome=outcome)

    def slots(self, tenant: str) -> list[Slot]:
        """The tenant's open runs, strongly consistent, one request. What is no slot is passed over."""
        return [
            Slot(run=item.run, job=item.job, dataset=item.dataset)
            for item in self.store.query(SlotItem, table.slots_pk(tenant), forgiving=True)
        ]

    def open_run_of_glue(self, tenant: str, job: str, glue_run: str) -> RunState | None:
        """The open run that this Glue run holds, or was started for."""
        keys = [(table.job_pk(tenant, slot.job), slot.run) for slot in self.slots(tenant) if slot.job == job]
        for header in self.store.batch_get(Header, keys).values():
            if glue_run in (header.glue_run, None if header.glue_run else header.started_as):
                return self.run_state(header)
        return None


def _actions(header: Header, member: Member, fate: Fate) -> list[Any]:
    known: dict[str, Any] = {
        "st": fate.state,
        "attempt": fate.attempt,
        "reason": fate.reason,
        "group": fate.group,
        "retry_at": stamp(fate.retry_at) if fate.retry_at else None,
    }
    if fate.state == ClaimState.RETRY:
        known["g2pk"], known["g2sk"] = waits(header.tenant, header.dataset, header.job, member)
    return sets(Claim, known)


def _held_by(header: Header) -> Any:
    return (Claim.owner == header.sk) & (Claim.st == ClaimState.CLAIMED)


def can_be_claimed(member: Member) -> Any:
    """The check of a claim: the file waits, and nobody has moved it since it was listed."""
    unmoved = Claim.fence == member.fence
    if member.fence == 0:
        unmoved |= Claim.fence.does_not_exist()
    return Claim.st.is_in(*WAITING) & unmoved


def _could_claim(claim: Any, member: Member) -> bool:
    return isinstance(claim, Claim) and claim.st in WAITING and int(claim.fence) == member.fence


def partition_commit(header: Header, output: Version) -> PartitionCommit:
    partition = output.key.removeprefix(f"analytics-ready/{output.dataset}/").strip("/")
    return PartitionCommit(
        pk=table.dataset_pk(header.tenant, output.dataset),
        sk=f"P#{partition}#{header.sk}",
        node=f"{output.pk.rsplit('#', 1)[1]}.{output.sk.split('#')[1]}",
        partition=partition,
        run=header.sk,
        job=header.job,
        rows=int(output.rows or 0),
        snapshot=header.snapshot,
    )


def why_not(run: str, job: str, tenant: str, glue_run: str, header: Any) -> str:
    name = f"run {run} of {job} for {tenant}"
    if header is None:
        return f"{name}: not in the ledger"
    if header.st == HeaderState.FENCED:
        return f"{name}: fenced at {header.ended}, {header.error}; its files wait for another run"
    if header.st != HeaderState.RUNNING:
        return f"{name}: already {header.st} at {header.ended}"
    if not header.sealed:
        return f"{name}: its files are not all claimed yet"
    return f"{name}: held by Glue run {header.glue_run}, this is {glue_run}"
