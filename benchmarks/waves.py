"""How long ten thousand tenants take: `lake deploy` and `cdk deploy --all --concurrency 25` against services' rates.

`python -m benchmarks.waves [--tenants 10000] [--seed 7] [--quick | --rates]` prints Markdown tables. The templates are
those of the committed tenants in turn, for `-e prod`; waves, pace, pauses and looks are the objects that `lake deploy`
uses (`deployment.waves`), the CDK has its own. Services are buckets of tokens (`benchmarks.service_rates`) and stand
behind CloudFormation (`benchmarks.fleet`). Nothing here was measured on AWS.
"""

import argparse
import heapq
import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.fleet import Blueprint, Cell, Gate, Operation, Patience, Process, blueprint, changed
from benchmarks.service_rates import RATES, Rate, scaled
from deployment.waves import LATER, Backoff, Looks, Pace, Waves

ENVIRONMENT = "prod"
LAKE = (sys.executable, "-m", "cli.app")
RULES = 300  # of a bus, by default: what binds first
AT_ONCE = 25  # of the CDK CLI
MOST_RUNS = 30
WORKGROUPS = 1_000  # of a Region, one of them Athena's own: what binds once others are raised
TURNS = 4  # of a stack whose services were asked too often
HEARTBEAT_S = 10.0  # of the lock
JOBS = 8  # commands beside each other, each with a cell (`-e prod/b`); one command takes cell after cell
RECORD_S = 2.0  # between two writes of the record, at most
FIRST = Waves()
CREATE, UPDATE = "CreateStack", "UpdateStack"


@dataclass(frozen=True)
class CdkPatience:
    """Retries of the CDK CLI's CloudFormation client (aws-cdk-cli, toolkit-lib/lib/api/aws-auth/sdk.ts)."""

    tries: int = 7

    def pause(self, refusals: int, draw: float) -> float:  # noqa: ARG002 - it knows no chance
        return float(min(2.0**refusals, 15.0))


@dataclass
class Deploy:
    """One run of a tool in one cell: which stacks it brought to what they shall be."""

    cell: Cell
    stacks: Sequence[Blueprint]
    verb: str
    done: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    client: Counter[str] = field(default_factory=Counter)
    client_refused: int = 0
    in_work: int = 0
    next: float = 0.0
    ended: bool = False
    changed: Gate = field(default_factory=Gate)
    waves: Waves = field(default_factory=Waves)

    def ask(self, operation: str, patience: Patience, on_refusal: Callable[[], None] = lambda: None) -> Process:
        """A call of the tool itself, as `Cell.insist` makes it, counted."""
        for refusals in range(1, patience.tries + 1):
            self.client[operation] += 1
            if (yield from self.cell.call(operation)):
                return True
            self.client_refused += 1
            on_refusal()
            if refusals < patience.tries:
                yield patience.pause(refusals, self.cell.dice.random())
        return False

    def side_by_side(
        self, places: Iterable[int], work: Callable[[int], Process], most: Callable[[], int], gap: float = 0.0
    ) -> Process:
        """Work on so many stacks at once as `most` says at each moment, begun with gaps between them, until all are."""
        queue = list(reversed(list(places)))
        while queue or self.in_work:
            while queue and self.in_work < most():
                self.in_work += 1
                begin = max(self.cell.clock.now, self.next)
                self.next = begin + gap
                self.cell.clock.start(self._one(queue.pop(), work, queue), begin - self.cell.clock.now)
            self.changed = Gate()
            yield self.changed

    def _one(self, place: int, work: Callable[[int], Process], queue: list[int]) -> Process:
        succeeded = yield from work(place)
        (self.done if succeeded else self.failed).add(place)
        self.in_work -= 1
        if not succeeded and self.is_enough():
            queue.clear()
        self.cell.clock.open(self.changed)

    def is_enough(self) -> bool:
        """Whether a failure is one too many: no further stack is begun."""
        return True

    def begin(self, place: int) -> Operation:
        return self.cell.begin(self.stacks[place])


