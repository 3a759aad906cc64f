"""`lake deploy`: what the registry says becomes stacks, and entries of the ledger."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import output
from cli.assembly import Assembly, synthesise
from cli.connection import LOCAL, Connection, cloud_home, connect
from cli.errors import LakeError, explain
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption, tenants_folder
from cli.stacks import Adapt, Clients, Outcome, Stacks, Standing, bootstrap

if TYPE_CHECKING:
    from lineage.values import DatasetEntry, TenantEntry
    from tenants.model import Dataset, Tenant

__all__ = ["Report", "deploy", "deploy_tenants"]

Complete = Callable[[str], object]


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
        self.complete = completion(connection, assembly)
        self.outcomes: list[Outcome] = []
        self.lock = threading.Lock()

    def run(self, tenants: "list[Tenant]") -> Report:
        connection = self.connection
        clients = Clients(cloudformation=connection.client("cloudformation"), s3=connection.client("s3"))
        self._prepare(clients)
        stacks = Stacks(clients, adaptation(connection), self.say)
        standing = stacks.standing()
        stacks.deploy([self.assembly.stack(connection.platform.stack)], standing, self._platform_stands)
        if not Report(self.outcomes).failures:
            owners = {connection.names(tenant.id).stack: tenant for tenant in tenants}

            def tenant_stands(outcome: Outcome) -> None:
                self._finish(outcome, lambda: self._enter(owners[outcome.stack]))

            stacks.deploy([self.assembly.stack(name) for name in owners], standing, tenant_stands)
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

    def _platform_stands(self, outcome: Outcome) -> None:
        self._finish(outcome, lambda: None)

    def _finish(self, outcome: Outcome, enter: Callable[[], None]) -> None:
        """What follows a stack; what goes wrong there is reported with the stack, and other stacks go on."""
        try:
            if outcome.action != "failed":
                self.complete(outcome.stack)
                enter()
        except Exception as e:
            outcome = replace(outcome, action="failed", error=f"stack {outcome.stack}: stands, but {explain(e)[0]}")
        with self.lock:
            self.outcomes.append(outcome)
        self.say(outcome.stack, outcome.action)

    def _enter(self, tenant: "Tenant") -> None:
        self.say(tenant.id, "entering in the ledger")
        write_entries(self.connection, tenant)

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

    return lambda template: without_sources_of_trust(parity.adapt(template)[0])


def without_sources_of_trust(template: dict[str, Any]) -> dict[str, Any]:
    """The local cloud's services assume roles without saying for whom, which a role's trust asks of AWS's."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role":
            for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
                statement.pop("Condition", None)
    return template


def completion(connection: Connection, assembly: Assembly) -> Complete:
    """What is done once a stack stands: for the local cloud, what its CloudFormation left out."""
    if not connection.is_local:
        return lambda _stack: None
    from local_cloud import parity

    return lambda stack: parity.complete(assembly.stack(stack).template, stack, connection.client)


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
