"""Events and clients of AWS as the functions see them, with what does not matter filled in."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from lineage.ledger import Ledger
from lineage.values import TenantEntry

BUCKET = "lake-acme-dev-datalake"


def an_event(
    key: str = "raw/sales/a.csv",
    *,
    bucket: str = BUCKET,
    version: str | None = "v1",
    size: int = 10,
    time: str = "2024-09-20T11:59:00Z",
    etag: str = "e1",
    sequencer: str = "00617F08299329D189",
    reason: str = "PutObject",
) -> str:
    thing: dict[str, Any] = {"key": key, "size": size, "etag": etag, "sequencer": sequencer}
    if version:
        thing["version-id"] = version
    return json.dumps(
        {
            "id": "17793124",
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": "000000000000",
            "time": time,
            "detail": {"bucket": {"name": bucket}, "object": thing, "reason": reason},
        }
    )


def with_topic(ledger: Ledger, topic: str, tenant: str = "acme", *, errand_job: str | None = None) -> TenantEntry:
    """The tenant, whose owner reads that topic now."""
    ledger.put_tenant(replace(ledger.tenant(tenant), topic=topic, errand_job=errand_job))
    return ledger.tenant(tenant)


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
    """Glue's client as dispatch uses it: starts runs, or fails as often as it is told to.

    `places`: how many it has left; whoever plays the end of a run gives one back. `full_jobs` run as often as they may.
    """

    def __init__(self, *, errors: tuple[str, ...] = (), places: int | None = None) -> None:
        self.started: list[tuple[str, dict[str, str]]] = []
        self.errors = list(errors)
        self.places = places
        self.refused: list[str] = []
        self.full_jobs: set[str] = set()
        self.stopped: list[tuple[str, str]] = []

    def start_job_run(self, *, JobName: str, Arguments: dict[str, str]) -> Mapping[str, str]:
        if self.errors:
            raise ClientError({"Error": {"Code": self.errors.pop(0), "Message": "no"}}, "StartJobRun")
        if self.places == 0 or JobName in self.full_jobs:
            self.refused.append(JobName)
            code = "ConcurrentRuns" if JobName in self.full_jobs else "ResourceNumberLimit"
            raise ClientError({"Error": {"Code": f"{code}ExceededException", "Message": "full"}}, "StartJobRun")
        self.places = None if self.places is None else self.places - 1
        self.started.append((JobName, Arguments))
        return {"JobRunId": f"jr_{len(self.started)}"}

    def batch_stop_job_run(self, *, JobName: str, JobRunIds: list[str]) -> Mapping[str, Any]:
        fresh = [run for run in JobRunIds if (JobName, run) not in self.stopped]
        self.stopped += [(JobName, run) for run in fresh]
        errors = [{"JobName": JobName, "JobRunId": run} for run in JobRunIds if run not in fresh]
        return {"SuccessfulSubmissions": [{"JobName": JobName, "JobRunId": run} for run in fresh], "Errors": errors}

    def get_job_run(self, *, JobName: str, RunId: str) -> Mapping[str, Any]:
        name, arguments = self.started[int(RunId.removeprefix("jr_")) - 1]
        assert name == JobName
        return {"JobRun": {"Id": RunId, "JobName": name, "Arguments": arguments}}


class Topics:
    """SNS's client as alerts use it: remembers what was published, per topic."""

    def __init__(self, *, refuses: tuple[str, ...] = ()) -> None:
        self.published: list[dict[str, Any]] = []
        self.refuses = refuses

    def publish(self, **message: Any) -> Mapping[str, str]:
        if message["TopicArn"] in self.refuses:
            raise ClientError({"Error": {"Code": "AuthorizationError", "Message": "no"}}, "Publish")
        self.published.append(message)
        return {"MessageId": "1"}

    def told(self, topic: str) -> list[str]:
        """The kinds of what went to a topic."""
        return [
            message["MessageAttributes"]["kind"]["StringValue"]
            for message in self.published
            if message["TopicArn"] == topic
        ]


class Queue:
    """SQS's client as the watch uses it: a queue of that depth."""

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> Mapping[str, Any]:
        return {"Attributes": {name: str(self.depth) for name in AttributeNames}}
