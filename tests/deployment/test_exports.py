"""What a tenant takes along: the newest version of every object, lineage, and a manifest that is compared."""

import gzip
import hashlib
import json

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from deployment.errors import DeployError
from deployment.exports import Export, Target
from deployment.parts import Folder, unpacked
from lineage.bucket_owner import insisting
from tests.deployment.test_inventory import ODD

ACCOUNT = "123456789012"  # moto's
LAKE, STATE, THEIRS = "lake", "state", "takeout"
RUNS = [{"run": {"runId": str(number)}} for number in range(3)]


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        made = insisting(boto3.client("s3", region_name="us-east-1"), ACCOUNT)
        for bucket in (LAKE, STATE, THEIRS):
            made.create_bucket(Bucket=bucket)
        made.put_bucket_versioning(Bucket=LAKE, VersioningConfiguration={"Status": "Enabled"})
        yield made


def an_export(s3, **more):
    target = Target(s3, THEIRS, "from/acme/dev/", ACCOUNT)
    bundles = {"openlineage": lambda: iter(RUNS), "ledger": list}
    return Export(s3, LAKE, target, Folder(s3, STATE, "end/", **more), bundles, workers=1)


def body(s3, name):
    return s3.get_object(Bucket=THEIRS, Key=f"from/acme/dev/{name}")["Body"].read()


def taken(s3):
    listed = s3.list_objects_v2(Bucket=THEIRS, Prefix="from/acme/dev/data/").get("Contents", ())
    return [each["Key"].removeprefix("from/acme/dev/data/") for each in listed]


def test_the_newest_versions_of_everything_but_query_results_are_taken_along(s3):
    for key, content in (("raw/a.csv", b"old"), ("raw/a.csv", b"newest"), ("raw/gone.csv", b"x")):
        s3.put_object(Bucket=LAKE, Key=key, Body=content)
    s3.delete_object(Bucket=LAKE, Key="raw/gone.csv")
    for zone in ("processed", "analytics-ready", "quarantine", "athena-results", "landing"):
        s3.put_object(Bucket=LAKE, Key=f"{zone}/x", Body=b"x")

    result = an_export(s3).run()

    assert taken(s3) == ["analytics-ready/x", "landing/x", "processed/x", "quarantine/x", "raw/a.csv"]
    assert body(s3, "data/raw/a.csv") == b"newest"
    assert (result["objects"], result["bytes"], result["openlineage_rows"], result["ledger_rows"]) == (5, 10, 3, 0)
    assert (result["to"], result["account"]) == ("s3://takeout/from/acme/dev/", ACCOUNT)


def test_the_manifest_names_every_object_with_size_and_etag_and_its_own_hash_is_known(s3):
    s3.put_object(Bucket=LAKE, Key="raw/a.csv", Body=b"four")

    result = an_export(s3).run()

    text = body(s3, "manifest.json")
    assert result["manifest_sha256"] == hashlib.sha256(text).hexdigest()
    (listed,) = json.loads(text)["lists"]
    assert hashlib.sha256(body(s3, listed["key"])).hexdigest() == listed["sha256"]
    (row,) = unpacked(body(s3, listed["key"]))
    assert (row["key"], row["size"], row["etag"]) == ("raw/a.csv", 4, hashlib.md5(b"four").hexdigest())
    (bundle,) = json.loads(text)["lineage"]["openlineage"]["objects"]
    assert [json.loads(line) for line in gzip.decompress(body(s3, bundle["key"])).splitlines()] == RUNS


def test_a_tenant_with_nothing_takes_nothing_along(s3):
    result = an_export(s3).run()

    assert (result["objects"], taken(s3)) == (0, [])


def test_keys_with_odd_characters_keep_them(s3):
    keys = [key for key in ODD if len(key.encode()) < 900]
    for key in keys:
        s3.put_object(Bucket=LAKE, Key=key, Body=b"x")

    an_export(s3).run()

    assert sorted(taken(s3)) == sorted(keys)


