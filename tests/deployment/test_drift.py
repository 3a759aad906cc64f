"""Drift: detections as CloudFormation answers them, whose turn it is, and findings that several checks write."""

import json
from collections import Counter

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from deployment.drift import (
    ABSENT,
    DRIFTED,
    IN_SYNC,
    UNKNOWN,
    Detection,
    Difference,
    Finding,
    Log,
    ResourceDrift,
    merged,
    rotation,
)
from deployment.errors import DeployError
from lineage.bucket_owner import insisting

ACCOUNT, REGION = "123456789012", "eu-central-1"
QUEUE = {
    "LogicalResourceId": "Queue",
    "PhysicalResourceId": "q",
    "ResourceType": "AWS::SQS::Queue",
    "StackResourceDriftStatus": "MODIFIED",
    "PropertyDifferences": [
        {"PropertyPath": "/Delay", "ExpectedValue": "0", "ActualValue": "5", "DifferenceType": "NOT_EQUAL"}
    ],
}


def a_resource(name, status):
    return {"LogicalResourceId": name, "ResourceType": "AWS::IAM::Role", "StackResourceDriftStatus": status}


def refused(code, message=""):
    return ClientError({"Error": {"Code": code, "Message": message}}, "DetectStackDrift")


class CloudFormation:
    """Answers for stacks by name: pages of drifts, looks that a detection takes, and refusals."""

    def __init__(self, pages=([],), looks=0, refusals=(), outcome=None):
        self.pages, self.looks, self.refusals = pages, looks, list(refusals)
        self.outcome = outcome or {"DetectionStatus": "DETECTION_COMPLETE", "StackDriftStatus": IN_SYNC}
        self.calls = Counter()

    def detect_stack_drift(self, *, StackName):
        self.calls["detect"] += 1
        if self.refusals:
            raise self.refusals.pop()
        return {"StackDriftDetectionId": StackName}

    def describe_stack_drift_detection_status(self, *, StackDriftDetectionId):
        self.calls["look"] += 1
        return {"DetectionStatus": "DETECTION_IN_PROGRESS"} if self.calls["look"] <= self.looks else self.outcome

    def describe_stack_resource_drifts(self, *, StackName, NextToken="0"):
        self.calls["resources"] += 1
        number = int(NextToken)
        more = {"NextToken": str(number + 1)} if number + 1 < len(self.pages) else {}
        return {"StackResourceDrifts": self.pages[number], **more}


def a_detection(cloudformation, **more):
    slept = []
    made = Detection(cloudformation, now=lambda: "2026-11-21T12:00:00", sleep=slept.append, **more)
    return made, slept


def test_a_stack_that_is_as_it_was_made_is_in_sync():
    detection, _ = a_detection(CloudFormation(pages=[[a_resource("R", IN_SYNC), a_resource("S", "NOT_CHECKED")]]))

    assert detection.of("t") == Finding("t", "2026-11-21T12:00:00", IN_SYNC, compared=1)


def test_changed_and_deleted_resources_are_told_with_their_properties_from_every_page():
    pages = [[QUEUE, a_resource("A", IN_SYNC)], [a_resource("Gone", "DELETED")]]
    detection, _ = a_detection(CloudFormation(pages=pages))

    found = detection.of("t")

    assert (found.status, found.compared) == (DRIFTED, 3)
    assert found.resources == (
        ResourceDrift("Gone", "", "AWS::IAM::Role", "DELETED"),
        ResourceDrift("Queue", "q", "AWS::SQS::Queue", "MODIFIED", (Difference("/Delay", "0", "5", "NOT_EQUAL"),)),
    )


def test_a_detection_is_waited_for():
    cloudformation = CloudFormation(looks=5)
    detection, slept = a_detection(cloudformation)

    assert detection.of("t").status == IN_SYNC
    assert cloudformation.calls["look"] == 6
    assert slept == sorted(slept)
    assert len(slept) == 5


