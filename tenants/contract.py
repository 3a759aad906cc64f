"""Contracts: what a dataset promises, read from ODCS 3.x files and compiled to plans."""

import re
from dataclasses import dataclass
from pathlib import Path

from open_data_contract_standard.model import CustomProperty, OpenDataContractStandard, SchemaObject, SchemaProperty

from tenants.columns import Column, Place, Problems, typed
from tenants.document import Document, nearest, read
from tenants.errors import Problem, RegistryError
from tenants.plan import Plan, PlanColumn, PlanPartition, PlanRule
from tenants.rules import row_rules, rules_of
from tenants.settings import NamedQuery, Settings, settings_of
from tenants.sql import expression_problems, identifier, is_identifier
from tenants.validation import checked

__all__ = ["Contract", "read_contract"]

# Nested properties and quality rules stand deep.
MAX_DEPTH = 24
NAME = re.compile(r"[a-z][a-z0-9_]{0,99}\Z")
ID = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
PARTITIONS = ("year", "month")
# What the jobs write beside a row's own columns while they work on it.
SOURCE_NAMES_TAKEN = frozenset(
    f"_{word}"
    for word in ("src", "file", "arrived_at", "row", "batch", "problem", "about", "text", "source", "record", "reasons")
) | {"_year", "_month"}
ARRIVAL = "`_arrived_at`"
NEEDED = ("apiVersion", "kind", "id", "version", "status")


@dataclass(frozen=True)
class Contract:
    """A contract that can be used; `compiled` is its plan for a dataset of its own name."""

    id: str
    name: str
    description: str
    compiled: Plan
    given_files: tuple[str, ...]
    given_queries: tuple[NamedQuery, ...]

    @property
    def version(self) -> str:
        return self.compiled.version

    def files_of(self, dataset: str) -> tuple[str, ...]:
        """Patterns of the keys that belong to `dataset`: `**` is any depth, `*` stops at a slash."""
        return self.given_files or (f"raw/{dataset}/**",)

    def queries_of(self, dataset: str) -> tuple[NamedQuery, ...]:
        """The named queries over the table of `dataset`."""
        return tuple(query.on(dataset) for query in self.given_queries)

    def plan(self, dataset: str | None = None) -> Plan:
        """The plan of `dataset`, or of a dataset named as the contract."""
        name = dataset or self.id
        return self.compiled.model_copy(update={"dataset": name, "files": self.files_of(name)})


def read_contract(path: Path, shown: str) -> tuple[Contract | None, list[Problem]]:
    """The contract in `path`, or None, and every problem found in it."""
    try:
        document = read(path, shown, max_depth=MAX_DEPTH)
    except RegistryError as error:
        return None, list(error.problems)
    standard, wrong = checked(document, OpenDataContractStandard, open_keys=("servers", "logicalTypeOptions"))
    if standard is None:
        return None, wrong
    problems: Problems = [*_header_problems(standard, path.stem)]
    settings = settings_of(standard.customProperties, problems)
    tables = standard.schema_ or []
    contract = None
    if len(tables) == 1 and tables[0].properties:
        compiled = _Compiler(tables[0], settings, problems).plan(path.stem, standard.version or "")
        purpose = (standard.description.purpose if standard.description else None) or ""
        contract = Contract(path.stem, standard.name or path.stem, purpose, compiled, settings.files, settings.queries)
    else:
        problems.append((("schema",), f"has {len(tables)} tables with properties; expected one"))
    wrong += _placed(document, problems)
    return (None if wrong else contract), wrong


def _placed(document: Document, problems: Problems) -> list[Problem]:
    return [document.problem(place, message) for place, message in problems]


def _header_problems(standard: OpenDataContractStandard, stem: str) -> Problems:
    problems: Problems = [((key,), "is missing") for key in NEEDED if not getattr(standard, key)]
    if standard.apiVersion and not re.match(r"v3\.[0-9]+\.[0-9]+\Z", standard.apiVersion):
        problems.append((("apiVersion",), f"{standard.apiVersion!r}: expected v3.0.2 or another 3.x"))
    if standard.kind and standard.kind != "DataContract":
        problems.append((("kind",), f"{standard.kind!r}: expected DataContract"))
    if not ID.match(stem):
        problems.append(
            (("id",), f"{stem!r} is no contract: expected lower-case letters, digits, hyphens, underscores")
        )
    if standard.id and standard.id != stem:
        problems.append((("id",), f"{standard.id!r}: expected {stem!r}, as the file is named"))
    return problems


