import json

import pytest

AN_ID = "- {name: order_id, logicalType: string, primaryKey: true}\n"


def types(contract):
    return {column.name: column.type for column in contract.plan().all_columns}


def test_a_small_contract_compiles_to_this_plan(contract):
    plan = contract(
        """
        - {name: order_id, logicalType: string, required: true, primaryKey: true}
        - {name: amount, physicalName: Amount Paid, logicalType: number, physicalType: "decimal(18,2)"}
        - {name: net, logicalType: number, physicalType: "decimal(18,2)", transformLogic: amount * 0.8}
        """.replace("\n        ", "\n")
    ).plan("sales")

    assert json.loads(plan.to_json()) == {
        "dataset": "sales",
        "contract": "orders",
        "version": "1.0.0",
        "fingerprint": plan.fingerprint,
        "format": "iceberg",
        "processed_format": "parquet",
        "files": ["raw/sales/**"],
        "csv": {"delimiter": ",", "quote": '"', "encoding": "UTF-8", "null_values": ["", "NULL", "null"]},
        "source_columns": ["order_id", "Amount Paid"],
        "columns": [
            {"name": "order_id", "type": "string", "expression": "`order_id`", "description": ""},
            {
                "name": "amount",
                "type": "decimal(18,2)",
                "expression": "try_cast(`Amount Paid` AS decimal(18,2))",
                "description": "",
            },
        ],
        "derived": [
            {
                "name": "net",
                "type": "decimal(18,2)",
                "expression": "try_cast((amount * 0.8) AS decimal(18,2))",
                "description": "",
            }
        ],
        "rules": [
            {
                "id": "order_id.required",
                "column": "order_id",
                "predicate": "_src.`order_id` IS NOT NULL",
                "reason": "'order_id is missing'",
            },
            {
                "id": "amount.type",
                "column": "amount",
                "predicate": "_src.`Amount Paid` IS NULL OR (`amount` IS NOT NULL)",
                "reason": "concat('amount: ', coalesce(substring(_src.`Amount Paid`, 1, 200), 'null'), "
                "' is not decimal(18,2)')",
            },
        ],
        "primary_key": ["order_id"],
        "version_column": None,
        "partition": {
            "year": "year(`_arrived_at`)",
            "month": "lpad(CAST(month(`_arrived_at`) AS string), 2, '0')",
        },
    }


def test_the_fingerprint_changes_with_the_plan_and_with_nothing_else(contract):
    small = contract(AN_ID)
    described = contract(AN_ID.replace("logicalType", "tags: [a], logicalType"))
    longer = contract(AN_ID + "- {name: amount, logicalType: integer}")

    assert len(small.plan().fingerprint) == 64
    assert small.plan().fingerprint == described.plan().fingerprint
    assert small.plan().fingerprint != longer.plan().fingerprint
    assert small.plan().fingerprint != small.plan("sales").fingerprint


def test_logical_types_have_these_physical_types(contract):
    found = contract(
        "- {name: a, logicalType: string}\n"
        "- {name: b, logicalType: integer}\n"
        "- {name: c, logicalType: integer, physicalType: INTEGER}\n"
        "- {name: d, logicalType: integer, logicalTypeOptions: {format: i32}}\n"
        "- {name: e, logicalType: number}\n"
        "- {name: f, logicalType: number, physicalType: 'DECIMAL(12, 4)'}\n"
        "- {name: g, logicalType: boolean}\n"
        "- {name: h, logicalType: date}\n"
        "- {name: i, logicalType: date, physicalType: timestamp}\n"
        "- {name: j, logicalType: timestamp}\n"
        "- {name: k, logicalType: time}\n"
        "- {name: l, physicalType: bigint}\n"
        "- {name: m, logicalType: array, items: {logicalType: integer, physicalType: int}}\n"
        "- {name: n, logicalType: object, properties: [{name: x, logicalType: string}, {name: Y, logicalType: date}]}\n"
        "- {name: o, logicalType: map, map: {value: {logicalType: number}}}\n"
    )

    assert types(found) == {
        "a": "string", "b": "bigint", "c": "int", "d": "int", "e": "double", "f": "decimal(12,4)", "g": "boolean",
        "h": "date", "i": "timestamp", "j": "timestamp", "k": "string", "l": "bigint", "m": "array<int>",
        "n": "struct<x:string,Y:date>", "o": "map<string,double>",
    }  # fmt: skip


def test_the_order_of_a_compound_key_is_the_contracts(contract):
    found = contract(
        "- {name: a, logicalType: string, primaryKey: true, primaryKeyPosition: 2}\n"
        "- {name: b, logicalType: string, primaryKey: true, primaryKeyPosition: 1}\n"
    )

    assert found.plan().primary_key == ("b", "a")


