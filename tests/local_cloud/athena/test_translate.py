"""Trino's values from DuckDB: every expectation is written by hand from Trino's documentation and measured answers."""

from pathlib import Path

import duckdb
import pytest

from local_cloud.athena import engine, output
from local_cloud.athena.errors import QueryFailed
from local_cloud.athena.macros import MACROS
from local_cloud.athena.syntax import parse_query
from local_cloud.athena.translate import Translation, shown_names
from local_cloud.athena.types import from_duckdb

COLUMNS = {
    "n": "INTEGER",
    "price": "DECIMAL(10,2)",
    "ratio": "DOUBLE",
    "word": "VARCHAR",
    "day": "DATE",
    "moment": "TIMESTAMP",
    "numbers": "INTEGER[]",
    "dict": "MAP(VARCHAR, INTEGER)",
    "x": "STRUCT(a INTEGER, b DOUBLE)",
}
ROWS = """
    (1, 1.50, 2.5, 'a', DATE '2024-01-31', TIMESTAMP '2024-01-31 23:00:00.5', [1, 2], MAP {'a': 1}, {'a': 7, 'b': 7}),
    (2, 2.25, 1e20, NULL, NULL, NULL, NULL, NULL, NULL)
"""


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect(":memory:", config=engine.CONFIGURATION)
    for statement in (*engine.SETTINGS, *MACROS):
        made.execute(statement)
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    made.execute(f"CREATE TABLE t ({columns})")
    made.execute(f"INSERT INTO t VALUES {ROWS}")
    return made


def answer(
    connection: duckdb.DuckDBPyConnection, sql: str
) -> tuple[list[str], list[str], list[tuple[str | None, ...]]]:
    """Names, Athena's types and rows as text."""
    known = {name: from_duckdb(kind) for name, kind in COLUMNS.items()}
    try:
        written = Translation(known).run(parse_query(sql))
        described = engine.describe(connection, written)
        kinds = [from_duckdb(kind) for _, kind in described]
        rows = connection.execute(output.text_query(written, kinds)).fetchall()
    except duckdb.Error as e:
        raise engine.failure(e) from e
    return shown_names([name for name, _ in described]), [kind.narrowed().athena for kind in kinds], rows


def value(connection: duckdb.DuckDBPyConnection, expression: str) -> str | None:
    return answer(connection, f"SELECT {expression} FROM t WHERE n = 1")[2][0][0]


