"""`lake deploy`: what the registry says becomes stacks, and entries of the ledger."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from cli import output, recovery
from cli.connection import LOCAL, Connection, cloud_home, connect
from cli.entries import Entries
from cli.errors import LakeError, explain
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption, tenants_folder
from cli.plan import Planned, plan
from cli.synthesis import synthesise
from deployment.assembly import Assembly
from deployment.stacks import SETTLED, Adapt, Clients, Outcome, Stacks, Standing, bootstrap

if TYPE_CHECKING:
    from lineage.values import TenantEntry
    from tenants.model import Tenant

__all__ = ["Deployment", "Report", "deploy", "prepare"]

Complete = Callable[[str], None]


@dataclass(frozen=True)
class Report:
    """What a deploy did. `orphans` are stacks of tenants that the registry no longer names: nothing deletes them.

    `changes`: what of the entries of the ledger is another now, by stack.
    """

    outcomes: list[Outcome]
    orphans: list[str] = field(default_factory=list)
    changes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.action == "failed"]


def deploy(
    tenants: Annotated[list[str] | None, typer.Argument(metavar="[TENANT]…", help="Tenant ids; all if none.")] = None,
    environment: EnvironmentOption = LOCAL,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring stacks to what the registry says: only those that differ, the platform's first."""
    with working() as say:
        deployment = prepare(environment, tenants or [], say)
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
        output.print_json({each.stack: each.action for each in report.outcomes})
    else:
        rows = [(each.stack, each.action, each.seconds) for each in report.outcomes]
        output.print_table(("stack", "action", "seconds"), rows)
    for stack, changes in report.changes.items():
        output.message("".join(f"{stack}: {change}\n" for change in changes).rstrip())
    for stack in report.orphans:
        output.message(f"{stack}: its tenant is not in the registry; it stays as it is")
    for failure in report.failures:
        output.message(f"lake: {failure.error}", style="red")


def prepare(environment: str, tenants: list[str], say: Callable[[str, str], None]) -> "Deployment":
    """The deploy of the platform and these tenants, or all; raises if an input is wrong, before anything changes."""
    connection = connect(environment)
    chosen = [connection.tenant(tenant) for tenant in dict.fromkeys(tenants)] or list(connection.registry.tenants)
    say("registry", "synthesising")
    assembly = synthesise(environment, tenants_folder(), cloud_home())
    return Deployment(connection, assembly, chosen, say)


@contextmanager
def working() -> Iterator[Callable[[str, str], None]]:
    """How a long piece of work says what it is at: one moving line on a terminal, a line each elsewhere."""
    if not output.is_interactive():
        yield lambda subject, what: output.message(f"{subject}: {what}")
        return
    with output.messages().status("deploying …") as status:
        yield lambda subject, what: status.update(f"{subject}: {what}")


