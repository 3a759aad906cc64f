"""Stacks against the emulator's CloudFormation, and against states that it does not get into."""

import json
import time
from datetime import datetime

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.hooks import HierarchicalEmitter

from deployment.assembly import Asset, Stack
from deployment.errors import BootstrapError, Overtaken, StuckError
from deployment.publishing import bootstrap
from deployment.stacks import Adaptation, Clients, Stacks, Wanted
from deployment.waves import Backoff, Looks, Pace
from lineage.bucket_owner import insisting

ACCOUNT, REGION = "000000000000", "us-east-1"
ASSETS = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "arrivals"}}
# The emulator knows no metric math, and says so.
IMPOSSIBLE = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {
        "AlarmName": "impossible",
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "Metrics": [{"Id": "m", "Expression": "1+1"}],
    },
}


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    from local_cloud import emulator, ports, tls
    from local_cloud.state import Folders

    folders = Folders(tmp_path_factory.mktemp("emulator"))
    folders.make()
    material = tls.ensure(folders.tls)
    started = emulator.start(folders, material, ports.choose(None, set()), {})
    options = {
        "endpoint_url": started.endpoint,
        "verify": str(material.ca),
        "region_name": REGION,
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    s3 = insisting(boto3.client("s3", **options), ACCOUNT)
    bootstrap(s3, boto3.client("ssm", **options), ACCOUNT, REGION)
    made = Clients(boto3.client("cloudformation", **options), s3)
    yield made
    for client in (made.cloudformation, made.s3):
        client.close()  # the emulator waits for open connections before it ends
    started.stop()


@pytest.fixture
def a_stack(tmp_path):
    def make(name, resources, assets=(), **more):
        template = tmp_path / f"{name}.template.json"
        template.write_text(json.dumps({"Description": "A test", "Resources": resources}))
        given = {"tags": {}, "termination_protection": False, "execution_role": None, "template_bucket": ASSETS, **more}
        return Stack(name=name, template_file=template, account=ACCOUNT, region=REGION, assets=tuple(assets), **given)

    return make


def deployer(clients, said=None, **more):
    heard = [] if said is None else said
    given = {
        "looks": Looks(per_second=1_000),
        "backoff": Backoff(first=0.001, longest=0.002),
        "pace": Pace(gap=0),
    } | more
    return Stacks(clients, Adaptation(), lambda stack, what: heard.append((stack, what)), **given)


def deploy(clients, *stacks, **more):
    outcomes = deployer(clients, forgets_updates=True, **more).deploy(stacks)
    return {outcome.stack: outcome for outcome in outcomes}


@pytest.mark.cloud
def test_a_stack_is_created_left_alone_and_updated(clients, a_stack):
    name = "life"
    first = a_stack(name, {"Queue": QUEUE})
    assert deploy(clients, first)[name].action == "created"
    assert deploy(clients, first)[name].action == "unchanged"

    second = a_stack(name, {"Queue": QUEUE, "More": {"Type": "AWS::SQS::Queue"}})
    assert deploy(clients, second)[name].action == "updated"
    resources = clients.cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    assert {each["LogicalResourceId"] for each in resources} == {"Queue", "More"}
    assert deploy(clients, second)[name].action == "unchanged"


@pytest.mark.cloud
def test_a_stack_that_is_known_to_differ_is_updated_whatever_its_description_says(clients, a_stack):
    name = "edited"
    stack = a_stack(name, {"Queue": QUEUE | {"Properties": {"QueueName": "edited"}}})
    deploy(clients, stack)
    template = clients.cloudformation.get_template(StackName=name)["TemplateBody"]
    template["Resources"]["More"] = {"Type": "AWS::SQS::Queue"}
    clients.cloudformation.update_stack(StackName=name, TemplateBody=json.dumps(template))
    assert deploy(clients, stack)[name].action == "unchanged"

    (outcome,) = deployer(clients, forgets_updates=True).deploy([stack], differing={name})

    assert outcome.action == "updated"
    assert set(clients.cloudformation.get_template(StackName=name)["TemplateBody"]["Resources"]) == {"Queue"}


@pytest.mark.cloud
def test_when_a_template_was_taken_is_known_of_those_that_were_sent(clients, a_stack):
    stack = a_stack("timed", {"Topic": {"Type": "AWS::SNS::Topic"}})
    (created,) = deployer(clients).deploy([stack])

    described = clients.cloudformation.describe_stacks(StackName="timed")["Stacks"][0]
    assert datetime.fromisoformat(created.updated) == described["CreationTime"]
    assert deployer(clients).deploy([stack])[0].updated is None
    forgetting = deployer(clients, forgets_updates=True)
    assert forgetting.deploy([a_stack("untimed", {"Topic": {"Type": "AWS::SNS::Topic"}})])[0].updated is None


@pytest.mark.cloud
def test_of_several_stacks_only_the_one_that_differs_is_touched(clients, a_stack):
    one, two = (a_stack(name, {"Topic": {"Type": "AWS::SNS::Topic"}}) for name in ("one", "two"))
    deploy(clients, one, two)

    changed = a_stack("two", {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "two"}}})
    outcomes = deploy(clients, one, changed, a_stack("three", {"Topic": {"Type": "AWS::SNS::Topic"}}))

    assert {name: each.action for name, each in outcomes.items()} == {
        "one": "unchanged",
        "two": "updated",
        "three": "created",
    }


