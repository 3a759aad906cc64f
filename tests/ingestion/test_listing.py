"""The walk along a bucket's keys."""

from datetime import UTC, datetime

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID

from ingestion import listing
from ingestion.listing import walk
from lineage.bucket_owner import insisting

BUCKET = "lake-acme-dev-datalake"


class Pages:
    """S3's two listings, a few entries to a page."""

    def __init__(self, pages):
        self.pages = pages

    def get_paginator(self, operation):
        return self

    def paginate(self, **_):
        return self.pages


def version(key, number, *, second=0, latest=False):
    return {
        "Key": key,
        "VersionId": f"v{number}",
        "ETag": '"e"',
        "Size": 1,
        "LastModified": datetime(2024, 9, 20, 12, 0, second, tzinfo=UTC),
        "IsLatest": latest,
    }


def marker(key, *, second=0, latest=True):
    return {"Key": key, "LastModified": datetime(2024, 9, 20, 12, 0, second, tzinfo=UTC), "IsLatest": latest}


def seen(*pages):
    return [
        [(thing.key, thing.version, thing.deleted) for thing in versions]
        for versions in walk(Pages(pages), BUCKET, "raw/")
    ]


def test_a_key_whose_versions_lie_on_two_pages_is_seen_whole_and_oldest_first():
    first = {"Versions": [version("raw/a", 1), version("raw/b", 3, second=2, latest=True)]}
    second = {"Versions": [version("raw/b", 2, second=1), version("raw/c", 1)]}

    assert seen(first, second) == [
        [("raw/a", "v1", False)],
        [("raw/b", "v2", False), ("raw/b", "v3", False)],
        [("raw/c", "v1", False)],
    ]


def test_versions_of_the_same_second_keep_their_order():
    page = {"Versions": [version("raw/a", 3, latest=True), version("raw/a", 2), version("raw/a", 1)]}

    assert seen(page) == [[("raw/a", "v1", False), ("raw/a", "v2", False), ("raw/a", "v3", False)]]


def test_what_lies_below_a_delete_marker_is_deleted_and_what_came_after_it_is_not():
    page = {
        "Versions": [version("raw/a", 2, second=3, latest=True), version("raw/a", 1, second=1)],
        "DeleteMarkers": [marker("raw/a", second=2, latest=False)],
    }

    assert seen(page) == [[("raw/a", "v1", True), ("raw/a", "v2", False)]]


def test_what_came_in_the_same_second_as_its_marker_and_is_the_latest_is_there():
    page = {
        "Versions": [version("raw/a", 1, second=1, latest=True)],
        "DeleteMarkers": [marker("raw/a", second=1, latest=False)],
    }

    assert seen(page) == [[("raw/a", "v1", False)]]


def test_a_key_of_which_only_markers_are_left_is_not_there():
    assert seen({"DeleteMarkers": [marker("raw/a")]}) == []


def test_a_marker_on_the_page_before_its_version_is_not_forgotten():
    first = {"DeleteMarkers": [marker("raw/b", second=5)], "Versions": [version("raw/a", 1)]}
    second = {"Versions": [version("raw/b", 1, second=1)]}

    assert seen(first, second) == [[("raw/a", "v1", False)], [("raw/b", "v1", True)]]


names = st.lists(st.text("abé𐀀 %+/", min_size=1, max_size=4), unique=True, max_size=12)


@given(names=names, size=st.integers(1, 4))
def test_however_it_is_cut_every_key_is_seen_once(names, size):
    entries = [version(f"raw/{name}", 1) for name in sorted(names)]
    pages = [{"Versions": entries[start : start + size]} for start in range(0, len(entries), size)]

    found = [versions[0].key for versions in walk(Pages(pages), BUCKET, "raw/")]

    assert found == sorted(f"raw/{name}" for name in names)


@pytest.fixture
def s3(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = insisting(boto3.client("s3"), ACCOUNT_ID)
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        for key in (
            "athena-results/x.csv",
            "processed/s/1",
            "processed/s/2",
            "quarantine/q",
            "raw/a",
            "raw/b/c",
            "raw/d",
        ):
            client.put_object(Bucket=BUCKET, Key=key, Body=b"1")
        yield client


def keys(s3, prefix="", after=None):
    return [versions[0].key for versions in walk(s3, BUCKET, prefix, after)]


def test_the_zones_are_walked_and_nothing_else_what_arrived_first(s3):
    assert keys(s3) == ["raw/a", "raw/b/c", "raw/d", "processed/s/1", "processed/s/2", "quarantine/q"]


@pytest.mark.parametrize("stop", range(6))
def test_a_walk_goes_on_behind_the_key_where_it_stopped(s3, stop):
    everything = keys(s3)

    assert keys(s3, after=everything[stop]) == everything[stop + 1 :]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("raw/", ["raw/a", "raw/b/c", "raw/d"]),
        ("raw/b", ["raw/b/c"]),
        ("ra", ["raw/a", "raw/b/c", "raw/d"]),
        ("processed/s/2", ["processed/s/2"]),
        ("athena-results/", []),
    ],
)
def test_a_prefix_narrows_the_walk(s3, prefix, expected):
    assert keys(s3, prefix) == expected


def test_a_walk_with_a_prefix_goes_on_too(s3):
    assert keys(s3, "raw/", after="raw/a") == ["raw/b/c", "raw/d"]
    assert keys(s3, "raw/b", after="raw/d") == []


def test_a_key_is_there_or_only_begins_so(s3):
    assert listing.exists(s3, BUCKET, "raw/b/c")
    assert not listing.exists(s3, BUCKET, "raw/b")
