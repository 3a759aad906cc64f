"""Both jobs, as they are run on Spark, die at their calls to AWS: those of Python, of Spark's workers and of the JVM.

Then Glue or the missing heartbeat tells the ledger, the files wait again, and the next run finds what is there. In the
end each row is in the table once, and no snapshot of the table ever held a part of a batch.
"""

import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from glue_scripts import bucket, processed_to_analytics, raw_to_processed
from lineage.errors import NothingClaimed
from lineage.ledger import Ledger
from lineage.table import definition
from lineage.values import DatasetEntry, FileVersion, Member, TenantEntry
from tests.faults.injection import Process, _without_pauses
from tests.faults.wire import Wire
from tests.glue_scripts.conftest import ACCOUNT, CREDENTIALS, a_cloud
from tests.glue_scripts.test_jobs import a_plan

pytestmark = [pytest.mark.cloud, pytest.mark.spark]

JOBS = {"raw_to_processed": raw_to_processed, "processed_to_analytics": processed_to_analytics}
FIRST, SECOND = JOBS
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

    def _receive(  # noqa: PLR0917
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
        listed = self.s3.list_object_versions(Bucket=BUCKET, Prefix=f"processed/{self.dataset}/_commits/")
        for found in listed.get("Versions", []):
            self._receive(found["Key"], found["VersionId"], found["Size"], found["ETag"], SECOND)

    def run(self, job: str, process: Process | None = None, *, most: int = 100) -> bool:
        """One run over what waits, begun here and worked by the process; True = there was one."""
        members = self._batch(job)[:most]
        if not members:
            return False
        try:
            run = self.ledger.begin(TENANT, job, self.dataset, members)
        except NothingClaimed:
            return False
        options = {"--JOB_NAME": job, "--JOB_RUN_ID": f"jr_{run}", "--tenant": TENANT, "--bucket": BUCKET}
        options |= {"--database": DATABASE, "--ledger": LEDGER, "--account": ACCOUNT, "--code": "1", "--run": run}
        with self.wire.on(process or Process()) as on_the_wire:
            try:
                JOBS[job].main(["job.py", *itertools.chain.from_iterable(options.items())])
            except Exception:
                assert on_the_wire.fired, "it fails though nothing was done to it"
        return True

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
        key = f"processed/{self.dataset}/_commits/{batch}.json"
        return json.load(io.TextIOWrapper(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"]))


# -- the points -------------------------------------------------------------------------------------------------------

COMMIT = "s3.PUT */_commits/*"
TELLING = {
    FIRST: [
        "kill_after:1@s3.PUT *.parquet",
        f"kill_before:1@{COMMIT}",
        f"kill_after:1@{COMMIT}",
        "kill_after:1@dynamodb.TransactWriteItems",
        f"lost:1@{COMMIT}",
    ],
    SECOND: [
        "kill_before:1@glue.UpdateTable",
        "kill_after:1@glue.UpdateTable",
        "lost:1@glue.UpdateTable",
        "kill_before:1@dynamodb.TransactWriteItems",
        "kill_after:1@dynamodb.TransactWriteItems",
    ],
}
"""The calls that decide something; `make test-all` dies at all others too."""


def die(lake: Lake, job: str, plan: str, name: str) -> Process:
    """A new file, the job that dies on its way, and then a day as any other."""
    process = Process(plan)
    lake.put(f"{name}.csv", f"{name} {plan} 1", f"{name} {plan} 2")
    if job == SECOND:
        lake.run(FIRST)
        lake.hear()
    lake.run(job, process)
    lake.drain()
    return process


def test_the_calls_that_decide_may_be_the_last_ones(wire):
    lake = Lake(wire, primary_key=[])
    for job, plans in TELLING.items():
        for number, plan in enumerate(plans):
            assert die(lake, job, plan, f"{job}-{number}").fired, f"{job}: no call for {plan}"

    assert lake.violations() == []


def every_point(wire, job: str, plan: str, **contract) -> None:
    """The n-th call for all n, a fresh table every so often; until a plan does not fire any more."""
    for number in itertools.count(1):
        if number % FRESH_AFTER == 1:
            lake = Lake(wire, **contract)
        if not die(lake, job, plan.format(number), f"{job}-{number}").fired:
            break
        assert lake.violations() == [], f"{job}, {plan.format(number)}"
    assert number > 15


FRESH_AFTER = 12


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plan", ["kill_before:{}", "kill_after:{}", "lost:{}", "error:{}:AccessDenied"])
@pytest.mark.parametrize("job", JOBS)
def test_any_call_may_be_the_last_one(wire, job, plan):
    every_point(wire, job, plan, primary_key=[])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plan", ["kill_after:{}", "lost:{}"])
def test_any_call_may_be_the_last_one_of_a_merge_by_key(wire, plan):
    every_point(wire, SECOND, plan, primary_key=["id"])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("plan", ["kill_before:{}", "kill_after:{}", "lost:{}"])
def test_any_call_may_be_the_last_one_of_the_run_that_makes_the_table(wire, plan):
    for number in range(1, 80, 3):
        lake = Lake(wire, primary_key=[])
        fired = die(lake, SECOND, plan.format(number), "first").fired
        assert lake.violations() == [], plan.format(number)
        if not fired:
            break


@pytest.mark.parametrize("orders", [8, pytest.param(24, marks=pytest.mark.slow)])
def test_of_four_versions_the_newest_stays_in_whatever_order_they_come(wire, orders):
    """Each twice, and each in a batch of its own."""
    lake = Lake(wire, primary_key=["id"])
    moments = [datetime.now(UTC) + timedelta(seconds=second) for second in range(4)]
    every = list(itertools.permutations(range(4)))
    for order in every[:: len(every) // orders]:
        name = "".join(map(str, order))
        versions = [lake.version(f"{name}.csv", f"id,at,amount\n{name},2024-09-20,{amount}\n") for amount in range(4)]
        for number in order:
            for _ in range(2):
                lake.arrive(versions[number], moments[number])
            lake.run(FIRST)
        lake.hear()
        while lake.run(SECOND, most=1):
            pass

    found = lake.spark.sql(f"SELECT id, amount FROM {lake.table}").collect()
    assert [str(amount) for _, amount in found] == ["3.00"] * orders
