"""How long templates take: by the CDK app that makes a stack per tenant, in Python and in TypeScript, and by stamping.

`python -m benchmarks.synth [TENANTS … [--peers TENANTS …]]` prints a Markdown table: stamping for TENANTS (1,000
and 5,000) of six shapes, the apps for as many as `--peers` says (100); what they would take for the most that
are stamped is reckoned from that and marked. Each row is a process of its own. CPU is what it and its children used.
Memory is the most that they had at once, where what they share counts once (PSS).
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import peers
from cdk_app.code import pack
from cli.options import PROJECT
from cli.synthesis import app_environment
from tenants.registry import load
from tests import registries

ENVIRONMENT = "prod"
TICK = 0.05  # seconds between two looks at the memory
TIMES = 4  # a row is the fastest of as many runs, since whatever else the machine does only adds to them


@dataclass(frozen=True)
class Measured:
    """One process: seconds from start to end, of the processors, and megabytes at its peak."""

    seconds: float
    cpu: float
    megabytes: float


def measured(command: list[str], variables: dict[str, str], given: str = "", *, watched: bool = False) -> Measured:
    """Watching its memory makes a process slower: seconds are of runs in which nobody does."""
    used, began = cpu(), time.perf_counter()
    with tempfile.TemporaryFile("w+") as stdin:
        stdin.write(given)
        stdin.seek(0)
        process = subprocess.Popen(command, cwd=PROJECT, env=variables, stdin=stdin, stdout=subprocess.DEVNULL)
    peak = 0.0
    while watched and process.poll() is None:
        peak = max(peak, sum(map(proportional, tree(process.pid))))
        time.sleep(TICK)
    if process.wait():
        raise SystemExit(f"{' '.join(command)}: ended with {process.returncode}")
    return Measured(time.perf_counter() - began, cpu() - used, peak / 1e3)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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


def in_python(scratch: Path, tenants: Path, *, watched: bool = False) -> Measured:
    context = {"environment": ENVIRONMENT, "tenants": str(tenants)}
    variables = {"CDK_OUTDIR": str(scratch / "python"), "CDK_CONTEXT_JSON": json.dumps(context)}
    found = measured([sys.executable, "-m", "cdk_app.app"], app_environment() | variables, watched=watched)
    shutil.rmtree(scratch / "python")
    return found


def in_typescript(scratch: Path, tenants: Path, *, watched: bool = False) -> Measured:
    """Neither YAML nor names nor code are its business: they come ready."""
    app, out = scratch / "app", scratch / "typescript"
    if not app.exists():
        peers.install(app)
    asked = peers.request(load(tenants), ENVIRONMENT, pack(PROJECT, scratch))
    found = measured(peers.command(app), peers.variables(out, validated=False), asked, watched=watched)
    shutil.rmtree(out)
    return found


def stamped(tenants: Path, home: Path, *, watched: bool) -> Measured:
    command = [sys.executable, "-m", "benchmarks.stamped", ENVIRONMENT, str(tenants), str(home)]
    return measured(command, app_environment(), watched=watched)


PEERS: dict[str, Callable[..., Measured]] = {
    "`cdk_app.app`, a stack per tenant": in_python,
    "the same in TypeScript": in_typescript,
}


def main(counts: Sequence[int], peer_counts: Sequence[int]) -> None:
    print("| tenants | way | s | CPU s | peak MB |\n|---:|---|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        nothing = registries.write(scratch / "none", registries.HEAD.replace("tenants:\n", ""))
        for way, app in PEERS.items():
            base = app(scratch, nothing)
            for count in peer_counts:
                tenants = registries.write(scratch / way[-6:] / str(count), registries.tenants(count))
                found = row(count, way, [app(scratch, tenants, watched=last(run)) for run in range(TIMES)])
            reckon(way, base, found, (peer_counts[-1], max(counts)))
        for count in counts:
            rows(scratch / str(count), count)


def last(run: int) -> bool:
    return run == TIMES - 1


def reckon(way: str, base: Measured, found: Measured, counts: tuple[int, int]) -> None:
    """From what the app takes for nobody and for some to what it would take for the most."""
    some, most = counts
    if some < most:
        seconds, used = (
            (part(found) - part(base)) / some for part in (lambda each: each.seconds, lambda each: each.cpu)
        )
        print(
            f"| {most:,} | *{way}, reckoned: {1000 * used:.0f} ms of CPU per tenant* "
            f"| *{base.seconds + most * seconds:.0f}* | *{base.cpu + most * used:.0f}* | |",
            flush=True,
        )


def rows(folder: Path, count: int) -> None:
    tenants, home = registries.write(folder / "tenants", registries.tenants(count)), folder / "home"

    def repeat(before: Callable[[int], None]) -> list[Measured]:
        found = []
        for run in range(TIMES):
            before(run)
            found.append(stamped(tenants, home, watched=last(run)))
        return found

    def edit(number: int) -> None:
        file = tenants / "tenants.yaml"
        text = file.read_text(encoding="utf-8")
        first, changed = f"  - id: abc{number}\n", f"  - id: abc{number + 1}\n"
        file.write_text(text.replace(first, changed).replace('  - id: "abc"\n', changed), encoding="utf-8")

    row(count, "stamped, cold: nothing known", repeat(lambda _: shutil.rmtree(home, ignore_errors=True)))
    row(count, "warm: all stamped, into a new folder", repeat(lambda _: shutil.rmtree(home / "assembly")))
    row(count, "warm: one tenant is another", repeat(edit))
    row(count, "warm: nothing changed", repeat(lambda _: None))


def row(count: int, way: str, found: Sequence[Measured]) -> Measured:
    best = Measured(
        min(each.seconds for each in found), min(each.cpu for each in found), max(each.megabytes for each in found)
    )
    print(f"| {count:,} | {way} | {best.seconds:.2f} | {best.cpu:.2f} | {best.megabytes:.0f} |", flush=True)
    return best


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synth")
    parser.add_argument("tenants", nargs="*", type=int, default=[1_000, 5_000])
    parser.add_argument("--peers", nargs="*", type=int, default=[100])
    given = parser.parse_args()
    main(given.tenants, given.peers)
