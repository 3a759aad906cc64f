"""What the ledger can tell: the state of every file and every run, derived by reading."""

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lineage import chunks, table
from lineage.entries import Entries
from lineage.errors import NotInLedger, Unreadable
from lineage.items import Arrival, Claim, Tenant, Version
from lineage.items import Run as Header
from lineage.items import Slot as SlotItem
from lineage.lifetimes import BELIEVED, Lifetimes
from lineage.store import Store
from lineage.values import ClaimState, FileState, FileStatus, HeaderState, RunState, moment

# A taken run sends a heartbeat about every minute. One that Glue has started may be queued there. One that was not
# even started is a dispatch that died: begin and StartJobRun are seconds apart.
SILENT_AFTER = timedelta(minutes=5)
UNTAKEN_AFTER = timedelta(minutes=15)
UNSTARTED_AFTER = timedelta(minutes=2)

PAGE = 500  # files that are followed from job to job at once


@dataclass(frozen=True, kw_only=True)
class _Step:
    """How far one file has come with one job. `done` also when the header says so and the claim does not yet."""

    state: ClaimState | None
    done: bool
    running: bool
    owner: str | None
    commit: str | None
    rows: int | None
    rejected: int | None
    reason: str | None
    attempt: int = 0
    epoch: int = 0


NOT_YET = _Step(state=None, done=False, running=False, owner=None, commit=None, rows=None, rejected=None, reason=None)


