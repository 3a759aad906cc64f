"""Lambda on the arrivals queue: enters each new object in the ledger, and only then acknowledges its message.

`ingestion.register.handler`, SQS event in, `{"batchItemFailures": […]}` out. What fails stays in the queue, and after
its last try in the dead-letter queue. When something arrived that may start at once, dispatch is told; when something
arrived that no contract takes, its owner.
"""

import functools
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from glue_scripts.arguments import PROCESSED_TO_ANALYTICS, RAW_TO_PROCESSED
from ingestion import alerts, arrival, journal
from ingestion.alerts import Alerts
from ingestion.arrival import Arrival
from ingestion.errors import UnknownBucket
from ingestion.listing import RAW
from ingestion.settings import Settings
from lineage import commits, routing
from lineage.audit import Audit, Entry
from lineage.holds import is_held
from lineage.ledger import Ledger
from lineage.notices import Notices
from lineage.receipts import Receipt
from lineage.values import DatasetEntry, FileVersion, TenantEntry

CACHE_S = 5.0
"""How long a container believes what it read about a tenant: a hold is in force as soon."""

TOLD_S = 60.0
"""How long an owner is not told the same again, without asking the ledger whether a day has passed."""

QUIET_S = 1.0
"""How long dispatch is not told the same thing again: a dispatch that was told a moment ago has started what waited,
and the end of that run makes it look again. A burst of a thousand files would else start a thousand functions."""

SAME_MOMENT = timedelta(seconds=2)
"""How far S3's listing, whose times have seconds, and an event may differ about when an object came."""

FOLDER_MARKER = "folder marker: an empty object that stands for a folder"
NO_CONTRACT = "no contract matches the key"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an arrival belongs: a dataset and the job that takes it, or the reason why nowhere."""

    dataset: str | None = None
    job: str | None = None
    reason: str | None = None


@dataclass
class _Known:
    tenant: TenantEntry
    datasets: list[DatasetEntry]
    until: float


@dataclass
class Directory:
    """Tenants by bucket, and their datasets, remembered for `CACHE_S`."""

    ledger: Ledger
    _known: dict[str, _Known] = field(default_factory=dict)

    def of_bucket(self, bucket: str, *, fresh: bool = False) -> tuple[TenantEntry, list[DatasetEntry]]:
        known = self._known.get(bucket)
        if fresh or known is None or known.until < time.monotonic():
            known = self._read(bucket)
            self._known[bucket] = known
        return known.tenant, known.datasets

    def entry(self, tenant: str) -> TenantEntry | None:
        """A tenant that was read before."""
        return next((known.tenant for known in self._known.values() if known.tenant.tenant == tenant), None)

    def _read(self, bucket: str) -> _Known:
        # Never from the payload: whoever can put an event on a bus can write any name into it, but only the bucket's
        # owner can make S3 send this one.
        tenant = self.ledger.tenant_of_bucket(bucket)
        if tenant is None:
            raise UnknownBucket(
                f"bucket {bucket}: no tenant has it; deploy its tenant (lake deploy) and redrive the dead-letter queue"
            )
        return _Known(self.ledger.tenant(tenant), self.ledger.datasets(tenant), time.monotonic() + CACHE_S)


def handler(event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
    """Entry point of the Lambda function."""
    del context
    return registrar().register(event["Records"])


@functools.cache
def registrar() -> "Registrar":
    """Made at the first event of a container, not at import: clients need the container's environment."""
    import boto3

    settings = Settings.from_environment(os.environ)
    ledger = Ledger(settings.ledger)
    alerts = Alerts(Notices(ledger), boto3.client("sns"), topic=settings.topic, environment=settings.environment)
    return Registrar(ledger, boto3.client("lambda"), settings.dispatch_function, alerts=alerts)


