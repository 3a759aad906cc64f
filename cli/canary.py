"""A file driven through the platform's own tenant: put, processed, asked for in the table, taken away again."""

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from cli.connection import Connection
from cli.errors import LakeError
from cli.hold import why_held
from cli.journey import ENDED, Arrival, Journey, refused, stages
from cli.query import Athena
from deployment.canary import Drive
from tenants.cells import CANARY

__all__ = ["drive"]

PATIENCE = 1_200.0  # seconds; on AWS two Glue runs have to find their workers
POLL = 0.5
LEFT_BEHIND = (f"raw/{CANARY}/", f"processed/{CANARY}/")
"""The tenant's zones that hold nothing but such files. The table keeps the lines of the last one."""

Say = Callable[[str], None]


def drive(connection: Connection, tenant: str, say: Say, *, patience: float = PATIENCE) -> Drive:
    """Raises LakeError if the file does not become the rows that it should."""
    if held := why_held(connection, tenant):
        raise LakeError(f"canary {held}")
    driven = Drive(uuid.uuid4().hex[:12], datetime.now(UTC))
    s3, bucket = connection.client("s3"), connection.names(tenant).bucket
    journey = Journey([put(s3, bucket, tenant, driven)])
    follow(connection, journey, say, patience)
    if not journey.is_good():
        raise LakeError(f"canary {tenant}: {refused(journey, patience, why_held(connection, tenant))}")
    ask(connection, tenant, driven)
    for prefix in LEFT_BEHIND:
        remove(s3, bucket, prefix)
    return driven


def put(s3: Any, bucket: str, tenant: str, driven: Drive) -> Arrival:
    s3.put_object(Bucket=bucket, Key=driven.key, Body=driven.body, ContentType="text/csv")
    head = s3.head_object(Bucket=bucket, Key=driven.key)
    return Arrival(tenant, driven.key, head.get("VersionId"), CANARY, head["ContentLength"], since=head["LastModified"])


def follow(connection: Connection, journey: Journey, say: Say, patience: float) -> None:
    deadline, (arrival,) = time.monotonic() + patience, journey.arrivals
    while True:
        if journey.look(connection.ledger):
            say(stages(journey.state(arrival)))
        if journey.state(arrival) in ENDED or time.monotonic() >= deadline:
            return
        time.sleep(POLL)


def ask(connection: Connection, tenant: str, driven: Drive) -> None:
    """With the tenant's own rights, as whoever reads its tables."""
    found = Athena(connection, tenant).run(driven.question).rows
    if found != [driven.answer]:
        told = f"asked for its lines and their sum, the table has {found}, expected {[driven.answer]}"
        raise LakeError(f"canary {tenant}: {driven.key} is queryable, but {told}: {driven.question}")


def remove(s3: Any, bucket: str, prefix: str) -> None:
    """Every version below a prefix, so that nothing is left of it and no lifecycle has to come."""
    for found in versions(s3, bucket, prefix):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})
        for error in answer.get("Errors", [])[:1]:
            raise LakeError(f"s3://{bucket}/{error['Key']}: cannot be taken away: {error['Code']} {error['Message']}")


def versions(s3: Any, bucket: str, prefix: str) -> Iterator[list[dict[str, str]]]:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if found:
            yield [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
