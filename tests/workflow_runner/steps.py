"""The steps of a job: commands in a real shell, composite actions, stubs of everything else."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.workflow_runner import commands, inputs
from tests.workflow_runner.github import Failed, GitHub, World
from tests.workflow_runner.record import Annotation, Job, Step
from tests.workflow_runner.refusals import Refused, Unsupported
from tests.workflow_runner.stubs import Stub, Use, effect_of

__all__ = ["Machine", "Scope", "Steps"]

PINNED = re.compile(r"(?P<action>[\w.-]+/[\w.-]+)(?:/[\w./-]+)?@[0-9a-f]{40}")
SHELLS = {
    None: "bash -e {0}",
    "bash": "bash --noprofile --norc -eo pipefail {0}",
    "sh": "sh -e {0}",
    "python": "python {0}",
}
LARGEST_SUMMARY = 1024 * 1024
DEEPEST = 10
KEPT_BACK = ("event", "token")  # what of `github` is no variable


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What every job runs on."""

    folder: Path
    """Below it stands everything that a run writes."""
    repository: Path
    stubs: Mapping[str, Stub]
    environment: Mapping[str, str]
    """Given to every command, as nothing at GitHub is: where a local cloud is."""
    path: str
    linked: Sequence[str]
    patience: float
    """Seconds for one command; what takes longer is killed, and its step has failed."""


@dataclass(kw_only=True)
class Scope:
    """Steps that see each other: those of a job, or those inside one use of a composite action."""

    contexts: Mapping[str, Any]
    depth: int = 0
    results: dict[str, Any] = field(default_factory=dict)
    is_failed: bool = False

    @property
    def status(self) -> dict[str, bool]:
        return {"success": not self.is_failed, "failure": self.is_failed, "cancelled": False, "always": True}


