"""Waves, pace and pauses as rules: bounded, complete, and quick to give way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployment.waves import Backoff, Looks, Pace, Waves


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, []), (1, [1]), (3, [1, 2]), (7, [1, 5, 1]), (200, [1, 5, 25, 100, 69]), (1000, [1, 5, 25, 100, 400, 400, 69])],
)
def test_waves_grow_and_the_last_takes_what_is_left(count, sizes):
    assert [len(wave) for wave in Waves().cut(list(range(count)))] == sizes


@given(st.integers(0, 3000), st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_every_stack_is_in_one_wave_and_in_its_order(count, sizes):
    items = list(range(count))

    assert [item for wave in Waves(tuple(sizes)).cut(items) for item in wave] == items


@pytest.mark.parametrize(
    ("failures", "size", "goes_on"),
    [
        (0, 1, True),
        (1, 1, False),
        (1, 5, True),
        (2, 5, False),
        (2, 25, True),
        (3, 25, False),
        (40, 400, True),
        (41, 400, False),
    ],
)
def test_one_failure_stops_the_first_wave_and_more_than_a_tenth_any_other(failures, size, goes_on):
    assert Waves().tolerates(failures, size) is goes_on


def test_the_pace_doubles_per_round_until_the_first_refusal_and_grows_slowly_after_it():
    pace = Pace(limit=4)
    for _ in range(4):
        pace.succeeded()
    assert pace.at_once == 8

    pace.refused(now=100.0)
    assert pace.at_once == 6
    for _ in range(4):
        pace.succeeded()
    assert pace.at_once == 7


def test_refusals_of_one_overload_slow_the_pace_once():
    pace = Pace(limit=32, quiet=30)
    for moment in (0.0, 0.1, 29.9):
        pace.refused(moment)
    assert pace.at_once == 24

    pace.refused(30.0)
    assert pace.at_once == 18


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=300))
def test_the_pace_stays_within_its_bounds(story):
    pace = Pace(limit=8, least=1, most=16)
    for moment in story:
        pace.succeeded() if moment is None else pace.refused(moment)

        assert 1 <= pace.at_once <= 16


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_never_longer_than_its_bound(refusals, draw):
    assert 0 <= Backoff(first=0.5, longest=30).pause(refusals, draw) <= min(30, 0.5 * 2**refusals)


@given(st.integers(0, 10_000), st.integers(1, 500))
def test_stacks_that_take_long_are_looked_at_no_more_often_than_the_service_bears(number, in_work):
    pause = Looks(first=0.05, longest=5, per_second=5).pause(number, in_work)

    assert in_work / pause <= 5 + 1e-9
    assert 0.05 <= pause <= max(5, in_work / 5)
