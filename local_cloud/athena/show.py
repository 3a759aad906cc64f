"""SHOW and DESCRIBE: rows of text about the catalog."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local_cloud.athena import catalog as catalogs
from local_cloud.athena import relation
from local_cloud.athena.catalog import Catalog, Table, denied_as_athena_says
from local_cloud.athena.errors import QueryFailed
from local_cloud.athena.statement import Kind, Statement


@dataclass(frozen=True)
class Listing:
    """Column names and rows; every value is text."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]


def databases(catalog: Catalog, statement: Statement) -> Listing:
    found = denied_as_athena_says(catalog.databases, "the catalog")
    return Listing(("database_name",), [[name] for name in _filtered(found, statement.options)])


def tables(catalog: Catalog, statement: Statement, database: str) -> Listing:
    """SHOW TABLES and SHOW VIEWS."""
    found: list[Table] = denied_as_athena_says(lambda: catalog.tables(database), f"database {database}")
    if not found:
        catalog.require_database(database)
    views_only = statement.kind is Kind.SHOW_VIEWS
    names = [table.name for table in found if table.is_view or not views_only]
    column = "views" if views_only else "tab_name"
    return Listing((column,), [[name] for name in _filtered(names, statement.options)])


def _filtered(names: list[str], options: dict[str, Any]) -> list[str]:
    if options.get("like") is not None:
        written = str(options["like"])
        return catalogs.like(names, written) if "%" in written or "_" in written else catalogs.matching(names, written)
    return catalogs.matching(names, options.get("pattern"))


def columns(table: Table) -> Listing:
    return Listing(("field",), [[column.name] for column in table.all_columns])


def describe(table: Table) -> Listing:
    rows = [[column.name, column.written_type, column.comment] for column in table.all_columns]
    if table.partition_keys and not table.is_iceberg:
        rows += [["", "", ""], ["# Partition Information", "", ""], ["# col_name", "data_type", "comment"]]
        rows += [[key.name, key.written_type, key.comment] for key in table.partition_keys]
    return Listing(("col_name", "data_type", "comment"), rows)


def partitions(catalog: Catalog, table: Table) -> Listing:
    if table.is_iceberg or not table.partition_keys:
        raise QueryFailed("INVALID_TABLE_TYPE", f"Table {table.qualified} is not a partitioned Hive table")
    names = [key.name for key in table.partition_keys]
    found = denied_as_athena_says(lambda: relation.all_partitions(catalog, table), table.qualified)
    shown = ["/".join(f"{n}={v}" for n, v in zip(names, p.values, strict=True)) for p in found]
    return Listing(("partition",), [[line] for line in sorted(shown)])


def properties(table: Table, wanted: str | None) -> Listing:
    chosen = {k: v for k, v in sorted(table.parameters.items()) if wanted is None or k == wanted.strip().strip("'\"")}
    return Listing(("prpt_name", "prpt_value"), [[key, value] for key, value in chosen.items()])


def create_view(table: Table) -> Listing:
    if not table.is_view:
        raise QueryFailed("INVALID_TABLE_TYPE", f"'{table.qualified}' is not a view")
    lines = [f"CREATE VIEW {table.database}.{table.name} AS", *table.view_text.splitlines()]
    return Listing(("Create View",), [[line] for line in lines])


def create_table(table: Table) -> Listing:
    """SHOW CREATE TABLE: a statement that CREATE EXTERNAL TABLE understands (for Iceberg, one to read)."""
    if table.is_view:
        raise QueryFailed("INVALID_TABLE_TYPE", f"'{table.qualified}' is a view; use SHOW CREATE VIEW")
    external = "" if table.is_iceberg else "EXTERNAL "
    lines = [f"CREATE {external}TABLE `{table.database}.{table.name}`(", *_column_lines(table.columns)]
    if table.partition_keys:
        lines += ["PARTITIONED BY (", *_column_lines(table.partition_keys)]
    if not table.is_iceberg:
        lines += ["ROW FORMAT SERDE", f"  '{table.serde}'"]
        lines += _pairs("WITH SERDEPROPERTIES (", table.serde_parameters)
        storage = table.raw.get("StorageDescriptor") or {}
        lines += ["STORED AS INPUTFORMAT", f"  '{storage.get('InputFormat', '')}'"]
        lines += ["OUTPUTFORMAT", f"  '{storage.get('OutputFormat', '')}'"]
    lines += ["LOCATION", f"  '{table.location}'", *_pairs("TBLPROPERTIES (", table.parameters)]
    return Listing(("createtab_stmt",), [[line] for line in lines])


def _column_lines(columns_: Sequence[Any]) -> list[str]:
    shown = [f"  `{c.name}` {c.written_type}" + (f" COMMENT '{c.comment}'" if c.comment else "") for c in columns_]
    return [f"{line}," for line in shown[:-1]] + [f"{shown[-1]})"] if shown else [")"]


def _pairs(opening: str, values: Any) -> list[str]:
    shown = [f"  '{key}'='{value}'" for key, value in sorted(values.items())]
    return [opening, *(f"{line}," for line in shown[:-1]), f"{shown[-1]})"] if shown else []
