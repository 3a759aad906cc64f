import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cli.output import counted, json_text, message, print_json, print_table


def test_piped_tables_are_tab_separated_with_a_line_per_row(capsys):
    print_table(("a", "b"), [{"a": 1, "b": None}, ("two\nlines", "a\ttab")])

    assert capsys.readouterr().out == "a\tb\n1\t\ntwo\\nlines\ta\\ttab\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_key_of_a_tenant_does_not_write_into_the_operators_terminal(capsys, monkeypatch, is_terminal):
    key = "raw/\x1b]0;owned\x07\u202ea\x9b2J.csv"
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)

    print_table(["key"], [[key]])
    message(key)
    print_json([key])

    said = "".join(capsys.readouterr())
    assert "\x1b]" not in said  # "\x1b[" is the heading's own bold
    assert not set(said) & set("\x07\u202e\x9b")
    assert said.count("raw/") == 3


def test_json_gives_back_what_it_was_given():
    value = ["raw/\x1b\x9b\u202e\ufeff\u2028.csv", "Süß 漢字"]

    assert json.loads(json_text(value)) == value


def test_times_and_decimals_keep_their_meaning_in_json():
    value = {"at": datetime(2024, 9, 20, 12, tzinfo=UTC), "amount": Decimal("1.50"), "name": "Süß"}

    assert json_text(value) == '{\n  "at": "2024-09-20T12:00:00+00:00",\n  "amount": "1.50",\n  "name": "Süß"\n}'


def test_one_thing_is_singular():
    assert (counted(0, "row"), counted(1, "row"), counted(2880, "row")) == ("0 rows", "1 row", "2,880 rows")
