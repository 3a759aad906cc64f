"""What a recorded call needs of IAM: action, name and what the request carries."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isolation.decision import ANYWHERE

__all__ = ["Need", "needs", "read"]

ORGANIZATION, ENVIRONMENT, ACCOUNT, REGION = "mycompany", "local", "000000000000", "us-east-1"
Given = Mapping[str, Any]
# The local cloud is made ready by the command itself, an account by the account base.
ONLY_LOCAL = {("s3", "CreateBucket"), ("s3", "HeadBucket"), ("ssm", "PutParameter")}
FREE = {("sts", "GetCallerIdentity")}
S3 = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucket": "DeleteBucket",
    "DeleteBucketPolicy": "DeleteBucketPolicy",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLocation": "GetBucketLocation",
    "GetBucketPolicy": "GetBucketPolicy",
    "GetObject": "GetObject",
    "GetObjectAttributes": "GetObjectAttributes",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketPolicy": "PutBucketPolicy",
    "PutObject": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
TRANSACTED = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
# IAM asks about no resource for these.
UNNAMED = {"DescribeStackDriftDetectionStatus", "ListExports", "DescribeLogGroups", "ListAliases", "GetServiceQuota"}


@dataclass(frozen=True)
class Need:
    action: str
    name: str
    context: Mapping[str, str] = field(default_factory=dict, hash=False)


def read(file: Path) -> list[Need]:
    """Of the calls that a command made itself, each once."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    own = [line for line in lines if line["own"] and line["room"] != "local_cloud"]
    return list(
        dict.fromkeys(need for line in own for need in needs(line["service"], line["operation"], line["given"]))
    )


def needs(service: str, operation: str, given: Given) -> Iterator[Need]:
    """Raises KeyError for a call that nobody has taught this page about."""
    if (service, operation) not in ONLY_LOCAL | FREE:
        yield from SERVICES[service](operation, given)


def arn(service: str, resource: str, *, everywhere: bool = False) -> str:
    return f"arn:aws:{service}:{'' if everywhere else REGION}:{ACCOUNT}:{resource}"


def of_s3(operation: str, given: Given) -> Iterator[Need]:
    if operation == "ListBuckets":
        yield Need("s3:ListAllMyBuckets", ANYWHERE)
        return
    bucket = given["Bucket"]
    owner = {"s3:ResourceAccount": ACCOUNT if bucket.startswith((f"{ORGANIZATION}-", "cdk-")) else "999900009999"}
    if operation == "DeleteObjects":
        for each in given["Delete"]["Objects"]:
            action = "s3:DeleteObjectVersion" if each.get("VersionId") else "s3:DeleteObject"
            yield Need(action, f"arn:aws:s3:::{bucket}/{each['Key']}", owner)
        return
    name = f"arn:aws:s3:::{bucket}" + (f"/{given['Key']}" if given.get("Key") else "")
    action = "GetObjectVersion" if S3[operation] == "GetObject" and given.get("VersionId") else S3[operation]
    yield Need(f"s3:{action}", name, owner)
    if operation == "CopyObject":
        yield from of_source(given)
        if given.get("TaggingDirective") != "REPLACE" or given.get("Tagging"):
            yield Need("s3:PutObjectTagging", name, owner)
    if given.get("Key") and (alias := alias_of(bucket)):
        used = "kms:Decrypt" if action.startswith("Get") else "kms:GenerateDataKey"
        yield Need(used, arn("kms", "key/1"), through("s3", alias))


def of_source(given: Given) -> Iterator[Need]:
    """What is copied is read, with its tags if they go along."""
    source = given["CopySource"]
    if isinstance(source, str):
        bucket, _, key = source.lstrip("/").partition("?")[0].partition("/")
        version = "Version" if "versionId=" in source else ""
    else:
        bucket, key, version = source["Bucket"], source["Key"], "Version" if "VersionId" in source else ""
    actions = [f"s3:GetObject{version}"]
    actions += [f"s3:GetObject{version}Tagging"] if given.get("TaggingDirective") != "REPLACE" else []
    yield from (Need(each, f"arn:aws:s3:::{bucket}/{key}", {"s3:ResourceAccount": ACCOUNT}) for each in actions)
    if alias := alias_of(bucket):
        yield Need("kms:Decrypt", arn("kms", "key/1"), through("s3", alias))


def alias_of(bucket: str) -> str | None:
    """Of the key that a bucket's objects are under; None for the state bucket's, which AWS manages."""
    if found := re.fullmatch(rf"({ORGANIZATION}-.*{ENVIRONMENT})-datalake", bucket):
        return f"alias/{found[1]}"
    return f"alias/{ORGANIZATION}-{ENVIRONMENT}-platform" if "-platform-code" in bucket else None


