"""A plan, reckoned from what stacks shall be and from what is known of how they stand.

Digests are compared for every stack. Templates, CloudFormation and the ledger are asked only for those that differ.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from deployment.assembly import Stack
from deployment.changes import Difference, ResourceChange, difference
from deployment.errors import StuckError
from deployment.lifecycle import OFFBOARDING, Ends, terms_changed
from deployment.moulds import OwnWords, mould
from deployment.plans import Action, CellPlan, Change, Group, Left, Plan, Refusal
from deployment.records import Record, Recorded
from deployment.repairs import SETTLED, Step, step
from deployment.replacements import Replacements, replacements
from deployment.stacks import Adaptation, Standing, Wanted

__all__ = ["Intent", "Sight", "Told", "plan_of", "several", "standing_in", "without_second"]

ASKED_SINGLY = 10
"""More stacks than these are listed with all others, which is fewer calls."""
SETTINGS = "tags, execution role, termination protection or description"
NOTHING_TO_END = "is offboarding and does not stand here: nothing is made only to be deleted"
TRANSITIONS = {"active": Action.RESUME, "suspended": Action.SUSPEND, "offboarding": Action.OFFBOARD}


@dataclass(frozen=True)
class Intent:
    """A stack as it shall be. `digest` is what its description shall carry; the rest is None for the platform's own.

    `own` gives the words of the tenant in its template (`deployment.moulds`). `remarks`: what a new state brings.
    `life`: which tenant of its id it is, and `whose`, by name and owner (`deployment.lifecycle`). `terms`: how it
    leaves, of one that is offboarding.
    """

    stack: Stack
    digest: str
    tenant: str | None = None
    state: str | None = None
    entries: str | None = None
    own: Callable[[], OwnWords] = OwnWords
    remarks: tuple[str, ...] = ()
    life: int = 1
    terms: str | None = None
    whose: str | None = None

    @property
    def name(self) -> str:
        return self.stack.name


@dataclass(frozen=True)
class Told:
    """What the ledger knows of a tenant: its state, and how its entries differ from what they shall be."""

    state: str | None = None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sight:
    """What is known of a cell, and how to look at it; each look is a call.

    `live` describes the stacks of these names, or all for None; `template` is that of one live stack; `told` is what
    the ledger knows of one tenant. `is_tenants` tells a tenant's stack by its name.
    """

    platform: str
    account: str
    region: str
    record: Record
    live: Callable[[Collection[str] | None], Mapping[str, Standing]]
    template: Callable[[str], Mapping[str, Any]]
    told: Callable[[Intent], Told]
    adaptation: Adaptation = field(default_factory=Adaptation)
    is_tenants: Callable[[str], bool] = lambda _name: False


class Knowledge:
    """How the stacks of a cell stand: by its record, or by a look at them where that does not say it."""

    def __init__(
        self, sight: Sight, names: Iterable[str], *, refresh: bool, chosen: Collection[str] | None = None
    ) -> None:
        self.sight, self.names, self.chosen = sight, frozenset(names), chosen
        self.looks_at_all, self.compares = refresh or not sight.record.is_known, refresh
        self.edited: dict[str, bool] = {}
        self.note = how(refresh=refresh, unread=sight.record.unread)
        self.refusals: list[Refusal] = []

    def recorded(self, name: str) -> Recorded | None:
        return self.sight.record.stacks.get(name)

    @cached_property
    def live(self) -> Mapping[str, Standing]:
        """Every stack that is meant, if the record is not to be relied on; else those that it does not know."""
        if self.looks_at_all:
            return self._asked(None if self.chosen is None else self.names.union(self.chosen))
        return self.look({name for name in self.names if not self._is_sure(name)})

    def _is_sure(self, name: str) -> bool:
        """Not of a stack that a deploy was at when it ended: what it came to has not been recorded."""
        recorded = self.recorded(name)
        return recorded is not None and recorded.digest != ""

    def look(self, names: Collection[str]) -> Mapping[str, Standing]:
        """Those of `names` that stand."""
        if not names or self.looks_at_all:
            return {name: self.live[name] for name in names if name in self.live}
        return self._asked(names)

    def _asked(self, names: Collection[str] | None) -> Mapping[str, Standing]:
        """Of stacks whose creation never succeeded, nothing."""
        found = self.sight.live(names if names is not None and len(names) <= ASKED_SINGLY else None)
        meant = found if names is None else {name: each for name, each in found.items() if name in names}
        return {name: each for name, each in meant.items() if self._is_sound(name, each)}

    def _is_sound(self, name: str, standing: Standing) -> bool:
        try:
            stood = self.sight.record.has_stood(name)
            return step(name, standing.status, stood=stood) not in {Step.CREATE, Step.CLEAR}
        except StuckError as error:
            if name in self.names:
                self.refusals.append(Refusal(name, str(error)))
            return True

    def stands(self, name: str) -> bool:
        return name in self.live or (not self.looks_at_all and self._is_sure(name))

    def digest(self, intent: Intent) -> str | None:
        """What the stack was last brought to; None for one that does not stand, or has to be deployed anyhow."""
        standing, recorded = self.live.get(intent.name), self.recorded(intent.name)
        if standing is None:
            return recorded.digest if recorded and recorded.digest and not self.looks_at_all else None
        is_protected = standing.termination_protection == intent.stack.termination_protection
        is_right = standing.status in SETTLED and is_protected and not self._is_edited(intent, standing)
        return standing.digest if is_right else None

    def _is_edited(self, intent: Intent, standing: Standing) -> bool:
        """Whether somebody gave the stack another template by hand, and left in its description what a deploy wrote.

        Looked for on a refresh only, and where the stack was given one since the last deploy, as far as anybody knows.
        """
        if not self.compares or standing.digest != intent.digest:
            return False
        name, recorded = intent.name, self.recorded(intent.name)
        if recorded is not None and recorded.updated is not None and recorded.updated == standing.updated:
            return False
        if name not in self.edited:
            self.edited[name] = not Wanted(intent.stack, self.sight.adaptation).is_in(self.sight.template(name))
        return self.edited[name]

    def is_touched(self, name: str) -> bool:
        """Whether the stack was given a template by somebody else since the last deploy, so far as times tell."""
        standing, recorded = self.live.get(name), self.recorded(name)
        return bool(
            standing and standing.updated and recorded and recorded.updated and recorded.updated != standing.updated
        )

    def is_told(self, intent: Intent) -> bool:
        """Whether the ledger knows of the tenant what it shall know."""
        recorded = self.recorded(intent.name)
        return intent.tenant is None or (recorded is not None and recorded.entries == intent.entries)


def how(*, refresh: bool, unread: str | None) -> str | None:
    if refresh:
        return "compared with the stacks as they stand"
    return f"compared with the stacks as they stand: the record {unread}" if unread else None


@dataclass
class CellPlanner:
    """One cell. `placed`: by the name of each tenant's stack, the platform's stack of the cell that the file says."""

    sight: Sight
    intents: Sequence[Intent]
    placed: Mapping[str, str]
    named: Collection[str]
    """Resources that may be given up with what is in them."""
    refresh: bool
    chosen: Collection[str] | None = None
    """The stacks that are meant; None for all, so that one too many is told."""
    ends: Ends = field(default_factory=lambda: Ends({}, {}))
    table: Replacements = field(default_factory=replacements)
    refusals: list[Refusal] = field(default_factory=list)
    found: dict[str, tuple[Group, Difference]] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    """Stacks that stand here, and in another cell by the file."""
    left: list[Left] = field(default_factory=list)

    @cached_property
    def knowledge(self) -> Knowledge:
        return Knowledge(self.sight, (each.name for each in self._alive()), refresh=self.refresh, chosen=self.chosen)

    def plan(self) -> CellPlan:
        meant = list(self._meant())
        differing = [intent for intent in meant if self.knowledge.digest(intent) != intent.digest]
        groups = [self._compared(alike) for alike in self._grouped(differing)]
        changes = tuple(self._change(intent) for intent in meant)
        gone, strange = self._astray()
        self.refusals += self.knowledge.refusals
        sight = self.sight
        return CellPlan(
            platform=sight.platform,
            account=sight.account,
            region=sight.region,
            changes=changes,
            groups=tuple(groups),
            gone=gone,
            strange=strange,
            left=tuple(self.left),
            note=self.knowledge.note,
        )

    def _alive(self) -> Iterable[Intent]:
        """Without the tenants whose end has begun, or is certified."""
        return (each for each in self.intents if not self._left(each) and not self._obstacle(each))

    def _left(self, intent: Intent) -> str | None:
        return self.ends.left(intent.tenant, intent.state, intent.life) if intent.tenant else None

    def _obstacle(self, intent: Intent) -> str | None:
        return self.ends.obstacle(intent.tenant, intent.state, intent.life) if intent.tenant else None

    def _stranger(self, intent: Intent) -> str | None:
        """Why the stack that stands may be another tenant's of the same id."""
        recorded = self.knowledge.recorded(intent.name)
        if intent.tenant is None or not self.knowledge.stands(intent.name):
            return None
        why = self.ends.stranger(intent.tenant, intent.life, recorded.life if recorded else 0)
        return why or self.ends.successor(intent.tenant, intent.state, intent.whose, recorded)

    def _meant(self) -> Iterable[Intent]:
        """What is compared and deployed; why the others are not is told."""
        for intent in self.intents:
            if why := self._left(intent):
                self.left.append(Left(str(intent.tenant), intent.name, why))
            elif why := self._obstacle(intent) or self._stranger(intent):
                self.refusals.append(Refusal(intent.name, why))
            elif intent.state == OFFBOARDING and not self.knowledge.stands(intent.name):
                self.left.append(Left(str(intent.tenant), intent.name, NOTHING_TO_END))
            else:
                yield intent

    def _change(self, intent: Intent) -> Change:
        name, is_told = intent.name, self.knowledge.is_told(intent)
        terms = self._terms_changed(intent)
        if is_told and name not in self.found and not terms:
            return Change(name, intent.tenant, Action.UNCHANGED)
        _, differs = self.found.get(name, (None, Difference()))
        if not self.knowledge.stands(name):
            return Change(name, intent.tenant, Action.CREATE, differs.resources)
        told = Told() if is_told else self.sight.told(intent)
        entries = (*told.changes, *terms)
        is_same = name not in self.found and not entries
        transition = self._transition(intent, told)
        action = transition or (Action.UNCHANGED if is_same else Action.UPDATE)
        remarks = intent.remarks if transition or terms else ()
        return Change(name, intent.tenant, action, differs.resources, differs.sections, entries, remarks)

    def _terms_changed(self, intent: Intent) -> tuple[str, ...]:
        """Of one that was offboarding before."""
        recorded = self.knowledge.recorded(intent.name)
        if recorded is None or recorded.is_begun or recorded.state != OFFBOARDING or intent.state != OFFBOARDING:
            return ()
        return terms_changed(recorded.terms, intent.terms)

    def _transition(self, intent: Intent, told: Told) -> Action | None:
        """Either may be behind: a deploy that suspends tells the ledger first, one that resumes does so last."""
        recorded = self.knowledge.recorded(intent.name)
        was = {told.state, recorded.state if recorded and not recorded.is_begun else None} - {None, intent.state}
        return TRANSITIONS[intent.state] if was and intent.state is not None else None

    def _grouped(self, intents: Iterable[Intent]) -> Iterable[list[Intent]]:
        groups: dict[tuple[str, ...], list[Intent]] = {}
        for intent in intents:
            groups.setdefault(self._likeness(intent), []).append(intent)
        return groups.values()

    def _likeness(self, intent: Intent) -> tuple[str, ...]:
        """Stacks for which it is the same have the same differences; one that is like no other has its name."""
        stands, recorded = self.knowledge.stands(intent.name), self.knowledge.recorded(intent.name)
        if intent.tenant is None:
            return (intent.name,)
        after = mould(intent.stack, intent.own(), self.sight.adaptation.version)
        if not stands:
            return ("", after)
        is_as_recorded = recorded is not None and self.knowledge.digest(intent) == recorded.digest
        is_as_recorded = is_as_recorded and not self.knowledge.is_touched(intent.name)
        before = recorded.mould if recorded is not None and is_as_recorded else None
        return (before or intent.name, after)

    def _compared(self, alike: Sequence[Intent]) -> Group:
        # Of the longest name, since policies grow with it and have limits.
        first, names = max(alike, key=lambda intent: len(intent.name)), tuple(intent.name for intent in alike)
        new = self.sight.adaptation.apply(first.stack.template)
        old = self.sight.template(first.name) if self.knowledge.stands(first.name) else None
        differs = difference(old or {}, new, self.table)
        if old is not None and not differs.resources and not differs.sections:
            differs = Difference(sections=(unseen(first.stack.template, new),))
        self._refuse(names, differs)
        size = max(intent.stack.size for intent in alike)
        group = Group(names, old, new, size)
        self.found |= dict.fromkeys(names, (group, differs))
        return group

    def _refuse(self, stacks: Sequence[str], differs: Difference) -> None:
        for each in differs.resources:
            bad = [stack for stack in stacks if f"{stack}/{each.logical_id}" not in self.named]
            if each.obstacle:
                self.refusals.append(Refusal(f"{several(stacks)}/{each.logical_id}", each.obstacle))
            elif each.gives_up_data and bad:
                self.refusals.append(Refusal(f"{several(bad)}/{each.logical_id}", loss(each, bad[0])))

    def _astray(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Recorded stacks that do not stand any more, and those that stand and should not, or not here: refused."""
        recorded, placed, knowledge = self.sight.record.stacks, self.placed, self.knowledge
        here = {each.stack for each in recorded.values() if each.tenant is not None}
        here |= set(filter(self.sight.is_tenants, knowledge.live))
        here |= {each.stack for each in self.sight.record.offboardings.values() if not each.is_certified}
        strange = {name for name in here if placed.get(name) != self.sight.platform}
        strange = strange if self.chosen is None else strange.intersection(self.chosen)
        standing = knowledge.look(strange)
        self.elsewhere |= standing.keys() & placed.keys()
        found = {name: self._why_astray(name, stands=name in standing) for name in sorted(strange)}
        self.refusals += [refusal for refusal in found.values() if refusal]
        gone = (name for name, refusal in found.items() if not refusal and name in recorded)
        return tuple(gone), tuple(sorted(standing))

    def _why_astray(self, name: str, *, stands: bool) -> Refusal | None:
        ending = (each.stack for each in self.sight.record.offboardings.values() if not each.is_certified)
        if name in self.placed:
            return moved(name, self.sight) if stands or name in ending else None
        why = self.ends.astray(name, self.sight.record.stacks.get(name), stands=stands)
        return Refusal(name, why) if why else None


def unseen(whole: Mapping[str, Any], sent: Mapping[str, Any]) -> str:
    """What may differ where templates do not. Of what a cloud keeps out of its stacks, live ones tell nothing."""
    kept_out = {each["Type"] for name, each in whole["Resources"].items() if name not in sent["Resources"]}
    if not kept_out:
        return SETTINGS
    return f"{SETTINGS}, or what this cloud makes beside the stack: {', '.join(sorted(kept_out))}"


def several(stacks: Sequence[str]) -> str:
    return stacks[0] if len(stacks) == 1 else f"{stacks[0]} and {len(stacks) - 1:,} more"


def loss(change: ResourceChange, stack: str) -> str:
    causes = f" because of {', '.join(change.properties)}" if change.replaces else ""
    deed = f"would be replaced{causes}" if change.replaces else "would leave the stack"
    return (
        f"{change.type} holds data and {deed}; take that change back, or save the data and say "
        f"`--replace {stack}/{change.logical_id}`"
    )


def moved(stack: str, sight: Sight) -> Refusal:
    return Refusal(
        stack,
        f"stands in account {sight.account}, Region {sight.region}, and tenants.yaml places its tenant in another "
        "cell: data does not move along, so put its `cells:` back",
    )


def plan_of(
    environment: str,
    cells: Sequence[tuple[Sight, Sequence[Intent]]],
    placed: Mapping[str, str],
    *,
    refresh: bool = False,
    chosen: Collection[str] | None = None,
    named: Collection[str] = (),
    tombstones: Mapping[str, str] | None = None,
    suffix: str = "",
) -> Plan:
    """For what is given see CellPlanner and Ends."""
    ends = Ends.of((sight.record.offboardings for sight, _ in cells), tombstones or {}, suffix)
    planners = [CellPlanner(sight, intents, placed, named, refresh, chosen, ends) for sight, intents in cells]
    made = [planner.plan() for planner in planners]
    elsewhere = {name for planner in planners for name in planner.elsewhere}
    plans = tuple(without_second(cell, elsewhere) for cell in made)
    return Plan(environment, plans, tuple(refusal for planner in planners for refusal in planner.refusals))


def standing_in(
    sight: Sight, lives: Mapping[str, int], placed: Mapping[str, str], suffix: str = ""
) -> tuple[frozenset[str], tuple[Refusal, ...]]:
    """Those of the stacks, all new, each with its tenant's life, that stand in a cell that is not planned, and is not
    theirs by the file, or whose ids are not free there; and their refusals.
    """
    ends = Ends.of([sight.record.offboardings], {}, suffix)
    planner = CellPlanner(sight, (), placed, (), refresh=False, chosen=lives.keys(), ends=ends)
    planner.plan()
    taken = {each.stack: tenant for tenant, each in sight.record.offboardings.items()}
    whys = {name: ends.obstacle(taken[name], None, life) for name, life in lives.items() if name in taken}
    refusals = [Refusal(name, why) for name, why in whys.items() if why and name not in planner.elsewhere]
    return frozenset([*planner.elsewhere, *(each.subject for each in refusals)]), (*planner.refusals, *refusals)


def without_second(cell: CellPlan, elsewhere: Collection[str]) -> CellPlan:
    """A stack that stands in another cell is not planned to be created once more."""
    kept = (each for each in cell.changes if each.action is not Action.CREATE or each.stack not in elsewhere)
    return replace(cell, changes=tuple(kept))
