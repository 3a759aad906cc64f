import os

from cli.connection import connect


def test_another_environment_is_asked_in_its_own_region_not_in_the_persons_default(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "sa-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")

    connection = connect("dev")

    assert connection.environment.region == "eu-central-1"
    assert {os.environ["AWS_REGION"], os.environ["AWS_DEFAULT_REGION"]} == {"eu-central-1"}


def test_a_client_of_s3_takes_no_bucket_but_the_environments_accounts(dev, s3_calls):
    before = s3_calls.careful

    assert dev.connection.is_deployed("acme") in {True, False}
    assert s3_calls.careful == before + 1
