"""The ledger's one DynamoDB table: key names, keys, and a model per kind of item."""

import base64
import hashlib
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

PARTITION_KEY = "PK"
SORT_KEY = "SK"
TTL = "ttl"

# Sparse and for the platform only: waiting files, and runs that still need somebody's attention.
INDEX = "open"
INDEX_PARTITION_KEY = "g2pk"
INDEX_SORT_KEY = "g2sk"
# What a member of a batch is made of, and no more: of a run the index gives the key alone, or each heartbeat and each
# change of state would be a second write.
INDEX_PROJECTION = (
    "kind", "job", "dataset", "attempt", "retry_at", "fence", "group", "epoch", "replaces",
    "key", "version", "size", "etag", "sequencer", "arrived",
)  # fmt: skip

SHARDS = 16

# Every item that a tenant's roles may touch lies under this prefix; `#` at the end keeps `acme` out of `acme2`.
TENANT_PREFIX = "T#{tenant}#"
FLEET = "PLATFORM#TENANTS"
TURNS = "PLATFORM#TURNS"
UNROUTED = "-"  # stands for the dataset of files that no contract matches; no dataset can be named so


class PackedAttribute(Attribute[list[Any]]):
    """A JSON list, compressed: the names in a list of files resemble each other, and writing is paid for by the KB."""

    attr_type = BINARY

    def serialize(self, value: list[Any]) -> bytes:
        return zlib.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

    def deserialize(self, value: bytes) -> list[Any]:
        unpacked: list[Any] = json.loads(zlib.decompress(value))
        return unpacked


class OpenIndex(GlobalSecondaryIndex):
    class Meta:
        index_name = INDEX
        projection = IncludeProjection(list(INDEX_PROJECTION))

    g2pk = UnicodeAttribute(hash_key=True, attr_name=INDEX_PARTITION_KEY)
    g2sk = UnicodeAttribute(range_key=True, attr_name=INDEX_SORT_KEY)


class Item(Model):
    """What all items share. The table's name is the store's business: one process may use several ledgers."""

    class Meta:
        table_name = "ledger"

    pk = UnicodeAttribute(hash_key=True, attr_name=PARTITION_KEY)
    sk = UnicodeAttribute(range_key=True, attr_name=SORT_KEY)
    kind = DiscriminatorAttribute(attr_name="kind")
    g2pk = UnicodeAttribute(attr_name=INDEX_PARTITION_KEY, null=True)
    g2sk = UnicodeAttribute(attr_name=INDEX_SORT_KEY, null=True)
    ttl = NumberAttribute(attr_name=TTL, null=True)

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
    """`T#<t>#D#<ds>` / `#`."""

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


def _hash(text: str, length: int) -> str:
    digest = hashlib.blake2b(text.encode(), digest_size=20).digest()
    return base64.b32encode(digest).decode().lower()[:length]


def file_id(key: str) -> str:
    """100 bits of the key: a file is found by hashing its name. A tenant has one bucket, so the key is enough."""
    return _hash(key, 20)


WRITTEN_ONCE = ("processed/", "quarantine/")


def version_id(key: str, version: str | None, etag: str = "", size: int = 0) -> str:
    """What tells versions of a key apart: the S3 version id; where an event gives none, etag
    (with the sequencer, see FileVersion) and size.

    What the jobs write under `processed/` and `quarantine/` is put with If-None-Match and never again, so the key says
    it all. A commit object is thereby the same node for the run that knows its version id and for an event that
    does not.
    """
    if key.startswith(WRITTEN_ONCE):
        return _hash("written once", 12)
    return _hash(version if version and version != "null" else f"{etag}/{size}", 12)


def node_id(key: str, version: str | None, etag: str = "", size: int = 0) -> str:
    return f"{file_id(key)}.{version_id(key, version, etag, size)}"


def tenant_pk(tenant: str) -> str:
    return f"T#{tenant}#META"


def file_pk(tenant: str, fid: str) -> str:
    return f"T#{tenant}#F#{fid}"


def job_pk(tenant: str, job: str) -> str:
    return f"T#{tenant}#J#{job}"


def run_pk(tenant: str, run: str) -> str:
    return f"T#{tenant}#R#{run}"


def dataset_pk(tenant: str, dataset: str | None) -> str:
    return f"T#{tenant}#D#{dataset or UNROUTED}"


def slots_pk(tenant: str) -> str:
    return f"T#{tenant}#O"


def seats_pk(tenant: str) -> str:
    return f"T#{tenant}#S"


def errands_pk(tenant: str) -> str:
    return f"T#{tenant}#M"


def notices_pk(tenant: str) -> str:
    return f"T#{tenant}#N"


def graph_pk(tenant: str) -> str:
    return f"T#{tenant}#G"


def bucket_pk(bucket: str) -> str:
    return f"PLATFORM#BUCKET#{bucket}"


def glue_job_pk(name: str) -> str:
    return f"PLATFORM#JOB#{name}"


def version_sk(ver: str) -> str:
    return f"V#{ver}"


def claim_sk(ver: str, job: str) -> str:
    return f"C#{ver}#{job}"


def waiting_pk(tenant: str, dataset: str, job: str) -> str:
    return f"WAIT#{tenant}#{dataset}#{job}"


def held_pk(tenant: str) -> str:
    return f"HELD#{tenant}"


def open_pk(run: str) -> str:
    """The shard is taken from the run's random end, so that one busy moment does not heat one key."""
    return f"OPEN#{int(run[-2:], 16) % SHARDS}"


def definition(name: str) -> dict[str, Any]:
    """The table as CreateTable wants it: the templates say the same, and a test compares the two."""
    keys = (PARTITION_KEY, SORT_KEY, INDEX_PARTITION_KEY, INDEX_SORT_KEY)
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
        "KeySchema": _key_schema(PARTITION_KEY, SORT_KEY),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": INDEX,
                "KeySchema": _key_schema(INDEX_PARTITION_KEY, INDEX_SORT_KEY),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(INDEX_PROJECTION)},
            }
        ],
    }


def _key_schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
