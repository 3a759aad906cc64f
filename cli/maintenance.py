"""`lake maintain`, `lake rollback`, `lake rebuild-ledger`: what a tenant's `maintain` job does on request."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from cli import output
from cli.connection import LOCAL, Connection, connect, within_reach
from cli.errands import attend
from cli.errors import LakeError, WrongInput, explain
from cli.exit_codes import ExitCode
from cli.hold import keeping, refuse_shut
from cli.options import EnvironmentOption, JsonOption, TenantArgument
from cli.snapshots import Snapshot, versions

__all__ = ["REBUILDING", "maintain", "rebuild_ledger", "rebuilt", "rollback"]

REBUILDING = "the ledger is rebuilt"
"""Why a tenant is held meanwhile: a run that claims a file of the old ledger would be in its restored run's way."""

AT_WORK = frozenset({"STARTING", "RUNNING", "STOPPING", "WAITING"})
RECENT = 20  # of a job's runs, newest first

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def maintain(
    tenant: TenantArgument,
    *,
    dataset: Annotated[str | None, typer.Option(help="Only the table of this dataset.")] = None,
    dry_run: DryRunOption = False,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Compact small files, expire old snapshots and remove orphaned files of a tenant's tables.

    The schedule does the same by itself; nothing that is within the retention or read now is touched.
    """
    from lineage.values import ErrandTask

    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    if dataset is not None:
        connection.dataset(tenant, dataset)
    refuse_shut(connection, tenant)
    show(attend(connection, tenant, ErrandTask.MAINTAIN, {"dataset": dataset, "dry_run": dry_run}), as_json=as_json)


def rollback(
    tenant: TenantArgument,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Dataset of the tenant.")],
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Id of `lake snapshots`, or its end.")],
    *,
    dry_run: DryRunOption = False,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Return a dataset's table to an earlier snapshot, and say which batches are thereby out.

    Their files stay as they are and can be brought in again: `lake replay --force`.
    """
    from lineage.values import ErrandTask

    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    connection.dataset(tenant, dataset)
    known = versions(connection, tenant, dataset)
    target, out = known.find(snapshot), known.after(known.find(snapshot))
    plan = _plan(target, known.current, out)
    if target.current:
        output.message(f"dataset {dataset} of tenant {tenant} is at snapshot {target.snapshot} already")
    elif not target.reachable:
        raise WrongInput(
            f"snapshot {target.snapshot}: the current version does not build on it, it was rolled back; its batches "
            f"come in again with `lake replay {tenant} --dataset {dataset} --force{connection.suffix}`"
        )
    elif not dry_run:
        refuse_shut(connection, tenant)
        arguments = {"dataset": dataset, "snapshot": target.snapshot, "dry_run": False}
        plan |= dict(attend(connection, tenant, ErrandTask.ROLLBACK, arguments))
    show(plan, as_json=as_json)
    if out and dry_run:
        output.message("nothing was changed: --dry-run")


def _plan(target: Snapshot, current: Snapshot | None, out: Iterable[Snapshot]) -> dict[str, Any]:
    """What a rollback means, read from the table's metadata."""
    return {
        "from": current and current.snapshot,
        "to": target.snapshot,
        "rows_before": current and current.rows,
        "rows_after": target.rows,
        "batches_out": sorted({batch for each in out for batch in each.batches}),
        "snapshots_out": [each.snapshot for each in out],
    }


def rebuild_ledger(
    tenant: Annotated[str | None, typer.Argument(metavar="[TENANT]", help="Tenant id.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every tenant that is deployed.")] = False,
    dry_run: DryRunOption = False,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Make the ledger anew from what lies in S3, after its table was lost; also finds each table's last version.

    What the ledger knows already stays as it is, and the tenant is held meanwhile. `lake reconcile` then registers what
    no run has seen yet.
    """
    from lineage.values import ErrandTask

    if (tenant is None) != every:
        raise WrongInput("give one of: TENANT, --all")
    places = (
        [(connect(environment, tenant), tenant)]
        if tenant
        else [(each, placed.id) for each in within_reach(environment) for placed in each.tenants]
    )
    results: dict[str, Any] = {}
    for connection, each in places:
        if every and not connection.is_deployed(each):
            continue
        try:
            connection.deployed_tenant(each)
            refuse_shut(connection, each)
            with nullcontext() if dry_run else keeping(connection, each, REBUILDING):
                if not dry_run:
                    _require_rest(connection, each)
                results[each] = dict(attend(connection, each, ErrandTask.REBUILD, {"dry_run": dry_run}))
        except Exception as error:
            if not every:
                raise
            results[each] = {"error": explain(error)[0]}
    show(results if tenant is None else results[tenant], as_json=as_json)
    failed = [each for each, result in results.items() if "error" in result]
    if failed:
        output.message(f"lake: not rebuilt: {', '.join(failed)}")
        raise typer.Exit(ExitCode.FAILED)


def _require_rest(connection: Connection, tenant: str) -> None:
    """No run of the tenant's jobs is at work: one whose ledger was lost may yet change a table that is read here."""
    glue = connection.client("glue")
    for job in connection.ledger.tenant(tenant).jobs.values():
        for run in glue.get_job_runs(JobName=job, MaxResults=RECENT)["JobRuns"]:
            if run["JobRunState"] in AT_WORK:
                raise LakeError(
                    f"tenant {tenant}: run {run['Id']} of job {job} is still at work; wait until it has ended, or stop "
                    f"it (`aws glue batch-stop-job-run --job-name {job} --job-run-ids {run['Id']}`)"
                )


def rebuilt(result: Mapping[str, object]) -> str:
    """A rebuild in a line: numbers by name.

    >>> rebuilt({"runs": 12, "files": 5, "waiting": 0, "done": True})
    '12 runs, 5 files'
    """
    counts = [
        f"{value:,} {name.replace('_', ' ')}"
        for name, value in result.items()
        if isinstance(value, int) and not isinstance(value, bool) and value
    ]
    return ", ".join(counts) or "nothing to rebuild"


def show(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Numbers and words as lines, lists of objects as a table of their own."""
    if as_json:
        output.print_json(result)
        return
    plain = {name: value for name, value in result.items() if not _is_table(value)}
    if plain:
        output.print_table(("what", "value"), [(name, _text(value)) for name, value in plain.items()])
    for name in result.keys() - plain.keys():
        rows = result[name]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        output.print_table(columns, [{key: _text(row.get(key)) for key in columns} for row in rows])


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) for each in value)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
