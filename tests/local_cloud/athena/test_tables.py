import pyarrow as pa
import pytest

from tests.local_cloud.athena.conftest import CSV, Lake, bucket_of, database_of

pytestmark = pytest.mark.cloud


def test_an_iceberg_table_is_read_at_its_current_snapshot(lake: Lake):
    """Written by Spark with a positional delete and a column that came later: see make_iceberg_table.py."""
    rows = lake.rows(
        "SELECT transaction_id, amount, weight, approved, tags, labels, place, note FROM transactions ORDER BY 1"
    )

    assert rows == [
        ["t1", "10.50", "0.5", "true", "[new, web]", "{channel=app}", "{city=Berlin, code=10115}", None],
        ["t2", "20.25", "1.23456789E7", "false", "[]", "{}", "{city=Paris, code=75001}", None],
        ["t3", "-3.10", "5.0E-4", None, None, None, None, None],
        ["t4", "100.00", None, "true", "[web]", "{channel=shop, till=4}", "{city=Lyon, code=69001}", None],
        ["t5", "7.77", "1.0E20", "true", "[a, b, c]", "{channel=app}", "{city=Berlin, code=10117}", None],
    ]


def test_sparks_timestamps_carry_their_zone(lake: Lake):
    assert lake.rows("SELECT occurred_at FROM transactions WHERE transaction_id = 't1'") == [
        ["2024-09-20 10:15:30.123 UTC"]
    ]


def test_joins_aggregates_windows_and_unnest_work_over_iceberg(lake: Lake):
    joined = """
        WITH monthly AS (SELECT month, sum(amount) AS total, avg(amount) AS mean FROM transactions GROUP BY month)
        SELECT t.transaction_id, m.total, m.mean, rank() OVER (ORDER BY t.amount DESC)
        FROM transactions t JOIN monthly m ON t.month = m.month WHERE t.month <> '11' ORDER BY 1
    """
    tags = (
        "SELECT tag, count(*) FROM transactions CROSS JOIN UNNEST(tags) AS u(tag) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 2"
    )

    assert lake.rows(joined) == [
        ["t1", "30.75", "15.38", "3"],
        ["t2", "30.75", "15.38", "2"],
        ["t3", "96.90", "48.45", "4"],
        ["t4", "96.90", "48.45", "1"],
    ]
    assert lake.rows(tags) == [["web", "2"], ["a", "1"]]


def test_maps_and_several_arrays_are_unnested_into_columns(lake: Lake):
    maps = "SELECT transaction_id, k, v FROM transactions CROSS JOIN UNNEST(labels) AS u(k, v) WHERE month = '10' ORDER BY k"
    arrays = "SELECT a, b FROM UNNEST(ARRAY[1, 2], ARRAY['p']) AS u(a, b) ORDER BY a"
    outer = "SELECT transaction_id, tag FROM transactions LEFT JOIN UNNEST(tags) AS u(tag) ON true WHERE month = '09' ORDER BY 1, 2"

    assert lake.rows(maps) == [["t4", "channel", "shop"], ["t4", "till", "4"]]
    assert lake.rows(arrays) == [["1", "p"], ["2", None]]
    assert lake.rows(outer) == [["t1", "new"], ["t1", "web"], ["t2", None]]


def test_a_column_is_named_with_database_and_table(lake: Lake):
    table = f"{database_of('acme')}.transactions"

    assert lake.rows(f"SELECT {table}.amount FROM {table} WHERE {table}.transaction_id = 't1'") == [["10.50"]]
    assert lake.rows("SELECT t.place.city FROM transactions t WHERE t.place.code / 2 > 30000 ORDER BY 1") == [
        ["Lyon"],
        ["Paris"],
    ]


