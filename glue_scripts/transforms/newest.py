"""Of several rows with one key, the one that stays."""

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name everybody knows


def age_columns(version_column: str | None) -> tuple[str, ...]:
    """What orders the rows of a key, oldest first: the contract's version, then arrival, then place in the batch.

    Before the place stands what orders the files of a batch: so files that arrived in the same second, also versions of
    one key, have one order, in however many batches they came.
    """
    return (*([version_column] if version_column else []), "_arrived_at", "_source_file", "_sequencer", "_row")


def newest(rows: DataFrame, key: Sequence[str], version_column: str | None) -> DataFrame:
    """One row per key; a row without a version is older than any with one."""
    by_age = [F.col(f"`{name}`").desc_nulls_last() for name in age_columns(version_column)]
    window = Window.partitionBy(*(F.col(f"`{name}`") for name in key)).orderBy(*by_age)
    return (
        rows.select("*", F.row_number().over(window).alias("_rank"))
        .where(F.col("_rank") == 1)
        .select(*(F.col(f"`{name}`") for name in rows.columns))
    )