def test_a_detection_that_never_ends_is_given_up():
    times = iter(range(0, 100_000, 500))
    detection, _ = a_detection(CloudFormation(looks=10_000), clock=lambda: next(times))

    found = detection.of("t")

    assert (found.status, found.reason) == (UNKNOWN, "no result after 1200 s")


def test_a_failed_detection_gives_its_reason_and_what_it_found():
    outcome = {"DetectionStatus": "DETECTION_FAILED", "DetectionStatusReason": "no right to read the key"}
    detection, _ = a_detection(CloudFormation(pages=[[QUEUE]], outcome=outcome))

    found = detection.of("t")

    assert (found.status, found.reason) == (DRIFTED, "no right to read the key")


def test_throttling_is_met_with_pauses():
    cloudformation = CloudFormation(refusals=[refused("Throttling")] * 3)
    detection, slept = a_detection(cloudformation)

    assert detection.of("t").status == IN_SYNC
    assert cloudformation.calls["detect"] == 4
    assert len(slept) == 3


def test_throttling_without_end_is_an_error():
    detection, _ = a_detection(CloudFormation(refusals=[refused("Throttling")] * 99))

    with pytest.raises(ClientError, match="Throttling"):
        detection.of("t")


@pytest.mark.parametrize(
    ("message", "status"),
    [("Stack [t] does not exist", ABSENT), ("Stack [t] is in ROLLBACK_COMPLETE state", UNKNOWN)],
)
def test_a_stack_that_cannot_be_checked_says_why(message, status):
    detection, _ = a_detection(CloudFormation(refusals=[refused("ValidationError", message)]))

    assert detection.of("t") == Finding("t", "2026-11-21T12:00:00", status, reason=message)


def test_a_missing_right_ends_the_whole_check():
    detection, _ = a_detection(CloudFormation(refusals=[refused("AccessDenied")]))

    with pytest.raises(ClientError, match="AccessDenied"):
        detection.run(["t"], lambda _finding: None)


def test_no_more_stacks_are_in_work_than_allowed():
    import threading

    most, working, lock = [0], [0], threading.Lock()

    class Slow(CloudFormation):
        def detect_stack_drift(self, *, StackName):
            with lock:
                working[0] += 1
                most[0] = max(most[0], working[0])
            threading.Event().wait(0.01)
            with lock:
                working[0] -= 1
            return {"StackDriftDetectionId": StackName}

    found = []
    detection, _ = a_detection(Slow(), at_once=3)

    detection.run([f"t{number}" for number in range(20)], found.append)

    assert sorted(each.stack for each in found) == sorted(f"t{number}" for number in range(20))
    assert 2 <= most[0] <= 3


def a_finding(stack, at, status=IN_SYNC):
    return Finding(stack, at, status)


def test_stacks_never_checked_come_first_and_then_the_oldest():
    known = {"a": a_finding("a", "2026-11-03"), "b": a_finding("b", "2026-11-01"), "d": a_finding("d", "2026-11-02")}

    assert rotation(["a", "b", "c", "d"], known, 3) == ["c", "b", "d"]


@given(st.integers(1, 30), st.integers(1, 7))
def test_every_stack_has_its_turn_before_one_has_it_twice(stacks, number):
    names, known, checked = [f"t{each:02}" for each in range(stacks)], {}, []
    while len(checked) < stacks:
        for name in rotation(names, known, number)[: stacks - len(checked)]:
            known[name] = a_finding(name, f"{len(checked):04}")
            checked.append(name)

    assert sorted(checked) == names


findings = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9), max_size=4).map(
    lambda found: {name: a_finding(name, str(at)) for name, at in found.items()}
)


@given(findings, findings, findings)
def test_findings_of_several_checks_come_together_in_any_order(one, two, three):
    assert merged(merged(one, two), three) == merged(one, merged(two, three))
    assert merged(one, two) == merged(two, one)
    assert merged(one, one) == one


def test_of_two_findings_of_a_stack_the_later_one_holds():
    early, late = a_finding("t", "2026-11-20", DRIFTED), a_finding("t", "2026-11-21")

    assert merged({"t": early}, {"t": late}) == {"t": late}
    assert merged({"t": late}, {"t": early}) == {"t": late}


