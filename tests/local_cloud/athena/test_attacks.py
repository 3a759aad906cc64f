"""Ways out of a tenant's own tables, each beside the same statement on what the tenant may reach."""

from dataclasses import dataclass

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.athena.conftest import Lake, bucket_of, database_of, workgroup_of

pytestmark = pytest.mark.cloud

OWN, OTHER = "acme", "globex"


@dataclass(frozen=True)
class Attack:
    """`sql` with {db} and {bucket} of another tenant fails with one of `words`, and with one's own succeeds.

    Where a tenant cannot do the like at all, `twin` is what it can do instead.
    """

    name: str
    sql: str
    words: str = "PERMISSION_DENIED"
    twin: str = ""

    def __str__(self) -> str:
        return self.name


ATTACKS = [
    # Other databases, however they are written
    Attack("another database", "SELECT * FROM {db}.loot"),
    Attack("in capitals", "SELECT * FROM {DB}.LOOT"),
    Attack("quoted", 'SELECT * FROM "{db}"."loot"'),
    Attack("quoted in capitals", 'SELECT * FROM "{DB}"."Loot"'),
    Attack("with its catalog", 'SELECT * FROM "AwsDataCatalog"."{db}"."loot"'),
    Attack("with its catalog in small letters", "SELECT * FROM awsdatacatalog.{db}.loot"),
    Attack("another catalog", "SELECT * FROM hive.{db}.loot", "CATALOG_NOT_FOUND", "SELECT * FROM {db}.loot"),
    Attack("the engine's catalog", "SELECT * FROM memory.main.loot", "CATALOG_NOT_FOUND", "SELECT * FROM {db}.loot"),
    Attack("a dot inside of a name", 'SELECT * FROM "{db}.loot"', "TABLE_NOT_FOUND", 'SELECT * FROM "loot"'),
    Attack("in a subquery", "SELECT (SELECT max(x) FROM {db}.loot)"),
    Attack("in a condition", "SELECT 1 WHERE EXISTS (SELECT 1 FROM {db}.loot)"),
    Attack("in a WITH query", "WITH a AS (SELECT * FROM {db}.loot) SELECT * FROM a"),
    Attack("behind a WITH query of its name", "WITH loot AS (SELECT 1 AS x) SELECT * FROM {db}.loot"),
    Attack("in a set operation", "SELECT 1 UNION ALL SELECT x FROM {db}.loot"),
    Attack("in a join", "SELECT 1 FROM (VALUES 1) AS a(x) JOIN {db}.loot USING (x)"),
    Attack("its partitions", 'SELECT * FROM {db}."dated$partitions"'),
    Attack("its plan", "EXPLAIN SELECT * FROM {db}.loot"),
    Attack("its columns", "SHOW COLUMNS IN loot IN {db}"),
    Attack("its description", "DESCRIBE {db}.loot"),
    Attack("its definition", "SHOW CREATE TABLE {db}.loot"),
    Attack("its properties", "SHOW TBLPROPERTIES {db}.loot"),
    Attack("its list of partitions", "SHOW PARTITIONS {db}.dated"),
    Attack("its tables", "SHOW TABLES IN {db}"),
    Attack("its views", "SHOW VIEWS IN {db}"),
    Attack("unloaded", "UNLOAD (SELECT * FROM {db}.loot) TO 's3://{own}/{unique}/' WITH (format = 'PARQUET')"),
    Attack("as a table of one's own", "CREATE TABLE {unique} AS SELECT * FROM {db}.loot"),
    Attack("as a view of one's own", "CREATE VIEW {unique} AS SELECT * FROM {db}.loot"),
    Attack("inserted", "INSERT INTO kept SELECT x FROM {db}.loot"),
    # Changes of another's things
    Attack("a table in it", "CREATE TABLE {db}.{unique} AS SELECT 1 AS x"),
    Attack("an external table in it", "CREATE EXTERNAL TABLE {db}.{unique} (x int) LOCATION 's3://{own}/{unique}/'"),
    Attack("a view in it", "CREATE VIEW {db}.{unique} AS SELECT 1 AS x"),
    Attack("rows in it", "INSERT INTO {db}.kept SELECT 1 AS x"),
    Attack("a partition in it", "ALTER TABLE {db}.dated ADD PARTITION (day = '{unique}')"),
    Attack("a repair of it", "MSCK REPAIR TABLE {db}.dated"),
    # One's own table over another's files
    Attack("a table over its files", "SELECT * FROM {over}"),
    Attack("a partition over its files", "SELECT * FROM dated WHERE day = '{over}'"),
    Attack("rows into its files", "INSERT INTO {over} SELECT 1 AS x"),
    Attack("unloaded into its bucket", "UNLOAD (SELECT 1 AS x) TO 's3://{bucket}/{unique}/' WITH (format = 'PARQUET')"),
    # The engine's own ways to files
    Attack("a file as a table", "SELECT * FROM 's3://{bucket}/loot/part.parquet'", "", "SELECT * FROM loot"),
    Attack(
        "a quoted file as a table", 'SELECT * FROM "s3://{bucket}/loot/part.parquet"', "TABLE_NOT_FOUND", "TABLE loot"
    ),
    Attack(
        "a file as a recursive WITH query",
        'WITH RECURSIVE "s3://{bucket}/loot/part.parquet" AS (SELECT * FROM "s3://{bucket}/loot/part.parquet") '
        'SELECT * FROM "s3://{bucket}/loot/part.parquet"',
        "NOT_SUPPORTED",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t",
    ),
    Attack(
        "the engine's catalog as a recursive WITH query",
        "WITH RECURSIVE duckdb_views AS (SELECT * FROM duckdb_views) SELECT * FROM duckdb_views",
        "TABLE_NOT_FOUND",
        "WITH duckdb_views AS (SELECT 1) SELECT * FROM duckdb_views",
    ),
    Attack(
        "a function as LATERAL rows",
        "SELECT * FROM loot CROSS JOIN LATERAL histogram('s3://{bucket}/loot/part.parquet', x)",
        "NOT_SUPPORTED",
        "SELECT * FROM loot CROSS JOIN LATERAL (SELECT x + 1 AS y) AS z",
    ),
    Attack("a file as LATERAL rows", 'SELECT * FROM LATERAL "/etc/passwd"', "NOT_SUPPORTED", "TABLE loot"),
    # What a partition is called becomes a folder
    Attack(
        "a partition that climbs",
        "CREATE TABLE {unique} WITH (external_location = 's3://{bucket}/{unique}/', partitioned_by = ARRAY['p']) AS "
        "SELECT 1 AS x, '../../climbed' AS p",
        "INVALID_TABLE_PROPERTY",
        "CREATE TABLE {unique} WITH (partitioned_by = ARRAY['p']) AS SELECT 1 AS x, '../../climbed' AS p",
    ),
]


