"""The demo's input files: the same bytes at every run, written once below one folder."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import bookshop, content, flights, transactions
from demo.content import Content

__all__ = ["TENANTS", "DemoFile", "generate"]

TENANTS: dict[str, Callable[[], Iterator[Content]]] = {
    "acme": transactions.contents,
    "skyline": flights.contents,
    "bookshop": bookshop.contents,
}
INDEX = "index.json"


@dataclass(frozen=True)
class DemoFile:
    """A file on disk and the key under which it is dropped; the rest as in `Content`."""

    tenant: str
    path: Path
    key: str
    expected: str
    note: str
    last: bool


def generate(folder: Path) -> list[DemoFile]:
    """Write what is not there yet below `folder`/<tenant>/ and list it all, in the order it is to be dropped."""
    files = [file for tenant in TENANTS for file in _files(folder / tenant, tenant)]
    return sorted(files, key=lambda each: each.last)


def _files(folder: Path, tenant: str) -> list[DemoFile]:
    listed = _index(folder)
    if listed is None:
        listed = _write(folder, TENANTS[tenant]())
    return [DemoFile(tenant, folder / each.pop("name"), **each) for each in listed]


def _index(folder: Path) -> list[dict[str, Any]] | None:
    """What an earlier run wrote, if these very generators did and every file is still whole."""
    try:
        known = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    sizes = known.pop("sizes", {})
    if known.get("made_by") != _made_by() or any(_size(folder / name) != size for name, size in sizes.items()):
        return None
    listed: list[dict[str, Any]] = known["files"]
    return listed


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def _write(folder: Path, contents: Iterator[Content]) -> list[dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    listed, sizes = [], {}
    for each in contents:
        (folder / each.name).write_bytes(each.data)
        sizes[each.name] = len(each.data)
        facts = {"key": each.key, "expected": each.expected, "note": each.note, "last": each.last}
        listed.append({"name": each.name, **facts})
    text = json.dumps({"made_by": _made_by(), "sizes": sizes, "files": listed}, indent=1)
    (folder / INDEX).write_text(text, encoding="utf-8")
    return [dict(each) for each in listed]


def _made_by() -> str:
    sources = (bookshop, content, flights, transactions)
    return hashlib.sha256(b"".join(Path(str(each.__file__)).read_bytes() for each in sources)).hexdigest()
