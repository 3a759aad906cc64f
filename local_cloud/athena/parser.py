"""A text becomes a statement of Athena's grammar; anything else is refused before a query id is made."""

from typing import Any

from local_cloud.athena import definition, prepared
from local_cloud.athena.cursor import Cursor, Name
from local_cloud.athena.errors import QueryFailed, SyntaxRefused
from local_cloud.athena.statement import Kind, Statement
from local_cloud.athena.syntax import parse_query

REFUSED = {
    "delete": "DELETE", "update": "UPDATE", "merge": "MERGE INTO", "optimize": "OPTIMIZE", "vacuum": "VACUUM",
}  # fmt: skip


def parse(text: str) -> Statement:
    """Raises SyntaxRefused for what is no statement, QueryFailed for one that the local cloud does not run."""
    cursor = Cursor(text)
    cursor.drop_final_semicolon()
    if not cursor.tokens:
        raise SyntaxRefused("line 1:1: Empty query")
    if any(token.text == ";" and not token.is_text for token in cursor.tokens):
        raise SyntaxRefused(f"Only one sql statement is allowed. Got: {text.strip()}")
    word = cursor.tokens[0].word
    if word in REFUSED:
        raise QueryFailed(
            "NOT_SUPPORTED",
            f"{REFUSED[word]} is not run by the local cloud, whose SQL engine does not write Iceberg; "
            "rows are changed by the tenant's jobs",
        )
    reader = _READERS.get(word, _select)
    return reader(cursor)


def _select(cursor: Cursor) -> Statement:
    first = cursor.tokens[0]
    if first.word not in ("select", "with", "values", "table", "("):
        raise SyntaxRefused(
            f"{first.place}: mismatched input '{first.text}'. Expecting: 'ALTER', 'CREATE', 'DESCRIBE', 'DROP', "
            "'EXECUTE', 'EXPLAIN', 'INSERT', 'MSCK', 'PREPARE', 'SHOW', 'UNLOAD', <query>"
        )
    written = cursor.rest()
    return Statement(Kind.SELECT, cursor.text, query=written, tree=parse_query(written))


def _describe(cursor: Cursor) -> Statement:
    cursor.at += 1
    cursor.accept("formatted") or cursor.accept("extended")
    name = cursor.name()
    cursor.end()
    return Statement(Kind.DESCRIBE, cursor.text, name)


def _show(cursor: Cursor) -> Statement:
    cursor.expect("show")
    if cursor.accept("databases") or cursor.accept("schemas"):
        return _listing(cursor, Kind.SHOW_DATABASES)
    if cursor.accept("tables"):
        return _listing(cursor, Kind.SHOW_TABLES)
    if cursor.accept("views"):
        return _listing(cursor, Kind.SHOW_VIEWS)
    if cursor.accept("create", "view"):
        kind = Kind.SHOW_CREATE_VIEW
    elif cursor.accept("create", "table"):
        kind = Kind.SHOW_CREATE_TABLE
    elif cursor.accept("partitions"):
        kind = Kind.SHOW_PARTITIONS
    elif cursor.accept("tblproperties"):
        kind = Kind.SHOW_TBLPROPERTIES
    else:
        cursor.expect("columns")
        cursor.accept("in") or cursor.accept("from")
        kind = Kind.SHOW_COLUMNS
    name = cursor.name()
    if kind is Kind.SHOW_COLUMNS and (cursor.accept("in") or cursor.accept("from")):
        name = Name(name.name, cursor.identifier())
    options = {"property": cursor.group()} if kind is Kind.SHOW_TBLPROPERTIES and cursor.peek("(") else {}
    cursor.end()
    return Statement(kind, cursor.text, name, options=options)


def _listing(cursor: Cursor, kind: Kind) -> Statement:
    database = cursor.identifier() if cursor.accept("in") or cursor.accept("from") else None
    options: dict[str, Any] = {"database": database}
    if cursor.accept("like"):
        options["like"] = cursor.string()
    elif not cursor.is_done:
        options["pattern"] = cursor.string()
    cursor.end()
    return Statement(kind, cursor.text, options=options)


def _insert(cursor: Cursor) -> Statement:
    cursor.expect("insert", "into")
    name = cursor.name()
    columns = None
    if cursor.peek("(") and not cursor.peek("(", "select") and not cursor.peek("(", "with"):
        columns = [part.strip().strip('"').lower() for part in cursor.group().split(",")]
    written = cursor.rest()
    return Statement(Kind.INSERT, cursor.text, name, written, parse_query(written), {"columns": columns})


def _unload(cursor: Cursor) -> Statement:
    cursor.expect("unload")
    written = cursor.group()
    cursor.expect("to")
    options: dict[str, Any] = {"location": cursor.string()}
    options["properties"] = cursor.properties() if cursor.accept("with") else {}
    cursor.end()
    return Statement(Kind.UNLOAD, cursor.text, query=written, tree=parse_query(written), options=options)


def _explain(cursor: Cursor) -> Statement:
    cursor.expect("explain")
    if cursor.accept("analyze"):
        raise QueryFailed("NOT_SUPPORTED", "EXPLAIN ANALYZE: the local cloud's engine has another kind of plan")
    if cursor.peek("("):
        cursor.group()
    written = cursor.rest()
    return Statement(Kind.EXPLAIN, cursor.text, query=written, tree=parse_query(written))


_READERS = {
    "create": definition.create,
    "drop": definition.drop,
    "alter": definition.alter,
    "msck": definition.repair,
    "describe": _describe,
    "desc": _describe,
    "show": _show,
    "insert": _insert,
    "unload": _unload,
    "explain": _explain,
    "prepare": prepared.prepare,
    "execute": prepared.execute,
    "deallocate": prepared.deallocate,
}
