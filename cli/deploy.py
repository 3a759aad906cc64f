"""`lake deploy`: what the registry says becomes stacks, and entries of the ledger."""

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cli import output, recovery
from cli.connection import LOCAL, Connection, cloud_home, within_reach
from cli.exit_codes import ExitCode
from cli.neighbours import named
from cli.options import EnvironmentOption, JsonOption, tenants_folder
from cli.plan import AsideOption, ReplaceOption, ending, sentence, show
from cli.planning import Prospect, refuse_unplaced
from cli.progress import Progress, progress
from cli.rollout import Line, Rollout
from cli.standstill import PATIENCE
from cli.synthesis import synthesise
from deployment.plans import Plan
from deployment.stacks import FAILED, NOT_BEGUN, UNCHANGED
from deployment.waves import LATER, Waves

if TYPE_CHECKING:
    from tenants.model import Tenant

__all__ = ["Deployment", "Report", "deploy", "prepare"]

LISTED = 20
"""Stacks that were right already are listed one by one up to so many."""
NAMED = 10
"""Stacks with the same change are named up to so many."""


@dataclass(frozen=True)
class Report:
    """What a deploy did, stack by stack; or by which plan it refused to do anything."""

    lines: Sequence[Line] = ()
    refused: Plan | None = None

    @property
    def failures(self) -> list[Line]:
        return [line for line in self.lines if line.action in {FAILED, NOT_BEGUN}]


def deploy(
    tenants: Annotated[list[str] | None, typer.Argument(metavar="[TENANT]…", help="Tenant ids; all if none.")] = None,
    environment: EnvironmentOption = LOCAL,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, and do nothing.")] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Compare with live stacks, whatever earlier deploys have recorded.")
    ] = False,
    replace: ReplaceOption = None,
    aside: AsideOption = None,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for another deploy to end.")
    ] = 0,
    patience: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, help="How long to wait for runs of tenants that are suspended to end."),
    ] = PATIENCE,
    now: Annotated[
        bool,
        typer.Option("--now", help="Suspend before anything else, and let runs in flight fail, as after a leak."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Do what `lake plan` shows: the platform's stack first, then tenants in waves that grow.

    A deploy that was interrupted is gone on with by the next one. Ends with 11 if the plan is refused; with
    --dry-run as `lake plan` does, with 10 if there is something to do.
    """
    with progress() as said:
        deployment = prepare(
            environment,
            tenants or [],
            said,
            refresh=refresh,
            replacing=replace or (),
            wait=wait,
            patience=patience,
            now=now,
            aside=aside or (),
        )
        report = Report(refused=deployment.plan()) if dry_run else deployment.run()
    if report.refused is not None:
        refuse(report.refused, whole=dry_run, as_json=as_json)
    else:
        show_report(report, as_json=as_json)
    if report.failures:
        raise typer.Exit(ExitCode.FAILED)


def refuse(plan: Plan, *, whole: bool, as_json: bool) -> None:
    """Show why a plan is refused, or all of it; ends as `lake plan` does."""
    if whole or as_json:
        show(plan, as_json=as_json)
    else:
        for each in plan.refusals:
            output.message(f"refused: {sentence(each)}", style="red")
        output.message("nothing was deployed; `lake plan` shows the whole plan", style="red")
    raise typer.Exit(ending(plan))


def show_report(report: Report, *, as_json: bool) -> None:
    if as_json:
        output.print_json([asdict(line) for line in report.lines])
    else:
        show_table(report.lines)
    for change, stacks in told(report.lines).items():
        more = f" and {len(stacks) - NAMED:,} more" if len(stacks) > NAMED else ""
        output.message(f"{', '.join(stacks[:NAMED])}{more}: {change}")
    for line in report.failures:
        if line.action == FAILED:
            output.message(f"lake: {line.error}", style="red")
    counts = Counter(line.action for line in report.lines)
    output.message(", ".join(f"{number:,} {action}" for action, number in sorted(counts.items())))
    if report.failures:
        output.message("what stands stays; mend what is named above, and deploy again for the rest", style="red")


def told(lines: Sequence[Line]) -> dict[str, list[str]]:
    """Whose entries of the ledger changed, by the change."""
    found: dict[str, list[str]] = {}
    for line in lines:
        for change in line.changes:
            found.setdefault(change, []).append(line.stack)
    return found


def show_table(lines: Sequence[Line]) -> None:
    several = len({line.cell for line in lines}) > 1
    shown = lines if len(lines) <= LISTED else [line for line in lines if line.action != UNCHANGED]
    rows = [(*((line.cell,) if several else ()), line.stack, line.action, line.seconds) for line in shown]
    output.print_table((*(("cell",) if several else ()), "stack", "action", "seconds"), rows)


def prepare(
    environment: str,
    tenants: Sequence[str],
    said: Progress,
    *,
    refresh: bool = False,
    replacing: Collection[str] = (),
    wait: float = 0.0,
    patience: float = PATIENCE,
    now: bool = False,
    aside: Collection[str] = (),
) -> "Deployment":
    """The deploy of these tenants, or all; raises if an input is wrong, before anything changes."""
    connections = within_reach(environment)
    for tenant in tenants:
        refuse_unplaced(tenant, connections, environment)
    for connection in connections:
        connection.check_account()
    meant = [connection for connection in connections if not tenants or placed(connection, tenants)]
    beside = named(connections[0].registry, connections[0].environment.name, aside)
    said("registry", "synthesising")
    assembly = synthesise(connections[0].environment.name, tenants_folder(), cloud_home(), partly=True)
    rollouts = [
        Rollout(each, assembly, placed(each, tenants), said, wait=wait, patience=patience, now=now) for each in meant
    ]
    return Deployment(rollouts, Prospect(meant, assembly, tuple(tenants), frozenset(replacing), refresh, beside))


def placed(connection: Connection, tenants: Sequence[str]) -> "list[Tenant]":
    return [tenant for tenant in connection.tenants if not tenants or tenant.id in tenants]


@dataclass(frozen=True)
class Deployment:
    """One run of `lake deploy`: cell after cell, since those of one account share the rates of its IAM."""

    rollouts: Sequence[Rollout]
    prospect: Prospect
    waves: tuple[Waves, Waves] = (Waves(), LATER)
    """How fast the first cell changes, and all others."""

    def plan(self) -> Plan:
        """What `run` would do."""
        return self.prospect.plan()

    def run(self) -> Report:
        with ExitStack() as locks:
            for rollout in self.rollouts:
                locks.enter_context(rollout.alone())
            plan = self.plan()
            if plan.refusals:
                return Report(refused=plan)
            for left in (each for cell in plan.cells for each in cell.left):
                output.message(f"{left.stack}: {left.reason}")
            for rollout in self.rollouts:
                recovery.remember(rollout.connection, rollout.assembly, [tenant.id for tenant in rollout.tenants])
            self.roll_out(plan)
        return Report([line for rollout in self.rollouts for line in rollout.ordered()])

    def roll_out(self, plan: Plan) -> None:
        """Under the locks of all cells that are meant."""
        stopped = None
        for number, (rollout, cell) in enumerate(zip(self.rollouts, plan.cells, strict=True)):
            if stopped:
                rollout.leave(cell, f"cell {stopped} was stopped by failures")
            elif not rollout.run(cell, self.waves[min(number, 1)]):
                stopped = rollout.place
