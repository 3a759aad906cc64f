"""Templates with every reference resolved to the text that it will be; what cannot be resolved is refused."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from isolation.errors import UnknownIntrinsic, UnknownType
from tenants.naming import PlatformNames, TenantNames, partition_of

__all__ = ["TYPES", "Declared", "Form", "Place", "Stack", "everything_in", "resolve"]

Template = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    account: str
    region: str

    @property
    def partition(self) -> str:
        return partition_of(self.region)


@dataclass(frozen=True, eq=False)
class Stack:
    """A synthesised template; `tenant` is whom everything in it belongs to, None for the platform.

    `place` is where it is deployed; None: where all others are.
    """

    name: str
    tenant: str | None
    template: Template
    place: Place | None = None

    @classmethod
    def of(cls, name: str, template: Template, place: Place | None = None) -> "Stack":
        """Whose it is, is what its tags and its name say alike; where they do not, nothing can be proved."""
        tags = tags_of(name, template)
        organization, environment, cell, tenant = (tags.get(key, "") for key in OWNERS)
        if not (organization and environment):
            raise UnknownType(f"{name}: carries no tags organization and environment: expected them on every resource")
        if tenant:
            expected = TenantNames(organization, tenant, environment).stack
        else:
            expected = PlatformNames(organization, environment, cell or None).stack
        if name != expected:
            raise UnknownType(
                f"{name}: its resources are tagged as those of {expected}: expected tags organization, environment "
                "and, for a tenant's stack, tenant, for a further cell's platform, cell, from which its name is made"
            )
        return cls(name, tenant or None, template, place)


def tags_of(name: str, template: Template) -> dict[str, str]:
    """The tags that resources carry; two of them never differ in a value."""
    found: dict[str, str] = {}
    for logical_id, resource in template.get("Resources", {}).items():
        tags = resource.get("Properties", {}).get("Tags", [])
        for key, value in tags.items() if isinstance(tags, Mapping) else ((tag["Key"], tag["Value"]) for tag in tags):
            if key in OWNERS and found.setdefault(key, value) != value:
                raise UnknownType(f"{name}: {logical_id}: tag {key} is {value!r}, elsewhere it is {found[key]!r}")
    return found


OWNERS = ("organization", "environment", "cell", "tenant")


@dataclass(frozen=True)
class Form:
    """How one type of resource is named and referred to, in `{name}`, `{arn}`, `{account}` and so on.

    `named_by` is the property that holds its name, which AWS makes up if it is not there (none: AWS always does);
    `reference` is what Ref gives.
    """

    arn: str | None = None
    named_by: str | None = None
    reference: str | None = None
    attributes: Mapping[str, str] | None = None


def regional(service: str, resource: str = "{name}") -> str:
    return f"arn:{{partition}}:{service}:{{region}}:{{account}}:{resource}"


ARN = {"Arn": "{arn}"}
QUEUE_URL = "https://sqs.{region}.{suffix}/{account}/{name}"

TYPES: dict[str, Form] = {
    "AWS::Athena::NamedQuery": Form(named_by="Name"),
    "AWS::Athena::WorkGroup": Form(regional("athena", "workgroup/{name}"), "Name", "{name}"),
    "AWS::CDK::Metadata": Form(),
    "AWS::CloudWatch::Alarm": Form(regional("cloudwatch", "alarm:{name}"), "AlarmName", "{name}", ARN),
    "AWS::DynamoDB::Table": Form(regional("dynamodb", "table/{name}"), "TableName", "{name}", ARN),
    "AWS::Events::Rule": Form(regional("events", "rule/{name}"), "Name", "{name}", ARN),
    "AWS::Glue::Database": Form(regional("glue", "database/{name}"), "DatabaseInput.Name", "{name}"),
    "AWS::Glue::Job": Form(regional("glue", "job/{name}"), "Name", "{name}"),
    "AWS::Glue::Table": Form(named_by="TableInput.Name", reference="{name}"),
    "AWS::IAM::ManagedPolicy": Form(
        "arn:{partition}:iam::{account}:policy{path}{name}", "ManagedPolicyName", "{arn}", {"PolicyArn": "{arn}"}
    ),
    "AWS::IAM::Policy": Form(named_by="PolicyName"),
    "AWS::IAM::Role": Form("arn:{partition}:iam::{account}:role{path}{name}", "RoleName", "{name}", ARN),
    "AWS::KMS::Alias": Form(regional("kms", "{name}"), "AliasName", "{name}"),
    "AWS::KMS::Key": Form(regional("kms", "key/{name}"), None, "{name}", {**ARN, "KeyId": "{name}"}),
    "AWS::Lambda::EventInvokeConfig": Form(),
    "AWS::Lambda::EventSourceMapping": Form(regional("lambda", "event-source-mapping:{name}"), None, "{name}"),
    "AWS::Lambda::Function": Form(regional("lambda", "function:{name}"), "FunctionName", "{name}", ARN),
    "AWS::Lambda::Permission": Form(),
    # The attribute ends in `:*`, as policies want it; the group's own ARN does not.
    "AWS::Logs::LogGroup": Form(regional("logs", "log-group:{name}"), "LogGroupName", "{name}", {"Arn": "{arn}:*"}),
    "AWS::S3::Bucket": Form("arn:{partition}:s3:::{name}", "BucketName", "{name}", ARN),
    "AWS::S3::BucketPolicy": Form(),
    "AWS::SNS::Subscription": Form(),
    "AWS::SNS::Topic": Form(regional("sns"), "TopicName", "{arn}", {"TopicArn": "{arn}", "TopicName": "{name}"}),
    "AWS::SNS::TopicPolicy": Form(),
    "AWS::SQS::Queue": Form(regional("sqs"), "QueueName", QUEUE_URL, {**ARN, "QueueName": "{name}"}),
    "AWS::SQS::QueuePolicy": Form(),
}

# Sections whose meaning is not modelled; Parameters and Rules may stand there, as long as no resource refers to them.
REFUSED_SECTIONS = ("Conditions", "Mappings", "Transform")
DYNAMIC = "{{resolve:"


@dataclass(frozen=True, eq=False)
class Declared:
    """One resource of a template with plain properties. `reference` is what Ref gives for it."""

    stack: Stack
    logical_id: str
    type: str
    properties: Mapping[str, Any]
    name: str
    arn: str | None
    reference: str | None

    @property
    def where(self) -> str:
        return f"{self.stack.name}: {self.logical_id} ({self.type})"


def resolve(stacks: Iterable[Stack], *, account: str, region: str) -> tuple[Declared, ...]:
    """Every resource of all stacks; raises for whatever is not understood."""
    resolution = Resolution(tuple(stacks), Place(account, region))
    return tuple(resolution.declared())


class NoValue:
    """`AWS::NoValue`: the property is as if it were not there."""


NO_VALUE: Final = NoValue()


class Resolution:
    """One pass over stacks that refer to each other by exports. Names are resolved before what refers to them."""

    def __init__(self, stacks: tuple[Stack, ...], place: Place) -> None:
        for stack in stacks:
            refuse_sections(stack)
        self.stacks, self.place = stacks, place
        self.names: dict[tuple[str, str], str] = {}
        self.under_way: set[tuple[str, str]] = set()
        self.exports = dict(self._exported())

    def place_of(self, stack: Stack) -> Place:
        return stack.place or self.place

    def _exported(self) -> Iterator[tuple[str, tuple[Stack, Any]]]:
        for stack in self.stacks:
            for logical_id, output in stack.template.get("Outputs", {}).items():
                if "Export" in output:
                    name = Reading(self, stack, f"{stack.name}: output {logical_id}").plain(output["Export"]["Name"])
                    yield str(name), (stack, output["Value"])

    def declared(self) -> Iterator[Declared]:
        for stack in self.stacks:
            for logical_id, resource in stack.template.get("Resources", {}).items():
                yield self._declare(stack, logical_id, resource)

    def _declare(self, stack: Stack, logical_id: str, resource: Mapping[str, Any]) -> Declared:
        form, values = form_of(stack, logical_id), self.values(stack, logical_id)
        where = f"{stack.name}: {logical_id} ({resource['Type']})"
        properties = Reading(self, stack, where).plain(resource.get("Properties", {}))
        refuse_dynamic(where, properties)
        return Declared(
            stack=stack,
            logical_id=logical_id,
            type=resource["Type"],
            properties=properties,
            name=values["name"],
            arn=None if form.arn is None else values["arn"],
            reference=None if form.reference is None else form.reference.format(**values),
        )

    def values(self, stack: Stack, logical_id: str) -> dict[str, str]:
        """What the texts of a form are filled in with."""
        form, place = form_of(stack, logical_id), self.place_of(stack)
        suffix = "amazonaws.com.cn" if place.partition == "aws-cn" else "amazonaws.com"
        values = {
            "name": self.name(stack, logical_id),
            "account": place.account,
            "region": place.region,
            "partition": place.partition,
            "suffix": suffix,
            "path": str(self._named(stack, logical_id, "Path") or "/"),
        }
        return values | {"arn": (form.arn or "").format(**values)}

    def name(self, stack: Stack, logical_id: str) -> str:
        """The name that a template gives; else what the one that AWS makes up is known to begin with."""
        key = (stack.name, logical_id)
        if key in self.under_way:
            raise UnknownIntrinsic(f"{stack.name}: {logical_id}: its name refers to itself; write the name out")
        if key not in self.names:
            self.under_way.add(key)
            named_by = form_of(stack, logical_id).named_by
            found = self._named(stack, logical_id, named_by)
            made_up = f"{stack.name}-{logical_id}" + ("-*" if named_by else "")
            self.names[key] = made_up if found is None else str(found)
            self.under_way.discard(key)
        return self.names[key]

    def _named(self, stack: Stack, logical_id: str, path: str | None) -> Any:
        value: Any = stack.template["Resources"][logical_id].get("Properties", {})
        for step in path.split(".") if path else ():
            value = value.get(step) if isinstance(value, Mapping) else None
        if path is None or value is None:
            return None
        return Reading(self, stack, f"{stack.name}: {logical_id}: {path}").plain(value)


def refuse_sections(stack: Stack) -> None:
    for section in REFUSED_SECTIONS:
        if stack.template.get(section):
            raise UnknownIntrinsic(
                f"{stack.name}: section {section} is not modelled: expected a template without it; decide in Python "
                "what it decides"
            )
    for logical_id, resource in stack.template.get("Resources", {}).items():
        if "Type" not in resource:
            raise UnknownType(f"{stack.name}: {logical_id}: expected a resource with a Type, found {sorted(resource)}")
        if "Condition" in resource:
            raise UnknownIntrinsic(f"{stack.name}: {logical_id}: a resource under a condition; decide it in Python")


def refuse_dynamic(where: str, properties: Mapping[str, Any]) -> None:
    """CloudFormation fills in `{{resolve:…}}` when it deploys: with what, no template tells."""
    for path, value in everything_in(properties):
        if (isinstance(value, str) and DYNAMIC in value) or (path and DYNAMIC in path[-1]):
            raise UnknownIntrinsic(
                f"{where}: {'.'.join(path)} holds a dynamic reference ({value!r}): expected a text that says itself "
                "what it is; write it out"
            )


def everything_in(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value in a value, itself included, by its path."""
    yield path, value
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from everything_in(each, (*path, str(key)))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from everything_in(each, (*path, str(number)))


