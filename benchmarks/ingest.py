"""Transport and commit of many small files: in batches, a job per file, and by copy-then-marker without a ledger.

`python -m benchmarks.ingest [--files 1000] [--batch 50] [--single 100]` prints a Markdown table.

All three read the same one-row CSV files from the local cloud's S3, make the same Parquet of them in this process
(pyarrow, no Spark: the conversion is the same for all) and write it back; what differs is how work is given out and
made to count. "Copy then marker" is the usual job without a ledger: list what is new, write to staging, copy to the
final names, put a marker. It gives no state, no lineage and no protection from races and deaths: the lower end of cost.
`benchmarks.loop` measures whole runs with Spark.
"""

import argparse
import io
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from benchmarks.capacity import Meter
from benchmarks.cloud import Lake, lake

BUCKET, TABLE = "bench-ingest", "bench-ingest"
TENANT, DATASET, JOB = "bench", "sales", "raw_to_processed"
REGISTERED_AT_ONCE = 10  # messages that register gets at a time
READERS = 8


@dataclass
class Measured:
    """One way of ingesting: seconds, CPU seconds of this process and the emulator, calls, write units."""

    title: str
    files: int
    seconds: float = 0.0
    client: float = 0.0
    emulator: float = 0.0
    s3: Counter[str] = field(default_factory=Counter)
    ledger: Counter[str] = field(default_factory=Counter)
    write_units: float | None = None

    def row(self) -> str:
        units = "–" if self.write_units is None else f"{self.write_units / self.files:.1f}"
        return (
            f"| {self.title} | {self.files / self.seconds:.0f} | {1000 * self.client / self.files:.1f} + "
            f"{1000 * self.emulator / self.files:.1f} | {self.s3.total() / self.files:.1f} | "
            f"{self.ledger.total() / self.files:.1f} | {units} |"
        )


class Bench:
    """A bucket and a ledger of their own on a running local cloud."""

    def __init__(self, cloud: Lake) -> None:
        from lineage import table
        from lineage.ledger import Ledger

        session = cloud.session()
        self.s3 = session.client("s3")
        self.dynamodb = session.client("dynamodb")
        self.emulator = next(each for each in cloud.processes() if "ministack" in " ".join(each.cmdline()))
        self.s3.create_bucket(Bucket=BUCKET)
        self.dynamodb.create_table(**table.definition(TABLE))
        self.ledger = Ledger(TABLE)
        self._enter()
        self.calls: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.s3.meta.events.register("before-call.s3", lambda model, **_: self.calls.update([model.name]))
        self.ledger.store.connection.client.meta.events.register(
            "before-call.dynamodb", lambda model, **_: self.asked.update([model.name])
        )

    def _enter(self) -> None:
        from lineage.values import DatasetEntry, TenantEntry

        jobs = {JOB: f"bench-{JOB}"}
        self.ledger.put_dataset(
            DatasetEntry(
                tenant=TENANT,
                dataset=DATASET,
                files=("raw/**",),
                max_wait_s=0,
                max_files=1000,
                max_bytes=10**9,
                plan="{}",
            )
        )
        self.ledger.put_tenant(
            TenantEntry(tenant=TENANT, state="active", bucket=BUCKET, account="0" * 12, database="b", jobs=jobs)
        )

    def put(self, prefix: str, count: int) -> list[str]:
        keys = [f"raw/{prefix}/{number:05d}.csv" for number in range(count)]
        body = b"id,at,amount\n1,2024-09-20 10:00:00,12.50\n"
        with ThreadPoolExecutor(READERS) as pool:
            list(pool.map(lambda key: self.s3.put_object(Bucket=BUCKET, Key=key, Body=body), keys))
        return keys

    def converted(self, keys: Sequence[str]) -> bytes:
        """The files' rows as one Parquet file: what every way does alike."""
        with ThreadPoolExecutor(READERS) as pool:
            bodies = list(pool.map(lambda key: self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read(), keys))
        rows = pa.concat_tables([csv.read_csv(io.BytesIO(body)) for body in bodies])
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="zstd")
        return sink.getvalue()

    @contextmanager
    def measured(self, title: str, files: int) -> Iterator[Measured]:
        made = Measured(title, files)
        self.calls.clear()
        self.asked.clear()
        before, began, own = self._emulator_cpu(), time.perf_counter(), _own_cpu()
        yield made
        made.seconds = time.perf_counter() - began
        made.client, made.emulator = _own_cpu() - own, self._emulator_cpu() - before
        made.s3, made.ledger = Counter(self.calls), Counter(self.asked)

    def _emulator_cpu(self) -> float:
        times = self.emulator.cpu_times()
        return float(times.user + times.system)


def _own_cpu() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


