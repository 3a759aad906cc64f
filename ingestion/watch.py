"""What dispatch looks after besides starting runs: failed runs, dead files, files that wait too long, dead letters."""

import functools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from ingestion import alerts, journal
from ingestion.alerts import Alerts
from ingestion.glue import is_busy
from ingestion.schedules import last_due
from lineage import chunks
from lineage.fates import MAX_ATTEMPTS
from lineage.history import claim_key
from lineage.items import Claim
from lineage.ledger import Ledger
from lineage.notices import PLATFORM
from lineage.values import ClaimState, DatasetEntry, Errand, HeaderState, RunState, TenantEntry

EVERY = timedelta(minutes=10)
"""How often the whole fleet is looked at; what has an event of its own is told at once."""

RECENT = timedelta(minutes=30)
RUNS = 20  # newest runs among which failed ones are looked for

PATIENCE = timedelta(hours=1)
"""A file may wait three times its dataset's `max_wait`, and at least so long, before somebody is told."""


class Watch:
    """Never raises: what cannot be looked at is written to the log and does not keep dispatch."""

    def __init__(
        self,
        ledger: Ledger,
        alerts: Alerts,
        sqs: Any,
        dead_letter_queue: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.ledger = ledger
        self.alerts = alerts
        self.sqs = sqs
        self.dead_letter_queue = dead_letter_queue
        self.clock = clock

    def is_time(self) -> bool:
        """True once in `EVERY`, for one of all the functions that ask."""
        try:
            return self.alerts.notices.may_tell(PLATFORM, "look", "fleet", EVERY)
        except Exception as error:
            _not_watched(None, error)
            return False

    def look(self, tenants: Iterable[TenantEntry]) -> None:
        """Everything of everybody."""
        self._carefully(self._dead_letters)
        for tenant in tenants:
            self.failures(tenant)
            self._carefully(functools.partial(self._waiting, tenant), tenant.tenant)

    def failures(self, tenant: TenantEntry) -> None:
        """Runs that failed a moment ago, and the files that were given up with them."""
        self._carefully(lambda: self._failures(tenant), tenant.tenant)

    def refusals(self, tenant: TenantEntry, job: str, glue_run: str) -> None:
        """Files of which a run that ended well could use no row."""
        self._carefully(functools.partial(self._refusals, tenant, job, glue_run), tenant.tenant)

    def errand_failed(self, tenant: TenantEntry, errand: Errand) -> None:
        self.alerts.tell(alerts.errand_failed(errand), tenant)

    def _carefully(self, work: Callable[[], None], tenant: str | None = None) -> None:
        try:
            work()
        except Exception as error:
            _not_watched(tenant, error)

    # -- failed runs ---------------------------------------------------------------------------------------------

    def _failures(self, tenant: TenantEntry) -> None:
        since = self.clock() - RECENT
        for run in self.ledger.runs(tenant.tenant, limit=RUNS):
            failed = run.state in {HeaderState.FAILED, HeaderState.FENCED} and run.ended and run.ended > since
            if failed and not is_busy(run.error):
                self._failed(tenant, run)

    def _failed(self, tenant: TenantEntry, run: RunState) -> None:
        members = chunks.members(self.ledger.store, tenant.tenant, run.run)
        if run.attempt <= MAX_ATTEMPTS:
            # Halves of a batch that failed often enough fail on the way to the one file that is the matter.
            self.alerts.tell(alerts.batch_failed(tenant.tenant, run, members), tenant)
        for member in members if run.files == 1 else ():
            claim = self.ledger.store.get(Claim, claim_key(tenant.tenant, member.id, run.job))
            if claim is not None and claim.st == ClaimState.DEAD:
                self.alerts.tell(alerts.file_quarantined(tenant.tenant, run, member, claim.reason), tenant)

    def _refusals(self, tenant: TenantEntry, job: str, glue_run: str) -> None:
        for run in self.ledger.runs(tenant.tenant, job, limit=RUNS):
            if run.glue_run != glue_run or run.state != HeaderState.COMPLETED:
                continue
            results = chunks.results(self.ledger.store, tenant.tenant, run.run)
            refused = []
            for member in chunks.members(self.ledger.store, tenant.tenant, run.run):
                rows, _, reason = results.get(member.id, (0, 0, None))
                if rows == 0 and reason:
                    refused.append((member, reason))
            if refused:
                self.alerts.tell(alerts.files_refused(tenant.tenant, run, refused), tenant)

    # -- what waits ----------------------------------------------------------------------------------------------

    def _waiting(self, tenant: TenantEntry) -> None:
        for dataset in self.ledger.datasets(tenant.tenant):
            for stage, job in enumerate(tenant.jobs):
                for oldest in self.ledger.waiting(tenant.tenant, dataset.dataset, job, limit=1):
                    since = max(oldest.arrived_at, oldest.retry_at or oldest.arrived_at)
                    if since <= self._late(dataset, stage):
                        why = self._why(tenant, job, dataset)
                        self.alerts.tell(alerts.waiting_too_long(dataset, job, oldest, why), tenant)

    def _late(self, dataset: DatasetEntry, stage: int) -> datetime:
        """What waits since then or longer should have been started."""
        now = self.clock()
        if stage == 0 and dataset.schedule is not None:
            return last_due(dataset.schedule, now - PATIENCE)
        return now - max(3 * timedelta(seconds=dataset.max_wait_s if stage == 0 else 0), PATIENCE)

    def _why(self, tenant: TenantEntry, job: str, dataset: DatasetEntry) -> str:
        open_runs = self.ledger.open_runs(tenant.tenant)
        for run in open_runs:
            if (run.job, run.dataset) == (job, dataset.dataset):
                return f"run {run.run} works on this dataset since {run.started:%Y-%m-%d %H:%M} UTC"
        if len(open_runs) >= tenant.max_in_flight:
            return f"{len(open_runs)} runs of the tenant are open, its tier lets {tenant.max_in_flight} run at a time"
        return "no run of it is open; the log of dispatch says why none was started"

    def _dead_letters(self) -> None:
        name = "ApproximateNumberOfMessages"
        answer = self.sqs.get_queue_attributes(QueueUrl=self.dead_letter_queue, AttributeNames=[name])
        depth = int(answer["Attributes"][name])
        if depth:
            self.alerts.tell(alerts.dead_letters(depth), None)


def _not_watched(tenant: str | None, error: Exception) -> None:
    journal.write("not_watched", tenant=tenant, error=type(error).__name__, why=str(error))
