"""Does one tenant's ten thousand files delay the others? Drop → queryable of the others, with and without them.

`python -m benchmarks.fairness [--files 10000]` prints a Markdown table of two comparisons, each in one run:

- scheduling: the real ledger (its table in memory) and the real dispatch on a simulated clock. Glue is a queue with a
  start-up time, a time per file and fewer places than the tenants could fill; a run commits through the ledger. It
  shows what the rules do, apart from this machine's cores. Beside the noisy tenant, or beside tenants whose own jobs
  run as often as they may and never end.
- this machine (`--cloud`): the local cloud, one tenant's files put as fast as S3 takes them, the other's one at a time.
"""

import argparse
import heapq
import io
import itertools
import random
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.cloud import quantile

START_S, FILE_S = 60.0, 0.05  # a run's start-up and its work per file
PLACES = 5  # runs that the account has at a time
QUIET = tuple(f"quiet{number}" for number in range(6))
NOISY = "noisy"
HUNG = ("hung0", "hung1", "hung2")
FILES_EACH, EVERY_S = 10, 240.0
RAW, ANALYTICS = "raw_to_processed", "processed_to_analytics"
TABLE = "bench-ledger"


@dataclass
class Simulation:
    """The control plane on a clock that jumps from event to event."""

    ledger: Any
    now: datetime = datetime(2024, 9, 20, tzinfo=UTC)
    agenda: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    order: Any = field(default_factory=itertools.count)
    running: int = 0
    carries: dict[str, list[str]] = field(default_factory=dict)
    done: dict[str, datetime] = field(default_factory=dict)
    arrived: dict[str, datetime] = field(default_factory=dict)
    dispatcher: Any = None
    starts: Any = field(default_factory=lambda: itertools.count(1))

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.agenda, (self.now + timedelta(seconds=seconds), next(self.order), action))

    def run(self, until: Callable[[], bool]) -> None:
        while not until():
            self.now, _, action = heapq.heappop(self.agenda)
            action()

    def tick(self) -> None:
        self.dispatcher.handle({})
        self.at(60, self.tick)

    # -- Glue's client ---------------------------------------------------------------------------------------------

    def start_job_run(self, *, JobName: str, Arguments: dict[str, str]) -> dict[str, str]:  # noqa: N803 - boto3's
        if JobName in {f"bench-{tenant}-{RAW}" for tenant in HUNG}:
            raise ClientError({"Error": {"Code": "ConcurrentRunsExceededException", "Message": "full"}}, "StartJobRun")
        if self.running >= PLACES:
            refusal = {"Code": "ResourceNumberLimitExceededException", "Message": "full"}
            raise ClientError({"Error": refusal}, "StartJobRun")
        self.running += 1
        glue_run, run = f"jr_{next(self.starts)}", Arguments["--run"]
        tenant, job = self.ledger.owner_of_glue_job(JobName)
        files = self.ledger.run(tenant, run).files
        self.at(START_S + FILE_S * files, lambda: self._end(JobName, tenant, job, run, glue_run))
        return {"JobRunId": glue_run}

    def _end(self, glue_job: str, tenant: str, job: str, run: str, glue_run: str) -> None:
        self.running -= 1
        self._work(self.ledger.take(tenant, job, run, glue_run))
        detail = {"jobName": glue_job, "jobRunId": glue_run, "state": "SUCCEEDED"}
        self.dispatcher.handle({"detail-type": "Glue Job State Change", "detail": detail})

    def _work(self, run: Any) -> None:
        from lineage.values import CommitRecord, FileVersion, InputResult, Output

        results = [InputResult(key=one.key, version=one.version, rows=1, rejected=0, id=one.id) for one in run.members]
        commit = f"processed/{run.dataset}/_commits/{run.batch}.json"
        first = run.job == RAW
        output = Output(
            key=commit if first else f"analytics-ready/{run.dataset}/year=2024/month=09",
            version=None if first else run.run,
            zone="processed" if first else "analytics-ready",
            dataset=run.dataset,
        )
        rows = len(results)
        record = CommitRecord(outputs=[output], inputs=results, rows_in=rows, rows_out=rows, rejected=0)
        self.ledger.commit(run, record)
        self.ledger.finalise(run)
        if not first:
            for member in run.members:
                self.done.update(dict.fromkeys(self.carries[run.tenant + member.key], self.now))
            return
        self.carries[run.tenant + commit] = [run.tenant + member.key for member in run.members]
        facts = {"tenant": run.tenant, "dataset": run.dataset, "key": commit, "version": None, "size": 1, "etag": "e"}
        self.ledger.receive(FileVersion(**facts, arrived_at=self.now), ANALYTICS)
        self.dispatcher.handle({"tenant": run.tenant, "dataset": run.dataset, "job": ANALYTICS})

    # -- tenants ---------------------------------------------------------------------------------------------------

    def drop(self, tenant: str, names: list[str]) -> None:
        from lineage.receipts import Receipt
        from lineage.values import FileVersion

        facts = {"tenant": tenant, "dataset": "sales", "version": "v1", "size": 1, "etag": "e", "arrived_at": self.now}
        files = [FileVersion(key=f"raw/sales/{name}", **facts) for name in names]
        self.ledger.receive_all([Receipt(file=file, job=RAW) for file in files])
        self.arrived.update({tenant + file.key: self.now for file in files})
        self.dispatcher.handle({"tenant": tenant, "dataset": "sales", "job": RAW})


