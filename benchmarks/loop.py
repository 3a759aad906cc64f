"""File dropped → row in an Athena answer, on a warm local cloud: single files, many files at once, one run per file.

`python -m benchmarks.loop [--files 30] [--many 1000] [--single 20]` prints a Markdown table.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.cloud import Lake, lake, quantile

HEADER = "transaction_id,occurred_at,network,customer_id,merchant,channel,currency,amount,rate,status\n"


def transaction(name: str) -> bytes:
    return f"{HEADER}{name},2024-09-20 10:00:00,3,c7,,card,USD,1.25,0.9,settled\n".encode()


def author(name: str) -> bytes:
    return json.dumps({"author_id": name, "name": name, "updated_at": "2024-09-20T10:00:00Z"}).encode()


@dataclass(frozen=True)
class Sender:
    """A tenant with one of its datasets: how a file of one row is named and made, and where the row is found."""

    tenant: str
    dataset: str
    key: str
    identity: str
    make: Callable[[str], bytes]


ACME = Sender("acme", "transactions", "raw/network_3_transactions_{}_2024_09_20.csv", "transaction_id", transaction)
BOOKSHOP = Sender("bookshop", "authors", "raw/authors/{}.json", "author_id", author)


class Loop:
    """One tenant's way in and way out."""

    def __init__(self, cloud: Lake, sender: Sender = ACME) -> None:
        from lineage.ledger import Ledger

        session = cloud.session()
        self.cloud, self.sender = cloud, sender
        self.s3, self.athena = session.client("s3"), session.client("athena")
        self.ledger = Ledger("mycompany-local-ledger")

    def put(self, name: str) -> str:
        key = self.sender.key.format(name)
        bucket = f"mycompany-{self.sender.tenant}-local-datalake"
        self.s3.put_object(Bucket=bucket, Key=key, Body=self.sender.make(name))
        return key

    def count(self, name: str) -> int:
        sql = f"select count(*) from {self.sender.dataset} where {self.sender.identity} = '{name}'"
        query = self.athena.start_query_execution(
            QueryString=sql,
            WorkGroup=f"mycompany-{self.sender.tenant}-local",
            QueryExecutionContext={"Database": f"mycompany_{self.sender.tenant}_local"},
        )["QueryExecutionId"]
        while True:
            state = self.athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
            if state["State"] == "SUCCEEDED":
                rows = self.athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
                return int(rows[1]["Data"][0]["VarCharValue"])
            if state["State"] in {"FAILED", "CANCELLED"}:
                raise SystemExit(f"{sql}: {state.get('StateChangeReason')}")
            time.sleep(0.02)

    def wait(self, keys: set[str], seconds: float) -> None:
        """Until every key is queryable, by the ledger (cheap to ask)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            states = {
                file.key: file.state
                for file in self.ledger.files(self.sender.tenant, self.sender.dataset)
                if file.key in keys
            }
            if len(states) == len(keys) and all(state == "QUERYABLE" for state in states.values()):
                return
            time.sleep(0.05 if len(keys) == 1 else 0.5)
        raise SystemExit(f"not queryable after {seconds} s: {len(keys)} files, {states}")

    def runs(self, since: datetime) -> int:
        return sum(run.started >= since for run in self.ledger.runs(self.sender.tenant, limit=10_000))

    def single(self, name: str) -> float:
        begin = time.perf_counter()
        self.wait({self.put(name)}, 120)
        if self.count(name) != 1:
            raise SystemExit(f"{name}: the ledger says queryable, Athena does not have the row")
        return time.perf_counter() - begin


def singles(loop: Loop, files: int) -> str:
    seconds = [loop.single(f"s{number}") for number in range(files)]
    return (
        f"| {files} single files, one after another: dropped → Athena answer | "
        f"p50 {quantile(seconds, 0.5):.1f} s, p95 {quantile(seconds, 0.95):.1f} s, max {max(seconds):.1f} s |"
    )


def measured(loop: Loop, names: list[str], *, apart: bool) -> dict[str, Any]:
    since, cpu, begin = datetime.now(UTC) - timedelta(seconds=1), loop.cloud.cpu_seconds(), time.perf_counter()
    if apart:
        for name in names:
            loop.wait({loop.put(name)}, 120)
    else:
        loop.wait({loop.put(name) for name in names}, 900)
    wall = time.perf_counter() - begin
    return {"wall": wall, "cpu": 1000 * (loop.cloud.cpu_seconds() - cpu) / len(names), "runs": loop.runs(since)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("files", 30), ("many", 1000), ("single", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with lake() as cloud:
        cloud("up")
        cloud("deploy")
        loop = Loop(cloud)
        for number in range(3):  # the tenant's worker and its code paths are warm after these
            loop.single(f"w{number}")
        print("| measurement | result |\n|---|---|")
        print(singles(loop, options.files), flush=True)
        many = measured(loop, [f"m{number}" for number in range(options.many)], apart=False)
        one = measured(loop, [f"o{number}" for number in range(options.single)], apart=True)
        for title, result in ((f"{options.many} files at once", many), (f"{options.single} files, a run each", one)):
            print(f"| {title}: until all are queryable | {result['wall']:.0f} s, {result['runs']} Glue runs |")
            print(f"| {title}: CPU of the whole local cloud | {result['cpu']:.0f} ms per file |")
        print(f"| one run per file against batched, CPU per file | {one['cpu'] / many['cpu']:.0f} × |")


if __name__ == "__main__":
    main()
