"""Holes, each drilled into the templates of `acme`, `acme-eu` and `globex`, and who must notice it.

The proof notices a tenant that reaches what is another's, and so does the simulator, request by request; the review,
a right that nobody has agreed to, on whose things ever; the deputies, a service that may act for anybody; the
invariants, a resource that is less than it has to be. Rights are drilled through every wall at once (role, boundary and the neighbours' own denials),
because a hole in one of them leads nowhere: those are among the controls.
"""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from typing import Any

from tests.templates import Templates

__all__ = ["CONTROLS", "DEPUTIES", "INVARIANTS", "MUTANTS", "PROOF", "REVIEW", "SIMULATOR", "Mutant", "table"]

ACCOUNT, REGION = "777788889999", "eu-central-1"
PLATFORM = "mycompany-prod-platform"
NEIGHBOURS = ("acme-eu", "globex")

Change = Callable[[Templates], None]
Statement = dict[str, Any]

PROOF, SIMULATOR, REVIEW, DEPUTIES, INVARIANTS = "proof", "simulator", "review", "deputies", "invariants"


@dataclass(frozen=True, kw_only=True)
class Mutant:
    name: str
    noticed_by: tuple[str, ...]
    changes: tuple[Change, ...]
    services: tuple[str, ...] = ()
    """Whose actions the hole is about: the simulator is asked about these."""
    not_yet: tuple[str, ...] = ()
    """Who of them does not notice it yet: the test fails as soon as they do."""

    def __str__(self) -> str:
        return self.name

    def drilled(self, templates: Templates) -> Templates:
        drilled = deepcopy(templates)
        for change in self.changes:
            change(drilled)
        assert drilled != templates, f"{self.name}: changes nothing"
        return drilled


# What is where


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def role_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def bucket_arns(name: str) -> list[str]:
    return [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]


LEDGER = arn("dynamodb", "table/mycompany-prod-ledger")


def resources(templates: Templates, tenant: str | None, kind: str) -> dict[str, dict[str, Any]]:
    """Properties of all resources of a type, by logical id; of the platform where no tenant is named."""
    stack = templates[f"mycompany-{tenant}-prod-tenant" if tenant else PLATFORM]["Resources"]
    return {name: resource["Properties"] for name, resource in stack.items() if resource["Type"] == kind}


def first(templates: Templates, tenant: str | None, kind: str) -> dict[str, Any]:
    return next(iter(resources(templates, tenant, kind).values()))


def role(templates: Templates, tenant: str | None, name: str) -> tuple[str, dict[str, Any]]:
    """Logical id and properties of `job` or `analyst`, or of one of the platform's functions."""
    full = f"mycompany-{tenant}-prod-{name}" if tenant else f"mycompany-prod-{name}"
    found = resources(templates, tenant, "AWS::IAM::Role")
    return next((key, properties) for key, properties in found.items() if properties["RoleName"] == full)


def rights(templates: Templates, tenant: str | None, name: str) -> list[Statement]:
    """Statements of a role."""
    logical_id, _ = role(templates, tenant, name)
    policies = resources(templates, tenant, "AWS::IAM::Policy").values()
    return next(p["PolicyDocument"]["Statement"] for p in policies if p["Roles"] == [{"Ref": logical_id}])


