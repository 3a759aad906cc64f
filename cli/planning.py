"""How a plan comes about: the registry and its templates, and against them the record and the ledger of each cell."""

import gc
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.baseline import Baseline
from cli.connection import Connection, cloud_home, registered, suffix_of, within_reach
from cli.entries import NOT_WHOLE, Digests, Entries
from cli.errors import NotFound, WrongInput
from cli.neighbours import named, other_platforms, without_those_elsewhere
from cli.options import tenants_folder
from cli.rollout import adaptation, terms_in
from cli.synthesis import synthesise
from deployment.assembly import Assembly, Stack
from deployment.costs import Cost, cost
from deployment.errors import BootstrapError
from deployment.lifecycle import command, whose_of
from deployment.limits import excesses
from deployment.live import LiveStacks
from deployment.loads import loads
from deployment.moulds import OwnWords
from deployment.planner import Intent, Sight, Told, plan_of
from deployment.plans import Action, Group, Plan, Refusal
from deployment.quotas import CellLoad, Limits, Use, doubtful, live, refusals, shipped, uses
from deployment.records import ABSENT, Record, Shelf, bucket_of
from deployment.stacks import Adaptation, Standing

if TYPE_CHECKING:
    from tenants.model import Tenant

__all__ = ["Prospect", "planned"]

Say = Callable[[str, str], None]


def planned(
    environment: str,
    tenants: Sequence[str],
    say: Say,
    *,
    replacing: Collection[str] = (),
    refresh: bool = False,
    aside: Collection[str] = (),
    against: Path | None = None,
) -> Plan:
    """What a deploy of these tenants, or all, is going to do. `replacing`: what may be given up, as STACK/LOGICALID.

    `aside`: other cells that need not be asked, and other platforms that may stand in the account. `against`: folder
    with an assembly, to compare with that and ask no cloud.
    """
    with uncollected():
        if against is not None:
            return imagined(environment, tenants, say, frozenset(replacing), against).plan()
        return prospect(environment, tenants, say, frozenset(replacing), refresh=refresh, aside=aside).plan()


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector of garbage: so much is kept that looking through it takes a fifth of the time.

    What was kept is not looked through later either, not even when the process ends.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def prospect(
    environment: str,
    tenants: Sequence[str],
    say: Say,
    replacing: frozenset[str],
    *,
    refresh: bool,
    aside: Collection[str] = (),
) -> "Prospect":
    connections = within_reach(environment)
    for tenant in tenants:
        refuse_unplaced(tenant, connections, environment)
    beside = named(connections[0].registry, connections[0].environment.name, aside)
    return Prospect(connections, assembled(connections[0], say), tuple(tenants), replacing, refresh, beside)


def assembled(connection: Connection, say: Say) -> Assembly:
    say("registry", "synthesising")
    name, registry = connection.environment.name, connection.registry
    return synthesise(name, tenants_folder(), cloud_home(), partly=True, registry=lambda: registry)


def imagined(environment: str, tenants: Sequence[str], say: Say, replacing: frozenset[str], folder: Path) -> "Prospect":
    """What would change if what is in an assembly were what is deployed."""
    baseline, connections = Baseline.read(folder), registered(environment)
    for tenant in tenants:
        refuse_unplaced(tenant, connections, environment)
    assembly = assembled(connections[0], say)
    return Prospect(connections, assembly, tuple(tenants), replacing, baseline=baseline)


def refuse_unplaced(tenant: str, connections: Sequence[Connection], environment: str) -> None:
    connections[0].tenant(tenant)
    if not any(tenant == each.id for connection in connections for each in connection.tenants):
        raise NotFound(f"tenant {tenant} is not placed in {environment}: see its `cells:` in tenants.yaml")


