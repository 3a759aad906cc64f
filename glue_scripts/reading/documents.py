"""JSON to rows: an array of objects, one object, or one object per line; nested values stay JSON text."""

import json
from collections.abc import Iterator
from typing import IO, Any

from glue_scripts.reading.content import JSON, size_of
from glue_scripts.reading.json_text import Number, dump
from glue_scripts.reading.rows import BATCH_ROWS, ROW, Problem, Rows, of_records
from glue_scripts.reading.source import Layout, MalformedFile

LARGEST_DOCUMENT = 256 * 1024 * 1024  # bytes of a document that has to be in memory as a whole
SHOWN = 10_000  # characters of a broken line that the quarantine keeps


def rows(file: IO[bytes], layout: Layout, kind: str) -> Iterator[Rows]:
    """Rows of UTF-8 text. Raises MalformedFile when a document that must be whole is not JSON."""
    if kind == JSON and not _is_lines(file):
        yield from _document(file, layout)
        return
    collected = _Collected(layout)
    for line in file:
        if line.strip():
            collected.take_line(line.decode())
            if collected.full:
                yield collected.rows()
    yield collected.rows()


def _is_lines(file: IO[bytes]) -> bool:
    """Whether the first line that holds something is a whole object: then each line is one."""
    start = file.tell()
    line = next((line for line in file if line.strip()), b"")
    file.seek(start)
    try:
        return isinstance(_load(line.decode()), dict)
    except (ValueError, RecursionError):
        return False


def _document(file: IO[bytes], layout: Layout) -> Iterator[Rows]:
    if size_of(file) > LARGEST_DOCUMENT:
        raise MalformedFile(f"a JSON document above {LARGEST_DOCUMENT // 1024**2} MB: send one object per line instead")
    try:
        document = _load(file.read().decode())
    except (ValueError, RecursionError) as error:
        raise MalformedFile(f"not valid JSON: {error}") from error
    collected = _Collected(layout)
    for element in document if isinstance(document, list) else [document]:
        collected.take(element, lambda element=element: dump(element))
        if collected.full:
            yield collected.rows()
    yield collected.rows()


class _Collected:
    def __init__(self, layout: Layout) -> None:
        self._names = layout.columns
        self._records: list[list[str | None]] = []
        self._problems: list[Problem] = []

    @property
    def full(self) -> bool:
        return len(self._records) + len(self._problems) >= BATCH_ROWS

    def take_line(self, line: str) -> None:
        try:
            value = _load(line)
        except (ValueError, RecursionError) as error:
            self._problems.append(Problem(ROW, f"not valid JSON: {error}", line.strip()[:SHOWN]))
            return
        self.take(value, line.strip)

    def take(self, value: Any, original: Any) -> None:
        if not isinstance(value, dict):
            self._problems.append(Problem(ROW, "not a JSON object", original()[:SHOWN]))
            return
        record = [_as_text(value.get(name)) for name in self._names]
        if any(text is not None and not _encodable(text) for text in record):
            reason = "holds half of a surrogate pair, which is no character"
            self._problems.append(Problem(ROW, reason, ascii(original())[:SHOWN]))
            return
        self._records.append(record)

    def rows(self) -> Rows:
        taken = of_records(self._records, len(self._names), self._problems)
        self._records, self._problems = [], []
        return taken


def _load(text: str) -> Any:
    return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value")


def _as_text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    return dump(value)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
