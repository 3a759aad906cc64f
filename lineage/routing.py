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
_WILDCARDS = frozenset({"**/", "**", "*", "?"})
_ALSO_NONE = frozenset({"**/", "**", "*"})
"""Wildcards that also stand for nothing."""


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
    """Takes time in proportion to the key, whatever either is: all tenants share the process that asks.

    A regular expression would try the wildcards' lengths one after the other; this walks all of them at once.
    """
    head, elements = _elements(glob)
    if not key.startswith(head):
        return False
    reached = _through({0}, elements)
    for letter in key[len(head) :]:
        reached = _through(_after(letter, reached, elements), elements)
        if not reached:
            return False
    return len(elements) in reached


def _after(letter: str, reached: set[int], elements: tuple[str, ...]) -> set[int]:
    """Which elements come next once `letter` is read; -1 - n: within a segment of the `**/` that is element n."""
    slash = letter == "/"
    following = set()
    for at in reached:
        element = elements[at] if 0 <= at < len(elements) else None
        if at < 0:
            following.add(-1 - at if slash else at)
        elif element == "**/":
            following.add(at if slash else -1 - at)
        elif element == "**" or (element == "*" and not slash):
            following.add(at)
        elif element == letter or (element == "?" and not slash):
            following.add(at + 1)
    return following


def _through(reached: set[int], elements: tuple[str, ...]) -> set[int]:
    """With what stands behind wildcards that may also stand for nothing."""
    for at in list(reached):
        behind = at
        while 0 <= behind < len(elements) and elements[behind] in _ALSO_NONE:
            behind += 1
            reached.add(behind)
    return reached


@lru_cache(maxsize=10_000)
def _elements(glob: str) -> tuple[str, tuple[str, ...]]:
    """The text before the first wildcard, and what follows: wildcards and single letters."""
    head, *parts = _TOKENS.split(glob)
    # A literal "*" cannot occur: each star is a wildcard.
    return head, tuple(each for part in parts for each in ([part] if part in _WILDCARDS else part))


def _vagueness(glob: str) -> tuple[int, int]:
    parts = _TOKENS.split(glob)
    return -len(parts[0]), -sum(len(part) for part in parts if part not in _WILDCARDS)