def test_an_object_too_large_for_one_call_goes_in_parts(s3, monkeypatch):
    monkeypatch.setattr("deployment.exports.LARGEST", 8 * 1024**2)
    large = bytes(9 * 1024**2)
    s3.put_object(Bucket=LAKE, Key="raw/large.csv", Body=large)

    result = an_export(s3).run()

    assert result["bytes"] == len(large)
    assert body(s3, "data/raw/large.csv") == large


class Stopped(Exception):
    pass


def test_who_begins_again_goes_on_after_the_last_page(s3, monkeypatch):
    monkeypatch.setattr("deployment.exports.PAGE", 2)
    for key in ("processed/1", "processed/2", "raw/1", "raw/2", "raw/3"):
        s3.put_object(Bucket=LAKE, Key=key, Body=b"x")
    asked = iter(range(6))  # where to, a page of two copies and its list, two copies; not the list of these

    def guard():
        if next(asked, None) is None:
            raise Stopped

    with pytest.raises(Stopped):
        an_export(s3, guard=guard).run()
    monkeypatch.setattr(s3, "copy_object", counted := Counted(s3.copy_object))

    result = an_export(s3).run()

    assert counted.keys == ["raw/1", "raw/2", "raw/3"]
    assert (result["objects"], len(taken(s3))) == (5, 5)


class Counted:
    def __init__(self, call):
        self.call, self.keys = call, []

    def __call__(self, **request):
        self.keys.append(request["CopySource"]["Key"])
        return self.call(**request)


@pytest.mark.parametrize("spoil", ["delete", "replace"])
def test_what_is_not_there_as_it_was_written_is_told_and_all_is_exported_anew(s3, monkeypatch, spoil):
    s3.put_object(Bucket=LAKE, Key="raw/a.csv", Body=b"four")
    s3.put_object(Bucket=LAKE, Key="raw/b.csv", Body=b"four")
    copy = s3.copy_object

    def spoilt(**request):
        answer = copy(**request)
        where = {"Bucket": THEIRS, "Key": "from/acme/dev/data/raw/a.csv"}
        _ = s3.delete_object(**where) if spoil == "delete" else s3.put_object(**where, Body=b"FOUR")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(s3, "copy_object", spoilt)
        with pytest.raises(DeployError, match=r"s3://takeout/from/acme/dev/data/raw/a.csv: .*nothing was deleted"):
            an_export(s3).run()

    assert an_export(s3).run()["objects"] == 2
    assert body(s3, "data/raw/a.csv") == b"four"


NOTED = {"tenant": "acme", "of": "s3://state/end/"}


def test_it_is_announced_by_a_note_and_by_the_copy_of_an_object(s3):
    s3.put_object(Bucket=LAKE, Key="raw/a.csv", Body=b"x")

    for _ in range(2):
        an_export(s3).announce(NOTED)

    assert json.loads(body(s3, "export.json")) == NOTED
    assert taken(s3) == ["raw/a.csv"]
    assert an_export(s3).run()["objects"] == 1


@pytest.mark.parametrize("key", ["data/raw/a.csv", "manifest.json", "export.json"])
def test_where_something_else_lies_nothing_is_written(s3, key):
    s3.put_object(Bucket=THEIRS, Key=f"from/acme/dev/{key}", Body=b"of another tenant")

    with pytest.raises(DeployError, match=f"holds {key} already, which is not of this export"):
        an_export(s3).announce(NOTED)

    assert s3.list_objects_v2(Bucket=THEIRS)["KeyCount"] == 1


