"""What stacks cost per month before anything happens in them: the parts that are certain, and the names of the rest."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

__all__ = ["PRICES", "Cost", "Line", "Price", "cost"]


@dataclass(frozen=True)
class Price:
    """US dollars per month for each of something; `seen` is the month in which that was read at `source`."""

    what: str
    each: Decimal
    source: str
    seen: str = "2026-11"
    note: str = ""


PRICES = {
    price.what: price
    for price in (
        Price(
            "KMS key",
            Decimal("1.00"),
            "https://aws.amazon.com/kms/pricing/",
            note="a yearly rotation adds 1.00 a month, the first and the second time",
        ),
        Price("alarm metric", Decimal("0.10"), "https://aws.amazon.com/cloudwatch/pricing/"),
        Price("high-resolution alarm metric", Decimal("0.30"), "https://aws.amazon.com/cloudwatch/pricing/"),
        Price("composite alarm", Decimal("0.50"), "https://aws.amazon.com/cloudwatch/pricing/"),
    )
}
HIGH_RESOLUTION = 60  # seconds; alarms over shorter periods cost more

# What depends on use, by the resource that it comes with. No price is guessed for it.
BY_USE = {
    "AWS::Athena::WorkGroup": "bytes that queries scan",
    "AWS::DynamoDB::Table": "requests, storage and point-in-time recovery of the ledger",
    "AWS::Glue::Job": "DPU hours of Glue runs, and the metrics that they report",
    "AWS::Glue::Table": "objects of the Glue catalog beyond the first million",
    "AWS::KMS::Key": "KMS requests",
    "AWS::Lambda::Function": "calls and seconds of Lambda functions",
    "AWS::Logs::LogGroup": "logs taken in and stored",
    "AWS::S3::Bucket": "storage and requests in S3",
    "AWS::SNS::Topic": "notifications",
    "AWS::SQS::Queue": "requests to queues",
}
PRICED = {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm", "AWS::KMS::Key"}
FREE = {
    "AWS::Athena::NamedQuery",
    "AWS::Events::Rule",  # AWS's own events on the default bus, and schedules of rules
    "AWS::Glue::Database",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}


@dataclass(frozen=True)
class Line:
    """So many of something at a price."""

    what: str
    number: int
    each: Decimal

    @property
    def monthly(self) -> Decimal:
        return self.number * self.each


@dataclass(frozen=True)
class Cost:
    """Priced things by number; `by_use` names what is not counted, `unknown` the types that have no price here."""

    numbers: Mapping[str, int] = field(default_factory=dict)
    by_use: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(Line(what, self.numbers[what], PRICES[what].each) for what in PRICES if self.numbers.get(what))

    @property
    def monthly(self) -> Decimal:
        return sum((line.monthly for line in self.lines), Decimal("0.00"))

    def __add__(self, other: "Cost") -> "Cost":
        return self._with(other, 1)

    def __sub__(self, other: "Cost") -> "Cost":
        """The difference; what either does not count, the difference does not count."""
        return self._with(other, -1)

    def __mul__(self, times: int) -> "Cost":
        return Cost({what: number * times for what, number in self.numbers.items()}, self.by_use, self.unknown)

    def _with(self, other: "Cost", sign: int) -> "Cost":
        what = {*self.numbers, *other.numbers}
        return Cost(
            {each: self.numbers.get(each, 0) + sign * other.numbers.get(each, 0) for each in what},
            self.by_use | other.by_use,
            self.unknown | other.unknown,
        )

    @classmethod
    def total(cls, costs: Iterable["Cost"]) -> "Cost":
        return sum(costs, cls())


def cost(template: Mapping[str, Any]) -> Cost:
    """What a stack of this template costs at AWS's list prices in commercial Regions, free tiers left aside."""
    numbers: Counter[str] = Counter()
    types = set()
    for resource in template.get("Resources", {}).values():
        types.add(resource["Type"])
        numbers.update(priced(resource))
    known = PRICED | FREE | BY_USE.keys()
    return Cost(dict(numbers), frozenset(BY_USE[each] for each in types & BY_USE.keys()), frozenset(types - known))


def priced(resource: Mapping[str, Any]) -> dict[str, int]:
    kind, properties = resource["Type"], resource.get("Properties", {})
    if kind == "AWS::KMS::Key":
        return {"KMS key": 1}
    if kind == "AWS::CloudWatch::CompositeAlarm":
        return {"composite alarm": 1}
    if kind == "AWS::CloudWatch::Alarm":
        return alarm(properties)
    return {}


def alarm(properties: Mapping[str, Any]) -> dict[str, int]:
    """An alarm costs as much as the metrics that it looks at."""
    if "Metrics" not in properties:
        metrics = [properties]
    else:
        metrics = [each["MetricStat"] for each in properties["Metrics"] if "MetricStat" in each]
    high = sum(1 for each in metrics if int(each.get("Period", HIGH_RESOLUTION)) < HIGH_RESOLUTION)
    found = {"high-resolution alarm metric": high, "alarm metric": len(metrics) - high}
    return {what: number for what, number in found.items() if number}
