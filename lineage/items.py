"""The items of the ledger: a model per kind."""

import json
import zlib
from typing import Any

from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    DiscriminatorAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.constants import BINARY
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection
from pynamodb.models import Model

from lineage import table

UNPACKED = 512 * 1024
"""Bytes of a packed list at most: `lineage.chunks` writes 300 KB, and a few bytes between its entries."""


class PackedAttribute(Attribute[list[Any]]):
    """A JSON list, compressed: the names in a list of files resemble each other, and writing is paid for by the KB.

    A tenant's jobs write into its rows, and 400 KB can unpack to 400 MB: what is more than we write is not read.
    """

    attr_type = BINARY

    def serialize(self, value: list[Any]) -> bytes:
        return zlib.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

    def deserialize(self, value: bytes) -> list[Any]:
        inflating = zlib.decompressobj()
        text = inflating.decompress(value, UNPACKED)
        if not inflating.eof:
            raise ValueError(f"a packed list of {len(value)} bytes is cut off, or unpacks to more than {UNPACKED}")
        unpacked: list[Any] = json.loads(text)
        return unpacked


class OpenIndex(GlobalSecondaryIndex):
    class Meta:
        index_name = table.INDEX
        projection = IncludeProjection(list(table.INDEX_PROJECTION))

    g2pk = UnicodeAttribute(hash_key=True, attr_name=table.INDEX_PARTITION_KEY)
    g2sk = UnicodeAttribute(range_key=True, attr_name=table.INDEX_SORT_KEY)


class Item(Model):
    """What all items share. The table's name is the store's business: one process may use several ledgers."""

    class Meta:
        table_name = "ledger"

    pk = UnicodeAttribute(hash_key=True, attr_name=table.PARTITION_KEY)
    sk = UnicodeAttribute(range_key=True, attr_name=table.SORT_KEY)
    kind = DiscriminatorAttribute(attr_name="kind")
    g2pk = UnicodeAttribute(attr_name=table.INDEX_PARTITION_KEY, null=True)
    g2sk = UnicodeAttribute(attr_name=table.INDEX_SORT_KEY, null=True)
    ttl = NumberAttribute(attr_name=table.TTL, null=True)

    index = OpenIndex()

    def __init_subclass__(cls, discriminator: str = "") -> None:
        """For type checkers alone: the metaclass of pynamodb keeps the discriminator for itself."""
        super().__init_subclass__()


class Tenant(Item, discriminator="tenant"):
    """`T#<t>#META` / `#`, and its copy for the fleet `PLATFORM#TENANTS` / `<t>`."""

    tenant = UnicodeAttribute()
    st = UnicodeAttribute()
    bucket = UnicodeAttribute()
    account = UnicodeAttribute()
    database = UnicodeAttribute()
    jobs = JSONAttribute()
    max_in_flight = NumberAttribute()
    errand_job = UnicodeAttribute(null=True)
    retention = JSONAttribute(null=True)  # zone → days
    raised = JSONAttribute(null=True)  # zone → since when they are more, and how few they were
    topic = UnicodeAttribute(null=True)
    held_since = UnicodeAttribute(null=True)  # an operator's hold; a deploy leaves it as it is
    held_reason = UnicodeAttribute(null=True)


class Pointer(Item, discriminator="pointer"):
    """`PLATFORM#BUCKET#<bucket>` or `PLATFORM#JOB#<glue job>` / `#`: whose it is."""

    tenant = UnicodeAttribute()
    job = UnicodeAttribute(null=True)


class Dataset(Item, discriminator="dataset"):
    """`T#<t>#META#D#<ds>` / `#`."""

    tenant = UnicodeAttribute()
    dataset = UnicodeAttribute()
    files = JSONAttribute()
    max_wait_s = NumberAttribute()
    max_files = NumberAttribute()
    max_bytes = NumberAttribute()
    schedule = JSONAttribute(null=True)
    plan = UnicodeAttribute()


class DatasetName(Item, discriminator="dataset_name"):
    """`T#<t>#META` / `D#<ds>`: the tenant's list of datasets."""

    dataset = UnicodeAttribute()


class Version(Item, discriminator="version"):
    """`T#<t>#F#<fid>` / `V#<ver>`: one version of a file or partition, a node of the graph.

    `arrived` is set by register alone, `run` by a commit alone; an output counts when its run is COMPLETED.
    """

    key = UnicodeAttribute()
    version = UnicodeAttribute(null=True)
    zone = UnicodeAttribute()
    dataset = UnicodeAttribute(null=True)
    size = NumberAttribute(null=True)
    etag = UnicodeAttribute(null=True)
    sequencer = UnicodeAttribute(null=True)
    arrived = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(null=True)
    run = UnicodeAttribute(null=True)
    job = UnicodeAttribute(null=True)
    rows = NumberAttribute(null=True)
    year = UnicodeAttribute(null=True)
    month = UnicodeAttribute(null=True)
    via = UnicodeAttribute(null=True)  # the commit object (`fid.ver`) under which the next job consumes this file


class Arrival(Item, discriminator="arrival"):
    """`T#<t>#D#<ds>` / `A#<arrived>#<fid>.<ver>`: the listing of what came in."""

    key = UnicodeAttribute()
    version = UnicodeAttribute(null=True)
    size = NumberAttribute()
    reason = UnicodeAttribute(null=True)


