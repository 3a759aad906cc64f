"""A lake in memory; Spark and a small cloud for what only a table can show."""

from tests.faults.lake import played
from tests.glue_scripts.conftest import endpoint, fresh_spark, lake, spark

__all__ = ["endpoint", "fresh_spark", "lake", "played", "spark"]
