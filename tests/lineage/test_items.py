import json
import zlib

import pytest

from lineage import chunks
from lineage.items import UNPACKED, PackedAttribute
from tests.lineage.builders import RAW, a_file, begin

PACKED = PackedAttribute()


def bomb(megabytes: int) -> bytes:
    packing = zlib.compressobj(9)
    parts = [packing.compress(b" " * 1_000_000) for _ in range(megabytes)]
    return b"".join([packing.compress(b"["), *parts, packing.compress(b"]"), packing.flush()])


def test_a_list_that_unpacks_to_more_than_is_ever_written_is_not_unpacked():
    packed = bomb(100)
    assert len(packed) < 400_000

    with pytest.raises(ValueError, match="unpacks to more than"):
        PACKED.deserialize(packed)


def test_a_list_that_is_cut_off_is_not_read():
    with pytest.raises(ValueError, match="cut off"):
        PACKED.deserialize(PACKED.serialize(["a", "b"])[:-1])


@pytest.mark.parametrize("letter", ["\x01", "a", "ü", "€", "😀", '"'])
def test_the_longest_piece_that_is_written_can_be_read(letter):
    refs = [[letter * (1024 // len(letter.encode())), number, None] for number in range(2000)]

    for piece in chunks._pieces(refs):
        assert len(json.dumps(piece, ensure_ascii=False, separators=(",", ":")).encode()) < UNPACKED
        assert PACKED.deserialize(PACKED.serialize(piece)) == piece


@pytest.mark.parametrize("refs", [["x"] * 501, [[0] * 21], [[[["x"]]]], [{}]], ids=["many", "long", "deep", "object"])
def test_a_list_of_another_shape_than_is_written_is_no_list_of_a_run(ledger, refs):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    chunks._put(ledger.store, "acme", run.run, chunks.MEMBERS, [refs])

    with pytest.raises(ValueError, match="I#0000"):
        chunks.members(ledger.store, "acme", run.run)


def test_a_list_in_more_pieces_than_can_be_read_is_neither_written_nor_read(ledger, monkeypatch):
    pieces = [["a"], ["b"], ["c"]]
    chunks._put(ledger.store, "acme", "r1", chunks.OUTPUTS, pieces)
    assert chunks.read(ledger.store, "acme", "r1", chunks.OUTPUTS) == ["a", "b", "c"]

    monkeypatch.setattr(chunks, "PIECES", 2)
    with pytest.raises(ValueError, match="more than 2 pieces"):
        chunks._put(ledger.store, "acme", "r2", chunks.OUTPUTS, pieces)
    with pytest.raises(ValueError, match="O#0002"):
        chunks.read(ledger.store, "acme", "r1", chunks.OUTPUTS)
