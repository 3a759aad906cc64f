"""A check of whole templates: what must hold for every resource of a type. A type that is not listed is a finding."""

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["findings"]

Resource = dict[str, Any]
Template = dict[str, Any]
Check = Callable[[Resource], Iterator[str]]

TAGS = {"organization", "environment"}


def findings(name: str, template: Template) -> list[str]:
    """Every violation as one line: `<name>: <logical id> (<type>): <what is missing>`."""
    resources: dict[str, Resource] = template.get("Resources", {})
    return [
        f"{name}: {logical_id} ({resource['Type']}): {problem}"
        for logical_id, resource in resources.items()
        for problem in problems(logical_id, resource, resources)
    ]


def problems(logical_id: str, resource: Resource, resources: dict[str, Resource]) -> Iterator[str]:
    kind, properties = resource["Type"], resource.get("Properties", {})
    if kind not in CHECKS:
        yield "unregistered type: say in cdk_app.guardrails what must hold for it"
        return
    for check in CHECKS[kind]:
        yield from check(properties)
    if kind in POLICY_OF and not denies_plain_text(logical_id, POLICY_OF[kind], resources):
        yield "no policy denies every action without TLS"


def tagged(properties: Resource) -> Iterator[str]:
    tags = properties.get("Tags", [])
    keys = set(tags) if isinstance(tags, dict) else {tag["Key"] for tag in tags}
    if not keys >= TAGS:
        yield f"lacks tags {', '.join(sorted(TAGS - keys))}"


def encrypted_bucket(properties: Resource) -> Iterator[str]:
    rules = properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    default = rules[0].get("ServerSideEncryptionByDefault", {}) if rules else {}
    if default.get("SSEAlgorithm") != "aws:kms" or "KMSMasterKeyID" not in default:
        yield "not encrypted with a key of its owner"
    if not (rules and rules[0].get("BucketKeyEnabled")):
        yield "no bucket key"


def private_bucket(properties: Resource) -> Iterator[str]:
    blocks = properties.get("PublicAccessBlockConfiguration", {})
    for block in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"):
        if blocks.get(block) is not True:
            yield f"{block} is not on"
    owners = properties.get("OwnershipControls", {}).get("Rules", [])
    if owners != [{"ObjectOwnership": "BucketOwnerEnforced"}]:
        yield "access lists are not switched off"


def versioned_bucket(properties: Resource) -> Iterator[str]:
    if properties.get("VersioningConfiguration", {}).get("Status") != "Enabled":
        yield "not versioned"


def encrypted_by(name: str) -> Check:
    def check(properties: Resource) -> Iterator[str]:
        if not properties.get(name):
            yield f"{name} is missing: not encrypted with a key of its owner"

    return check


def encrypted_table(properties: Resource) -> Iterator[str]:
    encryption = properties.get("SSESpecification", {})
    if encryption.get("SSEType") != "KMS" or "KMSMasterKeyId" not in encryption:
        yield "not encrypted with a key of its owner"
    if not properties.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
        yield "no point-in-time recovery"


def rotated(properties: Resource) -> Iterator[str]:
    if properties.get("EnableKeyRotation") is not True:
        yield "not rotated"


def kept_for_a_time(properties: Resource) -> Iterator[str]:
    if not properties.get("RetentionInDays"):
        yield "no retention"


def enforced_workgroup(properties: Resource) -> Iterator[str]:
    configuration = properties.get("WorkGroupConfiguration", {})
    result = configuration.get("ResultConfiguration", {})
    if configuration.get("EnforceWorkGroupConfiguration") is not True:
        yield "clients may override it"
    if result.get("EncryptionConfiguration", {}).get("EncryptionOption") != "SSE_KMS":
        yield "results are not encrypted with a key of their owner"
    if not result.get("ExpectedBucketOwner"):
        yield "results may go to anybody's bucket"
    if not configuration.get("BytesScannedCutoffPerQuery"):
        yield "no limit on what one query scans"


def contained_job(properties: Resource) -> Iterator[str]:
    arguments = properties.get("DefaultArguments", {})
    if arguments.get("--job-bookmark-option") != "job-bookmark-disable":
        yield "bookmarks would be kept unencrypted"
    if not str(arguments.get("--custom-logGroup-prefix", "")).startswith("/lake/"):
        yield "logs into groups that all jobs of the account share"
    if properties.get("MaxRetries") != 0:
        yield "Glue would repeat runs behind the ledger's back"


def own_log_group(properties: Resource) -> Iterator[str]:
    if not properties.get("LoggingConfig", {}).get("LogGroup"):
        yield "logs into a group that nobody made"


def pinned_caller(properties: Resource) -> Iterator[str]:
    if not {"SourceArn", "SourceAccount"} & set(properties):
        yield "anybody's resource may call it"


