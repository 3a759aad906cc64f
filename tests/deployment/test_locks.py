"""The lock of a cell: one holder at a time, numbers that grow, and no change after another has taken over."""

import io
import itertools
import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import boto3
import moto
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from deployment.errors import BootstrapError, Locked, Overtaken
from deployment.locks import Holder, Lock
from lineage.bucket_owner import insisting

BUCKET = "cdk-hnb659fds-assets-123456789012-us-east-1"
KEY = "deployments/mycompany-prod-platform/lock.json"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        client = insisting(boto3.client("s3", region_name="us-east-1"), "123456789012")
        client.create_bucket(Bucket=BUCKET)
        yield client


class Shelf:
    """One object with S3's conditions, its time, and answers that may be lost; `at` is the time."""

    def __init__(self):
        self.at, self.body, self.etag, self.written = 0.0, None, None, 0.0
        self.etags = map(str, itertools.count(1))
        self.lose = False

    def clock(self):
        return self.at

    def put_object(self, *, Bucket, Key, Body, ContentType, IfMatch=None, IfNoneMatch=None):
        if IfMatch is not None and self.body is None:
            raise refusal("NoSuchKey", 404)
        if (IfNoneMatch and self.body is not None) or (IfMatch is not None and IfMatch != self.etag):
            raise refusal("PreconditionFailed", 412)
        self.body, self.etag, self.written = Body, next(self.etags), self.at
        if self.lose:  # and asked again, as botocore does
            self.lose = False
            return self.put_object(
                Bucket=Bucket, Key=Key, Body=Body, ContentType=ContentType, IfMatch=IfMatch, IfNoneMatch=IfNoneMatch
            )
        return {"ETag": self.etag}

    def get_object(self, *, Bucket, Key):
        if self.body is None:
            raise refusal("NoSuchKey", 404)
        return {
            "Body": io.BytesIO(self.body),
            "ETag": self.etag,
            "LastModified": (BEGAN + timedelta(seconds=self.written)).replace(microsecond=0),
            "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(BEGAN + timedelta(seconds=self.at))}},
        }


def refusal(code, status):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


def a_lock(s3, name="ada", **more):
    return Lock(s3, BUCKET, "mycompany-prod-platform", Holder(name, **more.pop("holder", {})), **more)


def test_the_second_is_told_who_holds_it_and_gets_it_once_it_is_released(s3):
    first, second = a_lock(s3, "ada@desk"), a_lock(s3, "bob@train")
    first.take()

    with pytest.raises(Locked, match=r"ada@desk has been deploying here since 2.*--wait.*free in \d+ s"):
        second.take()

    first.release()
    second.take()
    assert (first.held, second.number) == (None, 2)


