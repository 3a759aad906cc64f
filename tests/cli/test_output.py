from datetime import UTC, datetime
from decimal import Decimal

from cli.output import counted, json_text, print_table


def test_piped_tables_are_tab_separated_with_a_line_per_row(capsys):
    print_table(("a", "b"), [{"a": 1, "b": None}, ("two\nlines", "a\ttab")])

    assert capsys.readouterr().out == "a\tb\n1\t\ntwo\\nlines\ta\\ttab\n"


def test_times_and_decimals_keep_their_meaning_in_json():
    value = {"at": datetime(2024, 9, 20, 12, tzinfo=UTC), "amount": Decimal("1.50"), "name": "Süß"}

    assert json_text(value) == '{\n  "at": "2024-09-20T12:00:00+00:00",\n  "amount": "1.50",\n  "name": "Süß"\n}'


def test_one_thing_is_singular():
    assert (counted(0, "row"), counted(1, "row"), counted(2880, "row")) == ("0 rows", "1 row", "2,880 rows")
