from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from local_cloud.athena import output
from local_cloud.athena.types import from_duckdb, from_hive


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\r")), min_size=1))
def test_every_row_is_read_back_as_it_was_written(values: list[str | None]):
    assert output.parse_line(output.csv_line(values).decode()) == values


def test_rows_are_read_from_an_offset_on(tmp_path: Path):
    path = tmp_path / "rows.csv"
    path.write_bytes(output.csv_line(["a", None]) + output.csv_line(["two\nlines", '"']) + output.csv_line(["", "z"]))

    every = list(output.read_rows(path, 0))
    later = list(output.read_rows(path, every[0][1]))

    assert [row for row, _ in every] == [["a", None], ["two\nlines", '"'], ["", "z"]]
    assert [row for row, _ in later] == [["two\nlines", '"'], ["", "z"]]


def test_types_are_read_from_the_catalogs_and_from_duckdbs_words():
    hive = "array<struct<a:int,b:map<string,decimal(10,2)>>>"

    assert from_hive(hive).sql == 'STRUCT("a" INTEGER, "b" MAP(VARCHAR, DECIMAL(10,2)))[]'
    assert from_duckdb(from_hive(hive).sql).hive == hive
    assert from_hive("varchar(20)").sql == "VARCHAR"
    assert from_duckdb('STRUCT("a b" INTEGER, c DATE)').trino == "row(a b integer, c date)"
    assert from_duckdb("HUGEINT").narrowed().athena == "bigint"
    assert from_duckdb("TIMESTAMP WITH TIME ZONE[]").trino == "array(timestamp with time zone)"
