import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployment.changes import ResourceChange, Step, difference, same, steps
from deployment.replacements import replacements

BUCKET = {
    "Type": "AWS::S3::Bucket",
    "Properties": {"BucketName": "lake", "Tags": [{"Key": "tenant", "Value": "acme"}]},
    "DeletionPolicy": "RetainExceptOnCreate",
}
TOPIC = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "alerts"}}
SUBSCRIPTION = {"Type": "AWS::SNS::Subscription", "Properties": {"TopicArn": {"Ref": "Topic"}, "Protocol": "email"}}


def changed(old, new, **sections):
    found = difference({"Resources": old}, {"Resources": new, **sections}, replacements())
    return found if sections else found.resources


def with_properties(resource, **properties):
    made = copy.deepcopy(resource)
    made["Properties"] = {
        key: value for key, value in {**made["Properties"], **properties}.items() if value is not None
    }
    return made


def test_what_is_the_same_is_no_change():
    assert changed({"Lake": BUCKET}, {"Lake": copy.deepcopy(BUCKET)}) == ()


def test_what_is_new_and_what_is_gone():
    made, gone = changed({"Lake": BUCKET}, {"Topic": TOPIC})

    assert made == ResourceChange("Lake", "AWS::S3::Bucket", "-", holds_data=True)
    assert made.gives_up_data
    assert gone == ResourceChange("Topic", "AWS::SNS::Topic", "+")


def test_properties_and_attributes_that_differ_are_named():
    new = with_properties(BUCKET, Tags=None, VersioningConfiguration={"Status": "Enabled"}) | {
        "DeletionPolicy": "Delete",
        "DependsOn": ["Topic"],
    }

    (change,) = changed({"Lake": BUCKET}, {"Lake": new})
    assert change.properties == ("Tags", "VersioningConfiguration", "DeletionPolicy", "DependsOn")
    assert (change.kind, change.replaces, change.gives_up_data, change.obstacle) == ("~", False, False, None)


def test_a_bucket_of_another_name_is_another_bucket():
    (change,) = changed({"Lake": BUCKET}, {"Lake": with_properties(BUCKET, BucketName="pond")})

    assert (change.properties, change.replaces, change.gives_up_data) == (("BucketName",), True, True)
    assert change.obstacle is None


def test_a_new_resource_cannot_have_the_name_of_the_old_one():
    rule = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"EventSourceArn": "a", "FunctionName": "f"}}
    table = {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "ledger", "KeySchema": [1]}}

    (mapping,) = changed({"M": rule}, {"M": with_properties(rule, EventSourceArn="b")})
    (ledger,) = changed({"T": table}, {"T": with_properties(table, KeySchema=[2])})

    assert (mapping.replaces, mapping.obstacle) == (True, None)  # what it is called is AWS's business
    assert ledger.obstacle == (
        "a new AWS::DynamoDB::Table is needed, and its name (TableName) is taken by the old one: change that too"
    )


def test_what_refers_to_a_replaced_resource_changes_with_it_and_so_on():
    policy = {"Type": "AWS::SNS::TopicPolicy", "Properties": {"Topics": [{"Ref": "Topic"}], "PolicyDocument": {}}}
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmActions": [{"Fn::Sub": "x:${Mail.Arn}"}]}}
    resources = {"Topic": TOPIC, "Mail": SUBSCRIPTION, "Policy": policy, "Alarm": alarm}

    found = changed(resources, resources | {"Topic": with_properties(TOPIC, TopicName="warnings")})

    assert [(each.logical_id, each.properties, each.replaces) for each in found] == [
        ("Alarm", ("AlarmActions",), False),
        ("Mail", ("TopicArn",), True),
        ("Policy", ("Topics",), False),
        ("Topic", ("TopicName",), True),
    ]


def test_what_refers_to_an_updated_resource_stays_as_it_is():
    resources = {"Topic": TOPIC, "Mail": SUBSCRIPTION}

    found = changed(resources, resources | {"Topic": with_properties(TOPIC, DisplayName="Alerts")})

    assert [each.logical_id for each in found] == ["Topic"]


@pytest.mark.parametrize(
    ("old", "new", "obstacle"),
    [
        (BUCKET, with_properties(BUCKET, Colour="red"), "AWS::S3::Bucket has no property Colour that is known here"),
        (
            {"Type": "AWS::New::Thing", "Properties": {"A": 1}},
            {"Type": "AWS::New::Thing", "Properties": {"A": 2}},
            "what a change does to AWS::New::Thing is not known here",
        ),
        ({"Type": "AWS::New::Thing"}, None, "whether AWS::New::Thing holds data is not known here"),
        (
            BUCKET,
            TOPIC,
            "CloudFormation changes no type (AWS::S3::Bucket → AWS::SNS::Topic): give the new resource another logical id",
        ),
    ],
)
def test_nothing_is_guessed(old, new, obstacle):
    (change,) = changed({"It": old}, {"It": new} if new else {})

    assert change.obstacle == obstacle


def test_a_new_resource_of_an_unknown_type_gives_nothing_up():
    (change,) = changed({}, {"It": {"Type": "AWS::New::Thing"}})

    assert (change.kind, change.obstacle) == ("+", None)


def test_other_sections_that_differ_are_named_and_the_description_is_not_one():
    found = changed({"T": TOPIC}, {"T": TOPIC}, Outputs={"Key": {"Value": 1}}, Description="[other]")

    assert (found.resources, found.sections) == ((), ("Outputs",))


def test_signs_that_cloudformation_gives_back_as_question_marks_are_no_change():
    old, new = with_properties(TOPIC, DisplayName="Gr??e ? 1"), with_properties(TOPIC, DisplayName="Grüße 🚀 1")

    assert changed({"T": old}, {"T": new}) == ()
    assert changed({"T": with_properties(TOPIC, DisplayName="Gruesse")}, {"T": new}) != ()


def test_true_is_not_one():
    assert not same({"a": True}, {"a": 1})


def test_steps_are_the_smallest_parts_that_differ():
    old = {"a": {"b": [1, {"c": 2}], "d": 1}, "e": [1]}
    new = {"a": {"b": [1, {"c": 3}]}, "e": [1, 2]}

    assert list(steps(old, new)) == [Step("a/b/1/c", 2, 3), Step("a/d", 1, None), Step("e", [1], [1, 2])]


JSON = st.recursive(
    st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "?"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(old=st.dictionaries(st.sampled_from("abc"), JSON), new=st.dictionaries(st.sampled_from("abc"), JSON))
def test_two_values_differ_if_and_only_if_there_is_a_step(old, new):
    assert bool(list(steps(old, new))) == (not same(old, new))