class Claim(Item, discriminator="claim"):
    """`T#<t>#F#<fid>` / `C#<ver>#<job>`: who may consume this version, and, once DONE, who did: the lineage edge.

    The owner's id is the fencing token: each attempt is a run of its own. A replay archives the edge of the epoch
    before under `C#<ver>#<job>@<epoch>` and opens the claim again.
    """

    st = UnicodeAttribute()
    job = UnicodeAttribute()
    dataset = UnicodeAttribute()
    owner = UnicodeAttribute(null=True)
    attempt = NumberAttribute(default=0)
    retry_at = UnicodeAttribute(null=True)
    fence = NumberAttribute(default=0)  # raised by every claim, and by whoever fences a run that meant to claim it
    group = UnicodeAttribute(null=True)  # id of the batch in which it is to be tried again, whole; DONE: was done
    epoch = NumberAttribute(default=0)  # replays so far
    replaces = JSONAttribute(null=True)  # of a replay: batches whose rows of this file give way
    key = UnicodeAttribute()
    version = UnicodeAttribute(null=True)
    size = NumberAttribute()
    etag = UnicodeAttribute()
    sequencer = UnicodeAttribute(null=True)
    arrived = UnicodeAttribute()
    rows = NumberAttribute(null=True)
    rejected = NumberAttribute(null=True)
    reason = UnicodeAttribute(null=True)


class Run(Item, discriminator="run"):
    """`T#<t>#J#<job>` / `<run>`: the header, the single commit record of what the run wrote."""

    tenant = UnicodeAttribute()
    job = UnicodeAttribute()
    dataset = UnicodeAttribute()
    st = UnicodeAttribute()
    started = UnicodeAttribute()
    ended = UnicodeAttribute(null=True)
    hb = UnicodeAttribute()
    listed = BooleanAttribute(default=False)  # its chunks name every file it is about to claim
    sealed = BooleanAttribute(default=False)
    seat = NumberAttribute(null=True)
    batch = UnicodeAttribute(null=True)
    attempt = NumberAttribute(default=1)
    started_as = UnicodeAttribute(null=True)  # the Glue run that dispatch started
    glue_run = UnicodeAttribute(null=True)  # the Glue run that took it
    taken = UnicodeAttribute(null=True)
    files = NumberAttribute(default=0)
    outputs = NumberAttribute(null=True)
    inp = JSONAttribute(null=True)
    out = JSONAttribute(null=True)
    commit = UnicodeAttribute(null=True)
    rows_in = NumberAttribute(null=True)
    rows_out = NumberAttribute(null=True)
    rejected = NumberAttribute(null=True)
    snapshot = UnicodeAttribute(null=True)
    code = UnicodeAttribute(null=True)
    contract = UnicodeAttribute(null=True)  # fingerprint of the plan that the run worked by
    error = UnicodeAttribute(null=True)
    counts = BooleanAttribute(null=True)  # of a FAILED run: does the attempt count against its files
    whole = BooleanAttribute(null=True)  # its batch cannot be divided: it replaces others that cannot be either
    pauses = BooleanAttribute(null=True)  # False, of one that does not count: its files may be tried again at once
    tidy = BooleanAttribute(null=True)  # its claims, listings and graph edges are settled


class Slot(Item, discriminator="slot"):
    """`T#<t>#O` / `<job>#<ds>`: the one open run of a job on a dataset."""

    run = UnicodeAttribute()
    job = UnicodeAttribute()
    dataset = UnicodeAttribute()


class Seat(Item, discriminator="seat"):
    """`T#<t>#S` / `<number>`: one of the tenant's places in flight, as many as it may have runs at a time."""

    run = UnicodeAttribute()


class Errand(Item, discriminator="errand"):
    """`T#<t>#M` / `<uuid7>`: work on a tenant's tables or ledger that is no batch: maintain, rollback, rebuild."""

    tenant = UnicodeAttribute()
    task = UnicodeAttribute()
    arguments = JSONAttribute()
    st = UnicodeAttribute()
    asked = UnicodeAttribute()
    started = UnicodeAttribute(null=True)
    ended = UnicodeAttribute(null=True)
    glue_run = UnicodeAttribute(null=True)
    result = JSONAttribute(null=True)
    error = UnicodeAttribute(null=True)


class Notice(Item, discriminator="notice"):
    """`T#<t>#N` / `<kind>#<subject>`: what people were told of, and from when on they may be told again."""

    again_at = UnicodeAttribute()


class Tally(Item, discriminator="tally"):
    """`PLATFORM#N` / `tally#<day>#<t>#<kind>`: how often people were told of that kind on that day."""

    told = NumberAttribute()


class Turn(Item, discriminator="turn"):
    """`PLATFORM#TURNS` / `<t>`: a tenant that Glue had no place for, and since when it waits for one."""

    tenant = UnicodeAttribute()
    since = UnicodeAttribute()


class Chunk(Item, discriminator="chunk"):
    """`T#<t>#R#<run>` / `I#0000` members, `N#0000` results per member, `O#0000` outputs beyond the header's."""

    refs = PackedAttribute()


class PartitionCommit(Item, discriminator="partition"):
    """`T#<t>#D#<ds>` / `P#<partition>#<run>`: append-only, the newest run last."""

    node = UnicodeAttribute()
    partition = UnicodeAttribute()
    run = UnicodeAttribute()
    job = UnicodeAttribute()
    rows = NumberAttribute()
    snapshot = UnicodeAttribute(null=True)


class Edge(Item, discriminator="edge"):
    """`T#<t>#G` / `<source>><sink>`: the table-level graph, one item collection per tenant."""

    source = UnicodeAttribute()
    sink = UnicodeAttribute()
    job = UnicodeAttribute()
    first = UnicodeAttribute()
    last = UnicodeAttribute()
    run = UnicodeAttribute()
