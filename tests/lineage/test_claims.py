"""Begin: places in flight, and files that only a living run can claim."""

from dataclasses import replace

import pytest

from lineage import chunks, table
from lineage.errors import NoSeat, NothingClaimed, RunNotOpen, RunOpen
from lineage.items import Claim, Seat, Slot
from lineage.ledger import Ledger
from lineage.receipts import Receipt
from lineage.store import Store
from lineage.values import HeaderState, batch_of
from tests.lineage.builders import ANALYTICS, RAW, TABLE, a_dataset, a_file, begin, enter, process, processed


class Watched(Store):
    """Calls `before` with each request that is about to be sent."""

    def before(self, operation, request):
        pass

    def send(self, operation, request):
        self.before(operation, request)
        return super().send(operation, request)


@pytest.fixture
def store(ledger: Ledger) -> Watched:
    ledger.store = Watched(TABLE, workers=1, clock=ledger.clock)
    return ledger.store


def receive(ledger: Ledger, *names: str, dataset: str = "sales") -> None:
    ledger.receive_all([Receipt(file=a_file(name, key=f"raw/{dataset}/{name}", dataset=dataset), job=RAW)
                        for name in names])  # fmt: skip


def claim_of(ledger: Ledger, name: str = "a.csv", job: str = RAW) -> Claim:
    file = a_file(name)
    return ledger.store.get(Claim, (table.file_pk("acme", file.fid), table.claim_sk(file.ver, job)))


def seats(ledger: Ledger) -> list[str]:
    return [seat.sk for seat in ledger.store.query(Seat, table.seats_pk("acme"))]


def open_run(ledger: Ledger, dataset: str) -> str:
    return ledger.begin("acme", RAW, dataset, ledger.waiting("acme", dataset, RAW))


# -- places in flight ------------------------------------------------------------------------------------------------


def test_a_tenant_has_no_more_runs_in_flight_than_it_may_have(ledger):
    for dataset in ("sales", "returns", "stock"):
        ledger.put_dataset(a_dataset(dataset=dataset))
        receive(ledger, "a.csv", dataset=dataset)
    open_run(ledger, "sales")
    second = open_run(ledger, "returns")

    with pytest.raises(NoSeat, match="2 runs in flight, 2 allowed"):
        open_run(ledger, "stock")
    assert len(ledger.waiting("acme", "stock", RAW)) == 1

    ledger.fail(ledger.run("acme", second), "out of memory")
    open_run(ledger, "stock")
    assert seats(ledger) == ["0", "1"]


@pytest.mark.parametrize("ends", ["commit", "fail", "discard"])
def test_a_run_that_ends_gives_slot_and_seat_back(ledger, ends):
    receive(ledger, "a.csv")
    members = ledger.waiting("acme", "sales", RAW)
    run = begin(ledger)
    assert (len(ledger.slots("acme")), seats(ledger)) == (1, ["0"])

    if ends == "commit":
        ledger.commit(run, processed(run))
    else:
        ledger.fail(run, "out of memory")
    if ends == "discard":
        with pytest.raises(NothingClaimed):
            ledger.begin("acme", RAW, "sales", members)

    assert (ledger.slots("acme"), seats(ledger)) == ([], [])


def test_a_silent_run_loses_its_seat_to_the_next_one(ledger, clock):
    enter(ledger, "acme", max_in_flight=1)
    ledger.put_dataset(a_dataset(dataset="returns"))
    receive(ledger, "a.csv")
    receive(ledger, "b.csv", dataset="returns")
    silent = begin(ledger)
    with pytest.raises(NoSeat):
        open_run(ledger, "returns")

    clock.move(minutes=6)
    open_run(ledger, "returns")

    assert ledger.run("acme", silent.run).state == HeaderState.FENCED


def test_fewer_seats_count_those_that_are_still_taken(ledger):
    for dataset in ("returns", "stock"):
        ledger.put_dataset(a_dataset(dataset=dataset))
    receive(ledger, "a.csv")
    receive(ledger, "a.csv", dataset="returns")
    receive(ledger, "a.csv", dataset="stock")
    first = open_run(ledger, "sales")
    open_run(ledger, "returns")
    enter(ledger, "acme", max_in_flight=1)
    ledger.fail(ledger.run("acme", first), "out of memory")

    with pytest.raises(NoSeat):
        open_run(ledger, "stock")


def test_a_place_whose_run_is_not_in_the_ledger_is_free(ledger):
    enter(ledger, "acme", max_in_flight=1)
    receive(ledger, "a.csv")
    ledger.store.put(Seat(pk=table.seats_pk("acme"), sk="0", run="gone"))
    ledger.store.put(Slot(pk=table.slots_pk("acme"), sk=f"{RAW}#sales", run="gone", job=RAW, dataset="sales"))

    run = begin(ledger)

    assert [slot.run for slot in ledger.slots("acme")] == [run.run]


