"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["PROJECT", "EnvironmentOption", "JsonOption", "TenantArgument"]

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
