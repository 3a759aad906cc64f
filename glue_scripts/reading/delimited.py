"""CSV to rows: fast where the text is plain, careful where quotes make it doubtful.

A line whose quotes do not add up either starts a value that spans lines, or is broken. It is the former when the
lines up to the next such line complete it to a record of the header's width; else that one line is rejected and
reading goes on with the next, so that a stray quote never swallows the rest of a file.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from glue_scripts.reading.rows import NOTE, ROW, Problem, Rows, of_records
from glue_scripts.reading.source import Layout, MalformedFile

BLOCK = 4 * 1024 * 1024  # bytes
LONGEST_RECORD = 1024 * 1024  # bytes that a record over several lines may have
LONGEST_LINE = 64 * 1024 * 1024  # bytes

csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True)
class Header:
    """`positions`: per column of the layout its place in the file, None where the file does not have it."""

    width: int
    positions: tuple[int | None, ...]
    unknown: tuple[str, ...]


def rows(file: IO[bytes], layout: Layout) -> Iterator[Rows]:
    """Rows of UTF-8 text. Raises MalformedFile when its header is not one the layout can be read from."""
    blocks = _blocks(file)
    first = next(blocks, b"").lstrip(b"\r\n")
    line, rest = _first_record(first, layout)
    header = _header(line, layout)
    if header.unknown:
        note = Problem(NOTE, f"columns that the contract does not have are left out: {', '.join(header.unknown)}")
        yield of_records([], len(layout.columns), [note])
    reader = _Reader(layout, header)
    for block in _chained(rest, blocks):
        yield reader.read(block)
    yield from reader.rest()


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Whole lines, some megabytes at a time; only the file's last line may lack its end."""
    rest, ends_in_returns = b"", None
    while chunk := file.read(BLOCK):
        if ends_in_returns is None:  # as in files of old Macintosh programs
            ends_in_returns = b"\r" in chunk and b"\n" not in chunk
        text = rest + (chunk.replace(b"\r", b"\n") if ends_in_returns else chunk)
        end = text.rfind(b"\n") + 1
        if end:
            yield text[:end]
        rest = text[end:]
        if len(rest) > LONGEST_LINE:
            raise MalformedFile(f"a line is longer than {LONGEST_LINE // 1024**2} MB")
    if rest:
        yield rest


