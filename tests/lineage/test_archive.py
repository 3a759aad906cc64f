"""All rows of a tenant: found wherever they lie, archived as they are, deleted, put back."""

import json

from lineage import archive, table
from lineage.archive import Archive
from lineage.notices import Notices, tenant_of
from lineage.turns import Turns
from tests.lineage.builders import RAW, TABLE, a_file, enter


def all_rows(ledger):
    return ledger.store.call("Scan", {"TableName": TABLE, "ConsistentRead": True})["Items"]


def as_text(rows):
    return sorted(json.dumps(archive.plain(row), sort_keys=True) for row in rows)


def busy(ledger, tenant):
    """A tenant with rows of many kinds, packed ones and its marks among the platform's."""
    enter(ledger, tenant)
    file = a_file(tenant=tenant)
    ledger.receive(file, RAW)
    ledger.begin(tenant, RAW, "sales", ledger.waiting(tenant, "sales", RAW))
    Turns(ledger).wait(tenant)
    Notices(ledger).has_room(tenant, "failed", 3)
    Notices(ledger).may_tell(tenant, "failed", "sales", ledger.clock() - ledger.clock())


def drained(found):
    rows = []
    while chunk := [row for rows in found.chunks() for row in rows]:
        rows += chunk
        found.delete(chunk)
    return rows


def test_everything_of_the_tenant_goes_and_nothing_of_any_other(ledger):
    found = Archive(ledger.store, "acme")
    drained(found)
    for tenant in ("acme-eu", "acm"):
        busy(ledger, tenant)
    others = as_text(all_rows(ledger))
    busy(ledger, "acme")
    own = len(all_rows(ledger)) - len(others)

    archived = drained(found)

    assert as_text(all_rows(ledger)) == others
    assert len(archived) == own
    assert {row[table.PARTITION_KEY]["S"].split("#")[0] for row in archived} == {"T", "PLATFORM"}


def test_an_archive_is_json_and_puts_back_every_row_as_it_was(ledger):
    busy(ledger, "acme")
    before = all_rows(ledger)
    found = Archive(ledger.store, "acme")

    archived = json.loads(json.dumps(drained(found)))
    assert [row for rows in found.chunks() for row in rows] == []
    found.restore(archived)

    assert as_text(all_rows(ledger)) == as_text(before)
    assert {"B"} <= {kind for row in before for typed in row.values() for kind in typed}
    assert [file.key for file in ledger.files("acme")] == ["raw/sales/a.csv"]


def test_the_platform_forgets_the_tenant_before_its_own_rows_go(ledger):
    busy(ledger, "acme")

    first = next(iter(Archive(ledger.store, "acme").chunks()))

    assert [row[table.PARTITION_KEY]["S"] for row in first] == [table.FLEET, table.TURNS]


def test_rows_come_in_chunks_each_once(ledger, monkeypatch):
    busy(ledger, "acme")
    monkeypatch.setattr(archive, "PAGE", 3)

    chunks = list(Archive(ledger.store, "acme").chunks())

    keys = [archive.key_of(row) for rows in chunks for row in rows]
    assert len(chunks) > 3
    assert max(map(len, chunks)) == 3
    assert len(keys) == len(set(keys))


def test_values_of_every_kind_go_through_json_and_come_back():
    row = {
        "a": {"S": "text"},
        "b": {"N": "1.5"},
        "c": {"B": b"\x00\xff"},
        "d": {"BS": [b"\x01", b"\x02"]},
        "e": {"L": [{"B": b"in"}, {"M": {"deep": {"B": b"er"}}}]},
        "f": {"BOOL": True},
        "g": {"NULL": True},
    }

    assert archive.raw(json.loads(json.dumps(archive.plain(row)))) == row


def test_a_tally_is_the_tenants_that_it_names():
    assert tenant_of("tally#2026-11-21#acme#failed") == "acme"
    assert tenant_of("tally#2026-11-21#-#acme") == "-"
    assert tenant_of("queue#acme#x") is None
