import io
from dataclasses import dataclass

from rich.console import Console

from cli.lineage import as_document, tree


@dataclass
class Node:
    id: str
    kind: str
    name: str


@dataclass
class Edge:
    source: str
    target: str
    run: str | None


@dataclass
class Graph:
    nodes: list[Node]
    edges: list[Edge]
    truncated: bool = False


def text_of(drawn):
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(drawn)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


CHAIN = Graph(
    [Node("a", "file", "raw/a.csv"), Node("p", "file", "processed/p.parquet"), Node("t", "table", "transactions")],
    [Edge("a", "p", "run-0001"), Edge("p", "t", "run-0002")],
)


def test_downwards_the_tree_begins_at_the_file():
    assert text_of(tree(CHAIN, upwards=False, title="raw/a.csv led to")) == [
        "raw/a.csv led to",
        "└── raw/a.csv file",
        "    └── processed/p.parquet file run run-0001",
        "        └── transactions table run run-0002",
    ]


def test_upwards_the_tree_begins_at_the_table():
    assert text_of(tree(CHAIN, upwards=True, title="transactions made of"))[1] == "└── transactions table"


def test_more_than_eight_siblings_are_folded():
    files = [Node(str(n), "file", f"raw/{n}.csv") for n in range(30)]
    graph = Graph([Node("t", "table", "flights"), *files], [Edge(each.id, "t", "r") for each in files])

    lines = text_of(tree(graph, upwards=True, title="flights"))

    assert len(lines) == 1 + 1 + 8 + 1
    assert lines[-1].strip() == "└── +22 more"


def test_a_node_met_twice_is_drawn_once():
    graph = Graph(
        [
            Node("t", "table", "t"),
            Node("x", "file", "x"),
            Node("y", "file", "y"),
            Node("a", "file", "a"),
            Node("b", "file", "b"),
        ],
        [Edge("x", "t", None), Edge("y", "t", None), Edge("a", "x", None), Edge("a", "y", None), Edge("b", "a", None)],
    )

    lines = text_of(tree(graph, upwards=True, title="t"))

    assert [line for line in lines if "(above)" in line] == ["        └── a file (above)"]
    assert sum("b file" in line for line in lines) == 1


def test_names_of_files_are_not_taken_for_markup():
    graph = Graph([Node("a", "file", "raw/[red]a[/red].csv")], [])

    assert "raw/[red]a[/red].csv file" in text_of(tree(graph, upwards=False, title="a"))[1]


def test_json_keys_are_the_documented_ones():
    assert as_document([CHAIN]) == {
        "nodes": [
            {"id": "a", "kind": "file", "name": "raw/a.csv"},
            {"id": "p", "kind": "file", "name": "processed/p.parquet"},
            {"id": "t", "kind": "table", "name": "transactions"},
        ],
        "edges": [
            {"from": "a", "to": "p", "run": "run-0001"},
            {"from": "p", "to": "t", "run": "run-0002"},
        ],
        "truncated": False,
    }
