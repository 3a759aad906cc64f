"""Calls that a role makes on a tenant's things, where one line does not say them."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import urllib3
from botocore.exceptions import ClientError

from tests.local_cloud.isolation.conftest import CONTENT, KEY, Site, Tenant, a_table, arn, denied

RESULT = "athena-results/probe/x.csv"
NOTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
JOB, ANALYST = "job", "analyst"


@dataclass(frozen=True)
class Scene:
    """Who acts (`of` makes its clients), to whom it belongs, and on whose things."""

    site: Site
    of: Any
    own: Tenant
    target: Tenant


def presigned(s: Scene, method: str, operation: str, key: str) -> None:
    address = s.of("s3").generate_presigned_url(operation, Params={"Bucket": s.target.bucket, "Key": key})
    pool = urllib3.PoolManager(ca_certs=s.site.cloud.ca_bundle)
    answer = pool.request(method, address, body=CONTENT if method == "PUT" else None)
    if answer.status == 403 and b"AccessDenied" in answer.data:
        raise denied(address)
    assert answer.status == 200, answer.data


def in_parts(s: Scene, key: str) -> None:
    place = {"Bucket": s.target.bucket, "Key": key}
    upload = s.of("s3").create_multipart_upload(**place)["UploadId"]
    part = s.of("s3").upload_part(**place, UploadId=upload, PartNumber=1, Body=CONTENT)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s.of("s3").complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)


def copied(s: Scene, *, source: Tenant, target: Tenant, key: str) -> None:
    s.of("s3").copy_object(Bucket=target.bucket, Key=key, CopySource={"Bucket": source.bucket, "Key": KEY})


def part_copied(s: Scene, key: str) -> None:
    place = {"Bucket": s.own.bucket, "Key": key}
    upload = s.of("s3").create_multipart_upload(**place)["UploadId"]
    source = {"Bucket": s.target.bucket, "Key": KEY}
    s.of("s3").upload_part_copy(**place, UploadId=upload, PartNumber=1, CopySource=source)


def deleted(s: Scene, keys: list[str]) -> None:
    wanted = {"Objects": [{"Key": key} for key in keys]}
    answer = s.of("s3").delete_objects(Bucket=s.target.bucket, Delete=wanted)
    for error in answer.get("Errors", []):
        raise ClientError({"Error": error}, "DeleteObjects")


def policy_rewritten(s: Scene) -> None:
    standing = s.site.root("s3").get_bucket_policy(Bucket=s.target.bucket)["Policy"]
    s.of("s3").put_bucket_policy(Bucket=s.target.bucket, Policy=standing)


def decrypted(s: Scene) -> None:
    sealed = s.site.root("kms").encrypt(KeyId=s.target.key, Plaintext=b"x")["CiphertextBlob"]
    s.of("kms").decrypt(CiphertextBlob=sealed)


def key_policy(s: Scene) -> None:
    s.of("kms").get_key_policy(KeyId=s.target.key, PolicyName="default")


def partitions(s: Scene) -> None:
    s.of("glue").get_partitions(DatabaseName=s.target.database, TableName="probe")


def table_made(s: Scene) -> None:
    s.of("glue").create_table(
        DatabaseName=s.target.database, TableInput=a_table(s.own.bucket, f"made_{uuid.uuid4().hex}")
    )


def table_changed(s: Scene) -> None:
    s.of("glue").update_table(DatabaseName=s.target.database, TableInput=a_table(s.target.bucket, "probe"))


def table_dropped(s: Scene) -> None:
    name = f"made_{uuid.uuid4().hex}"
    table = a_table(s.target.bucket, name)
    s.site.root("glue").create_table(DatabaseName=s.target.database, TableInput=table)
    s.of("glue").delete_table(DatabaseName=s.target.database, Name=name)


def partition_made(s: Scene) -> None:
    storage = a_table(s.own.bucket, "probe")["StorageDescriptor"]
    partition = {"Values": [uuid.uuid4().hex], "StorageDescriptor": storage}
    s.of("glue").create_partition(DatabaseName=s.target.database, TableName="probe", PartitionInput=partition)


def database_dropped(s: Scene) -> None:
    name = f"made_{uuid.uuid4().hex}"
    s.site.root("glue").create_database(DatabaseInput={"Name": name})
    s.of("glue").delete_database(Name=name)


def job_of(s: Scene) -> str:
    return s.target.names.job("raw_to_processed")


def job_started(s: Scene) -> None:
    """An operator's call gets as far as learning that there is no such job: a real one would take Spark."""
    missing = s.of("glue").exceptions.EntityNotFoundException
    try:
        s.of("glue").start_job_run(JobName=f"{job_of(s)}-of-tomorrow")
    except missing:
        return


def runs_stopped(s: Scene) -> None:
    s.of("glue").batch_stop_job_run(JobName=job_of(s), JobRunIds=["jr_none"])


def job_made(s: Scene) -> None:
    command = {"Name": "glueetl", "ScriptLocation": f"s3://{s.own.bucket}/x.py"}
    s.of("glue").create_job(Name=f"made-{uuid.uuid4().hex}", Role=s.target.role(JOB), Command=command)


