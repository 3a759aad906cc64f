"""Whether an object that a job wrote counts, may still come to count, or never will.

A job writes files under names that hold its run, then the commit object of its batch, and counts when its run's header
is COMPLETED. A run that was fenced in between leaves a commit object that the next attempt at the same batch adopts,
with all the files it names: they stay as long as a file of that batch may be tried in it again. Once its files have
gone through in other batches nobody adopts it any more.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from glue_scripts.arguments import PROCESSED_TO_ANALYTICS, RAW_TO_PROCESSED
from ingestion.listing import StoredObject
from lineage import commits
from lineage.audit import Audit, Entry
from lineage.commits import Commit
from lineage.table import node_id
from lineage.values import ClaimState, HeaderState, RunState

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
_WRITTEN = re.compile(
    rf"(?:processed/(?P<into>[^/]+)/year=[^/]+/month=[^/]+/(?P<run>{_UUID})-[^/]+"
    rf"|quarantine/(?P<from>[^/]+)/year=[^/]+/month=[^/]+/run=(?P<rejecter>{_UUID})/[^/]+)\Z"
)


class Verdict(StrEnum):
    COUNTS = "counts"
    KEPT = "may still count, or is too young to say"
    STAGING = "no commit names it, and none will"
    ORPHAN = "no run that the ledger knows wrote it"


class Fate(StrEnum):
    """What became of a batch's commit object."""

    NONE = "there is none"
    COUNTED = "its run has committed"
    OPEN = "a further attempt may adopt it"
    BURIED = "nobody will adopt it"


def _node(commit: Commit) -> str:
    """The commit object as the ledger names it."""
    return node_id(commits.key_of(*commit), None)


class Staging:
    """The judge of one tenant's processed/ and quarantine/. `before`: what is younger is left alone.

    `exists` tells whether a key is there. Nothing is changed unless `buries`.
    """

    def __init__(
        self, audit: Audit, tenant: str, *, before: datetime, exists: Callable[[str], bool], buries: bool
    ) -> None:
        self.audit = audit
        self.tenant = tenant
        self.before = before
        self.exists = exists
        self.buries = buries
        self.buried: list[Commit] = []
        self._fates: dict[Commit, Fate] = {}
        self._outputs: dict[str, frozenset[str]] = {}

    @cached_property
    def runs(self) -> dict[str, RunState]:
        return {run.run: run for run in self.audit.runs(self.tenant, RAW_TO_PROCESSED)}

    @cached_property
    def attempts(self) -> dict[str, list[RunState]]:
        """Batch → its runs, oldest first."""
        found: dict[str, list[RunState]] = {}
        for run in self.runs.values():
            if run.batch:
                found.setdefault(run.batch, []).append(run)
        return found

    def verdict(self, thing: StoredObject, entry: Entry | None) -> Verdict:
        """`entry`: what the ledger holds of the object."""
        if entry is not None and self._is_counted(entry):
            return Verdict.COUNTS
        commit = commits.parse(thing.key)
        if commit is not None and not self.knows(commit, entry):
            return Verdict.ORPHAN
        if thing.modified_at > self.before:
            return Verdict.KEPT
        if commit is not None:
            return Verdict.STAGING if self.fate(commit) == Fate.BURIED else Verdict.KEPT
        return self._of_file(thing)

    def knows(self, commit: Commit, entry: Entry | None) -> bool:
        """Whether the ledger knows a run of the batch, or did and settled the commit object."""
        dead = entry is not None and entry.claim == ClaimState.DEAD
        return commit.batch in self.attempts or dead or (entry is not None and self._is_counted(entry))

    def _is_counted(self, entry: Entry) -> bool:
        """Only a commit writes `run`. A header may expire before what its run wrote."""
        if entry.run is None:
            return False
        header = self.runs.get(entry.run)
        return header is None or header.state == HeaderState.COMPLETED

    def _of_file(self, thing: StoredObject) -> Verdict:
        found = _WRITTEN.match(thing.key)
        run = self.runs.get(found["run"] or found["rejecter"]) if found else None
        if found is None or run is None:
            return Verdict.ORPHAN
        if run.ended is None or run.ended > self.before:
            return Verdict.KEPT
        node = node_id(thing.key, None)
        if any(node in self.outputs(one) for one in self._completed(run)):
            return Verdict.COUNTS
        if run.state == HeaderState.COMPLETED or run.batch is None:
            return Verdict.STAGING
        fate = self.fate(Commit(dataset=found["into"] or found["from"], batch=run.batch))
        return Verdict.KEPT if fate == Fate.OPEN else Verdict.STAGING

    def _completed(self, run: RunState) -> list[RunState]:
        attempts = self.attempts.get(run.batch or "", [run])
        return [one for one in attempts if one.state == HeaderState.COMPLETED]

    def outputs(self, run: RunState) -> frozenset[str]:
        """Node ids of what a run's header names."""
        if run.run not in self._outputs:
            self._outputs[run.run] = frozenset(self.audit.outputs(self.tenant, run.job, run.run))
        return self._outputs[run.run]

    def read_outputs(self, runs: Iterable[RunState]) -> None:
        """Those of many runs at once, for who will ask for each."""
        wanted = [run for run in runs if run.run not in self._outputs]
        found = self.audit.store.each(lambda run: self.audit.outputs(self.tenant, run.job, run.run), wanted)
        self._outputs.update({run.run: frozenset(nodes) for run, nodes in zip(wanted, found, strict=True)})

    def fate(self, commit: Commit) -> Fate:
        if commit not in self._fates:
            self._fates[commit] = self._fate(commit)
        return self._fates[commit]

    def _fate(self, commit: Commit) -> Fate:
        if not self.exists(commits.key_of(*commit)):
            return Fate.NONE
        node = _node(commit)
        entry = self.audit.entries(self.tenant, [(node, PROCESSED_TO_ANALYTICS)]).get(node)
        if entry is not None and self._is_counted(entry):
            return Fate.COUNTED
        if entry is not None and entry.claim == ClaimState.DEAD:
            return Fate.BURIED
        return Fate.BURIED if self._is_given_up(commit) and self._bury(commit, entry) else Fate.OPEN

    def _is_given_up(self, commit: Commit) -> bool:
        """All its runs died long ago, and its files are not waiting to be tried in it again."""
        attempts = self.attempts.get(commit.batch, [])
        dead = {HeaderState.FAILED, HeaderState.FENCED}
        if not attempts or not all(run.state in dead and run.ended and run.ended <= self.before for run in attempts):
            return False
        return self.audit.has_moved_on(self.tenant, RAW_TO_PROCESSED, attempts[-1].run)

    def _bury(self, commit: Commit, entry: Entry | None) -> bool:
        """Settles the claim of the next job, if there is one: never to be merged."""
        waits = entry is not None and entry.claim is not None
        last = self.attempts[commit.batch][-1]
        reason = f"run {last.run} wrote it and was {last.state}; its files went through, or ended, in other batches"
        if waits and self.buries and not self.audit.bury(self.tenant, _node(commit), PROCESSED_TO_ANALYTICS, reason):
            return False
        self.buried.append(commit)
        return True
