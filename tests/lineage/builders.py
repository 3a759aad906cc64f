"""A tenant, a dataset and files with what does not matter filled in, and a clock that stands still until moved."""

from datetime import UTC, datetime, timedelta
from typing import Any

from lineage.ledger import Ledger
from lineage.values import CommitRecord, DatasetEntry, FileVersion, InputResult, Output, Run, TenantEntry

TABLE = "lake-ledger"
RAW, ANALYTICS = "raw_to_processed", "processed_to_analytics"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2024, 9, 20, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


def enter(ledger: Ledger, tenant: str, *, state: str = "active", max_in_flight: int = 2, **more: Any) -> None:
    ledger.put_tenant(
        TenantEntry(
            tenant=tenant,
            state=state,
            bucket=f"lake-{tenant}-dev-datalake",
            account="000000000000",
            database=f"lake_{tenant}_dev",
            jobs={RAW: f"lake-{tenant}-dev-raw-to-processed", ANALYTICS: f"lake-{tenant}-dev-processed-to-analytics"},
            max_in_flight=max_in_flight,
            **more,
        )
    )
    ledger.put_dataset(a_dataset(tenant))


def a_dataset(tenant: str = "acme", dataset: str = "sales", **more: Any) -> DatasetEntry:
    values: dict[str, Any] = {
        "files": (f"raw/{dataset}/**",),
        "max_wait_s": 0,
        "max_files": 1000,
        "max_bytes": 10**9,
        "plan": "{}",
    }
    return DatasetEntry(tenant=tenant, dataset=dataset, **{**values, **more})


def a_file(
    name: str = "a.csv", *, version: str | None = "v1", dataset: str | None = "sales", **more: Any
) -> FileVersion:
    values: dict[str, Any] = {
        "tenant": "acme",
        "key": f"raw/sales/{name}",
        "size": 10,
        "etag": "e1",
        "arrived_at": datetime(2024, 9, 20, 11, 59, tzinfo=UTC),
        "sequencer": "0055AED6DCD90281E5",
    }
    return FileVersion(dataset=dataset, version=version, **{**values, **more})


def begin(ledger: Ledger, *, job: str = RAW, glue_run: str = "jr_1", tenant: str = "acme") -> Run:
    """A run over everything that waits, taken."""
    waiting = ledger.waiting(tenant, "sales", job)
    return ledger.take(tenant, job, ledger.begin(tenant, job, "sales", waiting), glue_run)


def commit_key(run: Run) -> str:
    return f"processed/sales/_commits/{run.batch}.json"


def processed(run: Run, *, rows: int = 5, rejected: int = 0, reason: str | None = None, files: int = 1) -> CommitRecord:
    """What the first job commits: a Parquet file or more, and the commit object."""
    parquet = [
        Output(
            key=f"processed/sales/year=2024/month=09/{run.run}-{number}.parquet",
            version=None,
            zone="processed",
            dataset="sales",
            year="2024",
            month="09",
            rows=rows * len(run.members),
            bytes=100,
        )
        for number in range(files)
    ]
    return CommitRecord(
        outputs=[*parquet, Output(key=commit_key(run), version="c1", zone="processed", dataset="sales")],
        inputs=[
            InputResult(key=one.key, version=one.version, rows=rows, rejected=rejected, reason=reason)
            for one in run.members
        ],
        rows_in=(rows + rejected) * len(run.members),
        rows_out=rows * len(run.members),
        rejected=rejected * len(run.members),
        code="abc123",
    )


def merged(run: Run, *, snapshot: str = "77", months: tuple[str, ...] = ("09",)) -> CommitRecord:
    """What the second job commits: partitions of a snapshot."""
    return CommitRecord(
        outputs=[
            Output(
                key=f"analytics-ready/sales/year=2024/month={month}",
                version=snapshot,
                zone="analytics-ready",
                dataset="sales",
                year="2024",
                month=month,
                rows=5,
            )
            for month in months
        ],
        inputs=[InputResult(key=one.key, version=one.version, rows=5, rejected=0) for one in run.members],
        rows_in=5 * len(run.members),
        rows_out=5 * len(run.members),
        rejected=0,
        snapshot=snapshot,
    )


def process(ledger: Ledger, *, finalised: bool = True, glue_run: str = "jr_1", **record: Any) -> Run:
    """The first job over everything that waits, its commit object registered."""
    run = begin(ledger, glue_run=glue_run)
    ledger.commit(run, processed(run, **record))
    if finalised:
        ledger.finalise(run)
    ledger.receive(a_file(key=commit_key(run), version="c1"), ANALYTICS)
    return run


def merge(ledger: Ledger, *, finalised: bool = True, **record: Any) -> Run:
    """The second job over everything that waits."""
    run = begin(ledger, job=ANALYTICS, glue_run="jr_2")
    ledger.commit(run, merged(run, **record))
    if finalised:
        ledger.finalise(run)
    return run
