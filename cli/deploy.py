"""`lake deploy`: what the registry says becomes stacks, and entries of the ledger."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cli import output, recovery
from cli.connection import LOCAL, Connection, cells, cloud_home
from cli.errors import NotFound
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption, tenants_folder
from cli.plan import Planned, plan
from cli.rollout import Line, Rollout
from cli.synthesis import synthesise
from deployment.stacks import FAILED, NOT_BEGUN, SETTLED
from deployment.waves import LATER, Waves

if TYPE_CHECKING:
    from tenants.model import Tenant

__all__ = ["Deployment", "Report", "deploy", "prepare"]

CELLS_AT_ONCE = 8
LISTED = 20
"""Stacks that were right already are listed one by one up to so many."""


@dataclass(frozen=True)
class Report:
    """What a deploy did, stack by stack."""

    lines: Sequence[Line]
    orphans: Sequence[str] = ()

    @property
    def failures(self) -> list[Line]:
        return [line for line in self.lines if line.action in {FAILED, NOT_BEGUN}]


def deploy(
    tenants: Annotated[list[str] | None, typer.Argument(metavar="[TENANT]…", help="Tenant ids; all if none.")] = None,
    environment: EnvironmentOption = LOCAL,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask live stacks, whatever earlier deploys have recorded.")
    ] = False,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for another deploy to end.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Bring stacks to what the registry says: only those that differ, in waves, the platform's first.

    A deploy that was interrupted is gone on with by the next one.
    """
    with working() as say:
        deployment = prepare(environment, tenants or [], say, refresh=refresh, wait=wait)
        if dry_run:
            show_plan(deployment.plan(), as_json=as_json)
            return
        report = deployment.run()
    show_report(report, as_json=as_json)
    if report.failures:
        raise typer.Exit(ExitCode.FAILED)


def show_plan(planned: list[Planned], *, as_json: bool) -> None:
    if as_json:
        output.print_json({each.stack: each.action for each in planned})
        return
    for each in planned:
        print(f"{each.stack}: {each.action}")
        print("".join(f"    {change}\n" for change in each.changes), end="")


def show_report(report: Report, *, as_json: bool) -> None:
    if as_json:
        output.print_json([asdict(line) for line in report.lines])
    else:
        show_table(report.lines)
    for line in report.lines:
        output.message(
            "".join(f"{line.stack}: {change}\n" for change in line.changes).rstrip()
        ) if line.changes else None
    for stack in report.orphans:
        output.message(f"{stack}: its tenant is not in the registry; it stays as it is")
    for line in report.failures:
        if line.action == FAILED:
            output.message(f"lake: {line.error}", style="red")
    counts = Counter(line.action for line in report.lines)
    output.message(", ".join(f"{number:,} {action}" for action, number in sorted(counts.items())))
    if report.failures:
        output.message("what stands stays; `lake deploy` goes on with the rest once the reason is mended", style="red")


def show_table(lines: Sequence[Line]) -> None:
    several = len({line.cell for line in lines}) > 1
    shown = [line for line in lines if line.action != "unchanged"]
    if len(lines) <= LISTED:
        shown = list(lines)
    rows = [(*((line.cell,) if several else ()), line.stack, line.action, line.seconds) for line in shown]
    output.print_table((*(("cell",) if several else ()), "stack", "action", "seconds"), rows)


def prepare(
    environment: str,
    tenants: list[str],
    say: Callable[[str, str], None],
    *,
    refresh: bool = False,
    wait: float = 0.0,
) -> "Deployment":
    """The deploy of all cells with these tenants, or all; raises if an input is wrong, before anything changes."""
    connections = cells(environment)
    chosen = {connection.environment.place: placed(connection, tenants) for connection in connections}
    for tenant in tenants:
        connections[0].tenant(tenant)
        if not any(tenant == each.id for placed_ in chosen.values() for each in placed_):
            raise NotFound(f"tenant {tenant} is not placed in {environment}: see its `cells:` in tenants.yaml")
    say("registry", "synthesising")
    assembly = synthesise(connections[0].environment.name, tenants_folder(), cloud_home())
    return Deployment(
        [
            Rollout(
                connection,
                assembly,
                chosen[connection.environment.place],
                say,
                refresh=refresh,
                wait=wait,
                waves=LATER if connection.environment.cell else Waves(),
            )
            for connection in connections
            if not tenants or chosen[connection.environment.place]
        ]
    )


def placed(connection: Connection, tenants: Sequence[str]) -> "list[Tenant]":
    return [tenant for tenant in connection.tenants if not tenants or tenant.id in tenants]


@contextmanager
def working() -> Iterator[Callable[[str, str], None]]:
    """How a long piece of work says what it is at: one moving line on a terminal, a line each elsewhere."""
    if not output.is_interactive():
        yield lambda subject, what: output.message(f"{subject}: {what}")
        return
    with output.messages().status("deploying …") as status:
        yield lambda subject, what: status.update(f"{subject}: {what}")


@dataclass(frozen=True)
class Deployment:
    """One run of `lake deploy`: the first cell, and once it is through, the others."""

    rollouts: Sequence[Rollout]

    def plan(self) -> list[Planned]:
        """What `run` would do."""
        return [each for rollout in self.rollouts for each in planned(rollout)]

    def run(self) -> Report:
        for rollout in self.rollouts:
            rollout.check_account()
        for rollout in self.rollouts:
            recovery.remember(rollout.connection, rollout.assembly, [tenant.id for tenant in rollout.tenants])
        first, *others = self.rollouts
        if first.run():
            self._others(others)
        else:
            for rollout in others:
                rollout.leave(f"cell {first.connection.environment.place} was stopped by failures")
        return Report(
            [line for rollout in self.rollouts for line in rollout.ordered()],
            [stack for rollout in self.rollouts for stack in rollout.orphans],
        )

    def _others(self, rollouts: Sequence[Rollout]) -> None:
        """Cells share no limit of a service: what the first has shown to be sound goes into several at once."""
        if not rollouts:
            return
        with ThreadPoolExecutor(CELLS_AT_ONCE) as pool:
            futures = [pool.submit(rollout.run) for rollout in rollouts]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for rollout in rollouts:
                    rollout.stop()
                raise


def planned(rollout: Rollout) -> list[Planned]:
    rollout.check_account()
    stacks = rollout.stacks()
    platform, standing = rollout.connection.platform.stack, stacks.standing()
    if platform in standing and standing[platform].status in SETTLED:
        rollout.read_fleet()
    wanted = [rollout.assembly.stack(name) for name in (platform, *rollout.owners)]
    return plan(stacks, wanted, standing, rollout.entry_changes)
