"""The reconciler on a versioned bucket and a ledger in memory (moto)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID

from ingestion import listing, reconcile, visit
from ingestion.order import WrongOrder
from ingestion.reconcile import Reconciler
from ingestion.register import Registrar
from ingestion.settings import Settings
from lineage.bucket_owner import insisting
from lineage.holds import Holds
from lineage.values import FileStatus, HeaderState
from tests.ingestion.builders import BUCKET, Functions, an_event, messages
from tests.lineage.builders import ANALYTICS, RAW, TABLE, a_file, begin, commit_key, enter, merge, process, processed

SETTINGS = Settings(
    ledger=TABLE,
    dispatch_function="lake-dev-dispatch",
    reconcile_function="lake-dev-reconcile",
    topic="arn:aws:sns:us-east-1:000000000000:lake-dev-alerts",
    queue="https://sqs.us-east-1.amazonaws.com/000000000000/lake-dev-arrivals",
    dead_letter_queue="https://sqs.us-east-1.amazonaws.com/000000000000/lake-dev-arrivals-dead",
    environment="dev",
)


class Lake:
    """The bucket of tenant acme: objects, with or without their events, and the reconciler's look at it."""

    def __init__(self, ledger, clock):
        self.ledger, self.clock = ledger, clock
        self.s3 = insisting(boto3.client("s3"), ACCOUNT_ID)
        self.s3.create_bucket(Bucket=BUCKET)
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        self.functions = Functions()
        self.reconciler = Reconciler(ledger, self.s3, self.functions, SETTINGS, clock=clock)

    def put(self, key, body=b"id,amount\n1,2\n"):
        """An object whose event got lost; gives it as its event would have told of it."""
        answer = self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return a_file(
            key=key,
            version=answer["VersionId"],
            size=len(body),
            etag=answer["ETag"].strip('"'),
            arrived_at=datetime.now(UTC),
        )

    def arrive(self, key, body=b"id,amount\n1,2\n", *, version_id=True, **more):
        """An object and its event."""
        file = self.put(key, body)
        version = file.version if version_id else None
        file = a_file(key=key, version=version, size=file.size, etag=file.etag, arrived_at=file.arrived_at, **more)
        assert self.ledger.receive(file, RAW if key.startswith("raw/") else ANALYTICS)
        return file

    def delete(self, key, version=None):
        self.s3.delete_object(Bucket=BUCKET, Key=key, **({"VersionId": version} if version else {}))

    def objects(self):
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def reconcile(self, *, hours=0.4, **order):
        """A look, 24 minutes later unless said otherwise."""
        self.clock.move(hours=hours)
        return self.reconciler.handle({"tenant": "acme", **order})

    def waiting(self, job=RAW):
        return [(member.key, member.version) for member in self.ledger.waiting("acme", "sales", job)]

    def write(self, run, record):
        """What a run wrote, on S3."""
        for output in record.outputs:
            self.put(output.key, b"x" * 100)


@pytest.fixture
def lake(ledger, clock):
    # The bucket's times are the machine's own.
    clock.now = datetime.now(UTC)
    return Lake(ledger, clock)


def live(lake, **retention):
    """From now on the tenant's objects live so many days."""
    lake.ledger.put_tenant(replace(lake.ledger.tenant("acme"), retention=retention))


def keys(entries):
    return [entry["key"] for entry in entries]


# -- what events missed ------------------------------------------------------------------------------------------------


def test_what_the_events_missed_is_registered_and_dispatch_is_told(lake):
    missed = lake.put("raw/sales/a.csv")

    report = lake.reconcile()

    assert report["registered"] == [
        {
            "key": "raw/sales/a.csv",
            "version": missed.version,
            "dataset": "sales",
            "size": 14,
            "state": "RECEIVED",
            "reason": None,
        }
    ]
    assert lake.waiting() == [("raw/sales/a.csv", missed.version)]
    assert lake.functions.invoked == [
        ("lake-dev-dispatch", "Event", {"tenant": "acme", "dataset": "sales", "job": RAW})
    ]


