import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from cli.errors import CloudIsDown, NotFound, WrongInput, explain
from cli.exit_codes import ExitCode


def refusal(code, message="no", **more):
    return ClientError({"Error": {"Code": code, "Message": message, **more}, "ResponseMetadata": {}}, "PutObject")


def test_a_stopped_cloud_says_how_to_start_it():
    assert explain(CloudIsDown()) == ("local cloud is not running: start it with `lake up`", ExitCode.FAILED)


def test_wrong_input_and_unknown_things_have_their_codes():
    assert explain(WrongInput("no")) == ("no", ExitCode.INPUT)
    assert explain(NotFound("no tenant 'x'")) == ("no tenant 'x'", ExitCode.NOT_FOUND)


def test_the_registrys_errors_keep_their_words():
    from tenants.errors import NotFound as NoTenant
    from tenants.errors import Problem, RegistryError

    assert explain(NoTenant("tenant", "x", ["acme"])) == ("no tenant 'x'; known: acme", ExitCode.NOT_FOUND)
    text, code = explain(RegistryError([Problem("tenants.yaml", 3, "tenants[acme].onwer", "unknown key")]))
    assert (text, code) == ("tenants.yaml:3: tenants[acme].onwer: unknown key", ExitCode.INPUT)


def test_a_refusal_of_aws_names_the_call_the_thing_and_what_to_do():
    text, code = explain(refusal("NoSuchBucket", "does not exist", BucketName="mycompany-acme-local-datalake"))

    assert text == (
        "AWS refused PutObject on mycompany-acme-local-datalake: NoSuchBucket: does not exist; "
        "the tenant is not deployed: run `lake deploy`"
    )
    assert code == ExitCode.FAILED


def test_an_endpoint_that_does_not_answer_points_to_the_status():
    text, _ = explain(EndpointConnectionError(endpoint_url="https://127.0.0.1:1"))

    assert text.startswith("AWS does not answer: Could not connect to the endpoint URL")
    assert "lake status" in text


def test_missing_credentials_say_how_to_get_some():
    assert "aws sso login" in explain(NoCredentialsError())[0]


def test_ctrl_c_ends_with_130():
    assert explain(KeyboardInterrupt())[1] == ExitCode.INTERRUPTED


def test_a_full_disk_says_so():
    assert (
        explain(OSError(28, "No space left on device", "data.csv"))[0]
        == "data.csv: the disk is full: free some space and try again"
    )


def test_the_traceback_is_shown_on_demand(monkeypatch):
    monkeypatch.setenv("LAKE_DEBUG", "1")
    with pytest.raises(WrongInput) as raised:
        raise WrongInput("no")

    text, _ = explain(raised.value)

    assert text.startswith("Traceback")
    assert text.endswith("no")
