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
        envvar="LAKE_ENVIRONMENT",
        help="Environment of tenants/environments.yaml.",
        rich_help_panel="Common options",
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print JSON on stdout.", rich_help_panel="Common options"),
]
TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="Tenant id.")]


def tenants_folder() -> Path:
    """Folder of tenants.yaml: `$LAKE_TENANTS`, or `tenants/` of the project."""
    return Path(os.environ.get("LAKE_TENANTS") or PROJECT / "tenants")
