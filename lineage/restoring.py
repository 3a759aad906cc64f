"""Restoring: runs written into the ledger again from what S3 says of them, after the table was lost or set back.

    chunks        members, results, outputs       nothing points at them yet
    header        COMPLETED, not tidy             from here on the run counts
    entries       outputs, then members with their listing
    claims        CLAIMED by the run              readers roll them forward
    settle        DONE, partition listing, graph, header tidy: as after any commit

Each step is safe to repeat, and a run is whole when its header is tidy and its claims say so: a restoring that died is
finished by the next. What the ledger knows better it keeps: the run of another attempt that has done the same batch, a
later epoch, a run that is at work just now.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lineage import chunks, commits, lifetimes, table
from lineage.endings import LOST
from lineage.errors import LedgerError
from lineage.history import claim_key, is_stale, version_key
from lineage.items import Arrival, Claim, Version
from lineage.items import Run as Header
from lineage.ledger import Ledger
from lineage.replays import archived
from lineage.store import Cancelled, ConditionFailed, sets
from lineage.values import ClaimState, CommitRecord, HeaderState, Member, Output, Run, output_id, stamp, zone_of

TRIES = 5  # of a run whose files somebody else moves at the same time
SIDE_BY_SIDE = 4
NEVER_COUNTED = "restored: what it wrote never came to count"


@dataclass(frozen=True, kw_only=True)
class RestoredRun:
    """A run as its commit object or its snapshot tells of it; `record` as the job gave it to `commit`.

    `ended`: when the commit object was put, or the snapshot made. `counts` False: its commit object is there but never
    came to count. Then only the header and the members are written, so that its files are known as those of a lost run.
    """

    tenant: str
    job: str
    dataset: str
    run: str
    batch: str
    attempt: int
    glue_run: str
    started: datetime
    ended: datetime
    members: tuple[Member, ...] = field(repr=False)
    record: CommitRecord = field(repr=False)
    counts: bool = True


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What the ledger holds of a run and its files. `edges`: the claim of the epoch in question, or its archive."""

    header: Header | None
    claims: Mapping[str, Claim]
    edges: Mapping[str, Claim]

    def covers(self, restored: RestoredRun) -> bool:
        """Is there nothing to do: the run is whole, or another one did the same batch."""
        done = {node: edge for node, edge in self.edges.items() if edge.st == ClaimState.DONE}
        if any(edge.owner != restored.run and edge.group == restored.batch for edge in done.values()):
            return True
        whole = self.header is not None and self.header.st == HeaderState.COMPLETED and bool(self.header.tidy)
        return whole and len(done) == len(restored.members)


