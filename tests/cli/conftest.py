import pytest
from typer.testing import CliRunner


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """The command line in this process, with a state folder in which nothing runs."""
    from cli.commands import app

    monkeypatch.setenv("LAKE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LAKE_ENVIRONMENT", raising=False)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(each) for each in arguments])
