"""What the ledger holds and the bucket does not."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from glue_scripts.arguments import PROCESSED_TO_ANALYTICS, RAW_TO_PROCESSED
from ingestion.findings import Report
from ingestion.listing import PROCESSED, RAW, ZONES, place
from ingestion.order import Order
from ingestion.staging import Staging
from lineage.audit import Audit, Entry, Listed
from lineage.holds import is_held
from lineage.table import file_id
from lineage.values import ClaimState, HeaderState, RunState, TenantEntry

WAITS = {ClaimState.RECEIVED, ClaimState.RETRY, ClaimState.HELD}
PAGE = 1_000


@dataclass
class Seen:
    """What the listing showed: nodes as the ledger names them, and the ids of their keys."""

    nodes: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Ghosts:
    """Looks among the keys that a walk came by, up to `end` if it did not come to the end.

    What has outlived its retention, or is younger than the grace, is not looked for; but of a tenant that is held, what
    waits is, for that waits without an end.
    """

    audit: Audit
    tenant: TenantEntry
    order: Order
    began: datetime
    seen: Seen
    staging: Staging
    report: Report
    end: str | None

    def find(self) -> None:
        self._among_files()
        self._among_outputs()

    def _came_by(self, key: str) -> bool:
        after = self.order.resume is None or place(key) > place(self.order.resume)
        return key.startswith(self.order.prefix) and after and (self.end is None or place(key) <= place(self.end))

    def _is_of_age(self, since: datetime) -> bool:
        return since <= self.began - self.order.grace

    def _has_expired(self, zone: str, since: datetime) -> bool:
        days = self.tenant.retention.get(zone.rstrip("/"))
        return days is not None and since + timedelta(days=days) <= self.began

    def _among_files(self) -> None:
        missing = [listed for listed in self.audit.arrivals(self.tenant.tenant) if self._misses(listed)]
        for start in range(0, len(missing), PAGE):
            page = missing[start : start + PAGE]
            entries = self.audit.entries(self.tenant.tenant, [(listed.node, RAW_TO_PROCESSED) for listed in page])
            for listed in page:
                self._judge(listed, entries.get(listed.node))

    def _misses(self, listed: Listed) -> bool:
        if listed.node in self.seen.nodes or not self._came_by(listed.key):
            return False
        return self._is_of_age(listed.arrived_at) and (is_held(self.tenant) or self._should_be_there(listed))

    def _should_be_there(self, listed: Listed) -> bool:
        """A version that was replaced expires sooner than its zone's objects do."""
        return file_id(listed.key) not in self.seen.keys and not self._has_expired(RAW, listed.arrived_at)

    def _judge(self, listed: Listed, entry: Entry | None) -> None:
        claim = entry.claim if entry else None
        if claim in WAITS:
            why = "it waits, but its object is gone: its run will say so, and go on with the others"
        elif claim == ClaimState.DONE and self._should_be_there(listed):
            why = "it was processed, but its object is gone before its time: it cannot be replayed"
        else:
            return
        self.report.ghosts.add(key=listed.key, version=listed.version, dataset=listed.dataset, why=why)

    def _among_outputs(self) -> None:
        makers = dict(self._unseen())
        entries = self.audit.entries(self.tenant.tenant, [(node, PROCESSED_TO_ANALYTICS) for node in makers])
        for node, entry in sorted(entries.items(), key=lambda item: item[1].key):
            zone, made = f"{entry.key.split('/', 1)[0]}/", makers[node].ended or self.began
            if zone in ZONES and self._came_by(entry.key) and not self._has_expired(zone, made):
                why = f"run {makers[node].run} wrote it, but the object is gone before its time"
                self.report.ghosts.add(key=entry.key, version=entry.version, dataset=entry.dataset, why=why)

    def _unseen(self) -> Iterator[tuple[str, RunState]]:
        """Outputs of committed runs that the listing did not show, with their run."""
        if not any(self._may_have_come_by(zone) for zone in ZONES if zone != RAW):
            return
        runs = [run for run in self.staging.runs.values() if self._may_be_missed(run)]
        self.staging.read_outputs(runs)
        for run in runs:
            yield from ((node, run) for node in self.staging.outputs(run) if node not in self.seen.nodes)

    def _may_be_missed(self, run: RunState) -> bool:
        if run.state != HeaderState.COMPLETED or run.ended is None or not self._is_of_age(run.ended):
            return False
        return not self._has_expired(PROCESSED, run.ended)

    def _may_have_come_by(self, zone: str) -> bool:
        prefix, resume = self.order.prefix, self.order.resume
        ahead = resume is None or place(resume) < place(zone + "\U0010ffff")
        reached = self.end is None or place(zone) <= place(self.end)
        return (zone.startswith(prefix) or prefix.startswith(zone)) and ahead and reached
