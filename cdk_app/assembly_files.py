"""The files of an assembly in a folder, where whatever is right already is not written again.

As git does, it is taken from size and time of change whether a file still holds what was written to it.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

__all__ = ["AssemblyFiles"]

INDEX = "stamped.json"
FAILURES = "failures.json"
SHAPES = "shapes.json"
MANIFEST = "manifest.json"
# What an assembly consists of beside its manifest; whatever else stands in its folder is not ours.
WRITTEN = re.compile(r"(.+\.(template|assets|metadata)\.json|asset\..+|tree\.json|cdk\.out)\Z")


class AssemblyFiles:
    """`known`: files that stand as they were written: a key of what they were made from, a note, size and time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        written = read_index(folder / INDEX)
        self.old: set[str] = set()
        self.known: dict[str, list[Any]] = {}
        for entry in os.scandir(folder):
            if WRITTEN.match(entry.name):
                self.old.add(entry.name)
                if entry.name in written and stamp_of(entry.stat()) == written[entry.name][2:]:
                    self.known[entry.name] = written[entry.name]
        self.new: set[str] = set()
        self.rows: dict[str, list[Any]] = {}
        (folder / MANIFEST).unlink(missing_ok=True)

    def note(self, key: str, *names: str) -> str | None:
        """What was noted when these files were made from the same; None if one of them was not, or was changed."""
        made_from = {tuple(self.known[name][:2]) if name in self.known else None for name in names}
        first = made_from.pop()
        return first[1] if not made_from and first is not None and first[0] == key else None

    def leave(self, *names: str) -> None:
        """These stand as they shall."""
        for name in names:
            self.new.add(name)
            self.rows[name] = self.known[name]

    def put(self, name: str, content: bytes, made_from: tuple[str, str] | None = None) -> None:
        """Whatever is there and right is read, which is faster than writing it."""
        self.new.add(name)
        path = self.folder / name
        if name not in self.old:
            with path.open("xb") as file:
                file.write(content)
        else:
            overwrite(path, content)
        if made_from:
            self.rows[name] = [*made_from, *stamp_of(path.stat())]

    def close(self, manifest: str, shapes: dict[str, str], failures: dict[str, str]) -> None:
        """What was there before and is no more goes; the manifest comes last."""
        for name in self.old - self.new:
            (self.folder / name).unlink()
        self._list(INDEX, self.rows)
        self._list(SHAPES, shapes)
        self._list(FAILURES, failures)
        (self.folder / MANIFEST).write_text(manifest, encoding="utf-8")

    def _list(self, name: str, content: dict[str, Any]) -> None:
        if content:
            (self.folder / name).write_text(json.dumps(content), encoding="utf-8")
        else:
            (self.folder / name).unlink(missing_ok=True)


def overwrite(path: Path, content: bytes) -> None:
    """Not emptied and written again: some file systems wait for the disk then."""
    with path.open("r+b") as file:
        if file.read() != content:
            file.seek(0)
            file.write(content)
            file.truncate()


def stamp_of(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns]


def read_index(path: Path) -> dict[str, list[Any]]:
    """Empty where there is none, or something else."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
