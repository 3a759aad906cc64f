"""The end of a tenant in one account, step by step: each is written down once done, and each may be done again.

What a step knows lies in a folder of the bucket that holds the deploys' record, which is there before any stack and
after the tenant's. Whoever begins again, reads it and goes on: intent ─► stilled ─► exported ─► emptied ─► dissolved ─►
forgotten ─► locked ─► certificate. The key goes last: as long as a version or a row is there, it can be read.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError

from deployment.certificates import certificate_of
from deployment.dissolution import Dissolution
from deployment.errors import DeployError
from deployment.exports import Export
from deployment.inventory import Inventory, is_there
from deployment.keys import TenantKey
from deployment.parts import Folder, Parts
from deployment.remnants import KINDS, Clients, Place, is_gone

__all__ = [
    "CERTIFICATE",
    "EXPORTED",
    "INTENT",
    "LEDGER",
    "Offboarding",
    "Rows",
    "amendments_in",
    "destination",
    "folder_of",
    "latest",
]

INTENT, CERTIFICATE = "intent.json", "certificate.json"
AMENDMENT, EXPORTED = "amendment-", "exported.json"
LEDGER = "ledger"
IN_FLIGHT = {"RUNNING", "STARTING", "STOPPING", "WAITING"}
PATIENCE, LOOK = 900.0, 5.0  # seconds for runs in flight, and between two looks
UPLOADS_REFUSED = "OffboardingRefusesUploads"

Say = Callable[[str], None]
Result = dict[str, Any]


class Rows(Protocol):
    """A tenant's rows of the ledger, as JSON."""

    def chunks(self) -> Iterator[Sequence[Mapping[str, Any]]]:
        """A pass over what is left."""

    def delete(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """What is gone already is no error."""


def folder_of(s3: Any, bucket: str, platform_stack: str, tenant: str) -> Folder:
    """Where everything lies that was ever put down about the end of a tenant."""
    return Folder(s3, bucket, f"deployments/{platform_stack}/offboarding/{tenant}/")


def latest(folder: Folder) -> int:
    """Number of the newest end of a tenant, of which an id that was taken again has several; 0 for none."""
    numbers = [each.rstrip("/") for each in folder.names() if each.endswith("/")]
    return max((int(each) for each in numbers if each.isdecimal()), default=0)


def amendments_in(folder: Folder) -> list[Result]:
    """In their order."""
    names = [name for name in folder.names() if name.startswith(AMENDMENT)]
    return [dict(json.loads(folder.get(name) or b"{}")) for name in names]


def destination(terms: Mapping[str, Any]) -> Result:
    """Where an export goes: of an intent, an amendment, or `offboarding:` as it was deployed."""
    return {name: terms.get(name) for name in ("export", "export_account")}


@dataclass
class Offboarding:
    """One end of one tenant. `folder` is that of this end; its guard is asked before each call that changes something.

    `export` is None where the tenant wants nothing. `by` is who runs this.
    """

    place: Place
    clients: Clients
    folder: Folder
    rows: Rows
    export: Export | None
    by: str
    say: Say = lambda _text: None
    patience: float = PATIENCE
    sleep: Callable[[float], None] = time.sleep
    inventory: Inventory = field(init=False)

    def __post_init__(self) -> None:
        self.inventory = Inventory(self.clients("s3"), self.place.names.bucket, self.folder, self.say)
        self.archive = Parts(self.folder.below(LEDGER))
        self.key = TenantKey(self.clients, self.place.names, self.folder.guard)

    def begin(self, facts: Mapping[str, Any]) -> Result:
        """Write the intent: who asked, who runs it, and what stands. The first one holds."""
        known = self.folder.document(INTENT)
        if known is not None:
            self._amend(known, facts)
            return known
        names = self.place.names
        dissolution = self._dissolution()
        resources = dissolution.resources()
        intent = {
            "format": 1,
            "at": now(),
            "by": self.by,
            **facts,
            "tenant": names.tenant,
            "stack": names.stack,
            "account": self.place.account,
            "region": self.place.region,
            "names": names.resources(),
            "jobs": list(self.place.jobs),
            "key": self.key.found(resources),
            "resources": resources,
        }
        self.folder.once(INTENT, text_of(intent))
        return self.folder.document(INTENT) or intent

    def _amend(self, intent: Result, facts: Mapping[str, Any]) -> None:
        """Until everything is exported, the tenant may name another place."""
        amendments = self.amendments()
        was = (amendments or [intent])[-1]
        terms = destination(facts)
        if terms != destination(was) and not self.is_exported:
            body = text_of({"at": now(), "by": self.by, **terms})
            self.folder.once(f"{AMENDMENT}{len(amendments) + 1:03}.json", body)

    def amendments(self) -> list[Result]:
        return amendments_in(self.folder)

    @property
    def is_exported(self) -> bool:
        return self.folder.get(EXPORTED) is not None

    def run(self) -> Result:
        """Everything after the intent; the certificate."""
        intent = self.folder.document(INTENT)
        if intent is None:
            raise DeployError(f"{self.folder.address}{INTENT}: is not there; the offboarding has not begun")
        steps = {
            "stilled": self._still,
            "exported": self._exported,
            "emptied": self._empty,
            "dissolved": self._dissolve,
            "forgotten": self._forget,
            "locked": lambda: self._lock(intent),
        }
        done = {name: self._once(name, step) for name, step in steps.items()}
        certificate = certificate_of(intent, done, self._counts(), self.amendments(), by=self.by, at=now())
        return dict(json.loads(self.folder.once(CERTIFICATE, text_of(certificate))))

    def _once(self, name: str, step: Callable[[], Result]) -> Result:
        known = self.folder.document(f"{name}.json")
        if known is not None:
            return known
        self.say(f"{name}: beginning")
        self.folder.guard()
        done = {"at": now(), "by": self.by, **step()}
        done["at"] = now()
        return dict(json.loads(self.folder.once(f"{name}.json", text_of(done))))

    # -- quiet -----------------------------------------------------------------------------------------------------

    def _still(self) -> Result:
        """Nothing comes in any more: no event, no upload, no run."""
        self.key.keep(self.folder.document(INTENT) or {})
        try:
            self.clients("events").disable_rule(Name=self.place.names.rule)
        except ClientError as error:
            if not is_gone(error):
                raise
        self._refuse_uploads()
        self._wait()
        return {}

    def _refuse_uploads(self) -> None:
        s3, bucket = self.clients("s3"), self.place.names.bucket
        if not is_there(s3, bucket):
            return
        try:
            policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
                raise
            policy = {"Version": "2012-10-17", "Statement": []}
        if any(each.get("Sid") == UPLOADS_REFUSED for each in policy["Statement"]):
            return
        policy["Statement"].append(uploads_refused(bucket, self.place.partition))
        self.folder.guard()
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    def _wait(self) -> None:
        waited = 0.0
        while runs := list(self._in_flight()):
            if waited >= self.patience:
                raise DeployError(
                    f"tenant {self.place.names.tenant}: {', '.join(runs)} still in flight after {waited:.0f} s; "
                    "nothing was deleted: stop them (`aws glue batch-stop-job-run`) or run the command again later"
                )
            self.say(f"waiting for {', '.join(runs)}")
            self.sleep(LOOK)
            waited += LOOK

    def _in_flight(self) -> Iterator[str]:
        glue = self.clients("glue")
        for job in self.place.jobs:
            try:
                runs = glue.get_job_runs(JobName=job)["JobRuns"]
            except ClientError as error:
                if not is_gone(error):
                    raise
                continue
            yield from (f"run {run['Id']} of {job}" for run in runs if run["JobRunState"] in IN_FLIGHT)

    # -- data ------------------------------------------------------------------------------------------------------

    def _exported(self) -> Result:
        if self.export is None:
            return {"to": None}
        if not is_there(self.clients("s3"), self.place.names.bucket):
            raise DeployError(
                f"bucket {self.place.names.bucket}: is gone, and was to be exported to {self.export.target.address}; "
                "say `export: none` in tenants.yaml, and --export none here, if that is known and accepted"
            )
        return self.export.run()

    def _empty(self) -> Result:
        self.inventory.empty()
        return asdict(self.inventory.counts())

    def _counts(self) -> Result:
        """By what was written down before it was deleted, whenever that was."""
        return {
            "bucket": asdict(self.inventory.counts()),
            "inventory": asdict(self.inventory.versions.summary()),
            "uploads": asdict(self.inventory.uploads.summary()),
            "ledger": asdict(self.archive.summary()),
        }

    # -- what stands -----------------------------------------------------------------------------------------------

    def _dissolution(self) -> Dissolution:
        return Dissolution(self.clients("cloudformation"), self.place.names.stack, self.folder, self.say, self.sleep)

    def _dissolve(self) -> Result:
        """The workgroup and the catalog before the stack, which could not delete them while something is in them."""
        removed = list(self._removed("workgroup", "database"))
        self._dissolution().run()
        # Of a stack whose deletion somebody else had begun, the key may have gone along.
        self.key.keep(self.folder.document(INTENT) or {})
        removed += self._removed()
        return {"removed": removed}

    def _removed(self, *kinds: str) -> Iterator[dict[str, str]]:
        """One by one, whatever stands of these kinds, or of all."""
        for kind in KINDS:
            if kinds and kind.name not in kinds:
                continue
            for name in kind.find(self.place, self.clients):
                self.say(f"removing {kind.name} {name}")
                if kind.name == "bucket":
                    self._remove_bucket(name)
                else:
                    self.folder.guard()
                    kind.remove(self.place, self.clients, name)
                yield {"kind": kind.name, "name": name}

    def _remove_bucket(self, name: str) -> None:
        """With its stack went its policy: something may have come in since it was empty."""
        while is_there(self.clients("s3"), name):
            self.inventory.empty()
            self.folder.guard()
            try:
                self.clients("s3").delete_bucket(Bucket=name)
            except ClientError as error:
                if error.response["Error"]["Code"] not in {"BucketNotEmpty", "NoSuchBucket"}:
                    raise

    # -- ledger and key --------------------------------------------------------------------------------------------

    def _forget(self) -> Result:
        """Each part of the archive is written before its rows are deleted; until a whole pass finds none."""
        if rows := self.archive.last():
            self.rows.delete(rows)
        while self._forget_once():
            pass
        return asdict(self.archive.summary())

    def _forget_once(self) -> int:
        found = 0
        for rows in self.rows.chunks():
            self.archive.add(rows)
            self.folder.guard()
            self.rows.delete(rows)
            found += len(rows)
            self.say(f"{found:,} rows of the ledger archived and deleted")
        return found

    def _lock(self, intent: Mapping[str, Any]) -> Result:
        """The last thing: what was left by then, nobody could read again. So whatever came back goes before it."""
        removed = list(self._removed())
        while self._forget_once():
            pass
        return {"removed": removed, **self.key.schedule(intent)}


def uploads_refused(bucket: str, partition: str) -> dict[str, Any]:
    """By anybody; multipart uploads are the same action."""
    return {
        "Sid": UPLOADS_REFUSED,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:{partition}:s3:::{bucket}/*",
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def text_of(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1).encode()
