"""`lake quotas`: for how many more tenants an environment has room, which quota ends it, and what it costs unused."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import failures, output
from cli.connection import LOCAL, Connection, cloud_home
from cli.errors import LakeError, WrongInput, explain
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption, tenants_folder
from cli.synthesis import synthesise
from deployment.costs import PRICES, Cost, cost
from deployment.loads import by_shape, loads
from deployment.quotas import CellLoad, Demand, Limits, Need, Use, binding, demand, live, needs, refusals, shipped, uses

if TYPE_CHECKING:
    from tenants.registry import Registry

__all__ = ["Budget", "budget", "quotas"]

COLUMNS = ("place", "quota", "code", "used", "per tenant", "limit", "tenants left", "limit from")
COST_COLUMNS = ("what", "number", "US dollars each", "US dollars a month")


def quotas(
    environment: EnvironmentOption = LOCAL,
    tenants: Annotated[
        int | None,
        typer.Option("--tenants", min=1, metavar="N", help="Reckon with so many: those there are, and more like them."),
    ] = None,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Go by AWS's default quotas, and ask no account for its own.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what stacks take of service quotas, how many more tenants fit, and what it all costs before it is used.

    Ends with 11 if what is in tenants.yaml does not fit, with 1 if a tenant has no template and could not be counted.
    """
    found = budget(environment, tenants)
    limits, said = (shipped(found.loads), None) if defaults else asked(found)
    if as_json:
        output.print_json(facts(found, limits))
    else:
        show(found, limits)
    if said:
        output.message(said, style="yellow")
    failures.tell(found.failures)
    if tenants is None and refusals(found.uses(limits)):
        raise typer.Exit(ExitCode.REFUSED)
    if found.failures:
        raise typer.Exit(ExitCode.FAILED)


@dataclass(frozen=True)
class Budget:
    """What the cells of an environment take and cost.

    `usual`: what a tenant takes of the shape that most have. `shown`: the names of the cells that were asked for.
    `failures`: tenants that are not counted, since they have no template, with the reason.
    """

    connections: Mapping[str, Connection]
    loads: tuple[CellLoad, ...]
    usual: Demand
    cost: Cost
    shown: tuple[str, ...]
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def tenants(self) -> int:
        return sum(each.number for each in self.loads)

    def uses(self, limits: Limits) -> list[Use]:
        """Of the cells that are shown; what ends growth first comes first."""
        found = [each for each in uses(self.loads, limits) if {*each.cells} & {*self.shown}]
        return sorted(found, key=lambda each: (not each.per_tenant, each.margin))

    @property
    def needs(self) -> dict[str, Need]:
        """What takes more cells than there are, and what takes more accounts; by what takes most."""
        found = needs(self.loads[0].platform, self.usual, self.tenants)
        there = {"cell": len(self.loads), "account": len({each.account for each in self.loads})}
        most: dict[str, Need] = {}
        for need in found:
            kind = "account" if need.quota.per_account else "cell"
            if need.places > max(there[kind], most[kind].places if kind in most else 0):
                most[kind] = need
        return most


def budget(environment: str, tenants: int | None = None) -> Budget:
    """From the templates of the environment; `tenants`: as if there were so many."""
    from tenants.registry import load

    registry = load(tenants_folder())
    name, _, cell = environment.partition("/")
    shown = [registry.cell(environment)] if cell else registry.cells(name)
    return scaled(counted(name, registry, tuple(each.place for each in shown)), tenants)


def counted(environment: str, registry: "Registry", shown: tuple[str, ...]) -> "tuple[Budget, Cost]":
    """The budget of what there is, and what a usual tenant costs."""
    connections = {each.place: Connection(registry, each) for each in registry.cells(environment)}
    platforms = {each.platform.stack: place for place, each in connections.items()}
    assembly = synthesise(environment, tenants_folder(), cloud_home(), partly=True)
    stacks = assembly.stacks
    total = Cost.total(each * number for each, number in by_shape(stacks, cost))
    of_tenants = by_shape((each for each in stacks if each.name not in platforms), lambda template: template)
    if not of_tenants:
        failures.tell(assembly.failures)
        raise LakeError(f"environment {environment}: has no tenant with a template; add one by `lake tenant add`")
    usual, _ = max(of_tenants, key=lambda pair: pair[1])
    taken = loads(stacks, platforms)
    return Budget(connections, taken, demand(usual), total, shown, assembly.failures), cost(usual)


def scaled(found: "tuple[Budget, Cost]", tenants: int | None) -> Budget:
    """The same cells with so many tenants: each that comes is a usual one, in the cell with the fewest."""
    there, each = found
    if tenants is None:
        return there
    if tenants < there.tenants:
        raise WrongInput(f"--tenants {tenants}: {there.tenants} are in tenants.yaml already; name a larger number")
    fewest = [(load.number, position) for position, load in enumerate(there.loads)]
    heapq.heapify(fewest)
    for _ in range(tenants - there.tenants):
        number, position = fewest[0]
        heapq.heapreplace(fewest, (number + 1, position))
    shares = {position: share for share, position in fewest}
    grown = tuple(grown_to(shares[position], load, there.usual) for position, load in enumerate(there.loads))
    return replace(there, loads=grown, cost=there.cost + each * (tenants - there.tenants))


