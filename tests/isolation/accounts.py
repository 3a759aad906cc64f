"""Accounts as the prover sees them, from templates that were synthesised or drilled."""

import re

from isolation.account import Account
from isolation.template import Stack
from tests.templates import Templates

__all__ = ["account_of", "stacks_of"]

STACK = re.compile(r"mycompany-(?P<tenant>.+)-(?P<environment>[a-z]+)-tenant")
PLACES = {"dev": ("111122223333", "eu-central-1"), "prod": ("777788889999", "eu-central-1")}


def account_of(templates: Templates, environment: str = "prod") -> Account:
    account, region = PLACES[environment]
    return Account.of(stacks_of(templates), account=account, region=region)


def stacks_of(templates: Templates) -> list[Stack]:
    return [Stack(name, tenant_of(name), template) for name, template in templates.items()]


def tenant_of(stack: str) -> str | None:
    found = STACK.fullmatch(stack)
    return found["tenant"] if found else None
