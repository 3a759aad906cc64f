"""What a run of a workflow did, for tests to look at."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Annotation", "Concurrency", "Job", "Record", "Step"]


@dataclass(frozen=True)
class Annotation:
    """A line that GitHub shows above the log."""

    level: str
    """error, warning or notice"""
    message: str


@dataclass(frozen=True)
class Concurrency:
    """Recorded only: nothing waits here."""

    group: str
    cancel_in_progress: bool = False
    queue: str = "single"


@dataclass(kw_only=True)
class Step:
    """A command, an action, or a composite action with the steps inside it."""

    id: str
    name: str
    uses: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """`with`, evaluated."""
    env: Mapping[str, str] = field(default_factory=dict)
    """`env` of the step, evaluated."""
    script: str | None = None
    """`run`, evaluated: what the shell was given."""
    outcome: str = "skipped"
    """success, failure or skipped"""
    conclusion: str = "skipped"
    """The outcome, or success where `continue-on-error` forgives it."""
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""
    annotations: list[Annotation] = field(default_factory=list)
    steps: list["Step"] = field(default_factory=list)
    is_stub: bool = False

    def within(self) -> Iterator["Step"]:
        """This step and those inside it."""
        yield self
        for step in self.steps:
            yield from step.within()


@dataclass(kw_only=True)
class Job:
    """A job of the workflow, or of one it calls: `caller/job`; a matrix makes several of one id."""

    id: str
    name: str
    workflow: str
    result: str = "skipped"
    """success, failure, cancelled or skipped"""
    is_forgiven: bool = False
    """It failed, and `continue-on-error` made a success of that."""
    error: str = ""
    """Why it could not even begin."""
    needs: tuple[str, ...] = ()
    permissions: Mapping[str, str] = field(default_factory=dict)
    environment: str | None = None
    subject: str = ""
    """`sub` of the token with which it could assume a role."""
    concurrency: Concurrency | None = None
    timeout_minutes: float | None = None
    runs_on: Any = None
    matrix: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What a called workflow was given."""
    outputs: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def all_steps(self) -> Iterator[Step]:
        for step in self.steps:
            yield from step.within()

    def step(self, key: str) -> Step:
        """The step of this id or name."""
        found = [step for step in self.all_steps() if key in (step.id, step.name)]
        if len(found) != 1:
            raise KeyError(f"{self.id}: {len(found)} steps are called {key!r}: {[step.name for step in self.steps]}")
        return found[0]

    def uses(self, action: str) -> list[Step]:
        """The steps that used an action (`owner/name`), wherever they stand; skipped ones are left out."""
        steps = [step for step in self.all_steps() if step.uses and step.outcome != "skipped"]
        return [step for step in steps if step.uses and step.uses.partition("@")[0] == action]

    @property
    def log(self) -> str:
        return "".join(step.log for step in self.all_steps())

    @property
    def summary(self) -> str:
        return "".join(step.summary for step in self.all_steps())

    @property
    def annotations(self) -> list[Annotation]:
        return [each for step in self.all_steps() for each in step.annotations]


@dataclass(kw_only=True)
class Record:
    """A whole run."""

    workflow: str
    name: str
    """`run-name`, evaluated."""
    result: str = "success"
    inputs: Mapping[str, Any] = field(default_factory=dict)
    permissions: Mapping[str, str] | None = None
    """What stands at the top of the file; None where nothing does."""
    concurrency: Concurrency | None = None
    jobs: list[Job] = field(default_factory=list)

    def job(self, name: str) -> Job:
        found = self.legs(name)
        if len(found) != 1:
            raise KeyError(f"{len(found)} jobs are called {name!r}: {[job.id for job in self.jobs]}")
        return found[0]

    def legs(self, name: str) -> list[Job]:
        """The jobs of an id: as many as its matrix made."""
        return [job for job in self.jobs if job.id == name]

    @property
    def results(self) -> dict[str, str]:
        """By job, with its matrix where there is one."""
        return {job.id + (f" {dict(job.matrix)}" if job.matrix else ""): job.result for job in self.jobs}

    @property
    def log(self) -> str:
        return "".join(job.log for job in self.jobs)

    @property
    def summary(self) -> str:
        return "".join(job.summary for job in self.jobs)

    @property
    def annotations(self) -> list[Annotation]:
        return [each for job in self.jobs for each in job.annotations]
