"""The registry: tenants.yaml, environments.yaml and contracts/ of one folder, loaded and checked as a whole."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel

from tenants.contract import Contract, read_contract
from tenants.crossings import crossings
from tenants.document import Document, parse, read
from tenants.entries import EnvironmentsFile, TenantEntry, TenantsFile
from tenants.errors import NotFound, Problem, RegistryError
from tenants.model import Environment, Retention, Tenant
from tenants.naming import PlatformNames, TenantNames
from tenants.validation import checked

__all__ = ["CONTRACTS", "ENVIRONMENTS", "TENANTS", "Registry", "load", "shown"]

TENANTS = "tenants.yaml"
ENVIRONMENTS = "environments.yaml"
CONTRACTS = "contracts"

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Registry:
    """Everything the platform hosts, as loaded and checked."""

    organization: str
    tenants: tuple[Tenant, ...]
    environments: Mapping[str, Environment]
    contracts: Mapping[str, Contract]

    def tenant(self, name: str) -> Tenant:
        """Raises NotFound."""
        for tenant in self.tenants:
            if tenant.id == name:
                return tenant
        raise NotFound("tenant", name, [tenant.id for tenant in self.tenants])

    def environment(self, name: str) -> Environment:
        """Raises NotFound."""
        if name not in self.environments:
            raise NotFound("environment", name, self.environments)
        return self.environments[name]

    def contract(self, tenant: str, dataset: str) -> Contract:
        """The contract of a tenant's dataset; raises NotFound."""
        owner = self.tenant(tenant)
        found = owner.dataset(dataset)
        if found is None:
            raise NotFound(f"dataset of {tenant}", dataset, [item.name for item in owner.datasets])
        return self.contracts[found.contract]

    def names(self, tenant: str, environment: str) -> TenantNames:
        """Raises NotFound."""
        return TenantNames(self.organization, self.tenant(tenant).id, self.environment(environment).name)

    def platform_names(self, environment: str) -> PlatformNames:
        """Raises NotFound."""
        return PlatformNames(self.organization, self.environment(environment).name)


def load(folder: Path = Path(__file__).parent, *, tenants: str | Path | None = None) -> Registry:
    """The registry in `folder`; raises RegistryError with every problem of every file.

    `tenants`, a text or another file, is read in place of tenants.yaml, to see what a change would do.
    """
    problems: list[Problem] = []
    environments = _environments(folder, problems)
    contracts = _contracts(folder, problems)
    file, text = (tenants, None) if isinstance(tenants, Path) else (folder / TENANTS, tenants)
    document, entries = _file(file, TenantsFile, problems, text=text)
    if document:
        problems += crossings(document, environments, contracts)
    if problems or not document or not entries:
        raise RegistryError(problems)
    resolved = tuple(_resolved(entry, entries) for entry in entries.tenants)
    if short := list(_short_lived(document, resolved)):
        raise RegistryError(short)
    return Registry(
        organization=entries.organization,
        tenants=resolved,
        environments=MappingProxyType(environments),
        contracts=MappingProxyType({name: contract for name, contract in contracts.items() if contract}),
    )


def shown(path: Path) -> str:
    """`path` as people call it: from where they stand, if it lies below."""
    full, here = path.resolve(), Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(path)


def _file(
    path: Path, model: type[M], problems: list[Problem], *, text: str | None = None
) -> tuple[Document | None, M | None]:
    try:
        document = read(path, shown(path)) if text is None else parse(text.encode(), shown(path))
    except RegistryError as error:
        problems += error.problems
        return None, None
    found, wrong = checked(document, model)
    problems += wrong
    return document, found


def _environments(folder: Path, problems: list[Problem]) -> dict[str, Environment]:
    _, found = _file(folder / ENVIRONMENTS, EnvironmentsFile, problems)
    if found is None:
        return {}
    return {name: Environment(name=name, **dict(entry)) for name, entry in found.environments.items()}


def _contracts(folder: Path, problems: list[Problem]) -> dict[str, Contract | None]:
    """Contracts by file name; None for one that is there and cannot be used."""
    contracts: dict[str, Contract | None] = {}
    for path in sorted((folder / CONTRACTS).glob("*.yaml")):
        contract, wrong = read_contract(path, shown(path))
        contracts[path.stem] = contract
        problems += wrong
    return contracts


def _short_lived(document: Document, tenants: Iterable[Tenant]) -> Iterator[Problem]:
    """Commit objects in processed/ say which raw files are done: they must stay at least as long as these."""
    for position, tenant in enumerate(tenants):
        raw, processed = tenant.retention.raw, tenant.retention.processed
        if processed < raw:
            yield document.problem(
                ("tenants", position, "retention"),
                f"processed is kept {processed} days and raw {raw}: what lies in processed/ says which raw files are "
                f"done and must stay as long; set processed to {raw} days or more",
            )


def _resolved(entry: TenantEntry, entries: TenantsFile) -> Tenant:
    tier = entry.tier or entries.defaults.tier
    return Tenant(
        id=entry.id,
        name=entry.name,
        owner=entry.owner,
        tier=tier,
        state=entry.state,
        retention=entry.retention.over(entries.defaults.retention.over(Retention())),
        datasets=entry.datasets,
        **entries.tiers[tier].model_dump(),
    )
