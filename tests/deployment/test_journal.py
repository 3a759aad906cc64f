"""The record of a cell while a deploy is at work: never ahead of what stands, and in one hand."""

from dataclasses import replace

import boto3
import moto
import pytest

from deployment.errors import DeployError, Overtaken
from deployment.journal import Journal
from deployment.locks import Holder, Lock
from deployment.records import Recorded, RecordedOffboarding, Shelf
from lineage.bucket_owner import insisting

BUCKET, PLATFORM = "cdk-hnb659fds-assets-123456789012-us-east-1", "mycompany-prod-platform"


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        client = insisting(boto3.client("s3", region_name="us-east-1"), "123456789012")
        client.create_bucket(Bucket=BUCKET)
        yield client


class Clock:
    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


def begun(s3, **more):
    shelf, lock = Shelf(s3, BUCKET, PLATFORM), Lock(s3, BUCKET, PLATFORM, Holder("ada"))
    lock.take(above=shelf.read()[0].fence)
    return Journal(shelf, lock, **more)


def a_stack(name, digest="d1"):
    return Recorded(name, name, digest, "e1", "active", "2026-01-01T00:00:00+00:00", "deploy", "m1")


def on_the_shelf(s3):
    return {name: each.digest for name, each in Shelf(s3, BUCKET, PLATFORM).read()[0].stacks.items()}


def test_what_was_noted_is_written_now_and_then_and_in_the_end(s3):
    clock = Clock()
    journal = begun(s3, every=2, clock=clock)
    journal.note(a_stack("one"))
    assert on_the_shelf(s3) == {}

    clock.at = 2.0
    journal.note(a_stack("two"))
    assert on_the_shelf(s3) == {"one": "d1", "two": "d1"}

    journal.note(a_stack("three"))
    journal.write()
    assert set(on_the_shelf(s3)) == {"one", "two", "three"}


def test_before_a_stack_is_changed_the_record_no_longer_says_how_it_is(s3):
    journal = begun(s3)
    journal.note(a_stack("one"), a_stack("two"))
    journal.write()

    journal.doubt({"one": "one", "new": "globex"})

    found = Shelf(s3, BUCKET, PLATFORM).read()[0].stacks
    assert (found["one"].digest, found["one"].entries, found["one"].mould, found["one"].state) == (
        "",
        None,
        None,
        "active",
    )
    assert found["two"] == a_stack("two")
    assert found["new"].tenant == "globex"
    assert (found["new"].digest, found["new"].entries, found["new"].is_begun) == ("", None, True)


def test_a_stack_that_was_only_begun_has_not_stood(s3):
    journal = begun(s3)
    journal.note(a_stack("one"))

    journal.doubt({"one": "one", "new": "globex"})
    journal.doubt({"new": "globex"})  # by the next deploy, since the first one died

    record = Shelf(s3, BUCKET, PLATFORM).read()[0]
    assert [record.has_stood(name) for name in ("one", "new", "unknown")] == [True, False, False]
    journal.note(a_stack("new"))
    assert journal.known.has_stood("new")


def test_where_the_record_was_lost_all_that_stands_is_entered_as_not_known(s3):
    journal = begun(s3)
    journal.note(a_stack("one"))
    assert not journal.known.is_known

    journal.complete({"one": "acme", "two": "globex"})
    journal.write()

    record = Shelf(s3, BUCKET, PLATFORM).read()[0]
    assert (record.is_known, record.stacks["one"]) == (True, a_stack("one"))
    assert (record.stacks["two"].tenant, record.stacks["two"].digest, record.has_stood("two")) == ("globex", "", False)


def test_what_stands_no_more_is_taken_out(s3):
    journal = begun(s3)
    journal.note(a_stack("one"), a_stack("two"))
    journal.drop("one", "unknown")
    journal.write()

    assert on_the_shelf(s3) == {"two": "d1"}


def test_who_lost_the_lock_writes_nothing(s3):
    journal = begun(s3)
    journal.note(a_stack("one"))
    Lock(s3, BUCKET, PLATFORM, Holder("bob", None), lease=60)._write(
        journal.lock.held.__class__(9, "x", "bob", None, "", 60), journal.lock.etag
    )

    with pytest.raises(Overtaken, match="lock 9 is bob's"):
        journal.lock.beat()
    with pytest.raises(Overtaken):
        journal.write()
    assert on_the_shelf(s3) == {}


def test_a_record_of_a_later_version_is_not_written_over(s3):
    later = b'{"format": 3, "fence": 7, "stacks": [], "approvals": {}}'
    s3.put_object(Bucket=BUCKET, Key=f"deployments/{PLATFORM}/record.json", Body=later)

    with pytest.raises(DeployError, match=r"record.json: has format 3, and this version of lake knows 2, so a later"):
        begun(s3)

    assert s3.get_object(Bucket=BUCKET, Key=f"deployments/{PLATFORM}/record.json")["Body"].read() == later


def test_a_tenants_end_is_written_at_once_and_its_stack_is_entered_until_it_is_certified(s3):
    journal = begun(s3)
    journal.note(a_stack("one"), a_stack("two"))

    journal.offboard("acme", RecordedOffboarding("begun", "2026-01-02T00:00:00+00:00", "one"))
    assert on_the_shelf(s3) == {"one": "d1", "two": "d1"}
    assert not Shelf(s3, BUCKET, PLATFORM).read()[0].offboardings["acme"].is_certified

    journal.offboard("acme", RecordedOffboarding("certified", "2026-01-03T00:00:00+00:00", "one", "never", "c", "5f"))
    assert on_the_shelf(s3) == {"two": "d1"}
    assert Shelf(s3, BUCKET, PLATFORM).read()[0].offboardings["acme"].is_certified


def test_since_when_a_tenant_is_in_its_state_is_not_known_once_it_is_brought_to_another(s3):
    journal = begun(s3)
    journal.note(replace(a_stack("one"), since="2026-01-01"), replace(a_stack("two"), since="2026-01-01"))

    journal.doubt({"one": "one", "two": "two"}, states={"one": "active", "two": "suspended"})

    found = Shelf(s3, BUCKET, PLATFORM).read()[0].stacks
    assert (found["one"].since, found["two"].since) == ("2026-01-01", None)


def test_an_end_is_that_of_the_tenant_whose_stack_it_is(s3):
    journal = begun(s3)
    first = RecordedOffboarding("begun", "2026-01-02T00:00:00+00:00", "one", "after certificate", "c", "5f")
    journal.doubt({"one": "acme"})
    journal.offboard("acme", first)
    journal.offboard("acme", replace(first, state="certified"))
    assert journal.known.offboardings["acme"].life == 1

    journal.doubt({"one": "acme"}, lives={"one": 2})
    journal.offboard("acme", first)
    assert journal.known.offboardings["acme"].life == 2
    journal.offboard("acme", replace(first, state="certified"))
    assert journal.known.offboardings["acme"].life == 2
    assert "one" not in journal.known.stacks

    journal.complete({"one": "acme"})
    journal.offboard("acme", first)
    assert journal.known.offboardings["acme"].life == 3
