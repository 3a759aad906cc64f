"""The account as templates describe it: who may act, and what there is to act on."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from isolation.errors import UnknownPolicy, UnknownType
from isolation.policies import VERSION, Document, listed
from isolation.template import Declared, Place, Stack, resolve

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

    @classmethod
    def of(cls, stacks: Iterable[Stack], *, account: str, region: str) -> "Account":
        """The account after these stacks are deployed to it; raises for whatever is not understood."""
        declared = resolve(stacks, account=account, region=region)
        drawn = Drawing(declared)
        return cls(account, region, drawn.principals(), drawn.resources())

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
        self.declared = declared

    def of_type(self, *types: str) -> Iterator[Declared]:
        return (each for each in self.declared if each.type in types)

    def principals(self) -> dict[str, Principal]:
        managed = {each.arn: document(each, each.properties["PolicyDocument"]) for each in self._managed_policies()}
        attached = self._attached()
        return {str(role.arn): principal(role, managed, attached.pop(role.name, [])) for role in self._roles(attached)}

    def _managed_policies(self) -> Iterator[Declared]:
        return self.of_type("AWS::IAM::ManagedPolicy")

    def _roles(self, attached: Mapping[str, list[Document]]) -> list[Declared]:
        roles = list(self.of_type("AWS::IAM::Role"))
        if foreign := sorted(set(attached) - {role.name for role in roles}):
            raise UnknownPolicy(f"policies are attached to {', '.join(foreign)}, which no template declares")
        return roles

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
        by_reference = {(each.type, each.reference): str(each.arn) for each in self.declared if each.arn}
        for each in self.of_type(*ATTACHED_BY):
            place, kind = ATTACHED_BY[each.type]
            for target in listed(each.properties[place]):
                yield by_reference.get((kind, target), str(target)), document(each, each.properties["PolicyDocument"])

    def _permissions(self) -> Iterator[tuple[str, Document]]:
        functions = {each.name: str(each.arn) for each in self.of_type("AWS::Lambda::Function")}
        arns = {arn: arn for arn in functions.values()}
        for each in self.of_type("AWS::Lambda::Permission"):
            function = each.properties["FunctionName"]
            arn = functions.get(function) or arns.get(function, function)
            yield arn, document(each, {"Version": VERSION, "Statement": [permission(each, arn)]})


def document(declared: Declared, content: Mapping[str, Any]) -> Document:
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
    inline = [document(role, each["PolicyDocument"]) for each in properties.get("Policies", [])]
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
