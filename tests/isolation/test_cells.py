"""Cells that lie in one account: nothing in one reaches what is in another."""

from copy import deepcopy

import pytest

from isolation.cells import between, report_of_cells
from isolation.errors import IsolationError, UnknownType
from isolation.template import Place, Stack
from tests.templates import synthesised_in_cells

FIRST, B = Place("777788889999", "eu-central-1"), Place("777788889999", "eu-west-1")
IN_B = {"mycompany-prod-platform-b", "mycompany-acme-eu-prod-tenant"}
PLATFORM_B = "mycompany-prod-platform-b"
ACME, ACME_EU = "mycompany-acme-prod-tenant", "mycompany-acme-eu-prod-tenant"


@pytest.fixture
def templates():
    return deepcopy(synthesised_in_cells())


def report(templates, tenants=()):
    return report_of_cells(sorted(stacks_of(templates), key=lambda each: each.place.region), tenants)


def stacks_of(templates):
    return [Stack.of(name, each, place_of(name)) for name, each in templates.items()]


def place_of(stack):
    return B if stack in IN_B else FIRST


def rights_of_job(template):
    return next(
        each["Properties"]["PolicyDocument"]["Statement"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::IAM::Policy" and "job" in str(each["Properties"]["Roles"]).lower()
    )


def without_boundaries(template):
    for each in template["Resources"].values():
        if each["Type"] == "AWS::IAM::Role":
            del each["Properties"]["PermissionsBoundary"]


def test_every_cell_is_proved_by_itself_and_with_the_others_of_its_account(templates):
    found = report(templates)

    assert found.holds, found.text()
    assert [each.environment for each in found.reports] == ["prod", "prod/b"]
    assert [each.proof.counts.tenants for each in found.reports] == [1, 1]
    (account, together), *others = found.between
    assert (account, together.counts.tenants, others) == ("777788889999", 2, [])
    assert together.counts.questions > sum(each.proof.counts.questions for each in found.reports)


def test_rights_in_a_further_cell_are_reviewed_as_those_in_the_first(templates):
    assert report(templates).differences == ()


def let_astray(template, region, other):
    """Rights of an active tenant's job on another's workgroup, and no boundary; gives the workgroup's ARN."""
    for each in template["Resources"].values():
        if each["Type"] == "AWS::Athena::WorkGroup":
            each["Properties"]["State"] = "ENABLED"
    workgroup = f"arn:aws:athena:{region}:777788889999:workgroup/mycompany-{other}-prod"
    without_boundaries(template)
    rights_of_job(template).append(
        {"Sid": "Astray", "Effect": "Allow", "Action": "athena:StartQueryExecution", "Resource": workgroup}
    )
    return workgroup


def test_a_role_of_the_first_cell_that_reaches_into_a_further_one_is_a_leak(templates):
    workgroup = let_astray(templates[ACME], B.region, "acme-eu")
    cells = {place: [each for each in stacks_of(templates) if each.place == place] for place in (FIRST, B)}

    ((account, together),) = between(cells, [])

    assert account == "777788889999"
    assert {each.name for each in together.leaks} == {workgroup}


def test_a_role_that_reaches_into_another_cell_of_its_account_is_a_leak(templates):
    workgroup = let_astray(templates[ACME_EU], FIRST.region, "acme")

    found = report(templates)

    ((_, together),) = found.between
    assert not found.holds
    assert [each.proof.leaks for each in found.reports] == [(), ()]
    assert {each.name for each in together.leaks} == {workgroup}
    assert "all cells of account 777788889999: isolation: 2 tenants" in found.text()
    assert "may athena:StartQueryExecution on" in found.markdown().partition("# Isolation between cells")[2]


def test_a_right_on_the_platform_of_another_cell_is_none_that_was_reviewed(templates):
    for statement in rights_of_job(templates[ACME_EU]):
        if "mycompany-prod-ledger-b" in str(statement["Resource"]):
            statement["Resource"] = "arn:aws:dynamodb:eu-west-1:777788889999:table/mycompany-prod-ledger"

    lines = [each.line for each in report(templates).differences if each.sign == "+"]

    assert lines
    assert all("table/<another cell>-ledger" in line for line in lines)


def test_of_one_tenant_only_its_own_cell_is_asked_about(templates):
    found = report(templates, ["acme-eu"])

    assert [each.environment for each in found.reports] == ["prod/b"]
    assert found.between[0][1].counts.tenants == 1


def test_what_has_one_name_in_two_cells_of_an_account_is_refused(templates):
    for each in templates[PLATFORM_B]["Resources"].values():
        if each["Type"] == "AWS::IAM::Role" and each["Properties"]["RoleName"] == "mycompany-prod-register-b":
            each["Properties"]["RoleName"] = "mycompany-prod-register"

    with pytest.raises(IsolationError, match=r"mycompany-prod-register: 2 policies are called"):
        report(templates)


def test_a_stack_that_is_tagged_as_of_another_cell_is_refused(templates):
    templates["mycompany-prod-platform-c"] = templates[PLATFORM_B]

    with pytest.raises(UnknownType, match="are tagged as those of mycompany-prod-platform-b"):
        report(templates)


def test_a_stack_of_which_nobody_knows_where_it_is_cannot_be_proved(templates):
    with pytest.raises(IsolationError, match=r"mycompany-acme-eu-prod-tenant: expected the account and Region"):
        report_of_cells([Stack.of(ACME_EU, templates[ACME_EU])])


def test_the_report_as_json_names_each_cell(templates):
    told = report(templates).as_json()

    assert told["holds"] is True
    assert [each["environment"] for each in told["cells"]] == ["prod", "prod/b"]
    assert told["between_cells"][0]["leaks"] == []
