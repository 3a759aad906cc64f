"""Lambda that closes batches, begins runs and starts the tenants' Glue jobs.

`ingestion.dispatch.handler` takes three kinds of payload:

    {"tenant": …, "dataset": …, "job": …}    register: something arrived that may start at once
    a "Glue Job State Change" event          a run ended: settle it, then see what of its tenant waits
    anything else, `{}`                      the scheduled look at everything, which also puts dead runs in order,
                                             lets go what was held, and now and then looks after what waits too long,
                                             failed, or should be maintained

Each is safe to repeat and to run beside the others: the ledger lets one run per tenant, dataset and job be open, and of
a tenant only as many as it may have in flight.
"""

import functools
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from glue_scripts.arguments import MAINTAIN, RAW_TO_PROCESSED
from ingestion import journal
from ingestion.alerts import Alerts
from ingestion.batching import AT_ONCE, Candidate, Rule, Share, choose, close
from ingestion.glue import GlueJobs
from ingestion.maintenance import Maintenance
from ingestion.schedules import last_due
from ingestion.settings import Settings
from ingestion.watch import Watch
from lineage.errors import NothingClaimed, RunNotOpen, RunOpen
from lineage.holds import Holds, is_held
from lineage.ledger import Ledger
from lineage.notices import Notices
from lineage.values import DatasetEntry, ErrandState, Member, RunState, TenantEntry, batch_of

ENDED_BADLY = {"FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"}
LATE_NOTES_S = (0.5, 2.0)
SIDE_BY_SIDE = 8  # more than 15 parallel StartJobRun calls were seen throttled
MOST_FILES = 5_000  # members of one run, whatever a dataset asks: claiming more takes longer than a function may run
WHOLE_GROUPS = 2 * MOST_FILES  # waiting files that are read where a shorter look would show half a group


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

    settings = Settings.from_environment(os.environ)
    ledger = Ledger(settings.ledger)
    alerts = Alerts(Notices(ledger), boto3.client("sns"), topic=settings.topic, environment=settings.environment)
    watch = Watch(ledger, alerts, boto3.client("sqs"), settings.dead_letter_queue)
    return Dispatcher(ledger, boto3.client("glue"), watch=watch)


