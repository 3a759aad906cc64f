import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.athena.conftest import Lake, bucket_of, workgroup_of

pytestmark = pytest.mark.cloud


def test_an_enforcing_workgroup_ignores_the_clients_location(lake: Lake):
    execution = lake.run("SELECT 1", ResultConfiguration={"OutputLocation": f"s3://{bucket_of('acme')}/somewhere/"})

    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location.startswith(f"s3://{bucket_of('acme')}/athena-results/")


def test_a_workgroup_that_does_not_enforce_lets_the_client_choose(lake: Lake):
    wanted = f"s3://{bucket_of('acme')}/chosen/"

    execution = lake.run("SELECT 1", workgroup="org-acme-test-free", ResultConfiguration={"OutputLocation": wanted})

    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location == f"{wanted}{execution['QueryExecutionId']}.csv"


def test_a_disabled_workgroup_runs_nothing(lake: Lake):
    lake.root("athena").create_work_group(
        Name="org-acme-test-off", Tags=[{"Key": "lake:query-role", "Value": "arn:aws:iam::000000000000:role/x"}]
    )
    lake.root("athena").update_work_group(WorkGroup="org-acme-test-off", State="DISABLED")

    with pytest.raises(ClientError, match="is disabled") as caught:
        lake.start("SELECT 1", workgroup="org-acme-test-off")

    assert caught.value.response["Error"]["Code"] == "InvalidRequestException"


def test_an_unknown_workgroup_is_an_invalid_request(lake: Lake):
    with pytest.raises(ClientError, match="is not found") as caught:
        lake.start("SELECT 1", workgroup="org-acme-test-nowhere")

    assert caught.value.response["Error"]["Code"] == "InvalidRequestException"


def test_a_workgroup_without_a_query_role_says_what_is_missing(lake: Lake):
    with pytest.raises(ClientError, match="lake:query-role"):
        lake.start("SELECT 1", workgroup="org-acme-test-untagged")


def test_the_primary_workgroup_runs_nothing(lake: Lake):
    with pytest.raises(ClientError, match="has no query role"):
        lake.athena("root").start_query_execution(QueryString="SELECT 1")


def test_a_query_beyond_the_bytes_limit_is_cancelled_before_it_reads(lake: Lake):
    lake.put("acme", "big/data.csv", b"1\n" * 6_000_000)
    lake.rows(f"CREATE EXTERNAL TABLE big (x string) STORED AS TEXTFILE LOCATION 's3://{bucket_of('acme')}/big/'")

    refused = lake.run("SELECT count(*) FROM big", workgroup="org-acme-test-small")
    allowed = lake.run("SELECT count(*) FROM transactions", workgroup="org-acme-test-small")

    assert refused["Status"]["State"] == "CANCELLED"
    assert "Bytes scanned limit was exceeded" in refused["Status"]["StateChangeReason"]
    assert allowed["Status"]["State"] == "SUCCEEDED"


def test_a_caller_needs_the_right_in_the_workgroup_it_names(lake: Lake):
    with pytest.raises(ClientError) as caught:
        lake.start("SELECT 1", "globex", workgroup=workgroup_of("acme"))

    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert lake.rows("SELECT 1", "globex") == [["1"]]
