"""The ledger: who may do what next and who made what. Receive, claim, commit, finalise; read back states.

A run's life, and what each crash leaves behind:

    receive    V + C(RECEIVED, waiting) + listing, one transaction            nothing, or all of it
    begin      1 header RUNNING + slot, one transaction                       a run without members: stale, fenced
               2 chunks: the members it is about to claim                     the same
               3 claims, one conditional update each                          a run that never seals: stale, fenced; its
                                                                              chunks name every claim it can have made
               4 header sealed: batch id, number of files                     a run that nobody starts: stale, fenced
    take       the header belongs to one Glue run                             stale without its heartbeat, fenced
    commit     results and spare outputs, then one transaction:               before it: as above
               header COMPLETED if RUNNING, slot freed, outputs               after it: rolled forward
    finalise   claims DONE, partition listing, table graph, header tidy       resumed from the header and the chunks
    fail       header FAILED, slot freed; claims waiting again or DEAD        resumed from the header and the chunks

Chunks come before claims because a claim leaves the waiting list: were a run to die with claims that no chunk names,
nobody would find them. A header keeps its place in the `open` index until everything that follows from its state is
done; `recover` walks that index. States FENCED, FAILED and COMPLETED are final, therefore whoever sees a dead header
may move its claims without a further check than `owner is still that run`.
"""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError
from pynamodb.exceptions import VerboseClientError

from lineage import chunks, table
from lineage.errors import NothingClaimed, OutputTaken, RunNotOpen, RunOpen
from lineage.history import History, is_stale, names_of
from lineage.store import Cancelled, ConditionFailed, Store
from lineage.table import Arrival, Claim, Edge, Item, PartitionCommit, Version
from lineage.table import Run as Header
from lineage.table import Slot as SlotItem
from lineage.values import (
    ClaimState,
    CommitRecord,
    FileVersion,
    HeaderState,
    Member,
    Output,
    Run,
    RunState,
    Slot,
    moment,
    new_run_id,
    output_id,
    stamp,
)

MAX_ATTEMPTS = 3
INLINE = 100  # references that a header holds itself
TRANSACTION = 98  # outputs in the commit transaction beside the header and the slot: DynamoDB takes 100 actions
ERROR_LENGTH = 2000
GRACE = timedelta(seconds=30)  # the owner of a closed run tidies up itself; after this somebody else does
BACKOFF_S = 10  # first pause of files whose run failed; doubled and jittered per attempt
COMMITS = "/_commits/"


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """One run that `recover` put in order."""

    tenant: str
    dataset: str
    job: str
    run: str
    outcome: str
    """`fenced`, `released` or `finalised`."""


