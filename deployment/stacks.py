"""Stacks in CloudFormation: brought to their template, and left alone when they already have it."""

import hashlib
import io
import json
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from deployment.assembly import Asset, Stack
from deployment.errors import BootstrapError, DeployError, StackError, StuckError

__all__ = [
    "SETTLED",
    "Clients",
    "Outcome",
    "Stacks",
    "bootstrap",
]

INLINE_LIMIT = 51_200  # bytes of a template that may be sent with the call
AT_ONCE = 8
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0  # seconds between two looks at a stack

# Nothing of these was ever in use: CloudFormation has taken back, or asks to take back, whatever it made.
STILLBORN = {"CREATE_FAILED", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}
STUCK = {
    "DELETE_FAILED": "its deletion failed; finish that in CloudFormation first",
    "UPDATE_ROLLBACK_FAILED": "an update could not be taken back; run `aws cloudformation continue-update-rollback`",
}
SETTLED = {"CREATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_COMPLETE"}
NOTHING_TO_DO = "No updates are to be performed"

Adapt = Callable[[dict[str, Any]], dict[str, Any]]
Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Outcome:
    """What happened to one stack: `created`, `updated`, `unchanged` or `failed`, after so many seconds."""

    stack: str
    action: str
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class Clients:
    """boto3 clients, in the account and Region of the stacks."""

    cloudformation: Any
    s3: Any


@dataclass(frozen=True)
class Standing:
    """A stack as CloudFormation has it. `digest` is that of the template it was last given here."""

    status: str
    digest: str | None
    termination_protection: bool

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "Standing":
        return cls(
            status=described["StackStatus"],
            digest=digest_in(described.get("Description", "")),
            termination_protection=bool(described.get("EnableTerminationProtection")),
        )


def digest_in(description: str) -> str | None:
    _, _, mark = description.rpartition("[")
    return mark.removesuffix("]") if mark.endswith("]") else None


@dataclass(frozen=True)
class Wanted:
    """A stack and the template it shall have, as text that carries its own digest in the description."""

    stack: Stack
    digest: str
    body: str

    @classmethod
    def of(cls, stack: Stack, adapt: Adapt) -> "Wanted":
        template = adapt(stack.template)
        facts = json.dumps([template, stack.tags, stack.execution_role], sort_keys=True)
        digest = hashlib.sha256(facts.encode()).hexdigest()[:16]
        # In the description, because listing stacks shows it: one call tells what is out of date.
        described = {**template, "Description": f"{template.get('Description', stack.name)} [{digest}]"}
        return cls(stack, digest, json.dumps(described, separators=(",", ":")))

    def is_met_by(self, standing: Standing | None) -> bool:
        return (
            standing is not None
            and standing.status in SETTLED
            and standing.digest == self.digest
            and standing.termination_protection == self.stack.termination_protection
        )


