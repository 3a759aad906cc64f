"""Raw strings to the contract's columns, and the verdict on each row; the plan says what, this says in which order.

Every row goes through, right or wrong: `_reasons` is NULL for a row that holds to the contract.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - the name everybody knows

from glue_scripts.plan import Plan, Rule

RECORD_COLUMNS = {"_source_file": "_file", "_arrived_at": "_arrived_at", "_row": "_row", "_sequencer": "_sequencer"}
"""What every row keeps of its origin, and from what; `_file` itself is a name that Iceberg keeps for itself."""

VERDICT_COLUMNS = ("_year", "_month", "_source", "_about", "_reasons", "_record")
"""What the writer needs beside the row: where it goes and, if rejected, why and from what text."""


def conform(raw: DataFrame, plan: Plan) -> DataFrame:
    """From what readers give to what the writer takes: contract columns, record columns, verdict columns."""
    return place(judge(derive(cast(raw, plan), plan), plan), plan)


def cast(raw: DataFrame, plan: Plan) -> DataFrame:
    """Source strings become the contract's columns; the strings stay in `_src`."""
    internal = [column for column in raw.columns if column != "_src"]
    sources = raw.select(*internal, "_src", "_src.*")
    return sources.select(*internal, "_src", *(F.expr(column.expression).alias(column.name) for column in plan.columns))


def derive(conformed: DataFrame, plan: Plan) -> DataFrame:
    """Adds each derived column; it may use those before it."""
    for column in plan.derived:
        conformed = conformed.select("*", F.expr(column.expression).alias(column.name))
    return conformed


def judge(rows: DataFrame, plan: Plan) -> DataFrame:
    """Adds `_reasons`: one text per broken rule, or the reader's problem, or NULL."""
    read = F.array(F.col("_problem"))
    broken = F.array_compact(F.array(*(_reason(rule) for rule in plan.rules))) if plan.rules else F.array()
    reasons = F.when(F.col("_about").isNotNull(), read).otherwise(broken.cast("array<string>"))
    return rows.select("*", F.when(F.size(reasons) > 0, reasons).alias("_reasons"))


def place(rows: DataFrame, plan: Plan) -> DataFrame:
    """Adds the partition: what the plan says for good rows, the arrival for rejected and for undated ones."""
    year, month = F.expr(plan.year).cast("int"), F.expr(plan.month).cast("string")
    undated = F.col("_reasons").isNotNull() | year.isNull() | month.isNull()
    original = F.when(F.col("_about").isNull(), F.to_json("_src")).otherwise(F.col("_text"))
    return rows.select(
        *(F.col(f"`{column.name}`").cast(column.type).alias(column.name) for column in plan.contract_columns),
        *(F.col(known).alias(name) for name, known in RECORD_COLUMNS.items()),
        F.when(undated, F.year("_arrived_at")).otherwise(year).alias("_year"),
        F.when(undated, F.date_format("_arrived_at", "MM")).otherwise(month).alias("_month"),
        "_source",
        "_about",
        "_reasons",
        F.when(F.col("_reasons").isNotNull(), original).alias("_record"),
    )


def _reason(rule: Rule) -> Column:
    """NULL when the row is right. A rule whose own text comes out as NULL still rejects."""
    right = F.coalesce(F.expr(rule.predicate), F.lit(False))
    return F.when(~right, F.coalesce(F.expr(rule.reason), F.lit(f"breaks the rule {rule.id}")))
