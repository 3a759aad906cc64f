"""The account base as a stack of a local cloud, and a deploy that finds there what it needs."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from local_cloud import state
from tests.cli.test_deploy import Lake
from tests.cloudformation.base import FILE, GIVEN

ACCOUNT, REGION = "000000000000", "us-east-1"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
BUCKET = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"


def template() -> str:
    """Without the one type that the emulator does not know: the provider is given, as to an account that has one."""
    text = FILE.read_text()
    before, _, after = text.partition("  GitHub:\n")
    return (before + after[after.index("  PlanRole:\n") :]).replace("!Ref GitHub", "!Ref OidcProvider")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("base"))
    started = made("up", "--spares", "0")
    assert started.code == 0, started.err
    yield made
    made("down")


@pytest.fixture(scope="module")
def client(lake):
    variables = state.load(lake.home).environment()

    own = {key: variables[key.upper()] for key in ("aws_access_key_id", "aws_secret_access_key")}

    def of(service, **credentials):
        return boto3.client(
            service,
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            verify=variables["AWS_CA_BUNDLE"],
            region_name=REGION,
            **{**own, **credentials},
        )

    return of


@pytest.mark.cloud
def test_it_stands_and_a_deploy_keeps_its_record_in_it(lake, client):
    cloudformation, iam, s3 = client("cloudformation"), client("iam"), client("s3")
    given = {**GIVEN, "Environment": "local", "OidcProvider": PROVIDER}
    cloudformation.create_stack(
        StackName="tenantlake-account-base",
        TemplateBody=template(),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="tenantlake-account-base", WaiterConfig={"Delay": 1}
    )
    role = iam.get_role(RoleName="tenantlake-deploy-write")["Role"]
    attached = iam.list_attached_role_policies(RoleName="tenantlake-offboard")["AttachedPolicies"]

    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": [GIVEN["DeploySubjects"]],
        }
    }
    assert role["MaxSessionDuration"] == 21_600
    assert {each["PolicyName"] for each in attached} == {
        "tenantlake-reading",
        "tenantlake-reading-resources",
        "tenantlake-offboarding",
    }

    deployed = lake("deploy", "--json")

    assert deployed.code == 0, deployed.err
    assert set(deployed.actions.values()) == {"created"}
    record = s3.get_object(Bucket=BUCKET, Key="deployments/mycompany-local-platform/record.json")
    assert b"mycompany-acme-local-tenant" in record["Body"].read()
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"


@pytest.mark.cloud
def test_whoever_may_everything_may_not_take_a_record_away(lake, client):
    """Runs after the deploy above; the cloud's own credentials are those of its root, whom no policy binds."""
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    trust = {**everything["Statement"][0], "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    del trust["Resource"]
    iam = client("iam")
    iam.create_role(
        RoleName="anybody", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    iam.put_role_policy(RoleName="anybody", PolicyName="everything", PolicyDocument=json.dumps(everything))
    found = client("sts").assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/anybody", RoleSessionName="test")
    s3 = client(
        "s3",
        aws_access_key_id=found["Credentials"]["AccessKeyId"],
        aws_secret_access_key=found["Credentials"]["SecretAccessKey"],
        aws_session_token=found["Credentials"]["SessionToken"],
    )
    record = {"Bucket": BUCKET, "Key": "deployments/mycompany-local-platform/record.json"}

    assert s3.get_object(**record)["ContentLength"] > 0
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(**record)
    s3.put_object(Bucket=BUCKET, Key="anything", Body=b"")
    assert s3.delete_object(Bucket=BUCKET, Key="anything")["ResponseMetadata"]["HTTPStatusCode"] == 204
