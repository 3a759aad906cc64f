"""`lake quotas` on templates made here, with the accounts' own values as moto gives them."""

import json
import re

import pytest
from moto import mock_aws

CONTRACT = """apiVersion: v3.0.2
kind: DataContract
id: orders
name: Orders
version: 1.0.0
status: active
schema:
  - name: orders
    physicalType: table
    properties:
      - {name: order_id, logicalType: string, required: true, primaryKey: true}
"""
TENANT = "  - {{id: {0}, name: {0}, owner: data@{0}.example, datasets: [orders]{1}}}\n"
ENVIRONMENTS = """environments:
  local: {account: "000000000000", region: us-east-1, removal_policy: destroy, termination_protection: false}
  dev: {account: "111122223333", region: eu-central-1}
  prod:
    account: "777788889999"
    region: eu-central-1
    cells:
      b: {account: "777788889999", region: eu-west-1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One registry and one place for templates: made once for all tests."""
    made = tmp_path_factory.mktemp("quotas")
    (made / "contracts").mkdir()
    (made / "contracts" / "orders.yaml").write_text(CONTRACT)
    (made / "environments.yaml").write_text(ENVIRONMENTS)
    tenants = [("acme", ""), ("globex", ""), ("initech", ", cells: {prod: b}")]
    (made / "tenants.yaml").write_text(
        "organization: mycompany\ntenants:\n" + "".join(TENANT.format(*each) for each in tenants)
    )
    return made


@pytest.fixture
def quotas(lake, folder, monkeypatch):
    monkeypatch.setenv("LAKE_TENANTS", str(folder))
    monkeypatch.setenv("LAKE_HOME", str(folder / "home"))
    for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: lake("quotas", *arguments)


def as_json(answer):
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def test_what_binds_first_comes_first_with_its_code_and_date(quotas):
    answer = quotas("-e", "dev", "--defaults")

    lines = answer.stdout.splitlines()
    assert lines[1].split("\t") == [
        "111122223333/eu-central-1",
        "events rules of the default bus",
        "L-244521F2",
        "7",
        "1",
        "300",
        "293",
        "AWS's default, 2026-01",
    ]
    assert "dev: room for 293 more tenants; events rules of the default bus bind first (L-244521F2)." in lines


def test_the_cost_before_any_use_is_told_with_what_is_not_in_it(quotas):
    cost = as_json(quotas("-e", "dev", "--defaults", "--json"))["cost"]

    assert cost["monthly"] == "5.70"
    assert [(each["what"], each["number"], each["monthly"]) for each in cost["lines"]] == [
        ("KMS key", 4, "4.00"),
        ("alarm metric", 17, "1.70"),
    ]
    assert "bytes that queries scan" in cost["not_counted"]
    assert cost["unknown"] == []


def test_more_tenants_are_reckoned_with_before_they_are_there(quotas):
    found = as_json(quotas("-e", "dev", "--defaults", "--tenants", "1000", "--json"))

    by_code = {each["code"]: each for each in found["quotas"]}
    assert by_code["L-244521F2"]["used"] == 1004
    assert by_code["L-FE177D64"]["used"] == 5 + 3 + 2000
    assert found["room"]["dev"] == {"tenants": 0, "binds": "L-244521F2"}
    assert found["cost"]["monthly"] == str(5.70 + 997 * 1.40) + "0"
    assert found["needs"] == {"cell": {"number": 2, "tenants_in_one": 999, "code": "L-FD9D80C2"}}


def test_what_does_not_fit_is_told_with_the_increase_to_ask_for(quotas):
    answer = quotas("-e", "dev", "--defaults", "--tenants", "300")

    (said,) = [line for line in answer.stdout.splitlines() if line.startswith("Does not fit")]
    assert "304 events rules of the default bus are needed and 300 allowed (quota L-244521F2" in said
    assert "--service-code events --quota-code L-244521F2 --desired-value 304 --region eu-central-1" in said


def test_fewer_tenants_than_there_are_cannot_be_reckoned_with(quotas):
    answer = quotas("-e", "dev", "--defaults", "--tenants", "2")

    assert answer.exit_code == 2
    assert "3 are in tenants.yaml already" in answer.stderr


def test_cells_of_one_account_share_its_quotas_and_have_others_of_their_own(quotas):
    found = as_json(quotas("-e", "prod", "--defaults", "--json"))

    rules = [each for each in found["quotas"] if each["code"] == "L-244521F2"]
    (roles,) = [each for each in found["quotas"] if each["code"] == "L-FE177D64"]
    assert [(each["place"], each["used"]) for each in sorted(rules, key=lambda each: each["place"])] == [
        ("777788889999/eu-central-1", 4 + 2),
        ("777788889999/eu-west-1", 4 + 1),
    ]
    assert (roles["cells"], roles["used"]) == (["prod", "prod/b"], 2 * (5 + 3) + 3 * 2)


def test_one_cell_can_be_asked_for(quotas):
    found = as_json(quotas("-e", "prod/b", "--defaults", "--json"))

    assert found["room"] == {"prod/b": {"tenants": 295, "binds": "L-244521F2"}}
    assert {each["place"] for each in found["quotas"]} == {"777788889999", "777788889999/eu-west-1"}


def test_new_tenants_go_to_the_cell_with_the_fewest(quotas):
    found = as_json(quotas("-e", "prod", "--defaults", "--tenants", "11", "--json"))

    used = {each["place"]: each["used"] for each in found["quotas"] if each["code"] == "L-0485CB21"}
    assert used == {"777788889999/eu-central-1": 2 + 6, "777788889999/eu-west-1": 2 + 5}


