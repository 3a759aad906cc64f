"""Commands in an environment of several cells: two Regions of one account, and one of another account."""

import json

import boto3
import pytest
from moto import mock_aws

from cli import queue
from cli.connection import cells, connect, within_reach
from cli.entries import tenant_entry
from cli.errors import LakeError, WrongInput
from cli.exit_codes import ExitCode
from lineage import table
from tenants.errors import NotFound
from tests.cli.test_reconcile import functions  # noqa: F401 - a fixture
from tests.templates import write_registry

ACCOUNT = "123456789012"  # of moto's credentials
ENVIRONMENTS = f"""
environments:
  local: {{account: "000000000000", region: us-east-1, removal_policy: destroy, termination_protection: false}}
  prod:
    account: "{ACCOUNT}"
    region: eu-central-1
    cells:
      b: {{account: "{ACCOUNT}", region: eu-west-1}}
"""
ELSEWHERE = '      c: {account: "888899990000", region: eu-central-1}\n'
GLOBEX = """
  - id: globex
    name: Globex
    owner: it@globex.example
    cells: {prod: b}
    datasets: [orders]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The registry: acme and acme-eu are in the first cell, globex is in b."""
    root = write_registry(tmp_path / "tenants", GLOBEX)
    (root / "environments.yaml").write_text(ENVIRONMENTS)
    monkeypatch.setenv("LAKE_TENANTS", str(root))
    return root


@pytest.fixture
def aws(folder, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr(queue, "WAIT_S", 0)
    for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield


@pytest.fixture
def deployed(aws):
    """What a deploy leaves in each cell."""
    found = cells("prod")
    for connection in found:
        connection.client("dynamodb").create_table(**table.definition(connection.platform.ledger))
        for name in (connection.platform.queue, connection.platform.dead_letter_queue):
            connection.client("sqs").create_queue(QueueName=name)
        for tenant in connection.tenants:
            place = {"LocationConstraint": connection.environment.region}
            connection.client("s3").create_bucket(
                Bucket=connection.names(tenant.id).bucket, CreateBucketConfiguration=place
            )
            connection.ledger.put_tenant(tenant_entry(connection, tenant))
    return found


def put_dead_letter(connection, body):
    sqs, name = connection.client("sqs"), connection.platform.dead_letter_queue
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"], MessageBody=body)


# -- which cell ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tenant", "region", "ledger"), [
    ("acme", "eu-central-1", "mycompany-prod-ledger"),
    ("globex", "eu-west-1", "mycompany-prod-ledger-b"),
])  # fmt: skip
def test_a_tenant_leads_to_its_cell(aws, tenant, region, ledger):
    connection = connect("prod", tenant)

    assert connection.environment.region == region
    assert connection.platform.ledger == ledger
    assert connection.client("sqs").meta.region_name == region
    assert connection.ledger.store.connection.region == region


def test_a_cell_holds_its_own_tenants_and_repeats_itself_in_suggested_commands(aws):
    first, b = cells("prod")

    assert [each.id for each in first.tenants] == ["acme", "acme-eu"]
    assert [each.id for each in b.tenants] == ["globex"]
    assert (first.suffix, b.suffix) == (" -e prod", " -e prod/b")


def test_without_a_tenant_the_cell_has_to_be_named_where_there_are_several(aws):
    with pytest.raises(WrongInput, match="has several cells: name the one that is meant, -e prod/first, -e prod/b"):
        connect("prod")

    assert connect("prod/b").environment.place == "prod/b"
    assert connect("prod/first").environment.place == "prod"
    assert [each.environment.place for each in cells("prod/b")] == ["prod/b"]


def test_a_tenant_that_is_in_another_cell_than_the_one_named_is_not_looked_for_there(aws):
    assert connect("prod/b", "globex").environment.place == "prod/b"
    with pytest.raises(WrongInput, match="tenant acme is not in cell prod/b, but in prod/first: -e prod"):
        connect("prod/b", "acme")


def test_a_cell_that_is_not_there_is_not_found(aws):
    with pytest.raises(NotFound, match="no cell of environment prod 'x'; known: first, b"):
        connect("prod/x", "acme")


def test_cells_that_the_login_does_not_reach_are_left_out_and_named(aws, folder, capsys):
    (folder / "environments.yaml").write_text(ENVIRONMENTS + ELSEWHERE)

    assert [each.environment.place for each in within_reach("prod")] == ["prod", "prod/b"]
    told = capsys.readouterr().err
    assert f"left out, since the credentials in use are of account {ACCOUNT}: prod/c (account 888899990000)" in told


