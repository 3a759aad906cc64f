"""Replays: what is opened again, what it replaces, and what is left alone."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage import replays as module
from lineage import table
from lineage.errors import NotInLedger
from lineage.history import claim_key
from lineage.items import Arrival, Claim
from lineage.items import Run as Header
from lineage.replays import ReplayFile, Replays
from lineage.values import FileStatus, InputResult, batch_id
from tests.lineage.builders import ANALYTICS, RAW, a_dataset, a_file, begin, commit_key, enter, merged, processed

PLAN = json.dumps({"fingerprint": "fp1", "format": "iceberg"})


@pytest.fixture
def replays(ledger):
    ledger.put_dataset(a_dataset(plan=PLAN))
    return Replays(ledger)


def done(ledger, *names: str, contract: str = "fp1", code: str = "abc123"):
    """The files through both jobs, in one batch; the first job's run."""
    for name in names:
        ledger.receive(a_file(name), RAW)
    return through(ledger, contract=contract, code=code)


def through(ledger, *, contract: str = "fp1", code: str = "abc123"):
    """Whatever waits, through both jobs."""
    run = first(ledger, contract=contract, code=code)
    run2 = begin(ledger, job=ANALYTICS, glue_run="jr_2")
    ledger.commit(run2, merged(run2, snapshot=run2.run))
    ledger.finalise(run2)
    return run


def first(ledger, *, contract: str = "fp1", code: str = "abc123"):
    run = begin(ledger)
    record = replace(processed(run), contract=contract, code=code)
    results = [InputResult(key=one.key, version=one.version, rows=5, rejected=0, id=one.id) for one in run.members]
    ledger.commit(run, replace(record, inputs=results))
    ledger.finalise(run)
    ledger.receive(a_file(key=commit_key(run), version="c1"), ANALYTICS)
    return run


def fails(ledger, job: str, times: int = 3, clock=None) -> None:
    for _ in range(times):
        run = begin(ledger, job=job)
        ledger.fail(run, "no such column")
        clock.move(minutes=5)


def claim_of(ledger, name: str = "a.csv", *, epoch: int | None = None) -> Claim:
    pk, sk = claim_key("acme", table.node_id(f"raw/sales/{name}", "v1"), RAW)
    return ledger.store.get(Claim, (pk, sk if epoch is None else f"{sk}@{epoch}"))


def whys(plan) -> list[str]:
    return [why for _, why in plan.skipped]


# -- opening ---------------------------------------------------------------------------------------------------------


def test_a_replayed_file_waits_again_under_its_next_epoch_and_replaces_its_batch(replays, ledger, clock):
    run = done(ledger, "a.csv")

    plan = replays.plan("acme", key="raw/sales/a.csv", force=True)
    [group] = replays.replay(plan)

    [file] = plan.files
    assert (file.key, file.version, file.dataset, file.epoch, file.commit) == (
        "raw/sales/a.csv",
        "v1",
        "sales",
        1,
        None,
    )
    node = table.node_id("raw/sales/a.csv", "v1")
    assert group == batch_id([f"{node}@1"], RAW, "sales")
    [waiting] = ledger.waiting("acme", "sales", RAW)
    assert (waiting.epoch, waiting.attempt, waiting.group, waiting.replaces, waiting.retry_at) == (
        1,
        0,
        group,
        (run.batch,),
        clock.now,
    )
    [state] = ledger.files("acme")
    assert (state.state, state.epoch) == (FileStatus.RECEIVED, 1)


def test_the_edge_of_the_epoch_before_stays_beside_the_claim(replays, ledger):
    run = done(ledger, "a.csv")
    before = claim_of(ledger)

    replays.replay(replays.plan("acme", dataset="sales", force=True))

    archive = claim_of(ledger, epoch=0)
    assert (archive.st, archive.owner, archive.rows, archive.group, archive.g2pk) == (
        "DONE",
        run.run,
        5,
        run.batch,
        None,
    )
    assert archive.attribute_values | {"sk": before.sk} == before.attribute_values
    now = claim_of(ledger)
    assert (now.st, now.owner, now.rows, now.reason, now.ttl) == ("RECEIVED", None, None, None, None)


