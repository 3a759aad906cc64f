"""CloudFormation and the services behind it on a clock that jumps: stacks of real templates, calls, refusals, pauses.

A process is a generator: it yields the seconds that it waits, or a gate that it waits for. Everything that a resource
needs of a service is a call that takes a token; a refused call is made again later, or the resource fails and its stack
is taken back.
"""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks.service_rates import Rate

__all__ = ["Blueprint", "Cell", "Clock", "Gate", "Operation", "Part", "Patience", "blueprint", "changed"]

LATENCY_S = 0.15  # of one call
ROLLBACK_S = 60.0  # until what a failed creation made is gone
BEGIN_S = 4.0  # from the call until the first resource is begun
SPREAD = 0.25  # of the seconds that a resource takes to settle, to both sides

Process = Generator[Any, None, Any]


class Patience(Protocol):
    """How a caller takes refusals: so many tries, and pauses between them."""

    @property
    def tries(self) -> int: ...

    def pause(self, refusals: int, draw: float) -> float: ...


class Gate:
    """Closed until it is opened; processes wait before it."""

    def __init__(self) -> None:
        self.is_open = False
        self.waiting: list[Process] = []


class Clock:
    """Runs processes in the order of their moments."""

    def __init__(self) -> None:
        self.now = 0.0
        self.agenda: list[tuple[float, int, Process]] = []
        self.order = itertools.count()

    def start(self, process: Process, seconds: float = 0.0) -> None:
        heapq.heappush(self.agenda, (self.now + seconds, next(self.order), process))

    def open(self, gate: Gate) -> None:
        gate.is_open = True
        for process in gate.waiting:
            self.start(process)
        gate.waiting.clear()

    def run(self) -> None:
        while self.agenda:
            self.now, _, process = heapq.heappop(self.agenda)
            wish = next(process, None)
            if isinstance(wish, Gate) and not wish.is_open:
                wish.waiting.append(process)
            elif wish is not None:
                self.start(process, 0.0 if isinstance(wish, Gate) else wish)


class Bucket:
    """Tokens of one rate."""

    def __init__(self, rate: Rate) -> None:
        self.rate, self.tokens, self.at = rate, rate.burst, 0.0

    def take(self, now: float) -> bool:
        self.tokens = min(self.rate.burst, self.tokens + (now - self.at) * self.rate.per_second)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(frozen=True)
class Part:
    """A resource: its calls, the seconds until it has settled, and the places of those that it needs first."""

    calls: tuple[str, ...]
    settles: float
    needs: tuple[int, ...] = ()


Blueprint = tuple[Part, ...]


@dataclass
class Operation:
    """A stack that is created or updated."""

    gates: Sequence[Gate]
    left: int
    failed: bool = False
    ended: bool = False


@dataclass(frozen=True)
class Handlers:
    """What CloudFormation does about refusals of other services; not published."""

    tries: int = 10
    first: float = 1.0
    longest: float = 60.0

    def pause(self, refusals: int, draw: float) -> float:
        return draw * min(self.longest, self.first * 2.0**refusals)


@dataclass
class Cell:
    """One account and Region: its rates, its stacks, and what was called."""

    rates: Iterable[Rate]
    seed: int
    clock: Clock = field(default_factory=Clock)
    granted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    handlers: Patience = field(default_factory=Handlers)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.buckets = {}
        for rate in self.rates:
            bucket = Bucket(rate)
            self.buckets.update(dict.fromkeys(rate.operations, bucket))

    def call(self, operation: str) -> Generator[float, None, bool]:
        """One call; whether the service took it. What has no rate here is always taken."""
        yield LATENCY_S
        bucket = self.buckets.get(operation)
        taken = bucket is None or bucket.take(self.clock.now)
        (self.granted if taken else self.refused)[operation] += 1
        return taken

    def insist(self, operation: str, patience: Patience) -> Generator[float, None, bool]:
        """The call, made again after each refusal; False once patience has ended."""
        for refusals in range(1, patience.tries + 1):
            if (yield from self.call(operation)):
                return True
            if refusals < patience.tries:
                yield patience.pause(refusals, self.dice.random())
        return False

    def begin(self, stack: Blueprint) -> Operation:
        operation = Operation([Gate() for _ in stack], len(stack))
        for place, part in enumerate(stack):
            self.clock.start(self._make(operation, part, operation.gates[place]), BEGIN_S)
        if not stack:
            operation.ended = True
        return operation

    def _make(self, operation: Operation, part: Part, made: Gate) -> Process:
        for need in part.needs:
            yield operation.gates[need]
        for call in part.calls:
            if operation.failed or not (yield from self.insist(call, self.handlers)):
                operation.failed = True  # the others are cancelled
                break
        else:
            yield part.settles * self.dice.uniform(1 - SPREAD, 1 + SPREAD)
        self.clock.open(made)
        operation.left -= 1
        if operation.left == 0:
            yield ROLLBACK_S if operation.failed else 0.0
            operation.ended = True


