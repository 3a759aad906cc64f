"""Runs the scripts of Glue jobs: at most two at once, each in a worker of its job's role."""

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import botocore.exceptions

from local_cloud import job_code, spark_settings
from local_cloud.access import Access, Credentials
from local_cloud.errors import LocalCloudError
from local_cloud.parity.listing import LOCAL_GLUE_SOURCE
from local_cloud.runs import JobRun, Runs
from local_cloud.worker import Order
from local_cloud.workers import Outcome, Pool, WorkerDiedError, WorkerProcess

log = logging.getLogger(__name__)

AT_ONCE = 2
# Arguments that Glue's host reads itself; the script does not see them.
HOST_ARGUMENTS = frozenset(
    {
        "--additional-python-modules",
        "--class",
        "--conf",
        "--customer-driver-env-vars",
        "--customer-executor-env-vars",
        "--datalake-formats",
        "--extra-files",
        "--extra-jars",
        "--extra-py-files",
        "--job-language",
        "--python-modules-installer-option",
        "--scriptLocation",
        "--user-jars-first",
    }
)
MESSAGES = {
    "SUCCEEDED": ("INFO", "Job run succeeded"),
    "FAILED": ("ERROR", "Job run failed"),
    "TIMEOUT": ("WARN", "Job run timed out"),
    "STOPPED": ("INFO", "Job run stopped"),
}


def merge(defaults: dict[str, str], call: dict[str, str], fixed: dict[str, str]) -> dict[str, str]:
    """A run's arguments as Glue merges them: the call's over the job's defaults, the job's fixed ones over both."""
    return {**defaults, **call, **fixed}


def script_arguments(run: JobRun) -> list[str]:
    """What the script finds in `sys.argv[1:]`."""
    given = {"--JOB_NAME": run.job, "--JOB_RUN_ID": run.id, "--JOB_ID": run.job}
    given |= {name: value for name, value in run.arguments.items() if name not in HOST_ARGUMENTS}
    return [word for pair in given.items() for word in pair]


