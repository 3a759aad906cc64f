"""What differs between two templates of a stack: by resource, by property, and what a difference does."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from deployment.replacements import Replacements, holds_data

__all__ = ["SECTIONS", "Difference", "ResourceChange", "Step", "difference", "steps"]

ADDED, CHANGED, REMOVED = "+", "~", "-"
SECTIONS = ("Parameters", "Mappings", "Conditions", "Rules", "Outputs", "Transform", "Metadata")
ATTRIBUTES = (
    "Condition",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "UpdatePolicy",
    "UpdateReplacePolicy",
)
FOREIGN = re.compile(r"[\u0080-\U0010ffff]")


@dataclass(frozen=True)
class ResourceChange:
    """One resource: `+` made, `~` changed, `-` taken out of the stack.

    `properties` differ, `replaces` says that CloudFormation makes a new resource and gives up the old one, or may do
    so. `obstacle`: why the change cannot be made, or cannot be judged.
    """

    logical_id: str
    type: str
    kind: str
    properties: tuple[str, ...] = ()
    replaces: bool = False
    holds_data: bool = False
    obstacle: str | None = None

    @property
    def gives_up_data(self) -> bool:
        return self.holds_data and (self.replaces or self.kind == REMOVED)


@dataclass(frozen=True)
class Difference:
    """`sections`: parts of the template besides its resources."""

    resources: tuple[ResourceChange, ...] = ()
    sections: tuple[str, ...] = ()


def difference(old: Mapping[str, Any], new: Mapping[str, Any], table: Replacements) -> Difference:
    """`old` as CloudFormation gives it back, `new` as it is going to be sent."""
    before, after = old.get("Resources", {}), new.get("Resources", {})
    changes = {name: addition(name, after[name]) for name in after.keys() - before.keys()}
    changes |= {name: removal(name, before[name], table) for name in before.keys() - after.keys()}
    for name in before.keys() & after.keys():
        found = change(name, before[name], after[name], table)
        changes |= {name: found} if found else {}
    follow(changes, after, table)
    sections = tuple(name for name in SECTIONS if not same(old.get(name, {}), new.get(name, {})))
    return Difference(tuple(changes[name] for name in sorted(changes)), sections)


def addition(name: str, new: Mapping[str, Any]) -> ResourceChange:
    return ResourceChange(name, new["Type"], ADDED, holds_data=holds_data(new))


def removal(name: str, old: Mapping[str, Any], table: Replacements) -> ResourceChange:
    kind = old["Type"]
    unknown = None if table.knows(kind) or holds_data(old) else f"whether {kind} holds data is not known here"
    return ResourceChange(name, kind, REMOVED, holds_data=holds_data(old), obstacle=unknown)


def retyped(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> ResourceChange:
    text = f"CloudFormation changes no type ({old['Type']} → {new['Type']}): give the new resource another logical id"
    return ResourceChange(name, new["Type"], CHANGED, ("Type",), True, holds_data(old), text)


def change(name: str, old: Mapping[str, Any], new: Mapping[str, Any], table: Replacements) -> ResourceChange | None:
    if old["Type"] != new["Type"]:
        return retyped(name, old, new)
    was, is_ = old.get("Properties", {}), new.get("Properties", {})
    properties = differing(was, is_)
    attributes = differing(*({key: each.get(key) for key in ATTRIBUTES} for each in (old, new)))
    if not properties and not attributes:
        return None
    found = ResourceChange(name, new["Type"], CHANGED, (*properties, *attributes), holds_data=holds_data(old))
    return judged(found, was, is_, properties, table)


def judged(
    found: ResourceChange,
    was: Mapping[str, Any],
    is_: Mapping[str, Any],
    properties: tuple[str, ...],
    table: Replacements,
) -> ResourceChange:
    """What CloudFormation makes of differing properties."""
    kind = found.type
    if not properties:
        return found
    if not table.knows(kind):
        return replace(found, obstacle=f"what a change does to {kind} is not known here")
    if unknown := table.unknown(kind, properties):
        return replace(found, obstacle=f"{kind} has no property {', '.join(unknown)} that is known here")
    causes = table.causes(kind, was, is_)
    if not causes or not any(cause.split("/")[0] in properties for cause in causes):
        return found
    return replace(found, replaces=True, obstacle=taken_name(kind, was, is_, table))


def taken_name(kind: str, was: Mapping[str, Any], is_: Mapping[str, Any], table: Replacements) -> str | None:
    """CloudFormation makes the new resource before it removes the old one, which cannot have the same name."""
    kept = ", ".join(table.name_kept(kind, was, is_))
    return f"a new {kind} is needed, and its name ({kept}) is taken by the old one: change that too" if kept else None


def follow(changes: dict[str, ResourceChange], after: Mapping[str, Any], table: Replacements) -> None:
    """A resource that refers to one that is replaced changes with it, and may have to be replaced as well."""
    waiting = [name for name, each in changes.items() if each.replaces]
    while waiting:
        target = waiting.pop()
        for name, resource in after.items():
            touched = tuple(
                sorted(key for key, value in resource.get("Properties", {}).items() if refers(value, target))
            )
            if not touched or name == target:
                continue
            found = followed(changes.get(name), name, resource, touched, table)
            if found.replaces and not (name in changes and changes[name].replaces):
                waiting.append(name)
            changes[name] = found


def followed(
    known: ResourceChange | None, name: str, resource: Mapping[str, Any], touched: tuple[str, ...], table: Replacements
) -> ResourceChange:
    kind = resource["Type"]
    found = known or ResourceChange(name, kind, CHANGED, holds_data=holds_data(resource))
    if found.kind == ADDED:
        return found
    found = replace(found, properties=tuple(dict.fromkeys((*found.properties, *touched))))
    if not table.knows(kind):
        return replace(found, obstacle=found.obstacle or f"what a change does to {kind} is not known here")
    return replace(found, replaces=found.replaces or table.is_fixed(kind, touched))


def refers(value: Any, target: str) -> bool:
    """Whether a value is, or is made from, what CloudFormation knows of the resource `target`."""
    if isinstance(value, Mapping):
        if value.get("Ref") == target:
            return True
        attribute = value.get("Fn::GetAtt")
        owner = attribute.split(".")[0] if isinstance(attribute, str) else (attribute or [None])[0]
        return (
            owner == target
            or substituted(value.get("Fn::Sub"), target)
            or any(refers(each, target) for each in value.values())
        )
    return isinstance(value, list) and any(refers(each, target) for each in value)


def substituted(text: Any, target: str) -> bool:
    if isinstance(text, list):
        text = text[0]
    return isinstance(text, str) and re.search(rf"\$\{{{re.escape(target)}[.}}]", text) is not None


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in sorted({*old, *new}) if not same(old.get(name), new.get(name)))


def same(old: Any, new: Any) -> bool:
    """Equal, or equal but for signs that GetTemplate gives back as `?`, which is all that it knows beyond ASCII."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(same, old, new))
    if isinstance(old, str) and isinstance(new, str):
        return old == new or old == FOREIGN.sub("?", new)
    return type(old) is type(new) and bool(old == new)


@dataclass(frozen=True)
class Step:
    """One value that differs: where it stands, and both; None where there is none."""

    path: str
    old: Any
    new: Any


def steps(old: Any, new: Any, path: str = "") -> Iterator[Step]:
    """The smallest differing parts of two values."""
    if same(old, new):
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from steps(old.get(key), new.get(key), f"{path}/{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for position, pair in enumerate(zip(old, new, strict=True)):
            yield from steps(*pair, f"{path}/{position}")
    else:
        yield Step(path, old, new)
