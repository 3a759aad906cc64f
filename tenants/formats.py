"""Dates and timestamps as text: which texts count as one, and how a foreign format becomes ISO.

Spark's own parser is not asked, because it raises for texts that Spark 2 would have read otherwise; a regular
expression rearranges the text and `try_cast` reads ISO, which is the same in every version.
"""

import re
import string
from dataclasses import dataclass

from tenants.sql import literal

__all__ = ["ISO_DATE", "ISO_TIMESTAMP", "TextFormat"]

# try_cast alone would also take '2024', '12:30' (today!) and '2024-01-01 junk'.
ISO_DATE = "^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ T]0?0:00(:00([.]0+)?)?Z?)?$"
ISO_TIMESTAMP = (
    "^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    "([ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?( ?(Z|UTC|[+-][0-9]{1,2}(:?[0-9]{2})?))?)?$"
)

# letters of the JDK's DateTimeFormatter -> (name of the part, expression)
FIELDS = {
    "yyyy": ("year", "[0-9]{4}"),
    "uuuu": ("year", "[0-9]{4}"),
    "MM": ("month", "[0-9]{2}"),
    "M": ("month", "[0-9]{1,2}"),
    "dd": ("day", "[0-9]{2}"),
    "d": ("day", "[0-9]{1,2}"),
    "HH": ("hour", "[0-9]{2}"),
    "H": ("hour", "[0-9]{1,2}"),
    "mm": ("minute", "[0-9]{2}"),
    "ss": ("second", "[0-9]{2}"),
    "X": ("zone", "Z|[+-][0-9]{2}"),
    "XXX": ("zone", "Z|[+-][0-9]{2}:[0-9]{2}"),
} | {"S" * width: ("fraction", f"[0-9]{{{width}}}") for width in range(1, 10)}

ISO_PARTS = (
    ("", "year"),
    ("-", "month"),
    ("-", "day"),
    (" ", "hour"),
    (":", "minute"),
    (":", "second"),
    (".", "fraction"),
    ("", "zone"),
)

PIECE = re.compile(r"(?P<field>([A-Za-z])\2*)|'(?P<quoted>[^']*)'|(?P<other>[^A-Za-z'])")


@dataclass(frozen=True)
class TextFormat:
    """A format such as `dd.MM.yyyy HH:mm`, as the texts that match it and the ISO text each stands for."""

    pattern: str
    iso: str

    @classmethod
    def parse(cls, text: str) -> "TextFormat":
        """Raises ValueError naming what is not understood."""
        groups: dict[str, int] = {}
        pattern, position = "", 0
        while position < len(text):
            match = PIECE.match(text, position)
            if match is None:
                raise ValueError(f"format {text!r} has a quote that is never closed")
            position = match.end()
            if match["field"]:
                pattern += _group(text, match["field"], groups)
            else:
                pattern += "".join(map(_exactly, match["quoted"] or match["other"] or "'"))
        return cls(f"^{pattern}$", _iso(text, groups))

    def to_iso(self, value: str) -> str:
        """SQL of the ISO text of the SQL `value`; what does not match stays as it is."""
        return f"regexp_replace({value}, {literal(self.pattern)}, {literal(self.iso)})"


def _group(text: str, letters: str, groups: dict[str, int]) -> str:
    if letters not in FIELDS:
        raise ValueError(f"format {text!r} has {letters!r}; expected of {', '.join(FIELDS)} and 'quoted' text")
    name, expression = FIELDS[letters]
    if name in groups:
        raise ValueError(f"format {text!r} gives the {name} twice")
    groups[name] = len(groups) + 1
    return f"({expression})"


def _exactly(character: str) -> str:
    return f"\\{character}" if character in string.punctuation else character


def _iso(text: str, groups: dict[str, int]) -> str:
    needs = {"minute": "hour", "second": "minute", "fraction": "second", "zone": "minute"}
    wanted = ["year", "month", "day", *(needs[name] for name in groups if name in needs)]
    if "hour" in groups:
        wanted.append("minute")
    if missing := [name for name in wanted if name not in groups]:
        raise ValueError(f"format {text!r} has no {missing[0]}")
    return "".join(f"{before}${groups[name]}" for before, name in ISO_PARTS if name in groups)
