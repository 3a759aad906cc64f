"""The account base: well-formed, small enough to be sent as it is, and open to the subjects that it names only."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from isolation.conditions import parse
from isolation.globs import covers, meets
from tests.cloudformation.base import ACCOUNT, FILE, ISSUER, REPOSITORY, Base, admitted, raw
from tests.isolation.accounts import account_of
from tests.templates import synthesised

PROJECT = Path(__file__).resolve().parents[2]
ROLES = {"PlanRole": "prod-plan", "DeployRole": "prod", "OffboardRole": "prod-offboard"}


@pytest.fixture(scope="module")
def base() -> Base:
    return Base.of()


def test_the_linter_is_content_and_would_not_be_with_a_wrong_property(tmp_path: Path):
    def lint(file: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([PROJECT / ".venv/bin/cfn-lint", file], capture_output=True, text=True, check=False)

    bad = tmp_path / "bad.yaml"
    bad.write_text(FILE.read_text().replace("MaxSessionDuration: 3600", "MaxSessionDuration: 60"))

    assert lint(FILE).stdout == ""
    assert "E3034" in lint(bad).stdout


def test_it_can_be_sent_without_a_bucket_and_every_policy_and_role_is_within_the_limits_of_iam(base: Base):
    assert len(FILE.read_bytes()) <= 51_200
    assert not re.search(r"^\s*[^#]*[:-] [&*]\w+\s*$", FILE.read_text(), re.MULTILINE), (
        "CloudFormation reads no aliases"
    )
    for name, resource in base.resources.items():
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            document = json.dumps(resource["Properties"]["PolicyDocument"], separators=(",", ":"))
            assert len(document) <= 6_144, name
        if resource["Type"] == "AWS::IAM::Role":
            assert len(resource["Properties"]["ManagedPolicyArns"]) <= 10, name


SUBJECTS = {
    "the environment itself": f"{REPOSITORY}prod",
    "its plan": f"{REPOSITORY}prod-plan",
    "its offboarding": f"{REPOSITORY}prod-offboard",
    "another environment": f"{REPOSITORY}dev",
    "the main branch, in no environment": "repo:mycompany@11/lake@22:ref:refs/heads/main",
    "a pull request": "repo:mycompany@11/lake@22:pull_request",
    "a fork": "repo:stranger@99/lake@77:environment:prod",
    "a repository whose name goes on": "repo:mycompany@11/lake-fork@33:environment:prod",
    "an organization whose name goes on": "repo:mycompany-evil@9/lake@22:environment:prod",
    "the same names, deleted and taken again": "repo:mycompany@911/lake@922:environment:prod",
    "the names without their numbers": "repo:mycompany/lake:environment:prod",
    "an environment whose name goes on": f"{REPOSITORY}prod-plan-2",
    "the environment in capitals": f"{REPOSITORY}PROD",
    "a colon that is written out": f"{REPOSITORY}prod%3Aref",
    "another spelling": "repo:MyCompany@11/lake@22:environment:prod",
}
OWN = {"PlanRole": "its plan", "DeployRole": "the environment itself", "OffboardRole": "its offboarding"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("who", SUBJECTS)
def test_a_role_is_assumed_by_its_own_environment_and_by_nothing_else(base: Base, role: str, who: str):
    assert base.admits(role, SUBJECTS[who]) is (who == OWN[role])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("audience", ["https://github.com/mycompany", "sts.amazonaws.com.evil.example", ""])
def test_a_token_that_was_made_for_somebody_else_is_of_no_use(base: Base, role: str, audience: str):
    own = SUBJECTS[OWN[role]]

    assert base.admits(role, own)
    assert not base.admits(role, own, audience)


LOOSE = {
    "StringLike repo:mycompany*": (
        {"StringLike": {f"{ISSUER}:sub": "repo:mycompany*"}},
        set(SUBJECTS) - {"a fork", "another spelling"},
    ),
    "StringLike …/lake*": (
        {"StringLike": {f"{ISSUER}:sub": "repo:mycompany@11/lake*"}},
        set(SUBJECTS)
        - {
            "a fork",
            "another spelling",
            "an organization whose name goes on",
            "the same names, deleted and taken again",
            "the names without their numbers",
        },
    ),
    "StringLike …:*": (
        {"StringLike": {f"{ISSUER}:sub": "repo:mycompany@11/lake@22:*"}},
        {
            "the environment itself",
            "its plan",
            "its offboarding",
            "another environment",
            "the main branch, in no environment",
            "a pull request",
            "an environment whose name goes on",
            "the environment in capitals",
            "a colon that is written out",
        },
    ),
    "names without numbers": (
        {"StringEquals": {f"{ISSUER}:sub": "repo:mycompany/lake:environment:prod"}},
        {"the names without their numbers"},
    ),
    "no subject at all": ({"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"}}, set(SUBJECTS)),
}


@pytest.mark.parametrize("policy", LOOSE)
def test_the_table_sees_whom_a_loose_policy_would_let_in(policy: str):
    """Without these rows the tests above might be content with anything."""
    conditions, expected = LOOSE[policy]

    let_in = {who for who, subject in SUBJECTS.items() if admitted(parse(policy, conditions), subject)}

    assert let_in == expected


@pytest.mark.parametrize(
    ("parameter", "ending"), [("PlanSubjects", "-plan"), ("DeploySubjects", ""), ("OffboardSubjects", "-offboard")]
)
def test_a_subject_with_a_wildcard_without_the_numbers_or_of_another_role_cannot_be_given(parameter: str, ending: str):
    pattern = re.compile(raw()["Parameters"][parameter]["AllowedPattern"])
    own = [f"{REPOSITORY}prod{ending}", f"repo:my.company_1@11/data-lake@22:environment:dev{ending}"]
    others = [f"{REPOSITORY}prod{each}" for each in ("-plan", "", "-offboard", "-plan-2") if each != ending]
    loose = [
        "repo:mycompany@11/lake@22:environment:*",
        f"repo:mycompany@11/*:environment:prod{ending}",
        "repo:mycompany@11/lake@22:*",
        f"repo:mycompany@11/lake@22:environment:*{ending}",
        "repo:mycompany@11/lake@22:ref:refs/heads/main",
        "repo:mycompany@11/lake@22:pull_request",
        f"repo:mycompany/lake:environment:prod{ending}",
        f"repo:mycompany@11/lake@22:environment:pro?{ending}",
        f"repo:mycompany@11/lake@22:environment:${{aws:username}}{ending}",
        "",
    ]

    assert [each for each in [*own, *others, *loose] if pattern.fullmatch(each)] == own


def test_an_identity_provider_that_is_there_is_used():
    there = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    base = Base.of(OidcProvider=there)

    assert "GitHub" not in base.resources
    assert {named.name for role in ROLES for named in base.role(role).trust.statements[0].principals or ()} == {there}
    assert base.admits("DeployRole", SUBJECTS["the environment itself"])


def test_a_further_region_gets_what_is_regional_and_no_role_of_workflows_again(base: Base):
    further = Base.of(region="eu-west-1", Roles="existing")
    made = {further.identity(name) for name, each in further.resources.items() if each["Type"].startswith("AWS::IAM::")}
    there = {base.identity(name) for name, each in base.resources.items() if each["Type"].startswith("AWS::IAM::")}

    assert made == {
        f"arn:aws:iam::{ACCOUNT}:policy/tenantlake-execution-control-eu-west-1",
        f"arn:aws:iam::{ACCOUNT}:policy/tenantlake-execution-data-eu-west-1",
        f"arn:aws:iam::{ACCOUNT}:policy/tenantlake-execution-identity-eu-west-1",
        f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-eu-west-1",
    }
    assert made & there == set()


def test_where_cdk_bootstrap_was_run_its_bucket_and_role_are_left_to_it():
    resources = Base.of(Bootstrap="existing").resources

    assert not {"StateBucket", "StateBucketPolicy", "Version", "ExecutionRole"} & set(resources)
    assert {"ExecutionData", "ExecutionControl", "ExecutionIdentity", "DeployRole"} <= set(resources)


def test_state_is_kept_encrypted_private_in_every_version_and_after_the_stack(base: Base):
    bucket = base.resources["StateBucket"]

    assert bucket["Properties"]["BucketName"] == f"cdk-hnb659fds-assets-{ACCOUNT}-eu-central-1"
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert "Expiration" not in json.dumps(bucket["Properties"]["LifecycleConfiguration"])
    statements = base.resources["StateBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert {each["Effect"] for each in statements} == {"Deny"}
    (once,) = [each for each in statements if each["Sid"] == "CertificatesOnce"]
    assert once["Resource"].endswith("/deployments/*/offboarding/*certificate.json")
    assert once["Condition"] == {"Null": {"s3:if-none-match": "true"}}


DECISION = PROJECT / "docs/decisions/0021-the-account-base.md"


def test_the_ceiling_that_an_organization_may_set_leaves_our_roles_their_work_and_no_more():
    found = re.search(r"```json\n(.*?)```", DECISION.read_text(), re.DOTALL)
    assert found is not None
    (statement,) = json.loads(found[1])["Statement"]
    left = [each.lower() for each in statement["NotAction"]]
    account = account_of(synthesised("prod"))
    given = {
        action
        for principal in account.principals.values()
        for document in principal.identity
        for allowing in document.allowing
        for action in allowing.actions or ("*",)
    }

    assert [action for action in sorted(given) if not any(covers(each, action) for each in left)] == []
    assert {principal.arn for principal in account.principals.values()} == {
        arn
        for arn in account.principals
        if any(meets(each, arn) for each in statement["Condition"]["ArnLike"]["aws:PrincipalArn"])
    }
    beyond = ["iam:createrole", "s3:putbucketpolicy", "s3:deleteobjectversion", "kms:putkeypolicy", "kms:creategrant"]
    beyond += ["lambda:updatefunctioncode", "ssm:sendcommand", "ec2:runinstances", "sts:assumerole", "glue:createjob"]
    assert [action for action in beyond if any(meets(each, action) for each in left)] == []
