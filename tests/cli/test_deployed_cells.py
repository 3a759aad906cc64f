"""A deploy of an environment with two cells: S3 and DynamoDB by moto, CloudFormation by one that takes every template."""

import json

import boto3
import moto
import pytest
from botocore.exceptions import ClientError
from botocore.hooks import HierarchicalEmitter

from cli.connection import Connection
from cli.deploy import prepare
from cli.errors import WrongInput
from cli.planning import planned
from cli.progress import Progress
from deployment.locks import Holder, Lock
from deployment.plans import Action
from deployment.records import Shelf, bucket_of
from lineage import table
from lineage.bucket_owner import insisting
from tests.cli.test_deploy import GLOBEX, ORDERS, TENANTS, Lake

ACCOUNT = "123456789012"
PLATFORMS = {"eu-central-1": "mycompany-prod-platform", "eu-west-1": "mycompany-prod-platform-b"}
LEDGERS = {"eu-central-1": "mycompany-prod-ledger", "eu-west-1": "mycompany-prod-ledger-b"}
ENVIRONMENTS = """environments:
  local: {account: "000000000000", region: us-east-1, removal_policy: destroy, termination_protection: false, max_wait: 0}
  prod: {account: "123456789012", region: eu-central-1, cells: {b: {account: "123456789012", region: eu-west-1}}}
"""
IN_B = "    cells: {prod: b}\n"


class CloudFormation:
    """Of one Region: whatever it is given stands at once, but for stacks in `broken`."""

    class meta:
        events = HierarchicalEmitter()

    def __init__(self, s3):
        self.s3, self.stacks, self.asked, self.broken = s3, {}, [], set()

    def describe_stacks(self, StackName):
        if StackName not in self.stacks:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "does not exist"}}, "DescribeStacks")
        return {"Stacks": [self.stacks[StackName]]}

    def get_template(self, StackName):
        return {"TemplateBody": self.stacks[StackName]["template"]}

    def describe_stack_events(self, StackName):
        return {"StackEvents": []}

    def get_paginator(self, operation):
        pages = {
            "describe_stacks": {"Stacks": list(self.stacks.values())},
            "describe_stack_events": {"StackEvents": []},
        }

        class Pages:
            def paginate(self, **_):
                return [pages[operation]]

        return Pages()

    def create_stack(self, **request):
        self._change("create", "CREATE_COMPLETE", request)

    def update_stack(self, **request):
        self._change("update", "UPDATE_COMPLETE", request)

    def _change(self, what, status, request):
        name = request["StackName"]
        self.asked.append((what, name))
        if name in self.broken:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "as planned"}}, "UpdateStack")
        body = request.get("TemplateBody")
        if body is None:
            bucket, key = request["TemplateURL"].split("/", 3)[-1].split("/", 1)
            body = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        template = json.loads(body)
        protected = request.get(
            "EnableTerminationProtection", self.stacks.get(name, {}).get("EnableTerminationProtection")
        )
        self.stacks[name] = {
            "StackName": name,
            "StackStatus": status,
            "Description": template["Description"],
            "EnableTerminationProtection": protected,
            "template": template,
        }


def bucket_client(region):
    return insisting(boto3.client("s3", region_name=region), ACCOUNT)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Shapes are synthesised once for all tests."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def cells(home, tmp_path, monkeypatch):
    """CloudFormation by Region; the registry has acme in the first cell and globex in b."""
    lake = Lake(tmp_path)
    (lake.tenants / "environments.yaml").write_text(ENVIRONMENTS)
    lake.write(TENANTS + GLOBEX + IN_B)
    monkeypatch.setenv("LAKE_HOME", str(home))
    monkeypatch.setenv("LAKE_TENANTS", str(lake.tenants))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    original = Connection.client
    with moto.mock_aws():
        made = {}
        for region, platform in PLATFORMS.items():
            s3 = bucket_client(region)
            place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
            s3.create_bucket(Bucket=bucket_of(ACCOUNT, region), **place)
            code = "mycompany-prod-platform-code" + platform.removeprefix("mycompany-prod-platform")
            s3.create_bucket(Bucket=code, **place)
            boto3.client("dynamodb", region_name=region).create_table(**table.definition(LEDGERS[region]))
            made[region] = CloudFormation(s3)

        def client(self, service, session=None):
            return made[self.environment.region] if service == "cloudformation" else original(self, service, session)

        monkeypatch.setattr(Connection, "client", client)
        yield lake, made


