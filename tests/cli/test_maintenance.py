import json

from cli.exit_codes import ExitCode

SECOND = "mycompany-acme-dev-processed-to-analytics"


def test_a_ledger_is_rebuilt_while_its_tenant_is_held(dev, glue):
    held = []

    def job(errand, glue_run):
        held.append(dev.connection.ledger.tenant("acme").held_reason)
        dev.errands.finish(dev.errands.take("acme", errand, glue_run), {"files": 3})
        return "SUCCEEDED"

    glue.job = job

    answer = dev.lake("rebuild-ledger", "acme", "--json")

    assert json.loads(answer.stdout) == {"files": 3}
    assert held == ["the ledger is rebuilt"]
    assert dev.connection.ledger.tenant("acme").held_since is None


def test_a_ledger_is_not_rebuilt_while_a_run_that_may_change_the_tables_is_at_work(dev, glue):
    glue.standing = {SECOND: "RUNNING"}

    answer = dev.lake("rebuild-ledger", "acme")

    assert answer.exit_code == ExitCode.FAILED
    assert f"run jr_of_{SECOND} of job {SECOND} is still at work" in answer.stderr
    assert "tenant acme stays held" in answer.stderr
    assert glue.started == []


def test_runs_that_have_ended_are_in_nobodys_way(dev, glue):
    glue.standing = {SECOND: "FAILED"}

    assert dev.lake("rebuild-ledger", "acme").exit_code == ExitCode.OK