class Lake(Deploy):
    """`lake deploy`: what the record says is another, in waves."""

    backoff, looks = Backoff(), Looks()

    def run(self, wanted: Sequence[int]) -> Process:
        self.pace = Pace()
        for operation in ("s3:GetObject", "s3:GetObject", "s3:PutObject"):  # record, lock
            yield from self.ask(operation, self.backoff)
        self.cell.clock.start(self._housekeeping())
        for wave in self.waves.cut(wanted):
            self.size, self.failures = len(wave), len(self.failed)
            yield from self.side_by_side(wave, self._stack, lambda: self.pace.at_once, self.pace.gap)
            yield from self.ask("s3:PutObject", self.backoff)
            if self.is_enough():
                break
        self.ended = True

    def is_enough(self) -> bool:
        return not self.waves.tolerates(len(self.failed) - self.failures, self.size)

    def _housekeeping(self) -> Process:
        """The lock's heartbeat, and the record while it changes."""
        written = 0
        for moment in itertools.count(1):
            yield RECORD_S
            if self.ended:
                return
            if (moment * RECORD_S) % HEARTBEAT_S == 0:
                yield from self.ask("s3:PutObject", self.backoff)
            if len(self.done) > written:
                written = len(self.done)
                yield from self.ask("s3:PutObject", self.backoff)

    def _call(self, operation: str) -> Process:
        return (yield from self.ask(operation, self.backoff, lambda: self.pace.refused(self.cell.clock.now)))

    def _stack(self, place: int) -> Process:
        """All refusals here are those of services, and `lake deploy` begins such a stack again."""
        for turn in range(1, TURNS + 1):
            operation = yield from self._brought(place, again=turn > 1)
            if operation is None:
                return False
            if not operation.failed:
                self.pace.succeeded()
                return True
            self.pace.refused(self.cell.clock.now)
            yield self.backoff.pause(turn, self.cell.dice.random())
        return False

    def _brought(self, place: int, *, again: bool) -> Process:
        asked: tuple[str, ...] = ("DescribeStacks", CREATE)
        if self.verb == UPDATE:
            asked = ("DescribeStacks", "DescribeStackEvents", UPDATE)
        if again and self.verb == CREATE:  # what the failed creation left is removed first
            asked = ("DescribeStacks", "DescribeStackEvents", "DeleteStack", "DescribeStacks", CREATE)
        for name in asked:
            if not (yield from self._call(name)):
                return None
        operation = self.begin(place)
        for number in itertools.count():
            yield self.looks.pause(number, self.in_work)
            if not (yield from self._call("DescribeStacks")):
                return None
            if operation.ended:
                return operation


class Cdk(Deploy):
    """`cdk deploy --all --concurrency 25`: every stack, a change set each, and two watchers."""

    patience = CdkPatience()
    # Requests per unchanged stack, counted on an emulator: these two, and four to STS, SSM and S3.
    UNCHANGED = ("sts", "sts", "ssm", "s3", "DescribeStacks", "GetTemplate")

    def run(self, wanted: Sequence[int]) -> Process:
        self.wanted = set(wanted)
        yield from self.side_by_side(range(len(self.stacks)), self._stack, lambda: AT_ONCE)
        self.ended = True

    def _stack(self, place: int) -> Process:
        if not (yield from self._all(self.UNCHANGED)):
            return False
        if place not in self.wanted:
            return True
        if not (yield from self._all(("s3", "CreateChangeSet", "DescribeChangeSet"))):
            return False
        yield 5.0  # between two looks at a change set
        if not (yield from self._all(("DescribeChangeSet", "ExecuteChangeSet"))):
            return False
        operation = self.begin(place)
        self.cell.clock.start(self._monitor(operation))
        while not operation.ended:
            if not (yield from self.ask("DescribeStacks", self.patience)):
                return False
            yield 5.0
        yield from self._all(("DescribeStacks", "DescribeStackEvents"))
        return not operation.failed

    def _all(self, operations: Iterable[str]) -> Process:
        for operation in operations:
            if not (yield from self.ask(operation, self.patience)):
                return False
        return True

    def _monitor(self, operation: Operation) -> Process:
        while not operation.ended:
            yield 2.0
            yield from self.ask("DescribeStackEvents", self.patience)


