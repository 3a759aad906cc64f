"""Long lists of a run, cut into items: its members, what became of each, and its outputs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lineage.store import Store
from lineage.table import Chunk, run_pk
from lineage.values import InputResult, Member, moment, stamp

MEMBERS, RESULTS, OUTPUTS = "I#", "N#", "O#"

Result = tuple[int, int, str | None]
"""Rows, rejected, reason."""

INLINE = 100  # references that a header holds itself
REFS = 500
BYTES = 300_000  # an item holds 400 KB, and a key alone may have 1,024 bytes


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
    ids = ([f"{ref[2]}.{ref[3]}" for ref in piece] for piece in pieces)
    _put(store, tenant, run, MEMBERS, ([kept[node] for node in piece if node in kept] for piece in ids))


def _put(store: Store, tenant: str, run: str, part: str, pieces: Iterable[list[Any]]) -> None:
    chunks = [
        Chunk(pk=run_pk(tenant, run), sk=f"{part}{number:04d}", refs=piece) for number, piece in enumerate(pieces)
    ]
    store.each(store.put, chunks)


def read(store: Store, tenant: str, run: str, part: str) -> list[Any]:
    return [ref for chunk in store.query(Chunk, run_pk(tenant, run), part) for ref in chunk.refs]


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
    ]  # fmt: skip


def member(ref: Sequence[Any]) -> Member:
    key, version, fid, ver, size, etag, arrived, attempt, sequencer = ref
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
    )


def result_ref(member_id: str, result: InputResult) -> list[Any]:
    return [member_id, result.rows, result.rejected, (result.reason or "")[:1000] or None]


def members(store: Store, tenant: str, run: str) -> list[Member]:
    return [member(ref) for ref in read(store, tenant, run, MEMBERS)]


def results(store: Store, tenant: str, run: str) -> dict[str, Result]:
    """Member id → what became of it."""
    return {ref[0]: (ref[1], ref[2], ref[3]) for ref in read(store, tenant, run, RESULTS)}
