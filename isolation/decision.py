"""Whether a role may do something: no only if that is certain, relative to what templates say."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from isolation.account import Account, Principal, Resource
from isolation.conditions import ABSENT, Context, Truth, Values, filled, holds
from isolation.globs import covers, is_literal, matches, meets
from isolation.policies import Document, Named, Statement

__all__ = ["ANYWHERE", "Leak", "Question", "base_context", "decide", "may"]

# The name under which an action is asked about that AWS authorises on no resource: only `*` allows it.
ANYWHERE = "-"


@dataclass(frozen=True, eq=False)
class Question:
    """May this principal do `action` (in lower case) on `name`, a text or a pattern, while `context` holds?

    `resource` is what the name is of, if a template declares it.
    """

    principal: Principal
    action: str
    name: str
    resource: Resource | None
    context: Context
    account: str


@dataclass(frozen=True)
class Leak:
    """An action that is possible, and the statements that make it so."""

    principal: str
    action: str
    name: str
    context: Mapping[str, str] = field(hash=False)
    because: tuple[str, ...]

    def __str__(self) -> str:
        given = "".join(f", with {key} = {value}" for key, value in self.context.items())
        return f"{self.principal} may {self.action} on {self.name}{given}: {'; '.join(self.because)}"


def may(
    account: Account, principal: Principal, action: str, name: str, context: Mapping[str, Values] | None = None
) -> Leak | None:
    """The way in which `principal` may do `action` on `name`, or None if that is certainly denied.

    `name` may be a pattern, and then the question is about everything that matches. `context` holds what is known
    of the request beside what follows from the principal; of all other keys nothing is known.
    """
    given = context or {}
    known = base_context(account, principal)
    question = Question(
        principal=principal,
        action=action.lower(),
        name=name,
        resource=account.holding(name),
        context=known.having(given) if given else known,
        account=account.account,
    )
    because = decide(question)
    return leak(question, action, given, because) if because else None


def leak(question: Question, action: str, given: Mapping[str, Values], because: tuple[Statement, ...]) -> Leak:
    shown = {key: " + ".join(value) if isinstance(value, tuple) else repr(value) for key, value in given.items()}
    return Leak(question.principal.arn, action, question.name, shown, tuple(map(str, because)))


@lru_cache(maxsize=8_192)
def base_context(account: Account, principal: Principal) -> Context:
    """What every request of a session of this role carries."""
    values: dict[str, Values] = {
        "aws:PrincipalAccount": (account.account,),
        "aws:PrincipalArn": (principal.arn,),
        "aws:PrincipalIsAWSService": ("false",),
        "aws:PrincipalType": ("AssumedRole",),
        "kms:CallerAccount": (account.account,),
    }
    # Only requests of services carry these.
    for key in ("PrincipalServiceName", "PrincipalServiceNamesList", "SourceAccount", "SourceArn", "SourceOrgID"):
        values[f"aws:{key}"] = ABSENT
    if takes_session_tags(principal):
        return Context(values)
    tags: dict[str, Values] = {f"aws:PrincipalTag/{key}": (value,) for key, value in principal.tags.items()}
    return Context({**values, **tags}, closed=("aws:PrincipalTag/",))


def takes_session_tags(principal: Principal) -> bool:
    """Whether who assumes the role may choose its tags."""
    return any(action_may_match(each.actions, each.not_actions, "sts:tagsession") for each in principal.trust.allowing)


def decide(question: Question) -> tuple[Statement, ...]:
    """The statements that together allow it; none if it is certainly denied."""
    if denied(question):
        return ()
    if direct := first(named_in_policy(question)):
        return (direct,)
    allowed = first(applying(question, question.principal.identity))
    boundary = question.principal.boundary
    bounded = first(applying(question, [boundary])) if boundary else None
    delegated = first(delegating(question)) if wants_delegation(question) else None
    if allowed is None or (boundary and bounded is None) or (wants_delegation(question) and delegated is None):
        return ()
    return tuple(each for each in (allowed, bounded, delegated) if each is not None)


def first(statements: Iterator[Statement]) -> Statement | None:
    return next(statements, None)


def denied(question: Question) -> bool:
    principal, resource = question.principal, question.resource
    own = [*principal.identity, *([principal.boundary] if principal.boundary else [])]
    return any(surely_applies(each, question) for document in own for each in document.denying) or (
        resource is not None
        and resource.policy is not None
        and any(names_surely(each, question) and surely_applies(each, question) for each in resource.policy.denying)
    )


def applying(question: Question, documents: Iterable[Document]) -> Iterator[Statement]:
    return (each for document in documents for each in document.allowing if may_apply(each, question))


def named_in_policy(question: Question) -> Iterator[Statement]:
    """Statements by which the resource itself lets the role in; no boundary is counted on against them."""
    policy = question.resource.policy if question.resource else None
    return (each for each in (policy.allowing if policy else ()) if names(each, question) and may_apply(each, question))


def wants_delegation(question: Question) -> bool:
    """Keys and roles are opened by their own policies only; these may leave it to the account's."""
    resource = question.resource
    if resource is None or resource.policy is None:
        return False
    return (resource.kind, question.action.split(":")[0]) in {("kms", "kms"), ("iam", "sts")}


