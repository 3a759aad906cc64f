"""Statements that change the catalog only: views, external tables and partitions."""

from functools import partial
from typing import Any

from local_cloud.athena import relation
from local_cloud.athena.catalog import Catalog, Table, denied_as_athena_says, failure, view_definition
from local_cloud.athena.emulator import split_uri
from local_cloud.athena.errors import EmulatorRefused, QueryFailed
from local_cloud.athena.query import Query
from local_cloud.athena.statement import Kind, Statement
from local_cloud.athena.types import from_hive
from local_cloud.athena.write import PARQUET, register_partitions

TEXT = {
    "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
}
LAZY_SIMPLE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
FORMATS: dict[str, dict[str, Any]] = {
    "parquet": PARQUET,
    "textfile": TEXT | {"SerdeInfo": {"SerializationLibrary": LAZY_SIMPLE}},
}


def create_view(query: Query, statement: Statement, database: str) -> None:
    name = statement.subject
    existing = denied_as_athena_says(lambda: query.catalog.table(database, name), f"view {database}.{name}")
    if existing is not None and not existing.is_view:
        raise QueryFailed("TABLE_ALREADY_EXISTS", f"Table already exists: '{existing.qualified}'")
    if existing is not None and not statement.options["replace"]:
        raise QueryFailed("ALREADY_EXISTS", f"View already exists: '{existing.qualified}'")
    query.prepare(statement.tree)
    columns = [(column.lower(), kind.narrowed()) for column, kind in query.columns]
    if any(column.startswith("_col") for column, _ in columns):
        raise QueryFailed("MISSING_COLUMN_NAME", "Column name not specified at position 1: give every column a name")
    definition = view_definition(name, database, statement.query, columns)
    catalog = query.catalog
    write = catalog.create_table if existing is None else catalog.update_table
    denied_as_athena_says(lambda: write(database, definition), f"view {name}")


def drop(catalog: Catalog, statement: Statement, database: str) -> None:
    name = statement.subject
    wants_view = statement.kind is Kind.DROP_VIEW
    table = denied_as_athena_says(lambda: catalog.table(database, name), f"table {name}")
    if table is None:
        if statement.options["if_exists"]:
            return
        kind = "View" if wants_view else "Table"
        raise QueryFailed("TABLE_NOT_FOUND", f"{kind} 'awsdatacatalog.{database}.{name}' does not exist", "line 1:1")
    if table.is_view != wants_view:
        found, use = ("view", "DROP VIEW") if table.is_view else ("table", "DROP TABLE")
        raise QueryFailed("INVALID_TABLE_TYPE", f"'{table.qualified}' is a {found}; use {use}", "line 1:1")
    if table.is_iceberg:
        raise QueryFailed(
            "NOT_SUPPORTED",
            f"DROP TABLE of the Iceberg table {table.qualified} would delete its files; datasets are removed through "
            "their tenant's contract",
        )
    denied_as_athena_says(lambda: catalog.delete_table(database, name), f"table {name}")


def create_table(catalog: Catalog, statement: Statement, database: str) -> None:
    """CREATE EXTERNAL TABLE."""
    name = statement.subject
    options = statement.options
    if not options.get("location"):
        raise QueryFailed("SYNTAX_ERROR", "LOCATION is required for an external table", "line 1:1")
    split_uri(options["location"])
    for column, kind, _ in [*options["columns"], *options["partition_keys"]]:
        from_hive(kind, column)
    storage = _storage(options)
    definition = {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", **options["properties"]},
        "PartitionKeys": [_column(entry) for entry in options["partition_keys"]],
        "StorageDescriptor": storage
        | {"Columns": [_column(entry) for entry in options["columns"]], "Location": options["location"]},
    }
    if options.get("comment"):
        definition["Description"] = options["comment"]
    try:
        catalog.create_table(database, definition)
    except EmulatorRefused as e:
        if e.code != "AlreadyExistsException":
            raise failure(e, f"table {name}") from e
        if not options["if_not_exists"]:
            raise QueryFailed("TABLE_ALREADY_EXISTS", f"Table {name} already exists") from e


def _storage(options: dict[str, Any]) -> dict[str, Any]:
    chosen = options.get("format") or "textfile"
    if chosen not in FORMATS:
        raise QueryFailed("NOT_SUPPORTED", f"STORED AS {chosen.upper()} is not read by the local cloud")
    storage = dict(FORMATS[chosen])
    if options.get("input_format"):
        storage |= {"InputFormat": options["input_format"], "OutputFormat": options["output_format"]}
    serde = options.get("serde") or storage["SerdeInfo"]["SerializationLibrary"]
    return storage | {"SerdeInfo": {"SerializationLibrary": serde, "Parameters": options["serde_properties"]}}


def _column(entry: tuple[str, str, str]) -> dict[str, str]:
    name, kind, comment = entry
    return {"Name": name, "Type": kind} | ({"Comment": comment} if comment else {})


def add_partitions(catalog: Catalog, statement: Statement, table: Table) -> None:
    for written, location in statement.options["partitions"]:
        values = _values(table, written)
        folders = "/".join(f"{key.name}={value}" for key, value in zip(table.partition_keys, values, strict=True))
        place = location or f"{table.location.rstrip('/')}/{folders}/"
        made = denied_as_athena_says(partial(catalog.create_partition, table, values, place), table.qualified)
        if not made and not statement.options["lenient"]:
            raise QueryFailed("ALREADY_EXISTS", f"Partition already exists: {list(values)}")


def drop_partitions(catalog: Catalog, statement: Statement, table: Table) -> None:
    for written, _ in statement.options["partitions"]:
        values = _values(table, written)
        try:
            catalog.delete_partition(table, values)
        except EmulatorRefused as e:
            if e.code != "EntityNotFoundException":
                raise failure(e, table.qualified) from e
            if not statement.options["lenient"]:
                raise QueryFailed("NOT_FOUND", f"Partition does not exist: {list(values)}") from e


def _values(table: Table, written: dict[str, Any]) -> tuple[str, ...]:
    names = [key.name for key in table.partition_keys]
    if set(names) != set(written):
        raise QueryFailed("INVALID_PARTITION", f"Partition keys of {table.qualified} are {', '.join(names)}")
    return tuple(str(written[name]) for name in names)


def repair(catalog: Catalog, table: Table) -> list[str]:
    """MSCK REPAIR TABLE: registers the `k=v` folders that hold files; returns Athena's lines."""
    if not table.partition_keys:
        return []
    files = denied_as_athena_says(lambda: relation.files_below(catalog, table.location), table.qualified)
    new = register_partitions(catalog, table, [file.uri for file in files])
    names = [key.name for key in table.partition_keys]
    shown = ["/".join(f"{n}={v}" for n, v in zip(names, values, strict=True)) for values in new]
    return [f"Repair: Added partition to metastore {table.name}:{partition}" for partition in shown]
