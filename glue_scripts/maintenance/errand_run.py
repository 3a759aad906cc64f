"""One errand: taken from the ledger by this Glue run, done, and answered there."""

import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from glue_scripts.bucket import Bucket
from glue_scripts.errors import ErrandRefused
from glue_scripts.job_run import one_line
from glue_scripts.plain_table import FORMAT as PLAIN
from glue_scripts.plan import Plan
from glue_scripts.runtime import Invocation
from lineage.errands import Errands
from lineage.errors import NotInLedger, RunNotOpen
from lineage.ledger import Ledger
from lineage.values import Errand

MOST_NAMED = 1000
"""Of a long list the result names so many and counts the rest: it is kept in one item of the ledger."""

Result = dict[str, object]


class ErrandRun:
    """An errand in this process's hands."""

    def __init__(self, invocation: Invocation, ledger: Ledger, errand: Errand) -> None:
        self.arguments = invocation.arguments
        self.ledger = ledger
        self.errand = errand
        self.bucket = Bucket(name=invocation.arguments.bucket, account=invocation.arguments.account)

    @property
    def tenant(self) -> str:
        return self.arguments.tenant

    @property
    def dry(self) -> bool:
        """Only say what would be done."""
        return bool(self.errand.arguments.get("dry_run"))

    def asked(self, name: str) -> str:
        """An argument that the task cannot do without. Raises ErrandRefused."""
        value = self.errand.arguments.get(name)
        if not value:
            raise ErrandRefused(f"errand {self.errand.id}: {self.errand.task} was asked for without `{name}`.")
        return str(value)

    def number(self, name: str, default: int) -> int:
        value = self.errand.arguments.get(name)
        return default if value is None else int(str(value))

    def plan(self, dataset: str) -> Plan:
        return Plan.from_json(self.ledger.dataset(self.tenant, dataset).plan)

    def iceberg_plan(self, dataset: str) -> Plan:
        """Raises ErrandRefused where the table has no snapshots."""
        plan = self.plan(dataset)
        if plan.format == PLAIN:
            raise ErrandRefused(f"{dataset}: format parquet is append-only; it has no snapshots.")
        return plan

    @contextmanager
    def step(self, name: str, **facts: object) -> Iterator[None]:
        """Logs how long a part of the work took."""
        began = perf_counter()
        yield
        self.log(step=name, seconds=round(perf_counter() - began, 3), **facts)

    def log(self, **facts: Any) -> None:
        """One JSON line on standard output, where Glue and the local cloud keep it."""
        print(json.dumps({"errand": self.errand.id} | facts, ensure_ascii=False, default=str), flush=True)


def carry_out(invocation: Invocation, work: Callable[[ErrandRun], Mapping[str, object]]) -> None:
    """Does the errand and answers it, or nothing when it is over or another Glue run's.

    Whatever goes wrong is the errand's error as one line, then raised: the process fails, and Glue says why.
    """
    arguments = invocation.arguments
    ledger = Ledger(arguments.ledger)
    errands = Errands(ledger)
    try:
        errand = errands.take(arguments.tenant, arguments.run, invocation.glue_run)
    except (NotInLedger, RunNotOpen) as closed:
        print(json.dumps({"errand": arguments.run, "left alone": str(closed)}), flush=True)
        return
    run = ErrandRun(invocation, ledger, errand)
    try:
        with run.step("the whole errand", task=errand.task):
            result = work(run)
        run.log(result=result)
        errands.finish(errand, result)
    except RunNotOpen as closed:
        run.log(left_alone=str(closed))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        reason = one_line(error)
        run.log(failed=reason)
        errands.fail(arguments.tenant, errand.id, reason)
        raise


def named(found: list[Any]) -> list[Any]:
    """The first of a long list."""
    return found[:MOST_NAMED]
