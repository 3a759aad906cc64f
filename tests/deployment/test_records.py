"""Records under conditional writes: against the emulator, and against a bucket that loses answers."""

import hashlib
import io
import json
from dataclasses import replace

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from deployment.errors import BootstrapError, DeployError, Overtaken
from deployment.records import Record, Recorded, RecordedOffboarding, Shelf, bucket_of
from lineage.bucket_owner import insisting

ACCOUNT, REGION = "000000000000", "us-east-1"
PLATFORM = "mycompany-prod-platform"


def acme(digest="d1", **more):
    facts = {
        "stack": "mycompany-acme-prod-tenant",
        "tenant": "acme",
        "digest": digest,
        "entries": "e1",
        "state": "active",
        "at": "2026-11-21T10:00:00+00:00",
        "deploy": "one",
    }
    return Recorded(**{**facts, **more})


def refusal(code, status):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


WRONG_WHOSE = json.dumps([{**vars(acme()), "whose": 5}]).encode()[:-1]
WRONG = json.dumps([{**vars(acme()), "digest": 5}]).encode()[:-1]


class Bucket:
    """S3's conditional writes of one object. `lost`: how many of the next answers do not arrive, though it is written;
    a client like boto3 then sends the same request again."""

    def __init__(self):
        self.body, self.etag, self.writes, self.lost, self.conflicts = None, None, 0, 0, 0
        self.beside = {}
        """Other objects, by key."""

    def get_object(self, Bucket, Key):
        body = self.beside.get(Key, self.body)
        if body is None:
            raise refusal("NoSuchKey", 404)
        return {"Body": io.BytesIO(body), "ETag": self.etag}

    def get_paginator(self, _operation):
        return self

    def paginate(self, Bucket, Prefix):
        keys = [key for key in self.beside if key.startswith(Prefix)]
        return [{"Contents": [{"Key": key}]} for key in keys] or [{}]

    def put_object(self, *, Bucket, Key, Body, ContentType, IfMatch=None, IfNoneMatch=None):
        if self.conflicts:
            self.conflicts -= 1
            raise refusal("ConditionalRequestConflict", 409)
        if IfMatch is not None and self.body is None:
            raise refusal("NoSuchKey", 404)
        if (IfNoneMatch == "*" and self.body is not None) or (IfMatch is not None and self.etag != IfMatch):
            raise refusal("PreconditionFailed", 412)
        self.body, self.etag = Body, hashlib.md5(Body).hexdigest()
        self.writes += 1
        if self.lost:
            self.lost -= 1
            again = {"IfMatch": IfMatch, "IfNoneMatch": IfNoneMatch}
            return self.put_object(Bucket=Bucket, Key=Key, Body=Body, ContentType=ContentType, **again)
        return {"ETag": self.etag}


@pytest.fixture
def bucket():
    return Bucket()


@pytest.fixture
def shelf(bucket):
    return Shelf(bucket, bucket_of(ACCOUNT, REGION), PLATFORM)


def test_a_record_is_read_as_it_was_written(shelf):
    nothing, etag = shelf.read()
    assert (nothing.is_known, nothing.unread, etag) == (False, "is not there yet", None)

    shelf.write(nothing.having(acme(mould="m1", life=2, whose="w")).whole(), etag, fence=3)

    found, _ = shelf.read()
    assert found == Record({"mycompany-acme-prod-tenant": acme(mould="m1", life=2, whose="w")}, fence=3)
    assert found.is_known


def test_whoever_read_before_another_wrote_is_overtaken_and_changes_nothing(shelf):
    record, etag = shelf.read()
    shelf.write(record.having(acme("mine")), etag, fence=1)

    with pytest.raises(Overtaken, match=r"s3://cdk-hnb659fds-assets-000000000000-us-east-1/deployments/mycompany-prod"):
        shelf.write(record.having(acme("theirs")), etag, fence=1)
    assert shelf.read()[0].stacks["mycompany-acme-prod-tenant"].digest == "mine"


def test_who_lost_the_lock_cannot_write_even_what_it_has_just_read(shelf):
    record, etag = shelf.read()
    shelf.write(record.having(acme()), etag, fence=7)

    record, etag = shelf.read()
    with pytest.raises(Overtaken, match="under lock 7, and this deploy holds 6"):
        shelf.write(record.having(acme("late")), etag, fence=6)


def test_an_answer_that_was_lost_is_no_other_deploys_write(shelf, bucket):
    record, etag = shelf.read()
    bucket.lost = 1

    etag = shelf.write(record.having(acme()), etag, fence=1)

    assert (etag, bucket.writes) == (bucket.etag, 1)


def test_a_conflict_of_two_writes_at_once_is_tried_again(shelf, bucket):
    record, etag = shelf.read()
    bucket.conflicts = 2

    shelf.write(record.having(acme()), etag, fence=1)

    assert bucket.writes == 1


