"""What a deploy would do, without doing it: stacks that differ, with their resources, and entries of the ledger."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deployment.assembly import Stack
from deployment.stacks import Stacks, Standing, Wanted

__all__ = ["Planned", "plan"]

ADDED, CHANGED, REMOVED = "+", "~", "-"


@dataclass(frozen=True)
class Planned:
    """One stack: `create`, `update` or `unchanged`, and its changes.

    Such as `+ Lake5F1B88EA AWS::S3::Bucket`, and `~ contract of orders changed: …` for what the ledger is told.
    """

    stack: str
    action: str
    changes: tuple[str, ...] = ()


def plan(
    stacks: Stacks,
    wanted: Iterable[Stack],
    standing: Mapping[str, Standing],
    entries: Callable[[str], Iterable[str]] = lambda _stack: (),
) -> list[Planned]:
    """`entries`: changes of what the ledger is told, by stack."""
    return [with_entries(planned(stacks, stack, standing.get(stack.name)), entries(stack.name)) for stack in wanted]


def with_entries(each: Planned, entries: Iterable[str]) -> Planned:
    told = tuple(f"{CHANGED} {change}" for change in entries)
    if not told:
        return each
    action = "update" if each.action == "unchanged" else each.action
    return Planned(each.stack, action, each.changes + told)


def planned(stacks: Stacks, stack: Stack, standing: Standing | None) -> Planned:
    wanted = Wanted.of(stack, stacks.adapt)
    if wanted.is_met_by(standing):
        return Planned(stack.name, "unchanged")
    after = stacks.adapt(stack.template)
    if standing is None:
        return Planned(stack.name, "create", tuple(changes({}, after)))
    deployed = stacks.clients.cloudformation.get_template(StackName=stack.name)["TemplateBody"]
    return Planned(stack.name, "update", tuple(changes(deployed, after)))


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[str]:
    """Differences of two templates by resource; `-` on something that holds data leaves the data behind."""
    old, new = before.get("Resources", {}), after.get("Resources", {})
    for name in sorted({*old, *new}):
        if name not in old:
            yield f"{ADDED} {name} {new[name]['Type']}"
        elif name not in new:
            yield f"{REMOVED} {name} {old[name]['Type']}"
        elif old[name] != new[name]:
            yield f"{CHANGED} {name} {new[name]['Type']}"
