"""What the simulator is asked about a whole account: every role, every thing, by concrete names and requests."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from isolation.account import Account, Principal, Resource
from isolation.conditions import ABSENT, Values
from isolation.decision import ANYWHERE, may
from isolation.globs import is_literal
from isolation.policies import listed
from tests.oracle.simulator import Answer, Policy, Question, ask

__all__ = ["NAMES", "Asked", "Finding", "Matrix", "asked_about", "mentioned"]

Request = Mapping[str, str | list[str]]

ZONES = ("raw", "processed", "analytics-ready", "quarantine", "athena-results")
# By kind of a resource: the services whose actions are tried, and what is put behind its ARN. Of what is not the role's
# own, one object and one table stand for all: no policy tells them apart there.
NAMES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "alarm": (("cloudwatch", ("",)),),
    "alias": (("kms", ("",)),),
    "athena": (("athena", ("",)),),
    "dynamodb": (("dynamodb", ("", "/index/due")),),
    "events": (("events", ("",)),),
    "gluedb": (("glue", ("",)),),
    "gluejob": (("glue", ("",)),),
    "iam": (("iam", ("",)), ("sts", ("",))),
    "kms": (("kms", ("",)),),
    "lambda": (("lambda", ("",)),),
    "logs": (("logs", ("", ":log-stream:run")),),
    "mapping": (("lambda", ("",)),),
    "policy": (("iam", ("",)),),
    "s3": (("s3", ("", *(f"/{zone}/orders/x" for zone in ZONES))),),
    "sns": (("sns", ("",)),),
    "sqs": (("sqs", ("",)),),
}
EVERY_ACCOUNTS = (
    ("athena", "datacatalog/AwsDataCatalog"),
    ("athena", "workgroup/primary"),
    ("cloudwatch", "dataset/default"),
    ("events", "event-bus/default"),
    ("glue", "catalog"),
    ("glue", "database/default"),
    ("logs", "log-group:/aws-glue/jobs/output:log-stream:run"),
)
TABLES = ("table/{name}/orders", "userDefinedFunction/{name}/f")


@dataclass(frozen=True)
class Thing:
    """What is asked about: whose it is to the role, in short, and by its name."""

    owner: str
    what: str
    name: str
    resource: Resource | None = None

    def policy_for(self, service: str) -> Policy | None:
        """The policy that a resource carries; that of a role says who may become it, and nothing else."""
        if self.resource is None or self.resource.policy is None or (self.resource.kind == "iam" and service != "sts"):
            return None
        return self.resource.policy.content


@dataclass(frozen=True)
class Asked:
    """A question, and what is special about each of its requests."""

    principal: Principal
    thing: Thing
    labels: tuple[str, ...]
    question: Question


@dataclass(frozen=True, order=True)
class Finding:
    """What the simulator allows: `job s3:GetObject own s3 /raw/orders/x`."""

    role: str
    action: str
    owner: str
    what: str
    label: str
    principal: str
    name: str

    @property
    def is_foreign(self) -> bool:
        """Of another tenant; rows of a table are whose the keys say, and everybody's where there are none."""
        return self.owner not in ("own", "platform", "account") or "foreign" in self.label

    def __str__(self) -> str:
        return " ".join(part for part in (self.role, self.action, self.owner, self.what, self.label) if part)


@dataclass(frozen=True)
class Matrix:
    """Every question with its answer."""

    account: Account
    asked: list[Asked]
    answers: list[Answer]

    @classmethod
    def of(cls, account: Account, asked: list[Asked]) -> "Matrix":
        return cls(account, asked, ask(each.question for each in asked))

    @property
    def size(self) -> int:
        return sum(len(answer.asked) for answer in self.answers)

    @cached_property
    def allowed(self) -> set[Finding]:
        return {finding for findings in self.each_allowed() for finding in findings}

    def each_allowed(self) -> Iterator[list[Finding]]:
        """What is allowed, question by question."""
        for asked, answer in zip(self.asked, self.answers, strict=True):
            yield [finding(asked, action, index) for action, index in answer.allowed]

    @cached_property
    def proved(self) -> set[Finding]:
        """What the prover lets pass of the very same requests."""
        keys = keys_of(self.account)
        return {
            finding(asked, action, index)
            for asked, answer in zip(self.asked, self.answers, strict=True)
            for action, index in answer.asked
            if is_allowed(self.account, asked, action, asked.question.contexts[index], keys)
        }


