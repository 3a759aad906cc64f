"""The registry: tenants.yaml, environments.yaml and contracts/ of one folder, loaded and checked as a whole."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel

from tenants.blocks import Blocks
from tenants.cells import Place, misplaced, overlapping, unfit_canaries
from tenants.contract import Contract, read_contract
from tenants.crossings import crossings
from tenants.document import MAX_BYTES, Document, contents, parse, read
from tenants.entries import EnvironmentsFile, TenantEntry, TenantsFile
from tenants.errors import NotFound, Offboarded, Problem, RegistryError
from tenants.memory import Memory, context_of, digest_of
from tenants.model import Environment, EnvironmentEntry, Retention, Tenant
from tenants.naming import FIRST_CELL, PlatformNames, TenantNames
from tenants.validation import checked

__all__ = ["CONTRACTS", "ENVIRONMENTS", "TENANTS", "Registry", "load", "shown"]

TENANTS = "tenants.yaml"
ENVIRONMENTS = "environments.yaml"
CONTRACTS = "contracts"
MOST_BYTES = 10_000_000
"""Of tenants.yaml: more than ten thousand tenants."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Registry:
    """Everything the platform hosts, as loaded and checked."""

    organization: str
    tenants: tuple[Tenant, ...]
    environments: Mapping[str, Environment]
    """By name; each as it is in its first cell."""
    contracts: Mapping[str, Contract]
    further_cells: Mapping[str, tuple[Environment, ...]] = field(default_factory=dict)
    """Of environments that have any."""
    offboarded: tuple[Tenant, ...] = ()
    """Those that left and whose ids stay taken: nothing is made, deployed or listed for them."""

    @cached_property
    def by_id(self) -> dict[str, Tenant]:
        return {tenant.id: tenant for tenant in self.tenants}

    def tenant(self, name: str) -> Tenant:
        """Raises NotFound, and Offboarded (which is one) for a tenant that left."""
        if name not in self.by_id:
            raise Offboarded(name) if self._has_left(name) else NotFound("tenant", name, self.by_id)
        return self.by_id[name]

    def known(self, name: str) -> Tenant:
        """The tenant, whether it is here or left; raises NotFound."""
        left = next((tenant for tenant in self.offboarded if tenant.id == name), None)
        return left or self.tenant(name)

    def _has_left(self, name: str) -> bool:
        return any(tenant.id == name for tenant in self.offboarded)

    def environment(self, name: str) -> Environment:
        """Raises NotFound."""
        if name not in self.environments:
            raise NotFound("environment", name, self.environments)
        return self.environments[name]

    def cells(self, environment: str) -> tuple[Environment, ...]:
        """The environment as it is in each of its cells, the first one first; raises NotFound."""
        return self.environment(environment), *self.further_cells.get(environment, ())

    def cell(self, place: str) -> Environment:
        """The cell that people call `prod/b`, or `prod/first`; `prod` is the first one too. Raises NotFound."""
        environment, _, name = place.partition("/")
        cells = {cell.cell_name: cell for cell in self.cells(environment)}
        if (name or FIRST_CELL) not in cells:
            raise NotFound(f"cell of environment {environment}", name, cells)
        return cells[name or FIRST_CELL]

    def cell_of(self, tenant: str, environment: str) -> Environment:
        """The environment as it is in the cell that the tenant is placed in; raises NotFound."""
        return self.place_of(self.tenant(tenant), environment)

    def place_of(self, tenant: Tenant, environment: str) -> Environment:
        """The environment as it is, or was, in the cell of a tenant that may have left; raises NotFound."""
        return self.cell(f"{environment}/{tenant.cells.get(environment, FIRST_CELL)}")

    def tenants_in(self, cell: Environment) -> tuple[Tenant, ...]:
        """The tenants that are placed in a cell."""
        return tuple(tenant for tenant in self.tenants if tenant.cells.get(cell.name) == cell.cell)

    def organization_of(self, environment: str) -> str:
        """First part of every name in an environment; raises NotFound."""
        return self.environment(environment).organization or self.organization

    def contract(self, tenant: str, dataset: str) -> Contract:
        """The contract of a tenant's dataset; raises NotFound."""
        owner = self.tenant(tenant)
        found = owner.dataset(dataset)
        if found is None:
            raise NotFound(f"dataset of {tenant}", dataset, [item.name for item in owner.datasets])
        return self.contracts[found.contract]

    def names(self, tenant: str, environment: str) -> TenantNames:
        """Raises NotFound."""
        return TenantNames(self.organization_of(environment), self.tenant(tenant).id, environment)

    def platform_names(self, place: str) -> PlatformNames:
        """Of an environment's first cell, or of `prod/b`; raises NotFound."""
        cell = self.cell(place)
        return PlatformNames(self.organization_of(cell.name), cell.name, cell.cell)


def load(
    folder: Path = Path(__file__).parent, *, tenants: str | Path | None = None, memory: Path | None = None
) -> Registry:
    """The registry in `folder`; raises RegistryError with every problem of every file.

    `tenants`, a text or another file, is read in place of tenants.yaml, to see what a change would do. With the file
    `memory`, only tenants whose lines are not in it are read and checked again, and it is brought up to date.
    """
    file, text = (tenants, None) if isinstance(tenants, Path) else (folder / TENANTS, tenants)
    if memory is not None and (found := _remembered(folder, file, text, memory)):
        return found
    registry, _ = _read(folder, file, text)
    if unfit := list(_unfit(registry)):
        document = read(folder / ENVIRONMENTS, shown(folder / ENVIRONMENTS))
        raise RegistryError(document.problem(place, message) for place, message in unfit)
    return registry


