"""A ledger in memory (moto)."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from lineage import table
from lineage.ledger import Ledger
from lineage.store import Store
from tests.lineage.builders import TABLE, Clock, enter


@pytest.fixture(autouse=True)
def _ambient(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing of the developer's own account, region or endpoint reaches a test.
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_CA_BUNDLE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        boto3.client("dynamodb").create_table(**table.definition(TABLE))
        yield


@pytest.fixture
def ledger(aws: None, clock: Clock) -> Ledger:
    # moto undoes a refused transaction by putting the whole table back as it was: one request at a time.
    made = Ledger(TABLE, store=Store(TABLE, workers=1), clock=clock)
    enter(made, "acme")
    return made