def test_replayed_and_done_it_is_another_batch_with_another_commit_object(replays, ledger):
    old = done(ledger, "a.csv")
    replays.replay(replays.plan("acme", dataset="sales", force=True))

    new = through(ledger)

    assert new.batch != old.batch
    assert new.members[0].replaces == (old.batch,)
    [file] = ledger.files("acme")
    assert (file.state, file.run, file.epoch) == (FileStatus.QUERYABLE, new.run, 1)


def test_a_third_processing_replaces_the_batches_of_both_before(replays, ledger):
    """A rollback may have brought the rows of any of them back."""
    one = done(ledger, "a.csv")
    replays.replay(replays.plan("acme", dataset="sales", force=True))
    two = through(ledger)
    replays.replay(replays.plan("acme", dataset="sales", force=True))

    [waiting] = ledger.waiting("acme", "sales", RAW)
    assert (waiting.epoch, waiting.replaces) == (2, (two.batch, one.batch))
    assert claim_of(ledger, epoch=1).owner == two.run


def test_the_files_of_one_call_are_one_group(replays, ledger):
    done(ledger, "a.csv")
    done(ledger, "b.csv")

    groups = replays.replay(replays.plan("acme", dataset="sales", force=True))

    waiting = ledger.waiting("acme", "sales", RAW)
    assert len(groups) == 1
    assert [one.group for one in waiting] == groups * 2
    assert begin(ledger).batch == groups[0]


def test_more_files_than_a_batch_holds_are_consecutive_groups_by_arrival(replays, ledger, monkeypatch):
    monkeypatch.setattr(module, "MOST_FILES", 2)
    for minute, name in enumerate(("c.csv", "a.csv", "b.csv")):
        ledger.receive(a_file(name, arrived_at=datetime(2024, 9, 20, 11, minute, tzinfo=UTC)), RAW)
    through(ledger)

    groups = replays.replay(replays.plan("acme", dataset="sales", force=True))

    by_group = {one.key[-5]: one.group for one in ledger.waiting("acme", "sales", RAW)}
    assert by_group == {"c": groups[0], "a": groups[0], "b": groups[1]}


def test_a_group_holds_four_times_the_bytes_of_a_batch(replays, ledger):
    ledger.put_dataset(a_dataset(plan=PLAN, max_bytes=5))  # each file has 10 bytes
    done(ledger, "a.csv", "b.csv", "c.csv")

    assert len(replays.replay(replays.plan("acme", dataset="sales", force=True))) == 2


def test_a_claim_that_a_sleeping_dispatch_has_in_its_hand_fails_after_a_replay(replays, ledger):
    ledger.receive(a_file(), RAW)
    [stale] = ledger.waiting("acme", "sales", RAW)
    through(ledger)
    replays.replay(replays.plan("acme", dataset="sales", force=True))

    with pytest.raises(Exception, match="belong to others"):
        ledger.begin("acme", RAW, "sales", [stale])
    assert claim_of(ledger).st == "RECEIVED"


def test_of_two_replays_at_once_one_opens_the_file(replays, ledger, monkeypatch):
    done(ledger, "a.csv")
    plan = replays.plan("acme", dataset="sales", force=True)
    real = ledger.store.transact

    def faster(writes):
        monkeypatch.setattr(ledger.store, "transact", real)
        replays.replay(plan)
        through(ledger)
        real(writes)

    monkeypatch.setattr(ledger.store, "transact", faster)

    assert replays.replay(plan) == []
    assert (claim_of(ledger).st, claim_of(ledger).epoch) == ("DONE", 1)
    assert claim_of(ledger, epoch=0).epoch == 0