class History(Entries):
    """Files and runs as a person asks for them. Batch gets, never a request per file."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        super().__init__(store)
        self.clock = store.clock = clock
        self._lifetimes: dict[str, tuple[datetime, Lifetimes]] = {}

    def lifetimes(self, tenant: str) -> Lifetimes:
        """How long what the ledger holds of the tenant's objects lives."""
        until, known = self._lifetimes.get(tenant, (None, Lifetimes()))
        if until is None or until < self.clock():
            item = self.store.get(Tenant, (table.tenant_pk(tenant), "#"), consistent=False)
            known = Lifetimes(item.retention or {}, item.raised or {}) if item else Lifetimes()
            self._lifetimes[tenant] = self.clock() + BELIEVED, known
        return known

    # -- files ---------------------------------------------------------------------------------------------------

    def files(self, tenant: str, dataset: str | None = None) -> list[FileState]:
        """Every file version that arrived under raw/, oldest first."""
        jobs = list(self.tenant(tenant).jobs)
        names = [dataset] if dataset else [*self.dataset_names(tenant), table.UNROUTED]
        listed: list[Arrival] = []
        for name in names:
            listed += self.store.query(Arrival, table.dataset_pk(tenant, name), "A#")
        return self._states(tenant, jobs, _once(listed))

    def newest(self, tenant: str, dataset: str | None = None, *, page: int = PAGE) -> Iterator[FileState]:
        """Every file version that arrived under raw/, newest first, read page by page as far as somebody asks."""
        jobs = list(self.tenant(tenant).jobs)
        names = [dataset] if dataset else [*self.dataset_names(tenant), table.UNROUTED]
        lists = [self.store.query(Arrival, table.dataset_pk(tenant, name), "A#", newest_first=True) for name in names]
        # Of a file that is listed twice at one time the listing of its dataset comes first.
        merged = heapq.merge(*lists, key=lambda each: (each.sk, _dataset(each) is not None), reverse=True)
        listed = _first_of_each(merged)
        while some := list(itertools.islice(listed, page)):
            yield from self._states(tenant, jobs, some)

    def file(self, tenant: str, key: str, version: str | None = None) -> list[FileState]:
        """The versions of one key, oldest first; found by hashing its name."""
        jobs = list(self.tenant(tenant).jobs)
        found = self.store.query(Version, table.file_pk(tenant, table.file_id(key)), "V#")
        listed = [_arrival_of(tenant, item) for item in found if item.arrived and version in (None, item.version)]
        if not listed:
            raise NotInLedger(f"{key}{'@' + version if version else ''}: not in the ledger of tenant {tenant}")
        listed.sort(key=lambda arrival: arrival.sk)
        return self._states(tenant, jobs, listed)

    def _states(self, tenant: str, jobs: Sequence[str], listed: Sequence[Arrival]) -> list[FileState]:
        """Follows all files from job to job at once: claims, then their runs, then the commit objects' claims."""
        steps: dict[str, list[_Step]] = {_id(arrival): [] for arrival in listed}
        nodes: dict[str, str | None] = {first: first for first in steps}
        for job in jobs:
            made = self._steps(tenant, job, {node for node in nodes.values() if node})
            for first, node in list(nodes.items()):
                step = made.get(node, NOT_YET) if node else NOT_YET
                steps[first].append(step)
                nodes[first] = step.commit
        return [_file_state(arrival, steps[_id(arrival)]) for arrival in listed]

    def _steps(self, tenant: str, job: str, nodes: Iterable[str]) -> dict[str, _Step]:
        keys = {node: claim_key(tenant, node, job) for node in nodes}
        claims = self.store.batch_get(Claim, keys.values())
        owners = {claim.owner for claim in claims.values() if claim.owner}
        headers = self.headers(tenant, [(job, owner) for owner in owners])
        late = {
            owner: chunks.results(self.store, tenant, owner)
            for owner in {claim.owner for claim in claims.values() if claim.st == ClaimState.CLAIMED}
            if owner in headers and headers[owner].st == HeaderState.COMPLETED
        }
        return {
            node: _step(node, claims[key], headers.get(claims[key].owner), late)
            for node, key in keys.items()
            if key in claims
        }

    # -- runs ----------------------------------------------------------------------------------------------------

    def runs(self, tenant: str, job: str | None = None, *, limit: int = 50) -> list[RunState]:
        """The latest runs, newest first."""
        jobs = [job] if job else list(self.tenant(tenant).jobs)
        found = itertools.chain.from_iterable(
            self.store.query(Header, table.job_pk(tenant, name), newest_first=True, limit=limit) for name in jobs
        )
        return sorted(map(self.run_state, found), key=lambda run: run.run, reverse=True)[:limit]

    def run(self, tenant: str, run: str) -> RunState:
        return self.run_state(self.header(tenant, run))

    def open_runs(self, tenant: str) -> list[RunState]:
        """Runs that have not ended; `stale` ones will be fenced by the next dispatch."""
        slots = self.store.query(SlotItem, table.slots_pk(tenant), forgiving=True)
        headers = self.headers(tenant, [(slot.job, slot.run) for slot in slots])
        return sorted(map(self.run_state, headers.values()), key=lambda run: run.run)

    def unfinished(self) -> list[RunState]:
        """Runs of the whole fleet that still need something: open ones, and ended ones that are not yet tidy."""
        return sorted(map(self.run_state, self.unfinished_headers()), key=lambda run: run.run)

    def unfinished_headers(self) -> list[Header]:
        shards = [f"OPEN#{shard}" for shard in range(table.SHARDS)]
        listed = self.store.each(lambda shard: list(self.store.listed(Header, shard, _is_run)), shards)
        places = {(item.pk, item.sk): place for place, items in zip(shards, listed, strict=True) for item in items}
        # The index lags and carries little: the headers themselves decide.
        found = self.store.batch_get(Header, places, forgiving=True)
        for key in places.keys() - found.keys():
            self.store.note_stranger(key, places[key])
        return [header for header in found.values() if header.g2pk]

    def header(self, tenant: str, run: str) -> Header:
        """A run by its bare id: one batch get over the tenant's jobs."""
        entry = self.tenant(tenant)
        for header in self.headers(tenant, [(job, run) for job in entry.jobs]).values():
            return header
        raise NotInLedger(f"run {run}: not in the ledger of tenant {tenant}; its runs: lake runs {tenant}")

    def headers(self, tenant: str, runs: Iterable[tuple[str, str]]) -> dict[str, Header]:
        """Run id → header, of (job, run) pairs."""
        found = self.store.batch_get(Header, [(table.job_pk(tenant, job), run) for job, run in runs])
        return {header.sk: header for header in found.values()}

    def _header(self, tenant: str, job: str, run: str) -> Header | None:
        return self.store.get(Header, (table.job_pk(tenant, job), run))

    def outputs_of(self, header: Header) -> dict[str, Version]:
        """`fid.ver` → what the run wrote."""
        ids = header.out
        if ids is None:
            ids = chunks.read(self.store, header.tenant, header.sk, chunks.OUTPUTS)
        return self.versions(header.tenant, ids)

    def inputs_of(self, header: Header) -> list[str]:
        """`fid.ver` of what the run read."""
        return self.inputs(header.tenant, [header])[header.sk]

    def inputs(self, tenant: str, headers: Iterable[Header]) -> dict[str, list[str]]:
        """Run → `fid.ver` of what it read."""
        return chunks.inputs(self.store, tenant, {header.sk: int(header.files or 0) for header in headers})

    def versions(self, tenant: str, ids: Iterable[str]) -> dict[str, Version]:
        keys = {node: version_key(tenant, node) for node in ids}
        found = self.store.batch_get(Version, keys.values())
        return {node: found[key] for node, key in keys.items() if key in found}

    def run_state(self, header: Header) -> RunState:
        return RunState(
            run=header.sk,
            job=header.job,
            dataset=header.dataset,
            state=HeaderState(header.st),
            started=moment(header.started),
            ended=moment(header.ended) if header.ended else None,
            files=int(header.files or 0),
            rows_in=_whole(header.rows_in),
            rows_out=_whole(header.rows_out),
            rejected=_whole(header.rejected),
            error=header.error,
            glue_run=header.glue_run or header.started_as,
            batch=header.batch,
            tenant=header.tenant,
            attempt=int(header.attempt),
            heartbeat=moment(header.hb),
            stale=header.st == HeaderState.RUNNING and is_stale(header, self.clock()),
            snapshot=header.snapshot,
            code=header.code,
            contract=header.contract,
        )


def _is_run(listed: Header) -> bool:
    """Under a tenant's own prefix; of a run the index shows little else."""
    _, tenant, part, job = listed.pk.split("#")
    return bool(listed.pk == table.job_pk(tenant, job)) and part == "J"


