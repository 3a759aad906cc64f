"""What must hold for policies: of roles, of resources, and whom services may act for."""

import re
from collections.abc import Iterator
from typing import Any

from cdk_app.guardrails.subject import Resource, Subject, listed, rendered, statements
from tenants.naming import NO_ACCOUNT

__all__ = [
    "closed_bucket",
    "closed_key",
    "denies_plain_text",
    "exact_allowances",
    "least_rights",
    "pinned_caller",
    "pinned_services",
    "services_only",
    "shut_as_agreed",
    "trusting_role",
]

EVERYBODY = ({"AWS": "*"}, "*")
PLAIN_TEXT = {"Bool": {"aws:SecureTransport": "false"}}
OLD_TLS = {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
KEY_HEADER = "s3:x-amz-server-side-encryption-aws-kms-key-id"

# Policy type, the property that names what it is attached to, and every action of the service. A topic's policy
# takes a fixed list of actions and refuses `sns:*`; the one that carries data is Publish.
POLICY_OF = {
    "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket", "s3:*"),
    "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues", "sqs:*"),
    "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics", "sns:Publish"),
}
# Actions that no role of a tenant is ever given, on nothing.
FORBIDDEN_TO_TENANTS = re.compile(
    r"(iam|sts|kms:CreateGrant|kms:PutKeyPolicy|lambda|cloudformation|organizations|dynamodb:(Scan|PartiQL)|\*)"
)
# What a role's policy may allow on `*` if a condition limits it: the action has no resource to name.
WITHOUT_RESOURCE = {"cloudwatch:PutMetricData"}
S3_OF_FUNCTIONS = {"s3:DeleteObject", "s3:ListBucket", "s3:ListBucketVersions"}
ARN_WITH_ACCOUNT = re.compile(r"arn:[^:]+:[^:*]+:[^:*]*:\d{12}:.+")
LOG_GROUPS = "kms:EncryptionContext:aws:logs:arn"


def documents_of(subject: Subject) -> list[Resource]:
    """Statements of the policies that are attached to a resource."""
    policy, target, _ = POLICY_OF[subject.kind]
    names = {"${" + subject.logical_id + "}"}
    return [
        statement
        for properties in subject.others(policy)
        if names & {rendered(each) for each in listed(properties.get(target))}
        for statement in statements(properties.get("PolicyDocument"))
    ]


def everything_in(subject: Subject) -> set[str]:
    return {subject.arn, f"{subject.arn}/*"} if subject.kind == "AWS::S3::Bucket" else {subject.arn}


def denied_to_everybody(subject: Subject, condition: Resource) -> bool:
    """Whether every action on the whole of a resource is denied to everybody under exactly this condition."""
    action = POLICY_OF[subject.kind][2]
    return any(
        statement["Effect"] == "Deny"
        and statement.get("Principal") in EVERYBODY
        and listed(statement.get("Action")) == [action]
        and {rendered(each) for each in listed(statement.get("Resource"))} >= everything_in(subject)
        and statement.get("Condition") == condition
        for statement in documents_of(subject)
    )


def denies_plain_text(subject: Subject) -> Iterator[str]:
    if not denied_to_everybody(subject, PLAIN_TEXT):
        yield "no policy denies every action without TLS"


def closed_bucket(subject: Subject) -> Iterator[str]:
    """TLS of today; for a tenant's bucket also: only the owner's key, and no role of another tenant."""
    if not denied_to_everybody(subject, OLD_TLS):
        yield "no policy denies every action over TLS below 1.2"
    if subject.owner.tenant is None:
        return
    if not any(denies_foreign_tenants(subject, each, "s3:*", everything_in(subject)) for each in documents_of(subject)):
        yield "no policy denies every action to the roles of other tenants"
    if not any(denies_other_keys(subject, each) for each in documents_of(subject)):
        yield "no policy denies writing objects under another key"


def denies_other_keys(subject: Subject, statement: Resource) -> bool:
    condition = dict(statement.get("Condition", {}))
    key = condition.get("StringNotEquals", {}).get(KEY_HEADER)
    return (
        statement["Effect"] == "Deny"
        and statement.get("Principal") in EVERYBODY
        and "s3:PutObject" in listed(statement.get("Action"))
        and f"{subject.arn}/*" in {rendered(each) for each in listed(statement.get("Resource"))}
        and set(condition) <= {"StringNotEquals", "Null"}
        and subject.is_own_key(key)
    )


