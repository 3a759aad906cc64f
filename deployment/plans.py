"""What a deploy is going to do: the stacks that change, how, and what stands in the way."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from deployment.changes import ResourceChange
from deployment.costs import Cost
from deployment.quotas import Use

__all__ = ["Action", "CellPlan", "Change", "Group", "Left", "Plan", "Refusal"]


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    SUSPEND = "suspend"
    RESUME = "resume"
    OFFBOARD = "offboard"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Refusal:
    """Why nothing may be deployed as it is, and what to do. `where`: file and line to look at, if that is known."""

    subject: str
    reason: str
    where: str | None = None


@dataclass(frozen=True)
class Change:
    """One stack: its resources that differ, other parts of its template that do, and what the ledger will be told.

    `remarks` say what follows from a tenant's new state.
    """

    stack: str
    tenant: str | None
    action: Action
    resources: tuple[ResourceChange, ...] = ()
    sections: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Left:
    """A tenant of the file that a deploy leaves alone, and why."""

    tenant: str
    stack: str
    reason: str


@dataclass(frozen=True)
class Group:
    """Stacks that change in one way; the templates are those of the longest name. `old` is None for new stacks."""

    stacks: tuple[str, ...]
    old: Mapping[str, Any] | None
    new: Mapping[str, Any]
    size: int
    """Bytes of the longest new template."""


@dataclass(frozen=True)
class CellPlan:
    """The changes of one cell, the platform's first.

    `gone` are recorded stacks that do not stand any more, `strange` ones that stand and should not, or not here.
    """

    platform: str
    account: str
    region: str
    changes: tuple[Change, ...]
    groups: tuple[Group, ...] = ()
    gone: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()
    note: str | None = None
    """How it is known what is deployed, where that is not by the record."""

    @cached_property
    def counts(self) -> Counter[Action]:
        return Counter(change.action for change in self.changes)

    @property
    def pending(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.action is not Action.UNCHANGED)


@dataclass(frozen=True)
class Plan:
    """What a deploy of an environment is going to do, cell after cell."""

    environment: str
    cells: tuple[CellPlan, ...]
    refusals: tuple[Refusal, ...] = ()
    cost: Cost = field(default_factory=Cost)
    quotas: tuple[Use, ...] = ()

    @cached_property
    def counts(self) -> Counter[Action]:
        return sum((cell.counts for cell in self.cells), Counter[Action]())

    @property
    def is_empty(self) -> bool:
        return not any(count for action, count in self.counts.items() if action is not Action.UNCHANGED)
