"""What a deploy tells the ledger, against a ledger in memory (moto)."""

import json

import boto3
import pytest
from moto import mock_aws

from cli.connection import Connection
from cli.entries import NOT_WHOLE, Digests, Entries
from cli.planning import CellSight
from deployment.planner import Intent, Told
from lineage import table
from lineage.holds import Holds
from lineage.ledger import Ledger
from lineage.store import Store
from tenants.registry import load

LEDGER = "mycompany-prod-ledger"
TENANTS = """organization: mycompany
tenants:
  - id: acme
    name: Acme GmbH
    owner: data@acme.example
    retention: {raw: 30 days}
    datasets: [orders]
"""
ENVIRONMENTS = """environments:
  prod: {account: "777788889999", region: eu-central-1}
"""
ORDERS = """apiVersion: v3.0.2
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - {name: order_id, logicalType: string, required: true, primaryKey: true}
"""


class Counted(Ledger):
    """A ledger that remembers what was put into it."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.written = []

    def put_tenant(self, entry):
        self.written.append(entry.tenant)
        super().put_tenant(entry)

    def put_dataset(self, entry):
        self.written.append(entry.dataset)
        super().put_dataset(entry)


@pytest.fixture
def ledger(monkeypatch):
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    with mock_aws():
        boto3.client("dynamodb").create_table(**table.definition(LEDGER))
        yield Counted(LEDGER, store=Store(LEDGER, workers=1))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "contracts").mkdir()
    (tmp_path / "tenants.yaml").write_text(TENANTS)
    (tmp_path / "environments.yaml").write_text(ENVIRONMENTS)
    (tmp_path / "contracts" / "orders.yaml").write_text(ORDERS)
    return tmp_path


@pytest.fixture
def deploy(folder, ledger):
    """Tells the ledger what the folder says; gives the changes, and what was put, by name."""

    def run(*edits):
        for name, old, new in edits:
            text = (folder / name).read_text()
            assert old in text
            (folder / name).write_text(text.replace(old, new))
        registry = load(folder)
        connection = Connection(registry, registry.environment("prod"))
        vars(connection)["ledger"] = ledger
        ledger.written.clear()
        fleet = {entry.tenant: entry for entry in ledger.tenants()}
        entries = Entries.of(connection, registry.tenant("acme"), fleet)
        changes = list(entries.changes())
        entries.write(ledger)
        return changes, list(ledger.written)

    return run


def test_a_new_tenant_is_entered_whole_and_changes_nothing_that_stood(deploy, ledger):
    assert deploy() == ([], ["orders", "acme"])

    tenant = ledger.tenant("acme")
    assert tenant.jobs == {
        "raw_to_processed": "mycompany-acme-prod-raw-to-processed",
        "processed_to_analytics": "mycompany-acme-prod-processed-to-analytics",
    }
    assert tenant.errand_job == "mycompany-acme-prod-maintain"
    assert tenant.topic == "arn:aws:sns:eu-central-1:777788889999:mycompany-acme-prod-alerts"
    assert tenant.retention == {"raw": 30, "processed": 365, "quarantine": 30}
    assert ledger.tenants() == [tenant]


def test_every_glue_job_leads_to_its_tenant(deploy, ledger):
    deploy()

    assert ledger.owner_of_glue_job("mycompany-acme-prod-raw-to-processed") == ("acme", "raw_to_processed")
    assert ledger.owner_of_glue_job("mycompany-acme-prod-maintain") == ("acme", "maintain")


def test_what_the_ledger_knows_is_not_written_again(deploy):
    deploy()

    assert deploy() == ([], [])


def test_a_contract_that_changed_is_named_with_its_new_fingerprint(deploy, ledger):
    deploy()

    changes, written = deploy(("contracts/orders.yaml", "version: 1.0.0", "version: 1.1.0"))

    fingerprint = json.loads(ledger.dataset("acme", "orders").plan)["fingerprint"]
    assert changes == [f"contract of orders changed: new fingerprint {fingerprint[:12]}"]
    assert written == ["orders"]


def test_a_schedule_is_entered_as_it_compiles(deploy, ledger):
    deploy()

    changes, _ = deploy(("tenants.yaml", "[orders]", "[{name: orders, schedule: rate(6 hours)}]"))

    assert changes == ["schedule of orders: none → {rate_s: 21600}"]
    assert ledger.dataset("acme", "orders").schedule == {"rate_s": 21_600}
    assert deploy() == ([], [])


def test_a_cron_is_the_same_when_it_comes_back_from_the_ledger(deploy, ledger):
    deploy(("tenants.yaml", "[orders]", '[{name: orders, schedule: "cron(0 6 ? * MON *)"}]'))

    assert ledger.dataset("acme", "orders").schedule == {
        "cron": {
            "minutes": [0],
            "hours": [6],
            "days": None,
            "months": list(range(1, 13)),
            "weekdays": [2],
            "years": None,
        }
    }
    assert deploy() == ([], [])


def test_changes_of_a_tenant_are_told_with_what_was_and_what_is(deploy):
    deploy()

    changes, written = deploy(("tenants.yaml", "{raw: 30 days}", "{raw: 7 days}\n    state: suspended"))

    assert changes == [
        "state: active → suspended",
        "retention: {raw: 30, processed: 365, quarantine: 30} → {raw: 36500, processed: 36500, quarantine: 30}",
    ]
    assert written == ["acme"]

    assert deploy(("tenants.yaml", "    state: suspended\n", ""))[0] == [
        "state: suspended → active",
        "retention: {raw: 36500, processed: 36500, quarantine: 30} → {raw: 7, processed: 365, quarantine: 30}",
    ]


def test_a_dataset_whose_line_is_gone_takes_no_more_files(deploy, ledger, folder):
    (folder / "contracts" / "returns.yaml").write_text(ORDERS.replace("id: orders", "id: returns"))
    deploy()
    assert deploy(("tenants.yaml", "[orders]", "[orders, returns]"))[0] == ["dataset returns: new"]

    changes, written = deploy(("tenants.yaml", "[orders, returns]", "[orders]"))

    assert changes == ["dataset returns: its line is gone; it takes no more files"]
    assert written == ["returns"]
    assert ledger.dataset("acme", "returns").files == ()
    assert deploy() == ([], [])


def test_an_operators_hold_is_no_change_and_outlives_a_deploy(deploy, ledger):
    deploy()
    Holds(ledger).hold("acme", "the source sends nonsense")

    assert deploy() == ([], [])
    deploy(("tenants.yaml", "{raw: 30 days}", "{raw: 7 days}"))

    assert ledger.tenant("acme").held_reason == "the source sends nonsense"


def test_a_deploy_that_died_before_the_fleet_knew_is_made_good(deploy, ledger):
    """The tenant's own entry is written first, its copy for the fleet last."""
    deploy()
    own, fleet = ledger.tenant("acme"), table.FLEET
    boto3.client("dynamodb").update_item(
        TableName=LEDGER,
        Key={"PK": {"S": fleet}, "SK": {"S": "acme"}},
        UpdateExpression="SET max_in_flight = :n",
        ExpressionAttributeValues={":n": {"N": "1"}},
    )

    assert deploy()[1] == ["acme"]
    assert ledger.tenants() == [own]


