"""The account as templates describe it: who may act, and what there is to act on."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from isolation.errors import UnknownPolicy, UnknownType
from isolation.policies import VERSION, Document, listed
from isolation.template import Declared, Place, Stack, everything_in, resolve

__all__ = ["KINDS", "NOBODY_ACTS_ON", "Account", "Principal", "Resource"]

KINDS = {
    "AWS::Athena::WorkGroup": "athena",
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::DynamoDB::Table": "dynamodb",
    "AWS::Events::Rule": "events",
    "AWS::Glue::Database": "gluedb",
    "AWS::Glue::Job": "gluejob",
    "AWS::IAM::ManagedPolicy": "policy",
    "AWS::IAM::Role": "iam",
    "AWS::KMS::Alias": "alias",
    "AWS::KMS::Key": "kms",
    "AWS::Lambda::EventSourceMapping": "mapping",
    "AWS::Lambda::Function": "lambda",
    "AWS::Logs::LogGroup": "logs",
    "AWS::S3::Bucket": "s3",
    "AWS::SNS::Topic": "sns",
    "AWS::SQS::Queue": "sqs",
}
# Why there is no question about these.
NOBODY_ACTS_ON = {
    "AWS::Athena::NamedQuery": "has no ARN: actions on it are authorised on its workgroup",
    "AWS::CDK::Metadata": "exists in the template only",
    "AWS::Glue::Table": "lies in the namespace of its database, which is asked about",
    "AWS::IAM::Policy": "is part of the roles it is attached to",
    "AWS::Lambda::EventInvokeConfig": "is authorised on its function",
    "AWS::Lambda::Permission": "is part of the policy of its function",
    "AWS::S3::BucketPolicy": "is part of its bucket",
    "AWS::SNS::Subscription": "is authorised on its topic",
    "AWS::SNS::TopicPolicy": "is part of its topic",
    "AWS::SQS::QueuePolicy": "is part of its queue",
}
# Where a type that attaches a policy names what it attaches it to.
ATTACHED_BY = {
    "AWS::S3::BucketPolicy": ("Bucket", "AWS::S3::Bucket"),
    "AWS::SNS::TopicPolicy": ("Topics", "AWS::SNS::Topic"),
    "AWS::SQS::QueuePolicy": ("Queues", "AWS::SQS::Queue"),
}
# The properties whose policies are read, by type; one that stands anywhere else would not be seen.
READ = {
    "AWS::DynamoDB::Table": ("ResourcePolicy.PolicyDocument",),
    "AWS::IAM::ManagedPolicy": ("PolicyDocument",),
    "AWS::IAM::Policy": ("PolicyDocument",),
    "AWS::IAM::Role": ("AssumeRolePolicyDocument", "Policies.0.PolicyDocument"),
    "AWS::KMS::Key": ("KeyPolicy",),
    **dict.fromkeys(ATTACHED_BY, ("PolicyDocument",)),
}
REFUSED_ROWS = "_quarantine"
OFF = "DISABLED"
WEBHOOK_PARAMETER = "LAKE_WEBHOOK_PARAMETER"
NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


@dataclass(frozen=True, eq=False)
class Principal:
    """A role: who may become it, what it is allowed, and what it can ever be allowed.

    `managed` are policies that AWS writes: no template shows what they allow.
    """

    arn: str
    tenant: str | None
    trust: Document
    identity: tuple[Document, ...] = ()
    boundary: Document | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    managed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True, eq=False)
class Resource:
    """Something that actions are authorised on, with the policy that it carries itself."""

    arn: str
    kind: str
    tenant: str | None
    policy: Document | None = None


@dataclass(frozen=True, eq=False)
class Account:
    account: str
    region: str
    principals: Mapping[str, Principal]
    resources: Mapping[str, Resource]
    datasets: Mapping[str | None, frozenset[str]] = field(default_factory=dict)
    """By tenant, known by their tables of refused rows."""
    webhook: str | None = None
    """The parameter that the platform's function is told to read."""
    shut: frozenset[str] = frozenset()
    """Tenants that are not active, known by their workgroups: their roles may do nothing at all."""

    @classmethod
    def of(cls, stacks: Iterable[Stack], *, account: str, region: str) -> "Account":
        """The account after these stacks are deployed to it; raises for whatever is not understood."""
        declared = resolve(stacks, account=account, region=region)
        drawn = Drawing(declared)
        return cls(
            account, region, drawn.principals(), drawn.resources(), drawn.datasets(), drawn.webhook(), drawn.shut()
        )

    @property
    def partition(self) -> str:
        return Place(self.account, self.region).partition

    @cached_property
    def tenants(self) -> list[str]:
        owners = {each.tenant for each in self.principals.values()} | {each.tenant for each in self.resources.values()}
        return sorted(owner for owner in owners if owner is not None)

    def holding(self, name: str) -> Resource | None:
        """The resource that a name is of, or lies in: a bucket for `bucket/*`, a group for `group:*`."""
        if name in self.resources:
            return self.resources[name]
        ends = (at for at in range(len(name) - 1, 0, -1) if name[at] in "/:")
        return next((self.resources[name[:at]] for at in ends if name[:at] in self.resources), None)


