"""`lake drift` against a local cloud of its own, whose resources are changed behind their stacks' backs."""

import pytest

from cli.exit_codes import ExitCode
from tests.cli.test_deploy import GLOBEX, TENANTS, Lake

PLATFORM, ACME, GLOBEX_STACK = (
    "mycompany-local-platform",
    "mycompany-acme-local-tenant",
    "mycompany-globex-local-tenant",
)
CHANGE = """
import boto3
logs, iam = boto3.client("logs"), boto3.client("iam")
iam.update_role(RoleName="mycompany-acme-local-job", Description="mine now")
groups = [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"] if "acme" in each["logGroupName"]]
logs.delete_log_group(logGroupName=groups[0])
print("{}")
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Two tenants, deployed, and nothing checked yet."""
    made = Lake(tmp_path_factory.mktemp("drift"))
    made.write(TENANTS + GLOBEX)
    started = made("up", "--spares", "0")
    assert started.code == 0, started.err
    deployed = made("deploy")
    assert deployed.code == 0, deployed.err
    yield made
    made("down")


def findings(answer):
    (cell,) = answer.json
    return {each["stack"]: each for each in cell["findings"]}


@pytest.mark.cloud
def test_stacks_have_their_turn_one_after_the_other_and_drift_is_told_by_property(lake):
    nothing = lake("drift", "--last", "--json")
    first = lake("drift", "--number", "1", "--json")
    second = lake("drift", "--number", "2", "--json")

    assert (nothing.code, findings(nothing)) == (0, {})
    assert first.json[0]["checked_now"] == [ACME]
    assert sorted(second.json[0]["checked_now"]) == [GLOBEX_STACK, PLATFORM]
    assert {each["status"] for each in findings(second).values()} == {"IN_SYNC"}
    assert second.code == 0

    lake.run(CHANGE)
    third = lake("drift", "--number", "1", "--json")

    assert third.code == ExitCode.CHANGES
    assert third.json[0]["checked_now"] == [ACME]
    drifted = findings(third)[ACME]
    assert drifted["status"] == "DRIFTED"
    assert [(each["type"], each["status"]) for each in drifted["resources"]] == [
        ("AWS::IAM::Role", "MODIFIED"),
        ("AWS::Logs::LogGroup", "DELETED"),
    ]
    assert drifted["resources"][0]["differences"] == [
        {"path": "/Description", "expected": "Jobs of acme", "actual": "mine now", "kind": "NOT_EQUAL"}
    ]

    shown = lake("drift", "--last")

    assert shown.code == ExitCode.CHANGES
    header, role, group = shown.out.splitlines()
    assert header.split("\t") == ["stack", "resource", "type", "status", "property", "expected", "actual"]
    assert role.split("\t")[2:] == ["AWS::IAM::Role", "MODIFIED", "/Description", "Jobs of acme", "mine now"]
    assert group.split("\t")[2:4] == ["AWS::Logs::LogGroup", "DELETED"]
    assert "0 stacks checked now, 3 of 3 ever" in shown.err
    assert "1 drifted" in shown.err
    assert "the local cloud compares fewer types" in shown.err


@pytest.mark.cloud
def test_tenants_that_are_named_are_checked_at_once_and_unknown_ones_refused(lake):
    one = lake("drift", "globex", "--json")
    unknown = lake("drift", "hooli")

    assert one.json[0]["checked_now"] == [GLOBEX_STACK]
    assert list(findings(one)) == [GLOBEX_STACK]
    assert unknown.code == ExitCode.NOT_FOUND
    assert "hooli" in unknown.err


@pytest.mark.cloud
def test_a_tenant_that_is_not_deployed_yet_is_no_failure(lake):
    lake.write(TENANTS + GLOBEX + GLOBEX.replace("globex", "initech").replace("Globex", "Initech"))

    answer = lake("drift", "initech")

    assert answer.code == 0, answer.err
    assert "mycompany-initech-local-tenant: " in answer.err
    assert "does not exist" in answer.err


@pytest.mark.cloud
def test_a_stack_that_a_deploy_has_brought_about_and_somebody_deleted_is_drift(lake):
    """Runs last of those in the cloud."""
    lake.run(
        "import boto3; boto3.client('cloudformation').delete_stack(StackName='mycompany-globex-local-tenant'); print('{}')"
    )

    answer = lake("drift", "globex")
    told = lake("drift", "globex", "--last", "--json")

    assert answer.code == ExitCode.CHANGES, answer.err
    assert answer.out.splitlines()[1].split("\t")[:4] == [GLOBEX_STACK, "", "AWS::CloudFormation::Stack", "DELETED"]
    assert "1 drifted" in answer.err
    assert (told.code, told.json[0]["gone"]) == (ExitCode.CHANGES, [GLOBEX_STACK])


def test_a_tenant_whose_end_has_begun_is_left_out_unless_it_is_named(dev, capsys):
    import boto3

    from cli.connection import connect
    from cli.drift import chosen
    from deployment.records import Record, RecordedOffboarding, Shelf

    connection = connect("dev")
    place, s3 = connection.environment, connection.client("s3")
    bucket = f"cdk-hnb659fds-assets-{place.account}-{place.region}"
    boto3.client("s3", region_name=place.region).create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": place.region}
    )
    begun = RecordedOffboarding("begun", "2026-11-21T12:00:00+00:00", "mycompany-acme-dev-tenant")
    certified = RecordedOffboarding(
        "certified", "2026-11-21T12:00:00+00:00", "mycompany-skyline-dev-tenant", certificate="c.json", sha256="0" * 64
    )
    record = Record().offboarding("acme", begun).offboarding("skyline", certified)
    Shelf(s3, bucket, "mycompany-dev-platform").write(record, None, 1)

    ((_, stacks),) = chosen("dev", [])
    ((_, named),) = chosen("dev", ["acme"])

    assert stacks == ["mycompany-dev-platform", "mycompany-skyline-dev-tenant", "mycompany-bookshop-dev-tenant"]
    assert named == ["mycompany-acme-dev-tenant"]
    assert "left out, since they are being offboarded: acme" in capsys.readouterr().err


def test_what_was_found_before_an_interruption_is_kept(dev, monkeypatch):
    import boto3

    from cli import drift
    from cli.connection import connect
    from deployment.drift import Detection, Finding

    connection = connect("dev")
    place = connection.environment
    boto3.client("s3", region_name=place.region).create_bucket(
        Bucket=f"cdk-hnb659fds-assets-{place.account}-{place.region}",
        CreateBucketConfiguration={"LocationConstraint": place.region},
    )

    def interrupted(_detection, stacks, done):
        done(Finding(stacks[0], "2026-11-21T12:00:00", "IN_SYNC"))
        raise KeyboardInterrupt

    monkeypatch.setattr(Detection, "run", interrupted)

    with pytest.raises(KeyboardInterrupt):
        drift.Rotation(connection, ["a", "b"]).go(2)

    assert list(drift.Rotation(connection, ["a", "b"]).known) == ["a"]
