"""Watches what botocore sends to S3, and who made it send that."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from botocore.endpoint import Endpoint

PROJECT = Path(__file__).resolve().parents[1]
HEADER = "x-amz-expected-bucket-owner"
# These reach a cloud on this machine as its root, or measure from outside.
FREE = ("tests", "local_cloud", "benchmarks")


class Watch:
    """While it is open, `careless` collects calls of our rooms that would do with anybody's bucket."""

    def __init__(self) -> None:
        self.careless: list[str] = []
        self.careful = 0
        self._send = Endpoint.make_request

    def __enter__(self) -> Self:
        watch = self

        def make_request(endpoint: Endpoint, operation: Any, request: Mapping[str, Any]) -> Any:
            watch.look(operation, request, sys._getframe(1))
            return watch._send(endpoint, operation, request)

        Endpoint.make_request = make_request
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        Endpoint.make_request = self._send

    def look(self, operation: Any, request: Mapping[str, Any], frame: FrameType | None) -> None:
        if operation.service_model.service_name != "s3" or not takes_owner(operation):
            return
        room = whose(frame)
        if room in FREE:
            return
        if request["headers"].get(HEADER):
            self.careful += 1
        else:
            self.careless.append(f"{room}: {operation.name} without {HEADER}: take the client from where rooms take it")


def takes_owner(operation: Any) -> bool:
    shape = operation.input_shape
    return shape is not None and "ExpectedBucketOwner" in shape.members


def whose(frame: FrameType | None) -> str:
    """The room of the innermost frame that is ours; a transfer's own threads have none."""
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(PROJECT) and not (room := file.relative_to(PROJECT).parts[0]).startswith("."):
            return room
        frame = frame.f_back
    return "a thread of a transfer"
