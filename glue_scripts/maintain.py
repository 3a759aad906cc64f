"""Third script: errands on a tenant's tables and ledger. Run by Glue with `--run`, the id of an errand.

take ─► the errand's task (`glue_scripts.maintenance`) ─► answer
"""

import sys
from collections.abc import Callable, Mapping, Sequence

from pyspark.sql import SparkSession

from glue_scripts.errors import ErrandRefused
from glue_scripts.maintenance import rebuilding, rollback, snapshots, upkeep
from glue_scripts.maintenance.errand_run import ErrandRun, Result, carry_out
from glue_scripts.runtime import invocation, session
from lineage.values import ErrandTask

TASKS: Mapping[str, Callable[[ErrandRun, SparkSession], Result]] = {
    ErrandTask.MAINTAIN: upkeep.work,
    ErrandTask.ROLLBACK: rollback.work,
    ErrandTask.SNAPSHOTS: snapshots.work,
    ErrandTask.REBUILD: rebuilding.work,
}


def main(argv: Sequence[str]) -> None:
    started = invocation(argv)

    def work(run: ErrandRun) -> Result:
        task = TASKS.get(run.errand.task)
        if task is None:
            raise ErrandRefused(f"errand {run.errand.id}: no task {run.errand.task}; there are {', '.join(TASKS)}.")
        with session(started.job_name, argv) as spark:
            return task(run, spark)

    carry_out(started, work)


if __name__ == "__main__":
    main(sys.argv)
