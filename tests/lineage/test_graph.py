import pytest

from lineage import graph
from lineage.errors import NotInLedger
from lineage.receipts import Receipt
from lineage.store import Store
from tests.lineage.builders import ANALYTICS, RAW, a_file, begin, commit_key, merge, process, processed

PARTITION = "analytics-ready/sales/year=2024/month=09"


def edges(found: graph.Graph) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in found.edges}


@pytest.fixture
def loop(ledger):
    """Two raw files that went the whole way: (ledger, first run, second run)."""
    ledger.receive(a_file("a.csv"), RAW)
    ledger.receive(a_file("b.csv"), RAW)
    first = process(ledger)
    return ledger, first, merge(ledger)


def whole(first, second) -> set[tuple[str, str]]:
    parquet = f"processed/sales/year=2024/month=09/{first.run}-0.parquet"
    commit = commit_key(first)
    return {
        (first.run, parquet),
        (first.run, commit),
        (parquet, second.run),
        (commit, second.run),
        (second.run, PARTITION),
        (PARTITION, "sales"),
    }


def test_down_from_a_raw_file_to_the_table(loop):
    ledger, first, second = loop

    found = graph.down(ledger, "acme", "raw/sales/a.csv")

    assert edges(found) == whole(first, second) | {("raw/sales/a.csv@v1", first.run)}
    assert found.truncated is False
    assert found.nodes[0].id == "raw/sales/a.csv@v1"


def test_up_from_the_table_to_every_raw_file(loop):
    ledger, first, second = loop

    found = graph.up(ledger, "acme", "sales")

    raw = {("raw/sales/a.csv@v1", first.run), ("raw/sales/b.csv@v1", first.run)}
    assert edges(found) == whole(first, second) | raw
    assert {node.kind for node in found.nodes} == {"table", "partition", "run", "commit", "file"}


def test_up_from_a_partition_a_run_or_a_processed_file(loop):
    ledger, first, second = loop
    parquet = f"processed/sales/year=2024/month=09/{first.run}-0.parquet"
    raw = {("raw/sales/a.csv@v1", first.run), ("raw/sales/b.csv@v1", first.run)}

    assert edges(graph.up(ledger, "acme", PARTITION)) == whole(first, second) | raw
    assert edges(graph.up(ledger, "acme", first.run)) == raw
    assert edges(graph.up(ledger, "acme", parquet)) == raw | {(first.run, parquet)}


def test_down_from_a_processed_file_follows_its_commit_object(loop):
    ledger, first, second = loop
    parquet = f"processed/sales/year=2024/month=09/{first.run}-0.parquet"

    assert edges(graph.down(ledger, "acme", parquet)) == {
        (parquet, second.run),
        (second.run, PARTITION),
        (PARTITION, "sales"),
    }


def test_down_from_a_run(loop):
    ledger, first, second = loop

    assert edges(graph.down(ledger, "acme", first.run)) == whole(first, second)


def test_every_edge_names_the_run_that_made_it(loop):
    ledger, first, second = loop

    runs = {(edge.source, edge.target): edge.run for edge in graph.down(ledger, "acme", "raw/sales/a.csv").edges}

    assert runs["raw/sales/a.csv@v1", first.run] == first.run
    assert runs[second.run, PARTITION] == second.run
    assert runs[PARTITION, "sales"] == second.run


def test_depth_counts_runs_and_what_is_left_out_is_said(loop):
    ledger, _, _ = loop

    found = graph.down(ledger, "acme", "raw/sales/a.csv", depth=1)

    assert {node.name for node in found.nodes if node.kind == "run"} == {RAW, ANALYTICS}
    assert not any(node.kind == "partition" for node in found.nodes)
    assert found.truncated is True
    assert graph.down(ledger, "acme", "raw/sales/a.csv", depth=2).truncated is False


def test_a_wide_run_is_cut_at_the_limit_and_says_so(ledger):
    ledger.receive_all([Receipt(file=a_file(f"{number:03d}.csv"), job=RAW) for number in range(50)])
    run = process(ledger)

    found = graph.up(ledger, "acme", run.run, max_nodes=10)

    assert (len(found.nodes), found.truncated) == (10, True)
    known = {node.id for node in found.nodes}
    assert all(edge.source in known and edge.target in known for edge in found.edges)


