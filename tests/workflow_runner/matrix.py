"""The legs of a matrix: every combination, less `exclude`, with what `include` adds."""

from collections.abc import Mapping
from itertools import product
from typing import Any

__all__ = ["Impossible", "legs"]

MOST_LEGS = 256


class Impossible(Exception):
    """Raised for a matrix that GitHub fails the job for: empty, or more than 256 legs."""


def legs(matrix: Mapping[str, Any]) -> list[dict[str, Any]]:
    vectors = {name: values for name, values in matrix.items() if name not in ("include", "exclude")}
    for name, values in vectors.items():
        if not isinstance(values, list):
            raise Impossible(f"matrix: {name} is no list: {values!r}")
        if not values:
            raise Impossible(f"matrix: {name} has no values")
    combined = [dict(zip(vectors, values, strict=True)) for values in product(*vectors.values())] if vectors else []
    kept = [leg for leg in combined if not any(covers(leg, each) for each in matrix.get("exclude") or [])]
    content = included(kept, matrix.get("include") or [], set(vectors))
    if not content:
        raise Impossible("matrix: nothing is left of it")
    if len(content) > MOST_LEGS:
        raise Impossible(f"matrix: {len(content)} jobs; GitHub takes {MOST_LEGS}")
    return content


def covers(leg: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    return all(name in leg and leg[name] == value for name, value in part.items())


def included(combined: list[dict[str, Any]], extras: list[Mapping[str, Any]], names: set[str]) -> list[dict[str, Any]]:
    """An extra is added to every combination of which it overwrites no original value; to none: it is a leg of its own."""
    content = [dict(leg) for leg in combined]
    alone = []
    for extra in extras:
        matched = [leg for leg in content if covers(leg, {name: extra[name] for name in names if name in extra})]
        for leg in matched:
            leg.update(extra)
        if not matched:
            alone.append(dict(extra))
    return content + alone
