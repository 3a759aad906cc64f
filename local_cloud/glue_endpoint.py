"""The Glue API of the local cloud: passes every call on, really runs started jobs, and mends a few answers.

Every call goes to the emulator first, signed as it came, so that it checks signature and permissions. For the calls
about job runs its answer is then replaced: its own runs end at once without running anything.
"""

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import botocore.exceptions

from local_cloud import forward
from local_cloud.access import Access
from local_cloud.forward import Answer, Forwarder, Request
from local_cloud.job_runner import JobRunner, merge
from local_cloud.runs import JobRun, Runs
from local_cloud.state import ACCOUNT, REGION

DEFAULT_TIMEOUT = 480  # minutes, Glue's own since version 5.0
CONCURRENT_RUNS_TAG = "lake:max-concurrent-runs"
PAGE = 200


@dataclass
class GlueEndpoint:
    """Answers the Glue API's JSON calls."""

    forwarder: Forwarder
    access: Access
    runs: Runs
    runner: JobRunner

    def __post_init__(self) -> None:
        self._starting = Lock()
        self._glue = self.access.client("glue")
        self._answers: dict[str, Callable[[Request], Answer]] = {
            "StartJobRun": self._start,
            "GetJobRun": self._get_run,
            "GetJobRuns": self._get_runs,
            "BatchStopJobRun": self._stop_runs,
            "GetPartitions": self._get_partitions,
            "GetTable": self._get_tables,
            "GetTables": self._get_tables,
        }

    def answer(self, request: Request) -> Answer:
        if request.is_ambiguous:
            return forward.of_error("IncompleteSignatureException", "a header of the request is given twice")
        return self._answers.get(request.operation, self.forwarder.forward)(request)

    def _start(self, request: Request) -> Answer:
        call = request.json()
        job = self._job(str(call.get("JobName", "")))
        if job and job["Command"].get("Name") not in {"glueetl", None}:
            kind = job["Command"]["Name"]
            return forward.of_error(
                "InvalidInputException", f"{job['Name']}: {kind} jobs do not run in the local cloud"
            )
        answer = self.forwarder.forward(request)
        if job is None or not answer.is_success:
            return answer
        with self._starting:
            refusal = self._refusal(job)
            if refusal is None:
                self.runner.start(_new_run(answer.json()["JobRunId"], job, call))
        return refusal or answer

    def _refusal(self, job: dict[str, Any]) -> Answer | None:
        limit = self._limit(job["Name"])
        count = len(self.runs.open(job["Name"]))
        if count < limit:
            return None
        return forward.of_error(
            "ConcurrentRunsExceededException",
            f"Concurrent runs exceeded for {job['Name']}: {count} of {limit} are open",
        )

    def _limit(self, job: str) -> int:
        """From the tag that parity gives the job, because the emulator drops MaxConcurrentRuns; Glue's default is 1."""
        arn = f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{job}"
        return int(self._glue.get_tags(ResourceArn=arn)["Tags"].get(CONCURRENT_RUNS_TAG, 1))

    def _job(self, name: str) -> dict[str, Any] | None:
        try:
            job: dict[str, Any] = self._glue.get_job(JobName=name)["Job"]
        except botocore.exceptions.ClientError:
            return None
        return job

    def _permitted(self, request: Request) -> Answer | None:
        """None when the caller may do this; the emulator need not know the run (its own are lost in a kill)."""
        answer = self.forwarder.forward(request)
        return None if answer.is_success or answer.error == "EntityNotFoundException" else answer

    def _get_run(self, request: Request) -> Answer:
        call = request.json()
        run = self.runs.get(str(call.get("RunId")))
        if run is None or run.job != call.get("JobName"):
            refused = self._permitted(request)
            return refused or _no_run(call.get("RunId"))
        return self._permitted(request) or forward.of_json({"JobRun": run.as_glue()})

    def _get_runs(self, request: Request) -> Answer:
        call = request.json()
        refused = self._permitted(request)
        if refused:
            return refused
        job = str(call.get("JobName"))
        if self._job(job) is None:
            return forward.of_error("EntityNotFoundException", f"Job {job} not found")
        first = int(call.get("NextToken") or 0)
        count = int(call.get("MaxResults") or PAGE)
        runs = self.runs.of_job(job)
        page: dict[str, Any] = {"JobRuns": [run.as_glue() for run in runs[first : first + count]]}
        if first + count < len(runs):
            page["NextToken"] = str(first + count)
        return forward.of_json(page)

    def _stop_runs(self, request: Request) -> Answer:
        call = request.json()
        refused = self._permitted(request)
        if refused:
            return refused
        stopped, errors = [], []
        for run_id in call.get("JobRunIds", []):
            reason = self._stop(str(call.get("JobName")), run_id)
            named = {"JobName": call.get("JobName"), "JobRunId": run_id}
            if reason:
                errors.append({**named, "ErrorDetail": reason})
            else:
                stopped.append(named)
        return forward.of_json({"SuccessfulSubmissions": stopped, "Errors": errors})

    def _stop(self, job: str, run_id: str) -> dict[str, str] | None:
        run = self.runs.get(run_id)
        if run is None or run.job != job:
            return {"ErrorCode": "EntityNotFoundException", "ErrorMessage": f"Job run {run_id} not found"}
        if not run.is_open:
            return {"ErrorCode": "InvalidInputException", "ErrorMessage": f"Job run {run_id} is {run.state}"}
        self.runner.stop(run_id)
        return None

    def _get_tables(self, request: Request) -> Answer:
        """Without empty descriptions, which the emulator adds and which break Trino's views."""
        answer = self.forwarder.forward(request)
        if not answer.is_success or b'"Description"' not in answer.body:
            return answer
        value = answer.json()
        for table in [*value.get("TableList", []), value.get("Table") or {}]:
            if table.get("Description") == "":
                del table["Description"]
        return answer.with_json(value)

    def _get_partitions(self, request: Request) -> Answer:
        """With the expression applied, which the emulator ignores."""
        answer = self.forwarder.forward(request)
        call = request.json()
        if not answer.is_success or not call.get("Expression"):
            return answer
        table = self._glue.get_table(DatabaseName=call["DatabaseName"], Name=call["TableName"])["Table"]
        value = answer.json()
        try:
            value["Partitions"] = matching(call["Expression"], table.get("PartitionKeys", []), value["Partitions"])
        except sqlite3.Error as e:
            return forward.of_error("InvalidInputException", f"Unsupported expression '{call['Expression']}': {e}")
        return answer.with_json(value)


