import json

import pytest

from isolation.account import Account
from isolation.errors import UnknownPolicy, UnknownType
from isolation.template import Stack
from tests.isolation.accounts import account_of
from tests.templates import GLOBEX, synthesised

ACCOUNT, REGION = "111122223333", "eu-central-1"
STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements) or [STATEMENT]}


def role(name="job", **properties):
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {"RoleName": name, "AssumeRolePolicyDocument": policy(), **properties},
    }


def account(**resources):
    return Account.of([Stack("s", "acme", {"Resources": resources})], account=ACCOUNT, region=REGION)


def only_principal(**resources):
    (principal,) = account(**resources).principals.values()
    return principal


def test_a_role_has_its_inline_attached_and_managed_policies():
    principal = only_principal(
        Role=role(Policies=[{"PolicyName": "a", "PolicyDocument": policy()}], ManagedPolicyArns=[{"Ref": "Managed"}]),
        Managed={"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": policy()}},
        Attached={"Type": "AWS::IAM::Policy", "Properties": {"Roles": [{"Ref": "Role"}], "PolicyDocument": policy()}},
    )

    assert [each.name for each in principal.identity] == ["s: Role", "s: Attached", "s: Managed"]
    assert principal.managed == ()


def test_a_policy_of_aws_is_kept_apart_since_no_template_shows_it():
    aws = "arn:aws:iam::aws:policy/AdministratorAccess"

    assert only_principal(Role=role(ManagedPolicyArns=[aws])).managed == (aws,)


def test_a_role_knows_its_tenant_boundary_trust_and_tags():
    principal = only_principal(
        Role=role(PermissionsBoundary={"Ref": "Boundary"}, Tags=[{"Key": "tenant", "Value": "acme"}]),
        Boundary={"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": policy()}},
    )

    assert principal.tenant == "acme"
    assert principal.tags == {"tenant": "acme"}
    assert principal.boundary.name == "s: Boundary"
    assert principal.trust.content == policy()


@pytest.mark.parametrize(
    ("resources", "error", "says"),
    [
        ({"Role": role(PermissionsBoundary="arn:aws:iam::aws:policy/X")}, UnknownPolicy, "boundary"),
        (
            {"P": {"Type": "AWS::IAM::Policy", "Properties": {"Users": ["x"], "PolicyDocument": policy()}}},
            UnknownPolicy,
            "users or groups",
        ),
        (
            {"P": {"Type": "AWS::IAM::Policy", "Properties": {"Roles": ["gone"], "PolicyDocument": policy()}}},
            UnknownPolicy,
            "gone, which no template declares",
        ),
        (
            {"P": {"Type": "AWS::S3::BucketPolicy", "Properties": {"Bucket": "gone", "PolicyDocument": policy()}}},
            UnknownPolicy,
            "gone, which no template declares",
        ),
        ({"U": {"Type": "AWS::IAM::User", "Properties": {}}}, UnknownType, "AWS::IAM::User"),
        ({"A": role(), "B": role()}, UnknownType, "declared twice"),
    ],
)
def test_what_cannot_be_placed_is_refused(resources, error, says):
    with pytest.raises(error, match=says):
        account(**resources)


BUCKET = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "data"}}


def bucket_policy(*statements):
    properties = {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": policy(*statements)}
    return {"Type": "AWS::S3::BucketPolicy", "Properties": properties}


def test_a_bucket_has_one_policy_since_aws_keeps_the_last():
    with pytest.raises(UnknownPolicy, match=r"has the policy s: One .* already"):
        account(Bucket=BUCKET, One=bucket_policy(), Two=bucket_policy({**STATEMENT, "Effect": "Deny"}))


def test_a_policy_of_another_stacks_thing_is_refused():
    policies = {"P": {**bucket_policy(), "Properties": {"Bucket": "data", "PolicyDocument": policy()}}}
    stacks = [Stack("s", "acme", {"Resources": {"Bucket": BUCKET}}), Stack("t", "globex", {"Resources": policies})]

    with pytest.raises(UnknownPolicy, match="expected it in the stack of that"):
        Account.of(stacks, account=ACCOUNT, region=REGION)


def test_a_permission_of_another_stacks_function_is_refused():
    function = {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "f"}}
    permission = {"FunctionName": "f", "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"}
    may = {"May": {"Type": "AWS::Lambda::Permission", "Properties": permission}}
    stacks = [Stack("s", None, {"Resources": {"F": function}}), Stack("t", "globex", {"Resources": may})]

    with pytest.raises(UnknownPolicy, match="expected it in the stack of that"):
        Account.of(stacks, account=ACCOUNT, region=REGION)


