import io
import json
import time
import zipfile

import pytest
from botocore.exceptions import ClientError

pytestmark = [pytest.mark.cloud, pytest.mark.spark]

PRINT_ARGUMENTS = "import sys; print(sys.argv[1:])"

WRITE_WITH_SPARK = """
import sys
from pyspark.sql import SparkSession

bucket = sys.argv[sys.argv.index("--bucket") + 1]
spark = SparkSession.builder.appName("a script's own name").getOrCreate()
frame = spark.range(300).selectExpr("id", "id % 3 AS part")
frame.write.mode("overwrite").partitionBy("part").parquet(f"s3://{bucket}/out/")
print(spark.read.parquet(f"s3://{bucket}/out/").where("part = 1").count())
"""

WRITE_AN_ICEBERG_TABLE = """
import sys
from pyspark.sql import SparkSession

bucket, database = (sys.argv[sys.argv.index(name) + 1] for name in ("--bucket", "--database"))
spark = SparkSession.builder.getOrCreate()
for name, value in {
    "": "org.apache.iceberg.spark.SparkCatalog",
    ".catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
    ".io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
    ".warehouse": f"s3://{bucket}/warehouse",
}.items():
    spark.conf.set(f"spark.sql.catalog.lake{name}", value)
spark.sql(f"CREATE TABLE lake.{database}.numbers (id bigint) USING iceberg")
spark.range(5).writeTo(f"lake.{database}.numbers").append()
print(spark.table(f"lake.{database}.numbers").count())
"""

WRITE_FROM_TASKS = """
import sys
import pyarrow as pa
from pyspark.sql import SparkSession

bucket = sys.argv[sys.argv.index("--bucket") + 1]

def store(batches):
    import boto3
    rows = sum(batch.num_rows for batch in batches)
    boto3.client("s3").put_object(Bucket=bucket, Key="from/task", Body=str(rows).encode())
    print("said in a task", file=sys.stderr)
    yield pa.RecordBatch.from_pydict({"rows": [rows]})

spark = SparkSession.builder.getOrCreate()
print(spark.range(7).repartition(1).mapInArrow(store, "rows long").collect())
"""

SLEEP = "import time; print('asleep', flush=True); time.sleep({seconds})"

WHERE_IT_RUNS = "import os, boto3; print(os.getpid(), boto3.client('sts').get_caller_identity()['Arn'].split('/')[1])"


@pytest.fixture(scope="module", autouse=True)
def endless(account, bucket, role):
    """Starts first, because its minute passes beside the other tests."""
    job = account.job("endless", role, bucket, SLEEP.format(seconds=600), Timeout=1)
    return job, account.start(job)


def test_a_script_gets_defaults_then_the_calls_arguments_then_the_fixed_ones(account, bucket, role, name):
    job = account.job(
        name,
        role,
        bucket,
        PRINT_ARGUMENTS,
        DefaultArguments={"--a": "default", "--b": "default", "--c": "default", "--conf": "spark.x=1"},
        NonOverridableArguments={"--c": "fixed"},
    )

    run = account.run(job, b="call", c="call")

    assert run["JobRunState"] == "SUCCEEDED"
    said = eval(account.log(run["Id"]))
    assert dict(zip(said[::2], said[1::2], strict=True)) == {
        "--JOB_NAME": name,
        "--JOB_RUN_ID": run["Id"],
        "--JOB_ID": name,
        "--a": "default",
        "--b": "call",
        "--c": "fixed",
    }


def test_spark_writes_to_a_bucket_with_a_key_that_refuses_plain_http(account, bucket, role, name):
    job = account.job(name, role, bucket, WRITE_WITH_SPARK)

    run = account.run(job, bucket=bucket)

    assert (run["JobRunState"], account.log(run["Id"])) == ("SUCCEEDED", "100\n")
    objects = account.client("s3").list_objects_v2(Bucket=bucket, Prefix="out/part=2/")["Contents"]
    head = account.client("s3").head_object(Bucket=bucket, Key=objects[0]["Key"])
    assert head["ServerSideEncryption"] == "aws:kms"


def test_iceberg_tables_land_in_the_glue_catalog(account, bucket, role, name):
    account.client("glue").create_database(DatabaseInput={"Name": name})
    job = account.job(name, role, bucket, WRITE_AN_ICEBERG_TABLE)

    run = account.run(job, bucket=bucket, database=name)

    assert (run.get("ErrorMessage"), account.log(run["Id"])) == (None, "5\n")
    table = account.client("glue").get_table(DatabaseName=name, Name="numbers")["Table"]
    assert table["Parameters"]["metadata_location"].startswith(f"s3://{bucket}/warehouse/")


