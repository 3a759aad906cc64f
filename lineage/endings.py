"""The end of a run: what follows from a commit, from a failure, and from a death that nobody announced."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lineage import chunks, table
from lineage.errors import RunNotOpen
from lineage.history import is_stale, names_of
from lineage.receipts import Receipts
from lineage.store import Cancelled, ConditionFailed
from lineage.table import Claim, Edge, PartitionCommit, Version
from lineage.table import Run as Header
from lineage.table import Slot as SlotItem
from lineage.values import ClaimState, HeaderState, Member, Run, RunState, Slot, moment, stamp, zone_of

MAX_ATTEMPTS = 3
ERROR_LENGTH = 2000
GRACE = timedelta(seconds=30)  # the owner of a closed run tidies up itself; after this somebody else does
BACKOFF_S = 10  # first pause of files whose run failed; doubled and jittered per attempt


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
        # Without a condition: nobody else writes a claim whose owner has committed, and whoever settles it writes this.
        self.store.put_all([_done(header, member, results.get(member.id, (0, 0, None))) for member in members])
        outputs = list(self.outputs_of(header).values())
        for output in outputs:
            if output.zone == "analytics-ready":
                self.store.put(_partition_commit(header, output))
        self._touch_graph(header, members, outputs)
        self._tidy(header)

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

    def freeing(self, tenant: str, job: str, dataset: str, run: str) -> dict[str, Any]:
        """The write that gives the slot back, in the transaction that closes its run."""
        condition = SlotItem.run.does_not_exist() | (SlotItem.run == run)
        return self.store.deleting((table.slots_pk(tenant), f"{job}#{dataset}"), condition)

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
            ("Delete", self.freeing(header.tenant, header.job, header.dataset, header.sk)),
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
        # The same jitter for all files of a run: those that failed together come back together.
        jitter = random.Random(header.sk).uniform(0.5, 1)  # noqa: S311 - no secret
        pause = timedelta(seconds=BACKOFF_S * 2**member.attempt * jitter)
        actions = [Claim.st.set(ClaimState.DEAD if dead else ClaimState.RETRY), Claim.attempt.set(attempt)]
        if header.counts:
            # What never ran has nothing against the file: it waits as before, without a reason and without a pause.
            actions += [
                Claim.reason.set(header.error or "the run ended without a word"),
                Claim.retry_at.set(stamp(self.clock() + pause)),
            ]
        if not dead:
            actions += [
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

    def recover(self) -> list[Recovered]:
        """Puts in order what died half way: fences silent runs, releases dead runs' files, settles commits."""
        return [done for done in self.store.each(self._recovered, self.unfinished_headers()) if done]

    def _recovered(self, header: Header) -> Recovered | None:
        """One header that cannot be read or mended keeps no other waiting, of whosever it is."""
        try:
            return self._recover(header) if self._needs_us(header) else None
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


def _done(header: Header, member: Member, result: chunks.Result) -> Claim:
    rows, rejected, reason = result
    return Claim(
        pk=table.file_pk(header.tenant, member.fid),
        sk=table.claim_sk(member.ver, header.job),
        st=ClaimState.DONE,
        job=header.job,
        dataset=header.dataset,
        owner=header.sk,
        attempt=member.attempt,
        key=member.key,
        version=member.version,
        size=member.size,
        etag=member.etag,
        arrived=stamp(member.arrived_at),
        rows=rows,
        rejected=rejected,
        reason=reason,
    )


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
