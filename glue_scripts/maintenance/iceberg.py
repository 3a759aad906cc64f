"""A dataset's Iceberg table as the tasks see it: snapshots, procedures, metadata tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from pyspark.sql import Row, SparkSession

from glue_scripts import tables
from glue_scripts.maintenance.errand_run import ErrandRun


class IcebergTable:
    """A table that exists."""

    def __init__(self, run: ErrandRun, spark: SparkSession, dataset: str, table: Any) -> None:
        self.dataset = dataset
        self.table = table
        self.name = tables.name_of(run.arguments.database, dataset)
        self._run = run
        self._spark = spark

    @staticmethod
    def open(run: ErrandRun, spark: SparkSession, dataset: str) -> "IcebergTable | None":
        """As it stands now; None where no file has reached the dataset yet."""
        tables.prepare(spark, run.bucket, small=False)
        table = tables.load(spark, tables.name_of(run.arguments.database, dataset))
        if table is None:
            return None
        table.refresh()
        return IcebergTable(run, spark, dataset, table)

    def query(self, select: str, metadata: str = "", rest: str = "") -> list[Row]:
        """Rows of the table, or of one of its metadata tables (`files`, `snapshots`, …), as it stands now."""
        table = ".".join(f"`{part}`" for part in self.name.split("."))
        self._spark.sql(f"REFRESH TABLE {table}")
        source = f"{table}.{metadata}" if metadata else table
        return self._spark.sql(f"SELECT {select} FROM {source} {rest}").collect()  # noqa: S608 - our own words

    def call(self, procedure: str, **arguments: str) -> dict[str, Any]:
        """Calls one of Iceberg's procedures; arguments are SQL. What it commits names the errand."""
        given = ", ".join(f"{name} => {value}" for name, value in arguments.items())
        labels = {"lake.errand": self._run.errand.id, "lake.task": self._run.errand.task}
        table = self.name.removeprefix(f"{tables.CATALOG}.")
        with tables.labelled(self._spark, labels):
            answer = self._spark.sql(
                f"CALL {tables.CATALOG}.system.{procedure}(table => '{table}'{', ' if given else ''}{given})"
            ).collect()
        self.table.refresh()
        return answer[0].asDict() if answer else {}

    def snapshots(self) -> list[Any]:
        """All that are kept, oldest first: also those that a rollback left aside."""
        return list(self.table.snapshots())

    @property
    def metadata_file(self) -> str:
        """Where the metadata lies that the catalog points at."""
        return str(self.table.operations().current().metadataFileLocation())

    def properties(self) -> Mapping[str, str]:
        return dict(self.table.properties())

    def set_property(self, name: str, value: str) -> None:
        self.table.updateProperties().set(name, value).commit()

    def ancestry(self) -> Iterator[Any]:
        return tables.ancestry(self.table)