def grown_to(number: int, load: CellLoad, usual: Demand) -> CellLoad:
    return replace(load, tenants=(*load.tenants, (usual, number - load.number)))


def asked(found: Budget) -> tuple[Limits, str | None]:
    """The own values of the account that the login is of, AWS's defaults elsewhere, and why it is these."""
    from botocore.exceptions import BotoCoreError, ClientError

    defaults, first = shipped(found.loads), next(iter(found.connections.values()))
    if first.is_local:
        return defaults, "local: this machine has no quotas; the limits are AWS's defaults"
    try:
        account = first.account_of_login()
        own = live([each for each in found.loads if each.account == account], client)
    except (BotoCoreError, ClientError, LakeError) as error:
        return defaults, f"the limits are AWS's defaults, the account was not asked: {explain(error)[0]}"
    others = [each.name for each in found.loads if each.account != account and each.name in found.shown]
    return {**defaults, **own}, left_out(others, account)


def left_out(others: list[str], account: str) -> str | None:
    if not others:
        return None
    return f"{', '.join(others)}: AWS's defaults; the credentials in use are of account {account}, log in there to ask"


def client(_cell: CellLoad, region: str) -> Any:
    return client_in(region)


@cache
def client_in(region: str) -> Any:
    import boto3

    return boto3.client("service-quotas", region_name=region)


def show(found: Budget, limits: Limits) -> None:
    every = found.uses(limits)
    output.print_table(COLUMNS, [row(each) for each in every])
    print()
    rows = [(each.what, f"{each.number:,}", f"{each.each:,.2f}", f"{each.monthly:,.2f}") for each in found.cost.lines]
    output.print_table(COST_COLUMNS, [*rows, ("together, before any use", "", "", f"{found.cost.monthly:,.2f}")])
    print()
    print("\n".join(sentences(found, every)))


def row(each: Use) -> tuple[str, ...]:
    left = "" if each.tenants_left is None else f"{each.tenants_left:,}"
    quota, limit = each.quota, each.limit
    source = "the account" if limit.live else f"AWS's default, {quota.seen}"
    numbers = (f"{each.used:,}", f"{each.per_tenant:,}", f"{limit.value:,}", left)
    return (each.place, f"{quota.service} {quota.name}", quota.code, *numbers, source)


def sentences(found: Budget, every: list[Use]) -> list[str]:
    """What it means: room by cell, what to ask for, cells that no increase replaces, and what is not counted."""
    said = [room(cell, every) for cell in found.shown]
    said += [f"Does not fit: {each}" for each in refusals(every)]
    for kind, need in found.needs.items():
        raised = f", raised to {need.quota.ceiling:,}" if need.quota.adjustable and need.quota.ceiling else ""
        said.append(
            f"{found.tenants:,} tenants need {output.counted(need.places, kind)} at least: "
            f"{need.most:,} tenants fit into one by {need.quota.service} {need.quota.name}{raised}."
        )
    said += [f"{each.what}: {PRICES[each.what].note}." for each in found.cost.lines if PRICES[each.what].note]
    if found.cost.by_use:
        said.append(f"Not counted, since it depends on use: {'; '.join(sorted(found.cost.by_use))}.")
    if found.cost.unknown:
        said.append(f"Not counted, since no price is known here: {', '.join(sorted(found.cost.unknown))}.")
    return said


def room(cell: str, every: list[Use]) -> str:
    bound = binding(every, cell)
    if bound is None:
        return f"{cell}: no tenant, and so nothing to reckon with."
    left = output.counted(bound.tenants_left or 0, "more tenant")
    return f"{cell}: room for {left}; {bound.quota.service} {bound.quota.name} bind first ({bound.quota.code})."


def facts(found: Budget, limits: Limits) -> dict[str, Any]:
    every = found.uses(limits)
    return {
        "tenants": found.tenants,
        "quotas": [
            {
                "place": each.place,
                "cells": each.cells,
                "service": each.quota.service,
                "quota": each.quota.name,
                "code": each.quota.code,
                "used": each.used,
                "per_tenant": each.per_tenant,
                "limit": each.limit.value,
                "tenants_left": each.tenants_left,
                "live": each.limit.live,
                "seen": None if each.limit.live else each.quota.seen,
                "source": each.quota.source,
            }
            for each in every
        ],
        "room": {
            cell: {"tenants": bound.tenants_left, "binds": bound.quota.code}
            if (bound := binding(every, cell))
            else None
            for cell in found.shown
        },
        "refusals": refusals(every),
        "failures": dict(found.failures),
        "needs": {
            kind: {"number": need.places, "tenants_in_one": need.most, "code": need.quota.code}
            for kind, need in found.needs.items()
        },
        "cost": {
            "lines": [
                {"what": each.what, "number": each.number, "each": each.each, "monthly": each.monthly}
                for each in found.cost.lines
            ],
            "monthly": found.cost.monthly,
            "not_counted": sorted(found.cost.by_use),
            "unknown": sorted(found.cost.unknown),
        },
    }
