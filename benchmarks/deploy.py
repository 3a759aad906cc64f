"""How long `lake deploy` takes on the local cloud, for a registry of many tenants.

`python -m benchmarks.deploy [TENANTS]` prints a Markdown table (default 200 tenants of six shapes). Each row is one
command as a whole process, synthesis included; calls are those to CloudFormation and to the record and lock in S3.
"""

import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.cloud import PROJECT, Lake, lake
from tests import registries

SITE = PROJECT / "tests" / "faults" / "site"
COUNTED = ("cloudformation", "s3", "dynamodb")


class Measured:
    """`lake deploy` with the calls that it makes, in a registry of its own."""

    def __init__(self, cloud: Lake, tenants: Path, log: Path) -> None:
        self.cloud, self.tenants, self.log = cloud, tenants, log

    def start(self, *arguments: str, fault: str = "") -> "subprocess.Popen[str]":
        self.log.unlink(missing_ok=True)
        variables = {"LAKE_TENANTS": str(self.tenants), "LAKE_FAULT_LOG": str(self.log), "PYTHONPATH": str(SITE)}
        variables["LAKE_FAULT"] = fault
        command = [sys.executable, "-m", "cli.app", "deploy", *arguments]
        return subprocess.Popen(
            command,
            cwd=PROJECT,
            env={**self.cloud.variables, **variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def row(self, what: str, *arguments: str) -> None:
        began, used, cloud = time.perf_counter(), own_cpu(), self.cloud.cpu_seconds()
        process = self.start(*arguments)
        said = process.communicate()[1]
        seconds = time.perf_counter() - began
        cpu = f"{own_cpu() - used:.1f} + {self.cloud.cpu_seconds() - cloud:.1f}"
        if process.returncode:
            raise SystemExit(f"{what}: exit {process.returncode}\n{said}")
        print(f"| {what} | {seconds:.1f} | {cpu} | {said.strip().splitlines()[-1]} | {self.calls()} |", flush=True)

    def calls(self) -> str:
        made = Counter(line.split()[2].split(".")[0] for line in self.log.read_text().splitlines())
        return ", ".join(f"{service} {made[service]:,}" for service in COUNTED)

    def change(self, pattern: str, put: str, count: int = 0) -> None:
        file = self.tenants / "tenants.yaml"
        file.write_text(re.sub(pattern, put, file.read_text(), count=count))

    def killed_after(self, stacks: int) -> None:
        process = self.start(fault=f"kill_before:{stacks + 1}@cloudformation.UpdateStack")
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            raise SystemExit(f"it was to be killed, and ended with {process.returncode}")


def own_cpu() -> float:
    """Of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(count: int) -> None:
    with lake() as cloud, tempfile.TemporaryDirectory() as scratch:
        tenants = registries.write(Path(scratch, "tenants"), registries.tenants(count))
        cloud("up", "--spares", "0")
        measured = Measured(cloud, tenants, Path(scratch, "calls"))
        print(f"| {count} tenants | s | CPU s, of it + of the cloud | stacks | calls |\n|---|---|---|---|---|")
        measured.row("all new, no shape known")
        measured.row("nothing changed")
        measured.row("nothing changed, live stacks asked", "--refresh")
        measured.change(r"quarantine: \d+ days", "quarantine: 33 days", count=1)
        measured.row("one line changed")
        measured.change(r"quarantine: \d+ days", "quarantine: 77 days")
        measured.killed_after(count // 2)
        measured.row("every tenant changed, killed at half, resumed")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ["200"]))
