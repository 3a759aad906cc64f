"""What the ledger is told of a tenant: its entries by the registry, what they change, and the writing of them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cli.connection import Connection
    from lineage.ledger import Ledger
    from lineage.values import DatasetEntry, TenantEntry
    from tenants.model import Dataset, Tenant
    from tenants.naming import TenantNames
    from tenants.registry import Registry

__all__ = ["NOT_WHOLE", "Digests", "Entries"]

UNSAID = {"held_since", "held_reason"}
"""What an operator says of a tenant, and the registry does not."""
FINGERPRINT_SHOWN = 12
NOT_WHOLE = "entries that are not whole, as an interrupted deploy leaves them"


@dataclass(frozen=True)
class Entries:
    """A tenant and its datasets as the ledger shall know them, and as it knows them so far."""

    tenant: "TenantEntry"
    datasets: "Mapping[str, DatasetEntry]"
    known_tenant: "TenantEntry | None"
    known_datasets: "Mapping[str, DatasetEntry]"

    @classmethod
    def of(cls, connection: "Connection", tenant: "Tenant", fleet: "Mapping[str, TenantEntry]") -> "Entries":
        """`fleet` is what every tenant's list says; a tenant that it does not name is written whole."""
        datasets = {dataset.name: dataset_entry(connection, tenant, dataset) for dataset in tenant.datasets}
        if tenant.id not in fleet:
            return cls(tenant_entry(connection, tenant), datasets, None, {})
        known = {entry.dataset: entry for entry in connection.ledger.datasets(tenant.id)}
        # Its line is gone: what arrives for it from now on is UNROUTED, what it has stays.
        gone = {name: replace(entry, files=()) for name, entry in known.items() if name not in datasets}
        return cls(tenant_entry(connection, tenant), datasets | gone, _known(connection, tenant.id, fleet), known)

    @property
    def is_tenant_changed(self) -> bool:
        return self.known_tenant is None or bool(list(_differing(self.tenant, self.known_tenant)))

    @property
    def is_changed(self) -> bool:
        return self.is_tenant_changed or bool(self.changed_datasets)

    @property
    def may_resume(self) -> bool:
        """Whether the tenant becomes active again, as far as is known, so that files of it may be HELD."""
        from lineage.values import ACTIVE

        if self.tenant.state != ACTIVE or not self.known_datasets:
            return False
        return self.known_tenant is None or self.known_tenant.state != ACTIVE

    @property
    def changed_datasets(self) -> "list[DatasetEntry]":
        return [entry for name, entry in self.datasets.items() if entry != self.known_datasets.get(name)]

    def changes(self) -> Iterator[str]:
        """What a person may want to know of an entry that stands and will be another; nothing of a new tenant."""
        if not self.known_datasets:
            return
        if self.known_tenant is None:
            yield NOT_WHOLE
        for name, was, is_ in _differing(self.tenant, self.known_tenant) if self.known_tenant else ():
            yield f"{name.replace('_', ' ')}: {_shown(was)} → {_shown(is_)}"
        for entry in self.changed_datasets:
            yield from _dataset_changes(self.known_datasets.get(entry.dataset), entry)

    def write(self, ledger: "Ledger") -> None:
        """Datasets first: whoever finds the tenant finds what it sends. What is known already is not written."""
        for entry in self.changed_datasets:
            ledger.put_dataset(entry)
        if self.is_tenant_changed:
            ledger.put_tenant(self.tenant)


def _known(connection: "Connection", tenant: str, fleet: "Mapping[str, TenantEntry]") -> "TenantEntry | None":
    """The tenant's entry, if the fleet's copy of it says the same: a deploy may have died between the two."""
    from lineage.errors import NotInLedger

    try:
        own = connection.ledger.tenant(tenant)
    except NotInLedger:
        return None
    return own if not list(_differing(own, fleet[tenant])) else None


def _differing(one: "TenantEntry", other: "TenantEntry") -> Iterator[tuple[str, Any, Any]]:
    """Names of fields with the value in `other`, then in `one`."""
    for name in [field.name for field in fields(one) if field.name not in UNSAID]:
        was, is_ = getattr(other, name), getattr(one, name)
        if was != is_:
            yield name, was, is_


def _dataset_changes(known: "DatasetEntry | None", entry: "DatasetEntry") -> Iterator[str]:
    if known is None:
        yield f"dataset {entry.dataset}: new"
        return
    if not entry.files and known.files:
        yield f"dataset {entry.dataset}: its line is gone; it takes no more files"
        return
    if entry.plan != known.plan:
        yield f"contract of {entry.dataset} changed: new fingerprint {_fingerprint(entry)}"
    for name in ("files", "max_wait_s", "max_files", "max_bytes", "schedule"):
        was, is_ = getattr(known, name), getattr(entry, name)
        if was != is_:
            yield f"{name.replace('_', ' ')} of {entry.dataset}: {_shown(was)} → {_shown(is_)}"


