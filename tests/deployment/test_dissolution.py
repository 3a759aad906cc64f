"""A stack that is to go, against a CloudFormation that gets into states which the emulator does not know."""

import json
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import ClientError

from deployment.dissolution import REMOVED_ANYWAY, Dissolution, keeping
from deployment.errors import StackError
from deployment.parts import Folder
from tests.templates import committed

STACK = "mycompany-acme-prod-tenant"
KEY = {"Type": "AWS::KMS::Key", "DeletionPolicy": "Retain"}
LOST = {"Type": "AWS::KMS::Key", "DeletionPolicy": "Delete"}
BUCKET = {"Type": "AWS::S3::Bucket"}


def refused(text, operation):
    return ClientError({"Error": {"Code": "ValidationError", "Message": text}}, operation)


@dataclass
class CloudFormation:
    """One stack. `stubborn`: logical ids that cannot be deleted, for `failures` attempts or for ever."""

    resources: dict[str, dict[str, str]]
    status: str = "CREATE_COMPLETE"
    is_protected: bool = False
    stubborn: tuple[str, ...] = ()
    states: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, object]] = field(default_factory=list)
    looks: int = 0
    busy: int = 0

    def describe_stacks(self, StackName):
        self.looks += 1
        if self.status == "GONE":
            raise refused(f"Stack with id {StackName} does not exist", "DescribeStacks")
        busy, self.busy = self.busy, max(0, self.busy - 1)
        status = "UPDATE_IN_PROGRESS" if busy else self.status
        parameters = [{"ParameterKey": "BootstrapVersion", "ParameterValue": "/cdk"}]
        return {
            "Stacks": [
                {
                    "StackStatus": status,
                    "EnableTerminationProtection": self.is_protected,
                    "Parameters": parameters,
                }
            ]
        }

    def get_template(self, StackName, TemplateStage):
        return {"TemplateBody": {"Resources": self.resources}}

    def update_stack(self, **request):
        assert request["Parameters"] == [{"ParameterKey": "BootstrapVersion", "UsePreviousValue": True}]
        self.requests.append(request)
        self.resources = json.loads(request["TemplateBody"])["Resources"]
        self.status = "UPDATE_COMPLETE"

    def update_termination_protection(self, StackName, EnableTerminationProtection):
        self.is_protected = EnableTerminationProtection

    def delete_stack(self, StackName, RetainResources=()):
        assert not self.is_protected
        valid = {name for name, state in self.states.items() if state == "DELETE_FAILED"}
        if RetainResources and not set(RetainResources) <= valid:
            raise refused("The specified resources to retain must be in a valid state", "DeleteStack")
        self.requests.append({"retain": list(RetainResources)})
        left = [name for name in self.stubborn if name not in RetainResources]
        self.states = {name: "DELETE_FAILED" if name in left else "DELETE_COMPLETE" for name in self.resources}
        self.status = "DELETE_FAILED" if left else "GONE"

    def get_paginator(self, _operation):
        return self

    def paginate(self, StackName):
        rows = [
            {
                "LogicalResourceId": name,
                "ResourceType": each["Type"],
                "PhysicalResourceId": name.lower(),
                "ResourceStatus": self.states.get(name, "CREATE_COMPLETE"),
            }
            for name, each in self.resources.items()
        ]
        yield {"StackResourceSummaries": rows}


def dissolve(cloudformation):
    Dissolution(cloudformation, STACK, Folder(None, "state", "end/"), lambda _text: None, lambda _s: None).run()
    return cloudformation.requests


def test_a_stack_that_is_gone_is_left_so():
    assert dissolve(CloudFormation({}, status="GONE")) == []


def test_protection_is_taken_off_and_a_retained_key_needs_no_update():
    assert dissolve(CloudFormation({"Key": KEY, "Bucket": BUCKET}, is_protected=True)) == [{"retain": []}]


def test_a_key_that_would_go_with_its_stack_is_let_go_of_first():
    (update, deletion) = dissolve(CloudFormation({"Key": LOST, "Bucket": BUCKET}))

    resources = json.loads(update["TemplateBody"])["Resources"]
    assert resources["Key"]["DeletionPolicy"] == "Retain"
    assert resources["Key"]["Metadata"] == {"lake:offboarding": "outlives the stack"}
    assert resources["Bucket"] == BUCKET
    assert deletion == {"retain": []}
    assert keeping({"Resources": resources}) == {"Resources": resources}


def test_what_cannot_be_deleted_is_left_out_the_next_time():
    found = CloudFormation({"Key": KEY, "Bucket": BUCKET, "Workgroup": BUCKET}, stubborn=("Bucket", "Workgroup"))

    assert dissolve(found) == [{"retain": []}, {"retain": ["Bucket", "Workgroup"]}]
    assert found.status == "GONE"


