"""Claim, commit, finalise, fail, fence: one step of the protocol per test."""

from datetime import UTC, datetime

import boto3
import pytest

from lineage import table
from lineage.errors import NothingClaimed, NotInLedger, OutputTaken, RunNotOpen, RunOpen
from lineage.holds import Holds
from lineage.items import Claim, Version
from lineage.items import Run as Header
from lineage.ledger import Ledger
from lineage.receipts import Receipt
from lineage.store import Store
from lineage.values import CommitRecord, FileStatus, HeaderState, InputResult, Output
from tests.lineage.builders import (
    ANALYTICS,
    RAW,
    TABLE,
    Clock,
    a_file,
    begin,
    commit_key,
    enter,
    merge,
    process,
    processed,
)


def states(ledger: Ledger) -> list[str]:
    return [file.state for file in ledger.files("acme")]


# -- receive ---------------------------------------------------------------------------------------------------------


def test_a_new_file_version_is_entered_once(ledger):
    assert ledger.receive(a_file(), RAW) is True
    assert ledger.receive(a_file(), RAW) is False
    assert [(one.key, one.version) for one in ledger.waiting("acme", "sales", RAW)] == [("raw/sales/a.csv", "v1")]


def test_a_second_version_of_a_key_is_another_file(ledger):
    ledger.receive(a_file(version="v1"), RAW)

    assert ledger.receive(a_file(version="v2"), RAW) is True
    assert sorted(file.version for file in ledger.files("acme")) == ["v1", "v2"]


def test_the_same_event_with_another_time_is_still_a_duplicate(ledger):
    ledger.receive(a_file(), RAW)

    later = a_file(arrived_at=datetime(2024, 9, 21, tzinfo=UTC))
    assert ledger.receive(later, RAW) is False
    assert len(ledger.files("acme")) == 1


def test_many_files_are_entered_together_and_duplicates_do_not_hinder_the_others(ledger):
    ledger.receive(a_file("1.csv"), RAW)
    receipts = [Receipt(file=a_file(f"{number}.csv"), job=RAW) for number in (0, 1, 2, 2)]

    assert ledger.receive_all(receipts) == [True, False, True, False]
    assert len(ledger.waiting("acme", "sales", RAW)) == 3


def test_more_files_than_one_request_holds_are_entered(ledger):
    receipts = [Receipt(file=a_file(f"{number:03d}.csv"), job=RAW) for number in range(70)]

    assert ledger.receive_all(receipts) == [True] * 70
    assert len(ledger.files("acme")) == 70


def test_a_file_without_a_dataset_is_listed_as_unrouted_with_the_reason(ledger):
    ledger.receive(a_file(key="raw/odd/x.bin", dataset=None), None, reason="no contract matches the key")

    [file] = ledger.files("acme")
    assert (file.key, file.dataset, file.state, file.reason) == (
        "raw/odd/x.bin",
        None,
        FileStatus.UNROUTED,
        "no contract matches the key",
    )


def test_a_held_file_waits_for_nothing(ledger):
    ledger.receive(a_file(), RAW, held=True)

    assert ledger.waiting("acme", "sales", RAW) == []
    assert states(ledger) == [FileStatus.HELD]


def test_waiting_files_come_oldest_first_and_no_more_than_asked_for(ledger):
    for minute, name in ((3, "c.csv"), (1, "a.csv"), (2, "b.csv")):
        ledger.receive(a_file(name, arrived_at=datetime(2024, 9, 20, 11, minute, tzinfo=UTC)), RAW)

    assert [one.key for one in ledger.waiting("acme", "sales", RAW, limit=2)] == ["raw/sales/a.csv", "raw/sales/b.csv"]


# -- begin and take --------------------------------------------------------------------------------------------------


def test_a_run_gets_what_it_was_begun_with(ledger):
    ledger.receive(a_file("a.csv", size=7, etag="ea"), RAW)
    ledger.receive(a_file("b.csv", version=None), RAW)

    run = begin(ledger)

    assert (run.job, run.tenant, run.dataset, run.attempt, run.glue_run) == (RAW, "acme", "sales", 1, "jr_1")
    assert {(one.key, one.version, one.size, one.etag) for one in run.members} == {
        ("raw/sales/a.csv", "v1", 7, "ea"),
        ("raw/sales/b.csv", None, 10, "e1"),
    }
    assert ledger.waiting("acme", "sales", RAW) == []
    assert states(ledger) == [FileStatus.PROCESSING, FileStatus.PROCESSING]


