"""The tenant's Glue database as the jobs write it: partitions of plain tables, and tables of `format: parquet`."""

from collections.abc import Iterable
from typing import Any

import boto3

from glue_scripts.arguments import JobArguments
from glue_scripts.commit_object import CommitObject
from glue_scripts.errors import PartitionNotRegistered, TableMoved

PER_CALL = 100  # partitions that BatchCreatePartition takes

PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}

QUARANTINE_COLUMNS = (
    ("file", "string"),
    ("version", "string"),
    ("reasons", "array<string>"),
    ("record", "string"),
    ("batch", "string"),
    ("quarantined_at", "timestamp"),
)

_KEPT = ("Name", "Description", "Owner", "TableType", "StorageDescriptor", "PartitionKeys", "Retention")
"""What of a table's description an update has to say again."""


def register_partitions(arguments: JobArguments, *committed: CommitObject) -> None:
    """Makes rejected rows part of `<dataset>_quarantine`; the commit objects are of one dataset."""
    places = {
        (file.year, file.month, commit.run): file.key.rpartition("/")[0]
        for commit in committed
        for file in commit.quarantine
    }
    if not places:
        return
    add_partitions(
        arguments,
        f"{committed[0].dataset}_quarantine",
        [(list(values), f"s3://{arguments.bucket}/{folder}") for values, folder in places.items()],
        QUARANTINE_COLUMNS,
    )


def add_partitions(
    arguments: JobArguments,
    table: str,
    partitions: list[tuple[list[str], str]],
    columns: Iterable[tuple[str, str]],
) -> None:
    """Values and location of each; one that exists is left as it is."""
    described = [{"Name": name, "Type": kind} for name, kind in columns]
    inputs = [
        {"Values": values, "StorageDescriptor": {"Columns": described, "Location": location} | PARQUET}
        for values, location in partitions
    ]
    for start in range(0, len(inputs), PER_CALL):
        answer = client().batch_create_partition(
            CatalogId=arguments.account,
            DatabaseName=arguments.database,
            TableName=table,
            PartitionInputList=inputs[start : start + PER_CALL],
        )
        _check(table, answer.get("Errors", []))


def _check(table: str, errors: list[dict[str, Any]]) -> None:
    refused = [error for error in errors if error["ErrorDetail"]["ErrorCode"] != "AlreadyExistsException"]
    if refused:
        detail = refused[0]["ErrorDetail"]
        raise PartitionNotRegistered(
            f"{table}: Glue refused partition {refused[0]['PartitionValues']}: "
            f"{detail['ErrorCode']} {detail.get('ErrorMessage', '')}"
        )


def is_there(arguments: JobArguments, table: str) -> bool:
    return _table(arguments, table) is not None


def metadata_location(arguments: JobArguments, table: str) -> str | None:
    """Where the catalog says that an Iceberg table stands; None where it knows no such table."""
    found = _table(arguments, table)
    return None if found is None else found.get("Parameters", {}).get("metadata_location")


def point_at(arguments: JobArguments, table: str, *, old: str, new: str) -> None:
    """Moves an Iceberg table that nothing can open any more. Raises TableMoved if it stands elsewhere by now."""
    found = _table(arguments, table)
    if found is None or found["Parameters"].get("metadata_location") != old:
        raise TableMoved(f"{table}: somebody else has moved it since it was looked at; look again.")
    named = {name: found[name] for name in _KEPT if found.get(name)}
    moved = {"metadata_location": new, "previous_metadata_location": old}
    guard = {"VersionId": found["VersionId"]} if found.get("VersionId") else {}
    client().update_table(
        CatalogId=arguments.account,
        DatabaseName=arguments.database,
        TableInput=named | {"Parameters": found["Parameters"] | moved},
        SkipArchive=True,
        **guard,
    )


def _table(arguments: JobArguments, table: str) -> dict[str, Any] | None:
    glue = client()
    try:
        answer = glue.get_table(CatalogId=arguments.account, DatabaseName=arguments.database, Name=table)
    except glue.exceptions.EntityNotFoundException:
        return None
    found: dict[str, Any] = answer["Table"]
    return found


def client() -> Any:
    """Made anew each time: a job asks once or twice, and its process may outlive the credentials."""
    return boto3.session.Session().client("glue")