def _fingerprint(entry: "DatasetEntry") -> str:
    return str(json.loads(entry.plan)["fingerprint"])[:FINGERPRINT_SHOWN]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return json.dumps(dict(value), separators=(", ", ": ")).replace('"', "")
    if isinstance(value, tuple):
        return " ".join(value)
    return "none" if value is None else str(value)


class Digests:
    """What the ledger shall be told of tenants, each as a digest: no call, and what they share is reckoned once."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.plans: dict[tuple[str, str], Compiled] = {}
        # By identity, which is right as long as the registry is there: tenants share what is the same of them.
        self.retentions: dict[tuple[int, bool], dict[str, int]] = {}
        self.datasets: dict[int, str] = {}
        self.encode = json.JSONEncoder(sort_keys=True).encode

    def of(self, tenant: "Tenant", names: "TenantNames | None" = None) -> str:
        told = vars(tenant_entry(self.connection, tenant, names, self._retention(tenant)))
        datasets = sorted((dataset.name, self._dataset(tenant, dataset)) for dataset in tenant.datasets)
        return _hash(self.encode([told, datasets]))

    def parts(self, tenant: "Tenant", names: "TenantNames | None" = None) -> tuple[str, dict[str, str]]:
        """Of the tenant itself, without its state, and of each dataset."""
        asked = self.connection.environment.retention_of(tenant).model_dump()  # as it is when the tenant is active
        told = vars(tenant_entry(self.connection, tenant, names, asked)) | {"state": None}
        datasets = {dataset.name: self._dataset(tenant, dataset) for dataset in tenant.datasets}
        return _hash(self.encode(told)), datasets

    def _retention(self, tenant: "Tenant") -> dict[str, int]:
        key = id(tenant.retention), tenant.is_active
        if key not in self.retentions:
            self.retentions[key] = retention_of(self.connection, tenant)
        return self.retentions[key]

    def _dataset(self, tenant: "Tenant", dataset: "Dataset") -> str:
        if id(dataset) not in self.datasets:
            entry = dataset_entry(self.connection, tenant, dataset, self._compiled(dataset))
            self.datasets[id(dataset)] = _hash(self.encode(vars(entry) | {"tenant": None}))
        return self.datasets[id(dataset)]

    def _compiled(self, dataset: "Dataset") -> "Compiled":
        key = (dataset.contract, dataset.name)
        if key not in self.plans:
            self.plans[key] = compiled_for(self.connection.registry, dataset)
        return self.plans[key]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def retention_of(connection: "Connection", tenant: "Tenant") -> dict[str, int]:
    return connection.environment.kept_of(tenant).model_dump()


def tenant_entry(
    connection: "Connection",
    tenant: "Tenant",
    names: "TenantNames | None" = None,
    retention: dict[str, int] | None = None,
) -> "TenantEntry":
    """`names` and `retention`, where they are known already."""
    from glue_scripts.arguments import JOBS, MAINTAIN
    from lineage.values import TenantEntry
    from tenants.naming import arn

    names, environment = names or connection.names(tenant.id), connection.environment
    return TenantEntry(
        tenant=tenant.id,
        state=tenant.state,
        bucket=names.bucket,
        account=environment.account,
        database=names.database,
        jobs={job: names.job(job) for job in JOBS},
        errand_job=names.job(MAINTAIN),
        max_in_flight=tenant.max_concurrent_runs,
        retention=retention or retention_of(connection, tenant),
        topic=arn("sns", environment.region, environment.account, names.topic),
    )


@dataclass(frozen=True)
class Compiled:
    """A dataset's contract as the ledger has it: whose files it takes, and the plan as JSON."""

    files: tuple[str, ...]
    plan: str


def compiled_for(registry: "Registry", dataset: "Dataset") -> Compiled:
    plan = registry.contracts[dataset.contract].plan(dataset.name)
    return Compiled(tuple(plan.files), plan.to_json())


def dataset_entry(
    connection: "Connection", tenant: "Tenant", dataset: "Dataset", compiled: Compiled | None = None
) -> "DatasetEntry":
    """`compiled`: the dataset's contract, where it has been compiled for another tenant already."""
    from lineage.values import DatasetEntry
    from tenants.schedule import compile_schedule

    compiled = compiled or compiled_for(connection.registry, dataset)
    return DatasetEntry(
        tenant=tenant.id,
        dataset=dataset.name,
        files=compiled.files,
        max_wait_s=connection.environment.max_wait_of(dataset),
        max_files=dataset.max_files,
        max_bytes=dataset.max_bytes,
        schedule=compile_schedule(dataset.schedule) if dataset.schedule else None,
        plan=compiled.plan,
    )
