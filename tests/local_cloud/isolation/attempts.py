"""What a role of one tenant tries on another's things, each with the twin that shows the call itself is right."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.local_cloud.isolation import calls
from tests.local_cloud.isolation.calls import ANALYST, JOB, KEY, RESULT, Scene

OWN, OPERATOR = "own", "operator"


@dataclass(frozen=True)
class Attempt:
    """`twin`: the same role does it with its `own` things, or an `operator` does it where no tenant's role may."""

    what: str
    role: str
    twin: str
    call: Callable[[Scene], Any]

    def __str__(self) -> str:
        return f"{self.role}: {self.what}"


ATTEMPTS: list[Attempt] = []


def attempt(what: str, role: str, twin: str, call: Callable[[Scene], Any]) -> None:
    ATTEMPTS.append(Attempt(what, role, twin, call))


# The bucket: objects, listings, versions, uploads, copies, presigned addresses, its settings

for role, prefix in ((JOB, "raw/"), (ANALYST, "analytics-ready/")):
    attempt("list objects", role, OWN, lambda s, p=prefix: s.of("s3").list_objects_v2(Bucket=s.target.bucket, Prefix=p))
    attempt("where the bucket is", role, OWN, lambda s: s.of("s3").get_bucket_location(Bucket=s.target.bucket))
    attempt("get an object", role, OWN, lambda s: s.of("s3").get_object(Bucket=s.target.bucket, Key=KEY))
    attempt("head an object", role, OWN, lambda s: s.of("s3").head_object(Bucket=s.target.bucket, Key=KEY))
    attempt(
        "get an object at an address made before",
        role,
        OWN,
        lambda s: calls.presigned(s, "GET", "get_object", KEY),
    )
for role, key in ((JOB, "processed/probe/new"), (ANALYST, "athena-results/probe/new")):
    attempt(
        "put an object", role, OWN, lambda s, k=key: s.of("s3").put_object(Bucket=s.target.bucket, Key=k, Body=b"y")
    )
    attempt(
        "put an object at an address made before",
        role,
        OWN,
        lambda s, k=key: calls.presigned(s, "PUT", "put_object", k),
    )
    attempt("upload in parts", role, OWN, lambda s, k=key: calls.in_parts(s, k))
    attempt("copy out of it", role, OWN, lambda s, k=key: calls.copied(s, source=s.target, target=s.own, key=k))
    attempt("copy into it", role, OWN, lambda s, k=key: calls.copied(s, source=s.own, target=s.target, key=k))
    attempt("copy a part out of it", role, OWN, lambda s, k=key: calls.part_copied(s, k))
for role, key in ((JOB, KEY), (ANALYST, RESULT)):
    attempt(
        "delete an object", role, OWN, lambda s, k=key: s.of("s3").delete_object(Bucket=s.target.bucket, Key=f"{k}.0")
    )
    attempt("delete objects", role, OWN, lambda s, k=key: calls.deleted(s, [f"{k}.1", f"{k}.2"]))
for role in (JOB, ANALYST):
    attempt("list versions", role, OPERATOR, lambda s: s.of("s3").list_object_versions(Bucket=s.target.bucket))
    attempt("read the policy", role, OPERATOR, lambda s: s.of("s3").get_bucket_policy(Bucket=s.target.bucket))
    attempt("change the policy", role, OPERATOR, calls.policy_rewritten)
    attempt("read the encryption", role, OPERATOR, lambda s: s.of("s3").get_bucket_encryption(Bucket=s.target.bucket))
    attempt(
        "change versioning",
        role,
        OPERATOR,
        lambda s: s.of("s3").put_bucket_versioning(
            Bucket=s.target.bucket, VersioningConfiguration={"Status": "Enabled"}
        ),
    )
    attempt("list buckets", role, OPERATOR, lambda s: s.of("s3").list_buckets())

attempt("get a version", JOB, OWN, calls.version_read)

attempt("delete a version", JOB, OPERATOR, calls.version_deleted)

# The key. Roles may use their own through S3 alone, so the twin of a direct call is an operator's.