def form_of(stack: Stack, logical_id: str) -> Form:
    resource = stack.template.get("Resources", {}).get(logical_id)
    if resource is None:
        raise UnknownIntrinsic(f"{stack.name}: refers to {logical_id}, which is no resource of this template")
    if resource["Type"] not in TYPES:
        raise UnknownType(
            f"{stack.name}: {logical_id}: nobody has said who may act on {resource['Type']}: "
            "add it to isolation/template.py and isolation/account.py"
        )
    return TYPES[resource["Type"]]


class Reading:
    """Values of one resource; `where` is named when something is not understood."""

    def __init__(self, resolution: Resolution, stack: Stack, where: str) -> None:
        self.resolution, self.stack, self.where = resolution, stack, where

    def plain(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            function = next((key for key in value if key == "Ref" or key.startswith("Fn::")), None)
            return self._plain_mapping(value) if function is None else self._call(function, value)
        if isinstance(value, list):
            return [each for each in map(self.plain, value) if each is not NO_VALUE]
        return value

    def _plain_mapping(self, value: Mapping[str, Any]) -> dict[str, Any]:
        found = {key: self.plain(each) for key, each in value.items()}
        return {key: each for key, each in found.items() if each is not NO_VALUE}

    def _call(self, function: str, value: Mapping[str, Any]) -> Any:
        known: dict[str, Callable[[Any], Any]] = {
            "Ref": self._reference,
            "Fn::GetAtt": self._attribute,
            "Fn::ImportValue": self._import,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._substitute,
        }
        if function not in known or len(value) != 1:
            raise UnknownIntrinsic(
                f"{self.where}: {', '.join(value)} is not modelled: expected one of {', '.join(known)}, alone; "
                "teach isolation/template.py what it gives"
            )
        return known[function](value[function])

    def _text(self, value: Any) -> str:
        found = self.plain(value)
        if not isinstance(found, str | int):
            raise UnknownIntrinsic(f"{self.where}: expected a text, found {found!r}")
        return str(found)

    def _reference(self, name: Any) -> Any:
        place = self.resolution.place_of(self.stack)
        pseudo = {
            "AWS::AccountId": place.account,
            "AWS::NoValue": NO_VALUE,
            "AWS::Partition": place.partition,
            "AWS::Region": place.region,
            "AWS::StackName": self.stack.name,
            "AWS::URLSuffix": "amazonaws.com.cn" if place.partition == "aws-cn" else "amazonaws.com",
        }
        if name in pseudo:
            return pseudo[name]
        if str(name).startswith("AWS::") or name in self.stack.template.get("Parameters", {}):
            raise UnknownIntrinsic(f"{self.where}: Ref to {name}, whose value no template tells; write it out")
        form = form_of(self.stack, str(name))
        if form.reference is None:
            raise UnknownIntrinsic(f"{self.where}: Ref to {name}, which gives nothing that is modelled")
        return form.reference.format(**self.resolution.values(self.stack, str(name)))

    def _attribute(self, value: Any) -> str:
        logical_id, _, attribute = value.partition(".") if isinstance(value, str) else (value[0], ".", value[1])
        known = form_of(self.stack, logical_id).attributes or {}
        if attribute not in known:
            raise UnknownIntrinsic(
                f"{self.where}: attribute {attribute} of {logical_id} is not modelled: expected one of "
                f"{', '.join(known) or 'none'}; add it to isolation/template.py"
            )
        return known[attribute].format(**self.resolution.values(self.stack, logical_id))

    def _import(self, value: Any) -> Any:
        name = self._text(value)
        if name not in self.resolution.exports:
            raise UnknownIntrinsic(
                f"{self.where}: imports {name}, which no stack here exports: give the stack that does, too"
            )
        stack, exported = self.resolution.exports[name]
        return Reading(self.resolution, stack, f"{stack.name}: export {name}").plain(exported)

    def _join(self, value: Any) -> str:
        delimiter, parts = value
        return str(delimiter).join(map(self._text, self.plain(parts)))

    def _select(self, value: Any) -> Any:
        index, parts = value
        return self.plain(parts)[int(self._text(index))]

    def _split(self, value: Any) -> list[str]:
        delimiter, source = value
        return self._text(source).split(delimiter)

    def _substitute(self, value: Any) -> str:
        source, given = (value, {}) if isinstance(value, str) else value

        def fill(found: re.Match[str]) -> str:
            name = found.group(1)
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in given:
                return self._text(given[name])
            return self._text({"Fn::GetAtt": name} if "." in name else {"Ref": name})

        return re.sub(r"\$\{([^}]*)\}", fill, source)
