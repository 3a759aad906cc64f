"""When a tenant's tables are maintained, and what becomes of an errand whose Glue run died."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from glue_scripts.arguments import PROCESSED_TO_ANALYTICS
from ingestion import journal
from ingestion.glue import GlueJobs
from lineage.errands import Errands
from lineage.ledger import Ledger
from lineage.values import Errand, ErrandState, ErrandTask, HeaderState, RunState, TenantEntry

COMMITS = 20
"""Commits to a tenant's tables after which maintaining them is worth a run before a day is over."""

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
"""At least so long between two errands, however many commits there are."""

LOST_AFTER = timedelta(hours=3)  # the job's timeout is two
ERRANDS = 20
OPEN = {ErrandState.ASKED, ErrandState.RUNNING}


class Maintenance:
    def __init__(
        self,
        ledger: Ledger,
        jobs: GlueJobs,
        *,
        worth: int = COMMITS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.ledger = ledger
        self.errands = Errands(ledger)
        self.jobs = jobs
        self.worth = worth
        self.clock = clock

    def look(self, tenant: TenantEntry) -> Errand | None:
        """Asks for maintenance if it is time and starts it; ends errands that nobody works on any more."""
        if tenant.errand_job is None:
            return None
        errands = self.errands.list(tenant.tenant, ERRANDS)
        for errand in errands:
            since = errand.started or errand.asked
            if errand.state in OPEN and since + LOST_AFTER < self.clock():
                error = f"no sign of its end since {since:%Y-%m-%d %H:%M} UTC"
                self.errands.fail(tenant.tenant, errand.id, error)
        last = next((errand for errand in errands if errand.task == ErrandTask.MAINTAIN), None)
        if any(errand.state in OPEN for errand in errands) or not self._is_time(tenant.tenant, last):
            return None
        return self._start(tenant, tenant.errand_job)

    def _is_time(self, tenant: str, last: Errand | None) -> bool:
        now = self.clock()
        if last is not None and now - last.asked < HOUR:
            return False
        # Runs that failed stand between those that committed.
        runs = self.ledger.runs(tenant, PROCESSED_TO_ANALYTICS, limit=3 * self.worth)
        ended = [_end(run) for run in runs if run.state == HeaderState.COMPLETED]
        commits = [end for end in ended if last is None or end >= last.asked]
        since = last.asked if last else min(commits, default=now)
        return len(commits) >= self.worth or (bool(commits) and now - since > DAY)

    def _start(self, tenant: TenantEntry, glue_job: str) -> Errand | None:
        errand = self.errands.ask(tenant.tenant, ErrandTask.MAINTAIN, {"dataset": None, "dry_run": False})
        try:
            glue_run = self.jobs.start(glue_job, errand.id)
        except Exception as error:
            self.errands.fail(tenant.tenant, errand.id, f"could not be started: {error}")
            journal.write(
                "errand_not_started", tenant=tenant.tenant, errand=errand.id, error=type(error).__name__, why=str(error)
            )
            return None
        journal.write("errand_started", tenant=tenant.tenant, task=errand.task, errand=errand.id, glue_run=glue_run)
        return errand

    def ended(self, tenant: str, detail: Mapping[str, Any]) -> Errand | None:
        """A Glue run of the job has ended: its errand, which is FAILED now if the run did not finish it."""
        asked = self.jobs.started_for(detail["jobName"], detail["jobRunId"])
        if asked is None:
            return None
        ending = "ended without finishing it" if detail["state"] == "SUCCEEDED" else detail["state"]
        error = f"Glue run {detail['jobRunId']}: {ending}. {detail.get('message', '')}".strip()
        if self.errands.fail(tenant, asked, error):
            journal.write("errand_died", tenant=tenant, errand=asked, error=error)
        return self.errands.get(tenant, asked)


def _end(run: RunState) -> datetime:
    return run.ended or run.started