def test_the_same_files_are_the_same_batch_whichever_run_holds_them(ledger, clock):
    ledger.receive(a_file("a.csv"), RAW)
    ledger.receive(a_file("b.csv"), RAW)
    first = begin(ledger)
    ledger.fail(first, "out of memory")
    clock.move(minutes=1)

    second = begin(ledger, glue_run="jr_2")

    assert second.batch == first.batch
    assert (second.run != first.run, second.attempt) == (True, 2)


def test_one_run_per_tenant_dataset_and_job_is_open(ledger):
    ledger.receive(a_file("a.csv"), RAW)
    begin(ledger)
    ledger.receive(a_file("b.csv"), RAW)

    with pytest.raises(RunOpen, match="raw_to_processed on acme/sales"):
        ledger.begin("acme", RAW, "sales", ledger.waiting("acme", "sales", RAW))


def test_a_run_over_files_that_others_have_is_not_begun(ledger):
    ledger.receive(a_file(), RAW)
    stale_list = ledger.waiting("acme", "sales", RAW)
    process(ledger)

    with pytest.raises(NothingClaimed):
        ledger.begin("acme", RAW, "sales", stale_list)
    assert ledger.slots("acme") == []


def test_a_run_takes_only_the_files_it_could_claim(ledger):
    ledger.receive(a_file("a.csv"), RAW)
    process(ledger)
    done = a_file("a.csv")
    ledger.receive(a_file("b.csv"), RAW)
    [free] = ledger.waiting("acme", "sales", RAW)
    both = [free, free.__class__(**{**vars(free), "key": done.key, "fid": done.fid, "ver": done.ver})]

    run = ledger.take("acme", RAW, ledger.begin("acme", RAW, "sales", both), "jr_3")

    assert [one.key for one in run.members] == ["raw/sales/b.csv"]


def test_more_files_than_one_chunk_holds(ledger, monkeypatch):
    # The real limits, 500 and 100, made smaller.
    monkeypatch.setattr("lineage.chunks.REFS", 10)
    monkeypatch.setattr("lineage.chunks.INLINE", 10)
    receipts = [Receipt(file=a_file(f"{number:04d}.csv"), job=RAW) for number in range(33)]
    ledger.receive_all(receipts)

    run = process(ledger)

    assert len(run.members) == 33
    assert {(file.state, file.rows) for file in ledger.files("acme")} == {(FileStatus.PROCESSED, 5)}
    assert len(ledger.inputs_of(ledger.header("acme", run.run))) == 33


def test_a_run_belongs_to_the_glue_run_that_took_it_first(ledger):
    ledger.receive(a_file(), RAW)
    run = begin(ledger, glue_run="jr_1")

    with pytest.raises(RunNotOpen, match="held by Glue run jr_1, this is jr_2"):
        ledger.take("acme", RAW, run.run, "jr_2")
    assert ledger.take("acme", RAW, run.run, "jr_1") == run


def test_a_run_that_nobody_began_cannot_be_taken(ledger):
    with pytest.raises(RunNotOpen, match="not in the ledger"):
        ledger.take("acme", RAW, "0192-none", "jr_1")


# -- commit and finalise ---------------------------------------------------------------------------------------------


def test_a_file_is_processed_then_queryable(ledger):
    ledger.receive(a_file(), RAW)
    first = process(ledger, rows=98, rejected=2, reason="amount: x is not decimal(18,2)")

    [file] = ledger.files("acme")
    assert (file.state, file.rows, file.rejected, file.reason, file.run) == (
        FileStatus.PROCESSED,
        98,
        2,
        "amount: x is not decimal(18,2)",
        first.run,
    )

    merge(ledger)

    assert states(ledger) == [FileStatus.QUERYABLE]
    assert ledger.unfinished() == []


def test_a_commit_counts_before_it_is_finalised(ledger):
    ledger.receive(a_file(), RAW)
    process(ledger, finalised=False, rows=3)
    merge(ledger, finalised=False)

    [file] = ledger.files("acme")
    assert (file.state, file.rows) == (FileStatus.QUERYABLE, 3)


