"""The jobs of a workflow: which run, in which order, as how many legs, with which rights."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from tests.workflow_runner import files, inputs, matrix
from tests.workflow_runner.files import Workflow
from tests.workflow_runner.github import Failed, GitHub, World
from tests.workflow_runner.record import Concurrency, Job
from tests.workflow_runner.steps import Machine, Scope, Steps

__all__ = ["Call", "Jobs", "Outcome", "concurrency"]

LARGEST_OUTPUTS = 1024 * 1024
DEFAULT_TIMEOUT = 360


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job is to those that need it."""

    result: str
    outputs: Mapping[str, str] = field(default_factory=dict)
    jobs: Sequence[Job] = ()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One use of a workflow: by an event, or by a job of another one."""

    workflow: Workflow
    github: Mapping[str, Any]
    inputs: Mapping[str, Any]
    secrets: Mapping[str, str]
    limit: Mapping[str, str] | None = None
    """The rights of the calling job."""
    id: str = ""
    """`caller/`, which comes before the ids of its jobs."""
    name: str = ""

    @property
    def contexts(self) -> dict[str, Any]:
        return {"github": self.github, "inputs": self.inputs}


class Jobs:
    """Runs those of one call and of all that it calls."""

    def __init__(
        self,
        machine: Machine,
        github: GitHub,
        workflows: Mapping[str, Workflow],
        *,
        variables: Mapping[str, str],
        environments: Mapping[str, Mapping[str, str]],
        at_once: int,
    ) -> None:
        self.machine, self.github, self.workflows = machine, github, workflows
        self.variables, self.environments, self.at_once = variables, environments, at_once
        self.count = iter(range(1, 1_000_000))

    def run(self, call: Call) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        ancestors: dict[str, set[str]] = {}
        for name in files.ordered(call.workflow):
            definition = call.workflow.jobs[name]
            needed = files.needs(definition)
            ancestors[name] = set(needed).union(*(ancestors[each] for each in needed))
            results = [outcomes[each].result for each in ancestors[name]]
            world = World(
                contexts={
                    **call.contexts,
                    "vars": self.variables,
                    "needs": {
                        each: {"result": outcomes[each].result, "outputs": outcomes[each].outputs} for each in needed
                    },
                },
                status={
                    "success": all(result == "success" for result in results),
                    "failure": "failure" in results,
                    "cancelled": False,
                    "always": True,
                },
            )
            outcomes[name] = self.take(call, name, definition, world)
        return outcomes

    def take(self, call: Call, name: str, definition: Mapping[str, Any], world: World) -> Outcome:
        """A condition that does not hold skips the job; a matrix that cannot be made fails it."""
        blank = self.blank(call, name, definition)
        try:
            if not self.github.condition(inputs.text(definition.get("if", "success()")), world):
                return Outcome(result="skipped", jobs=[blank])
            strategy = self.github.resolve(definition.get("strategy") or {}, world)
            legs = matrix.legs(strategy["matrix"]) if "matrix" in strategy else [{}]
        except (Failed, matrix.Impossible) as error:
            return Outcome(result="failure", jobs=[replace(blank, result="failure", error=str(error))])
        return together(self.legs(call, name, definition, world, strategy=strategy, legs=legs))

    def legs(
        self,
        call: Call,
        name: str,
        definition: Mapping[str, Any],
        world: World,
        *,
        strategy: Mapping[str, Any],
        legs: Sequence[Mapping[str, Any]],
    ) -> list[Outcome]:
        """As many at once as `max-parallel` and the run allow; with `fail-fast` a failure cancels those not begun."""
        is_hasty = strategy.get("fail-fast", True)
        has_failed = False

        def leg(position: int) -> Outcome:
            nonlocal has_failed
            job = replace(self.blank(call, name, definition), matrix=legs[position])
            shown = {
                "fail-fast": is_hasty,
                "job-index": position,
                "job-total": len(legs),
                "max-parallel": strategy.get("max-parallel", len(legs)),
            }
            contexts = {**world.contexts, "matrix": legs[position], "strategy": shown}
            if has_failed and is_hasty:
                job.result = "cancelled"
            outcome = self.leg(call, job, definition, replace(world, contexts=contexts))
            has_failed = has_failed or outcome.result == "failure"
            return outcome

        at_once = max(1, min(self.at_once, strategy.get("max-parallel", len(legs))))
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(leg, range(len(legs))))

    def leg(self, call: Call, job: Job, definition: Mapping[str, Any], world: World) -> Outcome:
        try:
            name = str(self.github.resolve(definition.get("name", job.name), world))
            if job.matrix and "${{" not in str(definition.get("name", "")):
                name += f" ({', '.join(inputs.text(value) for value in job.matrix.values())})"
            job.name = call.name + name
            if job.result == "cancelled":
                return Outcome(result="cancelled", jobs=[job])
            job.concurrency = concurrency(self.github.resolve(definition.get("concurrency"), world))
            if "uses" in definition:
                return self.call(call, job, definition, world)
            return self.steps(call, job, definition, world)
        except Failed as error:
            job.result, job.error = "failure", str(error)
            return Outcome(result="failure", jobs=[job])

    def blank(self, call: Call, name: str, definition: Mapping[str, Any]) -> Job:
        return Job(
            id=call.id + name,
            name=name,
            workflow=call.workflow.path,
            needs=files.needs(definition),
            permissions=call.workflow.permissions(name, call.limit),
            inputs=call.inputs if call.limit is not None else {},
        )

    def call(self, call: Call, job: Job, definition: Mapping[str, Any], world: World) -> Outcome:
        """A job that uses a workflow is not a job itself: those inside it are."""
        workflow = self.workflows[definition["uses"][2:]]
        trigger = workflow.trigger("workflow_call")
        given = self.github.resolve(definition.get("with") or {}, world)
        handed = definition.get("secrets") or {}
        secrets = call.secrets if handed == "inherit" else self.github.resolve(handed, with_secrets(world, call))
        inner = Call(
            workflow=workflow,
            github=call.github,
            inputs=inputs.called(trigger.get("inputs") or {}, given, f"{job.workflow}: job {job.id}"),
            secrets={**secrets, "GITHUB_TOKEN": call.secrets["GITHUB_TOKEN"]},
            limit=job.permissions,
            id=f"{job.id}/",
            name=f"{job.name} / ",
        )
        outcomes = self.run(inner)
        for each in (each for outcome in outcomes.values() for each in outcome.jobs):
            each.matrix = {**job.matrix, **each.matrix}
            each.concurrency = each.concurrency or job.concurrency
        declared = {name: each["value"] for name, each in (trigger.get("outputs") or {}).items()}
        shown = {name: {"result": each.result, "outputs": each.outputs} for name, each in outcomes.items()}
        outputs = self.github.resolve(
            declared, World(contexts={**inner.contexts, "vars": self.variables, "jobs": shown})
        )
        return Outcome(
            result=worst([outcome.result for outcome in outcomes.values()]),
            outputs={name: inputs.text(value) for name, value in outputs.items()},
            jobs=[job for outcome in outcomes.values() for job in outcome.jobs],
        )

    def steps(self, call: Call, job: Job, definition: Mapping[str, Any], world: World) -> Outcome:
        job.environment = environment(self.github.resolve(named(definition.get("environment")), world))
        job.subject = subject(call.github, job.environment)
        job.runs_on = self.github.resolve(definition["runs-on"], world)
        job.timeout_minutes = float(self.github.resolve(definition.get("timeout-minutes", DEFAULT_TIMEOUT), world))
        seen = with_secrets(world, call)
        own = {"vars": {**self.variables, **self.environments.get(job.environment or "", {})}}
        seen = replace(seen, contexts={**seen.contexts, **own, "github": {**call.github, "job": job.id.split("/")[-1]}})
        env = self.github.resolve(call.workflow.content.get("env") or {}, seen)
        env = {**env, **self.github.resolve(definition.get("env") or {}, seen)}
        masks = [value for value in call.secrets.values() if value]
        folder = self.machine.folder / "jobs" / str(next(self.count))
        text = {name: inputs.text(value) for name, value in env.items()}
        steps = Steps(self.machine, self.github, job=job, folder=folder, env=text, masks=masks)
        scope = Scope(
            contexts={**seen.contexts, "runner": {"os": "Linux", "arch": "X64", "temp": str(folder / "temp")}}
        )
        try:
            job.steps = steps.run([defaulted(step, call, definition) for step in definition["steps"]], scope)
            outputs = self.github.resolve(definition.get("outputs") or {}, steps.world(scope))
        finally:
            steps.stop()
        job.outputs = dict(public(job, {name: inputs.text(value) for name, value in outputs.items()}, steps.masks))
        job.result = "failure" if scope.is_failed else "success"
        if sum(map(len, job.outputs.values())) > LARGEST_OUTPUTS:
            raise Failed(f"{job.id}: its outputs have more than {LARGEST_OUTPUTS} characters")
        if job.result == "failure" and self.github.resolve(definition.get("continue-on-error", False), world) is True:
            job.result, job.is_forgiven = "success", True
        return Outcome(result=job.result, outputs=job.outputs, jobs=[job])


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """The legs of a matrix as one: the last one that says an output has said it."""
    return Outcome(
        result=worst([outcome.result for outcome in outcomes]),
        outputs={name: value for outcome in outcomes for name, value in outcome.outputs.items() if value},
        jobs=[job for outcome in outcomes for job in outcome.jobs],
    )


def worst(results: Sequence[str]) -> str:
    return next((each for each in ("failure", "cancelled", "success") if each in results), "skipped")


def public(job: Job, outputs: Mapping[str, str], masks: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What holds a secret does not leave the job."""
    for name, value in outputs.items():
        if any(mask in value for mask in masks):
            job.steps[-1].log += f"Skip output '{name}' since it may contain secret.\n"
        else:
            yield name, value


