"""From the queue into the ledger, with what goes wrong between: deaths, duplicates, disorder, odd keys, odd objects.

`Transport` is the event source mapping in small: it receives from a real queue (moto's), calls register, deletes what
did not fail, and leaves the rest to the queue.
"""

import itertools
import json
import random
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.dispatch import Dispatcher
from ingestion.register import Registrar
from lineage.values import FileStatus
from tests.ingestion.builders import Functions, Glue, an_event, messages
from tests.lineage.builders import ANALYTICS, RAW, a_dataset, commit_key, enter, merged, processed

ODD_KEYS = (
    "raw/sales/with space.csv",
    "raw/sales/a+b.csv",
    "raw/sales/a%20b.csv",
    "raw/sales/100%.csv",
    "raw/sales/%2B%252B.csv",
    "raw/sales/year=2024/month=09/a=b.csv",
    "raw/sales/Größe €/日本語.csv",
    "raw/sales/e\u0301 and \u00e9.csv",
    "raw/sales/😀.csv",
    "raw/sales/a&b?c#d'e\"f.csv",
    "raw/sales/../sales/./a.csv",
    "raw/sales//double.csv",
    "raw/sales/new\nline\tand tab.csv",
    "raw/sales/" + "x" * 1014,
    "raw/sales/" + "ü" * 507,
)


class Died(BaseException):
    """A function that is killed: nothing catches it."""


class Transport:
    def __init__(self, registrar: Registrar, *, tries: int = 5) -> None:
        self.registrar = registrar
        self.sqs = boto3.client("sqs")
        self.dead = self.sqs.create_queue(QueueName="dead")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": tries})
        self.url = self.sqs.create_queue(
            QueueName="arrivals", Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"}
        )["QueueUrl"]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def deliver(self) -> bool:
        """One batch; False = the queue is empty."""
        found = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", [])
        records = [{"messageId": one["MessageId"], "body": one["Body"]} for one in found]
        if not records:
            return False
        failed = {one["itemIdentifier"] for one in self.registrar.register(records)["batchItemFailures"]}
        for one in found:
            if one["MessageId"] not in failed:
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=one["ReceiptHandle"])
        return True

    def drain(self) -> None:
        for _ in range(1000):
            if not self.deliver():
                return
        raise AssertionError("the queue does not become empty")

    def dead_letters(self) -> list[str]:
        found = self.sqs.receive_message(QueueUrl=self.dead, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [one["Body"] for one in found.get("Messages", [])]


@pytest.fixture
def registrar(ledger):
    return Registrar(ledger, Functions(), "lake-dev-dispatch")


@pytest.fixture
def transport(registrar):
    return Transport(registrar)


def entered(ledger, tenant: str = "acme") -> list[str]:
    return sorted(file.key for file in ledger.files(tenant))


# -- keys ------------------------------------------------------------------------------------------------------------


def test_odd_keys_come_through_as_they_are_all_of_one_event(transport, ledger):
    """Many records in one call, none of them decoded: a key with %20 is not one with a space."""
    transport.send(*map(an_event, ODD_KEYS))

    transport.drain()

    assert entered(ledger) == sorted(ODD_KEYS)
    assert all(len(key.encode()) <= 1024 for key in ODD_KEYS)
    waiting = ledger.waiting("acme", "sales", RAW)
    assert sorted(member.key for member in waiting) == sorted(ODD_KEYS)
    [file] = ledger.file("acme", "raw/sales/a%20b.csv")
    assert file.state == FileStatus.RECEIVED


segment = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(st.lists(segment, min_size=1, max_size=6, unique=True))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_utf_8_a_key_is_made_of_it_is_found_again_by_its_name(registrar, ledger, names):
    keys = [f"raw/sales/{name}.csv" for name in names]

    registrar.register(messages(*map(an_event, keys)))

    for key in keys:
        [file] = ledger.file("acme", key)
        assert (file.key, file.dataset) == (key, "sales")


# -- what arrives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "etag"),
    [
        ("PutObject", "b1946ac92492d2347c6235b4d2611184"),
        ("POST Object", "b1946ac92492d2347c6235b4d2611184"),
        ("CopyObject", "b1946ac92492d2347c6235b4d2611184"),
        ("CompleteMultipartUpload", '"d41d8cd98f00b204e9800998ecf8427e-381"'),
    ],
)
def test_however_an_object_was_made_it_is_entered(registrar, ledger, reason, etag):
    registrar.register(messages(an_event(reason=reason, etag=etag, size=6 * 10**12)))

    [member] = ledger.waiting("acme", "sales", RAW)
    assert (member.etag, member.size) == (etag.strip('"'), 6 * 10**12)


def test_an_empty_file_is_a_file(registrar, ledger):
    registrar.register(messages(an_event("raw/sales/empty.csv", size=0)))

    [member] = ledger.waiting("acme", "sales", RAW)
    assert (member.key, member.size) == ("raw/sales/empty.csv", 0)


