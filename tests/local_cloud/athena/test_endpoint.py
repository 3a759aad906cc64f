"""The endpoint as the cloud runs it: in a process whose memory is bounded."""

from dataclasses import replace

import pytest

from local_cloud import ports, processes
from local_cloud.athena.endpoint import Endpoint
from local_cloud.errors import StartError
from local_cloud.state import HOST
from tests.local_cloud.athena.conftest import Lake

pytestmark = pytest.mark.cloud

# 3 GB of text that DuckDB does not count as its own.
TOO_MUCH = "SELECT max(length(rpad('x', 1000000, 'x') || cast(i AS varchar))) FROM UNNEST(sequence(1, 3000)) AS t(i)"


@pytest.fixture
def start(lake: Lake, tmp_path):
    """Starts an endpoint beside the tests' own and gives it with a lake that asks it."""
    started = []

    def _start(port=None, **limits):
        port = port or ports.choose(None, set())
        facts = replace(lake.facts, folder=tmp_path / "athena")
        with (tmp_path / "athena.log").open("ab") as log:
            made = Endpoint(facts, HOST, port, log, **limits)
        started.append(made)
        made.wait()
        return made, Lake(lake.endpoint, f"http://{HOST}:{port}", facts), port

    yield _start
    for each in started:
        each.stop()


def test_a_query_that_takes_too_much_memory_fails_with_a_word_and_others_are_answered(start):
    endpoint, lake, _ = start(memory_limit=2 * 2**30)

    reason = lake.reason(TOO_MUCH)

    assert reason.startswith("EXCEEDED_LOCAL_MEMORY_LIMIT")
    assert lake.rows("SELECT 1") == [["1"]]
    assert not endpoint.has_ended()


def test_queries_of_an_endpoint_that_was_killed_have_failed_and_a_new_one_says_why(start):
    endpoint, lake, port = start()
    identity = lake.start(
        "SELECT count(*) FROM UNNEST(sequence(1, 100000)) AS a(i), UNNEST(sequence(1, 1000000)) AS b(j)"
    )

    processes.kill(endpoint.identity)
    endpoint._child.wait(timeout=10)  # a zombie already; the kernel gives its other threads' memory back first
    assert endpoint.has_ended()
    start(port)

    status = lake.wait(identity)["Status"]
    assert status["State"] == "FAILED"
    assert "it needed more memory than there is" in status["StateChangeReason"]


def test_an_endpoint_whose_port_is_taken_says_so(start):
    _, _, port = start()

    with pytest.raises(StartError, match="in use"):
        start(port)
