"""Types three ways: as the catalog writes them (Hive), as DuckDB computes with them, as Athena reports them."""

import re
from dataclasses import dataclass, field
from typing import Any

from local_cloud.athena.errors import QueryFailed

SIMPLE_HIVE = {
    "string": "VARCHAR",
    "varchar": "VARCHAR",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "real": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
    "binary": "BLOB",
    "varbinary": "BLOB",
    "json": "JSON",
    "time": "TIME",
    "uuid": "UUID",
}
# DuckDB's name: (Athena's name, Hive's name for a new table, precision)
SIMPLE_DUCKDB = {
    "BOOLEAN": ("boolean", "boolean", 0),
    "TINYINT": ("tinyint", "tinyint", 3),
    "SMALLINT": ("smallint", "smallint", 5),
    "INTEGER": ("integer", "int", 10),
    "BIGINT": ("bigint", "bigint", 19),
    "HUGEINT": ("bigint", "bigint", 19),
    "UBIGINT": ("bigint", "bigint", 19),
    "UINTEGER": ("bigint", "bigint", 19),
    "USMALLINT": ("integer", "int", 10),
    "UTINYINT": ("smallint", "smallint", 5),
    "FLOAT": ("float", "float", 17),
    "DOUBLE": ("double", "double", 17),
    "VARCHAR": ("varchar", "string", 2147483647),
    "JSON": ("json", "string", 0),
    "UUID": ("uuid", "string", 0),
    "DATE": ("date", "date", 0),
    "TIME": ("time", "string", 3),
    "TIMESTAMP": ("timestamp", "timestamp", 3),
    "TIMESTAMP_MS": ("timestamp", "timestamp", 3),
    "TIMESTAMP_NS": ("timestamp", "timestamp", 3),
    "TIMESTAMP_S": ("timestamp", "timestamp", 3),
    "TIMESTAMP WITH TIME ZONE": ("timestamp with time zone", "", 3),
    "INTERVAL": ("interval day to second", "", 0),
    "BLOB": ("varbinary", "binary", 1073741824),
    '"NULL"': ("unknown", "string", 0),
    "NULL": ("unknown", "string", 0),
}
# Wider than any type of Athena's: cast on the way out, so that a value beyond it is an error as it is there.
NARROWED = {"HUGEINT": "BIGINT", "UBIGINT": "BIGINT", "UINTEGER": "BIGINT", "USMALLINT": "INTEGER"}
UNNAMED = "__unnamed_"  # marks a result column whose name depends on its place
_WORD = re.compile(r"[A-Za-z_][\w ]*")


@dataclass(frozen=True)
class Type:
    """A parsed type. `name` is upper case in DuckDB's words; `fields` are (name, type) of a struct or (“”, type)."""

    name: str
    precision: int = 0
    scale: int = 0
    fields: tuple[tuple[str, "Type"], ...] = field(default=())

    @property
    def sql(self) -> str:
        """DuckDB's spelling."""
        match self.name:
            case "LIST":
                return f"{self.fields[0][1].sql}[]"
            case "MAP":
                return f"MAP({self.fields[0][1].sql}, {self.fields[1][1].sql})"
            case "STRUCT":
                inner = ", ".join(f"{quoted(name)} {kind.sql}" for name, kind in self.fields)
                return f"STRUCT({inner})"
            case "DECIMAL":
                return f"DECIMAL({self.precision},{self.scale})"
        return self.name

    @property
    def athena(self) -> str:
        """The name in ResultSetMetadata."""
        composite = {"LIST": "array", "MAP": "map", "STRUCT": "row", "DECIMAL": "decimal"}
        return composite.get(self.name) or SIMPLE_DUCKDB[self.name][0]

    @property
    def hive(self) -> str:
        """The name in the catalog; raises QueryFailed for types that no table can have."""
        match self.name:
            case "LIST":
                return f"array<{self.fields[0][1].hive}>"
            case "MAP":
                return f"map<{self.fields[0][1].hive},{self.fields[1][1].hive}>"
            case "STRUCT":
                return f"struct<{','.join(f'{name}:{kind.hive}' for name, kind in self.fields)}>"
            case "DECIMAL":
                return f"decimal({self.precision},{self.scale})"
        name = SIMPLE_DUCKDB[self.name][1]
        if not name:
            raise QueryFailed("NOT_SUPPORTED", f"Unsupported Hive type: {self.athena}")
        return name

    @property
    def trino(self) -> str:
        """The name as SQL writes it: `array(integer)`, `row(x varchar)`."""
        match self.name:
            case "LIST":
                return f"array({self.fields[0][1].trino})"
            case "MAP":
                return f"map({self.fields[0][1].trino}, {self.fields[1][1].trino})"
            case "STRUCT":
                return f"row({', '.join(f'{name} {kind.trino}' for name, kind in self.fields)})"
            case "DECIMAL":
                return f"decimal({self.precision},{self.scale})"
        return {"FLOAT": "real", "TIMESTAMP": "timestamp(3)"}.get(self.name) or self.athena

    def narrowed(self) -> "Type":
        """The same with integers no wider than Athena's."""
        fields = tuple((name, kind.narrowed()) for name, kind in self.fields)
        return Type(NARROWED.get(self.name, self.name), self.precision, self.scale, fields)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def from_hive(written: str, column: str = "") -> Type:
    """Raises QueryFailed for what DuckDB has no equal of (char(n), unions)."""
    reader = _Reader(written.strip())
    try:
        kind = reader.hive()
    except (ValueError, IndexError, KeyError) as e:
        where = f" of column '{column}'" if column else ""
        raise QueryFailed("NOT_SUPPORTED", f"Unsupported Hive type{where}: {written}") from e
    return kind


