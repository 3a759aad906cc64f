import json
from dataclasses import replace

import pytest

from cli.errors import LakeError
from cli.exit_codes import ExitCode
from cli.hold import keeping, refuse_shut


def states(dev):
    return [str(each.state) for each in dev.connection.ledger.files("acme")]


def test_a_hold_keeps_its_reason_and_files_wait_as_held(dev):
    answer = dev.lake("hold", "acme", "--reason", "wrong currency in July", "--json")

    told = json.loads(answer.stdout)
    assert (told["held"], told["reason"]) == (True, "wrong currency in July")
    assert told["since"] is not None
    assert "lake release acme -e dev" in answer.stderr


def test_holding_twice_keeps_the_first_moment_and_the_last_reason(dev):
    first = json.loads(dev.lake("hold", "acme", "--reason", "one", "--json").stdout)
    again = json.loads(dev.lake("hold", "acme", "--reason", "two", "--json").stdout)

    assert (again["since"], again["reason"]) == (first["since"], "two")


def test_a_release_lets_every_held_file_go_and_a_second_one_finds_none(dev):
    dev.lake("hold", "acme", "--reason", "x")
    for name in ("a.csv", "b.csv"):
        dev.arrive(name, held=True)
    assert states(dev) == ["HELD", "HELD"]

    first, second = (json.loads(dev.lake("release", "acme", "--json").stdout) for _ in range(2))

    assert states(dev) == ["RECEIVED", "RECEIVED"]
    assert (first["was_held"], first["released"]) == (True, 2)
    assert (second["was_held"], second["released"]) == (False, 0)


def test_a_release_counts_what_a_replay_has_opened_meanwhile_and_wakes_dispatch(dev, monkeypatch):
    woken = []
    monkeypatch.setattr("cli.hold.wake", lambda _connection, tenant, datasets: woken.append((tenant, *datasets)))
    key = dev.arrive("a.csv")
    dev.process()
    dev.lake("hold", "acme", "--reason", "audit")
    dev.lake("replay", "acme", "--file", key, "--force")

    listed = json.loads(dev.lake("files", "acme", "--json").stdout)
    rehearsed, done = (dev.lake("release", "acme", *option) for option in (["--dry-run"], []))

    assert listed[0]["state"] == "RECEIVED"
    assert listed[0]["reason"].startswith("tenant acme is held since")
    assert "tenant acme: 1 file would be released" in rehearsed.stderr
    assert "tenant acme: 1 file released" in done.stderr
    assert [tenant for tenant, *_ in woken] == ["acme"]


@pytest.mark.parametrize("command", [("hold", "acme", "--reason", "x"), ("release", "acme")])
def test_a_dry_run_changes_nothing(dev, command):
    dev.lake("hold", "acme", "--reason", "before")
    dev.arrive("a.csv", held=True)

    answer = dev.lake(*command, "--dry-run")

    assert answer.exit_code == ExitCode.OK
    assert "would be" in answer.stderr
    assert states(dev) == ["HELD"]
    assert dev.connection.ledger.tenant("acme").held_reason == "before"


def test_a_hold_needs_a_reason(dev):
    assert dev.lake("hold", "acme", "--reason", " ").exit_code == ExitCode.INPUT


def test_a_release_of_a_suspended_tenant_says_that_its_files_stay(dev, monkeypatch):
    ledger = dev.connection.ledger
    ledger.put_tenant(replace(ledger.tenant("acme"), state="suspended"))
    dev.arrive("a.csv", held=True)

    answer = dev.lake("release", "acme")

    assert states(dev) == ["HELD"]
    assert "is suspended in tenants.yaml" in answer.stderr


def test_what_needs_a_tenants_roles_says_that_they_are_denied_everything(dev):
    ledger = dev.connection.ledger
    refuse_shut(dev.connection, "acme")
    ledger.put_tenant(replace(ledger.tenant("acme"), state="suspended"))

    for command in (("maintain", "acme"), ("rebuild-ledger", "acme"), ("query", "acme", "SELECT 1")):
        answer = dev.lake(*command)

        assert answer.exit_code == ExitCode.FAILED
        assert "tenant acme is suspended: its roles are denied everything and its workgroup is off" in answer.stderr
        assert "`lake deploy acme -e dev`" in answer.stderr


def entry(dev):
    return dev.connection.ledger.tenant("acme")


def test_a_tenant_is_held_while_something_is_done_and_its_files_go_on_then(dev):
    with keeping(dev.connection, "acme", "the ledger is rebuilt"):
        assert entry(dev).held_reason == "the ledger is rebuilt"
        dev.arrive("a.csv", held=True)

    assert entry(dev).held_since is None
    assert states(dev) == ["RECEIVED"]


def test_an_operators_hold_outlasts_what_is_done_meanwhile(dev):
    dev.lake("hold", "acme", "--reason", "audit")

    with keeping(dev.connection, "acme", "the ledger is rebuilt"):
        assert entry(dev).held_reason == "audit"

    assert entry(dev).held_reason == "audit"


def test_an_operators_hold_that_comes_meanwhile_outlasts_what_was_done(dev):
    with keeping(dev.connection, "acme", "the ledger is rebuilt"):
        dev.lake("hold", "acme", "--reason", "audit")

    assert entry(dev).held_reason == "audit"


def test_what_failed_keeps_the_tenant_held_until_the_next_try_is_through(dev, capsys):
    with pytest.raises(LakeError), keeping(dev.connection, "acme", "the ledger is rebuilt"):
        raise LakeError("no worker")
    assert entry(dev).held_reason == "the ledger is rebuilt"
    assert "lake release acme -e dev" in capsys.readouterr().err

    with keeping(dev.connection, "acme", "the ledger is rebuilt"):
        pass

    assert entry(dev).held_since is None
