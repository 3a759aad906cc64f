"""A deploy drives a file through the platform's own tenant before it goes on; on a local cloud with a real run."""

import json

import pytest

from cli.exit_codes import ExitCode
from tests.cli.test_deploy import ENVIRONMENTS, GLOBEX, PROJECT, TENANTS, Lake

PROBE = """  - id: probe
    name: The platform itself
    owner: data@mycompany.example
    datasets: [{name: canary, max_wait: 0}]
"""
WITH_CANARY = ENVIRONMENTS.replace("local: {", "local: {canary: probe, ")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("canary"))
    contract = (PROJECT / "tenants" / "contracts" / "canary.yaml").read_text()
    (made.tenants / "contracts" / "canary.yaml").write_text(contract)
    (made.tenants / "environments.yaml").write_text(WITH_CANARY)
    made.write(TENANTS + PROBE)
    started = made("up", "--spares", "0")
    assert started.code == 0, started.err
    yield made
    made("down")


def left_in_bucket(lake):
    return lake.run(
        "import boto3, json; answer = boto3.client('s3').list_object_versions(Bucket='mycompany-probe-local-datalake');"
        "print(json.dumps(sorted({each['Key'].split('/')[0] for name in ('Versions', 'DeleteMarkers')"
        " for each in answer.get(name, [])})))"
    )


@pytest.mark.cloud
@pytest.mark.spark
def test_the_file_comes_first_is_asked_for_and_leaves_nothing_but_the_table(lake):
    done = lake("deploy", "--json")

    assert done.code == 0, done.err
    assert [(each["stack"], each["action"]) for each in done.json] == [
        ("mycompany-local-platform", "created"),
        ("file of the canary", "driven"),
        ("mycompany-acme-local-tenant", "created"),
        ("mycompany-probe-local-tenant", "created"),
    ]
    said = done.err
    assert (
        said.index("probe-local-tenant: created") < said.index("queryable") < said.index("acme-local-tenant: creating")
    )
    assert left_in_bucket(lake) == ["analytics-ready", "athena-results"]
    rows = json.loads(lake("query", "probe", "select line, doubled from canary order by line", "--json").out)
    assert rows == [{"line": 1, "doubled": "2.50"}, {"line": 2, "doubled": "5.00"}, {"line": 3, "doubled": "8.00"}]


@pytest.mark.cloud
@pytest.mark.spark
def test_with_the_same_stacks_no_second_file_is_driven(lake):
    lake.write(TENANTS + PROBE + GLOBEX)
    assert lake("deploy", "--json").actions["mycompany-globex-local-tenant"] in {"created", "unchanged"}

    again = lake("deploy", "--json")
    assert "file of the canary" not in again.actions


@pytest.mark.cloud
@pytest.mark.spark
def test_if_no_file_comes_through_no_other_tenant_is_touched_and_the_next_deploy_tries_again(lake):
    assert lake("deploy").code == 0
    assert lake("hold", "probe", "--reason", "a trial").code == 0
    later = "    retention: {raw: 7 days}\n"
    lake.write(TENANTS + later + PROBE + later)

    failed = lake("deploy", "acme", "probe", "--json")

    assert failed.code == ExitCode.FAILED
    assert failed.actions == {
        "mycompany-local-platform": "unchanged",
        "file of the canary": "failed",
        "mycompany-acme-local-tenant": "not begun",
        "mycompany-probe-local-tenant": "updated",
    }
    assert "lake: canary tenant probe is held since" in failed.err


@pytest.mark.slow
@pytest.mark.cloud
@pytest.mark.spark
def test_once_the_reason_is_mended_the_next_deploy_drives_the_file_and_goes_on(lake):
    assert lake("release", "probe").code == 0
    done = lake("deploy", "acme", "probe", "--json")
    assert (done.actions["file of the canary"], done.actions["mycompany-acme-local-tenant"]) == ("driven", "updated")
