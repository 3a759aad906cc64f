"""`lake plan` and `lake diff`, against a local cloud of their own and against pretended accounts."""

import json

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws

from cli.connection import Connection
from cli.exit_codes import ExitCode
from tests.cli.test_deploy import GLOBEX, ORDERS, TENANTS, Lake

PLATFORM, ACME = "mycompany-local-platform", "mycompany-acme-local-tenant"
ACCOUNT = "123456789012"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("plan"))
    started = made("up", "--spares", "0")
    assert started.code == 0, started.err
    yield made
    made("down")


@pytest.fixture
def deployed(lake):
    lake.write(TENANTS)
    (lake.tenants / "contracts" / "orders.yaml").write_text(ORDERS)
    answer = lake("deploy", "--refresh")
    assert answer.code == 0, answer.err
    return lake


@pytest.mark.cloud
def test_before_the_first_deploy_everything_is_new_and_nothing_is_made(lake):
    plan = lake("plan")

    assert plan.code == ExitCode.CHANGES, plan.err
    assert f"{PLATFORM}: create\n" in plan.out
    assert f"{ACME}: create\n" in plan.out
    assert "    + Lake5F1B88EA AWS::S3::Bucket\n" in plan.out
    assert "environment local: 2 to create\n" in plan.out
    assert "+2 KMS keys, " in plan.out
    assert "compared with the stacks as they stand: the record is not there yet" in plan.out
    assert lake("plan", "--json").json["counts"]["create"] == 2  # still


@pytest.mark.cloud
def test_what_was_deployed_is_nothing_to_do(deployed):
    plan = deployed("plan")

    assert (plan.code, plan.out) == (0, "environment local: nothing to do, 2 stacks unchanged\n")
    assert deployed("plan", "--refresh").code == 0
    assert deployed("diff").out == "environment local: 2 stacks as they shall be\n"


@pytest.mark.cloud
def test_a_tenant_is_suspended_resumed_and_offboarded(deployed):
    for state, action in (("suspended", "suspend"), ("active", "resume"), ("offboarding", "offboard")):
        leaves = "    offboarding: {requested_by: jane@acme.example, export: none}\n" if state == "offboarding" else ""
        deployed.write(TENANTS + f"    state: {state}\n{leaves}")

        plan = deployed("plan", "--json")

        assert plan.code == ExitCode.CHANGES
        (change,) = plan.json["cells"][0]["changes"]
        assert (change["stack"], change["action"]) == (ACME, action)
        assert change["entries"][0].endswith(f"→ {state}")
        assert deployed("deploy").code == 0
        assert deployed("plan").code == 0


@pytest.mark.cloud
def test_a_changed_value_is_named_by_the_plan_and_shown_by_the_diff(deployed):
    deployed.write(TENANTS + "    retention: {raw: 7 days}\n")

    assert f"{ACME}: update\n    ~ Lake5F1B88EA AWS::S3::Bucket LifecycleConfiguration\n" in deployed("plan").out

    diff = deployed("diff", "acme")
    assert diff.code == ExitCode.CHANGES
    assert "/ExpirationInDays: 90 → 7\n" in diff.out
    (difference,) = deployed("diff", "--json").json["cells"][0]["differences"]
    assert [(step["old"], step["new"]) for step in difference["steps"]] == [(90, 7)]


EDIT = f"""
import boto3, json
cloudformation = boto3.client("cloudformation")
template = cloudformation.get_template(StackName="{ACME}")["TemplateBody"]
rules = template["Resources"]["Lake5F1B88EA"]["Properties"]["LifecycleConfiguration"]["Rules"]
for rule in rules:
    rule.update(ExpirationInDays=1) if "ExpirationInDays" in rule else None
cloudformation.update_stack(
    StackName="{ACME}", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_NAMED_IAM"]
)
print(json.dumps(None))
"""


@pytest.mark.cloud
def test_a_template_that_was_edited_by_hand_is_found_and_put_right(deployed):
    deployed.run(EDIT)

    plan = deployed("plan", "--refresh")
    assert plan.code == ExitCode.CHANGES, plan.out
    assert f"{ACME}: update\n    ~ Lake5F1B88EA AWS::S3::Bucket LifecycleConfiguration\n" in plan.out
    assert "/ExpirationInDays: 1 → 90\n" in deployed("diff").out

    assert deployed("deploy", "--refresh", "--json").actions[ACME] == "updated"
    assert deployed("plan", "--refresh").code == 0
    assert deployed("diff").code == 0


