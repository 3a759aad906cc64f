"""The job for errands: work on a tenant's tables or ledger that is no batch of files. Its `run` is an errand's id."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glue_scripts.job_run import one_line
from glue_scripts.runtime import Invocation, invocation
from lineage.errands import Errands
from lineage.ledger import Ledger
from lineage.values import Errand

Task = Callable[[Errand, Invocation], Mapping[str, Any]]

TASKS: Mapping[str, Task] = {}


def main(argv: Sequence[str]) -> None:
    started = invocation(argv)
    arguments = started.arguments
    errands = Errands(Ledger(arguments.ledger))
    errand = errands.take(arguments.tenant, arguments.run, started.glue_run)
    try:
        errands.finish(errand, task_of(errand)(errand, started))
    except Exception as error:
        errands.fail(errand.tenant, errand.id, one_line(error))
        raise


def task_of(errand: Errand) -> Task:
    if errand.task not in TASKS:
        raise ValueError(f"errand {errand.id}: {errand.task!r} is no task; known: {', '.join(TASKS) or 'none yet'}")
    return TASKS[errand.task]


if __name__ == "__main__":
    main(sys.argv)