@pytest.mark.cloud
def test_a_failure_names_the_resource_and_its_reason_and_others_go_on(clients, a_stack):
    outcomes = deploy(
        clients, a_stack("broken", {"Alarm": IMPOSSIBLE}), a_stack("sound", {"T": {"Type": "AWS::SNS::Topic"}})
    )

    assert outcomes["sound"].action == "created"
    assert outcomes["broken"].action == "failed"
    assert outcomes["broken"].error.startswith("stack broken: Alarm (AWS::CloudWatch::Alarm, ")
    assert outcomes["broken"].error.endswith("the stack is now ROLLBACK_COMPLETE")


@pytest.mark.cloud
def test_a_stack_whose_creation_failed_is_made_anew(clients, a_stack):
    assert deploy(clients, a_stack("again", {"Alarm": IMPOSSIBLE}))["again"].action == "failed"

    assert deploy(clients, a_stack("again", {"T": {"Type": "AWS::SNS::Topic"}}))["again"].action == "created"


@pytest.mark.cloud
def test_an_update_that_failed_is_taken_back_and_tried_again_next_time(clients, a_stack):
    topic = {"T": {"Type": "AWS::SNS::Topic"}}
    deploy(clients, a_stack("retry", topic))

    failed = deploy(clients, a_stack("retry", topic | {"Alarm": IMPOSSIBLE}))["retry"]
    assert (failed.action, "Alarm" in failed.error) == ("failed", True)
    assert deploy(clients, a_stack("retry", topic))["retry"].action in {"updated", "unchanged"}
    assert deploy(clients, a_stack("retry", topic | {"U": {"Type": "AWS::SNS::Topic"}}))["retry"].action == "updated"


@pytest.mark.cloud
def test_a_template_that_is_too_long_for_the_call_goes_through_the_bucket(clients, a_stack):
    topics = {f"T{n}": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "x" * 80}} for n in range(450)}
    assert len(json.dumps(topics)) > 51_200

    assert deploy(clients, a_stack("long", topics))["long"].action == "created"


@pytest.mark.cloud
def test_assets_are_put_where_the_template_looks_for_them(clients, a_stack, tmp_path):
    source = tmp_path / "code.zip"
    source.write_bytes(b"code")
    asset = Asset(source=source, packaging="file", bucket=ASSETS, key="code-1.zip")

    deploy(clients, a_stack("assets", {"T": {"Type": "AWS::SNS::Topic"}}, assets=[asset]))

    assert clients.s3.get_object(Bucket=ASSETS, Key="code-1.zip")["Body"].read() == b"code"


@pytest.mark.cloud
def test_an_account_without_an_asset_bucket_is_told_how_to_get_one(clients, a_stack, tmp_path):
    source = tmp_path / "code.zip"
    source.write_bytes(b"code")
    asset = Asset(source=source, packaging="file", bucket="nobodys-assets", key="code-1.zip")

    with pytest.raises(
        BootstrapError, match=r"nobodys-assets.*us-east-1 of account 000000000000; prepare the account once"
    ):
        deploy(clients, a_stack("unbootstrapped", {"T": {"Type": "AWS::SNS::Topic"}}, assets=[asset]))


@pytest.mark.cloud
def test_termination_protection_follows_the_environment(clients, a_stack):
    topic = {"T": {"Type": "AWS::SNS::Topic"}}
    deploy(clients, a_stack("kept", topic, termination_protection=True))
    with pytest.raises(ClientError, match="TerminationProtection"):
        clients.cloudformation.delete_stack(StackName="kept")