def test_moments_with_a_zone_are_compared_with_those_without(lake: Lake):
    sql = """
        SELECT transaction_id, date_diff('day', occurred_at, TIMESTAMP '2024-12-01 00:00:00'), date_trunc('day', occurred_at),
               date_add('day', 1, occurred_at), date_format(occurred_at, '%Y-%m'), CAST(occurred_at AS date)
        FROM transactions WHERE occurred_at BETWEEN TIMESTAMP '2024-09-21 00:00:00' AND TIMESTAMP '2024-09-30 00:00:00'
    """

    assert lake.rows(sql) == [
        ["t2", "70", "2024-09-21 00:00:00.000 UTC", "2024-09-22 23:59:59.000 UTC", "2024-09", "2024-09-21"]
    ]


def test_an_older_snapshot_is_read_by_its_number_or_moment(lake: Lake):
    first, committed = lake.rows(
        'SELECT snapshot_id, CAST(committed_at AS varchar) FROM "transactions$snapshots" ORDER BY committed_at LIMIT 1'
    )[0]

    assert lake.rows(f"SELECT count(*) FROM transactions FOR VERSION AS OF {first}") == [["6"]]
    assert lake.rows(f"SELECT count(*) FROM transactions FOR TIMESTAMP AS OF TIMESTAMP '{committed}'") == [["6"]]
    assert lake.rows("SELECT count(*) FROM transactions") == [["5"]]
    assert "No version history" in lake.reason(
        "SELECT count(*) FROM transactions FOR TIMESTAMP AS OF TIMESTAMP '2020-01-01 00:00:00 UTC'"
    )
    assert "does not exist" in lake.reason("SELECT count(*) FROM transactions FOR VERSION AS OF 42")


def test_only_registered_partitions_count_and_absent_columns_are_null(lake: Lake):
    assert lake.rows("SELECT id, amount, note, year, month FROM sales ORDER BY id") == [
        ["1", "1.50", "n1", "2024", "09"],
        ["2", "2.50", "n2", "2024", "09"],
        ["3", "3.50", None, "2024", "10"],
    ]


def test_a_partition_that_the_condition_rules_out_is_not_read(lake: Lake):
    whole = lake.run("SELECT count(*) FROM sales")["Statistics"]["DataScannedInBytes"]
    one = lake.run("SELECT count(*) FROM sales s WHERE s.month = '10' AND year > 2020")["Statistics"][
        "DataScannedInBytes"
    ]
    none = lake.run("SELECT count(*) FROM sales WHERE month BETWEEN '01' AND '02'")["Statistics"]["DataScannedInBytes"]

    assert whole > one > 0
    assert none == 0


def test_a_condition_on_the_outer_side_of_a_join_leaves_its_rows(lake: Lake):
    sql = """
        SELECT v.m, s.id FROM (VALUES '09', '10', '12') v(m) LEFT JOIN sales s ON s.month = v.m
        WHERE s.month IS NULL OR s.month = '10' ORDER BY 1
    """

    assert lake.rows(sql) == [["10", "3"], ["12", None]]


def test_a_table_of_which_no_partition_is_registered_is_empty(lake: Lake):
    lake.table("bare", {"id": "bigint"}, keys={"day": "string"}, location=f"s3://{bucket_of('acme')}/sales/")

    assert lake.rows("SELECT count(*), max(id) FROM bare") == [["0", None]]


def test_hidden_columns_and_tables_name_files_and_partitions(lake: Lake):
    assert lake.rows("SELECT DISTINCT \"$path\" FROM sales WHERE month = '10'") == [
        [f"s3://{bucket_of('acme')}/sales/year=2024/month=10/part-0.parquet"]
    ]
    assert lake.rows('SELECT year, month FROM "sales$partitions" ORDER BY month') == [["2024", "09"], ["2024", "10"]]


PROJECTION = {
    "enum": {"projection.month.type": "enum", "projection.month.values": "11"},
    "integer": {"projection.month.type": "integer", "projection.month.range": "11,12", "projection.month.digits": "2"},
    "date": {
        "projection.month.type": "date",
        "projection.month.range": "11,11",
        "projection.month.format": "MM",
    },
}


