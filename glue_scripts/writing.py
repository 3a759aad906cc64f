"""What a Spark task does with finished rows: Parquet or JSON files straight into the bucket, one set per partition.

No rename and no temporary prefix: a file gets its final name at once, and counts only if a commit object names it.
"""

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import IO, Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext

from glue_scripts.bucket import Bucket
from glue_scripts.reading.rows import FILE, GONE, NOTE
from glue_scripts.transforms.conform import VERDICT_COLUMNS

ROLL_AT = 256 * 1024 * 1024  # bytes of a file
FLUSH_AT = 64 * 1024 * 1024  # bytes of rows held before they become a row group
IN_MEMORY = 32 * 1024 * 1024  # bytes of a file before it moves to the task's disk
UPLOADS = 4

PROCESSED, QUARANTINE, COUNTED, ABSENT, REMARK = "processed", "quarantine", "counted", "absent", "remark"
"""Kinds of result: a file with good rows, a file with rejected rows, what became of a source, a source that was not
there to be read, a remark on one."""

RESULT = (
    "kind string, key string, rows bigint, bytes bigint, year string, month string, "
    "source int, rejected bigint, reason string"
)

_QUARANTINE_SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("version", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("record", pa.string()),
        ("batch", pa.string()),
        ("quarantined_at", pa.timestamp("us", "UTC")),
    ]
)
_RESULT_SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("key", pa.string()),
        ("rows", pa.int64()),
        ("bytes", pa.int64()),
        ("year", pa.string()),
        ("month", pa.string()),
        ("source", pa.int32()),
        ("rejected", pa.int64()),
        ("reason", pa.string()),
    ]
)


class Place(NamedTuple):
    """One partition of one zone."""

    rejected: bool
    year: str
    month: str


@dataclass(frozen=True)
class WriteTask:
    """The work of all tasks. `sources`: key and version by index; `batch`, `now` stand in quarantined rows."""

    bucket: Bucket
    dataset: str
    run: str
    batch: str
    now: datetime
    processed_format: str
    sources: tuple[tuple[str, str | None], ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Takes rows that lie together by place; returns a row per file written and per source seen."""
        with ThreadPoolExecutor(UPLOADS) as uploads:
            yield from _Written(self, uploads).all(batches)

    def key(self, place: Place, number: str) -> str:
        if place.rejected:
            partition = f"year={place.year}/month={place.month}/run={self.run}"
            return f"quarantine/{self.dataset}/{partition}/{number}.parquet"
        suffix = "json" if self.processed_format == "json" else "parquet"
        return f"processed/{self.dataset}/year={place.year}/month={place.month}/{self.run}-{number}.{suffix}"


class _Written:
    """What one task has written so far."""

    def __init__(self, task: WriteTask, uploads: ThreadPoolExecutor) -> None:
        context = TaskContext.get()
        self._task = task
        self._uploads = uploads
        # Another attempt of the same task gets another id, so its files never meet those of this one.
        self._attempt = context.taskAttemptId() if context else 0
        self._files = 0
        self._pending: list[Future[dict[str, Any]]] = []
        self._counts: dict[int, dict[str, Any]] = {}
        self._remarks: list[dict[str, Any]] = []

    def all(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        file: _PartFile | None = None
        for place, rows in _by_place(batches):
            self._count(place, rows)
            if place.rejected:
                rows = self._quarantined(rows)  # noqa: PLW2901 - the same rows in the zone's shape
            elif self._task.processed_format == "parquet":
                rows = rows.drop_columns(list(VERDICT_COLUMNS))  # noqa: PLW2901 - as above
            if file and (file.place != place or file.full):
                self._close(file)
                file = None
            if rows.num_rows:
                file = file or self._open(place, rows.schema)
                file.write(rows)
        if file:
            self._close(file)
        yield from self._results()

    def _open(self, place: Place, schema: pa.Schema) -> "_PartFile":
        number = f"{self._attempt}-{self._files}"
        self._files += 1
        lines = self._task.processed_format == "json" and not place.rejected
        return _PartFile(place, self._task.key(place, number), _JsonLines() if lines else _Parquet(schema))

    def _close(self, file: "_PartFile") -> None:
        file.finish()
        self._pending.append(self._uploads.submit(file.upload, self._task.bucket))
        if len(self._pending) > UPLOADS:
            self._pending[-UPLOADS - 1].result()  # no more finished files in memory than uploads under way

    def _count(self, place: Place, rows: pa.RecordBatch) -> None:
        if place.rejected:
            for source, about, reasons in _columns(rows, "_source", "_about", "_reasons"):
                self._count_rejected(source, about, reasons[0])
            return
        for counted in rows.column("_source").value_counts().to_pylist():
            self._counts_of(counted["values"])["rows"] += counted["counts"]

    def _count_rejected(self, source: int, about: str | None, reason: str) -> None:
        if about == NOTE:
            self._remarks.append({"kind": REMARK, "source": source, "reason": reason})
            return
        counts = self._counts_of(source)
        counts["rejected"] += about not in (FILE, GONE)
        if about == GONE:
            self._remarks.append({"kind": ABSENT, "source": source})
        counts["reason"] = counts["reason"] or reason

    def _counts_of(self, source: int) -> dict[str, Any]:
        return self._counts.setdefault(source, {"rows": 0, "rejected": 0, "reason": None})

    def _quarantined(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        rows = rows.filter(pa.array([about != NOTE for about in rows.column("_about").to_pylist()]))
        sources = [self._task.sources[source] for source in rows.column("_source").to_pylist()]
        columns = [
            pa.array([key for key, _ in sources], pa.string()),
            pa.array([version for _, version in sources], pa.string()),
            rows.column("_reasons").cast(pa.list_(pa.string())),
            rows.column("_record"),
            pa.repeat(pa.scalar(self._task.batch, pa.string()), rows.num_rows),
            pa.repeat(pa.scalar(self._task.now, pa.timestamp("us", "UTC")), rows.num_rows),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=_QUARANTINE_SCHEMA)

    def _results(self) -> Iterator[pa.RecordBatch]:
        files = [future.result() for future in self._pending]
        counted = [{"kind": COUNTED, "source": source} | counts for source, counts in self._counts.items()]
        results = files + counted + self._remarks
        if results:
            yield pa.RecordBatch.from_pylist(results, schema=_RESULT_SCHEMA)


def _by_place(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[Place, pa.RecordBatch]]:
    """Slices of one place each, in the order of the rows."""
    for batch in batches:
        rejected = batch.column("_reasons").is_valid().to_pylist()
        years, months = batch.column("_year").to_pylist(), batch.column("_month").to_pylist()
        places = zip(rejected, years, months, strict=True)
        start = 0
        for (is_rejected, year, month), same in groupby(places):
            count = sum(1 for _ in same)
            yield Place(is_rejected, f"{year:04d}", month), batch.slice(start, count)
            start += count


def _columns(rows: pa.RecordBatch, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(rows.column(name).to_pylist() for name in names), strict=True)


class _Parquet:
    """Rows into row groups of a bounded size."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0
        self._writer: Any = None

    def write(self, rows: pa.RecordBatch, body: IO[bytes]) -> None:
        self._held.append(rows)
        self._bytes += rows.nbytes
        if self._bytes >= FLUSH_AT:
            self.flush(body)

    def flush(self, body: IO[bytes]) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                body, self._schema, compression="zstd", coerce_timestamps="us", store_schema=False
            )
        if self._held:
            self._writer.write_table(pa.Table.from_batches(self._held, self._schema))
        self._held, self._bytes = [], 0

    def close(self, body: IO[bytes]) -> None:
        self.flush(body)
        self._writer.close()


