"""Random policies and requests, each from a seed of its own, for prover and simulator to disagree about.

Roles and things belong to ids of which one begins another. What is drawn is what goes wrong: patterns without an end,
conditions on keys that are not there, denials that nearly fit, policies of resources that let in whoever they name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from isolation.account import Account, Principal, Resource
from isolation.conditions import ABSENT, Values
from isolation.decision import Leak, may
from isolation.policies import Document
from tests.oracle.simulator import Question

__all__ = ["SERVICES", "Case", "drawn"]

ACCOUNT, REGION = "111122223333", "eu-central-1"
IDS = ("acme", "acme-eu", "acm", "acme2")


def regional(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def role_arn(id_: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/p-{id_}-job"


Drawn = Callable[[Random], Any]
Condition = tuple[str, list[str]]
"""A key, and what it may be compared with."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """What is asked of one service. Texts are filled in with an id; `{}` in a pattern may also be a wildcard."""

    kind: str
    arn: str
    """Of the resource that carries the policy."""
    names: tuple[str, ...]
    """Of what is asked about, behind the ARN."""
    globs: tuple[str, ...]
    """Patterns that hold all names."""
    actions: tuple[str, ...]
    patterns: tuple[str, ...]
    conditions: Mapping[str, list[str]] = field(default_factory=dict)
    keys: Mapping[str, list[str | list[str]]] = field(default_factory=dict)
    """Keys that a request may carry."""
    always: Mapping[str, str] = field(default_factory=dict)
    """Keys that every request carries."""
    keyed: tuple[str, ...] = ()
    """Actions that know these keys; without any, all."""
    has_policy: bool = True
    has_variables: bool = True
    """Whether patterns hold variables: the simulator cuts `p-${aws:PrincipalTag/tenant}` in two at the variable's colon
    where no other separator stands before it, and then matches nothing."""


def bucket(id_: str) -> str:
    return f"arn:aws:s3:::p-{id_}"


LEDGER = regional("dynamodb", "table/p-ledger")

SERVICES = {
    "s3": Service(
        kind="s3",
        arn="arn:aws:s3:::p-{}",
        names=("/raw/x.csv", "/raw-more/x.csv", "/analytics-ready/t/y.parquet"),
        globs=("/*",),
        actions=("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectVersion", "s3:AbortMultipartUpload"),
        patterns=(
            "arn:aws:s3:::p-{}/*",
            "arn:aws:s3:::p-{}*",
            "arn:aws:s3:::p-{}/raw*",
            "arn:aws:s3:::p-?cme/*",
            "arn:aws:s3:::*",
        ),
    ),
    "bucket": Service(
        kind="s3",
        arn="arn:aws:s3:::p-{}",
        names=("",),
        globs=("",),
        actions=("s3:ListBucket", "s3:ListBucketVersions"),
        patterns=("arn:aws:s3:::p-{}", "arn:aws:s3:::p-{}*", "arn:aws:s3:::p-*", "arn:aws:s3:::p-????"),
        conditions={"s3:prefix": ["raw/*", "raw/", "raw*", "${aws:PrincipalTag/tenant}/*", "*"]},
        keys={"s3:prefix": ["raw/", "raw/x", "", "acme/x"]},
    ),
    "dynamodb": Service(
        kind="dynamodb",
        arn=LEDGER,
        names=("",),
        globs=("",),
        actions=(
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:BatchGetItem",
            "dynamodb:UpdateItem",
        ),
        patterns=(LEDGER, f"{LEDGER}*", regional("dynamodb", "table/*"), regional("dynamodb", "table/p-{}")),
        conditions={
            "dynamodb:LeadingKeys": ["T#acme#*", "T#acme*", "T#${aws:PrincipalTag/tenant}#*", "T#acme#x", "T#acme-eu#*"]
        },
        keys={
            "dynamodb:LeadingKeys": [
                ["T#acme#x"],
                ["T#acme-eu#x"],
                ["T#acme#x", "T#acme-eu#x"],
                ["T#acme2#x", "T#acm#y"],
            ]
        },
    ),
    "index": Service(
        kind="dynamodb",
        arn=LEDGER,
        names=("/index/due",),
        globs=("/index/*", "/*"),
        actions=("dynamodb:Query", "dynamodb:Scan"),
        patterns=(LEDGER, f"{LEDGER}/index/*", f"{LEDGER}/*", f"{LEDGER}*"),
        conditions={"dynamodb:LeadingKeys": ["T#acme#*", "T#acme*"]},
        keys={"dynamodb:LeadingKeys": [["T#acme#x"], ["DUE#1"]]},
        keyed=("dynamodb:Query",),
    ),
    "kms": Service(
        kind="kms",
        arn=regional("kms", "key/{}"),
        names=("",),
        globs=("",),
        actions=("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey"),
        patterns=(regional("kms", "key/{}"), regional("kms", "key/{}*"), regional("kms", "key/*"), "*"),
        conditions={
            "kms:ViaService": ["s3.eu-central-1.amazonaws.com", "*.eu-central-1.amazonaws.com", "dynamodb.*"],
            "kms:CallerAccount": [ACCOUNT, "444455556666"],
        },
        keys={"kms:ViaService": ["s3.eu-central-1.amazonaws.com", "athena.eu-central-1.amazonaws.com"]},
        always={"kms:CallerAccount": ACCOUNT},
    ),
    "logs": Service(
        kind="logs",
        arn=regional("logs", "log-group:/lake/{}"),
        names=(":log-stream:run",),
        globs=(":*", ":log-stream:*"),
        actions=("logs:PutLogEvents", "logs:GetLogEvents", "logs:CreateLogStream"),
        patterns=(
            regional("logs", "log-group:/lake/{}:*"),
            regional("logs", "log-group:/lake/{}*"),
            regional("logs", "log-group:/lake/{}:log-stream:*"),
            regional("logs", "log-group:*"),
            "arn:aws:logs:*:*:*",
        ),
        has_policy=False,
    ),
    "sqs": Service(
        kind="sqs",
        arn=regional("sqs", "p-{}"),
        names=("",),
        globs=("",),
        actions=("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:PurgeQueue"),
        patterns=(regional("sqs", "p-{}"), regional("sqs", "p-{}*"), "arn:aws:sqs:*:*:p-{}", "*"),
        has_variables=False,
    ),
    "glue": Service(
        kind="gluedb",
        arn=regional("glue", "database/{}"),
        names=("",),
        globs=("",),
        actions=("glue:GetDatabase", "glue:GetTables", "glue:CreateTable", "glue:DeleteDatabase"),
        patterns=(
            regional("glue", "database/{}"),
            regional("glue", "database/{}*"),
            regional("glue", "database/*"),
            regional("glue", "*"),
        ),
        has_policy=False,
    ),
    "sts": Service(
        kind="iam",
        arn=f"arn:aws:iam::{ACCOUNT}:role/p-{{}}-job",
        names=("",),
        globs=("",),
        actions=("sts:AssumeRole", "sts:TagSession"),
        patterns=(
            f"arn:aws:iam::{ACCOUNT}:role/p-{{}}-job",
            f"arn:aws:iam::{ACCOUNT}:role/p-{{}}*",
            f"arn:aws:iam::{ACCOUNT}:role/*",
            "*",
        ),
        conditions={"sts:ExternalId": ["acme", "acme*", "secret"]},
        keys={"sts:ExternalId": ["acme", "acme-eu"]},
        keyed=("sts:AssumeRole",),
    ),
}
# Keys that any condition may ask for, whether a request carries them or not.
GLOBAL = {
    "aws:PrincipalArn": [
        role_arn("acme"),
        role_arn("acm*"),
        role_arn("*"),
        "arn:aws:iam::*:role/p-acme*",
        role_arn("acme?"),
    ],
    "aws:PrincipalTag/tenant": ["acme", "acme*", "acme-eu", "*", "ac??"],
    "aws:PrincipalTag/team": ["data", "*"],
    "aws:PrincipalAccount": [ACCOUNT, "444455556666"],
    "aws:SecureTransport": ["true", "false"],
    "aws:PrincipalIsAWSService": ["true", "false"],
    "aws:SourceArn": ["arn:aws:events:*:*:rule/p-acme", "*"],
    "aws:SourceAccount": [ACCOUNT],
    "aws:PrincipalOrgID": ["o-1", "o-*"],
    "aws:TagKeys": ["tenant", "t*"],
}
SETS = ("dynamodb:LeadingKeys", "aws:TagKeys")
TEXT_OPERATORS = (
    "StringEquals",
    "StringNotEquals",
    "StringLike",
    "StringNotLike",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
)
ARN_OPERATORS = ("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "StringLike", "StringEquals", "StringNotLike")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request under one set of policies; `seed` brings it back."""

    seed: str
    service: str
    account: Account
    principal: Principal
    action: str
    name: str
    glob: str
    request: Mapping[str, str | list[str]]
    keys: tuple[str, ...]

    @property
    def resource(self) -> Resource:
        (resource,) = self.account.resources.values()
        return resource

    @property
    def question(self) -> Question:
        return Question(
            principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/{self.principal.name}/session",
            account=ACCOUNT,
            resource=self.name,
            identity=[document.content for document in self.principal.identity],
            boundary=[self.principal.boundary.content] if self.principal.boundary else [],
            policy=self.resource.policy.content if self.resource.policy else None,
            actions=[self.action],
            contexts=[self.request],
        )

    def exactly(self) -> Leak | None:
        """What the prover says of this very request."""
        context: dict[str, Values] = dict.fromkeys((key.lower() for key in self.keys), ABSENT)
        context |= {
            key.lower(): tuple(each) if isinstance(each, list) else (each,) for key, each in self.request.items()
        }
        return may(self.account, self.principal, self.action, self.name, context)

    def vaguely(self) -> Leak | None:
        """What it says of all names of the kind, and of whatever else a request may carry."""
        return may(self.account, self.principal, self.action, self.glob)

    def __str__(self) -> str:
        shown = self.question
        return (
            f"seed {self.seed}: {self.principal.name} {self.action} on {self.name} with {dict(self.request)}\n"
            f"identity {shown.identity}\nboundary {shown.boundary}\npolicy {shown.policy}"
        )


