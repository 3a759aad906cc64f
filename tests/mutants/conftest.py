"""A lake in memory; Spark and a small cloud for what only a table can show."""

from tests.faults.lake import played
from tests.glue_scripts.conftest import endpoint, lake, spark

__all__ = ["endpoint", "lake", "played", "spark"]
