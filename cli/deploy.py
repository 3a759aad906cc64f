"""`lake deploy`: what the registry says becomes stacks, and entries of the ledger."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from cli import output
from cli.assembly import Assembly, synthesise
from cli.connection import LOCAL, Connection, cloud_home, connect
from cli.errors import LakeError
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption, tenants_folder
from cli.stacks import Adapt, Clients, Outcome, Stacks, Standing, bootstrap

if TYPE_CHECKING:
    from lineage.values import DatasetEntry, TenantEntry
    from tenants.model import Dataset, Tenant

__all__ = ["Report", "deploy", "deploy_tenants"]


@dataclass(frozen=True)
class Report:
    """What a deploy did. `orphans` are stacks of tenants that the registry no longer names: nothing deletes them."""

    outcomes: list[Outcome]
    orphans: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.action == "failed"]


def deploy(
    tenants: Annotated[list[str] | None, typer.Argument(metavar="[TENANT]…", help="Tenant ids; all if none.")] = None,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Bring stacks to what the registry says: only those that differ, the platform's first."""
    report = deploy_tenants(environment, tenants or [])
    if as_json:
        output.print_json({"stacks": [asdict(each) for each in report.outcomes], "orphans": report.orphans})
    else:
        output.print_table(
            ("stack", "action", "seconds"), [(each.stack, each.action, each.seconds) for each in report.outcomes]
        )
    for stack in report.orphans:
        output.message(f"{stack}: its tenant is not in the registry; it stays as it is")
    for failure in report.failures:
        output.message(f"lake: {failure.error}", style="red")
    if report.failures:
        raise typer.Exit(ExitCode.FAILED)


def deploy_tenants(environment: str, tenants: list[str]) -> Report:
    """Deploy the platform and these tenants, or all; raises before anything is changed if an input is wrong."""
    connection = connect(environment)
    chosen = [connection.tenant(tenant) for tenant in tenants] or list(connection.registry.tenants)
    with working() as say:
        say("registry", "synthesising")
        assembly = synthesise(environment, tenants_folder(), cloud_home())
        return Deployment(connection, assembly, say).run(chosen)


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

    def __init__(self, connection: Connection, assembly: Assembly, say: Callable[[str, str], None]) -> None:
        self.connection, self.assembly, self.say = connection, assembly, say
        self.outcomes: list[Outcome] = []
        self.lock = threading.Lock()

    def run(self, tenants: "list[Tenant]") -> Report:
        connection = self.connection
        clients = Clients(cloudformation=connection.client("cloudformation"), s3=connection.client("s3"))
        self._prepare(clients)
        stacks = Stacks(clients, adaptation(connection), self.say)
        standing = stacks.standing()
        stacks.deploy([self.assembly.stack(connection.platform.stack)], standing, self._note)
        if not Report(self.outcomes).failures:
            owners = {connection.names(tenant.id).stack: tenant for tenant in tenants}

            def done(outcome: Outcome) -> None:
                self._note(self._entered(outcome, owners[outcome.stack]))

            stacks.deploy([self.assembly.stack(name) for name in owners], standing, done)
        order = [stack.name for stack in self.assembly.stacks]
        return Report(sorted(self.outcomes, key=lambda each: order.index(each.stack)), self._orphans(standing))

    def _prepare(self, clients: Clients) -> None:
        connection, environment = self.connection, self.connection.environment
        if connection.is_local:
            bootstrap(clients.s3, connection.client("ssm"), environment.account, environment.region)
            return
        account = connection.client("sts").get_caller_identity()["Account"]
        if account != environment.account:
            raise LakeError(
                f"environment {environment.name} is account {environment.account}, but the credentials in use are of "
                f"account {account}: log in to the right one"
            )

    def _entered(self, outcome: Outcome, tenant: "Tenant") -> Outcome:
        """The ledger learns of a tenant once its stack stands."""
        if outcome.action == "failed":
            return outcome
        self.say(outcome.stack, "entering in the ledger")
        try:
            write_entries(self.connection, tenant)
        except Exception as e:  # reported with the stack; the other tenants go on
            return Outcome(outcome.stack, "failed", outcome.seconds, f"ledger of tenant {tenant.id}: {e}")
        return outcome

    def _note(self, outcome: Outcome) -> None:
        with self.lock:
            self.outcomes.append(outcome)
        self.say(outcome.stack, outcome.action)

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


def write_entries(connection: Connection, tenant: "Tenant") -> None:
    """Datasets first: whoever finds the tenant finds what it sends."""
    for dataset in tenant.datasets:
        connection.ledger.put_dataset(dataset_entry(connection, tenant, dataset))
    connection.ledger.put_tenant(tenant_entry(connection, tenant))


def tenant_entry(connection: Connection, tenant: "Tenant") -> "TenantEntry":
    from glue_scripts.arguments import JOBS
    from lineage.values import TenantEntry

    names = connection.names(tenant.id)
    return TenantEntry(
        tenant=tenant.id,
        state=tenant.state,
        bucket=names.bucket,
        account=connection.environment.account,
        database=names.database,
        jobs={job: names.job(job) for job in JOBS},
        max_in_flight=tenant.max_concurrent_runs,
    )


def dataset_entry(connection: Connection, tenant: "Tenant", dataset: "Dataset") -> "DatasetEntry":
    from lineage.values import DatasetEntry

    plan = connection.registry.contract(tenant.id, dataset.name).plan(dataset.name)
    return DatasetEntry(
        tenant=tenant.id,
        dataset=dataset.name,
        files=tuple(plan.files),
        max_wait_s=connection.environment.max_wait_of(dataset),
        max_files=dataset.max_files,
        max_bytes=dataset.max_bytes,
        plan=plan.to_json(),
    )
