"""The proof: every question about every role of every tenant, answered with no, or with the way that it leaks."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

from isolation.account import Account, Principal, Resource
from isolation.catalogue import catalogue
from isolation.conditions import Context, filled
from isolation.decision import (
    Leak,
    Question,
    action_may_match,
    base_context,
    condition_of,
    decide,
    leak,
    name_may_match,
    names,
)
from isolation.errors import UnknownService
from isolation.globs import WILD, meets
from isolation.policies import Statement
from isolation.questions import (
    SERVICES,
    Given,
    Topic,
    actions_on,
    anything_at_all,
    on_foreign_things,
    on_what_is_shared,
    space,
)
from isolation.suspension import as_active

__all__ = ["Counts", "Proof", "leaks_of", "prove"]

# Whoever has that many has seen enough.
MOST_LEAKS = 2_000


@dataclass(frozen=True)
class Counts:
    """What was asked. `contexts` are different ones, `questions` all combinations."""

    tenants: int
    principals: int
    resources: int
    actions: int
    names: int
    contexts: int
    questions: int

    def __str__(self) -> str:
        words = ("tenants", "principals", "resources", "actions", "contexts", "questions")
        return ", ".join(counted(getattr(self, word), word) for word in words)


def counted(number: int, things: str) -> str:
    return f"{number:,} {things.removesuffix('s') if number == 1 else things}"


@dataclass(frozen=True)
class Proof:
    """No leaks: no role of a tenant can do anything to what is another's, as far as templates say."""

    counts: Counts
    leaks: tuple[Leak, ...]

    def __str__(self) -> str:
        many = "at least " if len(self.leaks) >= MOST_LEAKS else ""
        return f"isolation: {self.counts}: {many}{counted(len(self.leaks), 'leaks')}"


def prove(account: Account, tenants: Collection[str] = ()) -> Proof:
    """Asks everything about the roles of these tenants, or of all.

    Raises if a role is allowed something that there are no questions about.
    """
    asked = set(tenants) or set(account.tenants)
    principals = [each for each in account.principals.values() if each.tenant in asked]
    for principal in principals:
        refuse_unknown_services(principal)
    directory = Directory(each for each in account.resources.values() if each.tenant is not None)
    leaks = (each for principal in principals for each in leaks_of(account, principal, directory))
    return Proof(counts(account, principals), tuple(islice(leaks, MOST_LEAKS)))


def leaks_of(account: Account, principal: Principal, directory: "Directory") -> Iterator[Leak]:
    """Of one role. Only what its statements can reach at all is looked at; about the rest they say no together."""
    if principal.tenant in account.shut:
        yield from answers(account, principal, anything_at_all())
        principal = as_active(account, principal)  # a hole is told before the tenant is active again
    for arn in principal.managed:
        yield Leak(principal.arn, "*", "*", {}, (f"{arn}: AWS writes this policy, no template shows what it allows",))
    for resource in directory.reached_by(principal, base_context(account, principal)):
        if resource.tenant != principal.tenant:
            yield from answers(account, principal, on_foreign_things(resource))
    for topic in on_what_is_shared(account, principal):
        yield from answers(account, principal, topic)


def refuse_unknown_services(principal: Principal) -> None:
    known = catalogue().on_resources
    for document in principal.identity:
        for statement in document.allowing:
            for action in statement.actions or ():
                if action != "*" and action.split(":")[0] not in known:
                    raise UnknownService(
                        f"{statement}: allows {action}, of a service whose actions are not in isolation/actions.json: "
                        "add the service there, and to isolation/questions.py what it acts on"
                    )


def answers(account: Account, principal: Principal, topic: Topic) -> Iterator[Leak]:
    """Every question of a topic that is answered with yes."""
    base = base_context(account, principal)
    for name in topic.names:
        question = Question(principal, "", name, topic.resource, base, account.account)
        candidates = able(question, topic.actions)
        for given in topic.contexts if candidates else ():
            yield from granted(replace(question, context=base.having(given) if given else base), given, candidates)


Candidates = list[tuple[Statement, tuple[str, ...]]]


def able(question: Question, actions: tuple[str, ...]) -> Candidates:
    """Statements that may allow anything on this name, with the actions; where there are none, all is denied."""
    policy = question.resource.policy if question.resource else None
    statements = [each for document in question.principal.identity for each in document.allowing]
    statements += [each for each in (policy.allowing if policy else ()) if names(each, question)]
    found = (
        (each, matched(each.actions, each.not_actions, actions))
        for each in statements
        if name_may_match(each, question)
    )
    return [(statement, actions) for statement, actions in found if actions]


