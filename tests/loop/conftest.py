"""One local cloud with the committed tenants deployed and the demo run, for all tests of the loop."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    """What a command said: exit code, data, messages."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Lake:
    """The command line as a user runs it, against a state folder and a tenants folder of its own."""

    home: Path
    tenants: Path

    @property
    def variables(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAKE_"))}
        return {**clean, "LAKE_HOME": str(self.home), "LAKE_TENANTS": str(self.tenants)}

    def __call__(self, *arguments: str | Path, **more: str) -> Answer:
        command = [sys.executable, "-m", "cli.app", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=ROOT, env={**self.variables, **more}, capture_output=True, text=True, check=False
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str | Path) -> Answer:
        answer = self(*arguments)
        assert answer.code == 0, f"lake {' '.join(map(str, arguments))}: exit {answer.code}\n{answer.err}\n{answer.out}"
        return answer

    def rows(self, tenant: str, sql: str) -> list[dict[str, Any]]:
        return self.ok("query", tenant, sql, "--json").json()

    def environment(self) -> dict[str, str]:
        """Exactly what `lake env` prints, as a child process would get it."""
        return self.ok("env", "--json").json()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Answer]]:
    """A cloud in which `lake demo` has run once, and what it said."""
    base = tmp_path_factory.mktemp("loop")
    shutil.copytree(ROOT / "tenants", base / "tenants", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    lake = Lake(base / "home", base / "tenants")
    try:
        yield lake, lake("demo")
    finally:
        lake("down")


@pytest.fixture(scope="session")
def lake(demo: tuple[Lake, Answer]) -> Lake:
    assert demo[1].code == 0, demo[1].err
    return demo[0]
