import re

import pytest

from tenants.formats import ISO_DATE, ISO_TIMESTAMP, TextFormat


@pytest.mark.parametrize(
    ("text", "written", "iso"),
    [
        ("dd.MM.yyyy", "20.09.2024", "2024-09-20"),
        ("d/M/yyyy", "3/9/2024", "2024-9-3"),
        ("yyyyMMdd", "20240920", "2024-09-20"),
        ("yyyyMMdd'T'HHmmss", "20240920T101530", "2024-09-20 10:15:30"),
        ("dd.MM.yyyy HH:mm", "20.09.2024 10:15", "2024-09-20 10:15"),
        ("yyyy-MM-dd HH:mm:ss.SSSXXX", "2024-09-20 10:15:30.125+02:00", "2024-09-20 10:15:30.125+02:00"),
        ("yyyy/MM/dd HH:mm:ssX", "2024/09/20 10:15:30Z", "2024-09-20 10:15:30Z"),
        (r"yyyy\MM[dd]", r"2024\09[20]", "2024-09-20"),
    ],
)
def test_a_foreign_format_becomes_iso(text, written, iso):
    found = TextFormat.parse(text)

    assert re.sub(found.pattern, re.sub(r"\$(\d)", r"\\g<\1>", found.iso), written) == iso


@pytest.mark.parametrize("written", ["20.9.2024", "20.09.24", "20.09.2024 junk", "x20.09.2024", "20-09-2024", ""])
def test_what_does_not_match_is_no_date(written):
    assert not re.search(TextFormat.parse("dd.MM.yyyy").pattern, written)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dd.MM", "has no year"),
        ("dd.MM.yy", "has 'yy'; expected of yyyy"),
        ("dd.MM.yyyy hh:mm a", "has 'hh'"),
        ("dd.MM.yyyy HH", "has no minute"),
        ("dd.MM.yyyy mm", "has no hour"),
        ("dd.MM.yyyy dd", "gives the day twice"),
        ("yyyy-MM-dd'T", "a quote that is never closed"),
        ("", "has no year"),
    ],
)
def test_a_format_that_is_not_understood_is_refused(text, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        TextFormat.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "2024-09-20 10:15:30",
        "2024-09-20T10:15:30Z",
        "2024-09-20T10:15:30.123456+02:00",
        "2024-09-20",
        "2024-09-20 10:15",
    ],
)
def test_these_are_iso_timestamps(text):
    assert re.search(ISO_TIMESTAMP, text)


@pytest.mark.parametrize("text", ["10:15", "2024", "2024-09", "2024-09-20 junk", "20.09.2024", "2024-09-20 10"])
def test_these_are_not(text):
    assert not re.search(ISO_TIMESTAMP, text)


def test_a_date_may_carry_midnight_and_no_other_time():
    assert re.search(ISO_DATE, "2024-09-20 00:00:00")
    assert not re.search(ISO_DATE, "2024-09-20 00:00:01")
