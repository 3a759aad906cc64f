"""How long templates take, by the CDK app that makes a stack per tenant and by stamping shapes.

`python -m benchmarks.synth [TENANTS [NAIVE]]` prints a Markdown table for TENANTS (default 1,000) and five times as
many tenants of six shapes; the CDK app gets NAIVE of them (default 100), and what it would take for all is reckoned
from that and marked. Each row is a process of its own; memory is the most that it and its children had at once, where
what they share counts once (PSS).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cli.options import PROJECT
from cli.synthesis import app_environment, synthesise, synthesise_into
from tenants.registry import load
from tests import registries

ENVIRONMENT = "prod"
TICK = 0.05  # seconds between two looks at the memory


@dataclass(frozen=True)
class Measured:
    """One process: seconds from start to end and megabytes at its peak; `parts` are seconds that it told of."""

    seconds: float
    megabytes: float
    parts: dict[str, float]


def measured(command: list[str], variables: dict[str, str]) -> Measured:
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=PROJECT, env=variables, stdout=subprocess.PIPE, text=True)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(map(proportional, tree(process.pid))))
        time.sleep(TICK)
    seconds = time.perf_counter() - began
    assert process.stdout is not None
    said = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: ended with {process.returncode}")
    return Measured(seconds, peak / 1e3, json.loads(said) if said else {})


def tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(each for child in children for each in tree(int(child)))]


def proportional(pid: int) -> int:
    """Kilobytes; what several processes have in common is divided among them."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


def naive(folder: Path, tenants: Path) -> Measured:
    context = {"environment": ENVIRONMENT, "tenants": str(tenants)}
    variables = app_environment() | {"CDK_OUTDIR": str(folder), "CDK_CONTEXT_JSON": json.dumps(context)}
    return measured([sys.executable, "-m", "cdk_app.app"], variables)


def stamped(kind: str, home: Path, folder: Path, tenants: Path) -> Measured:
    command = [sys.executable, "-m", "benchmarks.synth", kind, str(home), str(folder), str(tenants)]
    return measured(command, dict(os.environ))


def one(kind: str, home: Path, folder: Path, tenants: Path) -> None:
    """What a measured process does; it tells how long reading the registry took, and all after it."""
    began = time.perf_counter()
    parts = {"registry": 0.0}

    def registry():  # noqa: ANN202
        start = time.perf_counter()
        loaded = load(tenants)
        parts["registry"] = time.perf_counter() - start
        return loaded

    if kind == "unchanged":
        synthesise(ENVIRONMENT, tenants, home)
    else:
        synthesise_into(folder, ENVIRONMENT, registry, home)
    parts["rest"] = time.perf_counter() - began - parts["registry"]
    print(json.dumps(parts))


def main(count: int, naive_count: int) -> None:
    print(
        "| templates of | way | s | of it registry + stamping and reading back | peak MB |\n|---|---|---|---|---|",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as scratch:
        few = registries.write(Path(scratch, "few"), registries.tenants(naive_count))
        alone = naive(Path(scratch, "naive"), few)
        row(naive_count, "`cdk_app.app`, a stack per tenant", alone)
        nothing = naive(
            Path(scratch, "nothing"), registries.write(Path(scratch, "none"), registries.HEAD.replace("tenants:\n", ""))
        )
        if naive_count < count:
            each = (alone.seconds - nothing.seconds) / naive_count
            reckoned = nothing.seconds + each * count
            print(f"| {count:,} | the same, reckoned: {each * 1000:.0f} ms per tenant | {reckoned:.0f} | | |")
        for number in (count, 5 * count):
            rows(Path(scratch, str(number)), number)


def rows(folder: Path, count: int) -> None:
    tenants = registries.write(folder / "tenants", registries.tenants(count))
    home = folder / "home"
    row(count, "stamped, cold: no shape known", stamped("new", home, folder / "out", tenants))
    row(count, "warm, all stamped again", stamped("new", home, folder / "out", tenants))
    row(count, "warm, into a new folder", stamped("new", home, folder / "out2", tenants))
    synthesise(ENVIRONMENT, tenants, home)
    row(count, "nothing changed", stamped("unchanged", home, folder, tenants))


def row(count: int, way: str, found: Measured) -> None:
    parts = " + ".join(f"{seconds:.2f}" for seconds in found.parts.values())
    print(f"| {count:,} | {way} | {found.seconds:.2f} | {parts} | {found.megabytes:.0f} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        one(sys.argv[1], *map(Path, sys.argv[2:]))
    else:
        main(*[*map(int, sys.argv[1:]), *(1_000, 100)[len(sys.argv) - 1 :]])