@lru_cache(maxsize=16_384)
def matched(
    listed: tuple[str, ...] | None, excepted: tuple[str, ...] | None, actions: tuple[str, ...]
) -> tuple[str, ...]:
    """The statements of all tenants list the same actions: this is worked out once for all of them."""
    return tuple(action for action in actions if action_may_match(listed, excepted, action))


def granted(question: Question, given: Given, candidates: Candidates) -> Iterator[Leak]:
    """The actions that are possible in one context; `question` holds everything but the action."""
    context = question.context
    live = [actions for statement, actions in candidates if condition_of(statement, context) is not False]
    for action in dict.fromkeys(action for actions in live for action in actions):
        asked = replace(question, action=action)
        if because := decide(asked):
            yield leak(asked, catalogue().spelled(action), given, because)


@lru_cache(maxsize=16_384)
def acted_on(listed: tuple[str, ...] | None, excepted: tuple[str, ...] | None) -> frozenset[str]:
    """Kinds of things on which a statement allows anything."""
    return frozenset(kind for kind in SERVICES if matched(listed, excepted, actions_on(kind)))


class Directory:
    """Names of resources, found by the patterns that meet them without trying each."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = list(resources)
        self.by_start: dict[str, list[tuple[str, Resource]]] = defaultdict(list)
        for resource in self.resources:
            for name in space(resource):
                self.by_start[start_of(name)].append((name, resource))
        self.starts = sorted(self.by_start)
        self.open = [
            (each, statement)
            for each in self.resources
            for statement in (each.policy.allowing if each.policy else ())
            if statement.principals is None or any(named.kind == "AWS" for named in statement.principals)
        ]

    def reached_by(self, principal: Principal, context: Context) -> list[Resource]:
        """What an Allow of the role may meet, and what has a policy that may let the role in."""
        found: dict[Resource, None] = {}
        for statement in (each for document in principal.identity for each in document.allowing):
            kinds = acted_on(statement.actions, statement.not_actions)
            for pattern in (statement.resources or ("*",)) if kinds else ():
                met = self._met_by(filled(pattern, context)[0])
                found.update({each: None for each in met if each.kind in kinds})
        question = Question(principal, "", "", None, context, "")
        found.update({each: None for each, statement in self.open if names(statement, question)})
        return list(found)

    def _met_by(self, pattern: str) -> Iterator[Resource]:
        start = start_of(pattern)
        shorter = (start[:end] for end in range(len(start)))
        for known in (*(each for each in shorter if each in self.by_start), *self._beginning_with(start)):
            for name, resource in self.by_start[known]:
                if meets(pattern, name):
                    yield resource

    def _beginning_with(self, start: str) -> Iterator[str]:
        for at in range(bisect_left(self.starts, start), len(self.starts)):
            if not self.starts[at].startswith(start):
                return
            yield self.starts[at]


def start_of(pattern: str) -> str:
    """What every text that matches begins with."""
    wild = WILD.search(pattern)
    return pattern[: wild.start()] if wild else pattern


def counts(account: Account, principals: list[Principal]) -> Counts:
    """Of all that the proof answers, whether by looking or because no statement comes near."""
    foreign = {each: on_foreign_things(each) for each in account.resources.values() if each.tenant is not None}
    per_tenant: dict[str | None, int] = defaultdict(int)
    for resource, topic in foreign.items():
        per_tenant[resource.tenant] += topic.questions
    shared = {principal: list(on_what_is_shared(account, principal)) for principal in principals}
    for principal in principals:
        if principal.tenant in account.shut:
            shared[principal].append(anything_at_all())
    topics = [*foreign.values(), *(topic for each in shared.values() for topic in each)]
    questions = sum(
        sum(per_tenant.values()) - per_tenant[principal.tenant] + sum(topic.questions for topic in shared[principal])
        for principal in principals
    )
    return Counts(
        tenants=len({each.tenant for each in principals}),
        principals=len(principals),
        resources=len({topic.resource.arn for topic in topics}),
        actions=len({action for topic in topics for action in topic.actions}),
        names=len({name for topic in topics for name in topic.names}),
        contexts=len({tuple(given.items()) for topic in topics for given in topic.contexts}),
        questions=questions,
    )
