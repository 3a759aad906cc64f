"""Statements that define: CREATE, DROP and ALTER of views, external tables and partitions, and MSCK REPAIR."""

import re
from collections.abc import Callable
from typing import Any

from local_cloud.athena.cursor import Cursor, Name
from local_cloud.athena.errors import QueryFailed, SyntaxRefused
from local_cloud.athena.statement import Kind, Statement
from local_cloud.athena.syntax import parse_query


def create(cursor: Cursor) -> Statement:
    cursor.expect("create")
    replace = cursor.accept("or", "replace")
    if cursor.accept("view"):
        name = cursor.name()
        cursor.expect("as")
        written = cursor.rest()
        tree = parse_query(written)
        return Statement(Kind.CREATE_VIEW, cursor.text, name, written, tree, {"replace": replace})
    if cursor.peek("database") or cursor.peek("schema"):
        raise QueryFailed(
            "NOT_SUPPORTED", "CREATE DATABASE: databases come with a tenant; add one to tenants.yaml and deploy"
        )
    external = cursor.accept("external")
    cursor.expect("table")
    absent = cursor.accept("if", "not", "exists")
    name = cursor.name()
    if cursor.peek("("):
        return _create_table(cursor, name, external=external, absent=absent)
    options = {"if_not_exists": absent, "properties": cursor.properties() if cursor.accept("with") else {}}
    cursor.expect("as")
    options["with_data"] = True
    written = cursor.rest()
    if match := re.search(r"\s+with\s+no\s+data\s*$", written, re.IGNORECASE):
        written, options["with_data"] = written[: match.start()], False
    return Statement(Kind.CTAS, cursor.text, name, written, parse_query(written), options)


def _create_table(cursor: Cursor, name: Name, *, external: bool, absent: bool) -> Statement:
    options: dict[str, Any] = {"if_not_exists": absent, "columns": _columns(cursor.group())}
    clauses = _table_clauses(cursor)
    if not external and str(clauses.get("properties", {}).get("table_type", "")).lower() == "iceberg":
        raise QueryFailed("NOT_SUPPORTED", "Iceberg tables are made by the tenant's jobs, from the dataset's contract")
    if not external:
        raise SyntaxRefused("External keyword required for table type HIVE")
    return Statement(Kind.CREATE_TABLE, cursor.text, name, options=options | clauses)


def _table_clauses(cursor: Cursor) -> dict[str, Any]:
    found: dict[str, Any] = {"partition_keys": [], "serde_properties": {}, "properties": {}}
    while not cursor.is_done:
        clause = next((words for words in _CLAUSES if cursor.accept(*words)), None)
        if clause is None:
            raise cursor.unexpected("a clause of CREATE EXTERNAL TABLE")
        _CLAUSES[clause](cursor, found)
    return found


def _set(key: str, read: Callable[[Cursor], Any]) -> Callable[[Cursor, dict[str, Any]], None]:
    return lambda cursor, found: found.update({key: read(cursor)})


def _formats(cursor: Cursor, found: dict[str, Any]) -> None:
    found["input_format"] = cursor.string()
    cursor.expect("outputformat")
    found["output_format"] = cursor.string()


# Longer beginnings first.
_CLAUSES: dict[tuple[str, ...], Callable[[Cursor, dict[str, Any]], None]] = {
    ("comment",): _set("comment", Cursor.string),
    ("partitioned", "by"): _set("partition_keys", lambda cursor: _columns(cursor.group())),
    ("row", "format", "delimited"): lambda cursor, found: found["serde_properties"].update(_delimited(cursor)),
    ("row", "format", "serde"): _set("serde", Cursor.string),
    ("with", "serdeproperties"): lambda cursor, found: found["serde_properties"].update(cursor.properties()),
    ("stored", "as", "inputformat"): _formats,
    ("stored", "as"): _set("format", Cursor.identifier),
    ("location",): _set("location", Cursor.string),
    ("tblproperties",): _set("properties", Cursor.properties),
}


def _delimited(cursor: Cursor) -> dict[str, str]:
    names = {
        ("fields", "terminated", "by"): "field.delim",
        ("escaped", "by"): "escape.delim",
        ("collection", "items", "terminated", "by"): "collection.delim",
        ("map", "keys", "terminated", "by"): "mapkey.delim",
        ("lines", "terminated", "by"): "line.delim",
        ("null", "defined", "as"): "serialization.null.format",
    }
    found: dict[str, str] = {}
    while True:
        clause = next((words for words in names if cursor.accept(*words)), None)
        if clause is None:
            return found
        found[names[clause]] = cursor.string()


def _columns(written: str) -> list[tuple[str, str, str]]:
    """Name, type and comment of each column between the parentheses."""
    cursor = Cursor(written)
    found = []
    while not cursor.is_done:
        name = cursor.identifier()
        start = cursor.at
        depth = 0
        while not cursor.is_done and (depth or not (cursor.peek(",") or cursor.peek("comment"))):
            word = cursor.tokens[cursor.at].word
            depth += (word in ("<", "(")) - (word in (">", ")"))
            cursor.at += 1
        kind = "".join(token.text for token in cursor.tokens[start : cursor.at]).lower()
        if not kind:
            raise cursor.unexpected("<type>")
        found.append((name, kind, cursor.string() if cursor.accept("comment") else ""))
        cursor.accept(",")
    return found


def drop(cursor: Cursor) -> Statement:
    cursor.expect("drop")
    if cursor.accept("view"):
        kind = Kind.DROP_VIEW
    elif cursor.accept("table"):
        kind = Kind.DROP_TABLE
    else:
        raise QueryFailed("NOT_SUPPORTED", "only DROP TABLE and DROP VIEW are run by the local cloud")
    options = {"if_exists": cursor.accept("if", "exists")}
    name = cursor.name()
    cursor.end()
    return Statement(kind, cursor.text, name, options=options)


def alter(cursor: Cursor) -> Statement:
    cursor.expect("alter", "table")
    name = cursor.name()
    if cursor.accept("add"):
        lenient = cursor.accept("if", "not", "exists")
        kind = Kind.ADD_PARTITION
    elif cursor.accept("drop"):
        lenient = cursor.accept("if", "exists")
        kind = Kind.DROP_PARTITION
    else:
        raise QueryFailed("NOT_SUPPORTED", "only ALTER TABLE … ADD PARTITION and DROP PARTITION are run locally")
    partitions = []
    while not cursor.is_done:
        cursor.expect("partition")
        values = cursor.properties()
        partitions.append((values, cursor.string() if cursor.accept("location") else None))
        cursor.accept(",")
    if not partitions:
        raise cursor.unexpected("PARTITION")
    return Statement(kind, cursor.text, name, options={"lenient": lenient, "partitions": partitions})


def repair(cursor: Cursor) -> Statement:
    cursor.expect("msck", "repair", "table")
    name = cursor.name()
    cursor.end()
    return Statement(Kind.REPAIR, cursor.text, name)
