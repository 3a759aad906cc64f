"""The certificate of a tenant's end, and its checks against the account: each says what was looked at and found."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from deployment.keys import PENDING, TenantKey
from deployment.parts import Folder, Parts, digest
from deployment.remnants import KINDS, Clients, Place

__all__ = ["Check", "Verification", "certificate_of", "seal_of", "standing_stack"]

FORMAT = 1
KEPT = "somebody deletes them"
SEAL = "sha256"
REFUSALS = range(400, 500)  # HTTP's, of what was asked for, and not of a service that fails
LISTS = {"inventory": "versions", "uploads": "uploads", "ledger": "ledger"}
"""Which folder of parts stands behind which summary."""

Facts = Mapping[str, Any]


def certificate_of(
    intent: Facts, steps: Mapping[str, Facts], counts: Facts, amendments: Sequence[Facts], *, by: str, at: str
) -> dict[str, Any]:
    """What was deleted, how much of it, when, on whose word and by whom; sealed by its own hash.

    `amendments`: what was changed of the intent before anything was deleted.
    """
    bucket, ledger = counts["bucket"], counts["ledger"]
    told = {
        "format": FORMAT,
        "at": at,
        "by": by,
        **{name: intent[name] for name in TOLD},
        "life": intent.get("life", 1),
        "rehearsal": bool(intent.get("rehearsal")),
        "begun": {"at": intent["at"], "by": intent["by"]},
        "deleted": {
            "object_versions": bucket["versions"],
            "delete_markers": bucket["markers"],
            "bytes": bucket["bytes"],
            "multipart_uploads": bucket["uploads"],
            "ledger_rows": ledger["rows"],
            "resources": resources_of(intent, steps),
        },
        "lists": {name: counts[name] for name in LISTS},
        "export": export_of(steps["exported"], bucket),
        "amendments": list(amendments),
        "key": {"arn": steps["locked"]["key"], "deletion_date": steps["locked"]["deletion_date"]},
        "remains": remains(intent),
        "steps": {name: step["at"] for name, step in steps.items()},
    }
    return {**told, SEAL: seal_of(told)}


TOLD = (
    "tenant", "environment", "platform", "stack", "account", "region", "names", "jobs", "requested_by", "reuse",
    "folder",
)  # fmt: skip


def resources_of(intent: Facts, steps: Mapping[str, Facts]) -> list[dict[str, str]]:
    """What the stack held, and what was removed that no stack knew of; the key is told elsewhere."""
    held = [{"kind": each["type"], "name": each["name"]} for each in intent["resources"]]
    removed = [*steps["dissolved"]["removed"], *steps["locked"]["removed"]]
    known = {each["name"] for each in held}
    beside = {each["name"]: dict(each) for each in removed if each["name"] not in known}
    return [each for each in held if each["kind"] != "AWS::KMS::Key"] + list(beside.values())


def remains(intent: Facts) -> list[dict[str, str]]:
    """What of the tenant is still there when all is deleted, where, and until when."""
    return [
        {
            "what": "lists of what was deleted, and the archive of the ledger's rows",
            "where": intent["folder"],
            "until": KEPT,
        },
        {"what": "backups of the ledger (point in time)", "where": intent["platform"], "until": "35 days"},
        {"what": "events that could not be registered", "where": intent["platform"], "until": "14 days"},
        {"what": "log lines that name it", "where": intent["platform"], "until": "90 days"},
    ]


def export_of(step: Facts, bucket: Facts) -> dict[str, Any]:
    """Where to, and what of the deleted versions did not go there."""
    told = {name: value for name, value in step.items() if name not in {"at", "by"}}
    if told["to"] is None:
        return told
    # What went along and had vanished by itself before the deletion, is in no list of what was deleted.
    older = max(0, bucket["versions"] - bucket["results"] - told["objects"])
    return {**told, "left_behind": {"older_or_late_versions": older, "query_results": bucket["results"]}}


def seal_of(certificate: Facts) -> str:
    """Of all that it says beside the seal."""
    told = {name: value for name, value in certificate.items() if name != SEAL}
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class Check:
    """`what` was looked at, whether it is as certified, and what was found."""

    what: str
    is_right: bool
    found: str


def standing_stack(cloudformation: Any, name: str) -> str | None:
    """The state of a stack that stands; None of one that does not."""
    try:
        status = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return None
    return None if status == "DELETE_COMPLETE" else status


@dataclass(frozen=True)
class Verification:
    """A certificate held against the account. `rows` gives what the ledger still has of the tenant, `export` a client
    for the bucket of the export, None where nothing was exported.
    """

    certificate: Facts
    place: Place
    clients: Clients
    folder: Folder
    rows: Callable[[], Iterable[Sequence[Facts]]]
    known: str | None
    """The SHA-256 of the certificate's bytes as the record of deploys has it; None where that says nothing."""
    body: bytes
    export: Any = None
    is_rehearsal: bool = False

    def checks(self) -> Iterator[Check]:
        yield from self._of_itself()
        yield self._stack()
        for kind in KINDS:
            standing = list(kind.find(self.place, self.clients))
            yield Check(kind.name, not standing, f"stands: {', '.join(standing)}" if standing else "none stands")
        left = sum(len(chunk) for chunk in self.rows())
        yield Check("ledger rows", not left, f"{left:,} are there" if left else "none are there")
        for name in LISTS:
            yield self._list(name)
        yield self._export()
        yield self._key()

    def _of_itself(self) -> Iterator[Check]:
        told, found = self.certificate.get(SEAL), seal_of(self.certificate)
        rehearsed = bool(self.certificate.get("rehearsal"))
        if rehearsed or self.is_rehearsal:
            of = "of a rehearsal in a local cloud" if rehearsed else "of an account"
            yield Check("rehearsal", rehearsed == self.is_rehearsal, of)
        yield Check("seal", told == found, found if told == found else f"says {told}, its content gives {found}")
        kept = self.folder.get("certificate.json")
        same = kept == self.body
        yield Check(
            "kept copy", same, self.folder.address if same else "another one lies" * bool(kept) or "is not there"
        )
        if self.known is not None:
            same = self.known == digest(self.body)
            yield Check("record of deploys", same, "names this certificate" if same else f"names {self.known}")

    def _stack(self) -> Check:
        standing = standing_stack(self.clients("cloudformation"), self.place.names.stack)
        return Check("stack", standing is None, f"is {standing}" if standing else "none stands")

    def _list(self, name: str) -> Check:
        """What was deleted, as it was written down before."""
        told = self.certificate["lists"][name]
        try:
            found = asdict(Parts(self.folder.below(LISTS[name])).summary())
        except (ValueError, OSError) as error:
            return Check(f"list of {name}", False, f"cannot be read: {error}")
        same = found == told
        return Check(f"list of {name}", same, f"{found['rows']:,} rows" if same else f"is {found}, certified is {told}")

    def _export(self) -> Check:
        told = self.certificate["export"]
        if told["to"] is None:
            return Check("export", True, "none was wanted")
        bucket = told["to"].removeprefix("s3://").partition("/")[0]
        try:
            body = self.export.get_object(Bucket=bucket, Key=told["manifest"])["Body"].read()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in REFUSALS:
                raise
            # It is the tenant's own by now, to move, to archive, to delete and to close.
            return Check("export", True, f"not looked at: {told['to']} does not show its manifest any more ({code})")
        same = digest(body) == told["manifest_sha256"]
        return Check(
            "export", same, f"{told['objects']:,} objects in {told['to']}" if same else "the manifest is another"
        )

    def _key(self) -> Check:
        key, own = self.certificate["key"]["arn"], TenantKey(self.clients, self.place.names)
        if staying := own.tagged():
            return Check("key", False, f"with the tenant's tags stays: {', '.join(staying)}")
        if key is None:
            return Check("key", True, "none was found at the time, and none is there")
        described = own.described(key)
        if described is None:
            return Check("key", True, "is gone")
        going = described["KeyState"] == PENDING
        goes = described["DeletionDate"].isoformat() if going else ""
        return Check("key", going, f"goes on {goes}" if going else f"is {described['KeyState']}")