def test_files_csv_and_formats_come_from_custom_properties(contract):
    plan = contract(
        AN_ID + "- {name: day, logicalType: date}",
        custom="""
- {property: lake.files, value: [raw/a/*.csv, "raw/**/b_*.csv.gz"]}
- {property: lake.csv.delimiter, value: \\t}
- {property: lake.csv.quote, value: "'"}
- {property: lake.csv.encoding, value: ISO-8859-1}
- {property: lake.csv.nullValues, value: ["", "NULL", "-"]}
- {property: lake.processedFormat, value: json}
- {property: lake.dateFormat, value: dd.MM.yyyy}
- {property: lake.partitionBy, value: day}
- {property: lake.versionColumn, value: day}
- {property: somebody.elses, value: {any: thing}}
""",
    ).plan()

    assert plan.files == ("raw/a/*.csv", "raw/**/b_*.csv.gz")
    assert plan.csv.model_dump() == {
        "delimiter": "\t", "quote": "'", "encoding": "ISO-8859-1", "null_values": ("", "NULL", "-"),
    }  # fmt: skip
    assert (plan.processed_format, plan.version_column) == ("json", "day")
    assert plan.partition.year == "year(coalesce(CAST(`day` AS timestamp), `_arrived_at`))"
    assert "regexp_replace(`day`" in plan.columns[1].expression


def test_queries_speak_of_the_datasets_table(contract):
    found = contract(
        AN_ID,
        custom="- property: lake.queries\n  value: [{name: all_orders, sql: 'SELECT count(*) FROM {table}'}]",
    )

    (query,) = found.queries_of("sales")
    assert (query.name, query.sql) == ("all_orders", "SELECT count(*) FROM sales")


@pytest.mark.parametrize(
    ("custom", "told"),
    [
        ("{property: lake.file, value: raw/x}", "unknown property lake.file; did you mean 'lake.files'?"),
        ("{property: lake.files, value: processed/x}", "'processed/x': expected a pattern such as raw/"),
        ("{property: lake.files, value: raw/a**/x}", "** stands alone between slashes"),
        ("{property: lake.files, value: 'raw/[ab]'}", "expected a pattern such as"),
        ("{property: lake.format, value: delta}", "'delta': expected one of iceberg, parquet"),
        ("{property: lake.processedFormat, value: csv}", "'csv': expected one of parquet, json"),
        ("{property: lake.partitionBy, value: amont}", "lake.partitionBy: no column 'amont'; did you mean 'amount'?"),
        ("{property: lake.partitionBy, value: amount}", "lake.partitionBy: 'amount' is bigint; expected a date or"),
        ("{property: lake.versionColumn, value: x}", "lake.versionColumn: no column 'x'"),
        ("{property: lake.csv.delimiter, value: '||'}", "'||': expected one character"),
        ("{property: lake.csv.encoding, value: klingon}", "'klingon': expected one of UTF-8"),
        ("{property: lake.csv.nullValues, value: [null]}", "expected a list of texts in quotes"),
        ("{property: lake.dateFormat, value: dd/MM}", "has no year"),
        ("{property: lake.queries, value: [{name: X, sql: s}]}", "'X': expected lower-case letters"),
        ("{property: lake.queries, value: [{name: x, sql: s, limit: 1}]}", "expected name, sql and perhaps"),
        ("{property: lake.format, value: parquet}", "lake.format parquet is append-only"),
        ("{property: lake.partitionBy, value: [amount]}", "expected one value"),
    ],
)
def test_each_wrong_custom_property_is_told(problems_of, custom, told):
    found = problems_of(AN_ID + "- {name: amount, logicalType: integer}", custom=f"- {custom}")

    assert any(told in problem for problem in found), found


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ("{name: Amount, logicalType: integer}", "properties[Amount].name: 'Amount' is no column"),
        ("{name: year, logicalType: integer}", "'year' is the partition's; name it otherwise and give physicalName: year"),
        ("{name: order_id, logicalType: string}", "column 'order_id' is given twice"),
        ("{logicalType: string}", "'' is no column"),
        ("{name: a}", "logicalType: nothing is no type"),
        ("{name: a, logicalType: vector}", "vector is no type; expected one of string, integer"),
        ("{name: a, logicalType: integer, physicalType: string}", "'string' is no type of a integer; expected bigint, int"),
        ("{name: a, logicalType: number, physicalType: 'decimal(39,2)'}", "'decimal(39,2)' is no type of a number"),
        ("{name: a, logicalType: number, physicalType: decimal}", "'decimal' is no type of a number"),
        ("{name: a, logicalType: string, physicalType: 'string) , x'}", "is no type of a string"),
        ("{name: a, logicalType: array}", "items: is missing"),
        ("{name: a, logicalType: object}", "properties: is missing"),
        ("{name: a, logicalType: object, properties: [{name: 'x:int>', logicalType: string}]}", "is no field name"),
        ("{name: a, logicalType: object, properties: [{name: x, logicalType: string}, {name: X, logicalType: string}]}",
         "field 'X' is given twice"),
        ("{name: a, logicalType: string, physicalName: Order_ID}", "'Order_ID' and 'order_id' differ in case only"),
        ("{name: a, logicalType: string, physicalName: _src}", "'_src' is a name of the platform's own"),
        ("{name: a, logicalType: string, physicalName: '${env:X}'}", "cannot be a column name"),
        ("{name: a, logicalType: string, transformLogic: nme}", "transformLogic: no column nme to compute with"),
        ("{name: a, logicalType: string, transformLogic: a}", "no column a to compute with"),
        ("{name: a, logicalType: string, transformLogic: order_id, physicalName: x}", "comes from no source column"),
        ("{name: a, logicalType: string, logicalTypeOptions: {minimum: 1}}", "minimum: unknown option of a string"),
        ("{name: a, logicalType: integer, logicalTypeOptions: {minimum: x}}", "minimum: 'x' is no bigint"),
        ("{name: a, logicalType: integer, logicalTypeOptions: {minimum: '1) OR (1=1'}}", "is no bigint"),
        ("{name: a, logicalType: number, logicalTypeOptions: {maximum: 1e999}}", "is no double"),
        ("{name: a, logicalType: number, logicalTypeOptions: {exclusiveMinimum: true}}", "'true' is no double"),
        ("{name: a, logicalType: date, logicalTypeOptions: {minimum: 01.01.2024}}", "'01.01.2024' is no date"),
        ("{name: a, logicalType: date, logicalTypeOptions: {format: dd.MM.yy}}", "has 'yy'"),
        ("{name: a, logicalType: string, logicalTypeOptions: {pattern: '(['}}", "is no regular expression"),
        ("{name: a, logicalType: string, logicalTypeOptions: {minLength: -1}}", "'-1' is no count"),
        ("{name: a, logicalType: integer, enum: [{value: x}]}", "enum: 'x' is no bigint"),
        ("{name: a, logicalType: string, unique: true}", "unique: is not checked row by row"),
        ("{name: a, logicalType: string, quality: [{type: sql, query: 'SELECT 1', mustBe: 0}]}", "cannot be checked row"),
        ("{name: a, logicalType: string, quality: [{metric: duplicateValues, mustBe: 0}]}", "cannot be checked row by row"),
        ("{name: a, logicalType: string, quality: [{metric: invalidValues, mustBe: 0}]}", "expected arguments"),
        ("{name: a, logicalType: string, requierd: true}", "requierd: unknown key; did you mean 'required'?"),
        ("{name: a, logicalType: string, required: perhaps}", "required: 'perhaps': input should be a valid boolean"),
        ("{name: a, logicalType: number, primaryKey: true}", "a double cannot be a key"),
    ],
)  # fmt: skip
def test_each_wrong_property_is_told(problems_of, properties, told):
    found = problems_of(AN_ID + f"- {properties}")

    assert any(told in problem for problem in found), found