def test_an_event_that_comes_after_all_is_a_duplicate(lake):
    late = lake.put("raw/sales/a.csv")
    lake.reconcile()

    assert lake.ledger.receive(late, RAW) is False
    assert [file.key for file in lake.ledger.files("acme")] == ["raw/sales/a.csv"]


def test_what_is_registered_is_left_as_it_is_and_a_second_look_finds_nothing(lake):
    lake.arrive("raw/sales/a.csv")
    lake.put("raw/sales/b.csv")

    first, second = lake.reconcile(), lake.reconcile()

    assert keys(first["registered"]) == ["raw/sales/b.csv"]
    assert second["counts"] == {"registered": 0, "orphans": 0, "ghosts": 0, "stuck": 0}
    assert second["listed"] == 2


def test_every_version_of_a_key_is_a_file_of_its_own(lake):
    one, two = lake.put("raw/sales/a.csv", b"1"), lake.put("raw/sales/a.csv", b"2")

    lake.reconcile()

    assert sorted(lake.waiting()) == sorted([("raw/sales/a.csv", one.version), ("raw/sales/a.csv", two.version)])


def test_what_was_deleted_before_anybody_saw_it_is_not_registered(lake):
    lake.put("raw/sales/a.csv")
    lake.delete("raw/sales/a.csv")

    assert lake.reconcile()["counts"] == {"registered": 0, "orphans": 0, "ghosts": 0, "stuck": 0}
    assert lake.waiting() == []


def test_what_is_younger_than_the_grace_is_left_to_its_event(lake):
    lake.put("raw/sales/a.csv")

    report = lake.reconcile(hours=0.2)  # 12 minutes

    assert (report["young"], report["registered"]) == (1, [])
    assert keys(lake.reconcile(hours=0.1)["registered"]) == ["raw/sales/a.csv"]


def test_a_grace_may_be_none_at_all(lake):
    lake.put("raw/sales/a.csv")
    lake.clock.move(seconds=1)

    assert keys(lake.reconcile(hours=0, grace_s=0)["registered"]) == ["raw/sales/a.csv"]


def test_of_a_tenant_that_is_suspended_files_are_held(lake):
    enter(lake.ledger, "acme", state="suspended")
    lake.put("raw/sales/a.csv")

    assert lake.reconcile()["registered"][0]["state"] == "HELD"
    assert lake.waiting() == []
    assert lake.functions.invoked == []


def test_what_no_contract_takes_is_entered_as_unrouted_once(lake):
    lake.put("raw/other/a.csv")
    lake.put("raw/folder/", b"")

    report = lake.reconcile()

    assert [(entry["key"], entry["state"]) for entry in report["registered"]] == [
        ("raw/folder/", "UNROUTED"),
        ("raw/other/a.csv", "UNROUTED"),
    ]
    assert {file.state for file in lake.ledger.files("acme")} == {FileStatus.UNROUTED}
    assert lake.reconcile()["registered"] == []


def test_the_owner_is_told_of_what_no_contract_takes_once_per_folder(lake):
    told = []

    class Told:
        def tell(self, alert, tenant):
            told.append((tenant.tenant, alert.key, alert.others))

    lake.reconciler.alerts = Told()
    for key in ("raw/other/a.csv", "raw/other/b.csv", "raw/else/c.csv", "raw/sales/d.csv"):
        lake.put(key)

    lake.reconcile(dry_run=True)
    assert told == []
    lake.reconcile()
    assert sorted(told) == [("acme", "raw/else/c.csv", 0), ("acme", "raw/other/a.csv", 1)]


def test_keys_are_taken_as_they_are(lake, monkeypatch):
    monkeypatch.setattr(visit, "PAGE", 2)
    odd = ["raw/sales/a b.csv", "raw/sales/50%.csv", "raw/sales/%20.csv", "raw/sales/1+1.csv", "raw/sales/ü/日本.csv"]
    long = "raw/sales/" + "x" * (1024 - len("raw/sales/"))
    for key in [*odd, long]:
        lake.put(key)

    lake.reconcile()

    assert sorted(key for key, _ in lake.waiting()) == sorted([*odd, long])
    assert lake.reconcile()["registered"] == []


