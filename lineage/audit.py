"""The state of a tenant in bulk, for whoever compares the ledger with the bucket, and the repair of what stands still.

Only batch gets and queries; nothing here walks the whole table.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lineage import chunks, table
from lineage.endings import GRACE
from lineage.history import claim_key, is_stale
from lineage.holds import Holds, is_held
from lineage.items import Arrival, Claim, Item, Version
from lineage.items import Run as Header
from lineage.ledger import Ledger
from lineage.receipts import is_claim_of
from lineage.store import ConditionFailed
from lineage.values import ClaimState, HeaderState, RunState, moment

DEAD = {HeaderState.FAILED, HeaderState.FENCED}
WAITS = {ClaimState.RECEIVED, ClaimState.RETRY, ClaimState.HELD}
LONG = timedelta(hours=1)
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the ledger holds of one file version, and of the claim of one job on it."""

    node: str
    key: str
    version: str | None
    etag: str
    size: int
    dataset: str | None
    arrived_at: datetime | None
    """None: only a commit wrote it, its event was not seen."""
    sequencer: str = ""
    job: str | None = None
    run: str | None = None
    """The run that made it and has committed."""
    claim: ClaimState | None = None
    owner: str | None = None
    owner_state: HeaderState | None = None
    owner_tidy: bool = False


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A file version in the listing of what arrived."""

    node: str
    key: str
    version: str | None
    dataset: str | None
    arrived_at: datetime
    size: int


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """Something that stands still.

    `what`: a `run` (`subject` is its id), files `held` (the tenant) or `waiting` (the oldest one's key).
    """

    what: str
    subject: str
    dataset: str | None
    job: str | None
    why: str


class Audit:
    """Bulk reads of one tenant at a time."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.store = ledger.store

    def entries(self, tenant: str, pairs: Iterable[tuple[str, str]]) -> dict[str, Entry]:
        """Node → entry, of (node, job that would claim it); nodes of which there is nothing are left out."""
        wanted = dict(pairs)
        versions = self.ledger.versions(tenant, wanted)
        keys = {node: claim_key(tenant, node, job) for node, job in wanted.items()}
        claims = self.store.batch_get(Claim, keys.values())
        headers = self._owners(tenant, claims.values())
        found: dict[str, Entry] = {}
        for node in wanted:
            version, claim = versions.get(node), claims.get(keys[node])
            if version is not None or claim is not None:
                found[node] = _entry(node, version, claim, headers)
        return found

    def _owners(self, tenant: str, claims: Iterable[Claim]) -> dict[str, Header]:
        """Headers of those who hold claims now."""
        return self.ledger.headers(
            tenant, {(claim.job, claim.owner) for claim in claims if claim.st == ClaimState.CLAIMED}
        )

    def of_key(self, tenant: str, key: str, job: str) -> list[Entry]:
        """All versions of a key; one request, unless they are claimed."""
        fid = table.file_id(key)
        items = list(self.store.query(Item, table.file_pk(tenant, fid)))
        versions = {item.sk: item for item in items if isinstance(item, Version)}
        claims = {item.sk: item for item in items if isinstance(item, Claim)}
        headers = self._owners(tenant, claims.values())
        found: list[Entry] = []
        for sk, version in versions.items():
            ver = sk.split("#")[1]
            found.append(_entry(f"{fid}.{ver}", version, claims.get(table.claim_sk(ver, job)), headers))
        return found

    def arrivals(self, tenant: str) -> Iterator[Listed]:
        """Everything that arrived under raw/, once each, the earliest entry of it."""
        seen: set[str] = set()
        for dataset in [*self.ledger.dataset_names(tenant), table.UNROUTED]:
            for item in self.store.query(Arrival, table.dataset_pk(tenant, dataset), "A#"):
                _, arrived, node = item.sk.split("#")
                if node not in seen:
                    seen.add(node)
                    yield Listed(
                        node=node,
                        key=item.key,
                        version=item.version,
                        dataset=None if dataset == table.UNROUTED else dataset,
                        arrived_at=moment(arrived),
                        size=int(item.size),
                    )

    def runs(self, tenant: str, job: str) -> list[RunState]:
        """Every run of a job, oldest first."""
        return [self.ledger.run_state(header) for header in self.store.query(Header, table.job_pk(tenant, job))]

    def outputs(self, tenant: str, job: str, run: str) -> list[str]:
        """Node ids of what a run's header names."""
        header = self.store.get(Header, (table.job_pk(tenant, job), run))
        if header is None:
            return []
        if header.out is not None:
            return list(header.out)
        return chunks.read(self.store, tenant, run, chunks.OUTPUTS)

    def has_moved_on(self, tenant: str, job: str, run: str) -> bool:
        """Whether no file of a dead run will be tried again in the run's batch."""
        header = self.store.get(Header, (table.job_pk(tenant, job), run))
        batch = header.batch if header is not None else None
        members = chunks.members(self.store, tenant, run)
        claims = self.store.batch_get(Claim, [claim_key(tenant, member.id, job) for member in members]).values()
        headers = self.ledger.headers(
            tenant, {(job, claim.owner) for claim in claims if claim.st == ClaimState.CLAIMED}
        )
        for claim in claims:
            if claim.st in WAITS and claim.group == batch:
                return False
            if claim.st == ClaimState.CLAIMED and getattr(headers.get(claim.owner), "batch", batch) == batch:
                return False
        return True

    def bury(self, tenant: str, node: str, job: str, reason: str) -> bool:
        """Settles a claim that will never be taken. False = it moved on, or there is none."""
        actions = [
            Claim.st.set(ClaimState.DEAD),
            Claim.reason.set(reason),
            Claim.fence.set((Claim.fence | 0) + 1),
            *(name.remove() for name in (Claim.g2pk, Claim.g2sk, Claim.group, Claim.retry_at)),
        ]
        try:
            self.store.update(claim_key(tenant, node, job), actions, Claim.st.is_in(*WAITS))
        except ConditionFailed:
            return False
        return True

    def stuck(self, tenant: str) -> list[Stuck]:
        """Runs that show no life or are not tidied up, files that are held by nothing or wait for too long."""
        return [*self._runs(tenant), *self._held(tenant), *self._waiting(tenant)]

    def _runs(self, tenant: str) -> Iterator[Stuck]:
        now = self.ledger.clock()
        for header in self.ledger.unfinished_headers():
            if header.tenant != tenant or header.pk != table.job_pk(tenant, header.job):
                continue
            stale = header.st == HeaderState.RUNNING and is_stale(header, now)
            untidy = header.st != HeaderState.RUNNING and header.ended and moment(header.ended) + GRACE < now
            if stale or untidy:
                why = f"no sign of life since {header.hb}" if stale else f"{header.st}, and not tidied up since"
                yield Stuck(what="run", subject=header.sk, dataset=header.dataset, job=header.job, why=why)

    def _held(self, tenant: str) -> Iterator[Stuck]:
        if is_held(self.ledger.tenant(tenant)):
            return
        mine = list(self.store.listed(Claim, table.held_pk(tenant), lambda claim: is_claim_of(tenant, claim)))
        if mine:
            why = f"{len(mine)} files are HELD, but nothing holds the tenant; the first is {mine[0].key}"
            yield Stuck(what="held", subject=tenant, dataset=None, job=None, why=why)

    def _waiting(self, tenant: str) -> Iterator[Stuck]:
        """Of datasets that wait for no clock: the oldest file that nobody came for."""
        entry, now = self.ledger.tenant(tenant), self.ledger.clock()
        if is_held(entry):
            return
        for dataset, job in itertools.product(self.ledger.datasets(tenant), entry.jobs):
            patience = max(3 * timedelta(seconds=dataset.max_wait_s), LONG)
            waiting = self.ledger.waiting(tenant, dataset.dataset, job) if dataset.schedule is None else []
            # A file that is tried or replayed again has waited since then only.
            late = [member for member in waiting if max(member.arrived_at, member.retry_at or NEVER) + patience < now]
            if late:
                why = f"{len(late)} files wait for {job}, the oldest since {late[0].arrived_at:%Y-%m-%d %H:%M} UTC"
                yield Stuck(what="waiting", subject=late[0].key, dataset=dataset.dataset, job=job, why=why)

    def repair(self, tenant: str, stuck: Stuck) -> str:
        """What was done: fenced, released, finalised, drained; or reported, where only a person can see to it."""
        if stuck.what == "run" and stuck.job is not None:
            header = self.store.get(Header, (table.job_pk(tenant, stuck.job), stuck.subject))
            # Looked at again: what seemed dead may have shown life since.
            done = self.ledger.mend(header) if header is not None else None
            return done.outcome if done else "nothing to do"
        if stuck.what == "held":
            Holds(self.ledger).drain(tenant)
            return "drained"
        return "reported"

    def free(self, tenant: str, node: str, job: str) -> str | None:
        """Takes a claim from a run that has ended without settling it: released or finalised, None if there is none."""
        claim = self.store.get(Claim, claim_key(tenant, node, job))
        if claim is None or claim.st != ClaimState.CLAIMED:
            return None
        return self.ledger.free(tenant, claim)


def _entry(node: str, version: Version | None, claim: Claim | None, headers: Mapping[str, Header]) -> Entry:
    one: Any = version if version is not None else claim
    header = headers.get(claim.owner) if claim is not None else None
    return Entry(
        node=node,
        key=one.key,
        version=one.version,
        etag=one.etag or "",
        size=int(one.size or 0),
        dataset=one.dataset,
        arrived_at=moment(one.arrived) if one.arrived else None,
        sequencer=one.sequencer or "",
        job=version.job if version is not None else None,
        run=version.run if version is not None else None,
        claim=ClaimState(claim.st) if claim is not None else None,
        owner=claim.owner if claim is not None else None,
        owner_state=HeaderState(header.st) if header is not None else None,
        owner_tidy=bool(header.tidy) if header is not None else False,
    )