class Stacks:
    """Brings stacks to their templates, several at once, and asks CloudFormation no more than it must.

    `adapt` changes templates before they are sent; `say` hears (stack, what is happening). Where CloudFormation
    `forgets_updates`, it goes on describing a stack as it was created.
    """

    def __init__(self, clients: Clients, adapt: Adapt, say: Say, *, forgets_updates: bool = False) -> None:
        self.clients, self.adapt, self.say = clients, adapt, say
        self.forgets_updates = forgets_updates
        self.published: set[tuple[str, str]] = set()
        self.stopped = threading.Event()

    def standing(self) -> dict[str, Standing]:
        """Every stack of the account and Region by name."""
        pages = self.clients.cloudformation.get_paginator("describe_stacks").paginate()
        found = {stack["StackName"]: Standing.of(stack) for page in pages for stack in page["Stacks"]}
        if self.forgets_updates:
            updated = [name for name, standing in found.items() if standing.status == "UPDATE_COMPLETE"]
            found |= {name: replace(found[name], digest=self._digest(name)) for name in updated}
        return found

    def _digest(self, name: str) -> str | None:
        template = self.clients.cloudformation.get_template(StackName=name)["TemplateBody"]
        return digest_in(template.get("Description", ""))

    def deploy(
        self, stacks: Iterable[Stack], standing: Mapping[str, Standing], done: Callable[[Outcome], None]
    ) -> None:
        """Deploy stacks that do not depend on each other; `done` is called for each, in a thread."""
        wanted = [Wanted.of(stack, self.adapt) for stack in stacks]
        for each in wanted:
            if not each.is_met_by(standing.get(each.stack.name)):
                self.publish(each.stack.assets, each.stack.account)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            futures = [pool.submit(self._attempt, each, standing.get(each.stack.name), done) for each in wanted]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self.stopped.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _attempt(self, wanted: Wanted, standing: Standing | None, done: Callable[[Outcome], None]) -> None:
        began, name = time.monotonic(), wanted.stack.name
        action, error = "failed", None
        try:
            action = self.bring(wanted, standing)
        except (DeployError, ClientError) as e:
            error = str(e) if isinstance(e, DeployError) else f"stack {name}: {e}"
        done(Outcome(name, action, round(time.monotonic() - began, 2), error))

    def bring(self, wanted: Wanted, standing: Standing | None) -> str:
        """Make one stack what it shall be; says whether that meant `created`, `updated` or `unchanged`."""
        if wanted.is_met_by(standing):
            return "unchanged"
        name = wanted.stack.name
        if standing is not None and standing.status.endswith("_IN_PROGRESS") and standing.status not in STILLBORN:
            self.say(name, f"waiting: {standing.status}")
            standing = self._settle(name)
            if wanted.is_met_by(standing):
                return "unchanged"
        if standing is not None and standing.status in STUCK:
            raise StuckError(f"stack {name}: is in state {standing.status}: {STUCK[standing.status]}")
        if standing is not None and standing.status in STILLBORN:
            self._clear(name, standing)
            standing = None
        return self._create(wanted) if standing is None else self._update(wanted, standing)

    def _create(self, wanted: Wanted) -> str:
        name = wanted.stack.name
        self.say(name, "creating")
        self.clients.cloudformation.create_stack(
            **self._request(wanted), EnableTerminationProtection=wanted.stack.termination_protection
        )
        self._expect(name, "CREATE_COMPLETE", since=None)
        return "created"

    def _update(self, wanted: Wanted, standing: Standing) -> str:
        name, cloudformation = wanted.stack.name, self.clients.cloudformation
        self.say(name, "updating")
        if standing.termination_protection != wanted.stack.termination_protection:
            cloudformation.update_termination_protection(
                StackName=name, EnableTerminationProtection=wanted.stack.termination_protection
            )
        last = self._last_event(name)
        try:
            cloudformation.update_stack(**self._request(wanted))
        except ClientError as e:
            if NOTHING_TO_DO in str(e):
                return "unchanged"
            raise
        self._expect(name, "UPDATE_COMPLETE", since=last)
        return "updated"

    def _request(self, wanted: Wanted) -> dict[str, Any]:
        stack = wanted.stack
        request: dict[str, Any] = {
            "StackName": stack.name,
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "ClientRequestToken": str(uuid.uuid4()),
            "Tags": [{"Key": key, "Value": value} for key, value in stack.tags.items()],
            **self._template(wanted),
        }
        if stack.execution_role is not None:
            request["RoleARN"] = stack.execution_role
        return request

    def _template(self, wanted: Wanted) -> dict[str, str]:
        if len(wanted.body.encode()) <= INLINE_LIMIT:
            return {"TemplateBody": wanted.body}
        bucket, key = wanted.stack.template_bucket, f"templates/{wanted.stack.name}-{wanted.digest}.json"
        self._put(bucket, key, wanted.body.encode(), wanted.stack.account)
        return {"TemplateURL": f"{self.clients.s3.meta.endpoint_url}/{bucket}/{key}"}

    def _clear(self, name: str, standing: Standing) -> None:
        self.say(name, f"removing what a failed creation left ({standing.status})")
        if standing.termination_protection:
            self.clients.cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
        last = self._last_event(name)
        self.clients.cloudformation.delete_stack(StackName=name)
        after = self._settle(name)
        if after is not None and after.status != "DELETE_COMPLETE":
            raise StackError(self._reason(name, after.status, last))

    def _expect(self, name: str, status: str, since: str | None) -> None:
        standing = self._settle(name)
        if standing is None or standing.status != status:
            raise StackError(self._reason(name, standing.status if standing else "DELETE_COMPLETE", since))

    def _settle(self, name: str) -> Standing | None:
        """Wait until nothing is in progress; None once the stack is gone."""
        pause = FIRST_PAUSE
        while True:
            standing = self._look(name)
            if standing is None or not standing.status.endswith("_IN_PROGRESS"):
                return standing
            if self.stopped.wait(pause):
                raise StackError(f"stack {name}: no longer waited for; CloudFormation goes on with it")
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _look(self, name: str) -> Standing | None:
        try:
            described = self.clients.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as e:
            if "does not exist" in str(e):
                return None
            raise
        return Standing.of(described)

    def _last_event(self, name: str) -> str | None:
        events = self.clients.cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        return str(events[0]["EventId"]) if events else None

    def _reason(self, name: str, status: str, since: str | None) -> str:
        failures = [event for event in self._events(name, since) if event["ResourceStatus"].endswith("_FAILED")]
        # The last one listed happened first; what follows from it says only that it was cancelled.
        first = next(
            (each for each in reversed(failures) if "cancelled" not in each.get("ResourceStatusReason", "").lower()),
            None,
        )
        if first is None:
            return f"stack {name}: ended as {status} without a reason; see its events in CloudFormation"
        what = first.get("PhysicalResourceId") or first["LogicalResourceId"]
        return (
            f"stack {name}: {first['LogicalResourceId']} ({first['ResourceType']}, {what}): "
            f"{first.get('ResourceStatusReason', first['ResourceStatus'])}; the stack is now {status}"
        )

    def _events(self, name: str, since: str | None) -> list[dict[str, Any]]:
        """Newest first, down to the event `since`."""
        events: list[dict[str, Any]] = []
        try:
            for page in self.clients.cloudformation.get_paginator("describe_stack_events").paginate(StackName=name):
                for event in page["StackEvents"]:
                    if event["EventId"] == since:
                        return events
                    events.append(event)
        except ClientError as e:
            if "does not exist" not in str(e):
                raise
        return events

    def publish(self, assets: Iterable[Asset], account: str) -> None:
        """Put what is not there yet; an object's key is the hash of its content."""
        for asset in assets:
            place = (asset.bucket, asset.key)
            if place not in self.published and not self._is_there(asset):
                self.say(asset.bucket, f"publishing {asset.source.name}")
                self._put(asset.bucket, asset.key, content(asset), account)
            self.published.add(place)

    def _is_there(self, asset: Asset) -> bool:
        try:
            self.clients.s3.head_object(Bucket=asset.bucket, Key=asset.key)
        except ClientError as e:
            if e.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def _put(self, bucket: str, key: str, body: bytes, account: str) -> None:
        try:
            self.clients.s3.put_object(Bucket=bucket, Key=key, Body=body)
        except ClientError as e:
            if e.response["Error"]["Code"] != "NoSuchBucket":
                raise
            raise BootstrapError(
                f"bucket {bucket}: does not exist; bootstrap the account once with "
                f"`npx aws-cdk@2.1148.1 bootstrap aws://{account}/{self.clients.s3.meta.region_name}`"
            ) from e


def content(asset: Asset) -> bytes:
    """The object's bytes; a folder becomes a zip archive."""
    if asset.packaging != "zip":
        return asset.source.read_bytes()
    return zipped(asset.source)


def zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder).as_posix())
    return buffer.getvalue()


def bootstrap(s3: Any, ssm: Any, account: str, region: str) -> None:
    """What `cdk bootstrap` leaves and stacks ask for: for the local cloud, which has no other user."""
    bucket = f"cdk-hnb659fds-assets-{account}-{region}"
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(Bucket=bucket)
    ssm.put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String", Overwrite=True)
