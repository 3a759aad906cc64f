"""What the jobs of one workflow run tell each other: what became of each tenant, and that nothing more is to be begun.

Objects beside the record of the environment's first cell, below `deployments/<platform stack>/runs/<run>/<attempt>/`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from deployment.errors import DeployError
from deployment.records import FOLDER

__all__ = ["Row", "WorkflowRun"]

NUMBER = re.compile(r"[1-9][0-9]{0,19}")
STOP = "stop"
NOT_THERE = 404


@dataclass(frozen=True)
class Row:
    """What became of one stack, or of one step of an offboarding."""

    place: str
    tenant: str | None
    action: str
    seconds: float = 0.0
    error: str | None = None
    changes: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str | None]:
        return self.place, self.tenant


@dataclass(frozen=True)
class WorkflowRun:
    """One run of the deploy workflow. `attempt` counts how often it was started.

    What one attempt has stopped, the next one may begin; of what both did, the later word counts.
    """

    s3: Any
    bucket: str
    platform_stack: str
    id: str
    attempt: str

    def __post_init__(self) -> None:
        if not (NUMBER.fullmatch(self.id) and NUMBER.fullmatch(self.attempt)):
            raise DeployError(
                f"workflow run {self.id!a}, attempt {self.attempt!a}: expected numbers, as in GITHUB_RUN_ID and "
                "GITHUB_RUN_ATTEMPT"
            )

    @cached_property
    def every(self) -> str:
        """Where each run has its folder."""
        return f"{FOLDER}{self.platform_stack}/runs/"

    @cached_property
    def folder(self) -> str:
        return f"{self.every}{self.id}/"

    def tell(self, portion: str, rows: Iterable[Row]) -> None:
        """What became of a portion."""
        self._put(portion, [asdict(row) for row in rows])

    def stop(self, why: str) -> None:
        """From now on no portion of this attempt begins anything."""
        self._put(STOP, {"why": why})

    def stopped(self) -> str | None:
        """Why nothing may be begun any more."""
        found = self._get(f"{self.folder}{self.attempt}/{STOP}.json")
        return None if found is None else str(found["why"])

    def overtaken(self) -> str | None:
        """Why nothing may be begun: GitHub's numbers grow, and a later run has begun something here since.

        What is started again, or approved late, has the tenants.yaml of its own day: it would take back what is new.
        """
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.every, Delimiter="/")
        found = (
            each["Prefix"].removeprefix(self.every).rstrip("/")
            for page in pages
            for each in page.get("CommonPrefixes", ())
        )
        latest = max((int(each) for each in found if NUMBER.fullmatch(each)), default=0)
        if latest <= int(self.id):
            return None
        return f"workflow run {latest} has begun something here after run {self.id} was started: start a new run"

    def told(self, since: str = "1") -> Mapping[str, Sequence[Row]]:
        """By portion, the rows of its latest attempt; of attempts before `since`, which had another plan, nothing."""
        attempts: dict[str, int] = {}
        for attempt, portion in self._found():
            if portion != STOP and int(since) <= attempt <= int(self.attempt):
                attempts[portion] = max(attempt, attempts.get(portion, 0))
        return {portion: self._rows(attempt, portion) for portion, attempt in attempts.items()}

    def _found(self) -> Iterator[tuple[int, str]]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.folder)
        for page in pages:
            for each in page.get("Contents", ()):
                attempt, _, name = each["Key"].removeprefix(self.folder).partition("/")
                if NUMBER.fullmatch(attempt):
                    yield int(attempt), name.removesuffix(".json")

    def _rows(self, attempt: int, portion: str) -> Sequence[Row]:
        found = self._get(f"{self.folder}{attempt}/{portion}.json") or []
        return [Row(**{**each, "changes": tuple(each["changes"])}) for each in found]

    def _put(self, name: str, facts: Any) -> None:
        key, body = f"{self.folder}{self.attempt}/{name}.json", json.dumps(facts).encode()
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/json")

    def _get(self, key: str) -> Any:
        try:
            return json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == NOT_THERE:
                return None
            raise
