"""Every deny stands beside the allow that differs from it in one thing."""

import pytest

from isolation.account import Account, Principal, Resource
from isolation.conditions import ABSENT
from isolation.decision import ANYWHERE, may
from isolation.policies import Document

ACCOUNT, REGION = "111122223333", "eu-central-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/p-acme-job"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/p-globex-job"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
BUCKET, OBJECTS = "arn:aws:s3:::p-globex", "arn:aws:s3:::p-globex/*"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/ledger"


def document(*statements):
    return Document("policy", {"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, resources=None, **more):
    return {"Effect": "Allow", "Action": actions, **({"Resource": resources} if resources else {}), **more}


def deny(actions, resources=None, **more):
    return {**allow(actions, resources, **more), "Effect": "Deny"}


def asked(
    action, name, *identity, boundary=None, policy=None, trust=(), tags=None, kind="s3", arn=BUCKET, context=None
):
    principal = Principal(
        arn=ROLE,
        tenant="acme",
        trust=document(*trust),
        identity=(document(*identity),),
        boundary=None if boundary is None else document(*boundary),
        tags=tags or {},
    )
    resource = Resource(arn, kind, "globex", None if policy is None else document(*policy))
    account = Account(ACCOUNT, REGION, {ROLE: principal}, {arn: resource})
    return may(account, principal, action, name, context) is not None


READ = allow("s3:GetObject", OBJECTS)


def test_without_a_statement_all_is_denied():
    assert not asked("s3:GetObject", OBJECTS)
    assert asked("s3:GetObject", OBJECTS, READ)


def test_an_allow_counts_for_whatever_its_pattern_meets():
    assert asked("s3:GetObject", OBJECTS, allow("s3:Get*", "arn:aws:s3:::p-g*"))
    assert not asked("s3:GetObject", OBJECTS, allow("s3:Get*", "arn:aws:s3:::p-acme*"))
    assert not asked("s3:GetObject", OBJECTS, allow("s3:Put*", OBJECTS))


def test_a_denial_counts_for_what_its_pattern_covers():
    assert not asked("s3:GetObject", OBJECTS, READ, deny("s3:*", OBJECTS))
    assert asked("s3:GetObject", OBJECTS, READ, deny("s3:*", f"{BUCKET}/raw/*"))
    assert asked("s3:GetObject", OBJECTS, READ, deny("s3:Put*", OBJECTS))


def test_a_star_in_the_middle_of_a_denied_arn_does_not_reach_over_colons():
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:g:*"
    read = allow("logs:GetLogEvents", group)

    assert not asked("logs:GetLogEvents", group, read, deny("logs:*", "arn:aws:logs:*:*:log-group:*"))
    assert asked("logs:GetLogEvents", group, read, deny("logs:*", "arn:aws:*:log-group:*"))


def test_an_allow_is_held_to_apply_and_a_denial_not_to_where_the_condition_is_unknown():
    unknown = {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}

    assert asked("s3:GetObject", OBJECTS, {**READ, **unknown})
    assert asked("s3:GetObject", OBJECTS, READ, deny("s3:*", OBJECTS, **unknown))


def test_a_condition_on_the_role_itself_is_certain():
    def where(pattern):
        return {"Condition": {"ArnLike": {"aws:PrincipalArn": pattern}}}

    assert not asked("s3:GetObject", OBJECTS, READ, deny("s3:*", OBJECTS, **where("arn:aws:iam::*:role/p-*-job")))
    assert asked("s3:GetObject", OBJECTS, READ, deny("s3:*", OBJECTS, **where("arn:aws:iam::*:role/p-*-analyst")))


def test_a_boundary_limits_what_the_role_is_allowed():
    assert not asked("s3:GetObject", OBJECTS, READ, boundary=[allow("s3:*", "arn:aws:s3:::p-acme/*")])
    assert asked("s3:GetObject", OBJECTS, READ, boundary=[allow("s3:*", OBJECTS)])
    assert not asked("s3:GetObject", OBJECTS, boundary=[allow("s3:*", OBJECTS)])


def test_a_resource_lets_in_whom_its_policy_names_whatever_the_boundary_says():
    def policy(principal):
        return [allow("s3:GetObject", OBJECTS, Principal=principal)]

    assert asked("s3:GetObject", OBJECTS, policy=policy({"AWS": ROLE}), boundary=[])
    assert asked("s3:GetObject", OBJECTS, policy=policy("*"))
    assert asked("s3:GetObject", OBJECTS, policy=policy({"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/p-acme-job/s"}))
    assert not asked("s3:GetObject", OBJECTS, policy=policy({"AWS": OTHER_ROLE}))
    assert not asked("s3:GetObject", OBJECTS, policy=policy({"AWS": ROOT}))
    assert not asked("s3:GetObject", OBJECTS, policy=policy({"Service": "glue.amazonaws.com"}))


def test_everybody_but_some_is_everybody():
    assert asked("s3:GetObject", OBJECTS, policy=[allow("s3:*", OBJECTS, NotPrincipal={"AWS": ROLE})])


def test_a_resource_keeps_out_whom_its_policy_names():
    for principal in ("*", {"AWS": ROLE}, {"AWS": ROOT}, {"AWS": ACCOUNT}):
        assert not asked("s3:GetObject", OBJECTS, READ, policy=[deny("s3:*", OBJECTS, Principal=principal)])
    for principal in ({"AWS": OTHER_ROLE}, {"Service": "glue.amazonaws.com"}):
        assert asked("s3:GetObject", OBJECTS, READ, policy=[deny("s3:*", OBJECTS, Principal=principal)])


def test_a_denial_of_everybody_but_some_is_not_counted_on():
    assert asked("s3:GetObject", OBJECTS, READ, policy=[deny("s3:*", OBJECTS, NotPrincipal={"AWS": OTHER_ROLE})])


def test_everything_but_some_actions_and_names():
    assert asked("s3:GetObject", OBJECTS, {"Effect": "Allow", "NotAction": "s3:PutObject", "Resource": OBJECTS})
    assert not asked("s3:GetObject", OBJECTS, {"Effect": "Allow", "NotAction": "s3:Get*", "Resource": OBJECTS})
    assert asked("s3:GetObject", OBJECTS, {"Effect": "Allow", "Action": "s3:*", "NotResource": f"{BUCKET}/raw/*"})
    assert not asked("s3:GetObject", OBJECTS, {"Effect": "Allow", "Action": "s3:*", "NotResource": OBJECTS})


def test_denials_of_everything_but_some():
    def denial(**but):
        return {"Effect": "Deny", "Action": "s3:*", "Resource": OBJECTS, **but}

    listing = {"Effect": "Deny", "NotAction": "s3:ListBucket", "Resource": "*"}
    assert not asked("s3:GetObject", OBJECTS, READ, listing)
    assert asked("s3:GetObject", OBJECTS, READ, {**listing, "NotAction": "s3:Get*"})
    elsewhere = {"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::p-acme/*"}
    assert not asked("s3:GetObject", OBJECTS, READ, elsewhere)
    assert asked("s3:GetObject", OBJECTS, READ, {**elsewhere, "NotResource": f"{BUCKET}/raw/*"})


DECRYPT = allow("kms:Decrypt", "*")


def test_a_key_is_opened_by_its_policy_only():
    def with_key(*policy):
        return asked("kms:Decrypt", KEY, DECRYPT, policy=policy, kind="kms", arn=KEY)

    assert with_key(allow("kms:*", "*", Principal={"AWS": ROOT}))
    assert with_key(allow("kms:*", "*", Principal={"AWS": ACCOUNT}))
    assert not with_key(allow("kms:*", "*", Principal={"AWS": "arn:aws:iam::444455556666:root"}))
    assert not with_key(allow("kms:Encrypt", "*", Principal={"AWS": ROOT}))


def test_a_key_that_names_the_role_needs_nothing_else():
    policy = [allow("kms:Decrypt", "*", Principal={"AWS": ROLE})]

    assert asked("kms:Decrypt", KEY, policy=policy, kind="kms", arn=KEY)


def test_a_role_is_assumed_by_whom_its_trust_names():
    def assumes(principal, *identity):
        trust = [allow("sts:AssumeRole", Principal=principal)]
        return asked("sts:AssumeRole", OTHER_ROLE, *identity, policy=trust, kind="iam", arn=OTHER_ROLE)

    may_assume = allow("sts:AssumeRole", "*")
    assert assumes({"AWS": ROLE})
    assert assumes({"AWS": ROOT}, may_assume)
    assert not assumes({"AWS": ROOT})
    assert not assumes({"Service": "glue.amazonaws.com"}, may_assume)


def test_to_hand_a_role_on_needs_no_trust():
    trust = [allow("sts:AssumeRole", Principal={"Service": "glue.amazonaws.com"})]

    assert asked("iam:PassRole", OTHER_ROLE, allow("iam:PassRole", "*"), policy=trust, kind="iam", arn=OTHER_ROLE)


TAGGED = allow("s3:GetObject", "arn:aws:s3:::p-${aws:PrincipalTag/tenant}/*")


def test_a_tag_of_the_role_is_known_unless_whoever_assumes_it_may_choose_it():
    def reads(trust):
        return asked("s3:GetObject", OBJECTS, TAGGED, tags={"tenant": "acme"}, trust=[trust])

    assert not reads(allow("sts:AssumeRole", Principal={"AWS": ROOT}))
    assert reads(allow(["sts:AssumeRole", "sts:TagSession"], Principal={"AWS": ROOT}))
    assert asked("s3:GetObject", OBJECTS, TAGGED, tags={"tenant": "globex"})


ROWS = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "T#acme#*"}}
SOME = {"Null": {"dynamodb:LeadingKeys": "false"}}