def test_a_file_of_which_no_row_went_through_is_quarantined_with_the_reason(ledger):
    ledger.receive(a_file(), RAW)
    process(ledger, rows=0, rejected=4, reason="not a CSV file")

    [file] = ledger.files("acme")
    assert (file.state, file.rejected, file.reason) == (FileStatus.QUARANTINED, 4, "not a CSV file")


def test_a_file_without_rows_is_no_reason_to_quarantine(ledger):
    ledger.receive(a_file(), RAW)
    process(ledger, rows=0)
    merge(ledger)

    assert states(ledger) == [FileStatus.QUERYABLE]


def test_committing_twice_is_committing_once(ledger):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    ledger.commit(run, processed(run))
    ledger.commit(run, processed(run))
    ledger.finalise(run)
    ledger.finalise(run)

    assert [one.state for one in ledger.runs("acme")] == [HeaderState.COMPLETED]


def test_a_commit_whose_answer_is_lost_is_found_again(aws, clock):
    class LosesTheAnswer(Store):
        armed = False

        def send(self, operation, request):
            from botocore.exceptions import ReadTimeoutError

            answer = super().send(operation, request)
            if self.armed and operation == "TransactWriteItems":
                raise ReadTimeoutError(endpoint_url="https://dynamodb")
            return answer

    store = LosesTheAnswer(TABLE, workers=1)
    ledger = Ledger(TABLE, store=store, clock=clock)
    enter(ledger, "acme")
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    store.armed = True

    ledger.commit(run, processed(run))

    assert ledger.run("acme", run.run).state == HeaderState.COMPLETED


def test_a_commit_that_never_arrives_is_an_error_and_not_a_success(aws, clock):
    from botocore.exceptions import EndpointConnectionError

    class Unreachable(Store):
        armed = False

        def send(self, operation, request):
            if self.armed and operation == "TransactWriteItems":
                raise EndpointConnectionError(endpoint_url="https://dynamodb")
            return super().send(operation, request)

    store = Unreachable(TABLE, workers=1)
    ledger = Ledger(TABLE, store=store, clock=clock)
    enter(ledger, "acme")
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    store.armed = True

    with pytest.raises(EndpointConnectionError):
        ledger.commit(run, processed(run))


def test_more_outputs_than_one_transaction_holds_count_together(ledger):
    ledger.receive(a_file(), RAW)
    run = process(ledger, files=230)

    outputs = ledger.outputs_of(ledger.header("acme", run.run))
    assert len(outputs) == 231
    assert {output.run for output in outputs.values()} == {run.run}


def test_outputs_that_a_dead_attempt_entered_are_taken_over(ledger, clock):
    # The dead attempt won the PUT of the commit object, so its files are the ones that the next attempt commits.
    ledger.receive(a_file(), RAW)
    dead = begin(ledger)
    record = processed(dead, files=120)
    for position, output in enumerate(record.outputs):
        if position > 97:
            ledger.enter_output(dead, table.node_id(output.key, output.version), output, None)
    ledger.fail(dead, "killed")
    clock.move(minutes=1)
    run = begin(ledger, glue_run="jr_2")

    ledger.commit(run, record)

    outputs = ledger.outputs_of(ledger.header("acme", run.run))
    assert (len(outputs), {output.run for output in outputs.values()}) == (121, {run.run})


def test_outputs_that_another_run_committed_are_not_taken_over(ledger):
    ledger.receive(a_file("a.csv"), RAW)
    first = process(ledger)
    ledger.receive(a_file("b.csv"), RAW)
    second = begin(ledger, glue_run="jr_2")
    stolen = processed(first).outputs[0]
    record = CommitRecord(
        outputs=[stolen],
        inputs=[InputResult(key="raw/sales/b.csv", version="v1", rows=1, rejected=0)],
        rows_in=1,
        rows_out=1,
        rejected=0,
    )

    with pytest.raises(OutputTaken, match=stolen.key):
        ledger.commit(second, record)
    assert ledger.run("acme", second.run).state == HeaderState.RUNNING


def test_a_commit_that_leaves_a_member_out_is_refused(ledger):
    ledger.receive(a_file("a.csv"), RAW)
    ledger.receive(a_file("b.csv"), RAW)
    run = begin(ledger)
    record = processed(run)

    with pytest.raises(ValueError, match="raw/sales/"):
        ledger.commit(run, CommitRecord(**{**vars(record), "inputs": record.inputs[:1]}))


