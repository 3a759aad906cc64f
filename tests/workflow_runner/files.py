"""The files of a run, read and judged before anything begins: the workflow, those it calls, the local actions they use."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.workflow_runner.github import Failed, GitHub, Source
from tests.workflow_runner.permissions import RESTRICTED, granted, within
from tests.workflow_runner.refusals import Refused, Unsupported

__all__ = ["Workflow", "faults", "load", "ordered"]

DEEPEST = 10
STRANGE = ("container", "services")
NAMES = ("action.yml", "action.yaml")


@dataclass(frozen=True)
class Workflow:
    """A file of .github/workflows."""

    path: str
    """As seen from the repository."""
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.content.get("name", self.path))

    @property
    def jobs(self) -> Mapping[str, Mapping[str, Any]]:
        jobs: Mapping[str, Mapping[str, Any]] = self.content["jobs"]
        return jobs

    def trigger(self, event: str) -> Mapping[str, Any]:
        """What stands below the event in `on`; raises Refused if the event begins nothing."""
        on = self.content["on"]
        events = on if isinstance(on, dict) else dict.fromkeys([on] if isinstance(on, str) else on)
        if event not in events:
            raise Refused(f"{self.path}: {event} begins nothing here, only {', '.join(events)}")
        said = events[event]
        return said if isinstance(said, dict) else {}

    def permissions(self, job: str, limit: Mapping[str, str] | None) -> dict[str, str]:
        """Of one of its jobs; raises Refused if the caller has less."""
        default = RESTRICTED if limit is None else limit
        said = self.jobs[job].get("permissions", self.content.get("permissions", default))
        given = granted(said)
        if limit is not None:
            within(given, limit, f"{self.path}: job {job}")
        return given


def load(github: GitHub, repository: Path, path: str) -> dict[str, Workflow]:
    """The workflow and all that it calls, by path; raises Refused with everything that is wrong with them."""
    reading = Reading(github, repository)
    reading.take(path)
    told = faults(github, repository, sources(repository, reading.found.values(), github))
    if told:
        raise Refused("\n".join(told))
    return reading.found


class Reading:
    """Follows the calls from one workflow to the next."""

    def __init__(self, github: GitHub, repository: Path) -> None:
        self.github, self.repository = github, repository
        self.found: dict[str, Workflow] = {}

    def take(self, path: str, limit: Mapping[str, str] | None = None, depth: int = 0) -> None:
        if depth > DEEPEST:
            raise Refused(f"{path}: workflows call each other more than {DEEPEST} deep")
        workflow = self.found[path] = self.read(path)
        ordered(workflow)
        for name, job in workflow.jobs.items():
            strange = [each for each in STRANGE if each in job]
            if strange:
                raise Unsupported(f"{path}: job {name}: {strange[0]}: jobs run on this machine")
            permissions = workflow.permissions(name, limit)
            if "uses" in job:
                self.take(called(job["uses"], f"{path}: job {name}"), permissions, depth + 1)

    def read(self, path: str) -> Workflow:
        file = self.repository / path
        if not file.is_file():
            raise Refused(f"{path}: no such workflow in {self.repository}")
        try:
            content = self.github.read(file.read_text())
        except Failed as error:
            raise Refused(f"{path}: {error}") from None
        if not isinstance(content, dict) or not isinstance(content.get("jobs"), dict):
            raise Refused(f"{path}: expected a mapping with jobs")
        return Workflow(path, content)


def called(uses: str, where: str) -> str:
    if not uses.startswith(("./", "$/")):
        raise Unsupported(f"{where}: {uses}: only workflows of this repository are here")
    return uses[2:]


def ordered(workflow: Workflow) -> list[str]:
    """The jobs, each after those it needs."""
    waiting = {name: needs(job) for name, job in workflow.jobs.items()}
    done: list[str] = []
    while waiting:
        ready = [name for name, needed in waiting.items() if set(needed) <= set(done)]
        if not ready:
            raise Refused(f"{workflow.path}: these jobs need each other or one that is not there: {', '.join(waiting)}")
        done += ready
        waiting = {name: needed for name, needed in waiting.items() if name not in ready}
    return done


def needs(job: Mapping[str, Any]) -> tuple[str, ...]:
    said = job.get("needs", [])
    return (said,) if isinstance(said, str) else tuple(said)


def sources(repository: Path, workflows: Iterable[Workflow], github: GitHub) -> Iterator[Source]:
    """The workflows as texts, and the local actions that their steps use, each once."""
    waiting: list[Sequence[Mapping[str, Any]]] = []
    for workflow in workflows:
        yield Source(workflow.path, (repository / workflow.path).read_text(), "workflow")
        waiting += [job.get("steps") or [] for job in workflow.jobs.values()]
    seen = set()
    while waiting:
        for step in waiting.pop():
            folder = str(step.get("uses", ""))[2:] if str(step.get("uses", "")).startswith(("./", "$/")) else ""
            file = next((repository / folder / name for name in NAMES if (repository / folder / name).is_file()), None)
            if folder and folder not in seen and file is not None:
                seen.add(folder)
                yield Source(f"{folder}/{file.name}", file.read_text(), "action")
                waiting.append((github.read(file.read_text()).get("runs") or {}).get("steps") or [])


def faults(github: GitHub, repository: Path, files: Iterable[Source]) -> list[str]:
    """What GitHub's parser says, and what it leaves to the run: local files that are not there."""
    given = list(files)
    told = github.faults(given)
    for source in given:
        content = github.read(source.text) if not told else {}
        told += missing(repository, source, content)
    return told


def missing(repository: Path, source: Source, content: Mapping[str, Any]) -> list[str]:
    jobs = (content.get("jobs") or {}).values()
    steps = [step for job in jobs for step in job.get("steps") or []] + list(
        (content.get("runs") or {}).get("steps", [])
    )
    local = [step["uses"] for step in steps if str(step.get("uses", "")).startswith(("./", "$/"))]
    lost = [uses for uses in local if not any((repository / uses[2:] / name).is_file() for name in NAMES)]
    lost += [job["uses"] for job in jobs if "uses" in job and not (repository / job["uses"][2:]).is_file()]
    return [f"{source.name}: {uses} is not in this repository" for uses in lost]
