"""What holds for the templates of all stacks together."""

import json

import pytest

from cdk_app.guardrails import findings
from tests.templates import agreed_of

STATEFUL = {
    "mycompany-prod-platform": {
        "AWS::KMS::Key": ["PlatformKey1C4A1A63"],
        "AWS::DynamoDB::Table": ["LedgerTable9343E4AA"],
        "AWS::S3::Bucket": ["Code5B760EEF"],
    },
    "mycompany-acme-prod-tenant": {
        "AWS::KMS::Key": ["TenantKey28C6FA36"],
        "AWS::S3::Bucket": ["Lake5F1B88EA"],
        "AWS::Glue::Database": ["CatalogDatabaseE63956BB"],
    },
}
# What has a name of its own.
NAMED = {
    "mycompany-prod-platform": [
        "AlertsFailedJobs75083892",
        "AlertsTopicCF7C81C9",
        "ArrivalsDeadLettersA8145CD2",
        "ArrivalsQueueC4D3E9A9",
        "ChatWebhookFunction0B1256B2",
        "ChatWebhookRole283E0F17",
        "ControlPlaneClockEC5CE55C",
        "ControlPlaneDaily171AE44D",
        "ControlPlaneDispatchFunction2F644EA0",
        "ControlPlaneDispatchRoleE1BFA78B",
        "ControlPlaneJobEnds025AEA3D",
        "ControlPlaneReconcileFunction9454D23F",
        "ControlPlaneReconcileRole6D50E08D",
        "ControlPlaneRegisterFunction83EFB2FE",
        "ControlPlaneRegisterRoleFD163119",
    ],
    "mycompany-acme-prod-tenant": [
        "AccessAnalystRoleE067322C",
        "AccessJobRoleA905BD0D",
        "AlertsTopicCF7C81C9",
        "ArrivalRuleFC11DB1A",
        "JobsMaintain9F9A1410",
        "JobsProcessedToAnalytics439768B6",
        "JobsRawToProcessed3536A6BE",
    ],
}


def resources(template, kind):
    return {name: each for name, each in template["Resources"].items() if each["Type"] == kind}


def tenants(templates):
    return {name: template for name, template in templates.items() if name.endswith("-tenant")}


def test_there_is_one_stack_per_tenant_and_one_that_they_share(prod):
    assert set(prod) == {
        "mycompany-prod-platform",
        "mycompany-acme-prod-tenant",
        "mycompany-acme-eu-prod-tenant",
    }


@pytest.mark.parametrize("environment", ["local", "prod"])
def test_every_resource_is_encrypted_private_tagged_and_pinned(environment, request):
    for name, template in request.getfixturevalue(environment).items():
        assert findings(name, template, agreed_of(environment)[name]) == []


@pytest.mark.parametrize("stack", sorted(STATEFUL))
def test_logical_ids_of_what_holds_data_never_change(prod, stack):
    assert {kind: list(resources(prod[stack], kind)) for kind in STATEFUL[stack]} == STATEFUL[stack]


def test_what_holds_data_outlives_its_stack_unless_the_environment_says_otherwise(prod, local):
    kinds = {"AWS::KMS::Key", "AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Logs::LogGroup", "AWS::Glue::Database"}

    def policies(templates):
        return {
            (each["DeletionPolicy"], each["UpdateReplacePolicy"])
            for template in templates.values()
            for each in template["Resources"].values()
            if each["Type"] in kinds
        }

    assert policies(prod) == {("RetainExceptOnCreate", "Retain")}
    assert policies(local) == {("Delete", "Delete")}


def test_no_tenants_template_names_another_tenant(prod_with_globex):
    acme = json.dumps(prod_with_globex["mycompany-acme-prod-tenant"])
    acme_eu = json.dumps(prod_with_globex["mycompany-acme-eu-prod-tenant"])

    assert "acme-eu" not in acme
    assert "acme_eu" not in acme
    assert "globex" not in acme + acme_eu
    assert "mycompany-acme-prod" not in acme_eu
    assert "T#acme#" not in acme_eu


def test_the_platforms_template_names_no_tenant(prod_with_globex):
    platform = json.dumps(prod_with_globex["mycompany-prod-platform"])

    assert "acme" not in platform
    assert "globex" not in platform


def test_adding_a_tenant_changes_no_other_template(prod, prod_with_globex):
    assert {name: prod_with_globex[name] for name in prod} == prod
    assert set(prod_with_globex) - set(prod) == {"mycompany-globex-prod-tenant"}


def test_tenants_of_the_same_shape_differ_in_values_only(prod_with_globex):
    acme = json.dumps(prod_with_globex["mycompany-acme-prod-tenant"])
    globex = json.dumps(prod_with_globex["mycompany-globex-prod-tenant"])

    assert acme.replace("data@acme.example", "it@globex.example").replace("acme", "globex") == globex


def test_all_tenants_run_the_same_objects_of_code(prod):
    places = {
        (job["Properties"]["Command"]["ScriptLocation"], job["Properties"]["DefaultArguments"]["--extra-py-files"])
        for template in tenants(prod).values()
        for job in resources(template, "AWS::Glue::Job").values()
    }

    assert len(places) == 3
    assert all(script.startswith("s3://mycompany-prod-platform-code/") for script, _ in places)


def test_a_suspended_tenants_workgroup_is_disabled_and_its_rule_goes_on(prod):
    template = prod["mycompany-acme-eu-prod-tenant"]

    (workgroup,) = resources(template, "AWS::Athena::WorkGroup").values()
    (rule,) = resources(template, "AWS::Events::Rule").values()
    assert workgroup["Properties"]["State"] == "DISABLED"
    assert rule["Properties"].get("State", "ENABLED") == "ENABLED"


