"""The Glue catalog through a query role's eyes: what the role may not read is denied by the emulator."""

import base64
import fnmatch
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.credentials import Credentials

from local_cloud.athena.emulator import Emulator, split_uri
from local_cloud.athena.errors import EmulatorRefused, QueryFailed
from local_cloud.athena.types import Type, from_hive

NAME = "awsdatacatalog"
VIEW_PREFIX, VIEW_SUFFIX = "/* Presto View: ", " */"


@dataclass(frozen=True)
class Column:
    name: str
    written_type: str
    comment: str = ""

    @property
    def type(self) -> Type:
        return from_hive(self.written_type, self.name)


@dataclass(frozen=True)
class Partition:
    """A registered partition: values as text in the order of the table's partition keys."""

    values: tuple[str, ...]
    location: str


@dataclass(frozen=True)
class Table:
    """A table or view of the catalog. `columns` come without the partition keys, as Glue stores them."""

    database: str
    name: str
    columns: tuple[Column, ...]
    partition_keys: tuple[Column, ...]
    location: str
    parameters: Mapping[str, str]
    serde: str
    serde_parameters: Mapping[str, str]
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def is_view(self) -> bool:
        return self.raw.get("TableType") == "VIRTUAL_VIEW"

    @property
    def is_iceberg(self) -> bool:
        return self.parameters.get("table_type", "").upper() == "ICEBERG"

    @property
    def all_columns(self) -> tuple[Column, ...]:
        return self.columns if self.is_iceberg else self.columns + self.partition_keys

    @property
    def view_text(self) -> str:
        """The SELECT of a view; raises QueryFailed where it is not one of Athena's."""
        written = str(self.raw.get("ViewOriginalText", ""))
        if not written.startswith(VIEW_PREFIX):
            raise QueryFailed("HIVE_VIEW_TRANSLATION_ERROR", f"View '{self.qualified}' is not an Athena view")
        definition = json.loads(base64.b64decode(written.removeprefix(VIEW_PREFIX).removesuffix(VIEW_SUFFIX)))
        return str(definition["originalSql"])

    @property
    def qualified(self) -> str:
        return f"{NAME}.{self.database}.{self.name}"