def deployed(place="prod", *tenants):
    report = prepare(place, tenants, Progress(lambda _text: None)).run()
    assert report.refused is None
    return [(line.cell, line.stack, line.action) for line in report.lines]


def recorded(region):
    s3 = bucket_client(region)
    return set(Shelf(s3, bucket_of(ACCOUNT, region), PLATFORMS[region]).read()[0].stacks)


def test_each_cell_gets_its_platform_its_tenants_and_its_record(cells):
    _, regions = cells

    assert deployed() == [
        ("prod", "mycompany-prod-platform", "created"),
        ("prod", "mycompany-acme-prod-tenant", "created"),
        ("prod/b", "mycompany-prod-platform-b", "created"),
        ("prod/b", "mycompany-globex-prod-tenant", "created"),
    ]
    assert set(regions["eu-west-1"].stacks) == {"mycompany-prod-platform-b", "mycompany-globex-prod-tenant"}
    assert recorded("eu-central-1") == {"mycompany-prod-platform", "mycompany-acme-prod-tenant"}
    assert recorded("eu-west-1") == {"mycompany-prod-platform-b", "mycompany-globex-prod-tenant"}


def test_a_change_of_one_tenant_asks_nothing_of_the_other_cell(cells):
    lake, regions = cells
    deployed()
    for each in regions.values():
        each.asked.clear()
    lake.write(TENANTS + GLOBEX + "    retention: {raw: 7 days}\n" + IN_B)

    assert [line for line in deployed() if line[2] != "unchanged"] == [
        ("prod/b", "mycompany-globex-prod-tenant", "updated")
    ]
    assert regions["eu-central-1"].asked == []
    assert regions["eu-west-1"].asked == [("update", "mycompany-globex-prod-tenant")]


def test_what_fails_in_the_first_cell_is_not_begun_in_the_next(cells):
    lake, regions = cells
    deployed()
    (lake.tenants / "tenants.yaml").write_text((lake.tenants / "tenants.yaml").read_text().replace(".example", ".test"))
    (lake.tenants / "contracts" / "orders.yaml").write_text(ORDERS.replace("LIMIT 10", "LIMIT 11"))
    regions["eu-central-1"].broken = {"mycompany-acme-prod-tenant"}
    regions["eu-west-1"].asked.clear()

    assert [line for line in deployed() if line[2] != "unchanged"] == [
        ("prod", "mycompany-acme-prod-tenant", "failed"),
        ("prod/b", "mycompany-globex-prod-tenant", "not begun"),
    ]
    assert regions["eu-west-1"].asked == []


def test_one_cell_alone_is_named(cells):
    deployed()

    assert [line[0] for line in deployed("prod/b")] == ["prod/b", "prod/b"]


def test_a_deploy_in_one_cell_keeps_none_out_of_the_other(cells):
    s3 = bucket_client("eu-west-1")
    Lock(s3, bucket_of(ACCOUNT, "eu-west-1"), PLATFORMS["eu-west-1"], Holder("somebody")).take()

    assert [line[2] for line in deployed("prod", "acme")] == ["created", "created"]


GLOBEX_STACK, IN_FIRST = "mycompany-globex-prod-tenant", TENANTS + GLOBEX
ELSEWHERE = ENVIRONMENTS.replace('b: {account: "123456789012"', 'b: {account: "999988887777"')


def refusals(place="prod", *tenants, aside=()):
    plan = planned(place, tenants, lambda *_: None, aside=aside)
    created = {change.stack for cell in plan.cells for change in cell.pending if change.action is Action.CREATE}
    return {each.subject: each.reason for each in plan.refusals}, created