def test_python_tasks_have_the_jobs_rights_and_write_into_its_log(account, bucket, role, name):
    job = account.job(name, role, bucket, WRITE_FROM_TASKS)

    run = account.run(job, bucket=bucket)

    assert (run.get("ErrorMessage"), account.log(run["Id"])) == (None, "[Row(rows=7)]\n")
    assert account.client("s3").get_object(Bucket=bucket, Key="from/task")["Body"].read() == b"7"
    assert "said in a task" in account.log(run["Id"], "stderr")


def test_a_role_reaches_only_what_it_may(account, bucket, role, name):
    other = account.bucket(name)
    job = account.job(
        name, role, bucket, "import boto3; boto3.client('s3').get_object(Bucket='" + other + "', Key='k')"
    )

    run = account.run(job)

    assert run["JobRunState"] == "FAILED"
    assert "AccessDenied" in run["ErrorMessage"]


def test_a_caller_without_the_right_starts_nothing(account, bucket, role, name):
    job = account.job(name, role, bucket, PRINT_ARGUMENTS)
    may_look = account.role(name, {"Effect": "Allow", "Action": "glue:GetJobRun*", "Resource": "*"})
    caller = account.client("glue", account.assume(may_look))

    with pytest.raises(ClientError, match="AccessDenied"):
        caller.start_job_run(JobName=job)
    with pytest.raises(ClientError, match="AccessDenied"):
        caller.batch_stop_job_run(JobName=job, JobRunIds=["x"])
    assert caller.get_job_runs(JobName=job)["JobRuns"] == []


def test_runs_of_others_cannot_be_looked_at_without_the_right(account, bucket, role, name):
    job = account.job(name, role, bucket, PRINT_ARGUMENTS)
    run = account.run(job)
    unrelated = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    nobody = account.client("glue", account.assume(account.role(name, unrelated)))

    with pytest.raises(ClientError, match="AccessDenied"):
        nobody.get_job_run(JobName=job, RunId=run["Id"])


def test_what_does_not_exist_is_not_found(account, bucket, role, name):
    glue = account.client("glue")
    job = account.job(name, role, bucket, PRINT_ARGUMENTS)

    for call in (
        lambda: glue.start_job_run(JobName="nothing"),
        lambda: glue.get_job_runs(JobName="nothing"),
        lambda: glue.get_job_run(JobName=job, RunId="nothing"),
    ):
        with pytest.raises(glue.exceptions.EntityNotFoundException):
            call()


def test_a_script_that_is_not_there_fails_its_run_with_the_objects_name(account, bucket, role, name):
    job = account.job(name, role, bucket, PRINT_ARGUMENTS)
    account.client("s3").delete_object(Bucket=bucket, Key=f"scripts/{name}.py")

    run = account.run(job)

    assert run["JobRunState"] == "FAILED"
    assert f"s3://{bucket}/scripts/{name}.py" in run["ErrorMessage"]


def test_an_error_is_the_runs_message_and_its_traceback_is_in_the_log(account, bucket, role, name):
    job = account.job(name, role, bucket, "raise ValueError('no such column')")

    run = account.run(job)

    assert (run["JobRunState"], run["ErrorMessage"]) == ("FAILED", "ValueError: no such column")
    assert "Traceback" in account.log(run["Id"], "stderr")


def test_a_new_version_of_a_script_is_what_runs_next(account, bucket, role, name):
    job = account.job(name, role, bucket, "print('old')")
    old = account.run(job)
    account.client("s3").put_object(Bucket=bucket, Key=f"scripts/{name}.py", Body=b"print('new')")

    new = account.run(job)

    assert (account.log(old["Id"]), account.log(new["Id"])) == ("old\n", "new\n")


def test_more_runs_than_a_job_may_have_are_refused(account, bucket, role, name):
    job = account.job(name, role, bucket, SLEEP.format(seconds=3), runs=1)
    first = account.start(job)

    with pytest.raises(ClientError, match=r"ConcurrentRunsExceededException.*1 of 1"):
        account.start(job)
    assert account.finished(job, first)["JobRunState"] == "SUCCEEDED"
    assert len(account.client("glue").get_job_runs(JobName=job)["JobRuns"]) == 1


