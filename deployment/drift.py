"""Drift: resources that are no longer as their stack made them; CloudFormation finds it, stack by stack in rotation."""

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from deployment.errors import DeployError
from deployment.waves import Backoff, Looks

__all__ = [
    "ABSENT",
    "DRIFTED",
    "IN_SYNC",
    "Detection",
    "Difference",
    "Finding",
    "Log",
    "ResourceDrift",
    "merged",
    "rotation",
]

IN_SYNC, DRIFTED, UNKNOWN, ABSENT = "IN_SYNC", "DRIFTED", "UNKNOWN", "NOT_DEPLOYED"
CHANGED = ("MODIFIED", "DELETED")
THROTTLED = {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"}
LOOKS = Looks(first=0.2, longest=10.0)
LONGEST = 1_200.0  # seconds that a detection may take; AWS speaks of several minutes
FORMAT = 1
TRIES = 5


@dataclass(frozen=True)
class Difference:
    """One property: `kind` is ADD, REMOVE or NOT_EQUAL, seen from the resource."""

    path: str
    expected: str
    actual: str
    kind: str


@dataclass(frozen=True)
class ResourceDrift:
    """A resource that was changed or deleted outside its stack."""

    logical_id: str
    physical_id: str
    type: str
    status: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What a detection found in one stack: `compared` resources, and those of them that differ.

    A resource whose type, or property whose kind, CloudFormation cannot compare is in neither.
    """

    stack: str
    at: str
    status: str
    compared: int = 0
    resources: tuple[ResourceDrift, ...] = ()
    reason: str | None = None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "Finding":
        resources = [
            ResourceDrift(**{**each, "differences": tuple(Difference(**found) for found in each["differences"])})
            for each in row["resources"]
        ]
        return cls(**{**row, "resources": tuple(resources)})


Findings = Mapping[str, Finding]


def rotation(stacks: Iterable[str], known: Findings, number: int) -> list[str]:
    """The `number` stacks to check next: those never checked, then those checked longest ago."""
    return sorted(stacks, key=lambda name: (known[name].at if name in known else "", name))[:number]


def merged(one: Findings, other: Findings) -> dict[str, Finding]:
    """What is known after both: the later finding of each stack."""
    found = dict(one)
    for name, finding in other.items():
        if name not in found or found[name].at <= finding.at:
            found[name] = finding
    return found


@dataclass(frozen=True)
class Log:
    """Last findings of a cell, beside its record. `s3` is a client in the account and Region of the cell."""

    s3: Any
    bucket: str
    platform_stack: str

    @property
    def key(self) -> str:
        return f"deployments/{self.platform_stack}/drift.json"

    def read(self) -> dict[str, Finding]:
        return self._read()[0]

    def add(self, findings: Findings) -> None:
        """Put findings to those that lie there; another check that writes meanwhile loses nothing."""
        for _ in range(TRIES):
            there, etag = self._read()
            rows = [asdict(each) for _, each in sorted(merged(there, findings).items())]
            condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
            body = json.dumps({"format": FORMAT, "findings": rows}, separators=(",", ":")).encode()
            try:
                self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=body, **condition)
            except ClientError as e:
                if e.response["ResponseMetadata"]["HTTPStatusCode"] not in {404, 409, 412}:
                    raise
                continue
            return
        raise DeployError(
            f"s3://{self.bucket}/{self.key}: other checks kept writing it {TRIES} times over; run this one again"
        )

    def _read(self) -> tuple[dict[str, Finding], str | None]:
        """What cannot be read is as good as nothing: its stacks are checked again."""
        try:
            found = self.s3.get_object(Bucket=self.bucket, Key=self.key)
        except ClientError as e:
            if e.response["Error"]["Code"] == "NoSuchKey":
                return {}, None
            raise
        try:
            content = json.loads(found["Body"].read())
            rows = content["findings"] if content["format"] == FORMAT else []
            return {row["stack"]: Finding.read(row) for row in rows}, found["ETag"]
        except (ValueError, KeyError, TypeError):
            return {}, found["ETag"]


@dataclass
class Detection:
    """Detections of several stacks at once.

    `now` gives the time in ISO 8601, `sleep` and `clock` are those of the machine unless a test has its own.
    """

    cloudformation: Any
    now: Callable[[], str]
    at_once: int = 5
    backoff: Backoff = field(default_factory=Backoff)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def run(self, stacks: Iterable[str], done: Callable[[Finding], None]) -> None:
        """Check each; `done` hears every finding as it comes, in the caller's thread."""
        with ThreadPoolExecutor(self.at_once) as pool:
            working = [pool.submit(self.of, name) for name in stacks]
            try:
                for each in as_completed(working):
                    done(each.result())
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def of(self, stack: str) -> Finding:
        """The finding of one stack; one that cannot be checked says why."""
        try:
            started = self._call(self.cloudformation.detect_stack_drift, StackName=stack)
            status = self._settled(started["StackDriftDetectionId"])
            compared, resources = self._resources(stack)
        except ClientError as e:
            code, text = e.response["Error"]["Code"], e.response["Error"].get("Message", "")
            if code != "ValidationError":
                raise
            return Finding(stack, self.now(), ABSENT if "does not exist" in text else UNKNOWN, reason=text)
        found = DRIFTED if resources else status.get("StackDriftStatus", UNKNOWN)
        failed = status["DetectionStatus"] == "DETECTION_FAILED"
        reason = status.get("DetectionStatusReason", "the detection failed without a reason") if failed else None
        return Finding(stack, self.now(), found, compared, resources, reason)

    def _settled(self, detection: str) -> Mapping[str, Any]:
        began, looks = self.clock(), 0
        while True:
            status: Mapping[str, Any] = self._call(
                self.cloudformation.describe_stack_drift_detection_status, StackDriftDetectionId=detection
            )
            if status["DetectionStatus"] != "DETECTION_IN_PROGRESS":
                return status
            if self.clock() - began > LONGEST:
                return {
                    "DetectionStatus": "DETECTION_FAILED",
                    "DetectionStatusReason": f"no result after {LONGEST:.0f} s",
                }
            self.sleep(LOOKS.pause(looks, self.at_once))
            looks += 1

    def _resources(self, stack: str) -> tuple[int, tuple[ResourceDrift, ...]]:
        compared, more = 0, dict[str, str]()
        changed: list[ResourceDrift] = []
        while True:
            page = self._call(self.cloudformation.describe_stack_resource_drifts, StackName=stack, **more)
            drifts = page["StackResourceDrifts"]
            compared += sum(each["StackResourceDriftStatus"] in {IN_SYNC, *CHANGED} for each in drifts)
            changed += [resource_of(each) for each in drifts if each["StackResourceDriftStatus"] in CHANGED]
            if "NextToken" not in page:
                return compared, tuple(sorted(changed, key=lambda each: each.logical_id))
            more = {"NextToken": page["NextToken"]}

    def _call(self, operation: Callable[..., Any], **request: Any) -> Any:
        """The answer, however often CloudFormation asks to come back later."""
        for refusals in range(1, self.backoff.tries + 1):
            try:
                return operation(**request)
            except ClientError as e:
                if e.response["Error"]["Code"] not in THROTTLED or refusals == self.backoff.tries:
                    raise
                self.sleep(self.backoff.pause(refusals, random.random()))  # noqa: S311 - spreads callers, hides nothing
        raise AssertionError("unreachable")


def resource_of(drift: Mapping[str, Any]) -> ResourceDrift:
    differences = [
        Difference(each["PropertyPath"], each["ExpectedValue"], each["ActualValue"], each["DifferenceType"])
        for each in drift.get("PropertyDifferences", [])
    ]
    return ResourceDrift(
        logical_id=drift["LogicalResourceId"],
        physical_id=drift.get("PhysicalResourceId", ""),
        type=drift["ResourceType"],
        status=drift["StackResourceDriftStatus"],
        differences=tuple(differences),
    )