def denies_foreign_tenants(subject: Subject, statement: Resource, action: str, whole: set[str]) -> bool:
    """`ArnLike` every tenant's role, `ArnNotEquals` the owner's two: nothing more and nothing less."""
    owner = subject.owner
    condition = dict(statement.get("Condition", {}))
    every = {f"{owner.organization}-*-{owner.environment}-{role}" for role in ("job", "analyst")}
    own = {f"{owner.prefix}-{role}" for role in ("job", "analyst")}
    return (
        statement["Effect"] == "Deny"
        and statement.get("Principal") in EVERYBODY
        and listed(statement.get("Action")) == [action]
        and {rendered(each) for each in listed(statement.get("Resource"))} >= whole
        and set(condition) == {"ArnLike", "ArnNotEquals"}
        and role_names(condition["ArnLike"]) >= every
        and role_names(condition["ArnNotEquals"]) <= own
    )


def role_names(condition: Resource) -> set[str]:
    return {rendered(arn).rpartition("role/")[2] for arn in listed(condition.get("aws:PrincipalArn"))}


def closed_key(subject: Subject) -> Iterator[str]:
    """A tenant's key: no role of another tenant, and no grant but a service's own."""
    policy = statements(subject.get("KeyPolicy"))
    if subject.owner.tenant is None:
        return
    for statement in policy:
        if statement["Effect"] == "Allow" and not services(statement) and list(strangers(statement)):
            yield f"{said(statement)} lets {rendered(statement.get('Principal'))} use it past every boundary"
    if not any(denies_foreign_tenants(subject, statement, "kms:*", {"*"}) for statement in policy):
        yield "its policy does not deny every action to the roles of other tenants"
    if not any(denies_grants(statement) for statement in policy):
        yield "its policy does not deny grants to anybody but services"


def denies_grants(statement: Resource) -> bool:
    return (
        statement["Effect"] == "Deny"
        and statement.get("Principal") in EVERYBODY
        and listed(statement.get("Action")) == ["kms:CreateGrant"]
        and listed(statement.get("Resource")) == ["*"]
        and statement.get("Condition") == {"BoolIfExists": {"kms:GrantIsForAWSResource": "false"}}
    )


def documents(properties: Resource) -> Iterator[Resource]:
    """Every policy in a resource's properties."""
    for name in ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument"):
        yield from statements(properties.get(name))
    for policy in listed(properties.get("Policies")):
        yield from statements(policy.get("PolicyDocument"))
    yield from statements((properties.get("ResourcePolicy") or {}).get("PolicyDocument"))


def rights(properties: Resource) -> Iterator[Resource]:
    """What a principal is given: no trust, no policy of a resource."""
    yield from statements(properties.get("PolicyDocument"))
    for policy in listed(properties.get("Policies")):
        yield from statements(policy.get("PolicyDocument"))


def said(statement: Resource) -> str:
    return str(statement.get("Sid", "a statement"))


def exact_allowances(subject: Subject) -> Iterator[str]:
    """An Allow says what and whom it allows: what `Not…` leaves over grows with AWS."""
    for statement in documents(subject.properties):
        negated = [name for name in ("NotAction", "NotResource", "NotPrincipal") if name in statement]
        if statement["Effect"] == "Allow" and negated:
            yield f"{said(statement)}: {', '.join(negated)} in an Allow; name what is allowed"


def least_rights(subject: Subject) -> Iterator[str]:
    for statement in rights(subject.properties):
        if statement["Effect"] != "Allow":
            continue
        actions = [str(action) for action in listed(statement.get("Action"))]
        yield from too_wide(statement, actions)
        if subject.owner.tenant:
            yield from forbidden(statement, actions)
            yield from any_rows(subject, statement, actions)
            yield from more_than_use(subject, statement, actions)
        else:
            yield from opens_objects(statement, actions)


