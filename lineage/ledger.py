"""The ledger: who may do what next and who made what. Receive, claim, commit, finalise; read back states.

A run's life, and what each crash leaves behind:

    receive    entry + listing, plain puts; then the claim if not there       an event that comes again does it again
    begin      1 header RUNNING + slot + seat, one transaction                a run without members: stale, fenced
               2 chunks: the members it is about to claim, with their fences  the same
               3 header `listed` if RUNNING                                   the same
               4 claims, one by one, if waiting and the fence is as listed    a run that never seals: stale, fenced; its
                                                                              chunks name every claim it can have made
               5 header sealed: batch id, number of files                     a run that nobody starts: stale, fenced
    take       the header belongs to one Glue run                             stale without its heartbeat, fenced
    commit     results and spare outputs, then one transaction:               before it: as above
               header COMPLETED if RUNNING, place freed, outputs              after it: rolled forward
    finalise   claims DONE, partition listing, table graph, header tidy       resumed from the header and the chunks
    fail       header FAILED, place freed; claims waiting again or DEAD       resumed from the header and the chunks

Chunks come before claims because a claim leaves the waiting list: were a run to die with claims that no chunk names,
nobody would find them. Claims ask their own item alone, not the header: a dispatch that sleeps while its run is fenced
must not claim when it wakes, so whoever fences a run that was not sealed raises the fence of each file that its chunks
name and that it has not claimed. Before `listed` there can be no claim, and a fenced run is never listed.

A run that fails gives its files back as one group: the same batch again, whose commit object may be there already.
After `MAX_ATTEMPTS` the batch is halved, and so on, until a file that fails alone is DEAD.

A header keeps its place in the `open` index until everything that follows from its state is
done; `recover` walks that index. States FENCED, FAILED and COMPLETED are final, therefore whoever sees a dead header
may move its claims without a further check than `owner is still that run`.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError
from pynamodb.exceptions import VerboseClientError

from lineage import chunks, commits, lifetimes, table
from lineage.claims import Claims
from lineage.endings import why_not
from lineage.errors import OutputTaken, RunNotOpen
from lineage.history import claim_key
from lineage.items import Claim, Version
from lineage.items import Run as Header
from lineage.receipts import member_of
from lineage.store import Cancelled, ConditionFailed, Store, sets
from lineage.values import CommitRecord, HeaderState, Output, Run, RunState, batch_id, output_id, stamp

TRANSACTION = 97  # outputs in the commit transaction beside header, slot and seat: DynamoDB takes 100 actions


class Ledger(Claims):
    """The ledger in one table; endpoint and credentials are botocore's ambient ones, and so is a Region not given.

    A job: `run = ledger.take(…)`, work, `ledger.commit(run, CommitRecord(…))`, `ledger.finalise(run)`.
    """

    def __init__(
        self,
        table: str,
        *,
        store: Store | None = None,
        region: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(store or Store(table, region=region), clock)

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
            raise RunNotOpen(why_not(run, job, tenant, glue_run, refused.old)) from refused
        header = self._header(tenant, job, run)
        if header is None:
            raise RunNotOpen(why_not(run, job, tenant, glue_run, None))
        return Run(
            run=run,
            job=job,
            tenant=tenant,
            dataset=header.dataset,
            batch=header.batch,
            attempt=int(header.attempt),
            glue_run=glue_run,
            members=tuple(chunks.members(self.store, tenant, run)),
            seat=None if header.seat is None else int(header.seat),
        )

    def heartbeat(self, run: Run) -> None:
        """Says that the run lives, about once a minute. Raises RunNotOpen: stop, the work will not count."""
        condition = (Header.st == HeaderState.RUNNING) & (Header.glue_run == run.glue_run)
        try:
            self.store.update(_key(run), [Header.hb.set(stamp(self.clock()))], condition)
        except ConditionFailed as refused:
            raise RunNotOpen(why_not(run.run, run.job, run.tenant, run.glue_run, refused.old)) from refused

    def commit(self, run: Run, record: CommitRecord) -> None:
        """Makes the run's work count, once; afterwards `finalise`. Safe to repeat. Raises RunNotOpen."""
        results = _results(run, record)
        outputs = sorted(record.outputs, key=lambda output: not commits.is_commit(output.key))
        ids = {output_id(output, run.run, record.snapshot): output for output in outputs}
        chunks.write(self.store, run.tenant, run.run, chunks.RESULTS, results)
        if len(ids) > chunks.INLINE:
            chunks.write(self.store, run.tenant, run.run, chunks.OUTPUTS, list(ids))
        via = next((node for node, output in ids.items() if commits.is_commit(output.key)), None)
        versions = [(node, output, via) for node, output in ids.items()]
        # Outputs beyond one transaction go first: they count for nothing until the header says COMPLETED. Commit
        # objects are never among them, so that a commit object's version names its run only after the commit.
        self.store.each(lambda version: self.enter_output(run, *version), versions[TRANSACTION:])
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
            closing = [
                ("Update", self._completing(run, record, via, ids)),
                *self.freeing(run.tenant, run.job, run.dataset, run.run, run.seat),
            ]
            entering = [("Update", self._output(run, *version, superseded.get(version[0]))) for version in versions]
            first = len(closing)
            try:
                self.store.transact([*closing, *entering])
            except Cancelled as refused:
                if min(refused.failed) < first:
                    self._committed_or_raise(run, refused)
                    return
                for position, old in refused.failed.items():
                    node, output, _ = versions[position - first]
                    superseded[node] = self._superseded(run, output.key, old, superseded.get(node))
            except (BotoCoreError, VerboseClientError) as unknown:
                # The answer is lost, or the service refused: only the header knows.
                self._committed_or_raise(run, unknown)
                return
            else:
                return

    def _completing(self, run: Run, record: CommitRecord, via: str | None, ids: dict[str, Output]) -> dict[str, Any]:
        now = self.clock()
        known = {
            "st": HeaderState.COMPLETED,
            "ended": stamp(now),
            "ttl": lifetimes.of_run(HeaderState.COMPLETED, now),
            "rows_in": record.rows_in,
            "rows_out": record.rows_out,
            "rejected": record.rejected,
            "outputs": len(ids),
            "out": list(ids) if len(ids) <= chunks.INLINE else None,
            "commit": via,
            "snapshot": record.snapshot,
            "code": record.code or None,
            "contract": record.contract or None,
        }
        return self.store.updating(_key(run), sets(Header, known), self.may_commit(run))

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
            "ttl": self.lifetimes(run.tenant).of_object(output.zone, self.clock()),
        }
        mine = Version.run.does_not_exist() | (Version.run == run.run)
        if superseded:
            mine |= Version.run == superseded
        key = (table.file_pk(run.tenant, fid), table.version_sk(ver))
        return self.store.updating(key, [Version.kind.set(Version), *sets(Version, known)], mine)

    def enter_output(self, run: Run, node: str, output: Output, via: str | None) -> None:
        """One output beyond the commit's transaction: it counts for nothing until its run has committed."""
        superseded: str | None = None
        while True:
            try:
                self.store.apply(self._output(run, node, output, via, superseded))
            except ConditionFailed as refused:
                superseded = self._superseded(run, output.key, refused.old, superseded)
            else:
                return

    def _superseded(self, run: Run, key: str, old: Any, tried: str | None) -> str:
        """The dead run whose entry stands in the way: an attempt that died after another's PUT had won, say."""
        owner = self._header(run.tenant, run.job, old.run) if old is not None and old.run else None
        if owner is None or owner.sk == tried or owner.st not in {HeaderState.FAILED, HeaderState.FENCED}:
            raise OutputTaken(f"run {run.run}: {key} is the work of run {old.run if old else '?'}, which counts")
        return str(owner.sk)

    def is_processed(
        self, tenant: str, dataset: str, members: Iterable[str], job: str, *, code: str, contract: str
    ) -> RunState | None:
        """The run that did these inputs (`fid.ver`), and no others, by this code and contract; None: to be done."""
        keys = {node: claim_key(tenant, node, job) for node in members}
        claims = self.store.batch_get(Claim, keys.values())
        owners = {claim.owner for claim in claims.values()}
        if len(claims) < len(keys) or len(owners) != 1 or None in owners:
            return None
        header = self._header(tenant, job, owners.pop())
        batch = batch_id((member_of(claim).ref for claim in claims.values()), job, dataset)
        if header is None or header.batch != batch or not _answers(header, len(keys), code, contract):
            return None
        return self.run_state(header)

    def _committed_or_raise(self, run: Run, cause: Exception) -> None:
        header = self._header(run.tenant, run.job, run.run)
        if header is not None and header.st == HeaderState.COMPLETED and header.glue_run == run.glue_run:
            return
        if header is not None and header.st == HeaderState.RUNNING and not isinstance(cause, Cancelled):
            raise cause
        raise RunNotOpen(why_not(run.run, run.job, run.tenant, run.glue_run, header)) from cause


def _answers(header: Header, members: int, code: str, contract: str) -> bool:
    known = (header.st, int(header.files or 0), header.code, header.contract)
    return known == (HeaderState.COMPLETED, members, code, contract)


def _key(run: Run) -> tuple[str, str]:
    return table.job_pk(run.tenant, run.job), run.run


def _results(run: Run, record: CommitRecord) -> list[list[Any]]:
    """One result per member, or ValueError: a commit that leaves a file out would lose it in silence."""
    by_name = {(member.key, member.version): member.id for member in run.members}
    members = {member.id: member.key for member in run.members}
    given = {result.id or by_name.get((result.key, result.version), result.key): result for result in record.inputs}
    odd = sorted({members.get(node, node) for node in members.keys() ^ given.keys()})
    if odd:
        raise ValueError(
            f"run {run.run}: inputs of the commit are not the run's {len(members)} members; differing: {odd[:5]}"
        )
    return [chunks.result_ref(node, given[node]) for node in members]
