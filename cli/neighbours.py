"""What a plan must not make a second time: tenants that stand in another cell, a platform that has another name."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cli.connection import Connection
from cli.errors import LakeError, WrongInput, explain
from deployment.errors import DeployError
from deployment.planner import Sight, several, standing_in, without_second
from deployment.plans import Action, Plan, Refusal
from deployment.records import ABSENT, bucket_of, platforms_in

if TYPE_CHECKING:
    from tenants.registry import Registry

__all__ = ["named", "other_platforms", "without_those_elsewhere"]

Look = Callable[[Connection], Sight]


def named(registry: "Registry", environment: str, names: Iterable[str]) -> frozenset[str]:
    """What `--aside` names: cells by their places, platforms by their stacks. Raises for a name that can be neither."""
    found = set()
    for name in names:
        if name.partition("/")[0] == environment:
            found.add(registry.cell(name).place)
        elif platform_rule(environment).fullmatch(name):
            found.add(name)
        else:
            cells = ", ".join(each.place for each in registry.cells(environment))
            raise WrongInput(
                f"--aside {name}: is no cell of environment {environment} ({cells}) and no stack of a platform of it"
            )
    return frozenset(found)


def platform_rule(environment: str) -> re.Pattern[str]:
    return re.compile(rf"[a-z0-9-]+-{re.escape(environment)}-platform(-[a-z0-9]+)?")


def without_those_elsewhere(
    made: Plan, others: Sequence[Connection], look: Look, placed: Mapping[str, str], aside: Collection[str]
) -> Plan:
    """The plan without new tenants that stand in one of the `others`, or with a refusal where that cannot be seen.

    A plan that makes no tenant asks nobody.
    """
    new = [
        change.stack
        for cell in made.cells
        for change in cell.changes
        if change.action is Action.CREATE and change.tenant is not None
    ]
    for other in others if new else ():
        if other.environment.place in aside:
            continue
        names, refusals = stands(other, look, new, placed)
        cells = tuple(without_second(cell, names) for cell in made.cells)
        made = replace(made, cells=cells, refusals=(*made.refusals, *refusals))
    return made


def stands(
    other: Connection, look: Look, new: Sequence[str], placed: Mapping[str, str]
) -> tuple[frozenset[str], tuple[Refusal, ...]]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return standing_in(look(other), new, placed)
    except (LakeError, DeployError, BotoCoreError, ClientError) as error:
        return frozenset(), (unseen(other, new, explain(error)[0]),)


def unseen(other: Connection, new: Sequence[str], why: str) -> Refusal:
    environment = other.environment
    return Refusal(
        several(new),
        f"would be made here, and whether it stands in {environment.place} already (account {environment.account}, "
        f"Region {environment.region}) cannot be seen: {why}; plan with credentials that may read there, or say "
        f"`--aside {environment.place}` if no tenant has moved from there",
    )


def other_platforms(connection: Connection, sight: Sight, look: Look, aside: Collection[str]) -> Iterator[Refusal]:
    """Where a cell seems to be new: platforms of its environment that stand in its account, and the registry has not.

    A changed organization, or a cell's changed name or Region, makes every tenant look new.
    """
    if sight.record.unread != ABSENT:
        return
    environment = connection.environment
    for region in regions_of(connection):
        there = replace(connection, environment=environment.model_copy(update={"region": region}))
        found = put_down_in(there, is_own=region == environment.region)
        for name in sorted(found - known_platforms(there) - frozenset(aside)):
            if platform_rule(environment.name).fullmatch(name) and look(there).live({name}):
                yield Refusal(
                    name,
                    f"stands in account {environment.account}, Region {region}, and is none of the registry's "
                    "platforms there, so its tenants would be made once more: if `organization` or a cell's name, "
                    f"account or Region was changed, put it back; if this is another lake, say `--aside {name}`",
                )


def put_down_in(connection: Connection, *, is_own: bool) -> frozenset[str]:
    """Platforms with a record; none of another Region that the login may not read."""
    from botocore.exceptions import ClientError

    environment = connection.environment
    try:
        return platforms_in(connection.client("s3"), bucket_of(environment.account, environment.region))
    except ClientError:
        if is_own:
            raise
        return frozenset()


def regions_of(connection: Connection) -> list[str]:
    """Those of the account that are bootstrapped; the cell's own where the login may not list buckets."""
    from botocore.exceptions import ClientError

    own, beginning = connection.environment.region, bucket_of(connection.environment.account, "")
    try:
        pages = list(connection.client("s3").get_paginator("list_buckets").paginate(Prefix=beginning))
    except ClientError:
        return [own]
    names = (each["Name"] for page in pages for each in page.get("Buckets", ()))
    return sorted({own, *(name.removeprefix(beginning) for name in names if name.startswith(beginning))})


def known_platforms(connection: Connection) -> frozenset[str]:
    """Those that the registry has in the account and Region of a cell, of whichever environment."""
    registry, own = connection.registry, connection.environment
    return frozenset(
        registry.platform_names(cell.place).stack
        for each in registry.environments
        for cell in registry.cells(each)
        if (cell.account, cell.region) == (own.account, own.region)
    )
