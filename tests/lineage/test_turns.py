import pytest

from lineage.turns import Turns


@pytest.fixture
def turns(ledger):
    return Turns(ledger)


def test_who_waits_longest_comes_first_and_keeps_its_place(turns, clock):
    for tenant in ("noisy", "acme", "noisy", "bookshop", "noisy"):
        turns.wait(tenant)
        clock.move(seconds=50)

    assert turns.waiting() == ["noisy", "acme", "bookshop"]


def test_who_leaves_is_gone_and_comes_back_last(turns, clock):
    for tenant in ("noisy", "acme"):
        turns.wait(tenant)
        clock.move(seconds=1)
    turns.leave("noisy")
    turns.leave("nobody")
    assert turns.waiting() == ["acme"]

    turns.wait("noisy")
    assert turns.waiting() == ["acme", "noisy"]


def test_a_turn_that_nobody_takes_away_is_forgotten_after_five_minutes(turns, clock):
    turns.wait("acme")
    clock.move(minutes=5)
    assert turns.waiting() == ["acme"]

    clock.move(seconds=1)
    assert turns.waiting() == []