def from_duckdb(written: str) -> Type:
    """Parses the text of a DuckDB type."""
    return _Reader(written.strip()).duckdb()


def column_info(name: str, kind: Type, label: str | None = None) -> dict[str, Any]:
    """ColumnInfo of the API."""
    precision = kind.precision if kind.name == "DECIMAL" else SIMPLE_DUCKDB.get(kind.name, ("", "", 0))[2]
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": label or name,
        "Type": kind.athena,
        "Precision": precision,
        "Scale": kind.scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": kind.athena == "varchar",
    }


class _Reader:
    """A cursor over a type's text."""

    def __init__(self, written: str) -> None:
        self.written = written
        self.at = 0

    def peek(self, token: str) -> bool:
        self._skip()
        return self.written.startswith(token, self.at)

    def take(self, token: str) -> None:
        if not self.peek(token):
            raise ValueError(self.written)
        self.at += len(token)

    def word(self) -> str:
        self._skip()
        found = _WORD.match(self.written, self.at)
        if not found:
            raise ValueError(self.written)
        self.at = found.end()
        return found.group().strip()

    def number(self) -> int:
        self._skip()
        found = re.compile(r"\d+").match(self.written, self.at)
        if not found:
            raise ValueError(self.written)
        self.at = found.end()
        return int(found.group())

    def hive(self) -> Type:
        name = self.word().lower()
        if name == "array":
            return Type("LIST", fields=(("", self._one_hive()),))
        if name == "map":
            self.take("<")
            key = self.hive()
            self.take(",")
            value = self.hive()
            self.take(">")
            return Type("MAP", fields=(("", key), ("", value)))
        if name == "struct":
            return self._hive_struct()
        if name == "decimal":
            return self._decimal(10, 0)
        if name == "varchar" and self.peek("("):
            self._arguments()
        return Type(SIMPLE_HIVE[name])

    def _one_hive(self) -> Type:
        self.take("<")
        element = self.hive()
        self.take(">")
        return element

    def _hive_struct(self) -> Type:
        self.take("<")
        fields = []
        while True:
            name = self._name_until(":")
            self.take(":")
            fields.append((name, self.hive()))
            if self.peek(">"):
                self.take(">")
                return Type("STRUCT", fields=tuple(fields))
            self.take(",")

    def _name_until(self, mark: str) -> str:
        end = self.written.index(mark, self.at)
        name = self.written[self.at : end].strip().strip("`")
        if not name:
            raise ValueError(self.written)
        self.at = end
        return name

    def duckdb(self) -> Type:
        kind = self._duckdb_base()
        while self.peek("["):
            self.at = self.written.index("]", self.at) + 1
            kind = Type("LIST", fields=(("", kind),))
        return kind

    def _duckdb_base(self) -> Type:
        if self.peek('"'):
            return Type(f'"{self._quoted()}"')
        name = self.word().upper()
        if name == "STRUCT":
            return Type("STRUCT", fields=tuple(self._struct_fields()))
        if name == "MAP":
            self.take("(")
            key = self.duckdb()
            self.take(",")
            value = self.duckdb()
            self.take(")")
            return Type("MAP", fields=(("", key), ("", value)))
        if name == "DECIMAL":
            return self._decimal(18, 3)
        return Type(name if name in SIMPLE_DUCKDB else "VARCHAR")

    def _struct_fields(self) -> list[tuple[str, Type]]:
        self.take("(")
        fields: list[tuple[str, Type]] = []
        while True:
            name = self._quoted() if self.peek('"') else self._bare()
            fields.append((name, self.duckdb()))
            if self.peek(")"):
                self.take(")")
                return fields
            self.take(",")

    def _bare(self) -> str:
        self._skip()
        end = self.written.index(" ", self.at)
        name = self.written[self.at : end]
        self.at = end
        return name

    def _quoted(self) -> str:
        self.take('"')
        letters = []
        while True:
            letter = self.written[self.at]
            self.at += 1
            if letter != '"':
                letters.append(letter)
            elif self.written[self.at : self.at + 1] == '"':
                letters.append('"')
                self.at += 1
            else:
                return "".join(letters)

    def _decimal(self, precision: int, scale: int) -> Type:
        if not self.peek("("):
            return Type("DECIMAL", precision, scale)
        numbers = self._arguments()
        return Type("DECIMAL", numbers[0], numbers[1] if len(numbers) > 1 else 0)

    def _arguments(self) -> list[int]:
        self.take("(")
        numbers = [self.number()]
        while self.peek(","):
            self.take(",")
            numbers.append(self.number())
        self.take(")")
        return numbers

    def _skip(self) -> None:
        while self.at < len(self.written) and self.written[self.at] == " ":
            self.at += 1
