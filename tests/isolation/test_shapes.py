from copy import deepcopy

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from isolation.account import Account
from isolation.errors import IsolationError
from isolation.globs import meets
from isolation.isolation import prove
from isolation.questions import space
from isolation.shapes import extend, hostile_to, names_of, shapes, signature, stamp
from isolation.template import Stack
from tenants.errors import InvalidName
from tenants.naming import TenantNames
from tests.isolation.accounts import account_of, stacks_of
from tests.templates import GLOBEX, synthesised

PLACE = {"account": "777788889999", "region": "eu-central-1"}


@pytest.fixture(scope="module")
def stacks():
    return stacks_of(synthesised("prod", GLOBEX))


def of(stacks, tenant):
    return next(each for each in stacks if each.tenant == tenant)


def named(tenant):
    return TenantNames("mycompany", tenant, "prod")


def test_tenants_with_the_same_datasets_are_of_one_shape_whatever_else_differs(stacks):
    assert shapes(Account.of(stacks, **PLACE)) == (("acme", "globex"), ("acme-eu",))


def suspended(stack):
    template = deepcopy(stack.template)
    for each in template["Resources"].values():
        if each["Type"] == "AWS::Athena::WorkGroup":
            each["Properties"]["State"] = "DISABLED"
        if each["Type"] == "AWS::IAM::ManagedPolicy":
            statements = each["Properties"]["PolicyDocument"]["Statement"]
            (denial,) = (one for one in statements if one["Sid"] == "Suspended")
            denial["Condition"]["StringEquals"]["aws:PrincipalAccount"] = PLACE["account"]
    return Stack(stack.name, stack.tenant, template)


def test_a_suspended_tenant_is_of_the_shape_that_it_has_when_it_is_active(stacks):
    """Both may do the same then, and one proof is for both."""
    mixed = [each for each in stacks if each.tenant != "globex"] + [suspended(of(stacks, "globex"))]
    account = Account.of(mixed, **PLACE)

    assert account.shut == {"acme-eu", "globex"}
    assert shapes(account) == (("acme", "globex"), ("acme-eu",))
    assert prove(account).leaks == ()


def test_a_copy_has_the_names_of_its_tenant_and_no_other(stacks):
    copy = stamp(of(stacks, "acme"), named("acme"), named("newco-eu"))

    account = Account.of([of(stacks, None), copy], **PLACE)

    assert signature(account, "newco-eu") == signature(Account.of(stacks, **PLACE), "acme")
    arns = [each.arn for each in account.resources.values() if each.tenant] + list(account.principals)
    assert "arn:aws:s3:::mycompany-newco-eu-prod-datalake" in arns
    assert not any("acme" in arn for arn in arns)
    assert names_of(account, "newco-eu") == named("newco-eu")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("AWS::IAM::Policy", {"Effect": "Deny"}),
        ("AWS::IAM::Policy", {"Resource": "*"}),
        ("AWS::IAM::ManagedPolicy", {"Action": "*"}),
        ("AWS::S3::BucketPolicy", {"Principal": "*", "Effect": "Allow"}),
    ],
)
def test_whatever_isolation_depends_on_makes_another_shape(stacks, kind, change):
    globex = of(stacks, "globex")
    other = Stack(globex.name, "globex", deepcopy(globex.template))
    document = next(each for each in other.template["Resources"].values() if each["Type"] == kind)["Properties"]
    document["PolicyDocument"]["Statement"][0].update(change)

    found = shapes(Account.of([*(each for each in stacks if each.tenant != "globex"), other], **PLACE))

    assert ("globex",) in found


def test_hostile_ids_begin_with_the_id_or_are_what_it_begins_with():
    assert [each.tenant for each in hostile_to(named("acme"))] == [
        "acme-eu", "acme0", "acm", "acme-zzzzzzzzzzzzzzz", "z-acme",
    ]  # fmt: skip
    # What no tenant can be called is not asked about.
    assert [each.tenant for each in hostile_to(named("a-b"))] == ["a-b-eu", "a-b0", "a-b-zzzzzzzzzzzzzzzz", "z-a-b"]


