import errno
import json
import os
import signal
import socket
import sys
import time
from urllib.parse import urlsplit

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from local_cloud import losses, processes, state, supervisor
from local_cloud.errors import DiskFullError, LocalCloudError, MissingToolError, NotRunningError
from local_cloud.state import ACCOUNT, Folders
from tests.local_cloud.conftest import Account

pytestmark = pytest.mark.cloud


@pytest.fixture
def home(tmp_path):
    yield tmp_path / "lake"
    supervisor.stop(tmp_path / "lake")


def started(home):
    return Account(supervisor.start(home, spares=0))


def children(pid):
    return psutil.Process(pid).children(recursive=True)


def kill_and_wait(*victims):
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
    psutil.wait_procs(victims, timeout=5)


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.1)


def test_starting_twice_is_starting_once(home):
    first, second = supervisor.start(home, spares=0), supervisor.start(home)

    assert first == second
    assert supervisor.status(home).parts == {"emulator": True, "glue": True, "athena": True}


def test_stopping_leaves_no_process_and_says_whether_anything_ran(home):
    cloud = supervisor.start(home, spares=1)
    wait_for(lambda: len(children(cloud.pid)) >= 4)  # emulator, Athena, worker, the worker's Java
    everything = [psutil.Process(cloud.pid), *children(cloud.pid)]

    stopped = supervisor.stop(home)

    assert [p for p in everything if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert (stopped, supervisor.stop(home), supervisor.status(home).running) == (True, False, False)


def test_without_a_running_cloud_clients_are_told_to_start_it(home):
    with pytest.raises(NotRunningError, match="lake up"):
        state.load(home)


def test_what_is_in_the_cloud_survives_a_stop(home):
    before = started(home)
    before.client("s3").create_bucket(Bucket="kept")
    before.client("s3").put_object(Bucket="kept", Key="a/b.csv", Body=b"1")
    before.client("ssm").put_parameter(Name="/kept", Value="x", Type="String")
    supervisor.stop(home)

    after = started(home)

    assert after.cloud.environment() == before.cloud.environment()
    assert after.client("s3").get_object(Bucket="kept", Key="a/b.csv")["Body"].read() == b"1"
    assert after.client("ssm").get_parameter(Name="/kept")["Parameter"]["Value"] == "x"
    assert (after.cloud.restored_after_kill, after.cloud.notes) == (False, ())


def test_a_deleted_bucket_does_not_come_back(home):
    s3 = started(home).client("s3")
    s3.create_bucket(Bucket="gone")
    s3.delete_bucket(Bucket="gone")
    supervisor.stop(home)

    assert started(home).client("s3").list_buckets()["Buckets"] == []


def test_a_killed_supervisor_loses_nothing_because_the_emulator_still_saves(home):
    before = started(home)
    before.client("ssm").put_parameter(Name="/kept", Value="x", Type="String")
    emulators = children(before.cloud.pid)
    kill_and_wait(psutil.Process(before.cloud.pid))

    after = started(home)

    assert [p for p in emulators if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert after.client("ssm").get_parameter(Name="/kept")["Parameter"]["Value"] == "x"
    assert after.cloud.restored_after_kill
    assert "nothing is missing" in after.cloud.notes[0]


def test_a_killed_emulator_is_started_again_as_of_the_last_clean_stop(home):
    first = started(home)
    first.client("ssm").put_parameter(Name="/early", Value="x", Type="String")
    supervisor.stop(home)
    second = started(home)
    second.client("ssm").put_parameter(Name="/late", Value="x", Type="String")

    kill_and_wait(*children(second.cloud.pid))
    wait_for(lambda: supervisor.status(home).parts.get("emulator"))

    ssm = second.client("ssm")
    assert ssm.get_parameter(Name="/early")["Parameter"]["Value"] == "x"
    with pytest.raises(ClientError, match="ParameterNotFound"):
        ssm.get_parameter(Name="/late")
    assert "the emulator was killed: " in state.load(home).notes[0]


def shown_tables(cloud):
    """What Athena answers to somebody who took the role after the emulator started."""
    given = cloud.client("sts").assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/reader", RoleSessionName="reads")
    keys = given["Credentials"]
    athena = boto3.client(
        "athena",
        endpoint_url=cloud.cloud.athena_endpoint,
        region_name=cloud.cloud.region,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    query = athena.start_query_execution(
        QueryString="SHOW TABLES IN shop",
        WorkGroup="readers",
        ResultConfiguration={"OutputLocation": "s3://answers/"},
    )["QueryExecutionId"]

    def state_of_query():
        return athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]

    wait_for(lambda: state_of_query()["State"] in ("SUCCEEDED", "FAILED"))
    return state_of_query()


@pytest.mark.slow
def test_queries_of_a_role_go_on_after_the_emulator_was_killed(home):
    first = started(home)
    everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}
    first.client("iam").create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))
    first.client("iam").put_role_policy(RoleName="reader", PolicyName="all", PolicyDocument=json.dumps(everything))
    tag = {"Key": "lake:query-role", "Value": f"arn:aws:iam::{ACCOUNT}:role/reader"}
    first.client("athena").create_work_group(Name="readers", Tags=[tag])
    first.client("glue").create_database(DatabaseInput={"Name": "shop"})
    first.client("s3").create_bucket(Bucket="answers")
    supervisor.stop(home)
    second = started(home)
    assert shown_tables(second)["State"] == "SUCCEEDED"

    kill_and_wait(*children(second.cloud.pid))
    wait_for(lambda: supervisor.status(home).parts.get("emulator"))

    assert shown_tables(second)["State"] == "SUCCEEDED"


