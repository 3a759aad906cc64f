"""Lineage both ways: which runs and files something was made from, and what was made from it.

Walked level by level with batch gets of known keys, never a request per node. A run is a node of its own, so that a
run with a thousand inputs and ten outputs is a thousand and ten edges, not ten thousand:

    raw file ─► run ─► processed file, commit object ─► run ─► partition ─► table

An edge counts when its claim is DONE, or is CLAIMED by a run that has committed. The next job claims a commit object;
the processed files that the object names share its edge.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lineage import commits, table
from lineage.errors import NotInLedger
from lineage.history import History, claim_key
from lineage.items import Claim, Edge, PartitionCommit, Version
from lineage.items import Run as Header
from lineage.values import ClaimState, HeaderState

DEPTH = 3
MAX_NODES = 2_000

_RUN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_PARTITION = re.compile(r"analytics-ready/([a-z][a-z0-9_]*)/(.+?)/?\Z")


@dataclass(frozen=True, kw_only=True)
class Node:
    """`kind`: file, commit, partition, table or run. A run's name is its job."""

    id: str
    kind: str
    name: str
    rows: int | None = None
    at: str | None = None
    """When it arrived or ended, UTC."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """An edge in the direction of the data. `run` is the run that made it."""

    source: str
    target: str
    run: str | None


@dataclass(frozen=True, kw_only=True)
class Graph:
    nodes: tuple[Node, ...]
    """The start first, then as they were reached."""
    edges: tuple[Link, ...]
    truncated: bool
    """True: `depth` or `max_nodes` ended the walk before its end."""

    def to_json(self) -> dict[str, Any]:
        return {
            "nodes": [{"id": node.id, "kind": node.kind, "name": node.name, "rows": node.rows} for node in self.nodes],
            "edges": [{"from": edge.source, "to": edge.target, "run": edge.run} for edge in self.edges],
            "truncated": self.truncated,
        }


def up(ledger: History, tenant: str, start: str, depth: int = DEPTH, *, max_nodes: int = MAX_NODES) -> Graph:
    """What `start` was made from. `start`: a key, `key@version`, partition, dataset or run id; `depth` counts runs."""
    walk = _Walk(ledger, tenant, max_nodes)
    runs = walk.begin_up(start)
    for _ in range(depth):
        runs = walk.above(runs)
    return walk.graph(left=runs)


def down(ledger: History, tenant: str, start: str, depth: int = DEPTH, *, max_nodes: int = MAX_NODES) -> Graph:
    """What was made from `start`, as for `up`. Of a dataset: the datasets below it."""
    walk = _Walk(ledger, tenant, max_nodes)
    if _is_dataset(ledger, tenant, start):
        return tables(ledger, tenant, start)
    runs = walk.begin_down(start)
    for _ in range(depth):
        runs = walk.below(runs)
    return walk.graph(left=runs)


def tables(ledger: History, tenant: str, start: str | None = None) -> Graph:
    """Datasets and what flows between them: of the whole tenant, or all below one dataset. One request."""
    edges = list(ledger.store.query(Edge, table.graph_pk(tenant)))
    names = [start] if start else []
    if start:
        reached = {start, f"raw/{start}", f"processed/{start}"}
        while below := {edge.sink for edge in edges if edge.source in reached} - reached:
            reached |= below
        edges = [edge for edge in edges if edge.source in reached]
    names += [name for edge in edges for name in (edge.source, edge.sink)]
    return Graph(
        nodes=tuple(Node(id=name, kind="table", name=name) for name in dict.fromkeys(names)),
        edges=tuple(Link(source=edge.source, target=edge.sink, run=edge.run) for edge in edges),
        truncated=False,
    )


@dataclass
class _Walk:
    """A walk in progress: what was reached, and the headers it has read."""

    ledger: History
    tenant: str
    max_nodes: int
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[tuple[str, str], Link] = field(default_factory=dict)
    full: bool = False

    # -- starting ------------------------------------------------------------------------------------------------

    def begin_up(self, start: str) -> dict[str, Header]:
        """The runs that made the start."""
        if _RUN.match(start):
            header = self.ledger.header(self.tenant, start)
            self._run(header)
            return {header.sk: header}
        if _is_dataset(self.ledger, self.tenant, start):
            self._add(Node(id=start, kind="table", name=start))
            return self._partitions(start, "P#")
        if partition := _PARTITION.match(start):
            dataset, name = partition.groups()
            runs = self._partitions(dataset, f"P#{name}#")
            if runs:
                return runs
        version = self._version(start)
        self._file(version)
        return self._made({_id(version): version})

    def begin_down(self, start: str) -> dict[str, Header]:
        """The runs that read the start."""
        if _RUN.match(start):
            header = self.ledger.header(self.tenant, start)
            self._run(header)
            return self._read_by(self._outputs([header])) if header.st == HeaderState.COMPLETED else {}
        if partition := _PARTITION.match(start):
            self._partitions(partition.group(1), f"P#{partition.group(2)}#", above=False)
            return {}
        version = self._version(start)
        self._file(version)
        return self._read_by({_id(version): version})

    def _partitions(self, dataset: str, prefix: str, *, above: bool = True) -> dict[str, Header]:
        """Partitions of a table, newest commit first, with the runs that wrote to them."""
        commits = list(self.ledger.store.query(PartitionCommit, table.dataset_pk(self.tenant, dataset), prefix))
        commits.sort(key=lambda commit: commit.run, reverse=True)
        headers = self._headers({(commit.job, commit.run) for commit in commits}) if above else {}
        for commit in commits:
            self._partition(dataset, commit.partition, int(commit.rows), commit.run)
            if commit.run in headers:
                self._run(headers[commit.run])
                self._link(commit.run, f"analytics-ready/{dataset}/{commit.partition}", commit.run)
        return {run: header for run, header in headers.items() if run in self.nodes}

    def _version(self, start: str) -> Version:
        """The newest version of a key, or the one named after the last `@`."""
        found = self._versions_of(start)
        if not found and "@" in start:
            key, _, wanted = start.rpartition("@")
            found = [item for item in self._versions_of(key) if wanted in (item.version, item.sk.split("#")[1])]
        if not found:
            raise NotInLedger(
                f"{start}: neither a key, partition, dataset nor run of tenant {self.tenant} that the ledger knows; "
                f"its files: lake files {self.tenant}"
            )
        return max(found, key=lambda item: (item.arrived or "", item.run or ""))

    def _versions_of(self, key: str) -> list[Version]:
        return list(self.ledger.store.query(Version, table.file_pk(self.tenant, table.file_id(key)), "V#"))

    # -- one level -----------------------------------------------------------------------------------------------

    def above(self, runs: Mapping[str, Header]) -> dict[str, Header]:
        """Adds what the runs read; gives the runs that made that."""
        inputs = self.ledger.inputs(self.tenant, runs.values())
        versions = self.ledger.versions(self.tenant, {node for nodes in inputs.values() for node in nodes})
        for run, nodes in inputs.items():
            for node in nodes:
                if node in versions and self._file(versions[node]):
                    self._link(_name(versions[node]), run, run)
        makers = self._made(versions)
        self._siblings(inputs, versions, makers)
        return makers

    def _siblings(
        self, inputs: Mapping[str, Iterable[str]], versions: Mapping[str, Version], makers: Mapping[str, Header]
    ) -> None:
        """The processed files behind each commit object: made by the same run, read by the same next run."""
        behind = {maker: self.ledger.outputs_of(header) for maker, header in makers.items()}
        for run, nodes in inputs.items():
            for node in nodes:
                for other in behind.get(versions[node].run, {}).values() if node in versions else ():
                    if other.via == node and self._file(other):
                        self._link(other.run, _name(other), other.run)
                        self._link(_name(other), run, run)

    def _made(self, versions: Mapping[str, Version]) -> dict[str, Header]:
        """The committed runs that made these, and their edges."""
        made = {node: version for node, version in versions.items() if version.run}
        headers = self._headers({(version.job, version.run) for version in made.values()})
        for version in made.values():
            if version.run in headers and self._run(headers[version.run]):
                self._link(version.run, _name(version), version.run)
        return headers

    def below(self, runs: Mapping[str, Header]) -> dict[str, Header]:
        """Adds what the runs wrote; gives the runs that read that."""
        return self._read_by(self._outputs(runs.values()))

    def _outputs(self, headers: Iterable[Header]) -> dict[str, Version]:
        return {
            node: version
            for header in headers
            for node, version in self.ledger.outputs_of(header).items()
            if self._output(header.sk, version)
        }

    def _output(self, run: str, version: Version) -> bool:
        partition = _PARTITION.match(version.key)
        if partition is None:
            added = self._file(version)
        else:
            added = self._partition(partition.group(1), partition.group(2), int(version.rows or 0), run)
        if added:
            self._link(run, _name(version), run)
        return added

    def _read_by(self, versions: Mapping[str, Version]) -> dict[str, Header]:
        """The committed runs that consumed these, and their edges: known claim keys, one batch get per hundred."""
        consumed = {node: version.via or node for node, version in versions.items()}
        jobs = list(self.ledger.tenant(self.tenant).jobs)
        keys = {claim_key(self.tenant, as_node, job): as_node for as_node in consumed.values() for job in jobs}
        claims = self.ledger.store.batch_get(Claim, keys)
        counted = [claim for claim in claims.values() if claim.st in {ClaimState.DONE, ClaimState.CLAIMED}]
        headers = self._headers({(claim.job, claim.owner) for claim in counted})
        readers: dict[str, list[str]] = {}
        for claim in counted:
            if claim.owner in headers and self._run(headers[claim.owner]):
                readers.setdefault(keys[claim.pk, claim.sk], []).append(claim.owner)
        for node, as_node in consumed.items():
            for run in readers.get(as_node, ()):
                self._link(_name(versions[node]), run, run)
        return {run: header for run, header in headers.items() if run in self.nodes}

    def _headers(self, runs: Iterable[tuple[str, str]]) -> dict[str, Header]:
        found = self.ledger.headers(self.tenant, runs)
        return {run: header for run, header in found.items() if header.st == HeaderState.COMPLETED}

    # -- what was reached ----------------------------------------------------------------------------------------

    def _add(self, node: Node) -> bool:
        if node.id in self.nodes:
            return True
        if len(self.nodes) >= self.max_nodes:
            self.full = True
            return False
        self.nodes[node.id] = node
        return True

    def _file(self, version: Version) -> bool:
        kind = "commit" if commits.is_commit(version.key) else "file"
        rows = None if version.rows is None or kind == "commit" else int(version.rows)
        return self._add(Node(id=_name(version), kind=kind, name=version.key, rows=rows, at=version.arrived))

    def _partition(self, dataset: str, partition: str, rows: int, run: str) -> bool:
        key = f"analytics-ready/{dataset}/{partition}"
        added = self._add(Node(id=key, kind="partition", name=key, rows=rows)) and self._add(
            Node(id=dataset, kind="table", name=dataset)
        )
        if added:
            self._link(key, dataset, run)
        return added

    def _run(self, header: Header) -> bool:
        rows = None if header.rows_out is None else int(header.rows_out)
        return self._add(Node(id=header.sk, kind="run", name=header.job, rows=rows, at=header.ended))

    def _link(self, source: str, target: str, run: str | None) -> None:
        if source in self.nodes and target in self.nodes:
            self.edges.setdefault((source, target), Link(source=source, target=target, run=run))

    def graph(self, left: Mapping[str, Header]) -> Graph:
        """`left`: runs whose other side was not walked any more."""
        return Graph(
            nodes=tuple(self.nodes.values()), edges=tuple(self.edges.values()), truncated=self.full or bool(left)
        )


def _is_dataset(ledger: History, tenant: str, start: str) -> bool:
    return "/" not in start and start in ledger.dataset_names(tenant)


def _id(version: Version) -> str:
    return f"{version.pk.rsplit('#', 1)[1]}.{version.sk.split('#')[1]}"


def _name(version: Version) -> str:
    """A node's id: a partition is one node however often it was written; a file is one per version."""
    if _PARTITION.match(version.key) or version.key.startswith(table.WRITTEN_ONCE):
        return str(version.key).rstrip("/")
    return f"{version.key}@{version.version}" if version.version else str(version.key)
