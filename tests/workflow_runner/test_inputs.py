"""Inputs of a dispatch are texts that become what the file says they are, or are refused."""

import pytest

from tests.workflow_runner.inputs import dispatched
from tests.workflow_runner.permissions import allows, granted
from tests.workflow_runner.refusals import Refused

DECLARED = {
    "kind": {"type": "choice", "options": ["a", 1, True]},
    "truth": {"type": "boolean", "default": True},
    "count": {"type": "number"},
    "where": {"type": "environment"},
    "text": None,
}


def test_what_is_not_given_is_its_default_or_empty():
    assert dispatched(DECLARED, {}, "f.yml") == {"kind": "", "truth": True, "count": 0, "where": "", "text": ""}


def test_what_is_given_becomes_what_it_is_declared_to_be():
    given = {"kind": "true", "truth": "false", "count": "1.5", "where": "prod", "text": "1"}

    assert dispatched(DECLARED, given, "f.yml") == {**given, "truth": False, "count": 1.5}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "b"}, "f.yml: input kind: expected one of"),
        ({"truth": "yes"}, "f.yml: input truth: expected true or false, not 'yes'"),
        ({"count": "many"}, "f.yml: input count: expected a number, not 'many'"),
        ({"text": 1}, "f.yml: inputs of a dispatch are texts, not {'text': 1}"),
    ],
)
def test_what_is_something_else_is_refused(given, message):
    with pytest.raises(Refused, match=message):
        dispatched(DECLARED, given, "f.yml")


def test_a_dispatch_has_no_more_inputs_than_github_shows():
    with pytest.raises(Refused, match="26 inputs; GitHub takes 25"):
        dispatched({f"input{number}": None for number in range(26)}, {}, "f.yml")


def test_a_right_that_is_none_is_not_given():
    assert granted({"contents": "read", "issues": "none"}) == {"contents": "read"}
    assert granted({}) == granted(None) == {}
    assert "id-token" not in granted("read-all")
    assert granted("write-all")["id-token"] == "write"


def test_a_right_to_write_is_one_to_read():
    assert allows({"contents": "write"}, "contents", "read")
    assert not allows({"contents": "read"}, "contents", "write")
    assert not allows({"issues": "write"}, "contents", "read")
