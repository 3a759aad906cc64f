"""Costs per month: what is certain, priced; what depends on use, named."""

from decimal import Decimal

import pytest

from deployment.costs import Cost, cost

KEY = {"Type": "AWS::KMS::Key"}
ALARM = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "m", "Period": 300}}


def a_template(*resources):
    return {"Resources": {f"R{position}": resource for position, resource in enumerate(resources)}}


def test_keys_and_alarms_are_priced():
    found = cost(a_template(KEY, ALARM, ALARM))

    assert [(line.what, line.number, line.monthly) for line in found.lines] == [
        ("KMS key", 1, Decimal("1.00")),
        ("alarm metric", 2, Decimal("0.20")),
    ]
    assert found.monthly == Decimal("1.20")


def test_an_alarm_is_priced_by_its_metrics_and_their_resolution():
    math = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "Metrics": [
                {"Id": "sum", "Expression": "a+b"},
                {"Id": "a", "MetricStat": {"Period": 60}},
                {"Id": "b", "MetricStat": {"Period": 60}},
            ]
        },
    }
    fast = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "m", "Period": 10}}

    assert cost(a_template(math)).monthly == Decimal("0.20")
    assert cost(a_template(fast)).monthly == Decimal("0.30")


def test_what_depends_on_use_is_named():
    found = cost(a_template({"Type": "AWS::Glue::Job"}, {"Type": "AWS::S3::Bucket"}))

    assert found.monthly == 0
    assert found.by_use == {"DPU hours of Glue runs, and the metrics that they report", "storage and requests in S3"}


def test_a_type_without_a_price_is_named():
    assert cost(a_template({"Type": "AWS::Redshift::Cluster"})).unknown == {"AWS::Redshift::Cluster"}


def test_a_change_costs_the_difference():
    before, after = cost(a_template(KEY, ALARM)), cost(a_template(KEY, ALARM, ALARM, ALARM))

    assert ((after - before) * 500).monthly == Decimal("100.00")
    assert (before - after).monthly == Decimal("-0.20")
    assert [line.what for line in (after - before).lines] == ["alarm metric"]


def test_costs_add_up():
    assert Cost.total([cost(a_template(KEY))] * 3).monthly == Decimal("3.00")
    assert Cost.total([]).monthly == 0


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    from cli.synthesis import synthesise_into
    from tenants.registry import load

    home = tmp_path_factory.mktemp("home")
    return synthesise_into(home / "assembly", "prod", load, home)


def test_every_type_of_the_committed_templates_is_known(committed):
    found = Cost.total(cost(stack.template) for stack in committed.stacks)

    assert found.unknown == frozenset()
    assert found.monthly == Decimal("1.50") + 3 * Decimal("1.40")