def with_ledger(bench: Bench, keys: Sequence[str], batch: int) -> None:
    """Register in messages, then run after run of `batch` files: begin, take, work, commit object, commit, finalise."""
    from lineage.receipts import Receipt
    from lineage.values import CommitRecord, FileVersion, InputResult, Output

    now = datetime.now(UTC)
    facts = {"tenant": TENANT, "dataset": DATASET, "version": None, "size": 42, "etag": "e", "arrived_at": now}
    receipts = [
        Receipt(file=FileVersion(key=key, sequencer=f"{n:016X}", **facts), job=JOB) for n, key in enumerate(keys)
    ]
    for start in range(0, len(receipts), REGISTERED_AT_ONCE):
        bench.ledger.receive_all(receipts[start : start + REGISTERED_AT_ONCE])
    waiting = bench.ledger.waiting(TENANT, DATASET, JOB, limit=len(keys))
    for number, start in enumerate(range(0, len(keys), batch)):
        run = bench.ledger.begin(TENANT, JOB, DATASET, waiting[start : start + batch])
        bench.ledger.started(TENANT, JOB, run, f"jr_{number}")
        taken = bench.ledger.take(TENANT, JOB, run, f"jr_{number}")
        part = f"processed/{DATASET}/year=2024/month=09/{run}-0.parquet"
        commit = f"processed/{DATASET}/_commits/{taken.batch}.json"
        body = bench.converted([member.key for member in taken.members])
        bench.s3.put_object(Bucket=BUCKET, Key=part, Body=body, IfNoneMatch="*")
        bench.s3.put_object(Bucket=BUCKET, Key=commit, Body=run.encode(), IfNoneMatch="*")
        rows = len(taken.members)
        record = CommitRecord(
            outputs=[Output(key=key, version=None, zone="processed", dataset=DATASET) for key in (commit, part)],
            inputs=[InputResult(key=m.key, version=m.version, rows=1, rejected=0, id=m.id) for m in taken.members],
            rows_in=rows,
            rows_out=rows,
            rejected=0,
        )
        bench.ledger.commit(taken, record)
        bench.ledger.finalise(taken)


def copy_then_marker(bench: Bench, keys: Sequence[str], batch: int) -> None:
    """No ledger: list, write to staging, copy to the final names, put a marker, remove the staging."""
    prefix = keys[0].rsplit("/", 1)[0]
    pages = bench.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    listed = [found["Key"] for page in pages for found in page["Contents"]]
    for number, start in enumerate(range(0, len(listed), batch)):
        staged, final = f"staging/{prefix}/{number}.parquet", f"processed/{prefix}/{number}.parquet"
        bench.s3.put_object(Bucket=BUCKET, Key=staged, Body=bench.converted(listed[start : start + batch]))
        bench.s3.copy_object(Bucket=BUCKET, Key=final, CopySource={"Bucket": BUCKET, "Key": staged})
        bench.s3.put_object(Bucket=BUCKET, Key=f"processed/{prefix}/{number}._SUCCESS", Body=b"")
        bench.s3.delete_object(Bucket=BUCKET, Key=staged)


def write_units(bench: Bench, batch: int, name: str) -> float:
    """Per run of `batch` files; apart from the measurement of time, for the meter reads every item it counts."""
    from lineage import table

    keys = bench.put(f"units-{name}", batch)
    meter = Meter(bench.dynamodb, table.definition(TABLE))
    client = bench.ledger.store.connection.client
    meter.attach(client)
    with_ledger(bench, keys, batch)
    client.meta.events.unregister("before-call.dynamodb", meter._before)  # noqa: SLF001 - what `attach` has put there
    client.meta.events.unregister("after-call.dynamodb", meter._after)  # noqa: SLF001 - likewise
    return float(meter.write_units)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option, default in (("files", 1000), ("batch", 50), ("single", 100)):
        parser.add_argument(f"--{option}", type=int, default=default)
    options = parser.parse_args()
    ways: list[tuple[str, int, int, Callable[[Bench, Sequence[str], int], None]]] = [
        (f"ledger, runs of {options.batch} files", options.files, options.batch, with_ledger),
        ("ledger, a run per file", options.single, 1, with_ledger),
        (f"copy then marker, batches of {options.batch}", options.files, options.batch, copy_then_marker),
    ]
    with lake() as cloud:
        cloud("up")
        bench = Bench(cloud)
        with_ledger(bench, bench.put("warm", 2 * options.batch), options.batch)
        print("| way | files/s | CPU ms per file, client + emulator | S3 calls | ledger calls | write units |")
        print("|---|---|---|---|---|---|")
        for number, (title, files, batch, way) in enumerate(ways):
            keys = bench.put(f"way{number}", files)
            with bench.measured(title, files) as made:
                way(bench, keys, batch)
            if way is with_ledger:
                made.write_units = write_units(bench, batch, str(number)) / batch * files
            print(made.row(), flush=True)


if __name__ == "__main__":
    main()
