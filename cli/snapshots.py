"""`lake snapshots`: the versions of a dataset's table, read from its catalog entry and metadata without Spark."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli import output
from cli.connection import LOCAL, Connection, connect
from cli.errors import LakeError, NotFound
from cli.options import EnvironmentOption, JsonOption, TenantArgument

__all__ = ["KEYS", "Snapshot", "Versions", "snapshots", "versions"]

BATCH, RUN = "lake.batch", "lake.run"
"""What the second job writes into a snapshot's summary."""

KEYS = (
    "snapshot",
    "time",
    "operation",
    "batches",
    "run",
    "rows_added",
    "rows_deleted",
    "rows",
    "current",
    "reachable",
)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One version of a table. `rows` is how many it has, `reachable` whether the current one builds on it."""

    snapshot: str
    parent: str | None
    time: datetime
    operation: str
    batches: tuple[str, ...]
    run: str | None
    rows_added: int
    rows_deleted: int
    rows: int | None
    current: bool
    reachable: bool


@dataclass(frozen=True)
class Versions:
    """A table's snapshots, newest first."""

    tenant: str
    dataset: str
    snapshots: tuple[Snapshot, ...]

    @property
    def current(self) -> Snapshot | None:
        return next((each for each in self.snapshots if each.current), None)

    def find(self, name: str) -> Snapshot:
        """By id; the end of an id is enough where only one ends so."""
        found = [each for each in self.snapshots if each.snapshot == name]
        found = found or [each for each in self.snapshots if name and each.snapshot.endswith(name)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(each.snapshot for each in self.snapshots[:5])
        what = f"{len(found)} snapshots that end in {name!r}" if found else f"no snapshot {name!r}"
        raise NotFound(
            f"dataset {self.dataset} of tenant {self.tenant} has {what}; `lake snapshots {self.tenant} {self.dataset}` "
            f"lists them: {known or 'none'}"
        )

    def after(self, snapshot: Snapshot) -> list[Snapshot]:
        """What the current version builds on and `snapshot` does not: thereby out after a rollback to it."""
        before = set(_line({each.snapshot: each.parent for each in self.snapshots}, snapshot.snapshot))
        return [each for each in self.snapshots if each.reachable and each.snapshot not in before]


def snapshots(
    tenant: TenantArgument,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Dataset of the tenant.")],
    *,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """List the versions of a dataset's table, newest first: what each commit brought, and which one is read now."""
    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    connection.dataset(tenant, dataset)
    rows = [{key: getattr(each, key) for key in KEYS} for each in versions(connection, tenant, dataset).snapshots]
    if as_json:
        output.print_json(rows)
    elif not rows:
        output.message(f"dataset {dataset} of tenant {tenant} has no rows yet")
    else:
        output.print_table(
            ("snapshot", "time", "operation", "rows_added", "rows_deleted", "rows", "standing", "batches", "run"),
            [{**row, "batches": " ".join(row["batches"]), "standing": _standing(row)} for row in rows],
        )


def _standing(row: dict[str, Any]) -> str:
    return "current" if row["current"] else "" if row["reachable"] else "rolled back"


def versions(connection: Connection, tenant: str, dataset: str) -> Versions:
    """The snapshots that a table's metadata knows; none where nothing was written yet."""
    from botocore.exceptions import ClientError

    database = connection.names(tenant).database
    try:
        table = connection.client("glue").get_table(DatabaseName=database, Name=dataset)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "EntityNotFoundException":
            return Versions(tenant, dataset, ())
        raise
    location = table.get("Parameters", {}).get("metadata_location")
    if location is None:
        raise LakeError(
            f"table {database}.{dataset}: has no snapshots, it is no Iceberg table: a dataset with format parquet is "
            "append-only"
        )
    return Versions(tenant, dataset, tuple(_snapshots(_metadata(connection.client("s3"), location))))


def _metadata(s3: Any, location: str) -> dict[str, Any]:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    metadata: dict[str, Any] = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    return metadata


def _snapshots(metadata: dict[str, Any]) -> Iterator[Snapshot]:
    listed = metadata.get("snapshots", [])
    current = _id(metadata.get("current-snapshot-id"))
    line = set(_line({str(each["snapshot-id"]): _id(each.get("parent-snapshot-id")) for each in listed}, current))
    for each in sorted(listed, key=lambda each: (each["timestamp-ms"], each.get("sequence-number", 0)), reverse=True):
        summary, name = each.get("summary", {}), str(each["snapshot-id"])
        yield Snapshot(
            snapshot=name,
            parent=_id(each.get("parent-snapshot-id")),
            time=datetime.fromtimestamp(each["timestamp-ms"] / 1000, UTC),
            operation=summary.get("operation", ""),
            batches=tuple(batch for batch in summary.get(BATCH, "").split(",") if batch),
            run=summary.get(RUN) or None,
            rows_added=int(summary.get("added-records", 0)),
            rows_deleted=int(summary.get("deleted-records", 0)),
            rows=int(summary["total-records"]) if "total-records" in summary else None,
            current=name == current,
            reachable=name in line,
        )


def _id(value: int | None) -> str | None:
    """Iceberg writes -1 for a table without a snapshot."""
    return None if value is None or value == -1 else str(value)


def _line(parents: dict[str, str | None], snapshot: str | None) -> Iterator[str]:
    """A snapshot and those it builds on, as far as they are kept."""
    while snapshot is not None:
        yield snapshot
        snapshot = parents.get(snapshot)