class _Compiler:
    """One table of a contract on its way to a plan; problems are collected, not raised."""

    def __init__(self, table: SchemaObject, settings: Settings, problems: Problems) -> None:
        self.table = table
        self.settings = settings
        self.problems = problems
        self.columns: list[Column] = []
        self.derived: list[Column] = []
        self._type_columns()

    def _type_columns(self) -> None:
        items = self.table.properties or []
        self._name_problems(items)
        for position, item in enumerate(items):
            place = ("schema", 0, "properties", position)
            column = typed(item, place, self.settings.formats, self.problems)
            if column is None or not is_identifier(column.name):
                continue  # the problem is told
            if item.transformLogic is None:
                self.columns.append(column)
            else:
                self._derive(column)
        self._source_problems()

    def _name_problems(self, items: list[SchemaProperty]) -> None:
        seen: set[str] = set()
        for position, item in enumerate(items):
            place, name = ("schema", 0, "properties", position, "name"), item.name or ""
            if name in PARTITIONS:
                message = f"{name!r} is the partition's; name it otherwise and give physicalName: {name}"
                self.problems.append((place, message))
            elif not NAME.match(name):
                message = f"{name!r} is no column: expected lower-case letters, digits and underscores, letter first"
                self.problems.append((place, message + "; the source's own name goes to physicalName"))
            if name in seen:
                self.problems.append((place, f"column {name!r} is given twice"))
            if "${" in (item.description or ""):
                # It becomes the comment of a column in a statement, where Spark fills in `${env:NAME}`.
                self.problems.append(((*place[:-1], "description"), "'${' is not allowed in a column's description"))
            seen.add(name)
            self._misplaced(item.customProperties, place[:-1])
        self._misplaced(self.table.customProperties, ("schema", 0))

    def _misplaced(self, properties: list[CustomProperty] | None, place: Place) -> None:
        for position, item in enumerate(properties or []):
            if (item.property or "").startswith("lake."):
                message = f"{item.property} belongs to the customProperties of the contract itself"
                self.problems.append(((*place, "customProperties", position), message))

    def _source_problems(self) -> None:
        """Spark finds columns without regard to case, so two source names must differ in more."""
        spelled: dict[str, str] = {}
        for column in list(self.columns):
            source, place = column.source, (*column.place, "physicalName")
            if not is_identifier(source):
                self.problems.append((place, f"{source!r} cannot be a column name"))
                self.columns.remove(column)
            if source.lower() in SOURCE_NAMES_TAKEN:
                self.problems.append((place, f"{source!r} is a name of the platform's own"))
            if spelled.setdefault(source.lower(), source) != source:
                message = f"{source!r} and {spelled[source.lower()]!r} differ in case only"
                self.problems.append((place, message))

    def _derive(self, column: Column) -> None:
        if column.odcs.physicalName:
            place: Place = (*column.place, "physicalName")
            self.problems.append((place, "a column with transformLogic comes from no source column"))
        text = column.odcs.transformLogic or ""
        known = [item.name for item in self.table.properties or [] if item.name and item.transformLogic is None]
        known += [item.name for item in self.derived] + ["_file", "_arrived_at"]
        for message in expression_problems(text, known):
            self.problems.append(((*column.place, "transformLogic"), message))
        self.derived.append(column)

    def plan(self, name: str, version: str) -> Plan:
        """The plan as far as it goes; to be used only if there are no problems."""
        keys = self._primary_key()
        self._version_problems(keys)
        return Plan(
            dataset=name,
            contract=name,
            version=version,
            format=self.settings.format,
            processed_format=self.settings.processed_format,
            files=self.settings.files,
            csv=self.settings.csv,
            source_columns=tuple(dict.fromkeys(column.source for column in self.columns)),
            columns=tuple(_plan_column(column, column.conformed()) for column in self.columns),
            derived=tuple(
                _plan_column(column, column.cast(f"({column.odcs.transformLogic})")) for column in self.derived
            ),
            rules=tuple(self._rules(keys)),
            primary_key=tuple(keys),
            version_column=self.settings.version_column,
            partition=self._partition(),
        )

    def _primary_key(self) -> list[str]:
        keys = [column for column in (*self.columns, *self.derived) if column.odcs.primaryKey]
        for column in keys:
            if column.is_nested or column.kind in ("double", "float"):
                self.problems.append(((*column.place, "primaryKey"), f"a {column.kind} cannot be a key"))
        if keys and self.settings.format == "parquet":
            message = "lake.format parquet is append-only; a table with a primary key needs iceberg"
            self.problems.append(((*keys[0].place, "primaryKey"), message))
        return [column.name for column in sorted(keys, key=lambda item: item.odcs.primaryKeyPosition or 0)]

    def _version_problems(self, keys: list[str]) -> None:
        name, place = self.settings.version_column, ("customProperties",)
        if name is None:
            return
        column = self._column(name)
        if column is None:
            self.problems.append((place, f"lake.versionColumn: no column {name!r}{nearest(name, self._names())}"))
        elif column.is_nested:
            self.problems.append((place, f"lake.versionColumn: a {column.kind} has no order"))
        if not keys:
            self.problems.append((place, "lake.versionColumn: the table has no primary key to keep versions of"))

    def _names(self) -> list[str]:
        return [column.name for column in (*self.columns, *self.derived)]

    def _column(self, name: str) -> Column | None:
        return next((column for column in (*self.columns, *self.derived) if column.name == name), None)

    def _rules(self, keys: list[str]) -> list[PlanRule]:
        rules: list[PlanRule] = []
        for column in (*self.columns, *self.derived):
            is_derived = column.odcs.transformLogic is not None
            is_key = column.name in keys
            rules += rules_of(column, is_derived=is_derived, is_key=is_key, problems=self.problems)
        return rules + list(row_rules(self.table.quality or [], ("schema", 0, "quality"), self._names(), self.problems))

    def _partition(self) -> PlanPartition:
        name = self.settings.partition_by
        column = self._column(name) if name else None
        if name and column is None:
            message = f"lake.partitionBy: no column {name!r}{nearest(name, self._names())}"
            self.problems.append((("customProperties",), message))
        elif column and column.kind not in ("date", "timestamp"):
            message = f"lake.partitionBy: {name!r} is {column.type}; expected a date or timestamp"
            self.problems.append((("customProperties",), message))
        when = f"coalesce(CAST({identifier(column.name)} AS timestamp), {ARRIVAL})" if column else ARRIVAL
        return PlanPartition(year=f"year({when})", month=f"lpad(CAST(month({when}) AS string), 2, '0')")


def _plan_column(column: Column, expression: str) -> PlanColumn:
    description = " ".join((column.odcs.description or "").split())
    return PlanColumn(name=column.name, type=column.type, expression=expression, description=description)
