"""A catalog table as a DuckDB relation: Iceberg by its metadata, Hive tables file by file from their partitions."""
# ruff: noqa: S608  every name and value in these texts is quoted by types.quoted and types.text

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from local_cloud.athena import projection, pruning
from local_cloud.athena.catalog import Catalog, Partition, Table, denied_as_athena_says
from local_cloud.athena.emulator import StoredObject, split_uri
from local_cloud.athena.errors import QueryFailed
from local_cloud.athena.types import Type, from_hive, quoted, text

if TYPE_CHECKING:
    import duckdb

HIDDEN = ("_", ".")
PARTITIONS, SNAPSHOTS, FILES = "$partitions", "$snapshots", "$files"
METADATA_TABLES = (PARTITIONS, SNAPSHOTS, FILES)
PATH = "$path"
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Version:
    """An Iceberg table's past: a snapshot's id, or a moment in Unix milliseconds; neither means now."""

    snapshot: int | None = None
    moment: int | None = None


@dataclass
class Reference:
    """A table as a query uses it."""

    table: Table
    conditions: pruning.Conditions = field(default_factory=pruning.Conditions)
    wants_path: bool = False
    version: Version = Version()


@dataclass(frozen=True)
class Relation:
    """The SELECT that yields a table's rows; `scanned` is the bytes of the files that it reads."""

    sql: str
    scanned: int


@dataclass(frozen=True)
class DataFile:
    """A file of an Iceberg snapshot and the values of its partition, in the order of `fields`."""

    uri: str
    size: int
    fields: tuple[str, ...]
    values: tuple[str | None, ...]


def buckets(table: Table) -> set[str]:
    """Buckets that a table's files may lie in."""
    uris = [table.location, table.parameters.get("metadata_location", "")]
    template = table.parameters.get("storage.location.template", "")
    return {split_uri(uri)[0] for uri in [*uris, template] if uri}


def build(connection: "duckdb.DuckDBPyConnection", catalog: Catalog, reference: Reference) -> Relation:
    """Raises QueryFailed; a denial of S3 is one."""
    table = reference.table

    def read() -> Relation:
        if table.is_iceberg:
            return _iceberg(connection, catalog, reference)
        return _hive(connection, catalog, reference)

    relation: Relation = denied_as_athena_says(read, f"the files of {table.qualified}")
    return relation


# Iceberg


def metadata(catalog: Catalog, table: Table) -> dict[str, Any]:
    location = table.parameters.get("metadata_location", "")
    if not location:
        raise QueryFailed("ICEBERG_BAD_DATA", f"Table {table.qualified} has no metadata_location")
    catalog.require_objects("s3:GetObject", location)
    return dict(json.loads(catalog.emulator.get_object(location, catalog.credentials)))


def _iceberg(connection: "duckdb.DuckDBPyConnection", catalog: Catalog, reference: Reference) -> Relation:
    table = reference.table
    if reference.wants_path:
        raise QueryFailed("NOT_SUPPORTED", '"$path" of an Iceberg table is not answered by the local cloud')
    location = table.parameters.get("metadata_location", "")
    value = metadata(catalog, table)
    if value.get("format-version", 1) > 2:
        raise QueryFailed("NOT_SUPPORTED", f"Iceberg format version {value['format-version']} of {table.qualified}")
    snapshot = _snapshot(table, value, reference.version)
    if snapshot is None:
        columns = ", ".join(f"CAST(NULL AS {c.type.sql}) AS {quoted(c.name)}" for c in table.columns)
        return Relation(f"SELECT {columns} WHERE false", 0)
    files = _snapshot_files(connection, location, value, snapshot)
    # A snapshot that is asked for comes with the columns of its time; without it, with today's.
    past = "" if reference.version == Version() else f", snapshot_from_id={snapshot}"
    scan = f"iceberg_scan({text(location)}{past})"
    needed = _needed(connection, table, files, reference)
    for folder in sorted({file.uri.rpartition("/")[0] for file in needed}):
        catalog.require_objects("s3:GetObject", f"{folder}/*")
    return Relation(f"SELECT * FROM {scan}", sum(file.size for file in needed))