def test_an_opened_claim_does_not_expire_and_its_archive_does(replays, ledger):
    ledger.put_tenant(replace(ledger.tenant("acme"), retention={"raw": 90}))
    ledger._lifetimes.clear()
    done(ledger, "a.csv")
    ends = claim_of(ledger).ttl

    replays.replay(replays.plan("acme", dataset="sales", force=True))

    assert ends is not None
    assert (claim_of(ledger).ttl, claim_of(ledger, epoch=0).ttl) == (None, ends)


def test_a_run_that_settles_late_does_not_close_what_a_replay_has_opened(replays, ledger):
    run = done(ledger, "a.csv")
    replays.replay(replays.plan("acme", dataset="sales", force=True))

    ledger.finalise(run)

    assert (claim_of(ledger).st, claim_of(ledger).epoch) == ("RECEIVED", 1)


# -- repeating -------------------------------------------------------------------------------------------------------


def test_a_second_call_finds_the_file_waiting(replays, ledger):
    done(ledger, "a.csv")
    plan = replays.plan("acme", dataset="sales", force=True)
    groups = replays.replay(plan)

    assert whys(replays.plan("acme", dataset="sales", force=True)) == ["already waiting for replay"]
    assert replays.replay(plan) == groups  # the same plan again, as after a lost answer
    assert claim_of(ledger).epoch == 1


def test_what_has_moved_on_since_the_plan_is_left_as_it_is(replays, ledger):
    done(ledger, "a.csv")
    plan = replays.plan("acme", dataset="sales", force=True)
    replays.replay(plan)
    through(ledger)

    assert replays.replay(plan) == []
    assert (claim_of(ledger).st, claim_of(ledger).epoch) == ("DONE", 1)


def test_a_replay_that_died_half_way_is_finished_as_the_same_group(replays, ledger, monkeypatch):
    done(ledger, "a.csv", "b.csv", "c.csv")
    real, calls = ledger.store.transact, []

    def dies(writes):
        calls.append(writes)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(writes)

    plan = replays.plan("acme", dataset="sales", force=True)
    with monkeypatch.context() as patch:
        patch.setattr(ledger.store, "transact", dies)
        with pytest.raises(KeyboardInterrupt):
            replays.replay(plan)

    again = replays.plan("acme", dataset="sales", force=True)
    assert (len(again.files), whys(again)) == (1, ["already waiting for replay"] * 2)
    [group] = replays.replay(again)
    waiting = ledger.waiting("acme", "sales", RAW)
    assert {one.group for one in waiting} == {group} == {batch_id([one.ref for one in waiting], RAW, "sales")}


def test_a_lost_answer_is_no_failure(replays, ledger, monkeypatch):
    done(ledger, "a.csv")
    real = ledger.store.transact

    def twice(writes):
        real(writes)
        real(writes)

    monkeypatch.setattr(ledger.store, "transact", twice)
    [group] = replays.replay(replays.plan("acme", dataset="sales", force=True))

    assert claim_of(ledger).group == group
    assert claim_of(ledger, epoch=0).st == "DONE"


# -- what is left alone ----------------------------------------------------------------------------------------------


def test_what_the_same_code_and_contract_have_done_is_not_done_again(replays, ledger):
    done(ledger, "a.csv")

    plan = replays.plan("acme", dataset="sales")

    assert (plan.files, whys(plan)) == ((), ["already processed by this code and contract (--force does it again)"])


@pytest.mark.parametrize(("contract", "code"), [("fp0", "new"), ("fp1", "old")])
def test_another_contract_or_other_code_since_then_is_a_reason_to_do_it_again(replays, ledger, contract, code):
    done(ledger, "a.csv", contract=contract, code=code)
    done(ledger, "b.csv", contract="fp1", code="new")

    assert [file.key for file in replays.plan("acme", dataset="sales").files] == ["raw/sales/a.csv"]


