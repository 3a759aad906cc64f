"""The tenant's Glue database as the jobs write it: partitions of plain tables, and tables of `format: parquet`."""

from collections.abc import Iterable
from typing import Any

import boto3

from glue_scripts.arguments import JobArguments
from glue_scripts.commit_object import CommitObject
from glue_scripts.errors import PartitionNotRegistered

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


def register_partitions(arguments: JobArguments, committed: CommitObject) -> None:
    """Makes a run's rejected rows part of `<dataset>_quarantine`."""
    places = {(file.year, file.month, committed.run): file.key.rpartition("/")[0] for file in committed.quarantine}
    add_partitions(
        arguments,
        f"{committed.dataset}_quarantine",
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


def client() -> Any:
    """Made anew each time: a job asks once or twice, and its process may outlive the credentials."""
    return boto3.session.Session().client("glue")