def boundary(templates: Templates, tenant: str | None) -> list[Statement]:
    return first(templates, tenant, "AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]


POLICIES = {
    "bucket": ("AWS::S3::BucketPolicy", "PolicyDocument"),
    "key": ("AWS::KMS::Key", "KeyPolicy"),
    "topic": ("AWS::SNS::TopicPolicy", "PolicyDocument"),
    "queue": ("AWS::SQS::QueuePolicy", "PolicyDocument"),
}


def documents(templates: Templates, tenant: str | None, of: str) -> Iterator[list[Statement]]:
    """Statements of every policy of buckets, keys, topics or queues."""
    kind, document = POLICIES[of]
    for properties in resources(templates, tenant, kind).values():
        yield properties[document]["Statement"]


# What is done to it


BOTH = ("role", "boundary")


def walls(templates: Templates, tenant: str | None, name: str, where: tuple[str, ...]) -> Iterator[list[Statement]]:
    """Statements of a role, of its boundary, or of both."""
    if "role" in where:
        yield rights(templates, tenant, name)
    if "boundary" in where:
        yield boundary(templates, tenant)


def may(
    actions: str | list[str],
    on: str | list[str] = "*",
    *,
    tenant: str | None = "acme",
    name: str = "job",
    where: tuple[str, ...] = BOTH,
    **more: Any,
) -> Change:
    """One more right; None as a field of the statement leaves it out."""

    def change(templates: Templates) -> None:
        statement = {"Sid": "Hole", "Effect": "Allow", "Action": actions, "Resource": on, **more}
        for statements in walls(templates, tenant, name, where):
            statements.append(deepcopy({key: value for key, value in statement.items() if value is not None}))

    return change


def restated(
    sid: str, *, tenant: str = "acme", name: str = "job", where: tuple[str, ...] = BOTH, **fields: Any
) -> Change:
    """Other fields in a statement; None removes one."""

    def change(templates: Templates) -> None:
        for statements in walls(templates, tenant, name, where):
            restate(statements, sid, fields)

    return change


def restate(statements: list[Statement], sid: str, fields: dict[str, Any]) -> None:
    found = [statement for statement in statements if statement.get("Sid") == sid]
    assert found, f"no statement {sid} among {[statement.get('Sid') for statement in statements]}"
    for statement in found:
        statement.update(deepcopy(fields))
        for field in [field for field, value in fields.items() if value is None]:
            del statement[field]


def undefended(*of: str, tenants: tuple[str, ...] = NEIGHBOURS) -> Change:
    """The neighbours' buckets and keys do not refuse the roles of others any more."""

    def change(templates: Templates) -> None:
        for tenant in tenants:
            for kind in of:
                for statements in documents(templates, tenant, kind):
                    statements[:] = [each for each in statements if each.get("Sid") != "ForeignTenants"]

    return change


def denying_others(**fields: Any) -> Change:
    """Other fields in the denial with which globex's bucket refuses the roles of others."""

    def change(templates: Templates) -> None:
        for statements in documents(templates, "globex", "bucket"):
            restate(statements, "ForeignTenants", fields)

    return change


ANYBODY_HERE = {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}


def opened(of: str, actions: str, on: str | list[str], *, tenant: str | None = "globex", **more: Any) -> Change:
    """A policy of the resource itself lets others in."""

    def change(templates: Templates) -> None:
        more.setdefault("Principal", {"AWS": "*"})
        for statements in documents(templates, tenant, of):
            statements.append({"Sid": "Hole", "Effect": "Allow", "Action": actions, "Resource": on, **more})

    return change


def workgroups_undefended(templates: Templates) -> None:
    """The boundary of acme does not refuse other workgroups any more."""
    statements = boundary(templates, "acme")
    restate(statements, "OtherWorkgroups", {})
    statements[:] = [each for each in statements if each.get("Sid") != "OtherWorkgroups"]


def shutting(tenant: str, **fields: Any) -> Change:
    """Other fields in the denial of everything in a boundary, of acme-eu, which is suspended, or of one that is not."""

    def change(templates: Templates) -> None:
        restate(boundary(templates, tenant), "Suspended", fields)

    return change


def never_shut(tenant: str) -> Change:
    def change(templates: Templates) -> None:
        statements = boundary(templates, tenant)
        restate(statements, "Suspended", {})
        statements[:] = [each for each in statements if each.get("Sid") != "Suspended"]

    return change


def trusting(principal: Any, *, tenant: str | None = "globex", name: str = "analyst") -> Change:
    """A role may also be played by others."""

    def change(templates: Templates) -> None:
        _, properties = role(templates, tenant, name)
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
        properties["AssumeRolePolicyDocument"]["Statement"].append(statement)

    return change


def without(kind: str, *path: Any, tenant: str | None = "acme") -> Change:
    """A property of a resource is not there."""

    def change(templates: Templates) -> None:
        for properties in resources(templates, tenant, kind).values():
            *way, last = path
            del reduce(getitem, way, properties)[last]

    return change


def having(value: Any, kind: str, *path: Any, tenant: str | None = "acme") -> Change:
    """A property of a resource is another."""

    def change(templates: Templates) -> None:
        for properties in resources(templates, tenant, kind).values():
            *way, last = path
            reduce(getitem, way, properties)[last] = value

    return change


def policy_restated(of: str, sid: str, *, tenant: str | None = "acme", **fields: Any) -> Change:
    def change(templates: Templates) -> None:
        for statements in documents(templates, tenant, of):
            restate(statements, sid, fields)

    return change


def policy_without(of: str, sid: str, *, tenant: str | None = "acme") -> Change:
    def change(templates: Templates) -> None:
        for statements in documents(templates, tenant, of):
            restate(statements, sid, {})
            statements[:] = [statement for statement in statements if statement.get("Sid") != sid]

    return change


def untagged(key: str, kind: str, tenant: str | None = "acme") -> Change:
    def change(templates: Templates) -> None:
        for properties in resources(templates, tenant, kind).values():
            properties["Tags"] = [tag for tag in properties["Tags"] if tag["Key"] != key]

    return change


def retagged(key: str, value: str, kind: str) -> Change:
    def change(templates: Templates) -> None:
        for properties in resources(templates, "acme", kind).values():
            (tag,) = (tag for tag in properties["Tags"] if tag["Key"] == key)
            tag["Value"] = value

    return change


def ledger_opened(templates: Templates) -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "dynamodb:Query", "Resource": LEDGER}
    document = {"Version": "2012-10-17", "Statement": [statement | {"Condition": ANYBODY_HERE}]}
    first(templates, None, "AWS::DynamoDB::Table")["ResourcePolicy"] = {"PolicyDocument": document}


