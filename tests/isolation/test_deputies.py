from copy import deepcopy

import pytest

from isolation.account import Account, Principal, Resource
from isolation.deputies import deputies
from isolation.policies import Document
from tests.isolation.accounts import account_of
from tests.templates import GLOBEX, committed, synthesised

ACCOUNT, REGION = "111122223333", "eu-central-1"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:p-acme-alerts"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:p-"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/p-acme-job"


def problems(condition, *, principal=None, tenant="acme", arn=TOPIC, kind="sns"):
    statement = {
        "Effect": "Allow",
        "Principal": principal or {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": "*",
        "Condition": condition,
    }
    document = Document("policy", {"Version": "2012-10-17", "Statement": statement})
    resources = [
        Resource(arn, kind, tenant, document),
        Resource(f"{ALARM}acme-late", "alarm", "acme"),
        Resource(f"{ALARM}acme-eu-late", "alarm", "acme-eu"),
        Resource(f"{ALARM}globex-late", "alarm", "globex"),
    ]
    account = Account(ACCOUNT, REGION, {}, {each.arn: each for each in resources})
    return [each.problem for each in deputies(account)]


OWN = {"ArnLike": {"aws:SourceArn": f"{ALARM}acme-late"}}
OWN_ACCOUNT = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_a_service_may_act_for_a_source_that_is_named():
    assert problems(OWN) == []
    assert problems({"StringEquals": {"kms:EncryptionContext:aws:logs:arn": f"{ALARM}acme-late"}}) == []


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"ArnLikeIfExists": OWN["ArnLike"]},
        {"ArnNotLike": OWN["ArnLike"]},
        {"ForAllValues:ArnLike": OWN["ArnLike"]},
        {"StringEquals": {"aws:SourceAccount": "444455556666"}},
        {"StringEquals": {"aws:SourceAccount": [ACCOUNT, "444455556666"]}},
        {"StringLike": {"aws:SourceAccount": "*"}},
        {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:*:alarm:p-acme-late"}},
        {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::somebodys-bucket"}},
        {"StringLike": {"aws:SourceOrgID": "o-*"}},
        {"StringEquals": {"aws:Referer": "me"}},
    ],
)
def test_a_service_may_not_act_for_anybody(condition):
    (problem,) = problems(condition)

    assert "cloudwatch.amazonaws.com act for anybody" in problem


def test_the_same_account_does_not_tell_tenants_apart():
    assert "every tenant of the account" in problems(OWN_ACCOUNT)[0]
    assert problems(OWN_ACCOUNT, tenant=None) == []


def test_a_pattern_that_reaches_another_tenants_things_is_named_with_the_tenant():
    pattern = {"ArnLike": {"aws:SourceArn": f"{ALARM}acme*"}}

    (problem,) = problems(pattern)

    assert "sources of acme-eu" in problem
    assert problems(pattern, tenant=None) == []


def test_a_role_may_be_assumed_by_a_service_for_the_account_since_nobody_may_pass_it():
    glue = {"Service": "glue.amazonaws.com"}

    assert problems(OWN_ACCOUNT, principal=glue, arn=ROLE, kind="iam") == []
    anything = {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:*"}}
    assert problems(anything, principal=glue, arn=ROLE, kind="iam") == []
    assert problems({}, principal=glue, arn=ROLE, kind="iam") != []
    assert problems({}, principal={"Service": "lambda.amazonaws.com"}, arn=ROLE, kind="iam") == []
    assert problems({}, principal={"Service": "lambda.amazonaws.com"}) != []


@pytest.mark.parametrize(
    "principal", [{"AWS": "arn:aws:iam::444455556666:root"}, {"AWS": "444455556666"}, {"Federated": "idp"}]
)
def test_nobody_of_another_account_is_let_in(principal):
    (problem,) = problems(OWN, principal=principal)

    assert "not of this account" in problem


def test_own_roles_and_the_account_are_no_deputies():
    for principal in ({"AWS": ROLE}, {"AWS": ACCOUNT}, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}):
        assert problems({}, principal=principal) == []


def test_everybody_but_some_is_everybody():
    document = Document(
        "policy",
        {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "NotPrincipal": {"AWS": ROLE}, "Action": "sns:*", "Resource": "*"},
        },
    )
    trust = Document("trust", {"Version": "2012-10-17", "Statement": []})
    account = Account(
        ACCOUNT, REGION, {ROLE: Principal(ROLE, "acme", trust)}, {TOPIC: Resource(TOPIC, "sns", "acme", document)}
    )

    assert "everybody but some" in str(deputies(account)[0])


def test_every_service_in_the_templates_acts_for_named_sources_only():
    assert deputies(account_of(synthesised("prod", GLOBEX))) == []
    assert deputies(account_of(committed("dev"), "dev")) == []


def test_a_rule_of_another_account_could_not_fill_the_queue_unnoticed():
    templates = deepcopy(synthesised("prod", GLOBEX))
    for each in templates["mycompany-prod-platform"]["Resources"].values():
        if each["Type"] == "AWS::SQS::QueuePolicy":
            for statement in each["Properties"]["PolicyDocument"]["Statement"]:
                if statement["Sid"] == "ArrivalRules":
                    del statement["Condition"]

    assert len(deputies(account_of(templates))) == 2
