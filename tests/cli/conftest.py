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


@pytest.fixture
def dev(monkeypatch, lake):
    """Environment dev in a pretended account; `dev.lake(…)` is the command line there."""
    from moto import mock_aws

    from cli.connection import Connection
    from lineage.ledger import Ledger
    from lineage.store import Store
    from tenants.registry import load
    from tests.cli.account import Account, enter

    for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing")):
        monkeypatch.setenv(name, value)
    registry = load()
    environment = registry.environment("dev")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, environment.region)
    # moto undoes a refused transaction by putting the whole table back as it was: one request at a time.
    with mock_aws():
        connection = Connection(registry, environment)
        name = connection.platform.ledger
        ledger = Ledger(name, store=Store(name, workers=1))
        monkeypatch.setattr(Connection, "ledger", ledger)
        enter(connection)
        yield Account(connection, lambda *arguments: lake(*arguments, "-e", "dev"))


@pytest.fixture
def glue(dev, monkeypatch):
    """Glue whose job takes the errand and finishes it, unless a test gives it another one."""

    def job(errand, glue_run):
        dev.errands.finish(dev.errands.take("acme", errand, glue_run), {"files": 3})
        return "SUCCEEDED"

    from cli import errands
    from cli.connection import Connection
    from tests.cli.account import Glue

    made = Glue(job)
    client = Connection.client
    monkeypatch.setattr(
        Connection, "client", lambda self, name, session=None: made if name == "glue" else client(self, name, session)
    )
    monkeypatch.setattr(errands, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(errands, "LONGEST_PAUSE", 0.001)
    return made
