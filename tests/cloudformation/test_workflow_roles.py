"""The roles of workflows: what `lake` calls is allowed to the one that runs it, and nothing that would go further."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from isolation.decision import ANYWHERE
from tests.cli.test_deploy import ENVIRONMENTS, GLOBEX, PROJECT, TENANTS, Answer, Lake
from tests.cloudformation import calls
from tests.cloudformation.base import ACCOUNT, ORGANIZATION, REGION, Base

LOCAL = Base.of(calls.ACCOUNT, calls.REGION, Environment=calls.ENVIRONMENT, RemovalPolicy="destroy")
SUSPENDED = TENANTS.replace("    datasets", "    state: suspended\n    datasets")


class Recorded(Lake):
    """The command line, with its calls in a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder

    def needs(self, *arguments: str, code: int = 0) -> list[calls.Need]:
        """What a command needs that ends with `code`."""
        file = self.folder / "calls.jsonl"
        file.unlink(missing_ok=True)
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        command = [sys.executable, "-m", "tests.cloudformation.recorded", str(file), *arguments]
        variables = own | {"LAKE_HOME": str(self.home), "LAKE_TENANTS": str(self.tenants)}
        done = Answer(subprocess.run(command, cwd=PROJECT, env=variables, capture_output=True, text=True, check=False))
        assert done.code == code, done.err
        return calls.read(file)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Recorded(tmp_path_factory.mktemp("recorded"))
    started = made("up", "--spares", "0")
    assert started.code == 0, started.err
    yield made
    made("down")


def refused(role: str, needs: list[calls.Need]) -> list[calls.Need]:
    return [need for need in needs if not LOCAL.may(role, need.action, need.name, need.context)]


@pytest.mark.cloud
def test_what_lake_calls_is_allowed_to_the_role_of_its_workflow_and_a_plan_may_not_deploy(lake: Recorded):
    lake.write(TENANTS + GLOBEX)
    first_plan = lake.needs("plan", code=10)
    first = lake.needs("deploy")
    lake.write(SUSPENDED + GLOBEX)
    later_plan = lake.needs("plan", "--refresh", code=10)
    later = lake.needs("deploy")
    lake.write(TENANTS + GLOBEX)
    resumed = lake.needs("deploy")
    shown = [*lake.needs("diff"), *lake.needs("drift")]

    assert refused("DeployRole", [*first_plan, *first, *later_plan, *later, *resumed]) == []
    assert refused("PlanRole", [*first_plan, *later_plan, *shown]) == []
    missed = {need.action for need in refused("PlanRole", [*first, *later])}
    assert {"cloudformation:CreateStack", "cloudformation:UpdateStack", "iam:PassRole", "dynamodb:PutItem"} <= missed
    assert {need.action for need in first} >= {"s3:PutObject", "s3:GetObject", "kms:GenerateDataKey", "kms:Decrypt"}
    assert {need.action for need in shown} >= {"cloudformation:DetectStackDrift", "cloudformation:GetTemplate"}


LEAVING = """    state: offboarding
    offboarding:
      requested_by: jane@acme.example
      export: s3://acme-takeout/lake/
      export_account: "000000000000"
      grace: 0
"""
PUT = """
import boto3
s3 = boto3.client("s3")
s3.create_bucket(Bucket="acme-takeout")
s3.put_bucket_versioning(Bucket="acme-takeout", VersioningConfiguration={"Status": "Enabled"})
for number in range(3):
    s3.put_object(Bucket="mycompany-acme-local-datalake", Key=f"raw/orders/{number}.csv", Body=b"order_id")
s3.create_multipart_upload(Bucket="mycompany-acme-local-datalake", Key="raw/orders/half.csv")
print("{}")
"""


