"""Lambda that closes batches, begins runs and starts the tenants' Glue jobs.

`ingestion.dispatch.handler` takes three kinds of payload:

    {"tenant": …, "dataset": …, "job": …}    register: something arrived that may start at once
    a "Glue Job State Change" event          a run ended: settle it, then see what of its tenant waits
    anything else, `{}`                      the scheduled look at everything, which also puts dead runs in order,
                                             lets go what was held, and now and then looks after what waits too long,
                                             failed, or should be maintained

Each is safe to repeat and to run beside the others: the ledger lets one run per tenant, dataset and job be open, and of
a tenant only as many as it may have in flight.

An account has so many places for Glue's runs and no more. Whom Glue refused waits in line (`lineage.turns`), and while
somebody does, an end offers its place to all who wait, the tenant with the fewest runs first, instead of giving it to
the tenant whose run it was; and an arrival makes its tenant join the line. A tenant whose own job runs as often as it
may stands in nobody's way: it waits in no line, but for the end of its own runs.
"""

import functools
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from glue_scripts.arguments import MAINTAIN, RAW_TO_PROCESSED
from ingestion import journal
from ingestion.alerts import Alerts
from ingestion.batching import AT_ONCE, Candidate, Rule, Share, choose, close
from ingestion.errors import JobFull, NoPlace, Refused
from ingestion.glue import GlueJobs, is_job_full
from ingestion.maintenance import Maintenance
from ingestion.schedules import last_due
from ingestion.settings import Settings
from ingestion.watch import Watch
from lineage.errors import NothingClaimed, RunNotOpen, RunOpen, Unreadable
from lineage.holds import Holds, is_held
from lineage.ledger import Ledger
from lineage.notices import Notices
from lineage.turns import Turns
from lineage.values import (
    MOST_FILES,
    DatasetEntry,
    ErrandState,
    ErrandTask,
    HeaderState,
    Member,
    RunState,
    TenantEntry,
    batch_of,
)

ENDED_BADLY = {"FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"}
LATE_NOTES_S = (0.5, 2.0)
SIDE_BY_SIDE = 8  # more than 15 parallel StartJobRun calls were seen throttled
WHOLE_GROUPS = 2 * MOST_FILES  # waiting files that are read where a shorter look would show half a group
FULL = 2  # tenants that the account had no place for: one may have asked for more workers than others do
AGAIN_AFTER = timedelta(minutes=1)  # a full job is not tried at each arrival; the next tick tries it
FENCED_LATELY = timedelta(minutes=30)  # three looks of the watch
RUNS = 20  # newest runs of a tenant among which fenced ones are looked for
FROM_LINE = 20  # tenants that an end looks at beside its own: it has one place to give


@dataclass(frozen=True, kw_only=True)
class Batch:
    candidate: Candidate
    members: tuple[Member, ...]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one tenant has in flight, and what of it could start."""

    share: Share
    batches: list[Batch]


@dataclass(kw_only=True)
class Room:
    """What one dispatch finds out about Glue's places. `places`: so many it knows to be free, and tries no more."""

    places: int | None = None
    started: int = 0
    refused: set[str] = field(default_factory=set)
    full_jobs: set[tuple[str, str]] = field(default_factory=set)
    """(tenant, job) that run as often as they may."""

    def is_full(self) -> bool:
        return len(self.refused) >= FULL or (self.places is not None and self.started >= self.places)


