"""Stacks in CloudFormation: brought to their template, and left alone when they already have it."""

import hashlib
import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from deployment.assembly import Stack
from deployment.errors import DeployError, Overtaken, StackError, StuckError
from deployment.gate import THROTTLED, Gate
from deployment.limits import INLINE_LIMIT
from deployment.publishing import Publisher
from deployment.repairs import SETTLED, Step, step
from deployment.waves import Backoff, Looks, Pace, Waves

__all__ = [
    "FAILED",
    "NOT_BEGUN",
    "SETTLED",
    "UNCHANGED",
    "Adaptation",
    "Clients",
    "Outcome",
    "Stacks",
]

STEPS = 4  # of repair, before a stack's update or creation
TURNS = 4  # of a stack that failed because some service was too busy

NOTHING_TO_DO = "No updates are to be performed"
FAILED, NOT_BEGUN, UNCHANGED = "failed", "not begun", "unchanged"
SENT = {"created", "updated"}
BUSY = ("Rate exceeded", "Throttling", "TooManyRequests", "Too Many Requests")
"""How a resource of a failed stack says that another service was asked too often."""

Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Adaptation:
    """What is done to templates before they are sent; `version` is another one whenever it does something else."""

    apply: Callable[[dict[str, Any]], dict[str, Any]] = field(default=lambda template: template)
    version: str = ""

    def mark(self, stack: Stack) -> str:
        """What a stack carries in its description once it is as it shall be."""
        if not self.version:
            return stack.digest
        return hashlib.sha256(f"{stack.digest} {self.version}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Outcome:
    """What happened to one stack: `created`, `updated`, `unchanged`, `failed` or `not begun`, after so many seconds.

    `updated` is when CloudFormation says that it took the template that was sent here; None where none was.
    """

    stack: str
    action: str
    seconds: float
    error: str | None = None
    updated: str | None = None


@dataclass(frozen=True)
class Clients:
    """boto3 clients, in the account and Region of the stacks."""

    cloudformation: Any
    s3: Any


@dataclass(frozen=True)
class Standing:
    """A stack as CloudFormation has it. `digest` is what its description carries; who edits its template by hand leaves
    it there. `updated` is the time of the last template that anybody gave it, None where nobody knows.
    """

    status: str
    digest: str | None
    termination_protection: bool
    updated: str | None = None

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "Standing":
        return cls(
            status=described["StackStatus"],
            digest=digest_in(described.get("Description", "")),
            termination_protection=bool(described.get("EnableTerminationProtection")),
            updated=time_of(described.get("LastUpdatedTime") or described.get("CreationTime")),
        )


def time_of(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def digest_in(description: str) -> str | None:
    _, _, mark = description.rpartition("[")
    return mark.removesuffix("]") if mark.endswith("]") else None


@dataclass(frozen=True)
class Wanted:
    """A stack and what it shall be. Its template is read only once it is to be sent.

    `is_due`: it is sent even where the stack's description says that it has it already.
    """

    stack: Stack
    adaptation: Adaptation = field(default_factory=Adaptation)
    is_due: bool = False

    @cached_property
    def digest(self) -> str:
        return self.adaptation.mark(self.stack)

    def is_in(self, live: Mapping[str, Any]) -> bool:
        """Whether a live template is this one; its description is not looked at."""
        wanted = self.adaptation.apply(self.stack.template)
        return {**wanted, "Description": None} == {**live, "Description": None}

    @cached_property
    def body(self) -> str:
        template = self.adaptation.apply(self.stack.template)
        # In the description, because listing stacks shows it: one call tells what is out of date.
        described = {**template, "Description": f"{template.get('Description', self.stack.name)} [{self.digest}]"}
        return json.dumps(described, separators=(",", ":"))

    def is_met_by(self, standing: Standing | None) -> bool:
        return (
            standing is not None
            and not self.is_due
            and standing.status in SETTLED
            and standing.digest == self.digest
            and standing.termination_protection == self.stack.termination_protection
        )


class Stacks:
    """Brings stacks to their templates, several at once, and asks CloudFormation no more than it must.

    `say` hears (stack, what is happening); `guard` is asked before each call that changes something, and raises when
    this deploy may not go on. Where CloudFormation `forgets_updates`, it goes on describing a stack as it was created.
    """

    def __init__(
        self,
        clients: Clients,
        adaptation: Adaptation,
        say: Say,
        *,
        guard: Callable[[], None] = lambda: None,
        forgets_updates: bool = False,
        pace: Pace | None = None,
        looks: Looks | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.clients, self.adaptation, self.say, self.guard = clients, adaptation, say, guard
        self.forgets_updates = forgets_updates
        self.gate = Gate(pace or Pace())
        self.looks, self.backoff = looks or Looks(), backoff or Backoff()
        self.publisher = Publisher(clients.s3, say, guard)
        self.stopped = threading.Event()
        self.seen: dict[str, Standing] = {}
        """Each stack at the last look."""
        self.gate.listen(clients.cloudformation)

    def standing(self) -> dict[str, Standing]:
        """Every stack of the account and Region by name."""
        pages = self.clients.cloudformation.get_paginator("describe_stacks").paginate()
        return {stack["StackName"]: self._standing(stack) for page in pages for stack in page["Stacks"]}

    def _standing(self, described: Mapping[str, Any]) -> Standing:
        found = Standing.of(described)
        if not self.forgets_updates:
            return found
        found = replace(found, updated=None)
        if found.status != "UPDATE_COMPLETE":
            return found
        template = self.clients.cloudformation.get_template(StackName=described["StackName"])["TemplateBody"]
        return replace(found, digest=digest_in(template.get("Description", "")))

    def deploy(
        self,
        stacks: Sequence[Stack],
        done: Callable[[Outcome], Outcome] = lambda outcome: outcome,
        *,
        stood: Collection[str] = (),
        differing: Collection[str] = (),
        waves: Waves | None = None,
    ) -> list[Outcome]:
        """Deploy one wave: stacks that do not depend on each other. `stood`: those known to have been right once.
        `differing`: those known to have another template than they shall, whatever their description says.
        `done` is called for each, in a thread, and may make another outcome of it. Once more have failed than `waves`
        tolerates, no further one is begun.
        """
        tolerates = (waves or Waves()).tolerates
        for stack in stacks:
            self.publisher.publish(stack.assets, stack.account)
        failures: list[Outcome] = []
        halted = threading.Event()

        def attempt(stack: Stack) -> Outcome:
            with self.gate.passed():
                if halted.is_set() or self.stopped.is_set():
                    return done(Outcome(stack.name, NOT_BEGUN, 0.0, "the wave was stopped before"))
                try:
                    wanted = Wanted(stack, self.adaptation, is_due=stack.name in differing)
                    outcome = done(self._attempt(wanted, stood=stack.name in stood))
                except BaseException:
                    self.stopped.set()  # before the next one is let in
                    raise
                if outcome.action == FAILED:
                    failures.append(outcome)
                    if not tolerates(len(failures), len(stacks)):
                        halted.set()
                return outcome

        return self._all(attempt, stacks)

    def _all(self, attempt: Callable[[Stack], Outcome], stacks: Sequence[Stack]) -> list[Outcome]:
        if not stacks:
            return []
        with ThreadPoolExecutor(min(len(stacks), int(self.gate.pace.most))) as pool:
            futures = [pool.submit(attempt, each) for each in stacks]
            try:
                return [future.result() for future in futures]
            except BaseException:
                self.stopped.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _attempt(self, wanted: Wanted, *, stood: bool) -> Outcome:
        began, name = time.monotonic(), wanted.stack.name
        action, error = FAILED, None
        try:
            action = self._brought(wanted, stood=stood)
            self.gate.succeeded()
        except Overtaken:
            raise
        except (DeployError, ClientError) as e:
            error = str(e) if isinstance(e, DeployError) else f"stack {name}: {e}"
        standing = self.seen.get(name) if action in SENT else None
        updated = standing.updated if standing else None
        return Outcome(name, action, round(time.monotonic() - began, 2), error, updated)

    def _brought(self, wanted: Wanted, *, stood: bool) -> str:
        """`bring`, again after a pause where a resource failed because a service was asked too often."""
        refusals = 0
        while True:
            try:
                return self.bring(wanted, stood=stood)
            except StackError as error:
                refusals += 1
                if refusals >= TURNS or not any(words in str(error) for words in BUSY):
                    raise
                self.say(wanted.stack.name, f"again later: {error}")
                self._give_way(refusals)

    def bring(self, wanted: Wanted, *, stood: bool = False) -> str:
        """Make one stack what it shall be; says whether that meant `created`, `updated` or `unchanged`."""
        name = wanted.stack.name
        standing = self._look(name)
        for _ in range(STEPS):
            if wanted.is_met_by(standing):
                return UNCHANGED
            needed = step(name, standing.status if standing else None, stood=stood)
            if standing is None or needed is Step.CREATE:
                return self._create(wanted)
            if needed is Step.UPDATE:
                return self._update(wanted, standing)
            standing = self._repaired(needed, name, standing)
        raise StuckError(
            f"stack {name}: is in state {standing.status if standing else 'DELETE_COMPLETE'} after {STEPS} steps of "
            "repair, as if somebody else were changing it too; see its events in CloudFormation"
        )

    def _repaired(self, needed: Step, name: str, standing: Standing) -> Standing | None:
        """The stack after a step that makes it ready for its template."""
        self.say(name, f"{needed.value} ({standing.status})")
        if needed is Step.CLEAR:
            self._clear(name, standing)
        elif needed is Step.CONTINUE:
            self._continue(name)
        elif needed is Step.TAKE_BACK:
            self._take_back(name)
        return self._settle(name)

    def _create(self, wanted: Wanted) -> str:
        name = wanted.stack.name
        self.say(name, "creating")
        request = self._request(wanted) | {"EnableTerminationProtection": wanted.stack.termination_protection}
        try:
            self._change("create_stack", request)
        except ClientError as e:
            # botocore asked twice, because the first answer was lost: the stack is being made.
            if e.response["Error"]["Code"] != "AlreadyExistsException":
                raise
        self._expect(name, "CREATE_COMPLETE", since=None)
        return "created"

    def _update(self, wanted: Wanted, standing: Standing) -> str:
        name = wanted.stack.name
        self.say(name, "updating")
        self._protect(name, standing, wanted=wanted.stack.termination_protection)
        last = self._last_event(name)
        try:
            self._change("update_stack", self._request(wanted))
        except ClientError as e:
            if NOTHING_TO_DO in str(e):
                return UNCHANGED
            raise
        self._expect(name, "UPDATE_COMPLETE", since=last)
        return "updated"

    def _protect(self, name: str, standing: Standing, *, wanted: bool) -> None:
        if standing.termination_protection != wanted:
            request = {"StackName": name, "EnableTerminationProtection": wanted}
            self._change("update_termination_protection", request)

    def _change(self, operation: str, request: Mapping[str, Any]) -> Any:
        return self._ask(operation, request, before=self.guard)

    def _ask(self, operation: str, request: Mapping[str, Any], before: Callable[[], None] = lambda: None) -> Any:
        """A call, made again after a pause while CloudFormation is too busy."""
        refusals = 0
        while True:
            before()
            try:
                return getattr(self.clients.cloudformation, operation)(**request)
            except ClientError as e:
                refusals += 1
                if e.response["Error"]["Code"] not in THROTTLED or refusals >= self.backoff.tries:
                    raise
            self._give_way(refusals)

    def _give_way(self, refusals: int) -> None:
        self.gate.refused()
        if self.stopped.wait(self.backoff.pause(refusals, random.random())):  # noqa: S311 - spreads callers, no secret
            raise StackError("no longer waited for: this deploy was stopped")

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
        return {"TemplateURL": self.publisher.put_template(bucket, key, wanted.body.encode(), wanted.stack.account)}

    def _clear(self, name: str, standing: Standing) -> None:
        self._protect(name, standing, wanted=False)
        last = self._last_event(name)
        self._change("delete_stack", {"StackName": name})
        after = self._settle(name)
        if after is not None and after.status != "DELETE_COMPLETE":
            raise StackError(self._reason(name, after.status, last))

    def _continue(self, name: str) -> None:
        """Once; what cannot be taken back a second time is for a person to skip or mend."""
        last = self._last_event(name)
        self._change("continue_update_rollback", {"StackName": name})
        after = self._settle(name)
        if after is None or after.status != "UPDATE_ROLLBACK_COMPLETE":
            raise StuckError(
                f"{self._reason(name, after.status if after else 'DELETE_COMPLETE', last)}; mend what it names, or let "
                f"go of it with `aws cloudformation continue-update-rollback --stack-name {name} --resources-to-skip "
                "LOGICAL_ID`, then deploy again"
            )

    def _take_back(self, name: str) -> None:
        last = self._last_event(name)
        self._change("rollback_stack", {"StackName": name})
        after = self._settle(name)
        if after is None or after.status != "UPDATE_ROLLBACK_COMPLETE":
            raise StackError(self._reason(name, after.status if after else "DELETE_COMPLETE", last))

    def _expect(self, name: str, status: str, since: str | None) -> None:
        standing = self._settle(name)
        if standing is None or standing.status != status:
            raise StackError(self._reason(name, standing.status if standing else "DELETE_COMPLETE", since))

    def _settle(self, name: str) -> Standing | None:
        """Wait until nothing is in progress; None once the stack is gone."""
        for number in itertools.count():
            standing = self._look(name)
            if standing is None or not standing.status.endswith("_IN_PROGRESS"):
                return standing
            if self.stopped.wait(self.looks.pause(number, self.gate.inside)):
                break
        raise StackError(f"stack {name}: no longer waited for; CloudFormation goes on with it")

    def _look(self, name: str) -> Standing | None:
        try:
            described = self._ask("describe_stacks", {"StackName": name})["Stacks"][0]
        except ClientError as e:
            if "does not exist" in str(e):
                return None
            raise
        self.seen[name] = self._standing({"StackName": name, **described})
        return self.seen[name]

    def _last_event(self, name: str) -> str | None:
        events = self._ask("describe_stack_events", {"StackName": name})["StackEvents"]
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
