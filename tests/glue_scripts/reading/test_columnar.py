import datetime as dt
import io
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq


def parquet(columns: dict) -> bytes:
    body = io.BytesIO()
    pq.write_table(pa.table(columns), body)
    return body.getvalue()


def test_values_become_the_text_that_casts_understand(read):
    content = parquet(
        {
            "id": [1, None],
            "price": [Decimal("1.10"), None],
            "at": [dt.datetime(2024, 9, 20, 10, 0, 0, 5), None],
            "day": [dt.date(2024, 9, 20), None],
            "good": [True, None],
            "share": [0.5, None],
            "name": pa.array(["Ada", "Bob"]).dictionary_encode(),
        }
    )

    rows, problems = read(content, "raw/a.parquet", columns=("id", "price", "at", "day", "good", "share", "name"))

    assert problems == []
    assert rows == [
        ("1", "1.10", "2024-09-20 10:00:00.000005", "2024-09-20", "true", "0.5", "Ada"),
        (None, None, None, None, None, None, "Bob"),
    ]


def test_nested_values_become_json_text_and_binary_becomes_text(read):
    content = parquet({"id": [b"one"], "name": [{"first": "Ada", "born": dt.date(1815, 12, 10), "marks": [1, None]}]})

    rows, _ = read(content, "raw/a.parquet")

    assert rows == [("one", '{"born":"1815-12-10","first":"Ada","marks":[1,null]}')]


def test_a_file_that_is_no_parquet_is_malformed(read):
    rows, problems = read(b"PAR1 but not really", "raw/a.parquet")

    assert rows == []
    assert problems[0][0] == "file"
    assert problems[0][1].startswith("not readable as Parquet: ")


def test_a_file_cut_off_is_malformed(read):
    content = parquet({"id": list(range(1000)), "name": ["x"] * 1000})

    assert read(content[:-20], "raw/a.parquet")[0] == []


def test_a_file_without_a_required_column_is_malformed(read):
    rows, problems = read(parquet({"name": ["Ada"]}), "raw/a.parquet")

    assert rows == []
    assert problems == [("file", "the file lacks id; it has: name", None)]