@pytest.fixture
def log():
    with mock_aws():
        s3 = insisting(
            boto3.client("s3", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y"), ACCOUNT
        )
        s3.create_bucket(Bucket="assets", CreateBucketConfiguration={"LocationConstraint": REGION})
        yield Log(s3, "assets", "o-prod-platform")


def test_findings_are_read_as_they_were_written(log):
    found = Finding(
        "t",
        "2026-11-21",
        DRIFTED,
        2,
        (ResourceDrift("Q", "q", "T", "MODIFIED", (Difference("/A", "0", "1", "ADD"),)),),
        "why",
    )

    log.add({"t": found})
    log.add({"u": a_finding("u", "2026-11-22")})

    assert log.read() == {"t": found, "u": a_finding("u", "2026-11-22")}
    assert log.key == "deployments/o-prod-platform/drift.json"


def test_a_check_that_writes_meanwhile_loses_nothing(log, monkeypatch):
    read, raced = Log._read, []

    def meanwhile(self):
        found = read(self)
        if not raced:
            raced.append(True)
            self.add({"other": a_finding("other", "2026-11-21")})
        return found

    monkeypatch.setattr(Log, "_read", meanwhile)

    log.add({"own": a_finding("own", "2026-11-21")})

    assert set(log.read()) == {"own", "other"}


def test_a_log_that_is_always_overtaken_says_so(log, monkeypatch):
    log.add({"t": a_finding("t", "2026-11-21")})
    monkeypatch.setattr(Log, "_read", lambda _self: ({}, '"another"'))

    with pytest.raises(DeployError, match="run this one again"):
        log.add({"t": a_finding("t", "2026-11-22")})


@pytest.mark.parametrize("content", [b"{", b'{"format": 9, "findings": []}', b'{"format": 1, "findings": [{"a": 1}]}'])
def test_a_log_that_cannot_be_read_is_begun_anew(log, content):
    log.s3.put_object(Bucket=log.bucket, Key=log.key, Body=content)

    assert log.read() == {}
    log.add({"t": a_finding("t", "2026-11-21")})
    assert set(log.read()) == {"t"}


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    from local_cloud import emulator, ports, tls
    from local_cloud.state import Folders

    folders = Folders(tmp_path_factory.mktemp("emulator"))
    folders.make()
    material = tls.ensure(folders.tls)
    started = emulator.start(folders, material, ports.choose(None, set()), {})
    options = {
        "endpoint_url": started.endpoint,
        "verify": str(material.ca),
        "region_name": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    made = {name: boto3.client(name, **options) for name in ("cloudformation", "sqs")}
    yield made
    for client in made.values():
        client.close()  # the emulator waits for open connections before it ends
    started.stop()


@pytest.mark.cloud
def test_a_queue_that_was_changed_and_one_that_was_deleted_by_hand_are_found(emulated):
    cloudformation, sqs = emulated["cloudformation"], emulated["sqs"]
    queues = {
        name: {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name, "DelaySeconds": 0}}
        for name in ("changed", "deleted", "kept")
    }
    cloudformation.create_stack(StackName="queues", TemplateBody=json.dumps({"Resources": queues}))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="queues", WaiterConfig={"Delay": 1})
    url = sqs.get_queue_url(QueueName="changed")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "30"})
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="deleted")["QueueUrl"])

    found = []
    Detection(cloudformation, now=lambda: "now").run(["queues", "nowhere"], found.append)

    by_name = {each.stack: each for each in found}
    assert by_name["nowhere"].status == ABSENT
    assert (by_name["queues"].status, by_name["queues"].compared) == (DRIFTED, 3)
    assert [(each.logical_id, each.status) for each in by_name["queues"].resources] == [
        ("changed", "MODIFIED"),
        ("deleted", "DELETED"),
    ]
    assert by_name["queues"].resources[0].differences == (Difference("/DelaySeconds", "0", "30", "NOT_EQUAL"),)
