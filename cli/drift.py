"""`lake drift`: what was changed in an account outside its stacks; the stack checked longest ago has its turn first."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any

import typer

from cli import output
from cli.connection import LOCAL, Connection, within_reach
from cli.errors import NotFound
from cli.exit_codes import ExitCode
from cli.options import EnvironmentOption, JsonOption
from deployment.drift import ABSENT, DRIFTED, Detection, Finding, Log, rotation
from deployment.records import Record, Shelf, bucket_of

__all__ = ["drift"]

SAVED_AFTER = 10  # stacks; a check that is interrupted has at most so many to do again
COLUMNS = ("stack", "resource", "type", "status", "property", "expected", "actual")


def drift(
    tenants: Annotated[list[str] | None, typer.Argument(metavar="[TENANT]…", help="Tenant ids; all if none.")] = None,
    environment: EnvironmentOption = LOCAL,
    number: Annotated[
        int, typer.Option("--number", min=1, help="Stacks of a cell to check now; the others have their turn later.")
    ] = 50,
    last: Annotated[bool, typer.Option("--last", help="Show what earlier checks found, and check nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find resources that were changed outside their stacks; those checked longest ago have their turn first."""
    found = [
        Rotation(connection, wanted).go(0 if last else number) for connection, wanted in chosen(environment, tenants)
    ]
    if as_json:
        output.print_json([each.facts for each in found])
    else:
        for each in found:
            each.show()
    if any(each.gone or finding.status == DRIFTED for each in found for finding in each.findings):
        raise typer.Exit(ExitCode.CHANGES)
    if any(finding.reason and finding.status != ABSENT for each in found for finding in each.findings):
        raise typer.Exit(ExitCode.FAILED)


def chosen(environment: str, tenants: list[str] | None) -> Iterator[tuple[Connection, list[str]]]:
    """Each cell with its stacks; with those of `tenants` only, if they are named."""
    known, named = within_reach(environment), set(tenants or ())
    for tenant in named:
        known[0].registry.tenant(tenant)
    placed = {each.id for connection in known for each in connection.tenants}
    if elsewhere := sorted(named - placed):
        raise NotFound(
            f"tenant {', '.join(elsewhere)} is not placed in {environment}: see its `cells:` in tenants.yaml"
        )
    for connection in known:
        of_tenants = [each.id for each in connection.tenants if not named or each.id in named]
        stacks = [connection.names(tenant).stack for tenant in of_tenants]
        if named and stacks:
            yield connection, stacks
        elif not named:
            ending = being_deleted(connection)
            yield connection, [connection.platform.stack, *(each for each in stacks if each not in ending)]


def being_deleted(connection: Connection) -> frozenset[str]:
    """Stacks of tenants whose end has begun: what differs there is what is gone already. They are told."""
    ends = {tenant: end for tenant, end in record_of(connection).offboardings.items() if not end.is_certified}
    if ends:
        output.message(f"left out, since they are being offboarded: {', '.join(sorted(ends))}")
    return frozenset(end.stack for end in ends.values())


def record_of(connection: Connection) -> Record:
    environment = connection.environment
    bucket = bucket_of(environment.account, environment.region)
    return Shelf(connection.client("s3"), bucket, connection.platform.stack).read()[0]


class Rotation:
    """The stacks of one cell, what is known of them, and what a check adds to it."""

    def __init__(self, connection: Connection, stacks: list[str]) -> None:
        self.connection, self.stacks = connection, stacks
        environment = connection.environment
        bucket = bucket_of(environment.account, environment.region)
        self.log = Log(connection.client("s3"), bucket, connection.platform.stack)
        self.known = self.log.read()
        self.checked: list[str] = []

    def go(self, number: int) -> "Rotation":
        turn = rotation(self.stacks, self.known, number)
        if turn:
            detection = Detection(self.connection.client("cloudformation"), lambda: datetime.now(UTC).isoformat())
            with self.saving() as save:
                detection.run(turn, save)
        return self

    @contextmanager
    def saving(self) -> Iterator[Any]:
        """What is found is kept every few stacks, and at the end, however that comes."""
        fresh: dict[str, Finding] = {}

        def save(finding: Finding) -> None:
            fresh[finding.stack] = self.known[finding.stack] = finding
            self.checked.append(finding.stack)
            if len(fresh) >= SAVED_AFTER:
                self.log.add(fresh)
                fresh.clear()

        try:
            yield save
        finally:
            if fresh:
                self.log.add(fresh)

    @property
    def findings(self) -> list[Finding]:
        """The last one of every stack that was ever checked."""
        return [self.known[name] for name in self.stacks if name in self.known]

    @cached_property
    def gone(self) -> tuple[str, ...]:
        """Stacks that a deploy has brought about, that nobody is ending, and that are not there."""
        absent = [each.stack for each in self.findings if each.status == ABSENT]
        if not absent:
            return ()
        record = record_of(self.connection)
        ends = {end.stack for end in record.offboardings.values()}
        stood = {name for name, each in record.stacks.items() if not each.is_begun}
        return tuple(name for name in absent if name in stood - ends)

    @property
    def facts(self) -> dict[str, Any]:
        from dataclasses import asdict

        return {
            "cell": self.connection.environment.place,
            "stacks": len(self.stacks),
            "checked_now": self.checked,
            "gone": list(self.gone),
            "findings": [asdict(each) for each in self.findings],
        }

    def show(self) -> None:
        rows = [row for finding in self.findings for row in rows_of(finding)]
        rows += [(name, "", "AWS::CloudFormation::Stack", "DELETED", "", "", "") for name in self.gone]
        if rows:
            output.print_table(COLUMNS, rows)
        for finding in self.findings:
            if finding.reason:
                output.message(f"{finding.stack}: {finding.reason}", style="yellow")
        output.message(self.summary)
        if self.connection.is_local:
            output.message("the local cloud compares fewer types of resources and fewer properties than AWS does")

    @property
    def summary(self) -> str:
        drifted = sum(each.status == DRIFTED for each in self.findings) + len(self.gone)
        compared = sum(each.compared for each in self.findings)
        oldest = min((each.at for each in self.findings), default="never")[:19]
        return (
            f"{self.connection.environment.place}: {output.counted(len(self.checked), 'stack')} checked now, "
            f"{len(self.findings):,} of {len(self.stacks):,} ever, the oldest check at {oldest}; "
            f"{drifted:,} drifted; {output.counted(compared, 'resource')} compared"
        )


def rows_of(finding: Finding) -> Iterator[tuple[str, ...]]:
    """One for each property that differs, or for a resource that is gone."""
    for each in finding.resources:
        place = (finding.stack, each.logical_id, each.type, each.status)
        if not each.differences:
            yield (*place, "", "", "")
        for found in each.differences:
            yield (*place, found.path, found.expected, found.actual)
