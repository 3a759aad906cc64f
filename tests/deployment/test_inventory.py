"""A bucket that is emptied: everything in it is written down once, and deleted."""

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from deployment.errors import DeployError
from deployment.inventory import Counts, Inventory, is_there
from deployment.parts import Folder
from lineage.bucket_owner import insisting

ACCOUNT = "123456789012"  # moto's
LAKE, STATE = "lake", "state"
ODD = (
    "raw/a b+c%20%2e%2e.csv",
    "raw//double",
    "raw/é.csv",
    "raw/e\u0301.csv",
    "raw/\u202erobots.csv",
    "raw/new\nline\ttab",
    "raw/<tag>&amp;",
    "raw/?versionId=1",
    "raw/${jndi:ldap://x}",
    "raw/🚀",
    "raw/" + "k" * 1019,
)


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        made = insisting(boto3.client("s3", region_name="us-east-1"), ACCOUNT)
        for bucket in (LAKE, STATE):
            made.create_bucket(Bucket=bucket)
        made.put_bucket_versioning(Bucket=LAKE, VersioningConfiguration={"Status": "Enabled"})
        yield made


def an_inventory(s3, **more):
    return Inventory(s3, LAKE, Folder(s3, STATE, "offboarding/", **more))


def left(s3):
    listed = s3.list_object_versions(Bucket=LAKE)
    return [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]


def test_an_empty_bucket_has_nothing_to_write_down(s3):
    inventory = an_inventory(s3)

    inventory.empty()

    assert inventory.counts() == Counts()
    assert inventory.versions.names() == []


def test_every_version_every_marker_and_every_upload_is_written_down_and_deleted(s3):
    s3.put_object(Bucket=LAKE, Key="raw/a.csv", Body=b"one")
    s3.put_object(Bucket=LAKE, Key="raw/a.csv", Body=b"second")
    s3.put_object(Bucket=LAKE, Key="raw/b.csv", Body=b"b")
    s3.delete_object(Bucket=LAKE, Key="raw/b.csv")
    s3.create_multipart_upload(Bucket=LAKE, Key="raw/half done+.csv")

    inventory = an_inventory(s3)
    inventory.empty()

    assert left(s3) == []
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=LAKE)
    assert inventory.counts() == Counts(versions=3, markers=1, bytes=10, uploads=1)
    assert [row["key"] for row in inventory.uploads.rows()] == ["raw/half done+.csv"]
    assert sorted(str(row.get("size", "marker")) for row in inventory.versions.rows()) == ["1", "3", "6", "marker"]


def test_a_key_that_no_list_can_carry_is_deleted_by_itself(s3, monkeypatch):
    asked = []
    listed = [{"key": "raw/bell\x07", "version": "v1"}, {"key": "raw/a.csv", "version": "v2"}]
    monkeypatch.setattr(s3, "delete_object", lambda **request: asked.append((request["Key"], request["VersionId"])))
    monkeypatch.setattr(s3, "delete_objects", lambda **request: asked.append(request["Delete"]["Objects"]) or {})

    an_inventory(s3)._delete(listed)

    assert asked == [[{"Key": "raw/a.csv", "VersionId": "v2"}], ("raw/bell\x07", "v1")]


@pytest.mark.parametrize(("page", "count"), [(10, 25), pytest.param(1_000, 2_500, marks=pytest.mark.slow)])
def test_more_than_two_pages_of_versions_are_three_parts(s3, monkeypatch, page, count):
    monkeypatch.setattr("deployment.inventory.PAGE", page)
    for number in range(count):
        s3.put_object(Bucket=LAKE, Key=f"raw/{number * 2 % 3}/{number // 2}.csv", Body=b"x")

    inventory = an_inventory(s3)
    inventory.empty()

    assert left(s3) == []
    assert inventory.counts() == Counts(versions=count, bytes=count)
    summary = inventory.versions.summary()
    assert (summary.parts, summary.rows) == (3, count)
    assert len({(row["key"], row["version"]) for row in inventory.versions.rows()}) == count


def test_keys_with_odd_characters_go_as_they_are(s3):
    for key in ODD:
        s3.put_object(Bucket=LAKE, Key=key, Body=b"x")
    there = {each["Key"] for each in left(s3)}

    inventory = an_inventory(s3)
    inventory.empty()

    assert left(s3) == []
    assert {row["key"] for row in inventory.versions.rows()} == there
    assert inventory.counts().versions == len(ODD)


