"""`lake replay`: files that were done are done again, and their new rows take the place of the old ones."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import output
from cli.connection import LOCAL, Connection, connect
from cli.errors import LakeError, WrongInput
from cli.hold import why_held
from cli.journey import Arrival, Journey, follow, refused
from cli.options import EnvironmentOption, JsonOption, TenantArgument
from cli.waking import wake

if TYPE_CHECKING:
    from lineage.replays import ReplayPlan
    from lineage.values import Member

__all__ = ["moment", "replay"]

COLUMNS = ("key", "version", "dataset", "size", "action", "reason")


def replay(
    tenant: TenantArgument,
    *,
    file: Annotated[str | None, typer.Option("--file", metavar="KEY", help="The versions of this key.")] = None,
    version: Annotated[str | None, typer.Option(metavar="ID", help="Of --file, only this version.")] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Files that arrived since: 2026-09-20, 2026-09-20T14:00, '2 hours'."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Files of this dataset; with --since, both must hold.")] = None,
    unrouted: Annotated[
        bool, typer.Option("--unrouted", help="Files that no contract took when they came, and one takes now.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also what this very code and contract processed last.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait until the rows are queryable.")] = False,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=1, help="Seconds to wait at most.")] = 900,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Process files again, from what lies in S3: after a contract changed, or the code, or (--force) a rollback.

    The new rows replace what the same files brought before, in one commit: no row is there twice, none is missing in
    between. Files that are on their way, or that wait for a replay already, are left to themselves.
    """
    _check(file, version, since, dataset, unrouted=unrouted)
    moments = None if since is None else moment(since)
    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    if dataset is not None:
        connection.dataset(tenant, dataset)
    from lineage.replays import Replays

    replays = Replays(connection.ledger)
    key = file and file.removeprefix(f"s3://{connection.names(tenant).bucket}/")
    gone = gone_from(connection, tenant)
    plan = replays.plan(
        tenant, key=key, version=version, since=moments, dataset=dataset, unrouted=unrouted, force=force, is_gone=gone
    )
    if not dry_run and plan.files:
        replays.replay(plan)
        wake(connection, tenant, sorted({each.dataset for each in plan.files if each.dataset is not None}))
    show(plan, as_json=as_json, done=not dry_run)
    if file is not None and plan.refused and not plan.files:
        raise LakeError(f"{key}: not replayed: {plan.refused[0][1]}")
    if wait and plan.files and not dry_run:
        _follow(connection, tenant, plan, timeout)
    elif plan.files and (held := why_held(connection, tenant)):
        output.message(held)


def _check(file: str | None, version: str | None, since: str | None, dataset: str | None, *, unrouted: bool) -> None:
    ways = [file is not None, since is not None or dataset is not None, unrouted]
    if ways.count(True) != 1:
        raise WrongInput(
            "give one of: --file KEY, --since TIME, --dataset NAME, --unrouted; for instance "
            "`lake replay acme --since '2 hours'`"
        )
    if version is not None and file is None:
        raise WrongInput("--version names one of the versions of --file")


def moment(text: str) -> datetime:
    """A time as people write it, UTC unless it says otherwise; or how long ago.

    >>> moment("2026-09-20").isoformat()
    '2026-09-20T00:00:00+00:00'
    """
    from tenants.quantities import parse_seconds

    try:
        return datetime.now(UTC) - timedelta(seconds=parse_seconds(text.strip().removesuffix(" ago")))
    except (ValueError, OverflowError):
        pass
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError as e:
        raise WrongInput(f"--since {text}: no time; expected such as 2026-09-20, 2026-09-20T14:00, '2 hours'") from e
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def gone_from(connection: Connection, tenant: str) -> "Callable[[Member], bool]":
    """Tells whether the bucket has lost what was registered as a file: by listing, which needs no right to read."""
    from ingestion import listing

    s3, bucket = connection.client("s3"), connection.names(tenant).bucket

    def is_gone(member: "Member") -> bool:
        # The key itself is listed before those that it begins.
        found = [each for each in next(listing.walk(s3, bucket, member.key), []) if each.key == member.key]
        if member.version not in {None, "", "null"}:
            return member.version not in {each.version for each in found}
        return not found or found[-1].deleted or found[-1].etag != member.etag

    return is_gone


def show(plan: "ReplayPlan", *, as_json: bool, done: bool) -> None:
    """Every file with what becomes of it; in the end the numbers."""
    rows = [_row(each, "replayed" if done else "would be replayed", None) for each in plan.files]
    rows += [_row(each, "left", why) for each, why in plan.skipped]
    if as_json:
        output.print_json([{**row, "epoch": each.epoch} for row, each in zip(rows, _all(plan), strict=True)])
    elif rows:
        output.print_table(COLUMNS, rows)
    output.message(summary(len(plan.files), [why for _, why in plan.skipped], done=done))


def summary(replayed: int, reasons: Sequence[str], *, done: bool) -> str:
    """A line with the numbers, and why files were left.

    >>> summary(2, ["in flight", "in flight"], done=True)
    '2 files replayed; 2 left: in flight (2)'
    """
    word = "replayed" if done else "would be replayed"
    text = f"{output.counted(replayed, 'file')} {word}"
    if not reasons:
        return text
    counts = ", ".join(f"{reason} ({reasons.count(reason):,})" for reason in dict.fromkeys(reasons))
    return f"{text}; {len(reasons):,} left: {counts}"


def _all(plan: "ReplayPlan") -> Iterable[Any]:
    return [*plan.files, *(each for each, _ in plan.skipped)]


def _row(file: Any, action: str, reason: str | None) -> dict[str, Any]:
    facts = {name: getattr(file, name) for name in ("key", "version", "dataset", "size")}
    return {**facts, "action": action, "reason": reason}


def _follow(connection: Connection, tenant: str, plan: "ReplayPlan", timeout: float) -> None:
    arrivals = [
        Arrival(tenant, each.key, each.version, each.dataset, each.size, arrived=each.arrived_at) for each in plan.files
    ]
    held = why_held(connection, tenant)
    journey: Journey = follow(connection.ledger, arrivals, 0 if held else timeout)
    if not journey.is_good():
        raise LakeError(refused(journey, timeout, held))