def test_a_commit_object_waits_for_the_commit_of_the_run_that_wrote_it(ledger):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    ledger.receive(a_file(key=commit_key(run), version="c1"), ANALYTICS)

    assert ledger.waiting("acme", "sales", ANALYTICS) == []

    ledger.commit(run, processed(run))

    assert [one.key for one in ledger.waiting("acme", "sales", ANALYTICS)] == [commit_key(run)]


def test_a_commit_object_may_be_registered_before_or_after_the_commit(ledger):
    ledger.receive(a_file(), RAW)
    run = process(ledger)  # commits first

    [version] = ledger.store.query(Version, table.file_pk("acme", table.file_id(commit_key(run))), "V#")
    assert (version.run, version.arrived, version.etag) == (run.run, "2024-09-20T11:59:00.000000Z", "e1")
    assert ledger.receive(a_file(key=commit_key(run), version="c1"), ANALYTICS) is False


def test_an_event_without_a_version_id_finds_the_commit_object_that_its_run_committed(ledger):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    ledger.receive(a_file(key=commit_key(run), version=None, etag="e9", size=77), ANALYTICS)
    ledger.commit(run, processed(run))

    assert [one.key for one in ledger.waiting("acme", "sales", ANALYTICS)] == [commit_key(run)]


def test_commit_objects_are_not_listed_among_the_files(ledger):
    ledger.receive(a_file(), RAW)
    process(ledger)

    assert [file.key for file in ledger.files("acme")] == ["raw/sales/a.csv"]


# -- fail, fence, recover --------------------------------------------------------------------------------------------


def test_the_files_of_a_failed_run_wait_again_after_a_pause(ledger, clock):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)

    assert ledger.fail(run, "out of memory") is True
    assert ledger.waiting("acme", "sales", RAW) == []

    clock.move(seconds=11)

    [member] = ledger.waiting("acme", "sales", RAW)
    assert member.attempt == 1
    [file] = ledger.files("acme")
    assert (file.state, file.reason) == (FileStatus.RECEIVED, "out of memory")
    assert ledger.unfinished() == []


def test_after_three_attempts_a_file_is_given_up_with_the_reason(ledger, clock):
    ledger.receive(a_file(), RAW)
    for attempt in range(3):
        run = begin(ledger, glue_run=f"jr_{attempt}")
        ledger.fail(run, f"failure {attempt}")
        clock.move(hours=1)

    assert ledger.waiting("acme", "sales", RAW) == []
    [file] = ledger.files("acme")
    assert (file.state, file.reason) == (FileStatus.QUARANTINED, "failure 2")


def test_a_run_that_could_not_be_started_costs_its_files_no_attempt_and_a_short_pause(ledger, clock):
    ledger.receive(a_file(), RAW)
    for _ in range(5):
        run = ledger.begin("acme", RAW, "sales", ledger.waiting("acme", "sales", RAW))
        ledger.fail(ledger.run("acme", run), "Glue is busy", counts=False)
        clock.move(seconds=14)
        assert ledger.waiting("acme", "sales", RAW) == []
        clock.move(seconds=16)

    [member] = ledger.waiting("acme", "sales", RAW)
    [file] = ledger.files("acme")
    assert (member.attempt, file.state, file.reason) == (0, FileStatus.RECEIVED, "Glue is busy")


def test_a_commit_object_given_up_by_the_second_job_fails_its_files(ledger, clock):
    ledger.receive(a_file(), RAW)
    process(ledger)
    for attempt in range(3):
        ledger.fail(begin(ledger, job=ANALYTICS, glue_run=f"jr_{attempt}"), "no such table")
        clock.move(hours=1)

    [file] = ledger.files("acme")
    assert (file.state, file.reason) == (FileStatus.FAILED, "no such table")


def test_a_committed_run_cannot_fail_any_more(ledger):
    ledger.receive(a_file(), RAW)
    run = process(ledger)

    assert ledger.fail(run, "too late") is False
    assert ledger.run("acme", run.run).state == HeaderState.COMPLETED