class Drawing:
    """Puts together what templates say in several places."""

    def __init__(self, declared: tuple[Declared, ...]) -> None:
        for each in declared:
            if each.type not in KINDS and each.type not in NOBODY_ACTS_ON:
                raise UnknownType(f"{each.where}: add it to isolation/account.py, as a kind or with a reason")
            refuse_unread(each)
        self.declared = declared

    def of_type(self, *types: str) -> Iterator[Declared]:
        return (each for each in self.declared if each.type in types)

    def principals(self) -> dict[str, Principal]:
        managed = {each.arn: document(each, each.properties["PolicyDocument"]) for each in self._managed_policies()}
        self._refuse_one_name()
        attached = self._attached()
        return {str(role.arn): principal(role, managed, attached.pop(role.name, [])) for role in self._roles(attached)}

    def _managed_policies(self) -> Iterator[Declared]:
        return self.of_type("AWS::IAM::ManagedPolicy")

    def _roles(self, attached: Mapping[str, list[Document]]) -> list[Declared]:
        roles = list(self.of_type("AWS::IAM::Role"))
        if foreign := sorted(set(attached) - {role.name for role in roles}):
            raise UnknownPolicy(f"policies are attached to {', '.join(foreign)}, which no template declares")
        return roles

    def _refuse_one_name(self) -> None:
        """Two policies of one name in one role: AWS keeps the one that it is told last."""
        inline = [(role.name, p["PolicyName"]) for role in self.of_type("AWS::IAM::Role") for p in inline_of(role)]
        attached = [(role, p.name) for p in self.of_type("AWS::IAM::Policy") for role in p.properties.get("Roles", [])]
        for (role, name), many in Counter(inline + attached).items():
            if many > 1:
                raise UnknownPolicy(f"{role}: {many} policies are called {name}: give them names of their own")

    def _attached(self) -> dict[str, list[Document]]:
        """Policies by the role that they name."""
        found: dict[str, list[Document]] = defaultdict(list)
        for each in self.of_type("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            if each.properties.get("Users") or each.properties.get("Groups"):
                raise UnknownPolicy(f"{each.where}: is attached to users or groups: expected roles only")
            for role in each.properties.get("Roles", []):
                found[role].append(document(each, each.properties["PolicyDocument"]))
        return found

    def resources(self) -> dict[str, Resource]:
        policies, found = self._policies(), {}
        for each in self.of_type(*KINDS):
            arn = str(each.arn)
            if arn in found:
                raise UnknownType(f"{each.where}: {arn} is declared twice: whose is it? Give one of them another name")
            found[arn] = Resource(arn, KINDS[each.type], each.stack.tenant, joined(policies.pop(arn, [])))
        for owner, documents in policies.items():
            raise UnknownPolicy(f"{documents[0].name}: is the policy of {owner}, which no template declares")
        return found

    def datasets(self) -> dict[str | None, frozenset[str]]:
        found: dict[str | None, set[str]] = defaultdict(set)
        for each in self.of_type("AWS::Glue::Table"):
            if each.name.endswith(REFUSED_ROWS):
                found[each.stack.tenant].add(each.name.removesuffix(REFUSED_ROWS))
        return {tenant: frozenset(names) for tenant, names in found.items()}

    def shut(self) -> frozenset[str]:
        return frozenset(
            each.stack.tenant
            for each in self.of_type("AWS::Athena::WorkGroup")
            if each.stack.tenant is not None and each.properties.get("State") == OFF
        )

    def webhook(self) -> str | None:
        told = (
            each.properties.get("Environment", {}).get("Variables", {}).get(WEBHOOK_PARAMETER)
            for each in self.of_type("AWS::Lambda::Function")
            if each.stack.tenant is None
        )
        return next((str(name) for name in told if name), None)

    def _policies(self) -> dict[str, list[Document]]:
        """Policies that resources carry, by ARN."""
        found: dict[str, list[Document]] = defaultdict(list)
        for arn, each in [*self._own(), *self._attached_to_resources(), *self._permissions()]:
            found[arn].append(each)
        return found

    def _own(self) -> Iterator[tuple[str, Document]]:
        for each in self.declared:
            of_table = each.properties.get("ResourcePolicy") if each.type == "AWS::DynamoDB::Table" else None
            for content in (
                each.properties.get("KeyPolicy"),
                each.properties.get("AssumeRolePolicyDocument"),
                of_table and of_table["PolicyDocument"],
            ):
                if content:
                    yield str(each.arn), document(each, content)

    def _attached_to_resources(self) -> Iterator[tuple[str, Document]]:
        by_reference = {(each.type, each.reference): each for each in self.declared if each.arn}
        seen: dict[str, Declared] = {}
        for each in self.of_type(*ATTACHED_BY):
            place, kind = ATTACHED_BY[each.type]
            for target in listed(each.properties[place]):
                owner = by_reference.get((kind, target))
                refuse_foreign(each, owner)
                arn = str(owner.arn) if owner else str(target)
                if arn in seen:
                    raise UnknownPolicy(
                        f"{each.where}: {arn} has the policy {seen[arn].where} already: AWS keeps the one that it is "
                        "told last; write them as one"
                    )
                seen[arn] = each
                yield arn, document(each, each.properties["PolicyDocument"])

    def _permissions(self) -> Iterator[tuple[str, Document]]:
        functions = list(self.of_type("AWS::Lambda::Function"))
        by_name = {name: each for each in functions for name in (each.name, str(each.arn))}
        for each in self.of_type("AWS::Lambda::Permission"):
            name = each.properties["FunctionName"]
            function = by_name.get(name)
            refuse_foreign(each, function)
            arn = str(function.arn) if function else name
            yield arn, document(each, {"Version": VERSION, "Statement": [permission(each, arn)]})


def refuse_foreign(policy: Declared, target: Declared | None) -> None:
    if target is not None and target.stack is not policy.stack:
        raise UnknownPolicy(
            f"{policy.where}: is the policy of {target.where}: expected it in the stack of that; a stack lets others "
            "in to its own things only"
        )


def refuse_unread(declared: Declared) -> None:
    """A policy in a property that nobody here reads would let in whom nobody has asked about."""
    for path, value in everything_in(declared.properties):
        place = NUMBER.sub("0", ".".join(path))
        if is_policy(value) and place not in READ.get(declared.type, ()):
            raise UnknownPolicy(
                f"{declared.where}: a policy in {'.'.join(path)}, where none is read: teach isolation/account.py to "
                "read it, or put it where policies are read"
            )


def is_policy(value: Any) -> bool:
    """Whether a value is a policy, or one written as a text."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return False
    return isinstance(value, Mapping) and any(str(key).lower() == "statement" for key in value)


def document(declared: Declared, content: Any) -> Document:
    if not isinstance(content, Mapping) or not set(content) <= {"Id", "Statement", "Version"}:
        raise UnknownPolicy(f"{declared.where}: expected a policy of Version, Statement and Id, found {content!r:.200}")
    return Document(f"{declared.stack.name}: {declared.logical_id}", content)


def joined(documents: list[Document]) -> Document | None:
    if len(documents) < 2:
        return documents[0] if documents else None
    if len({each.content.get("Version") for each in documents}) > 1:
        raise UnknownPolicy(f"{' and '.join(each.name for each in documents)}: expected policies of one version")
    statements = [statement for each in documents for statement in listed(each.content.get("Statement"))]
    return Document(" + ".join(each.name for each in documents), {**documents[0].content, "Statement": statements})


def principal(role: Declared, managed: Mapping[str | None, Document], attached: list[Document]) -> Principal:
    properties = role.properties
    arns = [str(arn) for arn in properties.get("ManagedPolicyArns", [])]
    inline = [document(role, each["PolicyDocument"]) for each in inline_of(role)]
    boundary = properties.get("PermissionsBoundary")
    if boundary is not None and boundary not in managed:
        raise UnknownPolicy(f"{role.where}: its boundary {boundary} is in none of these templates")
    return Principal(
        arn=str(role.arn),
        tenant=role.stack.tenant,
        trust=document(role, properties["AssumeRolePolicyDocument"]),
        identity=(*inline, *attached, *(managed[arn] for arn in arns if arn in managed)),
        boundary=None if boundary is None else managed[boundary],
        tags={tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])},
        managed=tuple(arn for arn in arns if arn not in managed),
    )


def inline_of(role: Declared) -> list[Mapping[str, Any]]:
    return list(role.properties.get("Policies", []))


def permission(declared: Declared, arn: str) -> dict[str, Any]:
    """A permission of a function as the statement that Lambda makes of it."""
    properties = declared.properties
    pins = {
        "ArnLike": {"aws:SourceArn": properties.get("SourceArn")},
        "StringEquals": {
            "aws:SourceAccount": properties.get("SourceAccount"),
            "aws:PrincipalOrgID": properties.get("PrincipalOrgID"),
        },
    }
    condition = {
        operator: {key: value for key, value in keys.items() if value is not None} for operator, keys in pins.items()
    }
    return {
        "Sid": declared.logical_id,
        "Effect": "Allow",
        "Principal": caller(str(properties["Principal"])),
        "Action": properties["Action"],
        "Resource": arn,
        "Condition": {operator: keys for operator, keys in condition.items() if keys},
    }


def caller(name: str) -> Any:
    if name == "*":
        return name
    is_service = "." in name and not name.startswith("arn:")
    return {"Service" if is_service else "AWS": name}