class Restoring:
    """First the first job's runs, by their start, then the second's: any other order comes to the same, but slower."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.store = ledger.store

    def runs(self, restored: Iterable[RestoredRun]) -> int:
        """Restores many, some side by side; says how many were written."""
        with ThreadPoolExecutor(min(SIDE_BY_SIDE, self.store.workers)) as pool:
            return sum(pool.map(self.run, restored))

    def run(self, restored: RestoredRun) -> bool:
        """Writes the run, or what is missing of it. False: the ledger knows it, or it is at work just now."""
        _check(restored)
        if not restored.counts:
            return self._lost(restored)
        for _ in range(TRIES):
            if self._is_at_work(restored):
                return False
            known = self._known(restored)
            if known.covers(restored):
                return False
            try:
                self._write(restored, known)
            except (ConditionFailed, Cancelled):
                continue  # somebody has moved a file since we looked
            return True
        raise LedgerError(f"run {restored.run} of {restored.job}: others keep moving its files; restore it again")

    # -- what is known -------------------------------------------------------------------------------------------

    def _is_at_work(self, restored: RestoredRun) -> bool:
        """Does a living run hold it or its files; what dead runs hold is taken from them."""
        own = self._header(restored)
        if own is not None and own.st == HeaderState.RUNNING and not self._is_dead(own):
            return True
        claims = self.store.batch_get(Claim, self._keys(restored).values())
        for claim in claims.values():
            taken = claim.st == ClaimState.CLAIMED and claim.owner != restored.run
            if taken and self.ledger.free(restored.tenant, claim) is None and self._is_claimed(claim):
                return True
        return False

    def _is_dead(self, header: Header) -> bool:
        """True = it shows no life, and is fenced now."""
        return is_stale(header, self.ledger.clock()) and self.ledger.fence(header)

    def _is_claimed(self, claim: Claim) -> bool:
        now = self.store.get(Claim, (claim.pk, claim.sk))
        return now is not None and now.st == ClaimState.CLAIMED and now.owner == claim.owner

    def _known(self, restored: RestoredRun) -> _Known:
        keys = self._keys(restored)
        found = self.store.batch_get(Claim, keys.values())
        claims = {node: found[key] for node, key in keys.items() if key in found}
        epochs = {member.id: member.epoch for member in restored.members}
        later = {
            node: (claim.pk, f"{claim.sk}@{epochs[node]}")
            for node, claim in claims.items()
            if _is_later(claim, epochs[node])
        }
        archive = self.store.batch_get(Claim, later.values())
        edges = {node: claim for node, claim in claims.items() if int(claim.epoch or 0) == epochs[node]}
        edges |= {node: archive[key] for node, key in later.items() if key in archive}
        return _Known(header=self._header(restored), claims=claims, edges=edges)

    def _header(self, restored: RestoredRun) -> Header | None:
        return self.store.get(Header, (table.job_pk(restored.tenant, restored.job), restored.run))

    def _keys(self, restored: RestoredRun) -> dict[str, tuple[str, str]]:
        return {member.id: claim_key(restored.tenant, member.id, restored.job) for member in restored.members}

    # -- what is written -----------------------------------------------------------------------------------------

    def _write(self, restored: RestoredRun, known: _Known) -> None:
        outputs = _outputs(restored)
        self._lists(restored, outputs)
        header = _completed(restored, outputs)
        if known.header is None or known.header.st in LOST:
            self.store.put(header, Header.pk.does_not_exist() | Header.st.is_in(*LOST))
        via = header.commit
        run = _run(restored)
        self.store.each(lambda one: self.ledger.enter_output(run, *one, via), list(outputs.items()))
        self._enter(restored)
        self.store.each(lambda member: self._claim(restored, member, known), restored.members)
        self.ledger.finalise(run)

    def _lists(self, restored: RestoredRun, outputs: Mapping[str, Output]) -> None:
        tenant, run = restored.tenant, restored.run
        chunks.write_members(self.store, tenant, run, restored.members)
        results = [chunks.result_ref(str(result.id), result) for result in restored.record.inputs]
        chunks.write(self.store, tenant, run, chunks.RESULTS, results)
        if len(outputs) > chunks.INLINE:
            chunks.write(self.store, tenant, run, chunks.OUTPUTS, list(outputs))

    def _enter(self, restored: RestoredRun) -> None:
        """The members as their events entered them, where nothing of that is known any more."""
        found = self.ledger.versions(restored.tenant, [member.id for member in restored.members])
        unknown = [member for member in restored.members if not (member.id in found and found[member.id].arrived)]
        ttl = {member.id: self._ttl(restored.tenant, member) for member in unknown}
        raw = [member for member in unknown if member.key.startswith("raw/")]
        # The listing first: the entry says that both are there.
        self.store.put_all([_listing(restored, member, ttl[member.id]) for member in raw])
        self.store.each(lambda member: self._entry(restored, member, ttl[member.id]), unknown)

    def _entry(self, restored: RestoredRun, member: Member, ttl: int | None) -> None:
        known = {
            "key": member.key,
            "version": member.version,
            "zone": zone_of(member.key),
            "dataset": restored.dataset,
            "size": member.size,
            "etag": member.etag,
            "sequencer": member.sequencer or None,
            "arrived": stamp(member.arrived_at),
            "ttl": ttl,
        }
        actions = [Version.kind.set(Version), *sets(Version, known), Version.reason.remove()]
        try:
            self.store.update(version_key(restored.tenant, member.id), actions, Version.arrived.does_not_exist())
        except ConditionFailed:
            return  # its event came in between

    def _ttl(self, tenant: str, member: Member) -> int | None:
        return self.ledger.lifetimes(tenant).of_object(zone_of(member.key), member.arrived_at)

    # -- claims --------------------------------------------------------------------------------------------------

    def _claim(self, restored: RestoredRun, member: Member, known: _Known) -> None:
        """The edge of the member's epoch: the claim, or, where a later epoch has that, its archive."""
        key = claim_key(restored.tenant, member.id, restored.job)
        old = known.claims.get(member.id)
        if old is None:
            self.store.put(_claim(restored, member, key), Claim.pk.does_not_exist())
        elif _is_later(old, member.epoch):
            self._archive(restored, member, key)
        elif int(old.epoch or 0) < member.epoch:
            self._take(restored, member, key, old, keeps=old.st == ClaimState.DONE)
        elif old.st not in {ClaimState.DONE, ClaimState.CLAIMED}:
            self._take(restored, member, key, old, keeps=False)

    def _archive(self, restored: RestoredRun, member: Member, key: tuple[str, str]) -> None:
        result = next(result for result in restored.record.inputs if result.id == member.id)
        edge = _claim(restored, member, (key[0], f"{key[1]}@{member.epoch}"))
        edge.st, edge.group = ClaimState.DONE, restored.batch
        edge.rows, edge.rejected, edge.reason = result.rows, result.rejected, result.reason
        edge.ttl = self._ttl(restored.tenant, member)
        try:
            self.store.put(edge, Claim.pk.does_not_exist())
        except ConditionFailed:
            return  # archived before

    def _take(self, restored: RestoredRun, member: Member, key: tuple[str, str], old: Claim, *, keeps: bool) -> None:
        """From whatever it was to the run's own, if it is still that; `keeps`: the edge of its epoch is archived."""
        fence = int(old.fence or 0)
        actions = [
            Claim.st.set(ClaimState.CLAIMED),
            Claim.owner.set(restored.run),
            Claim.fence.set(fence + 1),
            Claim.epoch.set(member.epoch),
            Claim.attempt.set(member.attempt),
            Claim.replaces.set(list(member.replaces)) if member.replaces else Claim.replaces.remove(),
            *(name.remove() for name in (Claim.g2pk, Claim.g2sk, Claim.group, Claim.retry_at, Claim.reason)),
        ]
        unmoved = (Claim.fence == fence) if fence else (Claim.fence == 0) | Claim.fence.does_not_exist()
        writes = [("Update", self.store.updating(key, actions, (Claim.st == old.st) & unmoved))]
        if keeps:
            writes.append(("Put", self.store.putting(archived(old))))
        self.store.transact(writes)

    # -- what never counted --------------------------------------------------------------------------------------

    def _lost(self, restored: RestoredRun) -> bool:
        """Known by its name, so that what it wrote can be told from what nobody knows, and be cleaned up."""
        if self._header(restored) is not None:
            return False
        chunks.write_members(self.store, restored.tenant, restored.run, restored.members)
        header = _header(restored, HeaderState.FENCED, tidy=True, error=NEVER_COUNTED, counts=False)
        try:
            self.store.put(header, Header.pk.does_not_exist())
        except ConditionFailed:
            return False
        return True


