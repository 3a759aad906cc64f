"""`lake tenant`: who is on the platform, and what each of them gets."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import output
from cli.connection import cell_of
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption, TenantArgument, tenants_folder
from cli.placement import placements

if TYPE_CHECKING:
    from tenants.document import Document
    from tenants.model import Dataset, Environment, Tenant
    from tenants.registry import Registry

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

TIER_VALUES = ("workers", "worker_type", "max_concurrent_runs", "query_bytes_limit")


@app.command()
def add(
    tenant: Annotated[str, typer.Argument(metavar="ID", help="Lower-case letters, digits, single hyphens.")],
    *,
    name: Annotated[str, typer.Option(help="The name that people read.")],
    owner: Annotated[str, typer.Option(help="Mail address of whoever answers for the data.")],
    dataset: Annotated[list[str], typer.Option(help="A dataset with a contract of that name; may be repeated.")],
    tier: Annotated[str | None, typer.Option(help="One of the tiers; the default tier if not given.")] = None,
    cell: Annotated[
        list[str] | None,
        typer.Option(metavar="ENV/CELL", help="The cell to place it in; the one with room and fewest tenants if none."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a tenant into tenants.yaml, with its cell where there are several; comments and order stay as they are."""
    from tenants.onboarding import with_tenant
    from tenants.registry import TENANTS, load, shown

    path = tenants_folder() / TENANTS
    text = _text(path)
    cells = placements(load(tenants_folder()), cell or ())
    changed = with_tenant(
        text, tenant=tenant, name=name, owner=owner, datasets=dataset, tier=tier, cells=cells, shown=shown(path)
    )
    load(tenants_folder(), tenants=changed)
    _replace(path, changed)
    if json:
        output.print_json({"id": tenant, "file": str(path)} | ({"cells": cells} if cells else {}))
    placed = "".join(f", `lake deploy {tenant} -e {at}` that in cell {each} of {at}" for at, each in cells.items())
    output.message(f"{tenant} is written into {shown(path)}; `lake deploy {tenant}` creates its stack{placed}")


def _text(path: Path) -> str:
    """The file as it is, line ends included; a problem of it is told by the registry."""
    _document(path)
    return path.read_bytes().decode()


def _document(path: Path) -> "Document":
    from tenants.document import read
    from tenants.registry import MOST_BYTES, shown

    return read(path, shown(path), max_bytes=MOST_BYTES)


