"""Statements that try to leave the tables of the catalog."""

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.athena.conftest import Lake, bucket_of

pytestmark = pytest.mark.cloud

REFUSED_AT_ONCE = [
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE sales",
    "COPY sales TO 'x.csv'",
    "COPY (SELECT 1) TO 'x.csv'",
    "ATTACH '/etc/passwd' AS x",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA version",
    "CALL pragma_version()",
    "CREATE SECRET s (TYPE s3)",
    "CREATE MACRO f(x) AS x",
    "EXPORT DATABASE 'x'",
    "CHECKPOINT",
    "USE memory",
    "-- nothing",
    "SELECT * FROM glob('/etc/*')",
]
FAILING = [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM READ_BLOB('/etc/passwd')",
    f"SELECT * FROM read_parquet('s3://{bucket_of('globex')}/secrets/part.parquet')",
    "SELECT * FROM main.read_text('/etc/passwd')",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM pragma_version()",
    "SELECT * FROM which_secret('s3://x/y', 's3')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('sales')",
    "SELECT * FROM iceberg_scan('s3://x/y')",
    "SELECT * FROM TABLE(read_text('/etc/passwd'))",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM UNNEST(read_text('/etc/passwd')) t(x)",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x",
    "SELECT getenv('HOME')",
    "SELECT getvariable('x')",
    "SELECT current_setting('s3_access_key_id')",
    "SELECT read_text('/etc/passwd')",
    "SELECT current_user",
    "SELECT version()",
    "SELECT lake_scaled(1, 2)",
    "SELECT error('x')",
    "SELECT COLUMNS('.*') FROM sales",
    "SELECT * EXCEPT (id) FROM sales",
    "SELECT * FROM sales PIVOT (sum(id) FOR month IN ('09'))",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM system.information_schema.tables",
    "SELECT * FROM lake_information_schema.tables",
    "SELECT 1 /* */ FROM /* ; */ read_text('/etc/passwd') -- x",
    "EXPLAIN SELECT * FROM read_text('/etc/passwd')",
    "CREATE VIEW bad AS SELECT * FROM read_text('/etc/passwd')",
    "CREATE TABLE bad AS SELECT * FROM read_text('/etc/passwd')",
    "INSERT INTO sales SELECT * FROM read_text('/etc/passwd')",
    f"UNLOAD (SELECT * FROM read_text('/etc/passwd')) TO 's3://{bucket_of('acme')}/u/' WITH (format = 'PARQUET')",
    "UNLOAD (SELECT 1 AS x) TO 'unloaded' WITH (format = 'PARQUET')",
    "CREATE EXTERNAL TABLE local_files (line string) STORED AS TEXTFILE LOCATION '/etc/'",
    "CREATE EXTERNAL TABLE local_files (line string) STORED AS TEXTFILE LOCATION 'file:///etc/'",
]  # fmt: skip


@pytest.mark.parametrize("sql", REFUSED_AT_ONCE)
def test_what_is_no_query_is_refused_at_once(lake: Lake, sql: str):
    with pytest.raises(ClientError) as caught:
        lake.start(sql)

    assert caught.value.response["Error"]["Code"] in ("InvalidRequestException", "ParamValidation")


@pytest.mark.parametrize("sql", FAILING)
def test_a_query_reaches_nothing_but_tables_of_the_catalog(lake: Lake, sql: str):
    reason = lake.reason(sql)

    assert "INTERNAL" not in reason
    assert "root:" not in reason


@pytest.mark.parametrize("location", ["/etc/passwd", "file:///etc/passwd", "https://127.0.0.1/x.json"])
def test_an_iceberg_table_whose_metadata_lies_outside_of_s3_is_refused(lake: Lake, location: str):
    name = f"outside_{abs(hash(location))}"
    lake.table(name, {"x": "int"}, parameters={"table_type": "ICEBERG", "metadata_location": location})

    assert "is not an address in S3" in lake.reason(f"SELECT * FROM {name}")


def test_comments_and_text_stay_what_they_are(lake: Lake):
    sql = "SELECT '; DROP TABLE sales --' AS x /* ; SELECT 2 */ -- */ ; SELECT 3\n"

    assert lake.rows(sql) == [["; DROP TABLE sales --"]]