def unconditional_trust(templates: Templates) -> None:
    _, properties = role(templates, "acme", "job")
    del properties["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]


def strange(templates: Templates) -> None:
    templates["mycompany-acme-prod-tenant"]["Resources"]["Hole"] = {
        "Type": "AWS::S3::AccessPoint",
        "Properties": {"Bucket": {"Ref": next(iter(resources(templates, "acme", "AWS::S3::Bucket")))}},
    }


def managed_by_aws(templates: Templates) -> None:
    _, properties = role(templates, "acme", "job")
    properties["ManagedPolicyArns"] = ["arn:aws:iam::aws:policy/service-role/AWSGlueServiceRole"]


def own_tag(templates: Templates) -> None:
    """Who plays the job of acme says which tenant it is."""
    _, properties = role(templates, "acme", "job")
    properties["AssumeRolePolicyDocument"]["Statement"].append(
        {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Principal": {"AWS": role_arn("operator")}}
    )


def job_in_the_platform(templates: Templates) -> None:
    """A job of the platform's stack, in the role that dispatches."""
    job = deepcopy(first(templates, "globex", "AWS::Glue::Job"))
    job.update(Name="mycompany-prod-x", Role=role_arn("mycompany-prod-dispatch"))
    del job["Tags"]["tenant"]
    templates[PLATFORM]["Resources"]["Hole"] = {"Type": "AWS::Glue::Job", "Properties": job}


def one_more(kind: str, tenant: str | None, **fields: Any) -> Change:
    """A second resource like the first of a type, in the same stack."""

    def change(templates: Templates) -> None:
        properties = deepcopy(first(templates, tenant, kind)) | deepcopy(fields)
        stack = f"mycompany-{tenant}-prod-tenant" if tenant else PLATFORM
        templates[stack]["Resources"]["Hole"] = {"Type": kind, "Properties": properties}

    return change


def function_of_a_tenant(templates: Templates) -> None:
    """With code that the tenant's job wrote, in the role that dispatches."""
    function = deepcopy(function_called(templates, "dispatch"))
    function.update(
        FunctionName="mycompany-acme-prod-x",
        Role=role_arn("mycompany-prod-dispatch"),
        Code={"S3Bucket": "mycompany-acme-prod-datalake", "S3Key": "analytics-ready/x.zip"},
        LoggingConfig={"LogGroup": "/lake/mycompany/prod/acme/x"},
        Environment={"Variables": {}},
        Tags=[*function["Tags"], {"Key": "tenant", "Value": "acme"}],
    )
    resource = {"Type": "AWS::Lambda::Function", "Properties": function}
    templates["mycompany-acme-prod-tenant"]["Resources"]["Hole"] = resource


def function_called(templates: Templates, name: str) -> dict[str, Any]:
    found = resources(templates, None, "AWS::Lambda::Function").values()
    return next(each for each in found if each["FunctionName"] == f"mycompany-prod-{name}")


def function_having(name: str, **fields: Any) -> Change:
    """Other properties of one of the platform's functions."""

    def change(templates: Templates) -> None:
        function_called(templates, name).update(deepcopy(fields))

    return change


def webhook_as_dispatch(templates: Templates) -> None:
    function_called(templates, "webhook")["Role"] = function_called(templates, "dispatch")["Role"]


def webhook_reads(parameter: str, *, is_told: bool) -> Change:
    """The webhook's role may read another parameter; its function is told to, or is not."""

    def change(templates: Templates) -> None:
        statements = rights(templates, None, "webhook")
        statements[:] = json.loads(json.dumps(statements).replace("parameter/lake/chat", f"parameter{parameter}"))
        if is_told:
            variables = function_called(templates, "webhook")["Environment"]["Variables"]
            variables["LAKE_WEBHOOK_PARAMETER"] = parameter

    return change


def denial_without(*tables: str) -> Change:
    """The analyst of acme-eu is not kept from these tables of a dataset any more."""

    def change(templates: Templates) -> None:
        for statement in rights(templates, "acme-eu", "analyst"):
            if statement["Sid"] == "DatasetTables":
                kept = [each for each in statement["Resource"] if each.rpartition("/")[2] not in tables]
                statement["Resource"] = kept

    return change


def overwritten(of: str, *, tenant: str | None) -> Change:
    """A second policy of the same thing, which says nothing but the first statement."""

    def change(templates: Templates) -> None:
        kind, document = POLICIES[of]
        policy = deepcopy(first(templates, tenant, kind))
        policy[document]["Statement"] = policy[document]["Statement"][:1]
        one_more(kind, tenant, **policy)(templates)

    return change


def policy_from_elsewhere(templates: Templates) -> None:
    """The stack of acme writes the policy of globex's bucket."""
    one_more("AWS::S3::BucketPolicy", "acme", Bucket="mycompany-globex-prod-datalake")(templates)
    stack = templates["mycompany-globex-prod-tenant"]["Resources"]
    for name in [name for name, each in stack.items() if each["Type"] == "AWS::S3::BucketPolicy"]:
        del stack[name]


def permission_from_elsewhere(templates: Templates) -> None:
    templates["mycompany-acme-prod-tenant"]["Resources"]["Hole"] = {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "FunctionName": "mycompany-prod-dispatch",
            "Action": "lambda:InvokeFunction",
            "Principal": "events.amazonaws.com",
            "SourceArn": arn("events", "rule/mycompany-acme-prod-x"),
        },
    }


def unnamed_topic(templates: Templates) -> None:
    """AWS makes up its name."""
    del first(templates, "globex", "AWS::SNS::Topic")["TopicName"]


TO_EVERYBODY_HERE = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "*", "Resource": "*", "Condition": ANYBODY_HERE}
    ],
}
ELSEWHERE = "arn:aws:sqs:eu-central-1:111122223333:elsewhere"
OWN_ROWS = {
    "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["T#acme#*"]},
    "Null": {"dynamodb:LeadingKeys": "false"},
}
TAGGED_BUCKET = "arn:aws:s3:::mycompany-${aws:PrincipalTag/tenant}-prod-datalake"

