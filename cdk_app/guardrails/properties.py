"""What must hold for the properties of a resource: encrypted, private, kept, tagged, and its owner's own."""

import re
from collections.abc import Iterator

from cdk_app.guardrails.subject import Check, Subject, listed, rendered

__all__ = [
    "checked_table",
    "contained_job",
    "encrypted_bucket",
    "encrypted_by",
    "enforced_workgroup",
    "kept",
    "kept_for_a_time",
    "lying_in_own_bucket",
    "own_events",
    "own_log_group",
    "private_bucket",
    "rotated",
    "tagged",
    "versioned_bucket",
]

# Where a stack may take its data with it: nothing there is anybody's only copy.
MAY_LOSE_DATA = {"local", "dev"}
ATHENA_RESULTS = "athena-results/"
QUERY_ROLE_TAG = "lake:query-role"


def tagged(subject: Subject) -> Iterator[str]:
    found = tags_of(subject)
    for name, value in sorted(subject.owner.tags.items()):
        if found.get(name) != value:
            yield f"lacks tags: {name} is {found.get(name)!r}, expected {value!r}"


def tags_of(subject: Subject) -> dict[str, str]:
    tags = subject.properties.get("Tags", [])
    return dict(tags) if isinstance(tags, dict) else {tag["Key"]: rendered(tag["Value"]) for tag in tags}


def kept(subject: Subject) -> Iterator[str]:
    """What holds data outlives its stack."""
    if subject.owner.environment in MAY_LOSE_DATA:
        return
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        if subject.resource.get(policy) not in {"Retain", "RetainExceptOnCreate"}:
            yield f"{policy} is {subject.resource.get(policy)}: its data would go with it"


def encrypted_bucket(subject: Subject) -> Iterator[str]:
    rules = listed(subject.get("BucketEncryption", "ServerSideEncryptionConfiguration"))
    default = rules[0].get("ServerSideEncryptionByDefault", {}) if rules else {}
    if default.get("SSEAlgorithm") != "aws:kms" or not subject.is_own_key(default.get("KMSMasterKeyID")):
        yield "not encrypted with a key of its owner"
    if not (rules and rules[0].get("BucketKeyEnabled")):
        yield "no bucket key"


def private_bucket(subject: Subject) -> Iterator[str]:
    for block in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"):
        if subject.get("PublicAccessBlockConfiguration", block) is not True:
            yield f"{block} is not on"
    if subject.get("OwnershipControls", "Rules") != [{"ObjectOwnership": "BucketOwnerEnforced"}]:
        yield "access lists are not switched off"


def versioned_bucket(subject: Subject) -> Iterator[str]:
    if subject.get("VersioningConfiguration", "Status") != "Enabled":
        yield "not versioned"


def encrypted_by(name: str) -> Check:
    """With a key that the same stack makes."""

    def check(subject: Subject) -> Iterator[str]:
        if not subject.get(name):
            yield f"{name} is missing: not encrypted with a key of its owner"
        elif not subject.is_own_key(subject.get(name)) and not is_shared_topic(subject):
            yield f"{name} is not a key of its owner"

    return check


def is_shared_topic(subject: Subject) -> bool:
    """A tenant's topic is under the platform's key: functions that publish need no right on a tenant's."""
    key = "${import " + f"{subject.owner.platform.stack}-key" + "}"
    return subject.kind == "AWS::SNS::Topic" and rendered(subject.get("KmsMasterKeyId")) == key


def checked_table(subject: Subject) -> Iterator[str]:
    if subject.get("SSESpecification", "SSEType") != "KMS" or not subject.is_own_key(
        subject.get("SSESpecification", "KMSMasterKeyId")
    ):
        yield "not encrypted with a key of its owner"
    if not subject.get("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"):
        yield "no point-in-time recovery"
    if "ResourcePolicy" in subject.properties:
        yield "a policy of the table itself: rights on rows are given by roles, whose conditions name them"


def rotated(subject: Subject) -> Iterator[str]:
    if subject.get("EnableKeyRotation") is not True:
        yield "not rotated"


