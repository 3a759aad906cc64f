"""Where words go: data to stdout, messages and progress to stderr."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lineage.text import visible

__all__ = [
    "counted",
    "is_interactive",
    "json_text",
    "message",
    "messages",
    "print_json",
    "print_table",
    "shown",
    "stdout",
]


UNCUT = 2_000  # columns
# What JSON leaves as it is and terminals obey, or show as nothing.
_UNSEEN = re.compile(r"[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def stdout() -> Console:
    """Console for data, made when it is used so that a redirected stdout is seen; into a file nothing is cut off."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else UNCUT, highlight=False)


def messages() -> Console:
    return Console(file=sys.stderr, soft_wrap=not sys.stderr.isatty(), highlight=False)


def is_interactive() -> bool:
    return sys.stderr.isatty()


def message(text: str, style: str | None = None) -> None:
    messages().print("\n".join(map(shown, text.split("\n"))), style=style)


def shown(text: str) -> str:
    """Text as markup of rich. Whoever names an object could else write into the terminal of who lists it."""
    return escape(visible(text))


def print_json(value: Any) -> None:
    print(json_text(value))


def json_text(value: Any) -> str:
    """Times in ISO 8601, decimals as text; letters as they are, as long as they can be seen."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    return _UNSEEN.sub(lambda found: json.dumps(found.group())[1:-1], text)


def print_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> None:
    """Rows as a table; piped into another program they are tab-separated lines with a header.

    A line end, a tab or anything else that cannot be seen is written as in `\\n`; piped, a backslash as two.
    """
    cells = [_cells(columns, row) for row in rows]
    if not sys.stdout.isatty():
        print("\n".join("\t".join(map(_on_one_line, line)) for line in [list(columns), *cells]))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in cells:
        table.add_row(*(shown(cell) for cell in line))
    stdout().print(table)


def _cells(columns: Sequence[str], row: Mapping[str, Any] | Sequence[Any]) -> list[str]:
    values = [row.get(column) for column in columns] if isinstance(row, Mapping) else list(row)
    return ["" if value is None else _text(value) for value in values]


def _on_one_line(cell: str) -> str:
    return visible(cell.replace("\\", "\\\\"))


def counted(number: int, thing: str) -> str:
    """A number with its thing.

    >>> counted(1, "row"), counted(2880, "row")
    ('1 row', '2,880 rows')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