def _remembered(folder: Path, file: Path, text: str | None, path: Path) -> Registry | None:
    """None where all has to be read together: that tells what is wrong, and where, in the words of the whole file."""
    try:
        blocks = Blocks.of(text if text is not None else contents(file, shown(file), MOST_BYTES).decode())
    except (RegistryError, UnicodeDecodeError):
        return None
    if blocks is None:
        return None
    digests = [digest_of(block) for block in blocks.blocks]
    memory = Memory.read(path, context_of(blocks, _files_around(folder)))
    new = [position for position, digest in enumerate(digests) if digest not in memory.tenants] or [0]
    try:
        part, read_now = _read(folder, file, blocks.only(new))
    except RegistryError:
        return None
    if [line for line, _ in read_now] != blocks.lines(new):
        return None
    known = memory.tenants | {digests[position]: each for position, (_, each) in zip(new, read_now, strict=True)}
    found = _with(part, [known[digest] for digest in digests])
    if len({known[digest].id for digest in digests}) < len(digests) or list(_unfit(found)):
        return None
    if known.keys() != memory.tenants.keys() or len(known) > len(digests):
        memory.keep({digest: known[digest] for digest in digests})
    return found


def _files_around(folder: Path) -> list[Path]:
    """What decides what a tenant is, beside tenants.yaml."""
    return [path for path in (folder / ENVIRONMENTS, *sorted((folder / CONTRACTS).glob("*.yaml"))) if path.is_file()]


def _with(registry: Registry, tenants: Iterable[Tenant]) -> Registry:
    """Those that are here, and those that left."""
    here: list[Tenant] = []
    left: list[Tenant] = []
    for tenant in tenants:
        (left if tenant.is_offboarded else here).append(tenant)
    return replace(registry, tenants=tuple(here), offboarded=tuple(left))


def _read(folder: Path, file: Path, text: str | None) -> tuple[Registry, list[tuple[int, Tenant]]]:
    """The registry, and each entry of the file with the line that it begins in."""
    problems: list[Problem] = []
    environments = _environments(folder, problems)
    first, further = _first(environments), _further(environments)
    contracts = _contracts(folder, problems)
    document, entries = _file(file, TenantsFile, problems, text=text, max_bytes=MOST_BYTES)
    if document:
        problems += crossings(document, {name: entry.organization for name, entry in environments.items()}, contracts)
        if environments:
            problems += misplaced(document, {name: (FIRST_CELL, *entry.cells) for name, entry in environments.items()})
    if problems or not document or not entries:
        raise RegistryError(problems)
    resolved = tuple(_resolved(entry, entries) for entry in entries.tenants)
    if short := list(_short_lived(document, resolved)):
        raise RegistryError(short)
    registry = Registry(
        organization=entries.organization,
        tenants=(),
        environments=MappingProxyType(first),
        contracts=MappingProxyType({name: contract for name, contract in contracts.items() if contract}),
        further_cells=MappingProxyType(further),
    )
    return _with(registry, resolved), [
        (document.lines["tenants", position], tenant) for position, tenant in enumerate(resolved)
    ]


def _unfit(registry: Registry) -> Iterator[tuple[Place, str]]:
    """What is wrong with canaries, which is known only once all tenants are."""
    cells = [cell for name in registry.environments for cell in registry.cells(name)]
    if any(cell.canary for cell in cells):
        yield from unfit_canaries(cells, registry.by_id)


def shown(path: Path) -> str:
    """`path` as people call it: from where they stand, if it lies below."""
    full, here = path.resolve(), Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(path)


def _file(
    path: Path, model: type[M], problems: list[Problem], *, text: str | None = None, max_bytes: int = MAX_BYTES
) -> tuple[Document | None, M | None]:
    try:
        raw = contents(path, shown(path), max_bytes) if text is None else text.encode()
        document = parse(raw, shown(path), max_bytes=max_bytes)
    except RegistryError as error:
        problems += error.problems
        return None, None
    found, wrong = checked(document, model)
    problems += wrong
    return document, found


def _environments(folder: Path, problems: list[Problem]) -> dict[str, EnvironmentEntry]:
    document, found = _file(folder / ENVIRONMENTS, EnvironmentsFile, problems)
    if document:
        problems += overlapping(document)
    return found.environments if found else {}


def _first(entries: Mapping[str, EnvironmentEntry]) -> dict[str, Environment]:
    return {name: Environment(name=name, **_policies(entry)) for name, entry in entries.items()}


def _further(entries: Mapping[str, EnvironmentEntry]) -> dict[str, tuple[Environment, ...]]:
    return {
        name: tuple(
            Environment(name=name, cell=cell, **_policies(entry) | dict(place)) for cell, place in entry.cells.items()
        )
        for name, entry in entries.items()
        if entry.cells
    }


def _policies(entry: EnvironmentEntry) -> dict[str, Any]:
    """What holds in all cells, and the first one's place."""
    return {key: value for key, value in entry if key != "cells"}


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
        life=entry.life,
        retention=entry.retention.over(entries.defaults.retention.over(Retention())),
        cells={environment: cell for environment, cell in entry.cells.items() if cell != FIRST_CELL},
        datasets=entry.datasets,
        offboarding=entry.offboarding.resolved() if entry.offboarding else None,
        **entries.tiers[tier].model_dump(),
    )