def lying_in_own_bucket(*path: str) -> Check:
    """Where the files of a database or table lie."""

    def check(subject: Subject) -> Iterator[str]:
        place, bucket = rendered(subject.get(*path) or ""), f"s3://{subject.owner.prefix}-datalake/"
        if not place.startswith(bucket):
            yield f"lies in {place or 'no place'}, expected one in {bucket}"

    return check


def kept_for_a_time(subject: Subject) -> Iterator[str]:
    if not subject.get("RetentionInDays"):
        yield "no retention"


def enforced_workgroup(subject: Subject) -> Iterator[str]:
    configuration = ("WorkGroupConfiguration",)
    result = (*configuration, "ResultConfiguration")
    if subject.get(*configuration, "EnforceWorkGroupConfiguration") is not True:
        yield "clients may override it"
    encryption = subject.get(*result, "EncryptionConfiguration") or {}
    if encryption.get("EncryptionOption") != "SSE_KMS" or not subject.is_own_key(encryption.get("KmsKey")):
        yield "results are not encrypted with a key of their owner"
    if not re.fullmatch(r"\d{12}", rendered(subject.get(*result, "ExpectedBucketOwner") or "")):
        yield "results may go to anybody's bucket"
    if not subject.get(*configuration, "BytesScannedCutoffPerQuery"):
        yield "no limit on what one query scans"
    place = f"s3://{subject.owner.prefix}-datalake/{ATHENA_RESULTS}"
    if rendered(subject.get(*result, "OutputLocation") or "") != place:
        yield f"results do not go to {place}"
    role = tags_of(subject).get(QUERY_ROLE_TAG, "")
    if not role.endswith(f":role/{subject.owner.prefix}-analyst"):
        yield f"its queries run as {role or 'nobody'}, expected the tenant's analyst"


def contained_job(subject: Subject) -> Iterator[str]:
    owner, arguments = subject.owner, subject.get("DefaultArguments") or {}
    if arguments.get("--job-bookmark-option") != "job-bookmark-disable":
        yield "bookmarks would be kept unencrypted"
    logs = f"/lake/{owner.organization}/{owner.environment}/{owner.tenant}/"
    if not str(arguments.get("--custom-logGroup-prefix", "")).startswith(logs):
        yield "logs into groups that all jobs of the account share"
    if subject.get("MaxRetries") != 0:
        yield "Glue would repeat runs behind the ledger's back"
    told = {"--tenant": owner.tenant, "--bucket": f"{owner.prefix}-datalake"}
    for name, value in told.items():
        if arguments.get(name) != value:
            yield f"{name} is {arguments.get(name)!r}, expected {value!r}"
    if not runs_as_own_role(subject):
        yield "runs in a role that is not its tenant's"


def runs_as_own_role(subject: Subject) -> bool:
    own = subject.called("AWS::IAM::Role", f"{subject.owner.prefix}-job")
    return rendered(subject.get("Role")) in {f"${{{each}.Arn}}" for each in own}


def own_events(subject: Subject) -> Iterator[str]:
    """A tenant's rule hears its own bucket and tells the platform's queue, by AWS's own events of this account."""
    owner = subject.owner
    if owner.tenant is None:
        return
    pattern = subject.get("EventPattern") or {}
    if pattern.get("source") != ["aws.s3"] or not pattern.get("account"):
        yield "hears events that anybody may put: expected source aws.s3 of one account"
    bucket = pattern.get("detail", {}).get("bucket", {}).get("name")
    if bucket != [f"{owner.prefix}-datalake"]:
        yield f"hears {bucket}, expected the tenant's bucket"
    queues = f"{owner.platform.queue}|{owner.platform.dead_letter_queue}"
    for target in listed(subject.get("Targets")):
        for arn in (target.get("Arn"), (target.get("DeadLetterConfig") or {}).get("Arn")):
            if not re.search(rf":sqs:[^:]+:\d{{12}}:({queues})\Z", rendered(arn or "")):
                yield f"tells {rendered(arn or 'nobody')}, expected the platform's queue"


def own_log_group(subject: Subject) -> Iterator[str]:
    if not subject.get("LoggingConfig", "LogGroup"):
        yield "logs into a group that nobody made"
