import pytest

from tenants.quantities import duration_text, parse_bytes, parse_days, parse_seconds, size_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15 minutes", 900), ("1 hour", 3600), ("90 days", 7_776_000), ("0", 0), ("1.5 hours", 5400), ("30 seconds", 30),
     ("1 week", 604_800), (0, 0), ("1minute", 60)],
)  # fmt: skip
def test_a_duration_is_a_number_and_a_unit(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["15", "", "minutes", "-1 minute", "1 fortnight", "1 minute 2 seconds", "0.5 seconds", "１ hour"]
)
def test_other_durations_are_refused(text):
    with pytest.raises(ValueError, match="expected a number and a unit"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("100 GB", 100_000_000_000), ("1 TB", 1_000_000_000_000), ("1 GiB", 1_073_741_824), ("10MB", 10_000_000),
     ("512 B", 512), ("1.5 KB", 1500)],
)  # fmt: skip
def test_sizes_are_decimal_unless_they_say_binary(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["100", "100 gb", "1 PB", "GB", "0.1 B", "-1 GB"])
def test_other_sizes_are_refused(text):
    with pytest.raises(ValueError, match="is no size"):
        parse_bytes(text)


def test_days_are_whole():
    assert (parse_days("90 days"), parse_days("2 weeks"), parse_days("48 hours")) == (90, 14, 2)
    with pytest.raises(ValueError, match="no number of days"):
        parse_days("36 hours")


def test_quantities_are_shown_in_the_largest_unit_that_fits():
    assert [duration_text(900), duration_text(3600), duration_text(90), duration_text(0)] == [
        "15 minutes", "1 hour", "90 seconds", "0",
    ]  # fmt: skip
    assert [size_text(10**11), size_text(1_500_000_000), size_text(7)] == ["100 GB", "1500 MB", "7 B"]
