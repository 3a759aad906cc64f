"""Prepared statements: PREPARE, EXECUTE and DEALLOCATE, and literals in the place of their question marks."""

from collections.abc import Sequence

from local_cloud.athena.cursor import Cursor, tokens_of
from local_cloud.athena.errors import SyntaxRefused
from local_cloud.athena.statement import Kind, Statement
from local_cloud.athena.syntax import parse_query


def prepare(cursor: Cursor) -> Statement:
    cursor.expect("prepare")
    name = cursor.name()
    cursor.expect("from")
    return Statement(Kind.PREPARE, cursor.text, name, cursor.rest())


def execute(cursor: Cursor) -> Statement:
    cursor.expect("execute")
    name = cursor.name()
    values = split_values(cursor.rest()) if cursor.accept("using") else []
    if not values:
        cursor.end()
    return Statement(Kind.EXECUTE, cursor.text, name, options={"values": values})


def deallocate(cursor: Cursor) -> Statement:
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