def shut_as_agreed(subject: Subject) -> Iterator[str]:
    """The boundary of a tenant's roles denies them everything while the tenant is not active, as its workgroup is off.

    The workgroup says so too: the template of a tenant whose state nobody has told is looked at by itself.
    """
    bounds = {rendered(each.get("PermissionsBoundary")) for each in subject.others("AWS::IAM::Role")}
    if subject.owner.tenant is None or "${" + subject.logical_id + "}" not in bounds:
        return
    denials = [each for each in statements(subject.get("PolicyDocument")) if denies_an_account(each)]
    met = [each["Condition"]["StringEquals"]["aws:PrincipalAccount"] for each in denials]
    off = {each.get("State") == "DISABLED" for each in subject.others("AWS::Athena::WorkGroup")}
    state = subject.owner.agreed.state
    shut = state != "active" if state else off == {True}
    if off - {shut}:
        yield f"the workgroup is {'on' if shut else 'off'}, but the tenant is {state or 'shut'}"
    account = subject.owner.agreed.account
    expected = "its account" if shut else NO_ACCOUNT
    if len(met) != 1 or not re.fullmatch((account or r"\d{12}") if shut else NO_ACCOUNT, str(met[0])):
        yield f"no statement denies everything to aws:PrincipalAccount {expected}, found {met or 'none'}"


def denies_an_account(statement: Resource) -> bool:
    condition = statement.get("Condition", {})
    return (
        statement["Effect"] == "Deny"
        and listed(statement.get("Action")) == ["*"]
        and listed(statement.get("Resource")) == ["*"]
        and set(condition) == {"StringEquals"}
        and set(condition["StringEquals"]) == {"aws:PrincipalAccount"}
    )


def too_wide(statement: Resource, actions: list[str]) -> Iterator[str]:
    if any(action in {"*", "*:*"} for action in actions):
        yield f"{said(statement)} allows every action"
    if wide := [action for action in actions if action.endswith(":*")]:
        yield f"{said(statement)} allows {', '.join(wide)}: name the actions"
    if is_on_everything(statement) and not set(actions) <= WITHOUT_RESOURCE:
        yield f"{said(statement)} allows {', '.join(actions)} on everything"
    if is_on_everything(statement) and not statement.get("Condition"):
        yield f"{said(statement)} allows {', '.join(actions)} on everything, unconditionally"


def is_on_everything(statement: Resource) -> bool:
    return "*" in map(rendered, listed(statement.get("Resource")))


def forbidden(statement: Resource, actions: list[str]) -> Iterator[str]:
    if never := [action for action in actions if FORBIDDEN_TO_TENANTS.match(action)]:
        yield f"{said(statement)} allows {', '.join(never)}, which no role of a tenant is given"