def test_a_file_in_flight_is_left_alone_at_each_step(replays, ledger):
    ledger.receive(a_file(), RAW)
    seen = [whys(replays.plan("acme", dataset="sales", force=True))]
    run = begin(ledger)
    seen.append(whys(replays.plan("acme", dataset="sales", force=True)))
    ledger.commit(run, processed(run))
    seen.append(whys(replays.plan("acme", dataset="sales", force=True)))
    ledger.finalise(run)
    seen.append(whys(replays.plan("acme", dataset="sales", force=True)))  # the commit object's event has not come
    ledger.receive(a_file(key=commit_key(run), version="c1"), ANALYTICS)
    seen.append(whys(replays.plan("acme", dataset="sales", force=True)))
    run2 = begin(ledger, job=ANALYTICS, glue_run="jr_2")
    seen.append(whys(replays.plan("acme", dataset="sales", force=True)))
    ledger.commit(run2, merged(run2))
    seen.append(whys(replays.plan("acme", dataset="sales", force=True)))
    ledger.finalise(run2)

    assert seen == [["in flight: it will be done anyway"]] * 7
    assert len(replays.plan("acme", dataset="sales", force=True).files) == 1


def test_a_file_whose_run_is_not_tidied_up_is_left_until_it_is(replays, ledger):
    run = done(ledger, "a.csv")
    ledger.store.update((table.job_pk("acme", RAW), run.run), [Header.tidy.remove()])
    before = whys(replays.plan("acme", dataset="sales", force=True))
    ledger.finalise(run)

    assert before == ["in flight: it will be done anyway"]
    assert len(replays.plan("acme", dataset="sales", force=True).files) == 1


def test_a_held_file_says_so(replays, ledger):
    ledger.receive(a_file(), RAW, held=True)

    assert whys(replays.plan("acme", dataset="sales")) == ["held: it goes on when its tenant is released"]


def test_a_dataset_that_is_gone_is_named(replays, ledger, monkeypatch):
    done(ledger, "a.csv")
    monkeypatch.setattr(ledger, "datasets", lambda tenant: [])

    assert whys(replays.plan("acme", key="raw/sales/a.csv")) == ["dataset sales is not deployed any more"]


# -- what failed -----------------------------------------------------------------------------------------------------


def test_a_file_that_was_given_up_is_tried_again_without_force(replays, ledger, clock):
    ledger.receive(a_file(), RAW)
    fails(ledger, RAW, clock=clock)
    assert claim_of(ledger).st == "DEAD"

    replays.replay(replays.plan("acme", dataset="sales"))

    [waiting] = ledger.waiting("acme", "sales", RAW)
    assert (waiting.epoch, waiting.attempt, waiting.replaces) == (1, 0, ())


def test_given_up_in_a_replay_it_still_replaces_what_came_before(replays, ledger, clock):
    old = done(ledger, "a.csv")
    replays.replay(replays.plan("acme", dataset="sales", force=True))
    fails(ledger, RAW, clock=clock)

    replays.replay(replays.plan("acme", dataset="sales"))

    [waiting] = ledger.waiting("acme", "sales", RAW)
    assert (waiting.epoch, waiting.replaces) == (2, (old.batch,))


def test_a_commit_object_that_the_second_job_gave_up_is_repeated_and_nothing_else(replays, ledger, clock):
    ledger.receive(a_file("a.csv"), RAW)
    ledger.receive(a_file("b.csv"), RAW)
    run = first(ledger)
    fails(ledger, ANALYTICS, clock=clock)

    plan = replays.plan("acme", dataset="sales")
    [group] = replays.replay(plan)

    assert [file.commit for file in plan.files] == [commit_key(run)] * 2
    assert ledger.waiting("acme", "sales", RAW) == []
    [waiting] = ledger.waiting("acme", "sales", ANALYTICS)
    assert (waiting.key, waiting.epoch, waiting.group) == (commit_key(run), 1, group)
    run2 = begin(ledger, job=ANALYTICS)
    ledger.commit(run2, merged(run2))
    ledger.finalise(run2)
    assert [file.state for file in ledger.files("acme")] == [FileStatus.QUERYABLE] * 2