def _snapshot(table: Table, value: dict[str, Any], version: Version) -> int | None:
    """The snapshot to read; None for a table that has none. Raises QueryFailed for a past that is not kept."""
    if version.snapshot is not None:
        if not any(entry["snapshot-id"] == version.snapshot for entry in value.get("snapshots", [])):
            raise QueryFailed(
                "INVALID_ARGUMENTS", f"Iceberg snapshot ID does not exists: {version.snapshot} of {table.qualified}"
            )
        return version.snapshot
    if version.moment is not None:
        log = [entry for entry in value.get("snapshot-log", []) if entry["timestamp-ms"] <= version.moment]
        if not log:
            raise QueryFailed(
                "INVALID_ARGUMENTS", f"No version history table {table.qualified} at or before the given timestamp"
            )
        return int(log[-1]["snapshot-id"])
    current = value.get("current-snapshot-id")
    return None if current in (None, -1) else int(current)


def _needed(
    connection: "duckdb.DuckDBPyConnection", table: Table, files: Sequence[DataFile], reference: Reference
) -> list[DataFile]:
    types = {column.name: column.type for column in table.columns}
    by_fields: dict[tuple[str, ...], list[DataFile]] = {}
    for file in files:
        by_fields.setdefault(file.fields, []).append(file)
    found: list[DataFile] = []
    for fields, group in by_fields.items():
        keys = [(name, types[name]) for name in fields if name in types]
        if len(keys) != len(fields):
            found += group
            continue
        kept = pruning.keep(connection, keys, [file.values for file in group], reference.conditions)
        found += [group[position] for position in kept]
    return found


def _snapshot_files(
    connection: "duckdb.DuckDBPyConnection", location: str, value: dict[str, Any], snapshot: int
) -> tuple[DataFile, ...]:
    """Live data and delete files of a snapshot. Metadata files never change: read once per location."""
    known = _known_files(location, snapshot)
    if known:
        return known[0]
    snapshots = {entry["snapshot-id"]: entry for entry in value["snapshots"]}
    manifest_list = snapshots[snapshot]["manifest-list"]
    listed = connection.execute(f"SELECT manifest_path FROM read_avro({text(manifest_list)})").fetchall()
    found: list[DataFile] = []
    for (manifest,) in listed:
        query = f"SELECT status, data_file FROM read_avro({text(manifest)})"
        found += [_data_file(entry) for status, entry in connection.execute(query).fetchall() if status != 2]
    known.append(tuple(found))
    return known[0]


@lru_cache(maxsize=256)
def _known_files(location: str, snapshot: int) -> list[tuple[DataFile, ...]]:
    """A cell per snapshot of a metadata file, filled at first use."""
    del location, snapshot
    return []


def _data_file(entry: dict[str, Any]) -> DataFile:
    partition = entry.get("partition") or {}
    values = tuple(None if value is None else str(value) for value in partition.values())
    return DataFile(entry["file_path"], int(entry["file_size_in_bytes"]), tuple(partition), values)


# Hive


def _hive(connection: "duckdb.DuckDBPyConnection", catalog: Catalog, reference: Reference) -> Relation:
    table = reference.table
    parts = _chosen_partitions(connection, catalog, reference)
    sources, scanned = [_empty(table, with_path=reference.wants_path)], 0
    for partition in parts:
        files = files_below(catalog, partition.location)
        if files:
            scanned += sum(file.size for file in files)
            sources.append(_source(table, partition, files, with_path=reference.wants_path))
    columns = [f"{_cast(table, c.name, c.type)} AS {quoted(c.name)}" for c in table.all_columns]
    columns += [quoted(PATH)] if reference.wants_path else []
    union = " UNION ALL BY NAME ".join(sources)
    return Relation(f"SELECT {', '.join(columns)} FROM ({union})", scanned)


def _cast(table: Table, name: str, kind: Type) -> str:
    """Text formats have text only: what LazySimpleSerDe cannot read is NULL, OpenCSVSerDe says so."""
    format_ = _format(table)
    value = quoted(name)
    if format_ not in ("text", "csv") or name in {key.name for key in table.partition_keys}:
        return f"CAST({value} AS {kind.sql})"
    if kind.fields or (format_ == "csv" and kind.name in ("DATE", "TIMESTAMP")):
        raise QueryFailed("NOT_SUPPORTED", f"column '{name}' of {table.qualified}: its type is not read from text")
    if kind.name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT"):
        value = f"lake_for_integer({value})"
    return f"{'TRY_CAST' if format_ == 'text' else 'CAST'}({value} AS {kind.sql})"


def all_partitions(catalog: Catalog, table: Table, fixed: dict[str, list[str]] | None = None) -> list[Partition]:
    """Registered or projected partitions; an unpartitioned table is one partition without values."""
    if not table.partition_keys:
        return [Partition((), table.location)]
    if projection.is_on(table):
        return projection.partitions(table, fixed or {})
    return catalog.partitions(table)


