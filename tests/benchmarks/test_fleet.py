"""The simulated fleet: calls are counted once, no service gives more than its rate, and more rate is not slower."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fleet import Cell, Part, blueprint, changed
from benchmarks.service_rates import RATES, Rate, scaled
from benchmarks.waves import CREATE, UPDATE, Cdk, Lake, Result, cut, deployed, simulate

ALARMS = Rate(("PutMetricAlarm",), 3, 3, "published")
STACK = (
    Part(("CreateKey",), 20.0),
    Part(("PutMetricAlarm", "DescribeAlarms"), 2.0),
    Part(("s3:control", "s3:control"), 18.0, needs=(0,)),
)
CALLS = Counter(call for part in STACK for call in part.calls)


class Watched(Cell):
    """A cell that remembers when each call was granted."""

    def __post_init__(self):
        super().__post_init__()
        self.moments = []

    def call(self, operation):
        taken = yield from super().call(operation)
        if taken:
            self.moments.append((self.clock.now, operation))
        return taken


tools = st.sampled_from([Lake, Cdk])


@settings(max_examples=25, deadline=None)
@given(tools, st.integers(1, 60), st.integers(0, 1000))
def test_each_stack_that_stands_made_each_of_its_calls_once(tool, count, seed):
    cell = Cell(scaled(100, assumed_only=False), seed)

    deploys, left = deployed(tool, cell, [STACK] * count, CREATE, range(count))

    client = sum((deploy.client for deploy in deploys), Counter())
    assert left == 0
    assert cell.granted + cell.refused - client == Counter({call: count * n for call, n in CALLS.items()})


@settings(max_examples=25, deadline=None)
@given(tools, st.integers(1, 60), st.integers(0, 1000), st.sampled_from([0.5, 1, 4]))
def test_requests_are_granted_or_refused_and_all_are_counted(tool, count, seed, factor):
    cell = Cell(scaled(factor), seed)

    deploys, _ = deployed(tool, cell, [STACK] * count, CREATE, range(count))

    client = sum(sum(deploy.client.values()) for deploy in deploys)
    refused = sum(deploy.client_refused for deploy in deploys)
    needed = sum(len(deploy.done) for deploy in deploys) * CALLS.total()
    assert cell.granted.total() >= client - refused + needed
    assert not cell.clock.agenda


@settings(max_examples=20, deadline=None)
@given(tools, st.integers(1, 80), st.integers(0, 1000))
def test_no_service_ever_gives_more_than_its_rate(tool, count, seed):
    cell = Watched(RATES, seed)

    deployed(tool, cell, [STACK] * count, CREATE, range(count))

    for rate in RATES:
        moments = [moment for moment, operation in cell.moments if operation in rate.operations]
        for first, begin in enumerate(moments):
            for end, until in enumerate(moments[first:], first):
                assert end - first + 1 <= rate.burst + rate.per_second * (until - begin) + 1e-6


@pytest.mark.parametrize("tool", [Lake, Cdk])
def test_what_a_rate_bounds_takes_as_long_as_the_rate_says(tool):
    cell = Cell([ALARMS], 7)

    deployed(tool, cell, [(Part(("PutMetricAlarm",) * 4, 0.0),)] * 90, CREATE, range(90))

    assert cell.clock.now >= (90 * 4 - 3) / 3


@settings(max_examples=15, deadline=None)
@given(tools, st.integers(1, 80), st.integers(0, 1000))
def test_services_that_take_far_more_are_not_slower(tool, count, seed):
    def seconds(factor):
        return simulate(
            tool, [count], [STACK], CREATE, None, seed=seed, rates=scaled(factor, assumed_only=False)
        ).seconds

    assert seconds(100) <= seconds(1) + 30  # the seconds that parts take to settle are drawn


def test_the_same_seed_gives_the_same_run():
    once, again, other = (simulate(Lake, [40], [STACK], CREATE, None, seed=seed) for seed in (7, 7, 8))

    assert once == again
    assert once != other


def test_a_record_asks_for_nothing_of_stacks_that_are_as_they_were_and_the_cdk_for_six_requests_each():
    lake = simulate(Lake, [50, 50], [STACK], UPDATE, 1, seed=7)
    cdk = simulate(Cdk, [50, 50], [STACK], UPDATE, 1, seed=7, rates=())

    assert lake.client < 60
    assert cdk.client >= 100 * 6


def test_a_failure_stops_the_cdk_and_a_wave_that_fails_stops_lake():
    broken = (Part(("PutMetricAlarm",), 0.0),)
    closed = [Rate(("PutMetricAlarm",), 1e-9, 1e-9, "published")]

    for tool, most in ((Lake, 1), (Cdk, 25)):
        cell = Cell(closed, 7)
        deploy = tool(cell, [broken] * 300, CREATE)
        cell.clock.start(deploy.run(range(300)))
        cell.clock.run()

        assert len(deploy.done) == 0
        assert 1 <= len(deploy.failed) <= most


def test_parts_and_their_calls_are_read_from_a_template():
    template = {
        "Resources": {
            "Key": {"Type": "AWS::KMS::Key", "Properties": {"Description": "d"}},
            "Lake": {
                "Type": "AWS::S3::Bucket",
                "Properties": {
                    "BucketName": "b",
                    "BucketEncryption": {"Key": {"Fn::GetAtt": ["Key", "Arn"]}},
                    "VersioningConfiguration": {"Status": "Enabled"},
                },
            },
            "Job": {"Type": "AWS::Glue::Job", "DependsOn": ["Lake"], "Properties": {}},
        }
    }

    key, lake, job = blueprint(template)

    assert key.calls == ("CreateKey", "EnableKeyRotation", "DescribeKey")
    assert (lake.calls, lake.needs) == (("s3:control",) * 3, (0,))
    assert job.needs == (1,)
    assert changed(template, "AWS::Glue::Job") == (Part(("glue:write", "glue:read"), 2.0),)


def test_a_type_whose_calls_are_not_known_is_refused():
    with pytest.raises(KeyError, match="AWS::EC2::Instance"):
        blueprint({"Resources": {"Machine": {"Type": "AWS::EC2::Instance"}}})


def test_tenants_are_cut_into_full_cells():
    assert cut(700, 296) == [296, 296, 108]


def test_jobs_beside_each_other_take_cells_as_they_become_free():
    cells = [10.0, 5.0, 7.0, 3.0]

    assert Result(2, cells).seconds == 10 + 3
    assert Result(1, cells).seconds == 25
