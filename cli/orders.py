"""What a person asks the deploy workflow for: every input checked before anything is done, all problems at once."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from cli.errors import WrongInput
from tenants.naming import ENVIRONMENT, TENANT

__all__ = ["ALL", "Order", "Task"]

ALL = "all"
BETWEEN = re.compile(r"[ ,]+")
SHOWN = 40
"""Characters of a wrong input that a message repeats."""


class Task(StrEnum):
    PLAN = "plan"
    DEPLOY = "deploy"
    SUSPEND = "suspend"
    RESUME = "resume"
    OFFBOARD = "offboard"


@dataclass(frozen=True)
class Order:
    """`tenants` are those that are meant, none for all."""

    environment: str
    task: Task
    tenants: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: str, task: str, tenants: str, confirmation: str = "") -> "Order":
        """Raises WrongInput. `tenants` are ids with blanks or commas between them, or `all`."""
        ids = tuple(dict.fromkeys(BETWEEN.split(tenants.strip(" "))))
        problems = [*wrong_names(environment, task, ids), *wrong_confirmation(task, ids, confirmation)]
        if problems:
            raise WrongInput("; ".join(problems))
        return cls(environment, Task(task), () if ids == (ALL,) else ids)


def wrong_names(environment: str, task: str, ids: tuple[str, ...]) -> Iterator[str]:
    if not ENVIRONMENT.match(environment) or environment == "local":
        yield f"environment {shown(environment)}: expected one of tenants/environments.yaml but local"
    if task not in list(Task):
        yield f"action {shown(task)}: expected one of {', '.join(Task)}"
    if wrong := next((each for each in ids if not TENANT.match(each)), None):
        yield f"tenants: {shown(wrong)} is no tenant id; expected ids with blanks or commas between them, or {ALL}"
    elif ids == ("",):
        yield f"tenants: expected ids with blanks or commas between them, or {ALL}"
    elif ALL in ids and len(ids) > 1:
        yield f"tenants: {ALL} beside ids; expected one of the two"


def wrong_confirmation(task: str, ids: tuple[str, ...], confirmation: str) -> Iterator[str]:
    if task != Task.OFFBOARD:
        if confirmation:
            yield f"confirmation: only {Task.OFFBOARD} takes one; leave it empty, or choose that action"
    elif len(ids) != 1 or ids == (ALL,):
        yield f"tenants: {Task.OFFBOARD} takes exactly one tenant id"
    elif confirmation != ids[0]:
        yield (
            f"confirmation {shown(confirmation)}: everything of tenant {shown(ids[0])} would be deleted; "
            "expected its id, typed again"
        )


def shown(text: str) -> str:
    """In ASCII, so that nobody takes one letter for another, and cut off."""
    return ascii(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")
