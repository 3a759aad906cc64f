"""The functions as Lambda calls them: settings from the environment, clients made at the first event."""

import pytest

from ingestion import dispatch, register
from tests.ingestion.builders import an_event, messages
from tests.lineage.builders import TABLE


@pytest.fixture(autouse=True)
def _deployed(ledger, monkeypatch):
    monkeypatch.setenv("LAKE_LEDGER", TABLE)
    monkeypatch.setenv("LAKE_DISPATCH_FUNCTION", "lake-dev-dispatch")
    register.registrar.cache_clear()
    dispatch.dispatcher.cache_clear()
    yield
    register.registrar.cache_clear()
    dispatch.dispatcher.cache_clear()


def test_register_answers_with_the_messages_that_failed(ledger):
    answer = register.handler({"Records": messages(an_event(), "rubbish")}, None)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert [file.key for file in ledger.files("acme")] == ["raw/sales/a.csv"]


def test_dispatch_answers_with_the_runs_it_started():
    assert dispatch.handler({}, None) == {"started": []}
    assert dispatch.handler({"source": "aws.scheduler", "detail-type": "Scheduled Event"}, None) == {"started": []}
