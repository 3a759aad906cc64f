"""Limits of templates and policies, measured as AWS measures them or a little above."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployment.limits import ARN, NAME, excesses, fullest, length, measures

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {}}


def a_role(name, **properties):
    trust = {"Version": "2012-10-17", "Statement": []}
    return {name: {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust, **properties}}}


def a_policy(role, size):
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "r" * (size - len(SMALLEST))}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"Type": "AWS::IAM::Policy", "Properties": {"PolicyDocument": document, "Roles": [{"Ref": role}]}}


SMALLEST = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":""}]}'


def test_what_is_just_allowed_is_accepted():
    template = {"Resources": {f"Q{number}": QUEUE for number in range(500)}}

    assert excesses("t", template) == ()
    assert excesses("t", {"Resources": {}}, size=1_000_000) == ()


def test_an_excess_names_stack_limit_and_advice():
    template = {"Resources": {f"Q{number}": QUEUE for number in range(501)}}

    (found,) = excesses("o-acme-prod-tenant", template)

    assert found == (
        "stack o-acme-prod-tenant: the template: resources: 501 where 500 are allowed; "
        "split the tenant's datasets over several tenants"
    )


@pytest.mark.parametrize(("section", "number"), [("Outputs", 201), ("Parameters", 201), ("Mappings", 201)])
def test_every_section_is_counted(section, number):
    (found,) = excesses("t", {section: {f"S{each}": {} for each in range(number)}})

    assert f"{section.lower()}: 201 where 200" in found


def test_the_text_of_a_template_is_measured():
    (found,) = excesses("t", {"Description": "d" * 1_000_000})
    (as_written,) = excesses("t", {}, size=1_000_001)

    assert "bytes: 1,000,018 where 1,000,000" in found
    assert "bytes: 1,000,001 where 1,000,000" in as_written


def test_inline_policies_of_a_role_add_up():
    resources = a_role("Job", Policies=[{"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17"}}])
    resources |= {"A": a_policy("Job", 5_000), "B": a_policy("Job", 5_240), "C": a_policy("Other", 9_000)}

    (found,) = excesses("t", {"Resources": resources})

    assert "Job: characters of a role's inline policies: 10,264 where 10,240" in found


def test_inline_policies_of_exactly_the_limit_are_accepted():
    resources = a_role("Job") | {"A": a_policy("Job", 10_240)}

    assert excesses("t", {"Resources": resources}) == ()


def test_managed_policies_of_a_role_are_counted():
    resources = a_role("Job", ManagedPolicyArns=[f"arn{number}" for number in range(10)])
    resources["M"] = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {"PolicyDocument": {}, "Roles": [{"Ref": "Job"}]},
    }

    (found,) = excesses("t", {"Resources": resources})

    assert "managed policies of a role: 11 where 10" in found


@pytest.mark.parametrize(
    ("kind", "key", "limit"),
    [
        ("AWS::S3::BucketPolicy", "PolicyDocument", 20_480),
        ("AWS::KMS::Key", "KeyPolicy", 32_768),
        ("AWS::SNS::TopicPolicy", "PolicyDocument", 30_720),
        ("AWS::IAM::ManagedPolicy", "PolicyDocument", 6_144),
    ],
)
def test_policies_of_things_are_measured(kind, key, limit):
    def template(size):
        return {"Resources": {"P": {"Type": kind, "Properties": {key: {"A": "a" * (size - len('{"A":""}'))}}}}}

    assert excesses("t", template(limit)) == ()
    assert f"{limit + 1:,} where {limit:,}" in excesses("t", template(limit + 1))[0]


def test_white_space_does_not_count_as_with_iam():
    assert length({"Sid": "a b\tc"}, {}) == len('{"Sid":"ab\\tc"}')


json_values = st.recursive(
    st.text(st.characters(codec="ascii", exclude_categories=["Z", "Cc"])) | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_a_policy_without_references_is_measured_exactly(document):
    assert length(document, {}) == len(json.dumps(document, separators=(",", ":")))


def test_a_reference_counts_as_the_longest_that_it_may_become():
    resources = {"Lake": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "b" * 30}}, "Key": {"Properties": {}}}

    assert length({"Fn::GetAtt": ["Lake", "Arn"]}, resources) == 2 + ARN + 30
    assert length({"Ref": "Key"}, resources) == 2 + ARN + NAME
    assert length({"Ref": "AWS::AccountId"}, {}) == 14
    joined = {"Fn::Join": ["/", [{"Fn::GetAtt": ["Lake", "Arn"]}, "raw", "*"]]}
    assert length(joined, resources) == 2 + ARN + 30 + len("/raw/*")


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    from cli.synthesis import synthesise_into
    from tenants.registry import load

    home = tmp_path_factory.mktemp("home")
    return synthesise_into(home / "assembly", "prod", load, home)


def test_the_committed_templates_are_far_from_every_limit(committed):
    pairs = [(stack.name, stack.template) for stack in committed.stacks]

    assert [each for name, template in pairs for each in excesses(name, template)] == []
    nearest = fullest(pairs)[0][1]
    assert nearest.what == "characters of a managed policy"
    assert nearest.found < 0.75 * nearest.limit


def test_every_kind_of_policy_of_the_committed_templates_is_measured(committed):
    acme = committed.stack("mycompany-acme-prod-tenant").template

    assert {each.what for each in measures(acme)} >= {
        "bytes of a bucket policy",
        "bytes of a key policy",
        "bytes of a topic policy",
        "characters of a managed policy",
        "characters of a role's inline policies",
        "characters of a trust policy",
    }
