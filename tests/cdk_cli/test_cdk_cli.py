"""The CDK command line reads a stamped assembly as it reads its own: lists it, compares it, deploys it."""

import os

import boto3
import pytest

from cdk_app.stamping import stamp
from local_cloud import supervisor
from tenants.registry import load
from tests.cdk_cli.cdk import cdk
from tests.templates import write_registry

VARIABLES = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
TENANT, PLATFORM = "mycompany-acme-local-tenant", "mycompany-local-platform"
# The emulator knows no named queries; `lake deploy` leaves them out there, and nobody tells the CDK command line.
QUERIES = """customProperties:
  - property: lake.queries
    value:
      - {name: newest, description: The newest orders, sql: "SELECT * FROM {table} LIMIT 10"}
"""
CELLS = """  prod: {account: "777788889999", region: eu-central-1, notification: platform@mycompany.example,
         cells: {b: {account: "777788880000", region: eu-west-1}},
"""


@pytest.fixture(scope="module")
def stamped(tmp_path_factory):
    """Stamps an environment; the tenants of local and of two cells of prod."""
    home = tmp_path_factory.mktemp("stamped")
    registry = write_registry(home / "tenants")
    change(registry / "contracts" / "orders.yaml", QUERIES, "")
    first = '  prod: {account: "777788889999", region: eu-central-1, notification: platform@mycompany.example,\n'
    change(registry / "environments.yaml", first, CELLS)
    change(registry / "tenants.yaml", "    state: suspended\n", "    state: suspended\n    cells: {prod: b}\n")

    def of(environment):
        folder = home / environment
        failures = stamp(
            lambda: load(registry), environment, folder, cache=home / "cache", sources="s", variables=VARIABLES
        )
        assert failures == {}
        return str(folder)

    return of


def change(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """The variables of a local cloud that was made ready for the CDK command line, as `cdk bootstrap` does."""
    home = tmp_path_factory.mktemp("cloud")
    variables = supervisor.start(home, spares=0).environment()
    options = {
        "endpoint_url": variables["AWS_ENDPOINT_URL"],
        "verify": variables["AWS_CA_BUNDLE"],
        "region_name": "us-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    parameter = {"Name": "/cdk-bootstrap/hnb659fds/version", "Value": "30", "Type": "String"}
    boto3.client("ssm", **options).put_parameter(**parameter)
    boto3.client("s3", **options).create_bucket(Bucket="cdk-hnb659fds-assets-000000000000-us-east-1")
    yield variables
    supervisor.stop(home)


def test_it_lists_the_stacks_of_all_cells_in_the_order_in_which_they_have_to_stand(stamped, tmp_path):
    listed = cdk("--app", stamped("prod"), "ls", home=tmp_path)

    assert (listed.code, listed.out.splitlines()) == (
        0,
        [
            "mycompany-prod-platform",
            "mycompany-acme-prod-tenant",
            "mycompany-prod-platform-b",
            "mycompany-acme-eu-prod-tenant",
        ],
    ), listed.err


@pytest.mark.cloud
def test_it_deploys_them_finds_no_difference_then_and_deploys_nothing_again(stamped, cloud, tmp_path):
    assembly = stamped("local")

    def deploy():
        options = ("--exclusively", "--require-approval", "never", "--method", "direct")
        return cdk("--app", assembly, "deploy", *options, PLATFORM, TENANT, home=tmp_path, variables=cloud)

    before = cdk("--app", assembly, "diff", "--method=template", TENANT, home=tmp_path, variables=cloud)
    first, second = deploy(), deploy()
    after = cdk("--app", assembly, "diff", "--method=template", TENANT, home=tmp_path, variables=cloud)

    assert [each.code for each in (before, first, second, after)] == [0, 0, 0, 0], (first, second)
    assert "AWS::S3::Bucket" in before.out + before.err
    assert (first.out + first.err).count("✅") == 2
    assert (second.out + second.err).count("(no changes)") == 2
    assert "Number of stacks with differences: 0" in after.out + after.err