@pytest.mark.slow
@pytest.mark.cloud
def test_what_an_offboarding_calls_is_allowed_to_its_role_and_not_to_a_deploy(lake: Recorded):
    lake.write(TENANTS + GLOBEX)
    lake("deploy")
    lake.run(PUT)
    lake.write(TENANTS.replace("    datasets", f"{LEAVING}    datasets") + GLOBEX)
    announced = lake.needs("deploy")
    done = lake.needs("tenant", "offboard", "acme", "-e", "local", "--delete-everything", "--confirm", "acme")
    verified = lake.needs("tenant", "verify-certificate", "acme", "-e", "local")

    assert refused("DeployRole", announced) == []
    assert refused("OffboardRole", [*done, *verified]) == []
    assert refused("PlanRole", verified) == []
    missed = {need.action for need in refused("DeployRole", done)}
    assert {"s3:DeleteObjectVersion", "s3:PutBucketPolicy", "kms:ScheduleKeyDeletion"} <= missed


CANARY_TENANT = """  - id: canary
    name: The platform itself
    owner: platform@mycompany.example
    datasets: [{name: canary, max_wait: 0}]
"""


@pytest.mark.slow
@pytest.mark.cloud
@pytest.mark.spark
def test_what_driving_the_canarys_file_calls_is_allowed_to_a_deploy_and_to_no_plan(tmp_path: Path):
    lake = Recorded(tmp_path)
    shutil.copy(PROJECT / "tenants/contracts/canary.yaml", lake.tenants / "contracts")
    (lake.tenants / "environments.yaml").write_text(
        ENVIRONMENTS.replace("max_wait: 0}", "max_wait: 0, canary: canary}")
    )
    lake.write(TENANTS + CANARY_TENANT)
    lake("up")
    try:
        driven = lake.needs("deploy")
    finally:
        lake("down")

    assert refused("DeployRole", driven) == []
    called = {need.action for need in driven if "canary" in need.name}
    assert {"s3:PutObject", "s3:GetObject", "s3:DeleteObjectVersion", "sts:AssumeRole"} <= called
    assert {"s3:DeleteObjectVersion", "sts:AssumeRole"} <= {need.action for need in refused("PlanRole", driven)}


BASE = Base.of()
IAM = f"arn:aws:iam::{ACCOUNT}"
EXECUTION = f"{IAM}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"
# What `cdk bootstrap` makes in another Region is an administrator's.
ELSEWHERE = EXECUTION.replace(REGION, "us-east-1")
STATE = f"arn:aws:s3:::cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack"
ACME, CANARY = f"arn:aws:s3:::{ORGANIZATION}-acme-prod-datalake", f"arn:aws:s3:::{ORGANIZATION}-canary-prod-datalake"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"
LEDGER = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{ORGANIZATION}-prod-ledger"
OWN_TAGS = {"aws:ResourceTag/organization": ORGANIZATION, "aws:ResourceTag/environment": "prod"}
WORKFLOWS = ("PlanRole", "DeployRole", "OffboardRole")


def through(service: str, alias: str) -> dict[str, str]:
    return {
        "kms:ViaService": f"{service}.{REGION}.amazonaws.com",
        "kms:ResourceAliases": f"alias/{ORGANIZATION}-{alias}",
        "aws:ResourceAccount": ACCOUNT,
    }


