from datetime import UTC, datetime, timedelta

import pytest

from lineage import chunks, lifetimes, table
from lineage.items import Arrival, Chunk, Claim, Version
from lineage.items import Run as Header
from lineage.lifetimes import AFTER_OBJECT, Lifetimes, raised_by
from lineage.values import stamp
from tests.lineage.builders import ANALYTICS, RAW, a_file, begin, commit_key, enter, merge, process

NOW = datetime(2024, 9, 20, 12, 0, tzinfo=UTC)
DAY = 86_400


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


@pytest.fixture
def kept(ledger):
    enter(ledger, "acme", retention={"raw": 30, "processed": 10})
    return ledger


def everything(ledger) -> dict[str, int | None]:
    """Kind and state → the `ttl`s that occur."""
    found: dict[str, set[int | None]] = {}
    pages = ledger.store.connection.client.get_paginator("scan").paginate(TableName=ledger.store.name)
    for page in pages:
        for item in page["Items"]:
            name = " ".join([item["kind"]["S"], item.get("st", {}).get("S", "")]).strip()
            ttl = item.get("ttl")
            found.setdefault(name, set()).add(int(ttl["N"]) if ttl else None)
    return {name: ttls.pop() if len(ttls) == 1 else ttls for name, ttls in found.items()}


def test_a_files_entry_outlives_its_object(kept):
    kept.receive(a_file(), RAW)
    kept.receive(a_file(key="raw/odd/x", dataset=None), None, reason="no contract matches")

    after = seconds(a_file().arrived_at + timedelta(days=30) + AFTER_OBJECT)
    found = everything(kept)
    assert (found["version"], found["arrival"], found["claim RECEIVED"]) == (after, after, None)


