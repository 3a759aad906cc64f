"""Records of Glue job runs: one folder each, `<home>/runs/<run id>/` with run.json, stdout.log and stderr.log."""

import shutil
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

from local_cloud import state

KEPT = 1000  # runs; older ones are forgotten at the next start
OPEN = ("STARTING", "RUNNING", "STOPPING")


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """One run of a job. Times are Unix seconds, `timeout` is minutes, `state` a Glue JobRunState."""

    id: str
    job: str
    role: str
    script: str
    packages: str
    arguments: dict[str, str]
    started: float
    timeout: int
    worker_type: str = "G.1X"
    number_of_workers: int = 2
    glue_version: str = "5.1"
    attempt: int = 0
    state: str = "STARTING"
    script_started: float | None = None
    modified: float = 0.0
    completed: float | None = None
    error: str = ""
    announced: bool = False

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def as_glue(self) -> dict[str, Any]:
        """The run as `GetJobRun` shows it."""
        shown = {
            "Id": self.id,
            "Attempt": self.attempt,
            "JobName": self.job,
            "StartedOn": self.started,
            "LastModifiedOn": self.modified or self.started,
            "CompletedOn": self.completed,
            "JobRunState": self.state,
            "Arguments": self.arguments,
            "ErrorMessage": self.error or None,
            "PredecessorRuns": [],
            "ExecutionTime": self.execution_seconds(),
            "Timeout": self.timeout,
            "WorkerType": self.worker_type,
            "NumberOfWorkers": self.number_of_workers,
            "GlueVersion": self.glue_version,
            "LogGroupName": "/aws-glue/jobs",
        }
        return {name: value for name, value in shown.items() if value is not None}

    def execution_seconds(self) -> int:
        if self.script_started is None:
            return 0
        return int((self.completed or time.time()) - self.script_started)


@dataclass(frozen=True)
class RunLogs:
    """Where a run's output lies; a file is missing until the run has started."""

    stdout: Path
    stderr: Path


def logs(home: Path, run_id: str) -> RunLogs:
    """The output files of a run, by Glue's run id."""
    folder = state.Folders(home).runs / Path(run_id).name
    return RunLogs(folder / "stdout.log", folder / "stderr.log")


@dataclass
class Runs:
    """All known runs of one local cloud, in memory and on disk."""

    folder: Path
    _runs: dict[str, JobRun] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock)

    def load(self) -> None:
        """Read what earlier supervisors left, and forget the oldest."""
        for file in self.folder.glob("*/run.json"):
            value = state.read_json(file)
            if isinstance(value, dict):
                run = JobRun(**value)
                self._runs[run.id] = run
        for run in self.all()[KEPT:]:
            del self._runs[run.id]
            shutil.rmtree(self.folder / run.id, ignore_errors=True)

    def add(self, run: JobRun) -> None:
        (self.folder / run.id).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._put(run)

    def change(self, run_id: str, **changes: Any) -> JobRun:
        with self._lock:
            run = replace(self._runs[run_id], modified=time.time(), **changes)
            self._write(run)
            self._runs[run_id] = run
        return run

    def get(self, run_id: str) -> JobRun | None:
        return self._runs.get(run_id)

    def of_job(self, job: str) -> list[JobRun]:
        """Newest first."""
        return [run for run in self.all() if run.job == job]

    def all(self) -> list[JobRun]:
        """Newest first."""
        return sorted(self._runs.copy().values(), key=lambda run: run.started, reverse=True)

    def open(self, job: str | None = None) -> list[JobRun]:
        return [run for run in self.all() if run.is_open and job in {None, run.job}]

    def logs(self, run_id: str) -> RunLogs:
        folder = self.folder / run_id
        return RunLogs(folder / "stdout.log", folder / "stderr.log")

    def _put(self, run: JobRun) -> None:
        with self._lock:
            self._write(run)
            self._runs[run.id] = run

    def _write(self, run: JobRun) -> None:
        state.write_json(self.folder / run.id / "run.json", asdict(run))
