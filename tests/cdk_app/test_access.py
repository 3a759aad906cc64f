import pytest

from cdk_app.access import Access, Reach
from cdk_app.values import TenantValues
from tenants.naming import TenantNames
from tenants.registry import load
from tests.templates import write_registry

BUCKET = "arn:aws:s3:::mycompany-acme-prod-datalake"
WORKGROUP = "arn:aws:athena:eu-central-1:777788889999:workgroup/mycompany-acme-prod"
ATHENA_CATALOG = "arn:aws:athena:eu-central-1:777788889999:datacatalog/AwsDataCatalog"
LEDGER = "arn:aws:dynamodb:eu-central-1:777788889999:table/mycompany-prod-ledger"


def values(denied_account="none"):
    return TenantValues(
        tenant="acme",
        owner="data@acme.example",
        names=TenantNames("mycompany", "acme", "prod"),
        raw_days=90,
        processed_days=365,
        quarantine_days=30,
        old_version_days=30,
        workers=2,
        worker_type="G.1X",
        max_concurrent_runs=2,
        query_bytes_limit=10**11,
        daily_bytes_alarm=10**12,
        workgroup_state="ENABLED",
        denied_account=denied_account,
        datasets=("orders",),
        queries=(),
    )


@pytest.fixture
def access(stack, site):
    key = "arn:aws:kms:eu-central-1:777788889999:key"
    reach = Reach(site=site, values=values(), key_arn=f"{key}/acme", platform_key_arn=f"{key}/platform")
    return Access(stack, "Access", reach=reach)


@pytest.fixture
def statements(access, stack, found):
    """Statements of a role's own policy by Sid."""

    def of(role):
        (policy,) = [each for each in found(stack, "AWS::IAM::Policy") if role in each["PolicyName"]]
        return {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}

    return of


def roles(stack, found):
    return {each["RoleName"]: each for each in found(stack, "AWS::IAM::Role")}


def listed(value):
    return value if isinstance(value, list) else [value]


def test_both_roles_stay_within_the_tenants_boundary(access, stack, found):
    (boundary,) = found(stack, "AWS::IAM::ManagedPolicy")

    assert boundary["ManagedPolicyName"] == "mycompany-acme-prod-boundary"
    assert set(roles(stack, found)) == {"mycompany-acme-prod-job", "mycompany-acme-prod-analyst"}
    assert all("BoundaryPolicy" in str(role["PermissionsBoundary"]) for role in roles(stack, found).values())


@pytest.fixture
def boundary(access, stack, found):
    (policy,) = found(stack, "AWS::IAM::ManagedPolicy")
    return {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}


def test_the_boundary_allows_nothing_but_the_tenants_own_things_and_shared_code_and_ledger(boundary):
    reached = {sid: listed(each["Resource"]) for sid, each in boundary.items() if each["Effect"] == "Allow"}

    assert reached["Bucket"] == [BUCKET]
    assert reached["Objects"] == [f"{BUCKET}/*"]
    assert reached["Key"] == ["arn:aws:kms:eu-central-1:777788889999:key/acme"]
    assert reached["Workgroup"] == [WORKGROUP]
    assert reached["CatalogShown"] == [ATHENA_CATALOG]
    assert [sid for sid, resources in reached.items() if resources == ["*"]] == ["Metrics"]


@pytest.mark.parametrize(
    ("state", "account"), [("active", "none"), ("suspended", "777788889999"), ("offboarding", "777788889999")]
)
def test_a_tenant_that_is_not_active_is_denied_everything_in_its_cells_account(tmp_path, state, account):
    registry = load(write_registry(tmp_path / "tenants"))
    tenant = registry.tenant("acme").model_copy(update={"state": state})

    assert TenantValues.of(tenant, registry, "prod").denied_account == account


def test_the_denial_of_everything_is_in_every_boundary_and_meets_the_account_that_it_is_given(boundary):
    assert boundary["Suspended"] == {
        "Sid": "Suspended",
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": "none"}},
    }


def test_the_boundary_lists_its_actions(boundary):
    """`s3:*` on the own bucket would be its policy, `athena:*` on the own workgroup what it enforces."""
    actions = {action for each in boundary.values() if each["Effect"] == "Allow" for action in listed(each["Action"])}

    assert {action for action in actions if "*" in action} == {"kms:GenerateDataKey*", "kms:ReEncrypt*"}
    assert not actions & {"s3:PutBucketPolicy", "s3:PutObjectAcl", "athena:UpdateWorkGroup", "glue:UpdateDatabase"}


def test_the_boundary_is_no_narrower_than_what_the_roles_are_given(boundary, statements):
    most = {action for each in boundary.values() if each["Effect"] == "Allow" for action in listed(each["Action"])}
    given = {
        action
        for role in ("Job", "Analyst")
        for each in statements(role).values()
        if each["Effect"] == "Allow"
        for action in listed(each["Action"])
    }

    assert given == most


def test_no_role_of_a_tenant_asks_in_a_workgroup_that_is_not_its_own_whatever_it_is_given(boundary):
    denial = boundary["OtherWorkgroups"]

    assert (denial["Effect"], denial["Action"]) == ("Deny", "athena:*")
    assert denial["NotResource"] == [WORKGROUP, ATHENA_CATALOG]
    assert "Condition" not in denial


