"""Options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["PROJECT", "EnvironmentOption", "JsonOption", "TenantArgument", "tenants_folder"]

PROJECT = Path(__file__).resolve().parent.parent

EnvironmentOption = Annotated[
    str,
    typer.Option(
        "--environment",
        "-e",
        metavar="NAME",
        envvar="LAKE_ENVIRONMENT",
        help="Environment of tenants/environments.yaml; NAME/CELL for one of its cells.",
        rich_help_panel="Common options",
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print JSON on stdout.", rich_help_panel="Common options"),
]


def _tenants(incomplete: str) -> list[str]:
    """Tenant ids for the shell's completion; none when the files cannot be read."""
    from tenants.errors import TenantsError
    from tenants.registry import load

    try:
        return [each.id for each in load(tenants_folder()).tenants if each.id.startswith(incomplete)]
    except (TenantsError, OSError):
        return []


TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="Tenant id.", autocompletion=_tenants)]


def tenants_folder() -> Path:
    """Folder of tenants.yaml: `$LAKE_TENANTS`, or `tenants/` of the project."""
    return Path(os.environ.get("LAKE_TENANTS") or PROJECT / "tenants")
