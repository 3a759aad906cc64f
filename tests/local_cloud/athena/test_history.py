from pathlib import Path

import pytest

from local_cloud.athena.errors import RequestRefused
from local_cloud.athena.history import FAILED, RUNNING, SUCCEEDED, Execution, History


def an_execution(identity: str, **facts: object) -> Execution:
    values = {
        "id": identity,
        "query": "SELECT 1",
        "workgroup": "w",
        "database": "d",
        "catalog": "AwsDataCatalog",
        "location": "s3://b/r/",
        "statement_type": "DML",
        "substatement": "SELECT",
        "submitted": 1.0,
    }
    return Execution(**(values | facts))


def test_history_survives_a_restart(tmp_path: Path):
    History(tmp_path).save(an_execution("q1", state=SUCCEEDED, started=2.0, completed=3.5, scanned=7))

    again = History(tmp_path).get("q1").describe()

    assert again["Status"]["State"] == "SUCCEEDED"
    assert again["Statistics"]["DataScannedInBytes"] == 7
    assert again["Statistics"]["EngineExecutionTimeInMillis"] == 1500


def test_a_query_that_a_stop_interrupted_has_failed(tmp_path: Path):
    History(tmp_path).save(an_execution("q1", state=RUNNING))

    found = History(tmp_path).get("q1")

    assert found.state == FAILED
    assert "ended while the query ran" in found.reason


def test_the_oldest_queries_and_their_results_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("local_cloud.athena.history.KEEP", 2)
    history = History(tmp_path)
    history.rows_path("q0").write_bytes(b"x")

    for number in range(4):
        history.save(an_execution(f"q{number}", state=SUCCEEDED, submitted=float(number)))

    assert [execution.id for execution in history.of("w")] == ["q3", "q2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["q2.json", "q3.json"]
    with pytest.raises(RequestRefused, match="was not found"):
        history.get("q0")


def test_a_record_that_cannot_be_read_is_left_alone(tmp_path: Path):
    (tmp_path / "broken.json").write_text("{")

    assert History(tmp_path).find("broken") is None
