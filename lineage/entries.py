"""What the ledger knows of tenants and datasets: how register finds an owner, and how a job finds its plan."""

from typing import Any

from lineage import lifetimes
from lineage.errors import NotInLedger
from lineage.items import Dataset, DatasetName, Pointer, Tenant
from lineage.store import Store, sets
from lineage.table import FLEET, bucket_pk, description_pk, glue_job_pk, tenant_pk
from lineage.values import DatasetEntry, TenantEntry, moment

DATASET_NAME = "D#"
ERRANDS = "maintain"  # the job that a tenant's errand job is found as


class Entries:
    """Tenants and datasets, last write wins: they restate what `tenants.yaml` and the stacks say."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def put_tenant(self, entry: TenantEntry) -> None:
        """Pointers first: a tenant that the fleet list names can be found from its bucket and its jobs.

        An operator's hold is not the registry's: it stays as it is.
        """
        self.store.put(Pointer(pk=bucket_pk(entry.bucket), sk="#", tenant=entry.tenant))
        glue_jobs = {**entry.jobs, **({ERRANDS: entry.errand_job} if entry.errand_job else {})}
        for job, glue_job in glue_jobs.items():
            self.store.put(Pointer(pk=glue_job_pk(glue_job), sk="#", tenant=entry.tenant, job=job))
        old = self.store.get(Tenant, (tenant_pk(entry.tenant), "#"))
        before = (old.retention or {}, old.raised or {}) if old else ({}, {})
        raised = lifetimes.raised_by(before[0], entry.retention, before[1], self.store.clock())
        for key in tenant_keys(entry.tenant):
            self.store.update(key, [*_tenant_actions(entry), Tenant.raised.set(raised)])

    def tenant(self, tenant: str) -> TenantEntry:
        item = self.store.get(Tenant, (tenant_pk(tenant), "#"))
        if item is None:
            raise NotInLedger(f"tenant {tenant}: not in ledger {self.store.name}; deploy it: lake deploy {tenant}")
        return _tenant_entry(item)

    def listed(self, tenant: str) -> TenantEntry | None:
        """The fleet's copy of the entry, which is written after the tenant's own."""
        item = self.store.get(Tenant, tenant_keys(tenant)[1])
        return None if item is None else _tenant_entry(item)

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
            pk=description_pk(entry.tenant, entry.dataset),
            sk="#",
            tenant=entry.tenant,
            dataset=entry.dataset,
            files=list(entry.files),
            max_wait_s=entry.max_wait_s,
            max_files=entry.max_files,
            max_bytes=entry.max_bytes,
            schedule=None if entry.schedule is None else dict(entry.schedule),
            plan=entry.plan,
        )
        self.store.put(item)
        self.store.put(
            DatasetName(pk=tenant_pk(entry.tenant), sk=f"{DATASET_NAME}{entry.dataset}", dataset=entry.dataset)
        )

    def dataset(self, tenant: str, dataset: str) -> DatasetEntry:
        item = self.store.get(Dataset, (description_pk(tenant, dataset), "#"))
        if item is None:
            known = ", ".join(self.dataset_names(tenant)) or "none"
            raise NotInLedger(f"dataset {dataset} of tenant {tenant}: not in the ledger; deployed datasets: {known}")
        return _dataset_entry(item)

    def dataset_names(self, tenant: str) -> list[str]:
        return [item.dataset for item in self.store.query(DatasetName, tenant_pk(tenant), DATASET_NAME)]

    def datasets(self, tenant: str) -> list[DatasetEntry]:
        keys = [(description_pk(tenant, name), "#") for name in self.dataset_names(tenant)]
        found = self.store.batch_get(Dataset, keys)
        return [_dataset_entry(found[key]) for key in keys if key in found]


def tenant_keys(tenant: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """The tenant's own entry, and its copy for the fleet."""
    return (tenant_pk(tenant), "#"), (FLEET, tenant)


def _tenant_actions(entry: TenantEntry) -> list[Any]:
    known = {
        "tenant": entry.tenant,
        "st": entry.state,
        "bucket": entry.bucket,
        "account": entry.account,
        "database": entry.database,
        "jobs": dict(entry.jobs),
        "max_in_flight": entry.max_in_flight,
        "retention": dict(entry.retention),
    }
    actions = [Tenant.kind.set(Tenant), *sets(Tenant, known)]
    for attribute, value in ((Tenant.topic, entry.topic), (Tenant.errand_job, entry.errand_job)):
        actions.append(attribute.set(value) if value else attribute.remove())
    return actions


def _tenant_entry(item: Tenant) -> TenantEntry:
    return TenantEntry(
        tenant=item.tenant,
        state=item.st,
        bucket=item.bucket,
        account=item.account,
        database=item.database,
        jobs=item.jobs,
        max_in_flight=int(item.max_in_flight),
        errand_job=item.errand_job,
        retention={zone: int(days) for zone, days in (item.retention or {}).items()},
        topic=item.topic,
        held_since=moment(item.held_since) if item.held_since else None,
        held_reason=item.held_reason,
    )


def _dataset_entry(item: Dataset) -> DatasetEntry:
    return DatasetEntry(
        tenant=item.tenant,
        dataset=item.dataset,
        files=tuple(item.files),
        max_wait_s=int(item.max_wait_s),
        max_files=int(item.max_files),
        max_bytes=int(item.max_bytes),
        schedule=item.schedule,
        plan=item.plan,
    )