Outcome = str | Exception | None
"""Of a start: the run; why not; or None, when that is nothing that waiting for a place would change."""


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
        self.turns = Turns(ledger)
        self.jobs = GlueJobs(glue, sleep=sleep)
        self.maintenance = Maintenance(ledger, self.jobs, clock=clock)
        self.watch = watch
        """None: nobody is told of anything."""
        self.clock = clock
        self.sleep = sleep
        self.side_by_side = side_by_side

    def handle(self, event: Mapping[str, Any]) -> list[str]:
        if "tenant" in event:
            return self._told(self.ledger.tenant(event["tenant"]), (event["dataset"], event["job"]))
        if event.get("detail-type") == "Glue Job State Change":
            return self._ended(event["detail"])
        return self._look_at_everything()

    def _told(self, tenant: TenantEntry, only: tuple[str, str]) -> list[str]:
        """Something arrived. While there is no place, asking Glue again at each arrival would only cost."""
        line = self.turns.waiting()
        if tenant.tenant not in line and len(line) < FULL:
            return [] if self._is_full(tenant.tenant, only[1]) else self.dispatch([tenant], only)
        if tenant.tenant not in line and not is_held(tenant):
            self.turns.wait(tenant.tenant)
        return []

    def _is_full(self, tenant: str, job: str) -> bool:
        """Whether Glue said a moment ago that the job runs as often as it may."""
        since = self.clock() - AGAIN_AFTER
        newest = self.ledger.runs(tenant, job, limit=1)
        return any(run.ended is not None and run.ended > since and is_job_full(run.error) for run in newest)

    def _look_at_everything(self) -> list[str]:
        """What waits comes first: to put in order what one tenant's rows say must not keep the others' runs."""
        tenants = self.ledger.tenants()
        at_work = [tenant for tenant in tenants if not is_held(tenant)]
        self._side_by_side(self._let_go, at_work)
        try:
            started = self.dispatch(tenants)
        finally:
            freed = self._recover({tenant.tenant: tenant for tenant in tenants})
        try:
            return started + (self.dispatch(freed) if freed else [])
        finally:
            self._strip()
            self._look_after(at_work)

    def _strip(self) -> None:
        """What lay where it does not belong in the index costs no second look. Whose it was is for a person to see."""
        try:
            stripped = self.ledger.store.strip()
        except Exception as error:
            journal.write("not_stripped", error=type(error).__name__, why=str(error))
        else:
            if stripped:
                whose = sorted({pk.split("#")[1] for pk, _ in stripped if pk.startswith("T#")})
                journal.write("stripped", rows=len(stripped), tenants=whose[:20], first=stripped[0])

    def _recover(self, tenants: Mapping[str, TenantEntry]) -> list[TenantEntry]:
        """Puts dead runs in order, and ends the Glue runs of those that are fenced now; gives whose files wait anew."""
        recovered = self.ledger.recover()
        for done in recovered:
            journal.write(
                "recovered", tenant=done.tenant, dataset=done.dataset, job=done.job, run=done.run, outcome=done.outcome
            )
            if done.outcome == "fenced" and done.tenant in tenants:
                self._stop_fenced(tenants[done.tenant])
        touched = {done.tenant for done in recovered}
        return [tenant for name, tenant in tenants.items() if name in touched]

    def _stop_fenced(self, tenant: TenantEntry) -> None:
        """Nothing that a fenced run still does counts, but one that hangs keeps its place in Glue until it times out.

        Whoever fenced it: begin does, and reconcile. To stop it again, as the next look may, changes nothing.
        """
        since = self.clock() - FENCED_LATELY
        try:
            for run in self.ledger.runs(tenant.tenant, limit=RUNS):
                if run.state == HeaderState.FENCED and run.glue_run and run.ended and run.ended > since:
                    stopped = self.jobs.stop(tenant.jobs[run.job], run.glue_run)
                    journal.write("fenced", tenant=tenant.tenant, run=run.run, glue_run=run.glue_run, stopped=stopped)
        except Exception as error:
            journal.write("not_stopped", tenant=tenant.tenant, error=type(error).__name__, why=str(error))

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
        self._side_by_side(self._stop_fenced, tenants)
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
            return self.dispatch([], places=1)
        self._carefully_settle(tenant.tenant, job, detail)
        if self.watch and detail["state"] in ENDED_BADLY:
            self.watch.failures(tenant)
        elif self.watch and job == RAW_TO_PROCESSED:
            self.watch.refusals(tenant, job, detail["jobRunId"])
        return self.dispatch([tenant], places=1)

    def _errand_ended(self, tenant: TenantEntry, detail: Mapping[str, Any]) -> None:
        errand = self.maintenance.ended(tenant.tenant, detail)
        if self.watch and errand and errand.state == ErrandState.FAILED and errand.task == ErrandTask.MAINTAIN:
            self.watch.errand_failed(tenant, errand)

    def _carefully_settle(self, tenant: str, job: str, detail: Mapping[str, Any]) -> None:
        try:
            self._settle(tenant, job, detail)
        except Unreadable as error:  # the place that became free is another's all the same
            journal.write("not_settled", tenant=tenant, job=job, glue_run=detail["jobRunId"], why=str(error))

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

    def dispatch(
        self, tenants: Iterable[TenantEntry], only: tuple[str, str] | None = None, *, places: int | None = None
    ) -> list[str]:
        """Closes what can be closed, starts what may start, of these and of who waits in line; gives the runs.

        `only` one (dataset, job) of the tenants; `places`: how many the caller knows to be free, where there are few.
        A tenant that cannot be read, or whose run cannot be begun, does not keep the others waiting; it is raised at
        the end. What a tenant's own jobs may have written is in the log only: it would raise at every look.
        """
        asked = {tenant.tenant: tenant for tenant in tenants}
        line = self.turns.waiting()
        everybody = {**self._from_line(line, asked), **asked}
        active = {name: tenant for name, tenant in everybody.items() if not is_held(tenant)}
        found = self._side_by_side(lambda name: self._look(active[name], only if name in asked else None), active)
        looks = dict(zip(active, found, strict=True))
        outcomes = self._start_some(active, looks, line, places)
        ended = [*looks.items(), *((one.tenant, outcome) for one, outcome in outcomes.items())]
        self._line_up(set(line) & everybody.keys(), ended)
        for _, outcome in ended:
            if isinstance(outcome, Exception) and not isinstance(outcome, (Refused, Unreadable)):
                raise outcome
        return [run for run in outcomes.values() if isinstance(run, str)]

    def _start_some(
        self,
        active: Mapping[str, TenantEntry],
        looks: Mapping[str, Look | Exception],
        line: Sequence[str],
        places: int | None,
    ) -> dict[Candidate, Outcome]:
        """What was chosen, and what came of it. One after the other while somebody waits: else the fastest wins."""
        seen = {name: look for name, look in looks.items() if isinstance(look, Look)}
        batches = {batch.candidate: batch for look in seen.values() for batch in look.batches}
        turns = {name: place for place, name in enumerate(line)}
        shares = {name: replace(look.share, turn=turns.get(name, math.inf)) for name, look in seen.items()}
        chosen = choose(batches, shares)
        room = Room(places=places if len(line) >= FULL else None)
        outcomes = self._side_by_side(
            lambda one: self._in_turn(active[one.tenant], batches[one], room),
            chosen,
            workers=1 if line else self.side_by_side,
        )
        return dict(zip(chosen, outcomes, strict=True))

    def _from_line(self, line: Sequence[str], asked: Mapping[str, TenantEntry]) -> dict[str, TenantEntry]:
        others = set(line[:FROM_LINE]) - asked.keys()
        return {tenant.tenant: tenant for tenant in self.ledger.tenants() if tenant.tenant in others} if others else {}

    def _line_up(self, waited: set[str], ended: Sequence[tuple[str, Look | Outcome]]) -> None:
        """Whom the account refused waits in line, at its end if it got something now; who waits for nothing leaves it.

        So does who waits for its own job. Where that is not known, because something else went wrong, nothing changes:
        a turn ends by itself.
        """
        started = {tenant for tenant, outcome in ended if isinstance(outcome, str)}
        refused = {tenant for tenant, outcome in ended if isinstance(outcome, NoPlace)}
        known = (str, Look, JobFull)
        unknown = {tenant for tenant, outcome in ended if not isinstance(outcome, known)}
        self._side_by_side(self.turns.leave, sorted(waited & started | waited - unknown))
        self._side_by_side(self.turns.wait, sorted(refused))

    def _side_by_side(self, work: Callable[[Any], Any], items: Iterable[Any], *, workers: int = 0) -> list[Any]:
        listed = list(items)
        most = min(workers or self.side_by_side, len(listed))
        if most < 2:
            return [work(item) for item in listed]
        with ThreadPoolExecutor(most) as pool:
            return list(pool.map(work, listed))

    def _look(self, tenant: TenantEntry, only: tuple[str, str] | None) -> Look | Exception:
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

    def _in_turn(self, tenant: TenantEntry, batch: Batch, room: Room) -> Outcome:
        job = tenant.tenant, batch.candidate.job
        if job in room.full_jobs:
            return JobFull("another dataset of the tenant was refused")
        if room.is_full():
            return NoPlace("others were refused, or come first")
        outcome = self._carefully(tenant, batch)
        if isinstance(outcome, NoPlace):
            room.refused.add(tenant.tenant)
        elif isinstance(outcome, JobFull):
            room.full_jobs.add(job)
        elif outcome is not None and not isinstance(outcome, Exception):
            room.started += 1
        return outcome

    def _carefully(self, tenant: TenantEntry, batch: Batch) -> Outcome:
        try:
            return self._start(tenant, batch)
        except Refused as refused:
            return refused
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
            is_full = isinstance(error, Refused)
            why = f"could not be started: {error}"
            self.ledger.fail(self.ledger.run(one.tenant, run), why, counts=False, pauses=not is_full)
            journal.write("not_started", **named, run=run, error=type(error).__name__, why=str(error))
            if is_full:
                raise
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
