"""Environment dev of the committed registry in a pretended account (moto): buckets, a ledger, and a word for each deed."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cli.connection import Connection
from cli.entries import dataset_entry, tenant_entry
from lineage.errands import Errands
from lineage.receipts import Receipt
from lineage.values import CommitRecord, FileVersion, InputResult, Output

FIRST, SECOND = "raw_to_processed", "processed_to_analytics"
EARLIER = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@dataclass
class Account:
    """What the tests do on the operator's behalf, with the real ledger."""

    connection: Connection
    lake: Any

    def arrive(
        self, name: str, *, tenant: str = "acme", dataset: str | None = "transactions", held: bool = False
    ) -> str:
        return self._receive(f"raw/{dataset or 'unknown'}/{name}", FIRST, tenant, dataset, held=held)

    def _receive(self, key: str, job: str, tenant: str, dataset: str | None, *, held: bool = False) -> str:
        file = FileVersion(
            tenant=tenant, dataset=dataset, key=key, version="v1", size=10, etag=f"e-{key}", arrived_at=EARLIER
        )
        self.connection.ledger.receive_all([Receipt(file=file, job=job, held=held)])
        return key

    def process(self, *, tenant: str = "acme", dataset: str = "transactions", gives_up: str | None = None) -> None:
        """Everything that waits through both jobs; one of them may give it up."""
        ledger = self.connection.ledger
        for number, job in enumerate((FIRST, SECOND)):
            if job == gives_up:
                self._give_up(job, tenant, dataset)
                return
            waiting = ledger.waiting(tenant, dataset, job)
            run = ledger.take(tenant, job, ledger.begin(tenant, job, dataset, waiting), f"jr_{number}")
            commit = f"processed/{dataset}/_commits/{run.batch}.json"
            made = Output(key=commit, version="v1", zone="processed", dataset=dataset)
            inputs = [
                InputResult(key=each.key, version=each.version, rows=5, rejected=0, id=each.id) for each in run.members
            ]
            outputs = [made] if job == FIRST else []
            ledger.commit(run, CommitRecord(outputs=outputs, inputs=inputs, rows_in=5, rows_out=5, rejected=0))
            ledger.finalise(run)
            if job == FIRST:
                self._receive(commit, SECOND, tenant, dataset)

    def _give_up(self, job: str, tenant: str, dataset: str) -> None:
        ledger = self.connection.ledger
        for _ in range(3):
            waiting = ledger.waiting(tenant, dataset, job)
            ledger.fail(ledger.take(tenant, job, ledger.begin(tenant, job, dataset, waiting), "jr_x"), "no such column")
            later = ledger.clock() + timedelta(minutes=10)
            ledger.clock = lambda later=later: later

    @property
    def errands(self) -> Errands:
        return Errands(self.connection.ledger)


@dataclass
class Glue:
    """Glue as an errand sees it: starts a job that is a function here, and tells how its run ended.

    `job` hears the errand's id and the Glue run's, and gives the state in which the run ends.
    """

    job: Any
    busy: int = 0
    started: list[dict[str, str]] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    standing: dict[str, str] = field(default_factory=dict)
    """Of a job by its name: the state of the one run that it has."""

    def start_job_run(self, *, JobName: str, Arguments: dict[str, str]) -> dict[str, str]:
        from botocore.exceptions import ClientError

        if self.busy:
            self.busy -= 1
            raise ClientError({"Error": {"Code": "ConcurrentRunsExceededException"}}, "StartJobRun")
        self.started.append({"job": JobName, **Arguments})
        name = f"jr_{len(self.started)}"
        self.states[name] = self.job(Arguments["--run"], name)
        return {"JobRunId": name}

    def get_job_runs(self, *, JobName: str, MaxResults: int) -> dict[str, Any]:
        runs = [{"Id": f"jr_of_{JobName}", "JobRunState": self.standing[JobName]}] if JobName in self.standing else []
        return {"JobRuns": runs}

    def get_job_run(self, *, JobName: str, RunId: str) -> dict[str, Any]:
        return {"JobRun": {"JobRunState": self.states[RunId], "ErrorMessage": "out of memory"}}


def enter(connection: Connection) -> None:
    """What a deploy leaves."""
    import boto3

    from lineage import table

    boto3.client("dynamodb", region_name=connection.environment.region).create_table(
        **table.definition(connection.platform.ledger)
    )
    s3 = connection.client("s3")
    for tenant in connection.registry.tenants:
        s3.create_bucket(
            Bucket=connection.names(tenant.id).bucket,
            CreateBucketConfiguration={"LocationConstraint": connection.environment.region},
        )
        for dataset in tenant.datasets:
            connection.ledger.put_dataset(dataset_entry(connection, tenant, dataset))
        connection.ledger.put_tenant(tenant_entry(connection, tenant))