@pytest.fixture(scope="module")
def loot(lake: Lake) -> Lake:
    """Tables of the same names at both tenants, and tables of acme's over files of globex's."""
    for tenant in (OWN, OTHER):
        lake.put_parquet(tenant, "loot/part.parquet", pa.table({"x": [42]}))
        lake.put_parquet(tenant, "kept/part.parquet", pa.table({"x": [42]}))
        lake.put_parquet(tenant, "dated/day=1/part.parquet", pa.table({"x": [42]}))
        for name in ("loot", "kept"):
            lake.table(name, {"x": "int"}, tenant=tenant)
        lake.table("dated", {"x": "int"}, keys={"day": "string"}, tenant=tenant)
    for tenant in (OWN, OTHER):
        files = f"s3://{bucket_of(tenant)}"
        lake.table(f"over_{tenant}", {"x": "int"}, location=f"{files}/kept/")
        lake.rows(f"ALTER TABLE dated ADD PARTITION (day = 'over_{tenant}') LOCATION '{files}/loot/'")
    return lake


def written(sql: str, tenant: str, unique: str) -> str:
    database = database_of(tenant)
    return sql.format(
        db=database, DB=database.upper(), bucket=bucket_of(tenant), own=bucket_of(OWN), unique=unique,
        over=f"over_{tenant}",
    )  # fmt: skip


def outcome(lake: Lake, sql: str) -> str:
    """Why a statement failed, or was refused before it began."""
    try:
        return lake.reason(sql)
    except ClientError as refused:
        return str(refused)


@pytest.mark.parametrize("number", range(len(ATTACKS)), ids=[attack.name for attack in ATTACKS])
def test_a_way_out_is_closed_and_the_way_at_home_open(loot: Lake, number: int):
    attack = ATTACKS[number]
    refusal = outcome(loot, written(attack.sql, OTHER, f"attack{number}"))

    assert attack.words in refusal
    assert "INTERNAL" not in refusal
    loot.rows(written(attack.twin or attack.sql, OWN, f"twin{number}"))


def test_a_location_cannot_climb_into_the_bucket_beside(loot: Lake):
    """`..` is a letter of keys: a key that would lead to another's file is not that file, nor read at all."""
    above = f"../{bucket_of(OTHER)}/loot"
    loot.table("above", {"x": "int"}, location=f"s3://{bucket_of(OWN)}/{above}/")
    assert loot.rows("SELECT x FROM above") == []

    loot.put_parquet(OWN, f"{above}/part.parquet", pa.table({"x": [7]}))

    assert "PERMISSION_DENIED" in loot.reason("SELECT x FROM above")
    assert loot.rows("SELECT x FROM loot") == [["42"]]


def test_letters_that_the_engine_knows_in_addresses_are_letters_of_a_key(loot: Lake):
    """`*` and `[` would read other files than the listed one, and `?` would name another server."""
    for number, key in enumerate(("a*.parquet", "a[1].parquet", "a?s3_endpoint=127.0.0.1:9", "a%2e%2e.parquet", "a#b")):
        folder = f"letters{number}"
        loot.put_parquet(OWN, f"{folder}/{key}", pa.table({"x": [number]}))
        loot.table(folder, {"x": "int"})

        assert loot.rows(f"SELECT x FROM {folder}") == [[str(number)]]