SAME_AS_TRINO = {
    # numbers
    "7 / 2": "3",
    "-7 / 2": "-3",
    "7 / -2": "-3",
    "7 % -3": "1",
    "-7 % 3": "-1",
    "1.0 / 3": "0.3",
    "x.a / 2": "3",
    "x.b / 2": "3.5",
    "2.0 / 3": "0.7",
    "-2.0 / 3": "-0.7",
    "1.00 / 3": "0.33",
    "price / 3": "0.50",
    "n / price": "0.67",
    "price / price": "1.00",
    "price / 2e0": "0.75",
    "CAST(n AS double) / 0": "Infinity",
    "-1e0 / 0": "-Infinity",
    "0e0 / 0": "NaN",
    "try(1 / 0)": None,
    "try(n / (n - n))": None,
    "try(price / 0)": None,
    "0.1 + 0.2": "0.3",
    "price * 2": "3.00",
    "price * price": "2.2500",
    "CAST(2.5 AS integer)": "3",
    "CAST(-2.5 AS integer)": "-3",
    "CAST(2.5e0 AS integer)": "3",
    "CAST(-2.5e0 AS integer)": "-3",
    "CAST(ratio AS bigint)": "3",
    "TRY_CAST('2.5' AS integer)": None,
    "CAST('25' AS integer)": "25",
    "round(2.5e0)": "3.0",
    "greatest(1, NULL)": None,
    "least(3, 1, 2)": "1",
    "10000000e0": "1.0E7",
    "123456.789e0": "123456.789",
    "0.001e0": "0.001",
    "0.0001e0": "1.0E-4",
    "1e20": "1.0E20",
    "CAST(0.1 AS real)": "0.1",
    "width_bucket(5e0, 0e0, 10e0, 5)": "3",
    "to_base(255, 16)": "ff",
    "log(2, 8)": "3.0",
    "bitwise_left_shift(1, 3)": "8",
    "infinity()": "Infinity",
    # text
    "substr('abc', 0)": "",
    "substr('abc', -2)": "bc",
    "substr('abc', -5)": "",
    "substr('abc', 2, 1)": "b",
    "substr('abc', 9)": "",
    "'a' || NULL": None,
    "concat('a', NULL)": None,
    "concat_ws(',', 'a', NULL, 'b')": "a,b",
    "split('a..b', '.')": "[a, , b]",
    "split_part('a,b', ',', 2)": "b",
    "'a' = 'a '": "false",
    "format('%.2f', 1.234)": "1.23",
    "format('%s is %d, %05d', 'x', 7, 42)": "x is 7, 00042",
    "format('%s', 1e0)": "1.0E0",
    "CAST(1e0 AS varchar)": "1.0E0",
    "CAST(ratio AS varchar)": "2.5E0",
    "CAST(12345e0 AS varchar)": "1.2345E4",
    "CAST('abc' AS varchar(2))": "ab",
    "CAST(true AS varchar)": "true",
    "CAST(price AS varchar)": "1.50",
    "CAST(day AS varchar)": "2024-01-31",
    "CAST(moment AS varchar)": "2024-01-31 23:00:00.500",
    "regexp_replace('abab', '(a)', '<$1>')": "<a>b<a>b",
    "regexp_replace('abab', 'a')": "bb",
    "regexp_extract('a1b22', '[0-9]+$')": "22",
    "regexp_extract_all('a1b22', '[0-9]+')": "[1, 22]",
    "regexp_like('abc', 'B')": "false",
    "strpos('abc', 'z')": "0",
    "lpad('7', 3, '0')": "007",
    "codepoint('a')": "97",
    "url_extract_host('https://u@example.org:8080/p/q?x=1#f')": "example.org",
    "url_extract_path('https://example.org/p/q?x=1')": "/p/q",
    "url_extract_port('https://example.org:8080/')": "8080",
    "url_decode('a+b%20c')": "a b c",
    "to_hex(md5(to_utf8('a')))": "0CC175B9C0F1B6A831C399E269772661",
    "to_utf8('abc')": "61 62 63",
    "typeof(1)": "integer",
    "typeof(n)": "integer",
    "typeof(1.5)": "decimal(2,1)",
    "typeof(DATE '2024-01-01')": "date",
    # moments
    "date_diff('month', DATE '2024-01-31', DATE '2024-02-01')": "0",
    "date_diff('month', DATE '2023-01-31', DATE '2023-02-28')": "1",
    "date_diff('day', TIMESTAMP '2024-01-01 23:00:00', TIMESTAMP '2024-01-02 01:00:00')": "0",
    "date_diff('day', DATE '2024-01-01', DATE '2024-03-01')": "60",
    "date_diff('hour', TIMESTAMP '2024-01-01 10:59:00', TIMESTAMP '2024-01-01 12:00:00')": "1",
    "date_diff('year', DATE '2020-02-29', DATE '2024-02-28')": "3",
    "date_diff('day', DATE '2024-01-02', DATE '2024-01-01')": "-1",
    "date_add('month', 1, day)": "2024-02-29",
    "date_add('day', -1, DATE '2024-03-01')": "2024-02-29",
    "date_add('hour', 2, TIMESTAMP '2024-01-01 23:00:00')": "2024-01-02 01:00:00.000",
    "day + INTERVAL '1' MONTH": "2024-02-29",
    "day - INTERVAL '1' DAY": "2024-01-30",
    "moment + INTERVAL '90' MINUTE": "2024-02-01 00:30:00.500",
    "date_trunc('month', day)": "2024-01-01",
    "date_trunc('hour', moment)": "2024-01-31 23:00:00.000",
    "TIMESTAMP '2024-01-02 03:00:00' - TIMESTAMP '2024-01-01 00:00:00'": "1 03:00:00.000",
    "day_of_week(DATE '2024-01-07')": "7",
    "extract(dow FROM DATE '2024-01-07')": "7",
    "extract(day_of_week FROM DATE '2024-01-08')": "1",
    "extract(second FROM moment)": "0",
    "millisecond(moment)": "500",
    "week(DATE '2024-12-30')": "1",
    "year_of_week(DATE '2024-12-30')": "2025",
    "last_day_of_month(DATE '2024-02-03')": "2024-02-29",
    "CAST(TIMESTAMP '2024-01-01 00:00:00' AT TIME ZONE 'America/New_York' AS timestamp)": "2023-12-31 19:00:00.000",
    "hour(TIMESTAMP '2024-01-01 00:00:00' AT TIME ZONE 'America/New_York')": "19",
    "CAST(TIMESTAMP '2024-07-01 22:30:00 UTC' AT TIME ZONE 'Europe/Berlin' AS date)": "2024-07-02",
    "to_iso8601(TIMESTAMP '2024-01-01 00:00:00')": "2024-01-01T00:00:00",
    "to_iso8601(moment)": "2024-01-31T23:00:00.500",
    "CAST(TIMESTAMP '2024-01-01 00:00:00' AS varchar)": "2024-01-01 00:00:00",
    "CAST(moment AS timestamp(0))": "2024-01-31 23:00:01.000",
    "TIMESTAMP '2024-01-01 00:00:00 UTC' > TIMESTAMP '2023-12-31 23:59:59'": "true",
    "date_diff('hour', TIMESTAMP '2024-01-01 00:00:00 UTC', TIMESTAMP '2024-01-01 02:30:00')": "2",
    "to_iso8601(DATE '2024-01-01')": "2024-01-01",
    "from_unixtime(0)": "1970-01-01 00:00:00.000 UTC",
    "to_unixtime(TIMESTAMP '2024-01-01 00:00:00')": "1.7040672E9",
    "date_format(moment, '%Y-%m-%d %H:%i:%s')": "2024-01-31 23:00:00",
    "date_parse('2024-02-03', '%Y-%m-%d')": "2024-02-03 00:00:00.000",
    "from_iso8601_timestamp('2024-01-01T00:00:00Z')": "2024-01-01 00:00:00.000 UTC",
    "DATE '2024-01-01' < DATE '2024-01-02'": "true",
    # arrays, maps, rows
    "array_distinct(ARRAY[1, 1, 2])": "[1, 2]",
    "array_distinct(ARRAY[2, 1, 2])": "[2, 1]",
    "array_union(ARRAY[2, 1], ARRAY[1, 3])": "[2, 1, 3]",
    "array_intersect(ARRAY[3, 1, 2], ARRAY[2, 3])": "[3, 2]",
    "array_except(ARRAY[1, 2], ARRAY[1])": "[2]",
    "array_position(ARRAY[1, 2], 5)": "0",
    "array_remove(ARRAY[1, NULL, 2], 1)": "[null, 2]",
    "array_sort(ARRAY[2, NULL, 1])": "[1, 2, null]",
    "array_join(ARRAY[1, NULL, 2], ',')": "1,2",
    "array_join(ARRAY[1, NULL], ',', '?')": "1,?",
    "ARRAY[10, 20][2]": "20",
    "numbers[n + 1]": "2",
    "try(numbers[9])": None,
    "element_at(numbers, 9)": None,
    "element_at(numbers, -1)": "2",
    "dict['a']": "1",
    "element_at(dict, 'z')": None,
    "cardinality(numbers)": "2",
    "cardinality(NULL)": None,
    "slice(ARRAY[1, 2, 3, 4], 2, 2)": "[2, 3]",
    "slice(ARRAY[1, 2, 3, 4], -2, 2)": "[3, 4]",
    "sequence(1, 5, 2)": "[1, 3, 5]",
    "sequence(3, 1)": "[3, 2, 1]",
    "sequence(DATE '2024-01-01', DATE '2024-01-03')": "[2024-01-01, 2024-01-02, 2024-01-03]",
    "sequence(DATE '2024-01-01', DATE '2024-03-01', INTERVAL '1' MONTH)": "[2024-01-01, 2024-02-01, 2024-03-01]",
    "repeat('a', 2)": "[a, a]",
    "transform(ARRAY[1, 2], x -> x * 10)": "[10, 20]",
    "filter(ARRAY[1, 2, 3], x -> x > 1)": "[2, 3]",
    "reduce(ARRAY[1, 2, 3], 0, (s, x) -> s + x, s -> s)": "6",
    "any_match(ARRAY[1, 2], x -> x > 1)": "true",
    "all_match(ARRAY[1, 2], x -> x > 1)": "false",
    "none_match(ARRAY[1, 2], x -> x > 2)": "true",
    "any_match(ARRAY[], x -> x > 2)": "false",
    "all_match(ARRAY[1, NULL], x -> x > 0)": None,
    "map(ARRAY['a', 'b'], ARRAY[1, NULL])": "{a=1, b=null}",
    "map_filter(MAP(ARRAY['a', 'b'], ARRAY[1, 2]), (k, v) -> v > 1)": "{b=2}",
    "transform_values(MAP(ARRAY['a'], ARRAY[1]), (k, v) -> v + 1)": "{a=2}",
    "map_concat(MAP(ARRAY['a'], ARRAY[1]), MAP(ARRAY['a'], ARRAY[2]))": "{a=2}",
    "ROW(1, 'x')": "{field0=1, field1=x}",
    "CAST(ROW(1, 'x') AS ROW(a integer, b varchar))": "{a=1, b=x}",
    "CAST(ROW(1, 'x') AS ROW(a integer, b varchar)).b": "x",
    "flatten(ARRAY[ARRAY[1], ARRAY[2]])": "[1, 2]",
    "arrays_overlap(ARRAY[1, 2], ARRAY[2])": "true",
    # JSON
    "json_extract('{\"a\": {\"b\": 1}}', '$.a')": '{"b":1}',
    "json_extract_scalar('{\"a\": {\"b\": 1}}', '$.a.b')": "1",
    "json_extract_scalar('{\"a\": {\"b\": 1}}', '$.a')": None,
    "json_extract_scalar('{\"a\": 1}', '$.z')": None,
    "json_array_length('[1, 2]')": "2",
    "CAST(json_parse('\"a\"') AS varchar)": "a",
    "CAST('a' AS json)": '"a"',
    "json_format(json_parse('{\"a\": 1}'))": '{"a":1}',
    "CAST(json_parse('[1, 2]') AS array(integer))": "[1, 2]",
    # conditions
    "coalesce(NULL, 1)": "1",
    "if(n > 5, 'x')": None,
    "CASE WHEN n = 1 THEN 'one' ELSE 'many' END": "one",
    "'abc' LIKE 'a%'": "true",
    "'a_c' LIKE 'a#_c' ESCAPE '#'": "true",
    "n BETWEEN 1 AND 2": "true",
    "word IS NOT DISTINCT FROM 'a'": "true",
    "2147483647 + CAST(1 AS bigint)": "2147483648",
}


