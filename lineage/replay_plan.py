"""The plan of a replay: which settled files would be opened again, as what, and why others not. Reads only."""

import json
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from lineage import chunks, routing
from lineage.history import claim_key
from lineage.items import Claim
from lineage.items import Run as Header
from lineage.ledger import Ledger
from lineage.receipts import member_of
from lineage.values import ABSENT, ClaimState, DatasetEntry, Member, TenantEntry, moment

RUNS = 20  # of the latest, to learn which code works now

NO_CONTRACT = "no contract matches the key"
FOLDER_MARKER = "a folder marker: it has no rows"
IN_FLIGHT = "in flight: it will be done anyway"
HELD = "held: it goes on when its tenant is released"
WAITS_ALREADY = "already waiting for replay"
SAME = "already processed by this code and contract (--force does it again)"
HALF_ENTERED = "not entered whole: `lake reconcile` mends it"
NO_RUN = "its run is not in the ledger: `lake rebuild-ledger` first"
NOT_DEPLOYED = "dataset {} is not deployed any more"
NOT_WHOLE = "format parquet is append-only: the {} files of its batch can only be replayed together (--dataset)"

NOTHING_TO_DO = frozenset({FOLDER_MARKER, IN_FLIGHT, HELD, WAITS_ALREADY, SAME})
"""Why a file is left of which nobody has to do anything."""

WAITING = (ClaimState.RECEIVED, ClaimState.RETRY)


@dataclass(frozen=True, kw_only=True)
class ReplayFile:
    """One file version of a plan.

    `commit`: key of the commit object that is repeated for it, where only the second job gave the file up. `member`:
    what is opened, as it will be then; None for a file that no contract took until now.
    """

    tenant: str
    node: str
    key: str
    version: str | None
    dataset: str | None
    size: int
    arrived_at: datetime
    job: str | None = None
    commit: str | None = None
    member: Member | None = field(default=None, repr=False)
    owner: str | None = field(default=None, repr=False)
    """The run that settled it."""

    @property
    def epoch(self) -> int:
        """The one that it gets; 0: its first."""
        return self.member.epoch if self.member else 0


@dataclass(frozen=True, kw_only=True)
class ReplayPlan:
    """What a replay would do. `begun`: files that a replay before this one has opened and that still wait."""

    tenant: str
    files: tuple[ReplayFile, ...]
    skipped: tuple[tuple[ReplayFile, str], ...]
    begun: tuple[ReplayFile, ...] = field(default=(), repr=False)

    @property
    def refused(self) -> tuple[tuple[ReplayFile, str], ...]:
        """Of the skipped, those that are not as they should be and stay so."""
        return tuple((file, why) for file, why in self.skipped if why not in NOTHING_TO_DO)


