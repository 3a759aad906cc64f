from datetime import timedelta

import pytest

from lineage import table
from lineage.audit import Audit
from lineage.history import claim_key
from lineage.items import Claim
from lineage.values import ClaimState, HeaderState, stamp
from tests.lineage.builders import ANALYTICS, RAW, a_file, begin, commit_key, enter, merge, process, processed


@pytest.fixture
def audit(ledger):
    return Audit(ledger)


def node(file):
    return f"{file.fid}.{file.ver}"


def test_an_entry_says_what_is_known_of_a_file_and_of_its_claim(ledger, audit):
    file = a_file()
    ledger.receive(file, RAW)

    entry = audit.entries("acme", [(node(file), RAW), ("nobody.knows", RAW)])

    assert list(entry) == [node(file)]
    one = entry[node(file)]
    assert (one.key, one.version, one.etag, one.size, one.dataset) == ("raw/sales/a.csv", "v1", "e1", 10, "sales")
    assert (one.arrived_at, one.sequencer) == (file.arrived_at, file.sequencer)
    assert (one.claim, one.owner, one.run) == (ClaimState.RECEIVED, None, None)


def test_of_a_claimed_file_it_says_whose_and_how_that_run_stands(ledger, audit):
    file = a_file()
    ledger.receive(file, RAW)
    run = begin(ledger)

    one = audit.entries("acme", [(node(file), RAW)])[node(file)]

    assert (one.claim, one.owner, one.owner_state, one.owner_tidy) == (
        ClaimState.CLAIMED,
        run.run,
        HeaderState.RUNNING,
        False,
    )


def test_what_a_run_wrote_names_the_run_whether_its_event_was_seen_or_not(ledger, audit):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    ledger.commit(run, processed(run))
    commit = table.node_id(commit_key(run), None)

    one = audit.entries("acme", [(commit, ANALYTICS)])[commit]

    assert (one.run, one.job, one.arrived_at, one.claim) == (run.run, RAW, None, None)


def test_unrouted_files_have_neither_dataset_nor_claim(ledger, audit):
    file = a_file(dataset=None)
    ledger.receive(file, None, reason="no contract")

    one = audit.entries("acme", [(node(file), RAW)])[node(file)]

    assert (one.dataset, one.claim) == (None, None)


def test_all_versions_of_a_key_and_nothing_else_of_it(ledger, audit):
    one, two = a_file(version=None, etag="e1"), a_file(version="v2")
    for file in (one, two, a_file("b.csv")):
        ledger.receive(file, RAW)

    found = audit.of_key("acme", "raw/sales/a.csv", RAW)

    assert {entry.node: entry.claim for entry in found} == {
        node(one): ClaimState.RECEIVED,
        node(two): ClaimState.RECEIVED,
    }


def test_everything_that_arrived_is_listed_once_also_what_no_contract_takes(ledger, audit):
    ledger.receive(a_file(), RAW)
    ledger.receive(a_file(), RAW)
    ledger.receive(a_file("x.bin", dataset=None), None, reason="no contract")

    assert sorted((one.key, one.dataset) for one in audit.arrivals("acme")) == [
        ("raw/sales/a.csv", "sales"),
        ("raw/sales/x.bin", None),
    ]


def test_runs_and_what_they_name(ledger, audit):
    ledger.receive(a_file(), RAW)
    run = process(ledger, files=3)

    assert [(one.run, one.state, one.batch) for one in audit.runs("acme", RAW)] == [
        (run.run, HeaderState.COMPLETED, run.batch)
    ]
    assert len(audit.outputs("acme", RAW, run.run)) == 4
    assert table.node_id(commit_key(run), None) in audit.outputs("acme", RAW, run.run)
    assert audit.outputs("acme", RAW, "unknown") == []


def test_outputs_beyond_what_a_header_holds_are_found_too(ledger, audit):
    ledger.receive(a_file(), RAW)
    run = process(ledger, files=120)

    assert len(audit.outputs("acme", RAW, run.run)) == 121


def test_a_batch_has_not_moved_on_while_its_files_wait_to_be_tried_in_it_again(ledger, clock, audit):
    for name in ("a.csv", "b.csv"):
        ledger.receive(a_file(name), RAW)
    first = begin(ledger)
    assert not audit.has_moved_on("acme", RAW, first.run)

    ledger.fail(first, "killed")
    assert not audit.has_moved_on("acme", RAW, first.run)

    clock.move(minutes=10)
    second = begin(ledger, glue_run="jr_2")
    assert second.batch == first.batch
    assert not audit.has_moved_on("acme", RAW, first.run)

    ledger.commit(second, processed(second))
    ledger.finalise(second)
    assert audit.has_moved_on("acme", RAW, first.run)


def test_a_batch_that_was_cut_in_two_has_moved_on(ledger, clock, audit):
    for name in ("a.csv", "b.csv"):
        ledger.receive(a_file(name), RAW)
    runs = []
    for attempt in range(3):
        runs.append(begin(ledger, glue_run=f"jr_{attempt}"))
        ledger.fail(runs[-1], "killed")
        clock.move(minutes=10)

    assert len({run.batch for run in runs}) == 1
    assert audit.has_moved_on("acme", RAW, runs[0].run)