Tool = type[Lake] | type[Cdk]
Scenario = tuple[str, Sequence[Blueprint], str, int | None]


@dataclass
class Result:
    """What bringing all cells to what they shall be took."""

    jobs: int = 1
    cells: list[float] = field(default_factory=list)
    client: int = 0
    client_refused: int = 0
    services: int = 0
    services_refused: int = 0
    failures: int = 0
    runs: int = 0
    left: int = 0

    @property
    def seconds(self) -> float:
        """Each cell as soon as a job is free."""
        jobs = [0.0] * self.jobs
        for seconds in self.cells:
            heapq.heapreplace(jobs, jobs[0] + seconds)
        return max(jobs)

    def add(self, cell: Cell, deploys: Sequence[Deploy], left: int) -> None:
        client = sum(sum(deploy.client.values()) for deploy in deploys)
        refused = sum(deploy.client_refused for deploy in deploys)
        self.cells.append(cell.clock.now)
        self.client += client
        self.client_refused += refused
        self.services += cell.granted.total() + cell.refused.total() - client
        self.services_refused += cell.refused.total() - refused
        self.failures += sum(len(deploy.failed) for deploy in deploys)
        self.runs = max(self.runs, len(deploys))
        self.left += left


def deployed(
    tool: Tool, cell: Cell, stacks: Sequence[Blueprint], verb: str, wanted: Iterable[int], *, waves: Waves = FIRST
) -> tuple[list[Deploy], int]:
    """Runs of the tool in one cell until all stands, and how many stacks do not even then."""
    left = sorted(wanted)
    deploys: list[Deploy] = []
    while left and len(deploys) < MOST_RUNS:
        deploy = tool(cell, stacks, verb)
        deploy.waves = waves
        cell.clock.start(deploy.run(left))
        cell.clock.run()
        deploys.append(deploy)
        left = [place for place in left if place not in deploy.done]
    return deploys, len(left)


def simulate(
    tool: Tool,
    sizes: Sequence[int],
    kinds: Sequence[Blueprint],
    verb: str,
    wanted: int | None,
    *,
    seed: int,
    jobs: int = 1,
    rates: Sequence[Rate] = RATES,
) -> Result:
    """All cells; `wanted` of the first cell's stacks differ, or all stacks of all cells."""
    result = Result(jobs)
    for number, size in enumerate(sizes):
        cell = Cell(rates, seed + number)
        stacks = [kinds[place % len(kinds)] for place in range(size)]
        differ = range(size) if wanted is None else range(wanted if number == 0 else 0)
        if tool is Cdk and not differ:
            deploy = Cdk(cell, stacks, verb)
            cell.clock.start(deploy.run(()))
            cell.clock.run()
            result.add(cell, [deploy], 0)
        else:
            result.add(
                cell, *deployed(tool, cell, stacks, verb, differ, waves=LATER if number and jobs == 1 else FIRST)
            )
    return result


def bound(stacks: Iterable[Blueprint], rates: Sequence[Rate]) -> tuple[float, Rate]:
    """The seconds that the slowest service alone needs for what these stacks ask of it, and its rate."""
    asked = Counter(call for stack in stacks for part in stack for call in part.calls)
    needs = [(sum(asked[each] for each in rate.operations) - rate.burst) / rate.per_second for rate in rates]
    return max(zip(needs, rates, strict=True), key=lambda found: found[0])


