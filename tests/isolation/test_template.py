import pytest

from isolation.errors import UnknownIntrinsic, UnknownType
from isolation.template import TYPES, Stack, resolve

ACCOUNT, REGION = "111122223333", "eu-central-1"


def declared(resources, *more, region=REGION, **sections):
    stack = Stack("s", "acme", {"Resources": resources, **sections})
    return {each.logical_id: each for each in resolve([stack, *more], account=ACCOUNT, region=region)}


def described(text):
    """The value of a property, resolved, beside a bucket, a key, a topic and a queue."""
    found = declared(
        {
            "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "data"}},
            "Key": {"Type": "AWS::KMS::Key"},
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "alerts"}},
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "arrivals"}},
            "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/lake/acme"}},
            "It": {"Type": "AWS::Glue::Job", "Properties": {"Name": "job", "Description": text}},
        }
    )
    return found["It"].properties.get("Description")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({"Ref": "Bucket"}, "data"),
        ({"Ref": "Topic"}, "arn:aws:sns:eu-central-1:111122223333:alerts"),
        ({"Ref": "Queue"}, "https://sqs.eu-central-1.amazonaws.com/111122223333/arrivals"),
        ({"Ref": "AWS::Region"}, "eu-central-1"),
        ({"Ref": "AWS::NoValue"}, None),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "arn:aws:s3:::data"),
        ({"Fn::GetAtt": "Bucket.Arn"}, "arn:aws:s3:::data"),
        ({"Fn::GetAtt": ["Key", "Arn"]}, "arn:aws:kms:eu-central-1:111122223333:key/s-Key"),
        ({"Fn::GetAtt": ["Group", "Arn"]}, "arn:aws:logs:eu-central-1:111122223333:log-group:/lake/acme:*"),
        ({"Fn::Join": ["", [{"Fn::GetAtt": ["Bucket", "Arn"]}, "/*"]]}, "arn:aws:s3:::data/*"),
        ({"Fn::Join": ["-", ["a", {"Ref": "AWS::NoValue"}, "b"]]}, "a-b"),
        ({"Fn::Sub": "${Bucket}/${Topic.TopicName}/${!kept}"}, "data/alerts/${kept}"),
        ({"Fn::Sub": ["${Bucket}/${zone}", {"zone": {"Ref": "AWS::AccountId"}}]}, "data/111122223333"),
        ({"Fn::Select": [1, {"Fn::Split": [":", "a:b"]}]}, "b"),
        ({"Fn::Select": ["0", ["x", "y"]]}, "x"),
    ],
)
def test_references_become_what_they_refer_to(text, expected):
    assert described(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        {"Fn::If": ["Prod", "a", "b"]},
        {"Fn::FindInMap": ["a", "b", "c"]},
        {"Fn::GetAZs": ""},
        {"Fn::ForEach::X": []},
        {"Ref": "Bucket", "Other": 1},
        {"Ref": "Nobody"},
        {"Ref": "AWS::StackId"},
        {"Fn::GetAtt": ["Bucket", "DomainName"]},
        {"Fn::ImportValue": "nobody-exports-this"},
        {"Fn::Sub": "${Bucket.DomainName}"},
    ],
)
def test_whatever_is_not_modelled_is_refused(text):
    with pytest.raises(UnknownIntrinsic, match=r"\bs: "):
        described(text)


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:s3:::{{resolve:ssm:/where}}/*",
        {"Fn::Join": ["", ["{{resol", "ve:ssm:/where}}"]]},
        {"Fn::Sub": ["${A}ve:ssm:/where}}", {"A": "{{resol"}]},
        [{"{{resolve:ssm:/key}}": "x"}],
    ],
)
def test_a_dynamic_reference_is_no_text(text):
    with pytest.raises(UnknownIntrinsic, match=r"s: It .*: Description.* holds a dynamic reference"):
        described(text)


def test_a_name_that_aws_makes_up_is_any_that_begins_so():
    found = declared({"Topic": {"Type": "AWS::SNS::Topic"}, "Key": {"Type": "AWS::KMS::Key"}})

    assert found["Topic"].arn == f"arn:aws:sns:{REGION}:{ACCOUNT}:s-Topic-*"
    assert found["Key"].arn == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/s-Key"


def test_a_value_comes_from_the_stack_that_exports_it():
    exporting = Stack(
        "platform",
        None,
        {
            "Resources": {"Key": {"Type": "AWS::KMS::Key"}},
            "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}, "Export": {"Name": "platform-key"}}},
        },
    )
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": {"Fn::ImportValue": "platform-key"}}}

    found = declared({"Topic": topic}, exporting)

    assert found["Topic"].properties["KmsMasterKeyId"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/platform-Key"


def test_a_name_may_be_made_of_another_resources_name():
    found = declared(
        {
            "Rule": {"Type": "AWS::Events::Rule", "Properties": {"Name": {"Fn::Sub": "${Job}-rule"}}},
            "Job": {"Type": "AWS::Glue::Job", "Properties": {"Name": "work"}},
        }
    )

    assert found["Rule"].arn == f"arn:aws:events:{REGION}:{ACCOUNT}:rule/work-rule"


def test_names_that_refer_to_each_other_are_refused():
    with pytest.raises(UnknownIntrinsic, match="refers to itself"):
        declared(
            {
                "A": {"Type": "AWS::Glue::Job", "Properties": {"Name": {"Ref": "B"}}},
                "B": {"Type": "AWS::Glue::Job", "Properties": {"Name": {"Ref": "A"}}},
            }
        )


def test_roles_stand_under_their_path():
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "job", "Path": "/lake/"}}

    assert declared({"Role": role})["Role"].arn == f"arn:aws:iam::{ACCOUNT}:role/lake/job"


def test_other_partitions_have_other_arns():
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "data"}}

    assert declared({"Bucket": bucket}, region="cn-north-1")["Bucket"].arn == "arn:aws-cn:s3:::data"


@pytest.mark.parametrize(
    ("resources", "sections", "says"),
    [
        ({"X": {"Type": "AWS::EC2::Instance"}}, {}, "nobody has said who may act on AWS::EC2::Instance"),
        ({"X": {"Properties": {}}}, {}, "expected a resource with a Type"),
    ],
)
def test_unknown_types_are_refused(resources, sections, says):
    with pytest.raises(UnknownType, match=says):
        declared(resources, **sections)


@pytest.mark.parametrize("section", ["Conditions", "Mappings", "Transform"])
def test_sections_that_change_what_a_template_means_are_refused(section):
    with pytest.raises(UnknownIntrinsic, match=section):
        declared({}, **{section: {"X": 1}})


def test_a_resource_under_a_condition_is_refused():
    with pytest.raises(UnknownIntrinsic, match="under a condition"):
        declared({"X": {"Type": "AWS::KMS::Key", "Condition": "Prod"}})


def test_a_parameter_may_stand_there_but_nothing_may_refer_to_it():
    bootstrap = {"BootstrapVersion": {"Type": "String", "Default": "/cdk"}}

    assert declared({"K": {"Type": "AWS::KMS::Key"}}, Parameters=bootstrap)
    job = {"Type": "AWS::Glue::Job", "Properties": {"Name": {"Ref": "BootstrapVersion"}}}
    with pytest.raises(UnknownIntrinsic, match="Ref to BootstrapVersion"):
        declared({"J": job}, Parameters=bootstrap)


def tagged(**tags):
    return {"Type": "AWS::KMS::Key", "Properties": {"Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}}


OF_ACME = {"organization": "mycompany", "environment": "prod", "tenant": "acme"}
OF_PLATFORM = {"organization": "mycompany", "environment": "prod"}


def test_whose_a_stack_is_stands_in_its_tags_and_in_its_name():
    assert Stack.of("mycompany-acme-prod-tenant", {"Resources": {"K": tagged(**OF_ACME)}}).tenant == "acme"
    assert Stack.of("mycompany-prod-platform", {"Resources": {"K": tagged(**OF_PLATFORM)}}).tenant is None


@pytest.mark.parametrize(
    ("name", "resources"),
    [
        # Without its tag, a tenant's stack would pass for the platform's, whose roles are not asked about.
        ("mycompany-acme-prod-tenant", {"K": tagged(**OF_PLATFORM)}),
        ("mycompany-globex-prod-tenant", {"K": tagged(**OF_ACME)}),
        ("mycompany-acme-prod-tenant", {"K": tagged(**OF_ACME), "L": tagged(**OF_ACME | {"tenant": "globex"})}),
    ],
)
def test_where_tags_and_name_differ_nothing_is_proved(name, resources):
    with pytest.raises(UnknownType):
        Stack.of(name, {"Resources": resources})


def test_every_type_that_is_known_is_either_acted_on_or_has_a_reason():
    from isolation.account import KINDS, NOBODY_ACTS_ON

    assert set(TYPES) == set(KINDS) | set(NOBODY_ACTS_ON)
    assert not set(KINDS) & set(NOBODY_ACTS_ON)
    assert all(TYPES[kind].arn for kind in KINDS)
