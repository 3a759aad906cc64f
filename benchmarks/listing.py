"""How long does `lake files` take of a tenant with a hundred thousand files? The newest thousand, and all of them.

`python -m benchmarks.listing [--files 100000]` prints a Markdown table. The ledger is the real one; its table is in
memory and answers as DynamoDB does: pages of 1 MB, a hundred keys to a batch, and a round trip for each request.
"""

import argparse
import itertools
import json
import threading
import time
import tracemalloc
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from lineage import items, table
from lineage.ledger import Ledger
from lineage.store import Store

ROUND_TRIP_S = 0.01
PAGE_BYTES = 1_000_000
LISTED = 1000  # what `lake files` shows if nobody asks for more
PER_RUN = 50
TENANT, BUCKET, DATASETS = "acme", "bench-acme", ("sales", "refunds", "customers")
FIRST, SECOND = "raw_to_processed", "processed_to_analytics"
NOON = datetime(2024, 9, 20, 12, tzinfo=UTC)
Raw = dict[str, Any]


class Table:
    """Items by partition, in the order of their sort keys; counts what it is asked."""

    def __init__(self) -> None:
        self.partitions: dict[str, dict[str, tuple[Raw, int]]] = defaultdict(dict)
        self.order: dict[str, list[str]] = {}
        self.lock = threading.Lock()
        self.requests = 0

    def enter(self, item: items.Item) -> None:
        raw = item.serialize()
        self.partitions[item.pk][item.sk] = raw, len(json.dumps(raw, default=str))

    def answer(self, operation: str, request: Raw) -> Raw:
        with self.lock:
            self.requests += 1
        time.sleep(ROUND_TRIP_S)
        if operation == "GetItem":
            found = self._item(request["Key"])
            return {"Item": found} if found else {}
        if operation == "BatchGetItem":
            ((name, asked),) = request["RequestItems"].items()
            return {"Responses": {name: [raw for raw in map(self._item, asked["Keys"]) if raw]}}
        return self._query(request)

    def _item(self, key: Raw) -> Raw | None:
        held = self.partitions.get(key[table.PARTITION_KEY]["S"], {}).get(key[table.SORT_KEY]["S"])
        return dict(held[0]) if held else None

    def _query(self, request: Raw) -> Raw:
        values = request["ExpressionAttributeValues"]
        items = self.partitions.get(values[":h"]["S"], {})
        order = self.order.setdefault(values[":h"]["S"], sorted(items))
        if not request["ScanIndexForward"]:
            order = order[::-1]
        start = request.get("ExclusiveStartKey")
        after = _place(order, start[table.SORT_KEY]["S"], forward=request["ScanIndexForward"]) if start else 0
        prefix = values.get(":r", {"S": ""})["S"]
        size, page = 0, []
        for sk in itertools.islice(order, after, None):
            if sk.startswith(prefix):
                page.append(dict(items[sk][0]))
                size += items[sk][1]
            if size > PAGE_BYTES or len(page) == request.get("Limit"):
                last = {table.PARTITION_KEY: values[":h"], table.SORT_KEY: {"S": sk}}
                return {"Items": page, "LastEvaluatedKey": last}
        return {"Items": page}


def _place(order: list[str], sk: str, *, forward: bool) -> int:
    return (bisect_left(order, sk) if forward else len(order) - 1 - bisect_left(order[::-1], sk)) + 1


class BenchStore(Store):
    """The ledger's store on such a table."""

    def __init__(self, rows: Table) -> None:
        super().__init__("bench-ledger")
        self.rows = rows

    def send(self, operation: str, request: Raw) -> Raw:
        return self.rows.answer(operation, request)


def seeded(files: int) -> Table:
    """Files that went through both jobs, fifty to a run, spread over three datasets, one a minute."""
    rows = Table()
    for item in (*_tenant(), *itertools.chain.from_iterable(_batch(n, files) for n in range(0, files, PER_RUN))):
        rows.enter(item)
    return rows