def with_secrets(world: World, call: Call) -> World:
    return replace(world, contexts={**world.contexts, "secrets": call.secrets})


def defaulted(step: Mapping[str, Any], call: Call, job: Mapping[str, Any]) -> Mapping[str, Any]:
    """`defaults.run` of the workflow and of the job, for a command that says nothing itself."""
    if "run" not in step:
        return step
    ours, theirs = ((each.get("defaults") or {}).get("run") or {} for each in (call.workflow.content, job))
    return {**ours, **theirs, **step}


def named(said: Any) -> Any:
    return said.get("name") if isinstance(said, dict) else said


def environment(name: Any) -> str | None:
    return str(name) if name else None


def subject(github: Mapping[str, Any], environment: str | None) -> str:
    """The immutable form, with the numbers of owner and repository; an environment takes the place of the branch."""
    owner, _, name = github["repository"].partition("/")
    start = f"repo:{owner}@{github['repository_owner_id']}/{name}@{github['repository_id']}"
    if environment is not None:
        return f"{start}:environment:{environment}"
    return f"{start}:pull_request" if github["event_name"] == "pull_request" else f"{start}:ref:{github['ref']}"


def concurrency(said: Any) -> Concurrency | None:
    if not said:
        return None
    if isinstance(said, str):
        return Concurrency(said)
    return Concurrency(str(said["group"]), said.get("cancel-in-progress", False) is True, said.get("queue", "single"))