def _chained(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from others


def _first_record(block: bytes, layout: Layout) -> tuple[bytes, bytes]:
    quote = layout.quote.encode()
    end = block.find(b"\n") + 1
    while quote and end and block.count(quote, 0, end) % 2:
        end = block.find(b"\n", end) + 1
    return (block[:end], block[end:]) if end else (block, b"")


def _header(line: bytes, layout: Layout) -> Header:
    try:
        names = [name.strip() for name in _fields(_text(line), layout)]
    except (csv.Error, StopIteration) as error:
        raise MalformedFile("the header line is missing or its quotes are broken") from error
    twice = sorted({name for name in names if names.count(name) > 1 and name in layout.columns})
    if twice:
        raise MalformedFile(f"the header names a column twice: {', '.join(twice)}")
    missing = [name for name in layout.required if name not in names]
    if missing:
        raise MalformedFile(f"the header lacks {', '.join(missing)}; it has: {', '.join(names)[:500]}")
    if not set(names) & set(layout.columns):
        raise MalformedFile(f"the header has none of the contract's columns; it has: {', '.join(names)[:500]}")
    positions = tuple(names.index(name) if name in names else None for name in layout.columns)
    return Header(len(names), positions, tuple(name for name in names if name not in layout.columns))


class _Reader:
    """Blocks to rows; keeps back the start of a record that goes on in the next block."""

    def __init__(self, layout: Layout, header: Header) -> None:
        self._layout = layout
        self._header = header
        self._quote = layout.quote.encode()
        self._nulls = frozenset(layout.null_values)
        self._begun = b""
        inside = re.escape(layout.delimiter.encode() + self._quote)
        self._doubtful = re.compile(
            rb"\r(?!\n)" + (rb"|[^\n%b]%b[^\r\n%b]" % (inside, re.escape(self._quote), inside) if self._quote else b"")
        )

    def read(self, block: bytes) -> Rows:
        block, self._begun = self._begun + block, b""
        return self._fast(block) or self._careful(block, last=False)

    def rest(self) -> Iterator[Rows]:
        if self._begun:
            yield self._careful(self._begun, last=True)

    def _fast(self, block: bytes) -> Rows | None:
        """None when the block needs the careful way."""
        quoted = bool(self._quote) and self._quote in block
        if self._doubtful.search(block) or (quoted and len(_odd_lines(block, self._quote))):
            return None
        problems: list[Problem] = []
        table = self._arrow(block, problems, quoted=quoted)
        if quoted and (problems or table.num_rows != _count_lines(block)):
            return None
        return Rows(self._columns(table), table.num_rows, problems)

    def _arrow(self, block: bytes, problems: list[Problem], *, quoted: bool) -> pa.Table:
        def reject(row: arrow_csv.InvalidRow) -> str:
            problems.append(Problem(ROW, self._wrong_width(row.actual_columns), row.text))
            return "skip"

        names = [str(i) for i in range(self._header.width)]
        wanted = [str(i) for i in self._header.positions if i is not None]
        return arrow_csv.read_csv(
            pa.BufferReader(block),
            arrow_csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=names),
            arrow_csv.ParseOptions(
                delimiter=self._layout.delimiter,
                quote_char=self._layout.quote if quoted else False,
                newlines_in_values=False,
                invalid_row_handler=reject,
            ),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=wanted,
                null_values=list(self._nulls),
                strings_can_be_null=True,
            ),
        )

    def _columns(self, table: pa.Table) -> list[pa.Array]:
        missing = pa.nulls(table.num_rows, pa.string())
        return [
            missing if position is None else pa.concat_arrays(table.column(str(position)).chunks or [missing])
            for position in self._header.positions
        ]

    def _careful(self, block: bytes, *, last: bool) -> Rows:
        lines = block.splitlines(keepends=True) if not self._quote else _lines(block)
        odd = iter([*_odd_lines(block, self._quote), len(lines)] if self._quote else [len(lines)])
        records: list[list[str | None]] = []
        problems: list[Problem] = []
        at, opens = 0, next(odd)
        while at < len(lines):
            if at < opens:
                self._take(lines[at], records, problems)
                at += 1
                continue
            closes = next(odd)
            at, opens = self._spanning(lines, opens, closes, records, problems, last=last), closes
            if at > closes:
                opens = next(odd, len(lines))
        return of_records(records, len(self._header.positions), problems)

    def _spanning(
        self,
        lines: list[bytes],
        opens: int,
        closes: int,
        records: list[list[str | None]],
        problems: list[Problem],
        *,
        last: bool,
    ) -> int:
        """Takes the record that starts in line `opens` if line `closes` ends it; returns the line to go on with."""
        record = b"".join(lines[opens : closes + 1])
        if closes == len(lines) and not last and len(record) <= LONGEST_RECORD:
            self._begun = record
            return len(lines) + 1
        if closes < len(lines) and len(record) <= LONGEST_RECORD:
            tried: list[Problem] = []
            self._take(record, records, tried)
            if not tried:
                return closes + 1
        problems.append(Problem(ROW, "a quote is not closed", _text(lines[opens])))
        return opens + 1

    def _take(self, record: bytes, records: list[list[str | None]], problems: list[Problem]) -> None:
        text = _text(record)
        if not text:
            return
        try:
            fields = _fields(text, self._layout)
        except (csv.Error, StopIteration) as error:
            problems.append(Problem(ROW, f"its quotes are broken: {error}", text))
            return
        if len(fields) != self._header.width:
            problems.append(Problem(ROW, self._wrong_width(len(fields)), text))
            return
        records.append([self._value(fields, position) for position in self._header.positions])

    def _value(self, fields: Sequence[str], position: int | None) -> str | None:
        if position is None or fields[position] in self._nulls:
            return None
        return fields[position]

    def _wrong_width(self, found: int) -> str:
        return f"{found} fields where the header has {self._header.width}"


def _fields(text: str, layout: Layout) -> list[str]:
    if not layout.quote:
        return text.split(layout.delimiter)
    return next(csv.reader([text], delimiter=layout.delimiter, quotechar=layout.quote, strict=True))


def _text(line: bytes) -> str:
    return line.decode().removesuffix("\n").removesuffix("\r")


def _lines(block: bytes) -> list[bytes]:
    """As `splitlines`, but a line ends at a line feed only."""
    lines = [line + b"\n" for line in block.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _odd_lines(block: bytes, quote: bytes) -> list[int]:
    """The numbers of the lines with an odd count of quotes."""
    text = np.frombuffer(block, np.uint8)
    quotes = np.flatnonzero(text == quote[0])
    if not len(quotes):
        return []
    lines = np.searchsorted(np.flatnonzero(text == ord("\n")), quotes)
    numbers, counts = np.unique(lines, return_counts=True)
    return [int(number) for number in numbers[counts % 2 == 1]]


def _count_lines(block: bytes) -> int:
    """Lines that hold something."""
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    return lines - len(re.findall(rb"^\r?\n", block, re.MULTILINE))