def _chosen_partitions(
    connection: "duckdb.DuckDBPyConnection", catalog: Catalog, reference: Reference
) -> list[Partition]:
    table = reference.table
    found = all_partitions(catalog, table, _fixed_values(reference))
    keys = [(key.name, key.type) for key in table.partition_keys]
    rows = [[None if value == HIVE_NULL else value for value in partition.values] for partition in found]
    return [found[position] for position in pruning.keep(connection, keys, rows, reference.conditions)]


def _fixed_values(reference: Reference) -> dict[str, list[str]]:
    """Values of `key = 'x'` and `key IN ('x', 'y')` conditions."""
    from sqlglot import exp

    found: dict[str, list[str]] = {}
    for conditions in reference.conditions.references:
        for condition in conditions:
            if isinstance(condition, exp.EQ) and isinstance(condition.expression, exp.Literal):
                found.setdefault(condition.this.name.lower(), []).append(str(condition.expression.this))
            elif isinstance(condition, exp.In) and all(isinstance(e, exp.Literal) for e in condition.expressions):
                found.setdefault(condition.this.name.lower(), []).extend(str(e.this) for e in condition.expressions)
    return found


def files_below(catalog: Catalog, location: str) -> list[StoredObject]:
    """Data files of a location: hidden names and empty objects are none."""
    prefix = location.rstrip("/") + "/"
    base = len(split_uri(prefix)[1])
    catalog.require_objects("s3:GetObject", f"{prefix}*")
    found = []
    for item in catalog.emulator.list_objects(prefix, catalog.credentials):
        relative = item.key[base:]
        if item.size and relative and not any(part.startswith(HIDDEN) for part in relative.split("/")):
            found.append(item)
    return found


def _empty(table: Table, *, with_path: bool) -> str:
    text_only = _format(table) in ("text", "csv")  # their columns are text until they are cast
    partition_names = {key.name for key in table.partition_keys}
    columns = [
        f"CAST(NULL AS {'VARCHAR' if text_only and c.name not in partition_names else c.type.sql}) AS {quoted(c.name)}"
        for c in table.all_columns
    ]
    columns += [f"CAST(NULL AS VARCHAR) AS {quoted(PATH)}"] if with_path else []
    return f"SELECT {', '.join(columns)} WHERE false"


def _source(table: Table, partition: Partition, files: Sequence[StoredObject], *, with_path: bool) -> str:
    """The rows of one partition: the catalog's columns that the files have, and the partition's values."""
    keys = [key.name for key in table.partition_keys]
    wanted = [column.name for column in table.columns]
    values = [
        f"{pruning.literal(None if value == HIVE_NULL else value, key.type)} AS {quoted(key.name)}"
        for value, key in zip(partition.values, table.partition_keys, strict=True)
    ]
    names = ", ".join(text(name) for name in wanted if name not in keys)
    columns = [f"COLUMNS(c -> lower(c) IN ({names}))", *values]
    columns += [f"filename AS {quoted(PATH)}"] if with_path else []
    return f"SELECT {', '.join(columns)} FROM {_reader(table, files, with_path=with_path)}"


def _reader(table: Table, files: Sequence[StoredObject], *, with_path: bool) -> str:
    uris = "[" + ", ".join(text(file.uri) for file in files) + "]"
    shared = "hive_partitioning=false" + (", filename=true" if with_path else "")
    kind = _format(table)
    if kind == "parquet":
        return f"read_parquet({uris}, union_by_name=true, {shared})"
    if kind == "json":
        columns = ", ".join(f"{quoted(c.name)}: {text(c.type.sql)}" for c in table.columns)
        return f"read_json({uris}, format='newline_delimited', columns={{{columns}}}, {shared})"
    return f"read_csv({uris}, {_csv_options(table)}, {shared})"


def _csv_options(table: Table) -> str:
    parameters = table.serde_parameters
    is_text = _format(table) == "text"
    delimiter = parameters.get("separatorChar") or parameters.get("field.delim") or (
        "\x01" if is_text else ","
    )  # fmt: skip
    quote = "" if is_text else parameters.get("quoteChar", '"')
    escape = "" if is_text else parameters.get("escapeChar", quote)
    skip = int(table.parameters.get("skip.header.line.count", "0") or 0)
    # OpenCSVSerDe knows no NULL: an empty field is an empty text.
    null = parameters.get("serialization.null.format", "\\N") if is_text else "\x1d"
    columns = ", ".join(f"{quoted(column.name)}: 'VARCHAR'" for column in table.columns)
    options = [
        "auto_detect=false", "header=false", f"skip={skip}", f"delim={_escaped(delimiter)}", f"quote={text(quote)}",
        f"escape={text(escape)}", "null_padding=true", "strict_mode=false", f"columns={{{columns}}}",
        f"nullstr={text(null)}",
    ]  # fmt: skip
    return ", ".join(options)


