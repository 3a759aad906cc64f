"""Events and clients of AWS as the functions see them, with what does not matter filled in."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

BUCKET = "lake-acme-dev-datalake"


def an_event(
    key: str = "raw/sales/a.csv",
    *,
    bucket: str = BUCKET,
    version: str | None = "v1",
    size: int = 10,
    time: str = "2024-09-20T11:59:00Z",
) -> str:
    thing: dict[str, Any] = {"key": key, "size": size, "etag": "e1", "sequencer": "00617F08299329D189"}
    if version:
        thing["version-id"] = version
    return json.dumps(
        {
            "id": "17793124",
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": "000000000000",
            "time": time,
            "detail": {"bucket": {"name": bucket}, "object": thing},
        }
    )


def messages(*bodies: str) -> list[dict[str, str]]:
    return [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]


class Functions:
    """Lambda's client as register uses it: remembers what was invoked."""

    def __init__(self, *, error: Exception | None = None) -> None:
        self.invoked: list[tuple[str, str, dict[str, str]]] = []
        self.error = error

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> Mapping[str, Any]:
        if self.error:
            raise self.error
        self.invoked.append((FunctionName, InvocationType, json.loads(Payload)))
        return {"StatusCode": 202}


class Glue:
    """Glue's client as dispatch uses it: starts runs, or fails as often as it is told to."""

    def __init__(self, *, errors: tuple[str, ...] = ()) -> None:
        self.started: list[tuple[str, dict[str, str]]] = []
        self.errors = list(errors)

    def start_job_run(self, *, JobName: str, Arguments: dict[str, str]) -> Mapping[str, str]:
        if self.errors:
            raise ClientError({"Error": {"Code": self.errors.pop(0), "Message": "no"}}, "StartJobRun")
        self.started.append((JobName, Arguments))
        return {"JobRunId": f"jr_{len(self.started)}"}
