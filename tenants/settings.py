"""The `lake.*` custom properties of a contract: what ODCS has no word for."""

import re
from collections.abc import Callable
from typing import Any

from open_data_contract_standard.model import CustomProperty
from pydantic import BaseModel, ConfigDict

from tenants.columns import Formats, Place, Problems
from tenants.document import nearest
from tenants.formats import TextFormat
from tenants.plan import PlanCsv

__all__ = ["NamedQuery", "Settings", "settings_of"]

QUERY_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
QUERY_KEYS = {"name", "sql", "description"}
GLOB = re.compile(r"raw(/[^/?\[\]{}\\\x00-\x1f]+)+\Z")
# Keys are matched by one function for all tenants: with a fourth, a key of 1,024 bytes can keep it for minutes.
MOST_CHOICES = 3
# CloudFormation reads `{{resolve:…}}`, and CDK `${Token[…]}`, wherever they stand in a template.
NO_REFERENCE = ("{{", "${")
ENCODINGS = ("UTF-8", "ISO-8859-1", "windows-1252", "US-ASCII", "UTF-16")
DELIMITERS = {"\\t": "\t", "tab": "\t"}


class NamedQuery(BaseModel):
    """A query worth keeping; `{table}` in its SQL stands for the dataset's table."""

    model_config = ConfigDict(frozen=True)

    name: str
    sql: str
    description: str = ""

    def on(self, table: str) -> "NamedQuery":
        return self.model_copy(update={"sql": self.sql.replace("{table}", table)})


class Settings(BaseModel):
    """What the lake.* properties say, defaults filled in; no files means raw/<dataset>/**."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    files: tuple[str, ...] = ()
    partition_by: str | None = None
    format: str = "iceberg"
    processed_format: str = "parquet"
    version_column: str | None = None
    csv: PlanCsv = PlanCsv()
    formats: Formats = Formats()
    queries: tuple[NamedQuery, ...] = ()


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected one value")
    return value


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"{value!r}: expected one of {', '.join(words)}")
        return str(value)

    return read


def _choices(pattern: str) -> int:
    """How often a match may have to be tried again: for every `**`, and for every `*` after a name's first."""
    parts = pattern.split("/")
    return parts.count("**") + sum(max(part.count("*") - 1, 0) for part in parts if part != "**")


def _files(value: Any) -> tuple[str, ...]:
    patterns = value if isinstance(value, list) else [value]
    for pattern in patterns:
        if not isinstance(pattern, str) or not GLOB.match(pattern):
            raise ValueError(f"{pattern!r}: expected a pattern such as raw/folder/**/name_*.csv (only * and ** match)")
        if any("**" in part and part != "**" for part in pattern.split("/")):
            raise ValueError(f"{pattern!r}: ** stands alone between slashes")
        if _choices(pattern) > MOST_CHOICES:
            raise ValueError(f"{pattern!r}: too many wildcards; expected {MOST_CHOICES} of ** and further * in a name")
    return tuple(patterns)


def _character(value: Any) -> str:
    text = DELIMITERS.get(value, value) if isinstance(value, str) else value
    if not isinstance(text, str) or len(text) != 1 or text in "\r\n\0":
        raise ValueError(f"{value!r}: expected one character")
    return text


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError('expected a list of texts in quotes, such as ["", "NA"]')
    return tuple(value)


def _queries(value: Any) -> tuple[NamedQuery, ...]:
    if not isinstance(value, list):
        raise ValueError("expected a list of {name, sql, description}")  # noqa: TRY004 - told as a problem of the file
    queries = tuple(map(_query, value))
    names = [query.name for query in queries]
    if len(set(names)) < len(names):
        raise ValueError("a name is given twice")
    return queries


def _query(value: Any) -> NamedQuery:
    if not isinstance(value, dict) or not {"name", "sql"} <= set(value) <= QUERY_KEYS:
        raise ValueError("expected name, sql and perhaps description, and nothing else")
    if not all(isinstance(text, str) and text.strip() for text in value.values()):
        raise ValueError("expected texts")
    if not QUERY_NAME.match(value["name"]):
        raise ValueError(f"{value['name']!r}: expected lower-case letters, digits and underscores")
    for sign in NO_REFERENCE:
        if any(sign in text for text in value.values()):
            raise ValueError(f"{value['name']}: {sign!r} is not allowed; a deployment would read it as a reference")
    return NamedQuery(**value)


READERS: dict[str, Callable[[Any], Any]] = {
    "lake.files": _files,
    "lake.partitionBy": _word,
    "lake.format": _one_of("iceberg", "parquet"),
    "lake.processedFormat": _one_of("parquet", "json"),
    "lake.versionColumn": _word,
    "lake.dateFormat": TextFormat.parse,
    "lake.timestampFormat": TextFormat.parse,
    "lake.csv.delimiter": _character,
    "lake.csv.quote": _character,
    "lake.csv.encoding": _one_of(*ENCODINGS),
    "lake.csv.nullValues": _texts,
    "lake.queries": _queries,
}
CSV = {"delimiter": "delimiter", "quote": "quote", "encoding": "encoding", "nullValues": "null_values"}
PLAIN = {
    "lake.files": "files",
    "lake.partitionBy": "partition_by",
    "lake.format": "format",
    "lake.processedFormat": "processed_format",
    "lake.versionColumn": "version_column",
    "lake.queries": "queries",
}


def settings_of(properties: list[CustomProperty] | None, problems: Problems) -> Settings:
    """The settings of a contract; properties that are not ours are left to their owners."""
    read: dict[str, Any] = {}
    for position, item in enumerate(properties or []):
        name, place = item.property or "", ("customProperties", position)
        if name.startswith("lake.") or name == "lake":
            _read(name, item.value, read, place, problems)
    return Settings(
        csv=PlanCsv(**{field: read[f"lake.csv.{name}"] for name, field in CSV.items() if f"lake.csv.{name}" in read}),
        formats=Formats(read.get("lake.dateFormat"), read.get("lake.timestampFormat")),
        **{field: read[name] for name, field in PLAIN.items() if name in read},
    )


def _read(name: str, value: Any, read: dict[str, Any], place: Place, problems: Problems) -> None:
    if name not in READERS:
        problems.append(((*place, "property"), f"unknown property {name}{nearest(name, READERS)}"))
    elif name in read:
        problems.append(((*place, "property"), f"{name} is given twice"))
    else:
        try:
            read[name] = READERS[name](value)
        except (ValueError, TypeError) as error:
            problems.append(((*place, "value"), str(error)))