class Registrar:
    def __init__(self, ledger: Ledger, functions: Any, dispatch_function: str, *, alerts: Alerts | None = None) -> None:
        self.ledger = ledger
        self.audit = Audit(ledger)
        self.directory = Directory(ledger)
        self.functions = functions
        self.dispatch_function = dispatch_function
        self.alerts = alerts
        """None: nobody is told of anything."""
        self.told: dict[tuple[str, str, str], float] = {}

    def register(self, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        failed: list[str] = []
        receipts: dict[str, Receipt] = {}
        for record in records:
            try:
                receipts[record["messageId"]] = self._receipt(arrival.parse(record["body"]))
            except Exception as error:  # whatever it is, the message must stay in the queue and the others go on
                failed.append(record["messageId"])
                _failed(record["messageId"], error)
        entered, refused = self._enter(receipts)
        self._tell_owners([receipt.file for receipt in entered if receipt.reason == NO_CONTRACT])
        self._tell_dispatch([receipt.file for receipt in entered if receipt.job and not receipt.held])
        return {"batchItemFailures": [{"itemIdentifier": message} for message in failed + refused]}

    def _receipt(self, arrived: Arrival) -> Receipt:
        tenant, place = self._place(arrived)
        if arrived.version is None and arrived.key.startswith(RAW):
            arrived = self._as_listed(arrived, tenant.tenant)
        return receipt_of(arrived, tenant, place)

    def _as_listed(self, arrived: Arrival, tenant: str) -> Arrival:
        """An event without a version id, as the local cloud's are, told apart by what its object holds.

        If reconcile was here before it, the object is entered under the version id that the listing has: a redriven
        dead letter would enter it again under another name.
        """
        entries = self.audit.of_key(tenant, arrived.key, RAW_TO_PROCESSED)
        listed = next((entry for entry in entries if _is_listed(entry, arrived)), None)
        if listed is None or listed.arrived_at is None:
            return arrived
        return replace(arrived, version=listed.version, sequencer="", arrived_at=listed.arrived_at)

    def _enter(self, receipts: Mapping[str, Receipt]) -> tuple[list[Receipt], list[str]]:
        """What is new, and the messages that could not be entered. Together if possible, else one by one."""
        try:
            new = self.ledger.receive_all(list(receipts.values()))
        except Exception as error:
            if len(receipts) < 2:
                for message in receipts:
                    _failed(message, error)
                return [], list(receipts)
            alone = [self._enter({message: receipt}) for message, receipt in receipts.items()]
            return [one for entered, _ in alone for one in entered], [one for _, refused in alone for one in refused]
        for receipt, is_new in zip(receipts.values(), new, strict=True):
            _entered(receipt, is_new=is_new)
        return [receipt for receipt, is_new in zip(receipts.values(), new, strict=True) if is_new], []

    def _place(self, arrived: Arrival) -> tuple[TenantEntry, Place]:
        tenant, datasets = self.directory.of_bucket(arrived.bucket)
        place = place_of(arrived, datasets)
        if place.reason == NO_CONTRACT:
            # A contract deployed a moment ago must not be missed because of what is remembered.
            tenant, datasets = self.directory.of_bucket(arrived.bucket, fresh=True)
            place = place_of(arrived, datasets)
        return tenant, place

    def _tell_dispatch(self, new: list[FileVersion]) -> None:
        for tenant, dataset, job in sorted({(file.tenant, file.dataset or "", job_of(file.key)) for file in new}):
            if self._was_told(tenant, dataset, job):
                continue
            payload = {"tenant": tenant, "dataset": dataset, "job": job}
            try:
                if not self._may_start(tenant, dataset, job, new):
                    continue
                self.functions.invoke(
                    FunctionName=self.dispatch_function, InvocationType="Event", Payload=json.dumps(payload).encode()
                )
            except Exception as error:  # the files are in the ledger; the scheduled dispatch finds them
                journal.write("dispatch_not_told", **payload, error=type(error).__name__, why=str(error))
            else:
                self.told[tenant, dataset, job] = time.monotonic()

    def _tell_owners(self, unrouted: Sequence[FileVersion]) -> None:
        """One alert per folder, however many files came: the ledger lists them all."""
        by_folder: dict[tuple[str, str], list[str]] = {}
        for file in unrouted:
            by_folder.setdefault((file.tenant, alerts.folder_of(file.key)), []).append(file.key)
        for (tenant, folder), keys in by_folder.items():
            if self.alerts is None or self._was_told(tenant, folder, NO_CONTRACT, within=TOLD_S):
                continue
            self.alerts.tell(alerts.unrouted(tenant, min(keys), len(keys) - 1), self.directory.entry(tenant))
            self.told[tenant, folder, NO_CONTRACT] = time.monotonic()

    def _was_told(self, tenant: str, what: str, of: str, *, within: float = QUIET_S) -> bool:
        before = self.told.get((tenant, what, of))
        return before is not None and time.monotonic() - before < within

    def _may_start(self, tenant: str, dataset: str, job: str, new: Iterable[FileVersion]) -> bool:
        """Nothing of it runs, and it waits for nothing, or these arrivals alone fill a batch.

        A batch that fills little by little is closed by the scheduled dispatch: counting what waits on every event
        would read the waiting list once per file. So is every batch of a dataset with a schedule.
        """
        if any((slot.job, slot.dataset) == (job, dataset) for slot in self.ledger.slots(tenant)):
            return False
        if job != RAW_TO_PROCESSED:
            return True
        rule = self.ledger.dataset(tenant, dataset)
        if rule.schedule is not None:
            return False
        sizes = [file.size for file in new if (file.tenant, file.dataset) == (tenant, dataset)]
        return rule.max_wait_s == 0 or len(sizes) >= rule.max_files or sum(sizes) >= rule.max_bytes


def receipt_of(arrived: Arrival, tenant: TenantEntry, place: Place) -> Receipt:
    """What is entered of an arrival at its place."""
    file = FileVersion(
        tenant=tenant.tenant,
        dataset=place.dataset,
        key=arrived.key,
        version=arrived.version,
        size=arrived.size,
        etag=arrived.etag,
        arrived_at=arrived.arrived_at,
        sequencer=arrived.sequencer,
    )
    return Receipt(file=file, job=place.job, held=is_held(tenant), reason=place.reason)


def place_of(arrived: Arrival, datasets: Iterable[DatasetEntry]) -> Place:
    """Where an arrival belongs. Everything under raw/ is entered, a folder marker too: as UNROUTED, with the reason."""
    if not arrived.key.startswith(RAW):
        commit = commits.parse(arrived.key)
        return Place(dataset=commit.dataset, job=PROCESSED_TO_ANALYTICS) if commit else Place(reason=NO_CONTRACT)
    if arrived.is_folder_marker:
        return Place(reason=FOLDER_MARKER)
    rules = [routing.Rule(dataset=entry.dataset, files=entry.files) for entry in datasets]
    dataset = routing.dataset_of(arrived.key, rules)
    return Place(dataset=dataset, job=RAW_TO_PROCESSED) if dataset else Place(reason=NO_CONTRACT)


def _is_listed(entry: Entry, arrived: Arrival) -> bool:
    """Whether reconcile entered it, which knows no sequencers: the same bytes, put at the same moment."""
    if entry.version is None or entry.sequencer or entry.arrived_at is None:
        return False
    same = (entry.etag, entry.size) == (arrived.etag, arrived.size)
    return same and abs(entry.arrived_at - arrived.arrived_at) <= SAME_MOMENT


def job_of(key: str) -> str:
    return RAW_TO_PROCESSED if key.startswith(RAW) else PROCESSED_TO_ANALYTICS


def _entered(receipt: Receipt, *, is_new: bool) -> None:
    file = receipt.file
    outcome = "held" if receipt.held else "received"
    journal.write(
        "arrival",
        tenant=file.tenant,
        dataset=file.dataset,
        key=file.key,
        version=file.version,
        outcome=(outcome if receipt.job else "unrouted") if is_new else "duplicate",
        reason=receipt.reason,
    )


def _failed(message: str, error: Exception) -> None:
    journal.write("arrival_failed", message=message, error=type(error).__name__, why=str(error))
