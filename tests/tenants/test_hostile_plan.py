"""Names and values of a contract that try to be more: in the SQL they become, and in Spark that executes it."""

import json
import os

import pytest
import sqlglot
from hypothesis import example, given
from hypothesis import strategies as st
from sqlglot import exp

from tenants.sql import FUNCTIONS, expression_problems, identifier, is_identifier, literal

NAMES = [
    "a`b",
    "`",
    "``) OR (`",
    "a'b",
    'a"b',
    "a;DROP TABLE x",
    "a--b",
    "a/*b*/",
    "a.b",
    "_src.a",
    "a b",
    " a",
    "select",
    "ünïcode",
    "e\u0301",
    "数量",
    "😀",
    "a:int>",
    "struct<x:int>",
    "a\\b",
    "a\\`b",
    "*",
    "#",
    "$x",
    "{x}",
    "=1+1",
    "%s",
    "x" * 500,
]
VALUES = [
    "it's",
    "\\",
    "\\'",
    "' OR '1'='1",
    "'; DROP TABLE orders; --",
    "${env:LAKE_TEST_SECRET}",
    "$\\u007benv:LAKE_TEST_SECRET}",
    "${spark:spark.app.name}",
    "\\u0024{env:LAKE_TEST_SECRET}",
    "\\n",
    "a\nb",
    "\u2028",
    "%_",
    "-- x",
    "/* x",
    "`x`",
    '"x"',
    "😀",
    "\u202e",
]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(texts)
@example("\\")
@example("\\'")
@example("' OR ''='")
@example("\0")
def test_a_text_is_one_literal_and_that_text(text):
    written = literal(text)

    parsed = sqlglot.parse_one(written, read="spark")
    assert isinstance(parsed, exp.Literal)
    assert "${" not in written
    if "${" not in text and "\0" not in text:  # spelled out for Spark, which reads them back
        assert parsed.this == text


@given(texts)
@example("`")
@example("a``b")
@example("a` AS `b")
def test_a_name_is_one_column_and_that_name_or_is_refused(name):
    if not is_identifier(name):
        with pytest.raises(ValueError, match="cannot be a column name"):
            identifier(name)
        return

    parsed = sqlglot.parse_one(identifier(name), read="spark")
    assert isinstance(parsed, exp.Column)
    assert parsed.name == name
    assert parsed.table == ""


WORDS = (
    "amount rate name x y ( ) [ ] , . + - * / % = < > -> || 'a' 'it\\'s' `amount` `a``b` 1 2.5e1 upper cast AS CASE WHEN "
    "THEN ELSE END IN AND NOT SELECT FROM t WHERE UNION EXISTS reflect java_method rand DROP TABLE ; -- /* */ ${env:X} "
    "INTERVAL DATE OVER PARTITION BY LATERAL VIEW explode @x :x ? count sum max DISTINCT struct transform filter"
)
STATEMENTS = (exp.Query, exp.Command, exp.Drop, exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Window, exp.AggFunc)


@given(st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=10))
@example(["(", "SELECT", "max", "(", "x", ")", "FROM", "t", ")"])
@example(["amount", "IN", "(", "SELECT", "x", "FROM", "t", ")"])
@example(["EXISTS", "(", "SELECT", "1", ")"])
@example(["max", "(", "amount", ")", "OVER", "(", ")"])
def test_no_soup_of_words_that_is_taken_asks_another_table_or_many_rows(words):
    text = " ".join(words)
    if list(expression_problems(text, ["amount", "rate", "name"])):
        return

    try:
        parsed = sqlglot.parse_one(f"SELECT {text} AS one FROM source", read="spark")
    except sqlglot.errors.SqlglotError:
        return  # taken by its words, and no SQL: the job says so
    assert [type(part).__name__ for item in parsed.selects for part in item.find_all(*STATEMENTS)] == []
    assert len(parsed.selects) == 1
    called = [part.name.lower() for part in parsed.find_all(exp.Anonymous)]
    assert [name for name in called if name not in FUNCTIONS] == []


def test_a_description_that_spark_would_fill_in_is_refused(problems_of):
    told = problems_of("- {name: a, logicalType: string, description: 'from ${env:LAKE_TEST_SECRET}'}")

    assert told == ["schema[orders].properties[a].description: '${' is not allowed in a column's description"]


def a_column(number, **more):
    return "- " + json.dumps({"name": f"c{number}", "logicalType": "string"} | more, ensure_ascii=False)


@pytest.mark.spark
def test_hostile_names_of_source_columns_are_columns_each_its_own(contract, conformed):
    plan = contract("\n".join(a_column(number, physicalName=name) for number, name in enumerate(NAMES))).plan()

    (row,) = conformed(plan, {name: f"value {number}" for number, name in enumerate(NAMES)})

    assert row["_reasons"] is None
    assert [row[f"c{number}"] for number in range(len(NAMES))] == [f"value {number}" for number in range(len(NAMES))]


@pytest.mark.spark
def test_a_hostile_name_of_a_column_with_a_type_is_told_with_its_own_value(contract, conformed):
    columns = [a_column(number, physicalName=name, logicalType="integer") for number, name in enumerate(NAMES)]
    plan = contract("\n".join(columns)).plan()

    (row,) = conformed(plan, {name: f"no number {number}" for number, name in enumerate(NAMES)})

    assert row["_reasons"] == [f"c{number}: no number {number} is not bigint" for number in range(len(NAMES))]


@pytest.mark.spark
def test_hostile_values_of_a_contract_are_values(contract, conformed):
    assert os.environ["LAKE_TEST_SECRET"]
    listed = [{"value": text} for text in VALUES if text == text.strip()]
    plan = contract(a_column(0, enum=listed)).plan()

    rows = conformed(plan, *({"c0": each["value"]} for each in listed), {"c0": "leaked"}, {"c0": "x"})

    assert [row["_reasons"] for row in rows[:-2]] == [None] * len(listed)
    assert [row["c0"] for row in rows[:-2]] == [each["value"] for each in listed]
    assert all(len(row["_reasons"]) == 1 for row in rows[-2:])


@pytest.mark.spark
def test_hostile_values_of_a_file_stay_what_they_are_and_are_told_as_they_are(contract, conformed):
    plan = contract(a_column(0) + "\n" + a_column(1, logicalType="integer")).plan()

    rows = conformed(plan, *({"c0": text, "c1": text} for text in VALUES))

    assert [row["c0"] for row in rows] == VALUES
    assert [row["_reasons"] for row in rows] == [[f"c1: {text} is not bigint"] for text in VALUES]


@pytest.mark.spark
def test_the_environment_is_in_no_reason_of_a_rule(contract, conformed):
    rule = {
        "type": "custom", "engine": "lake", "name": "${env:LAKE_TEST_SECRET}", "implementation": "c0 = 'x'",
        "description": "see ${env:LAKE_TEST_SECRET} and '",
    }  # fmt: skip
    plan = contract(a_column(0), quality="- " + json.dumps(rule)).plan()

    (row,) = conformed(plan, {"c0": "y"})

    assert row["_reasons"] == ["see ${env:LAKE_TEST_SECRET} and '"]