class Scripted:
    """A CloudFormation whose stack is in the given states, one per look; `refuse` raises at the first calls."""

    class meta:
        events = HierarchicalEmitter()

    def __init__(self, *states, refuse=()):
        self.states, self.asked, self.refuse = list(states), [], list(refuse)

    def describe_stacks(self, StackName):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state is None:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "does not exist"}}, "DescribeStacks")
        return {"Stacks": [state]}

    def describe_stack_events(self, StackName):
        return {"StackEvents": []}

    def get_paginator(self, operation):
        class Pages:
            def paginate(self, **_):
                return [{"StackEvents": []}]

        return Pages()

    def _asked(self, what):
        if self.refuse:
            code = self.refuse.pop(0)
            raise ClientError({"Error": {"Code": code, "Message": "Rate exceeded"}}, what)
        self.asked.append(what)

    def update_stack(self, **request):
        self._asked("update")

    def create_stack(self, **request):
        self._asked("create")

    def delete_stack(self, **request):
        self._asked("delete")

    def continue_update_rollback(self, **request):
        self._asked("continue")

    def rollback_stack(self, **request):
        self._asked("take back")

    def update_termination_protection(self, **request):
        self._asked(f"protection {request['EnableTerminationProtection']}")


def described(status, digest=None, protection=False):
    return {
        "StackStatus": status,
        "Description": f"A test [{digest}]" if digest else "",
        "EnableTerminationProtection": protection,
    }


def bring(cloudformation, stack, **more):
    return deployer(Clients(cloudformation, None)).bring(Wanted(stack), **more)


def test_a_stack_that_somebody_else_is_changing_is_waited_for(a_stack):
    stack = a_stack("busy", {})
    cloudformation = Scripted(described("UPDATE_IN_PROGRESS"), described("UPDATE_COMPLETE", stack.digest))

    assert bring(cloudformation, stack) == "unchanged"
    assert cloudformation.asked == []


def test_a_stack_that_is_being_deleted_is_made_when_it_is_gone(a_stack):
    stack = a_stack("going", {})
    cloudformation = Scripted(described("DELETE_IN_PROGRESS"), None, described("CREATE_COMPLETE", stack.digest))

    assert bring(cloudformation, stack) == "created"
    assert cloudformation.asked == ["create"]


