"""One resource of a template, with whose it is, and what its values come to as text."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cdk_app.guardrails.agreed import NOTHING, Agreed
from tenants.naming import PlatformNames

__all__ = ["Check", "Owner", "Subject", "listed", "rendered", "statements"]

Resource = dict[str, Any]

NAMED_BY = {"AWS::IAM::Role": "RoleName", "AWS::Lambda::Function": "FunctionName", "AWS::SQS::Queue": "QueueName"}

# Organization, environment and cell hold no hyphen and no cell is called `tenant` (tenants.naming), so a stack's name
# has one reading.
PLATFORM_STACK = re.compile(r"([a-z0-9]+)-([a-z0-9]+)-platform(?:-(?!tenant\Z)([a-z][a-z0-9]*))?\Z")
TENANT_STACK = re.compile(r"([a-z0-9]+)-([a-z0-9-]+)-([a-z0-9]+)-tenant\Z")


@dataclass(frozen=True)
class Owner:
    """Whose stack it is: a tenant's, or the platform's where `tenant` is None."""

    organization: str
    environment: str
    tenant: str | None
    agreed: Agreed = NOTHING
    cell: str | None = None

    @classmethod
    def of(cls, stack: str, agreed: Agreed = NOTHING) -> "Owner | None":
        """None for a name that no stack of ours has."""
        if found := PLATFORM_STACK.match(stack):
            return cls(found[1], found[2], None, agreed, found[3])
        if found := TENANT_STACK.match(stack):
            return cls(found[1], found[3], found[2], agreed, agreed.cell)
        return None

    @property
    def prefix(self) -> str:
        """What the names of the owner's things begin with."""
        middle = f"-{self.tenant}" if self.tenant else ""
        return f"{self.organization}{middle}-{self.environment}"

    @property
    def platform(self) -> PlatformNames:
        """Names of the platform in the owner's cell."""
        return PlatformNames(self.organization, self.environment, self.cell)

    def dead_letters_of(self, queue: str) -> str:
        """What the queue for its dead letters is called: a cell's name stands last."""
        ending = f"-{self.cell}" if self.cell else ""
        return f"{queue.removesuffix(ending)}-dead{ending}"

    def function_called(self, name: str) -> str:
        """Which of the platform's functions has a name, such as `register`."""
        ending = f"-{self.cell}" if self.cell else ""
        return name.removeprefix(f"{self.prefix}-").removesuffix(ending)

    @property
    def tags(self) -> dict[str, str]:
        tags = {"organization": self.organization, "environment": self.environment}
        own = {"cell": self.cell, "tenant": self.tenant}
        return tags | {name: value for name, value in own.items() if value}


@dataclass(frozen=True)
class Subject:
    """A resource among those of its template."""

    owner: Owner
    logical_id: str
    resource: Resource
    resources: dict[str, Resource]

    @property
    def kind(self) -> str:
        return str(self.resource["Type"])

    @property
    def properties(self) -> Resource:
        return dict(self.resource.get("Properties", {}))

    @property
    def arn(self) -> str:
        """As `rendered` writes it."""
        return "${" + self.logical_id + (".Arn}" if self.kind != "AWS::SNS::Topic" else "}")

    def get(self, *path: str) -> Any:
        """A property by its path; None where a step is missing."""
        value: Any = self.properties
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def others(self, kind: str) -> Iterator[Resource]:
        """Properties of the template's resources of a type."""
        for resource in self.resources.values():
            if resource["Type"] == kind:
                yield resource.get("Properties", {})

    def is_own_key(self, value: Any) -> bool:
        """Whether a value is the ARN of a key that the same template makes."""
        return rendered(value) in self.references("AWS::KMS::Key", "${%s.Arn}")

    def references(self, kind: str, form: str) -> set[str]:
        """To the template's resources of a type, as `rendered` writes them in a form like `${%s.Arn}`."""
        return {form % name for name, each in self.resources.items() if each["Type"] == kind}

    def called(self, kind: str, name: str) -> list[str]:
        """Logical ids of the template's resources of a type that have a name."""
        return [
            logical_id
            for logical_id, each in self.resources.items()
            if each["Type"] == kind and each.get("Properties", {}).get(NAMED_BY[kind]) == name
        ]


Check = Callable[[Subject], Iterator[str]]


def rendered(value: Any) -> str:
    """A value as one text: `${Bucket.Arn}/*` for a join, the text itself for a text."""
    match value:
        case str():
            return value
        case {"Ref": str(name)}:
            return "${" + name + "}"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return "${" + f"{name}.{attribute}" + "}"
        case {"Fn::ImportValue": name}:
            return "${import " + rendered(name) + "}"
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(map(rendered, parts))
    return json.dumps(value, sort_keys=True)


def statements(document: Any) -> list[Resource]:
    return [dict(statement) for statement in listed((document or {}).get("Statement"))]


def listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