class Deployment:
    """One run of `lake deploy`."""

    def __init__(
        self,
        connection: Connection,
        assembly: Assembly,
        tenants: "list[Tenant]",
        say: Callable[[str, str], None],
    ) -> None:
        self.connection, self.assembly, self.say = connection, assembly, say
        self.owners = {connection.names(tenant.id).stack: tenant for tenant in tenants}
        self.clients = Clients(cloudformation=connection.client("cloudformation"), s3=connection.client("s3"))
        self.stacks = Stacks(self.clients, adaptation(connection), say, forgets_updates=connection.is_local)
        self.complete = completion(connection, assembly)
        self.outcomes: list[Outcome] = []
        self.fleet: Mapping[str, TenantEntry] = {}
        self.changes: dict[str, tuple[str, ...]] = {}
        self.lock = threading.Lock()

    def plan(self) -> list[Planned]:
        """What `run` would do."""
        self._check_account()
        platform, standing = self.connection.platform.stack, self.stacks.standing()
        if platform in standing and standing[platform].status in SETTLED:
            self._read_fleet()
        wanted = [self.assembly.stack(name) for name in (platform, *self.owners)]
        return plan(self.stacks, wanted, standing, self._planned_entries)

    def _planned_entries(self, stack: str) -> Iterator[str]:
        if stack in self.owners:
            yield from self._entries(stack).changes()

    def run(self) -> Report:
        self._check_account()
        recovery.remember(self.connection, self.assembly, [tenant.id for tenant in self.owners.values()])
        self._bootstrap()
        standing = self.stacks.standing()
        platform = self.assembly.stack(self.connection.platform.stack)
        self.stacks.deploy([platform], standing, lambda outcome: self._finish(outcome, lambda: outcome))
        if not Report(self.outcomes).failures:
            self._read_fleet()
            self.stacks.deploy(map(self.assembly.stack, self.owners), standing, self._tenant_stands)
        order = [stack.name for stack in self.assembly.stacks]
        outcomes = sorted(self.outcomes, key=lambda each: order.index(each.stack))
        changes = {each.stack: self.changes[each.stack] for each in outcomes if self.changes.get(each.stack)}
        return Report(outcomes, self._orphans(standing), changes)

    def _bootstrap(self) -> None:
        if self.connection.is_local:
            environment = self.connection.environment
            bootstrap(self.clients.s3, self.connection.client("ssm"), environment.account, environment.region)

    def _check_account(self) -> None:
        environment = self.connection.environment
        account = self.connection.client("sts").get_caller_identity()["Account"]
        if account != environment.account:
            raise LakeError(
                f"environment {environment.name} is account {environment.account}, but the credentials in use are of "
                f"account {account}: log in to the right one"
            )

    def _read_fleet(self) -> None:
        """Every tenant that the ledger knows: one query, however many are deployed."""
        self.fleet = {entry.tenant: entry for entry in self.connection.ledger.tenants()}

    def _entries(self, stack: str) -> Entries:
        return Entries.of(self.connection, self.owners[stack], self.fleet)

    def _tenant_stands(self, outcome: Outcome) -> None:
        self._finish(outcome, lambda: self._enter(outcome))

    def _finish(self, outcome: Outcome, enter: Callable[[], Outcome]) -> None:
        """What follows a stack; what goes wrong there is reported with the stack, and other stacks go on."""
        try:
            if outcome.action != "failed":
                self.complete(outcome.stack)
                outcome = enter()
        except Exception as e:
            outcome = replace(outcome, action="failed", error=f"stack {outcome.stack}: stands, but {explain(e)[0]}")
        with self.lock:
            self.outcomes.append(outcome)
        self.say(outcome.stack, outcome.action)

    def _enter(self, outcome: Outcome) -> Outcome:
        """A tenant whose stack is as it was may be another all the same: its contracts are not in the template."""
        entries = self._entries(outcome.stack)
        changes = tuple(entries.changes())
        if entries.is_changed:
            self.say(self.owners[outcome.stack].id, "entering in the ledger")
            entries.write(self.connection.ledger)
        self.changes[outcome.stack] = changes
        return replace(outcome, action="updated") if changes and outcome.action == "unchanged" else outcome

    def _orphans(self, standing: dict[str, Standing]) -> list[str]:
        platform, registry = self.connection.platform, self.connection.registry
        known = {self.connection.names(tenant.id).stack for tenant in registry.tenants}
        ending = f"-{platform.environment}-tenant"
        return sorted(
            name
            for name in standing
            if name.startswith(f"{platform.organization}-") and name.endswith(ending) and name not in known
        )


def adaptation(connection: Connection) -> Adapt:
    """What is done to templates before they are sent: nothing, unless they are for the local cloud."""
    if not connection.is_local:
        return lambda template: template
    from local_cloud import parity

    return lambda template: parity.adapt(template)[0]


def completion(connection: Connection, assembly: Assembly) -> Complete:
    """What is done once a stack stands: for the local cloud, what its CloudFormation left out."""
    if not connection.is_local:
        return lambda _stack: None
    from local_cloud import parity

    client, one_at_a_time = cache(connection.client), threading.Lock()  # making clients is not safe for threads

    def complete(stack: str) -> None:
        with one_at_a_time:
            parity.complete(assembly.stack(stack).template, stack, client)

    return complete
