"""An assembly to compare with in place of what is deployed: what `lake synth` once wrote, and said of its tenants."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.connection import Connection
from cli.entries import Digests
from cli.errors import NotFound, WrongInput
from cli.rollout import terms_in
from deployment.assembly import Assembly, Stack
from deployment.assembly import read as read_assembly
from deployment.errors import DeployError
from deployment.lifecycle import FOR_EVER, OFFBOARDING, whose_of
from deployment.moulds import OwnWords, mould
from deployment.planner import Intent, Sight, Told
from deployment.plans import Left, Refusal
from deployment.records import Record, Recorded
from deployment.stacks import Standing

if TYPE_CHECKING:
    from tenants.model import Tenant
    from tenants.registry import Registry

__all__ = ["FILE", "Baseline", "write"]

FILE, FORMAT = "tenants.json", 1
UNCOMPARED = "what was changed by hand, an account's own quotas and certificates are not looked at"
SILENT = f"it has no {FILE}, so states, contracts and batching of tenants are not compared"


def write(folder: Path, registry: "Registry", environment: str) -> None:
    """Beside an assembly: whose its stacks are, and what the ledger is told of them, as digests."""
    cells = [Connection(registry, cell) for cell in registry.cells(environment)]
    facts = {
        "format": FORMAT,
        "tenants": [facts_of(cell, tenant, digests) for cell, digests in digested(cells) for tenant in cell.tenants],
        "offboarded": {
            tenant.id: {"reuse": tenant.offboarding.reuse, "life": tenant.life}
            for tenant in registry.offboarded
            if tenant.offboarding is not None
        },
    }
    (folder / FILE).write_text(json.dumps(facts, separators=(",", ":")), encoding="utf-8")


def digested(cells: Iterable[Connection]) -> Iterator[tuple[Connection, Digests]]:
    return ((cell, Digests(cell)) for cell in cells)


def facts_of(cell: Connection, tenant: "Tenant", digests: Digests) -> dict[str, Any]:
    names = cell.names(tenant.id)
    itself, datasets = digests.parts(tenant, names)
    return {
        "tenant": tenant.id,
        "stack": names.stack,
        "platform": cell.platform.stack,
        "owner": tenant.owner,
        "life": tenant.life,
        "whose": whose_of(tenant.name, tenant.owner),
        "terms": terms_in(tenant),
        "state": tenant.state,
        "entries": digests.of(tenant, names),
        "itself": itself,
        "datasets": datasets,
    }


@dataclass(frozen=True)
class Baseline:
    """`facts`: what `write` wrote; None for an assembly that says nothing of its tenants."""

    assembly: Assembly
    facts: Mapping[str, Any] | None

    @classmethod
    def read(cls, folder: Path) -> "Baseline":
        try:
            assembly = read_assembly(folder)
            file = folder / FILE
            facts = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        except FileNotFoundError as error:
            raise NotFound(f"{folder}: is no assembly; make one with `lake synth --output {folder}`") from error
        except (ValueError, KeyError, DeployError) as error:
            raise WrongInput(f"{folder}: cannot be read as an assembly ({type(error).__name__}: {error})") from error
        if facts is not None and facts.get("format") != FORMAT:
            raise WrongInput(f"{file}: has format {facts.get('format')!r}, this version of lake reads {FORMAT}")
        return cls(assembly, facts)

    @property
    def note(self) -> str:
        said = "" if self.facts else f"; {SILENT}"
        return f"compared with {self.assembly.folder}, not with what is deployed: {UNCOMPARED}{said}"

    @cached_property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        return {row["stack"]: row for row in self.facts["tenants"]} if self.facts else {}

    def sight(self, connection: Connection, wanted: Assembly) -> Sight:
        """The baseline as if it were deployed in a cell. `wanted` is what shall be: what is equal is not read."""
        environment, stacks = connection.environment, {each.name: each for each in self._stacks(connection)}
        digests = Digests(connection)
        return Sight(
            platform=connection.platform.stack,
            account=environment.account,
            region=environment.region,
            record=Record({name: self._recorded(each, connection, wanted) for name, each in stacks.items()}),
            live=lambda names: {
                name: standing(each) for name, each in stacks.items() if names is None or name in names
            },
            template=lambda name: stacks[name].template,
            told=lambda intent: self._told(intent, connection.tenant(str(intent.tenant)), digests),
        )

    def _stacks(self, connection: Connection) -> Iterator[Stack]:
        """Of an assembly that does not say in which cell its tenants are, those in the account and Region of one."""
        platform, environment = connection.platform.stack, connection.environment
        ending, ended = f"-{environment.name}-tenant", self._ended(connection)
        for stack in self.assembly.stacks:
            row = self.rows.get(stack.name)
            is_near = (stack.account, stack.region) == (environment.account, environment.region)
            is_tenants = row["platform"] == platform if row else is_near and stack.name.endswith(ending)
            if (stack.name == platform or is_tenants) and stack.name not in ended:
                yield stack

    def _recorded(self, stack: Stack, connection: Connection, wanted: Assembly) -> Recorded:
        row = self.rows.get(stack.name, {})
        tenant = (
            None if stack.name == connection.platform.stack else row.get("tenant") or self._tenant(stack, connection)
        )
        new, made = wanted.by_name.get(stack.name), None
        if row and new is not None and new.digest != stack.digest:
            made = mould(stack, OwnWords.of(connection.names(row["tenant"]), row["owner"]))
        facts = {"life": row.get("life", 0), "terms": row.get("terms"), "whose": row.get("whose")}
        return Recorded(stack.name, tenant, stack.digest, row.get("entries"), row.get("state"), "", "", made, **facts)

    def _tenant(self, stack: Stack, connection: Connection) -> str:
        organization = f"{connection.platform.organization}-"
        return stack.name.removeprefix(organization).removesuffix(f"-{connection.environment.name}-tenant")

    def _told(self, intent: Intent, tenant: "Tenant", digests: Digests) -> Told:
        row = self.rows.get(intent.name)
        if row is None:
            return Told()
        itself, datasets = digests.parts(tenant)
        return Told(row["state"], tuple(differing(row, tenant, itself, datasets)))

    # -- who has left --------------------------------------------------------------------------------------------

    def _ended(self, connection: Connection) -> set[str]:
        """Stacks of those that were offboarding, and whose lines say offboarded now or are gone: accounts know more."""
        here = {tenant.id for tenant in connection.registry.tenants}
        leaving = (row for row in self.rows.values() if row["state"] == OFFBOARDING)
        return {row["stack"] for row in leaving if row["tenant"] not in here}

    def left(self, connection: Connection) -> tuple[Left, ...]:
        why = (
            f"was offboarding in {self.assembly.folder} and is gone now; whether it has a certificate is known in its "
            "account only, where a deploy refuses this if not"
        )
        ended = (self.rows[stack] for stack in sorted(self._ended(connection)))
        platform = connection.platform.stack
        return tuple(Left(row["tenant"], row["stack"], why) for row in ended if row["platform"] == platform)

    def refusals(self, connections: Iterable[Connection], chosen: Collection[str]) -> Iterator[Refusal]:
        """Cells that are gone, and ids that were given up. `chosen`: ids of tenants; none for all."""
        first, *_ = connections
        found = {row["tenant"]: refusal for row, refusal in self._without_cell(first)} | dict(self._given_up(first))
        return (refusal for tenant, refusal in found.items() if not chosen or tenant in chosen)

    def _without_cell(self, connection: Connection) -> Iterator[tuple[Mapping[str, Any], Refusal]]:
        registry, place = connection.registry, connection.environment.name
        platforms = {registry.platform_names(cell.place).stack for cell in registry.cells(place)}
        for row in self.rows.values():
            if row["platform"] not in platforms:
                why = f"is in the cell of {row['platform']}, which is gone from the registry"
                yield row, Refusal(row["stack"], f"{why}: data does not move along, so put that cell back")

    def _given_up(self, connection: Connection) -> Iterator[tuple[str, Refusal]]:
        lives = {tenant.id: tenant.life for tenant in connection.registry.tenants}
        for tenant, left in (self.facts or {}).get("offboarded", {}).items():
            if tenant not in lives:
                continue
            where, stack = f"offboarded` in {self.assembly.folder}", connection.names(tenant).stack
            if left["reuse"] == FOR_EVER:
                why = f"the id {tenant} is not given again: it is `{where}, with `reuse: never`; take another id"
                yield tenant, Refusal(stack, why)
            elif lives[tenant] <= left["life"]:
                why = (
                    f"tenant {tenant} is `{where}: the lines of a new tenant of this id say `life: {left['life'] + 1}`"
                )
                yield tenant, Refusal(stack, why)


def standing(stack: Stack) -> Standing:
    return Standing("CREATE_COMPLETE", stack.digest, stack.termination_protection)


def differing(row: Mapping[str, Any], tenant: "Tenant", itself: str, datasets: Mapping[str, str]) -> Iterator[str]:
    """In what the ledger is told, as far as digests tell."""
    if row["state"] != tenant.state:
        yield f"state: {row['state']} → {tenant.state}"
    if row["itself"] != itself:
        yield "what the ledger is told of the tenant: names, retention or runs at once"
    for name in sorted({*row["datasets"], *datasets}):
        if name not in row["datasets"]:
            yield f"dataset {name}: new"
        elif name not in datasets:
            yield f"dataset {name}: its line is gone; it takes no more files"
        elif row["datasets"][name] != datasets[name]:
            yield f"dataset {name}: another contract, files, batching or schedule"
