"""When a dataset's schedule was last due: pure functions of the compiled schedule and a moment.

    {"rate_s": 3600}                                        each multiple of so many seconds since 1970
    {"cron": {"minutes": [0], "hours": [6], "days": None, "months": [1, …], "weekdays": [2, …], "years": None}}

The cron is EventBridge's: UTC; of `days` (of the month) and `weekdays` (1 = Sunday … 7 = Saturday) one is None, for the
`?` of the text; None for `years` is every year. A moment that is due counts from its first second on.
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the last time of what was never due yet: no file arrived before it."""


def last_due(compiled: Mapping[str, Any], now: datetime) -> datetime:
    """The latest moment, not after `now`, at which the schedule was due; NEVER if there is none."""
    now = now.astimezone(UTC)
    if "rate_s" in compiled:
        return now - (now - NEVER) % timedelta(seconds=int(compiled["rate_s"]))
    cron: Mapping[str, Any] = compiled["cron"]
    for day in _days(cron, now):
        latest = _time_of(cron, day, now)
        if latest is not None:
            return latest
    return NEVER


def _days(cron: Mapping[str, Any], now: datetime) -> Iterator[datetime]:
    """Midnights of the days that match, today first, then backwards."""
    years, months = cron.get("years"), sorted(cron["months"], reverse=True)
    for year in range(now.year, NEVER.year - 1, -1):
        if years is not None and year not in years:
            continue
        for month in months:
            for number in range(monthrange(year, month)[1], 0, -1):
                day = datetime(year, month, number, tzinfo=UTC)
                if day <= now and _matches(cron, day):
                    yield day


def _matches(cron: Mapping[str, Any], day: datetime) -> bool:
    days, weekdays = cron.get("days"), cron.get("weekdays")
    if days is not None:
        return day.day in days
    return weekdays is None or day.isoweekday() % 7 + 1 in weekdays


def _time_of(cron: Mapping[str, Any], day: datetime, now: datetime) -> datetime | None:
    """The latest hour and minute of that day that is not after `now`."""
    times = (day.replace(hour=hour, minute=minute) for hour in cron["hours"] for minute in cron["minutes"])
    return max((time for time in times if time <= now), default=None)
