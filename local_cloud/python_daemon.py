"""Parent of Spark's Python processes: imports what tasks use, so that a fork has it at once.

Spark runs it as `python -m local_cloud.python_daemon pyspark.worker` (setting spark.python.daemon.module).
"""

import contextlib
import importlib
import sys
from pathlib import Path

PRELOADED = ("pyarrow", "pyarrow.parquet", "pyarrow.compute", "pyspark.sql.pandas.serializers", "boto3")


def preload() -> None:
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def forget_project() -> None:
    """Tasks shall find a job's code where the job brought it, not in this checkout."""
    project = str(Path(__file__).resolve().parents[1])
    sys.path[:] = [path for path in sys.path if path not in {project, ""}]


if __name__ == "__main__":
    preload()
    forget_project()
    from pyspark import daemon

    daemon.manager()
