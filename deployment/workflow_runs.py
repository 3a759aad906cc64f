"""What the jobs of one workflow run tell each other: what became of each tenant, and that nothing more is to be begun.

Objects beside the record of the environment's first cell: `deployments/<platform>/runs/<repository>/<run>/<attempt>/`.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from deployment.errors import DeployError
from deployment.records import FOLDER

__all__ = ["Row", "WorkflowRun"]

NUMBER = re.compile(r"[1-9][0-9]{0,19}")
STOP = "stop"
BEGUN = "begun-"
NAME = re.compile(r"(?P<attempt>[1-9][0-9]{0,9})/(?P<name>stop|(begun-)?(first|portion)-[1-9][0-9]{0,2})\.json")
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
    repository: str
    """GitHub's number of it: only within one do the numbers of runs say which is the later one."""
    id: str
    attempt: str

    def __post_init__(self) -> None:
        if not all(map(NUMBER.fullmatch, (self.repository, self.id, self.attempt))):
            raise DeployError(
                f"workflow run {self.id!a} of repository {self.repository!a}, attempt {self.attempt!a}: expected "
                "numbers, as in GITHUB_RUN_ID, GITHUB_REPOSITORY_ID and GITHUB_RUN_ATTEMPT"
            )

    @cached_property
    def every(self) -> str:
        """Where each run of the repository has its folder."""
        return f"{FOLDER}{self.platform_stack}/runs/{self.repository}/"

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

    def begin(self, portion: str, tenants: Collection[str | None]) -> None:
        """Written before the first of them is touched, so that it is there whatever becomes of the job.

        None stands for the platform. A portion that has nothing to do begins nothing.
        """
        if tenants:
            self._put(f"{BEGUN}{portion}", sorted(tenants, key=lambda each: each or ""))

    def overtaken(self, tenants: Collection[str | None] | None = None) -> str | None:
        """Why nothing may be begun any more: a later run has begun something of these, or anything for None.

        What is started again, or waited long, has the code and the registry of its own day: it would take back what is
        new.
        """
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.every, Delimiter="/")
        folders = (each["Prefix"] for page in pages for each in page.get("CommonPrefixes", ()))
        names = (folder.removeprefix(self.every).rstrip("/") for folder in folders)
        later = (int(name) for name in names if NUMBER.fullmatch(name) and int(name) > int(self.id))
        found = (run for run in sorted(later, reverse=True) if self._has_begun(run, tenants))
        if (latest := next(found, None)) is None:
            return None
        return f"workflow run {latest} has begun something here after run {self.id} was started: start a new run"

    def _has_begun(self, run: int, tenants: Collection[str | None] | None) -> bool:
        """Only what was begun overtakes: a run that was stopped or left everybody out has brought nothing new."""
        folder = f"{self.every}{run}/"
        begun = (each for each in self._found(folder) if each[1].startswith(BEGUN))
        if tenants is None:
            return any(True for _ in begun)
        lists = (self._get(f"{folder}{attempt}/{name}.json") or () for attempt, name in begun)
        return any(not set(tenants).isdisjoint(each) for each in lists)

    def told(self, since: str = "1") -> Mapping[str, Sequence[Row]]:
        """By portion, the rows of its latest attempt; of attempts before `since`, which had another plan, nothing."""
        attempts: dict[str, int] = {}
        for attempt, portion in self._found(self.folder):
            if portion != STOP and not portion.startswith(BEGUN) and int(since) <= attempt <= int(self.attempt):
                attempts[portion] = max(attempt, attempts.get(portion, 0))
        return {portion: self._rows(attempt, portion) for portion, attempt in attempts.items()}

    def _found(self, folder: str) -> Iterator[tuple[int, str]]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder)
        for page in pages:
            for each in page.get("Contents", ()):
                if told := NAME.fullmatch(each["Key"].removeprefix(folder)):
                    yield int(told["attempt"]), told["name"]

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