@pytest.mark.parametrize(("expression", "expected"), SAME_AS_TRINO.items())
def test_an_expression_has_trinos_value(connection, expression: str, expected: str | None):
    assert value(connection, expression) == expected


REFUSED = {
    "1 / 0": "DIVISION_BY_ZERO",
    "n % 0": "DIVISION_BY_ZERO",
    "price / 0": "DIVISION_BY_ZERO",
    "ARRAY[1][5]": "Array subscript must be less than or equal to array length: 5 > 1",
    "numbers[0]": "SQL array indices start at 1",
    "MAP(ARRAY['a'], ARRAY[1])['z']": "Key not present in map: z",
    "dict['z']": "Key not present in map: z",
    "2147483647 + 1": "NUMERIC_VALUE_OUT_OF_RANGE",
    "CAST('2.5' AS integer)": "INVALID_CAST_ARGUMENT",
    "CAST('x' AS bigint)": "INVALID_CAST_ARGUMENT",
    "CAST('a' AS char(3))": "NOT_SUPPORTED: char(n)",
    "day - DATE '2024-01-01'": "NOT_SUPPORTED: date minus date",
    "moment AT TIME ZONE 'America/New_York'": "NOT_SUPPORTED: AT TIME ZONE",
    "format(word, 1)": "NOT_SUPPORTED: format()",
    "format('%h', 1)": "NOT_SUPPORTED: format()",
    "typeof('a')": "NOT_SUPPORTED: typeof",
    "split('a,b', ',', 1)": "NOT_SUPPORTED: split with a limit",
    "strpos('abab', 'b', 2)": "NOT_SUPPORTED: strpos",
    "array_sort(ARRAY[1], (a, b) -> 1)": "NOT_SUPPORTED: array_sort",
    "reduce(ARRAY[1], 0, (s, x) -> s + x, s -> s * 2)": "NOT_SUPPORTED: reduce",
    "json_query('{}', 'lax $.a')": "NOT_SUPPORTED",
    "json_value('{}', 'lax $.a')": "NOT_SUPPORTED",
    "transform(ARRAY[1.5], x -> x / 2)": "NOT_SUPPORTED: the types of a division",
    "xxhash64(to_utf8('a'))": "FUNCTION_NOT_FOUND: line 1:8: Function 'xxhash64' not registered",
    "checksum(n)": "FUNCTION_NOT_FOUND",
    "numeric_histogram(2, n)": "FUNCTION_NOT_FOUND",
    "approx_most_frequent(1, n, 10)": "FUNCTION_NOT_FOUND",
    "human_readable_seconds(100)": "FUNCTION_NOT_FOUND",
    "parse_datetime('2024', 'yyyy')": "FUNCTION_NOT_FOUND",
    "zip(ARRAY[1], ARRAY[2])": "FUNCTION_NOT_FOUND",
    "sha512(to_utf8('a'))": "FUNCTION_NOT_FOUND",
    "entropy(n)": "FUNCTION_NOT_FOUND",
    "no_such_function(n)": "FUNCTION_NOT_FOUND",
    "no_such_column": "COLUMN_NOT_FOUND",
}


