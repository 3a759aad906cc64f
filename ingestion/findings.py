"""What a reconcile finds, as the JSON that its function answers: counts, and as many examples as an answer holds."""

import json
from dataclasses import dataclass, field
from typing import Any

MOST = 1_000
MOST_BYTES = 1_000_000  # of each list: a function's answer holds 6 MB, and a key alone may have a thousand bytes


@dataclass
class Findings:
    """All of one kind are counted; the first of them are named."""

    count: int = 0
    entries: list[dict[str, Any]] = field(default_factory=list)
    _bytes: int = 0

    def add(self, **entry: Any) -> None:
        self.count += 1
        size = len(json.dumps(entry, default=str))
        if len(self.entries) < MOST and self._bytes + size <= MOST_BYTES:
            self.entries.append(entry)
            self._bytes += size


@dataclass
class Staging:
    """Objects that no commit names: how many, how many of them are gone now, and how many bytes they had."""

    found: int = 0
    removed: int = 0
    bytes: int = 0


@dataclass
class Report:
    tenant: str
    dry_run: bool
    listed: int = 0
    young: int = 0
    """Objects left alone because events about them may be on their way."""
    registered: Findings = field(default_factory=Findings)
    orphans: Findings = field(default_factory=Findings)
    ghosts: Findings = field(default_factory=Findings)
    stuck: Findings = field(default_factory=Findings)
    staging: Staging = field(default_factory=Staging)
    resume: str | None = None
    """The last key that was looked at, where time was up before the end."""

    def as_json(self) -> dict[str, Any]:
        kinds = {name: getattr(self, name) for name in ("registered", "orphans", "ghosts", "stuck")}
        return {
            "tenant": self.tenant,
            "dry_run": self.dry_run,
            "listed": self.listed,
            "young": self.young,
            **{name: found.entries for name, found in kinds.items()},
            "counts": {name: found.count for name, found in kinds.items()},
            "staging": {
                "found": self.staging.found,
                "removed": self.staging.removed,
                "bytes": self.staging.bytes,
            },
            "truncated": self.resume is not None,
            "resume": self.resume,
        }