def is_stale(header: Header, now: datetime) -> bool:
    patience = SILENT_AFTER if header.glue_run else UNTAKEN_AFTER if header.started_as else UNSTARTED_AFTER
    try:
        return moment(header.hb) + patience < now
    except ValueError as error:
        raise Unreadable(f"run {header.sk} under {header.pk}: its heartbeat is {header.hb!r}, no time") from error


def names_of(zone: str, dataset: str | None) -> str:
    """A dataset's name in the table-level graph."""
    return {"analytics-ready": f"{dataset}", "quarantine": f"{dataset}_quarantine"}.get(zone, f"{zone}/{dataset}")


def version_key(tenant: str, node: str) -> tuple[str, str]:
    fid, ver = node.split(".")
    return table.file_pk(tenant, fid), table.version_sk(ver)


def claim_key(tenant: str, node: str, job: str) -> tuple[str, str]:
    fid, ver = node.split(".")
    return table.file_pk(tenant, fid), table.claim_sk(ver, job)


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _id(arrival: Arrival) -> str:
    return str(arrival.sk).rsplit("#", 1)[1]


def _once(listed: Iterable[Arrival]) -> list[Arrival]:
    """Oldest first, each file once: where a dataset has it rather than among the unrouted, and at its first time."""
    found: dict[str, Arrival] = {}
    for arrival in sorted(listed, key=lambda arrival: (_dataset(arrival) is None, arrival.sk)):
        found.setdefault(_id(arrival), arrival)
    return sorted(found.values(), key=lambda arrival: arrival.sk)


def _first_of_each(listed: Iterable[Arrival]) -> Iterator[Arrival]:
    """Each file once: one that no contract matched at first may be listed twice."""
    seen: set[str] = set()
    for arrival in listed:
        if _id(arrival) not in seen:
            seen.add(_id(arrival))
            yield arrival


def _arrival_of(tenant: str, item: Version) -> Arrival:
    fid, ver = item.pk.rsplit("#", 1)[1], item.sk.split("#")[1]
    return Arrival(
        pk=table.dataset_pk(tenant, item.dataset),
        sk=f"A#{item.arrived}#{fid}.{ver}",
        key=item.key,
        version=item.version,
        size=item.size or 0,
        reason=item.reason,
    )


def _step(node: str, claim: Claim, header: Header | None, late: dict[str, dict[str, chunks.Result]]) -> _Step:
    running = claim.st == ClaimState.CLAIMED and header is not None and header.st == HeaderState.RUNNING
    rolled = claim.st == ClaimState.CLAIMED and header is not None and header.st == HeaderState.COMPLETED
    done = claim.st == ClaimState.DONE or rolled
    rows, rejected, reason = claim.rows, claim.rejected, claim.reason
    if rolled:
        rows, rejected, reason = late[claim.owner].get(node, (0, 0, None))
    return _Step(
        state=ClaimState(claim.st),
        done=done,
        running=running,
        owner=claim.owner,
        commit=header.commit if done and header is not None else None,
        rows=_whole(rows) if done else None,
        rejected=_whole(rejected) if done else None,
        reason=reason,
        attempt=int(claim.attempt or 0),
        epoch=int(claim.epoch or 0),
    )


def _file_state(arrival: Arrival, steps: Sequence[_Step]) -> FileState:
    first = steps[0] if steps else NOT_YET
    last = next((step for step in reversed(steps) if step.state), first)
    return FileState(
        key=arrival.key,
        version=arrival.version,
        dataset=_dataset(arrival),
        state=_status(steps, _dataset(arrival)),
        rows=first.rows,
        rejected=first.rejected,
        reason=arrival.reason or first.reason or last.reason,
        run=first.owner,
        arrived_at=moment(arrival.sk.split("#")[1]),
        size=int(arrival.size),
        attempt=last.attempt,
        epoch=max((step.epoch for step in steps), default=0),
    )


def _dataset(arrival: Arrival) -> str | None:
    name = arrival.pk.rsplit("#", 1)[1]
    return None if name == table.UNROUTED else name


def _status(steps: Sequence[_Step], dataset: str | None) -> FileStatus:
    first, *later = steps or [NOT_YET]
    if first.state is None:
        # The listing of a file is entered before its claim: one that has a dataset is about to get it.
        return FileStatus.RECEIVED if dataset else FileStatus.UNROUTED
    if not first.done:
        return _before(first)
    if first.rows == 0 and (first.rejected or first.reason):
        return FileStatus.QUARANTINED
    if any(step.state == ClaimState.DEAD for step in later):
        return FileStatus.FAILED
    # A run without a commit object has nothing for the next job: its files have come as far as they will.
    return FileStatus.QUERYABLE if first.commit is None or all(step.done for step in later) else FileStatus.PROCESSED


def _before(step: _Step) -> FileStatus:
    if step.running:
        return FileStatus.PROCESSING
    if step.state == ClaimState.DEAD:
        return FileStatus.QUARANTINED
    return FileStatus.HELD if step.state == ClaimState.HELD else FileStatus.RECEIVED