def test_the_local_cloud_has_no_quotas_and_need_not_run(quotas):
    answer = quotas("--json")

    assert as_json(answer)["quotas"][0]["live"] is False
    assert "this machine has no quotas" in answer.stderr


def test_without_credentials_the_defaults_hold_and_it_is_said(quotas, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    answer = quotas("-e", "dev", "--json")

    assert not any(each["live"] for each in as_json(answer)["quotas"])
    assert "the account was not asked: no AWS credentials" in answer.stderr


@pytest.fixture
def account(monkeypatch):
    """An account of moto's, with the quotas that a test says were granted."""
    from moto.servicequotas import models

    from cli.quotas import client_in

    client_in.cache_clear()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "111122223333")
    granted, asked = {}, []

    def get(self, service_code, quota_code):
        asked.append((self.region_name, service_code, quota_code))
        if quota_code not in granted:
            raise models.NoSuchResource
        return {"ServiceCode": service_code, "QuotaCode": quota_code, "Value": granted[quota_code]}

    monkeypatch.setattr(models.ServiceQuotasBackend, "get_service_quota", get)
    with mock_aws():
        yield granted, asked
    client_in.cache_clear()


def test_an_accounts_own_values_are_asked_for_where_there_is_one(quotas, account):
    granted, asked = account
    granted |= {"L-244521F2": 600.0, "L-FE177D64": 2000.0}

    answer = quotas("-e", "dev", "--json")

    found = {each["code"]: each for each in as_json(answer)["quotas"]}
    assert (found["L-244521F2"]["limit"], found["L-244521F2"]["live"]) == (600, True)
    assert (found["L-FE177D64"]["limit"], found["L-FE177D64"]["live"]) == (2000, True)
    assert (found["L-FD9D80C2"]["limit"], found["L-FD9D80C2"]["live"]) == (1000, False)
    assert ("us-east-1", "iam", "L-FE177D64") in asked
    assert ("eu-central-1", "events", "L-244521F2") in asked


def test_another_account_is_not_asked_for_this_ones_quotas(quotas, account, monkeypatch):
    _, asked = account
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "123456789012")

    answer = quotas("-e", "prod", "--json")

    assert "prod, prod/b: AWS's defaults; the credentials in use are of account 123456789012" in answer.stderr
    assert asked == []
    assert not any(each["live"] for each in as_json(answer)["quotas"])


def test_a_registry_that_does_not_fit_ends_as_refused(quotas, folder, tmp_path, monkeypatch):
    import shutil

    full = tmp_path / "full"
    shutil.copytree(folder, full, ignore=shutil.ignore_patterns("home"))
    lines = "".join(TENANT.format(f"t{number:03}", "") for number in range(297))
    (full / "tenants.yaml").write_text(f"organization: mycompany\ntenants:\n{lines}")
    monkeypatch.setenv("LAKE_TENANTS", str(full))

    answer = quotas("-e", "dev", "--defaults")

    assert answer.exit_code == 11
    assert "Does not fit: 111122223333/eu-central-1: 301 events rules" in answer.stdout


@pytest.fixture
def odd(folder, tmp_path, monkeypatch):
    """The registry with a tenant that no template can be made for."""
    import shutil

    made = tmp_path / "odd"
    shutil.copytree(folder, made, ignore=shutil.ignore_patterns("home"))
    query = "[{name: newest, description: New, sql: \"SELECT * FROM {table} WHERE x = 'qzhole-bucket-qz'\"}]"
    contract = CONTRACT.replace("id: orders", "id: odd").replace(
        "schema:\n", f"customProperties:\n  - property: lake.queries\n    value: {query}\nschema:\n"
    )
    (made / "contracts" / "odd.yaml").write_text(contract)
    tenants = (made / "tenants.yaml").read_text()
    (made / "tenants.yaml").write_text(tenants + TENANT.format("strange", "").replace("[orders]", "[odd]"))
    monkeypatch.setenv("LAKE_TENANTS", str(made))
    return made


def flat(answer):
    return " ".join(answer.stderr.split())


def test_a_tenant_without_a_template_is_named_and_all_others_are_counted(quotas, odd):
    answer = quotas("-e", "dev", "--defaults", "--json")

    found = json.loads(answer.stdout)
    assert answer.exit_code == 1
    assert found["tenants"] == 3
    assert found["failures"].keys() == {"strange"}
    assert re.search(r"tenants\.yaml:6: tenant strange: has no template and is left out: query newest", flat(answer))


def test_a_tenant_without_a_template_is_named_and_all_others_are_proved_apart(quotas, odd, lake):
    every, one, itself = lake("prove", "-e", "dev"), lake("prove", "-e", "dev", "acme"), lake("prove", "strange")

    assert (every.exit_code, one.exit_code, itself.exit_code) == (1, 1, 1)
    assert every.stdout.startswith("isolation: 3 tenants, ")
    assert "tenants.yaml:6: tenant strange: has no template and is left out" in flat(every)
    assert "tenant strange: has no template and is left out: query newest" in flat(itself)
    assert itself.stdout == ""


def test_a_plan_goes_by_the_defaults_where_the_account_gives_no_answer(monkeypatch):
    from botocore.exceptions import EndpointConnectionError

    from cli import planning
    from deployment.quotas import shipped

    def unreachable(*_given, **_more):
        raise EndpointConnectionError(endpoint_url="https://servicequotas.eu-central-1.amazonaws.com")

    monkeypatch.setattr(planning, "live", unreachable)

    assert planning.limits((), frozenset({"L-244521F2"}), ()) == shipped(())
