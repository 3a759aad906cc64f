"""Lambda that closes batches, begins runs and starts the tenants' Glue jobs.

`ingestion.dispatch.handler` takes three kinds of payload:

    {"tenant": …, "dataset": …, "job": …}    register: something arrived that may start at once
    a "Glue Job State Change" event          a run ended: settle it, then see what of its tenant waits
    anything else, `{}`                      the scheduled look at everything, which also puts dead runs in order

Each is safe to repeat and to run beside the others: the ledger lets one run per tenant, dataset and job be open.
"""

import functools
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from glue_scripts.arguments import run_options
from ingestion import journal
from ingestion.batching import AT_ONCE, Candidate, Rule, Share, choose, close
from ingestion.settings import Settings
from lineage.errors import NothingClaimed, RunNotOpen, RunOpen
from lineage.ledger import Ledger
from lineage.values import ACTIVE, DatasetEntry, Member, RunState, TenantEntry

ENDED_BADLY = {"FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"}
BUSY = {"ConcurrentRunsExceededException", "ThrottlingException", "ResourceNumberLimitExceededException"}
TRIES = 5
LATE_NOTES_S = (0.5, 2.0)
SIDE_BY_SIDE = 8  # more than 15 parallel StartJobRun calls were seen throttled
MOST_FILES = 5_000  # members of one run, whatever a dataset asks: claiming more takes longer than a function may run


@dataclass(frozen=True, kw_only=True)
class Batch:
    candidate: Candidate
    members: tuple[Member, ...]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one tenant has in flight, and what of it could start."""

    share: Share
    batches: list[Batch]


def handler(event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
    """Entry point of the Lambda function; gives the runs it started."""
    del context
    return {"started": dispatcher().handle(event)}


@functools.cache
def dispatcher() -> "Dispatcher":
    """Made at the first event of a container, not at import: clients need the container's environment."""
    import boto3

    return Dispatcher(Ledger(Settings.from_environment(os.environ).ledger), boto3.client("glue"))


