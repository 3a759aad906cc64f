import gzip

import pytest

from glue_scripts.reading import task

CSV = b"id,name\n1,Ada\n"


def test_a_gzip_file_is_unpacked(read):
    assert read(gzip.compress(CSV), "raw/a.csv.gz") == ([("1", "Ada")], [])


def test_gzip_is_known_by_its_content_when_the_name_says_nothing(read):
    assert read(gzip.compress(CSV), "raw/a.csv") == ([("1", "Ada")], [])


def test_a_name_that_promises_gzip_and_lies_makes_the_file_malformed(read):
    assert read(CSV, "raw/a.csv.gz") == (
        [],
        [("file", "the name ends in .gz but the content is not gzip", None)],
    )


def test_a_gzip_file_that_was_cut_off_gives_no_rows_at_all(read):
    packed = gzip.compress(b"id,name\n" + b"".join(b"%d,name\n" % i for i in range(5000)))

    rows, problems = read(packed[: len(packed) // 2], "raw/a.csv.gz")

    assert rows == []
    assert problems == [("file", "the gzip stream ends too early: the file was cut off", None)]


def test_a_damaged_gzip_file_is_malformed(read):
    packed = bytearray(gzip.compress(CSV * 100))
    packed[20] ^= 0xFF

    rows, problems = read(bytes(packed), "raw/a.csv.gz")

    assert rows == []
    assert problems[0][0] == "file"
    assert "gzip" in problems[0][1]


def test_bytes_that_are_not_utf8_make_the_file_malformed_wherever_they_stand(read):
    rows, problems = read(CSV + b"2,Zo\xeb\n")

    assert rows == []
    assert problems == [("file", "not valid UTF-8: invalid continuation byte near byte 18", None)]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (CSV, [("1", "Ada")]),
        (b'{"id": 1, "name": "Ada"}\n{"id": 2}\n', [("1", "Ada"), ("2", None)]),
        (b'[{"id": 1, "name": "Ada"}]', [("1", "Ada")]),
    ],
)
def test_a_name_without_a_known_suffix_is_read_by_what_is_in_the_file(read, content, rows):
    assert read(content, "raw/data") == (rows, [])


def test_a_large_file_is_found_sound_before_its_first_row_leaves(read, monkeypatch):
    monkeypatch.setattr(task, "SMALL", 10)

    assert read(CSV * 1 + b"2,Bob\n") == ([("1", "Ada"), ("2", "Bob")], [])
    assert read(b'[{"id": 1}, {"id": 2}', "raw/a.json")[0] == []