def through(service: str, alias: str) -> dict[str, str]:
    return {
        "kms:ViaService": f"{service}.{REGION}.amazonaws.com",
        "kms:ResourceAliases": alias,
        "aws:ResourceAccount": ACCOUNT,
    }


def of_dynamodb(operation: str, given: Given) -> Iterator[Need]:
    for action, table in rows_of(operation, given):
        index = f"/index/{given['IndexName']}" if given.get("IndexName") else ""
        yield Need(f"dynamodb:{action}", arn("dynamodb", f"table/{table.rpartition('/')[2]}{index}"))
    yield Need("kms:Decrypt", arn("kms", "key/1"), through("dynamodb", f"alias/{ORGANIZATION}-{ENVIRONMENT}-platform"))


def rows_of(operation: str, given: Given) -> Iterator[tuple[str, str]]:
    if operation == "TransactWriteItems":
        yield from (
            (TRANSACTED[kind], each["TableName"]) for row in given["TransactItems"] for kind, each in row.items()
        )
    elif operation == "TransactGetItems":
        yield from (("GetItem", row["Get"]["TableName"]) for row in given["TransactItems"])
    elif operation.startswith("Batch"):
        yield from ((operation, table) for table in given["RequestItems"])
    else:
        yield operation, given["TableName"]


def of_cloudformation(operation: str, given: Given) -> Iterator[Need]:
    named = given.get("StackName")
    if operation in UNNAMED or not named:
        yield Need(f"cloudformation:{operation}", ANYWHERE)
        return
    role = given.get("RoleARN")
    name = named if named.startswith("arn:") else arn("cloudformation", f"stack/{named}/1")
    yield Need(f"cloudformation:{operation}", name, {"cloudformation:RoleArn": role} if role else {})
    if role:
        yield Need("iam:PassRole", role, {"iam:PassedToService": "cloudformation.amazonaws.com"})


def of_sts(operation: str, given: Given) -> Iterator[Need]:
    yield Need(f"sts:{operation}", given["RoleArn"])


def named(service: str, place: str, key: str) -> Callable[[str, Given], Iterator[Need]]:
    """Calls whose action is their name, on what `key` names."""

    def of(operation: str, given: Given) -> Iterator[Need]:
        value = given.get(key)
        where = ANYWHERE if operation in UNNAMED or value is None else arn(service, f"{place}{value}")
        action = "InvokeFunction" if operation == "Invoke" else operation
        yield Need(f"{service}:{action}", where)

    return of


def of_glue(operation: str, given: Given) -> Iterator[Need]:
    names = [arn("glue", f"job/{given['JobName']}")] if "JobName" in given else [arn("glue", "catalog")]
    if "Job" not in operation and (database := given.get("DatabaseName") or given.get("Name")):
        tables = [given[key] for key in ("TableName", "Name") if key in given and given[key] != database]
        tables += given.get("TablesToDelete", [])
        names += [arn("glue", f"database/{database}"), *(arn("glue", f"table/{database}/{each}") for each in tables)]
    elif "Job" in operation and "JobName" not in given:
        names = [arn("glue", f"job/{given['Name']}")] if "Name" in given else [ANYWHERE]
    yield from (Need(f"glue:{operation}", name) for name in names)


def of_kms(operation: str, given: Given) -> Iterator[Need]:
    tags = {
        f"aws:ResourceTag/{key}": value
        for key, value in {"organization": ORGANIZATION, "environment": ENVIRONMENT, "tenant": "acme"}.items()
    }
    if operation in UNNAMED:
        yield Need(f"kms:{operation}", ANYWHERE)
        return
    if "AliasName" in given:
        yield Need(f"kms:{operation}", arn("kms", given["AliasName"]), tags)
    yield Need(f"kms:{operation}", arn("kms", "key/1"), tags)


def of_iam(operation: str, given: Given) -> Iterator[Need]:
    name = given.get("PolicyArn") or (f"role/{given['RoleName']}" if "RoleName" in given else None)
    where = ANYWHERE if name is None else name if name.startswith("arn:") else arn("iam", name, everywhere=True)
    yield Need(f"iam:{operation}", where)


SERVICES: dict[str, Callable[[str, Given], Iterator[Need]]] = {
    "athena": named("athena", "workgroup/", "WorkGroup"),
    "cloudformation": of_cloudformation,
    "cloudwatch": named("cloudwatch", "alarm:", "AlarmName"),
    "dynamodb": of_dynamodb,
    "events": named("events", "rule/", "Name"),
    "glue": of_glue,
    "iam": of_iam,
    "kms": of_kms,
    "lambda": named("lambda", "function:", "FunctionName"),
    "logs": named("logs", "log-group:", "logGroupName"),
    "s3": of_s3,
    "resourcegroupstaggingapi": named("tag", "", "-"),
    "service-quotas": named("servicequotas", "", "-"),
    "sns": named("sns", "", "TopicArn"),
    "sts": of_sts,
}
