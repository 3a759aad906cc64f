"""The commit object: the one object that says which files of a batch count.

It also says what the ledger knows of the run, so that the ledger can be written anew from these objects.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from glue_scripts.errors import CommitObjectUnreadable


@dataclass(frozen=True, kw_only=True)
class PartFile:
    """A file that a run wrote; `bytes` is its size."""

    key: str
    rows: int
    bytes: int
    year: str
    month: str


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """What became of a file version: rows that went through, rows rejected, and why.

    `replaces`: of a replay, the batches whose rows of this file give way; or they `stay`, for the file could not be
    read again, until a later replay replaces them. `arrived_at` is ISO 8601. What commit objects of earlier code do not
    say is empty.
    """

    key: str
    version: str | None
    rows: int
    rejected: int
    reason: str | None = None
    id: str | None = None
    """The file version in the ledger: a key and a version do not tell two apart where events carry no version id."""
    size: int = 0
    etag: str = ""
    arrived_at: str = ""
    sequencer: str = ""
    epoch: int = 0
    replaces: tuple[str, ...] = ()
    stay: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CommitObject:
    """`arrived`: the earliest and the latest arrival among the sources, ISO 8601.

    A source's place in `sources` is its rows' `_row` divided by `FILE_ROWS`. `code`, `started`, `glue_run`, `attempt`
    are those of the run that wrote the files.
    """

    batch: str
    run: str
    tenant: str
    dataset: str
    contract: str
    version: str
    fingerprint: str
    arrived: tuple[str, str]
    files: tuple[PartFile, ...]
    quarantine: tuple[PartFile, ...]
    sources: tuple[SourceFile, ...]
    code: str = ""
    started: str = ""
    glue_run: str = ""
    attempt: int = 1

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode()

    @staticmethod
    def from_json(text: bytes, key: str) -> "CommitObject":
        """Raises CommitObjectUnreadable naming the object and what is wrong with it."""
        try:
            return _commit_object(json.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            raise CommitObjectUnreadable(f"{key}: not a commit object ({error!r}).") from error


def _commit_object(raw: dict[str, Any]) -> CommitObject:
    parts = {
        "arrived": tuple(raw["arrived"]),
        "files": tuple(PartFile(**_known(PartFile, file)) for file in raw["files"]),
        "quarantine": tuple(PartFile(**_known(PartFile, file)) for file in raw["quarantine"]),
        "sources": tuple(_source(source) for source in raw["sources"]),
    }
    return CommitObject(**(_known(CommitObject, raw) | parts))


def _source(raw: Mapping[str, Any]) -> SourceFile:
    batches = {name: tuple(raw.get(name, ())) for name in ("replaces", "stay")}
    return SourceFile(**(_known(SourceFile, raw) | batches))


def _known(kind: type, raw: Mapping[str, Any]) -> dict[str, Any]:
    """What this code has a place for: later code may say more."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in raw.items() if name in names}
