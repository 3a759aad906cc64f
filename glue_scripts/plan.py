"""The plan: a contract compiled to SQL expressions, as the ledger hands it to a job."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glue_scripts.errors import PlanUnreadable

_SOURCE_NAME = re.compile(r"_src\.`((?:[^`]|``)+)`")


@dataclass(frozen=True, kw_only=True)
class Column:
    name: str
    type: str
    expression: str
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`predicate`: SQL, TRUE when the row is right. `reason`: SQL for the text that says what is wrong."""

    id: str
    column: str | None
    predicate: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Csv:
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "UTF-8"
    null_values: tuple[str, ...] = ("",)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a job does to a dataset's rows; nothing else in a job knows a type or a rule."""

    dataset: str
    contract: str
    version: str
    fingerprint: str
    format: str
    processed_format: str
    csv: Csv
    source_columns: tuple[str, ...]
    required_columns: tuple[str, ...]
    columns: tuple[Column, ...]
    derived: tuple[Column, ...]
    rules: tuple[Rule, ...]
    primary_key: tuple[str, ...]
    version_column: str | None
    year: str
    month: str

    @property
    def contract_columns(self) -> tuple[Column, ...]:
        """All columns of the contract, derived ones last: the order of the table."""
        return self.columns + self.derived

    @staticmethod
    def from_json(text: str) -> "Plan":
        """Raises PlanUnreadable naming the part that is missing or of the wrong kind."""
        try:
            return _plan(json.loads(text))
        except KeyError as error:
            raise PlanUnreadable(f"The plan in the ledger has no {error}. Run `lake deploy` with this code.") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise PlanUnreadable(f"The plan in the ledger cannot be read: {error}. Run `lake deploy`.") from error


def _plan(raw: Mapping[str, Any]) -> Plan:
    rules = tuple(_rule(rule) for rule in raw["rules"])
    source_columns = tuple(raw["source_columns"])
    return Plan(
        dataset=raw["dataset"],
        contract=raw["contract"],
        version=raw["version"],
        fingerprint=raw["fingerprint"],
        format=raw["format"],
        processed_format=raw["processed_format"],
        csv=_csv(raw["csv"]),
        source_columns=source_columns,
        required_columns=_required(source_columns, rules),
        columns=tuple(_column(column) for column in raw["columns"]),
        derived=tuple(_column(column) for column in raw["derived"]),
        rules=rules,
        primary_key=tuple(raw["primary_key"]),
        version_column=raw["version_column"],
        year=raw["partition"]["year"],
        month=raw["partition"]["month"],
    )


def _column(raw: Mapping[str, Any]) -> Column:
    return Column(
        name=raw["name"], type=raw["type"], expression=raw["expression"], description=raw.get("description") or ""
    )


def _rule(raw: Mapping[str, Any]) -> Rule:
    return Rule(id=raw["id"], column=raw.get("column"), predicate=raw["predicate"], reason=raw["reason"])


def _csv(raw: Mapping[str, Any]) -> Csv:
    return Csv(
        delimiter=raw["delimiter"], quote=raw["quote"], encoding=raw["encoding"], null_values=tuple(raw["null_values"])
    )


def _required(sources: tuple[str, ...], rules: tuple[Rule, ...]) -> tuple[str, ...]:
    """The source columns without which no row can pass: those that a rule of presence asks for."""
    named = {
        name.replace("``", "`")
        for rule in rules
        if rule.id.endswith(".required")
        for name in _SOURCE_NAME.findall(rule.predicate)
    }
    return tuple(source for source in sources if source in named)
