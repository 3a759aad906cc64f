import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - {name: order_id, logicalType: string, primaryKey: true}
"""

TENANTS = """\
# the tenants
organization: mycompany
tiers:
  standard: {workers: 2}
  premium: {workers: 8}
tenants:
  - id: acme   # first
    name: Acme GmbH
    owner: data@acme.example
    datasets: [orders]
# the end
"""

ENVIRONMENTS = """\
environments:
  local: {account: "000000000000", region: us-east-1, max_wait: 0}
  dev: {account: "111122223333", region: eu-central-1}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKE_TENANTS", "tenants")
    root = Path("tenants")
    (root / "contracts").mkdir(parents=True)
    (root / "tenants.yaml").write_text(TENANTS)
    (root / "environments.yaml").write_text(ENVIRONMENTS)
    (root / "contracts" / "orders.yaml").write_text(CONTRACT)
    return root


@pytest.fixture
def tenant(folder):
    """`lake tenant …` as a person runs it."""
    from cli.app import app

    return lambda *arguments: CliRunner().invoke(app, ["tenant", *arguments])


NEWCO = ("add", "newco", "--name", "New Co", "--owner", "ops@newco.example", "--dataset", "orders")


def test_add_writes_the_tenant_and_leaves_every_other_byte(tenant, folder):
    found = tenant(*NEWCO, "--tier", "premium")

    assert found.exit_code == 0, found.stderr
    assert (folder / "tenants.yaml").read_text() == TENANTS.replace(
        "# the end",
        "  - id: newco\n    name: New Co\n    owner: ops@newco.example\n    tier: premium\n    datasets: [orders]\n# the end",
    )
    assert "lake deploy newco" in found.stderr


def test_add_says_as_json_what_it_wrote_and_where(tenant, folder):
    found = tenant(*NEWCO, "--json")

    assert json.loads(found.stdout) == {"id": "newco", "file": "tenants/tenants.yaml"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "acme", *NEWCO[2:]), "tenants/tenants.yaml:11: tenants[acme].id: tenant 'acme' is given twice"),
        (("add", "New_Co", *NEWCO[2:]), "'New_Co' is no tenant id"),
        ((*NEWCO, "--tier", "gold"), "no tier 'gold'"),
        ((*NEWCO, "--dataset", "ordres"), "no contract contracts/ordres.yaml; did you mean 'orders'?"),
        (("add", "newco", "--name", "x", "--owner", "nobody", "--dataset", "orders"), "'nobody': string should match"),
        (("add", "newco"), "Missing option"),
    ],
)
def test_add_refuses_what_would_not_be_valid_and_writes_nothing(tenant, folder, arguments, told):
    found = tenant(*arguments)

    assert found.exit_code == 2
    assert told in found.stderr
    assert (folder / "tenants.yaml").read_text() == TENANTS
    assert sorted(path.name for path in folder.iterdir()) == ["contracts", "environments.yaml", "tenants.yaml"]


def test_list_tells_every_tenant(tenant):
    assert tenant("list").stdout == (
        "id\tname\ttier\tstate\towner\tdatasets\nacme\tAcme GmbH\tstandard\tactive\tdata@acme.example\torders\n"
    )
    assert json.loads(tenant("list", "--json").stdout) == [
        {
            "id": "acme",
            "name": "Acme GmbH",
            "owner": "data@acme.example",
            "tier": "standard",
            "state": "active",
            "datasets": ["orders"],
            "cells": [],
        }
    ]


LEAVING = """\
  - id: globex
    name: Globex
    owner: data@globex.example
    datasets: [orders]
    state: offboarding
    offboarding: {requested_by: jane@globex.example, export: s3://takeout/lake, export_account: "123456789012"}
"""
LEFT = """\
  - id: hooli
    name: Hooli
    owner: data@hooli.example
    state: offboarded
    offboarding: {requested_by: jane@hooli.example, export: none}
"""


@pytest.fixture
def left(folder):
    (folder / "tenants.yaml").write_text(TENANTS.replace("# the end\n", LEAVING + LEFT))


def test_list_tells_of_those_that_leave_and_those_that_left(tenant, left):
    states = {each["id"]: each["state"] for each in json.loads(tenant("list", "--json").stdout)}

    assert states == {"acme": "active", "globex": "offboarding", "hooli": "offboarded"}


def test_validate_counts_those_that_left_apart(tenant, left):
    assert tenant("validate").stdout == "valid: 2 tenants, 2 datasets, 1 contracts, 2 environments, 1 offboarded\n"


