"""Errands from here: asked for in the ledger, run by the tenant's `maintain` job, followed until they end."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli import output
from cli.connection import Connection
from cli.errors import LakeError

if TYPE_CHECKING:
    from lineage.errands import Errands
    from lineage.values import Errand

__all__ = ["attend"]

OPEN = frozenset({"ASKED", "RUNNING"})
GONE = frozenset({"FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED", "SUCCEEDED"})
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0  # seconds between two looks
BUSY = frozenset({"ConcurrentRunsExceededException", "ThrottlingException"})
RECENT = 20


def attend(connection: Connection, tenant: str, task: str, arguments: Mapping[str, object]) -> Mapping[str, object]:
    """Have a task done and wait for its result; one that was asked for before and is still open is waited for.

    Raises LakeError with the reason when it fails.
    """
    from lineage.errands import Errands

    errands = Errands(connection.ledger)
    with _shown(f"{tenant}: {task}") as say:
        return Attendant(connection, errands, tenant).attend(task, arguments, say)


@contextmanager
def _shown(what: str) -> Iterator[Any]:
    """How the wait is told: one moving line on a terminal, a line per change elsewhere."""
    if not output.is_interactive():
        yield lambda word: output.message(f"{what}: {word}")
        return
    with output.messages().status(f"{what} …") as status:
        yield lambda word: status.update(f"{what}: {word} …")


@dataclass
class Attendant:
    """Asks for one errand of a tenant and sees it through."""

    connection: Connection
    errands: "Errands"
    tenant: str
    said: str = field(default="")

    def __post_init__(self) -> None:
        from glue_scripts.arguments import MAINTAIN

        self.glue = self.connection.client("glue")
        self.job = self.connection.names(self.tenant).job(MAINTAIN)

    def attend(self, task: str, arguments: Mapping[str, object], say: Any) -> Mapping[str, object]:
        errand = self._open(task, arguments) or self.errands.ask(self.tenant, task, arguments)
        glue_run = errand.glue_run or self._start(errand, say)
        pause = FIRST_PAUSE
        while errand.state in OPEN:
            self._say(say, "running" if errand.state == "RUNNING" else "starting")
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.3)
            ended = self._ended(glue_run)  # looked at first: what the run noted before it ended is then seen
            errand = self.errands.get(self.tenant, errand.id)
            if ended is not None and errand.state in OPEN:
                self.errands.fail(self.tenant, errand.id, ended)
                raise LakeError(f"{self.tenant}: {task}: {ended}")
        if errand.state == "FAILED":
            raise LakeError(f"{self.tenant}: {task}: {errand.error or 'failed without a reason'}")
        return errand.result or {}

    def _open(self, task: str, arguments: Mapping[str, object]) -> "Errand | None":
        for errand in self.errands.list(self.tenant, RECENT):
            if errand.state in OPEN and errand.task == task and dict(errand.arguments) == dict(arguments):
                return errand
        return None

    def _start(self, errand: "Errand", say: Any) -> str:
        """The Glue run; the job runs one errand at a time, so another one is waited for."""
        from botocore.exceptions import ClientError

        from glue_scripts.arguments import run_options

        pause = FIRST_PAUSE
        while True:
            try:
                started = self.glue.start_job_run(JobName=self.job, Arguments=run_options(errand.id))
                return str(started["JobRunId"])
            except ClientError as error:
                if error.response["Error"]["Code"] not in BUSY:
                    raise
            self._say(say, "waiting for another errand of this tenant")
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.3)
            known = self.errands.get(self.tenant, errand.id)
            if known.glue_run is not None:  # the other one was this errand's, asked for by somebody who then left
                return known.glue_run

    def _ended(self, glue_run: str) -> str | None:
        """Why the Glue run ended; None while it goes on."""
        run = self.glue.get_job_run(JobName=self.job, RunId=glue_run)["JobRun"]
        if run["JobRunState"] not in GONE:
            return None
        return f"its Glue run {glue_run} ended as {run['JobRunState']}: {run.get('ErrorMessage', 'no reason given')}"

    def _say(self, say: Any, word: str) -> None:
        if word != self.said:
            self.said = word
            say(word)