@pytest.mark.parametrize("kind", PROJECTION)
def test_projected_partitions_need_no_registration(lake: Lake, kind: str):
    parameters = {
        "projection.enabled": "true",
        "storage.location.template": f"s3://{bucket_of('acme')}/sales/year=2024/month=${{month}}/",
    }
    lake.table(
        f"projected_{kind}", {"id": "bigint"}, keys={"month": "string"}, parameters=parameters | PROJECTION[kind]
    )

    assert lake.rows(f"SELECT month, count(*) FROM projected_{kind} GROUP BY 1") == [["11", "3"]]


def test_an_injected_partition_needs_a_condition(lake: Lake):
    parameters = {
        "projection.enabled": "true",
        "projection.month.type": "injected",
        "storage.location.template": f"s3://{bucket_of('acme')}/sales/year=2024/month=${{month}}/",
    }
    lake.table("injected", {"id": "bigint"}, keys={"month": "string"}, parameters=parameters)

    assert lake.rows("SELECT count(*) FROM injected WHERE month = '11'") == [["3"]]
    assert "must contain only static equality conditions" in lake.reason("SELECT count(*) FROM injected")


def test_csv_and_json_files_are_read_by_their_serde(lake: Lake):
    lake.put("acme", "people/a.csv", b'name,age,city\n"Ann, B.",41,Oslo\nBob,7,\n')
    lake.table(
        "people",
        {"name": "string", "age": "int", "city": "string"},
        storage=CSV,
        parameters={"skip.header.line.count": "1"},
    )
    lake.put("acme", "tabbed/a.tsv", b"x\t1\ny\tnope\n\\N\t3\n")
    lake.rows(
        "CREATE EXTERNAL TABLE tabbed (name string, n int) ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\t' "
        f"LOCATION 's3://{bucket_of('acme')}/tabbed/'"
    )
    lake.put("acme", "events/a.json", b'{"id": 1, "tags": ["a"], "at": {"x": 2}}\n{"id": 2}\n')
    lake.rows(
        "CREATE EXTERNAL TABLE events (id int, tags array<string>, at struct<x:int>) "
        f"ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://{bucket_of('acme')}/events/'"
    )

    assert lake.rows("SELECT * FROM people ORDER BY age") == [["Bob", "7", ""], ["Ann, B.", "41", "Oslo"]]
    assert lake.rows("SELECT * FROM tabbed ORDER BY name") == [["x", "1"], ["y", None], [None, "3"]]
    assert lake.rows("SELECT id, tags, at.x FROM events ORDER BY id") == [["1", "[a]", "2"], ["2", None, None]]


def test_a_view_is_stored_as_athena_stores_it_and_read(lake: Lake):
    lake.rows("CREATE VIEW totals AS SELECT month, sum(amount) AS total FROM transactions GROUP BY month")
    lake.rows("CREATE OR REPLACE VIEW best AS SELECT max(total) AS best FROM totals")

    assert lake.rows("SELECT month, total / 2 FROM totals ORDER BY 1") == [
        ["09", "15.38"],
        ["10", "48.45"],
        ["11", "3.89"],
    ]
    assert lake.rows("SELECT * FROM best") == [["96.90"]]
    assert lake.rows("SHOW VIEWS LIKE 'tot*'") == [["totals"]]
    stored = lake.root("glue").get_table(DatabaseName=database_of("acme"), Name="totals")["Table"]
    assert stored["TableType"] == "VIRTUAL_VIEW"
    assert stored["ViewOriginalText"].startswith("/* Presto View: ")
    assert stored["StorageDescriptor"]["Columns"][1]["Type"] == "decimal(38,2)"
    assert "already exists" in lake.reason("CREATE VIEW totals AS SELECT 1 AS x")
    lake.rows("DROP VIEW best")
    assert "TABLE_NOT_FOUND" in lake.reason("SELECT * FROM best")


