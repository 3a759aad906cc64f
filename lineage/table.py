"""The ledger's one DynamoDB table: its definition, and the keys of its items (models: lineage.items)."""

import base64
import hashlib
from typing import Any

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


def description_pk(tenant: str, dataset: str) -> str:
    """Of what the platform says of a dataset: below the tenant's own, where its jobs may read and not write."""
    return f"{tenant_pk(tenant)}#D#{dataset}"


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
