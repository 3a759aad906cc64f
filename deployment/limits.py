"""CloudFormation's and IAM's limits on a template, measured before it is sent anywhere."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["INLINE_LIMIT", "TEMPLATE_LIMIT", "Measure", "excesses", "fullest", "measures"]

INLINE_LIMIT = 51_200
"""Bytes of a template that are taken with the call; a longer one is read from a bucket."""
TEMPLATE_LIMIT = 1_000_000

TEMPLATES = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"
POLICIES = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"

SECTIONS = {"Resources": 500, "Outputs": 200, "Parameters": 200, "Mappings": 200}
ROLE_POLICIES, TRUST, MANAGED_POLICY, ATTACHED = 10_240, 2_048, 6_144, 10
# A policy that is set on the thing itself: where it stands, what it is called, and how many bytes it may have.
OWN_POLICIES = {
    "AWS::S3::BucketPolicy": ("PolicyDocument", "bucket policy", 20_480),
    "AWS::KMS::Key": ("KeyPolicy", "key policy", 32_768),
    "AWS::SNS::TopicPolicy": ("PolicyDocument", "topic policy", 30_720),
}
# A reference becomes an ARN or a name: `arn:aws-us-gov:dynamodb:ap-southeast-5:` with an account, and a name.
ARN, NAME = 60, 64
PSEUDO = {"AWS::Partition": 10, "AWS::Region": 14, "AWS::AccountId": 12, "AWS::URLSuffix": 16}


@dataclass(frozen=True)
class Measure:
    """How much of a limit something takes. `where` is a logical id, or `the template`."""

    where: str
    what: str
    found: int
    limit: int
    advice: str

    @property
    def is_exceeded(self) -> bool:
        return self.found > self.limit

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: {self.found:,} where {self.limit:,} are allowed; {self.advice}"


def excesses(stack: str, template: Mapping[str, Any], size: int | None = None) -> tuple[str, ...]:
    """A sentence for each limit that the template breaks; `size` is that of its text, if it is known."""
    return tuple(f"stack {stack}: {each}" for each in measures(template, size) if each.is_exceeded)


def fullest(templates: Iterable[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, Measure]]:
    """For each limit the stack that comes nearest to it."""
    found: dict[str, tuple[str, Measure]] = {}
    for stack, template in templates:
        for each in measures(template):
            if each.what not in found or each.found > found[each.what][1].found:
                found[each.what] = (stack, each)
    return sorted(found.values(), key=lambda pair: pair[1].found / pair[1].limit, reverse=True)


def measures(template: Mapping[str, Any], size: int | None = None) -> Iterator[Measure]:
    """Everything of a template that AWS limits."""
    text = len(json.dumps(template, separators=(",", ":"), ensure_ascii=False).encode()) if size is None else size
    yield Measure("the template", "bytes", text, TEMPLATE_LIMIT, "split the tenant's datasets over several tenants")
    for section, limit in SECTIONS.items():
        advice = "split the tenant's datasets over several tenants"
        yield Measure("the template", section.lower(), len(template.get(section, {})), limit, advice)
    yield from role_measures(template)
    resources = template.get("Resources", {})
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] in OWN_POLICIES:
            key, what, limit = OWN_POLICIES[resource["Type"]]
            yield Measure(name, f"bytes of a {what}", length(properties.get(key, {}), resources), limit, SHORTER)
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            found = length(properties["PolicyDocument"], resources)
            yield Measure(name, "characters of a managed policy", found, MANAGED_POLICY, SHORTER)


SHORTER = "give the tenant fewer datasets, or let the policy name them by a prefix"


def role_measures(template: Mapping[str, Any]) -> Iterator[Measure]:
    """Trust, inline and managed policies of every role of the template."""
    resources = template.get("Resources", {})
    for name, resource in resources.items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        properties = resource.get("Properties", {})
        trust = length(properties.get("AssumeRolePolicyDocument", {}), resources)
        yield Measure(name, "characters of a trust policy", trust, TRUST, SHORTER)
        inline = sum(length(each, resources) for each in inline_policies(name, properties, resources))
        yield Measure(name, "characters of a role's inline policies", inline, ROLE_POLICIES, SHORTER)
        managed = len(properties.get("ManagedPolicyArns", [])) + attached(name, resources)
        yield Measure(name, "managed policies of a role", managed, ATTACHED, "put several of them into one")


def inline_policies(role: str, properties: Mapping[str, Any], resources: Mapping[str, Any]) -> Iterator[Any]:
    for own in properties.get("Policies", []):
        yield own["PolicyDocument"]
    for resource in resources.values():
        if resource["Type"] == "AWS::IAM::Policy" and {"Ref": role} in resource["Properties"].get("Roles", []):
            yield resource["Properties"]["PolicyDocument"]


def attached(role: str, resources: Mapping[str, Any]) -> int:
    managed = (each for each in resources.values() if each["Type"] == "AWS::IAM::ManagedPolicy")
    return sum({"Ref": role} in each["Properties"].get("Roles", []) for each in managed)


def length(document: Any, resources: Mapping[str, Any]) -> int:
    """Characters of a policy as IAM counts them, without white space; a reference counts as the longest it may be."""
    if isinstance(document, Mapping):
        if len(document) == 1:
            ((operation, operand),) = document.items()
            if operation == "Ref" or operation.startswith("Fn::"):
                return 2 + inserted(operation, operand, resources)
        inner = sum(quoted(key) + 1 + length(value, resources) for key, value in document.items())
        return 2 + inner + max(0, len(document) - 1)
    if isinstance(document, list):
        return 2 + sum(length(each, resources) for each in document) + max(0, len(document) - 1)
    return quoted(document)


def quoted(value: Any) -> int:
    return len("".join(json.dumps(value, ensure_ascii=False).split()))


def inserted(operation: str, operand: Any, resources: Mapping[str, Any]) -> int:
    """Characters of what an intrinsic function puts in its place, without the quotes."""
    if operation == "Fn::Join":
        separator, parts = operand
        texts = [length(each, resources) - 2 for each in parts]
        return sum(texts) + len(separator) * max(0, len(parts) - 1)
    if operation == "Ref" and operand in PSEUDO:
        return PSEUDO[operand]
    if operation in {"Ref", "Fn::GetAtt"}:
        target = operand if isinstance(operand, str) else operand[0]
        return ARN + physical_name(resources.get(target.split(".")[0], {}))
    return ARN + NAME


def physical_name(resource: Mapping[str, Any]) -> int:
    named = [value for key, value in resource.get("Properties", {}).items() if key.endswith("Name")]
    return max((len(value) for value in named if isinstance(value, str)), default=NAME)