def templates(folder: Path | None = None) -> list[dict[str, Any]]:
    """The platform's first, then one per tenant: those of a folder, or of the committed tenants."""
    if folder is None:
        with TemporaryDirectory() as made:
            subprocess.run(
                (
                    sys.executable,
                    "-m",
                    "cli.app",
                    "synth",
                    "-e",
                    ENVIRONMENT,
                    "--format",
                    "templates",
                    "--output",
                    made,
                ),
                check=True,
                capture_output=True,
            )
            return templates(Path(made))
    files = sorted(folder.glob("*.template.json"), key=lambda file: ("-platform." not in file.name, file.name))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def cut(tenants: int, size: int) -> list[int]:
    return [min(size, tenants - begin) for begin in range(0, tenants, size)]


def clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest:02} min" if hours else f"{seconds / 60:.1f} min"


def row(what: str, way: str, result: Result) -> str:
    left = f", {result.left:,} left" if result.left else ""
    return (
        f"| {what} | {way} | {clock(result.seconds)} | {clock(max(result.cells))} | {result.client:,} | "
        f"{result.client_refused:,} | {result.services:,} | {result.services_refused:,} | {result.failures:,} | "
        f"{result.runs}{left} |"
    )


HEAD = (
    "| what | with | time | one cell at most | requests | refused | behind CloudFormation | refused | failed stacks | "
    "runs |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)
TOOLS: tuple[tuple[str, Tool], ...] = (("lake", Lake), ("cdk", Cdk))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--templates", type=Path, help="folder; the committed tenants' if not given")
    parser.add_argument("--quick", action="store_true", help="one cell only")
    parser.add_argument("--rates", action="store_true", help="print the rates with their sources, and nothing else")
    options = parser.parse_args()
    if options.rates:
        print("\n".join(rates()))
        return
    platform, *tenants = templates(options.templates)
    rules = sum(resource["Type"] == "AWS::Events::Rule" for resource in platform["Resources"].values())
    sizes = cut(options.tenants, RULES - rules)[: 1 if options.quick else None]
    created = [blueprint(template) for template in tenants]
    updated = [changed(template, "AWS::Glue::Job") for template in tenants]
    creation: Scenario = ("create all", created, CREATE, None)
    fleet(
        sizes,
        [creation, ("update the jobs of all", updated, UPDATE, None), ("update one of all", updated, UPDATE, 1)],
        options.seed,
    )
    if not options.quick:
        larger = cut(options.tenants, WORKGROUPS - 1)
        fleet(larger, [creation], options.seed)
        binding(larger[0], created)
    other_rates(sizes[0], created, options.seed)


def rates() -> Iterator[str]:
    yield from ("| calls | per second | at once | source |", "|---|---|---|---|")
    for rate in RATES:
        yield f"| {', '.join(rate.operations)} | {rate.per_second:g} | {rate.burst:g} | {rate.source} |"


def fleet(sizes: Sequence[int], scenarios: Iterable[Scenario], seed: int) -> None:
    print(f"{sum(sizes):,} tenants in {len(sizes)} cells of at most {sizes[0]}, seed {seed}:\n\n{HEAD}")
    for what, kinds, verb, wanted in scenarios:
        for jobs in (1, JOBS):
            for way, tool in TOOLS:
                result = simulate(tool, sizes, kinds, verb, wanted, seed=seed, jobs=jobs)
                print(row(what, f"{way}, {jobs} jobs" if jobs > 1 else way, result), flush=True)
    print()


def binding(size: int, kinds: Sequence[Blueprint]) -> None:
    known = [rate for rate in RATES if rate.is_published]
    seconds, rate = bound([kinds[place % len(kinds)] for place in range(size)], known)
    print(f"By published rates alone {size:,} tenants need {clock(seconds)}: {', '.join(rate.operations)}.\n")


def other_rates(size: int, kinds: Sequence[Blueprint], seed: int) -> None:
    print(f"One cell of {size}, all created, with other values for the rates that are assumed:\n\n{HEAD}")
    for factor in (0.5, 1.0, 2.0):
        for way, tool in TOOLS:
            found = simulate(tool, [size], kinds, CREATE, None, seed=seed, rates=scaled(factor))
            print(row(f"× {factor:g}", way, found), flush=True)


if __name__ == "__main__":
    main()
