"""Athena's actions: what is answered here, after the emulator allowed it; everything else is passed on to it."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from local_cloud.athena import named_queries, output, permission, workgroup
from local_cloud.athena.catalog import Catalog, Table, matching
from local_cloud.athena.emulator import Answer, Emulator
from local_cloud.athena.errors import AthenaError, QueryFailed, RequestRefused
from local_cloud.athena.history import CANCELLED, FAILED, SUCCEEDED, Execution, History
from local_cloud.athena.parser import parse
from local_cloud.athena.permission import NOT_FORWARDED, Request
from local_cloud.athena.prepared import bind
from local_cloud.athena.runner import Runner, new_execution
from local_cloud.athena.statement import Statement

PRIMARY = "primary"
CATALOG = "AwsDataCatalog"
PAGE = 1000
LIST_PAGE = 50
QUERY_LIMIT = 262_144
Reply = Mapping[str, Any]


class Api:
    """Answers calls; raises RequestRefused (PermissionDenied among them)."""

    def __init__(self, emulator: Emulator, history: History, runner: Runner) -> None:
        self._emulator = emulator
        self._history = history
        self._runner = runner
        self._folder = emulator.facts.folder
        self._callers: dict[str, str] = {}
        self._actions: dict[str, Callable[[Request, dict[str, Any]], Reply | None]] = {
            "StartQueryExecution": self._start,
            "StopQueryExecution": self._stop,
            "GetQueryExecution": self._get,
            "BatchGetQueryExecution": self._get_many,
            "GetQueryResults": self._results,
            "GetQueryRuntimeStatistics": self._runtime,
            "ListQueryExecutions": self._list,
            "ListNamedQueries": self._list_named,
            "GetNamedQuery": self._get_named,
            "BatchGetNamedQuery": self._get_many_named,
            "ListDatabases": self._databases,
            "GetDatabase": self._database,
            "ListTableMetadata": self._tables,
            "GetTableMetadata": self._table,
        }

    def answer(self, request: Request) -> Reply | Answer:
        action = self._actions.get(request.action)
        reply = action(request, request.payload()) if action else None
        return self._pass_on(request) if reply is None else reply

    def _pass_on(self, request: Request) -> Answer:
        headers = {
            k: v for k, v in request.headers.items() if k.lower() not in NOT_FORWARDED - {"x-amz-content-sha256"}
        }
        return self._emulator.send("POST", request.path, headers, request.body)

    def _check(self, request: Request, name: str) -> None:
        permission.check(self._emulator, request, name)

    # Queries

    def _start(self, request: Request, payload: dict[str, Any]) -> Reply:
        name = str(payload.get("WorkGroup") or PRIMARY)
        self._check(request, name)
        text = str(payload.get("QueryString") or "")
        if len(text.encode()) > QUERY_LIMIT:
            raise RequestRefused(f"the query is longer than {QUERY_LIMIT} bytes")
        rules = workgroup.load(self._emulator, name)
        rules.query_role()
        location = rules.location((payload.get("ResultConfiguration") or {}).get("OutputLocation"))
        repeated = self._history.with_token(name, str(payload.get("ClientRequestToken") or ""))
        if repeated is not None:
            return _repeated(repeated, text)
        execution, statement = _execution(payload, text, name, location)
        caller = permission.caller(self._emulator, request, self._callers)
        self._runner.submit(execution, statement, rules, caller)
        return {"QueryExecutionId": execution.id}

    def _own(self, request: Request, payload: dict[str, Any]) -> Execution:
        """The query that a call is about; the caller must have the right in its workgroup."""
        identity = str(payload.get("QueryExecutionId") or "")
        found = self._history.find(identity)
        self._check_owner(request, found.workgroup if found else None)
        return self._history.get(identity)

    def _check_owner(self, request: Request, name: str | None) -> None:
        """The right in the workgroup of what is asked for; of what does not exist, only who asks."""
        if name is None:
            permission.check_identity(self._emulator, request)
        else:
            self._check(request, name)

    def _stop(self, request: Request, payload: dict[str, Any]) -> Reply:
        self._runner.stop_query(self._own(request, payload))
        return {}

    def _get(self, request: Request, payload: dict[str, Any]) -> Reply:
        return {"QueryExecution": self._own(request, payload).describe()}

    def _get_many(self, request: Request, payload: dict[str, Any]) -> Reply:
        found, missing = [], []
        allowed: dict[str, bool] = {}
        for identity in payload.get("QueryExecutionIds", []):
            execution = self._history.find(identity)
            if execution is not None and self._is_allowed(request, execution.workgroup, allowed):
                found.append(execution.describe())
            else:
                words = f"QueryExecution {identity} was not found"
                missing.append({"QueryExecutionId": identity, "ErrorCode": "NOT_FOUND", "ErrorMessage": words})
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    def _is_allowed(self, request: Request, name: str, known: dict[str, bool]) -> bool:
        if name not in known:
            known[name] = permission.allows(self._emulator, request, name)
        return known[name]

    def _list(self, request: Request, payload: dict[str, Any]) -> Reply:
        name = str(payload.get("WorkGroup") or PRIMARY)
        self._check(request, name)
        workgroup.load(self._emulator, name)
        ids = [execution.id for execution in self._history.of(name)]
        return _page("QueryExecutionIds", ids, payload, LIST_PAGE)

    def _results(self, request: Request, payload: dict[str, Any]) -> Reply:
        execution = self._own(request, payload)
        if execution.state != SUCCEEDED:
            raise RequestRefused(_not_ready(execution))
        size = min(int(payload.get("MaxResults") or PAGE), PAGE)
        rows, token = _page_of_rows(self._history, execution, str(payload.get("NextToken") or "0"), size)
        reply: dict[str, Any] = {
            "UpdateCount": execution.rows if execution.substatement == "INSERT" else 0,
            "ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": execution.columns}},
        }
        return reply | ({"NextToken": token} if token else {})

    def _runtime(self, request: Request, payload: dict[str, Any]) -> Reply:
        execution = self._own(request, payload)
        statistics = execution.statistics()
        timeline = {k: v for k, v in statistics.items() if k.endswith("InMillis")}
        rows = {"InputBytes": execution.scanned, "OutputRows": execution.rows}
        return {"QueryRuntimeStatistics": {"Timeline": timeline, "Rows": rows}}

    # Named queries

    def _list_named(self, request: Request, payload: dict[str, Any]) -> Reply:
        name = str(payload.get("WorkGroup") or PRIMARY)
        self._check(request, name)
        ids = [entry["NamedQueryId"] for entry in named_queries.of_workgroup(self._folder, name)]
        made = self._emulator.call("athena", "ListNamedQueries", {"WorkGroup": name}, self._emulator.root)
        return _page("NamedQueryIds", ids + made.get("NamedQueryIds", []), payload, LIST_PAGE)

    def _named(self, identity: str) -> dict[str, Any] | None:
        """A named query of the deployer's, or one that a client made."""
        found = named_queries.find(self._folder, identity)
        if found is not None:
            return found
        payload = {"NamedQueryIds": [identity]}
        made = self._emulator.call("athena", "BatchGetNamedQuery", payload, self._emulator.root)
        return next(iter(made.get("NamedQueries", [])), None)

    def _get_named(self, request: Request, payload: dict[str, Any]) -> Reply:
        identity = str(payload.get("NamedQueryId") or "")
        found = self._named(identity)
        self._check_owner(request, found["WorkGroup"] if found else None)
        if found is None:
            raise RequestRefused(f"NamedQuery {identity} is not found")
        return {"NamedQuery": found}

    def _get_many_named(self, request: Request, payload: dict[str, Any]) -> Reply:
        found, missing = [], []
        allowed: dict[str, bool] = {}
        for identity in payload.get("NamedQueryIds", []):
            entry = self._named(identity)
            if entry is not None and self._is_allowed(request, entry["WorkGroup"], allowed):
                found.append(entry)
            else:
                words = f"NamedQuery {identity} is not found"
                missing.append({"NamedQueryId": identity, "ErrorCode": "NOT_FOUND", "ErrorMessage": words})
        return {"NamedQueries": found, "UnprocessedNamedQueryIds": missing}

    # Catalog

    def _catalog(self, request: Request, payload: dict[str, Any]) -> Catalog:
        """The catalog as the query role of the caller's workgroup sees it.

        A call that names no workgroup (PyAthena's do not) means the one query role that the caller may use.
        """
        written = str(payload.get("CatalogName") or CATALOG)
        if written.lower() != CATALOG.lower():
            raise RequestRefused(f"Catalog {written} not found", code="MetadataException")
        permission.check_identity(self._emulator, request)
        if not payload.get("WorkGroup") and permission.is_root(self._emulator, request):
            return Catalog(self._emulator, self._emulator.root)
        role = self._catalog_role(request, payload.get("WorkGroup"))
        return Catalog(self._emulator, self._emulator.assume(role), role)

    def _catalog_role(self, request: Request, wanted: str | None) -> str:
        names = [wanted] if wanted else workgroup.names(self._emulator)
        groups = [workgroup.load(self._emulator, name) for name in names]
        roles = {
            group.role
            for group in groups
            if group.role and permission.check_catalog(self._emulator, request, group.name, group.role)
        }
        if len(roles) == 1:
            return str(roles.pop())
        raise RequestRefused(
            f"{request.action}: the local cloud reads the catalog under the query role of a workgroup that the caller "
            f"may use, and there are {len(roles)} such roles here; name a WorkGroup of yours",
            code="AccessDeniedException",
        )

    def _databases(self, request: Request, payload: dict[str, Any]) -> Reply:
        found = self._catalog(request, payload).databases()
        return _page("DatabaseList", [{"Name": name} for name in found], payload, LIST_PAGE)

    def _database(self, request: Request, payload: dict[str, Any]) -> Reply:
        name = str(payload.get("DatabaseName") or "")
        if name not in self._catalog(request, payload).databases():
            raise RequestRefused(f"Database {name} not found", code="MetadataException")
        return {"Database": {"Name": name}}

    def _tables(self, request: Request, payload: dict[str, Any]) -> Reply:
        catalog = self._catalog(request, payload)
        tables = _metadata(lambda: catalog.tables(str(payload.get("DatabaseName") or "").lower()))
        chosen = matching([table.name for table in tables], payload.get("Expression") or None)
        found = [_table_metadata(table) for table in tables if table.name in chosen]
        return _page("TableMetadataList", found, payload, LIST_PAGE)

    def _table(self, request: Request, payload: dict[str, Any]) -> Reply:
        catalog = self._catalog(request, payload)
        database, name = str(payload.get("DatabaseName") or "").lower(), str(payload.get("TableName") or "").lower()
        table = _metadata(lambda: catalog.table(database, name))
        if table is None:
            words = f"EntityNotFoundException: Entity Not Found: table {database}.{name}"
            raise RequestRefused(words, code="MetadataException")
        return {"TableMetadata": _table_metadata(table)}


