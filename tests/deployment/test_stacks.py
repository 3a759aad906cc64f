"""Stacks against the emulator's CloudFormation, and against states that it does not get into."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from deployment.assembly import Asset, Stack
from deployment.errors import BootstrapError, StuckError
from deployment.stacks import Clients, Stacks, Standing, Wanted, bootstrap
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


def deploy(clients, *stacks):
    outcomes = {}
    deployer = Stacks(clients, lambda template: template, lambda _stack, _what: None, forgets_updates=True)
    deployer.deploy(stacks, deployer.standing(), lambda outcome: outcomes.update({outcome.stack: outcome}))
    return outcomes


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

    with pytest.raises(BootstrapError, match=r"nobodys-assets.*bootstrap aws://000000000000/us-east-1"):
        deploy(clients, a_stack("unbootstrapped", {"T": {"Type": "AWS::SNS::Topic"}}, assets=[asset]))


@pytest.mark.cloud
def test_termination_protection_follows_the_environment(clients, a_stack):
    topic = {"T": {"Type": "AWS::SNS::Topic"}}
    deploy(clients, a_stack("kept", topic, termination_protection=True))
    with pytest.raises(ClientError, match="TerminationProtection"):
        clients.cloudformation.delete_stack(StackName="kept")


class Scripted:
    """A CloudFormation whose stack goes through the given states, one per look."""

    def __init__(self, *states):
        self.states, self.asked = list(states), []

    def describe_stacks(self, StackName):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state is None:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "does not exist"}}, "DescribeStacks")
        return {"Stacks": [state]}

    def describe_stack_events(self, StackName):
        return {"StackEvents": []}

    def update_stack(self, **request):
        self.asked.append("update")

    def create_stack(self, **request):
        self.asked.append("create")

    def delete_stack(self, **request):
        self.asked.append("delete")

    def update_termination_protection(self, **request):
        self.asked.append(f"protection {request['EnableTerminationProtection']}")


def described(status, digest=None, protection=False):
    return {
        "StackStatus": status,
        "Description": f"A test [{digest}]" if digest else "",
        "EnableTerminationProtection": protection,
    }


def bring(cloudformation, wanted, standing):
    return Stacks(Clients(cloudformation, None), dict, lambda _stack, _what: None).bring(wanted, standing)


def test_a_stack_that_somebody_else_is_changing_is_waited_for(a_stack):
    wanted = Wanted.of(a_stack("busy", {}), dict)
    cloudformation = Scripted(described("UPDATE_IN_PROGRESS"), described("UPDATE_COMPLETE", wanted.digest))

    assert bring(cloudformation, wanted, Standing("UPDATE_IN_PROGRESS", None, False)) == "unchanged"
    assert cloudformation.asked == []


def test_a_stack_that_is_being_deleted_is_made_when_it_is_gone(a_stack):
    wanted = Wanted.of(a_stack("going", {}), dict)
    cloudformation = Scripted(described("DELETE_IN_PROGRESS"), None, described("CREATE_COMPLETE", wanted.digest))

    assert bring(cloudformation, wanted, Standing("DELETE_IN_PROGRESS", None, False)) == "created"
    assert cloudformation.asked == ["create"]


def test_a_protected_stack_that_was_never_made_is_cleared_first(a_stack):
    wanted = Wanted.of(a_stack("stillborn", {}, termination_protection=True), dict)
    cloudformation = Scripted(None, described("CREATE_COMPLETE", wanted.digest, protection=True))

    assert bring(cloudformation, wanted, Standing("ROLLBACK_COMPLETE", None, True)) == "created"
    assert cloudformation.asked == ["protection False", "delete", "create"]


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"])
def test_a_stack_that_only_a_person_can_mend_is_left_alone(a_stack, status):
    cloudformation = Scripted(described(status))

    with pytest.raises(StuckError, match=status):
        bring(cloudformation, Wanted.of(a_stack("stuck", {}), dict), Standing(status, None, False))
    assert cloudformation.asked == []


def test_a_stack_last_changed_by_other_means_is_brought_back(a_stack):
    wanted = Wanted.of(a_stack("foreign", {}), dict)
    cloudformation = Scripted(described("UPDATE_COMPLETE", wanted.digest))

    assert bring(cloudformation, wanted, Standing("UPDATE_COMPLETE", None, False)) == "updated"


def test_a_change_of_tags_alone_is_a_change(a_stack):
    plain, tagged = a_stack("tags", {}), a_stack("tags", {}, tags={"tenant": "acme"})

    assert Wanted.of(plain, dict).digest != Wanted.of(tagged, dict).digest
