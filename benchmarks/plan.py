"""How long `lake plan` takes for many tenants: whole commands against a local cloud, from start to exit.

`python -m benchmarks.plan [TENANTS [TIMES]]` prints a Markdown table for TENANTS (default 10,000), medians of TIMES
(default 5). One tenant is really deployed; of the others the record says that they are, which is all that a plan asks.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cli.options import PROJECT
from tests import registries

# Requests per unchanged stack of `cdk deploy`, and per stack of `cdk diff` with a change set or by template alone;
# counted with CLI 2.1148.1 against an emulator.
CDK_DEPLOY, CDK_DIFF, CDK_DIFF_TEMPLATE = 6, 19, 4
FIRST = "qzhole"
"""An active one."""
ENDINGS = {0, 10}
"""Nothing to do, and changes."""


@dataclass
class Bench:
    """A local cloud of its own with a registry of its own."""

    home: Path
    tenants: Path

    def variables(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return own | {"LAKE_HOME": str(self.home), "LAKE_TENANTS": str(self.tenants)}

    def lake(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "cli.app", *arguments]
        done = subprocess.run(command, cwd=PROJECT, env=self.variables(), capture_output=True, text=True, check=False)
        if done.returncode not in ENDINGS:
            raise SystemExit(f"lake {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def record_all(self) -> None:
        """As if every tenant had been deployed."""
        from cli.rollout import adaptation
        from deployment.moulds import mould
        from deployment.records import Recorded, Shelf, bucket_of

        prospect, connection = self.prospect()
        environment = connection.environment
        shelf = Shelf(
            connection.client("s3"), bucket_of(environment.account, environment.region), connection.platform.stack
        )
        record, etag = shelf.read()
        version = adaptation(connection).version
        rows = [
            Recorded(
                stack=intent.name,
                tenant=intent.tenant,
                digest=intent.digest,
                entries=intent.entries,
                state=intent.state,
                at="2026-11-21T12:00:00+00:00",
                deploy="bench",
                mould=mould(intent.stack, intent.own(), version),
                since="2026-11-21T12:00:00+00:00" if intent.tenant else None,
                life=intent.life,
                terms=intent.terms,
                whose=intent.whose if intent.terms else None,
            )
            for intent in prospect.intents(connection)
            if intent.name not in record.stacks
        ]
        shelf.write(record.having(*rows).whole(), etag, record.fence)

    def prospect(self):  # noqa: ANN201 - a type of the commands', which are not imported here
        os.environ |= self.variables()
        from cli.connection import cells
        from cli.planning import Prospect
        from cli.synthesis import synthesise

        connections = cells("local")
        return Prospect(connections, synthesise("local", self.tenants, self.home)), connections[0]

    def change_a_line(self) -> None:
        """One tenant keeps refused rows for a day more, or less."""
        file = self.tenants / "tenants.yaml"
        text = file.read_text()
        at = text.index(f'id: "{FIRST}"')
        days = re.compile(r"quarantine: (\d+) days")
        found = days.search(text, at)
        assert found is not None
        other = int(found[1]) + 1 if int(found[1]) < 36_500 else 1
        file.write_text(text[: found.start()] + f"quarantine: {other} days" + text[found.end() :])


@dataclass(frozen=True)
class Taken:
    """Seconds from start to exit, processor seconds, and megabytes at the peak."""

    seconds: float
    cpu: float
    megabytes: float


def taken(bench: Bench) -> Taken:
    """`lake plan` as a person starts it, with its answer thrown away."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.app", "plan"], cwd=PROJECT, env=bench.variables(), stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) not in ENDINGS:
        raise SystemExit("lake plan: failed")
    return Taken(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3)


def row(bench: Bench, way: str, times: int, expected: str, before: Callable[[], None] = lambda: None) -> None:
    before()
    answer = json.loads(bench.lake("plan", "--json"))
    if answer["result"] != expected:
        raise SystemExit(f"{way}: {answer['result']}")
    found = []
    for _ in range(times):
        before()
        found.append(taken(bench))
    seconds = [each.seconds for each in found]
    cpu, peak = statistics.median(each.cpu for each in found), max(each.megabytes for each in found)
    middle, slowest = statistics.median(seconds), max(seconds)
    print(f"| {way} | {middle:.2f} | {slowest:.2f} | {cpu:.2f} | {peak:.0f} |", flush=True)


def main(count: int, times: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch, "home"), registries.write(Path(scratch, "tenants"), registries.tenants(count)))
        bench.lake("up", "--spares", "0")
        try:
            bench.lake("deploy", FIRST)
            bench.record_all()
            print(
                f"| `lake plan`, {count:,} tenants | median s | slowest s | CPU s | peak MB |\n|---|---|---|---|---|",
                flush=True,
            )
            row(bench, "nothing has changed", times, "nothing to do")
            row(bench, "one line of one tenant has changed", times, "changes", bench.change_a_line)
            print()
            peers(count)
        finally:
            bench.lake("down")


def peers(count: int) -> None:
    print(f"| requests to AWS for {count:,} stacks of which none has changed | |\n|---|---|")
    print("| `lake plan`: the record | 1 |")
    print(f"| `cdk diff --method=template`, reckoned: {CDK_DIFF_TEMPLATE} each | {CDK_DIFF_TEMPLATE * count:,} |")
    print(f"| `cdk diff`, reckoned: {CDK_DIFF} each and a change set | {CDK_DIFF * count:,} |")
    print(f"| `cdk deploy --all`, which says it last, reckoned: {CDK_DEPLOY} each | {CDK_DEPLOY * count:,} |")


if __name__ == "__main__":
    main(*[*map(int, sys.argv[1:]), *(10_000, 5)[len(sys.argv) - 1 :]])