def test_no_role_of_a_tenant_reaches_a_bucket_of_another_account_whatever_its_name(boundary):
    """Spark's S3A and Iceberg cannot name the owner that they expect: this says it for them."""
    denial = boundary["OtherAccounts"]

    assert (denial["Effect"], denial["Action"], denial["Resource"]) == ("Deny", "s3:*", "*")
    assert denial["Condition"] == {"StringNotEquals": {"s3:ResourceAccount": "777788889999"}}


def test_no_role_of_a_tenant_calls_anything_without_tls(boundary):
    denial = boundary["PlainText"]

    assert (denial["Effect"], denial["Action"], denial["Resource"]) == ("Deny", "*", "*")
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_boundary_fits_into_a_managed_policy(access, stack, found):
    (boundary,) = found(stack, "AWS::IAM::ManagedPolicy")

    assert len(str(boundary["PolicyDocument"]).replace(" ", "")) < 6_144


def test_jobs_are_assumed_by_glue_for_this_account_only(access, stack, found):
    (trust,) = roles(stack, found)["mycompany-acme-prod-job"]["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Principal"] == {"Service": "glue.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "777788889999"},
        "ArnLike": {"aws:SourceArn": "arn:aws:glue:eu-central-1:777788889999:*"},
    }


def test_a_job_reads_and_writes_its_zones_and_deletes_only_files_of_tables(statements):
    job = statements("Job")

    assert job["Objects"]["Resource"] == [
        f"{BUCKET}/{zone}/*" for zone in ("analytics-ready", "processed", "quarantine", "raw")
    ]
    assert job["Outputs"]["Resource"] == [
        f"{BUCKET}/{zone}/*" for zone in ("analytics-ready", "processed", "quarantine")
    ]
    assert job["TableFiles"]["Action"] == "s3:DeleteObject"
    assert job["TableFiles"]["Resource"] == f"{BUCKET}/analytics-ready/*"


def test_a_job_reaches_its_own_rows_of_the_ledger_and_no_request_without_a_key(statements):
    job = statements("Job")

    assert job["OwnRows"]["Resource"] == LEDGER
    assert job["OwnRows"]["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["T#acme#*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    assert not {"dynamodb:Scan", "dynamodb:PartiQLSelect"} & set(job["OwnRows"]["Action"])


def test_a_job_cannot_change_what_the_platform_says_about_its_tenant(statements):
    denial = statements("Job")["OwnDescription"]

    assert denial["Effect"] == "Deny"
    assert "dynamodb:PutItem" in denial["Action"]
    assert denial["Condition"] == {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["T#acme#META*"]}}


def test_a_job_uses_the_platforms_key_only_through_the_table_and_the_code(statements):
    job = statements("Job")

    assert job["LedgerKey"]["Condition"]["StringEquals"] == {"kms:ViaService": ["dynamodb.eu-central-1.amazonaws.com"]}
    assert job["CodeKey"]["Action"] == "kms:Decrypt"
    assert job["CodeKey"]["Condition"]["StringEquals"] == {"kms:ViaService": ["s3.eu-central-1.amazonaws.com"]}


def test_no_role_passes_roles_or_writes_code(statements):
    for role in ("Job", "Analyst"):
        for statement in statements(role).values():
            actions = listed(statement["Action"])
            assert not [action for action in actions if action.startswith(("iam:", "sts:"))]
            if "platform-code" in str(statement["Resource"]):
                assert actions == ["s3:GetObject"]


def test_an_analyst_reads_tables_and_refused_rows_but_no_raw_file(statements):
    analyst = statements("Analyst")

    assert analyst["Objects"]["Resource"] == [
        f"{BUCKET}/{zone}/*" for zone in ("analytics-ready", "athena-results", "quarantine")
    ]
    assert analyst["Results"]["Resource"] == f"{BUCKET}/athena-results/*"
    assert "dynamodb" not in str(analyst)


def test_an_analyst_asks_in_the_tenants_workgroup_only(statements):
    assert statements("Analyst")["Sql"]["Resource"] == WORKGROUP


def test_an_analyst_makes_views_but_cannot_change_the_tables_of_datasets(statements):
    analyst = statements("Analyst")

    table = "arn:aws:glue:eu-central-1:777788889999:table/mycompany_acme_prod"
    assert "glue:CreateTable" in analyst["Catalog"]["Action"]
    assert analyst["DatasetTables"]["Effect"] == "Deny"
    assert {"glue:DeleteTable", "glue:UpdateTable"} <= set(analyst["DatasetTables"]["Action"])
    assert analyst["DatasetTables"]["Resource"] == [f"{table}/orders", f"{table}/orders_quarantine"]


def test_every_pattern_ends_at_a_character_that_no_tenant_id_holds(statements):
    """`acme*` would also match what belongs to `acme-eu`."""
    for role in ("Job", "Analyst"):
        text = str(statements(role))
        assert "acme*" not in text
        assert "acme-*" not in text
