"""No text of a tenant's reaches past the tables of the catalog: neither by a function of the engine nor by quoting."""

import json
from functools import cache
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from local_cloud.athena import engine, names, relation
from local_cloud.athena.catalog import Column, Table
from local_cloud.athena.cursor import Cursor, Name
from local_cloud.athena.errors import AthenaError, QueryFailed
from local_cloud.athena.parser import parse
from local_cloud.athena.prepared import bind
from local_cloud.athena.statement import Kind
from local_cloud.athena.translate import Translation
from local_cloud.athena.types import from_hive, quoted, text

FORMS = (
    "SELECT * FROM {0}('x')",
    "SELECT * FROM {0}()",
    "SELECT * FROM {0}(path => 'x')",
    "SELECT * FROM \"{0}\"('x')",
    "SELECT * FROM {1}('x')",
    "SELECT * FROM main.{0}('x')",
    "SELECT * FROM system.main.{0}('x')",
    'SELECT * FROM "awsdatacatalog".main."{0}"(\'x\')',
    "SELECT * FROM TABLE({0}('x'))",
    "SELECT * FROM db.t, {0}('x')",
    "SELECT * FROM db.t CROSS JOIN LATERAL {0}('x')",
    "SELECT * FROM LATERAL {0}('x')",
    "SELECT * FROM LATERAL {0}",
    "SELECT * FROM db.t LATERAL VIEW {0}('x') v AS x",
    "SELECT * FROM db.t WHERE x IN (SELECT * FROM {0}('x'))",
    "SELECT (SELECT content FROM {0}('x') AS f)",
    "WITH a AS (SELECT * FROM {0}('x')) SELECT * FROM a",
    "WITH {0} AS (SELECT 1) SELECT * FROM {0}('x')",
    "SELECT 1 UNION ALL SELECT * FROM {0}('x')",
    "SELECT * FROM {0}/**/('x')",
    "SELECT * FROM {0} ('x') AS \"x\"",
    "FROM {0}('x')",
)
# Rows of what the statement itself holds: they reach nothing. `show` is read as a table's name, and looked up.
HARMLESS = {"unnest", "show"}


@cache
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config=engine.CONFIGURATION)
    for name in engine.EXTENSIONS:
        connection.execute(f"LOAD {text(engine.extension(name))}")
    for macro in engine.MACROS:
        connection.execute(macro)
    return connection


def functions(condition: str) -> list[str]:
    rows = database().execute(f"SELECT DISTINCT function_name FROM duckdb_functions() WHERE {condition}").fetchall()
    return sorted(str(row[0]) for row in rows)


def translated(sql: str) -> str:
    """The engine's text of a query; raises AthenaError."""
    statement = parse(sql)
    assert statement.kind is Kind.SELECT
    list(names.tables(statement.tree))
    return Translation({}).run(statement.tree.copy())


def test_no_function_of_the_engine_that_yields_rows_is_reached_in_any_spelling():
    found = functions("function_type IN ('table', 'table_macro', 'pragma')")
    reached = []
    for name in set(found) - HARMLESS:
        for form in FORMS:
            try:
                reached.append(translated(form.format(name, name.upper())))
            except AthenaError:
                continue

    assert len(found) > 100
    assert {"read_csv", "read_parquet", "read_text", "glob", "iceberg_scan", "duckdb_secrets", "query"} <= set(found)
    assert reached == []


def test_no_function_that_reads_or_changes_the_engines_own_state_is_reached():
    volatile = functions("function_type = 'scalar' AND (has_side_effects OR stability = 'VOLATILE')")
    values = {"random", "uuid", "gen_random_uuid"}  # Athena's own, or read as them
    states = {
        "current_setting",
        "current_database",
        "current_schemas",
        "getenv",
        "getvariable",
        "pg_typeof",
        "in_search_path",
    }
    reached = []
    for name in {*volatile, *states} - values:
        for form in (
            "SELECT {0}()",
            "SELECT {0}('x')",
            "SELECT {0}('x', 'y')",
            "SELECT main.{0}('x')",
            "SELECT \"{0}\"('x')",
        ):
            try:
                reached.append(translated(form.format(name)))
            except AthenaError:
                continue

    assert {"nextval", "write_log", "current_query"} <= set(volatile)
    assert reached == []


@pytest.mark.parametrize("name", sorted({macro.split("(")[0].split()[-1] for macro in engine.MACROS}))
def test_the_endpoints_own_macros_are_not_for_tenants(name: str):
    with pytest.raises(QueryFailed):
        translated(f"SELECT {name}(1)")


# Whatever a name or a value says, it stays a name or a value. Zero bytes are no text of SQL's.
NASTY = st.sampled_from(
    ["'", '"', "''", '""', "`", ";", "--", "/*", "*/", "\\", "\\'", "$$", "$a$", "E'", "U&'", "x'", "\n", "\r", "\t", "\u2028",
     "(", ")", "{", "}", "[", "]", "%", "_", "?", ":x", "@", "#", " ", "\u00a0", "\u202e", "\uff07", "\u0130", "\ud7ff",
     "DROP TABLE t", "UNION ALL SELECT", "read_text('/etc/passwd')", "FROM", "AS", "COPY", "x.csv", "s3://b/k", "..", "NULL"]
)  # fmt: skip
TEXT = st.lists(
    NASTY | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4), max_size=8
)
WORDS = TEXT.map("".join)