# Seconds until CloudFormation calls a resource complete, beside its calls: not published, and assumed here. Roles,
# policies, keys and buckets wait for what other Regions and caches know of them.
SETTLES: Mapping[str, float] = {
    "AWS::IAM::Role": 16,
    "AWS::IAM::Policy": 12,
    "AWS::IAM::ManagedPolicy": 14,
    "AWS::KMS::Key": 20,
    "AWS::KMS::Alias": 5,
    "AWS::S3::Bucket": 18,
    "AWS::SNS::Topic": 8,
    "AWS::Events::Rule": 8,
}
ELSE_S = 2.0
CREATES: Mapping[str, tuple[str, ...]] = {
    "AWS::Athena::NamedQuery": ("CreateNamedQuery", "GetNamedQuery"),
    "AWS::Athena::WorkGroup": ("CreateWorkGroup", "GetWorkGroup"),
    "AWS::CloudWatch::Alarm": ("PutMetricAlarm", "DescribeAlarms"),
    "AWS::Events::Rule": ("PutRule", "PutTargets", "DescribeRule"),
    "AWS::Glue::Database": ("glue:write", "glue:read"),
    "AWS::Glue::Job": ("glue:write", "glue:read"),
    "AWS::Glue::Table": ("glue:write", "glue:read"),
    "AWS::IAM::ManagedPolicy": ("iam:write", "iam:read"),
    "AWS::IAM::Policy": ("iam:write", "iam:read"),
    "AWS::IAM::Role": ("iam:write", "iam:read"),
    "AWS::KMS::Alias": ("CreateAlias", "ListAliases"),
    "AWS::KMS::Key": ("CreateKey", "EnableKeyRotation", "DescribeKey"),
    "AWS::Logs::LogGroup": ("CreateLogGroup", "PutRetentionPolicy", "DescribeLogGroups"),
    "AWS::S3::Bucket": ("s3:control",),
    "AWS::S3::BucketPolicy": ("s3:control", "s3:control"),
    "AWS::SNS::Subscription": ("Subscribe", "GetSubscriptionAttributes"),
    "AWS::SNS::Topic": ("CreateTopic", "GetTopicAttributes"),
    "AWS::SNS::TopicPolicy": ("SetTopicAttributes",),
}


def calls(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """What making a resource asks of its service; a type that is not known here raises."""
    kind, properties = resource["Type"], resource.get("Properties", {})
    more: tuple[str, ...] = ()
    if kind == "AWS::S3::Bucket":  # a setting, a call
        more = ("s3:control",) * len(properties.keys() - {"BucketName"})
    if kind == "AWS::IAM::Role":
        more = ("iam:write",) * (len(properties.get("Policies", ())) + len(properties.get("ManagedPolicyArns", ())))
    return CREATES[kind] + more


def blueprint(template: Mapping[str, Any]) -> Blueprint:
    """The parts of a stack, as a template has them."""
    resources = template["Resources"]
    places = {name: place for place, name in enumerate(resources)}
    return tuple(
        Part(
            calls(resource),
            SETTLES.get(resource["Type"], ELSE_S),
            tuple(sorted({places[name] for name in needed(resource) if name in places})),
        )
        for resource in resources.values()
    )


def changed(template: Mapping[str, Any], kind: str) -> Blueprint:
    """What an update does when only resources of one type differ: write and read each."""
    resources = template["Resources"].values()
    return tuple(Part(calls(resource), ELSE_S) for resource in resources if resource["Type"] == kind)


def needed(value: Any) -> Iterable[str]:
    """Logical ids that a resource names."""
    if isinstance(value, Mapping):
        if isinstance(value.get("Ref"), str):
            yield value["Ref"]
        if "Fn::GetAtt" in value:
            target = value["Fn::GetAtt"]
            yield target.partition(".")[0] if isinstance(target, str) else target[0]
        depends = value.get("DependsOn", ())
        yield from [depends] if isinstance(depends, str) else depends
        value = tuple(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from needed(each)
