"""From the tenants that are there to those that may come: equal but for the name, and safe beside hostile names."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from isolation.account import Account
from isolation.errors import IsolationError
from isolation.isolation import Proof, prove
from isolation.policies import Document
from isolation.questions import rows_of
from isolation.suspension import as_active
from isolation.template import Stack
from tenants.errors import InvalidName
from tenants.naming import TenantNames

__all__ = ["Extension", "extend", "hostile_to", "names_of", "shapes", "signature", "stamp"]

LONGEST = 20


@dataclass(frozen=True)
class Extension:
    """Every shape's tenants, and the proof for its first one among neighbours whose ids are made to be confused.

    Tenants of one shape are equal but for their names, and names of different ids are never taken for each other
    (tenants.naming): so what is proved of one holds for any other of that shape, those included that do not exist.
    """

    shapes: tuple[tuple[str, ...], ...]
    neighbours: tuple[str, ...]
    proofs: tuple[Proof, ...]

    @property
    def leaks(self) -> int:
        return sum(len(proof.leaks) for proof in self.proofs)


def extend(stacks: Iterable[Stack], *, account: str, region: str) -> Extension:
    """Raises if a template does not follow its tenant's name, for then nothing can be said of other names."""
    stacks = list(stacks)
    whole = Account.of(stacks, account=account, region=region)
    found, neighbours, proofs = shapes(whole), [], []
    for first, *_ in found:
        beside, proof = among_neighbours(stacks, whole, first)
        neighbours.extend(beside)
        proofs.append(proof)
    return Extension(found, tuple(neighbours), tuple(proofs))


def shapes(account: Account) -> tuple[tuple[str, ...], ...]:
    """Tenants that are equal but for their names, together."""
    found: dict[str, list[str]] = defaultdict(list)
    for tenant in account.tenants:
        found[signature(account, tenant)].append(tenant)
    return tuple(tuple(tenants) for tenants in found.values())


def among_neighbours(stacks: list[Stack], whole: Account, tenant: str) -> tuple[list[str], Proof]:
    """The proof for one tenant and copies of it under hostile ids."""
    names = names_of(whole, tenant)
    neighbours = hostile_to(names)
    kept = [each for each in stacks if each.tenant in (None, tenant)]
    copies = [stamp(each, names, other) for other in neighbours for each in stacks if each.tenant == tenant]
    account = Account.of([*kept, *copies], account=whole.account, region=whole.region)
    for other in neighbours:
        if signature(account, other.tenant) != signature(account, tenant):
            raise IsolationError(
                f"{names.stack}: a copy of it for {other.tenant} is not equal to it: a name in it does not come from "
                "tenants.naming, so nothing is proved for other tenants; name it as the others are"
            )
    return [each.tenant for each in neighbours], prove(account)


def hostile_to(names: TenantNames) -> list[TenantNames]:
    """Ids that begin with this one, that it begins with, and the longest there can be."""
    tenant = names.tenant
    ids = (f"{tenant}-eu", f"{tenant}0", tenant[:-1], f"{tenant}-{'z' * LONGEST}"[:LONGEST], f"z-{tenant}")
    return [found for each in dict.fromkeys(ids) if each != tenant and (found := if_valid(names, each))]


def if_valid(names: TenantNames, tenant: str) -> TenantNames | None:
    try:
        return TenantNames(names.organization, tenant, names.environment)
    except InvalidName:
        return None


def names_of(account: Account, tenant: str) -> TenantNames:
    """From the tags of one of the tenant's roles."""
    tags = next((each.tags for each in account.principals.values() if each.tenant == tenant), {})
    missing = sorted({"organization", "environment"} - set(tags))
    if missing:
        raise IsolationError(f"{tenant}: has no role with tags {', '.join(missing)}: expected them on every resource")
    return TenantNames(tags["organization"], tenant, tags["environment"])


def signature(account: Account, tenant: str) -> str:
    """Hash of all that isolation depends on, in which the tenant's names stand as `<tenant>`; of whichever state."""
    roles = [
        [each.arn, each.trust, each.identity, as_active(account, each).boundary, each.tags, each.managed]
        for each in account.principals.values()
        if each.tenant == tenant
    ]
    things = [[each.arn, each.kind, each.policy] for each in account.resources.values() if each.tenant == tenant]
    canonical = sort_lists(plain([roles, things]))
    words = marked(names_of(account, tenant))
    return hashlib.sha256(json.dumps(sort_lists(renamed(canonical, words)), sort_keys=True).encode()).hexdigest()


def stamp(stack: Stack, old: TenantNames, new: TenantNames) -> Stack:
    """The same stack for another tenant, whether that exists or not."""
    words = dict(zip(forms(old), forms(new), strict=True))
    return Stack(new.stack, new.tenant, renamed(stack.template, words), stack.place)


def forms(names: TenantNames) -> tuple[str, ...]:
    """The ways in which a tenant's id comes into names; the last is the id where it stands alone."""
    return names.workgroup, names.database, names.log_group, rows_of(names.tenant).removesuffix("*"), names.tenant


def marked(names: TenantNames) -> dict[str, str]:
    marks = ("<workgroup>", "<database>", "<log group>", "<rows>", "<tenant>")
    return dict(zip(forms(names), marks, strict=True))


def renamed(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {renamed(key, words): renamed(each, words) for key, each in value.items()}
    if isinstance(value, list):
        return [renamed(each, words) for each in value]
    return renamed_text(value, words) if isinstance(value, str) else value


def renamed_text(text: str, words: Mapping[str, str]) -> str:
    *parts, alone = words
    for part in parts:
        text = text.replace(part, words[part])
    return words[alone] if text == alone else text


def plain(value: Any) -> Any:
    if isinstance(value, Document):
        return plain(value.content)
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def sort_lists(value: Any) -> Any:
    """In policies no order means anything."""
    if isinstance(value, Mapping):
        return {key: sort_lists(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted((sort_lists(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value
