"""Schedules as people write them, `rate(1 day)` and `cron(0 6 * * ? *)`, compiled to plain numbers.

They are EventBridge's, in UTC, without L, W and #. Compiled:

    {"rate_s": 86400}
    {"cron": {"minutes": [0], "hours": [6], "days": [1, …, 31], "months": [1, …, 12], "weekdays": None, "years": None}}

Of `days` (of the month) and `weekdays` (1 = Sunday … 7 = Saturday) one is None, for the `?`; None for `years` is every
year.
"""

import re
from calendar import monthrange
from dataclasses import dataclass, field

__all__ = ["Compiled", "check_schedule", "compile_schedule"]

Compiled = dict[str, object]

RATE = re.compile(r"rate\(([1-9][0-9]{0,4}) +(minute|hour|day)s?\)\Z")
CRON = re.compile(r"cron\(([^()]*)\)\Z")
UNITS = {"minute": 60, "hour": 3_600, "day": 86_400}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
LEAP_YEAR = 2024


@dataclass(frozen=True)
class Field:
    """One of the six places of a cron expression."""

    name: str
    first: int
    last: int
    words: dict[str, int] = field(default_factory=dict)

    @property
    def everything(self) -> list[int]:
        return list(range(self.first, self.last + 1))

    def numbers(self, text: str) -> list[int]:
        """What a text such as `1,3`, `MON-FRI`, `*/15` or `*` stands for, sorted."""
        return sorted({number for part in text.split(",") for number in self._part(part)})

    def _part(self, text: str) -> range:
        if re.search(r"[LW#]", self._without_words(text)):
            raise ValueError(f"{self.name} {text!r}: L, W and # are not supported; write the days as numbers or names")
        span, slash, step = text.partition("/")
        first, last = self._span(span, is_open=bool(slash))
        return range(first, last + 1, self._step(step) if slash else 1)

    def _without_words(self, text: str) -> str:
        rest = text.upper()
        for word in self.words:
            rest = rest.replace(word, "")
        return rest

    def _span(self, text: str, *, is_open: bool) -> tuple[int, int]:
        """First and last number; with a step, a single number begins what goes on to the end."""
        if text == "*":
            return self.first, self.last
        low, dash, high = text.partition("-")
        first = self._number(low)
        last = self._number(high) if dash else self.last if is_open else first
        if last < first:
            raise ValueError(f"{self.name} {text!r} ends before it begins; write two ranges")
        return first, last

    def _number(self, text: str) -> int:
        number = self.words.get(text.upper(), int(text) if re.fullmatch(r"[0-9]{1,4}", text) else -1)
        if not self.first <= number <= self.last:
            names = f" or {next(iter(self.words))} to {list(self.words)[-1]}" if self.words else ""
            raise ValueError(f"{self.name} {text!r}: expected {self.first} to {self.last}{names}, or *")
        return number

    def _step(self, text: str) -> int:
        if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
            raise ValueError(f"{self.name}: {text!r} is no step; expected a whole number such as 15 after the slash")
        return int(text)


FIELDS = (
    Field("minutes", 0, 59),
    Field("hours", 0, 23),
    Field("days", 1, 31),
    Field("months", 1, 12, {name: number for number, name in enumerate(MONTHS, start=1)}),
    Field("weekdays", 1, 7, {name: number for number, name in enumerate(WEEKDAYS, start=1)}),
    Field("years", 1970, 2199),
)


def compile_schedule(text: str) -> Compiled:
    """Raises ValueError with what is wrong and what was expected."""
    rate = RATE.match(text.strip())
    if rate:
        return {"rate_s": int(rate[1]) * UNITS[rate[2]]}
    cron = CRON.match(text.strip())
    if cron is None:
        raise ValueError(f"{text!r} is no schedule; expected such as rate(1 day) or cron(0 6 * * ? *)")
    try:
        return {"cron": _cron(cron[1].split())}
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None


def check_schedule(text: str) -> str:
    """The text, if it is a schedule."""
    compile_schedule(text)
    return text.strip()


def _cron(parts: list[str]) -> dict[str, list[int] | None]:
    names = [place.name for place in FIELDS]
    if len(parts) != len(FIELDS):
        raise ValueError(f"{len(parts)} fields; expected {len(FIELDS)}: {', '.join(names)}")
    given = dict(zip(names, parts, strict=True))
    if (given["days"] == "?") == (given["weekdays"] == "?"):
        raise ValueError("one of days (of the month) and weekdays has to be ?, the other not")
    compiled = {place.name: _numbers(place, given[place.name]) for place in FIELDS}
    if not _is_ever_due(compiled):
        raise ValueError("no day is ever like that")
    return compiled


def _numbers(place: Field, text: str) -> list[int] | None:
    if text == "?":
        if place.name in ("days", "weekdays"):
            return None
        raise ValueError(f"{place.name} '?': expected numbers or *; ? is for days or weekdays")
    return None if place.name == "years" and text == "*" else place.numbers(text)


def _is_ever_due(cron: dict[str, list[int] | None]) -> bool:
    days, months, years = cron["days"], cron["months"] or [], cron["years"] or [LEAP_YEAR]
    return days is None or any(days[0] <= monthrange(year, month)[1] for year in years for month in months)
