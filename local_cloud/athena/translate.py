"""Trino's SQL as Athena speaks it, rewritten so that DuckDB gives the same values, or refused.

DuckDB has functions of the same name and another meaning; each is rewritten here (macros.py holds the SQL), and what
cannot be told apart before the query runs is guarded so that it fails loudly instead of answering differently.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import ErrorLevel, UnsupportedError, exp

from local_cloud.athena import arithmetic, containers, moments, texts
from local_cloud.athena.errors import QueryFailed
from local_cloud.athena.functions import PLAIN, RENAMED
from local_cloud.athena.inference import Kind, infer
from local_cloud.athena.nodes import not_registered
from local_cloud.athena.types import UNNAMED

RULES = arithmetic.RULES | moments.RULES | texts.RULES | containers.RULES
# What the generator cannot say is an error; comments of the statement stay behind.
WRITING: dict[str, Any] = {"unsupported_level": ErrorLevel.RAISE, "comments": False}
REFUSED_NODES: tuple[tuple[str, str], ...] = (
    ("Pivot", "PIVOT"),
    ("Into", "SELECT INTO"),
    ("Columns", "COLUMNS"),
    ("Parameter", "parameters"),
    ("Command", "statements inside a query"),
    ("Insert", "statements inside a query"),
    ("Delete", "statements inside a query"),
    ("Update", "statements inside a query"),
    ("Create", "statements inside a query"),
    ("Drop", "statements inside a query"),
    ("MatchRecognize", "MATCH_RECOGNIZE"),
    ("Qualify", "QUALIFY"),
    ("JSONTable", "JSON_TABLE"),
    ("JSONValue", "json_value"),
    ("JSONExists", "json_exists"),
)


@dataclass
class Translation:
    """One query's rewriting. `columns` are the catalog's types by column name, where all tables agree on them."""

    columns: Mapping[str, Kind]
    aliases: dict[str, Kind] = field(default_factory=dict)

    def run(self, tree: exp.Expression) -> str:
        """DuckDB's text of the query."""
        refuse_unknown(tree)
        name_columns(tree)
        self._visit(tree)
        for node in tree.find_all(exp.Table):
            node.set("catalog", None)
        try:
            return tree.sql("duckdb", **WRITING)
        except UnsupportedError as e:
            raise QueryFailed("NOT_SUPPORTED", str(e)) from e

    def expression(self, node: exp.Expression) -> str:
        """DuckDB's text of a condition."""
        holder = exp.Paren(this=node)
        refuse_unknown(holder)
        self._visit(holder)
        return holder.sql("duckdb", **WRITING)

    def _visit(self, node: exp.Expression) -> None:
        """Children first, and what a SELECT reads from before what it computes."""
        first = ("with_", "from_", "joins", "laterals", "this")
        keys = [key for key in first if key in node.args] + [key for key in node.args if key not in first]
        for key in keys:
            value = node.args[key]
            for child in list(value) if isinstance(value, list) else [value]:
                if isinstance(child, exp.Expression):
                    self._visit(child)
        self._rewrite(node)

    def _rewrite(self, node: exp.Expression) -> None:
        kind = self.kind(node)
        rule = RULES.get(type(node))
        replacement = rule(self, node) if rule else None
        if replacement is not None and replacement is not node:
            node.replace(replacement)
            node = replacement
        node.meta["kind"] = kind
        if isinstance(node, exp.Alias):
            self._remember(node.alias.lower(), kind)
        elif isinstance(node, exp.TableAlias):
            for column in node.columns:
                self.aliases[column.name.lower()] = None

    def _remember(self, name: str, kind: Kind) -> None:
        known = self.aliases.get(name, self.columns.get(name, kind))
        self.aliases[name] = kind if known == kind else None

    def kind(self, node: Any) -> Kind:
        """The type of an expression where it is certain, else None."""
        if not isinstance(node, exp.Expression):
            return None
        if "kind" in node.meta:
            return node.meta["kind"]
        if isinstance(node, exp.Column):
            name = node.name.lower()
            if node.table.lower() in self.columns:
                return None  # a field of a row
            return self.aliases[name] if name in self.aliases else self.columns.get(name)
        return infer(self, node)


def refuse_unknown(tree: exp.Expression) -> None:
    """Raises QueryFailed for functions and clauses that are not answered."""
    refused = {getattr(exp, name): words for name, words in REFUSED_NODES if hasattr(exp, name)}
    for node in tree.walk():
        if type(node) in refused:
            raise QueryFailed("NOT_SUPPORTED", f"{refused[type(node)]} is not answered by the local cloud")
        if isinstance(node, exp.Star) and any(node.args.values()):
            raise QueryFailed("NOT_SUPPORTED", "* with EXCEPT, REPLACE or RENAME is not Athena's SQL")
        if isinstance(node, exp.Placeholder):
            raise QueryFailed("INVALID_PARAMETER_USAGE", "Incorrect number of parameters: a ? has no value")
        if isinstance(node, exp.Anonymous):
            if node.name.lower() not in RENAMED:
                raise not_registered(node.name.lower(), node)
        elif isinstance(node, exp.Func) and type(node).__name__ not in PLAIN:
            raise not_registered(node.sql_name().lower(), node)


def name_columns(tree: exp.Expression) -> None:
    """Names for computed columns: `_colN` in subqueries, a mark in the outermost SELECT (see `shown_names`)."""
    for select in list(tree.find_all(exp.Select)):
        mark = UNNAMED if _is_outermost(select, tree) else "_col"
        for index, expression in enumerate(list(select.expressions)):
            named = isinstance(expression, exp.Alias | exp.Column | exp.Star | exp.Dot | exp.Aliases)
            if not named and not _is_scalar_context(select):
                expression.replace(exp.alias_(expression.copy(), f"{mark}{index}"))


def shown_names(columns: list[str]) -> list[str]:
    """Names as Athena reports them: `_colN` counts the columns after `*` was expanded."""
    return [f"_col{index}" if name.startswith(UNNAMED) else name for index, name in enumerate(columns)]


def _is_outermost(select: exp.Expression, tree: exp.Expression) -> bool:
    node = select
    while (
        node is not tree and isinstance(node.parent, exp.SetOperation | exp.Subquery) and node.arg_key != "expression"
    ):
        node = node.parent
    return node is tree


def _is_scalar_context(select: exp.Expression) -> bool:
    return isinstance(select.parent, exp.Exists | exp.In)