def test_a_settled_claim_outlives_its_object_and_one_that_waits_or_is_dead_stays(kept, clock):
    kept.receive(a_file(), RAW)
    run = process(kept)
    kept.receive(a_file("dead.csv"), RAW)
    for attempt in range(3):
        kept.fail(begin(kept, glue_run=f"jr_{attempt}"), "out of memory")
        clock.move(hours=1)

    found = everything(kept)
    assert found["claim DONE"] == seconds(a_file().arrived_at + timedelta(days=30) + AFTER_OBJECT)
    assert (found["claim DEAD"], found["claim RECEIVED"]) == (None, None)
    written = {name: version.ttl for name, version in kept.versions(
        "acme", kept.header("acme", run.run).out).items()}  # fmt: skip
    assert {ttl // DAY for ttl in written.values()} == {seconds(NOW + timedelta(days=10) + AFTER_OBJECT) // DAY}


def test_the_claim_of_a_commit_object_outlives_that(kept):
    kept.receive(a_file(), RAW)
    run = process(kept)
    merge(kept)

    file = a_file(key=commit_key(run), version="c1")
    claim = kept.store.get(Claim, (table.file_pk("acme", file.fid), table.claim_sk(file.ver, ANALYTICS)))
    assert claim.ttl == seconds(file.arrived_at + timedelta(days=10) + AFTER_OBJECT)


def test_partitions_and_the_graph_stay(kept):
    kept.receive(a_file(), RAW)
    process(kept)
    run = merge(kept)

    [partition] = kept.outputs_of(kept.header("acme", run.run)).values()
    found = everything(kept)
    assert (partition.ttl, found["partition"], found["edge"]) == (None, None, None)
    assert (found["tenant active"], found["dataset"], found["pointer"]) == (None, None, None)


def test_a_run_that_counts_is_remembered_longer_than_one_that_was_lost(kept, clock):
    kept.receive(a_file(), RAW)
    lost = begin(kept)
    kept.fail(lost, "out of memory")
    assert kept.store.get(Header, (table.job_pk("acme", RAW), lost.run)).ttl == seconds(clock() + timedelta(days=90))

    clock.move(minutes=1)
    run = process(kept, glue_run="jr_2")

    header = kept.store.get(Header, (table.job_pk("acme", RAW), run.run))
    assert header.ttl == seconds(clock() + timedelta(days=400))
    for chunk in kept.store.query(Chunk, table.run_pk("acme", run.run)):
        assert chunk.ttl >= header.ttl


def test_nothing_expires_where_no_retention_is_known(ledger):
    ledger.receive(a_file(), RAW)
    process(ledger)
    merge(ledger)

    found = everything(ledger)
    assert (found["version"], found["arrival"], found["claim DONE"]) == (None, None, None)


def test_what_has_expired_is_not_read_any_more(kept, clock):
    kept.receive(a_file(), RAW)
    process(kept)
    assert len(kept.files("acme")) == 1

    clock.move(days=30 + AFTER_OBJECT.days, hours=1)

    assert kept.files("acme") == []
    key = (table.file_pk("acme", a_file().fid), table.version_sk(a_file().ver))
    assert kept.store.get(Version, key) is None
    assert kept.store.batch_get(Version, [key]) == {}
    assert list(kept.store.query(Arrival, table.dataset_pk("acme", "sales"), "A#")) == []


def test_an_expired_claim_that_dynamodb_has_not_deleted_yet_still_refuses_its_file(kept, clock):
    kept.receive(a_file(), RAW)
    process(kept)
    clock.move(days=30 + AFTER_OBJECT.days, hours=1)

    assert kept.receive(a_file(), RAW) is False


def test_a_new_retention_is_known_within_minutes(kept, clock):
    assert kept.lifetimes("acme").of_object("raw", NOW) == seconds(NOW + timedelta(days=30) + AFTER_OBJECT)
    enter(kept, "acme", retention={"raw": 90})

    clock.move(minutes=6)

    assert kept.lifetimes("acme").of_object("raw", NOW) == seconds(NOW + timedelta(days=90) + AFTER_OBJECT)
    assert kept.lifetimes("acme").of_object("processed", NOW) is None


def test_after_a_raise_objects_that_outlive_their_claims_are_no_news(kept, clock):
    enter(kept, "acme", retention={"raw": 365, "processed": 10})
    clock.move(minutes=6)
    known = kept.lifetimes("acme")
    forgotten = NOW - timedelta(days=1) + timedelta(days=30) + AFTER_OBJECT

    before = NOW - timedelta(days=1)
    assert known.may_be_forgotten("raw", before, forgotten) is False
    assert known.may_be_forgotten("raw", before, forgotten + timedelta(seconds=1)) is True
    assert known.may_be_forgotten("raw", NOW + timedelta(hours=1), forgotten + timedelta(days=300)) is False
    assert known.may_be_forgotten("processed", before, forgotten + timedelta(days=300)) is False


def test_the_shortest_retention_before_a_raise_is_what_counts():
    later = NOW + timedelta(days=7)
    once = raised_by({"raw": 30, "processed": 10}, {"raw": 90, "processed": 10}, {}, NOW)
    assert once == {"raw": {"at": stamp(NOW), "days": 30}}

    twice = raised_by({"raw": 90, "processed": 10}, {"raw": 180}, once, later)
    assert twice == {"raw": {"at": stamp(later), "days": 30}, "processed": {"at": stamp(later), "days": 10}}
    assert raised_by({"raw": 180}, {"raw": 60}, twice, later) == twice


def test_chunks_live_a_day_longer_than_a_run_that_began_with_them(ledger):
    assert lifetimes.of_chunk(NOW) - lifetimes.of_run("COMPLETED", NOW) == DAY
    assert Lifetimes().of_object("raw", NOW) is None
    assert lifetimes.of_errand(NOW) == seconds(NOW + timedelta(days=90))


def test_the_runs_lists_are_read_as_they_were_written(ledger):
    refs = [["raw/sales/ü 1.csv", None, 3, "é"]] * 700
    chunks.write(ledger.store, "acme", "r1", chunks.OUTPUTS, refs)

    assert chunks.read(ledger.store, "acme", "r1", chunks.OUTPUTS) == refs
