"""After a stack is up: the properties that the emulator dropped are put through the services' own APIs."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from local_cloud.errors import LocalCloudError

MakeClient = Callable[[str], Any]
PSEUDO = {"AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com", "AWS::NoValue": ""}


class UnresolvedError(LocalCloudError):
    """Raised when a template's value cannot be computed outside CloudFormation."""


def complete(template: dict[str, Any], stack: str, client: MakeClient) -> list[str]:
    """Put what the emulator dropped of a stack's template; the calls made, in words.

    `template` is the one before `adapt`; `client` makes a root client of a service, Athena's at the Athena endpoint.
    Doing it again changes nothing.
    """
    done: list[str] = []
    resources = template.get("Resources", {})
    wanted = sorted(
        (logical_id for logical_id, r in resources.items() if r["Type"] in _STEPS), key=lambda i: _rank(resources[i])
    )
    if not wanted:
        return done
    made = cache(client)
    values = Values.of_stack(stack, made)
    for logical_id in wanted:
        resource = resources[logical_id]
        properties = values.resolve_known(resource.get("Properties", {}))
        calls = _STEPS[resource["Type"]](properties, values.physical.get(logical_id, ""), made)
        done += [f"{logical_id}: {call}" for call in calls]
    return done


def _rank(resource: dict[str, Any]) -> int:
    """Queries last: they need another endpoint, without which the rest shall be done all the same."""
    return int(resource["Type"] == "AWS::Athena::NamedQuery")


@dataclass(frozen=True)
class Values:
    """What a template's functions come to in one deployed stack."""

    physical: Mapping[str, str]
    exports: Mapping[str, str]
    account: str
    region: str

    @classmethod
    def of_stack(cls, stack: str, client: MakeClient) -> "Values":
        cloudformation = client("cloudformation")
        described = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
        pages = cloudformation.get_paginator("list_exports").paginate()
        exports = {export["Name"]: export["Value"] for page in pages for export in page["Exports"]}
        physical = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in described}
        account = client("sts").get_caller_identity()["Account"]
        return cls(physical, exports, account, cloudformation.meta.region_name)

    def resolve_known(self, properties: dict[str, Any]) -> dict[str, Any]:
        """The properties that can be computed; those of other kinds (whole policies) are left out."""
        resolved = {}
        for name, value in properties.items():
            try:
                resolved[name] = self.resolve(value)
            except UnresolvedError:
                continue
        return resolved

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.resolve(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        name = next(iter(value)) if len(value) == 1 else ""
        if name == "Ref" or name.startswith("Fn::"):
            return self._computed(value)
        return {key: self.resolve(inner) for key, inner in value.items()}

    def _computed(self, function: dict[str, Any]) -> str:
        match function:
            case {"Ref": str(name)}:
                return self._ref(name)
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                return self._attribute(name, attribute)
            case {"Fn::Join": [str(separator), list(parts)]}:
                return separator.join(str(self.resolve(part)) for part in parts)
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([^!}]+)\}", lambda m: self._named(m.group(1)), text)
            case {"Fn::ImportValue": name}:
                return self._import(str(self.resolve(name)))
        raise UnresolvedError(f"{next(iter(function))}: not computed here")

    def _named(self, path: str) -> str:
        name, _, attribute = path.partition(".")
        return self._attribute(name, attribute) if attribute else self._ref(name)

    def _ref(self, name: str) -> str:
        pseudo = {**PSEUDO, "AWS::AccountId": self.account, "AWS::Region": self.region}
        found = pseudo.get(name, self.physical.get(name))
        if found is None:
            raise UnresolvedError(f"Ref {name}: no such resource")
        return found

    def _attribute(self, name: str, attribute: str) -> str:
        found = self._ref(name)
        if attribute == "KeyId":
            return found
        if attribute == "Arn" and re.fullmatch(r"[0-9a-f-]{36}", found):
            return f"arn:aws:kms:{self.region}:{self.account}:key/{found}"
        if attribute in {"Arn", "TopicArn", "PolicyArn"} and found.startswith("arn:"):
            return found
        raise UnresolvedError(f"Fn::GetAtt {name}.{attribute}: not computed here")

    def _import(self, name: str) -> str:
        if name not in self.exports:
            raise UnresolvedError(f"Fn::ImportValue {name}: no such export")
        return self.exports[name]


