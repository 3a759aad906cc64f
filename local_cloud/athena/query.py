"""A SELECT over the catalog: tables resolved and built under the query role, then run in a locked database."""
# ruff: noqa: S608  every name and value in these texts is quoted by types.quoted and types.text

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_cloud.athena import engine, names, output, pruning, relation
from local_cloud.athena.catalog import NAME, Catalog, Table, denied_as_athena_says
from local_cloud.athena.cursor import Name
from local_cloud.athena.emulator import split_uri
from local_cloud.athena.errors import AthenaError, QueryCancelled, QueryFailed
from local_cloud.athena.relation import Reference, Version
from local_cloud.athena.syntax import parse_query
from local_cloud.athena.types import UNNAMED, Type, from_duckdb, quoted, text

if TYPE_CHECKING:
    import duckdb

VIEW_DEPTH = 16
INFORMATION_SCHEMA = "information_schema"
INFORMATION = "lake_information_schema"


@dataclass
class Query:
    """One query's tables and views; `scanned` grows to the bytes of all files that it reads."""

    connection: "duckdb.DuckDBPyConnection"
    catalog: Catalog
    database: str
    scratch: Path
    bytes_limit: int | None = None
    scanned: int = 0
    references: dict[tuple[str, str], Reference] = field(default_factory=dict)
    views: dict[tuple[str, str], tuple[Table, Any]] = field(default_factory=dict)
    metadata: dict[tuple[str, str], tuple[Table, str]] = field(default_factory=dict)
    uses_information: bool = False
    sql: str = ""
    columns: list[tuple[str, Type]] = field(default_factory=list)

    def prepare(self, tree: Any) -> None:
        """Everything up to the point where only running is left: rights, files, limits, types."""
        from local_cloud.athena.translate import shown_names

        self._collect(tree, self.database, depth=0)
        engine.lock(self.connection, self._buckets(), self.scratch)
        self._build()
        self.sql = self._translate(tree, self._tables_of(tree))
        described = self._run_guarded(lambda: engine.describe(self.connection, self.sql), tree)
        shown = shown_names([name for name, _ in described])
        kinds = [from_duckdb(kind) for _, kind in described]
        self.columns = list(zip(shown, kinds, strict=True))

    def write_csv(self, target: Path, tree: Any) -> int:
        """The rows as Athena's text, without a header; returns their number."""
        query = output.text_query(self.sql, [kind for _, kind in self.columns])
        statement = output.copy_statement(query, target)
        counted = self._run_guarded(lambda: self.connection.execute(statement).fetchall(), tree)
        return int(counted[0][0])

    def run(self, statement: str, tree: Any) -> list[Any]:
        """Any further statement of ours in the same locked database."""
        found: list[Any] = self._run_guarded(lambda: self.connection.execute(statement).fetchall(), tree)
        return found

    # What the query names

    def _collect(self, tree: Any, database: str, depth: int) -> None:
        if depth > VIEW_DEPTH:
            raise QueryFailed("VIEW_IS_RECURSIVE", f"views are nested more than {VIEW_DEPTH} deep")
        for node in list(names.tables(tree)):
            name = names.name_of(node)
            where = names.place(node)
            if name.database == INFORMATION_SCHEMA:
                self._use_information(node, name)
                continue
            key = (name.database or database, name.name)
            if not key[0]:
                raise QueryFailed(
                    "MISSING_SCHEMA_NAME", "Schema must be specified when session schema is not set", where
                )
            self._qualify(node, key)
            self._resolve(tree, node, key, where, depth)
        _shorten_columns(tree, {*self.references, *self.views, *self.metadata})

    def _resolve(self, tree: Any, node: Any, key: tuple[str, str], where: str, depth: int) -> None:
        database, name = key
        suffix = next((s for s in relation.METADATA_TABLES if name.endswith(s)), "")
        table = self.find(database, name.removesuffix(suffix), where)
        if table.is_view and not suffix:
            self._use_view(table, key, depth)
        elif suffix:
            self.metadata[key] = (table, suffix)
        else:
            self._use_table(tree, node, key, table)

    def find(self, database: str, name: str, where: str = "line 1:1") -> Table:
        """Raises QueryFailed where the table is absent or the role may not see it."""
        table = denied_as_athena_says(lambda: self.catalog.table(database, name), f"table {NAME}.{database}.{name}")
        if table is None:
            raise QueryFailed("TABLE_NOT_FOUND", f"Table '{NAME}.{database}.{name}' does not exist", where)
        return table

    def _use_view(self, table: Table, key: tuple[str, str], depth: int) -> None:
        if key in self.views:
            return
        tree = parse_query(table.view_text)
        self._collect(tree, table.database, depth + 1)
        self.views[key] = (table, tree)

    def _use_table(self, tree: Any, node: Any, key: tuple[str, str], table: Table) -> None:
        version = _version(node)
        found = self.references.setdefault(key, Reference(table, version=version))
        if found.version != version:
            raise QueryFailed("NOT_SUPPORTED", "one table at two versions in one query")
        node.set("version", None)
        keys = [c.name for c in table.partition_keys] or ([c.name for c in table.columns] if table.is_iceberg else [])
        found.conditions.references.append(pruning.conditions(tree, node, keys))
        found.wants_path = found.wants_path or _mentions_path(tree)

    def _use_information(self, node: Any, name: Name) -> None:
        self.uses_information = True
        self._qualify(node, (INFORMATION, name.name))

    def _qualify(self, node: Any, key: tuple[str, str]) -> None:
        from sqlglot import exp

        if not node.args.get("alias"):
            node.set("alias", exp.TableAlias(this=exp.to_identifier(node.name.lower(), quoted=True)))
        node.set("db", exp.to_identifier(key[0], quoted=True))
        node.set("this", exp.to_identifier(key[1], quoted=True))
        node.set("catalog", None)

    # What DuckDB is given

    def _buckets(self) -> set[str]:
        tables = [reference.table for reference in self.references.values()] + [t for t, _ in self.metadata.values()]
        found = {bucket for table in tables for bucket in relation.buckets(table)}
        for reference in self.references.values():
            table = reference.table
            if table.partition_keys and not table.is_iceberg and table.parameters.get("projection.enabled") != "true":
                what = f"partitions of {table.qualified}"
                locations = denied_as_athena_says(partial(self.catalog.partitions, table), what)
                found |= {split_uri(partition.location)[0] for partition in locations}
        return found - {""}

    def _build(self) -> None:
        for schema in {key[0] for key in [*self.references, *self.views, *self.metadata]}:
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
        for key, reference in self.references.items():
            built = relation.build(self.connection, self.catalog, reference)
            self.scanned += built.scanned
            self._create_view(key, built.sql)
        self._check_limit()
        for key, (table, suffix) in self.metadata.items():
            self._create_view(key, self._metadata(table, suffix).sql)
        if self.uses_information:
            self._create_information()
        for key, (_, tree) in self.views.items():
            self._create_view(key, self._translate(tree, self._tables_of(tree), is_view=True))

    def _metadata(self, table: Table, suffix: str) -> relation.Relation:
        built: relation.Relation = denied_as_athena_says(
            lambda: relation.metadata_table(self.catalog, table, suffix, self.connection), table.qualified
        )
        return built

    def _create_view(self, key: tuple[str, str], sql: str) -> None:
        self._run_guarded(
            lambda: self.connection.execute(f"CREATE VIEW {quoted(key[0])}.{quoted(key[1])} AS {sql}"), None
        )

    def _check_limit(self) -> None:
        if self.bytes_limit is not None and self.scanned > self.bytes_limit:
            raise QueryCancelled(
                f"Bytes scanned limit was exceeded: the query would read {self.scanned} bytes, "
                f"the workgroup allows {self.bytes_limit}"
            )

    def _create_information(self) -> None:
        databases = self.catalog.databases()
        tables = [table for database in databases for table in self.catalog.tables(database)]
        rows = [(t.database, t.name, "VIEW" if t.is_view else "BASE TABLE") for t in tables]
        columns = [
            (t.database, t.name, c.name, position, _shown_type(c))
            for t in tables
            for position, c in enumerate(t.all_columns, start=1)
        ]
        self.connection.execute(f"CREATE SCHEMA {INFORMATION}")
        self._information("schemata", "schema_name VARCHAR", [(database,) for database in databases])
        self._information("tables", "table_schema VARCHAR, table_name VARCHAR, table_type VARCHAR", rows)
        self._information(
            "columns",
            "table_schema VARCHAR, table_name VARCHAR, column_name VARCHAR, ordinal_position BIGINT, data_type VARCHAR",
            columns,
        )

    def _information(self, name: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
        first = "catalog_name" if name == "schemata" else "table_catalog"
        self.connection.execute(f"CREATE TABLE {INFORMATION}.{name} ({first} VARCHAR, {columns})")
        values = [f"({', '.join(text(str(value)) for value in [NAME, *row])})" for row in rows]
        if values:
            self.connection.execute(f"INSERT INTO {INFORMATION}.{name} VALUES {', '.join(values)}")

    def _tables_of(self, tree: Any) -> list[Table]:
        named = {names.name_of(node) for node in names.tables(tree)}
        tables = {key: reference.table for key, reference in self.references.items()}
        tables |= {key: table for key, (table, _) in self.views.items()}
        return [table for (database, name), table in tables.items() if Name(name, database) in named]

    def _translate(self, tree: Any, tables: list[Table], *, is_view: bool = False) -> str:
        from local_cloud.athena.translate import Translation

        known: dict[str, Any] = {}
        for table in tables:
            types = relation.column_types(table)
            for column in table.all_columns:
                kind = types.get(column.name)
                known[column.name] = kind if known.get(column.name, kind) == kind else None
        written = Translation(known).run(tree.copy())
        return written.replace(UNNAMED, "_col") if is_view else written

    def _run_guarded(self, action: Any, tree: Any) -> Any:
        """DuckDB's errors in Athena's words."""
        import duckdb

        try:
            return action()
        except duckdb.InterruptException as e:
            raise QueryCancelled("Query cancelled by user") from e
        except duckdb.Error as e:
            finder = (lambda name: names.place_of(tree, name)) if tree is not None else None
            raise engine.failure(e, finder) from e
        except AthenaError:
            raise


def _shorten_columns(tree: Any, tables: set[tuple[str, str]]) -> None:
    """`db.t.x` becomes `t.x`: the table goes by its alias. `t.row.x` stays."""
    from sqlglot import exp

    for column in tree.find_all(exp.Column):
        if column.args.get("db") and (column.args["db"].name.lower(), column.table.lower()) in tables:
            column.set("db", None)
            column.set("catalog", None)


def _shown_type(column: Any) -> str:
    try:
        return str(column.type.trino)
    except QueryFailed:
        return str(column.written_type)


def _mentions_path(tree: Any) -> bool:
    from sqlglot import exp

    found = any(column.name.lower() == relation.PATH for column in tree.find_all(exp.Column))
    if found and any(isinstance(e, exp.Star) for s in tree.find_all(exp.Select) for e in s.expressions):
        raise QueryFailed("NOT_SUPPORTED", '"$path" beside * is not answered by the local cloud; name the columns')
    return found


def _version(node: Any) -> Version:
    """`FOR VERSION AS OF n` or `FOR TIMESTAMP AS OF t`."""
    from sqlglot import exp

    version = node.args.get("version")
    if version is None:
        return Version()
    value = version.expression
    if str(version.this).upper() == "VERSION":
        if not isinstance(value, exp.Literal) or value.is_string:
            raise QueryFailed("NOT_SUPPORTED", "FOR VERSION AS OF takes a snapshot id")
        return Version(snapshot=int(value.this))
    literal = value.this if isinstance(value, exp.Cast) else value
    try:
        written = dt.datetime.fromisoformat(str(literal.this).removesuffix(" UTC"))
    except ValueError as e:
        raise QueryFailed("NOT_SUPPORTED", "FOR TIMESTAMP AS OF takes a timestamp literal in UTC") from e
    moment = written if written.tzinfo else written.replace(tzinfo=dt.UTC)
    return Version(moment=round(moment.timestamp() * 1000))
