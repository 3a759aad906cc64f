import time

import pytest
from moto import mock_aws

from cli.connection import Connection
from cli.exit_codes import ExitCode
from cli.runs import _cloud_logs
from tenants.registry import load

GROUP = "/lake/mycompany/dev/acme/jobs"


@pytest.fixture
def logs(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        registry = load()
        connection = Connection(registry, registry.environment("dev"))
        yield connection, connection.client("logs")


def written(client, group, stream, *lines):
    if not client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        client.create_log_group(logGroupName=group)
    client.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000)
    client.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        logEvents=[{"timestamp": now + n, "message": line} for n, line in enumerate(lines)],
    )


def test_on_aws_a_runs_logs_come_from_the_tenants_groups(logs):
    connection, client = logs
    written(client, f"{GROUP}/output", "jr_1", "read 2 rows", "wrote 2 rows")
    written(client, f"{GROUP}/error", "jr_1", "a warning")
    written(client, f"{GROUP}/output", "jr_2", "another run")

    assert _cloud_logs(connection, "acme", "jr_1") == {"stdout": "read 2 rows\nwrote 2 rows\n", "stderr": "a warning\n"}


def test_a_job_that_does_not_exist_names_those_that_do(dev):
    answer = dev.lake("runs", "acme", "--job", "raw")

    assert answer.exit_code == ExitCode.NOT_FOUND
    assert "raw_to_processed, processed_to_analytics" in answer.stderr
