"""How many calls per second services take from one account and Region, and who says so.

Published ones are AWS's defaults, read in a copy of its documentation or in a list that `aws service-quotas` printed;
the rest is assumed, because AWS does not publish it, and is halved and doubled in `benchmarks.waves`.
"""

from dataclasses import dataclass, replace

__all__ = ["RATES", "Rate", "scaled"]

CLOUDWATCH = "docs.aws.amazon.com/general/latest/gr/cw_region.html, read 2026-09-26"
LOGS = "CloudWatch Logs quotas, AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"
KMS = "docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html"
EVENTS = "docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html: control plane"
ATHENA = "docs.aws.amazon.com/athena/latest/ug/service-limits.html"
SNS = "service quotas of us-east-1; other Regions have less"
STACKS = (
    "assumed: seven updates at once pass and ten do not (jenkinsci/pipeline-aws-plugin#245), five creations within a "
    "second are too many (Sceptre/sceptre#910)"
)
WATCHERS = "assumed: 35 stacks that are watched at once are refused (aws/aws-cdk#5637)"
UNPUBLISHED = "assumed: not published"


@dataclass(frozen=True)
class Rate:
    """A bucket of `burst` tokens, filled by `per_second`; each call of one of `operations` takes a token."""

    operations: tuple[str, ...]
    per_second: float
    burst: float
    source: str

    @property
    def is_published(self) -> bool:
        return not self.source.startswith("assumed")


def published(source: str, per_second: float, *operations: str, burst: float | None = None) -> list[Rate]:
    """A bucket each. Where no burst is published it is what one second brings."""
    return [Rate((operation,), per_second, burst or per_second, source) for operation in operations]


RATES: tuple[Rate, ...] = (
    Rate(
        ("CreateStack", "UpdateStack", "DeleteStack", "CreateChangeSet", "ExecuteChangeSet", "DeleteChangeSet"),
        5,
        10,
        STACKS,
    ),
    Rate(("DescribeStacks",), 10, 20, UNPUBLISHED),
    Rate(("DescribeStackEvents",), 10, 20, WATCHERS),
    Rate(("DescribeChangeSet",), 10, 20, UNPUBLISHED),
    Rate(("GetTemplate",), 10, 20, UNPUBLISHED),
    Rate(("s3:control",), 10, 20, UNPUBLISHED),
    Rate(("iam:write",), 10, 20, UNPUBLISHED),
    Rate(("iam:read",), 20, 40, UNPUBLISHED),
    Rate(("glue:write",), 10, 15, UNPUBLISHED),
    Rate(("glue:read",), 20, 30, UNPUBLISHED),
    Rate(("CreateWorkGroup", "GetWorkGroup"), 5, 20, UNPUBLISHED),
    Rate(("PutRule", "PutTargets", "DescribeRule"), 50, 50, EVENTS),
    *published(ATHENA, 5, "CreateNamedQuery", "GetNamedQuery", burst=20),
    *published(CLOUDWATCH, 3, "PutMetricAlarm"),
    *published(CLOUDWATCH, 9, "DescribeAlarms"),
    *published(LOGS, 10, "CreateLogGroup", "DescribeLogGroups"),
    *published(LOGS, 5, "PutRetentionPolicy"),
    *published(KMS, 5, "CreateKey", "CreateAlias"),
    *published(KMS, 15, "EnableKeyRotation"),
    *published(KMS, 500, "ListAliases"),
    *published(KMS, 2_000, "DescribeKey"),
    *published(SNS, 900, "CreateTopic", "SetTopicAttributes", "GetTopicAttributes", "GetSubscriptionAttributes"),
    *published(SNS, 100, "Subscribe"),
)


def scaled(factor: float, *, assumed_only: bool = True) -> tuple[Rate, ...]:
    return tuple(
        rate
        if assumed_only and rate.is_published
        else replace(rate, per_second=rate.per_second * factor, burst=max(1.0, rate.burst * factor))
        for rate in RATES
    )