def test_of_many_at_once_one_gets_it(s3):
    locks, got = [a_lock(s3, f"n{number}") for number in range(8)], []

    def attempt(lock):
        try:
            lock.take()
            got.append(lock)
        except Locked:
            pass

    threads = [threading.Thread(target=attempt, args=(lock,)) for lock in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(got) == 1


def test_who_waits_gets_it_when_it_is_free(s3):
    first, second, said = a_lock(s3, "ada"), a_lock(s3, "bob", lease=1), []
    first.take()
    threading.Timer(0.4, first.release).start()

    second.take(wait=30, say=said.append)

    assert second.number == 2
    assert len(said) == 1
    assert said[0].startswith("ada has been deploying")


def test_who_waited_in_vain_is_told_so(s3):
    a_lock(s3, "ada").take()

    with pytest.raises(Locked, match=r"^waited 1 s: ada has been deploying"):
        a_lock(s3, "bob", lease=1).take(wait=1)


def test_a_dead_process_of_this_machine_is_not_waited_for(s3):
    a_lock(s3, "ada", holder={"process": "here/17"}).take()

    with pytest.raises(Locked):
        a_lock(s3, "bob", is_dead=lambda process: process == "here/18").take()
    second = a_lock(s3, "bob", is_dead=lambda process: process == "here/17")
    second.take()
    assert second.number == 2


def test_an_expired_lock_is_taken_with_a_higher_number_and_its_old_holder_may_change_nothing():
    shelf = Shelf()
    old, new = a_lock(shelf, "old", clock=shelf.clock), a_lock(shelf, "new", clock=shelf.clock)
    old.take()
    shelf.at = 59
    with pytest.raises(Locked):
        new.take()

    shelf.at = 62.5
    new.take()
    assert new.number == 2
    with pytest.raises(Overtaken, match=r"lock 2 is new's since .*run it again later"):
        old.check()
    with pytest.raises(Overtaken):
        old.beat()
    old.release()
    new.check()


def test_while_enough_of_the_lease_is_left_a_check_asks_nobody():
    shelf = Shelf()
    lock = a_lock(shelf, clock=shelf.clock)
    lock.take()
    shelf.at, before = 44.0, shelf.etag
    lock.check()
    assert shelf.etag == before

    shelf.at = 45.0
    lock.check()
    assert shelf.etag != before


def test_a_heartbeat_holds_it_beyond_the_lease(s3):
    with a_lock(s3, "ada", lease=1, beat=0.2) as lock:
        lock.take()
        threading.Event().wait(3.5)
        with pytest.raises(Locked):
            a_lock(s3, "bob").take()
        lock.check()


def test_an_answer_that_was_lost_is_found_again():
    shelf = Shelf()
    lock = a_lock(shelf, clock=shelf.clock)
    shelf.lose = True
    lock.take()
    shelf.lose = True
    lock.beat()
    lock.check()
    assert lock.number == 1


def test_a_lock_that_was_cleaned_away_is_put_again_and_its_number_stays_above_the_records():
    shelf = Shelf()
    lock = a_lock(shelf, clock=shelf.clock)
    lock.take(above=41)
    assert lock.number == 42

    shelf.body = None
    lock.beat()
    assert lock.number == 42
    with pytest.raises(Locked):
        a_lock(shelf, "bob", clock=shelf.clock).take()


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"number": "1"}', b'{"number": 1, "lease": 1}', b"\xff"])
def test_what_cannot_be_read_may_be_another_versions_lock_until_nobody_has_written_it_for_a_lease(body):
    shelf = Shelf()
    shelf.put_object(Bucket=BUCKET, Key=KEY, Body=body, ContentType="application/json")
    lock = a_lock(shelf, clock=shelf.clock)
    shelf.at = 20.0
    with pytest.raises(Locked, match=r"written 20 s ago, and this version of lake cannot read it.*free in 42 s"):
        lock.take()

    shelf.at = 62.5
    lock.take()
    assert lock.number == 1


def test_a_lock_that_says_more_than_this_version_knows_is_held(s3):
    first = a_lock(s3, "ada")
    first.take()
    facts = json.loads(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps({**facts, "commit": "c0ffee"}))

    with pytest.raises(Locked, match="ada has been deploying here since"):
        a_lock(s3, "bob").take()


def test_an_account_that_was_never_bootstrapped_is_told_so(s3):
    with pytest.raises(BootstrapError, match=r"bucket nobodys: does not exist; prepare the account"):
        Lock(s3, "nobodys", "mycompany-prod-platform", Holder("ada")).take()


MOVES = st.tuples(st.integers(0, 2), st.sampled_from(["take", "check", "beat", "release", "lose", "sleep", "rest"]))


@settings(max_examples=400, deadline=None)
@given(st.lists(MOVES, max_size=60))
def test_whatever_happens_only_the_newest_number_may_change_anything(moves):
    shelf = Shelf()
    locks = [a_lock(shelf, f"n{number}", clock=shelf.clock) for number in range(3)]
    numbers = []
    for who, move in moves:
        lock = locks[who]
        if move == "sleep":
            shelf.at += 70
        elif move == "rest":
            shelf.at += 20
        elif move == "lose":
            shelf.lose = True
        elif move == "take" and lock.held is None and lock.lost is None:
            try:
                lock.take()
                numbers.append(lock.number)
            except Locked:
                pass
        elif move == "release":
            lock.release()
        elif move in {"check", "beat"}:
            try:
                getattr(lock, move)()
            except Overtaken:
                continue
            assert lock.number == max(numbers)
    assert numbers == sorted(set(numbers))