class _JsonLines:
    """One object per line, as Spark formed it."""

    def write(self, rows: pa.RecordBatch, body: IO[bytes]) -> None:
        body.write("".join(f"{line}\n" for line in rows.column("_json").to_pylist()).encode())

    def close(self, _body: IO[bytes]) -> None:
        pass


class _PartFile:
    """A file on its way into the bucket."""

    def __init__(self, place: Place, key: str, form: _Parquet | _JsonLines) -> None:
        self.place = place
        self._key = key
        self._form = form
        self._rows = 0
        body = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - `upload` closes it, in another thread
        self._body = cast("IO[bytes]", body)

    @property
    def full(self) -> bool:
        return self._body.tell() >= ROLL_AT

    def write(self, rows: pa.RecordBatch) -> None:
        self._form.write(rows, self._body)
        self._rows += rows.num_rows

    def finish(self) -> None:
        self._form.close(self._body)

    def upload(self, bucket: Bucket) -> dict[str, Any]:
        with self._body:
            size = self._body.tell()
            bucket.put(self._key, self._body, size)
        kind = QUARANTINE if self.place.rejected else PROCESSED
        place = {"year": self.place.year, "month": self.place.month}
        return {"kind": kind, "key": self._key, "rows": self._rows, "bytes": size} | place


def sources_by_index(results: Sequence[Any]) -> dict[int, dict[str, Any]]:
    """The counts of all tasks added up per source."""
    summed: dict[int, dict[str, Any]] = {}
    for result in sorted((r for r in results if r["kind"] == COUNTED), key=itemgetter("source")):
        counts = summed.setdefault(result["source"], {"rows": 0, "rejected": 0, "reason": None})
        counts["rows"] += result["rows"]
        counts["rejected"] += result["rejected"]
        counts["reason"] = counts["reason"] or result["reason"]
    return summed
