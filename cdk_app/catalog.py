"""The tenant's Glue database and the tables of refused rows; a dataset's own table is made by its job."""

from aws_cdk import aws_glue as glue
from constructs import Construct

from cdk_app.values import ANALYTICS_READY, QUARANTINE, Site

__all__ = ["QUARANTINE_COLUMNS", "QUARANTINE_PARTITIONS", "Catalog"]

QUARANTINE_COLUMNS = {
    "file": "string",
    "version": "string",
    "reasons": "array<string>",
    "record": "string",
    "batch": "string",
    "quarantined_at": "timestamp",
}
QUARANTINE_PARTITIONS = {"year": "string", "month": "string", "run": "string"}
PARQUET = "org.apache.hadoop.hive.ql.io.parquet"


class Catalog(Construct):
    """One database; `<dataset>_quarantine` for every dataset."""

    def __init__(
        self, scope: Construct, construct_id: str, *, site: Site, database: str, bucket: str, datasets: tuple[str, ...]
    ) -> None:
        super().__init__(scope, construct_id)
        self.database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=site.account,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=database, location_uri=f"s3://{bucket}/{ANALYTICS_READY}"
            ),
        )
        # It holds the tables that jobs make; the tables below are made again by a deploy.
        self.database.apply_removal_policy(site.removal_policy)
        for dataset in datasets:
            table = glue.CfnTable(
                self,
                f"Quarantine-{dataset}",
                catalog_id=site.account,
                database_name=database,
                table_input=quarantine_table(dataset, bucket),
            )
            table.add_resource_dependency(self.database)


def quarantine_table(dataset: str, bucket: str) -> glue.CfnTable.TableInputProperty:
    return glue.CfnTable.TableInputProperty(
        name=f"{dataset}_quarantine",
        description=f"Rows and files of {dataset} that were refused, with the reasons",
        table_type="EXTERNAL_TABLE",
        parameters={"classification": "parquet", "EXTERNAL": "TRUE"},
        partition_keys=columns(QUARANTINE_PARTITIONS),
        storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
            columns=columns(QUARANTINE_COLUMNS),
            location=f"s3://{bucket}/{QUARANTINE}{dataset}/",
            input_format=f"{PARQUET}.MapredParquetInputFormat",
            output_format=f"{PARQUET}.MapredParquetOutputFormat",
            serde_info=glue.CfnTable.SerdeInfoProperty(
                serialization_library=f"{PARQUET}.serde.ParquetHiveSerDe", parameters={"serialization.format": "1"}
            ),
        ),
    )


def columns(types: dict[str, str]) -> list[glue.CfnTable.ColumnProperty]:
    return [glue.CfnTable.ColumnProperty(name=name, type=kind) for name, kind in types.items()]