def test_an_announcement_that_is_refused_says_by_whom(s3, monkeypatch):
    s3.put_object(Bucket=LAKE, Key="raw/a.csv", Body=b"x")

    def refuse(**_):
        raise ClientError(
            {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "CopyObject"
        )

    monkeypatch.setattr(s3, "copy_object", refuse)

    with pytest.raises(DeployError, match=r"to s3://takeout/from/acme/dev/ \(account 123456789012\): AccessDenied"):
        an_export(s3).announce(NOTED)


def test_tags_stay_behind_so_that_no_right_on_them_is_needed(s3):
    s3.put_object(Bucket=LAKE, Key="raw/a.csv", Body=b"x", Tagging="scanned=yes")

    an_export(s3).run()

    assert s3.get_object_tagging(Bucket=THEIRS, Key="from/acme/dev/data/raw/a.csv")["TagSet"] == []


def test_another_place_is_another_try_from_the_beginning(s3):
    s3.put_object(Bucket=LAKE, Key="raw/a.csv", Body=b"x")
    first = an_export(s3)
    first.tried.once("target.json", first._there)
    first.parts.add(first._copied(list(first._current(""))))

    second = an_export(s3)
    second.target = Target(s3, THEIRS, "elsewhere/", ACCOUNT)
    second.__post_init__()
    result = second.run()

    assert result["objects"] == 1
    assert s3.get_object(Bucket=THEIRS, Key="elsewhere/data/raw/a.csv")["Body"].read() == b"x"
    assert an_export(s3).parts.count == 1


def test_what_comes_in_behind_the_listing_is_not_passed_over(s3, monkeypatch):
    s3.put_object(Bucket=LAKE, Key="raw/b.csv", Body=b"x")
    copy, late = s3.copy_object, iter([None])

    def copied(**request):
        if next(late, "no") is None:
            s3.put_object(Bucket=LAKE, Key="raw/a.csv", Body=b"late")
        return copy(**request)

    monkeypatch.setattr(s3, "copy_object", copied)
    with pytest.raises(DeployError, match=r"bucket lake: raw/a.csv has changed while it was exported"):
        an_export(s3).run()

    assert an_export(s3).run()["objects"] == 2


@pytest.mark.parametrize("gone", ["raw/a.csv", "raw/b.csv", "raw/c.csv"])
@pytest.mark.parametrize("how", ["expired", "deleted"])
def test_what_vanishes_once_it_was_copied_is_exported_all_the_same(s3, monkeypatch, gone, how):
    for key in ("raw/a.csv", "raw/b.csv", "raw/c.csv"):
        s3.put_object(Bucket=LAKE, Key=key, Body=b"four")
    copy = s3.copy_object

    def copied(**request):
        answer, source = copy(**request), request["CopySource"]
        if source["Key"] == gone:
            version = {"VersionId": source["VersionId"]} if how == "deleted" else {}
            s3.delete_object(Bucket=LAKE, Key=gone, **version)
        return answer

    monkeypatch.setattr(s3, "copy_object", copied)

    assert an_export(s3).run()["objects"] == 3
    assert taken(s3) == ["raw/a.csv", "raw/b.csv", "raw/c.csv"]


@pytest.mark.parametrize("late", ["raw/a.csv", "raw/b.csv", "raw/z.csv"])
def test_what_comes_in_after_all_was_copied_is_not_passed_over_where_something_vanished(s3, monkeypatch, late):
    for key in ("raw/b.csv", "raw/c.csv"):
        s3.put_object(Bucket=LAKE, Key=key, Body=b"x")
    complete = Export._complete

    def change(export):
        s3.delete_object(Bucket=LAKE, Key="raw/c.csv")
        s3.put_object(Bucket=LAKE, Key=late, Body=b"late")
        complete(export)

    with monkeypatch.context() as patch:
        patch.setattr(Export, "_complete", change)
        with pytest.raises(DeployError, match=f"bucket lake: {late} has changed while it was exported"):
            an_export(s3).run()

    an_export(s3).run()
    assert body(s3, f"data/{late}") == b"late"


def test_an_object_that_cannot_be_copied_is_named(s3, monkeypatch):
    s3.put_object(Bucket=LAKE, Key="raw/frozen.csv", Body=b"x")

    def refuse(**_):
        error = {"Error": {"Code": "InvalidObjectState"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(error, "CopyObject")

    monkeypatch.setattr(s3, "copy_object", refuse)

    with pytest.raises(DeployError, match=r"of 'raw/frozen.csv' in lake cannot be copied \(InvalidObjectState\)"):
        an_export(s3).run()
