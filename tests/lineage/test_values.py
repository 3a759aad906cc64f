import time
import uuid
from datetime import UTC, datetime, timedelta, timezone

from lineage.values import Output, moment, new_run_id, output_id, stamp


def test_a_run_id_is_a_uuid_of_version_7_and_sorts_by_time():
    first = new_run_id()
    time.sleep(0.002)
    second = new_run_id()

    assert uuid.UUID(first).version == 7
    assert first < second


def test_stamps_are_utc_and_sort_as_time_does():
    berlin = datetime(2024, 9, 20, 14, 0, tzinfo=timezone(timedelta(hours=2)))

    assert stamp(berlin) == "2024-09-20T12:00:00.000000Z"
    assert moment(stamp(berlin)) == berlin
    assert stamp(datetime(2024, 9, 20, 11, 59, 59, 999999, tzinfo=UTC)) < stamp(berlin)


def test_a_partition_is_versioned_by_its_snapshot_else_by_its_run():
    partition = Output(
        key="analytics-ready/sales/year=2024/month=09", version=None, zone="analytics-ready", dataset="sales"
    )

    assert output_id(partition, "run1", "77") == output_id(partition, "run2", "77")
    assert output_id(partition, "run1", None) != output_id(partition, "run2", None)