class Dispatcher:
    def __init__(
        self,
        ledger: Ledger,
        glue: Any,
        *,
        watch: Watch | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        side_by_side: int = SIDE_BY_SIDE,
    ) -> None:
        self.ledger = ledger
        self.holds = Holds(ledger)
        self.jobs = GlueJobs(glue, sleep=sleep)
        self.maintenance = Maintenance(ledger, self.jobs, clock=clock)
        self.watch = watch
        """None: nobody is told of anything."""
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
        tenants = self.ledger.tenants()
        at_work = [tenant for tenant in tenants if not is_held(tenant)]
        self._side_by_side(self._let_go, at_work)
        try:
            return self.dispatch(tenants)
        finally:
            self._look_after(at_work)

    def _let_go(self, tenant: TenantEntry) -> None:
        """What was entered as HELD by a register that did not know yet that the tenant was released."""
        try:
            count = self.holds.drain(tenant.tenant)
        except Exception as error:
            journal.write("not_let_go", tenant=tenant.tenant, error=type(error).__name__, why=str(error))
        else:
            if count:
                journal.write("let_go", tenant=tenant.tenant, files=count)

    def _look_after(self, tenants: Sequence[TenantEntry]) -> None:
        """What is no hurry, after what is; nothing here may keep runs from being started."""
        if self.watch is None or not self.watch.is_time():
            return
        self.watch.look(tenants)
        self._side_by_side(self._maintain, tenants)

    def _maintain(self, tenant: TenantEntry) -> None:
        try:
            self.maintenance.look(tenant)
        except Exception as error:
            journal.write("not_maintained", tenant=tenant.tenant, error=type(error).__name__, why=str(error))

    def _ended(self, detail: Mapping[str, Any]) -> list[str]:
        """A Glue run changed state. Runs of other jobs than the lake's are none of ours."""
        owner = self.ledger.owner_of_glue_job(detail["jobName"])
        if owner is None or detail["state"] not in {*ENDED_BADLY, "SUCCEEDED"}:
            return []
        tenant, job = self.ledger.tenant(owner[0]), owner[1]
        if job == MAINTAIN:
            self._errand_ended(tenant, detail)
            return []
        self._settle(tenant.tenant, job, detail)
        if self.watch and detail["state"] in ENDED_BADLY:
            self.watch.failures(tenant)
        elif self.watch and job == RAW_TO_PROCESSED:
            self.watch.refusals(tenant, job, detail["jobRunId"])
        return self.dispatch([tenant])

    def _errand_ended(self, tenant: TenantEntry, detail: Mapping[str, Any]) -> None:
        errand = self.maintenance.ended(tenant.tenant, detail)
        if self.watch and errand and errand.state == ErrandState.FAILED and errand.task == MAINTAIN:
            self.watch.errand_failed(tenant, errand)

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

        A tenant that cannot be read, or whose run cannot be begun, does not keep the others waiting; it is raised at
        the end.
        """
        active = {tenant.tenant: tenant for tenant in tenants if not is_held(tenant)}
        looks = self._side_by_side(lambda tenant: self._look(tenant, only), active.values())
        seen = {name: look for name, look in zip(active, looks, strict=True) if isinstance(look, Look)}
        batches = {batch.candidate: batch for look in seen.values() for batch in look.batches}
        chosen = choose(batches, {name: look.share for name, look in seen.items()})
        runs = self._side_by_side(lambda one: self._carefully(active[one.tenant], batches[one]), chosen)
        for done in (*looks, *runs):
            if isinstance(done, Exception):
                raise done
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
        now = self.clock()
        rule = rule_of(dataset, now) if stage == 0 else AT_ONCE
        waiting = self.ledger.waiting(tenant, dataset.dataset, job, limit=rule.max_files)
        if len(waiting) == rule.max_files and any(member.group for member in waiting):
            waiting = self.ledger.waiting(tenant, dataset.dataset, job, limit=WHOLE_GROUPS)
        members = close(waiting, rule, now, lambda files: batch_of(files, job, dataset.dataset))
        if not members:
            return None
        candidate = Candidate(
            tenant=tenant, dataset=dataset.dataset, job=job, oldest=members[0].arrived_at, stage=stage
        )
        return Batch(candidate=candidate, members=tuple(members))

    def _carefully(self, tenant: TenantEntry, batch: Batch) -> str | Exception | None:
        try:
            return self._start(tenant, batch)
        except Exception as error:
            journal.write("start_failed", tenant=tenant.tenant, error=type(error).__name__, why=str(error))
            return error

    def _start(self, tenant: TenantEntry, batch: Batch) -> str | None:
        one = batch.candidate
        named = {"tenant": one.tenant, "dataset": one.dataset, "job": one.job}
        try:
            run = self.ledger.begin(one.tenant, one.job, one.dataset, batch.members)
        except (RunOpen, NothingClaimed, RunNotOpen) as lost:
            journal.write("not_begun", **named, why=str(lost))  # another dispatch was faster
            return None
        try:
            glue_run = self.jobs.start(tenant.jobs[one.job], run)
        except Exception as error:
            self.ledger.fail(self.ledger.run(one.tenant, run), f"could not be started: {error}", counts=False)
            journal.write("not_started", **named, run=run, error=type(error).__name__, why=str(error))
            if self.watch:
                self.watch.failures(tenant)
            return None
        self.ledger.started(one.tenant, one.job, run, glue_run)
        journal.write("started", **named, run=run, glue_run=glue_run, files=len(batch.members))
        return run


def rule_of(dataset: DatasetEntry, now: datetime) -> Rule:
    return Rule(
        max_wait=timedelta(seconds=dataset.max_wait_s),
        max_files=min(dataset.max_files, MOST_FILES),
        max_bytes=dataset.max_bytes,
        due=last_due(dataset.schedule, now) if dataset.schedule else None,
    )
