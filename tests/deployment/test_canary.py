"""The driven file, and for which stacks it is known that one came through."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import boto3
import moto
import pytest
import yaml

from cli.options import PROJECT
from deployment.canary import Drive, Proof, state_of
from deployment.records import Recorded
from lineage.bucket_owner import insisting

BUCKET = "cdk-hnb659fds-assets-123456789012-us-east-1"
DRIVE = Drive("0123456789ab", datetime(2026, 1, 1, 12, tzinfo=UTC))


@pytest.fixture
def proof(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        client = insisting(boto3.client("s3", region_name="us-east-1"), "123456789012")
        client.create_bucket(Bucket=BUCKET)
        yield Proof(client, BUCKET, "mycompany-prod-platform")


def stands(digest="d", entries="e", at="2026-01-01"):
    return Recorded("mycompany-canary-prod-tenant", "canary", digest, entries, "active", at, "deploy")


def test_the_file_has_the_columns_of_its_contract_and_the_answer_is_their_sum():
    contract = yaml.safe_load((PROJECT / "tenants" / "contracts" / "canary.yaml").read_text())
    given = [each["name"] for each in contract["schema"][0]["properties"] if "transformLogic" not in each]
    rows = list(csv.DictReader(io.StringIO(DRIVE.body.decode())))

    assert list(rows[0]) == given
    assert {row["drive"] for row in rows} == {"0123456789ab"}
    assert DRIVE.answer == (str(len(rows)), str(sum(2 * Decimal(row["amount"]) for row in rows)))
    assert DRIVE.key == "raw/canary/0123456789ab.csv"


def test_a_proof_holds_for_the_stacks_that_it_was_made_with_and_no_others(proof):
    state = state_of([stands()])
    assert not proof.holds_for(state)

    proof.write(state, DRIVE)
    assert proof.holds_for(state)
    assert proof.holds_for(state_of([stands(at="2027-01-01")]))
    assert not proof.holds_for(state_of([stands(digest="another")]))
    assert not proof.holds_for(state_of([stands(entries="others")]))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'"x"', b"\xff"])
def test_a_proof_that_cannot_be_read_proves_nothing(proof, body):
    proof.s3.put_object(Bucket=BUCKET, Key=proof.key, Body=body)

    assert not proof.holds_for("x")
