from cdk_app.queries import Queries
from cdk_app.values import SavedQuery


def queries(stack, site, *saved):
    return Queries(
        stack,
        "Queries",
        site=site,
        name="mycompany-acme-prod",
        state="ENABLED",
        bucket="mycompany-acme-prod-datalake",
        key_arn="arn:aws:kms:eu-central-1:777788889999:key/1",
        bytes_limit=10**11,
        query_role_arn="arn:aws:iam::777788889999:role/mycompany-acme-prod-analyst",
        database="mycompany_acme_prod",
        queries=saved,
    )


def test_results_stay_in_the_tenants_bucket_under_its_key_whatever_a_client_asks(stack, site, found):
    queries(stack, site)

    (workgroup,) = found(stack, "AWS::Athena::WorkGroup")
    configuration = workgroup["WorkGroupConfiguration"]
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["BytesScannedCutoffPerQuery"] == 100_000_000_000
    assert configuration["ResultConfiguration"] == {
        "OutputLocation": "s3://mycompany-acme-prod-datalake/athena-results/",
        "ExpectedBucketOwner": "777788889999",
        "EncryptionConfiguration": {
            "EncryptionOption": "SSE_KMS",
            "KmsKey": "arn:aws:kms:eu-central-1:777788889999:key/1",
        },
    }


def test_the_workgroup_names_the_role_that_its_queries_run_as(stack, site, found):
    queries(stack, site)

    (workgroup,) = found(stack, "AWS::Athena::WorkGroup")
    assert workgroup["Tags"] == [
        {"Key": "lake:query-role", "Value": "arn:aws:iam::777788889999:role/mycompany-acme-prod-analyst"}
    ]


def test_saved_queries_stand_in_the_workgroup_on_the_tenants_database(stack, site, found):
    queries(stack, site, SavedQuery(name="newest", description="The newest", sql="SELECT * FROM orders LIMIT 10"))

    (query,) = found(stack, "AWS::Athena::NamedQuery")
    assert query == {
        "Name": "newest",
        "Description": "The newest",
        "Database": "mycompany_acme_prod",
        "QueryString": "SELECT * FROM orders LIMIT 10",
        "WorkGroup": "mycompany-acme-prod",
    }
