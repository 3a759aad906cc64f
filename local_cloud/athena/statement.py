"""One statement of Athena's grammar: what it is, and its parts; anything else is refused before a query id is made."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from local_cloud.athena.cursor import Cursor, Name, tokens_of
from local_cloud.athena.errors import QueryFailed, SyntaxRefused


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


def parse_query(text: str) -> Any:
    """The syntax tree of a SELECT (or VALUES, WITH, set operation); raises SyntaxRefused."""
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    try:
        trees = [tree for tree in parse(text, read="athena") if tree is not None]
    except (SqlglotError, RecursionError) as e:
        raise _syntax(e) from e
    if len(trees) != 1:
        raise SyntaxRefused(f"Only one sql statement is allowed. Got: {text.strip()}")
    if isinstance(trees[0], exp.Values):
        return exp.select("*").from_(_named_values(trees[0]))
    if not isinstance(trees[0], exp.Query):
        first = Cursor(text).tokens[0]
        raise SyntaxRefused(f"{first.place}: mismatched input '{first.text}'. Expecting: <query>")
    _require_columns(trees[0])
    return trees[0]


def _require_columns(tree: Any) -> None:
    """A SELECT of nothing is no SQL of Athena's, though the parser takes it."""
    from sqlglot import exp

    if any(not select.expressions for select in tree.find_all(exp.Select)):
        raise SyntaxRefused("line 1:1: mismatched input 'FROM'. Expecting: '*', <expression>")


def _named_values(values: Any) -> Any:
    """VALUES as a relation whose columns have the names that Athena gives them."""
    from sqlglot import exp

    first = values.expressions[0]
    width = len(first.expressions) if isinstance(first, exp.Tuple) else 1
    columns = [exp.to_identifier(f"_col{index}") for index in range(width)]
    values.set("alias", exp.TableAlias(this=exp.to_identifier("rows"), columns=columns))
    return values


def _syntax(error: Exception) -> SyntaxRefused:
    """The place and the word at which reading stopped."""
    details = getattr(error, "errors", None) or [{}]
    line, column = details[0].get("line"), details[0].get("col")
    near = details[0].get("highlight") or ""
    if line and column:
        start = max(1, int(column) - len(near) + 1)
        return SyntaxRefused(f"line {line}:{start}: mismatched input '{near or '<EOF>'}'")
    return SyntaxRefused(f"line 1:1: {str(error).splitlines()[0]}")


def _select(cursor: Cursor) -> Statement:
    first = cursor.tokens[0]
    if first.word not in ("select", "with", "values", "table", "("):
        raise SyntaxRefused(
            f"{first.place}: mismatched input '{first.text}'. Expecting: 'ALTER', 'CREATE', 'DESCRIBE', 'DROP', "
            "'EXECUTE', 'EXPLAIN', 'INSERT', 'MSCK', 'PREPARE', 'SHOW', 'UNLOAD', <query>"
        )
    written = cursor.rest()
    return Statement(Kind.SELECT, cursor.text, query=written, tree=parse_query(written))


def _create(cursor: Cursor) -> Statement:
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


def _drop(cursor: Cursor) -> Statement:
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


def _alter(cursor: Cursor) -> Statement:
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


def _repair(cursor: Cursor) -> Statement:
    cursor.expect("msck", "repair", "table")
    name = cursor.name()
    cursor.end()
    return Statement(Kind.REPAIR, cursor.text, name)


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


def _prepare(cursor: Cursor) -> Statement:
    cursor.expect("prepare")
    name = cursor.name()
    cursor.expect("from")
    return Statement(Kind.PREPARE, cursor.text, name, cursor.rest())


def _execute(cursor: Cursor) -> Statement:
    cursor.expect("execute")
    name = cursor.name()
    values = split_values(cursor.rest()) if cursor.accept("using") else []
    if not values:
        cursor.end()
    return Statement(Kind.EXECUTE, cursor.text, name, options={"values": values})


def _deallocate(cursor: Cursor) -> Statement:
    cursor.expect("deallocate", "prepare")
    name = cursor.name()
    cursor.end()
    return Statement(Kind.DEALLOCATE, cursor.text, name)


def split_values(written: str) -> list[str]:
    """The comma-separated expressions after USING."""
    values, start, depth = [], 0, 0
    for token in tokens_of(written):
        depth += (token.word in ("(", "[")) - (token.word in (")", "]"))
        if token.word == "," and not depth:
            values.append(written[start : token.start].strip())
            start = token.end
    return [*values, written[start:].strip()]


def bind(text: str, values: Sequence[str]) -> str:
    """The statement with its `?` replaced by literals, in order; raises SyntaxRefused on a wrong count."""
    cursor = Cursor(text)
    marks = [token for token in cursor.tokens if token.word == "?"]
    if len(marks) != len(values):
        raise SyntaxRefused(f"Incorrect number of parameters: expected {len(marks)} but found {len(values)}")
    parts, at = [], 0
    for mark, value in zip(marks, values, strict=True):
        parts += [text[at : mark.start], _checked_literal(value)]
        at = mark.end
    return "".join([*parts, text[at:]])


def _checked_literal(value: str) -> str:
    """A parameter is a constant: no column, no subquery, no second statement."""
    from sqlglot import exp

    select = parse_query(f"SELECT {value}")
    found = select.expressions
    allowed = (exp.Literal, exp.Neg, exp.Cast, exp.DataType, exp.DataTypeParam, exp.Boolean, exp.Null, exp.Paren,
               exp.Interval, exp.Var, exp.Array, exp.Select)  # fmt: skip
    if len(found) != 1 or not all(isinstance(node, allowed) for node in select.walk()):
        raise SyntaxRefused(f"a parameter must be a literal, text in single quotes: {value}")
    return value


_READERS = {
    "create": _create,
    "drop": _drop,
    "alter": _alter,
    "msck": _repair,
    "describe": _describe,
    "desc": _describe,
    "show": _show,
    "insert": _insert,
    "unload": _unload,
    "explain": _explain,
    "prepare": _prepare,
    "execute": _execute,
    "deallocate": _deallocate,
}
