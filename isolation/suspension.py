"""Tenants that are not active: their roles may do nothing at all, by one statement of their boundary."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from isolation.account import Account, Principal
from isolation.policies import Document, listed
from tenants.naming import NO_ACCOUNT

__all__ = ["as_active"]


def as_active(account: Account, principal: Principal) -> Principal:
    """The role as it is again when its tenant is active: what it may do then is proved and reviewed already now.

    That it may do nothing before is a question of its own, `isolation.questions.anything_at_all`.
    """
    if principal.tenant not in account.shut or principal.boundary is None:
        return principal
    open_again = [reopened(account, each) for each in listed(principal.boundary.content["Statement"])]
    content = {**principal.boundary.content, "Statement": open_again}
    return replace(principal, boundary=Document(principal.boundary.name, content))


def reopened(account: Account, statement: Mapping[str, Any]) -> Mapping[str, Any]:
    shuts = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": meeting(account.account)}
    if {key: value for key, value in statement.items() if key != "Sid"} != shuts:
        return statement
    return {**statement, "Condition": meeting(NO_ACCOUNT)}


def meeting(account: str) -> Mapping[str, Any]:
    return {"StringEquals": {"aws:PrincipalAccount": account}}