def _tenant() -> Iterator[items.Item]:
    jobs = {FIRST: "bench-first", SECOND: "bench-second"}
    places = {"bucket": BUCKET, "account": "000000000000", "database": "bench"}
    yield items.Tenant(
        pk=table.tenant_pk(TENANT), sk="#", tenant=TENANT, st="active", jobs=jobs, max_in_flight=4, **places
    )
    for name in DATASETS:
        yield items.DatasetName(pk=table.tenant_pk(TENANT), sk=f"D#{name}", dataset=name)


def _batch(start: int, files: int) -> Iterator[items.Item]:
    """One run of each job, with the files from `start` on."""
    dataset, number = DATASETS[start // PER_RUN % len(DATASETS)], f"{start:012x}"
    first, second = f"0192{number[:4]}-{number[4:8]}-7000-8000-{number}", f"0193{number[:4]}-0000-7000-8000-{number}"
    commit = f"processed/{dataset}/_commits/{number}.json"
    node = table.node_id(commit, None)
    yield _header(first, FIRST, dataset, commit=node)
    yield _header(second, SECOND, dataset)
    yield _claim(commit, None, job=SECOND, dataset=dataset, run=second, arrived=NOON)
    for index in range(start, min(files, start + PER_RUN)):
        key, arrived = (
            f"raw/{dataset}/network_{index % 40}_transactions_{index:06}.csv.gz",
            NOON + timedelta(minutes=index),
        )
        version = f"v{index:031}"
        stamp = arrived.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        listed = f"A#{stamp}#{table.node_id(key, version)}"
        yield items.Arrival(pk=table.dataset_pk(TENANT, dataset), sk=listed, key=key, version=version, size=4096)
        yield _claim(key, version, job=FIRST, dataset=dataset, run=first, arrived=arrived)


def _header(run: str, job: str, dataset: str, **more: Any) -> items.Item:
    at = NOON.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    facts = {"tenant": TENANT, "job": job, "dataset": dataset, "st": "COMPLETED", "started": at, "ended": at, "hb": at}
    return items.Run(pk=table.job_pk(TENANT, job), sk=run, files=PER_RUN, rows_in=5000, rows_out=5000, **facts, **more)


def _claim(key: str, version: str | None, *, job: str, dataset: str, run: str, arrived: datetime) -> items.Item:
    fid, ver = table.node_id(key, version).split(".")
    return items.Claim(
        pk=table.file_pk(TENANT, fid),
        sk=table.claim_sk(ver, job),
        st="DONE",
        job=job,
        dataset=dataset,
        owner=run,
        key=key,
        version=version,
        size=4096,
        etag="0" * 32,
        arrived=arrived.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        rows=100,
        rejected=0,
    )


def measured(rows: Table, read: Callable[[Ledger], int]) -> tuple[int, int, float, float]:
    """Files, requests, seconds, and in a second reading the most memory that it took in MB."""
    rows.requests = 0
    begin = time.perf_counter()
    count = read(Ledger("bench-ledger", store=BenchStore(rows)))
    seconds, requests = time.perf_counter() - begin, rows.requests
    tracemalloc.start()
    read(Ledger("bench-ledger", store=BenchStore(rows)))
    most = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return count, requests, seconds, most


def _newest(ledger: Ledger) -> int:
    return len(list(itertools.islice(ledger.newest(TENANT), LISTED)))


def _quarantined(ledger: Ledger) -> int:
    """A state that none is in: every file is looked at, none is kept."""
    return sum(1 for file in ledger.newest(TENANT) if file.state == "QUARANTINED")


def _whole(ledger: Ledger) -> int:
    return len(ledger.files(TENANT))


READINGS = {
    f"the newest {LISTED:,} (`lake files`)": _newest,
    "those of a state, page by page (`--state`)": _quarantined,
    "all in one list (what `lake files` did)": _whole,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    most = parser.parse_args().files
    print("| files of the tenant | read | told | requests | seconds | MB at most |\n|---:|---|---:|---:|---:|---:|")
    for files in sorted({1000, 10_000, most}):
        rows = seeded(files)
        for what, read in READINGS.items():
            count, requests, seconds, size = measured(rows, read)
            print(f"| {files:,} | {what} | {count:,} | {requests:,} | {seconds:.2f} | {size:.0f} |", flush=True)


if __name__ == "__main__":
    main()
