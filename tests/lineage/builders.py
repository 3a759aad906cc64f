"""A tenant, a dataset and files with what does not matter filled in, and a clock that stands still until moved."""

from datetime import UTC, datetime, timedelta

from lineage.ledger import Ledger
from lineage.values import DatasetEntry, FileVersion, TenantEntry

TABLE = "lake-ledger"
RAW, ANALYTICS = "raw_to_processed", "processed_to_analytics"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2024, 9, 20, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


def enter(ledger: Ledger, tenant: str, *, state: str = "active", max_in_flight: int = 2) -> None:
    ledger.put_tenant(
        TenantEntry(
            tenant=tenant,
            state=state,
            bucket=f"lake-{tenant}-dev-datalake",
            account="000000000000",
            database=f"lake_{tenant}_dev",
            jobs={RAW: f"lake-{tenant}-dev-raw-to-processed", ANALYTICS: f"lake-{tenant}-dev-processed-to-analytics"},
            max_in_flight=max_in_flight,
        )
    )
    ledger.put_dataset(a_dataset(tenant))


def a_dataset(tenant: str = "acme", dataset: str = "sales", **more: object) -> DatasetEntry:
    values = {"files": (f"raw/{dataset}/**",), "max_wait_s": 0, "max_files": 1000, "max_bytes": 10**9, "plan": "{}"}
    return DatasetEntry(tenant=tenant, dataset=dataset, **{**values, **more})  # type: ignore[arg-type]


def a_file(
    name: str = "a.csv", *, version: str | None = "v1", dataset: str | None = "sales", **more: object
) -> FileVersion:
    values = {
        "tenant": "acme",
        "key": f"raw/sales/{name}",
        "size": 10,
        "etag": "e1",
        "arrived_at": datetime(2024, 9, 20, 11, 59, tzinfo=UTC),
        "sequencer": "0055AED6DCD90281E5",
    }
    return FileVersion(dataset=dataset, version=version, **{**values, **more})  # type: ignore[arg-type]
