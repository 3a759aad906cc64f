"""Patterns of `*` and `?`: whether two of them have a text in common, and whether one holds all of the other's."""

import re
from functools import lru_cache

__all__ = ["covers", "is_literal", "matches", "meets"]

WILD = re.compile(r"[*?]")
# Stands for every symbol that neither of two patterns names.
OTHER = "\0"


def is_literal(pattern: str) -> bool:
    return WILD.search(pattern) is None


@lru_cache(maxsize=65_536)
def compiled(pattern: str) -> re.Pattern[str]:
    parts = ({"*": ".*", "?": "."}.get(symbol, re.escape(symbol)) for symbol in pattern)
    return re.compile("".join(parts), re.DOTALL)


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern holds exactly this text, in which `*` and `?` are symbols like any other."""
    return pattern == text or compiled(pattern).fullmatch(text) is not None


def meets(one: str, other: str) -> bool:
    """Whether some text matches both patterns.

    >>> meets("p-acme*", "p-acme-eu/*"), meets("p-acme/*", "p-acme-eu/*")
    (True, False)
    """
    if is_literal(other):
        return matches(one, other)
    if is_literal(one):
        return matches(other, one)
    shared = min(WILD.search(pattern).start() for pattern in (one, other))  # type: ignore[union-attr]  # both have one
    return one[:shared] == other[:shared] and overlap(one[shared:], other[shared:])


@lru_cache(maxsize=65_536)
def overlap(one: str, other: str) -> bool:
    """Walks both patterns at once; a state is how far each has been read."""
    seen, states = set(), [(0, 0)]
    while states:
        state = states.pop()
        if state in seen:
            continue
        seen.add(state)
        if state == (len(one), len(other)):
            return True
        states.extend(steps(one, other, *state))
    return False


def steps(one: str, other: str, i: int, j: int) -> list[tuple[int, int]]:
    """Where reading one symbol, or skipping a `*`, leads from (i, j)."""
    a, b = one[i : i + 1], other[j : j + 1]
    found = []
    if a == "*":
        found.append((i + 1, j))
        if b:
            found.append((i, j + 1))
    if b == "*":
        found.append((i, j + 1))
        if a:
            found.append((i + 1, j))
    if a and b and "*" not in (a, b) and (a == b or "?" in (a, b)):
        found.append((i + 1, j + 1))
    return found


@lru_cache(maxsize=65_536)
def covers(big: str, small: str) -> bool:
    """Whether every text that matches `small` matches `big`.

    >>> covers("p-acme/*", "p-acme/raw/*"), covers("p-acme/?", "p-acme/*")
    (True, False)
    """
    if big in ("*", small):
        return True
    if is_literal(small):
        return matches(big, small)
    symbols = (set(big) | set(small) | {OTHER}) - set("*?")
    seen, states = set(), [(0, reached(big, frozenset({0})))]
    while states:
        state = states.pop()
        if state in seen:
            continue
        seen.add(state)
        i, places = state
        if i == len(small):
            if len(big) not in places:
                return False
            continue
        states.extend(followers(big, small, i, places, symbols))
    return True


def followers(
    big: str, small: str, i: int, places: frozenset[int], symbols: set[str]
) -> list[tuple[int, frozenset[int]]]:
    """One symbol of `small` read, and all the places where `big` can then stand."""
    if small[i] == "*":
        return [(i + 1, places), *((i, read(big, places, symbol)) for symbol in symbols)]
    if small[i] == "?":
        return [(i + 1, read(big, places, symbol)) for symbol in symbols]
    return [(i + 1, read(big, places, small[i]))]


def read(pattern: str, places: frozenset[int], symbol: str) -> frozenset[int]:
    after = set()
    for place in places:
        if pattern[place : place + 1] == "*":
            after.add(place)
        elif pattern[place : place + 1] in (symbol, "?"):
            after.add(place + 1)
    return reached(pattern, frozenset(after))


def reached(pattern: str, places: frozenset[int]) -> frozenset[int]:
    """With the places behind every `*`, which may also stand for nothing."""
    found = set(places)
    for place in places:
        end = place
        while pattern[end : end + 1] == "*":
            end += 1
            found.add(end)
    return frozenset(found)