@dataclass
class JobRunner:
    """Starts, stops and finishes runs, and tells EventBridge how they ended."""

    access: Access
    runs: Runs
    pool: Pool
    code: Path

    def __post_init__(self) -> None:
        self._executor = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="run")
        self._announcer = ThreadPoolExecutor(2, thread_name_prefix="announce")
        self._stops: dict[str, Event] = {}

    def start(self, run: JobRun) -> None:
        self._stops[run.id] = Event()
        self.runs.add(run)
        self._executor.submit(self._run, run)

    def stop(self, run_id: str) -> None:
        """Have an open run ended; its state becomes STOPPED shortly after."""
        self.runs.change(run_id, state="STOPPING")
        self._stops[run_id].set()

    def stop_all(self) -> None:
        """Have every open run ended."""
        for stop in list(self._stops.values()):
            stop.set()

    def end(self) -> None:
        """Take no more runs; those that are open stay so on disk and are closed by `recover` at the next start."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._announcer.shutdown(wait=False, cancel_futures=True)
        self._stops.clear()

    def recover(self) -> list[JobRun]:
        """Close the runs that an earlier supervisor left open, and announce every end that was not announced."""
        lost = [
            self._closed(run, "FAILED", "the local cloud was stopped or killed while this run was open")
            for run in self.runs.open()
        ]
        for run in self.runs.all():
            if not run.is_open and not run.announced:
                self._announcer.submit(self._announce, run)
        return lost

    def _run(self, run: JobRun) -> None:
        stop = self._stops.get(run.id)
        if stop is None:
            return
        try:
            self._finish(run, *self._attempt(run, stop))
        except InterruptedError:
            self._finish(run, "STOPPED", "")
        except TimeoutError:
            self._finish(run, "TIMEOUT", f"Job timed out after {run.timeout} minutes")
        except LocalCloudError as e:
            self._finish(run, "FAILED", str(e))
        except Exception as e:  # a run must end in a state, whatever happens to it
            log.exception("run %s of %s", run.id, run.job)
            self._finish(run, "FAILED", f"{type(e).__name__}: {e}")

    def _attempt(self, run: JobRun, stop: Event) -> tuple[str, str]:
        if stop.is_set():
            raise InterruptedError
        credentials = self._assume(run)
        code = job_code.fetch(self.access.client("s3", credentials), self.code, run.script, run.packages)
        worker = self.pool.take((run.role, code.fingerprint), stop)
        reusable = False
        try:
            outcome = self._in_worker(worker, run, self._order(run, code, credentials), stop)
            reusable = outcome.reusable
        except WorkerDiedError as e:
            raise WorkerDiedError(self._last_words(run) or str(e)) from e
        finally:
            self.pool.give_back(worker, reusable=reusable)
        return ("SUCCEEDED", "") if outcome.exit == 0 else ("FAILED", outcome.message)

    def _in_worker(self, worker: WorkerProcess, run: JobRun, order: Order, stop: Event) -> Outcome:
        started: list[float] = []

        def on_start() -> None:
            started.append(time.monotonic())
            if not stop.is_set():
                self.runs.change(run.id, state="RUNNING", script_started=time.time())

        def deadline() -> float:
            return started[0] + run.timeout * 60 if started else float("inf")

        return worker.run(order, on_start, deadline, stop)

    def _assume(self, run: JobRun) -> Credentials:
        try:
            return self.access.assume(run.role, f"GlueJobRunnerSession-{run.id[:8]}")
        except botocore.exceptions.ClientError as e:
            raise LocalCloudError(f"{run.role}: cannot be assumed ({e.response['Error'].get('Message')})") from e

    def _order(self, run: JobRun, code: job_code.JobCode, credentials: Credentials) -> Order:
        logs = self.runs.logs(run.id)
        return Order(
            run=run.id,
            role=run.role,
            code=code.fingerprint,
            script=str(code.script),
            arguments=script_arguments(run),
            folders=[str(folder) for folder in code.folders],
            conf=spark_settings.parse_conf(run.arguments.get("--conf", "")),
            credentials={
                "AWS_ACCESS_KEY_ID": credentials.access_key,
                "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
                "AWS_SESSION_TOKEN": credentials.token or "",
            },
            stdout=str(logs.stdout),
            stderr=str(logs.stderr),
        )

    def _last_words(self, run: JobRun) -> str:
        from local_cloud import emulator

        log_file = self.runs.logs(run.id).stderr
        return emulator.last_line(log_file) if log_file.exists() and log_file.stat().st_size else ""

    def _finish(self, run: JobRun, state: str, error: str) -> None:
        if self._stops.pop(run.id, None) is None:
            return  # the supervisor is ending: the next one closes this run
        closed = self._closed(run, state, error)
        self._announcer.submit(self._announce, closed)

    def _closed(self, run: JobRun, state: str, error: str) -> JobRun:
        return self.runs.change(run.id, state=state, error=error, completed=time.time())

    def _announce(self, run: JobRun) -> None:
        """Put Glue's state-change event on the default bus, as the service does."""
        # Who started the run must have noted its id: on AWS no run ends within a second.
        time.sleep(min(1.0, max(0.0, run.started + 1.0 - time.time())))
        severity, message = MESSAGES[run.state]
        detail = {
            "jobName": run.job,
            "severity": severity,
            "state": run.state,
            "jobRunId": run.id,
            "message": run.error or message,
        }
        entry: dict[str, Any] = {
            "Source": LOCAL_GLUE_SOURCE,
            "DetailType": "Glue Job State Change",
            "Detail": json.dumps(detail),
        }
        try:
            self._put_event(entry)
            self.runs.change(run.id, announced=True)
        except Exception:
            log.exception("the end of run %s could not be announced; the next start tries again", run.id)

    def _put_event(self, entry: dict[str, Any]) -> None:
        answer = self.access.client("events").put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise LocalCloudError(f"EventBridge refused the event: {answer['Entries']}")
