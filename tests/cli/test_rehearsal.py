"""Rehearsals: another environment than `local`, with its own account's number, played in the local cloud."""

import json

import pytest

from cli.connection import Connection, connect, is_rehearsal
from cli.errors import WrongInput
from tenants.registry import load
from tests.cli.test_deploy import TENANTS, Lake

ENVIRONMENTS = """
environments:
  local: {account: "000000000000", region: us-east-1, removal_policy: destroy, termination_protection: false}
  dev:
    account: "111122223333"
    region: eu-central-1
    notification: data-platform@mycompany.example
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("rehearsal"))
    (made.tenants / "environments.yaml").write_text(ENVIRONMENTS)
    made.write(TENANTS)
    answer = made("up", "--spares", "0")
    assert answer.code == 0, answer.err
    yield made
    made("down")


@pytest.fixture
def rehearsal(lake, monkeypatch):
    """The command line with the variable of a rehearsal set, and nobody logged in."""
    monkeypatch.setenv("LAKE_REHEARSAL", "1")
    return lake


@pytest.mark.cloud
def test_an_environment_is_deployed_under_its_own_account_and_region_and_nothing_is_left_to_do(rehearsal):
    deployed = rehearsal("deploy", "-e", "dev")
    again = rehearsal("plan", "-e", "dev", "--refresh", "--json")

    assert deployed.code == 0, deployed.err
    assert "rehearsal: environment dev is played in the local cloud, no account is asked" in deployed.err
    (cell,) = json.loads(again.out)["cells"]
    assert (cell["account"], cell["region"], cell["changes"]) == ("111122223333", "eu-central-1", [])


@pytest.mark.cloud
def test_the_environment_local_beside_it_is_another_account_and_knows_nothing_of_it(rehearsal):
    assert rehearsal("deploy", "-e", "dev").code == 0

    assert json.loads(rehearsal("plan", "--json").out)["counts"]["create"] == 2


@pytest.mark.cloud
@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"])
def test_whoever_is_logged_in_to_an_account_is_asked_which_of_the_two_is_meant(rehearsal, monkeypatch, variable):
    monkeypatch.setenv("LAKE_HOME", str(rehearsal.home))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://sts.eu-central-1.amazonaws.com")
    monkeypatch.setenv(variable, "somebody")

    with pytest.raises(WrongInput, match=f"LAKE_REHEARSAL=1, and {variable} is set.*unset LAKE_REHEARSAL if"):
        connect("dev")


def test_without_the_variable_no_other_environment_is_of_the_local_cloud(monkeypatch):
    monkeypatch.delenv("LAKE_REHEARSAL", raising=False)
    registry = load()

    assert Connection(registry, registry.environment("local")).is_local
    assert not Connection(registry, registry.environment("dev")).is_local


@pytest.mark.parametrize("said", ["0", "yes", "true", "1 "])
def test_anything_but_1_is_refused_since_nobody_knows_what_it_means(monkeypatch, said):
    monkeypatch.setenv("LAKE_REHEARSAL", said)

    with pytest.raises(WrongInput, match=f"LAKE_REHEARSAL={said}: expected 1"):
        is_rehearsal()