def test_a_setting_in_the_wrong_place_is_told(problems_of):
    found = problems_of("- {name: a, logicalType: string, customProperties: [{property: lake.format, value: parquet}]}")

    (told,) = found
    assert told.startswith("schema[orders].properties[a].customProperties[lake.format]: lake.format belongs to")


def test_rules_over_a_row_are_expressions_over_its_columns(problems_of):
    assert problems_of(AN_ID, quality="- {type: custom, engine: lake, implementation: ordr_id IS NOT NULL}") == [
        "schema[orders].quality[0].implementation: no column ordr_id to compute with; did you mean 'order_id'?"
    ]
    assert problems_of(AN_ID, quality="- {type: sql, query: SELECT 1}") == [
        "schema[orders].quality[0]: is not checked; expected type: custom, engine: lake, implementation: <SQL>"
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("kind: DataContract", "kind: Contract", "2: kind: 'Contract': expected DataContract"),
        ("apiVersion: v3.1.0", "apiVersion: v2.2.0", "1: apiVersion: 'v2.2.0': expected v3.0.2 or another 3.x"),
        ("id: orders", "id: order", "3: id: 'order': expected 'orders', as the file is named"),
        ("version: 1.0.0\n", "", "1: version: is missing"),
        ("status: active", "status: active\nfoo: 1", "6: foo: unknown key; known:"),
        ("schema:", "schema: []\nx:", "6: schema: has 0 tables with properties; expected one"),
    ],
)
def test_a_wrong_header_is_told_with_its_line(folder, old, new, told):
    from tenants.contract import read_contract

    path = folder / "contracts" / "orders.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))

    found, problems = read_contract(path, "orders.yaml")

    assert found is None
    assert any(str(problem).startswith(f"orders.yaml:{told}") for problem in problems), problems


def test_all_problems_of_a_contract_are_told_at_once(problems_of):
    found = problems_of(
        "- {name: A, logicalType: integer, logicalTypeOptions: {minimum: x}}\n"
        "- {name: b, logicalType: money}\n"
        "- {name: c, logicalType: string, transformLogic: 'd'}",
        custom="- {property: lake.fromat, value: x}",
    )

    assert len(found) == 5
