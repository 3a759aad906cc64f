"""The account base as an account gets it: its parameters filled in, its conditions decided, its policies to be asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from isolation.account import Principal
from isolation.conditions import Condition, Context, Values, holds
from isolation.decision import Question, decide
from isolation.policies import Document

__all__ = ["ACCOUNT", "FILE", "GIVEN", "ISSUER", "ORGANIZATION", "REGION", "REPOSITORY", "Base", "admitted", "raw"]

FILE = Path(__file__).resolve().parents[2] / "cloudformation" / "account_base.yaml"
ACCOUNT, REGION, ORGANIZATION = "777788889999", "eu-central-1", "mycompany"
REPOSITORY = "repo:mycompany@11/lake@22:environment:"
GIVEN = {
    "Organization": ORGANIZATION,
    "Environment": "prod",
    "PlanSubjects": f"{REPOSITORY}prod-plan",
    "DeploySubjects": f"{REPOSITORY}prod",
    "OffboardSubjects": f"{REPOSITORY}prod-offboard",
}
NOTHING: Any = object()
ISSUER, AUDIENCE = "token.actions.githubusercontent.com", "sts.amazonaws.com"


class Loader(yaml.SafeLoader):
    """Reads `!Sub x` as CloudFormation does: {"Fn::Sub": x}."""


def intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    else:
        value = (loader.construct_sequence if isinstance(node, yaml.SequenceNode) else loader.construct_mapping)(
            node, deep=True
        )
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", intrinsic)


@cache
def raw() -> Mapping[str, Any]:
    return yaml.load(FILE.read_text(), Loader)


@dataclass(frozen=True)
class Base:
    """The stack with these parameters; those that are not given have their defaults, or prod's."""

    parameters: Mapping[str, str]
    account: str = ACCOUNT
    region: str = REGION
    drilled: Mapping[str, Principal] = field(default_factory=dict)
    """Roles that are other than the template has them."""

    @classmethod
    def of(cls, account: str = ACCOUNT, region: str = REGION, **given: str) -> "Base":
        return cls({**GIVEN, **given}, account, region)

    @cached_property
    def resources(self) -> dict[str, Mapping[str, Any]]:
        """Those that are made, resolved."""
        return {
            name: self.resolved(resource)
            for name, resource in raw()["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    def parameter(self, name: str) -> Any:
        declared = raw()["Parameters"][name]
        value = self.parameters.get(name, declared.get("Default"))
        assert value is not None, name
        return value.split(",") if declared["Type"] == "CommaDelimitedList" else value

    def condition(self, name: str) -> bool:
        return self.decided(raw()["Conditions"][name])

    def decided(self, value: Any) -> bool:
        ((function, arguments),) = value.items()
        if function == "Condition":
            return self.condition(arguments)
        if function == "Fn::Equals":
            one, other = map(self.resolved, arguments)
            return one == other
        assert function == "Fn::And", function
        return all(map(self.decided, arguments))

    def resolved(self, value: Any) -> Any:
        if isinstance(value, list):
            return [found for each in value if (found := self.resolved(each)) is not NOTHING]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function in ("Ref", "Fn::GetAtt"):
                return self.reference(argument)
            if function == "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda found: str(self.reference(found[1])), argument)
            if function == "Fn::If":
                return self.resolved(argument[1 if self.condition(argument[0]) else 2])
            assert not function.startswith("Fn::"), function
        return {key: self.resolved(each) for key, each in value.items()}

    def reference(self, name: str) -> Any:
        pseudo: dict[str, Any] = {"AWS::AccountId": self.account, "AWS::Region": self.region, "AWS::Partition": "aws"}
        pseudo |= {"AWS::StackName": "tenantlake-account-base", "AWS::NoValue": NOTHING}
        if name in pseudo:
            return pseudo[name]
        if name in raw()["Parameters"]:
            return self.parameter(name)
        return self.identity(name.removesuffix(".Arn"))

    def identity(self, name: str) -> str:
        """What Ref or Arn of a resource gives."""
        resource = raw()["Resources"][name]
        properties = resource["Properties"]
        iam = f"arn:aws:iam::{self.account}"
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            return f"{iam}:policy/{self.resolved(properties['ManagedPolicyName'])}"
        if resource["Type"] == "AWS::IAM::Role":
            return f"{iam}:role/{self.resolved(properties['RoleName'])}"
        if resource["Type"] == "AWS::IAM::OIDCProvider":
            return f"{iam}:oidc-provider/{properties['Url'].removeprefix('https://')}"
        assert resource["Type"] == "AWS::S3::Bucket", resource["Type"]
        return f"arn:aws:s3:::{self.resolved(properties['BucketName'])}"

    def document(self, name: str) -> Document:
        return Document(name, self.resources[name]["Properties"]["PolicyDocument"])

    def role(self, name: str) -> Principal:
        """A role by its logical id."""
        if name in self.drilled:
            return self.drilled[name]
        properties = self.resources[name]["Properties"]
        by_arn = {
            self.identity(each): self.document(each)
            for each, resource in self.resources.items()
            if resource["Type"] == "AWS::IAM::ManagedPolicy"
        }
        boundary = properties.get("PermissionsBoundary")
        return Principal(
            arn=self.identity(name),
            tenant=None,
            trust=Document(name, properties["AssumeRolePolicyDocument"]),
            identity=(
                *(by_arn[arn] for arn in properties["ManagedPolicyArns"]),
                *(Document(each["PolicyName"], each["PolicyDocument"]) for each in properties.get("Policies", [])),
            ),
            boundary=by_arn[boundary] if boundary else None,
        )

    def with_rights(self, name: str, *statements: Mapping[str, Any]) -> "Base":
        """If a role's policies were these."""
        document = Document("drilled", {"Version": "2012-10-17", "Statement": list(statements)})
        return replace(self, drilled={name: replace(self.role(name), identity=(document,))})

    def with_more_rights(self, name: str, *statements: Mapping[str, Any]) -> "Base":
        """If somebody attached these to a role beside its own."""
        drilled, own = self.with_rights(name, *statements).role(name), self.role(name)
        return replace(self, drilled={name: replace(drilled, identity=(*own.identity, *drilled.identity))})

    def without_boundary(self, name: str, *statements: Mapping[str, Any]) -> "Base":
        drilled = self.with_rights(name, *statements)
        return replace(drilled, drilled={name: replace(drilled.role(name), boundary=None)})

    def may(self, role: str, action: str, name: str, context: Mapping[str, str] | None = None) -> bool:
        """Whether a role may, in a request that carries these keys and no others."""
        values: dict[str, Values] = {key: (value,) for key, value in (context or {}).items()}
        question = Question(
            principal=self.role(role),
            action=action.lower(),
            name=name,
            resource=None,
            context=Context(values, closed=("",)),
            account=self.account,
        )
        return bool(decide(question))

    def admits(self, role: str, subject: str, audience: str = AUDIENCE) -> bool:
        """Whether a token of GitHub's that says so becomes the role."""
        return any(admitted(each.conditions, subject, audience) for each in self.role(role).trust.allowing)


def admitted(conditions: tuple[Condition, ...], subject: str, audience: str = AUDIENCE) -> bool:
    context = Context({f"{ISSUER}:sub": (subject,), f"{ISSUER}:aud": (audience,)}, closed=("",))
    return holds(conditions, context) is not False
