"""Runs a workflow of this repository on this machine, as GitHub would: `run(".github/workflows/deploy.yml", {...})`.

Expressions and files are GitHub's own libraries' matter; commands run in a real shell, in a workspace that begins
empty, below a folder that goes when the run is over. Jobs run one after another. What stands in for an action of the
marketplace is a stub; permissions, environments, concurrency and `runs-on` are recorded, nobody waits or approves.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.workflow_runner import files
from tests.workflow_runner.files import Workflow
from tests.workflow_runner.github import GitHub, World, github
from tests.workflow_runner.inputs import dispatched
from tests.workflow_runner.jobs import Call, Jobs, concurrency, worst
from tests.workflow_runner.permissions import granted
from tests.workflow_runner.record import Record
from tests.workflow_runner.steps import Machine
from tests.workflow_runner.stubs import STANDARD, Stub, git

__all__ = ["Event", "run"]

PROJECT = Path(__file__).resolve().parents[2]
TOKEN = "token-of-the-run"


@dataclass(frozen=True, kw_only=True)
class Event:
    """What began the run, by whom and where; a dispatch by somebody in a repository of nobody, if nothing is said."""

    name: str = "workflow_dispatch"
    payload: Mapping[str, Any] = field(default_factory=dict)
    actor: str = "someone"
    repository: str = "example/tenantlake"
    repository_id: str = "5678"
    owner_id: str = "1234"
    run_id: str = "1001"
    run_attempt: str = "1"

    def context(self, workflow: Workflow, given: Mapping[str, str], ref: str, sha: str) -> dict[str, Any]:
        """`github`, as far as anything here looks at it."""
        kind, _, short = ref.removeprefix("refs/").partition("/")
        sender = {"login": self.actor}
        return {
            "event_name": self.name,
            "event": {"inputs": dict(given), "ref": ref, "sender": sender, **self.payload},
            "actor": self.actor,
            "triggering_actor": self.actor,
            "repository": self.repository,
            "repository_id": self.repository_id,
            "repository_owner": self.repository.partition("/")[0],
            "repository_owner_id": self.owner_id,
            "run_id": self.run_id,
            "run_number": "1",
            "run_attempt": self.run_attempt,
            "ref": ref,
            "ref_name": short,
            "ref_type": "tag" if kind == "tags" else "branch",
            "sha": sha,
            "workflow": workflow.name,
            "workflow_ref": f"{self.repository}/{workflow.path}@{ref}",
            "workflow_sha": sha,
            "server_url": "https://github.example",
            "api_url": "https://api.github.example",
            "graphql_url": "https://api.github.example/graphql",
            "token": TOKEN,
        }


def run(
    workflow: str,
    inputs: Mapping[str, str] | None = None,
    repository: Path = PROJECT,
    stubs: Mapping[str, Stub] | None = None,
    variables: Mapping[str, str] | None = None,
    *,
    ref: str = "refs/heads/main",
    event: Event | None = None,
    secrets: Mapping[str, str] | None = None,
    environments: Mapping[str, Mapping[str, str]] | None = None,
    environment: Mapping[str, str] | None = None,
    path: Sequence[Path] = (),
    linked: Sequence[str] = (),
    patience: float = 600,
    at_once: int = 1,
) -> Record:
    """What a run did; raises Refused where GitHub would begin none, and where this runner cannot do what it would do.

    `workflow` is a path in the repository, or a name in its .github/workflows. `inputs` are those of a dispatch.
    `stubs` join the standard ones: by `owner/name`, by the whole `uses`, or by `$/` and the path of a local action.
    `variables` are those of the repository, `environments` those of its environments. `environment` and `path` are
    what every command gets besides: nothing at GitHub does that. `linked` names, as `.venv`, are not copied by a
    checkout but led to. `at_once`: so many legs of a matrix run side by side.
    """
    began = event or Event()
    place = workflow if "/" in workflow else f".github/workflows/{workflow}"
    libraries = github()
    with tempfile.TemporaryDirectory(prefix="workflow-", ignore_cleanup_errors=True) as folder:
        machine = Machine(
            folder=Path(folder).resolve(),
            repository=repository.resolve(),
            stubs={**STANDARD, **(stubs or {})},
            environment=environment or {},
            path=os.pathsep.join([*map(str, path), os.environ.get("PATH", os.defpath)]),
            linked=linked,
            patience=patience,
        )
        workflows = files.load(libraries, machine.repository, place)
        jobs = Jobs(
            machine, libraries, workflows, variables=variables or {}, environments=environments or {}, at_once=at_once
        )
        call = called(
            workflows[place],
            inputs or {},
            event=began,
            ref=ref,
            repository=machine.repository,
            secrets=secrets or {},
        )
        return recorded(libraries, jobs, call, variables or {})


def called(
    workflow: Workflow,
    given: Mapping[str, str],
    *,
    event: Event,
    ref: str,
    repository: Path,
    secrets: Mapping[str, str],
) -> Call:
    trigger = workflow.trigger(event.name)
    sha = git(repository, "rev-parse", "HEAD") or "0" * 40
    return Call(
        workflow=workflow,
        github=event.context(workflow, given, ref, sha),
        inputs=dispatched(trigger.get("inputs") or {}, given, workflow.path),
        secrets={**secrets, "GITHUB_TOKEN": TOKEN},
    )


def recorded(libraries: GitHub, jobs: Jobs, call: Call, variables: Mapping[str, str]) -> Record:
    content = call.workflow.content
    world = World(contexts={**call.contexts, "vars": variables})
    record = Record(
        workflow=call.workflow.path,
        name=str(libraries.resolve(content.get("run-name", call.workflow.name), world)),
        inputs=call.inputs,
        permissions=granted(content["permissions"]) if "permissions" in content else None,
        concurrency=concurrency(libraries.resolve(content.get("concurrency"), world)),
    )
    outcomes = jobs.run(call)
    record.jobs = [job for outcome in outcomes.values() for job in outcome.jobs]
    record.result = worst([outcome.result for outcome in outcomes.values()])
    return record