@dataclass(frozen=True)
class Prospect:
    """The cells of a plan. `tenants`: whose; none for all. `aside`: see `cli.neighbours`.

    `baseline`: what the cells are compared with in place of what is deployed there; then nobody is asked anything.
    """

    connections: Sequence[Connection]
    assembly: Assembly
    tenants: tuple[str, ...] = ()
    replacing: frozenset[str] = frozenset()
    refresh: bool = False
    aside: frozenset[str] = frozenset()
    baseline: Baseline | None = None

    def plan(self) -> Plan:
        environment = self.connections[0].environment.name
        sights = [self._sight(connection) for connection in self.connections]
        made = plan_of(
            environment,
            [(sight, self.intents(each)) for sight, each in zip(sights, self.connections, strict=True)],
            self._placed,
            refresh=self.refresh,
            chosen=[self._stack(tenant) for tenant in self.tenants] if self.tenants else None,
            named=self.replacing,
            tombstones={self._stack(tenant.id): tenant.id for tenant in self.connections[0].registry.offboarded},
            suffix=suffix_of(environment),
        )
        self._refuse_needless(made)
        made, strange = self._seen_from_here(made) if self.baseline else self._seen_around(made, sights)
        groups = [group for cell in made.cells for group in cell.groups]
        made = replace(made, cost=Cost.total(map(difference_of, groups)), quotas=self._quotas(made))
        places = {each.environment.place: each.platform.stack for each in self.connections}
        found = [*strange, *made.refusals, *self._failures(), *limit_refusals(groups), *quota_refusals(made, places)]
        return replace(made, refusals=tuple(self._located(found)))

    def _sight(self, connection: Connection) -> Sight:
        return self.baseline.sight(connection, self.assembly) if self.baseline else look(connection)

    def _seen_around(self, made: Plan, sights: Sequence[Sight]) -> tuple[Plan, list[Refusal]]:
        """With what stands in other cells, and other platforms in the same accounts."""
        strange = [
            refusal
            for connection, sight in zip(self.connections, sights, strict=True)
            for refusal in other_platforms(connection, sight, look, self.aside)
        ]
        return without_those_elsewhere(made, self._others, look, self._placed, self.aside), strange

    def _seen_from_here(self, made: Plan) -> tuple[Plan, list[Refusal]]:
        if self.baseline is None:
            return made, []
        cells = tuple(
            replace(cell, left=(*cell.left, *self.baseline.left(connection)), note=self.baseline.note)
            for connection, cell in zip(self.connections, made.cells, strict=True)
        )
        return replace(made, cells=cells), list(self.baseline.refusals(self.connections, self.tenants))

    def _located(self, refusals: Sequence[Refusal]) -> Iterable[Refusal]:
        """With the line of the tenant that a refusal is about."""
        lines = Lines(self.connections[0].folder) if refusals else None
        registry = self.connections[0].registry
        owners = {self._stack(tenant.id): tenant.id for tenant in (*registry.tenants, *registry.offboarded)}
        for each in refusals:
            subject = re.split("[ /]", each.subject.removeprefix("tenant "))[0]
            yield replace(each, where=lines.of(owners.get(subject, subject))) if lines else each

    @property
    def _others(self) -> list[Connection]:
        """The cells of the environment that are not planned."""
        first = self.connections[0]
        meant = [each.environment for each in self.connections]
        cells = first.registry.cells(first.environment.name)
        return [replace(first, environment=cell) for cell in cells if cell not in meant]

    def _stack(self, tenant: str) -> str:
        return self.connections[0].names(tenant).stack

    @cached_property
    def _placed(self) -> Mapping[str, str]:
        registry, name = self.connections[0].registry, self.connections[0].environment.name
        platforms = [(registry.platform_names(cell.place).stack, cell) for cell in registry.cells(name)]
        return {self._stack(each.id): stack for stack, cell in platforms for each in registry.tenants_in(cell)}

    def intents(self, connection: Connection) -> list[Intent]:
        adapted, digests = Adaptation() if self.baseline else adaptation(connection), Digests(connection)
        platform = self.assembly.stack(connection.platform.stack)
        return [
            Intent(platform, adapted.mark(platform)),
            *(
                intent_of(connection, tenant, self.assembly, adapted.mark, digests)
                for tenant in connection.tenants
                if self._is_meant(tenant)
            ),
        ]

    def _is_meant(self, tenant: "Tenant") -> bool:
        return tenant.id not in self.assembly.failures and (not self.tenants or tenant.id in self.tenants)

    def _failures(self) -> Iterable[Refusal]:
        for tenant, reason in self.assembly.failures.items():
            if not self.tenants or tenant in self.tenants:
                yield Refusal(f"tenant {tenant}", f"has no template: {reason}")

    def _refuse_needless(self, made: Plan) -> None:
        """A name that nothing is given up under may be mistyped, and something else meant."""
        given_up = {
            f"{change.stack}/{each.logical_id}"
            for cell in made.cells
            for change in cell.pending
            for each in change.resources
            if each.gives_up_data
        }
        if wrong := sorted(self.replacing - given_up):
            known = ", ".join(sorted(given_up)[:5]) or "nothing"
            raise WrongInput(
                f"--replace {wrong[0]}: nothing is given up under this name; expected STACK/LOGICALID of what "
                f"`lake plan` refuses, now: {known}"
            )

    def _quotas(self, made: Plan) -> tuple[Use, ...]:
        """By AWS's defaults, and by the account's own values where much of a default is used.

        What cells of one account share is counted in all of them, whichever are planned.
        """
        if self.connections[0].is_local:
            return ()
        meant = {each.environment.place: each for each in self.connections}
        every = [*meant.values(), *self._others]
        taken = loads(self.assembly.stacks, {each.platform.stack: each.environment.place for each in every})
        found = uses(taken, shipped(taken))
        if (keys := doubtful(found)) and made.counts[Action.CREATE] and self.baseline is None:
            reached = {each.environment.account for each in meant.values()}
            found = uses(taken, limits(taken, keys, reached))
        shown = (replace(each, cells=tuple(cell for cell in each.cells if cell in meant)) for each in found)
        return tuple(each for each in shown if each.cells)