def _bucket(properties: dict[str, Any], bucket: str, client: MakeClient) -> Iterator[str]:
    s3 = client("s3")
    if rules := properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration"):
        s3.put_bucket_encryption(
            Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [_encryption(rule) for rule in rules]}
        )
        yield "encryption"
    if rules := properties.get("LifecycleConfiguration", {}).get("Rules"):
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": [_lifecycle(rule) for rule in rules]}
        )
        yield "lifecycle"
    if tags := properties.get("Tags"):
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
        yield "tags"


def _encryption(rule: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation writes the default under another name than the S3 API."""
    renamed = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    return {renamed.get(key, key): value for key, value in rule.items() if key != "BlockedEncryptionTypes"}


def _lifecycle(rule: dict[str, Any]) -> dict[str, Any]:
    """One CloudFormation rule as the S3 API has it."""
    made: dict[str, Any] = {"Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "Id" in rule:
        made["ID"] = rule["Id"]
    expiration = {
        "Days": rule.get("ExpirationInDays"),
        "ExpiredObjectDeleteMarker": rule.get("ExpiredObjectDeleteMarker"),
    }
    if expiration := {key: value for key, value in expiration.items() if value is not None}:
        made["Expiration"] = expiration
    if noncurrent := rule.get("NoncurrentVersionExpiration"):
        made["NoncurrentVersionExpiration"] = noncurrent
    if "NoncurrentVersionExpirationInDays" in rule:
        made["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]}
    if abort := rule.get("AbortIncompleteMultipartUpload"):
        made["AbortIncompleteMultipartUpload"] = abort
    if transitions := rule.get("Transitions"):
        made["Transitions"] = [{"Days": t["TransitionInDays"], "StorageClass": t["StorageClass"]} for t in transitions]
    return made


def _role(properties: dict[str, Any], role: str, client: MakeClient) -> Iterator[str]:
    if boundary := properties.get("PermissionsBoundary"):
        client("iam").put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
        yield "permissions boundary"


def _table(properties: dict[str, Any], table: str, client: MakeClient) -> Iterator[str]:
    dynamodb = client("dynamodb")
    if wanted := properties.get("TimeToLiveSpecification"):
        standing = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        is_on = standing["TimeToLiveStatus"] in {"ENABLED", "ENABLING"}
        if is_on != bool(wanted["Enabled"]):
            dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wanted)
            yield "time to live"
    if wanted := properties.get("PointInTimeRecoverySpecification"):
        dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=wanted)
        yield "point-in-time recovery"


def _function(properties: dict[str, Any], function: str, client: MakeClient) -> Iterator[str]:
    if (reserved := properties.get("ReservedConcurrentExecutions")) is not None:
        client("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=int(reserved))
        yield "reserved concurrency"
    if recursion := properties.get("RecursiveLoop"):
        client("lambda").put_function_recursion_config(FunctionName=function, RecursiveLoop=recursion)
        yield "recursion"


def _topic(properties: dict[str, Any], topic: str, client: MakeClient) -> Iterator[str]:
    if key := properties.get("KmsMasterKeyId"):
        client("sns").set_topic_attributes(TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue=key)
        yield "key"


def _named_query(properties: dict[str, Any], _: str, client: MakeClient) -> Iterator[str]:
    """Created, or brought up to date, by its name within its workgroup."""
    athena = client("athena")
    wanted = {key: properties[key] for key in ("Name", "Database", "QueryString", "WorkGroup")}
    wanted["Description"] = properties.get("Description", "")
    standing = _standing_query(athena, wanted["WorkGroup"], wanted["Name"])
    if standing is None:
        athena.create_named_query(**wanted)
        yield "named query"
    elif any(standing.get(key, "") != value for key, value in wanted.items()):
        athena.delete_named_query(NamedQueryId=standing["NamedQueryId"])
        athena.create_named_query(**wanted)
        yield "named query"


def _standing_query(athena: Any, workgroup: str, name: str) -> dict[str, Any] | None:
    for page in athena.get_paginator("list_named_queries").paginate(WorkGroup=workgroup):
        ids = page["NamedQueryIds"]
        queries = athena.batch_get_named_query(NamedQueryIds=ids)["NamedQueries"] if ids else []
        for query in queries:
            if query["Name"] == name:
                return dict(query)
    return None


_STEPS: dict[str, Callable[[dict[str, Any], str, MakeClient], Iterator[str]]] = {
    "AWS::Athena::NamedQuery": _named_query,
    "AWS::DynamoDB::Table": _table,
    "AWS::IAM::Role": _role,
    "AWS::Lambda::Function": _function,
    "AWS::S3::Bucket": _bucket,
    "AWS::SNS::Topic": _topic,
}
