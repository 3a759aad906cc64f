import io
import json
from dataclasses import dataclass

from rich.console import Console

from cli.exit_codes import ExitCode
from cli.lineage import as_document, tree


@dataclass
class Node:
    id: str
    kind: str
    name: str
    rows: int | None = None


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
    [
        Node("a", "file", "raw/a.csv"),
        Node("r-1", "run", "raw_to_processed", rows=1200),
        Node("p", "file", "processed/p.parquet"),
        Node("t", "table", "transactions"),
    ],
    [Edge("a", "r-1", "r-1"), Edge("r-1", "p", "r-1"), Edge("p", "t", "r-2")],
)


def test_downwards_the_tree_begins_at_the_file():
    assert text_of(tree(CHAIN, upwards=False, title="raw/a.csv led to")) == [
        "raw/a.csv led to",
        "└── raw/a.csv file",
        "    └── raw_to_processed run r-1 1,200 rows",
        "        └── processed/p.parquet file",
        "            └── transactions table",
    ]


def test_upwards_the_tree_begins_at_the_table():
    graph = Graph(list(reversed(CHAIN.nodes)), CHAIN.edges)

    assert text_of(tree(graph, upwards=True, title="transactions made of"))[1:3] == [
        "└── transactions table",
        "    └── processed/p.parquet file",
    ]


def test_a_commit_object_comes_after_the_files_it_names():
    graph = Graph(
        [
            Node("r", "run", "job"),
            Node("c", "commit", "processed/_commits/c.json"),
            Node("f", "file", "processed/f.parquet"),
        ],
        [Edge("r", "c", "r"), Edge("r", "f", "r")],
    )

    lines = text_of(tree(graph, upwards=False, title="job"))

    assert [line.split()[-1] for line in lines[2:]] == ["file", "commit"]


def test_a_start_on_which_nothing_hangs_gives_way_to_what_nothing_leads_to():
    graph = Graph([Node("t", "table", "t"), Node("raw/t", "table", "raw/t")], [Edge("raw/t", "t", "r")])

    assert text_of(tree(graph, upwards=False, title="t"))[1:] == ["└── raw/t table", "    └── t table"]


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
    assert as_document([CHAIN, CHAIN]) == {
        "nodes": [
            {"id": "a", "kind": "file", "name": "raw/a.csv"},
            {"id": "r-1", "kind": "run", "name": "raw_to_processed"},
            {"id": "p", "kind": "file", "name": "processed/p.parquet"},
            {"id": "t", "kind": "table", "name": "transactions"},
        ],
        "edges": [
            {"from": "a", "to": "r-1", "run": "r-1"},
            {"from": "r-1", "to": "p", "run": "r-1"},
            {"from": "p", "to": "t", "run": "r-2"},
        ],
        "truncated": False,
    }


def test_the_end_of_a_runs_id_is_a_start_too(dev):
    dev.arrive("a.csv")
    dev.process()
    run = dev.connection.ledger.runs("acme", "raw_to_processed")[0].run

    whole, end = (json.loads(dev.lake("lineage", "acme", each, "--json").stdout) for each in (run, run[-8:]))

    assert {"id": run, "kind": "run", "name": "raw_to_processed"} in whole["nodes"]
    assert end == whole


def test_what_looks_like_the_end_of_a_run_and_is_none_is_not_found(dev):
    assert dev.lake("lineage", "acme", "0bad").exit_code == ExitCode.NOT_FOUND
