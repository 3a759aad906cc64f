"""`lake hold` and `lake release`: a tenant's files are kept back, and let go again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from cli import output
from cli.connection import LOCAL, Connection, connect
from cli.errors import LakeError, WrongInput
from cli.options import EnvironmentOption, JsonOption, TenantArgument
from cli.recovery import remember_hold
from cli.waking import wake

__all__ = ["hold", "keeping", "refuse_shut", "release", "why_held"]

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def hold(
    tenant: TenantArgument,
    *,
    reason: Annotated[str, typer.Option(help="Why; whoever meets the held files reads it.")],
    dry_run: DryRunOption = False,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Start nothing more for a tenant: what arrives is registered as HELD, runs that are open go on.

    Nothing is lost; `lake release` lets the files go. A deploy leaves a hold as it is.
    """
    if not reason.strip():
        raise WrongInput("--reason: empty; say in a few words why the tenant is held")
    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    from lineage.holds import Holds

    before = connection.ledger.tenant(tenant)
    if not dry_run:
        Holds(connection.ledger).hold(tenant, reason.strip())
        remember_hold(connection, tenant, reason.strip())
    entry = before if dry_run else connection.ledger.tenant(tenant)
    if as_json:
        output.print_json(
            {
                "tenant": tenant,
                "held": entry.held_since is not None,
                "since": entry.held_since,
                "reason": entry.held_reason,
            }
        )
    word = "would be held" if dry_run else "was held already, now" if before.held_since else "is held"
    output.message(f"tenant {tenant} {word}: {reason.strip()}; `lake release {tenant}{connection.suffix}` lets it go")
    if days := entry.retention.get("raw"):
        output.message(f"its files expire as ever, {days} days after they arrived, also those that wait")


def release(
    tenant: TenantArgument,
    *,
    dry_run: DryRunOption = False,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """End a hold: files that were held, or that wait since a replay, go on in the order in which they arrived."""
    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    from lineage.holds import Holds
    from lineage.values import ACTIVE

    entry = connection.ledger.tenant(tenant)
    holds = Holds(connection.ledger)
    waiting = holds.waiting(entry) if entry.held_since is not None and entry.state == ACTIVE else 0
    if dry_run:
        released = waiting + sum(each.state == "HELD" for each in connection.ledger.newest(tenant))
    else:
        released = waiting + holds.release(tenant)
        remember_hold(connection, tenant, None)
        wake(connection, tenant, [dataset.name for dataset in connection.tenant(tenant).datasets])
    if as_json:
        output.print_json({"tenant": tenant, "was_held": entry.held_since is not None, "released": released})
    files = output.counted(released, "file")
    if entry.state != ACTIVE:
        output.message(f"tenant {tenant} is {entry.state} in tenants.yaml: its files stay held until that is changed")
    elif entry.held_since is None and not released:
        output.message(f"tenant {tenant} was not held")
    else:
        output.message(f"tenant {tenant}: {files} {'would be' if dry_run else ''} released".replace("  ", " "))


def why_held(connection: Connection, tenant: str) -> str | None:
    """Why nothing of a tenant starts, and what lets it go on; None where nothing holds it."""
    from lineage.errors import NotInLedger
    from lineage.values import ACTIVE

    try:
        entry = connection.ledger.tenant(tenant)
    except NotInLedger:  # its first deploy has not come so far
        return None
    if entry.state != ACTIVE:
        return f"tenant {tenant} is {entry.state} in tenants.yaml: its files stay HELD until that is changed"
    if entry.held_since is None:
        return None
    return (
        f"tenant {tenant} is held since {entry.held_since:%Y-%m-%d %H:%M} UTC ({entry.held_reason}): its files wait, "
        f"`lake release {tenant}{connection.suffix}` lets them go"
    )


def refuse_shut(connection: Connection, tenant: str) -> None:
    """Raises LakeError for a tenant that is not active: its roles are denied everything, and nothing of it can run."""
    from lineage.errors import NotInLedger
    from lineage.values import ACTIVE

    try:
        state = connection.ledger.tenant(tenant).state
    except NotInLedger:  # its first deploy has not come so far
        return
    if state != ACTIVE:
        raise LakeError(
            f"tenant {tenant} is {state}: its roles are denied everything and its workgroup is off; write `state: "
            f"active` into tenants.yaml and run `lake deploy {tenant}{connection.suffix}`, then try again"
        )


@contextmanager
def keeping(connection: Connection, tenant: str, reason: str) -> Iterator[None]:
    """Hold a tenant while something is done, unless an operator holds it anyway.

    What failed or was interrupted may be half done: the tenant stays held until the next try is through, which knows
    the hold as its own by the reason. By it a hold is left alone, too, that an operator sets meanwhile.
    """
    from lineage.holds import Holds

    holds = Holds(connection.ledger)
    entry = connection.ledger.tenant(tenant)
    if entry.held_since is not None and entry.held_reason != reason:
        yield
        return
    holds.hold(tenant, reason)
    try:
        yield
    except BaseException:
        output.message(
            f"tenant {tenant} stays held: {reason}; run the same again, or `lake release {tenant}{connection.suffix}`"
        )
        raise
    if connection.ledger.tenant(tenant).held_reason == reason:
        holds.release(tenant)
        wake(connection, tenant, [dataset.name for dataset in connection.tenant(tenant).datasets])
