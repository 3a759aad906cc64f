import json
from datetime import UTC, datetime, timedelta

import pytest

from cli.errors import WrongInput
from cli.exit_codes import ExitCode
from cli.replay import gone_from, moment
from lineage.values import Member
from tests.cli.account import FIRST, SECOND


def states(dev):
    return {each.key: (str(each.state), each.epoch) for each in dev.connection.ledger.files("acme")}


def test_a_replay_opens_a_done_file_again_under_its_next_epoch(dev):
    key = dev.arrive("a.csv")
    dev.process()

    answer = dev.lake("replay", "acme", "--file", key, "--force", "--json")

    assert [(each["key"], each["action"], each["epoch"]) for each in json.loads(answer.stdout)] == [
        (key, "replayed", 1)
    ]
    assert states(dev) == {key: ("RECEIVED", 1)}


def test_a_second_replay_finds_the_file_waiting(dev):
    key = dev.arrive("a.csv")
    dev.process()
    dev.lake("replay", "acme", "--file", key, "--force")

    answer = dev.lake("replay", "acme", "--file", key, "--force")

    assert answer.exit_code == ExitCode.OK
    assert "0 files replayed; 1 left: already waiting for replay (1)" in answer.stderr
    assert states(dev) == {key: ("RECEIVED", 1)}


def test_a_named_file_that_cannot_be_replayed_alone_is_a_failure_and_one_with_nothing_to_do_is_none(dev, monkeypatch):
    key, other = dev.arrive("a.csv"), dev.arrive("b.csv")
    dev.process()
    monkeypatch.setattr("lineage.values.DatasetEntry.is_plain", True)

    alone = dev.lake("replay", "acme", "--file", key, "--force")
    together = dev.lake("replay", "acme", "--dataset", "transactions", "--force")
    again = dev.lake("replay", "acme", "--file", other)

    assert (alone.exit_code, together.exit_code, again.exit_code) == (ExitCode.FAILED, ExitCode.OK, ExitCode.OK)
    assert f"{key}: not replayed: format parquet is append-only" in alone.stderr


def test_a_dry_run_names_the_files_and_changes_nothing(dev):
    key = dev.arrive("a.csv")
    dev.process()
    before = states(dev)

    answer = dev.lake("replay", "acme", "--dataset", "transactions", "--force", "--dry-run")

    assert key in answer.stdout
    assert "1 file would be replayed" in answer.stderr
    assert states(dev) == before


def test_a_files_full_address_is_as_good_as_its_key(dev):
    key = dev.arrive("a.csv")
    dev.process()

    answer = dev.lake("replay", "acme", "--file", f"s3://mycompany-acme-dev-datalake/{key}", "--force")

    assert "1 file replayed" in answer.stderr


def test_what_is_on_its_way_is_left_alone(dev):
    dev.arrive("a.csv")

    answer = dev.lake("replay", "acme", "--dataset", "transactions")

    assert "1 left: in flight" in answer.stderr


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--file", "raw/a", "--unrouted"),
        ("--dataset", "transactions", "--unrouted"),
        ("--since", "2024-09-20", "--version", "v1"),
        ("--since", "yesterday"),
    ],
)
def test_what_is_meant_has_to_be_said_once(dev, options):
    assert dev.lake("replay", "acme", *options).exit_code == ExitCode.INPUT


def test_an_unknown_file_is_not_found(dev):
    assert dev.lake("replay", "acme", "--file", "raw/none.csv").exit_code == ExitCode.NOT_FOUND


def test_a_file_that_the_second_job_gave_up_and_that_is_gone_is_taken_on_from_what_was_made_of_it(dev):
    key = dev.arrive("a.csv")  # nothing of it is in the bucket
    dev.process(gives_up=SECOND)
    assert states(dev) == {key: ("FAILED", 0)}

    dev.lake("replay", "acme", "--file", key, "--force")

    ledger = dev.connection.ledger
    waiting = {job: len(ledger.waiting("acme", "transactions", job)) for job in (FIRST, SECOND)}
    assert waiting == {FIRST: 0, SECOND: 1}


def test_gone_is_a_version_that_was_deleted_or_a_key_that_is_hidden_or_overwritten(dev):
    s3, bucket = dev.connection.client("s3"), dev.connection.names("acme").bucket
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first, second = (s3.put_object(Bucket=bucket, Key="raw/a", Body=body) for body in (b"1", b"2"))
    s3.put_object(Bucket=bucket, Key="raw/a.csv", Body=b"1")
    is_gone = gone_from(dev.connection, "acme")

    def gone(put, *, versions=True, key="raw/a"):
        known = {"version": put["VersionId"] if versions else None, "etag": put["ETag"].strip('"')}
        return is_gone(Member(key=key, fid="f", ver="v", size=1, arrived_at=datetime.now(UTC), **known))

    assert (gone(first), gone(second), gone(first, key="raw/")) == (False, False, True)
    assert (gone(first, versions=False), gone(second, versions=False)) == (True, False)
    s3.delete_object(Bucket=bucket, Key="raw/a")
    assert (gone(first), gone(second, versions=False)) == (False, True)
    s3.delete_object(Bucket=bucket, Key="raw/a", VersionId=first["VersionId"])
    assert gone(first)


def test_a_time_is_a_date_a_moment_or_how_long_ago():
    assert moment("2024-09-20") == datetime(2024, 9, 20, tzinfo=UTC)
    assert moment("2024-09-20T14:30+02:00") == datetime(2024, 9, 20, 12, 30, tzinfo=UTC)
    assert abs(moment("2 hours ago") - (datetime.now(UTC) - timedelta(hours=2))) < timedelta(seconds=5)
    with pytest.raises(WrongInput, match="expected such as"):
        moment("soon")


def test_a_replay_of_a_held_tenant_says_what_it_waits_for(dev):
    key = dev.arrive("a.csv")
    dev.process()
    dev.lake("hold", "acme", "--reason", "audit")

    answer = dev.lake("replay", "acme", "--file", key, "--force")

    assert "lake release acme -e dev" in answer.stderr


def test_a_replay_of_a_held_tenant_is_not_waited_for(dev):
    key = dev.arrive("a.csv")
    dev.process()
    dev.lake("hold", "acme", "--reason", "audit")

    answer = dev.lake("replay", "acme", "--file", key, "--force", "--wait", "--timeout", 2)

    assert answer.exit_code == ExitCode.FAILED
    assert "acme is held" in answer.stderr
    assert "lake release acme -e dev" in answer.stderr
    assert "after 2 s" not in answer.stderr
