"""The shape in which every reader hands rows on, whatever the format."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

BATCH_ROWS = 10_000

ROW, FILE, GONE, NOTE = "row", "file", "gone", "note"
"""What a problem is about: one row, the whole file, a file that is not there, or only something worth telling."""


@dataclass(frozen=True)
class Problem:
    about: str
    text: str
    original: str | None = None


@dataclass(frozen=True)
class Rows:
    """Columns of strings in the order of the layout, and what could not become a row."""

    columns: Sequence[pa.Array]
    count: int
    problems: Sequence[Problem] = field(default=())


def of_records(records: Sequence[Sequence[str | None]], width: int, problems: Sequence[Problem] = ()) -> Rows:
    """From rows to columns."""
    columns = [pa.array([record[i] for record in records], pa.string()) for i in range(width)]
    return Rows(columns, len(records), problems)


def in_batches(rows: Rows) -> Iterator[Rows]:
    """The same rows in portions that Spark takes at once; problems come with the first."""
    if rows.count <= BATCH_ROWS:
        yield rows
        return
    for start in range(0, rows.count, BATCH_ROWS):
        columns = [column.slice(start, BATCH_ROWS) for column in rows.columns]
        yield Rows(columns, min(BATCH_ROWS, rows.count - start), rows.problems if start == 0 else ())