def _execution(
    payload: Mapping[str, Any], text: str, name: str, location: str
) -> tuple[Execution, Statement | AthenaError]:
    """The query to run; raises RequestRefused for a text that is no statement."""
    values = [str(value) for value in payload.get("ExecutionParameters") or []]
    context = payload.get("QueryExecutionContext") or {}
    statement = _statement(text, values)
    execution = new_execution(
        identity=str(uuid.uuid4()),
        statement=statement,
        query=text,
        workgroup=name,
        database=str(context.get("Database") or "").lower(),
        catalog=str(context.get("Catalog") or CATALOG),
        location=location,
        parameters=values,
        token=str(payload.get("ClientRequestToken") or ""),
    )
    return execution, statement


def _statement(text: str, values: list[str]) -> Statement | AthenaError:
    """A text that is well formed and that the local cloud does not run is accepted and fails, as on AWS."""
    try:
        if not values:
            return parse(text)
        if text.lstrip().lower().startswith("execute"):
            return parse(f"{text.rstrip().rstrip(';')} USING {', '.join(values)}")
        return parse(bind(text, values))
    except QueryFailed as e:
        return e


def _repeated(execution: Execution, text: str) -> Reply:
    if execution.query != text:
        raise RequestRefused("Idempotent parameters do not match")
    return {"QueryExecutionId": execution.id}


