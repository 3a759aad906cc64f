import json
from importlib import metadata

import pytest

from deployment.replacements import Replacements, holds_data, replacements
from tests import replacement_table
from tests.templates import synthesised


@pytest.fixture(scope="module")
def resources():
    """Every resource of every template that the CDK app makes of the test's registry."""
    return [resource for stack in synthesised("prod").values() for resource in stack["Resources"].values()]


def test_every_type_and_property_that_our_templates_have_is_known(resources):
    table = replacements()

    assert {each["Type"] for each in resources} - table.types.keys() == set()
    assert [
        (each["Type"], table.unknown(each["Type"], each.get("Properties", {})))
        for each in resources
        if table.unknown(each["Type"], each.get("Properties", {}))
    ] == []


def test_the_table_is_what_the_schemas_say():
    """If this fails after an update of cfn-lint: `python -m tests.replacement_table`."""
    committed = json.loads(replacement_table.TABLE.read_text())

    assert committed == replacement_table.table(committed["types"])
    assert metadata.version("cfn-lint") in committed["source"]


@pytest.mark.parametrize(
    ("kind", "old", "new", "causes"),
    [
        ("AWS::S3::Bucket", {"BucketName": "a"}, {"BucketName": "b"}, ("BucketName",)),
        ("AWS::S3::Bucket", {}, {"BucketName": "b"}, ("BucketName",)),
        ("AWS::S3::Bucket", {"BucketName": "a"}, {"BucketName": "a", "Tags": []}, ()),
        # Possible for some changes of the key's attributes: what may be lost counts as lost.
        ("AWS::DynamoDB::Table", {"KeySchema": [1]}, {"KeySchema": [2]}, ("KeySchema",)),
        # Of a nested property only the part that is fixed.
        ("AWS::Glue::Table", {"TableInput": {"Name": "a"}}, {"TableInput": {"Name": "b"}}, ("TableInput/Name",)),
        ("AWS::Glue::Table", {"TableInput": {"Name": "a"}}, {"TableInput": {"Name": "a", "Owner": "x"}}, ()),
        ("AWS::IAM::Policy", {"PolicyName": "a"}, {"PolicyName": "b"}, ()),
    ],
)
def test_what_makes_a_new_resource(kind, old, new, causes):
    assert replacements().causes(kind, old, new) == causes


def test_a_star_stands_for_every_item_of_a_list():
    table = Replacements("here", {"T": {"properties": ["Items"], "create_only": ["Items/*/Id"]}})

    assert table.causes("T", {"Items": [{"Id": 1, "x": 1}]}, {"Items": [{"Id": 1, "x": 2}]}) == ()
    assert table.causes("T", {"Items": [{"Id": 1}]}, {"Items": [{"Id": 2}]}) == ("Items/*/Id",)
    assert table.causes("T", {"Items": [{"Id": 1}]}, {"Items": [{"Id": 1}, {"Id": 2}]}) == ("Items/*/Id",)


def test_a_resource_is_kept_under_its_name_only_if_the_template_says_the_whole_name():
    table = replacements()

    assert table.name_kept("AWS::Logs::LogGroup", {"LogGroupName": "a"}, {"LogGroupName": "a"}) == ("LogGroupName",)
    assert table.name_kept("AWS::Logs::LogGroup", {"LogGroupName": "a"}, {"LogGroupName": "b"}) == ()
    assert table.name_kept("AWS::Logs::LogGroup", {}, {}) == ()
    assert table.name_kept("AWS::SNS::Topic", {"TopicName": "a"}, {"TopicName": "a"}) == ()  # its ARN is AWS's


def test_what_holds_data_is_told_by_its_type_or_by_the_wish_to_keep_it():
    assert holds_data({"Type": "AWS::S3::Bucket", "DeletionPolicy": "Delete"})
    assert holds_data({"Type": "AWS::Glue::Table", "DeletionPolicy": "RetainExceptOnCreate"})
    assert holds_data({"Type": "AWS::Glue::Table", "UpdateReplacePolicy": "Retain"})
    assert not holds_data({"Type": "AWS::Glue::Table", "DeletionPolicy": "Delete"})
    assert not holds_data({"Type": "AWS::IAM::Role"})


def test_everything_that_our_templates_keep_is_of_a_type_that_holds_data(resources):
    """So that dev, which keeps nothing, is asked the same questions as prod."""
    from deployment.replacements import HOLDING_DATA

    kept = {each["Type"] for each in resources if str(each.get("DeletionPolicy", "")).startswith("Retain")}
    assert kept - HOLDING_DATA == set()