def test_a_folder_marker_is_listed_and_waits_for_nothing(registrar, ledger):
    registrar.register(messages(an_event("raw/sales/", size=0), an_event("raw/sales/2024/", size=0)))

    assert {file.state for file in ledger.files("acme")} == {FileStatus.UNROUTED}
    assert ledger.waiting("acme", "sales", RAW) == []


def test_an_object_that_is_deleted_before_anybody_looks_is_entered_all_the_same(transport, ledger):
    """Register never looks at objects; the job says of each that is gone that it is."""
    transport.send(an_event("raw/sales/short-lived.csv"))

    transport.drain()

    assert entered(ledger) == ["raw/sales/short-lived.csv"]


def test_a_delete_is_no_arrival_and_ends_with_the_dead_letters(transport, ledger):
    event = json.loads(an_event())
    event["detail-type"] = "Object Deleted"
    transport.send(json.dumps(event))

    transport.drain()

    assert entered(ledger) == []
    assert len(transport.dead_letters()) == 1


# -- twice, late, in another order -----------------------------------------------------------------------------------


def test_an_overwritten_key_is_another_version_that_is_processed_too(registrar, ledger, clock):
    registrar.register(messages(an_event(version="v1", size=5, sequencer="01")))
    _process(ledger, clock)
    registrar.register(messages(an_event(version="v2", size=7, sequencer="02", time="2024-09-20T11:59:30Z")))
    _process(ledger, clock)

    found = ledger.file("acme", "raw/sales/a.csv")
    assert [(file.version, file.size, file.state) for file in found] == [
        ("v1", 5, FileStatus.PROCESSED),
        ("v2", 7, FileStatus.PROCESSED),
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(["v1", "v2", "v3"])))
def test_versions_of_one_key_may_arrive_in_any_order(registrar, ledger, order):
    times = {"v1": "2024-09-20T11:00:00Z", "v2": "2024-09-20T11:00:01Z", "v3": "2024-09-20T11:00:02Z"}
    for version in order:
        registrar.register(messages(an_event(version=version, time=times[version], sequencer=f"0{version}")))

    assert [file.version for file in ledger.file("acme", "raw/sales/a.csv")] == ["v1", "v2", "v3"]


def test_content_a_then_b_then_a_again_are_three_versions_without_a_version_id(registrar, ledger):
    for number, etag in enumerate(("aaa", "bbb", "aaa")):
        registrar.register(messages(an_event(version=None, etag=etag, sequencer=f"0{number}")))

    assert len(ledger.file("acme", "raw/sales/a.csv")) == 3


def test_every_event_five_times_in_any_order_is_every_file_once(transport, ledger):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    keys = [f"raw/sales/{number}.csv" for number in range(12)]
    events = [an_event(key) for key in keys] * 5
    random.Random(seed).shuffle(events)
    transport.send(*events)

    transport.drain()

    assert entered(ledger) == sorted(keys)
    assert len(ledger.waiting("acme", "sales", RAW)) == 12


def test_an_event_that_comes_when_its_file_is_done_changes_nothing(registrar, ledger, clock):
    registrar.register(messages(an_event()))
    _process(ledger, clock)
    before = ledger.files("acme")

    registrar.register(messages(an_event(time="2024-09-20T13:00:00Z")))

    assert ledger.files("acme") == before
    assert ledger.waiting("acme", "sales", RAW) == []


# -- deaths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
def test_a_register_that_dies_before_or_after_the_insert_loses_and_doubles_nothing(
    transport, ledger, monkeypatch, after
):
    """A peer deletes the message as it receives it: a death before the insert loses the file."""
    whole = ledger.receive_all

    def dies(receipts):
        monkeypatch.setattr(ledger, "receive_all", whole)
        if after:
            whole(receipts)
        raise Died

    monkeypatch.setattr(ledger, "receive_all", dies)
    transport.send(an_event("raw/sales/a.csv"), an_event("raw/sales/b.csv"))

    with pytest.raises(Died):
        transport.deliver()
    transport.drain()

    assert entered(ledger) == ["raw/sales/a.csv", "raw/sales/b.csv"]
    assert len(ledger.waiting("acme", "sales", RAW)) == 2


def test_a_message_is_acknowledged_only_when_its_file_is_in_the_ledger(transport, ledger, monkeypatch):
    def broken(receipts):
        raise RuntimeError("ProvisionedThroughputExceededException")

    transport.send(an_event())
    with monkeypatch.context() as outage:
        outage.setattr(ledger, "receive_all", broken)
        transport.deliver()
        transport.deliver()
    assert entered(ledger) == []

    transport.drain()
    assert entered(ledger) == ["raw/sales/a.csv"]