class Ledger(History):
    """The ledger in one table; endpoint, Region and credentials are botocore's ambient ones.

    A job: `run = ledger.take(…)`, work, `ledger.commit(run, CommitRecord(…))`, `ledger.finalise(run)`.
    """

    def __init__(
        self,
        table: str,
        *,
        store: Store | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(store or Store(table))
        self.clock = clock

    # -- receive and wait ----------------------------------------------------------------------------------------

    def receive(self, file: FileVersion, job: str | None, *, held: bool = False, reason: str | None = None) -> bool:
        """Enters a file version, waiting for `job`; False = it is there already.

        `job` None: unrouted, with the reason. `held`: kept out of the waiting list until its tenant is released.
        A commit object may be entered by the commit of its run first and by its event later, or the other way round:
        only `arrived` tells whether the event was seen.
        """
        try:
            self.store.transact(list(self._receipt(file, job, held=held, reason=reason)))
        except Cancelled:
            return False
        return True

    def _receipt(
        self, file: FileVersion, job: str | None, *, held: bool, reason: str | None
    ) -> Iterable[tuple[str, dict[str, Any]]]:
        yield "Update", self._version_receipt(file, reason)
        if file.key.startswith("raw/"):
            yield "Put", self.store.putting(_arrival(file, reason))
        if job is not None and file.dataset is not None:
            claim = _claim(file, file.dataset, job, ClaimState.HELD if held else ClaimState.RECEIVED)
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
        actions = [Version.kind.set(Version), *_sets(Version, known)]
        key = (table.file_pk(file.tenant, file.fid), table.version_sk(file.ver))
        return self.store.updating(key, actions, Version.arrived.does_not_exist())

    def waiting(self, tenant: str, dataset: str, job: str, *, limit: int = 5000) -> list[Member]:
        """The files that a run may claim now, oldest first.

        What a run wrote waits too, but counts only once that run has committed: the object of a run that was fenced
        after its PUT never does. The producer stands on the version when, and only when, it has committed.
        """
        now = stamp(self.clock())
        partition = table.waiting_pk(tenant, dataset, job)
        claims = (
            claim
            for claim in self.store.query(Claim, partition, index=table.INDEX)
            if claim.retry_at is None or claim.retry_at <= now
        )
        first = [_member(claim) for claim in itertools.islice(claims, limit)]
        written = [member for member in first if not member.key.startswith("raw/")]
        if not written:
            return first
        keys = {member.id: (table.file_pk(tenant, member.fid), table.version_sk(member.ver)) for member in written}
        found = self.store.batch_get(Version, keys.values())
        counted = {node for node, key in keys.items() if key in found and found[key].run}
        return [member for member in first if member.id not in keys or member.id in counted]

    # -- begin ---------------------------------------------------------------------------------------------------

    def begin(self, tenant: str, job: str, dataset: str, members: Sequence[Member]) -> str:
        """Opens a run and claims the members for it; gives its id. Raises RunOpen or NothingClaimed."""
        header = self._open(tenant, job, dataset)
        run: str = header.sk
        written = chunks.write(
            self.store, tenant, run, chunks.MEMBERS, [chunks.member_ref(member) for member in members]
        )
        claimed = [got for got in self.store.each(lambda member: self.claim(header, member), members) if got]
        if not claimed:
            self._discard(header)
            raise NothingClaimed(f"run {run} of {job} on {tenant}/{dataset}: all {len(members)} files belong to others")
        if claimed != list(members):
            left = chunks.write(self.store, tenant, run, chunks.MEMBERS, [chunks.member_ref(m) for m in claimed])
            chunks.blank(self.store, tenant, run, chunks.MEMBERS, range(left, written))
        self._seal(header, claimed)
        return run

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

    def claim(self, header: Header, member: Member) -> Member | None:
        """The member with its true attempt count if it is now this run's, else None: somebody lives who has it."""
        key = (table.file_pk(header.tenant, member.fid), table.claim_sk(member.ver, header.job))
        for _ in range(3):
            try:
                self._claim_once(header, key, member.attempt)
            except ConditionFailed as refused:
                claim = refused.old
                if not isinstance(claim, Claim) or claim.st in {ClaimState.DONE, ClaimState.DEAD, ClaimState.HELD}:
                    return None
                if claim.st == ClaimState.CLAIMED and claim.owner == header.sk:
                    return member  # an earlier answer was lost
                if claim.st == ClaimState.CLAIMED and not self._free(header.tenant, claim):
                    return None
                member = replace(member, attempt=int(claim.attempt))
            else:
                return member
        return None

    def _claim_once(self, header: Header, key: tuple[str, str], attempt: int) -> None:
        actions = [
            Claim.st.set(ClaimState.CLAIMED),
            Claim.owner.set(header.sk),
            Claim.fence.set((Claim.fence | 0) + 1),
            Claim.g2pk.remove(),
            Claim.g2sk.remove(),
            Claim.retry_at.remove(),
        ]
        takeable = Claim.st.is_in(ClaimState.RECEIVED, ClaimState.RETRY) & (Claim.attempt == attempt)
        self.store.update(key, actions, takeable)

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
        self._release(owner, _member(claim))
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
        if len(ids) <= INLINE:
            actions.append(Header.inp.set(ids))
        try:
            self.store.update((header.pk, header.sk), actions, Header.st == HeaderState.RUNNING)
        except ConditionFailed as fenced:
            raise RunNotOpen(f"run {header.sk} of {header.job} was fenced while it claimed its files") from fenced

    # -- a run in a job's hands ----------------------------------------------------------------------------------

    def started(self, tenant: str, job: str, run: str, glue_run: str) -> None:
        """Dispatch notes under which id Glue started the run, so that Glue's events find it before it is taken."""
        try:
            self.store.update(
                (table.job_pk(tenant, job), run),
                [Header.started_as.set(glue_run)],
                Header.st == HeaderState.RUNNING,
            )
        except ConditionFailed:
            return  # ended before we came to note it

    def take(self, tenant: str, job: str, run: str, glue_run: str) -> Run:
        """Makes the run this Glue run's own, and no other's: StartJobRun has no idempotency token. Or RunNotOpen."""
        now = stamp(self.clock())
        mine = Header.glue_run.does_not_exist() | (Header.glue_run == glue_run)
        condition = (Header.st == HeaderState.RUNNING) & (Header.sealed == True) & mine  # noqa: E712 - an expression
        actions = [Header.glue_run.set(glue_run), Header.hb.set(now), Header.taken.set(Header.taken | now)]
        try:
            self.store.update((table.job_pk(tenant, job), run), actions, condition)
        except ConditionFailed as refused:
            raise RunNotOpen(_why_not(run, job, tenant, glue_run, refused.old)) from refused
        header = self._header(tenant, job, run)
        if header is None:
            raise RunNotOpen(_why_not(run, job, tenant, glue_run, None))
        return Run(
            run=run,
            job=job,
            tenant=tenant,
            dataset=header.dataset,
            batch=header.batch,
            attempt=int(header.attempt),
            glue_run=glue_run,
            members=tuple(chunks.members(self.store, tenant, run)),
        )

    def heartbeat(self, run: Run) -> None:
        """Says that the run lives, about once a minute. Raises RunNotOpen: stop, the work will not count."""
        condition = (Header.st == HeaderState.RUNNING) & (Header.glue_run == run.glue_run)
        try:
            self.store.update(_key(run), [Header.hb.set(stamp(self.clock()))], condition)
        except ConditionFailed as refused:
            raise RunNotOpen(_why_not(run.run, run.job, run.tenant, run.glue_run, refused.old)) from refused

    def commit(self, run: Run, record: CommitRecord) -> None:
        """Makes the run's work count, once; afterwards `finalise`. Safe to repeat. Raises RunNotOpen."""
        results = _results(run, record)
        outputs = sorted(record.outputs, key=lambda output: COMMITS not in output.key)
        ids = {output_id(output, run.run, record.snapshot): output for output in outputs}
        chunks.write(self.store, run.tenant, run.run, chunks.RESULTS, results)
        if len(ids) > INLINE:
            chunks.write(self.store, run.tenant, run.run, chunks.OUTPUTS, list(ids))
        via = next((node for node, output in ids.items() if COMMITS in output.key), None)
        versions = [(node, output, via) for node, output in ids.items()]
        # Outputs beyond one transaction go first: they count for nothing until the header says COMPLETED. Commit
        # objects are never among them, so that a commit object's version names its run only after the commit.
        self.store.each(lambda version: self._spare_output(run, *version), versions[TRANSACTION:])
        self._commit(run, record, via, ids, versions[:TRANSACTION])

    def _commit(
        self,
        run: Run,
        record: CommitRecord,
        via: str | None,
        ids: dict[str, Output],
        versions: list[tuple[str, Output, str | None]],
    ) -> None:
        superseded: dict[str, str] = {}
        while True:
            writes = [
                ("Update", self._completing(run, record, via, ids)),
                ("Delete", self._freeing(run.tenant, run.job, run.dataset, run.run)),
                *(("Update", self._output(run, *version, superseded.get(version[0]))) for version in versions),
            ]
            try:
                self.store.transact(writes)
            except Cancelled as refused:
                if 0 in refused.failed or 1 in refused.failed:
                    self._committed_or_raise(run, refused)
                    return
                for position, old in refused.failed.items():
                    node = versions[position - 2][0]
                    superseded[node] = self._superseded(run, versions[position - 2][1].key, old, superseded.get(node))
            except (BotoCoreError, VerboseClientError) as unknown:
                # The answer is lost, or the service refused: only the header knows.
                self._committed_or_raise(run, unknown)
                return
            else:
                return

    def _completing(self, run: Run, record: CommitRecord, via: str | None, ids: dict[str, Output]) -> dict[str, Any]:
        known = {
            "st": HeaderState.COMPLETED,
            "ended": stamp(self.clock()),
            "rows_in": record.rows_in,
            "rows_out": record.rows_out,
            "rejected": record.rejected,
            "outputs": len(ids),
            "out": list(ids) if len(ids) <= INLINE else None,
            "commit": via,
            "snapshot": record.snapshot,
            "code": record.code or None,
        }
        return self.store.updating(_key(run), _sets(Header, known), self.may_commit(run))

    def may_commit(self, run: Run) -> Any:
        """The check on which everything rests: the run has not been fenced, and this Glue run holds it."""
        return (Header.st == HeaderState.RUNNING) & (Header.glue_run == run.glue_run)

    def _output(self, run: Run, node: str, output: Output, via: str | None, superseded: str | None) -> dict[str, Any]:
        fid, ver = node.split(".")
        known = {
            "key": output.key,
            "version": output.version,
            "zone": output.zone,
            "dataset": output.dataset,
            "rows": output.rows,
            "size": output.bytes or None,
            "year": output.year,
            "month": output.month,
            "run": run.run,
            "job": run.job,
            "via": via if output.zone == "processed" and via != node else None,
        }
        mine = Version.run.does_not_exist() | (Version.run == run.run)
        if superseded:
            mine |= Version.run == superseded
        key = (table.file_pk(run.tenant, fid), table.version_sk(ver))
        return self.store.updating(key, [Version.kind.set(Version), *_sets(Version, known)], mine)

    def _spare_output(self, run: Run, node: str, output: Output, via: str | None) -> None:
        superseded: str | None = None
        while True:
            try:
                self.store.transact([("Update", self._output(run, node, output, via, superseded))])
            except Cancelled as refused:
                superseded = self._superseded(run, output.key, refused.failed[0], superseded)
            else:
                return

    def _superseded(self, run: Run, key: str, old: Any, tried: str | None) -> str:
        """The dead run whose entry stands in the way: an attempt that died after another's PUT had won, say."""
        owner = self._header(run.tenant, run.job, old.run) if old is not None and old.run else None
        if owner is None or owner.sk == tried or owner.st not in {HeaderState.FAILED, HeaderState.FENCED}:
            raise OutputTaken(f"run {run.run}: {key} is the work of run {old.run if old else '?'}, which counts")
        return str(owner.sk)

    def _committed_or_raise(self, run: Run, cause: Exception) -> None:
        header = self._header(run.tenant, run.job, run.run)
        if header is not None and header.st == HeaderState.COMPLETED and header.glue_run == run.glue_run:
            return
        if header is not None and header.st == HeaderState.RUNNING and not isinstance(cause, Cancelled):
            raise cause
        raise RunNotOpen(_why_not(run.run, run.job, run.tenant, run.glue_run, header)) from cause

    def _freeing(self, tenant: str, job: str, dataset: str, run: str) -> dict[str, Any]:
        condition = SlotItem.run.does_not_exist() | (SlotItem.run == run)
        return self.store.deleting((table.slots_pk(tenant), f"{job}#{dataset}"), condition)

    # -- the end of a run ----------------------------------------------------------------------------------------

    def finalise(self, run: Run) -> None:
        """Settles what follows from a commit: claims DONE, partition listing, table graph. Safe to repeat."""
        header = self._header(run.tenant, run.job, run.run)
        if header is None or header.st != HeaderState.COMPLETED:
            raise RunNotOpen(_why_not(run.run, run.job, run.tenant, run.glue_run, header))
        self._settle(header)

    def _settle(self, header: Header) -> None:
        results = chunks.results(self.store, header.tenant, header.sk)
        members = chunks.members(self.store, header.tenant, header.sk)
        self.store.each(lambda member: self._done(header, member, results.get(member.id)), members)
        outputs = list(self.outputs_of(header).values())
        for output in outputs:
            if output.zone == "analytics-ready":
                self.store.put(_partition_commit(header, output))
        self._touch_graph(header, members, outputs)
        self._tidy(header)

    def _done(self, header: Header, member: Member, result: chunks.Result | None) -> None:
        rows, rejected, reason = result or (0, 0, None)
        actions = [
            Claim.st.set(ClaimState.DONE),
            Claim.rows.set(rows),
            Claim.rejected.set(rejected),
            Claim.reason.set(reason) if reason else Claim.reason.remove(),
        ]
        try:
            self.store.update(
                (table.file_pk(header.tenant, member.fid), table.claim_sk(member.ver, header.job)),
                actions,
                (Claim.owner == header.sk) & Claim.st.is_in(ClaimState.CLAIMED, ClaimState.DONE),
            )
        except ConditionFailed:
            return  # settled under another epoch meanwhile

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

    def fail(self, run: Run | RunState, error: str, *, counts: bool = True) -> bool:
        """Ends an open run; its files wait again, or are DEAD after `MAX_ATTEMPTS`. False = it was not open.

        `counts` False: not the files' fault (the run could not be started), no attempt is counted.
        """
        return self._close(self._header(run.tenant, run.job, run.run), HeaderState.FAILED, error, counts=counts)

    def _close_if_stale(self, header: Header) -> bool:
        """Fences a run that shows no life. True = it is dead now, by whosever hand, and its claims wait again."""
        if header.st == HeaderState.RUNNING:
            if not is_stale(header, self.clock()):
                return False
            return self.fence(header)
        return header.st in {HeaderState.FAILED, HeaderState.FENCED}

    def fence(self, header: Header) -> bool:
        error = f"no sign of life since {header.hb}"
        return self._close(header, HeaderState.FENCED, error, counts=True, seen=Header.hb == header.hb)

    def _close(self, header: Header | None, state: HeaderState, error: str, *, counts: bool, seen: Any = None) -> bool:
        """Header and slot in one transaction, then the claims. `seen`: only if it still looks as it was judged."""
        if header is None:
            return False
        actions = [
            Header.st.set(state),
            Header.ended.set(stamp(self.clock())),
            Header.error.set(error[:ERROR_LENGTH]),
            Header.counts.set(counts),
        ]
        condition = Header.st == HeaderState.RUNNING
        if seen is not None:
            condition &= seen
        writes = [
            ("Update", self.store.updating((header.pk, header.sk), actions, condition)),
            ("Delete", self._freeing(header.tenant, header.job, header.dataset, header.sk)),
        ]
        try:
            self.store.transact(writes)
        except Cancelled:
            return False
        self._release_all(self._header(header.tenant, header.job, header.sk))
        return True

    def _release_all(self, header: Header | None) -> None:
        if header is None:
            return
        members = chunks.members(self.store, header.tenant, header.sk)
        self.store.each(lambda member: self._release(header, member), members)
        self._tidy(header)

    def _release(self, header: Header, member: Member) -> None:
        attempt = member.attempt + (1 if header.counts else 0)
        dead = attempt >= MAX_ATTEMPTS
        pause = timedelta(seconds=BACKOFF_S * 2**member.attempt * random.uniform(0.5, 1))  # noqa: S311 - jitter
        actions = [
            Claim.st.set(ClaimState.DEAD if dead else ClaimState.RETRY),
            Claim.attempt.set(attempt),
            Claim.reason.set(header.error or "the run ended without a word"),
        ]
        if not dead:
            actions += [
                Claim.retry_at.set(stamp(self.clock() + pause)),
                Claim.g2pk.set(table.waiting_pk(header.tenant, header.dataset, header.job)),
                Claim.g2sk.set(f"{stamp(member.arrived_at)}#{member.id}"),
            ]
        try:
            self.store.update(
                (table.file_pk(header.tenant, member.fid), table.claim_sk(member.ver, header.job)),
                actions,
                (Claim.owner == header.sk) & (Claim.st == ClaimState.CLAIMED),
            )
        except ConditionFailed:
            return  # moved on already

    # -- recovery ------------------------------------------------------------------------------------------------

    def recover(self) -> list[Recovered]:
        """Puts in order what died half way: fences silent runs, releases dead runs' files, settles commits."""
        attention = [header for header in self.unfinished_headers() if self._needs_us(header)]
        return [done for done in self.store.each(self._recover, attention) if done]

    def _needs_us(self, header: Header) -> bool:
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
        """The tenant's open runs, strongly consistent, one request."""
        return [
            Slot(run=item.run, job=item.job, dataset=item.dataset)
            for item in self.store.query(SlotItem, table.slots_pk(tenant))
        ]

    def open_run_of_glue(self, tenant: str, job: str, glue_run: str) -> RunState | None:
        """The open run that this Glue run holds, or was started for."""
        keys = [(table.job_pk(tenant, slot.job), slot.run) for slot in self.slots(tenant) if slot.job == job]
        for header in self.store.batch_get(Header, keys).values():
            if glue_run in (header.glue_run, None if header.glue_run else header.started_as):
                return self.run_state(header)
        return None


def batch_id(ids: Iterable[str], job: str, dataset: str) -> str:
    """The same files for the same job are the same batch, whichever attempt it is."""
    return hashlib.sha256("\n".join([*sorted(ids), job, dataset]).encode()).hexdigest()[:20]


def zone_of(key: str) -> str:
    return key.split("/", 1)[0]


def _sets(model: type[Item], known: dict[str, Any]) -> list[Any]:
    return [getattr(model, name).set(value) for name, value in known.items() if value is not None]


def _key(run: Run) -> tuple[str, str]:
    return table.job_pk(run.tenant, run.job), run.run


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


def _member(claim: Claim) -> Member:
    return Member(
        key=claim.key,
        version=claim.version,
        fid=claim.pk.rsplit("#", 1)[1],
        ver=claim.sk.split("#")[1],
        size=int(claim.size),
        etag=claim.etag,
        arrived_at=moment(claim.arrived),
        attempt=int(claim.attempt),
    )


def _results(run: Run, record: CommitRecord) -> list[list[Any]]:
    """One result per member, or ValueError: a commit that leaves a file out would lose it in silence."""
    members = {(member.key, member.version): member.id for member in run.members}
    given = {(result.key, result.version): result for result in record.inputs}
    odd = sorted({key for key, _ in members.keys() ^ given.keys()})
    if odd:
        raise ValueError(
            f"run {run.run}: inputs of the commit are not the run's {len(members)} members; differing: {odd[:5]}"
        )
    return [chunks.result_ref(node, given[key]) for key, node in members.items()]


def _partition_commit(header: Header, output: Version) -> PartitionCommit:
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


def _why_not(run: str, job: str, tenant: str, glue_run: str, header: Any) -> str:
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
