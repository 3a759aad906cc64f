"""Replays: settled files are opened again, and what they brought before gives way to what they bring now.

A replay reopens the file's claim under its next epoch; the edge as it was stays under `C#<version>#<job>@<epoch>`. The
claim says which batches' rows of this file give way (`replaces`: those of all epochs before, for a rollback may have
brought old rows back), and names the group in which the files of one call go, whole. What is in flight is left alone:
it will be done anyway. Where the first job did its work and only the second gave up, the commit object is opened again
instead, unless the contract has changed since and the file is there to be read by it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from lineage import chunks, commits, table
from lineage.errors import NotInLedger
from lineage.history import claim_key
from lineage.holds import is_held
from lineage.items import Arrival, Claim, Version
from lineage.ledger import Ledger
from lineage.receipts import Receipt, waits
from lineage.replay_plan import IsGone, Look, ReplayFile, ReplayPlan
from lineage.store import Cancelled
from lineage.values import MOST_FILES, ClaimState, FileVersion, Member, batch_of, moment, stamp

__all__ = ["ReplayFile", "ReplayPlan", "Replays"]

SETTLED = (ClaimState.DONE, ClaimState.DEAD)
BATCHES = 4  # times a dataset's `max_bytes` in one group


class Replays:
    """Plan, then do: what has moved on in between is left as it is. Both are safe to repeat."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.store = ledger.store

    def plan(
        self,
        tenant: str,
        *,
        key: str | None = None,
        version: str | None = None,
        since: datetime | None = None,
        dataset: str | None = None,
        unrouted: bool = False,
        force: bool = False,
        is_gone: IsGone = lambda _member: False,
    ) -> ReplayPlan:
        """Which of the files would be done again, and why others not. Changes nothing.

        `key` names a file, or a commit object: then the files of its batch are meant. `since`: what arrived from then
        on, of all datasets and of what no contract took. `force`: also what this code and contract have done already.
        `is_gone` is asked about files that the second job gave up.
        """
        if key is None and since is None and dataset is None and not unrouted:
            raise ValueError(f"replay of {tenant}: name a file, a dataset, a time, or what is unrouted")
        entry = self.ledger.tenant(tenant)
        found = self._of_key(tenant, key, version) if key else self._listed(tenant, dataset, unrouted=unrouted)
        chosen = [file for file in found if since is None or file.arrived_at >= since]
        return Look(self.ledger, entry, chosen, force=force, is_gone=is_gone).plan()

    def replay(self, plan: ReplayPlan) -> list[str]:
        """Opens the plan's files again; gives the ids of the groups in which they go."""
        self._receive(plan.tenant, [file for file in plan.files if file.member is None])
        repeated = {file.member.id: file for file in plan.files if file.member and file.commit}
        raw = [file for file in plan.files if file.member and not file.commit]
        # Each commit object by itself: one that fails again takes no other with it.
        groups = [([file], _batch([file])) for file in repeated.values()]
        for dataset in sorted({str(file.dataset) for file in raw}):
            groups += self._groups(dataset, raw, plan.begun)
        return [group for files, group in groups if self._open_all(files, group)]

    # -- what is meant -------------------------------------------------------------------------------------------

    def _of_key(self, tenant: str, key: str, version: str | None) -> list[ReplayFile]:
        found = list(self.store.query(Version, table.file_pk(tenant, table.file_id(key)), "V#"))
        found = [item for item in found if version in (None, item.version)]
        if commits.is_commit(key):
            found = self._behind(tenant, found)
        elif not key.startswith("raw/"):
            raise NotInLedger(f"{key}: only files under raw/ and commit objects are replayed")
        if not found:
            at = f"@{version}" if version else ""
            raise NotInLedger(f"{key}{at}: not in the ledger of tenant {tenant}; its files: lake files {tenant}")
        return sorted((_of_version(tenant, item) for item in found if item.arrived), key=_order)

    def _behind(self, tenant: str, found: Iterable[Version]) -> list[Version]:
        """The files of the batch that a commit object speaks of."""
        runs = {item.run for item in found if item.run}
        nodes = [member.id for run in runs for member in chunks.members(self.store, tenant, run)]
        return list(self.ledger.versions(tenant, nodes).values())

    def _listed(self, tenant: str, dataset: str | None, *, unrouted: bool) -> list[ReplayFile]:
        names: list[str | None] = [None]
        if dataset:
            names = [self.ledger.dataset(tenant, dataset).dataset]
        elif not unrouted:
            names = [*self.ledger.dataset_names(tenant), None]
        found: dict[str, ReplayFile] = {}
        for name in names:
            for item in self.store.query(Arrival, table.dataset_pk(tenant, name), "A#"):
                file = _of_arrival(tenant, name, item)
                found.setdefault(file.node, file)
        return sorted(found.values(), key=_order)

    # -- what no contract took -----------------------------------------------------------------------------------

    def _receive(self, tenant: str, files: Sequence[ReplayFile]) -> None:
        """Entered as their events would be today; then they are not listed as unrouted any more."""
        if not files:
            return
        held = is_held(self.ledger.tenant(tenant))
        entries = self.ledger.versions(tenant, [file.node for file in files])
        known = [(file, entries[file.node]) for file in files if file.node in entries]
        self.ledger.receive_all([Receipt(file=_entered(*one), job=one[0].job, held=held) for one in known])
        listed = [f"A#{stamp(file.arrived_at)}#{file.node}" for file, _ in known]
        self.store.each(lambda sk: self.store.delete((table.dataset_pk(tenant, None), sk)), listed)

    # -- what is opened again ------------------------------------------------------------------------------------

    def _groups(
        self, dataset: str, raw: Iterable[ReplayFile], begun: Iterable[ReplayFile]
    ) -> Iterator[tuple[list[ReplayFile], str]]:
        """The files of one dataset by arrival, as few groups as their size allows, and each group's id.

        Files that a replay which died half way has opened count: the rest joins them, if it is the same group.
        """
        mine = [file for file in raw if file.dataset == dataset]
        waiting = {file.node: file for file in begun if file.dataset == dataset}
        entry = self.ledger.dataset(mine[0].tenant, dataset)
        ordered = sorted([*mine, *waiting.values()], key=_order)
        for cut in _cut(_units(ordered, whole=entry.is_plain), BATCHES * entry.max_bytes):
            files = [file for file in cut if file.node not in waiting]
            group = _batch(cut)
            if any(file.member and file.member.group != group for file in cut if file.node in waiting):
                group = _batch(files) if files else group
            if files:
                yield files, group

    def _open_all(self, files: Sequence[ReplayFile], group: str) -> bool:
        """Opens what is still as it was planned.

        All wait from the same moment on, so that none starts without the others while they are still being opened.
        """
        now = stamp(self.ledger.clock())
        keys = [_claim_key(file) for file in files]
        claims = self.store.batch_get(Claim, keys)
        known = [(file, claims[key]) for file, key in zip(files, keys, strict=True) if key in claims]
        return any(self.store.each(lambda one: self._open(*one, group, now), known))

    def _open(self, file: ReplayFile, claim: Claim, group: str, now: str) -> bool:
        """The edge as it was goes to the archive, in the transaction that opens the claim. False: it has moved on."""
        member = _member(file)
        if _is_open(claim, member, group):
            return True
        if not _is_settled(claim, member):
            return False
        opening = self.store.updating((claim.pk, claim.sk), _opening(file, group, now), _as_planned(member))
        try:
            self.store.transact([("Put", self.store.putting(archived(claim))), ("Update", opening)])
        except Cancelled as refused:
            # Perhaps it was this very request, whose answer was lost.
            return _is_open(refused.failed.get(1), member, group)
        return True