for role in (JOB, ANALYST):
    attempt(
        "make a data key",
        role,
        OPERATOR,
        lambda s: s.of("kms").generate_data_key(KeyId=s.target.key, KeySpec="AES_256"),
    )
    attempt("decrypt", role, OPERATOR, calls.decrypted)
    attempt("describe the key", role, OPERATOR, lambda s: s.of("kms").describe_key(KeyId=s.target.key))
    attempt("read the key's policy", role, OPERATOR, calls.key_policy)
    attempt(
        "grant the key on",
        role,
        OPERATOR,
        lambda s: s.of("kms").create_grant(
            KeyId=s.target.key, GranteePrincipal=s.own.role(JOB), Operations=["Decrypt"]
        ),
    )

# The catalog

for role in (JOB, ANALYST):
    attempt("describe the database", role, OWN, lambda s: s.of("glue").get_database(Name=s.target.database))
    attempt("list tables", role, OWN, lambda s: s.of("glue").get_tables(DatabaseName=s.target.database))
    attempt(
        "describe a table", role, OWN, lambda s: s.of("glue").get_table(DatabaseName=s.target.database, Name="probe")
    )
    attempt("list partitions", role, OWN, calls.partitions)
    attempt("make a table", role, OWN, calls.table_made)
    attempt("change a table", role, OWN, calls.table_changed)
    attempt("make a partition", role, OWN, calls.partition_made)
    attempt("list databases", role, OPERATOR, lambda s: s.of("glue").get_databases())
    attempt(
        "make a database",
        role,
        OPERATOR,
        lambda s: s.of("glue").create_database(DatabaseInput={"Name": f"made_{uuid.uuid4().hex}"}),
    )
    attempt("drop the database", role, OPERATOR, calls.database_dropped)
    attempt("read a job", role, OPERATOR, lambda s: s.of("glue").get_job(JobName=calls.job_of(s)))
    attempt("list a job's runs", role, OPERATOR, lambda s: s.of("glue").get_job_runs(JobName=calls.job_of(s)))
    attempt("start a job", role, OPERATOR, calls.job_started)
    attempt("stop a job's runs", role, OPERATOR, calls.runs_stopped)
    attempt("make a job under the other's role (iam:PassRole)", role, OPERATOR, calls.job_made)
attempt("drop a table", ANALYST, OWN, calls.table_dropped)
attempt("drop a table", JOB, OPERATOR, calls.table_dropped)

# The workgroup, and SQL in one's own about the other's tables

for what, call in {
    "ask in the workgroup": lambda s: calls.asked(s, "SELECT 1", s.target.workgroup),
    "read a query": lambda s: s.of("athena").get_query_execution(QueryExecutionId=s.target.query),
    "read queries": calls.queries_of,
    "read results": lambda s: s.of("athena").get_query_results(QueryExecutionId=s.target.query),
    "stop a query": lambda s: s.of("athena").stop_query_execution(QueryExecutionId=s.target.query),
    "list queries": lambda s: s.of("athena").list_query_executions(WorkGroup=s.target.workgroup),
    "describe the workgroup": lambda s: s.of("athena").get_work_group(WorkGroup=s.target.workgroup),
    "list named queries": lambda s: s.of("athena").list_named_queries(WorkGroup=s.target.workgroup),
    "read a named query": lambda s: s.of("athena").get_named_query(NamedQueryId=s.target.named_query),
    "read named queries": calls.named_queries_of,
    "list prepared statements": lambda s: s.of("athena").list_prepared_statements(WorkGroup=s.target.workgroup),
    "read a prepared statement": lambda s: s.of("athena").get_prepared_statement(
        StatementName="probe", WorkGroup=s.target.workgroup
    ),
    "make a prepared statement": lambda s: s.of("athena").create_prepared_statement(
        StatementName=f"made_{uuid.uuid4().hex}", WorkGroup=s.target.workgroup, QueryStatement="SELECT 1"
    ),
    "delete a prepared statement": calls.statement_deleted,
    "show the catalog": lambda s: s.of("athena").list_table_metadata(
        CatalogName="AwsDataCatalog", DatabaseName=s.target.database, WorkGroup=s.target.workgroup
    ),
    "select from a table": lambda s: calls.asked(s, f"SELECT * FROM {s.target.database}.probe", s.own.workgroup),
    "select with the database as context": lambda s: calls.asked(
        s, "SELECT * FROM probe", s.own.workgroup, Database=s.target.database
    ),
    "show tables": lambda s: calls.asked(s, f"SHOW TABLES IN {s.target.database}", s.own.workgroup),
}.items():
    attempt(what, ANALYST, OWN, call)