class Dispatcher:
    def __init__(
        self,
        ledger: Ledger,
        glue: Any,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        side_by_side: int = SIDE_BY_SIDE,
    ) -> None:
        self.ledger = ledger
        self.glue = glue
        self.clock = clock
        self.sleep = sleep
        self.side_by_side = side_by_side

    def handle(self, event: Mapping[str, Any]) -> list[str]:
        if "tenant" in event:
            tenant = self.ledger.tenant(event["tenant"])
            return self.dispatch([tenant], (event["dataset"], event["job"]))
        if event.get("detail-type") == "Glue Job State Change":
            return self._ended(event["detail"])
        return self._look_at_everything()

    def _look_at_everything(self) -> list[str]:
        for done in self.ledger.recover():
            journal.write(
                "recovered", tenant=done.tenant, dataset=done.dataset, job=done.job, run=done.run, outcome=done.outcome
            )
        return self.dispatch(self.ledger.tenants())

    def _ended(self, detail: Mapping[str, Any]) -> list[str]:
        """A Glue run changed state. Runs of other jobs than the lake's are none of ours."""
        owner = self.ledger.owner_of_glue_job(detail["jobName"])
        if owner is None:
            return []
        tenant, job = owner
        state = detail["state"]
        if state in ENDED_BADLY or state == "SUCCEEDED":
            self._settle(tenant, job, detail)
        return self.dispatch([self.ledger.tenant(tenant)])

    def _settle(self, tenant: str, job: str, detail: Mapping[str, Any]) -> None:
        """A run that Glue says has ended but the ledger holds open has died without committing."""
        run = self._open_run(tenant, job, detail)
        if run is None:
            return
        ending = "ended without committing" if detail["state"] == "SUCCEEDED" else detail["state"]
        error = f"Glue run {detail['jobRunId']}: {ending}. {detail.get('message', '')}".strip()
        failed = self.ledger.fail(run, error)
        journal.write(
            "run_died", tenant=tenant, job=job, run=run.run, glue_run=detail["jobRunId"], error=error, closed=failed
        )

    def _open_run(self, tenant: str, job: str, detail: Mapping[str, Any]) -> RunState | None:
        """The ledger's open run behind a Glue run.

        A run that fails as it starts can be told of before the dispatch that started it has noted its id.
        """
        run = self.ledger.open_run_of_glue(tenant, job, detail["jobRunId"])
        for pause in LATE_NOTES_S if detail["state"] in ENDED_BADLY else ():
            if run is not None:
                break
            self.sleep(pause)
            run = self.ledger.open_run_of_glue(tenant, job, detail["jobRunId"])
        return run

    # -- what starts ---------------------------------------------------------------------------------------------

    def dispatch(self, tenants: Iterable[TenantEntry], only: tuple[str, str] | None = None) -> list[str]:
        """Closes what can be closed, starts what may start; gives the runs. `only` one (dataset, job).

        A tenant whose entries cannot be read does not keep the others waiting; it is raised at the end.
        """
        active = {tenant.tenant: tenant for tenant in tenants if tenant.state == ACTIVE}
        looks = self._side_by_side(lambda tenant: self._look(tenant, only), active.values())
        seen = {name: look for name, look in zip(active, looks, strict=True) if isinstance(look, Look)}
        batches = {batch.candidate: batch for look in seen.values() for batch in look.batches}
        chosen = choose(batches, {name: look.share for name, look in seen.items()})
        runs = self._side_by_side(lambda one: self._start(active[one.tenant], batches[one]), chosen)
        for look in looks:
            if isinstance(look, Exception):
                raise look
        return [run for run in runs if run]

    def _side_by_side(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        listed = list(items)
        if len(listed) < 2 or self.side_by_side < 2:
            return [work(item) for item in listed]
        with ThreadPoolExecutor(min(self.side_by_side, len(listed))) as pool:
            return list(pool.map(work, listed))

    def _look(self, tenant: TenantEntry, only: tuple[str, str] | None) -> "Look | Exception":
        try:
            share = self._share(tenant)
            return Look(share=share, batches=self._batches(tenant, share, only))
        except Exception as error:
            journal.write("not_looked_at", tenant=tenant.tenant, error=type(error).__name__, why=str(error))
            return error

    def _share(self, tenant: TenantEntry) -> Share:
        busy = frozenset((slot.job, slot.dataset) for slot in self.ledger.slots(tenant.tenant))
        # What a tenant's tier lets it run side by side is also its weight against others.
        return Share(max_in_flight=tenant.max_in_flight, busy=busy, weight=max(1, tenant.max_in_flight))

    def _batches(self, tenant: TenantEntry, share: Share, only: tuple[str, str] | None) -> list[Batch]:
        if len(share.busy) >= share.max_in_flight:
            return []
        batches = [
            self._batch(tenant.tenant, dataset, job, stage)
            for dataset in self._datasets(tenant.tenant, only)
            for stage, job in enumerate(tenant.jobs)
            if only in (None, (dataset.dataset, job)) and (job, dataset.dataset) not in share.busy
        ]
        return [batch for batch in batches if batch]

    def _datasets(self, tenant: str, only: tuple[str, str] | None) -> list[DatasetEntry]:
        return [self.ledger.dataset(tenant, only[0])] if only else self.ledger.datasets(tenant)

    def _batch(self, tenant: str, dataset: DatasetEntry, job: str, stage: int) -> Batch | None:
        rule = rule_of(dataset) if stage == 0 else AT_ONCE
        waiting = self.ledger.waiting(tenant, dataset.dataset, job, limit=rule.max_files)
        members = close(waiting, rule, self.clock())
        if not members:
            return None
        candidate = Candidate(
            tenant=tenant, dataset=dataset.dataset, job=job, oldest=members[0].arrived_at, stage=stage
        )
        return Batch(candidate=candidate, members=tuple(members))

    def _start(self, tenant: TenantEntry, batch: Batch) -> str | None:
        one = batch.candidate
        named = {"tenant": one.tenant, "dataset": one.dataset, "job": one.job}
        try:
            run = self.ledger.begin(one.tenant, one.job, one.dataset, batch.members)
        except (RunOpen, NothingClaimed, RunNotOpen) as lost:
            journal.write("not_begun", **named, why=str(lost))  # another dispatch was faster
            return None
        try:
            glue_run = self._start_job_run(tenant.jobs[one.job], run)
        except Exception as error:
            self.ledger.fail(self.ledger.run(one.tenant, run), f"could not be started: {error}", counts=False)
            journal.write("not_started", **named, run=run, error=type(error).__name__, why=str(error))
            return None
        self.ledger.started(one.tenant, one.job, run, glue_run)
        journal.write("started", **named, run=run, glue_run=glue_run, files=len(batch.members))
        return run

    def _start_job_run(self, glue_job: str, run: str) -> str:
        """Waits, each time longer and jittered, while Glue is busy."""
        for attempt in range(1, TRIES + 1):
            try:
                answer = self.glue.start_job_run(JobName=glue_job, Arguments=run_options(run))
            except Exception as error:
                if attempt == TRIES or _code(error) not in BUSY:
                    raise
                self.sleep(random.uniform(0.5, 1) * 2 ** (attempt - 1))  # noqa: S311 - jitter
            else:
                return str(answer["JobRunId"])
        raise AssertionError("unreachable")


def rule_of(dataset: DatasetEntry) -> Rule:
    return Rule(
        max_wait=timedelta(seconds=dataset.max_wait_s),
        max_files=min(dataset.max_files, MOST_FILES),
        max_bytes=dataset.max_bytes,
    )


def _code(error: Exception) -> str:
    response: Mapping[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))
