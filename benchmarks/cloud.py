"""A local cloud of its own for a measurement, and what its processes cost."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
import psutil

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Lake:
    """The command line against one state folder."""

    home: Path

    @property
    def variables(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**clean, "LAKE_HOME": str(self.home)}

    def __call__(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "cli.app", *arguments]
        result = subprocess.run(command, cwd=PROJECT, env=self.variables, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise SystemExit(f"lake {' '.join(arguments)}: exit {result.returncode}\n{result.stderr}")
        return result.stdout

    def timed(self, *arguments: str) -> float:
        """Wall seconds of one command as a whole process."""
        begin = time.perf_counter()
        self(*arguments)
        return time.perf_counter() - begin

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        from local_cloud.state import load

        supervisor = psutil.Process(load(self.home).pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def cpu_seconds(self) -> float:
        return sum(_cpu(process) for process in self.processes())

    def memory(self) -> dict[str, float]:
        """Resident megabytes by what a process is: java, emulator, supervisor, other Python."""
        found: dict[str, float] = {}
        for process in self.processes():
            found[_kind(process)] = found.get(_kind(process), 0) + process.memory_info().rss / 1e6
        return found

    def session(self) -> boto3.Session:
        """A session whose clients talk to this cloud."""
        from local_cloud.state import load

        os.environ.update(load(self.home).environment())
        return boto3.Session()


@contextmanager
def lake() -> Iterator[Lake]:
    """A fresh cloud in a temporary folder, gone at the end."""
    with TemporaryDirectory(prefix="lake-bench-", ignore_cleanup_errors=True) as folder:
        made = Lake(Path(folder))
        try:
            yield made
        finally:
            made("down")


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system + times.children_user + times.children_system


def _kind(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    for kind, mark in (
        ("functions", "_worker.py"),
        ("java", "java"),
        ("emulator", "ministack"),
        ("supervisor", "local_cloud.host"),
    ):
        if mark in command:
            return kind
    return "workers"