def delegating(question: Question) -> Iterator[Statement]:
    policy = question.resource.policy if question.resource else None
    return (
        each
        for each in (policy.allowing if policy else ())
        if any(is_account(principal, question.account) for principal in each.principals or ())
        and may_apply(each, question)
    )


def may_apply(statement: Statement, question: Question) -> bool:
    """Of an Allow: unless it certainly does not."""
    return (
        action_may_match(statement.actions, statement.not_actions, question.action)
        and name_may_match(statement, question)
        and condition_of(statement, question.context) is not False
    )


def surely_applies(statement: Statement, question: Question) -> bool:
    """Of a Deny: only if it certainly does."""
    return (
        action_surely_matches(statement, question.action)
        and name_surely_matches(statement, question)
        and condition_of(statement, question.context) is True
    )


def condition_of(statement: Statement, context: Context) -> Truth:
    if not statement.conditions:
        return True
    if statement not in context.memo:
        context.memo[statement] = holds(statement.conditions, context)
    return context.memo[statement]


def action_may_match(listed: tuple[str, ...] | None, excepted: tuple[str, ...] | None, action: str) -> bool:
    if listed is not None:
        return any(meets(pattern, action) for pattern in listed)
    return not any(covers(pattern, action) for pattern in excepted or ())


def action_surely_matches(statement: Statement, action: str) -> bool:
    if statement.actions is not None:
        return any(covers(pattern, action) for pattern in statement.actions)
    return not any(meets(pattern, action) for pattern in statement.not_actions or ())


def name_may_match(statement: Statement, question: Question) -> bool:
    if statement.not_resources is not None:
        # What a variable does in NotResource is not documented: such a pattern excludes nothing.
        return not any(covers_arn(each, question.name) for each in statement.not_resources if "${" not in each)
    patterns = reach(statement)
    return any(meets(filled(pattern, question.context)[0], question.name) for pattern in patterns)


def name_surely_matches(statement: Statement, question: Question) -> bool:
    if statement.not_resources is not None:
        return not any(
            meets(filled(pattern, question.context)[0], question.name) for pattern in statement.not_resources
        )
    patterns = (filled(pattern, question.context) for pattern in reach(statement))
    return any(exact and covers_arn(pattern, question.name) for pattern, exact in patterns)


def reach(statement: Statement) -> tuple[str, ...]:
    """In the policy of a key, Resource can only be the key; a trust policy has none."""
    return ("*",) if statement.resources is None else statement.resources


ARN_PARTS = 6


def covers_arn(big: str, small: str) -> bool:
    """Part by part, since it is not documented that a `*` in the middle of an ARN reaches over colons."""
    if big == "*":
        return True
    one, other = big.split(":", ARN_PARTS - 1), small.split(":", ARN_PARTS - 1)
    return len(one) == len(other) and all(covers(a, b) for a, b in zip(one, other, strict=True))


def names(statement: Statement, question: Question) -> bool:
    """Whether the policy of a resource speaks to this role itself; who is excepted from an Allow does not count."""
    if statement.principals is None:
        return True
    return any(names_role(each, question.principal) for each in statement.principals)


def names_role(named: Named, principal: Principal) -> bool:
    if named.kind != "AWS":
        return False
    if ":assumed-role/" in named.name:
        return matches(named.name.split("/")[1], principal.name)
    return meets(named.name, principal.arn)


def names_surely(statement: Statement, question: Question) -> bool:
    return any(
        each.kind == "AWS" and (each.name in ("*", question.principal.arn) or is_account(each, question.account))
        for each in statement.principals or ()
    )


def is_account(named: Named, account: str) -> bool:
    """`111122223333` or `arn:aws:iam::111122223333:root`."""
    if named.kind != "AWS":
        return False
    parts = named.name.split(":")
    return named.name == account or (is_literal(named.name) and parts[-1] == "root" and account in parts)
