"""`lake reconcile` and `lake backfill`: the bucket against the ledger, and what to do about the difference."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from cli import output
from cli.connection import LOCAL, Connection, connect, within_reach
from cli.errors import LakeError, WrongInput
from cli.options import EnvironmentOption, JsonOption, TenantArgument

__all__ = ["Report", "backfill", "call", "reconcile"]

Report = dict[str, Any]
"""The answer of the reconcile function, or of several calls put together (see `ingestion.findings.Report`)."""

KINDS = ("registered", "orphans", "ghosts", "stuck")
COLUMNS = ("finding", "what", "dataset", "detail")

BUDGET_S = 45  # of one call: progress is shown between calls, and no connection is held for long
ANSWER_S = 15 * 60  # a function answers within its own timeout, or never
ANY_AGE_S = 1_000 * 365 * 86_400
EVENTS_TRAVEL_S = 60  # the emulator's events carry no version id, so a file that is still on its way is not known again

_SHORT = re.compile(r"([0-9]{1,6})([smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

PrefixOption = Annotated[str, typer.Option(metavar="PREFIX", help="Only keys that begin with this.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Change nothing, only say what would be done.")]


def reconcile(
    tenant: Annotated[str | None, typer.Argument(metavar="[TENANT]", help="Tenant id.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every deployed tenant.")] = False,
    prefix: PrefixOption = "",
    grace: Annotated[
        str, typer.Option(metavar="DURATION", help="Leave objects alone that are younger: 0s, 15m, 1h.")
    ] = "15m",
    dry_run: DryRunOption = False,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Compare a tenant's bucket with the ledger, register what events missed, mend what stands still.

    Also removes what no run's commit names from processed/ and quarantine/ after a day. The exit code is 0 if nothing
    is left to look at, and 1 if objects without entry (orphans) or entries without object (ghosts) remain.
    """
    if (tenant is None) == (not every):
        raise WrongInput("name a tenant, or give --all")
    grace_s = seconds(grace)
    _check(prefix)
    places = _places(environment, tenant)
    reports, failures = _each(places, prefix=prefix, grace_s=grace_s, dry_run=dry_run)
    _show(reports[0] if reports and not every else reports, reports, as_json=as_json)
    _judge(reports, failures)


