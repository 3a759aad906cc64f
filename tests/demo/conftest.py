from pathlib import Path

import pytest

from demo.files import DemoFile, generate


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="session")
def files(folder) -> list[DemoFile]:
    """The demo's files, made once for all tests that only read them."""
    return generate(folder)
