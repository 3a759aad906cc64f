"""Lambda that compares a tenant's bucket with the ledger: registers what events missed, mends what stands still.

`ingestion.reconcile.handler`, called daily by the clock and by `lake reconcile` and `lake backfill`:

    {}                                 every tenant that does not leave: calls itself for each, and does not wait
    {"tenant": …, "task": …,           one tenant; the answer is the report (see `findings.Report`)
     "prefix": "raw/…",                only keys that begin so
     "grace_s": 900,                   younger objects are left alone: their events may be on the way
     "oldest_s": 2592000,              older objects that nobody registered are reported, not registered
     "staging_grace_s": 86400,         how long what no commit names is kept
     "budget_s": 60,                   stop after so long, at the latest shortly before the function's own end
     "resume": "raw/…",                go on behind this key, where a report stopped
     "dry_run": true,
     "goes_on": true}                  when time is up, call itself for the rest

Task `reconcile` looks at everything; `backfill` only registers what lies under raw/, whatever its age. The bucket is
listed, never read, and whatever is registered takes the way of register. Safe to repeat and to run beside itself.
"""

import functools
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ingestion import alerts, journal
from ingestion.alerts import Alerts
from ingestion.findings import Report
from ingestion.listing import place
from ingestion.order import Order
from ingestion.settings import Settings
from ingestion.visit import Visit
from lineage.bucket_owner import insisting
from lineage.ledger import Ledger
from lineage.notices import Notices
from lineage.values import OFFBOARDING, TenantEntry

FOLDERS = 20
LAST_S = 60.0  # of the function's time, for what follows the walk


def handler(event: Mapping[str, Any], context: Any = None) -> dict[str, Any]:
    """Entry point of the Lambda function."""
    left = getattr(context, "get_remaining_time_in_millis", None)
    return reconciler().handle(event, left_s=(left() / 1000 if left else None))


@functools.cache
def reconciler() -> "Reconciler":
    """Made at the first event of a container, not at import: clients need the container's environment."""
    import boto3

    settings = Settings.from_environment(os.environ)
    ledger = Ledger(settings.ledger)
    told = Alerts(Notices(ledger), boto3.client("sns"), topic=settings.topic, environment=settings.environment)
    s3 = insisting(boto3.client("s3"), settings.account)
    return Reconciler(ledger, s3, boto3.client("lambda"), settings, alerts=told)


class Reconciler:
    def __init__(
        self,
        ledger: Ledger,
        s3: Any,
        functions: Any,
        settings: Settings,
        *,
        alerts: Alerts | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.ledger = ledger
        self.s3 = s3
        self.functions = functions
        self.settings = settings
        self.alerts = alerts
        self.clock = clock

    def handle(self, event: Mapping[str, Any], left_s: float | None = None) -> dict[str, Any]:
        if "tenant" not in event:
            return self._all(event)
        order = Order.of(event)
        if order.goes_on and self.ledger.tenant(order.tenant).state == OFFBOARDING:
            journal.write("reconcile_left_alone", tenant=order.tenant, state=OFFBOARDING)
            return {"tenant": order.tenant, "left_alone": OFFBOARDING}
        report = self.reconcile(order, left_s)
        if report.resume is not None and order.goes_on:
            self._go_on(order, event, report.resume)
        return report.as_json()

    def _go_on(self, order: Order, event: Mapping[str, Any], resume: str) -> None:
        """Only from further on: what ends a row of calls that call themselves is the end of the listing."""
        if order.resume is not None and place(resume) <= place(order.resume):
            raise RuntimeError(f"reconcile of {order.tenant} came no further than {resume}; it is not called again")
        self._call({**event, "resume": resume})

    def _all(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """A call of its own for each tenant: a bucket that cannot be listed stops no other.

        One that leaves is left alone: what events missed goes with its bucket, and what stands still ends with it. Were
        it taken back, the next day's call would find all of it.
        """
        called: list[str] = []
        failed: dict[str, str] = {}
        staying = (entry.tenant for entry in self.ledger.tenants() if entry.state != OFFBOARDING)
        for tenant in sorted(staying):
            payload = {**event, "tenant": tenant, "goes_on": True}
            Order.of(payload)
            try:
                self._call(payload)
            except Exception as error:
                failed[tenant] = f"{type(error).__name__}: {error}"
            else:
                called.append(tenant)
        journal.write("reconcile_called", tenants=called, failed=failed)
        if failed:
            raise RuntimeError(f"reconcile could not be called for {failed}")
        return {"tenants": called}

    def _call(self, payload: Mapping[str, Any]) -> None:
        self.functions.invoke(
            FunctionName=self.settings.reconcile_function,
            InvocationType="Event",
            Payload=json.dumps(payload).encode(),
        )

    def reconcile(self, order: Order, left_s: float | None = None) -> Report:
        visit = Visit(self.ledger, self.s3, order, began=self.clock())
        report = visit.run(_deadline(order, left_s))
        if not order.dry_run:
            self._tell_dispatch(order.tenant, visit.started)
            self._tell_owner(visit.tenant, visit.unrouted)
        journal.write("reconciled", task=order.task, prefix=order.prefix, **_summary(report))
        return report

    def _tell_dispatch(self, tenant: str, started: Iterable[tuple[str, str]]) -> None:
        for dataset, job in sorted(started):
            payload = {"tenant": tenant, "dataset": dataset, "job": job}
            try:
                self.functions.invoke(
                    FunctionName=self.settings.dispatch_function,
                    InvocationType="Event",
                    Payload=json.dumps(payload).encode(),
                )
            except Exception as error:  # the files are in the ledger; the scheduled dispatch finds them
                journal.write("dispatch_not_told", **payload, error=type(error).__name__, why=str(error))

    def _tell_owner(self, tenant: TenantEntry, unrouted: Iterable[str]) -> None:
        """One alert per folder, of the first few: the report and the ledger list them all."""
        if self.alerts is None:
            return
        by_folder: dict[str, list[str]] = {}
        for key in unrouted:
            by_folder.setdefault(alerts.folder_of(key), []).append(key)
        for keys in list(by_folder.values())[:FOLDERS]:
            self.alerts.tell(alerts.unrouted(tenant.tenant, min(keys), len(keys) - 1), tenant)


def _deadline(order: Order, left_s: float | None) -> float:
    """In the seconds of `time.monotonic`."""
    limits = [left_s - LAST_S if left_s is not None else None, order.budget_s]
    return time.monotonic() + min((limit for limit in limits if limit is not None), default=float("inf"))


def _summary(report: Report) -> dict[str, Any]:
    answer = report.as_json()
    return {name: answer[name] for name in ("tenant", "dry_run", "listed", "young", "counts", "staging", "resume")}
