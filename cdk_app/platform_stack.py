"""What all tenants of one environment share."""

import aws_cdk as cdk
from constructs import Construct

from cdk_app.alerts import Alerts, Chat
from cdk_app.code import Code
from cdk_app.events import Arrivals
from cdk_app.ingestion import REGISTER_TIMEOUT, ControlPlane
from cdk_app.keys import PlatformKey
from cdk_app.ledger import Ledger
from cdk_app.monitoring import PlatformAlarms
from cdk_app.storage import CodeBucket
from cdk_app.values import Site

__all__ = ["PlatformStack"]


class PlatformStack(cdk.Stack):
    """Queue, control plane, ledger, code, key, alerts. It names no tenant: adding one does not change it."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, code: Code) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=site.platform.stack,
            description=f"What the tenants of {site.organization} share in {site.environment}",
            env=site.cdk_environment,
            termination_protection=site.termination_protection,
        )
        key = PlatformKey(self, "PlatformKey", site=site).key
        self.ledger = Ledger(self, "Ledger", site=site, key=key)
        self.code_bucket = CodeBucket(self, "Code", site=site, key=key)
        # AWS asks for six times the function's own limit.
        arrivals = Arrivals(
            self,
            "Arrivals",
            site=site,
            key=key,
            visibility_timeout=cdk.Duration.seconds(6 * REGISTER_TIMEOUT.to_seconds()),
        )
        ControlPlane(self, "ControlPlane", site=site, archive=code.functions, key=key, arrivals=arrivals)
        topic = Alerts(self, "Alerts", site=site, key=key).topic
        if site.webhook:
            Chat(self, "Chat", site=site, webhook=site.webhook, archive=code.functions, key=key, topic=topic)
        PlatformAlarms(self, "Alarms", site=site)
        cdk.CfnOutput(self, "KeyArn", value=key.key_arn, export_name=site.key_export)
        for name, value in site.tags.items():
            cdk.Tags.of(self).add(name, value)