def test_what_nobody_would_look_for_afterwards_is_not_left_out_but_named():
    found = CloudFormation({"Key": KEY, "Odd": {"Type": "AWS::SQS::Queue"}}, stubborn=("Odd",))

    with pytest.raises(StackError, match=r"Odd \(AWS::SQS::Queue, odd\) could not be deleted: no reason given"):
        dissolve(found)

    assert found.status == "DELETE_FAILED"


def test_a_deletion_that_failed_for_such_a_thing_is_tried_again_once_its_cause_is_mended():
    found = CloudFormation({"Bucket": BUCKET, "Odd": {"Type": "AWS::SQS::Queue"}}, stubborn=("Odd", "Bucket"))
    with pytest.raises(StackError, match="Odd"):
        dissolve(found)
    found.stubborn, found.requests = ("Bucket",), []

    dissolve(found)

    assert found.status == "GONE"


def test_beside_it_what_is_looked_for_is_left_out():
    queue = {"Type": "AWS::SQS::Queue"}
    found = CloudFormation({"Bucket": BUCKET, "Odd": queue}, status="DELETE_FAILED", stubborn=("Bucket",))
    found.states = {"Bucket": "DELETE_FAILED", "Odd": "DELETE_FAILED"}

    assert dissolve(found) == [{"retain": ["Bucket"]}]


def test_everything_that_a_tenants_stack_holds_is_looked_for_afterwards():
    stacks = {name: each for name, each in committed("prod").items() if name.endswith("-tenant")}

    assert len(stacks) == 3
    for template in stacks.values():
        types = {each["Type"] for each in template["Resources"].values()}
        assert types - {"AWS::CDK::Metadata"} <= REMOVED_ANYWAY


def test_a_deletion_that_somebody_else_began_and_that_failed_is_gone_on_with():
    found = CloudFormation({"Key": LOST, "Bucket": BUCKET}, status="DELETE_FAILED", stubborn=("Bucket",))
    found.states = {"Key": "DELETE_COMPLETE", "Bucket": "DELETE_FAILED"}

    assert dissolve(found) == [{"retain": ["Bucket"]}]


def test_what_is_in_progress_is_waited_for():
    found = CloudFormation({"Key": KEY}, busy=3)

    dissolve(found)

    assert found.looks > 4


def test_a_stack_that_does_not_go_is_named(monkeypatch):
    found = CloudFormation({"Key": KEY, "Bucket": BUCKET}, stubborn=("Bucket",))
    monkeypatch.setattr(found, "delete_stack", lambda **_: setattr(found, "status", "DELETE_FAILED"))

    with pytest.raises(StackError, match=f"stack {STACK}: is DELETE_FAILED after 4 deletions"):
        dissolve(found)


def test_an_update_that_is_taken_back_stops_it_with_the_stack_as_it_was(monkeypatch):
    found = CloudFormation({"Key": LOST})
    monkeypatch.setattr(found, "update_stack", lambda **_: setattr(found, "status", "UPDATE_ROLLBACK_COMPLETE"))

    with pytest.raises(StackError, match="could not be told to leave its key where it is, and is now UPDATE_ROLLBACK"):
        dissolve(found)

    assert found.requests == []


def twice(call):
    """The answer is lost, and the client sends the request again."""

    def sent(**request):
        call(**request)
        return call(**request)

    return sent


def test_an_update_or_a_deletion_whose_answer_was_lost_is_no_error(monkeypatch):
    found = CloudFormation({"Key": LOST, "Bucket": BUCKET}, stubborn=("Bucket",))
    update, delete = found.update_stack, found.delete_stack

    def update_once(**request):
        if found.status == "UPDATE_COMPLETE":
            raise refused("No updates are to be performed.", "UpdateStack")
        update(**request)

    def delete_once(**request):
        if found.status == "GONE":
            raise refused("RetainResources: the stack is not in DELETE_FAILED", "DeleteStack")
        delete(**request)

    monkeypatch.setattr(found, "update_stack", twice(update_once))
    monkeypatch.setattr(found, "delete_stack", twice(delete_once))

    dissolve(found)

    assert found.status == "GONE"


def test_an_update_that_is_refused_is_told(monkeypatch):
    found = CloudFormation({"Key": LOST})

    def refuse(**_):
        raise refused("Stack is in UPDATE_ROLLBACK_FAILED state and can not be updated.", "UpdateStack")

    monkeypatch.setattr(found, "update_stack", refuse)

    with pytest.raises(ClientError, match="can not be updated"):
        dissolve(found)