def test_a_dry_run_says_the_same_and_changes_nothing(lake):
    lake.put("raw/sales/a.csv")

    report = lake.reconcile(dry_run=True)

    assert (report["dry_run"], keys(report["registered"])) == (True, ["raw/sales/a.csv"])
    assert lake.waiting() == []
    assert lake.functions.invoked == []


def test_one_file_that_cannot_be_entered_keeps_no_other_out(lake, monkeypatch):
    lake.put("raw/sales/a.csv")
    lake.put("raw/sales/b.csv")
    real = lake.ledger.receive_all

    def refuses_a(receipts):
        if any(receipt.file.key.endswith("a.csv") for receipt in receipts):
            raise RuntimeError("no room")
        return real(receipts)

    monkeypatch.setattr(lake.ledger, "receive_all", refuses_a)

    report = lake.reconcile()

    assert keys(report["registered"]) == ["raw/sales/b.csv"]
    assert [(entry["key"], entry["why"]) for entry in report["orphans"]] == [
        ("raw/sales/a.csv", "could not be registered: RuntimeError: no room")
    ]


# -- events without version ids ----------------------------------------------------------------------------------------


def test_where_events_carry_no_version_id_a_file_is_known_by_its_content(lake):
    lake.arrive("raw/sales/a.csv", version_id=False)

    report = lake.reconcile()

    assert (report["registered"], report["ghosts"]) == ([], [])


def told_late(lake, file, **by):
    """The event of a missed object, without a version id, comes after all; or that of another put of the same bytes."""
    time = (file.arrived_at + timedelta(**by)).isoformat()
    event = an_event(file.key, version=None, size=file.size, etag=file.etag, time=time)
    answer = Registrar(lake.ledger, lake.functions, "lake-dev-dispatch").register(messages(event))
    assert answer == {"batchItemFailures": []}


@pytest.mark.parametrize("key", ["raw/sales/a.csv", "raw/odd.bin"])
def test_a_late_event_without_a_version_id_enters_nothing_that_reconcile_has_entered(lake, key):
    missed = lake.put(key)
    lake.reconcile()

    told_late(lake, missed)

    assert [(file.key, file.version) for file in lake.ledger.files("acme")] == [(key, missed.version)]
    assert lake.reconcile()["counts"]["registered"] == 0


def test_a_late_event_finds_its_file_claimed_or_done(lake):
    missed = lake.put("raw/sales/a.csv")
    lake.reconcile()
    run = begin(lake.ledger)
    told_late(lake, missed)
    lake.ledger.commit(run, processed(run))
    lake.ledger.finalise(run)
    told_late(lake, missed)

    assert len(lake.ledger.files("acme")) == 1
    assert lake.waiting() == []


def test_the_same_bytes_put_again_later_are_another_file(lake):
    missed = lake.put("raw/sales/a.csv")
    lake.reconcile()

    told_late(lake, missed, hours=1)

    assert len(lake.ledger.files("acme")) == 2


def test_the_same_bytes_put_twice_are_two_files_of_which_one_was_missed(lake):
    lake.arrive("raw/sales/a.csv", b"same", version_id=False)
    lake.put("raw/sales/a.csv", b"same")

    assert lake.reconcile()["counts"]["registered"] == 1
    assert lake.reconcile()["counts"]["registered"] == 0
    assert len(lake.ledger.files("acme")) == 2


# -- half a registration -----------------------------------------------------------------------------------------------


def test_a_file_whose_claim_is_missing_is_entered_as_the_same_file(lake, ledger):
    file = lake.arrive("raw/sales/a.csv", version_id=False)
    boto3.client("dynamodb").delete_item(
        TableName=TABLE, Key={"PK": {"S": f"T#acme#F#{file.fid}"}, "SK": {"S": f"C#{file.ver}#{RAW}"}}
    )

    report = lake.reconcile()

    assert keys(report["registered"]) == ["raw/sales/a.csv"]
    assert [member.id for member in ledger.waiting("acme", "sales", RAW)] == [f"{file.fid}.{file.ver}"]
    assert len(ledger.files("acme")) == 1


