"""`lake lineage`: what something was made of, and what was made of it."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.tree import Tree

from cli import output
from cli.connection import LOCAL, connect
from cli.errors import NotFound
from cli.options import EnvironmentOption, JsonOption, TenantArgument
from cli.output import shown
from cli.runs import find

if TYPE_CHECKING:
    from lineage.graph import Graph

__all__ = ["as_document", "lineage", "tree"]

SHOWN_SIBLINGS = 8
END_OF_RUN = re.compile(r"[0-9a-f-]{4,36}\Z")


def lineage(
    tenant: TenantArgument,
    start: Annotated[str, typer.Argument(metavar="START", help="A key (or key@version), dataset, run id or its end.")],
    *,
    up: Annotated[bool, typer.Option("--up", help="What it was made of.")] = False,
    down: Annotated[bool, typer.Option("--down", help="What was made of it.")] = False,
    depth: Annotated[int, typer.Option(metavar="N", min=1, max=50, help="How many runs to follow.")] = 3,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Show what a file, dataset or run came from (--up) and led to (--down); without either, both."""
    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    from lineage import graph
    from lineage.errors import NotInLedger

    begin = start.removeprefix(f"s3://{connection.names(tenant).bucket}/")
    both = not up and not down
    ways = [("made of", graph.up)] * (up or both) + [("led to", graph.down)] * (down or both)
    try:
        found = [(word, walk(connection.ledger, tenant, begin, depth)) for word, walk in ways]
    except NotInLedger:
        if not END_OF_RUN.match(begin):
            raise
        run = find(connection, tenant, begin).run
        found = [(word, walk(connection.ledger, tenant, run, depth)) for word, walk in ways]
    if not any(each.nodes for _, each in found):
        raise NotFound(f"the ledger of tenant {tenant} knows no {start!r}; `lake files {tenant}` lists its files")
    if as_json:
        output.print_json(as_document(each for _, each in found))
        return
    for word, each in found:
        output.stdout().print(tree(each, upwards=word == "made of", title=f"{start} {word}"))


def as_document(graphs: "Iterable[Graph]") -> dict[str, Any]:
    """The documented keys of `--json`: nodes, edges (in the direction data flowed), truncated."""
    nodes: dict[str, dict[str, str]] = {}
    edges: dict[tuple[str, str, str | None], dict[str, str | None]] = {}
    truncated = False
    for graph in graphs:
        truncated = truncated or graph.truncated
        for node in graph.nodes:
            nodes[node.id] = {"id": node.id, "kind": str(node.kind), "name": node.name}
        for edge in graph.edges:
            edges[edge.source, edge.target, edge.run] = {"from": edge.source, "to": edge.target, "run": edge.run}
    return {"nodes": list(nodes.values()), "edges": list(edges.values()), "truncated": truncated}


def tree(graph: "Graph", *, upwards: bool, title: str) -> Tree:
    """The graph as a tree from its start; a node met again is only named, more than 8 siblings are folded."""
    drawn = Tree(f"[bold]{shown(title)}[/]")
    Drawing(graph, upwards=upwards).grow(drawn)
    if graph.truncated:
        drawn.add("[yellow]… more than is shown here: raise --depth, or begin at one of the last nodes[/]")
    return drawn


class Drawing:
    """A graph being drawn: what stands next to what, and what was drawn already."""

    def __init__(self, graph: "Graph", *, upwards: bool) -> None:
        self.nodes = {node.id: node for node in graph.nodes}
        self.next: dict[str, list[str]] = {}
        for edge in graph.edges:
            near, far = (edge.target, edge.source) if upwards else (edge.source, edge.target)
            self.next.setdefault(near, []).append(far)
        self.seen: set[str] = set()

    def grow(self, drawn: Tree) -> None:
        self._branches(drawn, self._starts())

    def _starts(self) -> list[str]:
        """The first node; where nothing hangs on it, whatever nothing leads to."""
        first = next(iter(self.nodes), None)
        if first is None or first in self.next or not self.next:
            return [] if first is None else [first]
        reached = {node for below in self.next.values() for node in below}
        return [node for node in self.next if node not in reached]

    def _branches(self, branch: Tree, siblings: list[str]) -> None:
        ordered = sorted(siblings, key=self._rank)
        for node in ordered[:SHOWN_SIBLINGS]:
            below = self.next.get(node, [])
            known = node in self.seen
            twig = branch.add(self._label(node) + ("[dim] (above)[/]" if known and below else ""))
            if not known:
                self.seen.add(node)
                self._branches(twig, below)
        if len(ordered) > SHOWN_SIBLINGS:
            branch.add(f"[dim]+{len(ordered) - SHOWN_SIBLINGS:,} more[/]")

    def _rank(self, node: str) -> tuple[bool, str]:
        """By name, commit objects after the files they name."""
        known = self.nodes.get(node)
        return (known is not None and str(known.kind) == "commit", known.name if known is not None else node)

    def _label(self, node: str) -> str:
        known = self.nodes[node]
        # A partition's count is that of its newest commit, which reads as if it were the partition's.
        rows = None if str(known.kind) == "partition" else known.rows
        counted = f"[dim] {output.counted(rows, 'row')}[/]" if rows is not None else ""
        by = f"[dim] {shown(node)}[/]" if str(known.kind) == "run" else ""
        return f"{shown(known.name)} [cyan]{shown(str(known.kind))}[/]{by}{counted}"
