"""The commit object: the one object that says which files of a batch count."""

import json
from dataclasses import asdict, dataclass
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
    """What became of a file version: rows that went through, rows rejected, and why."""

    key: str
    version: str | None
    rows: int
    rejected: int
    reason: str | None = None
    id: str | None = None
    """The file version in the ledger: a key and a version do not tell two apart where events carry no version id."""


@dataclass(frozen=True, kw_only=True)
class CommitObject:
    """`arrived`: the earliest and the latest arrival among the sources, ISO 8601."""

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


def key_of(dataset: str, batch: str) -> str:
    return f"processed/{dataset}/_commits/{batch}.json"


def _commit_object(raw: dict[str, Any]) -> CommitObject:
    parts = {
        "arrived": tuple(raw["arrived"]),
        "files": tuple(PartFile(**file) for file in raw["files"]),
        "quarantine": tuple(PartFile(**file) for file in raw["quarantine"]),
        "sources": tuple(SourceFile(**source) for source in raw["sources"]),
    }
    return CommitObject(**(raw | parts))