# -- what was there before ---------------------------------------------------------------------------------------------


def test_what_had_no_entry_for_a_month_is_reported_and_not_registered(lake):
    lake.put("raw/sales/a.csv")

    report = lake.reconcile(hours=24 * 31)

    assert report["registered"] == []
    assert [(entry["key"], "lake backfill acme" in entry["why"]) for entry in report["orphans"]] == [
        ("raw/sales/a.csv", True)
    ]


def test_a_backfill_registers_it_whatever_its_age(lake):
    for key in ("raw/sales/2023/a.csv", "raw/sales/2024/b.csv"):
        lake.put(key)

    report = lake.reconcile(hours=24 * 400, task="backfill", prefix="raw/sales/2023/")

    assert keys(report["registered"]) == ["raw/sales/2023/a.csv"]
    assert [key for key, _ in lake.waiting()] == ["raw/sales/2023/a.csv"]


def test_a_backfill_looks_at_nothing_else(lake):
    lake.put("processed/sales/what.parquet")
    gone = lake.arrive("raw/sales/a.csv")
    lake.delete("raw/sales/a.csv", gone.version)

    report = lake.reconcile(task="backfill", prefix="raw/")

    assert report["counts"] == {"registered": 0, "orphans": 0, "ghosts": 0, "stuck": 0}


def test_what_the_ledger_may_have_forgotten_is_not_registered_even_by_a_backfill(lake):
    live(lake, raw=5)
    lake.put("raw/sales/a.csv")
    live(lake, raw=365)

    report = lake.reconcile(hours=24 * 60, task="backfill", prefix="raw/")

    assert report["registered"] == []
    assert "its retention was raised" in report["orphans"][0]["why"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": "backfill", "prefix": "processed/"},
        {"task": "backfill"},
        {"task": "tidy"},
        {"dryrun": True},
        {"resume": "athena-results/x.csv"},
    ],
)
def test_an_order_that_cannot_be_meant_is_refused(lake, wrong):
    with pytest.raises(WrongOrder):
        lake.reconcile(**wrong)


def test_raw_files_wait_while_the_ledger_does_not_know_the_runs_of_the_bucket(lake):
    lake.put("processed/sales/_commits/0123456789abcdef0123.json")
    lake.put("raw/sales/a.csv")

    report = lake.reconcile()

    assert report["registered"] == []
    assert [(entry["key"], "lake rebuild-ledger acme" in entry["why"]) for entry in report["orphans"]] == [
        ("raw/sales/a.csv", True),
        ("processed/sales/_commits/0123456789abcdef0123.json", True),
    ]


# -- what jobs wrote ---------------------------------------------------------------------------------------------------


def first_run(lake, *, commit=True, **record):
    """A run of the first job over one file, its objects on S3; the event of its commit object is missed."""
    lake.arrive("raw/sales/a.csv")
    run = begin(lake.ledger)
    made = processed(run, **record)
    lake.write(run, made)
    if commit:
        lake.ledger.commit(run, made)
        lake.ledger.finalise(run)
    return run


def test_a_commit_object_whose_event_was_missed_is_registered_for_the_next_job(lake):
    run = first_run(lake)

    report = lake.reconcile()

    assert [(entry["key"], entry["dataset"]) for entry in report["registered"]] == [(commit_key(run), "sales")]
    assert [key for key, _ in lake.waiting(ANALYTICS)] == [commit_key(run)]
    assert lake.functions.invoked[-1][2] == {"tenant": "acme", "dataset": "sales", "job": ANALYTICS}
    assert lake.reconcile()["registered"] == []


def test_what_a_completed_run_names_stays_for_ever(lake):
    run = first_run(lake)

    report = lake.reconcile(hours=24 * 29)

    assert report["staging"] == {"found": 0, "removed": 0, "bytes": 0}
    assert commit_key(run) in lake.objects()


