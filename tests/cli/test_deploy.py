"""`lake deploy` against a local cloud of its own, without Spark workers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.exit_codes import ExitCode

PROJECT = Path(__file__).resolve().parents[2]

TENANTS = """organization: mycompany
tenants:
  - id: acme
    name: Acme GmbH
    owner: data@acme.example
    datasets: [{name: orders, max_wait: 1 hour}]
"""
GLOBEX = """  - id: globex
    name: Globex
    owner: it@globex.example
    datasets: [orders]
"""
ENVIRONMENTS = """environments:
  local: {account: "000000000000", region: us-east-1, removal_policy: destroy, termination_protection: false, max_wait: 0}
  prod: {account: "777788889999", region: eu-central-1}
"""
ORDERS = """apiVersion: v3.0.2
kind: DataContract
id: orders
name: Orders
version: 1.0.0
status: active
customProperties:
  - property: lake.queries
    value:
      - {name: newest, description: The newest orders, sql: "SELECT * FROM {table} LIMIT 10"}
schema:
  - name: orders
    physicalType: table
    properties:
      - {name: order_id, logicalType: string, required: true, primaryKey: true}
"""


class Answer:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def actions(self):
        """What a deploy did, by stack."""
        return {line["stack"]: line["action"] for line in self.json}


class Lake:
    """The command line in processes of its own, with its own cloud and registry."""

    def __init__(self, folder):
        self.home, self.tenants = folder / "home", folder / "tenants"
        (self.tenants / "contracts").mkdir(parents=True)
        self.write(TENANTS)
        (self.tenants / "environments.yaml").write_text(ENVIRONMENTS)
        (self.tenants / "contracts" / "orders.yaml").write_text(ORDERS)

    def write(self, tenants):
        (self.tenants / "tenants.yaml").write_text(tenants)

    def __call__(self, *arguments):
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return Answer(
            subprocess.run(
                [sys.executable, "-m", "cli.app", *arguments],
                cwd=PROJECT,
                env=own | {"LAKE_HOME": str(self.home), "LAKE_TENANTS": str(self.tenants)},
                capture_output=True,
                text=True,
                check=False,
            )
        )

    def run(self, code):
        """What a snippet prints, pointed at this cloud."""
        given = self("env", "--json").json
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=PROJECT,
            env=os.environ | given,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("deploy"))
    started = made("up", "--spares", "0")
    assert started.code == 0, started.err
    yield made
    made("down")


@pytest.fixture
def deployed(lake):
    """The cloud with the first registry deployed."""
    lake.write(TENANTS)
    (lake.tenants / "contracts" / "orders.yaml").write_text(ORDERS)
    answer = lake("deploy", "--json")
    assert answer.code == 0, answer.err
    return lake


@pytest.mark.cloud
def test_a_dry_run_says_what_would_be_made_and_makes_nothing(lake):
    planned = lake("deploy", "--dry-run")

    assert planned.code == ExitCode.CHANGES, planned.err
    assert "mycompany-acme-local-tenant: create" in planned.out
    assert "+ Lake5F1B88EA AWS::S3::Bucket" in planned.out
    assert (
        lake.run(
            "import boto3, json; print(json.dumps(boto3.client('cloudformation').list_stacks()['StackSummaries']))"
        )
        == []
    )


def test_the_same_change_of_many_tenants_is_said_once(capsys):
    from cli.deploy import Report, show_report
    from cli.rollout import Line

    lines = [Line("prod", f"t{n}", f"t{n}", "updated", 1.0, None, ("retention: 7 → 8",)) for n in range(12)]
    show_report(Report([*lines, Line("prod", "u", "u", "updated", 1.0, None, ("files: a → b",))]), as_json=False)

    assert capsys.readouterr().err.splitlines() == [
        "t0, t1, t2, t3, t4, t5, t6, t7, t8, t9 and 2 more: retention: 7 → 8",
        "u: files: a → b",
        "13 updated",
    ]


@pytest.mark.cloud
def test_deploying_again_changes_nothing(deployed):
    again = deployed("deploy", "--json")

    assert again.actions == {
        "mycompany-local-platform": "unchanged",
        "mycompany-acme-local-tenant": "unchanged",
    }
    assert "entering in the ledger" not in again.err


@pytest.mark.cloud
def test_a_line_more_makes_that_tenants_stack_and_a_line_less_is_refused(deployed):
    deployed.write(TENANTS + GLOBEX)
    assert deployed("deploy", "--json").actions == {
        "mycompany-local-platform": "unchanged",
        "mycompany-acme-local-tenant": "unchanged",
        "mycompany-globex-local-tenant": "created",
    }

    deployed.write(TENANTS)
    fewer = deployed("deploy")
    assert (fewer.code, fewer.out) == (ExitCode.REFUSED, "")
    assert (
        "refused: mycompany-globex-local-tenant: tenant globex is deployed and no longer in tenants.yaml" in fewer.err
    )
    others = {"mycompany-local-platform": "unchanged", "mycompany-acme-local-tenant": "unchanged"}
    assert deployed("deploy", "acme", "--json").actions == others

    deployed.run(
        "import boto3, json; cloudformation = boto3.client('cloudformation');"
        "cloudformation.delete_stack(StackName='mycompany-globex-local-tenant'); print(json.dumps(None))"
    )
    assert deployed("deploy", "--json").actions == others


@pytest.mark.cloud
def test_a_change_of_one_tenant_updates_its_stack_and_a_dry_run_names_the_resources(deployed):
    deployed.write(TENANTS + "    retention: {raw: 7 days}\n")

    planned = deployed("deploy", "--dry-run").out
    assert "mycompany-acme-local-tenant: update\n    ~ Lake5F1B88EA AWS::S3::Bucket LifecycleConfiguration\n" in planned
    assert deployed("deploy", "acme", "--json").actions == {
        "mycompany-local-platform": "unchanged",
        "mycompany-acme-local-tenant": "updated",
    }


@pytest.mark.cloud
def test_a_contract_that_changed_is_told_though_no_stack_differs(deployed):
    contract = deployed.tenants / "contracts" / "orders.yaml"
    contract.write_text(ORDERS.replace("version: 1.0.0", "version: 1.0.1"))
    changed = "contract of orders changed: new fingerprint "

    planned = deployed("deploy", "--dry-run").out
    assert planned.endswith("environment local: 1 to update, 1 unchanged\n")
    assert f"mycompany-acme-local-tenant: update\n    ~ {changed}" in planned

    done = deployed("deploy", "--json")
    assert done.actions == {"mycompany-local-platform": "unchanged", "mycompany-acme-local-tenant": "updated"}
    assert f"mycompany-acme-local-tenant: {changed}" in done.err

    assert set(deployed("deploy", "--json").actions.values()) == {"unchanged"}


@pytest.mark.cloud
def test_the_platforms_functions_reach_what_they_are_told_of(deployed):
    """The queue's URL is AWS's: it leads to the local queue all the same."""
    answers = deployed.run(
        "import boto3, json; functions = boto3.client('lambda');"
        "config = functions.get_function_configuration(FunctionName='mycompany-local-dispatch');"
        "told = config['Environment']['Variables'];"
        "role = boto3.client('sts').assume_role(RoleArn=config['Role'], RoleSessionName='trial')['Credentials'];"
        "session = boto3.Session(role['AccessKeyId'], role['SecretAccessKey'], role['SessionToken']);"
        "queue = session.client('sqs').get_queue_attributes("
        "QueueUrl=told['LAKE_DEAD_LETTER_QUEUE'], AttributeNames=['ApproximateNumberOfMessages'])['Attributes'];"
        "owner = 'arn:aws:sns:us-east-1:000000000000:mycompany-acme-local-alerts';"
        "sent = [session.client('sns').publish(TopicArn=topic, Message='trial')['MessageId'] != ''"
        " for topic in (told['LAKE_TOPIC'], owner)];"
        "print(json.dumps([queue, sent]))"
    )

    assert answers == [{"ApproximateNumberOfMessages": "0"}, [True, True]]


@pytest.mark.cloud
def test_the_ledger_knows_the_tenant_and_what_it_sends(deployed):
    entries = deployed.run(
        "import dataclasses, json; from lineage.ledger import Ledger; ledger = Ledger('mycompany-local-ledger');"
        "print(json.dumps([ledger.tenant_of_bucket('mycompany-acme-local-datalake'),"
        "dataclasses.asdict(ledger.tenant('acme')), dataclasses.asdict(ledger.dataset('acme', 'orders'))]))"
    )

    owner, tenant, dataset = entries
    assert owner == "acme"
    assert tenant == {
        "tenant": "acme",
        "state": "active",
        "bucket": "mycompany-acme-local-datalake",
        "account": "000000000000",
        "database": "mycompany_acme_local",
        "jobs": {
            "raw_to_processed": "mycompany-acme-local-raw-to-processed",
            "processed_to_analytics": "mycompany-acme-local-processed-to-analytics",
        },
        "errand_job": "mycompany-acme-local-maintain",
        "max_in_flight": 2,
        "retention": {"raw": 90, "processed": 365, "quarantine": 30},
        "topic": "arn:aws:sns:us-east-1:000000000000:mycompany-acme-local-alerts",
        "held_since": None,
        "held_reason": None,
    }
    assert (dataset["files"], dataset["max_wait_s"], dataset["max_files"]) == (["raw/orders/**"], 0, 5000)
    assert json.loads(dataset["plan"])["dataset"] == "orders"


@pytest.mark.cloud
def test_named_queries_stand_in_the_tenants_workgroup(deployed):
    names = deployed.run(
        "import boto3, json; athena = boto3.client('athena');"
        "ids = athena.list_named_queries(WorkGroup='mycompany-acme-local')['NamedQueryIds'];"
        "print(json.dumps([athena.get_named_query(NamedQueryId=each)['NamedQuery']['Name'] for each in ids]))"
    )

    assert names == ["newest"]


@pytest.mark.cloud
def test_a_tenant_that_the_registry_does_not_know_is_not_found(deployed):
    answer = deployed("deploy", "initech")

    assert answer.code == ExitCode.NOT_FOUND
    assert "no tenant 'initech'; known: acme" in answer.err


@pytest.mark.cloud
def test_a_wrong_registry_changes_nothing_and_names_the_line(deployed):
    deployed.write(TENANTS + "    onwer: nobody\n")

    answer = deployed("deploy")

    assert answer.code == ExitCode.INPUT
    assert "tenants.yaml:7" in answer.err


def test_the_credentials_have_to_be_of_the_environments_account(tmp_path, monkeypatch):
    import moto

    from cli.deploy import prepare
    from cli.errors import LakeError
    from cli.progress import Progress

    lake = Lake(tmp_path)
    monkeypatch.setenv("LAKE_HOME", str(lake.home))
    monkeypatch.setenv("LAKE_TENANTS", str(lake.tenants))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    mistaken = pytest.raises(LakeError, match=r"environment prod is account 777788889999.*account 123456789012")
    with moto.mock_aws(), mistaken:
        prepare("prod", [], Progress(lambda _text: None))


@pytest.mark.cloud
def test_a_dataset_whose_line_is_gone_takes_no_more_files_and_is_still_known(deployed):
    returns = (deployed.tenants / "contracts" / "orders.yaml").read_text().replace("id: orders", "id: returns")
    (deployed.tenants / "contracts" / "returns.yaml").write_text(returns)
    deployed.write(TENANTS.replace("datasets: [", "datasets: [returns, "))
    assert deployed("deploy", "acme").code == 0

    deployed.write(TENANTS)
    assert deployed("deploy", "acme").code == 0

    files = deployed.run(
        "import json; from lineage.ledger import Ledger; ledger = Ledger('mycompany-local-ledger');"
        "print(json.dumps({entry.dataset: entry.files for entry in ledger.datasets('acme')}))"
    )
    assert files == {"orders": ["raw/orders/**"], "returns": []}
