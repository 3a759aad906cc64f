from aws_cdk import aws_kms as kms

from cdk_app.ledger import Ledger
from lineage.items import Item


def table(stack, site, found):
    Ledger(stack, "Ledger", site=site, key=kms.Key(stack, "Key"))
    (properties,) = found(stack, "AWS::DynamoDB::Table")
    return properties


def test_the_table_has_the_keys_of_the_model(stack, site, found):
    properties = table(stack, site, found)

    assert properties["KeySchema"] == [
        {"AttributeName": Item.pk.attr_name, "KeyType": "HASH"},
        {"AttributeName": Item.sk.attr_name, "KeyType": "RANGE"},
    ]
    assert properties["TimeToLiveSpecification"] == {"AttributeName": Item.ttl.attr_name, "Enabled": True}


def test_the_index_has_the_keys_of_the_model_and_stays_within_what_dynamodb_projects(stack, site, found):
    (index,) = table(stack, site, found)["GlobalSecondaryIndexes"]

    assert index["IndexName"] == Item.index.Meta.index_name
    assert index["KeySchema"] == [
        {"AttributeName": Item.g2pk.attr_name, "KeyType": "HASH"},
        {"AttributeName": Item.g2sk.attr_name, "KeyType": "RANGE"},
    ]
    assert index["Projection"]["ProjectionType"] == "INCLUDE"
    assert index["Projection"]["NonKeyAttributes"] == Item.index.Meta.projection.non_key_attributes
    assert len(index["Projection"]["NonKeyAttributes"]) <= 20


def test_the_table_is_paid_per_request_recoverable_and_under_the_platforms_key(stack, site, found):
    properties = table(stack, site, found)

    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {
        "KMSMasterKeyId": {"Fn::GetAtt": ["Key961B73FD", "Arn"]},
        "SSEEnabled": True,
        "SSEType": "KMS",
    }
    assert properties["DeletionProtectionEnabled"] is True
