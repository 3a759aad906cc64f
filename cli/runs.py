"""`lake runs`: the runs of a tenant's jobs, and what one of them printed."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import output
from cli.connection import LOCAL, Connection, cloud_home, connect
from cli.errors import LakeError, NotFound
from cli.options import EnvironmentOption, JsonOption, TenantArgument

if TYPE_CHECKING:
    from lineage.values import RunState

__all__ = ["KEYS", "runs"]

KEYS = (
    "run",
    "job",
    "dataset",
    "state",
    "started",
    "ended",
    "files",
    "rows_in",
    "rows_out",
    "rejected",
    "error",
)


def runs(
    tenant: TenantArgument,
    *,
    logs: Annotated[str | None, typer.Option(metavar="RUN", help="Print what this run wrote to its logs.")] = None,
    job: Annotated[str | None, typer.Option(help="Only runs of this job.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="At most so many runs, newest first.")] = 50,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """List the runs of a tenant's jobs, newest first, or print the logs of one."""
    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    if job is not None:
        known_job(tenant, job)
    if logs is not None:
        print_logs(connection, tenant, logs, as_json=as_json)
        return
    found = connection.ledger.runs(tenant, job, limit=limit)
    rows = [{key: getattr(each, key) for key in KEYS} for each in found]
    if as_json:
        output.print_json(rows)
    elif not rows:
        output.message("no runs")
    else:
        output.print_table(KEYS, rows)


def known_job(tenant: str, job: str) -> str:
    from glue_scripts.arguments import JOBS

    if job not in JOBS:
        raise NotFound(f"tenant {tenant} has no job {job!r} that makes runs; it has: {', '.join(JOBS)}")
    return job


def print_logs(connection: Connection, tenant: str, run: str, *, as_json: bool) -> None:
    """Stdout and stderr of the Glue run behind a run of the ledger."""
    state = find(connection, tenant, run)
    if state.glue_run is None:
        raise LakeError(f"run {state.run} has not begun on Glue (state {state.state}): {state.error or 'no logs yet'}")
    streams = _local_logs(state.glue_run) if connection.is_local else _cloud_logs(connection, tenant, state.glue_run)
    if as_json:
        output.print_json({"run": state.run, "glue_run": state.glue_run, **streams})
        return
    sys.stdout.write(streams["stdout"])
    if streams["stderr"]:
        print("---- stderr ----")
        sys.stdout.write(streams["stderr"])


def find(connection: Connection, tenant: str, run: str) -> "RunState":
    """The run of this id; the end of an id is enough when only one recent run ends so."""
    recent = connection.ledger.runs(tenant, limit=1000)
    found = [each for each in recent if run in {each.run, each.glue_run} or each.run.endswith(run)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"tenant {tenant} has no run {run!r}; `lake runs {tenant}{connection.suffix}` lists them")
    raise NotFound(f"{len(found)} runs of tenant {tenant} end in {run!r}: give more of the id")


def _local_logs(glue_run: str) -> dict[str, str]:
    from local_cloud.runs import logs

    kept = logs(cloud_home(), glue_run)
    if not kept.stdout.exists():
        folder = kept.stdout.parent
        raise NotFound(f"no logs of Glue run {glue_run} in {folder}: they are kept where the local cloud ran it")
    return {"stdout": _text(kept.stdout), "stderr": _text(kept.stderr)}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _cloud_logs(connection: Connection, tenant: str, glue_run: str) -> dict[str, str]:
    """Glue has a log group for output and one for errors below the tenant's, with a stream per run and part."""
    group = connection.names(tenant).log_group
    logs = connection.client("logs")
    groups = [each["logGroupName"] for each in logs.describe_log_groups(logGroupNamePrefix=f"{group}/")["logGroups"]]
    streams = {"stdout": "", "stderr": ""}
    for name in groups:
        streams["stderr" if name.endswith("/error") else "stdout"] += _written(logs, name, glue_run)
    return streams


def _written(logs: Any, group: str, glue_run: str) -> str:
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, logStreamNamePrefix=glue_run)
    events = (event for page in pages for event in page["events"] if event["logStreamName"].startswith(glue_run))
    return "".join(event["message"].rstrip("\n") + "\n" for event in events)
