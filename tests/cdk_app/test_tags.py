"""Whatever can carry tags carries them, by CloudFormation's own word on what can."""

import pytest

from cdk_app.guardrails.properties import tagged
from cdk_app.guardrails.register import CHECKS


def takes_tags(kind):
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-central-1", kind).schema
    return "Tags" in schema["properties"]


@pytest.mark.parametrize("kind", sorted(set(CHECKS) - {"AWS::CDK::Metadata"}))
def test_a_type_is_tagged_if_and_only_if_it_takes_tags(kind):
    assert (tagged in CHECKS[kind]) == takes_tags(kind)


def test_whether_a_type_takes_tags_is_read_from_its_schema():
    assert takes_tags("AWS::S3::Bucket")
    assert not takes_tags("AWS::S3::BucketPolicy")
