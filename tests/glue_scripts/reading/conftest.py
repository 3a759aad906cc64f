"""Files as bytes, read as a task reads them."""

import io
from datetime import UTC, datetime

import pytest

from glue_scripts.reading.source import Layout, Source
from glue_scripts.reading.task import batches

ARRIVED = datetime(2024, 9, 20, 10, 0, tzinfo=UTC)


@pytest.fixture
def read():
    """Gives `(rows, problems)`: tuples of strings, and `(about, text, original)`."""

    def reading(content: bytes, key: str = "raw/a.csv", **layout):
        known = {"columns": ("id", "name"), "required": ("id",), "delimiter": ",", "quote": '"'}
        known |= {"encoding": "UTF-8", "null_values": ("", "NULL")} | layout
        source = Source(index=2, key=key, version="v1", size=len(content), etag="e", arrived_at=ARRIVED)
        rows, problems = [], []
        for batch in batches(source, lambda: io.BytesIO(content), Layout(**known)):
            assert batch.column("_file").to_pylist() == [key] * batch.num_rows
            for row in batch.to_pylist():
                if row["_about"] is None:
                    rows.append(tuple(row["_src"].values()))
                else:
                    problems.append((row["_about"], row["_problem"], row["_text"]))
        return rows, problems

    return reading