for role in (JOB, ANALYST):
    attempt("change the workgroup", role, OPERATOR, calls.workgroup_rewritten)
    attempt("name the workgroup's role", role, OPERATOR, calls.tagged)
attempt("ask in the workgroup", JOB, OPERATOR, lambda s: calls.asked(s, "SELECT 1", s.target.workgroup))
attempt(
    "describe the workgroup `primary`", ANALYST, OPERATOR, lambda s: s.of("athena").get_work_group(WorkGroup="primary")
)

# The ledger. Rows of other tenants are guarded by a condition that only AWS evaluates (`local_cloud.blind_spots`);
# ways to rows without a tenant's prefix are refused here as there.

for role in (JOB, ANALYST):
    attempt("scan the ledger", role, OPERATOR, calls.of_ledger("scan"))
    attempt("read the ledger's index", role, OPERATOR, calls.by_index)
    attempt("read the ledger by PartiQL", role, OPERATOR, calls.partiql)
    attempt("list tables of rows", role, OPERATOR, lambda s: s.of("dynamodb").list_tables())
    attempt("back the ledger up", role, OPERATOR, calls.of_ledger("create_backup", BackupName="probe"))
    attempt(
        "read rows of another table",
        role,
        OPERATOR,
        lambda s: s.of("dynamodb").get_item(TableName=calls.scratch_table(s), Key={"PK": {"S": "x"}}),
    )
    attempt("write rows of another table", role, OPERATOR, lambda s: calls.transacted(s, calls.scratch_table(s)))
attempt(
    "read a row",
    ANALYST,
    OPERATOR,
    lambda s: s.of("dynamodb").get_item(
        TableName=s.site.platform.ledger, Key={"PK": {"S": f"T#{s.target.id}#PROBE"}, "SK": {"S": "x"}}
    ),
)

# Logs

attempt("write the other's log", JOB, OWN, calls.logged)
attempt("write the other's log", ANALYST, OPERATOR, calls.logged)
for role in (JOB, ANALYST):
    attempt("read the other's log", role, OPERATOR, calls.logs_read)

# The platform: queue, topic, functions, rules, stacks

for role in (JOB, ANALYST):
    attempt(
        "send to the queue",
        role,
        OPERATOR,
        lambda s: s.of("sqs").send_message(QueueUrl=calls.queue_url(s), MessageBody="x"),
    )
    attempt("read the queue", role, OPERATOR, lambda s: s.of("sqs").receive_message(QueueUrl=calls.queue_url(s)))
    attempt("purge the queue", role, OPERATOR, lambda s: s.of("sqs").purge_queue(QueueUrl=calls.queue_url(s)))
    attempt("publish to the topic", role, OPERATOR, calls.published)
    attempt("invoke a function", role, OPERATOR, calls.invoked)
    attempt("change the rule", role, OPERATOR, calls.rule_enabled)
    attempt(
        "read the stack",
        role,
        OPERATOR,
        lambda s: s.of("cloudformation").describe_stacks(StackName=s.target.names.stack),
    )

# Identities

for role in (JOB, ANALYST):
    for other in (JOB, ANALYST):
        attempt(
            f"take the {other} role",
            role,
            OPERATOR,
            lambda s, o=other: s.of("sts").assume_role(RoleArn=s.target.role(o), RoleSessionName="intruder"),
        )
    attempt("change who may take a role", role, OPERATOR, calls.trust_rewritten)
    attempt("make a role", role, OPERATOR, calls.role_made)
    attempt("attach a policy to a role", role, OPERATOR, calls.policy_attached)
    attempt("write a policy into a role", role, OPERATOR, calls.policy_put)
    attempt("take a boundary from a role", role, OPERATOR, calls.boundary_taken)
    attempt("list roles", role, OPERATOR, lambda s: s.of("iam").list_roles())
