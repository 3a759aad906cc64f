"""One run of a job: taken from the ledger, kept alive while it works, committed or failed."""

import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from glue_scripts.bucket import Bucket
from glue_scripts.plan import Plan
from glue_scripts.runtime import Invocation
from lineage.errors import RunNotOpen
from lineage.ledger import Ledger
from lineage.values import CommitRecord, Run

HEARTBEAT_S = 60


class JobRun:
    """A run in this process's hands."""

    def __init__(self, invocation: Invocation, ledger: Ledger, run: Run) -> None:
        self.arguments = invocation.arguments
        self.ledger = ledger
        self.run = run
        self.bucket = Bucket(name=invocation.arguments.bucket, account=invocation.arguments.account)
        self.started = datetime.now(UTC)

    @cached_property
    def plan(self) -> Plan:
        return Plan.from_json(self.ledger.dataset(self.run.tenant, self.run.dataset).plan)

    def commit(self, record: CommitRecord) -> None:
        """Makes the run's work count; raises RunNotOpen when it no longer may."""
        with self.step("commit to the ledger"):
            self.ledger.commit(self.run, record)

    def still_ours(self) -> None:
        """Raises RunNotOpen when the run was fenced: somebody else may do its work by now."""
        self.ledger.heartbeat(self.run)

    def finalise(self) -> None:
        with self.step("finalise"):
            self.ledger.finalise(self.run)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Logs how long a part of the work took."""
        began = time.perf_counter()
        yield
        self.log(step=name, seconds=round(time.perf_counter() - began, 3))

    def log(self, **facts: Any) -> None:
        """One JSON line on standard output, where Glue and the local cloud keep it."""
        print(json.dumps({"run": self.run.run, "dataset": self.run.dataset} | facts, ensure_ascii=False), flush=True)


def carry_out(job: str, invocation: Invocation, work: Callable[[JobRun], None]) -> None:
    """Does the work as the owner of the run, or nothing when the run is not ours to do.

    Whatever goes wrong is written to the ledger as one line, then raised: the process fails, and Glue says why.
    """
    arguments = invocation.arguments
    ledger = Ledger(arguments.ledger)
    try:
        run = ledger.take(arguments.tenant, job, arguments.run, invocation.glue_run)
    except RunNotOpen as closed:
        print(json.dumps({"run": arguments.run, "left alone": str(closed)}), flush=True)
        return
    job_run = JobRun(invocation, ledger, run)
    try:
        with _alive(job_run), job_run.step("the whole run"):
            work(job_run)
    except RunNotOpen as closed:
        job_run.log(left_alone=str(closed))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        _fail(job_run, error)
        raise


def _fail(job_run: JobRun, error: Exception) -> None:
    reason = one_line(error)
    job_run.log(failed=reason)
    try:
        job_run.ledger.fail(job_run.run, reason)
    except Exception:
        # The ledger learns it from Glue's event, or from the missing heartbeat.
        traceback.print_exc(file=sys.stderr)


def one_line(error: BaseException) -> str:
    """The line that says what happened; the messages of Spark go on for pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    if causes:
        said = causes[-1]  # of a failure in the JVM: its bottom
    elif "Traceback (most recent call last):" in lines:
        said = lines[-1]  # of a failure in a Python worker: the exception there
    else:
        said = lines[0] if lines else ""
    return f"{type(error).__name__}: {said}"[:500]


@contextmanager
def _alive(job_run: JobRun) -> Iterator[None]:
    """Tells the ledger once a minute that the run lives."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_S):
            try:
                job_run.ledger.heartbeat(job_run.run)
            except RunNotOpen as closed:
                job_run.log(warning=f"the work goes on but will not count: {closed}")
                return
            except Exception as error:
                job_run.log(warning=f"no heartbeat: {one_line(error)}")

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
