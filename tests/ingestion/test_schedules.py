from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.schedules import NEVER, last_due

FRIDAY = datetime(2024, 9, 20, 12, 34, 56, tzinfo=UTC)
EVERY_MONTH = list(range(1, 13))


def cron(
    *, minutes=(0,), hours=(6,), days=None, months=EVERY_MONTH, weekdays=None, years=None
) -> dict[str, dict[str, list[int] | None]]:
    return {
        "cron": {
            "minutes": list(minutes),
            "hours": list(hours),
            "days": days,
            "months": list(months),
            "weekdays": weekdays,
            "years": years,
        }
    }


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (60, "2024-09-20T12:34:00+00:00"),
        (300, "2024-09-20T12:30:00+00:00"),
        (3600, "2024-09-20T12:00:00+00:00"),
        (86400, "2024-09-20T00:00:00+00:00"),
        (7 * 86400, "2024-09-19T00:00:00+00:00"),  # 1970 began on a Thursday
    ],
)
def test_a_rate_is_due_at_its_multiples_since_1970(seconds, expected):
    assert last_due({"rate_s": seconds}, FRIDAY) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (cron(), "2024-09-20T06:00:00+00:00"),
        (cron(hours=[18]), "2024-09-19T18:00:00+00:00"),
        (cron(minutes=[34], hours=[12]), "2024-09-20T12:34:00+00:00"),
        (cron(minutes=[35], hours=[12]), "2024-09-19T12:35:00+00:00"),
        (cron(minutes=range(0, 60, 15), hours=range(24)), "2024-09-20T12:30:00+00:00"),
        (cron(minutes=[45], hours=[11, 12]), "2024-09-20T11:45:00+00:00"),
        (cron(weekdays=[2]), "2024-09-16T06:00:00+00:00"),  # Monday
        (cron(weekdays=[1]), "2024-09-15T06:00:00+00:00"),  # Sunday
        (cron(weekdays=[7]), "2024-09-14T06:00:00+00:00"),  # Saturday
        (cron(weekdays=[2, 3, 4, 5, 6], hours=[18]), "2024-09-19T18:00:00+00:00"),
        (cron(days=[1]), "2024-09-01T06:00:00+00:00"),
        (cron(days=[31]), "2024-08-31T06:00:00+00:00"),
        (cron(days=[1], months=[1]), "2024-01-01T06:00:00+00:00"),
        (cron(days=[25], months=[12]), "2023-12-25T06:00:00+00:00"),
        (cron(days=[29], months=[2], years=None), "2024-02-29T06:00:00+00:00"),
        (cron(days=[1], years=[2022, 2030]), "2022-12-01T06:00:00+00:00"),
        (cron(hours=[23, 6, 0]), "2024-09-20T06:00:00+00:00"),
    ],
)
def test_a_cron_is_due_when_its_fields_match(schedule, expected):
    assert last_due(schedule, FRIDAY) == datetime.fromisoformat(expected)


def test_what_is_due_now_was_due():
    six = datetime(2024, 9, 20, 6, 0, tzinfo=UTC)

    assert last_due(cron(), six) == six
    assert last_due(cron(), six - timedelta(microseconds=1)) == six - timedelta(days=1)
    assert last_due({"rate_s": 3600}, six) == six


@pytest.mark.parametrize("schedule", [cron(years=[2031]), cron(days=[31], months=[2])])
def test_what_was_never_due_is_older_than_any_file(schedule):
    assert last_due(schedule, FRIDAY) == NEVER


def test_another_zones_clock_means_the_same_moment():
    tokyo = FRIDAY.astimezone(timezone(timedelta(hours=9)))

    assert last_due(cron(), tokyo) == last_due(cron(), FRIDAY)


moments = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
some = st.builds(
    cron,
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=3),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=3),
    weekdays=st.one_of(st.none(), st.sets(st.integers(1, 7), min_size=1).map(sorted)),
    months=st.sets(st.integers(1, 12), min_size=1),
)


@given(some, moments)
def test_the_last_time_matches_and_no_later_one_does(schedule, now):
    due, fields = last_due(schedule, now), schedule["cron"]

    assert due <= now
    assert (due.hour in fields["hours"], due.minute in fields["minutes"], due.second) == (True, True, 0)
    assert due.month in fields["months"]
    # Asked just before, it gives an earlier one; asked anywhere up to now, the same.
    assert last_due(schedule, due - timedelta(seconds=1)) < due
    assert last_due(schedule, due + (now - due) / 2) == due