def test_objects_of_before_versioning_go_too(s3):
    s3.put_bucket_versioning(Bucket=LAKE, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=LAKE, Key="raw/a.csv", Body=b"x")

    inventory = an_inventory(s3)
    inventory.empty()

    assert left(s3) == []
    assert inventory.counts().versions == 1


def test_what_comes_while_it_is_emptied_is_written_down_and_deleted_too(s3):
    s3.put_object(Bucket=LAKE, Key="raw/a.csv", Body=b"x")
    late = iter(["raw/late.csv", "raw/later.csv"])

    def said(_text):
        if (key := next(late, None)) is not None:
            s3.put_object(Bucket=LAKE, Key=key, Body=b"yy")

    inventory = Inventory(s3, LAKE, Folder(s3, STATE, "offboarding/"), said)
    inventory.empty()

    assert left(s3) == []
    assert inventory.counts() == Counts(versions=3, bytes=5)


def test_a_bucket_that_is_gone_is_empty(s3):
    s3.delete_bucket(Bucket=LAKE)

    inventory = an_inventory(s3)
    inventory.empty()

    assert inventory.counts() == Counts()


class Stopped(Exception):
    pass


def test_a_part_that_was_written_and_not_deleted_is_deleted_and_not_written_again(s3):
    s3.put_object(Bucket=LAKE, Key="raw/a.csv", Body=b"x")
    asked = iter([None])  # for the list of what is deleted, and then not for the deletion

    def guard():
        if next(asked, Stopped) is Stopped:
            raise Stopped

    with pytest.raises(Stopped):
        an_inventory(s3, guard=guard).empty()
    assert len(left(s3)) == 1

    inventory = an_inventory(s3)
    inventory.empty()

    assert left(s3) == []
    assert inventory.counts() == Counts(versions=1, bytes=1)


def test_what_cannot_be_deleted_is_named(s3, monkeypatch):
    s3.put_object(Bucket=LAKE, Key="raw/locked.csv", Body=b"x")
    refused = {"Errors": [{"Key": "raw/locked.csv", "Code": "AccessDenied", "Message": "object lock"}]}
    monkeypatch.setattr(s3, "delete_objects", lambda **_: refused)

    with pytest.raises(DeployError, match=r"lake: 1 versions could not be deleted, the first is 'raw/locked.csv'"):
        an_inventory(s3).empty()


def test_what_is_still_there_after_all_that_is_named_and_not_deleted_for_ever(s3, monkeypatch):
    s3.put_object(Bucket=LAKE, Key="raw/stays.csv", Body=b"x")
    for call in ("delete_object", "delete_objects"):
        monkeypatch.setattr(s3, call, lambda **_: {})

    with pytest.raises(DeployError, match=r"of 'raw/stays.csv' was deleted and is still there"):
        an_inventory(s3).empty()


def test_so_is_an_upload(s3, monkeypatch):
    s3.create_multipart_upload(Bucket=LAKE, Key="raw/stays.csv")
    monkeypatch.setattr(s3, "abort_multipart_upload", lambda **_: {})
    inventory = an_inventory(s3)

    with pytest.raises(DeployError, match=r"of 'raw/stays.csv' is there after 5 attempts"):
        inventory.empty()

    assert len(list(inventory.uploads.rows())) == 1


def test_emptied_again_such_a_key_is_no_error(s3, monkeypatch):
    """As it is once more after the stack has gone."""
    monkeypatch.setattr(s3, "delete_object", lambda **_: {})
    inventory = an_inventory(s3)
    inventory.versions.add([{"key": "raw/bell\x07", "version": "v1"}])

    inventory.empty()
    inventory.empty()


def test_what_queries_left_is_told_apart(s3):
    for key in ("athena-results/1.csv", "athena-results/2.csv", "raw/a.csv"):
        s3.put_object(Bucket=LAKE, Key=key, Body=b"x")

    inventory = an_inventory(s3)
    inventory.empty()

    assert inventory.counts() == Counts(versions=3, bytes=3, results=2)


def test_a_name_that_another_account_has_taken_since_is_no_bucket_of_ours(s3, monkeypatch):
    def refuse(**_):
        raise ClientError({"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "HeadBucket")

    monkeypatch.setattr(s3, "head_bucket", refuse)

    assert not is_there(s3, "lake-of-somebody-else")
    with pytest.raises(ClientError):  # ours, and closed to whoever asks
        is_there(s3, LAKE)
