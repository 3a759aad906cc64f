"""A text cut at its holes, to be filled with one tenant's values after the other."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cdk_app.holes import FIRST_NUMBER, MARK, HoleInKey, HoleLost, HoleMistaken, HoleUnfit

__all__ = ["HOLE", "Stencil", "encoded", "refuse_holes_in", "refuse_keys"]

# A free text holds a quote: the backslashes before it tell in how many texts of JSON the hole stands.
NUMBERS = str(FIRST_NUMBER)[:-2]
HOLE = re.compile(
    rf'{MARK}(?P<text>[a-z0-9-]+?)(?:-qz|(?P<slashes>\\+)"qz)|(?<![\w.-])(?P<number>{NUMBERS}\d\d)(?![\w.])'
)
LEFT = re.compile(rf"{MARK.rstrip('-')}|{NUMBERS}", re.IGNORECASE)
QUOTED = 1


@dataclass(frozen=True)
class Stencil:
    """`literals` and, between each two of them, a hole: its name and how many texts of JSON it stands in."""

    literals: tuple[str, ...]
    holes: tuple[tuple[str, int], ...]

    @classmethod
    def cut(cls, text: str, numbers: Mapping[int, str], *, where: str) -> "Stencil":
        """`numbers`: names of the holes for whole numbers."""
        literals, holes, end = [], [], 0
        for found in HOLE.finditer(text):
            literals.append(text[end : found.start()])
            holes.append(hole_of(found, numbers))
            end = found.end()
        literals.append(text[end:])
        for literal in literals:
            if left := LEFT.search(literal):
                around = literal[max(left.start() - 40, 0) : left.end() + 40]
                raise HoleLost(f"{where}: a value was changed on its way into the text, around {around!r}")
        return cls(tuple(literals), tuple(holes))

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.holes}

    def fill(self, values: Mapping[str, str]) -> str:
        """`values` as they stand in a text of JSON, see `encoded`."""
        parts = self.parts.copy()
        parts[1::2] = [values[name] for name, _ in self.holes]
        for position, (name, depth) in self.deep:
            parts[position] = nested(values[name], depth)
        return "".join(parts)

    @cached_property
    def parts(self) -> list[str]:
        """The literals, and a place for each hole between them."""
        parts = [""] * (2 * len(self.holes) + 1)
        parts[::2] = self.literals
        return parts

    @cached_property
    def deep(self) -> list[tuple[int, tuple[str, int]]]:
        """Holes in texts of JSON within texts of JSON, with the positions of their parts."""
        return [(2 * position + 1, hole) for position, hole in enumerate(self.holes) if hole[1] > QUOTED]


def hole_of(found: re.Match[str], numbers: Mapping[int, str]) -> tuple[str, int]:
    if found["number"]:
        return numbers[int(found["number"])], QUOTED
    # One text deep a quote takes one backslash, two deep three, three deep seven.
    return found["text"].replace("-", "_"), (len(found["slashes"] or "-") + 1).bit_length() - 1


def nested(value: str, depth: int) -> str:
    for _ in range(depth - QUOTED):
        value = encoded(value)
    return value


def encoded(value: str) -> str:
    """As it stands between the quotes of JSON, the way that JavaScript writes it."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise HoleUnfit(f"{value!a} is no text of Unicode: {error.reason}") from error
    return json.dumps(value, ensure_ascii=False)[1:-1]


def refuse_keys(text: str, *, where: str) -> None:
    """Raises HoleInKey if the document has a hole in a key."""
    for path in keys(json.loads(text), ""):
        if HOLE.search(encoded(path.rpartition(" / ")[2])) or LEFT.search(path):
            raise HoleInKey(f"{where}: a value of the tenant is part of the key {path}: name it by something else")


def keys(document: Any, path: str) -> Iterator[str]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield f"{path} / {key}"
            yield from keys(value, f"{path} / {key}")
    elif isinstance(document, list):
        for item in document:
            yield from keys(item, path)


def refuse_holes_in(facts: Mapping[str, str]) -> None:
    """Raises HoleMistaken if what is the same for all tenants of a shape holds what looks like a hole."""
    for name, text in facts.items():
        if left := LEFT.search(text):
            raise HoleMistaken(f"{name}: holds {left[0]!r}, which stands for values of tenants; write something else")
