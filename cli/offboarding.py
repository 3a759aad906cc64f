"""`lake tenant offboard` and `lake tenant verify-certificate`: the end of a tenant, and the proof of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import output
from cli.connection import cells, connect
from cli.departure import Departure
from cli.errors import NotFound, WrongInput
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption, TenantArgument
from deployment.offboarding import CERTIFICATE, latest
from deployment.parts import Folder
from deployment.records import Record

__all__ = ["Departure", "offboard", "verify_certificate"]


def offboard(
    tenant: TenantArgument,
    environment: EnvironmentOption,
    *,
    delete_everything: Annotated[
        bool, typer.Option("--delete-everything", help="Said by whoever knows that nothing of it comes back.")
    ] = False,
    confirm: Annotated[str | None, typer.Option(metavar="TENANT", help="The tenant's id, typed again.")] = None,
    export: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="The `export:` of tenants.yaml, s3://… or none, said again: needed if it changed since it began.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted, and do nothing.")] = False,
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for a deploy to end.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """End a tenant in one environment: export, delete everything, certify. Run again, it goes on where it was.

    Needs `state: offboarding` in tenants.yaml, deployed, and the grace period over.
    """
    if not dry_run and (not delete_everything or confirm != tenant):
        raise WrongInput(
            f"this deletes everything of tenant {tenant} in {environment}, for good: say --delete-everything and "
            f"--confirm {tenant} (--dry-run shows what it would be)"
        )
    connection = connect(environment, tenant)
    connection.check_account()
    departure = Departure(connection, tenant, export)
    if (certificate := departure.certified()) is not None:
        output.message(
            f"tenant {tenant} is offboarded in {connection.environment.place} already; nothing is left to do"
        )
    elif dry_run:
        show_prospect(departure.prospect(), as_json=as_json)
        return
    else:
        certificate = departure.run(wait)
    show_certificate(certificate, as_json=as_json)


def show_prospect(prospect: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(prospect)
        return
    rows = [(each["kind"], each["name"]) for each in prospect["resources"]]
    output.print_table(("kind", "name"), rows)
    output.message(prospect["refused"] or f"may begin: {prospect['export'] or 'nothing'} is exported first")


def show_certificate(certificate: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(certificate)
        return
    deleted, export, key = certificate["deleted"], certificate["export"], certificate["key"]
    facts: dict[str, Any] = {name.replace("_", " "): f"{deleted[name]:,}" for name in deleted if name != "resources"}
    facts |= {"resources": len(deleted["resources"]), "exported to": export["to"] or "nowhere, as the tenant wants it"}
    facts |= {"key goes on": key["deletion_date"], "certificate": f"{certificate['folder']}{CERTIFICATE}"}
    output.print_table(("what", "value"), list(facts.items()))


def verify_certificate(
    which: Annotated[str, typer.Argument(metavar="TENANT|FILE", help="Tenant id, or a file that ends in .json.")],
    environment: EnvironmentOption,
    *,
    as_json: JsonOption = False,
) -> None:
    """Hold a certificate against the account: its hash, what stands, what was kept, the key. Ends with 1 if it lies."""
    given = Path(which).read_bytes() if which.endswith(".json") else None
    departure = found(given, which, environment)
    departure.connection.check_account()
    record = departure.shelf.read()[0]
    body = given if given is not None else kept(departure, record)
    checks = list(departure.verification(body, record).checks())
    if as_json:
        output.print_json([asdict(each) for each in checks])
    else:
        rows = [(each.what, "yes" if each.is_right else "NO", each.found) for each in checks]
        output.print_table(("what", "right", "found"), rows)
    wrong = [each.what for each in checks if not each.is_right]
    if wrong:
        output.message(f"the certificate does not hold: {', '.join(wrong)}", style="red")
        raise typer.Exit(ExitCode.FAILED)
    output.message(f"the certificate of tenant {departure.id} holds")


def found(given: bytes | None, which: str, environment: str) -> Departure:
    """The tenant in the cell where it stood."""
    if given is None:
        tenant, platform = which, None
    else:
        try:
            told = json.loads(given)
            tenant, platform = str(told["tenant"]), str(told["platform"])
        except (ValueError, KeyError, TypeError) as error:
            raise WrongInput(f"{which}: is no certificate ({type(error).__name__}: {error})") from error
    for connection in cells(environment):
        departure = Departure(connection, tenant)
        if platform in {None, connection.platform.stack} and is_known(departure):
            return departure
    raise NotFound(
        f"tenant {tenant} has no certificate in environment {environment}; `lake tenant list` shows who there is"
    )


def is_known(departure: Departure) -> bool:
    return departure.id in departure.shelf.read()[0].offboardings or latest(departure.top) > 0


def kept(departure: Departure, record: Record) -> bytes:
    """The newest certificate, as it lies in the account."""
    end = record.offboardings.get(departure.id)
    folder = departure.top.below(str(latest(departure.top)))
    if end is not None and end.certificate is not None:
        folder = Folder(departure.s3, departure.shelf.bucket, f"{end.certificate.rpartition('/')[0]}/")
    body = folder.get(CERTIFICATE)
    if body is None:
        raise NotFound(
            f"tenant {departure.id}: its offboarding has begun and is not certified yet ({folder.address}); "
            f"`lake tenant offboard` goes on with it"
        )
    return body
