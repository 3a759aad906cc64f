"""Long lists of a run, cut into items: its members, what became of each, and its outputs."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from lineage.store import Store
from lineage.table import Chunk, run_pk
from lineage.values import InputResult, Member, moment, stamp

MEMBERS, RESULTS, OUTPUTS = "I#", "N#", "O#"

Result = tuple[int, int, str | None]
"""Rows, rejected, reason."""

REFS = 500
BYTES = 300_000  # an item holds 400 KB, and a key alone may have 1,024 bytes


def write(store: Store, tenant: str, run: str, part: str, refs: Sequence[Any]) -> int:
    """Writes the list as numbered chunks; gives their number. Rewriting a shorter list needs `blank`."""
    pieces = list(_pieces(refs))
    store.each(
        lambda piece: store.put(Chunk(pk=run_pk(tenant, run), sk=f"{part}{piece[0]:04d}", refs=piece[1])),
        list(enumerate(pieces)),
    )
    return len(pieces)


def blank(store: Store, tenant: str, run: str, part: str, numbers: range) -> None:
    for number in numbers:
        store.put(Chunk(pk=run_pk(tenant, run), sk=f"{part}{number:04d}", refs=[]))


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
        member.size, member.etag, stamp(member.arrived_at), member.attempt,
    ]  # fmt: skip


def member(ref: Sequence[Any]) -> Member:
    key, version, fid, ver, size, etag, arrived, attempt = ref
    return Member(
        key=key, version=version, fid=fid, ver=ver, size=size, etag=etag, arrived_at=moment(arrived), attempt=attempt
    )


def result_ref(member_id: str, result: InputResult) -> list[Any]:
    return [member_id, result.rows, result.rejected, (result.reason or "")[:1000] or None]


def members(store: Store, tenant: str, run: str) -> list[Member]:
    return [member(ref) for ref in read(store, tenant, run, MEMBERS)]


def results(store: Store, tenant: str, run: str) -> dict[str, Result]:
    """Member id → what became of it."""
    return {ref[0]: (ref[1], ref[2], ref[3]) for ref in read(store, tenant, run, RESULTS)}