def test_a_table_made_from_a_query_is_partitioned_read_and_extended(lake: Lake):
    lake.rows(
        "CREATE TABLE copied WITH (format = 'PARQUET', partitioned_by = ARRAY['month']) AS "
        "SELECT transaction_id AS id, amount, tags, month FROM transactions"
    )
    lake.rows("INSERT INTO copied SELECT 't9', DECIMAL '1.25', ARRAY['late'], '12'")

    assert lake.rows("SELECT id, amount, tags, month FROM copied WHERE month >= '11' ORDER BY id") == [
        ["t5", "7.77", "[a, b, c]", "11"],
        ["t9", "1.25", "[late]", "12"],
    ]
    assert lake.rows("SHOW PARTITIONS copied") == [["month=09"], ["month=10"], ["month=11"], ["month=12"]]
    table = lake.root("glue").get_table(DatabaseName=database_of("acme"), Name="copied")["Table"]
    assert table["StorageDescriptor"]["Location"].startswith(f"s3://{bucket_of('acme')}/athena-results/tables/")
    assert [c["Type"] for c in table["StorageDescriptor"]["Columns"]] == ["string", "decimal(18,2)", "array<string>"]
    assert "already exists" in lake.reason("CREATE TABLE copied AS SELECT 1 AS x")
    lake.rows("DROP TABLE copied")
    assert "TABLE_NOT_FOUND" in lake.reason("SELECT * FROM copied")


def test_a_chosen_location_is_refused_where_the_workgroup_enforces_its_own(lake: Lake):
    place = f"s3://{bucket_of('acme')}/chosen-table/"
    sql = f"CREATE TABLE placed WITH (external_location = '{place}') AS SELECT 1 AS x"

    assert "external_location" in lake.reason(sql)
    lake.rows(sql, workgroup="org-acme-test-free")
    assert lake.rows("SELECT x FROM placed") == [["1"]]
    again = sql.replace("TABLE placed", "TABLE placed_again")
    assert "HIVE_PATH_ALREADY_EXISTS" in lake.reason(again, workgroup="org-acme-test-free")


def test_unload_writes_parquet_and_a_manifest_of_it(lake: Lake):
    place = f"s3://{bucket_of('acme')}/unloaded-sales/"

    execution = lake.run(
        f"UNLOAD (SELECT id, month FROM sales) TO '{place}' WITH (format = 'PARQUET', compression = 'SNAPPY')"
    )

    manifest = execution["Statistics"]["DataManifestLocation"].removeprefix(f"s3://{bucket_of('acme')}/")
    lines = lake.root("s3").get_object(Bucket=bucket_of("acme"), Key=manifest)["Body"].read().decode().split()
    assert [line.startswith(place) for line in lines] == [True]
    lake.table("unloaded", {"id": "bigint", "month": "string"}, location=place)
    assert lake.rows("SELECT count(*) FROM unloaded") == [["3"]]


def test_partitions_are_added_dropped_and_repaired(lake: Lake):
    lake.rows(
        "CREATE EXTERNAL TABLE repaired (id bigint, amount decimal(10,2)) PARTITIONED BY (year int, month string) "
        f"STORED AS PARQUET LOCATION 's3://{bucket_of('acme')}/sales/'"
    )
    lake.rows("ALTER TABLE repaired ADD PARTITION (year = 2024, month = '09')")

    assert lake.rows("SELECT count(*) FROM repaired") == [["2"]]
    assert lake.rows("MSCK REPAIR TABLE repaired") == [
        ["Repair: Added partition to metastore repaired:year=2024/month=10"],
        ["Repair: Added partition to metastore repaired:year=2024/month=11"],
    ]
    assert lake.rows("SELECT count(*) FROM repaired") == [["6"]]
    lake.rows("ALTER TABLE repaired DROP PARTITION (year = 2024, month = '10')")
    assert lake.rows("SELECT count(*) FROM repaired") == [["5"]]
    assert "already exists" in lake.reason("ALTER TABLE repaired ADD PARTITION (year = 2024, month = '09')")