def test_an_athena_endpoint_that_was_killed_is_started_again_and_all_else_goes_on(home):
    cloud = started(home).cloud
    (victim,) = [child for child in children(cloud.pid) if "local_cloud.athena.endpoint" in child.cmdline()]
    others = {child.pid for child in children(cloud.pid)} - {victim.pid}

    kill_and_wait(victim)

    wait_for(lambda: len(children(cloud.pid)) > len(others))
    wait_for(lambda: supervisor.status(home).parts["athena"])
    assert others < {child.pid for child in children(cloud.pid)}
    assert supervisor.status(home).memory["athena"] > 0


def test_when_all_is_killed_the_next_start_says_what_it_has(home):
    first = started(home)
    first.client("ssm").put_parameter(Name="/early", Value="x", Type="String")
    first.client("s3").create_bucket(Bucket="early")
    supervisor.stop(home)
    second = started(home)
    for bucket in ("early", "late"):
        second.client("s3").create_bucket(Bucket=bucket)
        second.client("s3").put_object(Bucket=bucket, Key="k", Body=b"1")
    kill_and_wait(*children(second.cloud.pid), psutil.Process(second.cloud.pid))

    third = started(home)

    assert third.client("ssm").get_parameter(Name="/early")["Parameter"]["Value"] == "x"
    assert third.client("s3").get_object(Bucket="early", Key="k")["Body"].read() == b"1"
    (note,) = third.cloud.notes
    assert note.startswith("the local cloud was killed: all but objects is as of the last clean stop at ")
    assert note.endswith("; `lake up` brings the rest back")
    assert losses.read(Folders(home)).saved is not None


STACK = {
    "B": {
        "Type": "AWS::S3::Bucket",
        "Properties": {"BucketName": "stacked", "VersioningConfiguration": {"Status": "Enabled"}},
    },
    "Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "stacked"}},
}
KEYS = ("raw/plain.csv", "raw/ü ber/%2F+a b.csv", "raw/../up", "raw/" + "k" * 1000)


def deploy(account):
    formation = account.client("cloudformation")
    formation.create_stack(StackName="s", TemplateBody=json.dumps({"Resources": STACK}))
    formation.get_waiter("stack_create_complete").wait(StackName="s", WaiterConfig={"Delay": 1, "MaxAttempts": 9})