def test_a_pattern_in_a_key_reads_that_key_alone(loot: Lake):
    loot.put_parquet(OWN, "pattern/part*.parquet", pa.table({"x": [1]}))
    loot.put_parquet(OWN, "pattern/_hidden/part.parquet", pa.table({"x": [9]}))
    loot.put_parquet(OWN, "pattern/part2.parquet", pa.table({"x": [2]}))
    loot.table("pattern", {"x": "int"})

    assert sorted(loot.rows("SELECT x FROM pattern")) == [["1"], ["2"]]


def test_a_partition_called_like_a_path_stays_below_its_table(loot: Lake):
    loot.rows("CREATE TABLE climbing WITH (partitioned_by = ARRAY['p']) AS SELECT 1 AS x, '../../climbed' AS p")

    keys = [each["Key"] for each in loot.root("s3").list_objects_v2(Bucket=bucket_of(OWN))["Contents"]]
    assert [key for key in keys if key.startswith(("climbed", "../climbed"))] == []
    assert loot.rows("SELECT x, p FROM climbing") == [["1", "../../climbed"]]


PREPARED = {"StatementName": "theirs", "QueryStatement": "SELECT x FROM loot"}


def test_prepared_statements_belong_to_their_workgroup(loot: Lake):
    theirs, mine = loot.athena(OTHER), loot.athena(OWN)
    loot.root("athena").create_prepared_statement(**PREPARED, WorkGroup=workgroup_of(OTHER))
    named = {"StatementName": "theirs", "WorkGroup": workgroup_of(OTHER)}

    for call in (mine.get_prepared_statement, mine.delete_prepared_statement):
        with pytest.raises(ClientError, match="not authorized"):
            call(**named)
    with pytest.raises(ClientError, match="not authorized"):
        mine.create_prepared_statement(**named | {"StatementName": "mine"}, QueryStatement="SELECT 1")
    with pytest.raises(ClientError, match="not authorized"):
        mine.list_prepared_statements(WorkGroup=workgroup_of(OTHER))
    assert "NOT_FOUND" in loot.reason("EXECUTE theirs", OWN)
    assert loot.rows("EXECUTE theirs", OTHER) == [["42"]]
    del theirs


def test_a_prepared_statement_is_checked_when_it_runs(loot: Lake):
    loot.rows(f"PREPARE sneaky FROM SELECT x FROM {database_of(OTHER)}.loot", OWN)
    loot.rows("PREPARE honest FROM SELECT x FROM loot", OWN)
    loot.rows("PREPARE file FROM SELECT * FROM read_text('/etc/passwd')", OWN)
    loot.rows("PREPARE copying FROM COPY (SELECT 1) TO 'x'", OWN)

    assert "PERMISSION_DENIED" in loot.reason("EXECUTE sneaky", OWN)
    assert "FUNCTION_NOT_FOUND" in loot.reason("EXECUTE file", OWN)
    assert "mismatched input" in loot.reason("EXECUTE copying", OWN)
    assert loot.rows("EXECUTE honest", OWN) == [["42"]]


def test_named_queries_belong_to_their_workgroup(loot: Lake):
    made = loot.root("athena").create_named_query(
        Name="theirs", Database=database_of(OTHER), QueryString="SELECT 1", WorkGroup=workgroup_of(OTHER)
    )["NamedQueryId"]
    mine, theirs = loot.athena(OWN), loot.athena(OTHER)

    with pytest.raises(ClientError, match="not authorized"):
        mine.get_named_query(NamedQueryId=made)
    with pytest.raises(ClientError, match="not authorized"):
        mine.list_named_queries(WorkGroup=workgroup_of(OTHER))
    assert mine.batch_get_named_query(NamedQueryIds=[made])["NamedQueries"] == []
    assert made in theirs.list_named_queries(WorkGroup=workgroup_of(OTHER))["NamedQueryIds"]
    assert theirs.get_named_query(NamedQueryId=made)["NamedQuery"]["QueryString"] == "SELECT 1"


def test_a_database_as_context_gives_no_right_on_it(loot: Lake):
    def ended(database: str) -> str:
        started = loot.athena(OWN).start_query_execution(
            QueryString="SELECT x FROM loot", WorkGroup=workgroup_of(OWN), QueryExecutionContext={"Database": database}
        )
        return str(loot.wait(started["QueryExecutionId"], OWN)["Status"])

    assert "PERMISSION_DENIED" in ended(database_of(OTHER))
    assert "SUCCEEDED" in ended(database_of(OWN))


def test_information_schema_of_another_is_empty_in_any_spelling(loot: Lake):
    for schema in (
        "information_schema",
        "INFORMATION_SCHEMA",
        '"information_schema"',
        "awsdatacatalog.information_schema",
    ):
        for view in ("tables", "columns"):
            sql = f"SELECT count(*) FROM {schema}.{view} WHERE table_schema = '{{}}'"

            assert loot.rows(sql.format(database_of(OTHER)), OWN) == [["0"]]
            assert loot.rows(sql.format(database_of(OWN)), OWN) != [["0"]]
