"""Statements that write data files: CREATE TABLE AS, INSERT INTO and UNLOAD, as Parquet under the query role."""
# ruff: noqa: S608  every name and value in these texts is quoted by types.quoted and types.text

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud.athena import relation
from local_cloud.athena.catalog import Catalog, Table, denied_as_athena_says, failure
from local_cloud.athena.errors import EmulatorRefused, QueryFailed
from local_cloud.athena.query import Query
from local_cloud.athena.statement import Statement
from local_cloud.athena.types import Type, quoted, text
from local_cloud.athena.workgroup import Workgroup

PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
COMPRESSIONS = {"SNAPPY", "GZIP", "ZSTD", "LZ4", "NONE"}


@dataclass(frozen=True)
class Written:
    """What a statement wrote: uris of files, and rows."""

    files: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class Target:
    """Where and how files are written. `location` ends with a slash."""

    location: str
    partitioned_by: tuple[str, ...] = ()
    compression: str = "GZIP"


def create_table_as(
    query: Query, statement: Statement, database: str, workgroup: Workgroup, target_base: str
) -> Written:
    """CTAS. `target_base` is where a table goes whose location is not given."""
    name = statement.subject
    properties = statement.options["properties"]
    if denied_as_athena_says(lambda: query.catalog.table(database, name), f"table {database}.{name}") is not None:
        if statement.options["if_not_exists"]:
            return Written((), 0)
        raise QueryFailed("TABLE_ALREADY_EXISTS", f"Table '{name}' already exists")
    target = _ctas_target(properties, workgroup, target_base)
    _require_empty(query.catalog, target.location)
    query.prepare(statement.tree)
    columns = _columns(query, None)
    keys = target.partitioned_by
    if list(keys) != [column for column, _ in columns][len(columns) - len(keys) :]:
        raise QueryFailed("SYNTAX_ERROR", "Partition keys must be the last columns in the table and in the same order")
    written = _write(query, statement, target, columns) if statement.options["with_data"] else Written((), 0)
    table = _table_input(name, columns, keys, target.location)
    denied_as_athena_says(lambda: query.catalog.create_table(database, table), f"table {name}")
    if keys:
        register_partitions(query.catalog, query.find(database, name), written.files)
    return written


def insert(query: Query, statement: Statement, database: str) -> Written:
    """Appends files of a Hive Parquet table; Iceberg is refused."""
    table = query.find(database, statement.subject)
    if table.is_iceberg:
        raise QueryFailed(
            "NOT_SUPPORTED",
            f"INSERT INTO the Iceberg table {table.qualified} is not run by the local cloud, whose SQL engine does "
            "not write Iceberg; rows are added by the tenant's jobs",
        )
    if table.is_view or "parquet" not in table.serde.lower():
        raise QueryFailed("NOT_SUPPORTED", f"INSERT INTO {table.qualified}: only Parquet tables are written locally")
    query.prepare(statement.tree)
    columns = _columns(query, _insert_order(table, statement.options["columns"], len(query.columns)))
    wanted = {column.name: column.type for column in table.all_columns}
    typed = [(column, wanted[column]) for column, _ in columns]
    target = Target(f"{table.location.rstrip('/')}/", tuple(key.name for key in table.partition_keys))
    written = _write(query, statement, target, typed)
    if table.partition_keys:
        register_partitions(query.catalog, table, written.files)
    return written


def unload(query: Query, statement: Statement) -> Written:
    properties = statement.options["properties"]
    if str(properties.get("format", "")).upper() != "PARQUET":
        raise QueryFailed("NOT_SUPPORTED", "UNLOAD: the local cloud writes format = 'PARQUET' only")
    location = f"{statement.options['location'].rstrip('/')}/"
    keys = tuple(str(key).lower() for key in properties.get("partitioned_by", ()))
    target = Target(location, keys, _compression(properties.get("compression", "GZIP")))
    _require_empty(query.catalog, location)
    query.prepare(statement.tree)
    return _write(query, statement, target, _columns(query, None))


def _ctas_target(properties: dict[str, Any], workgroup: Workgroup, base: str) -> Target:
    known = {"format", "external_location", "partitioned_by", "write_compression", "parquet_compression"}
    if str(properties.get("table_type", "")).upper() == "ICEBERG":
        raise QueryFailed("NOT_SUPPORTED", "CREATE TABLE AS with table_type = 'ICEBERG' is not run by the local cloud")
    if set(properties) - known - {"table_type", "is_external"}:
        extra = ", ".join(sorted(set(properties) - known))
        raise QueryFailed("NOT_SUPPORTED", f"CREATE TABLE AS: the local cloud does not know the properties {extra}")
    if str(properties.get("format", "PARQUET")).upper() != "PARQUET":
        raise QueryFailed("NOT_SUPPORTED", "CREATE TABLE AS: the local cloud writes format = 'PARQUET' only")
    external = properties.get("external_location")
    if external and workgroup.enforces and workgroup.output_location:
        raise QueryFailed(
            "INVALID_TABLE_PROPERTY",
            "The Create Table As Select query failed because it was submitted with an 'external_location' property to "
            "an Athena Workgroup that enforces a centralized output location for all queries. Please remove the "
            "'external_location' property and resubmit the query.",
        )
    compression = properties.get("write_compression") or properties.get("parquet_compression") or "GZIP"
    keys = tuple(str(key).lower() for key in properties.get("partitioned_by", ()))
    return Target(f"{external.rstrip('/')}/" if external else base, keys, _compression(compression))


