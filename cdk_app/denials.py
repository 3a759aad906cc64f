"""Denials that resource policies share."""

from aws_cdk import aws_iam as iam

from cdk_app.values import Site

__all__ = ["foreign_tenants_denied", "plain_text_denied"]


def plain_text_denied(action: str, resources: list[str]) -> iam.PolicyStatement:
    """Nobody without TLS."""
    return iam.PolicyStatement(
        sid="PlainText",
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=[action],
        resources=resources,
        conditions={"Bool": {"aws:SecureTransport": "false"}},
    )


def foreign_tenants_denied(site: Site, own_roles: list[str], action: str, resources: list[str]) -> iam.PolicyStatement:
    """No role of any tenant but the owner's; operators, CloudFormation and the platform are not tenants."""
    return iam.PolicyStatement(
        sid="ForeignTenants",
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=[action],
        resources=resources,
        conditions={
            "ArnLike": {"aws:PrincipalArn": site.tenant_role_arns},
            "ArnNotEquals": {"aws:PrincipalArn": [site.role_arn(role) for role in own_roles]},
        },
    )
