"""The file that a deploy drives through the platform's own tenant, and what is known of the last one that came through.

A file shows that stacks work together only while they are as they were then: the proof says for which stacks it holds.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from deployment.records import Recorded

__all__ = ["Drive", "Proof", "state_of"]

AMOUNTS = ("1.25", "2.50", "4.00")
NOT_THERE = 404


@dataclass(frozen=True)
class Drive:
    """One file: its lines, and what a query has to answer of them."""

    id: str
    at: datetime

    @property
    def key(self) -> str:
        return f"raw/canary/{self.id}.csv"

    @property
    def body(self) -> bytes:
        moment = self.at.isoformat(timespec="seconds")
        lines = [f"{number},{self.id},{moment},{amount}" for number, amount in enumerate(AMOUNTS, 1)]
        return "\n".join(["line,drive,driven_at,amount", *lines, ""]).encode()

    @property
    def question(self) -> str:
        return f"SELECT count(*) AS lines, sum(doubled) AS doubled FROM canary WHERE drive = '{self.id}'"  # noqa: S608 - an id of our own

    @property
    def answer(self) -> tuple[str, str]:
        return str(len(AMOUNTS)), str(2 * sum(map(Decimal, AMOUNTS)))


def state_of(stands: Iterable[Recorded]) -> str:
    """Tells the stacks that a file goes through from others and from what they were before."""
    facts = sorted((each.stack, each.digest, each.entries) for each in stands)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Proof:
    """An object beside the record of a cell: with which stacks a file came through last."""

    s3: Any
    bucket: str
    platform_stack: str

    @property
    def key(self) -> str:
        return f"deployments/{self.platform_stack}/canary.json"

    def holds_for(self, state: str) -> bool:
        """False also for what is not there or cannot be read: then a file is driven once more."""
        try:
            found = json.loads(self.s3.get_object(Bucket=self.bucket, Key=self.key)["Body"].read())
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == NOT_THERE:
                return False
            raise
        except ValueError:
            return False
        return isinstance(found, dict) and found.get("state") == state

    def write(self, state: str, drive: Drive) -> None:
        body = json.dumps({"state": state, "drive": drive.id, "at": drive.at.isoformat(timespec="seconds")})
        self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=body.encode(), ContentType="application/json")
