"""tenants.yaml cut into the lines of each tenant and what is around them, so that some are read without the others."""

import re
from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["Blocks"]

LIST = re.compile(r"^tenants:[ ]*(?:#.*)?$", re.MULTILINE)
# What YAML takes for the end of a line besides \n, and what it does not count as a place to indent to.
OTHER_ENDS = re.compile("[\r\t\x85\u2028\u2029\ufeff]")
BLANK = re.compile(r" *(?:#.*)?\n?\Z")


@dataclass(frozen=True)
class Blocks:
    """Whole lines: `before` the first tenant, each tenant's from where it begins to the next, and `after` them."""

    before: str
    blocks: tuple[str, ...]
    after: str

    @classmethod
    def of(cls, text: str) -> "Blocks | None":
        """None where lines alone do not tell, which never means that the text is wrong."""
        found = LIST.search(text)
        if found is None or OTHER_ENDS.search(text):
            return None
        lines = text[found.end() + 1 :].splitlines(keepends=True)
        begins = [number for number, line in enumerate(lines) if not BLANK.match(line)]
        item = re.compile(r" +- ").match(lines[begins[0]]) if begins else None
        if item is None:
            return None
        return cut(text[: found.end() + 1], lines, begins, item[0])

    @property
    def around(self) -> str:
        return f"{self.before}\0{self.after}"

    def only(self, positions: Collection[int]) -> str:
        """The text without the other tenants' blocks."""
        return self.before + "".join(self.blocks[position] for position in positions) + self.after

    def lines(self, positions: Collection[int]) -> list[int]:
        """Where these tenants begin in a text that holds `only` them."""
        found, line = [], self.before.count("\n") + 1
        for position in positions:
            found.append(line)
            line += self.blocks[position].count("\n")
        return found


def cut(before: str, lines: list[str], written: list[int], item: str) -> Blocks:
    """`item`: how the line begins that begins a tenant."""
    deeper = " " * (len(item) - 1)
    end = next((number for number in written if not lines[number].startswith((item, deeper))), len(lines))
    begins = [number for number in written if number < end and lines[number].startswith(item)]
    blocks = tuple("".join(lines[begin:stop]) for begin, stop in zip(begins, [*begins[1:], end], strict=True))
    return Blocks(before + "".join(lines[: begins[0]]), blocks, "".join(lines[end:]))