def test_a_record_that_was_deleted_meanwhile_is_not_written_as_if_it_stood(shelf, bucket):
    record, etag = shelf.read()
    etag = shelf.write(record.having(acme()), etag, fence=1)
    bucket.body = None

    with pytest.raises(Overtaken):
        shelf.write(record.having(acme("d2")), etag, fence=1)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"format": 1, "fence": 0, "stacks": [{"stack": "x"}]}', "cannot be read"),
        (b'{"format": 1, "fence": 0, "stacks": ' + WRONG + b"]}", "cannot be read"),
        (b'{"format": 2, "fence": 0, "offboardings": {}, "stacks": ' + WRONG_WHOSE + b"]}", "cannot be read"),
        (b'{"format": 2, "fence": 0, "stacks": []}', "cannot be read"),
        (b'{"format": 2, "fence": 0, "stacks": [], "offboardings": []}', "cannot be read"),
        (b'{"format": 2, "fence": 0, "stacks": [], "offboardings": {"acme": {"state": "done"}}}', "cannot be read"),
        (b'{"format": 3, "fence": 0, "stacks": []}', "has format 3, and this version of lake knows 2"),
    ],
)
def test_what_cannot_be_read_is_as_good_as_nothing_and_can_be_written_over(shelf, bucket, body, why):
    bucket.body, bucket.etag = body, "e"

    record, etag = shelf.read()
    assert (record.is_known, dict(record.stacks), etag) == (False, {}, "e")
    assert why in record.unread

    shelf.write(record.having(acme()).whole(), etag, fence=1)
    assert shelf.read()[0].is_known


def test_what_is_written_of_a_lost_record_is_not_taken_for_all_there_is(shelf, bucket):
    record, etag = shelf.read()
    begun = RecordedOffboarding("begun", "2026-11-21T10:00:00+00:00", "mycompany-initech-prod-tenant")
    etag = shelf.write(record.having(acme()).offboarding("initech", begun), etag, fence=1)

    record, etag = shelf.read()
    assert (record.is_known, record.unread) == (False, "was lost, and is not whole since")
    assert (dict(record.stacks), dict(record.offboardings)) == (
        {"mycompany-acme-prod-tenant": acme()},
        {"initech": begun},
    )
    shelf.write(record.lacking("unknown").whole(), etag, fence=1)
    assert shelf.read()[0] == Record({"mycompany-acme-prod-tenant": acme()}, 1, {"initech": begun})


def test_how_far_offboardings_are_outlasts_what_later_deploys_write(shelf):
    begun = RecordedOffboarding("begun", "2026-11-21T10:00:00+00:00", "mycompany-acme-prod-tenant")
    certified = RecordedOffboarding(
        "certified", "2026-11-22T10:00:00+00:00", "mycompany-initech-prod-tenant", "after certificate", "c.json", "5f"
    )
    etag = shelf.write(Record().offboarding("acme", begun).offboarding("initech", certified), None, fence=1)

    record, etag = shelf.read()
    shelf.write(record.having(acme()).lacking("mycompany-acme-prod-tenant"), etag, fence=2)

    assert shelf.read()[0] == Record({}, 2, {"acme": begun, "initech": certified})


ENDS = f"deployments/{PLATFORM}/offboarding"


def a_paper(**more):
    facts = {"stack": "mycompany-acme-prod-tenant", "reuse": "never", "at": "2026-11-21T10:00:00+00:00"}
    return json.dumps({**facts, **more}).encode()


@pytest.mark.parametrize("body", [None, b"not JSON"])
def test_where_the_record_is_lost_the_ends_of_tenants_are_read_from_what_they_have_put_down(shelf, bucket, body):
    bucket.body, bucket.etag = body, body and "e"
    certificate = a_paper(at="2026-11-25T10:00:00+00:00", life=3)
    bucket.beside = {
        f"{ENDS}/acme/lock.json": b"{}",
        f"{ENDS}/acme/1/intent.json": a_paper(),
        f"{ENDS}/acme/1/ledger/intent.json": b"[]",
        f"{ENDS}/initech/2/intent.json": a_paper(),
        f"{ENDS}/initech/2/certificate.json": certificate,
        f"{ENDS}/initech/1/intent.json": a_paper(reuse="after certificate"),
        f"{ENDS}/initech/10/intent.json": a_paper(reuse="after certificate", life=3),
        f"{ENDS}/initech/10/certificate.json": certificate,
        "deployments/mycompany-prod-platform-b/offboarding/globex/1/intent.json": a_paper(),
    }

    record, etag = shelf.read()

    stack, sha256 = "mycompany-acme-prod-tenant", hashlib.sha256(certificate).hexdigest()
    assert dict(record.offboardings) == {
        "acme": RecordedOffboarding(
            "begun", "2026-11-21T10:00:00+00:00", stack, certificate=f"{ENDS}/acme/1/certificate.json"
        ),
        "initech": RecordedOffboarding(
            "certified", "2026-11-25T10:00:00+00:00", stack, "never", f"{ENDS}/initech/10/certificate.json", sha256, 3
        ),
    }
    shelf.write(record.having(acme()), etag, fence=1)
    bucket.beside.clear()
    assert shelf.read()[0].offboardings == record.offboardings


