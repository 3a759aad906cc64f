"""A tenant's dataset by hand: its entries in the ledger, files put, jobs run, rows and states read back."""

import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import boto3
import pyarrow.parquet as pq
import pytest

from glue_scripts import maintain, processed_to_analytics, raw_to_processed
from glue_scripts.catalog import PARQUET, QUARANTINE_COLUMNS
from lineage.commits import folder
from lineage.errands import Errands
from lineage.history import claim_key
from lineage.ledger import Ledger
from lineage.replays import Replays
from lineage.table import PARTITION_KEY, SORT_KEY, node_id, version_sk
from lineage.values import DatasetEntry, FileVersion, TenantEntry
from tests.glue_scripts.conftest import ACCOUNT, BUCKET, DATABASE, LEDGER

JOBS = {"raw_to_processed": raw_to_processed, "processed_to_analytics": processed_to_analytics}
TENANT = "acme"


def a_plan(dataset: str, **changes) -> dict:
    columns = ["id", "at", "amount"]
    plan = {
        "dataset": dataset,
        "contract": dataset,
        "version": "1.0.0",
        "fingerprint": "f",
        "format": "iceberg",
        "processed_format": "parquet",
        "files": [f"raw/{dataset}/**"],
        "csv": {"delimiter": ",", "quote": '"', "encoding": "UTF-8", "null_values": [""]},
        "source_columns": columns,
        "columns": [
            {"name": "id", "type": "string", "expression": "`id`", "description": "the customer's own number"},
            {"name": "at", "type": "timestamp", "expression": "try_cast(`at` AS timestamp)"},
            {"name": "amount", "type": "decimal(18,2)", "expression": "try_cast(`amount` AS decimal(18,2))"},
        ],
        "derived": [{"name": "double", "type": "decimal(18,2)", "expression": "CAST(amount * 2 AS decimal(18,2))"}],
        "rules": [
            {"id": "id.required", "column": "id", "predicate": "_src.`id` IS NOT NULL", "reason": "'id is missing'"},
            {
                "id": "amount.type",
                "column": "amount",
                "predicate": "_src.`amount` IS NULL OR amount IS NOT NULL",
                "reason": "concat('amount: ', _src.`amount`, ' is no decimal')",
            },
        ],
        "primary_key": ["id"],
        "version_column": None,
        "partition": {"year": "year(at)", "month": "date_format(at, 'MM')"},
    }
    return plan | changes


