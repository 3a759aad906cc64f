"""`lake prove`: whether any role of one tenant can act on anything of another, from the templates alone."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import failures, output
from cli.connection import LOCAL, cloud_home
from cli.errors import LakeError, NotFound
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption, tenants_folder
from cli.synthesis import synthesise
from deployment.assembly import Assembly, read

if TYPE_CHECKING:
    from isolation.cells import Cells
    from isolation.golden import Difference
    from isolation.report import Report
    from tenants.model import Environment

__all__ = ["prove", "report_of"]


def prove(
    tenants: Annotated[
        list[str] | None, typer.Argument(metavar="[TENANT]…", help="Whose roles are asked about; all if none.")
    ] = None,
    *,
    environment: EnvironmentOption = LOCAL,
    assembly: Annotated[
        Path | None,
        typer.Option("--assembly", metavar="DIR", help="An assembly that is there already, instead of a new one."),
    ] = None,
    golden: Annotated[
        bool, typer.Option("--golden", help="Print how the roles' rights differ from the reviewed list.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the report as Markdown.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Prove from the templates that no role of a tenant can act on anything of another; needs no cloud.

    Ends with 1 if one can, or if a tenant has no template and is not in the proof.
    """
    if assembly is None:
        output.message("synthesising the templates …")
    asked = chosen(environment, assembly)
    if without := {tenant: why for tenant, why in asked.failures.items() if tenant in (tenants or [])}:
        raise LakeError("\n".join(failures.sentences(without)))
    found = report_of(asked, tenants or [], cell_named(environment))
    if golden:
        show_differences(found.differences)
    elif as_json:
        output.print_json(found.as_json())
    else:
        print(found.markdown() if markdown else found.text())
    is_partial = failures.tell(asked.failures)
    if is_partial or not (not found.differences if golden else found.holds):
        raise typer.Exit(ExitCode.FAILED)


def chosen(environment: str, folder: Path | None) -> Assembly:
    if folder is None:
        return synthesise(environment.partition("/")[0], tenants_folder(), cloud_home(), partly=True)
    if not (folder / "manifest.json").is_file():
        raise NotFound(f"{folder}: holds no manifest.json: expected the folder that a synthesis wrote, such as cdk.out")
    return read(folder)


def report_of(assembly: Assembly, tenants: list[str], cell: "Environment | None" = None) -> "Report | Cells":
    """`cell`: the only one that is looked at."""
    from isolation.cells import report_of_cells
    from isolation.report import report
    from isolation.template import Place, Stack

    there = None if cell is None else Place(cell.account, cell.region)
    placed = [(each, Place(each.account, each.region)) for each in assembly.stacks]
    stacks = [Stack.of(each.name, each.template, place) for each, place in placed if there in {None, place}]
    known = [each.tenant for each in stacks if each.tenant]
    for tenant in tenants:
        if tenant not in known:
            raise NotFound(f"no tenant {tenant!r} in {assembly.folder}; it has: {', '.join(known)}")
    place, *others = dict.fromkeys(place for _, place in placed if there in {None, place})
    if others:
        return report_of_cells(stacks, tenants)
    return report(stacks, account=place.account, region=place.region, tenants=tenants)


def cell_named(environment: str) -> "Environment | None":
    """The cell that `prod/b` names, and none for `prod`."""
    from tenants.registry import load

    return load(tenants_folder()).cell(environment) if "/" in environment else None


def show_differences(differences: "Iterable[Difference]") -> None:
    """Rights by whose they are, as lines for isolation/golden."""
    from isolation.golden import together

    found: dict[tuple[str, str], list[str]] = {}
    for each in differences:
        found.setdefault((each.whose, each.sign), []).append(each.line)
    for (whose, sign), lines in found.items():
        print("".join(f"{sign} {line}   # {whose}\n" for line in together(lines)), end="")
    output.message("rights differ from isolation/golden" if found else "rights are as reviewed in isolation/golden")
