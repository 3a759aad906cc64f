"""Long lists of a run, cut into items: its members, what became of each, and its outputs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lineage import lifetimes
from lineage.errors import Unreadable
from lineage.items import Chunk
from lineage.store import Store
from lineage.table import run_pk
from lineage.values import InputResult, Member, moment, stamp

MEMBERS, RESULTS, OUTPUTS = "I#", "N#", "O#"

Result = tuple[int, int, str | None]
"""Rows, rejected, reason."""

INLINE = 100  # outputs that a header names itself
REFS = 500
BYTES = 300_000  # an item holds 400 KB, and a key alone may have 1,024 bytes
PIECES = 200  # of one list: ten thousand members with keys of 1,024 bytes each have half as many
ATTRIBUTES = 20  # of one entry


def write(store: Store, tenant: str, run: str, part: str, refs: Sequence[Any]) -> None:
    """Writes the list as numbered chunks."""
    _put(store, tenant, run, part, _pieces(refs))


def write_members(store: Store, tenant: str, run: str, members: Sequence[Member]) -> None:
    write(store, tenant, run, MEMBERS, [member_ref(member) for member in members])


def rewrite_members(store: Store, tenant: str, run: str, members: Sequence[Member], claimed: Sequence[Member]) -> None:
    """Leaves of the members those that were claimed.

    Each stays in the chunk where it was, so that whoever reads meanwhile misses none.
    """
    kept = {member.id: member_ref(member) for member in claimed}
    pieces = _pieces([member_ref(member) for member in members])
    ids = ([_node(ref) for ref in piece] for piece in pieces)
    _put(store, tenant, run, MEMBERS, ([kept[node] for node in piece if node in kept] for piece in ids))


def _put(store: Store, tenant: str, run: str, part: str, pieces: Iterable[list[Any]]) -> None:
    ttl = lifetimes.of_chunk(store.clock())
    chunks = [
        Chunk(pk=run_pk(tenant, run), sk=f"{part}{number:04d}", refs=piece, ttl=ttl)
        for number, piece in enumerate(pieces)
    ]
    if len(chunks) > PIECES:
        raise ValueError(f"run {run} of {tenant}: a list of more than {PIECES} pieces could not be read again; cut it")
    store.each(store.put, chunks)


def read(store: Store, tenant: str, run: str, part: str) -> list[Any]:
    """Raises Unreadable of a list that is none of ours: a tenant's jobs write into its rows."""
    refs: list[Any] = []
    for number, chunk in enumerate(store.query(Chunk, run_pk(tenant, run), part)):
        if number == PIECES or len(chunk.refs) > REFS or not all(map(_is_plain, chunk.refs)):
            raise Unreadable(f"{chunk.pk} {chunk.sk}: no part of a list of the ledger's; the run cannot be read")
        refs += chunk.refs
    return refs


def _is_plain(ref: Any) -> bool:
    """A name, or a few values and lists of names: nothing that takes many times its length to hold."""
    if isinstance(ref, str):
        return True
    if not isinstance(ref, list) or len(ref) > ATTRIBUTES:
        return False
    parts = [part for each in ref for part in (each if isinstance(each, list) else [each])]
    return not any(isinstance(part, list | dict) for part in parts)


def inputs(store: Store, tenant: str, runs: Mapping[str, int]) -> dict[str, list[str]]:
    """Run → `fid.ver` of its members, for runs with that many members each: all first chunks in one batch get."""
    keys = {(run_pk(tenant, run), f"{MEMBERS}{0:04d}"): run for run in runs}
    found = {keys[key]: [_node(ref) for ref in chunk.refs] for key, chunk in store.batch_get(Chunk, keys).items()}
    for run, files in runs.items():
        if len(found.get(run, ())) < files:
            found[run] = [_node(ref) for ref in read(store, tenant, run, MEMBERS)]
    return {run: found.get(run, []) for run in runs}


def _node(ref: Sequence[Any]) -> str:
    return f"{ref[2]}.{ref[3]}"


def _pieces(refs: Sequence[Any]) -> Iterator[list[Any]]:
    piece: list[Any] = []
    size = 0
    for ref in refs:
        weight = len(json.dumps(ref).encode())
        if piece and (len(piece) == REFS or size + weight > BYTES):
            yield piece
            piece, size = [], 0
        piece.append(ref)
        size += weight
    if piece:
        yield piece


def member_ref(member: Member) -> list[Any]:
    return [
        member.key, member.version, member.fid, member.ver,
        member.size, member.etag, stamp(member.arrived_at), member.attempt, member.sequencer,
        member.fence, member.group, member.epoch, list(member.replaces),
    ]  # fmt: skip


def member(ref: Sequence[Any]) -> Member:
    key, version, fid, ver, size, etag, arrived, attempt, sequencer, *more = ref
    fence, group, epoch, replaces = more or (0, None, 0, ())
    return Member(
        key=key,
        version=version,
        fid=fid,
        ver=ver,
        size=size,
        etag=etag,
        arrived_at=moment(arrived),
        attempt=attempt,
        sequencer=sequencer,
        fence=fence,
        group=group,
        epoch=epoch,
        replaces=tuple(replaces),
    )


def result_ref(member_id: str, result: InputResult) -> list[Any]:
    return [member_id, result.rows, result.rejected, (result.reason or "")[:1000] or None]


def members(store: Store, tenant: str, run: str) -> list[Member]:
    refs = read(store, tenant, run, MEMBERS)
    try:
        return [member(ref) for ref in refs]
    except (TypeError, ValueError) as error:
        raise Unreadable(f"run {run} of {tenant}: its list of files cannot be read: {error}") from error


def results(store: Store, tenant: str, run: str) -> dict[str, Result]:
    """Member id → what became of it."""
    refs = read(store, tenant, run, RESULTS)
    try:
        return {member_id: (rows, rejected, reason) for member_id, rows, rejected, reason in refs}
    except (TypeError, ValueError) as error:
        raise Unreadable(f"run {run} of {tenant}: its list of results cannot be read: {error}") from error
