import json
from datetime import UTC, datetime

import pytest

from glue_scripts.plan import Plan
from glue_scripts.transforms.conform import conform

pytestmark = pytest.mark.spark

RAW = (
    "_source int, _file string, _arrived_at timestamp, _sequencer string, _row bigint, _about string, _problem string, _text string, "
    "_src struct<id: string, amount: string, rate: string, at: string>"
)
ARRIVED = datetime(2025, 1, 2, tzinfo=UTC)

PLAN = {
    "dataset": "sales",
    "contract": "sales",
    "version": "1.0.0",
    "fingerprint": "f",
    "format": "iceberg",
    "processed_format": "parquet",
    "files": [],
    "csv": {"delimiter": ",", "quote": '"', "encoding": "UTF-8", "null_values": [""]},
    "source_columns": ["id", "amount", "rate", "at"],
    "columns": [
        {"name": "id", "type": "string", "expression": "`id`"},
        {"name": "amount", "type": "decimal(18,2)", "expression": "try_cast(`amount` AS decimal(18,2))"},
        {"name": "rate", "type": "decimal(12,6)", "expression": "try_cast(`rate` AS decimal(12,6))"},
        {"name": "at", "type": "timestamp", "expression": "try_cast(`at` AS timestamp)"},
    ],
    "derived": [
        {"name": "euro", "type": "decimal(18,2)", "expression": "CAST(amount * rate AS decimal(18,2))"},
        {"name": "twice", "type": "decimal(18,2)", "expression": "CAST(euro * 2 AS decimal(18,2))"},
    ],
    "rules": [
        {"id": "id.required", "column": "id", "predicate": "_src.`id` IS NOT NULL", "reason": "'id is missing'"},
        {
            "id": "amount.type",
            "column": "amount",
            "predicate": "_src.`amount` IS NULL OR amount IS NOT NULL",
            "reason": "concat('amount: ', _src.amount, ' is no decimal')",
        },
        {"id": "amount.minimum", "column": "amount", "predicate": "amount >= 0", "reason": "concat(id, NULL)"},
    ],
    "primary_key": [],
    "version_column": None,
    "partition": {"year": "year(at)", "month": "date_format(at, 'MM')"},
}


@pytest.fixture
def conformed(spark):
    def conforming(*rows, plan=None):
        raw = spark.createDataFrame([(0, "raw/a.csv", ARRIVED, "9a", i, *row) for i, row in enumerate(rows)], RAW)
        return conform(raw, Plan.from_json(json.dumps(PLAN | (plan or {})))).collect()

    return conforming


def a_row(*values):
    return (None, None, None, values)


def test_strings_become_the_contracts_columns_and_what_is_derived_from_them(conformed):
    (row,) = conformed(a_row("a", "1.005", "2", "2024-09-20 10:00:00"))

    assert [str(row[name]) for name in ("id", "amount", "rate", "euro", "twice")] == [
        "a",
        "1.01",
        "2.000000",
        "2.02",
        "4.04",
    ]
    assert (row["_year"], row["_month"], row["_reasons"], row["_record"]) == (2024, "09", None, None)
    assert (row["_source_file"], row["_sequencer"], row["_row"]) == ("raw/a.csv", "9a", 0)


def test_each_broken_rule_gives_its_reason_and_the_row_keeps_its_original_values(conformed):
    (row,) = conformed(a_row(None, "abc", "2", None))

    assert row["_reasons"] == ["id is missing", "amount: abc is no decimal", "breaks the rule amount.minimum"]
    assert json.loads(row["_record"]) == {"amount": "abc", "rate": "2"}


def test_a_rule_that_comes_out_as_null_rejects(conformed):
    (row,) = conformed(a_row("a", None, "2", "2024-09-20"))

    assert row["_reasons"] == ["breaks the rule amount.minimum"]


def test_rejected_and_undated_rows_lie_where_they_arrived(conformed):
    rejected, undated = conformed(a_row("a", "-1", "2", "2024-09-20"), a_row("b", "1", "2", None))

    assert (rejected["_year"], rejected["_month"]) == (2025, "01")
    assert (undated["_year"], undated["_month"], undated["_reasons"]) == (2025, "01", None)


def test_a_row_the_reader_could_not_read_has_the_readers_reason_and_text(conformed):
    (row,) = conformed(("row", "2 fields where the header has 4", "a,1", (None, None, None, None)))

    assert row["_reasons"] == ["2 fields where the header has 4"]
    assert row["_record"] == "a,1"


def test_a_contract_without_rules_lets_every_row_through(conformed):
    (row,) = conformed(a_row(None, None, None, None), plan={"rules": []})

    assert row["_reasons"] is None
