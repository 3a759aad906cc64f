"""What holds for the templates of all stacks together."""

import json

import pytest

from cdk_app.guardrails import findings

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
        assert findings(name, template) == []


@pytest.mark.parametrize("stack", sorted(STATEFUL))
def test_logical_ids_of_what_holds_data_never_change(prod, stack):
    assert {kind: list(resources(prod[stack], kind)) for kind in STATEFUL[stack]} == STATEFUL[stack]


def test_what_holds_data_outlives_its_stack_unless_the_environment_says_otherwise(prod, local):
    kinds = {"AWS::KMS::Key", "AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Logs::LogGroup"}

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

    assert acme.replace("acme", "globex") == globex


def test_all_tenants_run_the_same_objects_of_code(prod):
    places = {
        (job["Properties"]["Command"]["ScriptLocation"], job["Properties"]["DefaultArguments"]["--extra-py-files"])
        for template in tenants(prod).values()
        for job in resources(template, "AWS::Glue::Job").values()
    }

    assert len(places) == 2
    assert all(script.startswith("s3://mycompany-prod-platform-code/") for script, _ in places)


def test_a_suspended_tenants_workgroup_is_disabled_and_its_rule_goes_on(prod):
    template = prod["mycompany-acme-eu-prod-tenant"]

    (workgroup,) = resources(template, "AWS::Athena::WorkGroup").values()
    (rule,) = resources(template, "AWS::Events::Rule").values()
    assert workgroup["Properties"]["State"] == "DISABLED"
    assert rule["Properties"].get("State", "ENABLED") == "ENABLED"


def test_values_of_a_tenant_reach_its_template(prod):
    template = prod["mycompany-acme-eu-prod-tenant"]

    (bucket,) = resources(template, "AWS::S3::Bucket").values()
    days = {
        rule.get("Prefix"): rule.get("ExpirationInDays")
        for rule in bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    }
    assert (days["raw/"], days["processed/"]) == (7, 365)
    for job in resources(template, "AWS::Glue::Job").values():
        assert job["Properties"]["WorkerType"] == "G.2X"
        assert job["Properties"]["NumberOfWorkers"] == 10
    (workgroup,) = resources(template, "AWS::Athena::WorkGroup").values()
    assert workgroup["Properties"]["WorkGroupConfiguration"]["BytesScannedCutoffPerQuery"] == 10**12


def test_a_query_that_two_datasets_bring_goes_under_each_datasets_name(prod):
    def names(template):
        return sorted(each["Properties"]["Name"] for each in resources(template, "AWS::Athena::NamedQuery").values())

    assert names(prod["mycompany-acme-prod-tenant"]) == ["newest"]
    assert names(prod["mycompany-acme-eu-prod-tenant"]) == ["orders_newest", "returns_newest"]


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
