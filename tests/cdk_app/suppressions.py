"""cdk_app/suppressions.yaml: what scanners say that stands all the same, as exact findings."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from tests.cdk_app.scanners import Finding

PROJECT = Path(__file__).resolve().parents[2]
FILE = PROJECT / "cdk_app" / "suppressions.yaml"
FIELDS = {"rule", "resources", "reason", "test", "owner", "expires"}
OPTIONAL = {"details"}
SHORTEST_REASON = 40
LONGEST_DAYS = 366


@dataclass(frozen=True, kw_only=True)
class Suppression:
    rule: str
    resources: tuple[str, ...]
    details: tuple[str, ...]
    reason: str
    test: str
    owner: str
    expires: date

    @classmethod
    def of(cls, entry: dict[str, Any]) -> "Suppression":
        lists = {"resources": tuple(entry["resources"]), "details": tuple(entry.get("details", [""]))}
        return cls(**{**entry, **lists, "reason": entry["reason"].strip()})

    def findings(self) -> Iterator[Finding]:
        for detail in self.details:
            for resource in self.resources:
                yield Finding(self.rule, detail, resource)


def read(text: str) -> list[Suppression]:
    """Raises ValueError for a field that is missing or unknown."""
    entries = yaml.safe_load(text)["suppressions"]
    for entry in entries:
        if not set(entry) >= FIELDS or set(entry) - FIELDS - OPTIONAL:
            raise ValueError(f"{FILE.name}: {entry.get('rule')}: has {sorted(entry)}, expected {sorted(FIELDS)}")
    return [Suppression.of(entry) for entry in entries]


def faults(suppressions: list[Suppression], today: date) -> Iterator[str]:
    """What is wrong with the entries by themselves."""
    seen: set[Finding] = set()
    for each in suppressions:
        if len(each.reason) < SHORTEST_REASON:
            yield f"{each.rule}: its reason says too little: {each.reason!r}"
        if not each.owner:
            yield f"{each.rule}: nobody owns it"
        if not today < each.expires:
            yield f"{each.rule}: expired on {each.expires}: think again, then give it a new date"
        if (each.expires - today).days > LONGEST_DAYS:
            yield f"{each.rule}: expires on {each.expires}: expected within a year"
        if any("*" in resource for resource in each.resources) or "*" in each.rule or "*" in each.details:
            yield f"{each.rule}: a pattern: name rule, details and resources exactly"
        if not is_a_test(each.test):
            yield f"{each.rule}: there is no test {each.test}"
        for finding in each.findings():
            if finding in seen:
                yield f"{each.rule}: suppressed twice: {finding}"
            seen.add(finding)


def is_a_test(name: str) -> bool:
    file, _, function = name.partition("::")
    path = PROJECT / file
    return file.startswith("tests/") and path.is_file() and f"\ndef {function}(" in path.read_text()


def difference(suppressions: list[Suppression], found: set[Finding]) -> list[str]:
    """What is found and not suppressed, and what is suppressed and not found."""
    known = {finding for each in suppressions for finding in each.findings()}
    return [f"not suppressed: {each}" for each in sorted(found - known)] + [
        f"found no more: {each}" for each in sorted(known - found)
    ]