def _escaped(delimiter: str) -> str:
    """Hive writes control characters as `\\001` or `\\t`."""
    known = {"\\t": "\t", "\\001": "\x01", "\\u0001": "\x01"}
    return text(known.get(delimiter, delimiter))


def _format(table: Table) -> str:
    serde = table.serde.lower()
    if "parquet" in serde:
        return "parquet"
    if "opencsv" in serde:
        return "csv"
    if "lazysimple" in serde:
        return "text"
    if "json" in serde:
        return "json"
    raise QueryFailed("NOT_SUPPORTED", f"Files of {table.qualified}: SerDe '{table.serde}' is not read locally")


# Metadata tables


def metadata_table(catalog: Catalog, table: Table, suffix: str, connection: "duckdb.DuckDBPyConnection") -> Relation:
    """`"t$partitions"` of Hive tables, `"t$snapshots"` and `"t$files"` of Iceberg tables."""
    if suffix == PARTITIONS and not table.is_iceberg:
        return _partitions_table(catalog, table)
    if suffix == SNAPSHOTS and table.is_iceberg:
        return _snapshots_table(catalog, table)
    if suffix == FILES and table.is_iceberg:
        value = metadata(catalog, table)
        snapshot = _snapshot(table, value, Version())
        location = table.parameters["metadata_location"]
        files = _snapshot_files(connection, location, value, snapshot) if snapshot is not None else ()
        rows = [f"({text(file.uri)}, {file.size})" for file in files] or ["(NULL, NULL)"]
        return Relation(f"SELECT * FROM (VALUES {', '.join(rows)}) AS f(file_path, file_size_in_bytes)", 0)
    raise QueryFailed("NOT_SUPPORTED", f'"{table.name}{suffix}" is not answered by the local cloud')


def _partitions_table(catalog: Catalog, table: Table) -> Relation:
    keys = [(key.name, key.type) for key in table.partition_keys]
    empty = ", ".join(f"CAST(NULL AS {kind.sql}) AS {quoted(name)}" for name, kind in keys)
    rows = [f"SELECT {empty} WHERE false"]
    for partition in all_partitions(catalog, table):
        values = zip(partition.values, keys, strict=True)
        rows.append("SELECT " + ", ".join(pruning.literal(value, kind) for value, (_, kind) in values))
    return Relation(" UNION ALL ".join(rows), 0)


def _snapshots_table(catalog: Catalog, table: Table) -> Relation:
    columns = "committed_at, snapshot_id, parent_id, operation, manifest_list, summary"
    types = ["TIMESTAMP WITH TIME ZONE", "BIGINT", "BIGINT", "VARCHAR", "VARCHAR", "MAP(VARCHAR, VARCHAR)"]
    empty = ", ".join(f"CAST(NULL AS {t}) AS {c}" for t, c in zip(types, columns.split(", "), strict=True))
    rows = [f"SELECT {empty} WHERE false"]
    for entry in metadata(catalog, table).get("snapshots", []):
        summary = dict(entry.get("summary") or {})
        operation = summary.pop("operation", None)
        pairs = ", ".join(f"{text(k)}: {text(str(v))}" for k, v in summary.items())
        rows.append(
            f"SELECT epoch_ms(CAST({entry['timestamp-ms']} AS BIGINT)) AT TIME ZONE 'UTC', {entry['snapshot-id']}, "
            f"{entry.get('parent-snapshot-id') or 'NULL'}, {text(str(operation))}, "
            f"{text(entry.get('manifest-list', ''))}, MAP {{{pairs}}}"
        )
    return Relation(" UNION ALL ".join(rows), 0)


def hive_location_values(table: Table, location: str) -> tuple[str, ...] | None:
    """The partition values that `k=v` folders of a location name, or None."""
    found = dict(part.split("=", 1) for part in location.strip("/").split("/") if "=" in part)
    names = [key.name for key in table.partition_keys]
    if not all(name in found for name in names):
        return None
    return tuple(unquote(found[name]) for name in names)


def column_types(table: Table) -> dict[str, Type]:
    """Types of a table's columns, but for Iceberg's and views' timestamps: the catalog does not tell their zone."""
    found = {}
    for column in table.all_columns:
        if not ((table.is_iceberg or table.is_view) and "timestamp" in column.written_type):
            found[column.name] = from_hive(column.written_type, column.name)
    return found