def test_files_of_a_run_that_died_before_its_commit_object_are_removed_after_a_day(lake):
    lake.arrive("raw/sales/a.csv")
    run = begin(lake.ledger)
    lake.put(f"processed/sales/year=2024/month=09/{run.run}-0-0.parquet", b"12345")
    lake.put(f"quarantine/sales/year=2024/month=09/run={run.run}/0-0.parquet", b"678")
    lake.ledger.fail(run, "out of memory")

    early = lake.reconcile(hours=23)
    late = lake.reconcile(hours=2)

    assert early["staging"] == {"found": 0, "removed": 0, "bytes": 0}
    assert late["staging"] == {"found": 2, "removed": 2, "bytes": 8}
    assert lake.objects() == ["raw/sales/a.csv"]
    assert lake.reconcile()["staging"] == {"found": 0, "removed": 0, "bytes": 0}


def test_what_a_zombie_writes_long_after_its_end_is_kept_for_a_day_too(lake):
    lake.arrive("raw/sales/a.csv")
    lake.clock.move(hours=-26)
    run = begin(lake.ledger)
    lake.ledger.fail(run, "out of memory")
    lake.clock.move(hours=26)
    lake.put(f"processed/sales/year=2024/month=09/{run.run}-0-0.parquet")

    assert lake.reconcile(hours=23)["staging"]["found"] == 0
    assert lake.reconcile(hours=2)["staging"]["removed"] == 1


def test_what_was_committed_a_moment_ago_is_not_called_too_young(lake):
    run = first_run(lake)
    lake.put(f"processed/sales/year=2024/month=09/{run.run}-9-9.parquet")

    assert lake.reconcile(hours=0.1)["young"] == 1


def test_a_dry_run_removes_nothing(lake):
    lake.arrive("raw/sales/a.csv")
    run = begin(lake.ledger)
    key = f"processed/sales/year=2024/month=09/{run.run}-0-0.parquet"
    lake.put(key)
    lake.ledger.fail(run, "out of memory")

    assert lake.reconcile(hours=25, dry_run=True)["staging"] == {"found": 1, "removed": 0, "bytes": 14}
    assert key in lake.objects()


def test_files_of_a_run_that_is_at_work_stay(lake):
    lake.arrive("raw/sales/a.csv")
    run = begin(lake.ledger)
    key = f"processed/sales/year=2024/month=09/{run.run}-0-0.parquet"
    lake.put(key)
    lake.clock.move(hours=25)
    lake.ledger.heartbeat(run)

    report = lake.reconcile(hours=0)

    assert report["staging"]["found"] == 0
    assert key in lake.objects()


def test_what_a_completed_run_wrote_and_did_not_name_is_removed(lake):
    run = first_run(lake)
    left = f"processed/sales/year=2024/month=09/{run.run}-9-9.parquet"
    lake.put(left)

    assert lake.reconcile(hours=25)["staging"]["removed"] == 1
    assert left not in lake.objects()
    assert f"processed/sales/year=2024/month=09/{run.run}-0.parquet" in lake.objects()


def test_what_no_known_run_wrote_is_reported_and_never_removed(lake):
    unknown = "processed/sales/year=2024/month=09/01920000-0000-7000-8000-000000000000-0-0.parquet"
    lake.put(unknown)
    lake.put("processed/sales/notes.txt")

    report = lake.reconcile(hours=24 * 10)

    assert keys(report["orphans"]) == ["processed/sales/notes.txt", unknown]
    assert report["staging"]["found"] == 0
    assert sorted(lake.objects()) == ["processed/sales/notes.txt", unknown]


def test_a_commit_object_that_the_next_attempt_will_adopt_stays_with_its_files(lake):
    run = first_run(lake, commit=False)
    lake.ledger.fail(run, "killed after its commit object")

    report = lake.reconcile(hours=48)

    assert report["staging"]["found"] == 0
    assert commit_key(run) in lake.objects()
    assert f"processed/sales/year=2024/month=09/{run.run}-0.parquet" in lake.objects()


def test_what_another_attempt_adopted_counts_under_its_name(lake):
    dead = first_run(lake, commit=False)
    record = processed(dead)
    lake.ledger.fail(dead, "killed after its commit object")
    lake.clock.move(minutes=30)
    heir = begin(lake.ledger, glue_run="jr_2")
    lake.ledger.commit(heir, record)
    lake.ledger.finalise(heir)

    report = lake.reconcile(hours=48)

    assert report["staging"]["found"] == 0
    assert report["ghosts"] == []
    assert f"processed/sales/year=2024/month=09/{dead.run}-0.parquet" in lake.objects()


