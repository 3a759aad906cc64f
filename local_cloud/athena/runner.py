"""Runs accepted queries: one at a time per thread, states and results as Athena leaves them."""

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from local_cloud.athena import ddl, engine, output, show, write
from local_cloud.athena.catalog import Catalog, Table, denied_as_athena_says
from local_cloud.athena.emulator import Emulator
from local_cloud.athena.errors import AthenaError, EmulatorRefused, QueryCancelled, QueryFailed, RequestRefused
from local_cloud.athena.history import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED, Execution, History
from local_cloud.athena.parser import parse
from local_cloud.athena.prepared import bind
from local_cloud.athena.query import Query
from local_cloud.athena.show import Listing
from local_cloud.athena.statement import Kind, Statement
from local_cloud.athena.types import UNNAMED, Type, column_info
from local_cloud.athena.workgroup import Workgroup

AT_ONCE = 4
QUERY_SECONDS = 30 * 60  # Athena's default time-out of a query
REASON_LIMIT = 4000
LISTED = {
    Kind.SHOW_TABLES, Kind.SHOW_VIEWS, Kind.SHOW_DATABASES, Kind.SHOW_COLUMNS, Kind.SHOW_PARTITIONS,
    Kind.SHOW_CREATE_TABLE, Kind.SHOW_CREATE_VIEW, Kind.SHOW_TBLPROPERTIES, Kind.DESCRIBE, Kind.REPAIR, Kind.EXPLAIN,
}  # fmt: skip


class Runner:
    """A pool of query threads. `history` records every change of state."""

    def __init__(self, emulator: Emulator, history: History) -> None:
        self._emulator = emulator
        self._history = history
        self._folder = emulator.facts.folder
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="athena-query")
        self._connections: dict[str, Any] = {}
        self._lock = threading.Lock()
        shutil.rmtree(self._folder / "scratch", ignore_errors=True)

    def submit(
        self, execution: Execution, statement: Statement | AthenaError, workgroup: Workgroup, caller: str | None = None
    ) -> None:
        """`statement` may be the refusal that its text met: then the query is FAILED with it.

        `caller` is who asks, where that is neither root nor the workgroup's query role.
        """
        self._history.save(execution)
        self._pool.submit(self._run, execution, statement, workgroup, caller)

    def stop_query(self, execution: Execution) -> None:
        """Cancels a queued or running query."""
        with self._lock:
            if execution.is_finished:
                return
            execution.state = CANCELLED
            execution.reason = "Query cancelled by user"
            execution.completed = time.time()
            connection = self._connections.get(execution.id)
        self._history.save(execution)
        if connection is not None:
            connection.interrupt()

    def close(self) -> None:
        for connection in list(self._connections.values()):
            connection.interrupt()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(
        self, execution: Execution, statement: Statement | AthenaError, workgroup: Workgroup, caller: str | None
    ) -> None:
        if not self._move(execution, RUNNING):
            return
        if isinstance(statement, AthenaError):
            self._move(execution, FAILED, str(statement))
            return
        try:
            self._answer(execution, statement, workgroup, caller)
            self._move(execution, SUCCEEDED)
        except QueryCancelled as e:
            self._move(execution, CANCELLED, str(e))
        except EmulatorRefused as e:
            self._move(execution, FAILED, f"GENERIC_EXTERNAL_ERROR: {e}")
        except AthenaError as e:
            self._move(execution, FAILED, str(e))
        except Exception as e:
            # A query must end in a state that its client sees, whatever went wrong with it.
            self._move(execution, FAILED, f"GENERIC_INTERNAL_ERROR: {type(e).__name__}: {e}")

    def _move(self, execution: Execution, state: str, reason: str = "") -> bool:
        """False where the query was cancelled meanwhile."""
        with self._lock:
            if execution.is_finished:
                return False
            execution.state, execution.reason = state, reason[:REASON_LIMIT]
            if state == RUNNING:
                execution.started = time.time()
            else:
                execution.completed = time.time()
        self._history.save(execution)
        return True

    def _answer(self, execution: Execution, statement: Statement, workgroup: Workgroup, caller: str | None) -> None:
        role = workgroup.query_role()
        catalog = Catalog(self._emulator, self._emulator.assume(role), role, None if caller == role else caller)
        work = Work(self, execution, statement, workgroup, catalog)
        work.run()

    # Used by Work

    def with_query(self, work: "Work", action: Callable[[Query], None]) -> None:
        """Runs `action` with a fresh database and a folder that is gone afterwards."""
        execution = work.execution
        scratch = self._folder / "scratch" / execution.id
        scratch.mkdir(parents=True)
        try:
            with engine.session(self._emulator.facts, work.catalog.credentials, scratch) as connection:
                self._connections[execution.id] = connection
                too_late = threading.Timer(QUERY_SECONDS, connection.interrupt)
                too_late.daemon = True
                too_late.start()
                limit = work.workgroup.bytes_limit
                query = Query(connection, work.catalog, execution.database, scratch, limit)
                try:
                    action(query)
                finally:
                    too_late.cancel()
                    execution.scanned = query.scanned
                    del self._connections[execution.id]
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def publish(self, work: "Work", content: bytes | Path, uri: str) -> None:
        """Puts a result object under the query role."""
        denied_as_athena_says(lambda: work.catalog.require_objects("s3:PutObject", uri), uri)
        denied_as_athena_says(lambda: self._emulator.put_object(uri, content, work.catalog.credentials), uri)

    def rows_path(self, execution: Execution) -> Path:
        return self._history.rows_path(execution.id)

    def prepared(self, workgroup: str, name: str) -> str:
        """The text of a prepared statement; raises QueryFailed."""
        payload = {"WorkGroup": workgroup, "StatementName": name}
        try:
            answer = self._emulator.call("athena", "GetPreparedStatement", payload, self._emulator.root)
        except EmulatorRefused as e:
            raise QueryFailed("NOT_FOUND", f"Prepared statement {name} not found") from e
        return str(answer["PreparedStatement"]["QueryStatement"])

    def prepare(self, workgroup: str, name: str, text: str) -> None:
        self.forget_prepared(workgroup, name)
        payload = {"WorkGroup": workgroup, "StatementName": name, "QueryStatement": text}
        self._emulator.call("athena", "CreatePreparedStatement", payload, self._emulator.root)

    def forget_prepared(self, workgroup: str, name: str) -> bool:
        payload = {"WorkGroup": workgroup, "StatementName": name}
        try:
            self._emulator.call("athena", "DeletePreparedStatement", payload, self._emulator.root)
        except EmulatorRefused:
            return False
        return True


