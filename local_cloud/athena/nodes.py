"""Small builders of syntax-tree nodes that every rewriting rule uses."""

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from local_cloud.athena import names
from local_cloud.athena.errors import QueryFailed
from local_cloud.athena.inference import Kinds

Rule = Callable[[Kinds, Any], Any]


def not_registered(name: str, node: exp.Expression) -> QueryFailed:
    return QueryFailed("FUNCTION_NOT_FOUND", f"Function '{name}' not registered in the local cloud", names.place(node))


def unsupported(what: str) -> QueryFailed:
    return QueryFailed("NOT_SUPPORTED", f"{what} is not answered by the local cloud")


def call(name: str, *arguments: Any) -> exp.Anonymous:
    """A call of one of our macros or a function of DuckDB's."""
    return exp.Anonymous(this=name, expressions=[exp.convert(a) if not _is_node(a) else a for a in arguments])


def _is_node(value: Any) -> bool:
    return isinstance(value, exp.Expression)


def in_try(node: exp.Expression) -> bool:
    return node.find_ancestor(exp.Try) is not None


def as_text(node: exp.Expression) -> exp.Expression:
    return exp.cast(node.copy(), exp.DataType.build("VARCHAR", dialect="duckdb"))


def bare(node: exp.Expression) -> exp.Expression:
    return node.this if isinstance(node, exp.Paren) else node


def cast(node: exp.Expression, written: str) -> exp.Cast:
    return exp.cast(node, exp.DataType.build(written, dialect="duckdb"))


def string(value: str) -> exp.Literal:
    return exp.Literal.string(value)


def macro(name: str, *keys: str) -> Rule:
    """A rule that calls a macro with these arguments of the node."""
    return lambda _, node: call(name, *(node.args[key] for key in keys))


def refuse_argument(key: str, words: str) -> Rule:
    """A rule for an argument that the generator would drop in silence."""

    def rule(_: Kinds, node: exp.Expression) -> Any:
        if node.args.get(key) is not None:
            raise unsupported(words)

    return rule