def more_than_use(subject: Subject, statement: Resource, actions: list[str]) -> Iterator[str]:
    """Of the platform a tenant reads the code, and uses the key through services."""
    resources = {rendered(each) for each in listed(statement.get("Resource"))}
    code = any(f":{subject.owner.platform.code_bucket}" in each for each in resources)
    if code and (more := [action for action in actions if action.startswith("s3:") and action != "s3:GetObject"]):
        yield f"{said(statement)} allows {', '.join(more)} on the code of all tenants"
    through = listed(statement.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService"))
    if any(action.startswith("kms:") for action in actions) and not through:
        yield f"{said(statement)} allows {', '.join(actions)} without a service that it goes through"


def opens_objects(statement: Resource, actions: list[str]) -> Iterator[str]:
    """Functions of the platform list buckets and remove leftovers; they read and write no object of a tenant."""
    if more := [action for action in actions if action.startswith("s3:") and action not in S3_OF_FUNCTIONS]:
        yield f"{said(statement)} allows {', '.join(more)} to a function, which opens no object"


def any_rows(subject: Subject, statement: Resource, actions: list[str]) -> Iterator[str]:
    """Rows of the shared ledger: by the owner's keys, of which there must be one, and by no index."""
    rows = [action for action in actions if action.startswith("dynamodb:") and action != "dynamodb:DescribeTable"]
    if not rows:
        return
    condition = dict(statement.get("Condition", {}))
    keys = listed(condition.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys"))
    if not keys or not all(str(key).startswith(f"T#{subject.owner.tenant}#") for key in keys):
        yield f"{said(statement)} allows {', '.join(rows)} on rows that are not the tenant's"
    if condition.get("Null", {}).get("dynamodb:LeadingKeys") != "false":
        yield f"{said(statement)} allows {', '.join(rows)} to requests that name no row"
    if any("/index/" in rendered(each) or rendered(each).endswith("*") for each in listed(statement.get("Resource"))):
        yield f"{said(statement)} allows {', '.join(rows)} through an index"


def trusting_role(subject: Subject) -> Iterator[str]:
    """A role has a boundary, no policy of AWS, and is played by whom it is for."""
    trust = statements(subject.get("AssumeRolePolicyDocument"))
    is_function = all(services(statement) == ["lambda.amazonaws.com"] for statement in trust)
    if "PermissionsBoundary" not in subject.properties:
        yield "no permissions boundary"
    if subject.owner.tenant and is_function:
        yield "a role of a function in a tenant's stack"
    if not is_function:
        yield from pinned_services(subject)
    if subject.get("ManagedPolicyArns"):
        yield "a managed policy of AWS reaches further than its tenant"
    for statement in trust:
        if listed(statement.get("Action")) != ["sts:AssumeRole"]:
            yield f"{said(statement)} of its trust allows more than sts:AssumeRole: a session's tags are its caller's"
        for principal in strangers(statement):
            yield f"{said(statement)} of its trust lets {principal} play it"


def strangers(statement: Resource) -> Iterator[str]:
    """Whom a trust names beside services and the account itself, whose own policies decide then."""
    principal = statement.get("Principal")
    if not isinstance(principal, dict):
        yield str(principal)
        return
    for name, values in principal.items():
        for value in map(rendered, listed(values)):
            if name not in {"Service", "AWS"} or (
                name == "AWS" and not re.fullmatch(r"arn:[\w-]+:iam::\d{12}:root", value)
            ):
                yield value


def services_only(subject: Subject) -> Iterator[str]:
    """A resource lets services in and keeps others out; whom a role reaches is said by the role, under its boundary."""
    for statement in documents(subject.properties):
        principal = statement.get("Principal")
        if statement["Effect"] == "Allow" and not (isinstance(principal, dict) and set(principal) == {"Service"}):
            yield f"{said(statement)} lets {rendered(principal)} in past every boundary"


def pinned_services(subject: Subject) -> Iterator[str]:
    """Confused deputy: a service may act only for sources of one account that are named."""
    for statement in documents(subject.properties):
        if statement["Effect"] == "Allow" and services(statement) and not names_source(statement):
            yield f"{said(statement)} lets {', '.join(services(statement))} act for anybody"


def names_source(statement: Resource) -> bool:
    """By ARN and by account; CloudWatch Logs says neither, but the log group, and with it the account."""
    conditions: dict[str, list[Any]] = {}
    for operator, keys in statement.get("Condition", {}).items():
        if "Not" not in operator and not operator.endswith("IfExists"):
            for key, values in keys.items():
                conditions.setdefault(key, []).extend(listed(values))
    if groups := conditions.get(LOG_GROUPS):
        return all(ARN_WITH_ACCOUNT.fullmatch(rendered(group)) for group in groups)
    sources, accounts = conditions.get("aws:SourceArn", []), conditions.get("aws:SourceAccount", [])
    return (
        bool(sources and accounts)
        and all(ARN_WITH_ACCOUNT.fullmatch(rendered(source)) for source in sources)
        and all(re.fullmatch(r"\d{12}", rendered(account)) for account in accounts)
    )


def pinned_caller(subject: Subject) -> Iterator[str]:
    """One source by its whole ARN, which holds its account; EventBridge and SNS send no SourceAccount with it."""
    source = rendered(subject.get("SourceArn") or "")
    if not (source.startswith("${") or ARN_WITH_ACCOUNT.fullmatch(source)) or "*" in source:
        yield "anybody's resource may call it"


def services(statement: Resource) -> list[str]:
    principal = statement.get("Principal")
    return [str(name) for name in listed(principal.get("Service"))] if isinstance(principal, dict) else []