def test_policies_of_one_name_in_one_role_are_refused():
    attached = {"PolicyName": "a", "Roles": ["job"], "PolicyDocument": policy()}

    with pytest.raises(UnknownPolicy, match="2 policies are called a"):
        account(
            Role=role(Policies=[{"PolicyName": "a", "PolicyDocument": policy()}]),
            More={"Type": "AWS::IAM::Policy", "Properties": attached},
        )


@pytest.mark.parametrize(
    ("kind", "properties", "place"),
    [
        (
            "AWS::DynamoDB::Table",
            {"StreamSpecification": {"ResourcePolicy": {"PolicyDocument": policy()}}},
            "StreamSpecification.ResourcePolicy.PolicyDocument",
        ),
        ("AWS::Logs::LogGroup", {"ResourcePolicyDocument": policy()}, "ResourcePolicyDocument"),
        ("AWS::Logs::LogGroup", {"ResourcePolicyDocument": json.dumps(policy())}, "ResourcePolicyDocument"),
        ("AWS::SNS::Topic", {"DataProtectionPolicy": {"statement": []}}, "DataProtectionPolicy"),
        ("AWS::IAM::Role", {**role()["Properties"], "More": [{"Deep": policy()}]}, "More.0.Deep"),
    ],
)
def test_a_policy_where_none_is_read_is_refused(kind, properties, place):
    with pytest.raises(UnknownPolicy, match=rf"s: It \({kind}\): a policy in {place},"):
        account(It={"Type": kind, "Properties": properties})


@pytest.mark.parametrize("content", [json.dumps(policy()), {**policy(), "statement": []}])
def test_a_policy_that_is_none_is_refused(content):
    with pytest.raises(UnknownPolicy, match="expected a policy of Version"):
        account(It={"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": content}})


@pytest.mark.parametrize(
    ("permission", "principal", "conditions"),
    [
        ({"Principal": "events.amazonaws.com", "SourceArn": "arn:r"}, "Service", ["ArnLike aws:SourceArn = arn:r"]),
        ({"Principal": "444455556666"}, "AWS", []),
        ({"Principal": "*", "SourceAccount": "1"}, "AWS", ["StringEquals aws:SourceAccount = 1"]),
    ],
)
def test_a_permission_of_a_function_is_a_statement_of_its_policy(permission, principal, conditions):
    found = account(
        Function={"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "f"}},
        May={
            "Type": "AWS::Lambda::Permission",
            "Properties": {"FunctionName": {"Ref": "Function"}, "Action": "lambda:InvokeFunction", **permission},
        },
    )

    (statement,) = found.resources[f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"].policy.statements
    assert [each.kind for each in statement.principals] == [principal]
    assert list(map(str, statement.conditions)) == conditions


def test_a_name_is_of_the_resource_that_it_lies_in():
    found = account(Bucket=BUCKET)

    assert found.holding("arn:aws:s3:::data").arn == "arn:aws:s3:::data"
    assert found.holding("arn:aws:s3:::data/raw/*").arn == "arn:aws:s3:::data"
    assert found.holding("arn:aws:s3:::data-of-others/*") is None


def test_no_policy_of_the_templates_is_overlooked():
    """Every role and every document that stands in a template is in the account, whatever has become of it."""
    templates = synthesised("prod", GLOBEX)
    found = account_of(templates)

    named = set()
    for principal in found.principals.values():
        named |= {each.name for each in (principal.trust, *principal.identity, principal.boundary) if each}
    for resource in found.resources.values():
        named |= set(resource.policy.name.split(" + ")) if resource.policy else set()

    holding = ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument")
    expected = {
        f"{stack}: {logical_id}"
        for stack, template in templates.items()
        for logical_id, each in template["Resources"].items()
        if any(key in each.get("Properties", {}) for key in holding) or each["Type"] == "AWS::Lambda::Permission"
    }
    assert named == expected


def test_tenants_are_those_that_own_something():
    assert account_of(synthesised("prod", GLOBEX)).tenants == ["acme", "acme-eu", "globex"]
