"""Whose names a template holds: a tenant's its own and those of its cell's platform, the platform's no tenant's."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from cdk_app.guardrails.subject import Owner, Subject, rendered
from tenants.naming import PlatformNames

__all__ = ["names_only_own"]

EVERY = "*"
END = r"(?![a-z0-9])"
ARN = re.compile(r"arn:[\w-]+:([a-z0-9-]*):[\w*-]*:(\d*):(.+)")
BUCKET_OF_URL = re.compile(r"s3[an]?://([^/]+)")
# What belongs to everybody in an account, or to nobody: the account itself, the catalog and its empty database.
COMMON = {"root", "catalog", "database/default", "datacatalog/AwsDataCatalog"}
# Any source of one service in one account, in the trust of a role for that service.
COMMON_SOURCES = {("glue", "*")}


def names_only_own(subject: Subject) -> Iterator[str]:
    """Every text in a resource, by the ids in it and, for ARNs and URLs, by what they lead to."""
    seen: set[str] = set()
    for text, in_denial in texts(subject.properties):
        for problem in problems(subject.owner, text, in_denial=in_denial):
            if problem not in seen:
                seen.add(problem)
                yield problem


def texts(value: Any, *, in_denial: bool = False) -> Iterator[tuple[str, bool]]:
    """Every text in a value, and whether it stands in a Deny: that may speak of all tenants."""
    if isinstance(value, str):
        yield value, in_denial
    elif isinstance(value, list):
        for each in value:
            yield from texts(each, in_denial=in_denial)
    elif isinstance(value, dict):
        if len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref")):
            yield rendered(value), in_denial
            return
        denies = in_denial or value.get("Effect") == "Deny"
        for key, each in value.items():
            yield key, denies
            yield from texts(each, in_denial=denies)


def problems(owner: Owner, text: str, *, in_denial: bool) -> Iterator[str]:
    allowed = {owner.tenant, EVERY} if in_denial or owner.tenant is None else {owner.tenant}
    for tenant in tenants_in(owner, text) - {each for each in allowed if each}:
        whose = "every tenant" if tenant == EVERY else f"tenant {tenant}"
        yield f"names {whose}: {text}"
    if owner.cell and re.search(first_cells(owner.organization, owner.environment), text):
        yield f"names the platform of another cell than {owner.cell}: {text}"
    if owner.tenant is None:
        return
    if (arn := ARN.fullmatch(text)) and not is_known(owner, arn[1], arn[3], in_denial=in_denial):
        yield f"names what is neither the tenant's nor the platform's: {text}"
    if (url := BUCKET_OF_URL.match(text)) and not is_own(owner, url[1]):
        yield f"names a bucket that is neither the tenant's nor the platform's: {text}"


def tenants_in(owner: Owner, text: str) -> set[str]:
    """Ids of tenants in names of every kind; `*` where a pattern stands in the place of one.

    In a database's name the id has underscores: it is given back as the owner's id if it is that.
    """
    organization, environment = owner.organization, owner.environment
    found = set(re.findall(rf"{organization}-([a-z0-9*-]+?)-{environment}{END}", text))
    found |= set(re.findall(rf"/lake/{organization}/{environment}/([^/]+)", text))
    found |= set(re.findall(r"(?:^|[^A-Za-z])T#([^#]*)", text))
    underscored = (owner.tenant or "").replace("-", "_")
    for each in re.findall(rf"{organization}_([a-z0-9_*]+?)_{environment}{END}", text):
        found.add(owner.tenant if owner.tenant and each == underscored else each)
    return found


def is_known(owner: Owner, service: str, resource: str, *, in_denial: bool) -> bool:
    if resource in COMMON or (service, resource) in COMMON_SOURCES:
        return True
    if in_denial and f"{owner.organization}-*-{owner.environment}-" in resource:
        return True
    return is_own(owner, resource)


def is_own(owner: Owner, name: str) -> bool:
    """A name of the tenant, up to a delimiter that no id holds, or one of its cell's platform."""
    database = owner.prefix.replace("-", "_")
    logs = f"/lake/{owner.organization}/{owner.environment}/{owner.tenant}/"
    own = rf"(?:^|[/:])(?:{re.escape(owner.prefix)}|{re.escape(database)}){END}"
    shared = "|".join(platform_names(owner.organization, owner.environment, owner.cell))
    return bool(re.search(own, name) or logs in name or re.search(rf"(?:^|[/:])(?:{shared})(?![a-z0-9-])", name))


@cache
def platform_names(organization: str, environment: str, cell: str | None) -> tuple[str, ...]:
    """Whatever a template of a tenant may name of the platform."""
    names = PlatformNames(organization, environment, cell)
    shared = names.stack, names.ledger, names.queue, names.dead_letter_queue, names.topic, names.code_bucket
    return *shared, *names.functions


@cache
def first_cells(organization: str, environment: str) -> re.Pattern[str]:
    """Any name of the platform in the first cell, which further cells' names begin with."""
    return re.compile(rf"(?:{'|'.join(platform_names(organization, environment, None))})(?![a-z0-9-])")