def asked(s: Scene, sql: str, workgroup: str, **context: str) -> None:
    """Runs a query; a denial inside of it counts as one, any other failure is a mistake."""
    athena = s.of("athena")
    identity = athena.start_query_execution(QueryString=sql, WorkGroup=workgroup, QueryExecutionContext=context)
    status, deadline = {"State": "QUEUED"}, time.monotonic() + 60
    while status["State"] in ("QUEUED", "RUNNING") and time.monotonic() < deadline:
        time.sleep(0.02)
        found = s.site.root("athena").get_query_execution(QueryExecutionId=identity["QueryExecutionId"])
        status = found["QueryExecution"]["Status"]
    if "PERMISSION_DENIED" in status.get("StateChangeReason", ""):
        raise denied(status["StateChangeReason"])
    assert status["State"] == "SUCCEEDED", status


def queries_of(s: Scene) -> None:
    found = s.of("athena").batch_get_query_execution(QueryExecutionIds=[s.target.query])["QueryExecutions"]
    if not found:
        raise denied(s.target.query)


def named_queries_of(s: Scene) -> None:
    found = s.of("athena").batch_get_named_query(NamedQueryIds=[s.target.named_query])["NamedQueries"]
    if not found:
        raise denied(s.target.named_query)


def statement_deleted(s: Scene) -> None:
    named = {"StatementName": f"made_{uuid.uuid4().hex}", "WorkGroup": s.target.workgroup}
    s.site.root("athena").create_prepared_statement(**named, QueryStatement="SELECT 1")
    s.of("athena").delete_prepared_statement(**named)


def tagged(s: Scene) -> None:
    tag = {"Key": "lake:query-role", "Value": s.target.role(ANALYST)}
    s.of("athena").tag_resource(ResourceARN=arn("athena", f"workgroup/{s.target.workgroup}"), Tags=[tag])


def workgroup_rewritten(s: Scene) -> None:
    s.of("athena").update_work_group(WorkGroup=s.target.workgroup, Description="changed")


def of_ledger(operation: str, **more: Any) -> Callable[[Scene], Any]:
    return lambda s: getattr(s.of("dynamodb"), operation)(TableName=s.site.platform.ledger, **more)


def by_index(s: Scene) -> None:
    s.of("dynamodb").query(
        TableName=s.site.platform.ledger,
        IndexName="open",
        KeyConditionExpression="g2pk = :p",
        ExpressionAttributeValues={":p": {"S": "x"}},
    )


def partiql(s: Scene) -> None:
    s.of("dynamodb").execute_statement(Statement=f"SELECT * FROM \"{s.site.platform.ledger}\" WHERE PK = 'x'")


def scratch_table(s: Scene) -> str:
    dynamodb, name = s.site.root("dynamodb"), "scratch"
    if name not in dynamodb.list_tables()["TableNames"]:
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    return name


def transacted(s: Scene, table: str) -> None:
    item = {"Put": {"TableName": table, "Item": {"PK": {"S": "x"}}}}
    s.of("dynamodb").transact_write_items(TransactItems=[item])


def logged(s: Scene) -> None:
    s.of("logs").put_log_events(
        logGroupName=f"{s.target.names.log_group}/output",
        logStreamName="probe",
        logEvents=[{"timestamp": int(time.time() * 1000), "message": "x"}],
    )


def logs_read(s: Scene) -> None:
    s.of("logs").get_log_events(logGroupName=f"{s.target.names.log_group}/output", logStreamName="probe")


def queue_url(s: Scene) -> str:
    return str(s.site.root("sqs").get_queue_url(QueueName=s.site.platform.dead_letter_queue)["QueueUrl"])


def published(s: Scene) -> None:
    s.of("sns").publish(TopicArn=arn("sns", s.target.names.topic), Message="x")


def invoked(s: Scene) -> None:
    s.of("lambda").invoke(FunctionName=s.site.platform.register_function, InvocationType="DryRun")


def rule_enabled(s: Scene) -> None:
    s.of("events").enable_rule(Name=s.target.names.rule)


def trust_rewritten(s: Scene) -> None:
    name = s.target.names.analyst_role
    standing = s.site.root("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    s.of("iam").update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(standing))


def role_made(s: Scene) -> None:
    s.of("iam").create_role(RoleName=f"made-{uuid.uuid4().hex}", AssumeRolePolicyDocument='{"Statement": []}')


def scratch_role(s: Scene) -> str:
    name = f"scratch-{uuid.uuid4().hex}"
    s.site.root("iam").create_role(RoleName=name, AssumeRolePolicyDocument='{"Statement": []}')
    return name


def policy_attached(s: Scene) -> None:
    s.of("iam").attach_role_policy(RoleName=scratch_role(s), PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


def policy_put(s: Scene) -> None:
    s.of("iam").put_role_policy(RoleName=scratch_role(s), PolicyName="x", PolicyDocument=json.dumps(NOTHING))


def boundary_taken(s: Scene) -> None:
    name = scratch_role(s)
    boundary = arn("iam", f"policy/{s.target.names.boundary}").replace(f":{s.site.cloud.region}:", "::")
    s.site.root("iam").put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
    s.of("iam").delete_role_permissions_boundary(RoleName=name)


def version_read(s: Scene) -> None:
    s.of("s3").get_object(Bucket=s.target.bucket, Key=KEY, VersionId=s.target.version)


def version_deleted(s: Scene) -> None:
    made = s.site.root("s3").put_object(Bucket=s.target.bucket, Key=f"{KEY}.3", Body=CONTENT)["VersionId"]
    s.of("s3").delete_object(Bucket=s.target.bucket, Key=f"{KEY}.3", VersionId=made)
