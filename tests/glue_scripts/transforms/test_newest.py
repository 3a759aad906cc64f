import pytest

from glue_scripts.transforms.newest import newest

pytestmark = pytest.mark.spark


def kept(spark, version_column, *rows):
    rows = [row if len(row) == 6 else (*row[:3], "a.csv", "1", row[3]) for row in rows]
    types = "id string, version int, _arrived_at string, _source_file string, _sequencer string, _row bigint"
    frame = newest(spark.createDataFrame(rows, types), ["id"], version_column)
    return sorted(tuple(row) for row in frame.select("id", "version", "_arrived_at", "_row").collect())


def test_the_row_that_arrived_last_stays(spark):
    assert kept(spark, None, ("a", 9, "10:00", 1), ("a", 1, "11:00", 2), ("b", 1, "10:00", 3)) == [
        ("a", 1, "11:00", 2),
        ("b", 1, "10:00", 3),
    ]


def test_of_rows_of_one_arrival_the_last_one_stays(spark):
    assert kept(spark, None, ("a", 1, "10:00", 1), ("a", 2, "10:00", 2)) == [("a", 2, "10:00", 2)]


def test_of_files_of_one_arrival_the_order_of_their_names_decides_in_whatever_batches_they_came(spark):
    assert kept(spark, None, ("a", 1, "10:00", "a.csv", "2", 7), ("a", 2, "10:00", "b.csv", "1", 1)) == [
        ("a", 2, "10:00", 1)
    ]


def test_of_versions_of_a_file_of_one_arrival_the_sequencer_decides_in_whatever_batches_they_came(spark):
    older, newer = ("a", 1, "10:00", "a.csv", "09a", 7), ("a", 2, "10:00", "a.csv", "1b0", 1)

    assert kept(spark, None, newer, older) == [("a", 2, "10:00", 1)]


def test_a_higher_version_stays_whenever_it_arrived(spark):
    assert kept(spark, "version", ("a", 9, "10:00", 1), ("a", 1, "11:00", 2)) == [("a", 9, "10:00", 1)]


def test_a_row_without_a_version_is_older_than_any_with_one(spark):
    assert kept(spark, "version", ("a", 1, "10:00", 1), ("a", None, "11:00", 2)) == [("a", 1, "10:00", 1)]