def simulated(noise: int, *, hung: bool = False) -> list[float]:
    """Seconds from drop to queryable of each file of the quiet tenants."""
    from ingestion.dispatch import Dispatcher
    from lineage.ledger import Ledger
    from tests.faults.injection import Process
    from tests.faults.memory import MemoryStore, memory_table

    world = Simulation(Ledger(TABLE, store=MemoryStore(memory_table(), Process()), clock=lambda: world.now))
    world.dispatcher = Dispatcher(
        world.ledger, world, clock=lambda: world.now, sleep=lambda _seconds: None, side_by_side=1
    )
    beside = (NOISY, *(HUNG if hung else ()))
    for tenant in (*QUIET, *beside):
        enter(world.ledger, tenant)
    dice = random.Random(7)
    for tenant in QUIET:
        for number in range(FILES_EACH):
            moment = EVERY_S * number + dice.uniform(0, EVERY_S)
            world.at(moment, lambda tenant=tenant, name=f"{number}.csv": world.drop(tenant, [name]))
    if noise:
        world.at(1, lambda: world.drop(NOISY, [f"{number}.csv" for number in range(noise)]))
    for tenant in HUNG if hung else ():
        for number in range(FILES_EACH):
            moment = EVERY_S * number + 1
            world.at(moment, lambda tenant=tenant, name=f"{number}.csv": world.drop(tenant, [name]))
    world.at(30, world.tick)
    quiet = len(QUIET) * FILES_EACH
    world.run(lambda: sum(not name.startswith(beside) for name in world.done) >= quiet)
    took = {name: (world.done[name] - world.arrived[name]).total_seconds() for name in world.done}
    return [seconds for name, seconds in took.items() if not name.startswith(beside)]


def enter(ledger: Any, tenant: str) -> None:
    from lineage.values import DatasetEntry, TenantEntry

    jobs = {job: f"bench-{tenant}-{job}" for job in (RAW, ANALYTICS)}
    ledger.put_dataset(
        DatasetEntry(
            tenant=tenant,
            dataset="sales",
            files=("raw/sales/**",),
            max_wait_s=0,
            max_files=200,
            max_bytes=10**9,
            plan="{}",
        )
    )
    ledger.put_tenant(
        TenantEntry(
            tenant=tenant,
            state="active",
            bucket=f"b-{tenant}",
            account="0" * 12,
            database=tenant,
            jobs=jobs,
            max_in_flight=2,
        )
    )


def on_this_machine(noise: int, files: int) -> tuple[list[float], list[float]]:
    """Seconds from drop to the Athena answer of bookshop's files, before and while acme drops its own."""
    from benchmarks.cloud import lake
    from benchmarks.loop import BOOKSHOP, Loop

    with lake() as cloud:
        cloud("up")
        cloud("deploy")
        other = Loop(cloud, BOOKSHOP)
        for number in range(3):
            other.single(f"warm{number}")
        before = [other.single(f"quiet{number}") for number in range(files)]
        noisy = Loop(cloud)
        stop = threading.Event()

        def drop() -> None:
            for number in range(noise):
                if stop.is_set():
                    return
                noisy.put(f"n{number}")

        thread = threading.Thread(target=drop, daemon=True)
        thread.start()
        time.sleep(5)
        during = [other.single(f"noisy{number}") for number in range(files)]
        stop.set()
        thread.join()
    return before, during


def row(title: str, quiet: list[float], noisy: list[float]) -> str:
    one, two = quantile(quiet, 0.95), quantile(noisy, 0.95)
    return (
        f"| {title} | {quantile(quiet, 0.5):.1f} / {one:.1f} s | {quantile(noisy, 0.5):.1f} / {two:.1f} s | "
        f"{two / one:.2f} × |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="of the tenant that drops many")
    parser.add_argument("--cloud", type=int, metavar="N", default=0, help="measure the local cloud too, N single files")
    options = parser.parse_args()
    with redirect_stdout(io.StringIO()):  # the journal of the control plane
        alone, hung, beside = simulated(0), simulated(0, hung=True), simulated(options.files)
    print("| drop → queryable of the others, p50 / p95 | alone | beside | p95 beside : alone |\n|---|---|---|---|")
    print(row("scheduling (simulated clock)", alone, beside))
    print(row(f"scheduling, {len(HUNG)} tenants whose jobs hang", alone, hung), flush=True)
    if options.cloud:
        print(row("this machine", *on_this_machine(options.files, options.cloud)))


if __name__ == "__main__":
    main()