def test_the_end_of_a_run_is_an_event(account, bucket, role, name):
    queue = a_queue_of_glues_events(account, name)
    job = account.job(name, role, bucket, "raise ValueError('x')")

    run = account.run(job)

    message = json.loads(received(account, queue)["Body"])
    assert message["detail-type"] == "Glue Job State Change"
    assert message["detail"] == {
        "jobName": job,
        "severity": "ERROR",
        "state": "FAILED",
        "jobRunId": run["Id"],
        "message": "ValueError: x",
    }


def test_a_stopped_run_ends_at_once(account, bucket, role, name):
    job = account.job(name, role, bucket, SLEEP.format(seconds=300))
    run = account.start(job)
    wait_for(lambda: "asleep" in account.log(run))
    glue = account.client("glue")

    answer = glue.batch_stop_job_run(JobName=job, JobRunIds=[run, "nothing"])

    assert [each["JobRunId"] for each in answer["SuccessfulSubmissions"]] == [run]
    assert [each["ErrorDetail"]["ErrorCode"] for each in answer["Errors"]] == ["EntityNotFoundException"]
    assert account.finished(job, run, seconds=10)["JobRunState"] == "STOPPED"


@pytest.mark.slow
def test_a_script_that_kills_its_process_fails_its_run_with_its_last_words(account, bucket, role, name):
    script = "import os, sys; print('out of luck', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)"
    job = account.job(name, role, bucket, script)

    run = account.run(job)

    assert (run["JobRunState"], run["ErrorMessage"]) == ("FAILED", "out of luck")


@pytest.mark.slow
def test_packages_come_with_the_job_and_a_new_version_replaces_the_old_one(account, bucket, role, name):
    script = "import greeting; print(greeting.TEXT)"
    package = f"s3://{bucket}/{name}.zip"
    job = account.job(name, role, bucket, script, DefaultArguments={"--extra-py-files": package})
    said = []
    for text in ("old", "new"):
        account.client("s3").put_object(
            Bucket=bucket, Key=f"{name}.zip", Body=zipped("greeting.py", f"TEXT = '{text}'")
        )
        said.append(account.log(account.run(job)["Id"]))

    assert said == ["old\n", "new\n"]


@pytest.mark.slow
def test_two_roles_never_share_a_process_and_one_role_keeps_its_own(account, bucket, role, name):
    other_role = account.job_role(name, bucket)
    job = account.job(name, role, bucket, WHERE_IT_RUNS)
    others_job = account.job(f"{name}-other", other_role, bucket, WHERE_IT_RUNS)

    runs = [account.run(each) for each in (job, others_job, job)]

    (first, own), (second, others), (third, _) = [account.log(run["Id"]).split() for run in runs]
    assert (own, others) == ("job-runs", name)
    assert first == third != second


def test_python_shell_jobs_are_refused_in_words(account, bucket, role, name):
    glue = account.client("glue")
    glue.create_job(Name=name, Role=role, Command={"Name": "pythonshell", "ScriptLocation": f"s3://{bucket}/x.py"})

    with pytest.raises(glue.exceptions.InvalidInputException, match="pythonshell jobs do not run"):
        glue.start_job_run(JobName=name)


def test_runs_are_listed_newest_first_in_pages(account, bucket, role, name):
    job = account.job(name, role, bucket, PRINT_ARGUMENTS)
    started = [account.run(job)["Id"] for _ in range(3)]

    page = account.client("glue").get_job_runs(JobName=job, MaxResults=2)
    rest = account.client("glue").get_job_runs(JobName=job, MaxResults=2, NextToken=page["NextToken"])

    assert [run["Id"] for run in page["JobRuns"] + rest["JobRuns"]] == started[::-1]
    assert "NextToken" not in rest


def test_a_run_that_takes_too_long_is_timed_out(account, endless):
    job, run = endless

    ended = account.finished(job, run)

    assert (ended["JobRunState"], ended["ErrorMessage"]) == ("TIMEOUT", "Job timed out after 1 minutes")


def a_queue_of_glues_events(account, name):
    sqs, events = account.client("sqs"), account.client("events")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    pattern = {"detail-type": ["Glue Job State Change"], "detail": {"jobName": [name]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    return url


def received(account, queue):
    found = []

    def look():
        found.extend(account.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=2).get("Messages", []))
        return found

    wait_for(look)
    return found[0]


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except FileNotFoundError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s in vain")


def zipped(file, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(file, content)
    return buffer.getvalue()
