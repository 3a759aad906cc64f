import io
import json
import zipfile

import pytest

HANDLER = """
import os
import boto3

def handler(event, context):
    run = boto3.client("glue").start_job_run(JobName=event["job"])["JobRunId"]
    return {"run": run, "state": boto3.client("glue").get_job_run(JobName=event["job"], RunId=run)["JobRun"]["JobRunState"]}
"""


@pytest.mark.slow
def test_a_function_starts_a_job_that_really_runs(account, bucket, role, name):
    job = account.job(name, role, bucket, "print('ran')")
    own_role = account.role(
        name,
        {"Effect": "Allow", "Action": ["glue:StartJobRun", "glue:GetJobRun"], "Resource": "*"},
        service="lambda.amazonaws.com",
    )
    functions = account.client("lambda")
    functions.create_function(
        FunctionName=name,
        Role=own_role,
        Runtime="python3.13",
        Handler="main.handler",
        Timeout=30,
        Code={"ZipFile": zipped("main.py", HANDLER)},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    answer = json.loads(functions.invoke(FunctionName=name, Payload=json.dumps({"job": job}))["Payload"].read())

    assert answer.get("state") in {"STARTING", "RUNNING", "SUCCEEDED"}, answer
    assert account.finished(job, answer["run"])["JobRunState"] == "SUCCEEDED"
    assert account.log(answer["run"]) == "ran\n"


def zipped(file, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(file, content)
    return buffer.getvalue()
