"""A dataset on Spark, S3, Glue and DynamoDB look-alikes, with a wire between all of them and whoever works on it."""

import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from glue_scripts import bucket, maintain, processed_to_analytics, raw_to_processed
from lineage.commits import folder, key_of
from lineage.errands import Errands
from lineage.errors import NothingClaimed
from lineage.ledger import Ledger
from lineage.table import definition
from lineage.values import DatasetEntry, Errand, FileVersion, Member, TenantEntry
from tests.faults.injection import Process, _without_pauses
from tests.faults.wire import Wire
from tests.glue_scripts.conftest import ACCOUNT, CREDENTIALS, a_cloud
from tests.glue_scripts.test_jobs import a_plan

SCRIPTS = {
    "raw_to_processed": raw_to_processed,
    "processed_to_analytics": processed_to_analytics,
    "maintain": maintain,
}
FIRST, SECOND, MAINTAIN = SCRIPTS
TENANT, BUCKET, DATABASE, LEDGER = "faulty", "faulty-lake", "faulty_lake", "faulty-ledger"

IMPATIENT = {
    "s3.retry.num-retries": "0",
    "table-default.commit.retry.num-retries": "1",
    "table-default.commit.status-check.num-retries": "1",
    "table-default.commit.status-check.min-wait-ms": "1",
}
"""A dead process tries nothing again; what the JVM does in its place would only take time."""


@pytest.fixture(scope="module")
def wire(spark, tmp_path_factory) -> Iterator[Wire]:
    """A cloud of our own behind a wire, and a Spark session that knows no other way."""
    from pyspark.sql import SparkSession

    for direct in a_cloud(spark, tmp_path_factory.mktemp("faulty")):
        made = Wire(direct)
        session = spark.newSession()
        endpoints = {"glue.endpoint": made.url, "s3.endpoint": made.url}
        for name, value in (endpoints | IMPATIENT).items():
            session.conf.set(f"spark.sql.catalog.lake.{name}", value)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": made.url}).items():
                patch.setenv(name, value)
            patch.setitem(spark.sparkContext.environment, "AWS_ENDPOINT_URL", made.url)
            patch.setattr(SparkSession, "_instantiatedSession", session)
            _hadoop(spark, {"endpoint": made.url, "attempts.maximum": "1", "retry.limit": "1"})
            _make_current(session)
            hurried = _without_pauses()
            bucket._client.cache_clear()
            _provide()
            made.spark = session
            yield made
            hurried()
            bucket._client.cache_clear()
        _make_current(spark)
        _hadoop(spark, {"attempts.maximum": "5", "retry.limit": "7"})
        spark._jvm.org.apache.hadoop.fs.FileSystem.closeAll()
        made.close()


