"""One statement of Athena's grammar: what it is, and its parts."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from local_cloud.athena.cursor import Name


class Kind(StrEnum):
    """Athena's SubstatementType of the statements that are answered."""

    SELECT = "SELECT"
    CTAS = "CREATE_TABLE_AS_SELECT"
    INSERT = "INSERT"
    UNLOAD = "UNLOAD"
    CREATE_VIEW = "CREATE_VIEW"
    DROP_VIEW = "DROP_VIEW"
    CREATE_TABLE = "CREATE_TABLE"
    DROP_TABLE = "DROP_TABLE"
    ADD_PARTITION = "ALTER_TABLE_ADD_PARTITION"
    DROP_PARTITION = "ALTER_TABLE_DROP_PARTITION"
    REPAIR = "MSCK_REPAIR_TABLE"
    SHOW_TABLES = "SHOW_TABLES"
    SHOW_VIEWS = "SHOW_VIEWS"
    SHOW_DATABASES = "SHOW_DATABASES"
    SHOW_COLUMNS = "SHOW_COLUMNS"
    SHOW_PARTITIONS = "SHOW_PARTITIONS"
    SHOW_CREATE_TABLE = "SHOW_CREATE_TABLE"
    SHOW_CREATE_VIEW = "SHOW_CREATE_VIEW"
    SHOW_TBLPROPERTIES = "SHOW_TBLPROPERTIES"
    DESCRIBE = "DESCRIBE_TABLE"
    EXPLAIN = "EXPLAIN"
    PREPARE = "PREPARE"
    EXECUTE = "EXECUTE"
    DEALLOCATE = "DEALLOCATE_PREPARE"


DML = {Kind.SELECT, Kind.INSERT, Kind.UNLOAD, Kind.EXECUTE}
DDL = {
    Kind.CTAS, Kind.CREATE_VIEW, Kind.DROP_VIEW, Kind.CREATE_TABLE, Kind.DROP_TABLE, Kind.ADD_PARTITION,
    Kind.DROP_PARTITION, Kind.REPAIR, Kind.PREPARE, Kind.DEALLOCATE,
}  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """`query` is the inner SELECT's text where there is one; `options` are what the kind needs beside it."""

    kind: Kind
    text: str
    name: Name | None = None
    query: str = ""
    tree: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """DML, DDL or UTILITY."""
        if self.kind in DML:
            return "DML"
        return "DDL" if self.kind in DDL else "UTILITY"

    @property
    def subject(self) -> str:
        """The table, view or prepared statement that it is about; ValueError for a kind that names none."""
        if self.name is None:
            raise ValueError(f"{self.kind} names no table")
        return self.name.name