def given_up(lake):
    """A run over two files dies after its commit object until its batch is cut in two; the halves go through."""
    lake.arrive("raw/sales/a.csv", b"1")
    lake.arrive("raw/sales/b.csv", b"2")
    run = begin(lake.ledger)
    lake.write(run, processed(run))
    lake.ledger.receive(a_file(key=commit_key(run), version="c1"), ANALYTICS)
    lake.ledger.fail(run, "killed")
    for attempt in (2, 3):
        lake.clock.move(minutes=30)
        again = begin(lake.ledger, glue_run=f"jr_{attempt}")
        lake.ledger.fail(again, "killed")
    for half in (1, 2):
        lake.clock.move(minutes=30)
        group = lake.ledger.waiting("acme", "sales", RAW)[:1]
        done = lake.ledger.take("acme", RAW, lake.ledger.begin("acme", RAW, "sales", group), f"jr_half_{half}")
        record = processed(done)
        lake.write(done, record)
        lake.ledger.commit(done, record)
        lake.ledger.finalise(done)
    return run


def test_a_commit_object_that_nobody_adopts_any_more_is_settled_and_removed_with_its_files(lake):
    run = given_up(lake)

    report = lake.reconcile(hours=25)

    assert [(one["what"], one["subject"], one["done"]) for one in report["stuck"]] == [
        ("commit", commit_key(run), "settled")
    ]
    assert report["staging"]["removed"] == 2
    assert not any(run.run in key or run.batch in key for key in lake.objects())
    assert len(lake.waiting(ANALYTICS)) == 2
    assert commit_key(run) not in dict(lake.waiting(ANALYTICS))


def test_a_dry_run_settles_no_commit_object(lake):
    run = given_up(lake)

    lake.reconcile(hours=25, dry_run=True)

    assert commit_key(run) in lake.objects()
    assert lake.reconcile(hours=0)["staging"]["removed"] == 2


# -- what stands still -------------------------------------------------------------------------------------------------


def test_a_run_that_shows_no_life_is_fenced_and_its_files_wait_again(lake):
    lake.arrive("raw/sales/a.csv")
    run = begin(lake.ledger)

    report = lake.reconcile()

    assert [(one["what"], one["subject"], one["done"]) for one in report["stuck"]] == [("run", run.run, "fenced")]
    assert lake.ledger.run("acme", run.run).state == HeaderState.FENCED
    lake.clock.move(minutes=10)
    assert [key for key, _ in lake.waiting()] == ["raw/sales/a.csv"]


def test_a_claim_that_its_dead_run_left_behind_is_freed(lake, monkeypatch):
    lake.arrive("raw/sales/a.csv")
    run = begin(lake.ledger)
    with monkeypatch.context() as crash:
        crash.setattr(type(lake.ledger), "_release", lambda *_: None)
        lake.ledger.fail(run, "killed")

    report = lake.reconcile()

    assert [(one["what"], one["subject"]) for one in report["stuck"]] == [("claim", "raw/sales/a.csv")]
    lake.clock.move(minutes=10)
    assert [key for key, _ in lake.waiting()] == ["raw/sales/a.csv"]


# -- what is gone ------------------------------------------------------------------------------------------------------


def test_a_waiting_file_whose_object_is_gone_is_a_ghost(lake):
    gone = lake.arrive("raw/sales/a.csv")
    lake.delete("raw/sales/a.csv", gone.version)

    assert [(one["key"], one["version"]) for one in lake.reconcile()["ghosts"]] == [("raw/sales/a.csv", gone.version)]


def test_an_entry_younger_than_the_grace_is_no_ghost(lake):
    gone = lake.arrive("raw/sales/a.csv")
    lake.delete("raw/sales/a.csv", gone.version)

    assert lake.reconcile(hours=0.1)["ghosts"] == []