class Steps:
    """Runs them one after another, in a workspace that begins empty."""

    def __init__(
        self, machine: Machine, github: GitHub, *, job: Job, folder: Path, env: Mapping[str, str], masks: Sequence[str]
    ) -> None:
        self.machine, self.github, self.job, self.folder = machine, github, job, folder
        self.workspace = folder / "workspace"
        self.env = dict(env)
        self.masks = list(masks)
        self.path: list[str] = []
        self.groups: list[int] = []
        self.count = 0
        for name in ("workspace", "home", "temp", "tools", "commands"):
            (folder / name).mkdir(parents=True)

    def run(self, definitions: Sequence[Mapping[str, Any]], scope: Scope) -> list[Step]:
        steps = []
        for position, definition in enumerate(definitions):
            step = Step(id=definition.get("id", f"__{position + 1}"), name=title(definition))
            steps.append(step)
            self.take(definition, step, scope)
            if "id" in definition:
                result = {"outputs": step.outputs, "outcome": step.outcome, "conclusion": step.conclusion}
                scope.results[step.id] = result
            scope.is_failed = scope.is_failed or step.conclusion == "failure"
        return steps

    def stop(self) -> None:
        """What commands left running ends with the job."""
        for group in self.groups:
            end(group)

    def take(self, definition: Mapping[str, Any], step: Step, scope: Scope) -> None:
        try:
            world = self.world(scope)
            if not self.github.condition(inputs.text(definition.get("if", "success()")), world):
                return
            step.env = texts(self.github.resolve(definition.get("env") or {}, world))
            world = self.world(scope, step.env)
            step.name = str(self.github.resolve(step.name, world))
            step.outcome = "success"
            if "uses" in definition:
                self.use(definition, step, scope, world)
            else:
                self.command(definition, step, world)
        except (Failed, commands.Malformed) as error:
            self.fail(step, str(error))
        step.log = self.masked(step.log)
        step.conclusion = step.outcome
        if step.outcome == "failure" and definition.get("continue-on-error"):
            said = self.github.resolve(definition["continue-on-error"], self.world(scope, step.env))
            step.conclusion = "success" if said is True else "failure"

    def fail(self, step: Step, why: str) -> None:
        step.outcome = "failure"
        step.annotations.append(Annotation("error", why))
        step.log += f"{why}\n"

    def world(self, scope: Scope, env: Mapping[str, str] | None = None) -> World:
        return World(
            contexts={
                **scope.contexts,
                "env": {**self.env, **(env or {})},
                "steps": scope.results,
                "job": {"status": "failure" if scope.is_failed else "success"},
            },
            status=scope.status,
            workspace=self.workspace,
        )

    def command(self, definition: Mapping[str, Any], step: Step, world: World) -> None:
        step.script = str(self.github.resolve(definition["run"], world))
        shell = self.github.resolve(definition.get("shell"), world)
        if shell not in SHELLS and "{0}" not in str(shell):
            raise Failed(f"shell {shell!r}: expected bash, sh, python or a command with {{0}}")
        folder = self.workspace / str(self.github.resolve(definition.get("working-directory", "."), world))
        if not folder.is_dir():
            raise Failed(
                f"working-directory: {folder.relative_to(self.workspace)} is not there; is a checkout missing?"
            )
        self.count += 1
        own = self.folder / "commands" / str(self.count)
        own.mkdir()
        script = own / "script"
        script.write_text(step.script)
        files = {name: own / name for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
        for path in files.values():
            path.touch()
        limit = self.github.resolve(definition.get("timeout-minutes"), world)
        words = [word.replace("{0}", str(script)) for word in shlex.split(SHELLS.get(shell, str(shell)))]
        code = self.process(words, folder, self.variables(step.env, world, files), own / "log", limit)
        self.listen(step, (own / "log").read_text(errors="replace"), files)
        if code != 0:
            self.fail(
                step, f"Process completed with exit code {code}." if code is not None else "The step took too long."
            )

    def process(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path, minutes: float | None
    ) -> int | None:
        """Its exit code, None if it took too long. A file takes what it says: what it leaves running holds nobody up."""
        with log.open("wb") as output:
            child = subprocess.Popen(
                words,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.groups.append(child.pid)
        try:
            return child.wait(min(self.machine.patience, minutes * 60 if minutes else self.machine.patience))
        except subprocess.TimeoutExpired:
            end(child.pid)
            child.wait()
            return None

    def variables(self, env: Mapping[str, str], world: World, files: Mapping[str, Path]) -> dict[str, str]:
        """Nothing of the one who runs the tests but the search path; what GitHub sets cannot be set by anybody else."""
        github = world.contexts["github"]
        own = {
            "CI": "true",
            "HOME": str(self.folder / "home"),
            "PATH": os.pathsep.join([*reversed(self.path), self.machine.path]),
            "LANG": "C.UTF-8",
        }
        fixed = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_TEMP": str(self.folder / "temp"),
            "RUNNER_TOOL_CACHE": str(self.folder / "tools"),
            "TMPDIR": str(self.folder / "temp"),
            **{f"GITHUB_{name.upper()}": value for name, value in github.items() if name not in KEPT_BACK},
            **{name: str(path) for name, path in files.items()},
        }
        return {**own, **self.machine.environment, **self.env, **env, **fixed}

    def listen(self, step: Step, log: str, files: Mapping[str, Path]) -> None:
        """What the command said in its log and in the files it was given."""
        step.log = log
        said = commands.listened(log)
        self.masks += said.masks
        step.annotations += [Annotation(each.level, self.masked(each.message)) for each in said.annotations]
        step.outputs |= said.outputs
        step.outputs |= commands.assignments(files["GITHUB_OUTPUT"].read_text())
        env = commands.assignments(files["GITHUB_ENV"].read_text())
        if "NODE_OPTIONS" in {name.upper() for name in env}:
            raise commands.Malformed("Can't store NODE_OPTIONS output parameter using '$GITHUB_ENV' command.")
        self.env |= env
        self.path += [line for line in files["GITHUB_PATH"].read_text().splitlines() if line]
        summary = files["GITHUB_STEP_SUMMARY"].read_bytes()
        if len(summary) > LARGEST_SUMMARY:
            why = f"$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of 1024k, got {len(summary) // 1024}k"
            step.annotations.append(Annotation("error", why))
        else:
            step.summary = self.masked(summary.decode(errors="replace"))
        if said.forbidden:
            raise commands.Malformed(f"The `{said.forbidden[0]}` command is disabled.")

    def masked(self, text: str) -> str:
        for mask in self.masks:
            text = text.replace(mask, "***")
        return text

    def use(self, definition: Mapping[str, Any], step: Step, scope: Scope, world: World) -> None:
        step.uses = definition["uses"]
        given = self.github.resolve(definition.get("with") or {}, world)
        step.inputs = {name: inputs.text(value) for name, value in given.items()}
        stub = self.stub(step.uses)
        if stub is not None:
            self.stand_in(stub, step, world)
        elif step.uses.startswith(("./", "$/")):
            self.composite(step, scope, world)
        else:
            raise Unsupported(f"{step.uses}: no stub says what this action does; name it in `stubs`")

    def stub(self, uses: str) -> Stub | None:
        """An action of somebody else has to be pinned by its commit, with a stub or without."""
        if uses.startswith(("./", "$/")):
            return self.machine.stubs.get(uses)
        pinned = PINNED.fullmatch(uses)
        if pinned is None:
            raise Unsupported(f"{uses}: expected owner/name@ and 40 hexadecimal digits of a commit")
        return self.machine.stubs.get(uses, self.machine.stubs.get(uses.partition("@")[0]))

    def stand_in(self, stub: Stub, step: Step, world: World) -> None:
        step.is_stub = True
        use = Use(
            action=str(step.uses).partition("@")[0],
            inputs=step.inputs,
            env=self.variables(step.env, world, {}),
            workspace=self.workspace,
            permissions=self.job.permissions,
            environment=self.job.environment,
            subject=self.job.subject,
            repository=self.machine.repository,
            linked=self.machine.linked,
            store=self.machine.folder / "store",
        )
        effect = effect_of(stub, use)
        step.log = effect.log
        said = commands.listened(effect.log)
        step.annotations += said.annotations
        self.masks += said.masks
        step.outputs |= effect.outputs
        self.env |= effect.env
        self.path += effect.path
        step.outcome = "failure" if effect.is_failed else "success"

    def composite(self, step: Step, scope: Scope, world: World) -> None:
        if scope.depth >= DEEPEST:
            raise Refused(f"{step.uses}: composite actions use each other more than {DEEPEST} deep")
        folder, action = self.action(str(step.uses))
        values = inputs.composite(action.get("inputs") or {}, step.inputs, str(step.uses))
        contexts = {
            **scope.contexts,
            "inputs": self.github.resolve(values, world),
            "github": {**scope.contexts["github"], "action_path": str(folder)},
        }
        inner = Scope(contexts=contexts, depth=scope.depth + 1)
        before, self.env = self.env, {**self.env, **step.env}
        own = set(step.env)
        step.steps = self.run(action["runs"]["steps"], inner)
        for name in own:  # the step's own variables end with it
            self.env.pop(name, None)
            self.env |= {name: before[name]} if name in before else {}
        declared = {name: each.get("value", "") for name, each in (action.get("outputs") or {}).items()}
        step.outputs = texts(self.github.resolve(declared, self.world(inner)))
        step.outcome = "failure" if inner.is_failed else "success"

    def action(self, uses: str) -> tuple[Path, Mapping[str, Any]]:
        """`./` is looked for in the workspace, where only a checkout puts it; `$/` in the repository itself."""
        root = self.workspace if uses.startswith("./") else self.machine.repository
        folder = root / uses[2:]
        found = [folder / name for name in ("action.yml", "action.yaml") if (folder / name).is_file()]
        if not found:
            raise Failed(f"{uses}: no action.yml there" + ("; is a checkout missing?" if uses.startswith("./") else ""))
        action: Mapping[str, Any] = self.github.read(found[0].read_text())
        using = action["runs"]["using"]
        if using != "composite":
            raise Unsupported(f"{uses}: an action that runs with {using}; give a stub")
        return folder, action


def title(definition: Mapping[str, Any]) -> str:
    lines = str(definition.get("run", "")).strip().splitlines() or [""]
    return str(definition.get("name") or f"Run {definition.get('uses') or lines[0]}")


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: inputs.text(value) for name, value in values.items()}


def end(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