def test_a_begin_whose_answer_is_lost_has_begun(aws, clock):
    class AnswersTwice(Store):
        """The first answer to the transaction is lost on the way, the second try meets what the first one wrote."""

        def send(self, operation, request):
            answer = super().send(operation, request)
            if operation == "TransactWriteItems" and "Put" in request["TransactItems"][0]:
                return super().send(operation, request)
            return answer

    ledger = Ledger(TABLE, store=AnswersTwice(TABLE, workers=1), clock=clock)
    enter(ledger, "acme")
    receive(ledger, "a.csv")

    assert begin(ledger).members[0].key == "raw/sales/a.csv"
    assert seats(ledger) == ["0"]


def test_an_open_run_of_the_same_job_and_dataset_is_no_question_of_seats(ledger):
    receive(ledger, "a.csv")
    begin(ledger)
    receive(ledger, "b.csv")

    with pytest.raises(RunOpen) as refused:
        open_run(ledger, "sales")
    assert not isinstance(refused.value, NoSeat)


# -- claims ----------------------------------------------------------------------------------------------------------


def test_each_claim_raises_the_fence(ledger, clock):
    receive(ledger, "a.csv")
    for fence in range(2):
        [member] = ledger.waiting("acme", "sales", RAW)
        assert member.fence == fence
        ledger.fail(begin(ledger, glue_run=f"jr_{fence}"), "out of memory")
        clock.move(minutes=1)


def test_a_file_that_was_moved_since_it_was_listed_is_not_claimed(ledger, clock):
    receive(ledger, "a.csv")
    listed = ledger.waiting("acme", "sales", RAW)
    ledger.fail(begin(ledger), "out of memory")
    clock.move(minutes=1)

    with pytest.raises(NothingClaimed):
        ledger.begin("acme", RAW, "sales", listed)


def test_a_claim_whose_answer_is_lost_is_the_runs_own(aws, clock):
    class AnswersTwice(Store):
        def send(self, operation, request):
            answer = super().send(operation, request)
            if operation == "UpdateItem" and "#F#" in request["Key"]["PK"]["S"]:
                return super().send(operation, request)
            return answer

    ledger = Ledger(TABLE, store=AnswersTwice(TABLE, workers=1), clock=clock)
    enter(ledger, "acme")
    receive(ledger, "a.csv", "b.csv")

    assert len(begin(ledger).members) == 2


def test_files_are_named_before_they_are_claimed_and_claimed_before_the_run_is_sealed(ledger, store):
    receive(ledger, "a.csv")
    order = []

    def note(operation, request):
        text = str(request)
        for word, what in (("I#0000", "chunk"), ("listed", "listed"), ("#F#", "claim"), ("sealed", "sealed")):
            if word in text and operation in {"PutItem", "UpdateItem"}:
                order.append(what)
                return

    members = ledger.waiting("acme", "sales", RAW)
    store.before = note
    ledger.begin("acme", RAW, "sales", members)

    assert order == ["chunk", "listed", "claim", "sealed"]


def fence_all(ledger: Ledger, clock) -> None:
    clock.move(minutes=10)
    assert [done.outcome for done in ledger.recover()] == ["fenced"]


def test_a_run_fenced_before_it_was_listed_claims_nothing(ledger, store, clock):
    receive(ledger, "a.csv")
    members = ledger.waiting("acme", "sales", RAW)

    def before_listed(operation, request):
        if "listed" in str(request.get("ExpressionAttributeNames")):
            store.before = lambda *_: None
            fence_all(ledger, clock)

    store.before = before_listed
    with pytest.raises(RunNotOpen, match="fenced while it claimed"):
        ledger.begin("acme", RAW, "sales", members)

    assert (claim_of(ledger).st, claim_of(ledger).fence) == ("RECEIVED", 0)
    assert len(ledger.waiting("acme", "sales", RAW)) == 1


def test_a_dispatch_that_slept_while_its_run_was_fenced_claims_nothing_when_it_wakes(ledger, store, clock):
    receive(ledger, "a.csv", "b.csv")
    members = ledger.waiting("acme", "sales", RAW)
    seen = []

    def before_the_second_claim(operation, request):
        if operation == "UpdateItem" and "#F#" in request["Key"]["PK"]["S"]:
            seen.append(request)
            if len(seen) == 2:
                store.before = lambda *_: None
                fence_all(ledger, clock)

    store.before = before_the_second_claim
    with pytest.raises(RunNotOpen):
        ledger.begin("acme", RAW, "sales", members)

    assert {claim_of(ledger, name).st for name in ("a.csv", "b.csv")} <= {"RECEIVED", "RETRY"}
    clock.move(minutes=1)
    # Neither is anybody's now, and both can be claimed anew.
    assert len(begin(ledger).members) == 2


