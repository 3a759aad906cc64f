"""Quotas by count: what templates take, how many tenants are left, and which quota ends it."""

from collections import Counter
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from deployment.quotas import (
    QUOTAS,
    CellLoad,
    Limit,
    binding,
    demand,
    doubtful,
    live,
    needs,
    refusals,
    room_left,
    shipped,
    uses,
)

RULES, ROLES, WORKGROUPS, JOBS = "events/L-244521F2", "iam/L-FE177D64", "athena/L-FD9D80C2", "glue/L-611FDDE4"
TENANT = {RULES: 1, ROLES: 2, WORKGROUPS: 1, JOBS: 3}
PLATFORM = {RULES: 4, ROLES: 3}


def a_cell(name="prod", account="111122223333", region="eu-central-1", tenants=3, takes=TENANT):
    return CellLoad(name, account, region, PLATFORM, ((takes, tenants),))


def a_use(code, *cells, limits=None):
    (found,) = [each for each in uses(cells, limits or shipped(cells)) if each.quota.code == code]
    return found


def a_quota(code):
    return next(quota for quota in QUOTAS if quota.code == code)


def resources(*kinds):
    return {"Resources": {f"R{position}": {"Type": kind} for position, kind in enumerate(kinds)}}


def test_a_stack_and_its_resources_are_counted_by_quota():
    found = demand(resources("AWS::IAM::Role", "AWS::IAM::Role", "AWS::Glue::Job", "AWS::IAM::Policy"))

    assert {key: number for key, number in found.items() if number} == {
        ROLES: 2,
        JOBS: 1,
        "cloudformation/L-0485CB21": 1,
    }


def test_only_rules_of_the_default_bus_are_counted():
    template = resources("AWS::Events::Rule", "AWS::Events::Rule")
    template["Resources"]["R1"]["Properties"] = {"EventBusName": "own"}

    assert demand(template)[RULES] == 1


def test_what_bootstrapping_made_counts_beside_the_templates():
    cell = a_cell(tenants=10)

    assert cell.used(a_quota("L-FE177D64")) == 3 + 2 * 10 + 5
    assert cell.used(a_quota("L-FD9D80C2")) == 10 + 1, "the primary workgroup"


def test_rules_bind_first_with_the_defaults():
    bound = binding(uses([a_cell(tenants=3)], shipped([a_cell()])), "prod")

    assert (bound.quota.name, bound.used, bound.tenants_left) == ("rules of the default bus", 7, 293)


def test_some_regions_allow_fewer_rules():
    assert room_left("prod", [a_cell(region="af-south-1", tenants=3)]) == 93


def test_room_is_reckoned_with_the_tenant_that_takes_most():
    cell = CellLoad("prod", "1", "eu-central-1", {}, (({JOBS: 3}, 10), ({JOBS: 30}, 1)))

    assert room_left("prod", [cell]) == (2000 - 60) // 30


def test_there_is_no_room_where_more_is_used_than_allowed():
    assert room_left("prod", [a_cell(tenants=400)]) == 0


def test_no_room_is_guessed_before_there_is_a_tenant():
    cell = CellLoad("prod", "1", "eu-central-1", PLATFORM)

    assert binding(uses([cell], shipped([cell])), "prod") is None


def test_an_empty_cell_has_room_for_tenants_like_those_elsewhere():
    cells = [a_cell("a"), CellLoad("b", "444455556666", "eu-west-1", PLATFORM)]

    assert room_left("b", cells) == 296


def test_roles_of_all_cells_of_an_account_add_up():
    cells = [a_cell("a", region="eu-central-1", tenants=100), a_cell("b", region="eu-west-1", tenants=150)]

    roles = a_use("L-FE177D64", *cells)

    assert roles.cells == ("a", "b")
    assert roles.used == 2 * (3 + 5) + 2 * 250


def test_accounts_do_not_share_quotas():
    cells = [a_cell("a", account="111122223333"), a_cell("b", account="444455556666")]

    found = [each for each in uses(cells, shipped(cells)) if each.quota.code == "L-FE177D64"]

    assert [each.cells for each in found] == [("a",), ("b",)]


def test_a_refusal_names_quota_code_and_increase():
    cell = a_cell(tenants=300)

    (refusal,) = refusals(uses([cell], shipped([cell])))

    assert refusal.startswith(
        "111122223333/eu-central-1: 304 events rules of the default bus are needed and 300 allowed "
        "(quota L-244521F2, AWS's default as of 2026-01); ask for it: `aws service-quotas "
        "request-service-quota-increase --service-code events --quota-code L-244521F2 --desired-value 304 "
        "--region eu-central-1`, or give some of these tenants another cell"
    )


