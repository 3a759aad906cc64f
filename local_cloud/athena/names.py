"""Which tables a query names: references that are no CTE of its own, functions and places in the text."""

import re
from collections.abc import Iterator
from typing import Any

from local_cloud.athena.cursor import Name, qualified
from local_cloud.athena.errors import QueryFailed

# The engine takes a name that it does not know, and that looks like a file's, for that file.
_FILE_LIKE = re.compile(r"[./:\\]")


def tables(tree: Any) -> Iterator[Any]:
    """Table nodes that must be found in the catalog."""
    from sqlglot import exp

    for cte in tree.find_all(exp.CTE):
        if _FILE_LIKE.search(cte.alias):
            words = f'WITH "{cte.alias}": names with . / : or \\ are not answered by the local cloud'
            raise QueryFailed("NOT_SUPPORTED", words)
    _require_known_sources(tree)
    for node in list(tree.find_all(exp.Table)):
        if not isinstance(node.this, exp.Identifier):
            raise QueryFailed("FUNCTION_NOT_FOUND", f"Table function '{_function(node)}' not registered", place(node))
        if not _is_cte(node):
            yield node


def _require_known_sources(tree: Any) -> None:
    """Rows come from tables, subqueries, UNNEST and VALUES: what else may stand there would not be looked up."""
    from sqlglot import exp

    anywhere = (exp.Table, exp.Subquery, exp.Unnest, exp.Values, exp.Lateral)
    for node in tree.find_all(exp.From, exp.Join, exp.Lateral):
        if not isinstance(node.this, (exp.Subquery, exp.Unnest) if isinstance(node, exp.Lateral) else anywhere):
            raise QueryFailed("NOT_SUPPORTED", f"rows of {node.this.sql('trino')}: no table or subquery", place(node))


def name_of(table: Any) -> Name:
    parts = [part.name.lower() for part in (table.args.get("catalog"), table.args.get("db"), table.this) if part]
    return qualified(parts)


def place(node: Any) -> str:
    """`line 1:15` of the first identifier of a node."""
    from sqlglot import exp

    metas = [found.meta for found in [node, *node.find_all(exp.Identifier)] if found.meta.get("line")]
    if not metas:
        return "line 1:1"
    meta = min(metas, key=lambda meta: int(meta.get("start", 0)))
    width = meta.get("end", 0) - meta.get("start", 0)
    return f"line {meta['line']}:{max(1, meta['col'] - width)}"


def place_of(tree: Any, name: str) -> str | None:
    """Where a name that could not be resolved stands."""
    from sqlglot import exp

    for node in tree.find_all(exp.Identifier):
        if node.name.lower() == name.lower():
            return place(node)
    return None


def _function(node: Any) -> str:
    inner = node.this
    return str(getattr(inner, "name", "") or type(inner).__name__).lower()


def _is_cte(table: Any) -> bool:
    """Whether the name is a WITH query visible here; a WITH query does not see itself or later ones."""
    from sqlglot import exp

    if table.args.get("db"):
        return False
    name = table.name.lower()
    below, node = table, table.parent
    while node is not None:
        if isinstance(node, exp.With):
            for cte in node.expressions:
                if cte is below:
                    if cte.alias.lower() == name and _sees_itself(node, cte, table):
                        return True
                    break
                if cte.alias.lower() == name:
                    return True
        elif isinstance(node, exp.Query):
            with_ = node.args.get("with_")
            if with_ is not None and with_ is not below and any(c.alias.lower() == name for c in with_.expressions):
                return True
        below, node = node, node.parent
    return False


def _sees_itself(with_: Any, cte: Any, table: Any) -> bool:
    """A recursive WITH query is visible in the second part of its own UNION, and nowhere else in itself."""
    from sqlglot import exp

    if not with_.args.get("recursive") or not isinstance(cte.this, exp.SetOperation):
        return False
    node = table
    while node is not cte.this:
        if node is cte.this.expression:
            return True
        node = node.parent
    return False
