"""Loads of cells from an assembly: a template read per shape, and what an ordinary tenant takes."""

import json
from dataclasses import replace

import pytest

from deployment.assembly import Stack
from deployment.loads import PLATFORM_STACK, TENANT_STACK, by_shape, expected, loads
from deployment.quotas import demand, room_left


@pytest.fixture
def a_stack(tmp_path):
    def make(name, *, shape=None, roles=1, region="eu-central-1", readable=True):
        template = tmp_path / f"{name}.json"
        if readable:
            resources = {f"Role{number}": {"Type": "AWS::IAM::Role"} for number in range(roles)}
            template.write_text(json.dumps({"Resources": resources}))
        return Stack(name, template, "111122223333", region, {}, False, None, "bucket", (), shape=shape)

    return make


def test_one_template_of_a_shape_is_read(a_stack):
    stacks = [a_stack("t1", shape="s", roles=2), *(a_stack(f"t{n}", shape="s", readable=False) for n in range(2, 9))]

    ((found, number),) = by_shape(stacks, demand)

    assert (found["iam/L-FE177D64"], number) == (2, 8)


def test_every_template_is_read_whose_shape_is_not_known(a_stack):
    found = by_shape([a_stack("t1", roles=1), a_stack("t2", roles=3)], lambda template: len(template["Resources"]))

    assert found == [(1, 1), (3, 1)]


def test_a_tenant_belongs_to_the_platform_of_its_account_and_region(a_stack):
    stacks = [
        a_stack("o-prod-platform"),
        a_stack("o-prod-platform-b", region="eu-west-1"),
        a_stack("t1"),
        a_stack("t2", region="eu-west-1"),
        a_stack("t3", region="eu-west-1"),
    ]

    first, second = loads(stacks, {"o-prod-platform": "prod", "o-prod-platform-b": "b"})

    assert (first.name, first.region, first.number) == ("prod", "eu-central-1", 1)
    assert (second.name, second.region, second.number) == ("b", "eu-west-1", 2)


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    from cli.synthesis import synthesise_into
    from tenants.registry import load

    home = tmp_path_factory.mktemp("home")
    return synthesise_into(home / "assembly", "prod", load, home)


def test_an_ordinary_tenant_takes_what_the_committed_one_does(committed):
    def taken(name):
        return {key: number for key, number in demand(committed.stack(name).template).items() if number}

    assert taken("mycompany-prod-platform") == PLATFORM_STACK
    assert taken("mycompany-acme-prod-tenant") == TENANT_STACK


def test_room_is_the_same_with_and_without_templates(committed):
    (counted,) = loads(committed.stacks, {"mycompany-prod-platform": "prod"})
    reckoned = expected("prod", counted.account, counted.region, 3)

    assert counted.number == 3
    assert room_left("prod", [counted]) == room_left("prod", [reckoned]) == 293


@pytest.mark.timeout(30)
def test_ten_thousand_tenants_are_counted_without_a_wait(committed, a_stack):
    acme = committed.stack("mycompany-acme-prod-tenant")
    tenants = [replace(acme, name=f"t{number}", shape=f"s{number % 5}") for number in range(10_000)]
    stacks = [committed.stack("mycompany-prod-platform"), *tenants]

    (found,) = loads(stacks, {"mycompany-prod-platform": "prod"})

    assert found.number == 10_000
