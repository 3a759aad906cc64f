import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployment.errors import DeployError
from deployment.portions import LEAST, MOST, Portion, divided

CELLS = st.dictionaries(
    st.sampled_from(["prod", *(f"prod/{letter}" for letter in "bcdefghij")]),
    st.integers(0, 9_000),
    max_size=10,
)


def named(numbers):
    return {place: [f"t{place.removeprefix('prod/')}{number}" for number in range(n)] for place, n in numbers.items()}


@settings(max_examples=60, deadline=None)
@given(CELLS)
def test_every_tenant_is_in_one_portion_of_its_cell_and_there_are_never_too_many(numbers):
    tenants = named(numbers)

    found = divided(tenants)

    placed = [(each.place, tenant) for each in found for tenant in each.tenants]
    assert Counter(placed) == Counter((place, tenant) for place, ids in tenants.items() for tenant in ids)
    assert len(found) <= MOST
    assert all(each.tenants for each in found)
    assert len({each.id for each in found}) == len(found)


@settings(max_examples=60, deadline=None)
@given(CELLS)
def test_portions_of_a_cell_are_equal_but_for_one_tenant_and_keep_the_order(numbers):
    tenants = named(numbers)

    found = divided(tenants)

    for place, ids in tenants.items():
        own = [each.tenants for each in found if each.place == place]
        assert [tenant for part in own for tenant in part] == ids
        assert not own or max(map(len, own)) - min(map(len, own)) <= 1
        assert len(own) <= -(-len(ids) // LEAST)


@settings(max_examples=60, deadline=None)
@given(CELLS.filter(bool))
def test_what_one_job_hands_to_another_is_read_as_it_was_written(numbers):
    for portion in divided(named(numbers)):
        assert Portion.read(json.dumps(portion.facts())) == portion


def test_nobody_is_no_portion():
    assert divided({}) == divided({"prod": []}) == ()


def test_cells_take_turns_so_that_jobs_beside_each_other_wait_for_different_locks():
    found = divided({"prod": [*"abcd"], "prod/b": [*"xyz"]}, least=2)

    assert [each.place for each in found] == ["prod", "prod/b", "prod", "prod/b"]
    assert [each.id for each in found] == ["portion-1", "portion-2", "portion-3", "portion-4"]


def test_more_cells_than_jobs_are_refused():
    with pytest.raises(DeployError, match="3 cells have changes, and a workflow run takes 2"):
        divided({"prod": ["a"], "prod/b": ["b"], "prod/c": ["c"]}, most=2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"acme"',
        '{"id": "portion-1", "place": "dev"}',
        '{"id": "portion-1", "place": "dev", "tenants": ["acme"]}',
        '{"id": "portion-1", "place": "dev", "tenants": "acme; touch injected"}',
        '{"id": "portion-1", "place": "dev/../prod", "tenants": "acme"}',
        '{"id": "portion-1", "place": "dev/", "tenants": "acme"}',
        '{"id": "../record", "place": "dev", "tenants": "acme"}',
        '{"id": "stop", "place": "dev", "tenants": "acme"}',
        '{"id": "portion-0", "place": "dev", "tenants": "acme"}',
        '{"id": 1, "place": "dev", "tenants": "acme"}',
        '{"id": "portion-1", "place": "dev", "tenants": "acme", "more": 1}',
    ],
)
def test_what_no_plan_wrote_is_refused(text):
    with pytest.raises(DeployError, match="portion: expected"):
        Portion.read(text)