@pytest.mark.cloud
def test_a_tenant_that_vanished_is_refused_in_a_pull_request_and_shown_by_the_diff(deployed):
    deployed.write(TENANTS + GLOBEX)
    assert deployed("deploy").code == 0
    deployed.write(TENANTS)

    plan = deployed("plan", "--markdown")

    assert plan.code == ExitCode.REFUSED
    assert plan.out.startswith("### Plan for environment local: nothing to do, 2 stacks unchanged\n\n- **Refused**: ")
    assert "tenant globex is deployed and no longer in tenants.yaml" in plan.out
    assert "set \\`state: offboarding\\` there and deploy" in plan.out
    assert deployed("plan", "acme").code == 0
    assert "mycompany-globex-local-tenant\n    stands, and is not one of this cell's" in deployed("diff").out

    deployed.run(
        "import boto3, json; boto3.client('cloudformation').delete_stack(StackName='mycompany-globex-local-tenant');"
        "print(json.dumps(None))"
    )
    assert deployed("plan").out.startswith("mycompany-globex-local-tenant: is recorded, and does not stand any more\n")


@pytest.mark.cloud
def test_a_bucket_that_would_be_replaced_is_refused_until_it_is_named(deployed):
    deployed.run(
        "import boto3, json; cloudformation = boto3.client('cloudformation');"
        f"template = cloudformation.get_template(StackName='{ACME}')['TemplateBody'];"
        "template['Resources']['Lake5F1B88EA']['Properties']['BucketName'] = 'elsewhere-datalake';"
        "template['Description'] = 'By hand';"
        f"cloudformation.update_stack(StackName='{ACME}', TemplateBody=json.dumps(template),"
        " Capabilities=['CAPABILITY_NAMED_IAM']); print(json.dumps(None))"
    )
    assert deployed("plan").code == 0  # by the record, which is what deploys have done

    refused = deployed("plan", "--refresh")
    assert refused.code == ExitCode.REFUSED
    assert "~ Lake5F1B88EA AWS::S3::Bucket BucketName (is replaced, and what it holds is given up)" in refused.out
    assert f"tenants.yaml:3: {ACME}/Lake5F1B88EA: AWS::S3::Bucket holds data and would be replaced" in refused.out

    assert deployed("plan", "--refresh", "--replace", f"{ACME}/Lake5F1B88EA").code == ExitCode.CHANGES
    mistyped = deployed("plan", "--refresh", "--replace", f"{ACME}/Lake")
    assert mistyped.code == ExitCode.INPUT
    assert f"--replace {ACME}/Lake: nothing is given up under this name" in mistyped.err


@pytest.mark.cloud
def test_wrong_questions_are_told(lake):
    assert lake("plan", "initech").code == ExitCode.NOT_FOUND
    assert lake("plan", "--json", "--markdown").code == ExitCode.INPUT


class Formation:
    """CloudFormation of one Region, as far as a plan looks at stacks that it need not know more of."""

    def __init__(self, names):
        self.names = names

    def describe_stacks(self, StackName):
        if StackName not in self.names:
            text = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": text}}, "DescribeStacks")
        return {"Stacks": [{"StackName": StackName, "StackStatus": "CREATE_COMPLETE"}]}

    def get_paginator(self, _operation):
        return self

    def paginate(self):
        return [{"Stacks": [each for name in self.names for each in self.describe_stacks(name)["Stacks"]]}]


class Prod:
    """Environment prod in a pretended account, with the command line in this process. `stands`: stacks by Region."""

    def __init__(self, lake, folder):
        self.lake, self.tenants, self.stands = lake, folder, {}
        (folder / "contracts").mkdir(parents=True)
        (folder / "contracts" / "orders.yaml").write_text(ORDERS)
        self.write(TENANTS)
        self.place()
        for region in ("eu-central-1", "eu-west-1"):
            boto3.client("s3", region_name=region).create_bucket(
                Bucket=f"cdk-hnb659fds-assets-{ACCOUNT}-{region}",
                CreateBucketConfiguration={"LocationConstraint": region},
            )

    def write(self, tenants):
        (self.tenants / "tenants.yaml").write_text(tenants)

    def place(self, cells=""):
        (self.tenants / "environments.yaml").write_text(
            f'environments:\n  prod: {{account: "{ACCOUNT}", region: eu-central-1{cells}}}\n'
        )

    def record(self, *stacks, region="eu-central-1", platform="mycompany-prod-platform"):
        from cli.connection import cells
        from cli.planning import Prospect
        from cli.synthesis import synthesise
        from deployment.records import Recorded, Shelf, bucket_of

        connections = cells("prod")
        assembly = synthesise("prod", self.tenants, self.tenants.parent / "home")
        prospect = Prospect(connections, assembly)
        for connection in connections:
            shelf = Shelf(
                connection.client("s3"),
                bucket_of(ACCOUNT, connection.environment.region),
                connection.platform.stack,
            )
            rows = [
                Recorded(each.name, each.tenant, each.digest, each.entries, each.state, "now", "one")
                for each in prospect.intents(connection)
            ]
            record, etag = shelf.read()
            shelf.write(record.having(*rows).whole(), etag, 1)

    def plan(self, *arguments):
        return self.lake("plan", "-e", "prod", *arguments)