def bounded_role(properties: Resource) -> Iterator[str]:
    trust = properties["AssumeRolePolicyDocument"]
    is_function = all(service(statement) == ["lambda.amazonaws.com"] for statement in statements(trust))
    if not is_function and "PermissionsBoundary" not in properties:
        yield "no permissions boundary"
    if not is_function:
        yield from pinned_services(trust)
    if properties.get("ManagedPolicyArns"):
        yield "a managed policy of AWS reaches further than its tenant"


def pinned_policy(properties: Resource) -> Iterator[str]:
    yield from pinned_services(properties.get("PolicyDocument") or properties.get("KeyPolicy") or {})


def narrow_policy(properties: Resource) -> Iterator[str]:
    for statement in statements(properties["PolicyDocument"]):
        if statement["Effect"] == "Allow" and "*" in listed(statement.get("Resource")) and "Condition" not in statement:
            yield f"{statement.get('Sid', 'a statement')} allows {', '.join(listed(statement['Action']))} on everything"
        if statement["Effect"] == "Allow" and "*" in listed(statement.get("Action")):
            yield f"{statement.get('Sid', 'a statement')} allows every action"


def pinned_services(document: Resource) -> Iterator[str]:
    """Confused deputy: a service may act only for a source that is named."""
    for statement in statements(document):
        if statement["Effect"] == "Allow" and service(statement) and not names_source(statement):
            yield f"{statement.get('Sid', 'a statement')} lets {', '.join(service(statement))} act for anybody"


SOURCES = {"aws:SourceArn", "aws:SourceAccount", "aws:SourceOrgID", "kms:EncryptionContext:aws:logs:arn"}


def names_source(statement: Resource) -> bool:
    return any(
        SOURCES & set(keys)
        for operator, keys in statement.get("Condition", {}).items()
        if "Not" not in operator and not operator.endswith("IfExists")
    )


def denies_plain_text(logical_id: str, policy: str, resources: dict[str, Resource]) -> bool:
    documents = [r["Properties"]["PolicyDocument"] for r in resources.values() if r["Type"] == policy]
    return any(
        statement["Effect"] == "Deny"
        and statement.get("Principal") == {"AWS": "*"}
        and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        and logical_id in str(statement["Resource"])
        for document in documents
        for statement in statements(document)
    )


def statements(document: Resource) -> list[Resource]:
    return [dict(statement) for statement in listed(document.get("Statement"))]


def service(statement: Resource) -> list[str]:
    principal = statement.get("Principal")
    return [str(name) for name in listed(principal.get("Service"))] if isinstance(principal, dict) else []


def listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


POLICY_OF = {
    "AWS::S3::Bucket": "AWS::S3::BucketPolicy",
    "AWS::SQS::Queue": "AWS::SQS::QueuePolicy",
    "AWS::SNS::Topic": "AWS::SNS::TopicPolicy",
}

CHECKS: dict[str, tuple[Check, ...]] = {
    "AWS::Athena::NamedQuery": (),
    "AWS::Athena::WorkGroup": (enforced_workgroup, tagged),
    "AWS::CDK::Metadata": (),
    "AWS::CloudWatch::Alarm": (tagged,),
    "AWS::DynamoDB::Table": (encrypted_table, tagged),
    "AWS::Events::Rule": (),
    "AWS::Glue::Database": (),
    "AWS::Glue::Job": (contained_job, tagged),
    "AWS::Glue::Table": (),
    "AWS::IAM::ManagedPolicy": (narrow_policy,),
    "AWS::IAM::Policy": (narrow_policy,),
    "AWS::IAM::Role": (bounded_role, tagged),
    "AWS::KMS::Alias": (),
    "AWS::KMS::Key": (rotated, pinned_policy, tagged),
    "AWS::Lambda::EventInvokeConfig": (),
    "AWS::Lambda::EventSourceMapping": (),
    "AWS::Lambda::Function": (own_log_group, tagged),
    "AWS::Lambda::Permission": (pinned_caller,),
    "AWS::Logs::LogGroup": (encrypted_by("KmsKeyId"), kept_for_a_time, tagged),
    "AWS::S3::Bucket": (encrypted_bucket, private_bucket, versioned_bucket, tagged),
    "AWS::S3::BucketPolicy": (pinned_policy,),
    "AWS::SNS::Subscription": (),
    "AWS::SNS::Topic": (encrypted_by("KmsMasterKeyId"), tagged),
    "AWS::SNS::TopicPolicy": (pinned_policy,),
    "AWS::SQS::Queue": (encrypted_by("KmsMasterKeyId"), tagged),
    "AWS::SQS::QueuePolicy": (pinned_policy,),
}
