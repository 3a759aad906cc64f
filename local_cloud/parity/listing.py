"""The list of differences between this cloud and AWS: what a template says and what happens here instead."""

from dataclasses import dataclass

REFUSED_TYPES = {
    "AWS::Athena::NamedQuery": "created through the Athena API after the stack",
    "AWS::Budgets::Budget": "not there",
    "AWS::CloudTrail::Trail": "not there",
    "AWS::CloudWatch::CompositeAlarm": "not there",
    "AWS::Events::Archive": "not there",
    "AWS::Glue::DataQualityRuleset": "not there",
    "AWS::Glue::Registry": "not there",
    "AWS::Glue::Schema": "not there",
    "AWS::Glue::SecurityConfiguration": "not there: jobs name it in vain",
    "AWS::Glue::Workflow": "not there",
    "AWS::LakeFormation::*": "not there",
}


@dataclass(frozen=True, order=True)
class Difference:
    """One line of `lake doctor`. `property` is a path below Properties, `*` the whole resource."""

    resource: str
    property: str
    locally: str
    reason: str


_REFUSED = tuple(
    Difference(kind, "*", f"taken out of the template; {instead}", "the emulator refuses this resource type")
    for kind, instead in REFUSED_TYPES.items()
)

GLUE_SOURCE = "aws.glue"
LOCAL_GLUE_SOURCE = "local.glue"
"""What the Glue endpoint's events say they are from: nobody but AWS may put events from `aws.*`, here as there."""

GLUE_EVENTS = Difference(
    "AWS::Events::Rule",
    "EventPattern.source aws.glue",
    f"the rule also matches the source {LOCAL_GLUE_SOURCE}, which the Glue endpoint's events carry",
    "the emulator lets nobody put events from aws.*, as AWS does",
)
METRIC_MATH = Difference(
    "AWS::CloudWatch::Alarm",
    "Metrics",
    "alarm taken out of the template",
    "the emulator cannot compute metric math",
)
MAX_CONCURRENT_RUNS = Difference(
    "AWS::Glue::Job",
    "ExecutionProperty.MaxConcurrentRuns",
    "kept as tag lake:max-concurrent-runs; the Glue endpoint enforces it",
    "the emulator drops the property",
)
LEADING_KEYS = Difference(
    "AWS::IAM::*",
    "Condition dynamodb:LeadingKeys",
    "condition taken out of Allow statements, Deny statements with it taken out: rows of other tenants are reachable",
    "the emulator does not know the key and would deny a tenant its own rows",
)
TRUST_SOURCE = Difference(
    "AWS::IAM::Role",
    "AssumeRolePolicyDocument Condition aws:SourceAccount, aws:SourceArn",
    "condition taken out for service principals",
    "no service says for whom it takes a role here",
)
DATABASE_NAMES = Difference(
    "AWS::IAM::*",
    "Resource table/<database>/*",
    "the same statement also names table/<database>",
    "the emulator checks GetDatabase(Name) as if it were a table",
)
ENCRYPTION = Difference(
    "AWS::S3::Bucket", "BucketEncryption", "put by the S3 API after the stack", "the emulator drops the property"
)
LIFECYCLE = Difference(
    "AWS::S3::Bucket",
    "LifecycleConfiguration",
    "put by the S3 API after the stack; stored, but nothing ever expires",
    "the emulator drops the property",
)
BUCKET_TAGS = Difference(
    "AWS::S3::Bucket", "Tags", "put by the S3 API after the stack", "the emulator drops the property"
)
BOUNDARY = Difference(
    "AWS::IAM::Role", "PermissionsBoundary", "put by the IAM API after the stack", "the emulator drops the property"
)
TIME_TO_LIVE = Difference(
    "AWS::DynamoDB::Table",
    "TimeToLiveSpecification",
    "put by the DynamoDB API after the stack",
    "the emulator drops the property",
)
RECOVERY = Difference(
    "AWS::DynamoDB::Table",
    "PointInTimeRecoverySpecification",
    "put by the DynamoDB API after the stack; there are no backups behind it",
    "the emulator drops the property",
)
CONCURRENCY = Difference(
    "AWS::Lambda::Function",
    "ReservedConcurrentExecutions",
    "put by the Lambda API after the stack",
    "the emulator drops the property",
)
RECURSION = Difference(
    "AWS::Lambda::Function", "RecursiveLoop", "put by the Lambda API after the stack", "the emulator drops the property"
)
TOPIC_KEY = Difference(
    "AWS::SNS::Topic", "KmsMasterKeyId", "put by the SNS API after the stack", "the emulator drops the property"
)