@pytest.fixture
def prod(tmp_path, lake_here, monkeypatch):
    monkeypatch.setenv("LAKE_TENANTS", str(tmp_path / "tenants"))
    for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "eu-central-1")
    made, client = [], Connection.client

    def pretended(self, service, session=None):
        if service != "cloudformation":
            return client(self, service, session)
        return Formation(made[0].stands.get(self.environment.region, ()))

    monkeypatch.setattr(Connection, "client", pretended)
    with mock_aws():
        made.append(Prod(lake_here, tmp_path / "tenants"))
        yield made[0]


@pytest.fixture
def lake_here(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from cli.commands import app

    monkeypatch.setenv("LAKE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LAKE_ENVIRONMENT", raising=False)
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def calls(monkeypatch):
    """What is asked of AWS."""
    made, ask = [], BaseClient._make_api_call
    monkeypatch.setattr(
        BaseClient, "_make_api_call", lambda self, name, given: [made.append(name), ask(self, name, given)][1]
    )
    return made


def many(count):
    return TENANTS + "".join(
        f"  - {{id: many{n}, name: Many, owner: it@many.example, datasets: [orders]}}\n" for n in range(count)
    )


def test_of_unchanged_tenants_nobody_is_asked_anything(prod, calls):
    prod.write(many(40))
    prod.record()
    calls.clear()

    answer = prod.plan()

    assert (answer.exit_code, calls) == (0, ["GetObject"]), answer.output
    assert "nothing to do, 42 stacks unchanged" in answer.output


def test_new_tenants_that_do_not_fit_are_refused_with_line_quota_and_what_to_ask_for(prod):
    prod.record()
    prod.write(many(300))

    answer = prod.plan()

    assert answer.exit_code == ExitCode.REFUSED
    (refusal,) = [line for line in answer.output.splitlines() if line.startswith("refused: ")]
    assert f"tenants.yaml:7: tenant many0: does not fit into {ACCOUNT}/eu-central-1: 30" in refusal
    assert "events rules of the default bus are needed and 300 allowed (quota L-244521F2" in refusal
    assert "aws service-quotas request-service-quota-increase --service-code events" in refusal


def test_alike_tenants_are_told_once(prod):
    prod.record()
    prod.write(many(40))

    said = prod.plan().output
    assert said.count("AWS::S3::Bucket\n") == 1
    assert "mycompany-many9-prod-tenant and 30 more: create\n" in said


def test_a_tenant_does_not_move_between_cells(prod):
    prod.place(f', cells: {{b: {{account: "{ACCOUNT}", region: eu-west-1}}}}')
    prod.record()
    prod.stands = {"eu-central-1": ["mycompany-acme-prod-tenant"]}
    prod.write(TENANTS + "    cells: {prod: b}\n")

    for tenants in ([], ["acme"]):
        answer = prod.plan(*tenants, "--json")

        found = json.loads(answer.stdout)
        assert (answer.exit_code, found["result"]) == (ExitCode.REFUSED, "refused")
        (refusal,) = found["refusals"]
        assert refusal["where"].endswith("tenants.yaml:3")
        assert "data does not move along, so put its `cells:` back" in refusal["reason"]
        assert found["counts"]["create"] == 0


def test_a_shape_that_cannot_be_made_is_refused_and_all_others_are_planned(prod):
    odd = ORDERS.replace("id: orders", "id: odd").replace("LIMIT 10", "WHERE x = 'qzhole-bucket-qz'")
    (prod.tenants / "contracts" / "odd.yaml").write_text(odd)
    prod.record()
    prod.write(TENANTS + GLOBEX + "  - {id: strange, name: S, owner: s@s.example, datasets: [odd]}\n")

    answer = prod.plan("--json")

    found = json.loads(answer.stdout)
    assert answer.exit_code == ExitCode.REFUSED
    (refusal,) = found["refusals"]
    assert (refusal["subject"], refusal["where"].rpartition("/")[2]) == ("tenant strange", "tenants.yaml:11")
    assert refusal["reason"].startswith("has no template: query newest: holds 'qzhole'")
    assert [change["tenant"] for change in found["cells"][0]["changes"]] == ["globex"]


def test_a_login_to_another_account_is_told(prod):
    (prod.tenants / "environments.yaml").write_text(
        'environments:\n  prod: {account: "777788889999", region: eu-central-1}\n'
    )

    answer = prod.plan()

    assert answer.exit_code == ExitCode.FAILED
    assert "environment prod is account 777788889999, but the credentials in use are of account 123456789012" in (
        " ".join(answer.output.split())
    )


def test_an_account_that_is_not_bootstrapped_is_told_how(prod):
    boto3.client("s3").delete_bucket(Bucket=f"cdk-hnb659fds-assets-{ACCOUNT}-eu-central-1")

    answer = prod.plan()

    assert answer.exit_code == ExitCode.FAILED
    assert "prepare the account once, as docs/github_actions.md says under 'The account'" in " ".join(
        answer.output.split()
    )