def test_what_an_offboarding_has_put_down_and_nobody_can_read_stops_every_deploy(shelf, bucket):
    bucket.beside = {f"{ENDS}/acme/1/intent.json": b"{"}

    with pytest.raises(DeployError, match=r"offboarding/acme/1/intent.json: cannot be read \(JSONDecodeError"):
        shelf.read()


def test_a_record_that_does_not_say_since_when_means_since_its_row_was_written(bucket, shelf):
    row = {name: value for name, value in vars(acme()).items() if name not in {"since", "updated", "is_begun"}}
    begun = {**row, "stack": "mycompany-new-prod-tenant", "state": None, "digest": "", "is_begun": True}
    bucket.body, bucket.etag = json.dumps({"format": 1, "fence": 3, "stacks": [row, begun]}).encode(), "e"

    record, _ = shelf.read()

    assert (record.is_known, record.fence, dict(record.offboardings)) == (True, 3, {})
    assert record.stacks["mycompany-acme-prod-tenant"].since == "2026-11-21T10:00:00+00:00"
    assert record.stacks["mycompany-new-prod-tenant"].since is None


def test_ten_thousand_stacks_are_a_record_of_a_few_megabytes():
    rows = [
        acme("d" * 32, stack=f"mycompany-tenant{n}-prod-tenant", mould="m" * 16, since=acme().at) for n in range(10_000)
    ]

    assert len(Record().having(*rows).text()) < 4_000_000


class Deploys(RuleBasedStateMachine):
    """Two deploys write the same record; each knows only what it has read or written itself."""

    def __init__(self):
        super().__init__()
        self.bucket = Bucket()
        self.shelf = Shelf(self.bucket, "assets", PLATFORM)
        self.seen = {}
        self.number, self.written, self.highest = 0, [], 0

    @rule(who=st.sampled_from("ab"))
    def read(self, who):
        self.seen[who] = self.shelf.read()

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), fence=st.integers(1, 4), lost=st.integers(0, 2), conflicts=st.integers(0, 2))
    def write(self, data, fence, lost, conflicts):
        who = data.draw(st.sampled_from(sorted(self.seen)))
        record, etag = self.seen[who]
        self.number += 1
        self.bucket.lost, self.bucket.conflicts = lost, conflicts
        is_current = etag == self.bucket.etag
        try:
            etag = self.shelf.write(record.having(acme(f"d{self.number}")), etag, fence)
        except Overtaken:
            assert not is_current or record.fence > fence
        else:
            assert is_current
            assert fence >= self.highest
            self.highest = fence
            self.written.append(f"d{self.number}")
            self.seen[who] = (replace(record.having(acme(f"d{self.number}")), fence=fence), etag)
        self.bucket.lost = self.bucket.conflicts = 0

    @invariant()
    def what_lies_there_is_the_last_write_that_was_said_to_have_succeeded(self):
        if self.written:
            assert json.loads(self.bucket.body)["stacks"][0]["digest"] == self.written[-1]


Deploys.TestCase.settings = settings(max_examples=150, stateful_step_count=20, deadline=None)
TestDeploys = Deploys.TestCase


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    from local_cloud import emulator, ports, tls
    from local_cloud.state import Folders

    folders = Folders(tmp_path_factory.mktemp("emulator"))
    folders.make()
    material = tls.ensure(folders.tls)
    started = emulator.start(folders, material, ports.choose(None, set()), {})
    client = boto3.client(
        "s3",
        endpoint_url=started.endpoint,
        verify=str(material.ca),
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    yield insisting(client, ACCOUNT)
    client.close()  # the emulator waits for open connections before it ends
    started.stop()


@pytest.mark.cloud
def test_the_emulator_keeps_the_conditions_too(s3):
    shelf = Shelf(s3, bucket_of(ACCOUNT, REGION), PLATFORM)
    with pytest.raises(
        BootstrapError, match=r"cdk-hnb659fds-assets-000000000000-us-east-1: does not exist; prepare the account"
    ):
        shelf.read()
    with pytest.raises(BootstrapError):
        shelf.write(Record(), None, fence=1)
    s3.create_bucket(Bucket=shelf.bucket)

    record, etag = shelf.read()
    record = record.whole()
    first = shelf.write(record.having(acme()), etag, fence=1)
    with pytest.raises(Overtaken):
        shelf.write(record.having(acme("d2")), None, fence=1)
    second = shelf.write(record.having(acme("d2")), first, fence=1)
    with pytest.raises(Overtaken):
        shelf.write(record.having(acme("d3")), first, fence=1)

    assert shelf.read() == (Record({"mycompany-acme-prod-tenant": acme("d2")}, 1), second)