def test_show_tells_how_a_tenant_leaves(tenant, left):
    lines = tenant("show", "globex", "-e", "dev").stdout.splitlines()

    assert "state\toffboarding\ttenants/tenants.yaml:15" in lines
    assert "offboarding.export\ts3://takeout/lake/\ttenants/tenants.yaml:16" in lines
    assert "offboarding.grace\t30 days\tbuilt in" in lines
    assert "offboarding.reuse\tnever\tbuilt in" in lines
    assert not any(line.startswith("offboarding") for line in tenant("show", "acme").stdout.splitlines())


def test_nothing_is_shown_of_one_that_left(tenant, left):
    found = tenant("show", "hooli")

    assert found.exit_code == 3
    assert "tenant 'hooli' is offboarded, tenants.yaml says so: nothing stands for it" in found.stderr


def test_the_id_of_one_that_left_is_not_added_again(tenant, left, folder):
    before = (folder / "tenants.yaml").read_text()

    found = tenant("add", "hooli", *NEWCO[2:])

    assert found.exit_code == 2
    assert "tenant 'hooli' left, line 17, and its id is never used again: choose another id" in found.stderr
    assert (folder / "tenants.yaml").read_text() == before


def test_show_tells_every_default_and_where_it_comes_from(tenant):
    lines = tenant("show", "acme", "-e", "dev").stdout.splitlines()

    assert "workers\t2\ttenants/tenants.yaml:4" in lines
    assert "worker_type\tG.1X\tbuilt in" in lines
    assert "retention.raw\t90 days\tbuilt in" in lines
    assert "orders\torders\t15 minutes\t5,000\t1 GB\ticeberg\traw/orders/**" in lines
    assert "bucket\tmycompany-acme-dev-datalake" in lines


def test_show_as_json_has_what_holds_in_the_environment(tenant):
    shown = json.loads(tenant("show", "acme", "--json").stdout)

    assert shown["environment"] == "local"
    assert shown["retention"] == {"raw": 90, "processed": 365, "quarantine": 30}
    assert shown["datasets"] == [
        {
            "name": "orders",
            "contract": "orders",
            "max_wait": 0,
            "max_files": 5000,
            "max_bytes": 1_000_000_000,
            "schedule": None,
            "files": ["raw/orders/**"],
            "format": "iceberg",
            "primary_key": ["order_id"],
        }
    ]
    assert shown["names"]["workgroup"] == "mycompany-acme-local"
    assert shown["from"]["owner"] == "tenants/tenants.yaml:9"


def test_show_tells_a_schedule_in_place_of_the_wait(tenant, folder):
    scheduled = TENANTS.replace("[orders]", '[{name: orders, schedule: "cron(0 6 * * ? *)"}]')
    (folder / "tenants.yaml").write_text(scheduled)

    lines = tenant("show", "acme", "-e", "dev").stdout.splitlines()
    [dataset] = json.loads(tenant("show", "acme", "--json").stdout)["datasets"]

    assert "orders\torders\tcron(0 6 * * ? *)\t5,000\t1 GB\ticeberg\traw/orders/**" in lines
    assert dataset["schedule"] == "cron(0 6 * * ? *)"


def test_show_prints_the_plan_of_a_dataset(tenant):
    plan = json.loads(tenant("show", "acme", "--plan", "orders").stdout)

    assert (plan["dataset"], plan["primary_key"], len(plan["fingerprint"])) == ("orders", ["order_id"], 64)


@pytest.mark.parametrize(
    "arguments", [("show", "acne"), ("show", "acme", "-e", "prod"), ("show", "acme", "--plan", "order")]
)
def test_what_is_not_there_ends_with_3_and_says_what_is(tenant, arguments):
    found = tenant(*arguments)

    assert found.exit_code == 3
    assert "known: " in found.stderr


def test_validate_says_what_it_saw(tenant):
    found = tenant("validate")

    assert (found.exit_code, found.stdout) == (0, "valid: 1 tenants, 1 datasets, 1 contracts, 2 environments\n")
    assert json.loads(tenant("validate", "--json").stdout) == {"valid": True, "problems": []}


def test_validate_tells_all_problems_with_their_lines_and_ends_with_2(tenant, folder):
    (folder / "tenants.yaml").write_text(TENANTS.replace("owner:", "onwer:"))

    found = tenant("validate")

    assert (found.exit_code, found.stdout) == (2, "")
    assert "tenants/tenants.yaml:7: tenants[acme].owner: is missing" in found.stderr
    assert "tenants/tenants.yaml:9: tenants[acme].onwer: unknown key; did you mean 'owner'?" in found.stderr
    as_json = tenant("validate", "--json")
    assert as_json.exit_code == 2
    assert json.loads(as_json.stdout)["problems"][0] == {
        "file": "tenants/tenants.yaml",
        "line": 7,
        "where": "tenants[acme].owner",
        "message": "is missing",
    }
