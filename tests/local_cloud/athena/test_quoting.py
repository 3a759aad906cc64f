"""Names and texts as the local Athena writes them for DuckDB: each is that name or text and nothing more."""

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local_cloud.athena.types import quoted, text

# DuckDB takes no NUL in a statement, and no name without letters; a catalog holds neither.
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as opened:
        yield opened


@given(name=st.text(letters, min_size=1, max_size=60))
@example(name='a"b')
@example(name="a\" FROM read_text('/etc/passwd'); --")
@example(name='""')
@example(name="a\nb")
@example(name="e\u0301\u202e")
def test_a_name_is_that_column(connection, name):
    assert connection.execute(f"SELECT 1 AS {quoted(name)}").description[0][0] == name


@given(value=st.text(letters, max_size=60))
@example(value="it's")
@example(value="'; ATTACH '/etc/passwd' AS x; --")
@example(value="\\'")
@example(value="$$")
@example(value="\\x41\\n")
def test_a_text_is_that_value(connection, value):
    assert connection.execute(f"SELECT {text(value)}").fetchall() == [(value,)]


@given(name=st.text(letters, min_size=1, max_size=20), other=st.text(letters, min_size=1, max_size=20))
@example(name="e\u0301", other="\u00e9")
@example(name="a b", other="a  b")
def test_two_names_are_two_columns_of_a_table_where_they_differ_in_more_than_case(connection, name, other):
    if name.lower() == other.lower() or name.casefold() == other.casefold():
        return

    connection.execute(f"CREATE OR REPLACE TEMP TABLE t AS SELECT 1 AS {quoted(name)}, 2 AS {quoted(other)}")

    assert connection.execute(f"SELECT {quoted(other)}, {quoted(name)} FROM t").fetchall() == [(2, 1)]
