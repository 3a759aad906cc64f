import subprocess
import sys
from pathlib import Path

import pytest

from local_cloud.athena import server
from local_cloud.athena.facts import AthenaFacts
from local_cloud.state import HOST


def test_an_idle_endpoint_has_loaded_neither_engine_nor_parser():
    script = "import sys; import local_cloud.athena.server; print({'duckdb', 'sqlglot', 'boto3'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


def test_a_taken_port_is_an_error_of_the_system(tmp_path: Path, lake):
    facts = AthenaFacts(
        endpoint=lake.endpoint,
        access_key="test",
        secret_key="test",
        region="us-east-1",
        account="000000000000",
        ca_bundle=lake.facts.ca_bundle,
        folder=tmp_path / "athena",
    )
    first = server.serve(facts, HOST)
    try:
        with pytest.raises(OSError, match="in use"):
            server.serve(facts, HOST, first.port)
    finally:
        first.stop()