def test_what_is_buried_waits_no_more_and_is_buried_once(ledger, audit):
    file = a_file()
    ledger.receive(file, RAW)

    assert audit.bury("acme", node(file), RAW, "nobody comes")
    assert not audit.bury("acme", node(file), RAW, "nobody comes")
    assert ledger.waiting("acme", "sales", RAW) == []
    claim = ledger.store.get(Claim, claim_key("acme", node(file), RAW))
    assert (claim.st, claim.reason, claim.g2pk) == (ClaimState.DEAD, "nobody comes", None)


def test_what_a_run_holds_cannot_be_buried(ledger, audit):
    file = a_file()
    ledger.receive(file, RAW)
    begin(ledger)

    assert not audit.bury("acme", node(file), RAW, "nobody comes")
    assert not audit.bury("acme", "nobody.knows", RAW, "nobody comes")


def test_nothing_is_stuck_where_all_is_well(ledger, audit):
    ledger.receive(a_file(), RAW)
    process(ledger)
    merge(ledger)
    ledger.receive(a_file("b.csv"), RAW)
    begin(ledger)

    assert audit.stuck("acme") == []


def test_a_silent_run_is_stuck_and_fenced(ledger, clock, audit):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    clock.move(minutes=20)

    [stuck] = audit.stuck("acme")

    assert (stuck.what, stuck.subject, stuck.job, stuck.dataset) == ("run", run.run, RAW, "sales")
    assert audit.repair("acme", stuck) == "fenced"
    assert audit.repair("acme", stuck) == "nothing to do"
    assert audit.stuck("acme") == []


def test_a_run_that_seemed_dead_and_shows_life_is_left_alone(ledger, clock, audit):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    clock.move(minutes=20)
    [stuck] = audit.stuck("acme")
    ledger.heartbeat(run)

    assert audit.repair("acme", stuck) == "nothing to do"
    assert ledger.run("acme", run.run).state == HeaderState.RUNNING


def test_a_commit_that_nobody_settled_is_stuck_and_finalised(ledger, clock, audit):
    ledger.receive(a_file(), RAW)
    process(ledger, finalised=False)
    clock.move(minutes=2)

    [stuck] = audit.stuck("acme")

    assert audit.repair("acme", stuck) == "finalised"
    assert audit.stuck("acme") == []


def test_another_tenants_runs_are_none_of_it(ledger, clock, audit):
    enter(ledger, "globex")
    ledger.receive(a_file(tenant="globex"), RAW)
    begin(ledger, tenant="globex")
    clock.move(minutes=20)

    assert audit.stuck("acme") == []


def test_files_that_nothing_holds_any_more_are_let_go(ledger, audit):
    enter(ledger, "acme", state="suspended")
    ledger.receive(a_file(), RAW, held=True)
    assert audit.stuck("acme") == []
    enter(ledger, "acme")

    [stuck] = audit.stuck("acme")

    assert (stuck.what, audit.repair("acme", stuck)) == ("held", "drained")
    assert [member.key for member in ledger.waiting("acme", "sales", RAW)] == ["raw/sales/a.csv"]
    assert audit.stuck("acme") == []


def test_files_that_wait_too_long_are_told_and_left_alone(ledger, clock, audit):
    ledger.receive(a_file(), RAW)
    ledger.receive(a_file("b.csv", arrived_at=clock.now + timedelta(minutes=70)), RAW)
    clock.move(minutes=90)

    [stuck] = audit.stuck("acme")

    assert (stuck.what, stuck.subject, stuck.why) == (
        "waiting",
        "raw/sales/a.csv",
        f"1 files wait for {RAW}, the oldest since 2024-09-20 11:59 UTC",
    )
    assert audit.repair("acme", stuck) == "reported"


def test_a_claim_that_its_dead_run_left_behind_is_given_back(ledger, clock, audit, monkeypatch):
    file = a_file()
    ledger.receive(file, RAW)
    run = begin(ledger)
    with monkeypatch.context() as crash:
        crash.setattr(type(ledger), "_release", lambda *_: None)
        ledger.fail(run, "killed")
    one = audit.entries("acme", [(node(file), RAW)])[node(file)]

    assert (one.owner_state, one.owner_tidy) == (HeaderState.FAILED, True)
    assert audit.free("acme", node(file), RAW) == "released"
    assert audit.free("acme", node(file), RAW) is None
    clock.move(minutes=10)
    assert len(ledger.waiting("acme", "sales", RAW)) == 1


def test_a_claim_of_a_run_that_lives_is_not_given_back(ledger, audit):
    file = a_file()
    ledger.receive(file, RAW)
    begin(ledger)

    assert audit.free("acme", node(file), RAW) is None


def test_a_file_that_is_replayed_has_waited_since_then_and_not_since_it_arrived(ledger, audit, clock):
    ledger.receive(a_file(), RAW)
    clock.move(hours=2)
    [member] = ledger.waiting("acme", "sales", RAW)
    key = claim_key("acme", member.id, RAW)
    ledger.store.update(key, [Claim.retry_at.set(stamp(clock.now))])

    assert audit.stuck("acme") == []
    clock.move(hours=2)
    assert [one.what for one in audit.stuck("acme")] == ["waiting"]


def test_a_buried_claim_is_out_of_reach_of_who_has_it_in_its_hand(ledger, audit):
    ledger.receive(a_file(), RAW)
    [member] = ledger.waiting("acme", "sales", RAW)
    audit.bury("acme", member.id, RAW, "no reason")

    claim = ledger.store.get(Claim, claim_key("acme", member.id, RAW))
    assert (claim.fence, claim.group, claim.retry_at, claim.g2pk) == (1, None, None, None)
