"""Scanners of others look at one real tenant per shape and at the platform with all that it may hold.

What they find stands in cdk_app/suppressions.yaml, with the reason and the test that makes it safe, or is mended.
"""

import os
from dataclasses import replace
from datetime import date

import pytest

from cdk_app.stamping import stamp
from tenants.registry import load
from tests.cdk_app.conftest import flags
from tests.cdk_app.scanners import Finding, linted, nameless, one_per_shape, reported, synthesised, with_webhook
from tests.cdk_app.suppressions import FILE, difference, faults, read

REGION = "eu-central-1"
VARIABLES = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
TODAY = date(2026, 12, 1)


@pytest.fixture(scope="module")
def registry():
    return with_webhook(one_per_shape(load()), "prod")


@pytest.fixture(scope="module")
def assembly(registry, tmp_path_factory):
    return synthesised(registry, "prod", tmp_path_factory.mktemp("scanned"), flags())


@pytest.fixture(scope="module")
def suppressions():
    return read(FILE.read_text())


def test_what_scanners_find_is_what_is_suppressed(assembly, suppressions):
    found = {*reported(assembly), *linted(assembly, REGION)}

    assert difference(suppressions, found) == []


def test_what_scanners_look_at_is_what_is_stamped(assembly, registry, tmp_path):
    failures = stamp(
        lambda: registry, "prod", tmp_path / "stamped", cache=tmp_path / "cache", sources="s", variables=VARIABLES
    )

    assert failures == {}
    assert templates(tmp_path / "stamped") == templates(assembly)
    assert len(templates(assembly)) == len(registry.tenants) + 1


def templates(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.template.json")}


def test_every_suppression_has_a_reason_an_owner_a_test_that_exists_and_time_left(suppressions):
    assert list(faults(suppressions, date.today())) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"reason": "It is fine."}, "says too little"),
        ({"owner": ""}, "nobody owns it"),
        ({"expires": date(2026, 12, 1)}, "expired on"),
        ({"expires": date(2029, 1, 1)}, "within a year"),
        ({"resources": ("tenant/Access/*",)}, "a pattern"),
        ({"details": ("*",)}, "a pattern"),
        ({"test": "tests/cdk_app/test_access.py::test_that_nobody_wrote"}, "no test"),
        ({"test": "cdk_app/access.py::allow"}, "no test"),
    ],
)
def test_a_suppression_that_says_too_little_or_too_much_is_refused(suppressions, change, fault):
    changed = replace(suppressions[0], **change)

    assert any(fault in each for each in faults([changed], TODAY))


def test_a_suppression_written_twice_is_refused(suppressions):
    assert any("twice" in each for each in faults([suppressions[0], suppressions[0]], TODAY))


def test_fields_that_are_missing_or_unknown_are_refused():
    with pytest.raises(ValueError, match="expected"):
        read("suppressions: [{rule: AwsSolutions-S1, resources: [tenant/Lake/Resource]}]")


def test_what_nobody_suppressed_and_what_nobody_finds_are_told(suppressions):
    new = Finding("AwsSolutions-IAM4", "", "tenant/Access/Job/Role/Resource")
    known = {finding for each in suppressions for finding in each.findings()}
    old = min(known)

    assert difference(suppressions, known - {old} | {new}) == [f"not suppressed: {new}", f"found no more: {old}"]


def test_each_tenant_that_is_looked_at_has_another_shape():
    looked_at = one_per_shape(load()).tenants

    shapes = [tuple(dataset.name for dataset in tenant.datasets) for tenant in looked_at]
    assert len(set(shapes)) == len(shapes)
    assert {tuple(dataset.name for dataset in tenant.datasets) for tenant in load().tenants} == set(shapes)


def test_the_validator_of_cdk_and_cfn_lint_speak_of_what_is_wrong(tmp_path, site):
    import aws_cdk as cdk
    from aws_cdk import aws_glue as glue

    app = cdk.App(context=flags(), outdir=str(tmp_path), builtin_cloud_formation_validation=True)
    stack = cdk.Stack(app, "mycompany-acme-prod-tenant", env=site.cdk_environment)
    command = glue.CfnJob.JobCommandProperty(name="glueetl")
    glue.CfnJob(stack, "Job", role="arn:aws:iam::777788889999:role/x", command=command, timeout=-4)
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()

    assert Finding("F3034", "", "tenant/Job") in set(reported(tmp_path))
    (lint,) = linted(tmp_path, REGION)
    assert (lint.rule, lint.resource) == ("cfn-lint-E3034", "tenant/Job")


def test_names_of_one_tenant_are_told_as_those_of_any():
    from cdk_app.guardrails.subject import Owner

    owner = Owner.of("mycompany-acme-prod-tenant")
    texts = {
        "arn:aws:s3:::mycompany-acme-prod-datalake/raw/*": "arn:<partition>:s3:::<workgroup>-datalake/raw/*",
        "arn:aws:s3:::mycompany-acme-eu-prod-datalake": "arn:<partition>:s3:::mycompany-acme-eu-prod-datalake",
        "arn:aws:glue:eu-central-1:777788889999:table/mycompany_acme_prod/*": (
            "arn:<partition>:glue:<region>:<account>:table/<database>/*"
        ),
        "arn:aws:sns:eu-central-1:777788889999:mycompany-*-prod-alerts": (
            "arn:<partition>:sns:<region>:<account>:<every tenant>-alerts"
        ),
        "arn:aws:s3:::mycompany-prod-platform-code/*": "arn:<partition>:s3:::<platform>-platform-code/*",
    }
    assert {text: nameless(owner, text) for text in texts} == texts