def _hadoop(spark, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        spark.sparkContext._jsc.hadoopConfiguration().set(f"fs.s3a.{name}", value)


def _make_current(session) -> None:
    session._jvm.SparkSession.setDefaultSession(session._jsparkSession)
    session._jvm.SparkSession.setActiveSession(session._jsparkSession)


def _provide() -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    boto3.client("glue").create_database(DatabaseInput={"Name": DATABASE})
    boto3.client("dynamodb").create_table(**definition(LEDGER))


class Lake:
    """A dataset, and what register, dispatch and Glue do for it."""

    names = itertools.count()

    def __init__(self, wire: Wire, **plan) -> None:
        self.wire = wire
        self.spark = wire.spark
        self.dataset = f"sales_{next(self.names)}"
        self.table = f"lake.{DATABASE}.{self.dataset}"
        self.s3 = boto3.client("s3")
        self.late = timedelta()
        self.ledger = Ledger(LEDGER, clock=lambda: datetime.now(UTC) + self.late)
        jobs = {FIRST: "first", SECOND: "second"}
        self.ledger.put_tenant(
            TenantEntry(tenant=TENANT, state="active", bucket=BUCKET, account=ACCOUNT, database=DATABASE, jobs=jobs)
        )
        text = json.dumps(a_plan(self.dataset, **plan))
        rule = {"max_wait_s": 0, "max_files": 100, "max_bytes": 10**9}
        self.ledger.put_dataset(DatasetEntry(tenant=TENANT, dataset=self.dataset, files=(), plan=text, **rule))
        self.rows: Counter[str] = Counter()
        self.checked: set[int] = set()

    def put(self, name: str, *ids: str) -> None:
        """A file of rows; the moment of arrival is that of the event."""
        body = "\n".join(["id,at,amount", *(f"{one},2024-09-20,1" for one in ids)]) + "\n"
        self._receive(*self.version(name, body), FIRST)
        self.rows.update(ids)

    def version(self, name: str, body: str) -> tuple[str, str, int, str]:
        """An object whose event has not come yet."""
        key = f"raw/{self.dataset}/{name}"
        answer = self.s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode())
        return key, answer["VersionId"], len(body), answer["ETag"]

    def arrive(self, version: tuple[str, str, int, str], moment: datetime) -> None:
        self._receive(*version, FIRST, moment)

    def _receive(  # noqa: PLR0917 - an event's words in their order
        self, key: str, version: str, size: int, etag: str, job: str, moment: datetime | None = None
    ) -> None:
        file = FileVersion(
            tenant=TENANT,
            dataset=self.dataset,
            key=key,
            version=version,
            size=size,
            etag=etag.strip('"'),
            arrived_at=moment or datetime.now(UTC),
            sequencer="",
        )
        self.ledger.receive(file, job)

    def hear(self) -> None:
        """The events of the commit objects, each as often as we ask."""
        listed = self.s3.list_object_versions(Bucket=BUCKET, Prefix=folder(self.dataset))
        for found in listed.get("Versions", []):
            self._receive(found["Key"], found["VersionId"], found["Size"], found["ETag"], SECOND)

    def run(self, job: str, process: Process | None = None, *, most: int = 100) -> bool:
        """One run over what waits, begun here and worked by the process; True = there was one."""
        try:
            run = self.begin(job, most=most)
        except NothingClaimed:
            return False
        self._start(job, run, process)
        return True

    def begin(self, job: str, *, most: int = 100) -> str:
        """A run over what waits. Raises NothingClaimed."""
        members = self._batch(job)[:most]
        if not members:
            raise NothingClaimed("nothing waits")
        return self.ledger.begin(TENANT, job, self.dataset, members)

    def options(self, script: str, run: str) -> list[str]:
        given = {"--JOB_NAME": script, "--JOB_RUN_ID": f"jr_{run}", "--tenant": TENANT, "--bucket": BUCKET}
        given |= {"--database": DATABASE, "--ledger": LEDGER, "--account": ACCOUNT, "--code": "1", "--run": run}
        return [*itertools.chain.from_iterable(given.items())]

    def _start(self, script: str, run: str, process: Process | None) -> None:
        with self.wire.on(process or Process()) as on_the_wire:
            try:
                SCRIPTS[script].main(["job.py", *self.options(script, run)])
            except Exception:
                assert on_the_wire.fired, "it fails though nothing was done to it"

    def errand(self, task: str, process: Process | None = None, **arguments: object) -> Errand:
        """The tenant's job `maintain` on an errand of its own; as it was left."""
        errands = Errands(self.ledger)
        asked = errands.ask(TENANT, task, arguments)
        self._start(MAINTAIN, asked.id, process)
        return errands.get(TENANT, asked.id)

    def _batch(self, job: str) -> list[Member]:
        """What failed together is tried again together."""
        members = self.ledger.waiting(TENANT, self.dataset, job)
        groups = {member.group for member in members if member.group}
        return [member for member in members if member.group == next(iter(groups), None)]

    def drain(self) -> None:
        """Nobody dies any more, and time passes."""
        for _ in range(8):
            self.late += timedelta(minutes=20)
            self.ledger.recover()
            self.late += timedelta(minutes=5)
            worked = [self.run(FIRST), self._run_second()]
            if not any(worked):
                return

    def _run_second(self) -> bool:
        self.hear()
        return self.run(SECOND)

    # -- what must hold -----------------------------------------------------------------------------------------------

    def violations(self) -> list[str]:
        self.spark.catalog.clearCache()
        self.spark.sql(f"REFRESH TABLE {self.table}")
        found = Counter(row[0] for row in self.spark.sql(f"SELECT id FROM {self.table}").collect())
        wrong = [
            f"row {one}: {found[one]} times, expected {self.rows[one]}"
            for one in found | self.rows
            if found[one] != self.rows[one]
        ]
        states = {file.key: str(file.state) for file in self.ledger.files(TENANT, self.dataset)}
        wrong += [f"{key}: {state}" for key, state in states.items() if state != "QUERYABLE"]
        wrong += [f"run {run.run}: {run.state}, untidy" for run in self.ledger.unfinished()]
        return wrong + list(self._halves())

    def _halves(self) -> Iterator[str]:
        """A reader of any snapshot sees whole batches."""
        for (snapshot,) in self.spark.sql(f"SELECT snapshot_id FROM {self.table}.snapshots").collect():
            if snapshot in self.checked:
                continue
            self.checked.add(snapshot)
            counted = f"SELECT _batch, count(*) FROM {self.table} VERSION AS OF {snapshot} GROUP BY _batch"
            for batch, rows in self.spark.sql(counted).collect():
                expected = sum(file["rows"] for file in self._commit(batch)["files"])
                if rows != expected:
                    yield f"snapshot {snapshot}: {rows} of {expected} rows of batch {batch}"

    def _commit(self, batch: str) -> dict:
        stored = self.s3.get_object(Bucket=BUCKET, Key=key_of(self.dataset, batch))
        return json.load(io.TextIOWrapper(stored["Body"]))
