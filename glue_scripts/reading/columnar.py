"""Parquet to rows: every value as the text that a contract's casts understand, nested values as JSON."""

from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from glue_scripts.reading.json_text import dump, text_of
from glue_scripts.reading.rows import BATCH_ROWS, NOTE, Problem, Rows, of_records
from glue_scripts.reading.source import Layout, MalformedFile


def rows(file: IO[bytes], layout: Layout) -> Iterator[Rows]:
    """Raises MalformedFile when the file cannot be read or lacks a column."""
    try:
        parquet = pq.ParquetFile(file)
        names = parquet.schema_arrow.names
        _check(names, layout)
        unknown = [name for name in names if name not in layout.columns]
        if unknown:
            note = Problem(NOTE, f"columns that the contract does not have are left out: {', '.join(unknown)}")
            yield of_records([], len(layout.columns), [note])
        wanted = [name for name in layout.columns if name in names]
        for batch in parquet.iter_batches(BATCH_ROWS, columns=wanted):
            yield Rows([_texts(batch, name) for name in layout.columns], batch.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise MalformedFile(f"not readable as Parquet: {str(error).splitlines()[0][:300]}") from error


def _check(names: list[str], layout: Layout) -> None:
    missing = [name for name in layout.required if name not in names]
    if missing:
        raise MalformedFile(f"the file lacks {', '.join(missing)}; it has: {', '.join(names)[:500]}")


def _texts(batch: pa.RecordBatch, name: str) -> pa.Array:
    if name not in batch.schema.names:
        return pa.nulls(batch.num_rows, pa.string())
    values = batch.column(name)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.array([None if value is None else _text(value) for value in values.to_pylist()], pa.string())
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        values = pc.cast(values, pa.timestamp("us", kind.tz), safe=False)
    return pc.cast(values, pa.string())


def _text(value: Any) -> str:
    return text_of(value) if isinstance(value, bytes) else dump(value)
