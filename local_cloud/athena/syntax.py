"""The syntax tree of a SELECT, as the SQL library reads Athena's dialect."""

from typing import Any

from local_cloud.athena.cursor import Cursor
from local_cloud.athena.errors import SyntaxRefused


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
