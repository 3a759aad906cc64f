"""The way in: what each crash and each repetition of a receipt leaves."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lineage import table
from lineage.items import Arrival, Claim, Version
from lineage.ledger import Ledger
from lineage.receipts import Receipt
from lineage.store import Store
from lineage.values import FileStatus
from tests.lineage.builders import (
    ANALYTICS,
    RAW,
    TABLE,
    a_dataset,
    a_file,
    begin,
    commit_key,
    enter,
    process,
    processed,
)

LATER = datetime(2024, 9, 21, tzinfo=UTC)


class Dies(Store):
    left = -1

    def send(self, operation, request):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().send(operation, request)


@pytest.fixture
def mortal(aws, clock) -> Ledger:
    made = Ledger(TABLE, store=Dies(TABLE, workers=1), clock=clock)
    enter(made, "acme")
    made.lifetimes("acme")
    return made


def listed(ledger: Ledger, dataset: str | None = "sales") -> list[str]:
    return [item.sk for item in ledger.store.query(Arrival, table.dataset_pk("acme", dataset), "A#")]


def version_of(ledger: Ledger, file=None) -> Version:
    file = file or a_file()
    return ledger.store.get(Version, (table.file_pk("acme", file.fid), table.version_sk(file.ver)))


@pytest.mark.parametrize("requests", [0, 1])
def test_a_receipt_that_died_is_no_duplicate_when_its_event_comes_again(mortal, requests):
    mortal.store.left = requests
    with pytest.raises(KeyboardInterrupt):
        mortal.receive(a_file(), RAW)
    mortal.store.left = -1
    assert mortal.waiting("acme", "sales", RAW) == []

    assert mortal.receive(a_file(), RAW) is True
    assert mortal.receive(a_file(), RAW) is False
    assert len(listed(mortal)) == 1


def test_what_can_be_claimed_can_be_found(mortal):
    """The claim is the last of a file's items: entry and listing are there before any job can see it."""
    order = []

    def note(operation, request, send=mortal.store.send):
        order.extend(word for word in ("A#", "V#", "C#") if word in str(request) and operation != "Query")
        return send(operation, request)

    mortal.store.send = note
    mortal.receive(a_file(), RAW)

    assert order.index("C#") > max(order.index("V#"), order.index("A#"))


def test_a_duplicate_under_another_time_leaves_the_first_time_standing(ledger):
    ledger.receive(a_file(), RAW)

    assert ledger.receive(a_file(arrived_at=LATER), RAW) is False

    [file] = ledger.files("acme")
    assert file.arrived_at == a_file().arrived_at
    assert len(listed(ledger)) == 1
    assert version_of(ledger).arrived == "2024-09-20T11:59:00.000000Z"


def test_a_duplicate_that_another_contract_matches_by_now_stays_where_it_is(ledger):
    ledger.put_dataset(a_dataset(dataset="returns"))
    ledger.receive(a_file(), RAW)

    assert ledger.receive(a_file(dataset="returns"), RAW) is False

    assert [file.dataset for file in ledger.files("acme")] == ["sales"]
    assert listed(ledger, "returns") == []
    assert version_of(ledger).dataset == "sales"


def test_a_listing_that_shows_a_file_twice_for_a_moment_is_read_once(mortal):
    mortal.receive(a_file(), RAW)
    mortal.store.left = 2  # entry and listing, then the refused claim; what puts the listing right never comes
    with pytest.raises(KeyboardInterrupt):
        mortal.receive(a_file(arrived_at=LATER), RAW)
    mortal.store.left = -1
    assert len(listed(mortal)) == 2

    [file] = mortal.files("acme")
    assert file.arrived_at == a_file().arrived_at


def test_an_unrouted_file_that_a_contract_matches_now_is_listed_with_its_dataset(ledger):
    ledger.receive(a_file(dataset=None), None, reason="no contract matches")
    assert ledger.receive(a_file(dataset=None), None, reason="no contract matches") is False

    assert ledger.receive(a_file(), RAW) is True

    [file] = ledger.files("acme")
    assert (file.dataset, file.state) == ("sales", FileStatus.RECEIVED)


def test_a_routed_file_is_not_unrouted_by_a_duplicate_after_its_contract_went(ledger):
    ledger.receive(a_file(), RAW)

    assert ledger.receive(a_file(dataset=None), None, reason="no contract matches") is False

    [file] = ledger.files("acme")
    assert (file.dataset, file.state, file.reason) == ("sales", FileStatus.RECEIVED, None)
    assert (listed(ledger, None), version_of(ledger).dataset) == ([], "sales")


def test_held_files_are_found_by_their_tenant(ledger):
    ledger.receive(a_file("b.csv", arrived_at=LATER), RAW, held=True)
    ledger.receive(a_file("a.csv"), RAW, held=True)

    held = list(ledger.store.query(Claim, table.held_pk("acme"), index=table.INDEX))
    assert [claim.key for claim in held] == ["raw/sales/a.csv", "raw/sales/b.csv"]


def test_a_commit_object_counts_once_whether_its_commit_or_its_event_came_first(ledger):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    event = a_file(key=commit_key(run), version="c1")
    assert ledger.receive(event, ANALYTICS) is True
    assert ledger.waiting("acme", "sales", ANALYTICS) == []
    ledger.commit(run, processed(run))

    assert ledger.receive(event, ANALYTICS) is False
    assert [member.key for member in ledger.waiting("acme", "sales", ANALYTICS)] == [commit_key(run)]
    assert (version_of(ledger, event).run, version_of(ledger, event).size) == (run.run, 10)


def test_a_receipt_never_touches_what_a_run_wrote_of_a_file(ledger):
    ledger.receive(a_file(), RAW)
    run = process(ledger)
    before = version_of(ledger, a_file(key=commit_key(run)))

    ledger.receive(a_file(key=commit_key(run), version="c1", arrived_at=LATER), ANALYTICS)

    after = version_of(ledger, a_file(key=commit_key(run)))
    assert (after.run, after.arrived) == (before.run, before.arrived)


def test_many_receipts_are_many_files_however_many_requests_they_take(ledger):
    receipts = [Receipt(file=a_file(f"{number:03d}.csv"), job=RAW) for number in range(60)]
    unrouted = [Receipt(file=replace(a_file(key=f"raw/odd/{number}"), dataset=None), job=None, reason="no contract")
                for number in range(5)]  # fmt: skip

    assert ledger.receive_all([*receipts, *unrouted, receipts[0]]) == [True] * 65 + [False]
    assert len(ledger.files("acme")) == 65
