"""The end of one tenant in the cell where it stands: whether it may begin, what it works on, who is kept out."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal

from cli import output
from cli.connection import Connection, is_rehearsal
from cli.errors import LakeError, NotFound, WrongInput
from cli.holder import holder, is_dead
from cli.rollout import terms_in
from deployment.certificates import Verification
from deployment.exports import Export, Target
from deployment.inventory import is_there
from deployment.journal import Journal
from deployment.locks import Lock
from deployment.offboarding import (
    CERTIFICATE,
    EXPORTED,
    INTENT,
    Offboarding,
    amendments_in,
    destination,
    folder_of,
    latest,
)
from deployment.parts import Folder, digest
from deployment.records import Record, RecordedOffboarding, Shelf, bucket_of
from deployment.remnants import KINDS, Place

if TYPE_CHECKING:
    from lineage.archive import Archive
    from tenants.model import Offboarding as Terms
    from tenants.model import Tenant

__all__ = ["Departure"]

LEAVING = "offboarding"
LAST_WAIT = 600.0
"""Seconds for another deploy to end, before it is written down that a tenant is certified."""


@dataclass(frozen=True)
class Departure:
    """The end of one tenant in the cell where it stands."""

    connection: Connection
    id: str
    export: str | None = None
    """Where to, or `none`, as whoever runs it has said it once more."""

    @cached_property
    def tenant(self) -> "Tenant":
        return self.connection.registry.known(self.id)

    @property
    def stack(self) -> str:
        return self.connection.names(self.id).stack

    @cached_property
    def clients(self) -> Callable[[str], Any]:
        """Each is made once."""
        return cache(self.connection.client)

    @property
    def s3(self) -> Any:
        return self.clients("s3")

    @cached_property
    def shelf(self) -> Shelf:
        environment = self.connection.environment
        return Shelf(self.s3, bucket_of(environment.account, environment.region), self.connection.platform.stack)

    @property
    def top(self) -> Folder:
        return folder_of(self.s3, self.shelf.bucket, self.shelf.platform_stack, self.id)

    @cached_property
    def place(self) -> Place:
        from glue_scripts.arguments import JOBS, MAINTAIN

        names, environment = self.connection.names(self.id), self.connection.environment
        jobs = tuple(names.job(job) for job in (*JOBS, MAINTAIN))
        return Place(names, environment.account, environment.region, jobs)

    @cached_property
    def archive(self) -> "Archive":
        from lineage.archive import Archive

        return Archive(self.connection.ledger.store, self.id)

    def certified(self) -> dict[str, Any] | None:
        """The certificate of a tenant of which nothing stands since; None while there is something to do."""
        record = self.shelf.read()[0]
        end = record.offboardings.get(self.id)
        if end is None or not end.is_certified or end.certificate is None or self.stack in record.stacks:
            return None
        return self._read(end.certificate)

    def _read(self, key: str) -> dict[str, Any]:
        folder, _, name = key.rpartition("/")
        found = Folder(self.s3, self.shelf.bucket, f"{folder}/").document(name)
        if found is None:
            raise NotFound(f"s3://{self.shelf.bucket}/{key}: is not there, though the record of deploys names it")
        return found

    # -- beginning -------------------------------------------------------------------------------------------------

    def folder(self, record: Record, guard: Callable[[], None] = lambda: None) -> Folder:
        """That of the end which has begun, or of the one that would begin."""
        end, top = record.offboardings.get(self.id), self.top
        number = latest(top)
        if end is not None and not end.is_certified:
            named = end.certificate.rpartition("/")[0].rpartition("/")[2] if end.certificate else ""
            number = int(named or number or 1)
        elif number == 0 or top.below(str(number)).get(CERTIFICATE) is not None:
            number += 1
        return Folder(self.s3, self.shelf.bucket, f"{top.prefix}{number}/", guard)

    def refusal(self, record: Record, now: datetime) -> str | None:
        """Why it may not begin; None if it may, or has."""
        end = record.offboardings.get(self.id)
        if end is not None and not end.is_certified:
            return self._changed(record)
        place, known = self.connection.environment.place, record.stacks.get(self.stack)
        if self.tenant.state != LEAVING:
            return (
                f"tenant {self.id} is `{self.tenant.state}` by tenants.yaml: set `state: offboarding` there, with its "
                "`offboarding:`, and deploy"
            )
        if known is None or known.state != LEAVING or known.since is None:
            return (
                f"tenant {self.id} is not deployed as `offboarding` in {place}: run `lake deploy {self.id}"
                f"{self.connection.suffix}` first"
            )
        if known.terms != terms_in(self.tenant):
            return (
                f"the `offboarding:` of tenant {self.id} in tenants.yaml is not that which was deployed in {place}: "
                f"run `lake deploy {self.id}{self.connection.suffix}` first, or take the file of that deploy"
            )
        over = datetime.fromisoformat(known.since) + timedelta(days=self.terms.grace)
        if now < over:
            return (
                f"tenant {self.id} has until {over.isoformat(timespec='minutes')}: it was deployed as `offboarding` at "
                f"{known.since}, and its grace is {output.counted(self.terms.grace, 'day')}"
            )
        return None

    def _changed(self, record: Record) -> str | None:
        """A file may be another one than that with which it began, such as an old checkout: one word more is needed."""
        folder, terms = self.folder(record), self.tenant.offboarding
        is_exported = folder.get(EXPORTED) is not None
        if terms is None or (is_exported and self.export is None):
            return None
        was, by_file = self._destination(folder, record), destination(terms.model_dump())
        if was == by_file:
            return None
        if is_exported:
            return (
                f"tenant {self.id} is exported already, by `export: {told(was)}`: another place cannot be named any "
                "more; run the command without --export to go on"
            )
        if self.export is None:
            return (
                f"the end of tenant {self.id} has begun with `export: {told(was)}`, and tenants.yaml says `export: "
                f"{told(by_file)}`: if that is meant, say `lake tenant offboard` with --export "
                f"{terms.export or 'none'} as well, else take the file with which it began"
            )
        return None

    def _destination(self, folder: Folder, record: Record) -> dict[str, Any] | None:
        """Of the newest amendment, or the intent; of the deploy while there is none; None where nothing tells."""
        intent, known = folder.document(INTENT), record.stacks.get(self.stack)
        if intent is not None:
            return destination([intent, *amendments_in(folder)][-1])
        return destination(json.loads(known.terms)) if known and known.terms else None

    def insist(self) -> None:
        """Raises WrongInput if another export is named than the file says."""
        if self.export is None:
            return
        by_file = self.terms.export or "none"
        if self.export.removesuffix("/") != by_file.removesuffix("/"):
            raise WrongInput(
                f"--export {self.export}: tenants.yaml says `export: {by_file}` for tenant {self.id}; name the same "
                "in both"
            )

    @property
    def terms(self) -> "Terms":
        if self.tenant.offboarding is None:
            raise WrongInput(f"tenant {self.id} has no `offboarding:` in tenants.yaml")
        return self.tenant.offboarding

    def prospect(self) -> dict[str, Any]:
        """What stands and would go. Nothing changes."""
        self.insist()
        record = self.shelf.read()[0]
        folder = self.folder(record)
        export = self._export(folder) if self.tenant.offboarding and folder.get(EXPORTED) is None else None
        return {
            "tenant": self.id,
            "environment": self.connection.environment.place,
            "refused": self.refusal(record, datetime.now(UTC)) or (export.obstacle() if export else None),
            "export": self.terms.export if self.tenant.offboarding else None,
            "resources": [
                {"kind": kind.name, "name": name} for kind in KINDS for name in kind.find(self.place, self.clients)
            ],
        }

    # -- doing -----------------------------------------------------------------------------------------------------

    def run(self, wait: float) -> dict[str, Any]:
        """Begin or go on, to the certificate. Meanwhile nobody else does; deploys of other tenants may go on."""
        self.insist()
        top = self.top.prefix.removeprefix("deployments/").rstrip("/")
        lock = Lock(self.s3, self.shelf.bucket, top, holder(), is_dead=is_dead, doing=f"offboarding {self.id}")
        lock.take(wait=wait, say=output.message)
        with lock:
            offboarding = self._begun(wait, lock)
            certificate = offboarding.run()
            self._certified(offboarding.folder, max(wait, LAST_WAIT))
        return certificate

    def _begun(self, wait: float, own: Lock) -> Offboarding:
        """The intent is written while no deploy is at work, so that none brings the tenant back."""
        with self._deploying_nothing(wait) as journal:
            refused = self.refusal(journal.known, datetime.now(UTC))
            if refused is not None:
                raise LakeError(refused)
            folder = self.folder(journal.known, own.check)
            end = journal.known.offboardings.get(self.id)
            offboarding = self._offboarding(folder)
            if not offboarding.is_exported:
                self._announce(offboarding)
            if end is None or end.is_certified:
                journal.offboard(self.id, self._end("begun", folder))
            offboarding.begin(self._facts(folder, journal.known))
        return offboarding

    def _announce(self, offboarding: Offboarding) -> None:
        """An export that cannot be made is told while there is a way back."""
        if offboarding.export is not None and is_there(self.s3, self.place.names.bucket):
            environment = self.connection.environment.name
            offboarding.export.announce(
                {"tenant": self.id, "environment": environment, "of": offboarding.folder.address}
            )

    def _end(
        self, state: Literal["begun", "certified"], folder: Folder, sha256: str | None = None
    ) -> RecordedOffboarding:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        intent = folder.document(INTENT)
        reuse = intent["reuse"] if intent else self.terms.reuse
        certificate = folder.key(CERTIFICATE)
        return RecordedOffboarding(state, at, self.stack, reuse, certificate, sha256)

    def _certified(self, folder: Folder, wait: float) -> None:
        with self._deploying_nothing(wait) as journal:
            journal.offboard(self.id, self._end("certified", folder, digest(folder.get(CERTIFICATE) or b"")))

    @contextmanager
    def _deploying_nothing(self, wait: float) -> Iterator[Journal]:
        """No deploy is at work in the cell meanwhile."""
        shelf = self.shelf
        lock = Lock(self.s3, shelf.bucket, shelf.platform_stack, holder(), is_dead=is_dead)
        lock.take(above=shelf.read()[0].fence, wait=wait, say=output.message)
        with lock:
            yield Journal(shelf, lock)

    def _facts(self, folder: Folder, record: Record) -> dict[str, Any]:
        environment, known = self.connection.environment, record.stacks.get(self.stack)
        return {
            "environment": environment.name,
            "cell": environment.cell_name,
            "platform": self.shelf.platform_stack,
            "folder": folder.address,
            "requested_by": self.terms.requested_by,
            "export": self.terms.export,
            "export_account": self.terms.export_account,
            "grace_days": self.terms.grace,
            "offboarding_since": known.since if known else None,
            "reuse": self.terms.reuse,
            "life": self.tenant.life,
            "rehearsal": is_rehearsal(),
        }

    def _offboarding(self, folder: Folder) -> Offboarding:
        return Offboarding(
            place=self.place,
            clients=self.clients,
            folder=folder,
            rows=self.archive,
            export=self._export(folder),
            by=holder().name,
            say=output.message,
        )

    def _export(self, folder: Folder) -> Export | None:
        """To a folder of this end alone: a bucket may take what several tenants leave, and an id may leave twice."""
        terms = self.terms
        if terms.export is None or terms.export_account is None:
            return None
        number = folder.prefix.rstrip("/").rpartition("/")[2]
        target = Target(
            s3=self._takeout(terms.export_account),
            bucket=str(terms.export_bucket),
            prefix=f"{terms.export_prefix}{self.connection.environment.name}/{self.id}/{number}/",
            account=terms.export_account,
        )
        bundles: dict[str, Callable[[], Iterable[Mapping[str, Any]]]] = {
            "openlineage": self._events,
            "ledger": lambda: (row for rows in self.archive.chunks() for row in rows),
        }
        return Export(self.s3, self.place.names.bucket, target, folder, bundles, say=output.message)

    def _takeout(self, account: str) -> Any:
        """A client for the tenant's own bucket, which belongs to another account than ours."""
        import boto3

        from lineage.bucket_owner import insisting

        environment = self.connection.environment
        return insisting(boto3.client("s3", region_name=environment.region), account, source=environment.account)

    def _events(self) -> Iterator[dict[str, Any]]:
        """Every run that the ledger has, as OpenLineage."""
        from lineage import openlineage
        from lineage.audit import Audit
        from lineage.errors import NotInLedger

        ledger, names, environment = self.connection.ledger, self.place.names, self.connection.environment
        profile = openlineage.Profile(
            producer=f"https://{self.shelf.platform_stack}/",
            bucket=names.bucket,
            database=names.database,
            region=environment.region,
            account=environment.account,
        )
        try:
            jobs = list(ledger.tenant(self.id).jobs)
        except NotInLedger:
            return
        for job in jobs:
            for run in Audit(ledger).runs(self.id, job):
                with suppress(NotInLedger):  # its time was over meanwhile
                    yield from openlineage.events(ledger, self.id, run.run, profile)

    # -- verifying -------------------------------------------------------------------------------------------------

    def verification(self, body: bytes, record: Record) -> Verification:
        certificate = json.loads(body)
        end = record.offboardings.get(self.id)
        export = certificate["export"]
        return Verification(
            certificate=certificate,
            place=self.place,
            clients=self.clients,
            folder=Folder(self.s3, self.shelf.bucket, folder_in(certificate)),
            rows=self.archive.chunks,
            known=end.sha256 if end and end.is_certified else None,
            body=body,
            export=self._takeout(export["account"]) if export["to"] else None,
            is_rehearsal=is_rehearsal(),
        )


def told(where: Mapping[str, Any] | None) -> str:
    """As a file says it."""
    if where is None:
        return "?"
    return f"{where['export']}, export_account: {where['export_account']}" if where["export"] else "none"


def folder_in(certificate: Mapping[str, Any]) -> str:
    """Where it says that everything lies: within the bucket, whatever it is said to be called."""
    return str(certificate["folder"]).removeprefix("s3://").partition("/")[2]
