"""`lake lineage`: what something was made of, and what was made of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.tree import Tree

from cli import output
from cli.connection import LOCAL, connect
from cli.errors import NotFound
from cli.options import EnvironmentOption, JsonOption, TenantArgument

if TYPE_CHECKING:
    from lineage.graph import Graph

__all__ = ["as_document", "lineage", "tree"]

SHOWN_SIBLINGS = 8


def lineage(
    tenant: TenantArgument,
    start: Annotated[str, typer.Argument(metavar="START", help="A key (optionally key@version), dataset or run id.")],
    *,
    up: Annotated[bool, typer.Option("--up", help="What it was made of.")] = False,
    down: Annotated[bool, typer.Option("--down", help="What was made of it.")] = False,
    depth: Annotated[int, typer.Option(min=1, max=50, help="How many steps to follow.")] = 8,
    environment: EnvironmentOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Show what a file, dataset or run came from (--up) and led to (--down); without either, both."""
    connection = connect(environment, tenant)
    connection.deployed_tenant(tenant)
    from lineage import graph

    begin = start.removeprefix(f"s3://{connection.names(tenant).bucket}/")
    both = not up and not down
    found = [
        (word, walk(connection.ledger, tenant, begin, depth))
        for word, walk, wanted in (("made of", graph.up, up or both), ("led to", graph.down, down or both))
        if wanted
    ]
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


@dataclass(frozen=True)
class Step:
    """One edge as seen from the node it is drawn under."""

    node: str
    run: str | None


def tree(graph: "Graph", *, upwards: bool, title: str) -> Tree:
    """The graph as a tree from its starts; a node met again is only named, more than 8 siblings are folded."""
    names = {node.id: (str(node.kind), node.name) for node in graph.nodes}
    steps: dict[str, list[Step]] = {}
    for edge in graph.edges:
        near, far = (edge.target, edge.source) if upwards else (edge.source, edge.target)
        steps.setdefault(near, []).append(Step(far, edge.run))
    reached = {step.node for each in steps.values() for step in each}
    starts = [node.id for node in graph.nodes if node.id not in reached] or [graph.nodes[0].id] if graph.nodes else []
    drawn = Tree(f"[bold]{escape(title)}[/]")
    seen: set[str] = set()
    _grow(drawn, [Step(start, None) for start in starts], steps, names, seen)
    if graph.truncated:
        drawn.add("[yellow]… more than is shown here: raise --depth, or begin at a node above[/]")
    return drawn


def _grow(
    branch: Tree,
    siblings: list[Step],
    steps: dict[str, list[Step]],
    names: dict[str, tuple[str, str]],
    seen: set[str],
) -> None:
    for step in siblings[:SHOWN_SIBLINGS]:
        known = step.node in seen
        below = steps.get(step.node, [])
        twig = branch.add(_label(step, names, again=known and bool(below)))
        if not known:
            seen.add(step.node)
            _grow(twig, below, steps, names, seen)
    hidden = siblings[SHOWN_SIBLINGS:]
    if hidden:
        branch.add(f"[dim]+{len(hidden):,} more[/]")


def _label(step: Step, names: dict[str, tuple[str, str]], *, again: bool) -> str:
    kind, name = names.get(step.node, ("", step.node))
    by = f" [dim]run {escape(step.run[-12:])}[/]" if step.run else ""
    return f"{escape(name)} [cyan]{escape(kind)}[/]{by}{' [dim](above)[/]' if again else ''}"