def _check(restored: RestoredRun) -> None:
    """ValueError: a run that left a file out would lose it in silence."""
    members = {member.id for member in restored.members}
    results = {result.id for result in restored.record.inputs}
    if restored.counts and (members != results or not members):
        odd = sorted(str(one) for one in members ^ results)[:5]
        raise ValueError(f"run {restored.run}: results are not those of its {len(members)} members; differing: {odd}")


def _is_later(claim: Claim, epoch: int) -> bool:
    return int(claim.epoch or 0) > epoch


def _outputs(restored: RestoredRun) -> dict[str, Output]:
    """`fid.ver` → output, commit objects first as a commit has them."""
    outputs = sorted(restored.record.outputs, key=lambda output: not commits.is_commit(output.key))
    return {output_id(output, restored.run, restored.record.snapshot): output for output in outputs}


def _run(restored: RestoredRun) -> Run:
    return Run(
        run=restored.run,
        job=restored.job,
        tenant=restored.tenant,
        dataset=restored.dataset,
        batch=restored.batch,
        attempt=restored.attempt,
        glue_run=restored.glue_run,
        members=restored.members,
    )


def _header(restored: RestoredRun, state: HeaderState, **more: Any) -> Header:
    started = stamp(restored.started)
    return Header(
        pk=table.job_pk(restored.tenant, restored.job),
        sk=restored.run,
        tenant=restored.tenant,
        job=restored.job,
        dataset=restored.dataset,
        st=state,
        started=started,
        taken=started,
        ended=stamp(restored.ended),
        hb=stamp(restored.ended),
        listed=True,
        sealed=True,
        batch=restored.batch,
        attempt=restored.attempt,
        glue_run=restored.glue_run or None,
        files=len(restored.members),
        ttl=lifetimes.of_run(state, restored.ended),
        **more,
    )


def _completed(restored: RestoredRun, outputs: Mapping[str, Output]) -> Header:
    record = restored.record
    return _header(
        restored,
        HeaderState.COMPLETED,
        rows_in=record.rows_in,
        rows_out=record.rows_out,
        rejected=record.rejected,
        outputs=len(outputs),
        out=list(outputs) if len(outputs) <= chunks.INLINE else None,
        commit=next((node for node, output in outputs.items() if commits.is_commit(output.key)), None),
        snapshot=record.snapshot,
        code=record.code or None,
        contract=record.contract or None,
    )


def _listing(restored: RestoredRun, member: Member, ttl: int | None) -> Arrival:
    return Arrival(
        pk=table.dataset_pk(restored.tenant, restored.dataset),
        sk=f"A#{stamp(member.arrived_at)}#{member.id}",
        key=member.key,
        version=member.version,
        size=member.size,
        ttl=ttl,
    )


def _claim(restored: RestoredRun, member: Member, key: tuple[str, str]) -> Claim:
    return Claim(
        pk=key[0],
        sk=key[1],
        st=ClaimState.CLAIMED,
        job=restored.job,
        dataset=restored.dataset,
        owner=restored.run,
        attempt=member.attempt,
        fence=member.fence + 1,
        epoch=member.epoch,
        replaces=list(member.replaces) or None,
        key=member.key,
        version=member.version,
        size=member.size,
        etag=member.etag,
        sequencer=member.sequencer,
        arrived=stamp(member.arrived_at),
    )