class Skip(Exception):
    """Why a file is not replayed. `begun`: it was opened by a replay before this one."""

    def __init__(self, why: str, begun: Member | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.begun = begun


IsGone = Callable[[Member], bool]
"""Whether what was registered as this file is no longer in the bucket."""


class Look:
    """One look at what is known of the files: claims, their runs, the commit objects' claims. Batch gets only."""

    def __init__(
        self, ledger: Ledger, tenant: TenantEntry, files: Sequence[ReplayFile], *, force: bool, is_gone: IsGone
    ) -> None:
        self.is_gone = is_gone
        self.ledger = ledger
        self.tenant = tenant
        self.files = files
        self.force = force
        self.first, *later = tenant.jobs
        self.second = later[0] if later else None
        self.datasets = {entry.dataset: entry for entry in ledger.datasets(tenant.tenant)}
        self.rules = [routing.Rule(dataset=name, files=entry.files) for name, entry in self.datasets.items()]
        self.claims = self._claims(self.first, [file.node for file in files])
        owners = {claim.owner for claim in self.claims.values() if claim.owner}
        self.headers = ledger.headers(tenant.tenant, [(self.first, owner) for owner in owners])
        commits = {header.commit for header in self.headers.values() if header.commit}
        self.commits = self._claims(self.second, commits) if self.second else {}
        self.code = self._code() if files and not force else None

    def _claims(self, job: str, nodes: Iterable[str]) -> dict[str, Claim]:
        keys = {node: claim_key(self.tenant.tenant, node, job) for node in nodes}
        found = self.ledger.store.batch_get(Claim, keys.values())
        return {node: found[key] for node, key in keys.items() if key in found}

    def _code(self) -> str | None:
        latest = self.ledger.runs(self.tenant.tenant, self.first, limit=RUNS)
        return next((run.code for run in latest if run.code), None)

    def plan(self) -> ReplayPlan:
        chosen: list[ReplayFile] = []
        skipped: list[tuple[ReplayFile, str]] = []
        begun: list[ReplayFile] = []
        for file in self.files:
            try:
                chosen.append(self._verdict(file))
            except Skip as skip:
                skipped.append((file, skip.why))
                if skip.begun:
                    begun.append(replace(file, job=self.first, member=skip.begun))
        whole, parts = self._whole_batches(self._repeated_whole(chosen), {file.node for file in begun})
        return ReplayPlan(tenant=self.tenant.tenant, files=tuple(whole), skipped=(*skipped, *parts), begun=tuple(begun))

    # -- one file ------------------------------------------------------------------------------------------------

    def _verdict(self, file: ReplayFile) -> ReplayFile:
        """The file as it would be replayed. Raises Skip."""
        claim = self.claims.get(file.node)
        if claim is None:
            return self._unrouted(file)
        if claim.dataset not in self.datasets:
            raise Skip(NOT_DEPLOYED.format(claim.dataset))
        file = replace(file, dataset=claim.dataset, job=self.first, owner=claim.owner)
        if claim.st == ClaimState.DEAD:
            return replace(file, member=_reopened(claim, tuple(claim.replaces or ())))
        if claim.st != ClaimState.DONE:
            raise _moving(claim)
        return self._done(file, claim)

    def _unrouted(self, file: ReplayFile) -> ReplayFile:
        if file.dataset is not None:
            raise Skip(HALF_ENTERED)
        if file.key.endswith("/") and file.size == 0:
            raise Skip(FOLDER_MARKER)
        dataset = routing.dataset_of(file.key, self.rules)
        if dataset is None:
            raise Skip(NO_CONTRACT)
        return replace(file, dataset=dataset, job=self.first)

    def _done(self, file: ReplayFile, claim: Claim) -> ReplayFile:
        header = self.headers.get(claim.owner)
        batch = claim.group or (header.batch if header else None)
        if batch is None:
            raise Skip(NO_RUN)
        if header is not None and not header.tidy:
            raise Skip(IN_FLIGHT)
        unchanged = self._is_unchanged(claim, header)
        commit = self._commit(header)
        given_up = commit if commit is not None and commit.st == ClaimState.DEAD else None
        as_before = unchanged and not self.force
        # Where the file is gone, what was made of it is all that there is: opened from raw/, its rows would be lost.
        if given_up and not self._has_expired(given_up) and (as_before or self.is_gone(member_of(claim))):
            return replace(file, commit=given_up.key, job=self.second, member=_reopened(given_up, ()))
        is_same = self.code in (None, header.code if header else None) and not _was_absent(claim)
        if as_before and not given_up and is_same:
            raise Skip(SAME)
        return replace(file, member=_reopened(claim, (batch, *(claim.replaces or ()))))

    def _commit(self, header: Header | None) -> Claim | None:
        """The second job's claim on the commit object. Raises Skip while that is not settled."""
        if self.second is None or header is None or header.commit is None:
            return None
        commit = self.commits.get(header.commit)
        if commit is None or commit.st not in {ClaimState.DONE, ClaimState.DEAD}:
            raise Skip(HELD if commit is not None and commit.st == ClaimState.HELD else IN_FLIGHT)
        return commit

    def _has_expired(self, commit: Claim) -> bool:
        """What it names, so that it cannot be repeated: the file behind it is done anew, if that is still there."""
        days = self.tenant.retention.get("processed")
        return days is not None and moment(commit.arrived) + timedelta(days=days) <= self.ledger.clock()

    def _is_unchanged(self, claim: Claim, header: Header | None) -> bool:
        now = _fingerprint(self.datasets[claim.dataset])
        return now is not None and header is not None and header.contract == now

    # -- append-only tables --------------------------------------------------------------------------------------

    def _repeated_whole(self, chosen: Sequence[ReplayFile]) -> list[ReplayFile]:
        """Where one file of a plain batch is taken on from its commit object, the others go with it."""
        repeated = {file.owner: file for file in chosen if file.commit}
        return [
            replace(file, commit=repeated[file.owner].commit, job=self.second, member=repeated[file.owner].member)
            if file.owner in repeated and self._is_plain(file)
            else file
            for file in chosen
        ]

    def _whole_batches(
        self, chosen: Sequence[ReplayFile], begun: AbstractSet[str]
    ) -> tuple[list[ReplayFile], list[tuple[ReplayFile, str]]]:
        """A plain Parquet file holds rows of a whole batch: all files behind it give way together, or none does."""
        batches = {file.owner for file in chosen if file.owner and file.member and self._is_plain(file)}
        members = {
            owner: {member.id for member in chunks.members(self.ledger.store, self.tenant.tenant, owner)}
            for owner in batches
        }
        taken = {file.node for file in chosen} | begun
        torn = {owner: len(nodes) for owner, nodes in members.items() if not nodes <= taken}
        whole = [file for file in chosen if file.owner not in torn]
        return whole, [(file, NOT_WHOLE.format(torn[file.owner])) for file in chosen if file.owner in torn]

    def _is_plain(self, file: ReplayFile) -> bool:
        """Has brought rows to a table of plain Parquet files."""
        return (
            file.commit is None
            and bool(file.member and file.member.replaces)
            and self.datasets[str(file.dataset)].is_plain
        )


def _reopened(claim: Claim, replaces: tuple[str, ...]) -> Member:
    before = member_of(claim)
    return replace(
        before,
        epoch=before.epoch + 1,
        fence=before.fence + 1,
        attempt=0,
        group=None,
        retry_at=None,
        replaces=tuple(dict.fromkeys(replaces)),
    )


def _was_absent(claim: Claim) -> bool:
    return not (claim.rows or claim.rejected) and str(claim.reason or "").startswith(ABSENT)


def _moving(claim: Claim) -> Skip:
    if claim.st == ClaimState.HELD:
        return Skip(HELD)
    if claim.st in WAITING and claim.epoch:
        return Skip(WAITS_ALREADY, begun=member_of(claim))
    return Skip(IN_FLIGHT)


def _fingerprint(entry: DatasetEntry) -> Any:
    """Of the compiled contract; None where it does not say."""
    return json.loads(entry.plan or "{}").get("fingerprint")