def archived(claim: Claim) -> Claim:
    """The edge of an epoch that is over, as it stays beside the claim."""
    kept = {name: value for name, value in claim.attribute_values.items() if name not in {"sk", "g2pk", "g2sk", "kind"}}
    return Claim(sk=f"{claim.sk}@{int(claim.epoch or 0)}", **kept)


def _opening(file: ReplayFile, group: str, now: str) -> list[Any]:
    member = _member(file)
    g2pk, g2sk = waits(file.tenant, str(file.dataset), str(file.job), member)
    return [
        Claim.st.set(ClaimState.RECEIVED),
        Claim.epoch.set(member.epoch),
        Claim.fence.set(member.fence),
        Claim.attempt.set(0),
        Claim.group.set(group),
        Claim.replaces.set(list(member.replaces)),
        Claim.retry_at.set(now),
        Claim.g2pk.set(g2pk),
        Claim.g2sk.set(g2sk),
        *(name.remove() for name in (Claim.owner, Claim.rows, Claim.rejected, Claim.reason, Claim.ttl)),
    ]


def _as_planned(member: Member) -> Any:
    return Claim.st.is_in(*SETTLED) & _was(Claim.epoch, member.epoch - 1) & _was(Claim.fence, member.fence - 1)


def _was(attribute: Any, value: int) -> Any:
    return (attribute == value) if value else (attribute == 0) | attribute.does_not_exist()