def test_a_run_without_heartbeat_is_fenced_and_its_files_wait_again(ledger, clock):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    clock.move(minutes=4)
    assert ledger.recover() == []

    clock.move(minutes=2)
    [recovered] = ledger.recover()

    assert (recovered.run, recovered.outcome) == (run.run, "fenced")
    clock.move(minutes=1)
    assert len(ledger.waiting("acme", "sales", RAW)) == 1


def test_a_heartbeat_keeps_a_run_alive(ledger, clock):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    for _ in range(10):
        clock.move(minutes=4)
        ledger.heartbeat(run)
        assert ledger.recover() == []


def test_a_zombie_can_neither_beat_nor_commit_nor_finalise(ledger, clock):
    ledger.receive(a_file(), RAW)
    zombie = begin(ledger)
    clock.move(minutes=6)
    ledger.recover()
    clock.move(minutes=1)
    heir = process(ledger, glue_run="jr_2")

    for act in (ledger.heartbeat, ledger.finalise, lambda run: ledger.commit(run, processed(run))):
        with pytest.raises(RunNotOpen, match="fenced"):
            act(zombie)
    [file] = ledger.files("acme")
    assert file.run == heir.run


def test_the_next_begin_fences_a_silent_run_itself(ledger, clock):
    ledger.receive(a_file("a.csv"), RAW)
    silent = begin(ledger)
    ledger.receive(a_file("b.csv"), RAW)
    clock.move(minutes=6)

    run = begin(ledger, glue_run="jr_2")

    assert [one.key for one in run.members] == ["raw/sales/b.csv"]
    assert ledger.run("acme", silent.run).state == HeaderState.FENCED


def test_a_queued_run_that_nobody_took_is_given_more_time(ledger, clock):
    ledger.receive(a_file(), RAW)
    run = ledger.begin("acme", RAW, "sales", ledger.waiting("acme", "sales", RAW))
    ledger.started("acme", RAW, run, "jr_1")
    clock.move(minutes=14)
    assert ledger.recover() == []

    clock.move(minutes=2)
    assert [one.outcome for one in ledger.recover()] == ["fenced"]


def test_a_commit_that_nobody_finalised_is_rolled_forward(ledger, clock):
    ledger.receive(a_file(), RAW)
    run = process(ledger, finalised=False)
    clock.move(minutes=1)

    assert [(one.run, one.outcome) for one in ledger.recover()] == [(run.run, "finalised")]
    claim = ledger.store.get(Claim, (table.file_pk("acme", a_file().fid), table.claim_sk(a_file().ver, RAW)))
    assert (claim.st, claim.owner, claim.rows) == ("DONE", run.run, 5)
    assert ledger.recover() == []


def test_a_failure_that_stopped_half_way_is_completed(aws, clock: Clock):
    class Dies(Store):
        after = -1

        def send(self, operation, request):
            if self.after == 0:
                raise KeyboardInterrupt
            self.after -= 1
            return super().send(operation, request)

    store = Dies(TABLE, workers=1)
    ledger = Ledger(TABLE, store=store, clock=clock)
    enter(ledger, "acme")
    ledger.receive_all([Receipt(file=a_file(f"{number}.csv"), job=RAW) for number in range(3)])
    run = begin(ledger)
    store.after = 5  # header read, transaction, header read, members, one claim
    with pytest.raises(KeyboardInterrupt):
        ledger.fail(run, "killed")
    store.after = -1
    clock.move(minutes=1)
    assert len(ledger.waiting("acme", "sales", RAW)) == 1

    assert [one.outcome for one in ledger.recover()] == ["released"]

    clock.move(minutes=1)
    assert len(ledger.waiting("acme", "sales", RAW)) == 3


def test_a_glue_run_is_found_by_what_it_was_started_as_until_it_is_taken(ledger):
    ledger.receive(a_file(), RAW)
    run = ledger.begin("acme", RAW, "sales", ledger.waiting("acme", "sales", RAW))
    ledger.started("acme", RAW, run, "jr_1")

    assert ledger.open_run_of_glue("acme", RAW, "jr_1").run == run

    ledger.take("acme", RAW, run, "jr_0")  # the start whose answer was lost came first

    assert ledger.open_run_of_glue("acme", RAW, "jr_1") is None
    assert ledger.open_run_of_glue("acme", RAW, "jr_0").run == run


# -- entries ---------------------------------------------------------------------------------------------------------