def test_what_a_commit_object_names_expires_and_then_the_file_is_done_anew(replays, ledger, clock):
    ledger.put_tenant(replace(ledger.tenant("acme"), retention={"raw": 90, "processed": 30}))
    ledger.receive(a_file(), RAW)
    run = first(ledger)
    fails(ledger, ANALYTICS, clock=clock)
    clock.move(days=29)
    [before] = replays.plan("acme", dataset="sales").files
    clock.move(days=1)

    [file] = replays.plan("acme", dataset="sales").files

    assert before.commit == commit_key(run)
    assert (file.commit, file.job, file.member.replaces) == (None, RAW, (run.batch,))


def test_with_a_new_contract_the_file_is_done_anew_rather_than_its_commit_object(replays, ledger, clock):
    ledger.receive(a_file(), RAW)
    run = first(ledger, contract="fp0")
    fails(ledger, ANALYTICS, clock=clock)

    [file] = replays.plan("acme", dataset="sales").files

    assert (file.commit, file.member.replaces) == (None, (run.batch,))


@pytest.mark.parametrize("force", [False, True])
def test_of_a_file_that_is_gone_the_commit_object_is_repeated_though_the_contract_is_new(replays, ledger, clock, force):
    ledger.receive(a_file(), RAW)
    run = first(ledger, contract="fp0")
    fails(ledger, ANALYTICS, clock=clock)
    asked = []

    [file] = replays.plan("acme", dataset="sales", force=force, is_gone=lambda one: asked.append(one) or True).files

    assert (file.commit, file.job) == (commit_key(run), ANALYTICS)
    assert [(one.key, one.version) for one in asked] == [("raw/sales/a.csv", "v1")]


@pytest.mark.parametrize("reason", ["the file is no longer in the bucket; the rows stay", "the file is empty"])
def test_a_file_that_was_not_there_to_be_read_is_not_yet_processed(replays, ledger, reason):
    done(ledger, "a.csv")
    claim = claim_of(ledger)
    ledger.store.update((claim.pk, claim.sk), [Claim.rows.set(0), Claim.rejected.set(0), Claim.reason.set(reason)])

    plan = replays.plan("acme", dataset="sales")

    assert len(plan.files) == (1 if "no longer" in reason else 0)


def test_a_commit_objects_key_means_the_files_of_its_batch(replays, ledger):
    run = done(ledger, "a.csv", "b.csv")
    done(ledger, "c.csv")

    plan = replays.plan("acme", key=commit_key(run), force=True)

    assert sorted(file.key for file in plan.files) == ["raw/sales/a.csv", "raw/sales/b.csv"]


# -- what is meant ---------------------------------------------------------------------------------------------------


def test_one_version_of_a_key_or_all_of_them(replays, ledger):
    ledger.receive(a_file(version="v1"), RAW)
    ledger.receive(a_file(version="v2"), RAW)
    through(ledger)

    both = replays.plan("acme", key="raw/sales/a.csv", force=True)
    one = replays.plan("acme", key="raw/sales/a.csv", version="v2", force=True)

    assert sorted(file.version for file in both.files) == ["v1", "v2"]
    assert [file.version for file in one.files] == ["v2"]


def test_since_means_what_arrived_from_then_on_in_every_dataset(replays, ledger):
    ledger.put_dataset(a_dataset(dataset="returns", plan=PLAN))
    noon = datetime(2024, 9, 20, 12, 0, tzinfo=UTC)
    for minutes, name in ((-1, "old.csv"), (0, "new.csv")):
        ledger.receive(a_file(name, arrived_at=noon + timedelta(minutes=minutes)), RAW)
    ledger.receive(a_file(key="raw/returns/r.csv", dataset="returns", arrived_at=noon), RAW)

    plan = replays.plan("acme", since=noon)

    assert sorted(file.key for file, _ in plan.skipped) == ["raw/returns/r.csv", "raw/sales/new.csv"]


def test_a_call_that_names_nothing_is_refused(replays):
    with pytest.raises(ValueError, match="name a file"):
        replays.plan("acme")