def _replace(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, and never half of it."""
    handle, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
        Path(new).chmod(path.stat().st_mode)
        Path(new).replace(path)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise


@app.command("list")
def list_(*, json: JsonOption = False) -> None:
    """Every tenant with its tier, state and datasets; also those that left, whose ids stay taken."""
    from tenants.registry import load

    registry = load(tenants_folder())
    rows = [_row(registry, tenant) for tenant in (*registry.tenants, *registry.offboarded)]
    if json:
        output.print_json(rows)
        return
    columns = ["id", "name", "tier", "state", "owner", "datasets", *(["cells"] if registry.further_cells else [])]
    output.print_table(columns, [row | {key: ", ".join(row[key]) for key in ("datasets", "cells")} for row in rows])


def _row(registry: "Registry", tenant: "Tenant") -> dict[str, Any]:
    """`cells`: where it is placed, of environments that have several."""
    cells = [registry.place_of(tenant, each) for each in registry.further_cells]
    return tenant.model_dump(include={"id", "name", "tier", "state", "owner"}) | {
        "datasets": [dataset.name for dataset in tenant.datasets],
        "cells": [f"{cell.name}/{cell.cell_name}" for cell in cells],
    }


@app.command()
def show(
    tenant: TenantArgument,
    *,
    environment: EnvironmentOption = "local",
    plan: Annotated[str | None, typer.Option(metavar="DATASET", help="Print what its contract compiles to.")] = None,
    json: JsonOption = False,
) -> None:
    """A tenant with every default filled in, and where each value comes from."""
    from tenants.registry import TENANTS, load

    registry = load(tenants_folder())
    if plan is not None:
        output.print_json(registry.contract(tenant, plan).plan(plan).with_fingerprint())
        return
    found, place = registry.tenant(tenant), cell_of(registry, tenant, environment)
    path = tenants_folder() / TENANTS
    origins = _origins(_document(path), found, registry.further_cells) | dict(_ceilings(found, place))
    found = found.model_copy(update={"retention": place.retention_of(found)})
    if json:
        output.print_json(_resolved(registry, found, place) | {"from": origins})
    else:
        _print(registry, found, place, origins)


def _resolved(registry: "Registry", tenant: "Tenant", environment: "Environment") -> dict[str, Any]:
    datasets = [_dataset(registry, tenant, dataset, environment) for dataset in tenant.datasets]
    names = registry.names(tenant.id, environment.name).resources()
    place = {"environment": environment.name, "cell": environment.cell_name}
    place |= {"account": environment.account, "region": environment.region}
    return tenant.model_dump(mode="json", exclude={"cells"}) | {"datasets": datasets, **place, "names": names}


def _dataset(registry: "Registry", tenant: "Tenant", dataset: "Dataset", environment: "Environment") -> dict[str, Any]:
    """What holds for a dataset here: `max_wait` is the environment's, if that is shorter."""
    plan = registry.contract(tenant.id, dataset.name).plan(dataset.name)
    return dataset.model_dump() | {
        "max_wait": environment.max_wait_of(dataset),
        "files": list(plan.files),
        "format": plan.format,
        "primary_key": list(plan.primary_key),
    }


def _origins(document: "Document", tenant: "Tenant", spread: Iterable[str]) -> dict[str, str]:
    """Where each value was written: file and line, or `built in`; `spread`: environments of several cells."""
    position = [item["id"] for item in document.value["tenants"]].index(tenant.id)
    own = ("tenants", position)

    def first(*paths: tuple[str | int, ...]) -> str:
        line = next((document.lines[path] for path in paths if path in document.lines), None)
        return "built in" if line is None else f"{document.file}:{line}"

    origins = {key: first((*own, key)) for key in ("id", "name", "owner", "state", "datasets")}
    if tenant.offboarding is not None:
        origins |= {
            f"offboarding.{key}": first((*own, "offboarding", key)) for key in type(tenant.offboarding).model_fields
        }
    origins["tier"] = first((*own, "tier"), ("defaults", "tier"))
    for zone in ("raw", "processed", "quarantine"):
        origins[f"retention.{zone}"] = first((*own, "retention", zone), ("defaults", "retention", zone))
    origins |= {f"cells.{name}": first((*own, "cells", name)) for name in spread}
    return origins | {key: first(("tiers", tenant.tier, key)) for key in TIER_VALUES}


def _ceilings(tenant: "Tenant", environment: "Environment") -> Iterator[tuple[str, str]]:
    """Where the environment keeps less than the tenant asks for."""
    here = environment.retention_of(tenant).model_dump()
    for zone, days in tenant.retention.model_dump().items():
        if here[zone] < days:
            yield f"retention.{zone}", f"at most, in {environment.name}"


def _print(registry: "Registry", tenant: "Tenant", environment: "Environment", origins: dict[str, str]) -> None:
    from tenants.quantities import size_text

    values = {key: getattr(tenant, key) for key in ("id", "name", "owner", "tier", "state")}
    values |= dict(_leave(tenant))
    values |= {f"retention.{zone}": f"{days} days" for zone, days in tenant.retention.model_dump().items()}
    values |= {key: getattr(tenant, key) for key in TIER_VALUES}
    values |= {f"cells.{name}": registry.cell_of(tenant.id, name).cell_name for name in registry.further_cells}
    values["query_bytes_limit"] = size_text(tenant.query_bytes_limit)
    output.print_table(["value", "is", "from"], [(key, value, origins[key]) for key, value in values.items()])
    print()
    output.print_table(
        ["dataset", "contract", "max_wait", "max_files", "max_bytes", "format", "files"],
        [_line(_dataset(registry, tenant, dataset, environment)) for dataset in tenant.datasets],
    )
    print()
    names = registry.names(tenant.id, environment.name).resources()
    place = {"cell": environment.cell_name, "account": environment.account, "region": environment.region}
    output.print_table([f"in {environment.name}", "name"], list((place | names).items()))


def _leave(tenant: "Tenant") -> Iterator[tuple[str, str]]:
    """How a tenant leaves, in the words of the file."""
    if tenant.offboarding is None:
        return
    for key, value in tenant.offboarding.model_dump().items():
        if key == "grace":
            yield f"offboarding.{key}", f"{value} day{'' if value == 1 else 's'}"
        elif key != "export_account" or value is not None:
            yield f"offboarding.{key}", "none" if value is None else value


def _line(dataset: dict[str, Any]) -> tuple[Any, ...]:
    """A schedule stands where the wait would: one of them says when a batch closes."""
    from tenants.quantities import duration_text, size_text

    return (
        dataset["name"],
        dataset["contract"],
        dataset["schedule"] or duration_text(dataset["max_wait"]),
        f"{dataset['max_files']:,}",
        size_text(dataset["max_bytes"]),
        dataset["format"],
        " ".join(dataset["files"]),
    )


@app.command()
def validate(*, json: JsonOption = False) -> None:
    """Check tenants.yaml, environments.yaml and every contract, and tell all problems at once."""
    from tenants.errors import RegistryError
    from tenants.registry import load

    try:
        registry = load(tenants_folder())
    except RegistryError as error:
        if not json:
            raise
        problems = [vars(problem) for problem in error.problems]
        output.print_json({"valid": False, "problems": problems})
        raise typer.Exit(ExitCode.INPUT) from error
    if json:
        output.print_json({"valid": True, "problems": []})
        return
    datasets = sum(len(tenant.datasets) for tenant in registry.tenants)
    print(
        f"valid: {len(registry.tenants)} tenants, {datasets} datasets, {len(registry.contracts)} contracts, "
        f"{len(registry.environments)} environments"
        + (f", {len(registry.offboarded)} offboarded" if registry.offboarded else "")
    )