def drawn(seed: str) -> Case:
    """The case of a seed, always the same one."""
    random = Random(seed)
    name = random.choice(tuple(SERVICES))
    service = SERVICES[name]
    caller, owner = random.choice(IDS), random.choice(IDS)
    draw = Draw(random, service, caller, owner)
    tags = {"tenant": caller} if random.random() < 0.8 else {}
    trust = draw.trust()
    principal = Principal(
        arn=role_arn(caller),
        tenant=caller,
        trust=document("trust", [trust]),
        identity=tuple(document(f"identity{n}", [draw.right()]) for n in range(random.randint(0, 3))),
        boundary=document("boundary", [draw.right() for _ in range(random.randint(1, 3))])
        if random.random() < 0.3
        else None,
        tags=tags,
    )
    arn = service.arn.format(owner)
    resource = Resource(arn, service.kind, owner, draw.policy(arn))
    position = random.randrange(len(service.names))
    action = random.choice(service.actions)
    return Case(
        seed=seed,
        service=name,
        account=Account(ACCOUNT, REGION, {principal.arn: principal}, {arn: resource}),
        principal=principal,
        action=action,
        name=arn + service.names[position],
        glob=arn + random.choice(service.globs),
        request=draw.request(action, principal, "sts:TagSession" in trust["Action"]),
        keys=(*GLOBAL, *service.conditions, *service.keys),
    )