def limits(taken: Sequence[CellLoad], keys: Collection[str], reached: Collection[str]) -> Limits:
    """Those of the `reached` accounts. Who may not ask goes by AWS's defaults; a refusal says so."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    asked = [each for each in taken if each.account in reached]
    try:
        own = live(asked, lambda _load, region: boto3.client("service-quotas", region_name=region), only=keys)
    except (BotoCoreError, ClientError):
        return shipped(taken)
    return {**shipped(taken), **own}


def intent_of(
    connection: Connection, tenant: "Tenant", assembly: Assembly, mark: Callable[[Stack], str], digests: Digests
) -> Intent:
    names = connection.names(tenant.id)
    stack = assembly.stack(names.stack)
    own = partial(OwnWords.of, names, tenant.owner)
    entries, said, whose = digests.of(tenant, names), remarks(connection, tenant), whose_of(tenant.name, tenant.owner)
    return Intent(stack, mark(stack), tenant.id, tenant.state, entries, own, said, tenant.life, terms_in(tenant), whose)


def remarks(connection: Connection, tenant: "Tenant") -> tuple[str, ...]:
    """What follows from the state of a tenant that enters it."""
    from lineage.values import ACTIVE

    if tenant.state == ACTIVE:
        return ("files that were HELD go on, unless an operator holds them",)
    stopped = "what arrives is HELD from then on, runs in flight end first, then no role and no query of it is let in"
    if tenant.offboarding is None:
        return (stopped,)
    asked, deletes = tenant.offboarding, command(tenant.id, suffix_of(connection.environment.name))
    until = f"waits until {asked.grace} days after this deploy"
    return (
        stopped,
        f"asked for by {asked.requested_by}; nothing is deleted before {deletes}, which {until}",
        f"before that its data go to {asked.export}" if asked.export else "its data go nowhere before that",
    )


def difference_of(group: Group) -> Cost:
    """Per month, of all stacks of the group."""
    return (cost(group.new) - cost(group.old or {})) * len(group.stacks)


def limit_refusals(groups: Iterable[Group]) -> Iterable[Refusal]:
    for group in groups:
        for text in excesses(max(group.stacks, key=len), group.new, group.size):
            subject, _, reason = text.removeprefix("stack ").partition(": ")
            yield Refusal(subject, reason)


def quota_refusals(made: Plan, cells: Mapping[str, str]) -> Iterable[Refusal]:
    """Only of a plan that makes something: what stands has found room. `cells`: platform's stack by place."""
    for use, text in zip((each for each in made.quotas if each.is_exceeded), refusals(made.quotas), strict=True):
        platforms = {cells[place] for place in use.cells if place in cells}
        new = [
            change.tenant
            for cell in made.cells
            if cell.platform in platforms
            for change in cell.changes
            if change.action is Action.CREATE and change.tenant
        ]
        if new:
            _, _, reason = text.partition(": ")
            yield Refusal(f"tenant {new[0]}", f"does not fit into {use.place}: {reason}")