def test_what_nobody_owns_is_kept_and_enters_when_its_tenant_is_deployed(transport, ledger):
    """Redrive of N messages, not of one."""
    bodies = [an_event(f"raw/sales/{number}.csv", bucket="lake-late-dev-datalake") for number in range(7)]
    transport.send(*bodies)
    transport.drain()
    assert sorted(transport.dead_letters()) == sorted(bodies)

    enter(ledger, "late")
    for body in transport.dead_letters():
        transport.send(body)
    transport.drain()

    assert len(entered(ledger, "late")) == 7


def test_a_poisoned_message_keeps_no_other_from_its_batch(transport, ledger):
    transport.send("not json", an_event("raw/sales/a.csv"), '{"Records": []}', an_event("raw/sales/b.csv"))

    transport.drain()

    assert entered(ledger) == ["raw/sales/a.csv", "raw/sales/b.csv"]
    assert sorted(transport.dead_letters()) == ["not json", '{"Records": []}']


# -- the way on ------------------------------------------------------------------------------------------------------


def test_two_files_at_the_same_time_are_both_done(ledger, clock):
    """A peer starts a job per file, one at a time and without a retry: the second is lost."""
    registrars = [Registrar(ledger, Functions(), "lake-dev-dispatch") for _ in range(2)]
    glue = Glue()
    with ThreadPoolExecutor(2) as pool:
        list(
            pool.map(
                lambda pair: pair[0].register(messages(an_event(f"raw/sales/{pair[1]}.csv"))),
                zip(registrars, ("a", "b"), strict=True),
            )
        )
    for _ in range(2):
        for run in Dispatcher(ledger, glue, clock=clock, side_by_side=1).handle({}):
            _finish(ledger, run, "jr_1")

    assert {file.state for file in ledger.files("acme")} == {FileStatus.PROCESSED}


def test_two_files_of_one_day_are_both_in_the_batch(registrar, ledger, clock):
    """A peer overwrites the day's partition: the second file erases the first. Here each row counts by its file."""
    registrar.register(messages(an_event("raw/sales/2024/09/20/a.csv"), an_event("raw/sales/2024/09/20/b.csv")))
    glue = Glue()

    [run] = Dispatcher(ledger, glue, clock=clock, side_by_side=1).handle({})

    members = ledger.take("acme", RAW, run, "jr_1").members
    assert sorted(member.key for member in members) == ["raw/sales/2024/09/20/a.csv", "raw/sales/2024/09/20/b.csv"]


def test_tenants_share_the_queue_and_wait_for_nobody(transport, ledger, clock):
    """A peer's queue lets one message of a group go at a time. Here a flood fills batches, not the way of others."""
    enter(ledger, "skyline")
    transport.send(*(an_event(f"raw/sales/{number}.csv") for number in range(40)))
    transport.send(an_event(bucket="lake-skyline-dev-datalake"))
    transport.drain()
    glue = Glue()

    Dispatcher(ledger, glue, clock=clock, side_by_side=1).handle({})

    assert sorted(job for job, _ in glue.started) == [
        "lake-acme-dev-raw-to-processed",
        "lake-skyline-dev-raw-to-processed",
    ]


def test_the_whole_way_of_a_file_is_two_claims_of_two_jobs(registrar, ledger, clock):
    registrar.register(messages(an_event(ODD_KEYS[0])))
    run = _process(ledger, clock)
    registrar.register(messages(an_event(commit_key(run), version="c1")))
    second = ledger.take("acme", ANALYTICS, _begin(ledger, clock), "jr_2")
    ledger.commit(second, merged(second))
    ledger.finalise(second)

    [file] = ledger.file("acme", ODD_KEYS[0])
    assert file.state == FileStatus.QUERYABLE


def test_an_event_that_comes_again_after_its_contract_is_routed_by_it(registrar, ledger):
    registrar.register(messages(an_event("raw/flights/f.csv")))
    assert [(file.dataset, file.state) for file in ledger.files("acme")] == [(None, FileStatus.UNROUTED)]

    ledger.put_dataset(a_dataset(dataset="flights"))
    registrar.directory._known.clear()
    registrar.register(messages(an_event("raw/flights/f.csv")))

    assert [member.key for member in ledger.waiting("acme", "flights", RAW)] == ["raw/flights/f.csv"]
    assert [(file.dataset, file.state) for file in ledger.files("acme")] == [("flights", FileStatus.RECEIVED)]


def _begin(ledger, clock) -> str:
    [run] = Dispatcher(ledger, Glue(), clock=clock, side_by_side=1).handle({})
    return run


def _finish(ledger, run: str, glue_run: str):
    taken = ledger.take("acme", RAW, run, glue_run)
    ledger.commit(taken, processed(taken))
    ledger.finalise(taken)
    return taken


def _process(ledger, clock):
    return _finish(ledger, _begin(ledger, clock), "jr_1")