@pytest.mark.parametrize(
    ("condition", "keys", "expected"),
    [
        ({**ROWS, **SOME}, ("T#acme#*",), True),
        ({**ROWS, **SOME}, ("T#globex#*",), False),
        ({**ROWS, **SOME}, ("T#acme#*", "T#globex#*"), False),
        ({**ROWS, **SOME}, ABSENT, False),
        (ROWS, ABSENT, True),
        ({}, ("T#globex#*",), True),
        ({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "T#acme*"}, **SOME}, ("T#acme-eu#*",), True),
    ],
)
def test_rows_are_reached_by_the_keys_that_a_condition_lets_through(condition, keys, expected):
    read = allow("dynamodb:GetItem", TABLE, Condition=condition)

    found = asked("dynamodb:GetItem", TABLE, read, kind="dynamodb", arn=TABLE, context={"dynamodb:LeadingKeys": keys})

    assert found is expected


def test_what_names_no_resource_is_allowed_by_a_star_alone():
    assert asked("s3:ListAllMyBuckets", ANYWHERE, allow("s3:*", "*"))
    assert not asked("s3:ListAllMyBuckets", ANYWHERE, allow("s3:*", "arn:aws:s3:::*"))


def test_a_leak_names_the_statements_that_make_it_possible():
    principal = Principal(ROLE, "acme", document(), (document(allow("s3:*", "*", Sid="Wide")),))
    account = Account(ACCOUNT, REGION, {ROLE: principal}, {BUCKET: Resource(BUCKET, "s3", "globex")})

    found = may(account, principal, "s3:GetObject", OBJECTS)

    assert str(found) == f"{ROLE} may s3:GetObject on {OBJECTS}: policy, statement Wide"
