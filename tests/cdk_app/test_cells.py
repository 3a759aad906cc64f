"""A further cell of an environment: a platform of its own, and tenants who know no other."""

import re
from copy import deepcopy
from pathlib import Path

import pytest

from cdk_app.guardrails import findings
from cdk_app.guardrails.properties import tagged
from cdk_app.guardrails.register import CHECKS
from tenants.naming import PlatformNames
from tests.cdk_app.test_names import named
from tests.templates import agreed_in_cells, synthesise, synthesised, synthesised_in_cells, write_cells

FIRST, B = "mycompany-prod-platform", "mycompany-prod-platform-b"
ACME, ACME_EU = "mycompany-acme-prod-tenant", "mycompany-acme-eu-prod-tenant"


@pytest.fixture
def templates():
    return deepcopy(synthesised_in_cells())


def told(stack, template):
    return findings(stack, template, agreed_in_cells()[stack])


def of_type(template, kind):
    return [each["Properties"] for each in template["Resources"].values() if each["Type"] == kind]


def tags(properties):
    given = properties["Tags"]
    return dict(given) if isinstance(given, dict) else {each["Key"]: each["Value"] for each in given}


def test_every_cell_has_a_platform_and_the_tenants_that_are_placed_there(templates):
    assert sorted(templates) == sorted([FIRST, B, ACME, ACME_EU])
    assert all(told(stack, template) == [] for stack, template in templates.items())


def test_a_further_cell_changes_nothing_in_the_first():
    found = synthesised_in_cells()

    assert found[FIRST] == synthesised("prod")[FIRST]
    assert found[ACME] == synthesised("prod")[ACME]


def test_no_two_things_have_one_name_though_the_cells_share_an_account(templates):
    owners = {}
    for stack, kind, name in named(templates):
        assert owners.setdefault((kind, name.casefold()), stack) == stack


def test_what_stands_in_a_further_cell_says_so_by_its_tags(templates):
    for stack, template in templates.items():
        for resource in template["Resources"].values():
            if tagged in CHECKS[resource["Type"]]:
                assert tags(resource["Properties"]).get("cell") == ("b" if stack in {B, ACME_EU} else None)


def test_what_stands_in_a_further_cell_names_the_platform_of_that_cell_only(templates):
    first = PlatformNames("mycompany", "prod")
    names = (first.ledger, first.queue, first.dead_letter_queue, first.topic, first.code_bucket, *first.functions)

    for stack in (B, ACME_EU):
        assert not re.findall(rf"(?:{'|'.join(names)})(?![a-z0-9-])", str(templates[stack]))
    assert "mycompany-prod-ledger-b" in str(templates[ACME_EU])


def test_a_tenant_whose_files_would_go_to_another_cell_is_refused(templates):
    (rule,) = of_type(templates[ACME_EU], "AWS::Events::Rule")
    rule["Targets"][0]["Arn"] = "arn:aws:sqs:eu-central-1:777788889999:mycompany-prod-arrivals"

    assert any("expected the platform's queue" in line for line in told(ACME_EU, templates[ACME_EU]))


def test_a_tenant_of_the_first_cell_that_names_another_is_refused(templates):
    jobs = of_type(templates[ACME], "AWS::Glue::Job")
    jobs[0]["DefaultArguments"]["--queue"] = "arn:aws:sqs:eu-west-1:777788889999:mycompany-prod-arrivals-b"

    assert any("neither the tenant's nor the platform's" in line for line in told(ACME, templates[ACME]))


def test_a_function_that_is_told_of_another_cells_ledger_is_refused(templates):
    function = of_type(templates[B], "AWS::Lambda::Function")[0]
    function["Environment"]["Variables"]["LAKE_LEDGER"] = "mycompany-prod-ledger"

    (line,) = told(B, templates[B])
    assert line.endswith("names the platform of another cell than b: mycompany-prod-ledger")


def test_a_stack_that_lacks_the_tag_of_its_cell_is_refused(templates):
    for properties in of_type(templates[ACME_EU], "AWS::Events::Rule"):
        properties["Tags"] = [each for each in properties["Tags"] if each["Key"] != "cell"]

    (line,) = told(ACME_EU, templates[ACME_EU])
    assert "cell" in line


def test_an_organization_of_its_own_begins_every_name_of_an_environment(tmp_path: Path):
    registry = write_cells(tmp_path / "tenants")
    file = registry / "environments.yaml"
    file.write_text(file.read_text().replace("prod: {", "prod: {organization: mycoprod, "))

    found = synthesise(tmp_path, registry, "prod")

    assert sorted(found) == sorted(each.replace("mycompany", "mycoprod") for each in (FIRST, B, ACME, ACME_EU))
    assert "mycompany-" not in str(found)