def fill(s3):
    """Two versions of each key, one that was deleted, one in parts; what the bucket then holds."""
    for key in KEYS:
        for body in (b"old", b"new"):
            s3.put_object(Bucket="stacked", Key=key, Body=body, Metadata={"of": "me"})
    s3.put_object(Bucket="stacked", Key="deleted", Body=b"x")
    s3.delete_object(Bucket="stacked", Key="deleted")
    parts = s3.create_multipart_upload(Bucket="stacked", Key="parts")["UploadId"]
    part = {"Bucket": "stacked", "Key": "parts", "UploadId": parts, "PartNumber": 1}
    etag = s3.upload_part(**part, Body=b"in parts")["ETag"]
    s3.complete_multipart_upload(
        Bucket="stacked", Key="parts", UploadId=parts, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
    )
    return contents(s3)


def contents(s3):
    listed = s3.list_object_versions(Bucket="stacked")
    versions = {(v["Key"], v["VersionId"]): (v["ETag"], v["LastModified"]) for v in listed["Versions"]}
    return {
        "versions": versions,
        "markers": [(m["Key"], m["VersionId"], m["IsLatest"]) for m in listed["DeleteMarkers"]],
        "bodies": {
            name: s3.get_object(Bucket="stacked", Key=name[0], VersionId=name[1])["Body"].read() for name in versions
        },
        "metadata": [s3.head_object(Bucket="stacked", Key=key)["Metadata"] for key in KEYS],
    }


def test_after_a_kill_stacks_are_deployed_again_and_get_their_objects_back_version_by_version(home):
    account = started(home)
    deploy(account)
    before = fill(account.client("s3"))
    kill_and_wait(*children(account.cloud.pid))
    wait_for(lambda: losses.read(Folders(home)) and supervisor.status(home).parts["emulator"])
    assert account.client("s3").list_buckets()["Buckets"] == []

    deploy(account)
    names = supervisor.bring_back(home)

    s3 = account.client("s3")
    assert names == ["stacked"]
    assert contents(s3) == before
    assert s3.get_bucket_versioning(Bucket="stacked")["Status"] == "Enabled"
    assert account.client("sqs").get_queue_url(QueueName="stacked")
    assert "before a first clean stop" in state.load(home).notes[0]


@pytest.mark.slow
def test_what_was_deployed_after_a_kill_survives_the_next_one_once_buckets_are_back(home):
    account = started(home)
    deploy(account)
    before = fill(account.client("s3"))
    kill_and_wait(*children(account.cloud.pid))
    wait_for(lambda: losses.read(Folders(home)) and supervisor.status(home).parts["emulator"])
    deploy(account)
    supervisor.bring_back(home)

    kill_and_wait(*children(account.cloud.pid), psutil.Process(account.cloud.pid))
    again = started(home)

    assert contents(again.client("s3")) == before
    assert again.client("sqs").get_queue_url(QueueName="stacked")
    assert supervisor.bring_back(home) == []


def test_after_the_emulator_was_killed_the_given_command_is_run(home, tmp_path):
    word = tmp_path / "word"
    script = f"import os; open({str(word)!r}, 'w').write(os.environ['LAKE_HOME'])"
    cloud = supervisor.start(home, spares=0, recovery=[sys.executable, "-c", script])

    kill_and_wait(*children(cloud.pid))

    wait_for(lambda: word.exists() and word.read_text())
    assert word.read_text() == str(home)


def test_a_stop_right_after_the_emulator_was_killed_is_no_clean_one(home):
    account = started(home)
    account.client("ssm").put_parameter(Name="/lost", Value="x", Type="String")
    for child in children(account.cloud.pid):
        child.send_signal(signal.SIGKILL)
    supervisor.stop(home)

    assert started(home).cloud.restored_after_kill


def test_a_port_that_another_program_took_is_replaced_and_told(home):
    cloud = supervisor.start(home, spares=0)
    supervisor.stop(home)
    port = urlsplit(cloud.glue_endpoint).port

    with socket.create_server(("127.0.0.1", port)):
        again = supervisor.start(home)

    assert again.endpoint == cloud.endpoint
    assert again.glue_endpoint != cloud.glue_endpoint
    assert f"port {port} (glue) is in use" in again.notes[0]


