"""Which changes make CloudFormation replace a resource by a new one, and what is lost with the old one.

The table beside this file is made from CloudFormation's own resource schemas (`python -m tests.replacement_table`).
Nothing is guessed: what it does not know is said to be unknown.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["HOLDING_DATA", "Replacements", "holds_data", "replacements"]

TABLE = Path(__file__).with_name("replacements.json")
# What is stored in these came from outside: no deploy can make it again.
HOLDING_DATA = frozenset(
    {
        "AWS::DynamoDB::Table",
        "AWS::Glue::Database",  # its Iceberg tables are no resources of a stack, and are deleted with it
        "AWS::KMS::Key",  # without the key, data that it encrypts is lost
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",  # arrivals that wait
    }
)
ANY = "*"


def holds_data(resource: Mapping[str, Any]) -> bool:
    """By its type, or because the template says that it has to be kept."""
    policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
    return resource["Type"] in HOLDING_DATA or any(str(policy).startswith("Retain") for policy in policies)


@dataclass(frozen=True)
class Replacements:
    """`types`: by resource type its `properties`, and paths that are `create_only`, or so under a `conditional`."""

    source: str
    types: Mapping[str, Mapping[str, list[str]]]

    def knows(self, kind: str) -> bool:
        return kind in self.types

    def unknown(self, kind: str, properties: Iterable[str]) -> tuple[str, ...]:
        """Those of `properties` that the type does not have here."""
        return tuple(sorted(set(properties) - set(self.types[kind]["properties"])))

    def causes(self, kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
        """Paths of properties whose difference makes, or under conditions of the service can make, a new resource."""
        return differing_at(self._fixed(kind), old, new)

    def is_fixed(self, kind: str, properties: Iterable[str]) -> bool:
        """Whether any of `properties` is, or has in it, what makes a new resource when it changes."""
        return any(path.split("/")[0] in properties for path in self._fixed(kind))

    def name_kept(self, kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
        """Paths by which the resource is identified, if the template says all of them and none has changed."""
        paths = self.types[kind].get("identifier", [])
        said = all(list(at(new, path)) for path in paths)
        return () if not said or differing_at(paths, old, new) else tuple(paths)

    def _fixed(self, kind: str) -> list[str]:
        return [*self.types[kind].get("create_only", []), *self.types[kind].get("conditional", [])]


def differing_at(paths: Iterable[str], old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(path for path in paths if list(at(old, path)) != list(at(new, path)))


def at(properties: Any, path: str) -> Iterator[Any]:
    """What stands at a path of names; at `*`, in every item of a list."""
    name, _, rest = path.partition("/")
    if name == ANY:
        found = properties if isinstance(properties, list) else []
    else:
        found = [properties[name]] if isinstance(properties, Mapping) and name in properties else []
    for each in found:
        yield from at(each, rest) if rest else [each]


@cache
def replacements() -> Replacements:
    return Replacements(**json.loads(TABLE.read_text(encoding="utf-8")))
