"""CloudFormation's role: makes every resource of the lake's stacks, of other names none, and no role past its boundary."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from isolation.decision import ANYWHERE
from tests.cloudformation.base import ACCOUNT, ORGANIZATION, REGION, Base
from tests.isolation.accounts import account_of
from tests.templates import synthesise, synthesised, write_registry

FACTS = json.loads(Path(__file__).with_name("handlers.json").read_text())["types"]
IAM = f"arn:aws:iam::{ACCOUNT}"
BOUNDARY = f"{IAM}:policy/{ORGANIZATION}-acme-prod-boundary"
JOB, ANALYST = f"{IAM}:role/{ORGANIZATION}-acme-prod-job", f"{IAM}:role/{ORGANIZATION}-acme-prod-analyst"
REGISTER = f"{IAM}:role/{ORGANIZATION}-prod-register"
FUNCTIONS = [
    f"{IAM}:role/{ORGANIZATION}-prod-{name}" for name in ("register", "dispatch-b", "dispatch", "reconcile", "webhook")
]
FUNCTIONS_BOUNDARY = f"{IAM}:policy/{ORGANIZATION}-prod-boundary"
WEBHOOK_BOUNDARY = f"{IAM}:policy/{ORGANIZATION}-prod-webhook-boundary"
# What a request for something of the lake carries.
OWN = {
    "aws:RequestTag/environment": "prod",
    "aws:RequestTag/organization": ORGANIZATION,
    "aws:ResourceTag/environment": "prod",
    "aws:ResourceTag/organization": ORGANIZATION,
    "iam:PermissionsBoundary": BOUNDARY,
    "kms:ViaService": f"dynamodb.{REGION}.amazonaws.com",
    "lambda:FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{ORGANIZATION}-prod-register",
}
# The kind of `isolation.account` whose names the requests are for.
KINDS = {
    "AWS::Athena::NamedQuery": "athena",
    "AWS::Athena::WorkGroup": "athena",
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::DynamoDB::Table": "dynamodb",
    "AWS::Events::Rule": "events",
    "AWS::Glue::Database": "gluedb",
    "AWS::Glue::Job": "gluejob",
    "AWS::Glue::Table": "gluedb",
    "AWS::IAM::ManagedPolicy": "policy",
    "AWS::IAM::Policy": "iam",
    "AWS::IAM::Role": "iam",
    "AWS::KMS::Alias": "alias",
    "AWS::KMS::Key": "kms",
    "AWS::Lambda::EventInvokeConfig": "lambda",
    "AWS::Lambda::EventSourceMapping": "mapping",
    "AWS::Lambda::Function": "lambda",
    "AWS::Lambda::Permission": "lambda",
    "AWS::Logs::LogGroup": "logs",
    "AWS::S3::Bucket": "s3",
    "AWS::S3::BucketPolicy": "s3",
    "AWS::SNS::Subscription": "sns",
    "AWS::SNS::Topic": "sns",
    "AWS::SNS::TopicPolicy": "sns",
    "AWS::SQS::Queue": "sqs",
    "AWS::SQS::QueuePolicy": "sqs",
}
# What CloudFormation's schemas name beyond what our templates ask for. A pattern is of a type, a blank and an action.
NOT_NEEDED = {
    "* iam:PassRole": "which role to which service: the test of that is below",
    "* iam:CreateServiceLinkedRole": "for replicas and for managed results, which no template of ours has",
    "* *:List[A-Z]*s": "lists of everything in the account: for importing, not for making",
    "AWS::IAM::ManagedPolicy iam:?*tach*": "which policy to which role: the test of that is below",
    "AWS::IAM::Role iam:?*tachRolePolicy": "which policy to which role: the test of that is below",
    "AWS::IAM::Role iam:DeleteRolePermissionsBoundary": "is what must not be done",
    "AWS::IAM::Role iam:PutRolePermissionsBoundary": "asked about below",
    "AWS::IAM::Policy iam:*User*": "no users",
    "AWS::IAM::Policy iam:*Group*": "no groups",
    "AWS::Athena::WorkGroup kms:*": "for results that Athena keeps itself",
    "AWS::Athena::WorkGroup s3:*": "for results that Athena keeps itself",
    "AWS::DynamoDB::Table *Replica": "no replicas",
    "AWS::DynamoDB::Table *Kinesis*": "no streams to Kinesis",
    "AWS::DynamoDB::Table kinesis:*": "no streams to Kinesis",
    "AWS::DynamoDB::Table dynamodb:*Item": "for replicas and imports; a stack has no right on rows",
    "AWS::DynamoDB::Table dynamodb:Query": "for replicas and imports; a stack has no right on rows",
    "AWS::DynamoDB::Table dynamodb:Scan": "for replicas and imports; a stack has no right on rows",
    "AWS::DynamoDB::Table *Import*": "no imports",
    "AWS::DynamoDB::Table logs:*": "of imports",
    "AWS::DynamoDB::Table s3:*": "of imports",
    "AWS::DynamoDB::Table dynamodb:*ResourcePolicy": "the ledger has no policy of its own",
    "AWS::DynamoDB::Table kms:*": "on the ledger's key, not the table: the test of that is below",
    "AWS::Glue::Database *Connection": "no federated databases",
    "AWS::Glue::Database lakeformation:*": "no federated databases",
    "AWS::Glue::Job iam:GetRole": "allowed on the job's role, not on the job",
    "AWS::Lambda::EventSourceMapping kms:*": "for filters with a key of their own",
    "AWS::Lambda::Function ec2:*": "no network of our own",
    "AWS::Lambda::Function elasticfilesystem:*": "no file systems",
    "AWS::Lambda::Function s3files:*": "no file systems",
    "AWS::Lambda::Function kms:*": "for settings under a key of their own",
    "AWS::Lambda::Function *CodeSigning*": "no code signing",
    "AWS::Lambda::Function *Concurrency": "no reserved concurrency",
    "AWS::Lambda::Function *CapacityProvider": "no capacity providers",
    "AWS::Lambda::Function *ScalingConfig": "no capacity providers",
    "AWS::Lambda::Function *LayerVersion": "no layers",
    "AWS::Lambda::Function lambda:PublishVersion": "no versions",
    "AWS::Lambda::Function lambda:PutRuntimeManagementConfig": "the runtime is AWS's to update",
    "AWS::Lambda::Function s3:*": "allowed on the archive, not on the function",
    "AWS::Logs::LogGroup firehose:*": "no deliveries",
    "AWS::Logs::LogGroup *Delivery": "no deliveries",
    "AWS::Logs::LogGroup *ResourcePolic*": "no resource policies",
    "AWS::Logs::LogGroup logs:*DataProtectionPolicy": "no data protection policies",
    "AWS::Logs::LogGroup logs:*IndexPolicy": "no index policies",
    "AWS::Logs::LogGroup logs:PutBearerTokenAuthentication": "no tokens",
    "AWS::Logs::LogGroup logs:PutLogGroupDeletionProtection": "not used",
    "AWS::Logs::LogGroup s3:*": "no deliveries",
    "AWS::S3::Bucket s3tables:*": "no table buckets",
    "AWS::S3::Bucket *Metadata*": "no metadata tables",
    "AWS::S3::Bucket *Abac": "not used",
    "AWS::S3::Bucket *Acl": "no access lists",
    "AWS::S3::Bucket *Accelerate*": "not used",
    "AWS::S3::Bucket *Analytics*": "not used",
    "AWS::S3::Bucket *Cors": "not used",
    "AWS::S3::Bucket s3:PutBucketCORS": "not used",
    "AWS::S3::Bucket *Replication*": "not used",
    "AWS::S3::Bucket *Website": "not used",
    "AWS::S3::Bucket *Metrics*": "not used",
    "AWS::S3::Bucket *Inventory*": "not used",
    "AWS::S3::Bucket *IntelligentTiering*": "not used",
    "AWS::S3::Bucket *ObjectLock*": "not used",
    "AWS::S3::Bucket s3:PutBucketLogging": "not used",
    "AWS::S3::Bucket s3:DeleteBucketEncryption": "every bucket keeps its key",
    "AWS::S3::Bucket s3:DeleteBucketLifecycle": "is no action of IAM's: PutLifecycleConfiguration is asked for",
    "AWS::S3::Bucket s3:DeleteObject": "a stack has no right on objects",
    "AWS::SNS::Subscription iam:*": "no deliveries to Firehose",
    "AWS::SNS::Topic iam:*": "no archive policies",
    "AWS::SNS::Topic sns:PutDataProtectionPolicy": "no data protection policies",
    "AWS::SNS::Topic sns:Unsubscribe": "is authorised on the subscription: allowed there",
}


def carried(arn: str) -> dict[str, str]:
    """OWN, with the boundary that the role of a function has."""
    return OWN | ({"iam:PermissionsBoundary": FUNCTIONS_BOUNDARY} if arn in FUNCTIONS else {})


@pytest.fixture(scope="module")
def base() -> Base:
    return Base.of()


@pytest.fixture(scope="module")
def arns() -> dict[str, list[str]]:
    """Of every thing that our templates make, by kind."""
    found: dict[str, list[str]] = {}
    for resource in account_of(synthesised("prod")).resources.values():
        found.setdefault(resource.kind, []).append(resource.arn)
    return found


def needed() -> Iterator[tuple[str, str]]:
    for kind, actions in FACTS.items():
        for action in actions:
            if not any(fnmatchcase(f"{kind} {action}", pattern) for pattern in NOT_NEEDED):
                yield kind, action


def test_there_are_facts_about_every_type_that_our_templates_have():
    types = {each["Type"] for template in synthesised("prod").values() for each in template["Resources"].values()}

    assert types - {"AWS::CDK::Metadata"} == set(FACTS) == set(KINDS)


def test_every_exception_is_about_something():
    asked = {f"{kind} {action}" for kind, actions in FACTS.items() for action in actions}

    assert [pattern for pattern in NOT_NEEDED if not any(fnmatchcase(each, pattern) for each in asked)] == []


@pytest.mark.parametrize(("kind", "action"), sorted(needed()))
def test_what_cloudformation_needs_for_a_resource_of_ours_its_role_may(base: Base, arns, kind: str, action: str):
    refused = [
        arn
        for arn in arns[KINDS[kind]]
        if not base.may("ExecutionRole", action, arn, carried(arn))
        and not base.may("ExecutionRole", action, ANYWHERE, OWN)
    ]

    assert refused == []


RIGHTS = ["iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary", "iam:DeleteRolePolicy"]


@pytest.mark.parametrize("action", RIGHTS)
@pytest.mark.parametrize("role", [JOB, ANALYST])
@pytest.mark.parametrize(
    ("boundary", "allowed"),
    [
        (BOUNDARY, True),
        (None, False),
        (f"{IAM}:policy/tenantlake-workflow-boundary", False),
        (f"{IAM}:policy/{ORGANIZATION}-acme-dev-boundary", False),
        (f"{IAM}:policy/{ORGANIZATION}-acme-prod-boundary-2", False),
        ("arn:aws:iam::aws:policy/AdministratorAccess", False),
        (f"arn:aws:iam::111122223333:policy/{ORGANIZATION}-acme-prod-boundary", False),
    ],
)
def test_a_tenants_role_gets_rights_under_a_tenants_boundary_only(base, action, role, boundary, allowed):
    context = {} if boundary is None else {"iam:PermissionsBoundary": boundary}

    assert base.may("ExecutionRole", action, role, context) is allowed


@pytest.mark.parametrize("action", RIGHTS)
@pytest.mark.parametrize("role", FUNCTIONS)
@pytest.mark.parametrize(
    ("boundary", "allowed"),
    [
        (FUNCTIONS_BOUNDARY, True),
        (f"{FUNCTIONS_BOUNDARY}-b", True),
        (WEBHOOK_BOUNDARY, True),
        (None, False),
        (BOUNDARY, False),
        (f"{IAM}:policy/tenantlake-workflow-boundary", False),
        (f"{IAM}:policy/{ORGANIZATION}-dev-boundary", False),
        ("arn:aws:iam::aws:policy/AdministratorAccess", False),
        (f"arn:aws:iam::111122223333:policy/{ORGANIZATION}-prod-boundary", False),
    ],
)
def test_a_functions_role_gets_rights_under_the_functions_boundary_only(base, action, role, boundary, allowed):
    context = {} if boundary is None else {"iam:PermissionsBoundary": boundary}

    assert base.may("ExecutionRole", action, role, context) is allowed


@pytest.mark.parametrize("action", RIGHTS)
@pytest.mark.parametrize("role", [JOB, ANALYST])
def test_a_tenants_role_gets_no_rights_under_the_functions_boundary(base, action, role):
    assert not base.may("ExecutionRole", action, role, {"iam:PermissionsBoundary": FUNCTIONS_BOUNDARY})


@pytest.mark.parametrize(
    "role",
    [
        f"{IAM}:role/Administrator",
        f"{IAM}:role/{ORGANIZATION}-admin",
        f"{IAM}:role/{ORGANIZATION}-acme-dev-job",
        f"{IAM}:role/{ORGANIZATION}-acme-prod-jobs",
        f"{IAM}:role/other-acme-prod-job",
        f"{IAM}:role/tenantlake-deploy-write",
        f"{IAM}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}",
        f"{IAM}:user/jane",
        f"arn:aws:iam::111122223333:role/{ORGANIZATION}-acme-prod-job",
    ],
)
def test_it_makes_changes_passes_and_deletes_no_role_of_another_name(base: Base, role: str):
    actions = [*RIGHTS, "iam:DeleteRole", "iam:UpdateAssumeRolePolicy", "iam:AttachRolePolicy", "iam:TagRole"]
    passing = [
        service
        for service in ("glue", "lambda", "ec2", "cloudformation")
        if base.may("ExecutionRole", "iam:PassRole", role, {"iam:PassedToService": f"{service}.amazonaws.com"})
    ]

    assert [action for action in actions if base.may("ExecutionRole", action, role, OWN)] == []
    assert passing == []


@pytest.mark.parametrize(
    "role", [JOB, ANALYST, REGISTER, f"{IAM}:role/tenantlake-deploy-write", f"{IAM}:role/Administrator"]
)
def test_no_boundary_is_ever_removed(base: Base, role: str):
    assert not base.may("ExecutionRole", "iam:DeleteRolePermissionsBoundary", role, OWN)


@pytest.mark.parametrize(
    ("action", "name", "allowed"),
    [
        ("iam:DeleteRolePermissionsBoundary", JOB, False),
        ("iam:PutRolePolicy", f"{IAM}:role/tenantlake-deploy-write", False),
        ("iam:AttachRolePolicy", f"{IAM}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}", False),
        ("iam:CreatePolicyVersion", f"{IAM}:policy/tenantlake-execution-identity-{REGION}", False),
        ("iam:DeleteOpenIDConnectProvider", f"{IAM}:oidc-provider/token.actions.githubusercontent.com", False),
        ("iam:PutRolePolicy", f"{IAM}:role/anything-else", True),
    ],
)
def test_even_with_every_right_beside_its_own_it_removes_no_boundary_and_leaves_the_account_base(
    base: Base, action: str, name: str, allowed: bool
):
    free = base.with_more_rights("ExecutionRole", {"Effect": "Allow", "Action": "*", "Resource": "*"})

    assert free.may("ExecutionRole", action, name) is allowed


def test_roles_are_handed_to_the_service_that_plays_them_and_to_no_other(base: Base):
    def passed(role: str) -> list[str]:
        return [
            service
            for service in ("glue", "lambda", "ec2", "ecs-tasks", "cloudformation", "athena")
            if base.may("ExecutionRole", "iam:PassRole", role, {"iam:PassedToService": f"{service}.amazonaws.com"})
        ]

    assert passed(JOB) == ["glue"]
    assert passed(ANALYST) == []
    assert passed(REGISTER) == ["lambda"]


LONG = f"{IAM}:policy/{ORGANIZATION}-acme-prod-tenant-AccessAnalystRoleOverflowPolicy1CDF68893-X7Y8"


@pytest.mark.parametrize("action", ["iam:AttachRolePolicy", "iam:DetachRolePolicy"])
def test_a_tenants_role_takes_the_long_policies_of_tenants_stacks_and_none_of_aws(base: Base, action: str):
    """The CDK library makes one of what does not fit into the role: of a tenant with many datasets."""
    bounded = {"iam:PermissionsBoundary": BOUNDARY}
    administrator = {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"}

    assert base.may("ExecutionRole", action, ANALYST, {**bounded, "iam:PolicyARN": LONG})
    assert not base.may("ExecutionRole", action, ANALYST, {"iam:PolicyARN": LONG})
    for role in (JOB, ANALYST, REGISTER):
        assert not base.may("ExecutionRole", action, role, {**bounded, **administrator})
        assert not base.may("ExecutionRole", action, role, bounded)


def test_a_long_policy_is_made_and_deleted_as_a_boundary_is(base: Base):
    made = [
        "iam:CreatePolicy",
        "iam:CreatePolicyVersion",
        "iam:DeletePolicyVersion",
        "iam:DeletePolicy",
        "iam:GetPolicy",
    ]

    for policy in (LONG, BOUNDARY, FUNCTIONS_BOUNDARY, WEBHOOK_BOUNDARY):
        assert [action for action in made if base.may("ExecutionRole", action, policy)] == made


def test_a_tenant_with_many_datasets_has_policies_of_these_names(tmp_path: Path):
    names = ", ".join(f"{{name: dataset_number_{number:03d}_of_many, contract: orders}}" for number in range(70))
    registry = write_registry(tmp_path / "tenants")
    text = (registry / "tenants.yaml").read_text()
    (registry / "tenants.yaml").write_text(text.replace("datasets: [orders]", f"datasets: [{names}]", 1))

    resources = synthesise(tmp_path, registry, "prod")[f"{ORGANIZATION}-acme-prod-tenant"]["Resources"]

    own = {name: each["Properties"] for name, each in resources.items() if each["Type"] == "AWS::IAM::ManagedPolicy"}
    assert own.pop("AccessBoundaryPolicyE42724FE")["ManagedPolicyName"] == BOUNDARY.rpartition("/")[2]
    assert own, "expected a policy that did not fit"
    assert [name for name, each in own.items() if "ManagedPolicyName" in each] == [], (
        "CloudFormation names it: STACK-ID-…"
    )


def test_it_reads_and_writes_no_data(base: Base):
    objects = [f"arn:aws:s3:::{ORGANIZATION}-acme-prod-datalake/{key}" for key in ("raw/x.csv", "analytics-ready/x")]
    ledger = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{ORGANIZATION}-prod-ledger"
    reached = [
        (action, name)
        for actions, names in (
            (("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"), objects),
            (("dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem"), [ledger]),
            (("glue:StartJobRun",), [f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{ORGANIZATION}-acme-prod-maintain"]),
            (("lambda:InvokeFunction",), [OWN["lambda:FunctionArn"]]),
        )
        for action in actions
        for name in names
        if base.may("ExecutionRole", action, name, OWN)
    ]

    assert reached == []


def test_keys_are_made_with_the_lakes_tags_and_changed_where_they_carry_them(base: Base):
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"
    other = {**OWN, "aws:ResourceTag/organization": "othercompany", "aws:RequestTag/organization": "othercompany"}
    actions = ["kms:CreateKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:CreateGrant"]

    assert [action for action in actions if base.may("ExecutionRole", action, key, OWN)] == actions
    assert [action for action in actions if base.may("ExecutionRole", action, key, other)] == []
    assert [action for action in actions if base.may("ExecutionRole", action, key, {})] == []


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("s3:PutBucketPolicy", "arn:aws:s3:::othercompany-acme-prod-datalake"),
        ("s3:PutBucketPolicy", f"arn:aws:s3:::{ORGANIZATION}-website"),
        ("s3:PutBucketPolicy", f"arn:aws:s3:::{ORGANIZATION}-acme-dev-datalake"),
        ("s3:PutBucketPolicy", f"arn:aws:s3:::cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"),
        ("lambda:CreateFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:payroll"),
        ("lambda:CreateFunction", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{ORGANIZATION}-prod-register"),
        ("dynamodb:DeleteTable", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/orders"),
        ("glue:CreateJob", f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{ORGANIZATION}-acme-dev-maintain"),
        ("ec2:RunInstances", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/*"),
        ("iam:CreateUser", f"{IAM}:user/jane"),
        ("iam:CreateOpenIDConnectProvider", f"{IAM}:oidc-provider/evil.example"),
        ("iam:UpdateOpenIDConnectProviderThumbprint", f"{IAM}:oidc-provider/token.actions.githubusercontent.com"),
        ("iam:CreatePolicyVersion", f"{IAM}:policy/tenantlake-execution-identity-{REGION}"),
        ("iam:CreatePolicy", f"{IAM}:policy/{ORGANIZATION}-admin"),
        ("sts:AssumeRole", ANALYST),
        ("ssm:PutParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/cdk-bootstrap/hnb659fds/version"),
        ("organizations:LeaveOrganization", ANYWHERE),
    ],
)
def test_it_reaches_nothing_that_is_not_the_lakes(base: Base, action: str, name: str):
    assert not base.may("ExecutionRole", action, name, OWN)


def test_only_cloudformation_becomes_it(base: Base):
    (statement,) = base.role("ExecutionRole").trust.statements

    assert statement.principals is not None
    assert [(each.kind, each.name) for each in statement.principals] == [("Service", "cloudformation.amazonaws.com")]
