"""The ledger: one table, with the keys that `lineage.table` gives its items."""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_app.values import Site
from lineage import table

__all__ = ["Ledger"]


class Ledger(Construct):
    """Claims and runs of all tenants; a tenant's rows begin with its own prefix."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, key: kms.IKey) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=site.platform.ledger,
            partition_key=text(table.PARTITION_KEY),
            sort_key=text(table.SORT_KEY),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute=table.TTL,
            deletion_protection=not site.destroys_data,
            removal_policy=site.removal_policy,
        )
        self.table.add_global_secondary_index(
            index_name=table.INDEX,
            partition_key=text(table.INDEX_PARTITION_KEY),
            sort_key=text(table.INDEX_SORT_KEY),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=list(table.INDEX_PROJECTION),
        )


def text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
