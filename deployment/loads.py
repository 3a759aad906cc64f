"""Loads of cells from the stacks of an assembly: one template is read for every shape, however many tenants have it."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar

from deployment.assembly import Stack
from deployment.quotas import CellLoad, Demand, demand

__all__ = ["PLATFORM_STACK", "TENANT_STACK", "by_shape", "expected", "loads"]

# What the platform's stack and an ordinary tenant's take, for whoever places a tenant before anything is synthesised.
PLATFORM_STACK: Demand = {
    "events/L-244521F2": 4,
    "iam/L-FE177D64": 3,
    "iam/L-E95E4862": 1,
    "cloudformation/L-0485CB21": 1,
    "s3/L-DC2B2D3D": 1,
    "kms/L-C2F1777E": 1,
    "sns/L-61103206": 1,
    "sns/L-1A43D3DB": 1,
    "logs/L-C7B9AAAB": 3,
}
TENANT_STACK: Demand = {
    "events/L-244521F2": 1,
    "iam/L-FE177D64": 2,
    "iam/L-E95E4862": 1,
    "glue/L-611FDDE4": 3,
    "athena/L-FD9D80C2": 1,
    "cloudformation/L-0485CB21": 1,
    "glue/L-F953935E": 1,
    "glue/L-94D025B7": 1,
    "s3/L-DC2B2D3D": 1,
    "kms/L-C2F1777E": 1,
    "sns/L-61103206": 1,
    "sns/L-1A43D3DB": 1,
    "logs/L-C7B9AAAB": 2,
}

M = TypeVar("M")


def expected(name: str, account: str, region: str, tenants: int) -> CellLoad:
    """A cell with so many ordinary tenants of one dataset."""
    return CellLoad(name, account, region, PLATFORM_STACK, ((TENANT_STACK, tenants),) if tenants else ())


def loads(stacks: Iterable[Stack], platforms: Mapping[str, str]) -> tuple[CellLoad, ...]:
    """One load for each cell, in the order of `platforms`: name of the cell by name of its platform's stack."""
    known = tuple(stacks)
    cells = {(each.account, each.region): each for each in known if each.name in platforms}
    return tuple(
        CellLoad(
            name=platforms[platform.name],
            account=account,
            region=region,
            platform=demand(platform.template),
            tenants=tuple(by_shape(tenants_of(known, platform), demand)),
        )
        for (account, region), platform in cells.items()
    )


def tenants_of(stacks: Iterable[Stack], platform: Stack) -> Iterable[Stack]:
    place = (platform.account, platform.region)
    return (each for each in stacks if (each.account, each.region) == place and each.name != platform.name)


def by_shape(stacks: Iterable[Stack], measure: Callable[[Mapping[str, Any]], M]) -> list[tuple[M, int]]:
    """What `measure` finds in the template of each shape, and how many of the stacks have it.

    Stacks of one shape differ in values only, so `measure` may look at whatever a shape decides: which resources
    there are. A stack whose shape is not known is a shape of its own.
    """
    examples: dict[Hashable, Stack] = {}
    number: Counter[Hashable] = Counter()
    for stack in stacks:
        shape = stack.shape or (stack.name,)
        examples.setdefault(shape, stack)
        number[shape] += 1
    return [(measure(stack.template), number[shape]) for shape, stack in examples.items()]