def backfill(
    tenant: TenantArgument,
    *,
    prefix: Annotated[str, typer.Option(metavar="PREFIX", help="What to register: raw/, or a part of it.")],
    dry_run: DryRunOption = False,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Register objects that were in the bucket before the tenant, whatever their age. Safe to repeat."""
    if not prefix.startswith("raw/"):
        raise WrongInput(f"--prefix {prefix}: files are registered under raw/ only, such as --prefix raw/2023/")
    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    grace_s = EVENTS_TRAVEL_S if connection.is_local else 0
    report = call(connection, tenant, task="backfill", prefix=prefix, grace_s=grace_s, dry_run=dry_run)
    _show(report, [report], as_json=as_json)
    _judge([report], [])


def _check(prefix: str) -> None:
    from ingestion.listing import ZONES

    if not any(zone.startswith(prefix) or prefix.startswith(zone) for zone in ZONES):
        raise WrongInput(f"--prefix {prefix}: only {', '.join(ZONES)} are looked at; such as --prefix raw/2023/")


def seconds(text: str) -> int:
    """Seconds in 30s, 15m, 1h, 2d, or as tenants.yaml writes them."""
    from tenants.quantities import parse_seconds

    short = _SHORT.match(text.strip())
    if short:
        return int(short[1]) * _SECONDS[short[2]]
    try:
        return int(parse_seconds(text))
    except ValueError as error:
        raise WrongInput(f"{text!r} is no duration: expected such as 0s, 15m, 1h") from error


def _places(environment: str, tenant: str | None) -> list[tuple[Connection, str]]:
    """Tenants with their cells: the one that is named, or all that are deployed."""
    if tenant is not None:
        connection = connect(environment, tenant)
        connection.deployed_tenant(tenant)
        return [(connection, tenant)]
    found: list[tuple[Connection, str]] = []
    missing: list[str] = []
    for connection in within_reach(environment):
        for placed in connection.tenants:
            if connection.is_deployed(placed.id):
                found.append((connection, placed.id))
            else:
                missing.append(placed.id)
    if missing:
        output.message(f"not deployed, left out: {', '.join(missing)}")
    return found


def _each(places: Sequence[tuple[Connection, str]], **how: Any) -> tuple[list[Report], list[str]]:
    """A tenant whose bucket cannot be listed stops no other."""
    reports: list[Report] = []
    failures: list[str] = []
    for connection, tenant in places:
        try:
            reports.append(call(connection, tenant, **how))
        except LakeError as error:
            failures.append(str(error))
    return reports, failures


def call(
    connection: Connection,
    tenant: str,
    *,
    task: str = "reconcile",
    prefix: str = "",
    grace_s: float | None = None,
    any_age: bool = False,
    dry_run: bool = False,
) -> Report:
    """Has the function look at the tenant until it is through, and puts its reports together.

    `any_age`: register also what had no entry for more than 30 days, as after a ledger was written anew.
    """
    order = {"tenant": tenant, "task": task, "prefix": prefix, "dry_run": dry_run, "budget_s": BUDGET_S}
    if grace_s is not None:
        order["grace_s"] = grace_s
    if any_age:
        order["oldest_s"] = ANY_AGE_S
    invoke = _invoker(connection, order)
    report = invoke({})
    while report["truncated"]:
        output.message(f"{tenant}: {output.counted(report['listed'], 'object')} so far, up to {report['resume']}")
        report = joined(report, invoke({"resume": report["resume"]}))
    return report


def _invoker(connection: Connection, order: Report) -> Callable[[Report], Report]:
    import boto3
    from botocore.config import Config

    # Asking twice because an answer takes its time would have two functions at work.
    config = Config(read_timeout=ANSWER_S, retries={"total_max_attempts": 1})
    functions = boto3.client("lambda", region_name=connection.environment.region, config=config)
    name = connection.platform.reconcile_function

    def invoke(more: Report) -> Report:
        payload = json.dumps(order | more).encode()
        answer = functions.invoke(FunctionName=name, InvocationType="RequestResponse", Payload=payload)
        said = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise LakeError(_why(order["tenant"], name, said))
        return dict(said)

    return invoke


def _why(tenant: str, function: str, said: Any) -> str:
    error = said if isinstance(said, dict) else {}
    text = f"{error.get('errorType', 'error')}: {error.get('errorMessage', said)}"
    return f"{tenant}: function {function} failed: {text}; its log group /aws/lambda/{function} has the traceback"


def joined(first: Report, then: Report) -> Report:
    """Two reports of one tenant, the second about what the first did not come to."""
    return {
        **then,
        "listed": first["listed"] + then["listed"],
        "young": first["young"] + then["young"],
        **{kind: first[kind] + then[kind] for kind in KINDS},
        "counts": {kind: first["counts"][kind] + then["counts"][kind] for kind in KINDS},
        "staging": {name: first["staging"][name] + then["staging"][name] for name in then["staging"]},
    }


def _show(shown: Report | list[Report], reports: Sequence[Report], *, as_json: bool) -> None:
    if as_json:
        output.print_json(shown)
        return
    rows = [(report["tenant"], *row) for report in reports for row in as_rows(report)]
    if rows:
        output.print_table(("tenant", *COLUMNS), rows)
    for report in reports:
        output.message(summary(report))


def as_rows(report: Report) -> list[tuple[str, str, str | None, str | None]]:
    """One row per finding; a last one where there are more than the function named."""
    rows: list[tuple[str, str, str | None, str | None]] = [
        ("registered", each["key"], each["dataset"], _with(each["state"], each["reason"]))
        for each in report["registered"]
    ]
    rows += [("orphan", each["key"], None, each["why"]) for each in report["orphans"]]
    rows += [("ghost", each["key"], each["dataset"], each["why"]) for each in report["ghosts"]]
    rows += [
        ("stuck", f"{each['what']} {each['subject']}", each["dataset"], f"{each['why']}: {each['done']}")
        for each in report["stuck"]
    ]
    for kind in KINDS:
        more = report["counts"][kind] - len(report[kind])
        if more:
            rows.append((kind, f"and {more:,} more", None, None))
    return rows


def _with(state: str, reason: str | None) -> str:
    return f"{state}: {reason}" if reason else state


def summary(report: Report) -> str:
    """One line about a tenant."""
    counts, staging = report["counts"], report["staging"]
    parts = [
        output.counted(report["listed"], "object") + " listed",
        f"{counts['registered']:,} {'to register' if report['dry_run'] else 'registered'}",
        output.counted(counts["orphans"], "orphan"),
        output.counted(counts["ghosts"], "ghost"),
        f"{counts['stuck']:,} stuck",
    ]
    if report["young"]:
        parts.append(f"{report['young']:,} too young to say")
    if staging["found"]:
        gone = "to remove" if report["dry_run"] else "removed"
        number = staging["found"] if report["dry_run"] else staging["removed"]
        parts.append(f"{output.counted(number, 'leftover')} {gone} ({staging['bytes'] / 1e6:,.1f} MB)")
    return f"{report['tenant']}: {', '.join(parts)}"


def _judge(reports: Sequence[Report], failures: Sequence[str]) -> None:
    left = [
        f"{report['tenant']}: {output.counted(report['counts'][kind], kind.removesuffix('s'))} to look at"
        for report in reports
        for kind in ("orphans", "ghosts")
        if report["counts"][kind]
    ]
    if failures or left:
        raise LakeError("\n".join([*failures, *left]))
