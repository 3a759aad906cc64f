"""An S3 "Object Created" event, as EventBridge puts it on the queue, made into a value."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingestion.errors import NotAnArrival


@dataclass(frozen=True, kw_only=True)
class Arrival:
    bucket: str
    key: str
    """Raw: EventBridge does not encode keys, unlike S3's own notifications. Never decode it."""
    version: str | None
    size: int
    etag: str
    sequencer: str
    arrived_at: datetime

    @property
    def is_folder_marker(self) -> bool:
        return self.size == 0 and self.key.endswith("/")


def parse(body: str) -> Arrival:
    """The arrival in a queue message's body, or NotAnArrival saying what is missing."""
    try:
        event = json.loads(body)
    except ValueError as error:
        raise NotAnArrival(f"message is not JSON ({error}): {body[:200]!r}") from error
    if not isinstance(event, Mapping) or event.get("detail-type") != "Object Created":
        kind = event.get("detail-type") if isinstance(event, Mapping) else type(event).__name__
        raise NotAnArrival(f"message is {kind!r}, expected an S3 'Object Created' event from EventBridge")
    try:
        return _arrival(event)
    except (KeyError, TypeError, ValueError) as error:
        raise NotAnArrival(f"'Object Created' event {event.get('id')}: {error!r} in {body[:500]!r}") from error


def _arrival(event: Mapping[str, Any]) -> Arrival:
    thing = event["detail"]["object"]
    return Arrival(
        bucket=event["detail"]["bucket"]["name"],
        key=thing["key"],
        version=thing.get("version-id"),
        size=int(thing.get("size", 0)),
        etag=thing.get("etag", "").strip('"'),
        sequencer=thing.get("sequencer", ""),
        arrived_at=datetime.fromisoformat(event["time"]).astimezone(UTC),
    )