def test_a_login_that_reaches_no_cell_is_refused(aws, folder):
    text = (ENVIRONMENTS + ELSEWHERE).replace(ACCOUNT, "777788889999")
    (folder / "environments.yaml").write_text(text)

    with pytest.raises(LakeError, match=f"no cell of environment prod is in account {ACCOUNT}"):
        within_reach("prod")


def test_the_account_of_a_cell_is_checked_against_the_login(aws, folder):
    (folder / "environments.yaml").write_text(ENVIRONMENTS + ELSEWHERE)

    cells("prod/b")[0].check_account()
    with pytest.raises(LakeError, match="environment prod/c is account 888899990000, but the credentials in use are"):
        cells("prod/c")[0].check_account()


# -- commands ------------------------------------------------------------------------------------------------------------


def test_the_ledgers_of_two_cells_are_apart(deployed):
    first, b = deployed

    assert {entry.tenant for entry in first.ledger.tenants()} == {"acme", "acme-eu"}
    assert {entry.tenant for entry in b.ledger.tenants()} == {"globex"}
    assert b.ledger.tenant("globex").topic.startswith("arn:aws:sns:eu-west-1:")


def test_the_ledger_is_told_how_long_objects_stay_under_the_environments_ceilings(aws, folder):
    text = ENVIRONMENTS.replace("  prod:\n", "  prod:\n    retention: {raw: 30 days}\n")
    (folder / "environments.yaml").write_text(text)
    connection = connect("prod", "globex")

    entry = tenant_entry(connection, connection.tenant("globex"))

    assert entry.retention == {"raw": 30, "processed": 365, "quarantine": 30}


def test_the_status_goes_over_all_cells(lake, deployed):
    put_dead_letter(deployed[1], "{}")

    told = json.loads(lake("status", "-e", "prod", "--json").stdout)
    of_b = json.loads(lake("status", "-e", "prod/b", "--json").stdout)

    assert {each["tenant"] for each in told["tenants"]} == {"acme", "acme-eu", "globex"}
    assert (told["dead_letters"], of_b["dead_letters"]) == (1, 1)
    assert {each["tenant"] for each in of_b["tenants"]} == {"globex"}
    assert json.loads(lake("status", "-e", "prod/first", "--json").stdout)["dead_letters"] == 0