class Work:
    """One statement being answered."""

    def __init__(
        self, runner: Runner, execution: Execution, statement: Statement, workgroup: Workgroup, catalog: Catalog
    ) -> None:
        self.runner = runner
        self.execution = execution
        self.statement = statement
        self.workgroup = workgroup
        self.catalog = catalog

    def run(self) -> None:
        """Raises AthenaError."""
        if self.statement.kind is Kind.EXECUTE:
            self.statement = self._executed()
        kind = self.statement.kind
        if kind is Kind.SELECT:
            self.runner.with_query(self, self._select)
        elif kind in (Kind.CTAS, Kind.INSERT, Kind.UNLOAD):
            self.runner.with_query(self, self._write)
        elif kind is Kind.CREATE_VIEW:
            self.runner.with_query(self, lambda query: ddl.create_view(query, self.statement, self._database()))
            self._publish_text([])
        elif kind is Kind.EXPLAIN:
            self.runner.with_query(self, self._explain)
        elif kind in LISTED:
            self._publish(self._listing())
        else:
            self._change()
            self._publish_text([])

    def _executed(self) -> Statement:
        text = self.runner.prepared(self.workgroup.name, self.statement.subject)
        try:
            inner = parse(bind(text, self.statement.options["values"]))
        except RequestRefused as e:
            raise QueryFailed("INVALID_PARAMETER_USAGE", str(e)) from e
        if inner.kind is Kind.EXECUTE:
            raise QueryFailed("NOT_SUPPORTED", "EXECUTE of an EXECUTE")
        return inner

    def _database(self) -> str:
        name = self.statement.name
        database = (name.database if name else None) or self.statement.options.get("database")
        found = database or self.execution.database
        if not found:
            raise QueryFailed(
                "MISSING_SCHEMA_NAME", "Schema must be specified when session schema is not set", "line 1:1"
            )
        return str(found)

    def _select(self, query: Query) -> None:
        execution = self.execution
        query.prepare(self.statement.tree)
        body = query.scratch / "rows.csv"
        execution.rows = query.write_csv(body, self.statement.tree)
        target = self.runner.rows_path(execution)
        output.with_header([name for name, _ in query.columns], body, target)
        execution.columns = [column_info(name, kind.narrowed()) for name, kind in query.columns]
        execution.header = True
        self.runner.publish(self, target, execution.output)
        self.runner.publish(self, _metadata(execution), f"{execution.output}.metadata")

    def _write(self, query: Query) -> None:
        statement, execution = self.statement, self.execution
        if statement.kind is Kind.CTAS:
            base = f"{execution.location}tables/{execution.id}/"
            written = write.create_table_as(query, statement, self._database(), self.workgroup, base)
        elif statement.kind is Kind.INSERT:
            written = write.insert(query, statement, self._database())
        else:
            written = write.unload(query, statement)
        execution.manifest = f"{execution.location}{execution.id}-manifest.csv"
        self.runner.publish(self, "".join(f"{uri}\n" for uri in written.files).encode(), execution.manifest)
        execution.columns = [column_info(name, kind.narrowed()) for name, kind in query.columns]
        self.runner.publish(self, _metadata(execution), f"{execution.location}{execution.id}.metadata")
        self.runner.rows_path(execution).write_bytes(b"")

    def _explain(self, query: Query) -> None:
        query.prepare(self.statement.tree)
        plan = query.run(f"EXPLAIN {query.sql}", self.statement.tree)
        lines = [line for row in plan for line in str(row[-1]).replace(UNNAMED, "_col").splitlines()]
        self._publish(Listing(("Query Plan",), [[line] for line in lines]))

    def _listing(self) -> Listing:
        statement, catalog = self.statement, self.catalog
        if statement.kind is Kind.SHOW_DATABASES:
            return show.databases(catalog, statement)
        if statement.kind in (Kind.SHOW_TABLES, Kind.SHOW_VIEWS):
            return show.tables(catalog, statement, self._database())
        return self._about(self._table())

    def _about(self, table: Table) -> Listing:
        wanted = self.statement.options.get("property")
        listings: dict[Kind, Callable[[], Listing]] = {
            Kind.SHOW_COLUMNS: lambda: show.columns(table),
            Kind.DESCRIBE: lambda: show.describe(table),
            Kind.SHOW_PARTITIONS: lambda: show.partitions(self.catalog, table),
            Kind.SHOW_TBLPROPERTIES: lambda: show.properties(table, wanted),
            Kind.SHOW_CREATE_VIEW: lambda: show.create_view(table),
            Kind.SHOW_CREATE_TABLE: lambda: show.create_table(table),
            Kind.REPAIR: lambda: Listing(("result",), [[line] for line in ddl.repair(self.catalog, table)]),
        }
        return listings[self.statement.kind]()

    def _table(self) -> Table:
        database, name = self._database(), self.statement.subject
        table = denied_as_athena_says(lambda: self.catalog.table(database, name), f"table {database}.{name}")
        if table is None:
            raise QueryFailed("TABLE_NOT_FOUND", f"Table 'awsdatacatalog.{database}.{name}' does not exist", "line 1:1")
        return cast(Table, table)

    def _change(self) -> None:
        statement, catalog = self.statement, self.catalog
        match statement.kind:
            case Kind.DROP_TABLE | Kind.DROP_VIEW:
                ddl.drop(catalog, statement, self._database())
            case Kind.CREATE_TABLE:
                ddl.create_table(catalog, statement, self._database())
            case Kind.ADD_PARTITION:
                ddl.add_partitions(catalog, statement, self._table())
            case Kind.DROP_PARTITION:
                ddl.drop_partitions(catalog, statement, self._table())
            case Kind.PREPARE:
                self.runner.prepare(self.workgroup.name, statement.subject, statement.query)
            case Kind.DEALLOCATE:
                name = statement.subject
                if not self.runner.forget_prepared(self.workgroup.name, name):
                    raise QueryFailed("NOT_FOUND", f"Prepared statement {name} not found")

    def _publish(self, listing: Listing) -> None:
        self.execution.columns = [column_info(name, Type("VARCHAR")) | {"Type": "string"} for name in listing.columns]
        self._publish_text(listing.rows)

    def _publish_text(self, rows: Any) -> None:
        """A `.txt` object, tabs between columns, and the same rows for paging."""
        execution = self.execution
        execution.rows = len(rows)
        content = "".join(output.csv_line(list(row)).decode() for row in rows)
        self.runner.rows_path(execution).write_text(content, encoding="utf-8")
        self.runner.publish(self, "".join("\t".join(row) + "\n" for row in rows).encode(), execution.output)


def _metadata(execution: Execution) -> bytes:
    """Column names and types; Athena's own format of this object is not documented."""
    return "".join(f"{column['Name']}\t{column['Type']}\n" for column in execution.columns).encode()


def new_execution(*, identity: str, statement: Statement | AthenaError, **facts: Any) -> Execution:
    """A query that was accepted and has not begun."""
    kind = statement.kind if isinstance(statement, Statement) else None
    type_ = statement.type if isinstance(statement, Statement) else "DML"
    execution = Execution(
        id=identity,
        statement_type=type_,
        substatement=kind.value if kind else "",
        state=QUEUED,
        submitted=time.time(),
        **facts,
    )
    is_rows = kind in (None, Kind.SELECT, Kind.EXECUTE)
    writes_files = kind in (Kind.CTAS, Kind.INSERT, Kind.UNLOAD)
    name = f"{identity}.csv" if is_rows else identity if writes_files else f"{identity}.txt"
    execution.output = f"{execution.location}{name}"
    return execution