class Killed(Exception):
    pass


@pytest.fixture
def killed(monkeypatch, deploy, ledger):
    """A deploy that dies after so many updates of entries: the tenant's own is the first, the fleet's copy the last."""

    def run(after, *edits):
        written, update = [], ledger.store.update

        def dies(key, actions, *arguments, **named):
            if len(written) == after:
                raise Killed
            written.append(key)
            return update(key, actions, *arguments, **named)

        with monkeypatch.context() as patched:
            patched.setattr(ledger.store, "update", dies)
            with pytest.raises(Killed):
                deploy(*edits)

    return run


@pytest.fixture
def told(folder, ledger):
    """What a plan finds in the ledger of the tenant."""

    def look():
        registry = load(folder)
        connection = Connection(registry, registry.environment("prod"))
        sight = CellSight(connection)
        vars(connection)["ledger"], vars(sight)["reached"] = ledger, connection
        return sight._told(Intent(None, "d1", "acme", "active"))

    return look


def test_a_plan_sees_that_a_deploy_died_before_the_fleet_knew(deploy, killed, told, ledger):
    deploy()
    killed(1, ("tenants.yaml", "retention: {raw: 30 days}", "retention: {raw: 30 days, processed: 40 days}"))
    assert ledger.tenant("acme") != ledger.tenants()[0]

    assert told() == Told("active", (NOT_WHOLE,))
    assert deploy() == ([NOT_WHOLE], ["acme"])
    assert told() == Told("active", ())
    assert ledger.tenants() == [ledger.tenant("acme")]


def test_a_plan_sees_that_the_fleet_never_heard_of_a_tenant(deploy, killed, told, ledger):
    killed(1)
    assert ledger.tenants() == []

    assert told() == Told("active", (NOT_WHOLE,))
    deploy()
    assert told() == Told("active", ())
    assert ledger.tenants() == [ledger.tenant("acme")]


def test_a_plan_sees_entries_that_no_deploy_ever_finished_to_write(killed, told):
    killed(0)

    assert told() == Told(None, ("not in the ledger yet",))


@pytest.fixture
def digest(folder):
    """Of what the ledger shall be told of acme, after the edits."""

    def run(*edits):
        for name, old, new in edits:
            text = (folder / name).read_text()
            assert old in text
            (folder / name).write_text(text.replace(old, new))
        registry = load(folder)
        return Digests(Connection(registry, registry.environment("prod"))).of(registry.tenant("acme"))

    return run


@pytest.mark.parametrize(
    "edit",
    [
        ("tenants.yaml", "datasets: [orders]", "state: suspended\n    datasets: [orders]"),
        ("tenants.yaml", "raw: 30 days", "raw: 31 days"),
        ("tenants.yaml", "[orders]", "[{name: orders, max_files: 7}]"),
        ("tenants.yaml", "[orders]", "[{name: orders, schedule: rate(1 day)}]"),
        ("tenants.yaml", "[orders]", "[orders, {name: returns, contract: orders}]"),
        ("contracts/orders.yaml", "version: 1.0.0", "version: 1.0.1"),
        ("environments.yaml", "777788889999", "777788880000"),
    ],
)
def test_a_digest_is_another_one_whenever_the_ledger_is_told_something_else(digest, edit):
    before = digest()
    assert digest() == before

    assert digest(edit) != before


def test_what_the_ledger_is_not_told_is_not_in_the_digest(digest):
    before = digest()

    assert (
        digest(("tenants.yaml", "name: Acme GmbH", "name: Acme AG"), ("tenants.yaml", "data@acme", "it@acme")) == before
    )


def test_a_digest_does_not_depend_on_whose_were_made_before_it(digest, folder):
    other = "  - {id: globex, name: G, owner: g@g.example, datasets: [{name: orders, max_files: 7}]}\n"
    digest(("tenants.yaml", "datasets: [orders]\n", f"datasets: [orders]\n{other}"))
    registry = load(folder)
    connection = Connection(registry, registry.environment("prod"))
    digests = Digests(connection)

    together = [digests.of(tenant) for tenant in registry.tenants]

    assert together == [Digests(connection).of(tenant) for tenant in registry.tenants]
    assert len(set(together)) == 2