def test_what_outlived_its_retention_is_no_ghost(lake):
    first_run(lake)
    live(lake, raw=5, processed=5, quarantine=5)
    for key in lake.objects():
        for version in lake.s3.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"]:
            lake.delete(key, version["VersionId"])

    assert len(lake.reconcile(hours=24 * 4)["ghosts"]) == 3
    assert lake.reconcile(hours=24 * 2)["ghosts"] == []


def test_of_a_tenant_that_is_held_what_waits_is_missed_whatever_its_age_and_also_if_it_was_replaced(lake):
    """It waits without an end, and its object does not stay as long."""
    old, new, done = (
        lake.arrive("raw/sales/a.csv", b"1"),
        lake.arrive("raw/sales/a.csv", b"2"),
        lake.arrive("raw/sales/b.csv"),
    )
    live(lake, raw=5, processed=5, quarantine=5)
    lake.delete("raw/sales/a.csv", old.version)
    lake.delete("raw/sales/b.csv", done.version)

    assert lake.reconcile(hours=24 * 6)["ghosts"] == []

    Holds(lake.ledger).hold("acme", "audit")
    lake.delete("raw/sales/a.csv", new.version)

    missed = {one["version"] for one in lake.reconcile(hours=0)["ghosts"]}
    assert missed == {old.version, new.version, done.version}


def test_a_version_that_was_replaced_may_be_gone(lake):
    old = lake.arrive("raw/sales/a.csv", b"1")
    lake.arrive("raw/sales/a.csv", b"2")
    lake.delete("raw/sales/a.csv", old.version)

    assert lake.reconcile()["ghosts"] == []


def test_an_output_of_a_completed_run_that_is_gone_is_a_ghost(lake):
    run = first_run(lake)
    lake.delete(f"processed/sales/year=2024/month=09/{run.run}-0.parquet")

    report = lake.reconcile()

    assert keys(report["ghosts"]) == [f"processed/sales/year=2024/month=09/{run.run}-0.parquet"]


def test_a_file_that_is_done_and_was_deleted_is_a_ghost_that_cannot_be_replayed(lake):
    gone = lake.arrive("raw/sales/a.csv")
    process(lake.ledger)
    merge(lake.ledger)
    lake.delete("raw/sales/a.csv", gone.version)

    assert "cannot be replayed" in lake.reconcile(prefix="raw/")["ghosts"][0]["why"]


# -- much of it --------------------------------------------------------------------------------------------------------


def test_a_look_that_runs_out_of_room_says_where_it_stopped_and_is_gone_on_with(lake, monkeypatch):
    monkeypatch.setattr(visit, "PAGE", 2)
    monkeypatch.setattr(visit, "MOST", 3)
    names = [f"raw/sales/{letter}.csv" for letter in "abcdefg"]
    gone = [lake.arrive(name) for name in names[1::2]]
    for name in names[::2]:
        lake.put(name)
    for file in gone:
        lake.delete(file.key, file.version)
    lake.put("processed/sales/notes.txt")

    reports, resume = [], None
    while not reports or resume:
        reports.append(lake.reconcile(hours=25, resume=resume))
        resume = reports[-1]["resume"]
        assert reports[-1]["truncated"] == (resume is not None)

    assert len(reports) == 2
    assert sorted(key for one in reports for key in keys(one["registered"])) == names[::2]
    assert sorted(key for one in reports for key in keys(one["ghosts"])) == names[1::2]
    assert [key for one in reports for key in keys(one["orphans"])] == ["processed/sales/notes.txt"]


def test_when_its_time_is_up_it_stops_after_a_page(lake, monkeypatch):
    monkeypatch.setattr(visit, "PAGE", 1)
    lake.put("raw/sales/a.csv")
    lake.put("raw/sales/b.csv")

    report = lake.reconcile(budget_s=0)

    assert (keys(report["registered"]), report["resume"]) == (["raw/sales/a.csv"], "raw/sales/a.csv")


