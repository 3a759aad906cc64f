"""What stands in for actions of the marketplace: nothing is downloaded, and what has no stub fails the run."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from tests.workflow_runner.permissions import allows

__all__ = ["STANDARD", "Effect", "Stub", "Use", "effect_of"]


@dataclass(frozen=True, kw_only=True)
class Use:
    """One use of an action."""

    action: str
    """owner/name, or the path of a local one"""
    inputs: Mapping[str, str]
    env: Mapping[str, str]
    workspace: Path
    permissions: Mapping[str, str]
    environment: str | None
    subject: str
    repository: Path
    linked: Sequence[str]
    """Names in the repository that a checkout leads to rather than copies: .venv, .tools."""
    store: Path
    """A folder that all jobs of the run share."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What the action did to the job."""

    outputs: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    path: Sequence[str] = ()
    log: str = ""
    is_failed: bool = False


Stub = Callable[[Use], Effect | None] | Mapping[str, Any]
"""A function, or a mapping with `outputs`, `env`, `path` and `needs`: the permissions without which the action fails."""


def effect_of(stub: Stub, use: Use) -> Effect:
    if callable(stub):
        return stub(use) or Effect()
    for scope, level in stub.get("needs", {}).items():
        if not allows(use.permissions, scope, level):
            return failed(f"{use.action} needs '{scope}: {level}', which the job does not give")
    return Effect(outputs=stub.get("outputs", {}), env=stub.get("env", {}), path=stub.get("path", ()))


def failed(message: str) -> Effect:
    return Effect(is_failed=True, log=f"::error::{message}\n")


def checkout(use: Use) -> Effect:
    """The working tree as it is, changes included; with `ref`, that commit. `.git` has no remote and no credentials."""
    if not allows(use.permissions, "contents", "read"):
        return failed("actions/checkout needs 'contents: read', which the job does not give")
    if use.inputs.get("repository"):
        return failed(f"actions/checkout of {use.inputs['repository']}: only this repository is here")
    target = (use.workspace / use.inputs.get("path", "")).resolve()
    if not target.is_relative_to(use.workspace.resolve()):
        return failed(f"actions/checkout: path {use.inputs['path']} leads out of the workspace")
    target.mkdir(parents=True, exist_ok=True)
    ref = use.inputs.get("ref", "")
    if git(use.repository, "rev-parse", "--git-dir") is None:
        copy(use, [str(path.relative_to(use.repository)) for path in use.repository.rglob("*")], target)
    else:
        known = commit(use.repository, ref or "HEAD")
        if known is None:
            return failed(f"actions/checkout: no commit is called {ref}")
        clone(use.repository, known, target)
        if ref:
            git(target, "reset", "--quiet", "--hard", known)
        else:
            listed = git(use.repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard") or ""
            copy(use, listed.split("\0"), target)
    for name in use.linked:
        if (use.repository / name).exists() and not (target / name).exists():
            (target / name).symlink_to((use.repository / name).resolve())
    return Effect(outputs={"ref": ref, "commit": git(target, "rev-parse", "HEAD") or ""})


def git(folder: Path, *words: str) -> str | None:
    """What git says, None if it refuses; nobody's settings are read."""
    nobody = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
    trusted = ["-c", "safe.directory=*", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *trusted, *words],
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **nobody},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else None


def commit(repository: Path, name: str) -> str | None:
    """The commit of a branch, a tag or an id; what comes from outside is never read as an option."""
    names = [name, f"refs/heads/{name}", f"refs/tags/{name}"]
    found = (
        git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{each}^{{commit}}") for each in names
    )
    return next((each for each in found if each), None)


def clone(repository: Path, known: str, target: Path) -> None:
    """History is borrowed from the repository, read only; the index says `known`, no file is written."""
    objects = git(repository, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    git(target, "init", "--quiet")
    (target / ".git/objects/info").mkdir(parents=True, exist_ok=True)
    (target / ".git/objects/info/alternates").write_text(f"{objects}\n")
    git(target, "update-ref", "--no-deref", "HEAD", known)
    git(target, "read-tree", known)


def copy(use: Use, names: Sequence[str], target: Path) -> None:
    for name in names:
        source = use.repository / name
        if name and not source.is_dir() and name.partition("/")[0] not in (*use.linked, ".git") and source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)


def upload_artifact(use: Use) -> Effect:
    """Version 4 and later: a name is used once; files are kept by their place below the folder that was searched."""
    kept = use.store / "artifacts" / use.inputs.get("name", "artifact")
    if kept.exists() and use.inputs.get("overwrite") != "true":
        return failed(f"actions/upload-artifact: {kept.name} is there already")
    shutil.rmtree(kept, ignore_errors=True)
    lines = [line.strip().rstrip("/") for line in use.inputs["path"].splitlines() if line.strip()]
    found = [path for line in lines for path in sorted(use.workspace.glob(line)) if path.name]
    if not found:
        is_error = use.inputs.get("if-no-files-found", "warn") == "error"
        return failed(f"nothing is there: {use.inputs['path']}") if is_error else Effect(log="::warning::No files\n")
    top = Path(os.path.commonpath([searched(use.workspace, line) for line in lines]))
    for path in (each for one in found for each in ([one, *one.rglob("*")] if one.is_dir() else [one])):
        if path.is_file():
            (kept / path.relative_to(top)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, kept / path.relative_to(top))
    return Effect(outputs={"artifact-id": "1", "artifact-url": f"https://github.example/artifacts/{kept.name}"})


def searched(workspace: Path, line: str) -> Path:
    """The folder that a line of `path` begins in; what several lines have in common is the artifact's top."""
    literal = takewhile(lambda word: not set("*?[") & set(word), line.split("/"))
    place = workspace.joinpath(*literal)
    return place if place.is_dir() else place.parent


def download_artifact(use: Use) -> Effect:
    """One by its name; without a name all, each in a folder of its name."""
    target = use.workspace / use.inputs.get("path", "")
    kept = use.store / "artifacts" / use.inputs.get("name", "")
    if not kept.is_dir():
        return failed(f"actions/download-artifact: there is no {use.inputs.get('name', 'artifact')}")
    shutil.copytree(kept, target, dirs_exist_ok=True)
    return Effect(outputs={"download-path": str(target)})


STANDARD: Mapping[str, Stub] = {
    "actions/checkout": checkout,
    "actions/setup-python": {"outputs": {"python-version": "3.11"}},
    "actions/setup-node": {},
    "actions/upload-artifact": upload_artifact,
    "actions/download-artifact": download_artifact,
}
"""What a run knows without being told. An action that gives rights, configure-aws-credentials, is not among them."""
