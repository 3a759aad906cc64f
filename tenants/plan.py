"""The plan: a contract compiled to SQL, which the jobs execute without knowing a type or a rule.

Evaluation order: source columns (all text) → `columns` → `derived` (each sees those before it) → `rules` → `partition`.
The source row stays readable as the struct `_src`, beside `_file`, `_arrived_at` and `_row`. A rule's predicate is
TRUE for a row that may pass; `reason` is the text otherwise.
"""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["Plan", "PlanColumn", "PlanCsv", "PlanPartition", "PlanRule"]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlanCsv(Part):
    """How CSV files are written."""

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "UTF-8"
    null_values: tuple[str, ...] = ("", "NULL", "null")


class PlanColumn(Part):
    """A column with its Spark (and Athena) type and the SQL that makes it."""

    name: str
    type: str
    expression: str
    description: str = ""


class PlanRule(Part):
    """What every row must hold; `column` is empty for a rule over several columns."""

    id: str
    column: str
    predicate: str
    reason: str


class PlanPartition(Part):
    """SQL of the partition folders: year an int, month two digits as text."""

    year: str
    month: str


class Plan(Part):
    """See the module."""

    dataset: str
    contract: str
    version: str
    format: str
    processed_format: str
    files: tuple[str, ...]
    csv: PlanCsv
    source_columns: tuple[str, ...]
    columns: tuple[PlanColumn, ...]
    derived: tuple[PlanColumn, ...]
    rules: tuple[PlanRule, ...]
    primary_key: tuple[str, ...]
    version_column: str | None
    partition: PlanPartition

    @property
    def all_columns(self) -> tuple[PlanColumn, ...]:
        """The table's columns in order, without those that the jobs add."""
        return self.columns + self.derived

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything else in the plan."""
        return hashlib.sha256(_canonical(self.model_dump(mode="json")).encode()).hexdigest()

    def with_fingerprint(self) -> dict[str, Any]:
        """The plan as plain values, `fingerprint` included."""
        return self.model_dump(mode="json") | {"fingerprint": self.fingerprint}

    def to_json(self) -> str:
        """One line of JSON with sorted keys, `fingerprint` included."""
        return _canonical(self.with_fingerprint())


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
