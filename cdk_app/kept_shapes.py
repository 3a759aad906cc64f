"""Shapes that were synthesised before, kept in a folder named by whatever they are made from."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from cdk_app.patterns import Pattern
from cdk_app.shapes import PLATFORM, Shape
from cdk_app.values import Site

__all__ = ["KeptShapes", "forget_others"]


class KeptShapes:
    """Shapes of one cell that were synthesised from the same sources."""

    def __init__(self, kept: Path, site: Site) -> None:
        self.folder, self.site = kept / digest_of(site), site
        self.patterns: dict[Shape, Pattern] = {}

    @property
    def identity(self) -> str:
        """Of the same text for the same sources and the same cell only."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    def has(self, name: str) -> bool:
        return (self.folder / f"{name}.json").exists()

    def read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        return found

    def keep(self, name: str, record: Mapping[str, Any], assembly: Path) -> None:
        """The record comes last: without it nothing is there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for asset in record["files"]:
            place(self.folder / asset, (assembly / asset).read_bytes())
        place(self.folder / f"{name}.json", json.dumps(record, ensure_ascii=False).encode())

    def pattern(self, shape: Shape) -> Pattern:
        if shape not in self.patterns:
            self.patterns[shape] = Pattern(self.read(shape.digest)["texts"], shape.label)
        return self.patterns[shape]

    @cached_property
    def platform(self) -> dict[str, Any]:
        return self.read(PLATFORM)


def digest_of(site: Site) -> str:
    """What else a shape is made from: everything that is the same for all tenants of a cell."""
    facts = {**asdict(site), "webhook": site.webhook.model_dump() if site.webhook else None}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def place(path: Path, content: bytes) -> None:
    """All of it or nothing."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


def forget_others(kept: Path) -> None:
    """Shapes that were made from other sources."""
    for other in kept.parent.iterdir():
        if other.is_dir() and other != kept:
            shutil.rmtree(other, ignore_errors=True)