def test_a_tenant_is_found_by_bucket_and_by_glue_job(ledger):
    enter(ledger, "skyline")

    assert ledger.tenant_of_bucket("lake-skyline-dev-datalake") == "skyline"
    assert ledger.tenant_of_bucket("somebody-elses") is None
    assert ledger.owner_of_glue_job("lake-acme-dev-raw-to-processed") == ("acme", RAW)
    assert [tenant.tenant for tenant in ledger.tenants()] == ["acme", "skyline"]
    assert list(ledger.tenant("acme").jobs) == [RAW, ANALYTICS]


def test_an_unknown_tenant_or_dataset_is_named_with_what_to_do(ledger):
    with pytest.raises(NotInLedger, match="lake deploy nobody"):
        ledger.tenant("nobody")
    with pytest.raises(NotInLedger, match="deployed datasets: sales"):
        ledger.dataset("acme", "purchases")


def test_two_ledgers_in_one_process_do_not_mix(ledger, clock):
    import boto3

    boto3.client("dynamodb").create_table(**table.definition("other-ledger"))
    other = Ledger("other-ledger", clock=clock)
    enter(other, "skyline")

    assert [tenant.tenant for tenant in other.tenants()] == ["skyline"]
    assert [tenant.tenant for tenant in ledger.tenants()] == ["acme"]


def test_quarantine_output_keeps_no_way_to_the_next_job(ledger):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    record = processed(run)
    bad = Output(
        key="quarantine/sales/year=2024/month=09/run=x/0.parquet", version=None, zone="quarantine", dataset="sales"
    )
    ledger.commit(run, CommitRecord(**{**vars(record), "outputs": [*record.outputs, bad]}))

    outputs = ledger.outputs_of(ledger.header("acme", run.run))
    assert {output.key: bool(output.via) for output in outputs.values()} == {
        record.outputs[0].key: True,
        commit_key(run): False,
        bad.key: False,
    }


def test_the_same_content_put_again_after_another_is_a_new_version_where_events_carry_no_version_id(ledger):
    for sequencer in ("01", "03"):
        assert ledger.receive(a_file(version=None, etag="a", sequencer=sequencer), RAW)

    assert not ledger.receive(a_file(version=None, etag="a", sequencer="03"), RAW)


def test_what_another_tenant_writes_into_the_waiting_list_is_not_looked_at(ledger):
    ledger.receive(a_file(), RAW)
    forged = Claim(
        pk=table.file_pk("globex", "f"), sk=table.claim_sk("v", RAW), st="RECEIVED", job=RAW, dataset="sales",
        key="raw/x", size=1, etag="e", arrived="x", g2pk=table.waiting_pk("acme", "sales", RAW), g2sk="0",
    )  # fmt: skip
    ledger.store.put(forged)

    assert [member.key for member in ledger.waiting("acme", "sales", RAW)] == ["raw/sales/a.csv"]


def test_a_header_that_nobody_can_read_keeps_no_other_run_from_being_put_in_order(ledger, clock):
    ledger.receive(a_file(), RAW)
    run = begin(ledger)
    forged = Header(
        pk=table.job_pk("globex", RAW), sk="zzz", tenant="globex", job=RAW, dataset="sales", st="RUNNING",
        started="x", hb="x", g2pk=table.open_pk(run.run), g2sk="0",
    )  # fmt: skip
    ledger.store.put(forged)
    clock.move(hours=1)

    outcomes = {done.run: done.outcome for done in ledger.recover()}

    assert outcomes[run.run] == "fenced"
    assert "Unreadable" in outcomes["zzz"]


@pytest.mark.parametrize("kind", ["zzz", "seat", "claim", "run"])
@pytest.mark.parametrize("place", ["OPEN#0", "WAIT#acme#sales#raw_to_processed", "HELD#acme"])
def test_whatever_one_tenant_writes_under_an_index_key_keeps_no_other_waiting(ledger, place, kind):
    ledger.receive(a_file(), RAW)
    forged = {"PK": "T#globex#X", "SK": "x", "kind": kind, "g2pk": place, "g2sk": "0", "fence": "no number"}
    boto3.client("dynamodb").put_item(TableName=TABLE, Item={name: {"S": value} for name, value in forged.items()})

    ledger.recover()

    assert [member.key for member in ledger.waiting("acme", "sales", RAW)] == ["raw/sales/a.csv"]
    assert Holds(ledger).release("acme") == 0