def test_queues_of_all_cells_are_shown_and_redriven_where_they_are(lake, deployed):
    for connection in deployed:
        put_dead_letter(connection, f'"{connection.environment.place}"')

    shown = json.loads(lake("queue", "show", "-e", "prod", "--json").stdout)
    moved = json.loads(lake("queue", "redrive", "-e", "prod", "--json").stdout)

    assert [each["queue"] for each in shown["queues"]] == [
        "mycompany-prod-arrivals",
        "mycompany-prod-arrivals-dead",
        "mycompany-prod-arrivals-b",
        "mycompany-prod-arrivals-dead-b",
    ]
    assert len(shown["dead_letters"]) == 2
    assert (moved["moved"], moved["left"]) == (2, 0)
    for connection in deployed:
        sqs = connection.client("sqs")
        url = sqs.get_queue_url(QueueName=connection.platform.queue)["QueueUrl"]
        (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
        assert message["Body"] == f'"{connection.environment.place}"'


def test_a_redrive_moves_no_more_than_it_may_over_all_cells(lake, deployed):
    for connection in deployed:
        put_dead_letter(connection, "1")
        put_dead_letter(connection, "2")

    told = json.loads(lake("queue", "redrive", "-e", "prod", "--limit", "3", "--json").stdout)

    assert (told["moved"], told["left"]) == (3, 1)


def test_every_tenant_is_reconciled_by_the_function_of_its_cell(lake, deployed, functions):  # noqa: F811 - it is
    done = lake("reconcile", "--all", "-e", "prod", "--grace", "0s")

    assert done.exit_code == ExitCode.OK, done.stderr
    called = dict(zip([each["tenant"] for each in functions.payloads], functions.names, strict=True))
    assert called == {
        "acme": "mycompany-prod-reconcile",
        "acme-eu": "mycompany-prod-reconcile",
        "globex": "mycompany-prod-reconcile-b",
    }


def test_a_tenant_that_is_not_deployed_in_its_cell_is_left_out_of_all(lake, deployed, functions):  # noqa: F811 - it is
    boto3.client("s3", region_name="eu-west-1").delete_bucket(Bucket="mycompany-globex-prod-datalake")

    done = lake("reconcile", "--all", "-e", "prod", "--grace", "0s")

    assert "not deployed, left out: globex" in done.stderr
    assert len(functions.payloads) == 2


# -- lake tenant ---------------------------------------------------------------------------------------------------------

NEWCO = ("tenant", "add", "newco", "--name", "New Co", "--owner", "ops@newco.example", "--dataset", "orders")


def test_a_new_tenant_is_placed_in_the_cell_with_fewest_and_that_is_written_down(lake, folder):
    done = lake(*NEWCO)

    assert done.exit_code == ExitCode.OK, done.stderr
    assert (folder / "tenants.yaml").read_text().endswith("    cells: {prod: b}\n    datasets: [orders]\n")
    assert "`lake deploy newco -e prod` that in cell b of prod" in done.stderr


def test_the_first_cell_is_written_down_too(lake, folder):
    lake(*NEWCO)

    done = lake("tenant", "add", "third", *NEWCO[3:], "--json")

    assert json.loads(done.stdout)["cells"] == {"prod": "first"}
    assert "    cells: {prod: first}\n" in (folder / "tenants.yaml").read_text()


def test_a_person_may_choose_the_cell(lake, folder):
    done = lake(*NEWCO, "--cell", "prod/first", "--json")

    assert json.loads(done.stdout)["cells"] == {"prod": "first"}


@pytest.mark.parametrize(
    ("chosen", "code", "said"),
    [
        (["prod/x"], ExitCode.NOT_FOUND, "--cell prod/x: no such cell; known: prod/first, prod/b"),
        (["prod"], ExitCode.NOT_FOUND, "--cell prod: no such cell; known: prod/first, prod/b"),
        (["local/first"], ExitCode.NOT_FOUND, "--cell local/first: no such cell"),
        (["prod/b", "prod/first"], ExitCode.INPUT, "a tenant is in one cell of an environment; name one of each"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_and_nothing_is_written(lake, folder, chosen, code, said):
    before = (folder / "tenants.yaml").read_text()

    done = lake(*NEWCO, *(word for each in chosen for word in ("--cell", each)))

    assert (done.exit_code, said in done.stderr) == (code, True)
    assert (folder / "tenants.yaml").read_text() == before


def many(count, cell):
    return "".join(
        f"\n  - id: {cell}{number:03}x\n    name: X\n    owner: x@x.example\n    cells: {{prod: {cell}}}\n"
        "    datasets: [orders]\n"
        for number in range(count)
    )


def test_a_cell_without_room_gets_no_tenant_though_it_has_fewest(lake, folder):
    # Two roles each: 500 tenants fill the account that two cells share, and the third has one to itself.
    (folder / "environments.yaml").write_text(ENVIRONMENTS + ELSEWHERE)
    with (folder / "tenants.yaml").open("a") as file:
        file.write(many(247, "first") + many(248, "b") + many(280, "c"))

    told = json.loads(lake(*NEWCO, "--json").stdout)

    assert told["cells"] == {"prod": "c"}


def test_where_no_cell_has_room_by_default_that_is_said_and_the_account_decides(lake, folder):
    with (folder / "tenants.yaml").open("a") as file:
        file.write(many(320, "first") + many(310, "b"))

    done = lake(*NEWCO, "--json")

    assert json.loads(done.stdout)["cells"] == {"prod": "b"}
    assert "no cell of prod has room by the quotas of a new account: `lake quotas -e prod` says" in done.stderr


def test_the_list_and_the_page_of_a_tenant_say_where_it_is_placed(lake, folder):
    listed = lake("tenant", "list").stdout.splitlines()
    shown = lake("tenant", "show", "globex", "-e", "prod").stdout

    assert listed[0].split("\t")[-1] == "cells"
    assert [line.split("\t")[-1] for line in listed[1:]] == ["prod/first", "prod/first", "prod/b"]
    assert [line for line in shown.splitlines() if line.startswith("cells.prod\tb\t")]
    assert "cell\tb\naccount\t123456789012\nregion\teu-west-1\n" in shown
    assert json.loads(lake("tenant", "show", "globex", "-e", "prod/b", "--json").stdout)["region"] == "eu-west-1"
    assert (
        "tenant globex is not in cell prod/first, but in prod/b"
        in lake("tenant", "show", "globex", "-e", "prod/first").stderr
    )
