import json
from datetime import UTC, datetime

import pytest

from ingestion.arrival import Arrival, parse
from ingestion.errors import NotAnArrival
from tests.ingestion.builders import an_event


def test_an_object_created_event_becomes_a_value():
    body = json.dumps(
        {
            "version": "0",
            "id": "17793124-05d4-b198-2fde-7ededc63b103",
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": "111122223333",
            "time": "2024-09-20T12:22:32Z",
            "region": "eu-central-1",
            "detail": {
                "bucket": {"name": "lake-acme-dev-datalake"},
                "object": {
                    "key": "raw/sales/a.csv",
                    "size": 5,
                    "etag": "b1946ac92492d2347c6235b4d2611184",
                    "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
                    "sequencer": "00617F08299329D189",
                },
                "reason": "PutObject",
            },
        }
    )

    assert parse(body) == Arrival(
        bucket="lake-acme-dev-datalake",
        key="raw/sales/a.csv",
        version="IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
        size=5,
        etag="b1946ac92492d2347c6235b4d2611184",
        sequencer="00617F08299329D189",
        arrived_at=datetime(2024, 9, 20, 12, 22, 32, tzinfo=UTC),
    )


@pytest.mark.parametrize("key", ["raw/a b.csv", "raw/a+b.csv", "raw/a%20b.csv", "raw/a=b/ü€.csv", "raw/" + "x" * 1020])
def test_keys_are_taken_as_they_are(key):
    assert parse(an_event(key)).key == key


def test_an_unversioned_bucket_gives_no_version():
    assert parse(an_event(version=None)).version is None


def test_times_with_milliseconds_are_understood():
    assert parse(an_event(time="2024-09-20T12:22:32.125Z")).arrived_at.microsecond == 125_000


def test_an_empty_object_that_ends_in_a_slash_is_a_folder_marker():
    assert parse(an_event("raw/sales/", size=0)).is_folder_marker
    assert not parse(an_event("raw/sales/a.csv", size=0)).is_folder_marker


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        '"text"',
        "{}",
        '{"detail-type": "Object Deleted", "detail": {}}',
        '{"detail-type": "Object Created"}',
    ],
)
def test_what_is_no_arrival_is_refused_with_what_was_expected(body):
    with pytest.raises(NotAnArrival):
        parse(body)


def test_an_event_without_a_key_says_so():
    event = json.loads(an_event())
    del event["detail"]["object"]["key"]

    with pytest.raises(NotAnArrival, match="key"):
        parse(json.dumps(event))