@pytest.mark.parametrize(("expression", "words"), REFUSED.items())
def test_what_would_be_answered_differently_is_refused(connection, expression: str, words: str):
    with pytest.raises(QueryFailed) as caught:
        value(connection, expression)

    assert words in str(caught.value)


QUERIES = {
    "SELECT sum(n), avg(n), count(*), count(word), sum(price), avg(price), max(day) FROM t": (
        ["_col0", "_col1", "_col2", "_col3", "_col4", "_col5", "_col6"],
        ["bigint", "double", "bigint", "bigint", "decimal", "decimal", "date"],
        [("3", "1.5", "2", "1", "3.75", "1.88", "2024-01-31")],
    ),
    "SELECT n, n AS m, n + 1 FROM t ORDER BY n DESC LIMIT 1": (
        ["n", "m", "_col2"],
        ["integer", "integer", "integer"],
        [("2", "2", "3")],
    ),
    "SELECT *, 1 FROM (SELECT n, word FROM t) ORDER BY word": (
        ["n", "word", "_col2"],
        ["integer", "varchar", "integer"],
        [("1", "a", "1"), ("2", None, "1")],
    ),
    "SELECT _col1 FROM (SELECT n, n * 10 FROM t) ORDER BY 1": (["_col1"], ["integer"], [("10",), ("20",)]),
    "SELECT word FROM t ORDER BY word DESC": (["word"], ["varchar"], [("a",), (None,)]),
    "SELECT word FROM t ORDER BY word ASC": (["word"], ["varchar"], [("a",), (None,)]),
    "SELECT word, count(*) FROM t GROUP BY GROUPING SETS ((word), ()) ORDER BY 2 DESC LIMIT 1": (
        ["word", "_col1"],
        ["varchar", "bigint"],
        [(None, "2")],
    ),
    "SELECT listagg(CAST(n AS varchar), ',') WITHIN GROUP (ORDER BY n DESC) FROM t": (
        ["_col0"],
        ["varchar"],
        [("2,1",)],
    ),
    "SELECT max_by(n, ratio), min_by(n, ratio), arbitrary(n) IS NOT NULL, count_if(n > 1) FROM t": (
        ["_col0", "_col1", "_col2", "_col3"],
        ["integer", "integer", "boolean", "bigint"],
        [("2", "1", "true", "1")],
    ),
    "SELECT n, sum(n) OVER (ORDER BY n), lag(n) OVER (ORDER BY n), row_number() OVER (ORDER BY n DESC) FROM t ORDER BY n": (
        ["n", "_col1", "_col2", "_col3"],
        ["integer", "bigint", "integer", "bigint"],
        [("1", "1", None, "2"), ("2", "3", "1", "1")],
    ),
    "SELECT x, o FROM UNNEST(ARRAY['p', 'q']) WITH ORDINALITY AS u(x, o) ORDER BY o": (
        ["x", "o"],
        ["varchar", "bigint"],
        [("p", "1"), ("q", "2")],
    ),
    "SELECT a.n FROM t a FULL OUTER JOIN t b ON a.n = b.n + 1 ORDER BY a.n": (
        ["n"],
        ["integer"],
        [("1",), ("2",), (None,)],
    ),
    "SELECT n FROM t UNION SELECT 5 ORDER BY 1 OFFSET 1 LIMIT 1": (["n"], ["integer"], [("2",)]),
    "SELECT n FROM t INTERSECT SELECT 1": (["n"], ["integer"], [("1",)]),
    "SELECT n FROM t WHERE EXISTS (SELECT 1 FROM t u WHERE u.n > t.n)": (["n"], ["integer"], [("1",)]),
    "SELECT n FROM t WHERE n IN (SELECT max(n) FROM t)": (["n"], ["integer"], [("2",)]),
    "SELECT n FROM t ORDER BY n FETCH FIRST 1 ROWS ONLY": (["n"], ["integer"], [("1",)]),
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3) SELECT max(i) FROM r": (
        ["_col0"],
        ["integer"],
        [("3",)],
    ),
    "VALUES (1, 'a'), (2, 'b')": (["_col0", "_col1"], ["integer", "varchar"], [("1", "a"), ("2", "b")]),
    "SELECT sum(price) / count(*), price / n FROM t GROUP BY price, n ORDER BY 1 LIMIT 1": (
        ["_col0", "_col1"],
        ["decimal", "decimal"],
        [("1.50", "1.50")],
    ),
}


@pytest.mark.parametrize(("sql", "expected"), QUERIES.items())
def test_a_query_has_trinos_names_types_and_rows(connection, sql: str, expected):
    assert answer(connection, sql) == expected


def test_every_extension_is_found_in_its_wheel():
    for name in engine.EXTENSIONS:
        assert Path(engine.extension(name)).is_file()