def finding(asked: Asked, action: str, index: int) -> Finding:
    role, thing = asked.principal.name.rpartition("-")[2], asked.thing
    return Finding(role, action, thing.owner, thing.what, asked.labels[index], asked.principal.arn, thing.name)


def is_allowed(account: Account, asked: Asked, action: str, request: Request, keys: Iterable[str]) -> bool:
    """A request is known to the last key: `keys` are all that any condition asks for."""
    context: dict[str, Values] = dict.fromkeys(keys, ABSENT)
    context |= {key.lower(): tuple(value) if isinstance(value, list) else (value,) for key, value in request.items()}
    name = ANYWHERE if asked.thing.name == "*" else asked.thing.name
    return may(account, asked.principal, action, name, context) is not None


def keys_of(account: Account) -> set[str]:
    """Keys that conditions of this account ask for, in lower case."""
    roles = account.principals.values()
    documents = [document for role in roles for document in (*role.identity, role.boundary, role.trust) if document]
    documents += [resource.policy for resource in account.resources.values() if resource.policy]
    return {
        condition.key.lower()
        for document in documents
        for statement in document.statements
        for condition in statement.conditions
    }


def asked_about(account: Account, tenants: Iterable[str], services: Iterable[str] | None = None) -> list[Asked]:
    """Every question for the roles of these tenants; of some services only, if they are named."""
    chosen = set(tenants)
    return [
        each
        for principal in account.principals.values()
        if principal.tenant in chosen
        for each in about(account, principal)
        if services is None or each.question.service in services
    ]


def about(account: Account, principal: Principal) -> Iterator[Asked]:
    for resource in account.resources.values():
        owner = owner_of(resource, principal)
        for service, suffixes in NAMES[resource.kind]:
            for suffix in suffixes if owner == "own" else suffixes[:2]:
                what = f"{resource.kind} {suffix}" if suffix else resource.kind
                yield asked(account, principal, Thing(owner, what, resource.arn + suffix, resource), service)
        if resource.kind == "gluedb":
            yield from about_tables(account, principal, owner, resource)
    yield from about_nobodys(account, principal)


def mentioned(asked: Asked) -> Asked:
    """The same about those actions only that some Allow mentions: whatever policies mean, nothing else is allowed."""
    policies = [*asked.question.identity, *([asked.question.policy] if asked.question.policy else [])]
    allowing = [each for policy in policies for each in listed(policy["Statement"]) if each["Effect"] == "Allow"]
    patterns = {action for statement in allowing for action in listed(statement.get("Action", "*"))}
    # What needs no Allow.
    patterns.add("sts:Get*")
    return replace(asked, question=replace(asked.question, mentioned=sorted(patterns)))


def owner_of(resource: Resource, principal: Principal) -> str:
    if resource.tenant is None:
        return "platform"
    return "own" if resource.tenant == principal.tenant else resource.tenant


def about_tables(account: Account, principal: Principal, owner: str, database: Resource) -> Iterator[Asked]:
    stem, _, name = database.arn.rpartition("database/")
    things = [Thing(owner, each.format(name="db"), stem + each.format(name=name), database) for each in TABLES]
    if owner == "own":
        dataset = dataset_of(account, principal)
        things += [
            Thing(owner, f"table/db/{what}", f"{stem}table/{name}/{table}", database)
            for what, table in (("<dataset>", dataset), ("<dataset>_quarantine", f"{dataset}_quarantine"))
        ]
    for thing in things:
        yield asked(account, principal, thing, "glue")