def test_called_by_the_clock_it_goes_on_by_itself(lake, monkeypatch):
    monkeypatch.setattr(visit, "PAGE", 1)
    lake.put("raw/sales/a.csv")
    lake.put("raw/sales/b.csv")

    lake.reconcile(budget_s=0, goes_on=True)

    name, how, payload = lake.functions.invoked[-1]
    assert (name, how, payload["tenant"], payload["resume"]) == (
        "lake-dev-reconcile",
        "Event",
        "acme",
        "raw/sales/a.csv",
    )


def test_calls_that_call_themselves_end_with_the_listing_and_enter_first_what_was_missed(lake, monkeypatch):
    monkeypatch.setattr(visit, "PAGE", 1)
    written = ["processed/sales/notes.txt", "quarantine/sales/notes.txt"]
    for key in ("raw/sales/a.csv", "raw/sales/b.csv", *written):
        lake.put(key)

    lake.reconcile(budget_s=0, goes_on=True)
    came_to = []
    while lake.functions.invoked[-1][0] == "lake-dev-reconcile":
        _, _, payload = lake.functions.invoked.pop()
        came_to.append(payload["resume"])
        lake.reconciler.handle(payload)

    assert came_to == ["raw/sales/a.csv", "raw/sales/b.csv", *written]
    assert [key for key, _ in lake.waiting()] == ["raw/sales/a.csv", "raw/sales/b.csv"]


def test_a_listing_that_gets_no_further_ends_the_calls(lake, monkeypatch):
    lake.put("raw/sales/a.csv")
    walk = listing.walk
    monkeypatch.setattr(listing, "walk", lambda s3, bucket, prefix="", after=None: walk(s3, bucket, prefix))

    with pytest.raises(RuntimeError, match=r"came no further than raw/sales/a\.csv"):
        lake.reconcile(budget_s=0, goes_on=True, resume="raw/sales/a.csv")
    assert "lake-dev-reconcile" not in [name for name, _, _ in lake.functions.invoked]


def test_without_a_tenant_it_calls_itself_for_each(lake):
    enter(lake.ledger, "globex")

    answer = lake.reconciler.handle({"dry_run": True})

    assert answer == {"tenants": ["acme", "globex"]}
    assert lake.functions.invoked == [
        ("lake-dev-reconcile", "Event", {"dry_run": True, "tenant": tenant, "goes_on": True})
        for tenant in ("acme", "globex")
    ]


def test_by_the_clock_a_tenant_that_leaves_is_left_alone_and_a_person_may_ask(lake):
    """Its objects are being deleted, or will be: entries without object, and new rows, would only be in the way."""
    enter(lake.ledger, "globex")
    enter(lake.ledger, "acme", state="offboarding")
    lake.put("raw/sales/a.csv")

    assert lake.reconciler.handle({}) == {"tenants": ["globex"]}
    assert lake.reconcile(goes_on=True) == {"tenant": "acme", "left_alone": "offboarding"}
    assert lake.ledger.files("acme") == []
    assert keys(lake.reconcile()["registered"]) == ["raw/sales/a.csv"]


def test_a_tenant_that_cannot_be_called_keeps_the_others_from_nothing(lake):
    enter(lake.ledger, "globex")
    real = lake.functions.invoke

    def refuses_acme(**call):
        if b"acme" in call["Payload"]:
            raise RuntimeError("throttled")
        return real(**call)

    lake.functions.invoke = refuses_acme

    with pytest.raises(RuntimeError, match=r"acme.*throttled"):
        lake.reconciler.handle({})
    assert [payload["tenant"] for _, _, payload in lake.functions.invoked] == ["globex"]


def test_the_function_answers_with_the_report(lake, monkeypatch):
    for name, value in SETTINGS.to_environment().items():
        monkeypatch.setenv(name, value)
    reconcile.reconciler.cache_clear()
    lake.arrive("raw/sales/a.csv")

    class Context:
        def get_remaining_time_in_millis(self):
            return 900_000

    report = reconcile.handler({"tenant": "acme"}, Context())

    reconcile.reconciler.cache_clear()
    assert (report["tenant"], report["listed"], report["truncated"]) == ("acme", 1, False)
    assert lake.ledger.file("acme", "raw/sales/a.csv")[0].state == FileStatus.RECEIVED