def test_an_increase_for_an_account_is_asked_in_its_home_region():
    cell = a_cell(tenants=600, takes={ROLES: 2})

    (refusal,) = refusals(uses([cell], shipped([cell])))

    assert "--quota-code L-FE177D64 --desired-value 1208 --region us-east-1" in refusal


@pytest.mark.parametrize(
    ("takes", "advice"),
    [
        ({WORKGROUPS: 1}, "give some of these tenants another cell: `cells:` in tenants.yaml"),
        ({ROLES: 6}, "give some of these tenants a cell in another account: `cells:` in tenants.yaml"),
    ],
    ids=["cannot be raised", "cannot be raised so far"],
)
def test_a_refusal_names_another_cell_where_asking_does_not_help(takes, advice):
    cell = a_cell(tenants=1100, takes=takes)

    (refusal,) = refusals(uses([cell], shipped([cell])))

    assert "request-service-quota-increase" not in refusal
    assert refusal.endswith(advice)


def test_tenants_need_as_many_places_as_the_quotas_that_cannot_be_raised_say():
    found = {each.quota.key: (each.most, each.places) for each in needs(PLATFORM, TENANT, 10_000)}

    assert found == {WORKGROUPS: (999, 11), ROLES: ((5_000 - 5 - 3) // 2, 5)}


def test_what_fits_exactly_is_not_refused():
    cell = a_cell(tenants=296)

    assert a_use("L-244521F2", cell).used == 300
    assert refusals(uses([cell], shipped([cell]))) == ()


class ServiceQuotas:
    """Service Quotas as it answers for quotas that were raised, and for one that it does not list."""

    def __init__(self, values, unlisted=()):
        self.values, self.unlisted, self.asked = values, unlisted, []

    def get_service_quota(self, *, ServiceCode, QuotaCode):
        self.asked.append(QuotaCode)
        if QuotaCode in self.unlisted:
            raise ClientError({"Error": {"Code": "NoSuchResourceException"}}, "GetServiceQuota")
        return {"Quota": {"QuotaCode": QuotaCode, "Value": float(self.values.get(QuotaCode, 1.0))}}


def test_an_accounts_own_values_hold():
    asked = ServiceQuotas({quota.code: quota.default * 2 for quota in QUOTAS})
    cell = a_cell(tenants=3)

    limits = live([cell], lambda _cell, _region: asked)

    assert limits["prod", RULES] == Limit(600, live=True)
    assert room_left("prod", [cell], limits) == 593
    assert max(Counter(asked.asked).values()) == 1


def test_a_quota_that_is_not_listed_has_its_shipped_value():
    asked = ServiceQuotas({}, unlisted={"L-FD9D80C2"})

    limits = live([a_cell()], lambda _cell, _region: asked)

    assert limits["prod", WORKGROUPS] == Limit(1000)


def test_quotas_of_an_account_are_asked_once_and_where_they_are_kept():
    places = []

    def client(cell, region):
        places.append((cell.name, region))
        return ServiceQuotas({})

    live([a_cell("a", region="eu-central-1"), a_cell("b", region="eu-west-1")], client, only={ROLES, RULES})

    assert sorted(places) == [("a", "eu-central-1"), ("a", "us-east-1"), ("b", "eu-west-1")]


def test_a_caller_hears_that_it_may_not_ask():
    class Forbidden:
        def get_service_quota(self, **_):
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetServiceQuota")

    with pytest.raises(ClientError, match="AccessDenied"):
        live([a_cell()], lambda _cell, _region: Forbidden())


def test_a_default_is_doubtful_once_more_than_half_is_used():
    assert doubtful(uses([a_cell(tenants=146)], shipped([a_cell()]))) == frozenset()
    assert doubtful(uses([a_cell(tenants=147)], shipped([a_cell()]))) == {RULES}


@given(st.integers(1, 400), st.integers(0, 400), st.integers(1, 5), st.integers(1, 9))
def test_there_is_room_for_exactly_as_many_as_are_said(there, elsewhere, rules, roles):
    takes = {RULES: rules, ROLES: roles}
    cells = [a_cell("a", tenants=there, takes=takes), a_cell("b", region="eu-west-1", tenants=elsewhere, takes=takes)]
    room = room_left("a", cells)

    def fits(more):
        grown = [replace(cells[0], tenants=((takes, there + more),)), cells[1]]
        return not any(each.is_exceeded for each in uses(grown, shipped(grown)) if "a" in each.cells)

    assert not fits(room + 1)
    assert fits(room) or room == 0