def test_queues_are_reached_when_the_emulators_own_port_was_taken(home):
    before = started(home)
    queue = before.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    before.client("sqs").send_message(QueueUrl=queue, MessageBody="kept")
    supervisor.stop(home)

    with socket.create_server(("127.0.0.1", urlsplit(before.cloud.endpoint).port)):
        again = started(home)

    found = again.client("sqs").get_queue_url(QueueName="q")["QueueUrl"]
    assert found.startswith(again.cloud.endpoint)
    assert again.client("sqs").receive_message(QueueUrl=found)["Messages"][0]["Body"] == "kept"


def test_a_run_that_was_open_at_the_stop_is_failed_and_told_at_the_next_start(home):
    before = started(home)
    bucket = before.bucket("runs")
    queue = before.client("sqs").create_queue(QueueName="ends")["QueueUrl"]
    events = before.client("events")
    events.put_rule(Name="ends", EventPattern=json.dumps({"detail-type": ["Glue Job State Change"]}))
    events.put_targets(Rule="ends", Targets=[{"Id": "q", "Arn": "arn:aws:sqs:us-east-1:000000000000:ends"}])
    before.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": open_to_events("ends")})
    job = before.job("job", before.job_role("role", bucket), bucket, "pass")
    run = before.start(job)
    supervisor.stop(home)

    after = started(home)

    found = after.finished(job, run)
    assert (found["JobRunState"], "while this run was open" in found["ErrorMessage"]) == ("FAILED", True)
    assert after.cloud.notes == ("1 job runs were open at the end and are FAILED now: job",)
    message = after.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"][0]
    assert json.loads(message["Body"])["detail"]["jobRunId"] == run


def open_to_events(queue):
    arn = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:*", "Resource": arn}
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})


def test_two_clouds_live_side_by_side(home, tmp_path):
    one = started(home)
    other = started(tmp_path / "other")
    one.client("s3").create_bucket(Bucket="mine")

    assert other.client("s3").list_buckets()["Buckets"] == []
    supervisor.stop(tmp_path / "other")


def test_a_start_that_fails_ends_with_the_reason(home, tmp_path, monkeypatch):
    broken = tmp_path / "tools"
    (broken / "emulator" / "bin").mkdir(parents=True)
    python = broken / "emulator" / "bin" / "python"
    python.write_text("#!/bin/sh\necho the disk is on fire >&2\nexit 1\n")
    python.chmod(0o755)
    (broken / "jars").symlink_to(state.PROJECT / ".tools" / "jars")
    monkeypatch.setenv("LAKE_TOOLS", str(broken))

    with pytest.raises(LocalCloudError, match=r"did not start.*emulator\.log ends with: the disk is on fire"):
        supervisor.start(home, spares=0)

    monkeypatch.delenv("LAKE_TOOLS")
    assert not supervisor.start(home, spares=0).restored_after_kill


def test_a_missing_tool_is_named_with_what_to_do(home, tmp_path, monkeypatch):
    monkeypatch.setenv("LAKE_TOOLS", str(tmp_path / "nothing"))

    with pytest.raises(MissingToolError, match="make setup"):
        supervisor.start(home)


def test_a_full_disk_is_told_in_one_line(home, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(state, "write_json", full)

    with pytest.raises(DiskFullError, match="no space left"):
        supervisor.start(home)


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(LocalCloudError, match="cannot be written"):
        supervisor.start(tmp_path / "file" / "lake")


def test_the_state_is_readable_by_its_owner_only(home):
    started(home)

    assert home.stat().st_mode & 0o077 == 0


def test_processes_of_a_stale_list_are_not_confused_with_later_ones(home):
    supervisor.start(home, spares=0)
    supervisor.stop(home)
    own = processes.Identity(os.getpid(), 1.0)
    stale = [{"kind": "worker", "pid": own.pid, "created": own.created}]
    (home / "processes.json").write_text(json.dumps(stale))
    (home / "running.json").write_text(json.dumps({"pid": 1, "started": 1.0, "began": 1.0}))

    assert supervisor.start(home, spares=0).restored_after_kill
