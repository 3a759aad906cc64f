"""Nothing of the developer's own account, region or endpoint reaches a test; a lake in memory; one on Spark."""

from tests.faults.lake import played
from tests.faults.spark_lake import wire
from tests.glue_scripts.conftest import spark

__all__ = ["played", "spark", "wire"]