class Lines:
    """Where tenants stand in tenants.yaml."""

    def __init__(self, folder: Path) -> None:
        from tenants.registry import TENANTS, shown

        self.name = shown(folder / TENANTS)
        self.lines = (folder / TENANTS).read_text(encoding="utf-8").splitlines()

    def of(self, tenant: str) -> str | None:
        """None for what is no tenant of the file."""
        begins = re.compile(rf"""[-\s{{]*["']?id["']?\s*:\s*["']?{re.escape(tenant)}["']?\s*([,#}}]|\Z)""")
        found = next((number for number, line in enumerate(self.lines, 1) if begins.match(line)), None)
        return f"{self.name}:{found}" if found else None


def look(connection: Connection) -> Sight:
    return CellSight(connection).sight()


class CellSight:
    """How a plan looks at one cell. Clients are made, and the login checked, when the first look is needed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @cached_property
    def reached(self) -> Connection:
        self.connection.check_account()
        return self.connection

    @cached_property
    def stacks(self) -> LiveStacks:
        return LiveStacks(self.reached.client("cloudformation"), forgets_updates=self.connection.is_local)

    def sight(self) -> Sight:
        environment, platform = self.connection.environment, self.connection.platform
        ending = f"-{platform.environment}-tenant"
        return Sight(
            platform=platform.stack,
            account=environment.account,
            region=environment.region,
            record=self._record(),
            live=self._live,
            template=self._template,
            told=self._told,
            adaptation=adaptation(self.connection),
            is_tenants=lambda name: name.startswith(f"{platform.organization}-") and name.endswith(ending),
        )

    def _live(self, names: Collection[str] | None) -> Mapping[str, Standing]:
        return self.stacks.standing(names)

    def _template(self, name: str) -> Mapping[str, Any]:
        return self.stacks.template(name)

    def _record(self) -> Record:
        """The bucket has to be of the cell's account, so a login to another one comes to light here."""
        from botocore.exceptions import ClientError

        environment = self.connection.environment
        bucket = bucket_of(environment.account, environment.region)
        shelf = Shelf(self.connection.client("s3"), bucket, self.connection.platform.stack)
        try:
            return shelf.read()[0]
        except BootstrapError:
            self.connection.check_account()
            if not self.connection.is_local:
                raise
            return Record(unread=ABSENT)  # the first deploy makes the bucket of a local cloud
        except ClientError:
            self.connection.check_account()
            raise

    def _told(self, intent: Intent) -> Told:
        """Nothing of a tenant that the ledger does not know, or where no ledger is yet."""
        from botocore.exceptions import ClientError

        from lineage.errors import NotInLedger

        tenant = self.connection.tenant(str(intent.tenant))
        try:
            known = self.reached.ledger.tenant(tenant.id)
            listed = self.reached.ledger.listed(tenant.id)
            entries = Entries.of(self.connection, tenant, {tenant.id: listed} if listed else {})
        except NotInLedger:
            return Told(None, ("not in the ledger yet",))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return Told()
        return Told(known.state, tuple(entries.changes()) or ((NOT_WHOLE,) if entries.is_changed else ()))
