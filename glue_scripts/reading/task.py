"""What a Spark task does: reads its files, several at a time, and hands their rows to the plan."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import IO

import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError

from glue_scripts.bucket import Bucket
from glue_scripts.reading import columnar, delimited, documents
from glue_scripts.reading.content import CSV, PARQUET, as_utf8, download, format_of, size_of, unpack
from glue_scripts.reading.rows import BATCH_ROWS, FILE, GONE, Problem, Rows, in_batches, of_records
from glue_scripts.reading.source import SMALL, FileGone, Layout, MalformedFile, Source

AHEAD = 8  # small files fetched at the same time
SMALL_OBJECT = 4 * 1024 * 1024  # bytes in S3, packed or not, of what may be fetched ahead

# `_row`: the place of a row in the batch. Files stand in order of arrival; none has more rows than this.
FILE_ROWS = 1 << 40

UNREADABLE = frozenset({"InvalidRequest", "InvalidObjectState"})
"""What S3 says of an object under its sender's own key, or in an archive. Other refusals are the job's to mend."""

INTERNAL = (
    "_source int, _file string, _arrived_at timestamp, _sequencer string, _row bigint, "
    "_about string, _problem string, _text string"
)
"""Columns that readers put beside the source columns, as Spark DDL; the source columns are the struct `_src`."""


@dataclass(frozen=True)
class ReadTask:
    """The work of all tasks: row `i` of the driving DataFrame reads `packets[i]`."""

    bucket: Bucket
    layout: Layout
    packets: tuple[tuple[Source, ...], ...]

    def __call__(self, numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                yield from gathered(self._read(self.packets[number]))

    def _read(self, sources: Sequence[Source]) -> Iterator[pa.RecordBatch]:
        with ThreadPoolExecutor(AHEAD) as pool:
            for source, file in _fetched(self.bucket, sources, pool):
                yield from batches(source, file, self.layout)


def gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in fewer batches: each costs Spark a millisecond, however small."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if held and (sum(one.num_rows for one in held) + batch.num_rows > BATCH_ROWS):
            yield _together(held)
            held = []
        held.append(batch)
    if held:
        yield _together(held)


def _together(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _fetched(
    bucket: Bucket, sources: Sequence[Source], pool: ThreadPoolExecutor
) -> Iterator[tuple[Source, Callable[[], IO[bytes]]]]:
    """Small files are on their way while earlier ones are read; a large one waits for its turn."""
    begun: list[Callable[[], IO[bytes]]] = []
    for i, source in enumerate(sources):
        for following in sources[len(begun) : i + AHEAD]:
            begun.append(_begin(bucket, following, pool))  # noqa: PERF401 - the list is what the slice goes by
        yield source, begun[i]
        begun[i] = _forgotten


def _begin(bucket: Bucket, source: Source, pool: ThreadPoolExecutor) -> Callable[[], IO[bytes]]:
    if source.size > SMALL_OBJECT:
        return partial(download, bucket, source)
    return pool.submit(download, bucket, source).result


def _forgotten() -> IO[bytes]:
    raise AssertionError("a file is read once")


def batches(source: Source, fetch: Callable[[], IO[bytes]], layout: Layout) -> Iterator[pa.RecordBatch]:
    """One file's rows as Spark takes them; a malformed file becomes one row that says why."""
    row = source.index * FILE_ROWS
    try:
        with fetch() as file:
            for rows in sound(file, source.key, layout):
                for portion in in_batches(rows):
                    yield _batch(source, portion, row, layout)
                    row += portion.count + len(portion.problems)
    except (BotoCoreError, MemoryError, OSError):
        raise  # the network, the machine: not the file's fault, the run is tried again
    except Exception as error:  # whatever one file does to its reader, the others go on
        if isinstance(error, ClientError) and error.response["Error"]["Code"] not in UNREADABLE:
            raise
        about = GONE if isinstance(error, FileGone) else FILE
        verdict = of_records([], len(layout.columns), [Problem(about, _why(error))])
        yield _batch(source, verdict, row, layout)


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, MalformedFile) else f"cannot be read: {type(error).__name__}: {error}"[:500]


def sound(file: IO[bytes], key: str, layout: Layout) -> Iterator[Rows]:
    """All rows of a file, or MalformedFile before the first."""
    content = unpack(file, key)
    kind = format_of(content, key)
    if kind != PARQUET:
        content = as_utf8(content, layout.encoding)
    start = content.tell()
    if size_of(content) <= SMALL:
        return iter(list(_rows(content, layout, kind)))
    for _ in _rows(content, layout, kind):
        pass  # too large to keep: once to find it sound, once more for its rows
    content.seek(start)
    return _rows(content, layout, kind)


def _rows(content: IO[bytes], layout: Layout, kind: str) -> Iterator[Rows]:
    if kind == CSV:
        return delimited.rows(content, layout)
    if kind == PARQUET:
        return columnar.rows(content, layout)
    return documents.rows(content, layout, kind)


def _batch(source: Source, rows: Rows, first: int, layout: Layout) -> pa.RecordBatch:
    """Rows first, then a row per problem."""
    wrong = len(rows.problems)
    count = rows.count + wrong
    empty = pa.nulls(wrong, pa.string())
    columns = [pa.concat_arrays([column, empty]) if wrong else column for column in rows.columns]
    fields = [pa.field(name, pa.string()) for name in layout.columns]
    arrived = pa.scalar(source.arrived_at, pa.timestamp("us", "UTC"))
    return pa.RecordBatch.from_arrays(
        [
            pa.repeat(pa.scalar(source.index, pa.int32()), count),
            pa.repeat(pa.scalar(source.key, pa.string()), count),
            pa.repeat(arrived, count),
            pa.repeat(pa.scalar(source.sequencer, pa.string()), count),
            pa.array(range(first, first + count), pa.int64()),
            _problem_column(rows, "about"),
            _problem_column(rows, "text"),
            _problem_column(rows, "original"),
            pa.StructArray.from_arrays(columns, fields=fields),
        ],
        ["_source", "_file", "_arrived_at", "_sequencer", "_row", "_about", "_problem", "_text", "_src"],
    )


def _problem_column(rows: Rows, name: str) -> pa.Array:
    values = pa.array([getattr(problem, name) for problem in rows.problems], pa.string())
    return pa.concat_arrays([pa.nulls(rows.count, pa.string()), values])
