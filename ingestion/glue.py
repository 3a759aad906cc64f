"""Glue as dispatch uses it: starts a run, waiting when asked to slow down, and asks what a run was started for."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from glue_scripts.arguments import option, run_options
from ingestion.errors import JobFull, NoPlace, Refused

REFUSALS: Mapping[str, type[Refused]] = {
    "ResourceNumberLimitExceededException": NoPlace,
    "ConcurrentRunsExceededException": JobFull,
}
THROTTLED = "ThrottlingException"
TRIES = 5


class GlueJobs:
    def __init__(self, glue: Any, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.glue = glue
        self.sleep = sleep

    def start(self, glue_job: str, run: str) -> str:
        """The id of the Glue run. Waits, each time longer and jittered, while Glue wants fewer calls. Or Refused."""
        for attempt in range(1, TRIES + 1):
            try:
                answer = self.glue.start_job_run(JobName=glue_job, Arguments=run_options(run))
            except Exception as error:
                if _code(error) in REFUSALS:
                    raise REFUSALS[_code(error)](str(error)) from error
                if attempt == TRIES or _code(error) != THROTTLED:
                    raise
                self.sleep(random.uniform(0.5, 1) * 2 ** (attempt - 1))  # noqa: S311 - jitter is no secret
            else:
                return str(answer["JobRunId"])
        raise AssertionError("unreachable")

    def stop(self, glue_job: str, glue_run: str) -> bool:
        """Ends a Glue run; False: Glue would not, it has ended already, say."""
        answer: Mapping[str, Any] = self.glue.batch_stop_job_run(JobName=glue_job, JobRunIds=[glue_run])
        return not answer.get("Errors")

    def started_for(self, glue_job: str, glue_run: str) -> str | None:
        """The run or errand that a Glue run was started for; None: it was started by hand, without one."""
        answer: Mapping[str, Any] = self.glue.get_job_run(JobName=glue_job, RunId=glue_run)
        told: Mapping[str, str] = answer["JobRun"].get("Arguments") or {}
        return told.get(option("run"))


def is_busy(error: str | None) -> bool:
    """Whether a run's error says no more than that Glue had no room for it."""
    return any(code in (error or "") for code in (*REFUSALS, THROTTLED))


def is_job_full(error: str | None) -> bool:
    """Whether a run's error says that its job ran as often as it may."""
    return any(code in (error or "") for code, refusal in REFUSALS.items() if refusal is JobFull)


def _code(error: Exception) -> str:
    response: Mapping[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))
