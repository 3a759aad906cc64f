"""Every query that was accepted, as Athena reports it; one JSON file per query, so that history survives a restart."""

import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_cloud.athena.errors import RequestRefused

KEEP = 2000
QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = "QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"
UNFINISHED = (QUEUED, RUNNING)
ENGINE = {
    "SelectedEngineVersion": "Athena engine version 3",
    "EffectiveEngineVersion": "Athena engine version 3",
}


@dataclass
class Execution:
    """One query. Times are Unix seconds, durations milliseconds, `scanned` bytes; `columns` as in ResultSetMetadata."""

    id: str
    query: str
    workgroup: str
    database: str
    catalog: str
    location: str
    statement_type: str
    substatement: str
    parameters: list[str] = field(default_factory=list)
    state: str = QUEUED
    reason: str = ""
    submitted: float = 0.0
    started: float = 0.0
    completed: float = 0.0
    scanned: int = 0
    output: str = ""
    manifest: str = ""
    columns: list[dict[str, Any]] = field(default_factory=list)
    header: bool = False
    rows: int = 0
    token: str = ""

    @property
    def is_finished(self) -> bool:
        return self.state not in UNFINISHED

    def describe(self) -> dict[str, Any]:
        """The API's QueryExecution."""
        status: dict[str, Any] = {"State": self.state, "SubmissionDateTime": self.submitted}
        if self.is_finished:
            status["CompletionDateTime"] = self.completed
        if self.reason:
            status["StateChangeReason"] = self.reason
        if self.state == FAILED:
            status["AthenaError"] = {
                "ErrorCategory": 2,
                "ErrorType": 1006,
                "Retryable": False,
                "ErrorMessage": self.reason,
            }
        context = {"Catalog": self.catalog} | ({"Database": self.database} if self.database else {})
        value: dict[str, Any] = {
            "QueryExecutionId": self.id,
            "Query": self.query,
            "StatementType": self.statement_type,
            "SubstatementType": self.substatement,
            "ResultConfiguration": {"OutputLocation": self.output},
            "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": False}},
            "QueryExecutionContext": context,
            "Status": status,
            "Statistics": self.statistics(),
            "WorkGroup": self.workgroup,
            "EngineVersion": ENGINE,
        }
        return value | ({"ExecutionParameters": self.parameters} if self.parameters else {})

    def statistics(self) -> dict[str, Any]:
        end = self.completed or time.time()
        start = self.started or end
        value: dict[str, Any] = {
            "EngineExecutionTimeInMillis": round((end - start) * 1000),
            "DataScannedInBytes": self.scanned,
            "TotalExecutionTimeInMillis": round((end - self.submitted) * 1000),
            "QueryQueueTimeInMillis": round((start - self.submitted) * 1000),
            "ServiceProcessingTimeInMillis": 0,
            "ResultReuseInformation": {"ReusedPreviousResult": False},
        }
        return value | ({"DataManifestLocation": self.manifest} if self.manifest else {})


class History:
    """Executions by id; `folder` is made when it is missing. Old ones beyond KEEP are forgotten."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._executions: dict[str, Execution] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._load()

    def find(self, query_id: str) -> Execution | None:
        return self._executions.get(query_id)

    def get(self, query_id: str) -> Execution:
        found = self.find(query_id)
        if found is None:
            raise RequestRefused(f"QueryExecution {query_id} was not found", reason="EXECUTION_NOT_FOUND")
        return found

    def of(self, workgroup: str) -> list[Execution]:
        """A workgroup's queries, newest first."""
        found = [e for e in list(self._executions.values()) if e.workgroup == workgroup]
        return sorted(found, key=lambda e: e.submitted, reverse=True)

    def with_token(self, workgroup: str, token: str) -> Execution | None:
        return next((e for e in self.of(workgroup) if token and e.token == token), None)

    def rows_path(self, query_id: str) -> Path:
        """The result's own copy on this machine, from which GetQueryResults pages."""
        return self._folder / f"{query_id}.result"

    def save(self, execution: Execution) -> None:
        with self._lock:
            self._executions[execution.id] = execution
            self._write(execution)
            self._forget_old()

    def _write(self, execution: Execution) -> None:
        path = self._folder / f"{execution.id}.json"
        staging = path.with_suffix(".json.new")
        staging.write_text(json.dumps(vars(execution)), encoding="utf-8")
        os.replace(staging, path)  # noqa: PTH105  one rename: a reader sees the old or the new record

    def _forget_old(self) -> None:
        finished = [e for e in self._executions.values() if e.is_finished]
        for execution in sorted(finished, key=lambda e: e.submitted)[: max(0, len(self._executions) - KEEP)]:
            del self._executions[execution.id]
            for path in (self._folder / f"{execution.id}.json", self.rows_path(execution.id)):
                path.unlink(missing_ok=True)

    def _load(self) -> None:
        for path in self._folder.glob("*.json"):
            try:
                execution = Execution(**json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, TypeError):
                continue  # an older version's record
            self._executions[execution.id] = execution
            if not execution.is_finished:
                self._interrupt(execution)

    def _interrupt(self, execution: Execution) -> None:
        execution.state = FAILED
        execution.reason = (
            "GENERIC_INTERNAL_ERROR: the local Athena ended while the query ran: it needed more memory than there is, "
            "or the local cloud was stopped; start it again"
        )
        execution.completed = time.time()
        self._write(execution)
