"""YAML text to plain values with the line of each, refusing what YAML can do beyond plain data.

No aliases, anchors, merge keys, tags, duplicate keys or second documents, and no guessing of types: a scalar is the
text as written (so `no` stays "no" and `0123` stays "0123") and the models give it its type. Only a plain empty
scalar, `null` and `~` are None.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tenants.errors import Problem, RegistryError, shortened

__all__ = ["MAX_BYTES", "MAX_PROBLEMS", "Document", "contents", "nearest", "parse", "read"]

MAX_BYTES = 1_000_000
MAX_DEPTH = 8
MAX_PROBLEMS = 1_000  # whoever has so many in one file reads no more of them
MAX_VALUES = 200_000  # of a file of MAX_BYTES, more of a larger one

PathOf = tuple[str | int, ...]
# Keys that name an item of a list better than its position does.
LABELS = ("id", "name", "property")
SHOWN = 100  # characters of a key or name in the place of a problem


@dataclass(frozen=True)
class Document:
    """One YAML file: `value` holds dicts, lists, str and None; `lines` the line of each path in it."""

    file: str
    value: Any
    lines: dict[PathOf, int] = field(repr=False)

    def at(self, path: Iterable[str | int]) -> Any:
        value = self.value
        for part in path:
            value = value[part]
        return value

    def problem(self, path: Iterable[str | int], message: str) -> Problem:
        """The problem at the nearest written place of `path`; parts that are not written are named, not lost."""
        path = tuple(path)
        known = path
        while known not in self.lines:
            known = known[:-1]
        return Problem(self.file, self.lines[known], self._label(path), message)

    def _label(self, path: PathOf) -> str:
        words, value = "", self.value
        for part in path:
            value = _child(value, part)
            if isinstance(part, int):
                words += f"[{_item_name(value, part)}]"
            else:
                words += f".{shortened(part, SHOWN)}" if words else shortened(part, SHOWN)
        return words


def _child(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (KeyError, IndexError, TypeError):
        return None


def _item_name(item: Any, position: int) -> str:
    if isinstance(item, dict):
        name = next((item[key] for key in LABELS if isinstance(item.get(key), str)), str(position))
        return shortened(name, SHOWN)
    return str(position)


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'owner'?`, or the words that exist."""
    known = sorted(known)
    close = difflib.get_close_matches(word.lower(), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def read(path: Path, shown: str, *, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_BYTES) -> Document:
    """The document in `path`; errors speak of it as `shown`. Raises RegistryError."""
    return parse(contents(path, shown, max_bytes), shown, max_depth=max_depth, max_bytes=max_bytes)


def contents(path: Path, shown: str, max_bytes: int = MAX_BYTES) -> bytes:
    """What is in `path`, and no more than a byte over what may be in it; raises RegistryError."""
    try:
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        raise RegistryError([Problem(shown, 1, "", f"cannot be read: {error.strerror}")]) from error


def parse(raw: bytes, shown: str, *, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_BYTES) -> Document:
    """The document in `raw`; raises RegistryError."""
    if len(raw) > max_bytes:
        raise RegistryError([Problem(shown, 1, "", f"is larger than {max_bytes:,} bytes")])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RegistryError([Problem(shown, line, "", f"is not UTF-8: {error.reason}")]) from error
    max_values = MAX_VALUES * max_bytes // MAX_BYTES
    return _Composer(shown, max_depth, max_values).compose(text.removeprefix("\ufeff"))


class _Composer:
    """Builds values from parser events, without recursion, so that depth costs a check and not a stack."""

    def __init__(self, shown: str, max_depth: int, max_values: int) -> None:
        self.shown = shown
        self.max_depth = max_depth
        self.max_values = max_values
        self.lines: dict[PathOf, int] = {(): 1}
        self.problems: list[Problem] = []
        self.root: Any = None
        self.open: list[tuple[PathOf, Any]] = []
        self.key: list[str | None] = []
        self.values = 0

    def compose(self, text: str) -> Document:
        try:
            for event in yaml.parse(text, Loader=yaml.CSafeLoader):
                self._take(event)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            said = getattr(error, "problem", None) or str(error).splitlines()[0]
            self._note(mark.line if mark else 0, f"is not YAML: {said}")
        except _TooDeep as error:
            self._note(error.line, f"is nested deeper than {self.max_depth} levels")
        except _TooMany as error:
            self._note(error.line, f"holds more than {self.max_values:,} keys and values")
        except _Enough:
            pass
        if self.problems:
            raise RegistryError(self.problems)
        return Document(self.shown, self.root, self.lines)

    def _note(self, line: int, message: str) -> None:
        self.problems.append(Problem(self.shown, line + 1, "", message))

    def _refuse(self, line: int, message: str) -> None:
        self._note(line, message)
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Enough(line)

    def _take(self, event: yaml.Event) -> None:
        line = event.start_mark.line if event.start_mark else 0
        if isinstance(event, yaml.DocumentStartEvent) and len(self.lines) > 1:
            self._refuse(line, "holds a second document; expected one")
        elif isinstance(event, yaml.AliasEvent):
            self._refuse(line, f"alias *{event.anchor} is not allowed; write the value out")
            self._place(None, line)
        elif isinstance(event, yaml.NodeEvent):
            self._node(event, line)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self.open.pop()
            self.key.pop()

    def _node(self, event: yaml.NodeEvent, line: int) -> None:
        self.values += 1
        if self.values > self.max_values:
            raise _TooMany(line)
        if event.anchor is not None:
            self._refuse(line, f"anchor &{event.anchor} is not allowed; write the value out")
        if (tag := getattr(event, "tag", None)) is not None:
            self._refuse(line, f"tag {tag} is not allowed; write the plain value")
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        else:
            self._open({} if isinstance(event, yaml.MappingStartEvent) else [], line)

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if self.open and isinstance(self.open[-1][1], dict) and self.key[-1] is None:
            self._take_key(event, line)
        else:
            plain = not event.style
            self._place(None if plain and event.value in ("", "null", "~") else event.value, line)

    def _take_key(self, event: yaml.ScalarEvent, line: int) -> None:
        path, mapping = self.open[-1]
        if event.value == "<<" and not event.style:
            self._refuse(line, "merge key << is not allowed; write the values out")
        if event.value in mapping:
            first = self.lines[(*path, event.value)]
            self._refuse(line, f"key {event.value!r} is given twice, first in line {first}")
        self.key[-1] = event.value
        self.lines.setdefault((*path, event.value), line + 1)

    def _open(self, container: Any, line: int) -> None:
        if len(self.open) >= self.max_depth:
            raise _TooDeep(line)
        path = self._place(container, line)
        self.open.append((path, container))
        self.key.append(None)

    def _place(self, value: Any, line: int) -> PathOf:
        if not self.open:
            self.root = value
            return ()
        path, parent = self.open[-1]
        if isinstance(parent, list):
            parent.append(value)
            here: PathOf = (*path, len(parent) - 1)
        else:
            key = self.key[-1]
            if key is None:
                self._refuse(line, "a key must be plain text")
                key = "?"
            parent[key] = value
            self.key[-1] = None
            here = (*path, key)
        self.lines.setdefault(here, line + 1)
        return here


class _Refused(Exception):
    def __init__(self, line: int) -> None:
        self.line = line


class _TooDeep(_Refused):
    pass


class _TooMany(_Refused):
    pass


class _Enough(_Refused):
    pass