@pytest.mark.parametrize(("place", "tenants"), [("prod/first", ()), ("prod", ("globex",)), ("prod/first", ("globex",))])
def test_a_tenant_that_moved_is_refused_though_its_old_cell_is_not_in_the_command(cells, place, tenants):
    lake, regions = cells
    deployed()
    lake.write(IN_FIRST)

    told, created = refusals(place, *tenants)

    assert told[GLOBEX_STACK].startswith("stands in account 123456789012, Region eu-west-1, and tenants.yaml places")
    assert created == set()
    assert prepare(place, tenants, Progress(lambda _text: None)).run().refused is not None
    assert GLOBEX_STACK not in regions["eu-central-1"].stacks


def test_a_tenant_that_stands_nowhere_is_made_by_a_command_for_its_cell(cells):
    lake, _ = cells
    deployed()
    lake.write(TENANTS + GLOBEX + IN_B + GLOBEX.replace("globex", "initech"))

    assert refusals("prod/first") == ({}, {"mycompany-initech-prod-tenant"})


def test_where_another_cell_cannot_be_seen_a_new_tenant_is_refused_until_that_is_named(cells):
    lake, _ = cells
    (lake.tenants / "environments.yaml").write_text(ELSEWHERE)

    told, created = refusals("prod/first")

    (reason,) = told.values()
    assert reason.startswith(
        "would be made here, and whether it stands in prod/b already (account 999988887777, Region eu-west-1) cannot be"
    )
    assert reason.endswith("say `--aside prod/b` if no tenant has moved from there")
    assert refusals("prod/first", aside=["prod/b"]) == ({}, created)
    assert prepare("prod/first", (), Progress(lambda _text: None), aside=["prod/b"]).run().failures == []
    assert refusals("prod/first") == ({}, set())  # nothing new, and so nobody is asked


def test_a_name_that_is_neither_a_cell_nor_a_platform_is_not_put_aside(cells):
    with pytest.raises(WrongInput, match=r"--aside b: is no cell of environment prod \(prod, prod/b\) and no stack"):
        refusals(aside=["b"])


def test_a_changed_organization_does_not_make_everything_once_more(cells):
    lake, _ = cells
    deployed()
    lake.write((TENANTS + GLOBEX + IN_B).replace("organization: mycompany", "organization: othercorp"))

    told, _ = refusals()

    assert set(told) == set(PLATFORMS.values())
    assert told["mycompany-prod-platform"].startswith(
        "stands in account 123456789012, Region eu-central-1, and is none of the registry's platforms there"
    )
    assert refusals(aside=PLATFORMS.values())[0] == {}


def test_a_renamed_cell_is_refused(cells):
    lake, _ = cells
    deployed()
    (lake.tenants / "environments.yaml").write_text(ENVIRONMENTS.replace("{b:", "{c:"))
    lake.write(TENANTS + GLOBEX + "    cells: {prod: c}\n")

    assert set(refusals()[0]) == {"mycompany-prod-platform-b"}


def test_cells_that_changed_places_are_refused(cells):
    lake, _ = cells
    deployed()
    swapped = ENVIRONMENTS.replace("eu-central-1", "X").replace("eu-west-1", "eu-central-1").replace("X", "eu-west-1")
    (lake.tenants / "environments.yaml").write_text(swapped)

    assert set(refusals()[0]) == {*PLATFORMS.values(), GLOBEX_STACK, "mycompany-acme-prod-tenant"}


def test_what_cells_of_an_account_share_is_counted_in_all_of_them_whichever_are_planned(cells):
    def roles(place):
        plan = planned(place, (), lambda *_: None)
        (use,) = [each for each in plan.quotas if each.quota.code == "L-FE177D64"]
        return use.used, use.cells

    used, every = roles("prod")
    assert every == ("prod", "prod/b")
    assert roles("prod/b") == (used, ("prod/b",))
    assert roles("prod/first") == (used, ("prod",))


def test_a_changed_region_is_refused(cells):
    lake, _ = cells
    alone = ENVIRONMENTS.replace(', cells: {b: {account: "123456789012", region: eu-west-1}}', "")
    (lake.tenants / "environments.yaml").write_text(alone)
    lake.write(TENANTS)
    deployed()
    (lake.tenants / "environments.yaml").write_text(alone.replace("eu-central-1", "eu-west-1"))

    told, _ = refusals()

    assert set(told) == {"mycompany-prod-platform"}
    assert told["mycompany-prod-platform"].startswith(
        "stands in account 123456789012, Region eu-central-1, and is none"
    )