def test_no_tenant_to_come_can_act_on_one_that_is_there_nor_the_other_way_round(stacks):
    found = extend(stacks, **PLACE)

    assert found.leaks == 0
    assert len(found.proofs) == len(found.shapes) == 2
    assert set(found.neighbours) >= {"acm", "acme0", "acme-eu-eu"}


def test_a_pattern_that_reaches_only_tenants_to_come_is_found(stacks):
    """`globex*` meets nobody today."""
    globex = of(stacks, "globex")
    wide = Stack(globex.name, "globex", deepcopy(globex.template))
    for each in wide.template["Resources"].values():
        if each["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            for statement in each["Properties"]["PolicyDocument"]["Statement"]:
                if statement.get("Sid") == "Logs":
                    statement["Resource"] = statement["Resource"].replace("/jobs/", "")
    rest = [each for each in stacks if each.tenant != "globex"]

    assert prove(Account.of([*rest, wide], **PLACE)).leaks == ()
    assert extend([*rest, wide], **PLACE).leaks > 0


def test_a_name_that_does_not_follow_the_tenant_is_refused(stacks):
    globex = of(stacks, "globex")
    odd = Stack(globex.name, "globex", deepcopy(globex.template))
    next(each for each in odd.template["Resources"].values() if each["Type"] == "AWS::S3::Bucket")["Properties"][
        "BucketName"
    ] = "the-data-of-globex"

    with pytest.raises(IsolationError):
        extend([of(stacks, None), odd], **PLACE)


def valid(tenant):
    try:
        return named(tenant)
    except InvalidName:
        return None


IDS = st.from_regex(r"[a-z](?:[a-z0-9]|-(?=[a-z0-9])){2,19}", fullmatch=True)
SHORT = st.from_regex(r"[ab](?:[ab]|-(?=[ab])){2,5}", fullmatch=True)


def reach_of(stack, names):
    """Patterns that a tenant's roles are allowed something on, and names of what it owns."""
    account = Account.of(stack, **PLACE)
    owned = [each for each in account.resources.values() if each.tenant == names.tenant]
    patterns = {
        pattern
        for principal in account.principals.values()
        if principal.tenant == names.tenant
        for document in principal.identity
        for statement in document.allowing
        for pattern in statement.resources
        if pattern != "*"
    }
    return patterns, {name for resource in owned for name in space(resource)}


@pytest.fixture(scope="module")
def forms(stacks):
    """What acme's roles reach and what acme owns, with a place for another id."""
    template, platform = of(stacks, "acme"), of(stacks, None)
    patterns, owned = reach_of([platform, template], named("acme"))
    _, shared = reach_of([platform, template], named("globex"))
    assert shared == set()
    own = {each for each in patterns if any(meets(each, name) for name in owned)}
    return own, owned


def renamed(texts, names):
    old = named("acme")
    return {
        text.replace(old.workgroup, names.workgroup)
        .replace(old.database, names.database)
        .replace(old.log_group, names.log_group)
        for text in texts
    }


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=IDS | SHORT, other=IDS | SHORT)
def test_what_one_tenant_is_allowed_never_meets_what_another_owns(forms, one, other):
    """The bridge from the tenants that were looked at to all: names of different ids are never taken for another's."""
    first, second = valid(one), valid(other)
    assume(first is not None and second is not None and one != other)
    patterns, owned = forms

    for pattern in renamed(patterns, first):
        assert not any(meets(pattern, name) for name in renamed(owned, second)), pattern
    assert not meets(f"T#{one}#*", f"T#{other}#*")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=SHORT, other=SHORT)
def test_two_tenants_of_whatever_names_cannot_act_on_each_other(stacks, one, other):
    first, second = valid(one), valid(other)
    assume(first is not None and second is not None and one != other)
    copies = [stamp(of(stacks, "acme"), named("acme"), names) for names in (first, second)]

    assert prove(Account.of([of(stacks, None), *copies], **PLACE)).leaks == ()


def test_a_role_without_tags_is_refused(stacks):
    account = account_of({each.name: each.template for each in stacks})
    for principal in account.principals.values():
        object.__setattr__(principal, "tags", {})

    with pytest.raises(IsolationError, match="acme: has no role with tags environment, organization"):
        names_of(account, "acme")
