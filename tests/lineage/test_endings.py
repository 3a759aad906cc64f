"""What becomes of a lost run's files: the same batch again, then halves, until one file is alone."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage import table
from lineage.fates import BACKOFF_S, MAX_ATTEMPTS, fates_of, halves
from lineage.items import Claim
from lineage.items import Run as Header
from lineage.receipts import Receipt, member_of
from lineage.store import Store
from lineage.values import ClaimState, FileStatus, HeaderState, batch_of, stamp
from tests.lineage.builders import ANALYTICS, RAW, TABLE, Clock, a_file, begin, process, processed

NAMES = ("a.csv", "b.csv", "c.csv", "d.csv", "e.csv")


def receive(ledger, *names):
    ledger.receive_all([Receipt(file=a_file(name), job=RAW) for name in names])


def claim_of(ledger, name="a.csv"):
    file = a_file(name)
    return ledger.store.get(Claim, (table.file_pk("acme", file.fid), table.claim_sk(file.ver, RAW)))


def groups(ledger, job=RAW):
    """What waits, by the batch in which it is to be tried again."""
    found = {}
    for member in ledger.waiting("acme", "sales", job):
        found.setdefault(member.group, []).append(member)
    return found


def begin_group(ledger, members, glue_run, job=RAW):
    return ledger.take("acme", job, ledger.begin("acme", job, "sales", members), glue_run)


def test_a_batch_that_failed_is_tried_again_whole_and_new_files_do_not_join_it(ledger, clock):
    receive(ledger, "a.csv", "b.csv")
    first = begin(ledger)
    ledger.fail(first, "out of memory")
    receive(ledger, "c.csv")
    clock.move(minutes=1)

    waiting = groups(ledger)

    assert {name: len(members) for name, members in waiting.items()} == {first.batch: 2, None: 1}
    again = begin_group(ledger, waiting[first.batch], "jr_2")
    assert (again.batch, again.attempt) == (first.batch, 2)


def test_all_files_of_a_batch_come_back_at_once_and_later_with_each_attempt(ledger, clock):
    receive(ledger, "a.csv", "b.csv")
    for attempt, (least, most) in enumerate([(5, 10), (10, 20)], start=1):
        run = begin(ledger, glue_run=f"jr_{attempt}")
        ledger.fail(run, "out of memory")
        clock.move(seconds=least - 0.001)
        assert ledger.waiting("acme", "sales", RAW) == []
        clock.move(seconds=most - least + 0.002)
        members = ledger.waiting("acme", "sales", RAW)
        assert len(members) == 2
        assert len({member.retry_at for member in members}) == 1


def test_a_poisonous_file_is_found_by_halving_and_the_others_go_through(ledger, clock):
    receive(ledger, *NAMES)
    runs = 0
    while waiting := groups(ledger):
        for members in waiting.values():
            runs += 1
            run = begin_group(ledger, members, f"jr_{runs}")
            if any(member.key.endswith("c.csv") for member in run.members):
                ledger.fail(run, "executor killed")
            else:
                ledger.commit(run, processed(run))
                ledger.finalise(run)
        clock.move(minutes=2)

    states = {file.key.rsplit("/", 1)[1]: (file.state, file.reason) for file in ledger.files("acme")}
    assert states == {
        **dict.fromkeys(NAMES, (FileStatus.PROCESSED, None)),
        "c.csv": (FileStatus.QUARANTINED, "executor killed"),
    }
    # Three attempts of the five, then 2 + 3, then halves of the half that fails, at most to 1 + 2 and 1 + 1.
    assert 6 <= runs <= 9


def test_halves_are_batches_of_their_own_and_do_not_pause(ledger, clock):
    receive(ledger, *NAMES)
    for attempt in range(MAX_ATTEMPTS):
        run = begin(ledger, glue_run=f"jr_{attempt}")
        ledger.fail(run, "executor killed")
        if attempt < MAX_ATTEMPTS - 1:
            clock.move(minutes=1)

    waiting = groups(ledger)

    assert sorted(len(members) for members in waiting.values()) == [2, 3]
    assert all(batch_of(members, RAW, "sales") == group for group, members in waiting.items())
    assert {member.retry_at for members in waiting.values() for member in members} == {None}
    ids = [[member.id for member in sorted(members, key=lambda one: one.id)] for members in waiting.values()]
    assert sorted(ids[0] + ids[1]) in (ids[0] + ids[1], ids[1] + ids[0])


def test_a_file_that_failed_alone_often_enough_is_quarantined_with_the_reason(ledger, clock):
    receive(ledger, "a.csv")
    for attempt in range(MAX_ATTEMPTS):
        ledger.fail(begin(ledger, glue_run=f"jr_{attempt}"), f"failure {attempt}")
        clock.move(hours=1)

    [file] = ledger.files("acme")
    assert (file.state, file.reason, file.attempt) == (FileStatus.QUARANTINED, "failure 2", 3)
    claim = claim_of(ledger)
    assert (claim.st, claim.g2pk, claim.group, claim.ttl) == (ClaimState.DEAD, None, None, None)


def test_a_commit_object_that_failed_alone_fails_its_files(ledger, clock):
    receive(ledger, "a.csv")
    process(ledger)
    for attempt in range(MAX_ATTEMPTS):
        ledger.fail(begin(ledger, job=ANALYTICS, glue_run=f"jr_{attempt}"), "no such table")
        clock.move(hours=1)

    [file] = ledger.files("acme")
    assert (file.state, file.reason, file.attempt) == (FileStatus.FAILED, "no such table", 3)


def test_a_batch_that_could_not_be_started_stays_a_batch(ledger, clock):
    receive(ledger, "a.csv", "b.csv")
    run = ledger.begin("acme", RAW, "sales", ledger.waiting("acme", "sales", RAW))
    ledger.fail(ledger.run("acme", run), "Glue is busy", counts=False)
    receive(ledger, "c.csv")
    clock.move(minutes=1)

    waiting = groups(ledger)

    assert {len(members): (group, members[0].attempt) for group, members in waiting.items()} == {
        2: (ledger.run("acme", run).batch, 0),
        1: (None, 0),
    }


def test_a_batch_that_there_was_no_place_for_waits_as_it_did_before(ledger, clock):
    receive(ledger, "a.csv", "b.csv")
    ledger.fail(begin(ledger), "failed")
    clock.move(minutes=1)
    receive(ledger, "c.csv")
    before = groups(ledger)
    for _ in range(2):
        run = ledger.begin("acme", RAW, "sales", ledger.waiting("acme", "sales", RAW))
        ledger.fail(ledger.run("acme", run), "could not be started: full", counts=False, pauses=False)

    after = groups(ledger)

    def shown(groups):
        return {group: [(member.id, member.attempt) for member in members] for group, members in groups.items()}

    assert shown(after) == shown(before)
    assert sorted(map(len, after.values())) == [1, 2]
    assert {member.retry_at for members in after.values() for member in members} == {None}
    assert {file.reason for file in ledger.files("acme")} == {"could not be started: full"}


@given(files=st.integers(1, 40), attempt=st.integers(1, 12), counts=st.booleans(), sealed=st.booleans())
def test_what_becomes_of_files_follows_from_header_and_members_alone(files, attempt, counts, sealed):
    now = Clock().now
    names = [a_file(f"{number}.csv") for number in range(files)]
    members = [_member(file, attempt - 1) for file in names]
    header = Header(
        pk="J", sk="run", tenant="acme", job=RAW, dataset="sales", attempt=attempt, counts=counts, sealed=sealed,
        ended=stamp(now), error="x", batch=batch_of(members, RAW, "sales") if sealed else None,
    )  # fmt: skip

    fates = fates_of(header, members)

    assert fates == fates_of(header, list(reversed(members)))
    assert fates.keys() == {member.id for member in members}
    dead = [fate for fate in fates.values() if fate.state == ClaimState.DEAD]
    counted = counts and sealed
    assert len(dead) == (1 if counted and attempt >= MAX_ATTEMPTS and files == 1 else 0)
    assert {fate.attempt for fate in fates.values()} == {attempt if counted else attempt - 1}
    batches = {fate.group for fate in fates.values()}
    assert len(batches) == (2 if counted and attempt >= MAX_ATTEMPTS and files > 1 else 1)
    for fate in fates.values():
        assert fate.retry_at is None or now < fate.retry_at <= now + timedelta(seconds=BACKOFF_S * 2**MAX_ATTEMPTS)


def _member(file, attempt):
    claim = Claim(
        pk=table.file_pk("acme", file.fid), sk=table.claim_sk(file.ver, RAW), key=file.key, version=file.version,
        size=file.size, etag=file.etag, sequencer=file.sequencer, arrived=stamp(file.arrived_at), attempt=attempt,
    )  # fmt: skip
    return member_of(claim)


@given(files=st.integers(2, 60))
def test_halving_ends(files):
    members = [_member(a_file(f"{number}.csv"), 3) for number in range(files)]
    left, right = halves(members)
    assert sorted(one.id for one in [*left, *right]) == sorted(one.id for one in members)
    assert left
    assert right
    assert abs(len(left) - len(right)) <= 1


def test_a_failure_that_stopped_half_way_ends_in_the_same_halves(aws, clock):
    from lineage.ledger import Ledger
    from tests.lineage.builders import enter

    class Dies(Store):
        left = -1

        def send(self, operation, request):
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= operation == "UpdateItem"
            return super().send(operation, request)

    store = Dies(TABLE, workers=1)
    ledger = Ledger(TABLE, store=store, clock=clock)
    enter(ledger, "acme")
    receive(ledger, *NAMES)
    for attempt in range(MAX_ATTEMPTS):
        run = begin(ledger, glue_run=f"jr_{attempt}")
        if attempt == MAX_ATTEMPTS - 1:
            store.left = 2
            with pytest.raises(KeyboardInterrupt):
                ledger.fail(run, "executor killed")
            store.left = -1
        else:
            ledger.fail(run, "executor killed")
        clock.move(minutes=1)
    assert sum(map(len, groups(ledger).values())) == 2

    assert [done.outcome for done in ledger.recover()] == ["released"]

    assert sorted(len(members) for members in groups(ledger).values()) == [2, 3]
    assert all(batch_of(members, RAW, "sales") == group for group, members in groups(ledger).items())


# -- settling --------------------------------------------------------------------------------------------------------


def test_who_settles_late_does_not_close_what_was_opened_again(ledger, clock):
    receive(ledger, "a.csv")
    run = process(ledger)
    claim = claim_of(ledger)
    reopened = [
        Claim.st.set("RECEIVED"), Claim.epoch.set(1), Claim.fence.set(claim.fence + 1), Claim.owner.remove(),
        Claim.g2pk.set(table.waiting_pk("acme", "sales", RAW)), Claim.g2sk.set("x"),
    ]  # fmt: skip
    ledger.store.update((claim.pk, claim.sk), reopened)

    ledger.finalise(run)

    assert (claim_of(ledger).st, claim_of(ledger).epoch) == ("RECEIVED", 1)
    [member] = ledger.waiting("acme", "sales", RAW)
    assert member.epoch == 1


def test_a_settled_claim_tells_of_its_batch_and_keeps_nothing_of_earlier_failures(ledger, clock):
    receive(ledger, "a.csv")
    ledger.fail(begin(ledger), "out of memory")
    clock.move(minutes=1)

    run = process(ledger, glue_run="jr_2", rows=7)

    claim = claim_of(ledger)
    assert (claim.st, claim.owner, claim.group, claim.rows, claim.reason, claim.retry_at) == (
        ClaimState.DONE, run.run, run.batch, 7, None, None,
    )  # fmt: skip
    assert claim.sequencer == a_file().sequencer


# -- claims that nobody's header leads to ----------------------------------------------------------------------------


def test_a_claim_of_a_dead_run_that_was_tidied_already_is_freed(ledger, clock):
    receive(ledger, "a.csv")
    run = begin(ledger)
    ledger.fail(run, "out of memory")
    claim = claim_of(ledger)
    late = [Claim.st.set("CLAIMED"), Claim.owner.set(run.run), Claim.g2pk.remove(), Claim.g2sk.remove()]
    ledger.store.update((claim.pk, claim.sk), late)

    assert ledger.free("acme", claim_of(ledger)) == "released"

    clock.move(hours=1)
    assert len(ledger.waiting("acme", "sales", RAW)) == 1
    assert ledger.free("acme", claim_of(ledger)) is None


def test_a_claim_of_a_run_that_is_not_in_the_ledger_is_freed(ledger):
    receive(ledger, "a.csv")
    begin(ledger)
    claim = claim_of(ledger)
    ledger.store.update((claim.pk, claim.sk), [Claim.owner.set("0192-gone")])

    assert ledger.free("acme", claim_of(ledger)) == "released"
    assert [member.key for member in ledger.waiting("acme", "sales", RAW)] == ["raw/sales/a.csv"]


def test_a_claim_of_a_run_that_lives_or_has_committed_is_not_given_away(ledger):
    receive(ledger, "a.csv")
    run = begin(ledger)
    assert ledger.free("acme", claim_of(ledger)) is None

    ledger.commit(run, processed(run))

    assert ledger.free("acme", claim_of(ledger)) == "finalised"
    assert claim_of(ledger).st == ClaimState.DONE


@pytest.mark.parametrize(("started", "taken", "minutes"), [(False, False, 2), (True, False, 15), (True, True, 5)])
def test_a_run_is_given_as_long_as_its_next_sign_of_life_may_take(ledger, clock, started, taken, minutes):
    receive(ledger, "a.csv")
    run = ledger.begin("acme", RAW, "sales", ledger.waiting("acme", "sales", RAW))
    if started:
        ledger.started("acme", RAW, run, "jr_1")
    if taken:
        ledger.take("acme", RAW, run, "jr_1")

    clock.move(minutes=minutes)
    assert ledger.recover() == []
    clock.move(seconds=1)
    assert [done.outcome for done in ledger.recover()] == ["fenced"]
    assert ledger.run("acme", run).state == HeaderState.FENCED
