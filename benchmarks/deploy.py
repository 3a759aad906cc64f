"""How long `lake deploy` takes on the local cloud, for a registry of many tenants.

`python -m benchmarks.deploy [TENANTS [FEW]]` prints a Markdown table, by default for 200 tenants of six shapes. A row
is one command as a whole process, synthesis included. The peer is the CDK command line with FEW (50) tenants of the
same templates, on a cloud of its own, with `lake deploy` of as many beside it; both have their templates ready.
"""

import json
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import yaml

from benchmarks.cloud import PROJECT, Lake, lake
from cli.synthesis import synthesise_into
from deployment.publishing import bootstrap
from tenants.registry import load
from tests import registries
from tests.cdk_cli.cdk import cdk

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


def registry(folder: Path, count: int) -> Path:
    """Without saved queries: the emulator has none, and nobody tells the CDK command line."""
    made = registries.write(folder, registries.tenants(count))
    for contract in (made / "contracts").glob("*.yaml"):
        facts = yaml.safe_load(contract.read_text())
        facts.pop("customProperties", None)
        contract.write_text(yaml.safe_dump(facts))
    return made


def by_lake(count: int, scratch: Path) -> None:
    with lake() as cloud:
        measured = Measured(cloud, registry(scratch / "tenants", count), scratch / "calls")
        cloud("up", "--spares", "0")
        measured.row(f"{count} tenants: all new, no shape known")
        measured.row("nothing changed")
        measured.row("nothing changed, live stacks asked", "--refresh")
        measured.change(r"quarantine: \d+ days", "quarantine: 33 days", count=1)
        measured.row("one line changed")
        measured.change(r"quarantine: \d+ days", "quarantine: 77 days")
        measured.killed_after(count // 2)
        measured.row("every tenant changed, killed at half, resumed")


def by_cdk(count: int, scratch: Path) -> None:
    """The same templates by the CDK command line, and `lake deploy` beside it; synthesis is not in these."""
    assembly = scratch / "assembly"
    tenants = registry(scratch / "few", count)
    with lake() as cloud:
        synthesise_into(assembly, "local", lambda: load(tenants), cloud.home)
        cloud("up", "--spares", "0")
        session = cloud.session()
        bootstrap(session.client("s3"), session.client("ssm"), "000000000000", "us-east-1")
        for what in ("all new", "nothing changed"):
            began, used, before = time.perf_counter(), own_cpu(), cloud.cpu_seconds()
            options = ("--all", "--require-approval", "never", "--method", "direct", "--concurrency", "8")
            variables = json.loads(cloud("env", "--json"))
            done = cdk("--app", str(assembly), "deploy", *options, home=scratch, variables=variables)
            if done.code:
                raise SystemExit(f"cdk deploy: exit {done.code}\n{done.err[-2000:]}")
            seconds, cpu = time.perf_counter() - began, f"{own_cpu() - used:.1f} + {cloud.cpu_seconds() - before:.1f}"
            print(
                f"| {count} tenants, `cdk deploy --all --concurrency 8`: {what} | {seconds:.1f} | {cpu} | | |",
                flush=True,
            )
    with lake() as cloud:
        measured = Measured(cloud, tenants, scratch / "calls")
        cloud("up", "--spares", "0")
        subprocess.run(
            [sys.executable, "-m", "cli.app", "synth", "-e", "local"],
            cwd=PROJECT,
            env={**cloud.variables, "LAKE_TENANTS": str(tenants)},
            check=True,
            capture_output=True,
        )
        measured.row(f"{count} tenants, `lake deploy`: all new")
        measured.row(f"{count} tenants, `lake deploy`: nothing changed")


def main(count: int, few: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        print("| what | s | CPU s, of it + of the cloud | stacks | calls |\n|---|---|---|---|---|", flush=True)
        by_lake(count, Path(scratch))
        by_cdk(few, Path(scratch))


if __name__ == "__main__":
    main(*[*map(int, sys.argv[1:]), *(200, 50)[len(sys.argv) - 1 :]])