@pytest.mark.parametrize(
    ("action", "name", "context", "allowed"),
    [
        ("cloudformation:UpdateStack", f"{STACK}/{ORGANIZATION}-acme-prod-tenant/1", {"cloudformation:RoleArn": EXECUTION}, ["DeployRole"]),
        ("cloudformation:UpdateStack", f"{STACK}/{ORGANIZATION}-acme-prod-tenant/1", {}, []),
        ("cloudformation:UpdateStack", f"{STACK}/{ORGANIZATION}-prod-platform/1", {}, []),
        ("cloudformation:CreateStack", f"{STACK}/{ORGANIZATION}-acme-prod-tenant/1", {"cloudformation:RoleArn": f"{IAM}:role/Administrator"}, []),
        ("cloudformation:UpdateStack", f"{STACK}/{ORGANIZATION}-acme-prod-tenant/1", {"cloudformation:RoleArn": ELSEWHERE}, []),
        ("iam:PassRole", ELSEWHERE, {"iam:PassedToService": "cloudformation.amazonaws.com"}, []),
        ("cloudformation:CreateStack", f"{STACK}/payroll/1", {"cloudformation:RoleArn": EXECUTION}, []),
        ("cloudformation:CreateStack", f"{STACK}/{ORGANIZATION}-acme-dev-tenant/1", {"cloudformation:RoleArn": EXECUTION}, []),
        ("cloudformation:UpdateStack", f"{STACK}/tenantlake-account-base/1", {"cloudformation:RoleArn": EXECUTION}, []),
        ("cloudformation:DeleteStack", f"{STACK}/{ORGANIZATION}-acme-prod-tenant/1", {}, ["DeployRole", "OffboardRole"]),
        ("cloudformation:DeleteStack", f"{STACK}/{ORGANIZATION}-prod-platform/1", {}, ["DeployRole"]),
        ("iam:PassRole", EXECUTION, {"iam:PassedToService": "cloudformation.amazonaws.com"}, ["DeployRole"]),
        ("iam:PassRole", EXECUTION, {"iam:PassedToService": "ec2.amazonaws.com"}, []),
        ("iam:PassRole", f"{IAM}:role/Administrator", {"iam:PassedToService": "cloudformation.amazonaws.com"}, []),
        ("iam:CreateRole", f"{IAM}:role/{ORGANIZATION}-acme-prod-job", {}, []),
        ("iam:PutRolePolicy", f"{IAM}:role/tenantlake-deploy-write", {}, []),
        ("iam:CreatePolicyVersion", f"{IAM}:policy/tenantlake-workflow-boundary", {}, []),
        ("iam:ListPolicies", ANYWHERE, {}, ["PlanRole", "OffboardRole"]),
        ("iam:DeletePolicy", f"{IAM}:policy/{ORGANIZATION}-acme-prod-tenant-AccessJobRoleOverflowPolicy1-X", {}, ["OffboardRole"]),
        ("sts:AssumeRole", f"{IAM}:role/{ORGANIZATION}-canary-prod-analyst", {}, ["DeployRole"]),
        ("sts:AssumeRole", f"{IAM}:role/{ORGANIZATION}-canary-islands-prod-analyst", {}, []),
        ("sts:AssumeRole", f"{IAM}:role/{ORGANIZATION}-acme-prod-analyst", {}, []),
        ("sts:AssumeRole", f"{IAM}:role/Administrator", {}, []),
        ("s3:PutObject", f"{CANARY}/raw/canary/x.csv", {}, ["DeployRole"]),
        ("s3:PutObject", f"{CANARY}/raw/orders/x.csv", {}, []),
        ("s3:GetObject", f"{ACME}/raw/orders/x.csv", {}, ["OffboardRole"]),
        ("s3:PutObject", f"{ACME}/raw/orders/x.csv", {}, []),
        ("s3:DeleteObjectVersion", f"{ACME}/raw/orders/x.csv", {}, ["OffboardRole"]),
        ("s3:DeleteObjectVersion", f"{CANARY}/raw/canary/x.csv", {}, ["DeployRole", "OffboardRole"]),
        ("s3:DeleteBucket", ACME, {}, ["OffboardRole"]),
        ("s3:PutBucketPolicy", ACME, {}, ["OffboardRole"]),
        ("s3:DeleteBucket", f"arn:aws:s3:::{ORGANIZATION}-prod-platform-code", {}, []),
        ("s3:PutObject", f"{STATE}/deployments/{ORGANIZATION}-prod-platform/record.json", {}, ["DeployRole", "OffboardRole"]),
        ("s3:PutObject", f"{STATE}/deployments/{ORGANIZATION}-prod-platform/drift.json", {}, list(WORKFLOWS)),
        ("s3:PutObject", f"{STATE}/deployments/{ORGANIZATION}-prod-platform-b/drift.json", {}, list(WORKFLOWS)),
        ("s3:PutObject", f"{STATE}/deployments/{ORGANIZATION}-prod-platform/runs/9/1/drift.json", {}, ["DeployRole", "OffboardRole"]),
        ("s3:PutObject", f"{STATE}/deployments/{ORGANIZATION}-prod-platform/offboarding/acme/1/drift.json", {}, ["OffboardRole"]),
        ("s3:PutObject", f"{STATE}/deployments/{ORGANIZATION}-prod-platform/offboarding/acme/1/certificate.json", {}, ["OffboardRole"]),
        ("s3:PutObject", f"{STATE}/1234.zip", {}, ["DeployRole"]),
        ("s3:DeleteObject", f"{STATE}/deployments/{ORGANIZATION}-prod-platform/lock.json", {}, []),
        ("s3:DeleteObjectVersion", f"{STATE}/deployments/{ORGANIZATION}-prod-platform/offboarding/acme/certificate.json", {}, []),
        ("s3:PutBucketPolicy", STATE, {}, []),
        ("s3:PutObject", "arn:aws:s3:::acme-takeout/lake/x", {"s3:ResourceAccount": "999900009999"}, ["OffboardRole"]),
        ("s3:PutObjectTagging", "arn:aws:s3:::acme-takeout/lake/x", {"s3:ResourceAccount": "999900009999"}, []),
        ("s3:PutObject", "arn:aws:s3:::payroll/x", {"s3:ResourceAccount": ACCOUNT}, []),
        ("kms:Decrypt", KEY, through("s3", "acme-prod"), ["OffboardRole"]),
        ("kms:Decrypt", KEY, through("s3", "canary-prod"), ["DeployRole", "OffboardRole"]),
        ("kms:Decrypt", KEY, through("dynamodb", "prod-platform"), list(WORKFLOWS)),
        ("kms:Decrypt", KEY, {"kms:ResourceAliases": f"alias/{ORGANIZATION}-acme-prod", "aws:ResourceAccount": ACCOUNT}, []),
        ("kms:Decrypt", KEY, {"kms:ResourceAliases": "alias/payroll", "kms:ViaService": f"s3.{REGION}.amazonaws.com", "aws:ResourceAccount": ACCOUNT}, []),
        ("kms:ScheduleKeyDeletion", KEY, {**OWN_TAGS, "aws:ResourceTag/tenant": "acme"}, ["OffboardRole"]),
        ("kms:ScheduleKeyDeletion", KEY, OWN_TAGS, []),
        ("kms:ScheduleKeyDeletion", KEY, {"aws:ResourceTag/tenant": "acme"}, []),
        ("kms:PutKeyPolicy", KEY, {**OWN_TAGS, "aws:ResourceTag/tenant": "acme"}, []),
        ("dynamodb:DeleteItem", LEDGER, {}, ["DeployRole", "OffboardRole"]),
        ("dynamodb:Query", f"{LEDGER}/index/open", {}, list(WORKFLOWS)),
        ("dynamodb:DeleteTable", LEDGER, {}, []),
        ("dynamodb:PutItem", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/orders", {}, []),
        ("glue:DeleteDatabase", f"arn:aws:glue:{REGION}:{ACCOUNT}:database/{ORGANIZATION}_acme_prod", {}, ["OffboardRole"]),
        ("athena:DeleteWorkGroup", f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/{ORGANIZATION}-acme-prod", {}, ["OffboardRole"]),
        ("athena:DeleteWorkGroup", f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/primary", {}, []),
        ("athena:StartQueryExecution", f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/{ORGANIZATION}-acme-prod", {}, []),
        ("glue:StartJobRun", f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{ORGANIZATION}-acme-prod-maintain", {}, []),
        ("servicequotas:GetServiceQuota", ANYWHERE, {}, list(WORKFLOWS)),
        ("servicequotas:RequestServiceQuotaIncrease", ANYWHERE, {}, []),
    ],
)  # fmt: skip
def test_who_may_what(action: str, name: str, context: dict[str, str], allowed: list[str]):
    assert [role for role in WORKFLOWS if BASE.may(role, action, name, context)] == allowed


def test_an_offboarding_hands_cloudformation_a_template_only_where_data_would_go_with_their_stack():
    """There it says first that the key outlives the stack; CloudFormation takes the role that the stack was made under."""
    update = ("cloudformation:UpdateStack", f"{STACK}/{ORGANIZATION}-acme-prod-tenant/1")

    assert not BASE.may("OffboardRole", *update)
    assert Base.of(RemovalPolicy="destroy").may("OffboardRole", *update)
    assert not Base.of(RemovalPolicy="destroy").may(
        "OffboardRole", update[0], f"{STACK}/{ORGANIZATION}-prod-platform/1"
    )


def test_a_further_region_is_named():
    passing = ("iam:PassRole", ELSEWHERE, {"iam:PassedToService": "cloudformation.amazonaws.com"})

    assert not BASE.may("DeployRole", *passing)
    assert Base.of(FurtherRegion="us-east-1").may("DeployRole", *passing)
    assert Base.of(FurtherRegion="us-east-1").may("DeployRole", passing[0], EXECUTION, passing[2])


def test_a_further_cells_canary_is_named():
    role = f"{IAM}:role/{ORGANIZATION}-canary-b-prod-analyst"

    assert not BASE.may("DeployRole", "sts:AssumeRole", role)
    assert Base.of(FurtherCanary="canary-b").may("DeployRole", "sts:AssumeRole", role)


@pytest.mark.parametrize("policy", ["Offboarding", "ExecutionData"])
def test_a_key_goes_in_thirty_days_or_not_at_all(policy: str):
    """The number is compared by AWS: here it can only be seen to be asked for."""
    (denial,) = [each for each in BASE.document(policy).denying if each.sid == "KeyWindow"]

    assert denial.actions == ("kms:schedulekeydeletion",)
    assert [str(each) for each in denial.conditions] == [
        "NumericLessThan kms:ScheduleKeyDeletionPendingWindowInDays = 30"
    ]


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("iam:CreateRole", f"{IAM}:role/anybody"),
        ("iam:CreateUser", f"{IAM}:user/jane"),
        ("iam:AttachRolePolicy", f"{IAM}:role/tenantlake-deploy-write"),
        ("iam:DeleteRolePermissionsBoundary", f"{IAM}:role/tenantlake-deploy-write"),
        ("iam:DeleteRole", f"{IAM}:role/Administrator"),
        ("iam:PassRole", f"{IAM}:role/Administrator"),
        ("iam:CreatePolicyVersion", f"{IAM}:policy/tenantlake-workflow-boundary"),
        ("sts:AssumeRole", f"{IAM}:role/Administrator"),
        ("cloudformation:UpdateStack", f"{STACK}/tenantlake-account-base/1"),
        ("s3:DeleteBucket", STATE),
        ("s3:DeleteObjectVersion", f"{STATE}/deployments/x/record.json"),
        ("s3:PutBucketPolicy", STATE),
        ("kms:PutKeyPolicy", KEY),
        ("kms:CreateGrant", KEY),
        ("ec2:RunInstances", ANYWHERE),
        ("ssm:PutParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/cdk-bootstrap/hnb659fds/version"),
        ("organizations:LeaveOrganization", ANYWHERE),
    ],
)
@pytest.mark.parametrize("role", WORKFLOWS)
def test_even_with_every_right_in_its_policies_a_role_stays_within_its_boundary(role: str, action: str, name: str):
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    free = BASE.with_rights(role, everything)

    assert not free.may(role, action, name, {"iam:PassedToService": "cloudformation.amazonaws.com"})
    assert BASE.without_boundary(role, everything).may(role, action, name)