def matching(expression: str, keys: list[dict[str, str]], partitions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The partitions for which a Glue expression (`year = '2024' AND month IN ('01')`) holds."""
    whole = {"tinyint", "smallint", "int", "bigint", "integer", "long"}
    columns = [f'"{key["Name"]}" {"INTEGER" if key.get("Type") in whole else "TEXT"}' for key in keys]
    with sqlite3.connect(":memory:") as database:
        database.execute(f"CREATE TABLE p (number INTEGER, {', '.join(columns)})")
        marks = ", ".join("?" * (len(keys) + 1))
        rows = [(number, *partition["Values"]) for number, partition in enumerate(partitions)]
        database.executemany(f"INSERT INTO p VALUES ({marks})", rows)  # noqa: S608  question marks only
        # The database is empty, in memory and thrown away: an expression can do no harm here.
        found = {row[0] for row in database.execute(f"SELECT number FROM p WHERE {expression}")}  # noqa: S608  as said
    return [partition for number, partition in enumerate(partitions) if number in found]


def _new_run(run_id: str, job: dict[str, Any], call: dict[str, Any]) -> JobRun:
    arguments = merge(
        job.get("DefaultArguments", {}), call.get("Arguments", {}), job.get("NonOverridableArguments", {})
    )
    return JobRun(
        id=run_id,
        job=job["Name"],
        role=_role_arn(job["Role"]),
        script=job["Command"].get("ScriptLocation", ""),
        packages=arguments.get("--extra-py-files", ""),
        arguments=arguments,
        started=time.time(),
        modified=time.time(),
        timeout=int(call.get("Timeout") or job.get("Timeout") or DEFAULT_TIMEOUT),
        worker_type=call.get("WorkerType") or job.get("WorkerType") or "G.1X",
        number_of_workers=int(call.get("NumberOfWorkers") or job.get("NumberOfWorkers") or 2),
        glue_version=job.get("GlueVersion") or "5.1",
    )


def _role_arn(role: str) -> str:
    """A job may name its role or give its ARN."""
    return role if role.startswith("arn:") else f"arn:aws:iam::{ACCOUNT}:role/{role}"


def _no_run(run_id: object) -> Answer:
    return forward.of_error("EntityNotFoundException", f"Job run {json.dumps(run_id)} not found")