def _not_ready(execution: Execution) -> str:
    if execution.state in (FAILED, CANCELLED):
        verb = "was cancelled" if execution.state == CANCELLED else "has failed"
        return f"Query {verb}. Reason: {execution.reason}"
    return f"Query has not yet finished. Current state: {execution.state}"


def _page_of_rows(history: History, execution: Execution, token: str, size: int) -> tuple[list[dict[str, Any]], str]:
    """Rows from a byte offset of the result; the first page of a SELECT begins with the names."""
    path = history.rows_path(execution.id)
    if not token.isdigit():
        raise RequestRefused("Invalid NextToken")
    if not path.exists():
        raise RequestRefused(f"The result of QueryExecution {execution.id} is no longer kept")
    rows: list[dict[str, Any]] = []
    end = int(token)
    for values, offset in output.read_rows(path, end):
        if len(rows) == size:
            return rows, str(end)
        rows.append({"Data": [{} if value is None else {"VarCharValue": value} for value in values]})
        end = offset
    return rows, ""


def _page(key: str, items: list[Any], payload: Mapping[str, Any], default: int) -> Reply:
    token = str(payload.get("NextToken") or "0")
    if not token.isdigit():
        raise RequestRefused("Invalid NextToken")
    start, size = int(token), int(payload.get("MaxResults") or default)
    reply: dict[str, Any] = {key: items[start : start + size]}
    return reply | ({"NextToken": str(start + size)} if start + size < len(items) else {})


def _metadata(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except AthenaError as e:
        raise RequestRefused(str(e), code="MetadataException") from e


def _table_metadata(table: Table) -> dict[str, Any]:
    def shown(columns: Any) -> list[dict[str, str]]:
        return [
            {"Name": c.name, "Type": c.written_type} | ({"Comment": c.comment} if c.comment else {}) for c in columns
        ]

    raw = table.raw
    value = {
        "Name": table.name,
        "TableType": raw.get("TableType") or "EXTERNAL_TABLE",
        "Columns": shown(table.columns),
        "PartitionKeys": shown(table.partition_keys),
        "Parameters": dict(table.parameters) | ({"location": table.location} if table.location else {}),
    }
    return value | {key: raw[key] for key in ("CreateTime", "LastAccessTime") if isinstance(raw.get(key), int | float)}
