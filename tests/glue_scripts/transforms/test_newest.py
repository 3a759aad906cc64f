import pytest

from glue_scripts.transforms.newest import newest

pytestmark = pytest.mark.spark


def kept(spark, version_column, *rows):
    frame = spark.createDataFrame(list(rows), "id string, version int, _arrived_at string, _row bigint")
    return sorted(tuple(row) for row in newest(frame, ["id"], version_column).collect())


def test_the_row_that_arrived_last_stays(spark):
    assert kept(spark, None, ("a", 9, "10:00", 1), ("a", 1, "11:00", 2), ("b", 1, "10:00", 3)) == [
        ("a", 1, "11:00", 2),
        ("b", 1, "10:00", 3),
    ]


def test_of_rows_of_one_arrival_the_last_one_stays(spark):
    assert kept(spark, None, ("a", 1, "10:00", 1), ("a", 2, "10:00", 2)) == [("a", 2, "10:00", 2)]


def test_a_higher_version_stays_whenever_it_arrived(spark):
    assert kept(spark, "version", ("a", 9, "10:00", 1), ("a", 1, "11:00", 2)) == [("a", 9, "10:00", 1)]


def test_a_row_without_a_version_is_older_than_any_with_one(spark):
    assert kept(spark, "version", ("a", 1, "10:00", 1), ("a", None, "11:00", 2)) == [("a", 1, "10:00", 1)]