# What a template may say without any effect here: (type, property).
_DROPPED = (
    ("AWS::DynamoDB::Table", "SSESpecification"),
    ("AWS::DynamoDB::Table", "TableClass"),
    ("AWS::Glue::Job", "ExecutionClass"),
    ("AWS::Glue::Job", "JobMode"),
    ("AWS::Glue::Job", "JobRunQueuingEnabled"),
    ("AWS::Glue::Job", "MaintenanceWindow"),
    ("AWS::Glue::Job", "NotificationProperty"),
    ("AWS::Glue::Trigger", "EventBatchingCondition"),
    ("AWS::Lambda::Function", "DeadLetterConfig"),
    ("AWS::S3::Bucket", "LoggingConfiguration"),
    ("AWS::Scheduler::Schedule", "ScheduleExpressionTimezone"),
    ("AWS::StepFunctions::StateMachine", "LoggingConfiguration"),
    ("AWS::StepFunctions::StateMachine", "TracingConfiguration"),
)
DROPPED = tuple(Difference(kind, name, "no effect", "the emulator drops the property") for kind, name in _DROPPED)

# Differences in what services do, whatever a template says.
BEHAVIOUR = (
    Difference(
        "emulator",
        "_ministack/reset",
        "any local process can wipe everything without a credential; the ports listen on this machine only",
        "the emulator's administration has no login: run no code that you do not trust",
    ),
    Difference(
        "emulator",
        "state",
        "saved when the cloud stops (also when only its supervisor is killed), not while it runs",
        "the emulator has no other way; after its own kill objects are newer than everything else",
    ),
    Difference(
        "AWS::Lambda::Function",
        "Runtime, Architectures",
        "functions run in the emulator's Python, as the same user as you, at most five at once",
        "no containers are needed",
    ),
    Difference(
        "AWS::S3::Bucket",
        "EventBridge events",
        "carry no version id; a file's version is told by its hash, its size and the event's sequencer",
        "the emulator leaves it out",
    ),
    Difference("AWS::KMS::Key", "use", "nothing is encrypted on this disk; grants are not checked", "emulated"),
    Difference(
        "AWS::CloudWatch::Alarm",
        "metrics of AWS services",
        "alarms exist but never fire",
        "the emulator's services publish no metrics",
    ),
    Difference(
        "AWS::CloudFormation::Stack",
        "deletion",
        "deleting a stack deletes its bucket with everything in it, unless the bucket is retained",
        "AWS refuses to delete a bucket that is not empty",
    ),
    Difference(
        "AWS::CloudFormation::Stack",
        "Description",
        "of an updated stack is the one it was created with; a deploy compares its template",
        "the emulator does not change it",
    ),
    Difference(
        "AWS::Events::Rule",
        "SqsParameters.MessageGroupId of a standard queue",
        "kept, without effect: messages of all tenants stand in one line",
        "the emulator has no fair queues",
    ),
    Difference(
        "AWS::Glue::Job",
        "Command glueetl",
        "scripts run in a local Spark 3.5 on two cores, two runs at once; workers, their type and retries are ignored",
        "one machine",
    ),
    Difference(
        "AWS::Glue::Job", "Command pythonshell", "refused with InvalidInputException", "only Spark jobs are run here"
    ),
    Difference(
        "AWS::Glue::Job",
        "--additional-python-modules, --extra-jars, --extra-files",
        "ignored: scripts find the packages of this project's environment and their --extra-py-files",
        "nothing is installed while a job starts",
    ),
    Difference("AWS::Glue::Trigger", "*", "stored, never fires", "the emulator has no scheduler for Glue"),
)


def differences() -> list[Difference]:
    """Every known difference, sorted by resource; those of templates are found by `adapt` where they apply."""
    fitted = (
        GLUE_EVENTS,
        METRIC_MATH,
        MAX_CONCURRENT_RUNS,
        LEADING_KEYS,
        TRUST_SOURCE,
        DATABASE_NAMES,
        ENCRYPTION,
        LIFECYCLE,
        BUCKET_TAGS,
        BOUNDARY,
        TIME_TO_LIVE,
        RECOVERY,
        CONCURRENCY,
        RECURSION,
        TOPIC_KEY,
    )
    return sorted((*_REFUSED, *fitted, *DROPPED, *BEHAVIOUR))


def refusal(kind: str) -> Difference | None:
    """The difference by which a resource type is taken out, if it is."""
    return next((d for d in _REFUSED if d.resource == kind or _covers(d.resource, kind)), None)


def _covers(pattern: str, kind: str) -> bool:
    return pattern.endswith("*") and kind.startswith(pattern[:-1])