def test_the_catalog_is_shown(lake: Lake):
    assert lake.rows("SHOW COLUMNS IN sales") == [["id"], ["amount"], ["note"], ["year"], ["month"]]
    assert lake.rows("SHOW TABLES 'sal*'") == [["sales"]]
    assert lake.rows("DESCRIBE sales")[:2] == [["id", "bigint", ""], ["amount", "decimal(10,2)", ""]]
    assert lake.rows("SHOW CREATE TABLE sales")[0] == [f"CREATE EXTERNAL TABLE `{database_of('acme')}.sales`("]
    assert lake.rows("SHOW TBLPROPERTIES sales('EXTERNAL')") == [["EXTERNAL", "TRUE"]]
    assert lake.rows("SELECT column_name FROM information_schema.columns WHERE table_name = 'sales' ORDER BY ordinal_position") == [
        ["id"], ["amount"], ["note"], ["year"], ["month"],
    ]  # fmt: skip
    assert any("PROJECTION" in line[0] for line in lake.rows("EXPLAIN SELECT 1"))


def test_a_quarantine_table_with_arrays_is_read(lake: Lake):
    rejected = {
        "file": ["raw/x.csv"],
        "reasons": [["amount: oops is not decimal(18,2)"]],
        "record": ['{"amount": "oops"}'],
    }
    lake.put_parquet("acme", "quarantine/t/year=2024/month=09/run=r1/0.parquet", pa.table(rejected))
    lake.table(
        "t_quarantine",
        {"file": "string", "reasons": "array<string>", "record": "string"},
        keys={"year": "string", "month": "string", "run": "string"},
    )
    lake.partition("t_quarantine", ["2024", "09", "r1"], "quarantine/t/year=2024/month=09/run=r1")

    sql = "SELECT file, reason, json_extract_scalar(record, '$.amount') FROM t_quarantine CROSS JOIN UNNEST(reasons) AS u(reason)"

    assert lake.rows(sql) == [["raw/x.csv", "amount: oops is not decimal(18,2)", "oops"]]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT * FROM nowhere", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.org_acme_test.nowhere' does not exist"),
        ("SELECT\n  missing FROM sales", "COLUMN_NOT_FOUND: line 2:3: Column 'missing' cannot be resolved"),
        ("SELECT s.missing FROM sales s", "COLUMN_NOT_FOUND: line 1:10: Column 'missing' cannot be resolved"),
        ("SELECT xxhash64(to_utf8('a'))", "FUNCTION_NOT_FOUND: line 1:8: Function 'xxhash64' not registered"),
        ("SELECT id, count(*) FROM sales", "EXPRESSION_NOT_AGGREGATE"),
        ("SELECT 1 / (id - id) FROM sales", "DIVISION_BY_ZERO: Division by zero"),
        ("SELECT CAST(note AS integer) FROM sales", "INVALID_CAST_ARGUMENT: Cannot cast 'n1"),
        ("SELECT x FROM othercatalog.db.t", "CATALOG_NOT_FOUND"),
        ("INSERT INTO transactions SELECT 1", "NOT_SUPPORTED: INSERT INTO the Iceberg table"),
        ("DELETE FROM transactions", "NOT_SUPPORTED: DELETE is not run"),
        ("DROP TABLE transactions", "NOT_SUPPORTED: DROP TABLE of the Iceberg table"),
        ("UNLOAD (SELECT 1 AS x) TO 's3://org-acme-test-datalake/o/' WITH (format = 'ORC')", "NOT_SUPPORTED: UNLOAD"),
        ("CREATE TABLE o WITH (format = 'ORC') AS SELECT 1 AS x", "NOT_SUPPORTED: CREATE TABLE AS"),
    ],
)  # fmt: skip
def test_failures_are_worded_as_athena_words_them(lake: Lake, sql: str, words: str):
    assert words in lake.reason(sql)
