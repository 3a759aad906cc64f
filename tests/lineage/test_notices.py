from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage import notices as module
from lineage.items import Tally
from lineage.notices import Notices

DAY = timedelta(days=1)


@pytest.fixture
def notices(ledger):
    return Notices(ledger)


def test_the_same_thing_is_told_once_until_its_time_is_over(notices, clock):
    answers = []
    for _ in range(3):
        answers.append(notices.may_tell("acme", "file_quarantined", "raw/a.csv", DAY))
        clock.move(hours=12)
    answers.append(notices.may_tell("acme", "file_quarantined", "raw/a.csv", DAY))

    # Told at 0 h; silent at 12 h; told again at 24 h; silent at 36 h.
    assert answers == [True, False, True, False]


def test_each_tenant_kind_and_subject_is_a_notice_of_its_own(notices):
    first = [("acme", "x", "1"), ("acme", "x", "2"), ("acme", "y", "1"), ("skyline", "x", "1"), ("-", "x", "1")]

    assert [notices.may_tell(*one, DAY) for one in first] == [True] * 5
    assert [notices.may_tell(*one, DAY) for one in first] == [False] * 5


def test_what_could_not_be_told_may_be_told_again_at_once(notices):
    notices.may_tell("acme", "x", "1", DAY)
    notices.withdraw("acme", "x", "1")
    notices.withdraw("acme", "x", "never told")

    assert notices.may_tell("acme", "x", "1", DAY) is True


def test_a_subject_as_long_as_a_key_may_be_has_room_and_is_told_from_its_neighbour(notices):
    long = "raw/" + "ü" * 510  # 1,024 bytes

    assert notices.may_tell("acme", "unrouted_file", long, DAY) is True
    assert notices.may_tell("acme", "unrouted_file", long[:-1] + "a", DAY) is True
    assert notices.may_tell("acme", "unrouted_file", long, DAY) is False


KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=1024).filter(lambda text: len(text.encode()) <= 1024)


@given(KEYS, KEYS)
def test_every_subject_fits_into_a_key_and_no_two_share_one(one, other):
    keys = [module._key("acme", "unrouted_file", subject) for subject in (one, other)]

    assert all(len(sk.encode()) <= 1024 for _, sk in keys)
    assert (keys[0] == keys[1]) == (one == other)


def test_there_is_room_for_so_many_a_day_of_each_tenant_and_kind(notices, clock):
    assert [notices.has_room("acme", "x", 2) for _ in range(3)] == [True, True, False]
    assert notices.has_room("acme", "y", 2)
    assert notices.has_room("skyline", "x", 2)

    clock.move(hours=12)  # midnight
    assert notices.has_room("acme", "x", 2)


def test_what_is_told_is_counted_where_no_tenant_can_write(notices, ledger):
    notices.has_room("acme", "x", 2)

    [tally] = ledger.store.query(Tally, module.PLATFORM_PK, "tally#")
    assert not tally.pk.startswith("T#")