def _compression(written: str) -> str:
    if written.upper() not in COMPRESSIONS:
        raise QueryFailed("INVALID_TABLE_PROPERTY", f"compression {written} is not one of {sorted(COMPRESSIONS)}")
    return "UNCOMPRESSED" if written.upper() == "NONE" else written.upper()


def _require_empty(catalog: Catalog, location: str) -> None:
    def first() -> Any:
        return next(iter(catalog.emulator.list_objects(location, catalog.credentials)), None)

    if denied_as_athena_says(first, location) is not None:
        raise QueryFailed(
            "HIVE_PATH_ALREADY_EXISTS", f"Target directory for table already exists and is not empty: {location}"
        )


def _columns(query: Query, order: Sequence[str] | None) -> list[tuple[str, Type]]:
    """Names and types of what is written; `order` renames by position."""
    found = [(name.lower(), kind.narrowed()) for name, kind in query.columns]
    if order is not None:
        found = [(name, kind) for name, (_, kind) in zip(order, found, strict=True)]
    names = [name for name, _ in found]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise QueryFailed("DUPLICATE_COLUMN_NAME", f"Column name '{doubled[0]}' specified more than once")
    return found


def _insert_order(table: Table, named: list[str] | None, given: int) -> list[str]:
    every = [column.name for column in table.all_columns]
    order = named if named is not None else every
    for name in order:
        if name not in every:
            raise QueryFailed("COLUMN_NOT_FOUND", f"Insert column name does not exist in target table: {name}")
    if len(order) != given:
        raise QueryFailed("TYPE_MISMATCH", f"Insert query has {given} columns but {len(order)} are expected")
    missing = [key.name for key in table.partition_keys if key.name not in order]
    if missing:
        raise QueryFailed("NOT_SUPPORTED", f"INSERT INTO: no value for the partition column {missing[0]}")
    return order


def _write(query: Query, statement: Statement, target: Target, columns: Sequence[tuple[str, Type]]) -> Written:
    """Files are made on this machine first, so that a failing query leaves nothing in S3."""
    for _, kind in columns:
        _ = kind.hive
    folder = query.scratch / "files"
    folder.mkdir()
    positions = [f"p{index}" for index in range(len(columns))]
    chosen = ", ".join(
        f"CAST({position} AS {kind.sql}) AS {quoted(name)}"
        for position, (name, kind) in zip(positions, columns, strict=True)
    )
    source = f"SELECT {chosen} FROM ({query.sql}) AS result({', '.join(positions)})"
    rows = query.run(_copy(source, folder, target), statement.tree)[0][0]
    uris = []
    for path in sorted(folder.rglob("*.parquet")):
        uri = f"{target.location}{_placed(path, folder)}"
        _put(query.catalog, uri, path)
        uris.append(uri)
    shutil.rmtree(folder)
    return Written(tuple(uris), int(rows))


def _copy(source: str, folder: Path, target: Target) -> str:
    options = f"FORMAT parquet, COMPRESSION {target.compression.lower()}"
    if not target.partitioned_by:
        return f"COPY ({source}) TO {text(str(folder / 'part.parquet'))} ({options})"
    keys = ", ".join(quoted(key) for key in target.partitioned_by)
    return f"COPY ({source}) TO {text(str(folder))} ({options}, PARTITION_BY ({keys}), OVERWRITE_OR_IGNORE true)"


def _placed(path: Path, folder: Path) -> str:
    """A name of its own for every file, in the partition's folder."""
    relative = path.relative_to(folder).parent.as_posix()
    name = f"{uuid.uuid4().hex}.parquet"
    return name if relative == "." else f"{relative}/{name}"


def _put(catalog: Catalog, uri: str, path: Path) -> None:
    denied_as_athena_says(lambda: catalog.require_objects("s3:PutObject", uri), uri)
    denied_as_athena_says(lambda: catalog.emulator.put_object(uri, path, catalog.credentials), uri)


def register_partitions(catalog: Catalog, table: Table, files: Sequence[str]) -> list[tuple[str, ...]]:
    """Registers the partitions that new files lie in; returns the new ones' values."""
    found: dict[tuple[str, ...], str] = {}
    for uri in files:
        folder = uri.rpartition("/")[0] + "/"
        values = relation.hive_location_values(table, folder.removeprefix(table.location.rstrip("/")))
        if values is not None:
            found[values] = folder
    new = []
    for values, location in found.items():
        try:
            if catalog.create_partition(table, values, location):
                new.append(values)
        except EmulatorRefused as e:
            raise failure(e, f"partition {values} of {table.qualified}") from e
    return new


def _table_input(name: str, columns: Sequence[tuple[str, Type]], keys: Sequence[str], location: str) -> dict[str, Any]:
    described = [{"Name": column, "Type": kind.hive} for column, kind in columns]
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", "has_encrypted_data": "false", "classification": "parquet"},
        "PartitionKeys": [entry for entry in described if entry["Name"] in keys],
        "StorageDescriptor": PARQUET
        | {"Columns": [entry for entry in described if entry["Name"] not in keys], "Location": location},
    }