class Lake:
    """A tenant's dataset, and the jobs by hand in the place of register and dispatch."""

    def __init__(self, spark, dataset: str, **plan) -> None:
        self.spark = spark
        self.dataset = dataset
        self.ledger = Ledger(LEDGER)
        self.s3 = boto3.client("s3")
        self.now = datetime.now(UTC)
        jobs = {"raw_to_processed": "first", "processed_to_analytics": "second"}
        self.ledger.put_tenant(
            TenantEntry(tenant=TENANT, state="active", bucket=BUCKET, account=ACCOUNT, database=DATABASE, jobs=jobs)
        )
        self.deploy(**plan)
        table = {"Name": f"{dataset}_quarantine", "TableType": "EXTERNAL_TABLE"}
        table["PartitionKeys"] = [{"Name": name, "Type": "string"} for name in ("year", "month", "run")]
        columns = [{"Name": name, "Type": kind} for name, kind in QUARANTINE_COLUMNS]
        location = f"s3://{BUCKET}/quarantine/{dataset}/"
        table["StorageDescriptor"] = {"Columns": columns, "Location": location} | PARQUET
        boto3.client("glue").create_table(DatabaseName=DATABASE, TableInput=table)

    def deploy(self, **plan) -> None:
        entry = {"max_wait_s": 0, "max_files": 100, "max_bytes": 100, "files": ()}
        text = json.dumps(a_plan(self.dataset, **plan))
        self.ledger.put_dataset(DatasetEntry(tenant=TENANT, dataset=self.dataset, plan=text, **entry))

    def put(self, name: str, content: bytes | str) -> None:
        body = content.encode() if isinstance(content, str) else content
        key = f"raw/{self.dataset}/{name}"
        answer = self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        self.receive(key, answer["VersionId"], len(body), answer["ETag"], "raw_to_processed")

    def receive(
        self, key: str, version: str | None, size: int, etag: str, job: str, *, sequencer: str = "", later: bool = True
    ) -> None:
        self.now += timedelta(milliseconds=10 if later else 0)
        file = FileVersion(
            tenant=TENANT,
            dataset=self.dataset,
            key=key,
            version=version,
            size=size,
            etag=etag.strip('"'),
            arrived_at=self.now,
            sequencer=sequencer,
        )
        self.ledger.receive(file, job)

    def put_in_one_second(self, name: str, bodies: Sequence[bytes]) -> list[Callable[[], None]]:
        """Versions of one key, oldest first; their events come when they are called."""
        key, moment = f"raw/{self.dataset}/{name}", self.now
        put = [(self.s3.put_object(Bucket=BUCKET, Key=key, Body=body), len(body)) for body in bodies]

        def arrive(answer: dict, size: int, sequencer: str) -> None:
            self.now = moment
            facts = (answer["VersionId"], size, answer["ETag"], "raw_to_processed")
            self.receive(key, *facts, sequencer=sequencer, later=False)

        # The later one is longer: hex without its zeros.
        return [partial(arrive, *one, sequencer) for one, sequencer in zip(put, ("9A", "1B0"), strict=False)]

    def begin(self, job: str) -> str:
        members = self.ledger.waiting(TENANT, self.dataset, job)
        return self.ledger.begin(TENANT, job, self.dataset, members)

    def run(self, job: str, run: str | None = None) -> str:
        run = run or self.begin(job)
        options = {"--JOB_NAME": job, "--JOB_RUN_ID": f"jr_{run}", "--tenant": TENANT, "--bucket": BUCKET}
        options |= {"--database": DATABASE, "--ledger": LEDGER, "--account": ACCOUNT, "--code": "1", "--run": run}
        JOBS[job].main(["job.py", *(word for pair in options.items() for word in pair)])
        return run

    def dies(self, job: str, monkeypatch) -> None:
        """The job is cut off before it can commit to the ledger, and its files wait again."""
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "commit", cut_off)
            with pytest.raises(ConnectionError):
                self.run(job)
        self.wait(minutes=10)
        self.ledger.recover()

    def wait(self, **pause) -> None:
        """For the control plane time has passed."""
        later = self.ledger.clock() + timedelta(**pause)
        self.ledger.clock = lambda: later

    def compact(self) -> set[str]:
        """Writes all rows into as few files as possible; gives the files."""
        table = f"lake.{DATABASE}.{self.dataset}"
        self.spark.sql(f"INSERT OVERWRITE {table} SELECT /*+ COALESCE(1) */ * FROM {table}")
        return {row[0] for row in self.spark.sql(f"SELECT file_path FROM {table}.files").collect()}

    def commits(self) -> list[dict]:
        return self.s3.list_object_versions(Bucket=BUCKET, Prefix=folder(self.dataset)).get("Versions", [])

    def enter_commits(self) -> None:
        for found in self.commits():
            self.receive(found["Key"], found["VersionId"], found["Size"], found["ETag"], "processed_to_analytics")

    def replay(self, *names: str, version: str | None = None, force: bool = True, job: str = "raw_to_processed") -> str:
        """The files are opened again, and done by the job; gives the run."""
        replays = Replays(self.ledger)
        for name in names:
            key = f"raw/{self.dataset}/{name}"
            assert replays.replay(replays.plan(TENANT, key=key, version=version, force=force))
        return self.run(job)

    def forget_the_merge_of(self, commit: str) -> None:
        """The second job's claim on a commit object is as if it had never been."""
        table = boto3.resource("dynamodb").Table(LEDGER)
        pk, sk = claim_key(TENANT, node_id(commit, None), "processed_to_analytics")
        table.delete_item(Key={PARTITION_KEY: pk, SORT_KEY: sk})
        table.update_item(
            Key={PARTITION_KEY: pk, SORT_KEY: version_sk(sk.split("#")[1])}, UpdateExpression="REMOVE arrived"
        )

    def errand(self, task: str, **arguments) -> dict:
        """Asks the tenant's job `maintain` for it; gives what it answers."""
        errands = Errands(self.ledger)
        errand = errands.ask(TENANT, task, arguments)
        options = {"--JOB_NAME": "maintain", "--JOB_RUN_ID": f"jr_{errand.id}", "--tenant": TENANT, "--bucket": BUCKET}
        options |= {"--database": DATABASE, "--ledger": LEDGER, "--account": ACCOUNT, "--code": "1"}
        maintain.main(["job.py", *(word for pair in options.items() for word in pair), "--run", errand.id])
        answered = errands.get(TENANT, errand.id)
        assert answered.state == "DONE"
        return dict(answered.result)

    def snapshots(self) -> list:
        """The table's commits, oldest first."""
        table = f"lake.{DATABASE}.{self.dataset}"
        self.spark.sql(f"REFRESH TABLE {table}")
        return self.spark.sql(f"SELECT * FROM {table}.snapshots ORDER BY committed_at").collect()

    def flow(self) -> None:
        """What has been put becomes queryable."""
        self.run("raw_to_processed")
        self.enter_commits()
        self.run("processed_to_analytics")

    def rows(self, columns: str = "id, amount") -> list[tuple]:
        self.spark.catalog.clearCache()
        table = f"lake.{DATABASE}.{self.dataset}"
        self.spark.sql(f"REFRESH TABLE {table}")
        return sorted(tuple(row) for row in self.spark.sql(f"SELECT {columns} FROM {table}").collect())

    def files(self) -> dict[str, tuple]:
        found = self.ledger.files(TENANT, self.dataset)
        return {
            file.key.removeprefix(f"raw/{self.dataset}/"): (str(file.state), file.rows, file.rejected, file.reason)
            for file in found
        }

    def quarantined(self) -> list[dict]:
        partitions = boto3.client("glue").get_partitions(DatabaseName=DATABASE, TableName=f"{self.dataset}_quarantine")
        found = []
        for partition in partitions["Partitions"]:
            prefix = partition["StorageDescriptor"]["Location"].removeprefix(f"s3://{BUCKET}/")
            for listed in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]:
                body = self.s3.get_object(Bucket=BUCKET, Key=listed["Key"])["Body"].read()
                found += pq.read_table(io.BytesIO(body)).to_pylist()
        return found

    def objects(self, prefix: str) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/{self.dataset}/").get("Contents", [])
        return [found["Key"] for found in listed]


def cut_off(*_):
    raise ConnectionError("cut off")