@pytest.mark.parametrize("status", ["CREATE_FAILED", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"])
def test_a_protected_stack_that_was_never_made_is_cleared_first(a_stack, status):
    stack = a_stack("stillborn", {}, termination_protection=True)
    before, after = described(status, protection=True), described("CREATE_COMPLETE", stack.digest, protection=True)
    cloudformation = Scripted(before, None, None, after)

    assert bring(cloudformation, stack) == "created"
    assert cloudformation.asked == ["protection False", "delete", "create"]


def test_a_stack_that_stood_once_is_never_deleted(a_stack):
    cloudformation = Scripted(described("ROLLBACK_COMPLETE"))

    with pytest.raises(StuckError, match=r"stack kept: is in state ROLLBACK_COMPLETE.*recorded that it stood"):
        bring(cloudformation, a_stack("kept", {}), stood=True)
    assert cloudformation.asked == []


def test_an_update_that_could_not_be_taken_back_is_taken_back_again_and_then_made(a_stack):
    stack = a_stack("half", {})
    states = ("UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_IN_PROGRESS", *["UPDATE_ROLLBACK_COMPLETE"] * 2)
    cloudformation = Scripted(*map(described, states), described("UPDATE_COMPLETE", stack.digest))

    assert bring(cloudformation, stack, stood=True) == "updated"
    assert cloudformation.asked == ["continue", "update"]


def test_what_cannot_be_taken_back_twice_is_for_a_person(a_stack):
    cloudformation = Scripted(described("UPDATE_ROLLBACK_FAILED"))

    with pytest.raises(StuckError, match=r"continue-update-rollback --stack-name half --resources-to-skip"):
        bring(cloudformation, a_stack("half", {}))
    assert cloudformation.asked == ["continue"]


def test_an_update_that_was_left_failed_is_taken_back_first(a_stack):
    stack = a_stack("failed", {})
    states = ("UPDATE_FAILED", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
    cloudformation = Scripted(*map(described, states), described("UPDATE_COMPLETE", stack.digest))

    assert bring(cloudformation, stack) == "updated"
    assert cloudformation.asked == ["take back", "update"]


@pytest.mark.parametrize("status", ["DELETE_FAILED", "IMPORT_ROLLBACK_FAILED", "SOMETHING_NEW"])
def test_a_stack_that_only_a_person_can_mend_is_left_alone(a_stack, status):
    cloudformation = Scripted(described(status))

    with pytest.raises(StuckError, match=f"stack stuck: is in state {status}"):
        bring(cloudformation, a_stack("stuck", {}))
    assert cloudformation.asked == []


def test_a_stack_last_changed_by_other_means_is_brought_back(a_stack):
    stack = a_stack("foreign", {})
    cloudformation = Scripted(described("UPDATE_COMPLETE"), described("UPDATE_COMPLETE", stack.digest))

    assert bring(cloudformation, stack) == "updated"


def test_a_refused_call_is_made_again_and_the_pace_slackens(a_stack):
    stack = a_stack("crowded", {})
    cloudformation = Scripted(None, described("CREATE_COMPLETE", stack.digest), refuse=["Throttling"] * 3)
    pace = Pace(limit=16, gap=0)

    made = deployer(Clients(cloudformation, None), pace=pace)
    assert made.bring(Wanted(stack)) == "created"
    assert (cloudformation.asked, pace.at_once) == (["create"], 12)


def test_a_stack_that_failed_because_a_service_was_too_busy_is_tried_again(a_stack):
    stack = a_stack("crowded", {})

    class Busy(Scripted):
        def get_paginator(self, operation):
            event = {
                "EventId": "1",
                "ResourceStatus": "CREATE_FAILED",
                "LogicalResourceId": "Alarm",
                "ResourceType": "AWS::CloudWatch::Alarm",
                "ResourceStatusReason": "Rate exceeded (Service: CloudWatch)",
            }

            class Pages:
                def paginate(self, **_):
                    return [{"StackEvents": [event]}]

            return Pages()

    failed = described("ROLLBACK_COMPLETE")
    cloudformation = Busy(None, failed, failed, None, None, described("CREATE_COMPLETE", stack.digest))
    pace = Pace(limit=16, gap=0)

    (outcome,) = deployer(Clients(cloudformation, None), pace=pace).deploy([stack])

    assert (outcome.action, cloudformation.asked) == ("created", ["create", "delete", "create"])
    assert pace.at_once < 16


def test_two_stacks_are_not_begun_at_the_same_moment(a_stack):
    begun = []

    class Noted(Scripted):
        def describe_stacks(self, StackName):
            begun.append(time.monotonic())
            return super().describe_stacks(StackName)

    stacks = [a_stack(f"s{number}", {}) for number in range(3)]
    cloudformation = Noted(described("CREATE_COMPLETE", stacks[0].digest))
    deployer(Clients(cloudformation, None), pace=Pace(gap=0.1)).deploy(stacks)

    first, second, third = begun
    assert second - first > 0.09
    assert third - second > 0.09


def test_a_refusal_for_another_reason_is_not_asked_again(a_stack):
    cloudformation = Scripted(None, refuse=["AccessDenied"])

    (outcome,) = deployer(Clients(cloudformation, None)).deploy([a_stack("denied", {})])

    assert outcome.action == "failed"
    assert outcome.error.startswith("stack denied: ")
    assert "AccessDenied" in outcome.error


def test_nothing_is_changed_once_the_guard_refuses(a_stack):
    def guard():
        raise Overtaken("another deploy")

    cloudformation = Scripted(None)
    with pytest.raises(Overtaken):
        deployer(Clients(cloudformation, None), guard=guard).deploy([a_stack("late", {})])
    assert cloudformation.asked == []


def test_after_an_interruption_no_further_stack_is_begun(a_stack):
    def interrupted(_outcome):
        raise KeyboardInterrupt

    cloudformation = Scripted(described("CREATE_COMPLETE"), described("UPDATE_COMPLETE"))
    stacks = [a_stack(f"s{number}", {}) for number in range(5)]
    with pytest.raises(KeyboardInterrupt):
        deployer(Clients(cloudformation, None), pace=Pace(limit=1, most=1, gap=0)).deploy(stacks, interrupted)
    assert cloudformation.asked == ["update"]


def test_a_wave_with_too_many_failures_begins_no_further_stack(a_stack):
    cloudformation = Scripted(None, refuse=["AccessDenied"] * 100)
    stacks = [a_stack(f"s{number}", {}) for number in range(30)]

    outcomes = deployer(Clients(cloudformation, None), pace=Pace(limit=1, most=1, gap=0)).deploy(stacks)

    assert [each.action for each in outcomes] == ["failed"] * 4 + ["not begun"] * 26


def test_a_change_of_tags_alone_is_a_change(a_stack):
    plain, tagged = a_stack("tags", {}), a_stack("tags", {}, tags={"tenant": "acme"})

    assert Wanted(plain).digest != Wanted(tagged).digest


def test_another_adaptation_is_a_change_and_none_is_the_stacks_own_digest(a_stack):
    stack = a_stack("fitted", {})
    one, two = (Adaptation(lambda template: template, version) for version in ("1", "2"))

    assert len({Wanted(stack).digest, Wanted(stack, one).digest, Wanted(stack, two).digest}) == 3
    assert Wanted(stack).digest == stack.digest