def test_files_of_a_run_that_never_got_its_batch_have_not_failed(ledger, store, clock):
    receive(ledger, "a.csv")
    members = ledger.waiting("acme", "sales", RAW)

    def dies(operation, request):
        if "sealed" in str(request.get("ExpressionAttributeNames")):
            raise KeyboardInterrupt

    store.before = dies
    with pytest.raises(KeyboardInterrupt):
        ledger.begin("acme", RAW, "sales", members)
    store.before = lambda *_: None
    fence_all(ledger, clock)
    clock.move(minutes=1)

    [member] = ledger.waiting("acme", "sales", RAW)
    assert (member.attempt, member.fence) == (0, 1)


def test_a_run_that_cannot_be_written_down_gives_its_files_back(ledger, store, clock):
    receive(ledger, "a.csv", "b.csv")
    members = ledger.waiting("acme", "sales", RAW)

    def refuses_the_seal(operation, request):
        if "sealed" in str(request.get("ExpressionAttributeNames")):
            raise OSError("no route to host")

    store.before = refuses_the_seal
    with pytest.raises(OSError, match="no route"):
        ledger.begin("acme", RAW, "sales", members)
    store.before = lambda *_: None
    clock.move(minutes=1)

    assert len(ledger.waiting("acme", "sales", RAW)) == 2
    assert (ledger.slots("acme"), seats(ledger)) == ([], [])


def test_the_chunks_of_a_run_name_what_it_claimed_and_nothing_else(ledger):
    receive(ledger, "a.csv", "b.csv")
    stale = ledger.waiting("acme", "sales", RAW)
    moved = replace(stale[0], fence=7)

    run = ledger.begin("acme", RAW, "sales", [moved, stale[1]])

    assert [one.id for one in chunks.members(ledger.store, "acme", run)] == [stale[1].id]
    assert ledger.run("acme", run).batch == batch_of([stale[1]], RAW, "sales")


def test_a_batch_of_a_replayed_file_is_another_batch(ledger):
    receive(ledger, "a.csv")
    [member] = ledger.waiting("acme", "sales", RAW)

    assert batch_of([member], RAW, "sales") != batch_of([replace(member, epoch=1)], RAW, "sales")
    assert batch_of([member], RAW, "sales") != batch_of([member], ANALYTICS, "sales")


def test_what_a_claim_says_of_a_file_reaches_the_job(ledger):
    receive(ledger, "a.csv")
    claim = claim_of(ledger)
    ledger.store.update(
        (claim.pk, claim.sk), [Claim.epoch.set(2), Claim.replaces.set(["b1", "b2"]), Claim.group.set("g")]
    )

    [member] = begin(ledger).members

    assert (member.epoch, member.replaces, member.group) == (2, ("b1", "b2"), "g")


def test_whether_these_inputs_are_done_by_this_code_and_contract_is_known(ledger):
    receive(ledger, "a.csv", "b.csv")
    run = begin(ledger)
    ids = [member.id for member in run.members]
    asked = {"code": "abc123", "contract": "f1"}
    assert ledger.is_processed("acme", "sales", ids, RAW, **asked) is None

    ledger.commit(run, replace(processed(run), contract="f1"))

    done = ledger.is_processed("acme", "sales", ids, RAW, **asked)
    assert (done.run, done.contract) == (run.run, "f1")
    assert ledger.is_processed("acme", "sales", ids[:1], RAW, **asked) is None
    assert ledger.is_processed("acme", "sales", [*ids, "x.y"], RAW, **asked) is None
    assert ledger.is_processed("acme", "sales", ids, RAW, code="def456", contract="f1") is None
    assert ledger.is_processed("acme", "sales", ids, RAW, code="abc123", contract="f2") is None
    assert ledger.is_processed("acme", "sales", [], RAW, **asked) is None


def test_process_leaves_nothing_unfinished(ledger):
    receive(ledger, "a.csv")
    process(ledger)

    assert (ledger.unfinished(), seats(ledger)) == ([], [])


@pytest.mark.parametrize("state", ["HELD", "DEAD", "DONE", "CLAIMED"])
def test_a_file_that_does_not_wait_is_not_claimed_even_if_nobody_raised_its_fence(ledger, state):
    receive(ledger, "a.csv")
    listed = ledger.waiting("acme", "sales", RAW)
    claim = claim_of(ledger)
    ledger.store.update((claim.pk, claim.sk), [Claim.st.set(state)])

    with pytest.raises(NothingClaimed):
        ledger.begin("acme", RAW, "sales", listed)
    assert (claim_of(ledger).st, claim_of(ledger).owner) == (state, None)


def test_a_dead_run_gives_back_no_file_that_is_another_runs_by_now(ledger, clock):
    receive(ledger, "a.csv")
    dead = begin(ledger)
    ledger.fail(dead, "out of memory")
    clock.move(minutes=1)
    heir = begin(ledger, glue_run="jr_2")

    ledger._release_all(ledger.header("acme", dead.run))

    assert (claim_of(ledger).st, claim_of(ledger).owner) == ("CLAIMED", heir.run)
