"""What the ledger knows of tenants and datasets: how register finds an owner, and how a job finds its plan."""

from lineage.errors import NotInLedger
from lineage.store import Store
from lineage.table import (
    FLEET,
    Dataset,
    DatasetName,
    Pointer,
    Tenant,
    bucket_pk,
    dataset_pk,
    glue_job_pk,
    tenant_pk,
)
from lineage.values import DatasetEntry, TenantEntry

DATASET_NAME = "D#"


class Entries:
    """Tenants and datasets, last write wins: they restate what `tenants.yaml` and the stacks say."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def put_tenant(self, entry: TenantEntry) -> None:
        """Pointers first: a tenant that the fleet list names can be found from its bucket and its jobs."""
        self.store.put(Pointer(pk=bucket_pk(entry.bucket), sk="#", tenant=entry.tenant))
        for job, glue_job in entry.jobs.items():
            self.store.put(Pointer(pk=glue_job_pk(glue_job), sk="#", tenant=entry.tenant, job=job))
        for pk, sk in ((tenant_pk(entry.tenant), "#"), (FLEET, entry.tenant)):
            self.store.put(_tenant_item(pk, sk, entry))

    def tenant(self, tenant: str) -> TenantEntry:
        item = self.store.get(Tenant, (tenant_pk(tenant), "#"))
        if item is None:
            raise NotInLedger(f"tenant {tenant}: not in ledger {self.store.name}; deploy it: lake deploy {tenant}")
        return _tenant_entry(item)

    def tenants(self) -> list[TenantEntry]:
        return [_tenant_entry(item) for item in self.store.query(Tenant, FLEET, consistent=False)]

    def tenant_of_bucket(self, bucket: str) -> str | None:
        item = self.store.get(Pointer, (bucket_pk(bucket), "#"))
        return item.tenant if item else None

    def owner_of_glue_job(self, glue_job: str) -> tuple[str, str] | None:
        """(tenant, job) of a Glue job's name; None when it is not one of the lake's."""
        item = self.store.get(Pointer, (glue_job_pk(glue_job), "#"))
        return (item.tenant, item.job) if item else None

    def put_dataset(self, entry: DatasetEntry) -> None:
        """The entry first, then its name in the tenant's list: what is listed can be read."""
        item = Dataset(
            pk=dataset_pk(entry.tenant, entry.dataset),
            sk="#",
            tenant=entry.tenant,
            dataset=entry.dataset,
            files=list(entry.files),
            max_wait_s=entry.max_wait_s,
            max_files=entry.max_files,
            max_bytes=entry.max_bytes,
            plan=entry.plan,
        )
        self.store.put(item)
        self.store.put(
            DatasetName(pk=tenant_pk(entry.tenant), sk=f"{DATASET_NAME}{entry.dataset}", dataset=entry.dataset)
        )

    def dataset(self, tenant: str, dataset: str) -> DatasetEntry:
        item = self.store.get(Dataset, (dataset_pk(tenant, dataset), "#"))
        if item is None:
            known = ", ".join(self.dataset_names(tenant)) or "none"
            raise NotInLedger(f"dataset {dataset} of tenant {tenant}: not in the ledger; deployed datasets: {known}")
        return _dataset_entry(item)

    def dataset_names(self, tenant: str) -> list[str]:
        return [item.dataset for item in self.store.query(DatasetName, tenant_pk(tenant), DATASET_NAME)]

    def datasets(self, tenant: str) -> list[DatasetEntry]:
        keys = [(dataset_pk(tenant, name), "#") for name in self.dataset_names(tenant)]
        found = self.store.batch_get(Dataset, keys)
        return [_dataset_entry(found[key]) for key in keys if key in found]


def _tenant_item(pk: str, sk: str, entry: TenantEntry) -> Tenant:
    return Tenant(
        pk=pk,
        sk=sk,
        tenant=entry.tenant,
        st=entry.state,
        bucket=entry.bucket,
        account=entry.account,
        database=entry.database,
        jobs=dict(entry.jobs),
        max_in_flight=entry.max_in_flight,
    )


def _tenant_entry(item: Tenant) -> TenantEntry:
    return TenantEntry(
        tenant=item.tenant,
        state=item.st,
        bucket=item.bucket,
        account=item.account,
        database=item.database,
        jobs=item.jobs,
        max_in_flight=int(item.max_in_flight),
    )


def _dataset_entry(item: Dataset) -> DatasetEntry:
    return DatasetEntry(
        tenant=item.tenant,
        dataset=item.dataset,
        files=tuple(item.files),
        max_wait_s=int(item.max_wait_s),
        max_files=int(item.max_files),
        max_bytes=int(item.max_bytes),
        plan=item.plan,
    )
