"""What no single value of tenants.yaml shows: references that lead nowhere, and things that collide.

It reads the document and not the models, so that a mistake in one place does not hide the mistakes in others.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tenants.contract import Contract
from tenants.document import Document, nearest
from tenants.errors import InvalidName, Problem
from tenants.naming import TenantNames, check_environment, check_tenant, check_tenant_in

__all__ = ["crossings"]

Contracts = Mapping[str, Contract | None]


def crossings(document: Document, environments: Mapping[str, str | None], contracts: Contracts) -> Iterator[Problem]:
    """Every such problem.

    `environments`: the organization of those that have one of their own; `contracts` holds None for a contract that is
    there and cannot be used.
    """
    value = document.value if isinstance(document.value, dict) else {}
    tiers = _mapping(value.get("tiers")) or {"standard": None}
    default = _mapping(value.get("defaults")).get("tier", "standard")
    if isinstance(default, str) and default not in tiers:
        yield document.problem(("defaults", "tier"), f"no tier {default!r}{nearest(default, tiers)}")
    fit = {name: organization for name, organization in environments.items() if _is_fit(check_environment, name)}
    yield from _identities(document, fit)
    yield from _exports(document, fit)
    for position, tenant in _tenants(document):
        tier = tenant.get("tier")
        if isinstance(tier, str) and tier not in tiers:
            yield document.problem(("tenants", position, "tier"), f"no tier {tier!r}{nearest(tier, tiers)}")
        yield from _datasets(document, position, tenant, contracts)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _tenants(document: Document) -> Iterator[tuple[int, dict[str, Any]]]:
    for position, tenant in enumerate(_items(_mapping(document.value).get("tenants"))):
        if isinstance(tenant, dict):
            yield position, tenant


def _is_fit(check: Any, name: str) -> bool:
    try:
        check(name)
    except InvalidName:
        return False
    return True


def _identities(document: Document, environments: Mapping[str, str | None]) -> Iterator[Problem]:
    """Ids given twice, ids that meet an environment's name, and derived names that two tenants would share."""
    default = _mapping(document.value).get("organization")
    first: dict[str, int] = {}
    taken: dict[str, str] = {}
    for position, tenant in _tenants(document):
        name, place = tenant.get("id"), ("tenants", position, "id")
        if not isinstance(name, str) or not _is_fit(check_tenant, name):
            continue
        if name in first:
            yield document.problem(place, _given_before(document, first[name], name))
            continue
        first[name] = position
        for environment, organization in environments.items():
            try:
                check_tenant_in(name, environment)
                derived = _derived(organization or default, name, environment)
            except InvalidName as error:
                yield document.problem(place, str(error))
                continue
            for other in {taken.setdefault(item.casefold(), name) for item in derived} - {name}:
                yield document.problem(place, f"{name!r} gives a name that {other!r} has; choose another id")


def _given_before(document: Document, position: int, name: str) -> str:
    before, line = document.at(["tenants", position]), document.lines["tenants", position, "id"]
    if before.get("state") != "offboarded":
        return f"tenant {name!r} is given twice, first in line {line}"
    if _mapping(before.get("offboarding")).get("reuse") == "after certificate":
        life = before.get("life", 1)
        later = f"`life: {life + 1}`" if isinstance(life, int) else "the next `life`"
        return f"tenant {name!r} left, line {line}: write these lines in place of those with {later}, or another id"
    return f"tenant {name!r} left, line {line}, and its id is never used again: choose another id"


def _exports(document: Document, environments: Mapping[str, str | None]) -> Iterator[Problem]:
    """Exports into what is the platform's: deleted with a tenant, or readable to others."""
    default = _mapping(document.value).get("organization")
    for position, tenant in _tenants(document):
        export = _mapping(tenant.get("offboarding")).get("export")
        bucket = export.removeprefix("s3://").partition("/")[0] if isinstance(export, str) else ""
        if any(_is_ours(bucket, organization or default, name) for name, organization in environments.items()):
            yield document.problem(
                ("tenants", position, "offboarding", "export"),
                f"{bucket} is a bucket of the platform: name one of whoever the data go to",
            )


def _is_ours(bucket: str, organization: Any, environment: str) -> bool:
    """Of a tenant, also one that is not here, of the platform, or of CloudFormation's assets and our records."""
    of_tenant = bucket.startswith(f"{organization}-") and bucket.endswith(f"-{environment}-datalake")
    return of_tenant or bucket.startswith((f"{organization}-{environment}-platform-", "cdk-"))


def _derived(organization: Any, tenant: str, environment: str) -> list[str]:
    try:
        names = TenantNames(organization, tenant, environment)
    except (InvalidName, TypeError):
        return []  # the organization's own problem
    return [names.workgroup, names.bucket, names.stack, names.database, names.log_group]


def _datasets(document: Document, position: int, tenant: dict[str, Any], contracts: Contracts) -> Iterator[Problem]:
    files: dict[str, str] = {}
    seen: set[str] = set()
    for number, item in enumerate(_items(tenant.get("datasets"))):
        entry = {"name": item} if isinstance(item, str) else _mapping(item)
        name, place = entry.get("name"), ("tenants", position, "datasets", number)
        if not isinstance(name, str):
            continue
        if name in seen:
            yield document.problem(place, f"dataset {name!r} is given twice")
            continue
        seen.add(name)
        if tenant.get("state") == "offboarded":
            continue  # its contract may have gone with it
        wanted = entry.get("contract", name)
        if isinstance(wanted, str) and wanted not in contracts:
            yield document.problem(place, f"no contract contracts/{wanted}.yaml{nearest(wanted, contracts)}")
        contract = contracts.get(wanted) if isinstance(wanted, str) else None
        for pattern in contract.files_of(name) if contract else ():
            other = files.setdefault(pattern, name)
            if other != name:
                yield document.problem(place, f"takes the same files as {other!r}: {pattern}")