@dataclass
class Catalog:
    """Reads and writes of one query, under its role's `credentials`; without a `role` they are the root key's.

    A `caller` who is not the role itself needs the same rights by its own policies.
    """

    emulator: Emulator
    credentials: Credentials
    role: str | None = None
    caller: str | None = None

    def table(self, database: str, name: str) -> Table | None:
        """None where the table does not exist; raises QueryFailed for a missing or foreign database."""
        self._require_of(self.caller, "glue:GetTable", self._table_arn(database, name))
        try:
            answer = self._call("GetTable", {"DatabaseName": database, "Name": name})
        except EmulatorRefused as e:
            if e.code != "EntityNotFoundException":
                raise
            self.require_database(database)
            return None
        return _table(answer["Table"], database)

    def require_database(self, database: str) -> None:
        """Raises QueryFailed SCHEMA_NOT_FOUND."""
        if database not in self.databases():
            raise QueryFailed("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist", "line 1:1")

    def tables(self, database: str) -> list[Table]:
        self._require_of(self.caller, "glue:GetTables", self._table_arn(database, "*"))
        found = self._pages("GetTables", {"DatabaseName": database}, "TableList")
        return sorted((_table(entry, database) for entry in found), key=lambda table: table.name)

    def databases(self) -> list[str]:
        """Names of the databases whose tables the role may read."""
        return [name for name in self._all_databases() if self._may_read(name)]

    def partitions(self, table: Table) -> list[Partition]:
        found = self._pages("GetPartitions", {"DatabaseName": table.database, "TableName": table.name}, "Partitions")
        return [
            Partition(tuple(entry["Values"]), (entry.get("StorageDescriptor") or {}).get("Location", ""))
            for entry in found
        ]

    def create_table(self, database: str, definition: Mapping[str, Any]) -> None:
        self._require("CreateTable", database, str(definition["Name"]))
        self._call("CreateTable", {"DatabaseName": database, "TableInput": definition})

    def update_table(self, database: str, definition: Mapping[str, Any]) -> None:
        self._require("UpdateTable", database, str(definition["Name"]))
        self._call("UpdateTable", {"DatabaseName": database, "TableInput": definition})

    def delete_table(self, database: str, name: str) -> None:
        self._require("DeleteTable", database, name)
        self._call("DeleteTable", {"DatabaseName": database, "Name": name})

    def create_partition(self, table: Table, values: tuple[str, ...], location: str) -> bool:
        """False where it is registered already."""
        self._require("CreatePartition", table.database, table.name)
        storage = dict(table.raw.get("StorageDescriptor") or {}) | {"Location": location}
        definition = {"Values": list(values), "StorageDescriptor": storage}
        key = {"DatabaseName": table.database, "TableName": table.name}
        try:
            self._call("CreatePartition", {**key, "PartitionInput": definition})
        except EmulatorRefused as e:
            if e.code != "AlreadyExistsException":
                raise
            return False
        return True

    def delete_partition(self, table: Table, values: tuple[str, ...]) -> None:
        self._require("DeletePartition", table.database, table.name)
        key = {"DatabaseName": table.database, "TableName": table.name}
        self._call("DeletePartition", {**key, "PartitionValues": list(values)})

    def _require(self, action: str, database: str, name: str) -> None:
        """The right on the table itself: the emulator asks for the one on its database only."""
        for principal in (self.role, self.caller):
            self._require_of(principal, f"glue:{action}", self._table_arn(database, name))

    def require_objects(self, action: str, uri: str) -> None:
        """The caller's right on objects; the role's is S3's own business."""
        bucket, key = split_uri(uri)
        self._require_of(self.caller, action, f"arn:aws:s3:::{bucket}/{key}")

    def _table_arn(self, database: str, name: str) -> str:
        facts = self.emulator.facts
        return f"arn:aws:glue:{facts.region}:{facts.account}:table/{database}/{name}"

    def _require_of(self, principal: str | None, action: str, resource: str) -> None:
        if principal is not None and not self.emulator.permits(principal, action, resource):
            words = f"{principal} is not authorized to perform: {action} on resource: {resource}"
            raise EmulatorRefused("AccessDeniedException", words, 403)

    def _all_databases(self) -> list[str]:
        """Every name; read with the root key, because a role with rights on its own database only cannot list."""
        return sorted(str(entry["Name"]) for entry in self._pages("GetDatabases", {}, "DatabaseList", as_root=True))

    def _may_read(self, database: str) -> bool:
        try:
            self._require_of(self.caller, "glue:GetTables", self._table_arn(database, "*"))
            self._call("GetTables", {"DatabaseName": database, "MaxResults": 1})
        except EmulatorRefused as e:
            if e.is_denial:
                return False
            raise
        return True

    def _pages(
        self, action: str, payload: Mapping[str, Any], key: str, *, as_root: bool = False
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token: str | None = None
        while True:
            answer = self._call(action, {**payload, **({"NextToken": token} if token else {})}, as_root=as_root)
            found += answer.get(key, [])
            token = answer.get("NextToken")
            if not token:
                return found

    def _call(self, action: str, payload: Mapping[str, Any], *, as_root: bool = False) -> dict[str, Any]:
        credentials = self.emulator.root if as_root else self.credentials
        return self.emulator.call("glue", action, payload, credentials)


def view_definition(name: str, database: str, query: str, columns: list[tuple[str, Type]]) -> dict[str, Any]:
    """A Glue TableInput for a view, in the form that Athena and Trino store."""
    definition = {
        "originalSql": query,
        "catalog": NAME,
        "schema": database,
        "columns": [{"name": column, "type": kind.trino} for column, kind in columns],
    }
    encoded = base64.b64encode(json.dumps(definition).encode()).decode()
    return {
        "Name": name,
        "Description": "Presto View",
        "TableType": "VIRTUAL_VIEW",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "ViewOriginalText": f"{VIEW_PREFIX}{encoded}{VIEW_SUFFIX}",
        "ViewExpandedText": "/* Presto View */",
        "PartitionKeys": [],
        "StorageDescriptor": {
            "Columns": [{"Name": column, "Type": _view_type(kind)} for column, kind in columns],
            "Location": "",
            "SerdeInfo": {},
        },
    }


def _view_type(kind: Type) -> str:
    return "timestamp" if kind.name == "TIMESTAMP WITH TIME ZONE" else kind.hive


def matching(names: list[str], pattern: str | None) -> list[str]:
    """Names under a pattern of SHOW: `*` is any text, `|` separates choices; without a pattern all."""
    if pattern is None:
        return names
    choices = pattern.lower().split("|")
    return [name for name in names if any(fnmatch.fnmatchcase(name, _literal_marks(choice)) for choice in choices)]


def like(names: list[str], pattern: str) -> list[str]:
    """Names under a LIKE pattern."""
    expression = re.compile(
        "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern), re.DOTALL
    )
    return [name for name in names if expression.fullmatch(name)]


def denied_as_athena_says(action: Callable[[], Any], what: str) -> Any:
    """Run a catalog or S3 action; a denial becomes the query's failure."""
    try:
        return action()
    except EmulatorRefused as e:
        raise failure(e, what) from e


def failure(refusal: EmulatorRefused, what: str) -> QueryFailed:
    """The words with which Athena passes on a refusal of Glue or S3."""
    if refusal.is_denial:
        return QueryFailed("PERMISSION_DENIED", f"Insufficient permissions on {what}: {refusal.message}")
    if refusal.code in ("NoSuchBucket", "NoSuchKey"):
        return QueryFailed("HIVE_FILESYSTEM_ERROR", f"{what}: {refusal.code}: {refusal.message}")
    return QueryFailed("GENERIC_EXTERNAL_ERROR", f"{what}: {refusal}")


def _literal_marks(pattern: str) -> str:
    return pattern.replace("[", "[[]").replace("?", "[?]")


def _table(value: Mapping[str, Any], database: str) -> Table:
    storage = value.get("StorageDescriptor") or {}
    serde = storage.get("SerdeInfo") or {}
    return Table(
        database=database,
        name=value["Name"],
        columns=tuple(_column(entry) for entry in storage.get("Columns") or [] if _is_current(entry)),
        partition_keys=tuple(_column(entry) for entry in value.get("PartitionKeys") or []),
        location=storage.get("Location") or "",
        parameters={key: str(text) for key, text in (value.get("Parameters") or {}).items()},
        serde=serde.get("SerializationLibrary") or "",
        serde_parameters=serde.get("Parameters") or {},
        raw=value,
    )


def _column(entry: Mapping[str, Any]) -> Column:
    return Column(entry["Name"].lower(), entry.get("Type") or "string", entry.get("Comment") or "")


def _is_current(entry: Mapping[str, Any]) -> bool:
    """Iceberg keeps dropped columns in the catalog and marks them."""
    return (entry.get("Parameters") or {}).get("iceberg.field.current", "true") != "false"
