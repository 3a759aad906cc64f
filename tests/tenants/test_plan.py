"""Plans as Spark sees them: every test runs the jobs' own transform over literal rows."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tenants.contract import read_contract
from tenants.registry import load

pytestmark = pytest.mark.spark

CONTRACTS = Path(__file__).resolve().parents[2] / "tenants" / "contracts"


def own(name):
    found, problems = read_contract(CONTRACTS / f"{name}.yaml", name)
    assert problems == []
    return found.plan()


def test_texts_become_values_of_their_types(contract, conformed):
    plan = contract(
        "- {name: a, logicalType: integer}\n"
        "- {name: b, logicalType: number}\n"
        "- {name: c, logicalType: number, physicalType: 'decimal(6,2)'}\n"
        "- {name: d, logicalType: boolean}\n"
        "- {name: e, logicalType: date}\n"
        "- {name: f, logicalType: timestamp}\n"
        "- {name: g, logicalType: time}\n"
        "- {name: h, logicalType: string}\n"
    ).plan()

    (row,) = conformed(
        plan,
        {"a": "517.0", "b": "-1.5e3", "c": "12.345", "d": "true", "e": "2024-09-20", "f": "2024-09-20T10:15:30+02:00",
         "g": "23:59:59", "h": " as it is "},
    )  # fmt: skip

    assert row["_reasons"] is None
    assert (row["a"], row["b"], row["c"], row["d"]) == (517, -1500.0, Decimal("12.35"), True)
    assert (row["e"], row["f"]) == (date(2024, 9, 20), datetime(2024, 9, 20, 8, 15, 30))
    assert (row["g"], row["h"]) == ("23:59:59", " as it is ")


NO_VALUES = [
    ("logicalType: integer", "12x"),
    ("logicalType: integer", "1.5"),
    ("logicalType: integer", "99999999999999999999"),
    ("logicalType: integer, physicalType: int", "3000000000"),
    ("logicalType: number", "1d"),
    ("logicalType: number", "NaN"),
    ("logicalType: number", "Infinity"),
    ("logicalType: number, physicalType: 'decimal(4,2)'", "100"),
    ("logicalType: boolean", "perhaps"),
    ("logicalType: date", "2024-02-30"),
    ("logicalType: date", "2024-01-01 junk"),
    ("logicalType: date", "2024"),
    ("logicalType: date", "2024-01-01 10:00:00"),
    ("logicalType: timestamp", "12:30"),
    ("logicalType: timestamp", "2024-01-01 25:00:00"),
    ("logicalType: timestamp", "yesterday"),
    ("logicalType: time", "24:00"),
    ("logicalType: array, items: {logicalType: integer}", "abc"),
    ("logicalType: array, items: {logicalType: integer}", '[1, "x"]'),
    ("logicalType: array, items: {logicalType: integer}", '[1],"v":[2]'),
    ("logicalType: array, items: {logicalType: integer}", '{"a": 1}'),
    ("logicalType: object, properties: [{name: x, logicalType: integer}]", "abc"),
    ("logicalType: object, properties: [{name: x, logicalType: integer}]", '{"x": 1.5}'),
    ("logicalType: object, properties: [{name: x, logicalType: date}]", '{"x": "soon"}'),
    ("logicalType: map, map: {value: {logicalType: integer}}", '{"k": "v"}'),
]


def test_text_that_is_no_value_of_the_type_is_rejected_with_its_text(contract, conformed):
    lines = [f"- {{name: c{number}, {kind}}}" for number, (kind, _) in enumerate(NO_VALUES)]
    plan = contract("\n".join(lines)).plan()

    (row,) = conformed(plan, {f"c{number}": text for number, (_, text) in enumerate(NO_VALUES)})

    told = [reason.partition(" is not ")[0] for reason in row["_reasons"]]
    assert told == [f"c{number}: {text}" for number, (_, text) in enumerate(NO_VALUES)]


def test_a_missing_value_passes_where_it_is_not_required(contract, conformed):
    plan = contract(
        "- {name: a, logicalType: integer, logicalTypeOptions: {minimum: 1}}\n"
        "- {name: b, logicalType: object, properties: [{name: x, logicalType: string, required: true}]}\n"
        "- {name: c, logicalType: string, required: true}\n"
    ).plan()

    good, bad, json_null = conformed(plan, {"c": "x"}, {}, {"c": "x", "b": "null"})

    assert good["_reasons"] is None
    assert bad["_reasons"] == ["c is missing"]
    assert (json_null["_reasons"], json_null["b"]) == (None, None)


def test_a_json_null_is_missing_where_it_is_required(contract, conformed):
    plan = contract("- {name: a, logicalType: array, required: true, items: {logicalType: string}}").plan()

    (row,) = conformed(plan, {"a": "null"})

    assert row["_reasons"] == ["a is missing"]


@pytest.mark.parametrize(
    ("kind", "good", "bad", "said"),
    [
        ("logicalType: integer, logicalTypeOptions: {minimum: 1}", "1", "0", "0 is below the minimum 1"),
        ("logicalType: integer, logicalTypeOptions: {maximum: 9}", "9", "10", "10 is above the maximum 9"),
        ("logicalType: number, logicalTypeOptions: {exclusiveMinimum: 0.5}", "0.6", "0.5", "0.5 is not above 0.5"),
        ("logicalType: number, logicalTypeOptions: {exclusiveMaximum: 1}", "0.9", "1", "1 is not below 1"),
        ("logicalType: integer, logicalTypeOptions: {multipleOf: 5}", "-10", "12", "12 is no multiple of 5"),
        ("logicalType: date, logicalTypeOptions: {minimum: 2024-01-01}", "2024-01-01", "2023-12-31",
         "2023-12-31 is below the minimum 2024-01-01"),
        ("logicalType: timestamp, logicalTypeOptions: {maximum: '2024-01-01T10:00:00'}", "2024-01-01 10:00:00",
         "2024-01-01 10:00:01", "2024-01-01 10:00:01 is above the maximum 2024-01-01T10:00:00"),
        ("logicalType: string, logicalTypeOptions: {minLength: 2}", "ab", "a", "a is shorter than 2"),
        ("logicalType: string, logicalTypeOptions: {maxLength: 2}", "ab", "abc", "abc is longer than 2"),
        (r"logicalType: string, logicalTypeOptions: {pattern: '^\d{2}\.''x$'}", "12.'x", "12x", r"12x does not match ^\d{2}\.'x$"),
        ("logicalType: string, enum: [{value: on}, {value: 'o''ff'}]", "o'ff", "off", "off is none of on, o'ff"),
        ("logicalType: integer, enum: [{value: 1}, {value: 2}]", "2", "3", "3 is none of 1, 2"),
        ("logicalType: string, quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [a, b]}}]", "a", "c",
         "c is none of a, b"),
        ("logicalType: string, quality: [{metric: invalidValues, mustBe: 0, arguments: {pattern: '^a'}}]", "ab", "ba",
         "ba does not match ^a"),
        ("logicalType: array, items: {logicalType: string}, logicalTypeOptions: {minItems: 1}", '["a"]', "[]",
         "[] has fewer items than 1"),
        ("logicalType: array, items: {logicalType: string}, logicalTypeOptions: {uniqueItems: true}", '["a","b"]', '["a","a"]',
         '["a","a"] holds an item twice'),
        ("logicalType: array, items: {logicalType: integer, logicalTypeOptions: {minimum: 1}}", "[1,null]", "[1,0]",
         "[1,0] items is below the minimum 1"),
        ("logicalType: array, items: {logicalType: string, required: true}", '["a"]', "[null]", "[null] items is missing"),
        ("logicalType: object, properties: [{name: x, logicalType: string, required: true}]", '{"x":"y"}', "{}",
         "{} x is missing"),
        ("logicalType: array, items: {logicalType: object, properties: [{name: x, logicalType: string, enum: [{value: y}]}]}",
         '[{"x":"y"},{}]', '[{"x":"z"}]', '[{"x":"z"}] items x is none of y'),
        ("logicalType: map, map: {value: {logicalType: integer, logicalTypeOptions: {maximum: 1}}}", '{"k":1}', '{"k":2}',
         '{"k":2} items is above the maximum 1'),
    ],
)  # fmt: skip
def test_each_rule_lets_the_good_pass_and_says_what_is_wrong(contract, conformed, *, kind, good, bad, said):
    plan = contract(f"- {{name: a, {kind}}}").plan()

    right, wrong = conformed(plan, {"a": good}, {"a": bad})

    assert right["_reasons"] is None
    assert wrong["_reasons"] == [f"a: {said}"]


def test_a_row_is_told_everything_that_is_wrong_with_it(contract, conformed):
    plan = contract(
        "- {name: a, logicalType: integer, required: true}\n"
        "- {name: b, logicalType: date}\n"
        "- {name: c, logicalType: string, logicalTypeOptions: {maxLength: 1}}\n"
    ).plan()

    (row,) = conformed(plan, {"b": "x", "c": "yy"})

    assert row["_reasons"] == ["a is missing", "b: x is not date", "c: yy is longer than 1"]


def test_a_rule_over_columns_gives_its_description_as_reason(contract, conformed):
    plan = contract(
        "- {name: a, logicalType: integer}\n- {name: b, logicalType: integer}\n",
        quality="- {type: custom, engine: lake, name: order, description: b is before a, implementation: b >= a}",
    ).plan()

    good, bad, unknown = conformed(plan, {"a": "1", "b": "2"}, {"a": "2", "b": "1"}, {"a": "1"})

    assert [good["_reasons"], bad["_reasons"], unknown["_reasons"]] == [None, ["b is before a"], ["b is before a"]]


def test_derived_columns_use_conformed_and_earlier_derived_ones(contract, conformed):
    plan = contract(
        "- {name: net, logicalType: number, physicalType: 'decimal(10,2)'}\n"
        "- {name: tax, logicalType: number, physicalType: 'decimal(10,2)', transformLogic: net * 0.19}\n"
        "- {name: gross, logicalType: number, physicalType: 'decimal(10,2)', transformLogic: net + tax, required: true}\n"
    ).plan()

    good, bad = conformed(plan, {"net": "100.00"}, {})

    assert (good["tax"], good["gross"]) == (Decimal("19.00"), Decimal("119.00"))
    assert bad["_reasons"] == ["gross is missing"]


def test_the_partition_is_the_columns_month_or_else_the_arrivals(contract, conformed):
    plan = contract("- {name: day, logicalType: date}", custom="- {property: lake.partitionBy, value: day}").plan()

    dated, undated = conformed(plan, {"day": "2023-02-01"}, {})

    assert [(row["_year"], row["_month"]) for row in (dated, undated)] == [(2023, "02"), (2024, "10")]


def test_foreign_formats_are_read_and_everything_else_is_rejected(contract, conformed):
    plan = contract(
        "- {name: a, logicalType: date}\n"
        "- {name: b, logicalType: timestamp, logicalTypeOptions: {format: yyyyMMdd'T'HHmm}}\n",
        custom="- {property: lake.dateFormat, value: d.M.yyyy}",
    ).plan()

    good, iso, lenient = conformed(
        plan, {"a": "3.9.2024", "b": "20240920T1015"}, {"a": "2024-09-03"}, {"a": "31.02.2024", "b": "20240920T1061"}
    )

    assert (good["a"], good["b"], good["_reasons"]) == (date(2024, 9, 3), datetime(2024, 9, 20, 10, 15), None)
    assert iso["_reasons"] == ["a: 2024-09-03 is not date"]
    assert lenient["_reasons"] == ["a: 31.02.2024 is not date", "b: 20240920T1061 is not timestamp"]


HOSTILE = [
    "') OR (1=1",
    "'; DROP TABLE x --",
    "\\",
    "\\'",
    "${env:LAKE_TEST_SECRET}",
    "`",
    "a'b\"c",
    "%s $1",
    "\\u0027 OR 1=1",
]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def test_hostile_values_in_a_contract_are_compared_as_they_stand(contract, conformed):
    lines = [
        f"- name: c{number}\n  logicalType: string\n  enum: [{{value: {quoted(text)}}}]"
        for number, text in enumerate(HOSTILE)
    ]
    plan = contract("\n".join(lines)).plan()

    same, other = conformed(
        plan,
        {f"c{number}": text for number, text in enumerate(HOSTILE)},
        {f"c{number}": "other" for number, _ in enumerate(HOSTILE)},
    )

    assert same["_reasons"] is None
    assert other["_reasons"] == [f"c{number}: other is none of {text}" for number, text in enumerate(HOSTILE)]


SOURCE_NAMES = ["a`b", "a.b", "a b", "it's", "ünïcode", "select", "a\\b", "1st", "$x", "_id"]


def test_any_source_name_can_be_read(contract, conformed):
    lines = [
        f"- name: c{number}\n  logicalType: integer\n  physicalName: {quoted(name)}"
        for number, name in enumerate(SOURCE_NAMES)
    ]
    plan = contract("\n".join(lines)).plan()

    good, bad = conformed(plan, dict.fromkeys(SOURCE_NAMES, "7"), dict.fromkeys(SOURCE_NAMES, "x"))

    assert [good[f"c{number}"] for number, _ in enumerate(SOURCE_NAMES)] == [7] * len(SOURCE_NAMES)
    assert bad["_reasons"] == [f"c{number}: x is not bigint" for number, _ in enumerate(SOURCE_NAMES)]


def test_every_plan_of_the_registry_runs(conformed):
    for contract in load().contracts.values():
        (row,) = conformed(contract.plan(), {})

        assert row["_reasons"], contract.id


def test_a_transaction_gets_its_amount_in_euro(conformed):
    good = {
        "transaction_id": "t-1", "occurred_at": "2024-09-20 23:59:59", "network": "3", "customer_id": "c-7",
        "merchant": "Kiosk", "channel": "card", "currency": "USD", "amount": "12.50", "rate": "0.895700",
        "status": "settled",
    }  # fmt: skip

    right, wrong = conformed(own("transactions"), good, good | {"amount": "12,50", "currency": "usd", "rate": "0"})

    assert (right["_reasons"], right["amount_eur"]) == (None, Decimal("11.20"))
    assert (right["_year"], right["_month"]) == (2024, "09")
    assert wrong["_reasons"] == [
        "currency: usd does not match ^[A-Z]{3}$",
        "amount: 12,50 is not decimal(18,2)",
        "rate: 0 is not above 0",
    ]


def test_a_flight_is_dated_by_its_local_day(conformed):
    row = {
        "year": "2013", "month": "12", "day": "31", "sched_dep_time": "2359", "sched_arr_time": "437", "carrier": "B6",
        "flight": "839", "tailnum": "N516JB", "origin": "JFK", "dest": "BQN", "distance": "1576", "hour": "23",
        "minute": "59", "time_hour": "2014-01-01T04:00:00Z",
    }  # fmt: skip
    plan = own("flights")

    (row,) = conformed(plan, row)

    missing = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}
    assert set(plan.source_columns) - missing == {
        "year", "month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "tailnum", "origin", "dest",
        "distance", "hour", "minute", "time_hour",
    }  # fmt: skip
    assert row["_reasons"] is None
    assert (row["flight_year"], row["dep_time"], row["distance"]) == (2013, None, 1576.0)
    assert (row["flight_date"], row["_year"], row["_month"]) == (date(2013, 12, 31), 2013, "12")


def test_a_book_keeps_its_shape(conformed):
    good = {
        "book_id": "b-1", "title": "Moby-Dick", "author_ids": '["a-1"]', "published": "1851-10-18",
        "price": '{"amount":9.99,"currency":"EUR"}', "editions": '[{"format":"paperback","pages":635,"isbn":null}]',
    }  # fmt: skip

    right, wrong = conformed(
        own("books"), good, good | {"author_ids": "[]", "price": '{"amount":-1}', "editions": '[{"pages":0}]'}
    )

    assert right["_reasons"] is None
    assert right["price"] == {"amount": Decimal("9.99"), "currency": "EUR"}
    assert right["price_amount"] == Decimal("9.99")
    assert right["editions"] == [{"format": "paperback", "pages": 635, "isbn": None}]
    assert wrong["_reasons"] == [
        "author_ids: [] has fewer items than 1",
        'price: {"amount":-1} amount is below the minimum 0',
        'price: {"amount":-1} currency is missing',
        'editions: [{"pages":0}] items format is missing',
        'editions: [{"pages":0}] items pages is below the minimum 1',
    ]
