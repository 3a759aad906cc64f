"""Confused deputies: who else is let in by the policies of resources, and whether only for sources that are named."""

from collections.abc import Iterator
from dataclasses import dataclass

from isolation.account import Account, Resource
from isolation.conditions import Condition
from isolation.decision import is_account
from isolation.globs import is_literal, meets
from isolation.policies import Named, Statement
from isolation.questions import space

__all__ = ["Deputy", "deputies"]

BY_ACCOUNT = "aws:sourceaccount"
BY_ORGANIZATION = "aws:sourceorgid"
BY_ARN = frozenset({"aws:sourcearn", "kms:encryptioncontext:aws:logs:arn"})
CERTAIN = frozenset({"StringEquals", "StringLike", "ArnEquals", "ArnLike"})
# Which account an ARN is of; `arn:aws:s3:::bucket` says nothing.
ACCOUNT_PART = 4


@dataclass(frozen=True)
class Deputy:
    """An Allow by which somebody else's request can reach a resource."""

    resource: str
    statement: str
    problem: str

    def __str__(self) -> str:
        return f"{self.resource}: {self.statement}: {self.problem}"


def deputies(account: Account) -> list[Deputy]:
    return [
        Deputy(resource.arn, str(statement), problem)
        for resource in account.resources.values()
        for statement in (resource.policy.allowing if resource.policy else ())
        for problem in problems(account, resource, statement)
    ]


def problems(account: Account, resource: Resource, statement: Statement) -> Iterator[str]:
    if statement.not_principals is not None:
        yield "lets in everybody but some: expected those that are let in"
    for named in statement.principals or ():
        if named.kind == "Service" and not is_function(resource, named):
            yield from service_problems(account, resource, statement, named.name)
        elif named.kind == "Federated" or (named.kind == "AWS" and is_outside(account, named)):
            yield f"lets in {named.name}, which is not of this account"


def is_function(resource: Resource, named: Named) -> bool:
    """Lambda assumes a function's role for that function alone, and names no source when it does."""
    return resource.kind == "iam" and named.name == "lambda.amazonaws.com"


def is_outside(account: Account, named: Named) -> bool:
    """Everybody is asked about elsewhere: tenants' roles are part of it, and none of them may get in."""
    return named.name != "*" and not is_account(named, account.account) and f":{account.account}:" not in named.name


def service_problems(account: Account, resource: Resource, statement: Statement, service: str) -> Iterator[str]:
    pins = [each for each in statement.conditions if is_pin(account, each)]
    if not pins:
        yield f"lets {service} act for anybody: expected aws:SourceArn or aws:SourceAccount of this account"
        return
    sources = [each for each in pins if each.key.lower() in BY_ARN]
    if resource.tenant is None or resource.kind == "iam":
        # Whoever hands a role to a service needs iam:PassRole on it, which is asked about elsewhere.
        return
    if not sources:
        yield f"lets {service} act for every tenant of the account: expected aws:SourceArn of this one's things"
    for tenant in sorted(tenants_met(account, resource.tenant, sources)):
        yield f"lets {service} act for sources of {tenant}: expected a pattern of {resource.tenant}'s alone"


def is_pin(account: Account, condition: Condition) -> bool:
    """A condition that certainly fails for sources of other accounts."""
    if condition.if_exists or condition.base not in CERTAIN or condition.quantifier == "ForAllValues":
        return False
    key = condition.key.lower()
    if key == BY_ORGANIZATION:
        return all(map(is_literal, condition.wanted))
    if key == BY_ACCOUNT:
        return set(condition.wanted) == {account.account}
    return key in BY_ARN and all(is_own(account, pattern) for pattern in condition.wanted)


def is_own(account: Account, pattern: str) -> bool:
    parts = pattern.split(":")
    if len(parts) > ACCOUNT_PART and parts[ACCOUNT_PART]:
        return parts[ACCOUNT_PART] == account.account
    return pattern in account.resources


def tenants_met(account: Account, owner: str, sources: list[Condition]) -> set[str]:
    """Other tenants whose things every one of the conditions lets through."""
    return {
        str(resource.tenant)
        for resource in account.resources.values()
        if resource.tenant not in (None, owner) and sources
        for name in space(resource)
        if all(any(meets(pattern, name) for pattern in source.wanted) for source in sources)
    }