@pytest.mark.parametrize(
    "key", ["raw/sales/none.csv", "processed/sales/_commits/none.json", "processed/sales/x.parquet"]
)
def test_an_unknown_file_is_named(replays, ledger, key):
    with pytest.raises(NotInLedger, match=key):
        replays.plan("acme", key=key)


def test_an_unknown_dataset_is_named(replays):
    with pytest.raises(NotInLedger, match="dataset nothing"):
        replays.plan("acme", dataset="nothing")


# -- what no contract took -------------------------------------------------------------------------------------------


@pytest.fixture
def unrouted(ledger):
    for key, size in (("raw/returns/r.csv", 10), ("raw/odd.bin", 10), ("raw/returns/", 0)):
        ledger.receive(a_file(key=key, dataset=None, size=size), None, reason="no contract matches the key")


def test_an_unrouted_file_is_taken_once_a_contract_matches(replays, ledger, unrouted):
    ledger.put_dataset(a_dataset(dataset="returns", plan=PLAN))

    plan = replays.plan("acme", unrouted=True)
    assert replays.replay(plan) == []

    assert [(file.key, file.dataset, file.epoch) for file in plan.files] == [("raw/returns/r.csv", "returns", 0)]
    assert sorted((file.key, why) for file, why in plan.skipped) == [
        ("raw/odd.bin", "no contract matches the key"),
        ("raw/returns/", "a folder marker: it has no rows"),
    ]
    assert [one.key for one in ledger.waiting("acme", "returns", RAW)] == ["raw/returns/r.csv"]
    listed = {file.key: (file.dataset, file.state, file.reason) for file in ledger.files("acme")}
    assert listed["raw/returns/r.csv"] == ("returns", FileStatus.RECEIVED, None)
    assert listed["raw/odd.bin"][1] == FileStatus.UNROUTED
    left = ledger.store.query(Arrival, table.dataset_pk("acme", None), "A#")
    assert sorted(item.key for item in left) == ["raw/odd.bin", "raw/returns/"]


def test_taken_twice_it_waits_once_and_its_late_event_is_a_duplicate(replays, ledger, unrouted):
    ledger.put_dataset(a_dataset(dataset="returns", plan=PLAN))
    plan = replays.plan("acme", key="raw/returns/r.csv")
    replays.replay(plan)
    replays.replay(plan)

    assert ledger.receive(a_file(key="raw/returns/r.csv", dataset="returns"), RAW) is False
    assert len(ledger.waiting("acme", "returns", RAW)) == 1
    assert len(ledger.files("acme")) == 3


def test_of_a_held_tenant_it_is_entered_as_held(replays, ledger, unrouted):
    enter(ledger, "acme", state="suspended")
    ledger.put_dataset(a_dataset(dataset="returns", plan=PLAN))
    replays.replay(replays.plan("acme", unrouted=True))

    assert ledger.waiting("acme", "returns", RAW) == []
    assert FileStatus.HELD in {file.state for file in ledger.files("acme")}


# -- groups ----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["r1", "r2", "r3"])), max_size=30),
    st.integers(1, 60),
    st.booleans(),
)
def test_every_file_goes_in_one_group_within_its_bounds(sizes, most_bytes, whole):
    files = [
        ReplayFile(
            tenant="acme",
            node=str(number),
            key=f"raw/{number}",
            version=None,
            dataset="sales",
            size=size,
            arrived_at=datetime(2024, 9, 20, tzinfo=UTC) + timedelta(seconds=number),
            owner=owner,
        )
        for number, (size, owner) in enumerate(sizes)
    ]

    cuts = list(module._cut(module._units(files, whole=whole), most_bytes))

    assert sorted(file.node for cut in cuts for file in cut) == sorted(file.node for file in files)
    if whole:
        assert sum(len({file.owner for file in cut}) for cut in cuts) == len({owner for _, owner in sizes})
    else:
        assert [file for cut in cuts for file in cut] == files  # by arrival
        assert all(len(cut) == 1 or sum(file.size for file in cut) <= most_bytes for cut in cuts)