def test_a_run_with_many_inputs_and_outputs_is_their_sum_not_their_product(ledger):
    ledger.receive_all([Receipt(file=a_file(f"{number:03d}.csv"), job=RAW) for number in range(40)])
    run = process(ledger, files=30)

    assert len(graph.up(ledger, "acme", run.run).edges) == 40
    assert len(graph.down(ledger, "acme", run.run).edges) == 31


def test_a_commit_that_is_not_finalised_counts(ledger):
    ledger.receive(a_file(), RAW)
    first = process(ledger, finalised=False)

    assert ("raw/sales/a.csv@v1", first.run) in edges(graph.down(ledger, "acme", "raw/sales/a.csv"))


def test_a_run_that_did_not_commit_is_no_edge(ledger):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)

    assert edges(graph.down(ledger, "acme", "raw/sales/a.csv")) == set()

    ledger.fail(run, "killed")
    assert edges(graph.down(ledger, "acme", run.run)) == set()


def test_two_batches_into_one_partition_are_both_found(loop):
    ledger, _, second = loop
    ledger.receive(a_file("c.csv"), RAW)
    third = process(ledger, glue_run="jr_3")
    fourth = merge(ledger, snapshot="78")

    found = graph.up(ledger, "acme", "sales")

    assert {(second.run, PARTITION), (fourth.run, PARTITION), ("raw/sales/c.csv@v1", third.run)} <= edges(found)
    assert [node.id for node in found.nodes].count(PARTITION) == 1


def test_the_newest_version_of_a_key_is_meant_unless_one_is_named(loop):
    from datetime import UTC, datetime

    ledger, first, _ = loop
    ledger.receive(a_file("a.csv", version="v2", arrived_at=datetime(2024, 9, 21, tzinfo=UTC)), RAW)

    assert [node.id for node in graph.down(ledger, "acme", "raw/sales/a.csv").nodes] == ["raw/sales/a.csv@v2"]
    assert ("raw/sales/a.csv@v1", first.run) in edges(graph.down(ledger, "acme", "raw/sales/a.csv@v1"))


def test_a_key_may_hold_an_at_sign(ledger):
    ledger.receive(a_file("me@home.csv"), RAW)

    assert [node.name for node in graph.up(ledger, "acme", "raw/sales/me@home.csv").nodes] == ["raw/sales/me@home.csv"]
    assert [node.name for node in graph.up(ledger, "acme", "raw/sales/me@home.csv@v1").nodes] == [
        "raw/sales/me@home.csv"
    ]


def test_an_unknown_start_is_named(ledger):
    with pytest.raises(NotInLedger, match=r"raw/none\.csv"):
        graph.up(ledger, "acme", "raw/none.csv")


def test_the_table_level_shows_what_flows_between_datasets(loop):
    ledger, first, second = loop

    found = graph.tables(ledger, "acme")

    assert [(edge.source, edge.target, edge.run) for edge in found.edges] == [
        ("processed/sales", "sales", second.run),
        ("raw/sales", "processed/sales", first.run),
    ]
    assert edges(graph.down(ledger, "acme", "sales")) == edges(found)


def test_another_tenants_lineage_is_not_found(loop):
    from tests.lineage.builders import enter

    ledger, first, _ = loop
    enter(ledger, "acme2")

    for start in (first.run, "raw/sales/a.csv", PARTITION):
        with pytest.raises(NotInLedger):
            graph.up(ledger, "acme2", start)
    assert graph.tables(ledger, "acme2").edges == ()


def test_the_way_down_costs_requests_per_level_not_per_file(ledger):
    class Counts(Store):
        calls = 0

        def send(self, operation, request):
            self.calls += 1
            return super().send(operation, request)

    ledger.receive_all([Receipt(file=a_file(f"{number:03d}.csv"), job=RAW) for number in range(30)])
    run = begin(ledger)
    ledger.commit(run, processed(run, files=20))
    ledger.finalise(run)
    ledger.receive(a_file(key=commit_key(run), version="c1"), ANALYTICS)
    merge(ledger)
    ledger.store = Counts(ledger.store.name, workers=1, clock=ledger.clock)

    found = graph.up(ledger, "acme", "sales")

    assert len(found.nodes) == 30 + 20 + 1 + 2 + 1 + 1
    assert ledger.store.calls <= 9
