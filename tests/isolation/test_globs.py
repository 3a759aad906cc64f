import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isolation.globs import covers, matches, meets

ALPHABET = "ab"
PATTERNS = st.text(alphabet=ALPHABET + "*?", max_size=5)
# Long enough for whatever two patterns of five symbols can tell apart.
TEXTS = ["".join(letters) for length in range(9) for letters in product("abc", repeat=length)]


def texts_of(pattern):
    expression = re.compile("".join({"*": ".*", "?": "."}.get(each, each) for each in pattern))
    return {text for text in TEXTS if expression.fullmatch(text)}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("p-acme*", "p-acme-eu/*", True),
        ("p-acme/*", "p-acme-eu/*", False),
        ("p-acme-*", "p-acme-eu", True),
        ("*", "", True),
        ("a?c", "ab*", True),
        ("*-eu", "acme*", True),
        ("a*b", "a*c", False),
        ("T#acme#*", "T#acme-eu#*", False),
    ],
)
def test_two_patterns_meet_where_some_text_matches_both(one, other, expected):
    assert meets(one, other) is expected
    assert meets(other, one) is expected


@pytest.mark.parametrize(
    ("big", "small", "expected"),
    [
        ("p-acme/*", "p-acme/raw/*", True),
        ("p-acme/raw/*", "p-acme/*", False),
        ("*", "anything*", True),
        ("a?", "a*", False),
        ("a*", "a?", True),
        ("*a*", "?a?", True),
        ("p-*-prod", "p-acme-*-prod", True),
        ("?", "*", False),
    ],
)
def test_a_pattern_covers_another_where_it_holds_all_of_it(big, small, expected):
    assert covers(big, small) is expected


def test_a_text_with_a_star_in_it_is_matched_by_itself():
    assert matches("a*", "a*")
    assert not matches("ab", "a*")


@given(PATTERNS, PATTERNS)
def test_meeting_is_what_trying_out_texts_says(one, other):
    assert meets(one, other) is bool(texts_of(one) & texts_of(other))


@given(PATTERNS, PATTERNS)
def test_covering_is_what_trying_out_texts_says(big, small):
    assert covers(big, small) is (texts_of(small) <= texts_of(big))


@given(PATTERNS, PATTERNS, PATTERNS)
def test_what_is_covered_meets_no_more_than_what_covers_it(big, small, third):
    if covers(big, small) and meets(small, third):
        assert meets(big, third)