def _is_settled(claim: Claim, member: Member) -> bool:
    return claim.st in SETTLED and (claim.epoch or 0) == member.epoch - 1 and (claim.fence or 0) == member.fence - 1


def _is_open(claim: Any, member: Member, group: str) -> bool:
    waits_or_runs = isinstance(claim, Claim) and claim.st not in SETTLED
    return waits_or_runs and claim.epoch == member.epoch and claim.group in {group, None}


def _units(files: Sequence[ReplayFile], *, whole: bool) -> list[list[ReplayFile]]:
    """What stays in one group: a file, or, where a batch gives way whole, the files of one run."""
    if not whole:
        return [[file] for file in files]
    runs: dict[str | None, list[ReplayFile]] = {}
    for file in files:
        runs.setdefault(file.owner, []).append(file)
    # One that was opened before does not say any more with which of the others it goes.
    return [list(files)] if None in runs else list(runs.values())


def _cut(units: Iterable[list[ReplayFile]], most_bytes: int) -> Iterator[list[ReplayFile]]:
    cut: list[ReplayFile] = []
    size = 0
    for unit in units:
        more = sum(file.size for file in unit)
        if cut and (len(cut) + len(unit) > MOST_FILES or size + more > most_bytes):
            yield cut
            cut, size = [], 0
        cut += unit
        size += more
    if cut:
        yield cut


def _batch(files: Sequence[ReplayFile]) -> str:
    return batch_of(map(_member, files), str(files[0].job), str(files[0].dataset))


def _member(file: ReplayFile) -> Member:
    if file.member is None:
        raise ValueError(f"{file.key}: nothing to open")
    return file.member


def _claim_key(file: ReplayFile) -> tuple[str, str]:
    return claim_key(file.tenant, _member(file).id, str(file.job))


def _order(file: ReplayFile) -> tuple[datetime, str]:
    return file.arrived_at, file.node


def _of_version(tenant: str, item: Version) -> ReplayFile:
    return ReplayFile(
        tenant=tenant,
        node=f"{item.pk.rsplit('#', 1)[1]}.{item.sk.split('#')[1]}",
        key=item.key,
        version=item.version,
        dataset=item.dataset,
        size=int(item.size or 0),
        arrived_at=moment(item.arrived),
    )


def _of_arrival(tenant: str, dataset: str | None, item: Arrival) -> ReplayFile:
    _, arrived, node = item.sk.split("#")
    return ReplayFile(
        tenant=tenant,
        node=node,
        key=item.key,
        version=item.version,
        dataset=dataset,
        size=int(item.size),
        arrived_at=moment(arrived),
    )


def _entered(file: ReplayFile, entry: Version) -> FileVersion:
    return FileVersion(
        tenant=file.tenant,
        dataset=file.dataset,
        key=file.key,
        version=file.version,
        size=file.size,
        etag=entry.etag or "",
        arrived_at=file.arrived_at,
        sequencer=entry.sequencer or "",
    )
