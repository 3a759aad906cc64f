"""How Athena writes values: SQL that turns any column into its text, the CSV object, and the pages read from it."""
# ruff: noqa: S608  every name and value in these texts is quoted by types.quoted and types.text

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from local_cloud.athena.types import Type, quoted, text

_UNNAMED_FIELD = re.compile(r"^_(\d+)$")


def as_text(expression: str, kind: Type) -> str:
    """SQL of type VARCHAR with the text that Athena shows."""
    if kind.name in _COMPOSITES:
        return _COMPOSITES[kind.name](expression, kind)
    return _SIMPLE.get(kind.name, "CAST({} AS VARCHAR)").format(expression)


def _list_text(expression: str, element: Type) -> str:
    inner = f"coalesce({as_text('x', element)}, 'null')"
    return f"'[' || array_to_string(list_transform({expression}, lambda x: {inner}), ', ') || ']'"


def _map_text(expression: str, kind: Type) -> str:
    key = as_text("x.key", kind.fields[0][1])
    value = f"coalesce({as_text('x.value', kind.fields[1][1])}, 'null')"
    entries = f"list_transform(map_entries({expression}), lambda x: {key} || '=' || {value})"
    return f"'{{' || array_to_string({entries}, ', ') || '}}'"


def _struct_text(expression: str, kind: Type) -> str:
    parts = []
    for name, inner in kind.fields:
        value = as_text(f"struct_extract({expression}, {text(name)})", inner)
        shown = _UNNAMED_FIELD.sub(r"field\1", name)
        parts.append(f"{text(shown + '=')} || coalesce({value}, 'null')")
    joined = " || ', ' || ".join(parts)
    return f"CASE WHEN {expression} IS NULL THEN NULL ELSE '{{' || {joined} || '}}' END"


_SIMPLE = {
    **dict.fromkeys(("DOUBLE", "FLOAT"), "lake_java_double(CAST({} AS VARCHAR))"),
    **dict.fromkeys(
        ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "lake_timestamp_text(CAST({} AS TIMESTAMP))"
    ),
    "TIMESTAMP WITH TIME ZONE": "lake_timestamp_text(timezone('UTC', {})) || ' UTC'",
    "TIME": "lake_time_text({})",
    "BLOB": "lower(trim(regexp_replace(hex({}), '(..)', '\\1 ', 'g')))",
    "INTERVAL": "lake_interval_text({})",
}
_COMPOSITES: dict[str, Callable[[str, Type], str]] = {
    "LIST": lambda expression, kind: _list_text(expression, kind.fields[0][1]),
    "MAP": _map_text,
    "STRUCT": _struct_text,
}


def text_query(query: str, kinds: list[Type]) -> str:
    """The same rows with every column as Athena's text."""
    names = [f"c{index}" for index in range(len(kinds))]
    narrowed = [
        f"CAST({n} AS {k.narrowed().sql})" if k != k.narrowed() else n for n, k in zip(names, kinds, strict=True)
    ]
    shown = [f"{as_text(e, k.narrowed())} AS {quoted(n)}" for e, k, n in zip(narrowed, kinds, names, strict=True)]
    return f"SELECT {', '.join(shown)} FROM ({query}) AS result({', '.join(names)})"


def copy_statement(query: str, target: Path) -> str:
    path = str(target).replace("'", "''")
    return f"COPY ({query}) TO '{path}' (FORMAT csv, HEADER false, FORCE_QUOTE *, NULLSTR '', DELIMITER ',')"


def csv_line(values: list[str | None]) -> bytes:
    """A line as Athena writes it: every value quoted, NULL as nothing."""
    fields = ["" if value is None else '"' + value.replace('"', '""') + '"' for value in values]
    return (",".join(fields) + "\n").encode()


def with_header(names: list[str], body: Path, target: Path) -> None:
    """The object's content: the line of names, then the rows."""
    with target.open("wb") as whole:
        whole.write(csv_line(list(names)))
        with body.open("rb") as rows:
            shutil.copyfileobj(rows, whole)


def read_rows(path: Path, offset: int) -> Iterator[tuple[list[str | None], int]]:
    """Rows of a CSV made by this module from a byte offset on, each with the offset after it."""
    with path.open("rb") as file:
        file.seek(offset)
        while True:
            line = _whole_line(file)
            if not line:
                return
            yield parse_line(line.decode()), file.tell()


def _whole_line(file: BinaryIO) -> bytes:
    """A record: lines are joined while a quoted value is open."""
    line = file.readline()
    while line and line.count(b'"') % 2:
        more = file.readline()
        if not more:
            break
        line += more
    return line


def parse_line(line: str) -> list[str | None]:
    """Values of one record; an unquoted nothing is NULL."""
    line = line.removesuffix("\n")
    values: list[str | None] = []
    at = 0
    while True:
        if line.startswith('"', at):
            value, at = _quoted_value(line, at + 1)
            values.append(value)
        else:
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            values.append(line[at:end] or None)
            at = end
        if at >= len(line):
            return values
        at += 1


def _quoted_value(line: str, at: int) -> tuple[str, int]:
    parts = []
    while True:
        end = line.index('"', at)
        parts.append(line[at:end])
        if not line.startswith('"', end + 1):
            return "".join(parts), end + 1
        parts.append('"')
        at = end + 2