def one_statement(sql: str) -> str:
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.ParserException:
        reject()  # the engine runs nothing of it
    assert len(statements) == 1
    return sql


@settings(deadline=None)
@given(WORDS)
@example("\\' UNION ALL SELECT 1 --")
def test_a_literal_is_the_text_that_it_is(value: str):
    sql = one_statement(translated(f"SELECT {text(value)} AS x"))

    assert database().execute(sql).fetchall() == [(value,)]


@settings(deadline=None)
@given(WORDS.filter(bool))
@example("x\" FROM read_text('/etc/passwd') --")
def test_a_quoted_name_is_the_name_that_it_is(name: str):
    sql = one_statement(translated(f"SELECT 1 AS {quoted(name)}"))

    assert [column[0] for column in database().execute(sql).description or []] == [name]


@settings(deadline=None)
@given(WORDS.filter(bool))
def test_a_quoted_table_is_looked_up_under_its_whole_name(name: str):
    (node,) = names.tables(parse(f"SELECT * FROM db.{quoted(name)}").tree)
    shown = parse(f"DESCRIBE db.{quoted(name)}").name

    assert names.name_of(node) == shown == Name(name.lower(), "db")


@settings(deadline=None)
@given(WORDS, WORDS)
def test_a_parameter_is_a_literal_or_refused(value: str, other: str):
    sql = one_statement(translated(bind("SELECT ? AS x, ? AS y", [text(value), text(other)])))

    assert database().execute(sql).fetchall() == [(value, other)]


@settings(deadline=None)
@given(WORDS)
def test_what_is_no_literal_is_no_parameter(value: str):
    try:
        bound = bind("SELECT ? AS x", [value])
    except AthenaError:
        return
    select = parse(bound).tree
    assert [node for node in select.walk() if type(node).__name__ in ("Subquery", "Table", "Column", "Anonymous")] == []


def a_table(columns: list[str], kind: str = "string") -> Table:
    parquet = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    described = tuple(Column(name, kind) for name in columns)
    return Table("db", "t", described, (), "s3://b/t/", {}, parquet, {})


@settings(deadline=None)
@given(st.lists(WORDS.filter(bool), min_size=1, max_size=4, unique_by=str.lower))
def test_columns_of_the_catalog_stay_names(columns: list[str]):
    sql = one_statement(relation._empty(a_table(columns), with_path=False))

    assert [column[0] for column in database().execute(sql).description or []] == columns


@settings(deadline=None)
@given(WORDS)
@example("a int); DROP TABLE t; --")
@example("a:int>>,b:struct<c")
def test_a_type_of_the_catalog_is_a_type_or_refused(name: str):
    try:
        kind = from_hive(f"struct<{name}:int,b:string>")
    except QueryFailed:
        return
    sql = one_statement(f"SELECT CAST(NULL AS {kind.sql}) AS x")

    assert str(database().execute(sql).fetchall()) == "[(None,)]"


@settings(deadline=None)
@given(WORDS)
def test_a_columns_type_is_a_type_or_refused(written: str):
    try:
        sql = one_statement(relation._empty(a_table(["x"], written), with_path=False))
    except QueryFailed:
        return
    assert database().execute(sql).fetchall() == []


@given(
    st.lists(st.tuples(st.sampled_from(["", "db.", "a."]), NASTY | WORDS), max_size=10), st.sampled_from(["", "'", '"'])
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_let_through_is_one_select_over_tables_that_were_looked_up(parts: list[tuple[str, str]], mark: str):
    soup = " ".join(prefix + word for prefix, word in parts)
    try:
        statement = parse(f"SELECT 1 AS x, {mark}{soup}{mark}")
        looked_up = {names.name_of(node).name for node in names.tables(statement.tree)}
        sql = Translation({}).run(statement.tree.copy())
    except AthenaError:
        return

    one_statement(sql)
    read = engines_reading(sql)
    assert read["functions"] <= HARMLESS
    assert {name.lower() for name in read["tables"]} <= looked_up


def engines_reading(sql: str) -> dict[str, set[str]]:
    """What the engine's own parser finds in a text: an opinion that owes nothing to ours."""
    found: dict[str, set[str]] = {"tables": set(), "functions": set()}

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("type") == "TABLE_FUNCTION":
                found["functions"].add(node["function"]["function_name"].lower())
            if node.get("type") == "BASE_TABLE":
                found["tables"].add(node["table_name"])
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    serialized = database().execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0][0]
    tree = json.loads(serialized)
    if tree.get("error"):  # no SELECT, or no SQL of the engine's: nothing is run
        return found
    walk(tree)
    return found


def test_the_engines_reading_sees_what_it_shall():
    read = engines_reading("WITH a AS (SELECT * FROM glob('x')) SELECT * FROM a, b.c, read_text('y')")

    assert read == {"tables": {"a", "c"}, "functions": {"glob", "read_text"}}


@settings(deadline=None)
@given(WORDS)
def test_words_after_the_statements_end_are_no_second_one(tail: str):
    cursor = Cursor(f"SELECT 1; {tail}")
    cursor.drop_final_semicolon()
    rest = [token for token in cursor.tokens[2:] if token.text != ";"]
    if rest:
        with pytest.raises(AthenaError):
            parse(f"SELECT 1; {tail}")
