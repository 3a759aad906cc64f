"""One look at one tenant's bucket and ledger: what is missing in either, and what stands still."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from glue_scripts.arguments import PROCESSED_TO_ANALYTICS, RAW_TO_PROCESSED
from ingestion import journal, listing
from ingestion.arrival import Arrival
from ingestion.findings import Report
from ingestion.ghosts import Ghosts, Seen
from ingestion.listing import RAW, StoredObject
from ingestion.order import Order
from ingestion.register import NO_CONTRACT, place_of, receipt_of
from ingestion.staging import Staging, Verdict
from lineage import commits
from lineage.audit import Audit, Entry
from lineage.ledger import Ledger
from lineage.receipts import Receipt
from lineage.table import file_id, node_id
from lineage.values import ClaimState, FileVersion, HeaderState

PAGE = 500  # versions that are looked up together
MOST = 200_000  # objects in one call: their ids are held in memory
DELETES = 1_000  # keys in one DeleteObjects, S3's limit
ENDED = {HeaderState.COMPLETED, HeaderState.FAILED, HeaderState.FENCED}


@dataclass(frozen=True, kw_only=True)
class Found:
    """An object, the file it would be entered as, and the entry of the ledger that is its own, if there is one."""

    thing: StoredObject
    receipt: Receipt
    entry: Entry | None

    @property
    def is_missing(self) -> bool:
        """Not registered, or only half: register died between the file and its claim."""
        if self.thing.deleted:
            return False
        return self.entry is None or (self.entry.claim is None and self.entry.dataset is not None)


class Visit:
    """One look, or the part of it for which there is time."""

    def __init__(self, ledger: Ledger, s3: Any, order: Order, *, began: datetime) -> None:
        self.ledger = ledger
        self.audit = Audit(ledger)
        self.s3 = s3
        self.order = order
        self.began = began
        self.tenant = ledger.tenant(order.tenant)
        self.datasets = ledger.datasets(order.tenant)
        self.report = Report(tenant=order.tenant, dry_run=order.dry_run)
        self.seen = Seen()
        self.started: set[tuple[str, str]] = set()
        """(dataset, job) of what was registered and may start."""
        self.unrouted: list[str] = []
        """Keys that were registered and that no contract takes."""
        self.staging = Staging(
            self.audit,
            order.tenant,
            before=began - timedelta(seconds=order.staging_grace_s),
            exists=lambda key: listing.exists(s3, self.tenant.bucket, key),
            buries=not order.dry_run,
        )

    def run(self, deadline: float = float("inf")) -> Report:
        """Until the end, or past `deadline` of time.monotonic to the end of a page."""
        if not self.order.is_backfill and self.order.resume is None:
            self._mend()
        end = self._walk(deadline)
        if not self.order.is_backfill:
            self._report_buried()
            Ghosts(
                audit=self.audit,
                tenant=self.tenant,
                order=self.order,
                began=self.began,
                seen=self.seen,
                staging=self.staging,
                report=self.report,
                end=end,
            ).find()
        self.report.resume = end
        return self.report

    def _walk(self, deadline: float) -> str | None:
        """The key at which it stopped before the end."""
        for page in self._pages():
            (self._raw if page[0].key.startswith(RAW) else self._written)(page)
            self.report.listed += len(page)
            if time.monotonic() > deadline or self.report.listed >= MOST:
                return page[-1].key
        return None

    def _pages(self) -> Iterator[list[StoredObject]]:
        """Whole keys, arrived or written but not both, about `PAGE` versions."""
        page: list[StoredObject] = []
        for versions in listing.walk(self.s3, self.tenant.bucket, self.order.prefix, self.order.resume):
            if page and (len(page) >= PAGE or page[0].key.startswith(RAW) != versions[0].key.startswith(RAW)):
                yield page
                page = []
            page += versions
        if page:
            yield page

    def _is_young(self, thing: StoredObject) -> bool:
        return thing.modified_at > self.began - self.order.grace

    # -- what arrived --------------------------------------------------------------------------------------------

    def _raw(self, page: Sequence[StoredObject]) -> None:
        found = self._matched(page)
        self.seen.keys.update(file_id(thing.key) for thing in page)
        self.seen.nodes.update(one.entry.node for one in found if one.entry)
        self._free([one.entry for one in found if one.entry], RAW_TO_PROCESSED)
        missing = [one for one in found if one.is_missing]
        self.report.young += sum(self._is_young(one.thing) for one in missing)
        self._enter([one.receipt for one in missing if not self._is_young(one.thing) and self._may_enter(one)])

    def _matched(self, page: Sequence[StoredObject]) -> list[Found]:
        """By version id; where events carry none, by key, content and count."""
        receipts = [self._receipt(thing, thing.version, thing.modified_at) for thing in page]
        nodes = [node_of(receipt.file) for receipt in receipts]
        entries = self.audit.entries(self.tenant.tenant, [(node, RAW_TO_PROCESSED) for node in nodes])
        keys = sorted({thing.key for thing, node in zip(page, nodes, strict=True) if node not in entries})
        of_keys = self.ledger.store.each(lambda key: self.audit.of_key(self.tenant.tenant, key, RAW_TO_PROCESSED), keys)
        others = dict(zip(keys, of_keys, strict=True))
        taken = set(entries)
        found: list[Found] = []
        for thing, receipt, node in zip(page, receipts, nodes, strict=True):
            entry = entries.get(node) or _same_content(thing, others[thing.key], taken)
            found.append(Found(thing=thing, receipt=self._as_entered(receipt, thing, entry), entry=entry))
        return found

    def _as_entered(self, receipt: Receipt, thing: StoredObject, entry: Entry | None) -> Receipt:
        """What was entered half is entered as the same file."""
        if entry is None or entry.arrived_at is None:
            return receipt
        return self._receipt(thing, entry.version, entry.arrived_at, entry.sequencer)

    def _receipt(self, thing: StoredObject, version: str | None, arrived_at: datetime, sequencer: str = "") -> Receipt:
        arrived = Arrival(
            bucket=self.tenant.bucket,
            key=thing.key,
            version=version,
            size=thing.size,
            etag=thing.etag,
            sequencer=sequencer,
            arrived_at=arrived_at,
        )
        return receipt_of(arrived, self.tenant, place_of(arrived, self.datasets))

    def _may_enter(self, one: Found) -> bool:
        file = one.receipt.file
        why = self._why_not(file, one.thing.modified_at)
        if why is None:
            return True
        self.report.orphans.add(key=file.key, version=file.version, size=file.size, why=why)
        return False

    def _why_not(self, file: FileVersion, since: datetime) -> str | None:
        """Why an object that the ledger does not know may have been processed all the same, or was never meant to."""
        oldest, unknown = self.order.oldest, self.unknown_batches[file.dataset]
        if self.ledger.lifetimes(file.tenant).may_be_forgotten(RAW.rstrip("/"), since, self.began):
            return (
                "older than what the ledger remembers, for its retention was raised since: to process it, put it anew"
            )
        if unknown:
            return (
                f"the ledger does not know {unknown} runs of {file.dataset}, which may have read it: "
                f"run `lake rebuild-ledger {file.tenant}` first"
            )
        if oldest is not None and since < self.began - oldest:
            return f"no entry in {oldest.days} days: `lake backfill {file.tenant} --prefix …` registers it"
        return None

    @cached_property
    def unknown_batches(self) -> Counter[str | None]:
        """Dataset → its commit objects of which the ledger knows nothing: it was lost, or is older than the bucket."""
        unknown: Counter[str | None] = Counter()
        for dataset in self.datasets:
            listed = listing.walk(self.s3, self.tenant.bucket, commits.folder(dataset.dataset))
            grown = [thing for versions in listed for thing in versions if not self._is_young(thing)]
            entries = self._entries_of_written(grown)
            for thing in grown:
                commit = commits.parse(thing.key)
                if commit is not None and not self.staging.knows(commit, entries.get(node_id(thing.key, None))):
                    unknown[dataset.dataset] += 1
        return unknown

    def _enter(self, receipts: Sequence[Receipt]) -> None:
        """Together if possible, else one by one: one that cannot be entered keeps no other out."""
        try:
            new = [True for _ in receipts] if self.order.dry_run else self.ledger.receive_all(receipts)
        except Exception as error:
            if len(receipts) < 2:
                self._not_entered(receipts[0].file, error)
            else:
                for receipt in receipts:
                    self._enter([receipt])
            return
        for receipt, is_new in zip(receipts, new, strict=True):
            if is_new:
                self._entered(receipt)

    def _entered(self, receipt: Receipt) -> None:
        file = receipt.file
        if receipt.job is not None and file.dataset is not None and not receipt.held:
            self.started.add((file.dataset, receipt.job))
        if receipt.reason == NO_CONTRACT:
            self.unrouted.append(file.key)
        self.report.registered.add(
            key=file.key,
            version=file.version,
            dataset=file.dataset,
            size=file.size,
            state="UNROUTED" if receipt.job is None else "HELD" if receipt.held else "RECEIVED",
            reason=receipt.reason,
        )

    def _not_entered(self, file: FileVersion, error: Exception) -> None:
        why = f"could not be registered: {type(error).__name__}: {error}"
        journal.write("not_registered", tenant=file.tenant, key=file.key, version=file.version, why=why)
        self.report.orphans.add(key=file.key, version=file.version, size=file.size, why=why)

    # -- what jobs wrote -----------------------------------------------------------------------------------------

    def _written(self, page: Sequence[StoredObject]) -> None:
        self.seen.nodes.update(node_id(thing.key, None) for thing in page)
        entries = self._entries_of_written(page)
        grown = [thing for thing in page if not self._is_young(thing)]
        named = {node for node, entry in entries.items() if entry.run}
        self.report.young += sum(self._is_young(thing) and node_id(thing.key, None) not in named for thing in page)
        self._free([entry for entry in entries.values() if entry.claim], PROCESSED_TO_ANALYTICS)
        judged: dict[Verdict, list[StoredObject]] = {verdict: [] for verdict in Verdict}
        for thing in grown:
            judged[self.staging.verdict(thing, entries.get(node_id(thing.key, None)))].append(thing)
        for thing in judged[Verdict.ORPHAN]:
            self.report.orphans.add(key=thing.key, version=None, size=thing.size, why=self._why_orphan(thing))
        self._clean(judged[Verdict.STAGING])
        self._enter_commits([*judged[Verdict.COUNTS], *judged[Verdict.KEPT]], entries)

    def _entries_of_written(self, things: Iterable[StoredObject]) -> dict[str, Entry]:
        return self.audit.entries(
            self.tenant.tenant, [(node_id(thing.key, None), PROCESSED_TO_ANALYTICS) for thing in things]
        )

    def _why_orphan(self, thing: StoredObject) -> str:
        if commits.is_commit(thing.key):
            return f"its batch is not in the ledger: run `lake rebuild-ledger {self.tenant.tenant}`"
        return str(Verdict.ORPHAN)

    def _clean(self, things: Sequence[StoredObject]) -> None:
        staging = self.report.staging
        staging.found += len(things)
        staging.bytes += sum(thing.size for thing in things)
        for start in range(0, 0 if self.order.dry_run else len(things), DELETES):
            keys = [{"Key": thing.key} for thing in things[start : start + DELETES]]
            answer = self.s3.delete_objects(Bucket=self.tenant.bucket, Delete={"Objects": keys, "Quiet": True})
            refused = answer.get("Errors", [])
            staging.removed += len(keys) - len(refused)
            for one in refused:
                journal.write("not_deleted", tenant=self.tenant.tenant, key=one.get("Key"), why=one.get("Message"))

    def _enter_commits(self, things: Iterable[StoredObject], entries: dict[str, Entry]) -> None:
        """Commit objects whose event was missed: the next job waits for them."""
        written = [thing for thing in things if commits.is_commit(thing.key)]
        missed = [thing for thing in written if not _has_claim(entries.get(node_id(thing.key, None)))]
        # No version id: a key that is written once needs none, and its run may know one that this listing would undo.
        self._enter([self._receipt(thing, None, thing.modified_at) for thing in missed])

    # -- what stands still ---------------------------------------------------------------------------------------

    def _mend(self) -> None:
        for stuck in self.audit.stuck(self.tenant.tenant):
            done = "found" if self.order.dry_run else self.audit.repair(self.tenant.tenant, stuck)
            self.report.stuck.add(
                what=stuck.what, subject=stuck.subject, dataset=stuck.dataset, job=stuck.job, why=stuck.why, done=done
            )

    def _free(self, entries: Iterable[Entry], job: str) -> None:
        """Claims whose run has ended and been tidied up without them: nobody else comes by."""
        for entry in entries:
            if entry.claim != ClaimState.CLAIMED or entry.owner_state not in ENDED or not entry.owner_tidy:
                continue
            done = "found" if self.order.dry_run else self.audit.free(self.tenant.tenant, entry.node, job)
            if done:
                why = f"claimed by run {entry.owner}, which is {entry.owner_state}"
                self.report.stuck.add(
                    what="claim", subject=entry.key, dataset=entry.dataset, job=job, why=why, done=done
                )

    def _report_buried(self) -> None:
        for commit in self.staging.buried:
            self.report.stuck.add(
                what="commit",
                subject=commits.key_of(*commit),
                dataset=commit.dataset,
                job=PROCESSED_TO_ANALYTICS,
                why="its run died after writing it, and its files went through, or ended, in other batches",
                done="found" if self.order.dry_run else "settled",
            )


def _same_content(thing: StoredObject, entries: Iterable[Entry], taken: set[str]) -> Entry | None:
    """The oldest entry without a version id that holds the same bytes and is no other version's."""
    same = [
        entry
        for entry in entries
        if entry.version is None and (entry.etag, entry.size) == (thing.etag, thing.size) and entry.node not in taken
    ]
    first = min(same, key=lambda entry: entry.arrived_at or thing.modified_at, default=None)
    if first is not None:
        taken.add(first.node)
    return first


def _has_claim(entry: Entry | None) -> bool:
    return entry is not None and entry.claim is not None


def node_of(file: FileVersion) -> str:
    return f"{file.fid}.{file.ver}"
