"""Which dataset a key belongs to, and which job takes it first: pure functions of the key and the contracts' globs.

A glob is matched against the whole key and is case-sensitive. `*` and `?` stay within one segment, `**` spans any
number of segments, also none: `raw/**/a_*.csv` matches `raw/a_1.csv` and `raw/x/y/a_1.csv`. There are no character
classes: `[` is a letter like any other.

Where several datasets match, the most specific glob wins: the one with the longest text before its first wildcard,
then the one with the most characters that are not wildcards, then the dataset whose name comes first.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_TOKENS = re.compile(r"(\*\*/|\*\*|\*|\?)")
_MEANING = {"**/": r"(?:[^/]*/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A dataset and the globs of its contract."""

    dataset: str
    files: tuple[str, ...]


def dataset_of(key: str, rules: Iterable[Rule]) -> str | None:
    """The dataset of a key under raw/, None if no contract matches."""
    matching = [(rule.dataset, glob) for rule in rules for glob in rule.files if matches(key, glob)]
    if not matching:
        return None
    return min(matching, key=lambda match: (*_vagueness(match[1]), match[0]))[0]


def matches(key: str, glob: str) -> bool:
    return _pattern(glob).fullmatch(key) is not None


@lru_cache(maxsize=10_000)
def _pattern(glob: str) -> re.Pattern[str]:
    parts = _TOKENS.split(glob)
    # DOTALL: a key may hold a newline.
    return re.compile("".join(_MEANING.get(part) or re.escape(part) for part in parts), re.DOTALL)


def _vagueness(glob: str) -> tuple[int, int]:
    parts = _TOKENS.split(glob)
    return -len(parts[0]), -sum(len(part) for part in parts if part not in _MEANING)