def document(name: str, statements: list[dict[str, Any]]) -> Document:
    return Document(name, {"Version": "2012-10-17", "Statement": statements})


@dataclass(frozen=True)
class Draw:
    """Draws the parts of a case."""

    random: Random
    service: Service
    caller: str
    owner: str

    def chance(self, of: float) -> bool:
        return self.random.random() < of

    def some(self, among: list[str] | tuple[str, ...], most: int = 2) -> list[str]:
        return self.random.sample(among, min(len(among), self.random.randint(1, most)))

    def effect(self) -> str:
        return self.random.choice(["Allow"] * 4 + ["Deny"])

    def right(self) -> dict[str, Any]:
        """A statement of a role or a boundary."""
        resources = [pattern.format(self.placed()) for pattern in self.some(self.service.patterns)]
        return {
            "Effect": self.effect(),
            ("NotAction" if self.chance(0.1) else "Action"): self.actions(),
            ("NotResource" if self.chance(0.08) else "Resource"): resources,
            **self.conditions(),
        }

    def placed(self) -> str:
        """What stands for the id in a pattern: mostly the role's or the owner's."""
        variables = ["${aws:PrincipalTag/tenant}"] * 3 if self.service.has_variables else []
        return self.random.choice([self.caller, self.owner, *IDS, "*", "acme*", *variables])

    def actions(self) -> list[str]:
        prefix = self.service.actions[0].split(":")[0]
        wild = [f"{prefix}:*", f"{prefix}:Get*", f"{prefix}:?e*", f"{prefix.upper()}:*"]
        return self.some([*self.service.actions, *self.service.actions, *wild], 3)

    def policy(self, arn: str) -> Document | None:
        """What the resource itself says; keys and roles always say something."""
        always = self.service.kind in ("kms", "iam")
        if not self.service.has_policy or not (always or self.chance(0.6)):
            return None
        statements = [self.let_in(arn) for _ in range(self.random.randint(1, 3))]
        if always and self.chance(0.6):
            statements.append(
                {"Effect": "Allow", "Action": self.all_actions(), "Principal": {"AWS": self.root()}} | self.on(["*"])
            )
        return document("policy", statements)

    def all_actions(self) -> str:
        return f"{self.service.actions[0].split(':')[0]}:*"

    def root(self) -> str:
        return self.random.choice([f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT])

    def on(self, resources: list[str]) -> dict[str, Any]:
        return {} if self.service.kind == "iam" else {"Resource": resources}

    def let_in(self, arn: str) -> dict[str, Any]:
        resources = (
            ["*"]
            if self.service.kind == "kms"
            else self.some([arn, f"{arn}/*", f"{arn}*", *(arn + name for name in self.service.names)])
        )
        return {
            "Effect": self.effect(),
            ("NotPrincipal" if self.chance(0.05) else "Principal"): self.principal(),
            ("NotAction" if self.chance(0.1) else "Action"): self.actions(),
            **self.on(resources),
            **self.conditions(),
        }

    def principal(self) -> Any:
        session = f"arn:aws:sts::{ACCOUNT}:assumed-role/p-{self.caller}-job/session"
        named = [role_arn(id_) for id_ in (self.caller, self.caller, *IDS)]
        return self.random.choice(
            [
                {"AWS": "*"},
                {"AWS": self.some(named)},
                {"AWS": self.some(named)},
                {"AWS": session},
                {"AWS": self.root()},
                {"AWS": "444455556666"},
                {"Service": "events.amazonaws.com"},
                {"Service": "glue.amazonaws.com", "AWS": self.some(named, 1)},
            ]
        )

    def conditions(self) -> dict[str, Any]:
        if self.chance(0.5):
            return {}
        block: dict[str, dict[str, Any]] = {}
        for _ in range(self.random.choice([1, 1, 2])):
            own = self.service.conditions
            known = own if own and self.chance(0.5) else GLOBAL
            key = self.random.choice(tuple(known))
            operator = self.operator(key)
            wanted = self.random.choice(["true", "false"]) if operator == "Null" else self.some(known[key])
            block.setdefault(operator, {})[key] = wanted
        return {"Condition": block}

    def operator(self, key: str) -> str:
        if self.chance(0.15):
            return "Null"
        if key in ("aws:SecureTransport", "aws:PrincipalIsAWSService"):
            base = "Bool"
        else:
            base = self.random.choice(ARN_OPERATORS if key.endswith("Arn") else TEXT_OPERATORS)
        quantifier = self.random.choice(["ForAllValues:", "ForAnyValue:"]) if key in SETS or self.chance(0.05) else ""
        return f"{quantifier}{base}{'IfExists' if self.chance(0.2) else ''}"

    def trust(self) -> dict[str, Any]:
        """Whether who plays the role may choose its tags."""
        actions = ["sts:AssumeRole", *(["sts:TagSession"] if self.chance(0.4) else [])]
        return {"Effect": "Allow", "Action": actions, "Principal": {"AWS": ACCOUNT}}

    def request(self, action: str, principal: Principal, chosen_tags: bool) -> dict[str, str | list[str]]:
        found: dict[str, str | list[str]] = {
            "aws:PrincipalArn": principal.arn,
            "aws:PrincipalAccount": ACCOUNT,
            "aws:PrincipalIsAWSService": "false",
            "aws:SecureTransport": self.random.choice(["true", "true", "false"]),
            **{f"aws:PrincipalTag/{key}": value for key, value in principal.tags.items()},
            **self.service.always,
        }
        if chosen_tags:
            found["aws:PrincipalTag/tenant"] = self.random.choice(IDS)
        if self.chance(0.3):
            found["aws:PrincipalOrgID"] = "o-1"
        if not self.service.keyed or action in self.service.keyed:
            found |= {key: self.random.choice(values) for key, values in self.service.keys.items() if self.chance(0.75)}
        return found
