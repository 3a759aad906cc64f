"""Assignments are read as GitHub reads them, whatever stands in a value."""

import secrets

from hypothesis import given
from hypothesis import strategies as st

from tests.workflow_runner.commands import assignments, listened

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1)
VALUES = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(NAMES, VALUES))
def test_whatever_is_written_with_an_end_that_nobody_guesses_is_read_again(values):
    end = secrets.token_hex(8)

    assert assignments("".join(f"{name}<<{end}\n{value}\n{end}\n" for name, value in values.items())) == values


@given(st.dictionaries(NAMES, VALUES.filter(lambda value: "\n" not in value)))
def test_whatever_has_no_end_of_line_is_read_again(values):
    assert assignments("".join(f"{name}={value}\n" for name, value in values.items())) == values


def test_a_value_with_an_end_of_line_can_say_more_than_one_assignment():
    """Why what comes from outside is never written with `name=value`."""
    assert assignments("tenant=acme\ncount=0\n") == {"tenant": "acme", "count": "0"}


def test_an_end_that_can_be_guessed_can_be_written_by_a_stranger():
    assert assignments("a<<EOF\nvalue\nEOF\nadmin=true\n\nEOF=\n")["admin"] == "true"


def test_what_comes_first_says_whether_a_value_is_one_line_or_many():
    assert assignments("a<<E=F\none\nE=F\nb=c<<d\n") == {"a": "one", "b": "c<<d"}


@given(st.text())
def test_no_log_is_too_strange_to_listen_to(log):
    listened(log)
