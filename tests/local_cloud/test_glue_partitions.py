import sqlite3

import pytest

from local_cloud.glue_endpoint import matching

KEYS = [{"Name": "year", "Type": "int"}, {"Name": "month", "Type": "string"}]
PARTITIONS = [{"Values": ["2023", "12"]}, {"Values": ["2024", "01"]}, {"Values": ["2024", "09"]}]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("year = 2024", [["2024", "01"], ["2024", "09"]]),
        ("year = '2024' AND month IN ('09', '10')", [["2024", "09"]]),
        ("month BETWEEN '01' AND '09'", [["2024", "01"], ["2024", "09"]]),
        ("year < 2024 OR month = '09'", [["2023", "12"], ["2024", "09"]]),
        ("NOT (year >= 2024)", [["2023", "12"]]),
        ("month LIKE '0%'", [["2024", "01"], ["2024", "09"]]),
    ],
)
def test_an_expression_picks_partitions_as_glue_does(expression, expected):
    assert [partition["Values"] for partition in matching(expression, KEYS, PARTITIONS)] == expected


def test_an_unknown_column_is_an_error():
    with pytest.raises(sqlite3.Error):
        matching("day = '1'", KEYS, PARTITIONS)
