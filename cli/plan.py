"""What a deploy would do, without doing it: stacks that differ, and the resources in which they do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cli.assembly import Stack
from cli.stacks import Stacks, Standing, Wanted

__all__ = ["Planned", "plan"]

ADDED, CHANGED, REMOVED = "+", "~", "-"


@dataclass(frozen=True)
class Planned:
    """One stack: `create`, `update` or `unchanged`, and its changes, such as `+ Lake5F1B88EA AWS::S3::Bucket`."""

    stack: str
    action: str
    changes: tuple[str, ...] = ()


def plan(stacks: Stacks, wanted: Iterable[Stack], standing: Mapping[str, Standing]) -> list[Planned]:
    return [planned(stacks, stack, standing.get(stack.name)) for stack in wanted]


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