MUTANTS = [
    # Names that begin another's, and names that are everybody's
    Mutant(
        name="bucket `mycompany-acme*`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("s3",),
        changes=(may("s3:GetObject", "arn:aws:s3:::mycompany-acme*"), undefended("bucket")),
    ),
    Mutant(
        name="buckets of all tenants",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("s3",),
        changes=(may("s3:ListBucket", "arn:aws:s3:::mycompany-*-prod-datalake"), undefended("bucket")),
    ),
    Mutant(
        name="catalog `database/mycompany_acme*`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("glue",),
        changes=(
            may(
                ["glue:GetTable", "glue:GetTables"],
                [arn("glue", f"{kind}/mycompany_acme*") for kind in ("database", "table")],
            ),
        ),
    ),
    Mutant(
        name="catalog `database/*`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("glue",),
        changes=(may("glue:GetDatabase", [arn("glue", "catalog"), arn("glue", "database/*")]),),
    ),
    Mutant(
        name="workgroup `mycompany-acme*`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("athena",),
        changes=(
            may("athena:GetQueryResults", arn("athena", "workgroup/mycompany-acme*"), name="analyst"),
            workgroups_undefended,
        ),
    ),
    Mutant(
        name="log group `…/acme*`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("logs",),
        changes=(may("logs:GetLogEvents", arn("logs", "log-group:/lake/mycompany/prod/acme*")),),
    ),
    Mutant(
        name="log group `*`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("logs",),
        changes=(restated("Logs", Resource=arn("logs", "log-group:*")),),
    ),
    Mutant(
        name="topics of all tenants",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("sns",),
        changes=(may("sns:Publish", arn("sns", "mycompany-*-prod-alerts")),),
    ),
    Mutant(
        name="jobs of all tenants may be changed",
        noticed_by=(PROOF, SIMULATOR, REVIEW, INVARIANTS),
        services=("glue",),
        changes=(may(["glue:UpdateJob", "glue:StartJobRun"]),),
    ),
    # Keys
    Mutant(
        name="`kms:Decrypt` on `*`",
        noticed_by=(PROOF, SIMULATOR, REVIEW, INVARIANTS),
        services=("kms",),
        changes=(may("kms:Decrypt"), undefended("key")),
    ),
    Mutant(
        name="key open to the account",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("kms",),
        changes=(
            opened("key", "kms:Decrypt", "*", Condition={"StringEquals": {"kms:CallerAccount": ACCOUNT}}),
            undefended("key"),
        ),
    ),
    Mutant(
        name="key names a role of another tenant",
        noticed_by=(PROOF, SIMULATOR, REVIEW, INVARIANTS),
        services=("kms",),
        changes=(
            opened("key", "kms:*", "*", Principal={"AWS": role_arn("mycompany-acme-prod-analyst")}),
            undefended("key"),
            may("kms:*", name="analyst", where=("boundary",)),
        ),
    ),
    # Rows
    Mutant(
        name="rows without `LeadingKeys`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("dynamodb",),
        changes=(restated("OwnRows", Condition=None),),
    ),
    Mutant(
        name="`LeadingKeys` without the closing `#`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("dynamodb",),
        changes=(
            restated(
                "OwnRows", Condition=OWN_ROWS | {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["T#acme*"]}}
            ),
        ),
    ),
    Mutant(
        name="`ForAllValues` without `Null`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("dynamodb",),
        changes=(restated("OwnRows", Condition={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["T#acme#*"]}}),),
    ),
    Mutant(
        name="`ForAnyValue` in place of `ForAllValues`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("dynamodb",),
        changes=(restated("OwnRows", Condition={"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["T#acme#*"]}}),),
    ),
    Mutant(
        name="`LeadingKeys …IfExists`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("dynamodb",),
        changes=(
            restated("OwnRows", Condition={"ForAllValues:StringLikeIfExists": {"dynamodb:LeadingKeys": ["T#acme#*"]}}),
        ),
    ),
    Mutant(
        name="Scan of the ledger",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("dynamodb",),
        changes=(may("dynamodb:Scan", LEDGER),),
    ),
    Mutant(
        name="PartiQL without `Null`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("dynamodb",),
        changes=(
            may(
                "dynamodb:PartiQLSelect",
                LEDGER,
                Condition={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["T#acme#*"]}},
            ),
        ),
    ),
    Mutant(
        name="index of the ledger",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("dynamodb",),
        changes=(may("dynamodb:Query", f"{LEDGER}/index/*"),),
    ),
    # A tenant that is suspended: its workgroup is off, and its roles may do nothing
    Mutant(
        name="suspended, and no denial of everything",
        noticed_by=(PROOF, REVIEW, INVARIANTS),
        changes=(never_shut("acme-eu"),),
    ),
    Mutant(
        name="suspended, and the denial meets nobody",
        noticed_by=(PROOF, INVARIANTS),
        changes=(shutting("acme-eu", Condition={"StringEquals": {"aws:PrincipalAccount": "none"}}),),
    ),
    Mutant(
        name="suspended, and the denial meets another account",
        noticed_by=(PROOF, REVIEW, INVARIANTS),
        changes=(shutting("acme-eu", Condition={"StringEquals": {"aws:PrincipalAccount": "111122223333"}}),),
    ),
    Mutant(
        name="suspended, and the denial lists services",
        noticed_by=(PROOF, REVIEW, INVARIANTS),
        changes=(shutting("acme-eu", Action=["athena:*", "glue:*", "s3:*"]),),
    ),
    Mutant(
        name="suspended, and the denial spares something",
        noticed_by=(PROOF, REVIEW, INVARIANTS),
        changes=(shutting("acme-eu", Resource=None, NotResource=bucket_arns("mycompany-acme-eu-prod-datalake")),),
    ),
    Mutant(
        name="suspended, and the denial holds under TLS only",
        noticed_by=(PROOF, REVIEW, INVARIANTS),
        changes=(shutting("acme-eu", Condition=ANYBODY_HERE | {"Bool": {"aws:SecureTransport": "true"}}),),
    ),
    Mutant(
        name="suspended, and a role has no boundary",
        noticed_by=(PROOF, REVIEW, INVARIANTS),
        changes=(without("AWS::IAM::Role", "PermissionsBoundary", tenant="acme-eu"),),
    ),
    Mutant(
        name="suspended, and the workgroup is on",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(having("ENABLED", "AWS::Athena::WorkGroup", "State", tenant="acme-eu"),),
    ),
    Mutant(
        name="suspended, and a hole that would be open again",
        noticed_by=(PROOF, REVIEW),
        changes=(
            may("s3:GetObject", "arn:aws:s3:::mycompany-globex-prod-datalake/*", tenant="acme-eu"),
            undefended("bucket"),
        ),
    ),
    Mutant(
        name="active, and no denial that could be switched on",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(never_shut("acme"),),
    ),
    Mutant(
        name="active, and denied everything",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(shutting("acme", Condition=ANYBODY_HERE),),
    ),
    # Everything but
    Mutant(
        name="`NotAction` in an Allow",
        noticed_by=(PROOF, SIMULATOR, REVIEW, INVARIANTS),
        services=("athena", "sns"),
        changes=(may([], Action=None, NotAction=["iam:*", "sts:*"]),),
    ),
    Mutant(
        name="`NotResource` in an Allow",
        noticed_by=(PROOF, SIMULATOR, REVIEW, INVARIANTS),
        services=("s3",),
        changes=(
            may("s3:GetObject", [], Resource=None, NotResource=bucket_arns("mycompany-acme-eu-prod-datalake")),
            undefended("bucket"),
        ),
    ),
    # Buckets that let others in
    Mutant(
        name="bucket open to the account",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("s3",),
        changes=(
            opened("bucket", "s3:GetObject", bucket_arns("mycompany-globex-prod-datalake"), Condition=ANYBODY_HERE),
            undefended("bucket"),
        ),
    ),
    Mutant(
        name="bucket names a role of another tenant",
        noticed_by=(PROOF, SIMULATOR, REVIEW, INVARIANTS),
        services=("s3",),
        changes=(
            opened(
                "bucket",
                "s3:ListBucket",
                bucket_arns("mycompany-globex-prod-datalake"),
                Principal={"AWS": role_arn("mycompany-acme-prod-job")},
            ),
            undefended("bucket"),
            may("s3:*", where=("boundary",)),
        ),
    ),
    Mutant(
        name="denial of others that lists actions",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("s3",),
        changes=(
            opened("bucket", "s3:*", bucket_arns("mycompany-globex-prod-datalake"), Condition=ANYBODY_HERE),
            denying_others(Action=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]),
        ),
    ),
    Mutant(
        name="denial of others that holds under TLS only",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("s3",),
        changes=(
            opened("bucket", "s3:*", bucket_arns("mycompany-globex-prod-datalake"), Condition=ANYBODY_HERE),
            denying_others(Condition={"Bool": {"aws:SecureTransport": "false"}}),
        ),
    ),
    Mutant(
        name="denial of others for objects, not for the bucket",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("s3",),
        changes=(
            opened("bucket", "s3:*", bucket_arns("mycompany-globex-prod-datalake"), Condition=ANYBODY_HERE),
            denying_others(Resource="arn:aws:s3:::mycompany-globex-prod-datalake/*"),
        ),
    ),
    Mutant(
        name="denial of others that spares names like `acme*`",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("s3",),
        changes=(
            opened("bucket", "s3:*", bucket_arns("mycompany-globex-prod-datalake"), Condition=ANYBODY_HERE),
            denying_others(
                Condition={
                    "ArnLike": {"aws:PrincipalArn": role_arn("mycompany-*")},
                    "ArnNotLike": {"aws:PrincipalArn": [role_arn("mycompany-globex-*"), role_arn("mycompany-acme*")]},
                }
            ),
        ),
    ),
    # Queues and topics that let others in
    Mutant(
        name="queue open to `role/mycompany-*`",
        noticed_by=(SIMULATOR, REVIEW),
        services=("sqs",),
        changes=(
            opened(
                "queue",
                "sqs:ReceiveMessage",
                arn("sqs", "mycompany-prod-arrivals"),
                tenant=None,
                Condition={"ArnLike": {"aws:PrincipalArn": role_arn("mycompany-*")}},
            ),
        ),
    ),
    Mutant(
        name="topic open to the account",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("sns",),
        changes=(opened("topic", "sns:Subscribe", arn("sns", "mycompany-globex-prod-alerts"), Condition=ANYBODY_HERE),),
    ),
    # Roles
    Mutant(
        name="`iam:PassRole` on `*`",
        noticed_by=(PROOF, SIMULATOR, REVIEW, INVARIANTS),
        services=("iam",),
        changes=(may("iam:PassRole"),),
    ),
    Mutant(
        name="`sts:AssumeRole` on all analysts",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("sts",),
        changes=(may("sts:AssumeRole", role_arn("mycompany-*-prod-analyst")),),
    ),
    Mutant(
        name="trust names a role of another tenant",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("sts",),
        changes=(
            trusting({"AWS": role_arn("mycompany-acme-prod-job")}),
            may("sts:AssumeRole", role_arn("mycompany-globex-prod-analyst"), where=("boundary",)),
        ),
    ),
    Mutant(
        name="trust names a role of another tenant, whose boundary refuses",
        noticed_by=(PROOF, REVIEW),
        services=("sts",),
        changes=(trusting({"AWS": role_arn("mycompany-acme-prod-job")}),),
    ),
    Mutant(
        name="function of the platform trusts a role of a tenant",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("sts",),
        changes=(
            trusting({"AWS": role_arn("mycompany-acme-prod-job")}, tenant=None, name="dispatch"),
            may("sts:AssumeRole", role_arn("mycompany-prod-dispatch"), where=("boundary",)),
        ),
    ),
    Mutant(
        name="`sts:AssumeRole` on roles that trust Glue only",
        noticed_by=(PROOF, REVIEW),
        services=("sts",),
        changes=(may("sts:AssumeRole", role_arn("mycompany-*-prod-job")),),
    ),
    Mutant(
        name="session tags choose the tenant",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("s3",),
        changes=(may("s3:GetObject", f"{TAGGED_BUCKET}/*"), own_tag, undefended("bucket")),
    ),
    Mutant(
        name="a role may rewrite its own policy",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("iam",),
        changes=(may(["iam:PutRolePolicy", "iam:DeleteRolePermissionsBoundary"], role_arn("mycompany-acme-prod-job")),),
    ),
    Mutant(
        name="no boundary, and a role that reaches everything",
        noticed_by=(PROOF, SIMULATOR, REVIEW, INVARIANTS),
        services=("glue",),
        changes=(
            may("glue:*", where=("role",)),
            without("AWS::IAM::Role", "PermissionsBoundary"),
        ),
    ),
    # The platform's things
    Mutant(
        name="ledger open to the account",
        noticed_by=(PROOF, SIMULATOR, REVIEW),
        services=("dynamodb",),
        changes=(ledger_opened,),
    ),
    Mutant(
        name="code of all jobs open to the account",
        noticed_by=(SIMULATOR, REVIEW),
        services=("s3",),
        changes=(
            opened(
                "bucket",
                "s3:PutObject",
                bucket_arns("mycompany-prod-platform-code"),
                tenant=None,
                Condition=ANYBODY_HERE,
            ),
        ),
    ),
    Mutant(
        name="function of the platform opens objects",
        noticed_by=(REVIEW,),
        changes=(may("s3:GetObject", "arn:aws:s3:::mycompany-*-prod-datalake/*", tenant=None, name="register"),),
    ),
    Mutant(
        name="function of the platform may pass any role",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(may("iam:PassRole", tenant=None, name="dispatch"),),
    ),
    Mutant(
        name="code of all jobs may be written",
        noticed_by=(SIMULATOR, REVIEW),
        services=("s3",),
        changes=(may("s3:PutObject", "arn:aws:s3:::mycompany-prod-platform-code/*"),),
    ),
    Mutant(
        name="functions of the platform may be called",
        noticed_by=(SIMULATOR, REVIEW),
        services=("lambda",),
        changes=(may("lambda:InvokeFunction", arn("lambda", "function:mycompany-prod-*")),),
    ),
    Mutant(
        name="key of the platform without `kms:ViaService`",
        noticed_by=(SIMULATOR, REVIEW),
        services=("kms",),
        changes=(
            restated("LedgerKey", where=("role",), Condition=None),
            restated("PlatformKey", where=("boundary",), Condition=None),
        ),
    ),
    # What is read as less, or as more, than AWS makes of it
    Mutant(
        name="changes of the ledger open to the account",
        noticed_by=(PROOF, INVARIANTS),
        changes=(
            having(
                {"StreamViewType": "NEW_IMAGE", "ResourcePolicy": {"PolicyDocument": TO_EVERYBODY_HERE}},
                "AWS::DynamoDB::Table",
                "StreamSpecification",
                tenant=None,
            ),
        ),
    ),
    Mutant(
        name="logs open to the account",
        noticed_by=(PROOF,),
        changes=(having(TO_EVERYBODY_HERE, "AWS::Logs::LogGroup", "ResourcePolicyDocument", tenant="globex"),),
    ),
    Mutant(
        name="policy as a text",
        noticed_by=(PROOF,),
        changes=(
            having(json.dumps(TO_EVERYBODY_HERE), "AWS::Logs::LogGroup", "ResourcePolicyDocument", tenant="globex"),
        ),
    ),
    Mutant(
        name="right on whatever a dynamic reference gives",
        noticed_by=(PROOF,),
        changes=(may("s3:GetObject", "arn:aws:s3:::{{resolve:ssm:/where}}/*"),),
    ),
    Mutant(
        name="second policy of a bucket, without its denials",
        noticed_by=(PROOF,),
        changes=(overwritten("bucket", tenant="globex"),),
    ),
    Mutant(
        name="second policy of a topic",
        noticed_by=(PROOF,),
        changes=(overwritten("topic", tenant="globex"),),
    ),
    Mutant(
        name="second policy of a queue",
        noticed_by=(PROOF,),
        changes=(overwritten("queue", tenant=None),),
    ),
    Mutant(
        name="policy of a bucket in the stack of another tenant",
        noticed_by=(PROOF, INVARIANTS),
        changes=(policy_from_elsewhere,),
    ),
    Mutant(
        name="permission of a function of the platform in a tenant's stack",
        noticed_by=(PROOF,),
        changes=(permission_from_elsewhere,),
    ),
    Mutant(
        name="name that AWS makes up, by how it begins",
        noticed_by=(PROOF, REVIEW),
        changes=(
            unnamed_topic,
            may("sns:Subscribe", arn("sns", "mycompany-globex-prod-tenant-AlertsTopicCF7C81C9-?*")),
        ),
    ),
    Mutant(
        name="denial that spares a dataset",
        noticed_by=(REVIEW,),
        changes=(denial_without("returns", "returns_quarantine"),),
    ),
    Mutant(
        name="denial that spares a table, not its refused rows",
        noticed_by=(REVIEW,),
        changes=(denial_without("returns"),),
    ),
    Mutant(
        name="webhook may read another parameter",
        noticed_by=(REVIEW,),
        changes=(webhook_reads("/prod/password", is_told=False),),
    ),
    Mutant(
        name="webhook is told another parameter, and may read it",
        noticed_by=(INVARIANTS,),
        changes=(webhook_reads("/prod/password", is_told=True),),
    ),
    # Who runs as what, and whose code
    Mutant(
        name="function of a tenant in a role of the platform",
        noticed_by=(INVARIANTS,),
        changes=(function_of_a_tenant,),
    ),
    Mutant(
        name="function of the platform in the role of another",
        noticed_by=(INVARIANTS,),
        changes=(webhook_as_dispatch,),
    ),
    Mutant(
        name="function with code from a tenant's bucket",
        noticed_by=(INVARIANTS,),
        changes=(
            function_having("dispatch", Code={"S3Bucket": "mycompany-acme-prod-datalake", "S3Key": f"{'0' * 64}.zip"}),
        ),
    ),
    Mutant(
        name="function with code from another account",
        noticed_by=(INVARIANTS,),
        changes=(
            function_having(
                "dispatch",
                Code={"S3Bucket": "cdk-hnb659fds-assets-111122223333-eu-central-1", "S3Key": f"{'0' * 64}.zip"},
            ),
        ),
    ),
    Mutant(
        name="function with a layer",
        noticed_by=(INVARIANTS,),
        changes=(function_having("dispatch", Layers=[f"arn:aws:lambda:{REGION}:111122223333:layer:x:1"]),),
    ),
    Mutant(
        name="function that is told where to find more code",
        noticed_by=(INVARIANTS,),
        changes=(function_having("webhook", Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/x"}}),),
    ),
    Mutant(
        name="function that runs another's code",
        noticed_by=(INVARIANTS,),
        changes=(function_having("webhook", Handler="ingestion.dispatch.handler"),),
    ),
    Mutant(
        name="job with a script from its own bucket",
        noticed_by=(INVARIANTS,),
        changes=(having("s3://mycompany-acme-prod-datalake/raw/x.py", "AWS::Glue::Job", "Command", "ScriptLocation"),),
    ),
    Mutant(
        name="job with more code",
        noticed_by=(INVARIANTS,),
        changes=(having("boto4", "AWS::Glue::Job", "DefaultArguments", "--additional-python-modules"),),
    ),
    Mutant(
        name="job of the platform",
        noticed_by=(INVARIANTS,),
        changes=(job_in_the_platform,),
    ),
    Mutant(
        name="workgroup that runs in a role",
        noticed_by=(INVARIANTS,),
        changes=(
            having(
                role_arn("mycompany-prod-dispatch"), "AWS::Athena::WorkGroup", "WorkGroupConfiguration", "ExecutionRole"
            ),
        ),
    ),
    # Who hears of it
    Mutant(
        name="alerts to another tenant's owner",
        noticed_by=(INVARIANTS,),
        changes=(having("data@acme.example", "AWS::SNS::Subscription", "Endpoint", tenant="globex"),),
    ),
    Mutant(
        name="alerts of the platform to a tenant's owner too",
        noticed_by=(INVARIANTS,),
        changes=(one_more("AWS::SNS::Subscription", None, Protocol="email", Endpoint="data@acme.example"),),
    ),
    Mutant(
        name="alerts to a web address",
        noticed_by=(INVARIANTS,),
        changes=(one_more("AWS::SNS::Subscription", "globex", Protocol="https", Endpoint="https://x.example"),),
    ),
    Mutant(
        name="alerts to whom the topic itself names",
        noticed_by=(INVARIANTS,),
        changes=(
            having(
                [{"Protocol": "email", "Endpoint": "x@x.example"}], "AWS::SNS::Topic", "Subscription", tenant="globex"
            ),
        ),
    ),
    Mutant(
        name="events that cannot be registered go elsewhere",
        noticed_by=(INVARIANTS,),
        changes=(
            having(
                {"deadLetterTargetArn": ELSEWHERE, "maxReceiveCount": 1},
                "AWS::SQS::Queue",
                "RedrivePolicy",
                tenant=None,
            ),
        ),
    ),
    Mutant(
        name="arrivals feed another function",
        noticed_by=(INVARIANTS,),
        changes=(
            having(
                f"arn:aws:lambda:{REGION}:111122223333:function:x",
                "AWS::Lambda::EventSourceMapping",
                "FunctionName",
                tenant=None,
            ),
        ),
    ),
    Mutant(
        name="results of a function go elsewhere",
        noticed_by=(INVARIANTS,),
        changes=(
            having(
                {"OnSuccess": {"Destination": ELSEWHERE}},
                "AWS::Lambda::EventInvokeConfig",
                "DestinationConfig",
                tenant=None,
            ),
        ),
    ),
    Mutant(
        name="events of everybody to another account",
        noticed_by=(INVARIANTS,),
        changes=(
            one_more(
                "AWS::Events::Rule",
                None,
                Name="mycompany-prod-x",
                Targets=[{"Id": "x", "Arn": f"arn:aws:events:{REGION}:111122223333:event-bus/x"}],
            ),
        ),
    ),
    Mutant(
        name="ledger's changes to another account",
        noticed_by=(INVARIANTS,),
        changes=(
            having(
                {"StreamArn": f"arn:aws:kinesis:{REGION}:111122223333:stream/x"},
                "AWS::DynamoDB::Table",
                "KinesisStreamSpecification",
                tenant=None,
            ),
        ),
    ),
    Mutant(
        name="bucket that is copied elsewhere",
        noticed_by=(INVARIANTS,),
        changes=(
            having(
                {
                    "Role": role_arn("mycompany-acme-prod-job"),
                    "Rules": [{"Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::mycompany-prod-x"}}],
                },
                "AWS::S3::Bucket",
                "ReplicationConfiguration",
            ),
        ),
    ),
    Mutant(
        name="database that is another account's",
        noticed_by=(INVARIANTS,),
        changes=(
            having(
                {"CatalogId": "111122223333", "DatabaseName": "x"},
                "AWS::Glue::Database",
                "DatabaseInput",
                "TargetDatabase",
            ),
        ),
    ),
    Mutant(
        name="table that lies among the code of all jobs",
        noticed_by=(INVARIANTS,),
        changes=(
            having(
                "s3://mycompany-prod-platform-code/", "AWS::Glue::Table", "TableInput", "StorageDescriptor", "Location"
            ),
        ),
    ),
    Mutant(
        name="another account's key under the tenant's alias",
        noticed_by=(INVARIANTS,),
        changes=(having(f"arn:aws:kms:{REGION}:111122223333:key/x", "AWS::KMS::Alias", "TargetKeyId"),),
    ),
    # Services that act for anybody
    Mutant(
        name="queue takes events of any rule",
        noticed_by=(REVIEW, DEPUTIES, INVARIANTS),
        changes=(policy_restated("queue", "ArrivalRules", tenant=None, Condition=None),),
    ),
    Mutant(
        name="queue takes events of any rule that says nothing of itself",
        noticed_by=(REVIEW, DEPUTIES, INVARIANTS),
        changes=(
            policy_restated(
                "queue",
                "ArrivalRules",
                tenant=None,
                Condition={"ArnLikeIfExists": {"aws:SourceArn": arn("events", "rule/mycompany-*-prod-arrivals")}},
            ),
        ),
    ),
    Mutant(
        name="topic takes messages of any alarm",
        noticed_by=(REVIEW, DEPUTIES, INVARIANTS),
        changes=(policy_restated("topic", "Cloudwatch", Condition=None),),
    ),
    Mutant(
        name="key serves any log group",
        noticed_by=(REVIEW, DEPUTIES, INVARIANTS),
        changes=(policy_restated("key", "Logs", Condition=None),),
    ),
    Mutant(
        name="role serves Glue of any account",
        noticed_by=(REVIEW, DEPUTIES, INVARIANTS),
        changes=(unconditional_trust,),
    ),
    Mutant(
        name="function may be called by anybody's rule",
        noticed_by=(REVIEW, DEPUTIES, INVARIANTS),
        changes=(without("AWS::Lambda::Permission", "SourceArn", tenant=None),),
    ),
    # Resources that are less than they have to be
    Mutant(
        name="bucket without TLS",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(policy_without("bucket", "PlainText"),),
    ),
    Mutant(
        name="TLS for reading only",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(policy_restated("bucket", "PlainText", Action="s3:GetObject"),),
    ),
    Mutant(
        name="TLS for objects, not for the bucket",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(policy_restated("bucket", "PlainText", Resource="arn:aws:s3:::mycompany-acme-prod-datalake/*"),),
    ),
    Mutant(
        name="any version of TLS",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(policy_without("bucket", "OldTls"),),
    ),
    Mutant(
        name="topic without TLS",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(policy_without("topic", "PlainText"),),
    ),
    Mutant(
        name="queue without TLS",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(policy_without("queue", "PlainText", tenant=None),),
    ),
    Mutant(
        name="bucket without a key",
        noticed_by=(INVARIANTS,),
        changes=(without("AWS::S3::Bucket", "BucketEncryption"),),
    ),
    Mutant(
        name="bucket with the key of AWS",
        noticed_by=(INVARIANTS,),
        changes=(
            having(
                [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": True}],
                "AWS::S3::Bucket",
                "BucketEncryption",
                "ServerSideEncryptionConfiguration",
            ),
        ),
    ),
    Mutant(
        name="bucket with the key of the platform",
        noticed_by=(INVARIANTS,),
        changes=(
            having(
                [
                    {
                        "ServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms",
                            "KMSMasterKeyID": {"Fn::ImportValue": "mycompany-prod-platform-key"},
                        },
                        "BucketKeyEnabled": True,
                    }
                ],
                "AWS::S3::Bucket",
                "BucketEncryption",
                "ServerSideEncryptionConfiguration",
            ),
        ),
    ),
    Mutant(
        name="objects under any key",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(policy_without("bucket", "OtherKeys"),),
    ),
    Mutant(
        name="key that is not rotated",
        noticed_by=(INVARIANTS,),
        changes=(having(False, "AWS::KMS::Key", "EnableKeyRotation"),),
    ),
    Mutant(
        name="key whose grants go on",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(policy_without("key", "Grants"),),
    ),
    Mutant(
        name="ledger with the key of AWS",
        noticed_by=(INVARIANTS,),
        changes=(without("AWS::DynamoDB::Table", "SSESpecification", tenant=None),),
    ),
    Mutant(
        name="ledger that cannot be set back",
        noticed_by=(INVARIANTS,),
        changes=(without("AWS::DynamoDB::Table", "PointInTimeRecoverySpecification", tenant=None),),
    ),
    Mutant(
        name="queue without a key",
        noticed_by=(INVARIANTS,),
        changes=(without("AWS::SQS::Queue", "KmsMasterKeyId", tenant=None),),
    ),
    Mutant(
        name="topic without a key",
        noticed_by=(INVARIANTS,),
        changes=(without("AWS::SNS::Topic", "KmsMasterKeyId"),),
    ),
    Mutant(
        name="logs without a key",
        noticed_by=(INVARIANTS,),
        changes=(without("AWS::Logs::LogGroup", "KmsKeyId"),),
    ),
    Mutant(
        name="logs for ever",
        noticed_by=(INVARIANTS,),
        changes=(without("AWS::Logs::LogGroup", "RetentionInDays"),),
    ),
    Mutant(
        name="versions off",
        noticed_by=(INVARIANTS,),
        changes=(having("Suspended", "AWS::S3::Bucket", "VersioningConfiguration", "Status"),),
    ),
    Mutant(
        name="public access not blocked",
        noticed_by=(INVARIANTS,),
        changes=(having(False, "AWS::S3::Bucket", "PublicAccessBlockConfiguration", "RestrictPublicBuckets"),),
    ),
    Mutant(
        name="access lists count",
        noticed_by=(INVARIANTS,),
        changes=(without("AWS::S3::Bucket", "OwnershipControls"),),
    ),
    Mutant(
        name="workgroup that clients override",
        noticed_by=(INVARIANTS,),
        changes=(having(False, "AWS::Athena::WorkGroup", "WorkGroupConfiguration", "EnforceWorkGroupConfiguration"),),
    ),
    Mutant(
        name="results of queries without a key",
        noticed_by=(INVARIANTS,),
        changes=(
            without(
                "AWS::Athena::WorkGroup", "WorkGroupConfiguration", "ResultConfiguration", "EncryptionConfiguration"
            ),
        ),
    ),
    Mutant(
        name="results of queries in another tenant's bucket",
        noticed_by=(INVARIANTS,),
        changes=(
            having(
                "s3://mycompany-globex-prod-datalake/athena-results/",
                "AWS::Athena::WorkGroup",
                "WorkGroupConfiguration",
                "ResultConfiguration",
                "OutputLocation",
            ),
        ),
    ),
    Mutant(
        name="queries run in another tenant's role",
        noticed_by=(INVARIANTS,),
        changes=(retagged("lake:query-role", role_arn("mycompany-globex-prod-analyst"), "AWS::Athena::WorkGroup"),),
    ),
    Mutant(
        name="job runs in another tenant's role",
        noticed_by=(INVARIANTS,),
        changes=(having(role_arn("mycompany-globex-prod-job"), "AWS::Glue::Job", "Role"),),
    ),
    Mutant(
        name="job is told another tenant's bucket",
        noticed_by=(INVARIANTS,),
        changes=(having("mycompany-globex-prod-datalake", "AWS::Glue::Job", "DefaultArguments", "--bucket"),),
    ),
    Mutant(
        name="rule hears another tenant's bucket",
        noticed_by=(INVARIANTS,),
        changes=(
            having(["mycompany-globex-prod-datalake"], "AWS::Events::Rule", "EventPattern", "detail", "bucket", "name"),
        ),
    ),
    Mutant(
        name="rule sends elsewhere",
        noticed_by=(INVARIANTS,),
        changes=(having("arn:aws:sqs:eu-central-1:111122223333:elsewhere", "AWS::Events::Rule", "Targets", 0, "Arn"),),
    ),
    Mutant(
        name="job logs where all jobs log",
        noticed_by=(INVARIANTS,),
        changes=(without("AWS::Glue::Job", "DefaultArguments", "--custom-logGroup-prefix"),),
    ),
    Mutant(
        name="no boundary",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(without("AWS::IAM::Role", "PermissionsBoundary"),),
    ),
    Mutant(
        name="boundary of another tenant",
        noticed_by=(REVIEW, INVARIANTS),
        changes=(
            having(
                f"arn:aws:iam::{ACCOUNT}:policy/mycompany-globex-prod-boundary",
                "AWS::IAM::Role",
                "PermissionsBoundary",
            ),
        ),
    ),
    Mutant(
        name="managed policy of AWS",
        noticed_by=(PROOF, REVIEW, INVARIANTS),
        changes=(managed_by_aws,),
    ),
    Mutant(
        name="tag of the tenant missing",
        noticed_by=(INVARIANTS,),
        changes=(untagged("tenant", "AWS::S3::Bucket"),),
    ),
    Mutant(
        name="tag of the environment missing",
        noticed_by=(INVARIANTS,),
        changes=(untagged("environment", "AWS::KMS::Key"),),
    ),
    Mutant(
        name="type that nobody has looked at",
        noticed_by=(PROOF, INVARIANTS),
        changes=(strange,),
    ),
]

CONTROLS = [
    Mutant(
        name="the role reaches a neighbour, its boundary does not",
        noticed_by=(REVIEW, INVARIANTS),
        services=("glue",),
        changes=(may("glue:GetTable", where=("role",)),),
    ),
    Mutant(
        name="the boundary reaches a neighbour, the role does not",
        noticed_by=(REVIEW, INVARIANTS),
        services=("glue",),
        changes=(may("glue:GetTable", where=("boundary",)),),
    ),
    Mutant(
        name="role and boundary reach a neighbour's bucket, which refuses",
        noticed_by=(REVIEW,),
        services=("s3",),
        changes=(may("s3:*", "arn:aws:s3:::mycompany-acme-*"),),
    ),
    Mutant(
        name="role and boundary reach a neighbour's key, which refuses",
        noticed_by=(REVIEW,),
        services=("kms",),
        changes=(may("kms:Decrypt", arn("kms", "key/mycompany-*-tenant-*")),),
    ),
    Mutant(
        name="a bucket is opened and still refuses",
        noticed_by=(REVIEW,),
        services=("s3",),
        changes=(opened("bucket", "s3:*", bucket_arns("mycompany-globex-prod-datalake"), Condition=ANYBODY_HERE),),
    ),
    Mutant(
        name="the tag of a role that nobody may choose",
        noticed_by=(REVIEW,),
        services=("s3",),
        changes=(may("s3:GetObject", f"{TAGGED_BUCKET}/raw/*"), undefended("bucket")),
    ),
    Mutant(
        name="rights on things that are nobody's",
        noticed_by=(REVIEW,),
        services=("s3", "glue"),
        changes=(
            may(["s3:GetObject", "glue:GetTable"], ["arn:aws:s3:::mycompany-acm/*", arn("glue", "table/acme/*")]),
        ),
    ),
]


def table(mutants: list[Mutant]) -> str:
    """Markdown: the hole, and who must notice it."""
    columns = (PROOF, SIMULATOR, REVIEW, DEPUTIES, INVARIANTS)
    lines = [["hole", *columns], ["---"] * (len(columns) + 1)]
    for mutant in mutants:
        lines.append([mutant.name, *("×" if column in mutant.noticed_by else "" for column in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(table(MUTANTS))
    print(table(CONTROLS))