def expiries(template):
    """Days by zone, and of versions that were replaced."""
    (bucket,) = resources(template, "AWS::S3::Bucket").values()
    rules = {each["Id"]: each for each in bucket["Properties"]["LifecycleConfiguration"]["Rules"]}
    replaced = rules.pop("leftovers")["NoncurrentVersionExpiration"]["NoncurrentDays"]
    return {zone: rule["ExpirationInDays"] for zone, rule in rules.items()} | {"replaced": replaced}


def test_of_a_suspended_tenant_nothing_expires_that_may_still_wait(prod):
    """acme-eu keeps raw files for 7 days when it is active: a file that is HELD longer would be lost."""
    usual = {"raw": 90, "processed": 365, "quarantine": 30, "athena-results": 7, "replaced": 30}

    assert expiries(prod["mycompany-acme-prod-tenant"]) == usual
    assert expiries(prod["mycompany-acme-eu-prod-tenant"]) == usual | {
        "raw": 36500,
        "processed": 36500,
        "replaced": 36500,
    }


def test_roles_of_a_suspended_tenant_are_denied_everything_and_those_of_others_nothing_by_it(prod):
    denied = {}
    for name, template in tenants(prod).items():
        (boundary,) = resources(template, "AWS::IAM::ManagedPolicy").values()
        statements = boundary["Properties"]["PolicyDocument"]["Statement"]
        (denied[name],) = (each["Condition"] for each in statements if each["Sid"] == "Suspended")

    assert denied == {
        "mycompany-acme-prod-tenant": {"StringEquals": {"aws:PrincipalAccount": "none"}},
        "mycompany-acme-eu-prod-tenant": {"StringEquals": {"aws:PrincipalAccount": "777788889999"}},
    }


def test_values_of_a_tenant_reach_its_template(prod):
    template = prod["mycompany-acme-eu-prod-tenant"]

    (bucket,) = resources(template, "AWS::S3::Bucket").values()
    days = {
        rule.get("Prefix"): rule.get("ExpirationInDays")
        for rule in bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    }
    assert days["quarantine/"] == 30
    workers = {
        job["Properties"]["Name"]: (job["Properties"]["WorkerType"], job["Properties"]["NumberOfWorkers"])
        for job in resources(template, "AWS::Glue::Job").values()
    }
    assert workers == {
        "mycompany-acme-eu-prod-raw-to-processed": ("G.2X", 10),
        "mycompany-acme-eu-prod-processed-to-analytics": ("G.2X", 10),
        "mycompany-acme-eu-prod-maintain": ("G.2X", 2),
    }
    (workgroup,) = resources(template, "AWS::Athena::WorkGroup").values()
    assert workgroup["Properties"]["WorkGroupConfiguration"]["BytesScannedCutoffPerQuery"] == 10**12


def test_a_query_that_two_datasets_bring_goes_under_each_datasets_name(prod):
    def names(template):
        return sorted(each["Properties"]["Name"] for each in resources(template, "AWS::Athena::NamedQuery").values())

    assert names(prod["mycompany-acme-prod-tenant"]) == ["newest"]
    assert names(prod["mycompany-acme-eu-prod-tenant"]) == ["orders_newest", "returns_newest"]


def test_an_environment_without_a_webhook_has_no_function_for_it(local, prod):
    def functions(templates, stack):
        return {each["Properties"]["Handler"] for each in resources(templates[stack], "AWS::Lambda::Function").values()}

    assert "ingestion.webhook.handler" in functions(prod, "mycompany-prod-platform")
    assert "ingestion.webhook.handler" not in functions(local, "mycompany-local-platform")


@pytest.mark.parametrize("stack", sorted(NAMED))
def test_logical_ids_of_what_has_a_name_never_change(prod, stack):
    """CloudFormation would make the new one first, and find the name taken."""
    kinds = ("Events::Rule", "SNS::Topic", "Lambda::Function", "SQS::Queue", "IAM::Role", "Glue::Job")

    assert sorted(name for kind in kinds for name in resources(prod[stack], f"AWS::{kind}")) == NAMED[stack]


def test_everything_of_a_tenant_carries_its_tag(prod):
    template = prod["mycompany-acme-prod-tenant"]

    for name, each in template["Resources"].items():
        tags = each.get("Properties", {}).get("Tags")
        if tags is not None:
            found = tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
            assert found["tenant"] == "acme", name


def test_services_that_may_act_here_are_these(prod):
    services = set()

    def collect(value):
        if isinstance(value, dict):
            principal = value.get("Principal")
            if isinstance(principal, dict) and "Service" in principal:
                services.add(principal["Service"])
            for each in value.values():
                collect(each)
        elif isinstance(value, list):
            for each in value:
                collect(each)

    for template in prod.values():
        collect(template["Resources"])

    assert services == {
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
        "glue.amazonaws.com",
        "lambda.amazonaws.com",
        "logs.eu-central-1.amazonaws.com",
    }


def test_policies_of_a_role_stay_far_below_what_iam_takes(prod):
    for template in prod.values():
        for policy in resources(template, "AWS::IAM::Policy").values():
            assert len(json.dumps(policy["Properties"]["PolicyDocument"], separators=(",", ":"))) < 8_000


def test_a_tenants_template_fits_into_the_call(prod):
    for template in tenants(prod).values():
        assert len(json.dumps(template, separators=(",", ":"))) < 51_200 - 1_000
