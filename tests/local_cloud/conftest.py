import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from local_cloud import supervisor
from local_cloud.state import Cloud

ROLE = "arn:aws:iam::000000000000:role/"


def client_of(cloud: Cloud, service: str, credentials: dict[str, str] | None = None, **more: Any) -> Any:
    """A client as any program outside would have it: only the cloud's variables and its own keys."""
    environment = cloud.environment()
    given = credentials or {
        "AccessKeyId": environment["AWS_ACCESS_KEY_ID"],
        "SecretAccessKey": environment["AWS_SECRET_ACCESS_KEY"],
        "SessionToken": None,
    }
    return boto3.session.Session().client(
        service,
        endpoint_url=environment.get(f"AWS_ENDPOINT_URL_{service.upper()}", environment["AWS_ENDPOINT_URL"]),
        region_name=environment["AWS_REGION"],
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        verify=environment["AWS_CA_BUNDLE"],
        **more,
    )


@dataclass
class Account:
    """What the tests do in the local cloud, in their words."""

    cloud: Cloud

    def client(self, service: str, credentials: dict[str, str] | None = None, **more: Any) -> Any:
        return client_of(self.cloud, service, credentials, **more)

    def bucket(self, name: str) -> str:
        """Versioned, encrypted by a KMS key, closed to plain http."""
        s3, key = self.client("s3"), self.client("kms").create_key()["KeyMetadata"]["Arn"]
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
        deny = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
        return name

    def role(self, name: str, *statements: dict[str, Any], service: str = "glue.amazonaws.com") -> str:
        iam = self.client("iam")
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
        }
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(document))
        return ROLE + name

    def job_role(self, name: str, *buckets: str) -> str:
        arns = [arn for bucket in buckets for arn in (f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*")]
        return self.role(
            name,
            {"Effect": "Allow", "Action": "s3:*", "Resource": arns},
            {"Effect": "Allow", "Action": "kms:*", "Resource": "*"},
            {"Effect": "Allow", "Action": "glue:*", "Resource": "*"},
        )

    def assume(self, role: str) -> dict[str, str]:
        return self.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]

    def job(self, name: str, role: str, bucket: str, script: str, *, runs: int = 5, **more: Any) -> str:
        key = f"scripts/{name}.py"
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=script.encode())
        self.client("glue").create_job(
            Name=name,
            Role=role,
            Command={"Name": "glueetl", "ScriptLocation": f"s3://{bucket}/{key}", "PythonVersion": "3"},
            GlueVersion="5.1",
            Tags={"lake:max-concurrent-runs": str(runs)},
            **more,
        )
        return name

    def start(self, job: str, **arguments: str) -> str:
        given = {f"--{name}": value for name, value in arguments.items()}
        return self.client("glue").start_job_run(JobName=job, Arguments=given)["JobRunId"]

    def finished(self, job: str, run: str, seconds: float = 120) -> dict[str, Any]:
        glue, deadline = self.client("glue"), time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = glue.get_job_run(JobName=job, RunId=run)["JobRun"]
            if found["JobRunState"] not in {"STARTING", "RUNNING", "STOPPING"}:
                return found
            time.sleep(0.05)
        raise AssertionError(f"run {run} of {job} is still {found['JobRunState']}")

    def run(self, job: str, **arguments: str) -> dict[str, Any]:
        return self.finished(job, self.start(job, **arguments))

    def log(self, run: str, name: str = "stdout") -> str:
        return (Path(self.cloud.home) / "runs" / run / f"{name}.log").read_text()


@pytest.fixture(scope="session")
def account(tmp_path_factory):
    home = tmp_path_factory.mktemp("cloud")
    cloud = supervisor.start(home, spares=1)
    yield Account(cloud)
    supervisor.stop(home)


@pytest.fixture(scope="session")
def bucket(account):
    return account.bucket("job-runs")


@pytest.fixture(scope="session")
def role(account, bucket):
    """The role of most jobs: one warm process serves them all."""
    return account.job_role("job-runs", bucket)


@pytest.fixture
def name():
    """A word no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}"