def dataset_of(account: Account, principal: Principal) -> str:
    """A dataset of the role's tenant: one of the tables that its policies name."""
    found = {
        pattern.rpartition("/")[2]
        for each in account.principals.values()
        if each.tenant == principal.tenant
        for document in each.identity
        for statement in document.statements
        for pattern in statement.resources or ()
        if ":table/" in pattern and is_literal(pattern) and ":glue:" in pattern
    }
    return min(name for name in found if not name.endswith("_quarantine"))


def about_nobodys(account: Account, principal: Principal) -> Iterator[Asked]:
    """What every account has, and the actions that name nothing."""
    for service, name in EVERY_ACCOUNTS:
        arn = f"arn:aws:{service}:{account.region}:{account.account}:{name}"
        yield asked(account, principal, Thing("account", name, arn), service)
    for service in sorted({service for kinds in NAMES.values() for service, _ in kinds}):
        yield asked(account, principal, Thing("account", "*", "*"), service)


def asked(account: Account, principal: Principal, thing: Thing, service: str) -> Asked:
    requests = requests_of(account, principal, service, thing.name)
    question = Question(
        principal=f"arn:aws:sts::{account.account}:assumed-role/{principal.name}/session",
        account=account.account,
        resource=thing.name,
        identity=[document.content for document in principal.identity],
        boundary=[principal.boundary.content] if principal.boundary else [],
        policy=thing.policy_for(service),
        service=service,
        contexts=list(requests.values()),
    )
    return Asked(principal, thing, tuple(requests), question)


def requests_of(account: Account, principal: Principal, service: str, name: str) -> dict[str, Request]:
    """Requests by what is special about them."""
    base = {
        "aws:PrincipalAccount": account.account,
        "aws:PrincipalArn": principal.arn,
        "aws:PrincipalIsAWSService": "false",
        "aws:PrincipalType": "AssumedRole",
        "aws:SecureTransport": "true",
        "s3:ResourceAccount": account.account,
        "s3:TlsVersion": "1.3",
        "kms:CallerAccount": account.account,
        **{f"aws:PrincipalTag/{key}": value for key, value in principal.tags.items()},
    }
    found: dict[str, Request] = {
        label: {**base, **more} for label, more in {"": {}, **special(account, principal, service, name)}.items()
    }
    if any("sts:tagsession" in (statement.actions or ()) for statement in principal.trust.allowing):
        for tenant in others(account, principal):
            found[f"tagged {tenant}, foreign"] = {**base, "aws:PrincipalTag/tenant": tenant}
    return found


def others(account: Account, principal: Principal) -> list[str]:
    return [tenant for tenant in account.tenants if tenant != principal.tenant]


def special(account: Account, principal: Principal, service: str, name: str) -> dict[str, Request]:
    if service == "kms" and "key/" in name:
        services = ("athena", "dynamodb", "s3", "sns")
        return {f"through {each}": {"kms:ViaService": f"{each}.{account.region}.amazonaws.com"} for each in services}
    if service == "dynamodb" and name != "*":
        return leading_keys(account, principal)
    if service == "s3" and name.endswith("-datalake"):
        return {f"prefix {zone}/": {"s3:prefix": f"{zone}/orders/"} for zone in ZONES}
    if service == "cloudwatch" and name.endswith("dataset/default"):
        return {"namespace Glue": {"cloudwatch:namespace": "Glue"}}
    return {}


def leading_keys(account: Account, principal: Principal) -> dict[str, Request]:
    own, described = f"T#{principal.tenant}#D#orders", f"T#{principal.tenant}#META"
    found = {"own rows": [own], "own description": [described]}
    for tenant in others(account, principal):
        found[f"rows of {tenant}, foreign"] = [f"T#{tenant}#D#orders"]
        found[f"own rows and rows of {tenant}, foreign"] = [own, f"T#{tenant}#D#orders"]
    return {label: {"dynamodb:LeadingKeys": keys} for label, keys in found.items()}
