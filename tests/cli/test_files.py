import json
from datetime import timedelta

from cli.exit_codes import ExitCode
from tests.cli import account


def listed(dev, *options):
    answer = dev.lake("files", "acme", "--json", *options)
    assert answer.exit_code == ExitCode.OK, answer.stderr
    return [each["key"].rsplit("/", 1)[1] for each in json.loads(answer.stdout)], answer.stderr


def three(dev, monkeypatch):
    """Files that arrived one after the other, of several datasets and of none."""
    for number, (name, dataset) in enumerate((("a.csv", "transactions"), ("b.csv", None), ("c.csv", "transactions"))):
        monkeypatch.setattr(account, "EARLIER", account.EARLIER + timedelta(seconds=number))
        dev.arrive(name, dataset=dataset)


def test_the_newest_files_come_first_whatever_their_dataset(dev, monkeypatch):
    three(dev, monkeypatch)

    assert listed(dev) == (["c.csv", "b.csv", "a.csv"], "")


def test_a_limit_keeps_the_newest_and_says_how_to_see_the_rest(dev, monkeypatch):
    three(dev, monkeypatch)

    some, said = listed(dev, "--limit", 2)

    assert some == ["c.csv", "b.csv"]
    assert "`--limit 0` lists all" in said
    assert listed(dev, "--limit", 0) == (["c.csv", "b.csv", "a.csv"], "")


def test_a_limit_counts_files_of_the_state_that_is_asked_for(dev, monkeypatch):
    three(dev, monkeypatch)

    assert listed(dev, "--state", "received", "--limit", 2)[0] == ["c.csv", "a.csv"]


def test_a_listing_reads_no_more_than_it_shows(dev, monkeypatch):
    """A tenant may have a hundred thousand files."""
    for number in range(1, 8):
        dev.arrive(f"{number}.csv")
    dev.process()
    ledger, asked = dev.connection.ledger, []
    monkeypatch.setattr(ledger, "newest", lambda *which: type(ledger).newest(ledger, *which, page=2))
    states = ledger._states
    monkeypatch.setattr(ledger, "_states", lambda *some: asked.append(len(some[2])) or states(*some))

    listed(dev, "--limit", 3)

    assert asked == [2, 2]
