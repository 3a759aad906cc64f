"""`lake files`: every file version of a tenant and where it stands."""

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import output
from cli.connection import LOCAL, connect
from cli.errors import WrongInput
from cli.hold import why_held
from cli.options import EnvironmentOption, JsonOption, TenantArgument

if TYPE_CHECKING:
    from lineage.values import FileState

__all__ = ["KEYS", "SHOWN", "STATES", "as_rows", "files"]

SHOWN = 1000

KEYS = ("key", "version", "dataset", "state", "rows", "rejected", "reason", "run", "attempt", "epoch")
STATES = (
    "RECEIVED",
    "HELD",
    "UNROUTED",
    "PROCESSING",
    "PROCESSED",
    "QUERYABLE",
    "QUARANTINED",
    "FAILED",
)

KEPT = ("RECEIVED", "HELD", "PROCESSED")
"""Where a file waits for a run, which a hold does not let begin."""


def files(
    tenant: TenantArgument,
    *,
    dataset: Annotated[str | None, typer.Option(help="Only files of this dataset.")] = None,
    state: Annotated[str | None, typer.Option(help=f"Only files in this state: {', '.join(STATES)}.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=0, help="At most so many, the newest; 0: all.")] = SHOWN,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """List the files a tenant received, newest first: queryable, waiting, quarantined (with the reason) or unrouted."""
    wanted = _known_state(state)
    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    if dataset is not None:
        connection.dataset(tenant, dataset)
    found = (file for file in connection.ledger.newest(tenant, dataset) if wanted in {None, str(file.state)})
    rows = as_rows(itertools.islice(found, limit or None))
    if held := why_held(connection, tenant):
        rows = [{**row, "reason": row["reason"] or held} if row["state"] in KEPT else row for row in rows]
    show(rows, as_json=as_json)
    if limit and len(rows) == limit:
        output.message(f"no more than {output.counted(limit, 'file')} are listed, the newest; `--limit 0` lists all")


def _known_state(state: str | None) -> str | None:
    if state is not None and state.upper() not in STATES:
        raise WrongInput(f"no state {state!r}; files are {', '.join(STATES)}")
    return state and state.upper()


def as_rows(states: "Iterable[FileState]") -> list[dict[str, Any]]:
    """The documented keys of `--json`."""
    return [{key: _plain(getattr(each, key)) for key in KEYS} for each in states]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


def show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        output.print_json(rows)
    elif not rows:
        output.message("no files")
    else:
        counts = [name for name in ("attempt", "epoch") if any(row[name] for row in rows)]
        output.print_table(("key", "dataset", "state", "rows", "rejected", *counts, "reason", "version", "run"), rows)