# -- append-only tables ----------------------------------------------------------------------------------------------


@pytest.fixture
def plain(ledger):
    ledger.put_dataset(a_dataset(plan=json.dumps({"fingerprint": "fp1", "format": "parquet"})))
    return Replays(ledger)


def test_of_plain_parquet_a_batch_gives_way_whole_or_not_at_all(plain, ledger):
    done(ledger, "a.csv", "b.csv")

    alone = plain.plan("acme", key="raw/sales/a.csv", force=True)
    whole = plain.plan("acme", dataset="sales", force=True)

    assert (alone.files, len(alone.skipped)) == ((), 1)
    assert alone.skipped[0][1].startswith("format parquet is append-only: the 2 files of its batch")
    assert len(whole.files) == 2


def test_of_plain_parquet_no_batch_is_torn_by_the_size_of_a_group(plain, ledger, monkeypatch):
    monkeypatch.setattr(module, "MOST_FILES", 3)
    noon = datetime(2024, 9, 20, 12, 0, tzinfo=UTC)
    for batch in range(2):  # arrivals of the two batches alternate
        for number in range(2):
            arrived = noon + timedelta(minutes=2 * number + batch)
            ledger.receive(a_file(f"{batch}{number}.csv", arrived_at=arrived), RAW)
        through(ledger)

    groups = plain.replay(plain.plan("acme", dataset="sales", force=True))

    held = {}
    for one in ledger.waiting("acme", "sales", RAW):
        held.setdefault(one.group, set()).add(one.key[-6])
    assert [held[group] for group in groups] == [{"0"}, {"1"}]


def test_of_plain_parquet_a_replay_that_fails_is_given_up_whole_with_what_it_failed_for(plain, ledger, clock):
    old = done(ledger, "a.csv", "b.csv")
    plain.replay(plain.plan("acme", dataset="sales", force=True))
    for _ in range(3):
        run = begin(ledger)
        ledger.fail(run, "raw/sales/b.csv: no longer in the bucket")
        clock.move(minutes=5)

    assert ledger.waiting("acme", "sales", RAW) == []
    assert {file.reason for file in ledger.files("acme")} == {"raw/sales/b.csv: no longer in the bucket"}
    plan = plain.plan("acme", dataset="sales")
    assert [file.member.replaces for file in plan.files] == [(old.batch,)] * 2


def test_of_plain_parquet_no_file_is_read_anew_whose_batch_is_repeated_because_another_is_gone(plain, ledger, clock):
    for name in ("a.csv", "b.csv"):
        ledger.receive(a_file(name), RAW)
    run = first(ledger, contract="fp0")
    fails(ledger, ANALYTICS, clock=clock)

    plan = plain.plan("acme", dataset="sales", is_gone=lambda one: one.key.endswith("b.csv"))
    plain.replay(plan)

    assert [file.commit for file in plan.files] == [commit_key(run)] * 2
    assert (len(ledger.waiting("acme", "sales", RAW)), len(ledger.waiting("acme", "sales", ANALYTICS))) == (0, 1)


def test_of_plain_parquet_new_files_that_fail_are_halved_as_any(plain, ledger, clock):
    for name in ("a.csv", "b.csv"):
        ledger.receive(a_file(name), RAW)
    fails(ledger, RAW, clock=clock)

    assert len({one.group for one in ledger.waiting("acme", "sales", RAW)}) == 2


def test_of_plain_parquet_a_replay_that_died_half_way_is_finished(plain, ledger, monkeypatch):
    done(ledger, "a.csv", "b.csv")
    plan = plain.plan("acme", dataset="sales", force=True)
    plain._open_all([plan.files[0]], module._batch(plan.files))

    again = plain.plan("acme", dataset="sales", force=True)
    plain.replay(again)

    assert len(again.files) == 1
    assert {one.group for one in ledger.waiting("acme", "sales", RAW)} == {module._batch(plan.files)}
