from dataclasses import replace

import pytest

from lineage import holds as module
from lineage import table
from lineage.errors import NotInLedger
from lineage.holds import Holds, is_held
from lineage.items import Claim, Tenant
from lineage.values import FileStatus
from tests.lineage.builders import ANALYTICS, RAW, a_file, begin, enter


@pytest.fixture
def holds(ledger):
    return Holds(ledger)


def waiting(ledger):
    return [one.key for one in ledger.waiting("acme", "sales", RAW)]


def test_a_hold_stands_on_the_entry_and_on_the_fleets_list_with_its_reason(holds, ledger, clock):
    entry = holds.hold("acme", "their export is broken")

    assert (entry.held_since, entry.held_reason) == (clock.now, "their export is broken")
    assert [(one.tenant, one.held_since) for one in ledger.tenants()] == [("acme", clock.now)]
    assert is_held(entry)


def test_held_again_it_is_held_since_the_first_time_with_the_latest_reason(holds, ledger, clock):
    since = clock.now
    holds.hold("acme", "one")
    clock.move(hours=1)

    entry = holds.hold("acme", "two")
    assert (entry.held_since, entry.held_reason) == (since, "two")


def test_a_deploy_leaves_the_hold_as_it_is(holds, ledger):
    holds.hold("acme", "one")
    enter(ledger, "acme")

    assert is_held(ledger.tenant("acme"))


def test_a_tenant_that_is_not_active_is_held_too(ledger):
    entry = ledger.tenant("acme")

    assert not is_held(entry)
    assert is_held(replace(entry, state="suspended"))


def test_on_release_every_held_file_waits_in_the_order_of_its_arrival(holds, ledger, clock):
    holds.hold("acme", "one")
    for name in ("a.csv", "b.csv", "c.csv"):
        ledger.receive(a_file(name, arrived_at=clock.now), RAW, held=True)
        clock.move(minutes=1)
    ledger.receive(a_file(key="processed/sales/_commits/1.json", version="c1"), ANALYTICS, held=True)

    assert waiting(ledger) == []
    assert holds.release("acme") == 4
    assert waiting(ledger) == ["raw/sales/a.csv", "raw/sales/b.csv", "raw/sales/c.csv"]
    assert [file.state for file in ledger.files("acme")] == [FileStatus.RECEIVED] * 3
    assert not is_held(ledger.tenant("acme"))
    assert list(ledger.store.query(Claim, table.held_pk("acme"), index=table.INDEX)) == []


def test_a_release_that_died_half_way_is_finished_by_the_next(holds, ledger, monkeypatch):
    holds.hold("acme", "one")
    for name in ("a.csv", "b.csv", "c.csv"):
        ledger.receive(a_file(name), RAW, held=True)
    real, calls = ledger.store.apply, []

    def dies(update):
        calls.append(update)
        if len(calls) == 4:  # the entry, the fleet's list, one file
            raise KeyboardInterrupt
        return real(update)

    with monkeypatch.context() as patch:
        patch.setattr(ledger.store, "apply", dies)
        with pytest.raises(KeyboardInterrupt):
            holds.release("acme")

    assert len(waiting(ledger)) == 1
    assert holds.release("acme") == 2
    assert len(waiting(ledger)) == 3


def test_files_that_arrived_as_held_behind_the_release_are_drained_later(holds, ledger):
    ledger.receive(a_file(), RAW, held=True)  # by a register that still believed in the hold

    assert holds.drain("acme") == 1
    assert waiting(ledger) == ["raw/sales/a.csv"]


def test_a_file_that_another_drain_let_go_and_a_run_has_claimed_is_left_to_it(holds, ledger, monkeypatch):
    ledger.receive(a_file(), RAW, held=True)
    seen = list(holds._held("acme"))  # the index lags
    holds.drain("acme")
    begin(ledger)
    monkeypatch.setattr(holds, "_held", lambda tenant: iter(seen))

    assert holds.drain("acme") == 0
    assert [file.state for file in ledger.files("acme")] == [FileStatus.PROCESSING]


def test_nothing_is_drained_while_the_tenant_is_held(holds, ledger):
    holds.hold("acme", "one")
    ledger.receive(a_file(), RAW, held=True)

    assert holds.drain("acme") == 0
    assert waiting(ledger) == []


def test_a_release_of_a_suspended_tenant_takes_the_hold_away_and_leaves_the_files_held(holds, ledger):
    enter(ledger, "acme", state="suspended")
    holds.hold("acme", "one")
    ledger.receive(a_file(), RAW, held=True)

    assert holds.release("acme") == 0
    assert ledger.tenant("acme").held_since is None
    assert [file.state for file in ledger.files("acme")] == [FileStatus.HELD]


def test_more_files_than_a_page_are_drained(holds, ledger, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 2)
    for number in range(5):
        ledger.receive(a_file(f"{number}.csv"), RAW, held=True)

    assert holds.drain("acme") == 5
    assert len(waiting(ledger)) == 5


def test_another_tenants_item_under_the_index_key_is_not_touched(holds, ledger):
    enter(ledger, "evil")
    ledger.receive(a_file(tenant="evil", key="raw/sales/x.csv"), RAW, held=True)
    claim = next(ledger.store.query(Claim, table.held_pk("evil"), index=table.INDEX))
    ledger.store.update((claim.pk, claim.sk), [Claim.g2pk.set(table.held_pk("acme"))])

    assert holds.drain("acme") == 0
    assert ledger.store.get(Claim, (claim.pk, claim.sk)).st == "HELD"


def test_an_unknown_tenant_is_not_held_into_being(holds, ledger):
    with pytest.raises(NotInLedger, match="nobody"):
        holds.hold("nobody", "x")
    with pytest.raises(NotInLedger, match="nobody"):
        holds.release("nobody")
    assert ledger.store.get(Tenant, (table.FLEET, "nobody")) is None
