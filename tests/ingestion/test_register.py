import json
import time

import boto3
import pytest

from ingestion.alerts import Alerts
from ingestion.register import QUIET_S, Registrar
from lineage import table
from lineage.holds import Holds
from lineage.notices import Notices
from lineage.values import FileStatus
from tests.ingestion.builders import Functions, Topics, an_event, messages, with_topic
from tests.lineage.builders import ANALYTICS, RAW, TABLE, a_dataset, begin, commit_key, enter, processed

NOTHING_FAILED = {"batchItemFailures": []}
DISPATCH = "lake-dev-dispatch"


@pytest.fixture
def functions():
    return Functions()


@pytest.fixture
def registrar(ledger, functions):
    return Registrar(ledger, functions, DISPATCH)


def states(ledger):
    return {file.key: file.state for file in ledger.files("acme")}


def test_an_arrival_is_entered_and_dispatch_is_told(registrar, ledger, functions):
    assert registrar.register(messages(an_event())) == NOTHING_FAILED

    assert states(ledger) == {"raw/sales/a.csv": FileStatus.RECEIVED}
    assert functions.invoked == [(DISPATCH, "Event", {"tenant": "acme", "dataset": "sales", "job": RAW})]


def test_a_duplicate_is_acknowledged_and_starts_nothing(registrar, ledger, functions):
    registrar.register(messages(an_event()))
    functions.invoked.clear()

    assert registrar.register(messages(an_event(), an_event())) == NOTHING_FAILED
    assert (len(ledger.files("acme")), functions.invoked) == (1, [])


def test_many_arrivals_of_one_dataset_tell_dispatch_once(registrar, functions):
    registrar.register(messages(*(an_event(f"raw/sales/{number}.csv") for number in range(10))))

    assert len(functions.invoked) == 1


def test_a_burst_over_several_events_tells_dispatch_once_a_second(registrar, functions):
    for number in range(10):
        registrar.register(messages(an_event(f"raw/sales/{number}.csv")))
    assert len(functions.invoked) == 1

    registrar.told = {what: moment - QUIET_S for what, moment in registrar.told.items()}
    registrar.register(messages(an_event("raw/sales/later.csv")))
    assert len(functions.invoked) == 2


def test_a_bad_message_goes_back_and_the_others_go_on(registrar, ledger, capsys):
    found = registrar.register(messages("rubbish", an_event(), an_event(bucket="somebody-elses")))

    assert found == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m2"}]}
    assert list(states(ledger)) == ["raw/sales/a.csv"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [unknown] = [line for line in lines if line.get("error") == "UnknownBucket"]
    assert "somebody-elses" in unknown["why"]
    assert "lake deploy" in unknown["why"]


def test_what_dynamodb_refuses_in_one_file_does_not_keep_the_others_out(registrar, ledger, monkeypatch):
    whole = ledger.receive_all

    def refuses(receipts):
        if any("poison" in receipt.file.key for receipt in receipts):
            raise RuntimeError("ValidationException")
        return whole(receipts)

    monkeypatch.setattr(ledger, "receive_all", refuses)

    found = registrar.register(messages(an_event("raw/sales/poison.csv"), an_event("raw/sales/good.csv")))

    assert found == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert list(states(ledger)) == ["raw/sales/good.csv"]


def test_a_key_that_no_contract_matches_is_listed(registrar, ledger, functions):
    registrar.register(messages(an_event("raw/odd.bin"), an_event("raw/sales/", size=0)))

    assert {file.key: (file.state, file.reason) for file in ledger.files("acme")} == {
        "raw/odd.bin": (FileStatus.UNROUTED, "no contract matches the key"),
        "raw/sales/": (FileStatus.UNROUTED, "folder marker: an empty object that stands for a folder"),
    }
    assert functions.invoked == []


def test_a_contract_deployed_a_moment_ago_is_not_missed(registrar, ledger):
    registrar.register(messages(an_event()))  # from now on the tenant's datasets are remembered
    ledger.put_dataset(a_dataset(dataset="flights"))

    registrar.register(messages(an_event("raw/flights/f.csv")))

    assert states(ledger)["raw/flights/f.csv"] == FileStatus.RECEIVED


def test_files_of_a_suspended_tenant_are_held(registrar, ledger, functions):
    enter(ledger, "acme", state="suspended")

    registrar.register(messages(an_event()))

    assert states(ledger) == {"raw/sales/a.csv": FileStatus.HELD}
    assert functions.invoked == []


def test_a_dataset_that_waits_for_more_is_left_to_the_schedule(registrar, ledger, functions):
    ledger.put_dataset(a_dataset(max_wait_s=900, max_files=3))

    registrar.register(messages(an_event("raw/sales/1.csv"), an_event("raw/sales/2.csv")))
    assert functions.invoked == []

    registrar.register(messages(*(an_event(f"raw/sales/{number}.csv") for number in (3, 4, 5))))
    assert len(functions.invoked) == 1


def test_while_a_run_is_open_dispatch_is_not_told(registrar, ledger, functions):
    registrar.register(messages(an_event("raw/sales/1.csv")))
    begin(ledger)
    functions.invoked.clear()

    registrar.register(messages(an_event("raw/sales/2.csv")))

    assert functions.invoked == []


def test_a_commit_object_waits_for_the_second_job(registrar, ledger, functions):
    registrar.register(messages(an_event()))
    run = begin(ledger)
    ledger.commit(run, processed(run))
    functions.invoked.clear()

    registrar.register(messages(an_event(commit_key(run), version="c1")))

    assert [one.key for one in ledger.waiting("acme", "sales", ANALYTICS)] == [commit_key(run)]
    assert functions.invoked == [(DISPATCH, "Event", {"tenant": "acme", "dataset": "sales", "job": ANALYTICS})]


def test_when_dispatch_cannot_be_told_the_arrival_still_counts(ledger, capsys):
    registrar = Registrar(ledger, Functions(error=RuntimeError("TooManyRequests")), DISPATCH)

    assert registrar.register(messages(an_event())) == NOTHING_FAILED
    assert states(ledger) == {"raw/sales/a.csv": FileStatus.RECEIVED}
    assert "dispatch_not_told" in capsys.readouterr().out


def test_the_tenant_comes_from_the_bucket_and_from_nothing_in_the_payload(registrar, ledger):
    enter(ledger, "skyline")
    event = json.loads(an_event())
    event["tenant"] = event["detail"]["tenant"] = "skyline"

    registrar.register(messages(json.dumps(event)))

    assert (len(ledger.files("acme")), len(ledger.files("skyline"))) == (1, 0)


def test_every_arrival_is_one_line_of_json(registrar, capsys):
    registrar.register(messages(an_event("raw/sales/ü\n.csv")))

    [line] = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["event"], told["tenant"], told["key"], told["version"], told["outcome"]) == (
        "arrival",
        "acme",
        "raw/sales/ü\n.csv",
        "v1",
        "received",
    )


@pytest.fixture
def topics():
    return Topics()


@pytest.fixture
def telling(ledger, functions, topics):
    """A registrar that tells."""
    with_topic(ledger, "owner")
    return Registrar(
        ledger, functions, DISPATCH, alerts=Alerts(Notices(ledger), topics, topic="platform", environment="dev")
    )


def test_the_owner_is_told_of_a_file_that_no_contract_takes(telling, topics):
    telling.register(messages(an_event("raw/odd.bin")))

    assert (topics.told("owner"), topics.told("platform")) == (["unrouted_file"], ["unrouted_file"])
    lines = topics.published[0]["Message"].splitlines()
    assert "file: raw/odd.bin" in lines
    assert lines[-1] == "lake replay acme --unrouted -e dev"


def test_ten_thousand_such_files_are_one_alert_a_folder(telling, topics):
    for number in range(3):
        telling.register(messages(*(an_event(f"raw/odd/{number}/{part}.bin") for part in range(10))))
    telling.register(messages(an_event("raw/other/a.bin"), an_event("raw/b.bin")))

    subjects = [message["Subject"] for message in topics.published if message["TopicArn"] == "owner"]
    assert subjects == [
        "[dev] acme: no contract takes 10 files in raw/odd/",
        "[dev] acme: no contract takes a file in raw/other/",
        "[dev] acme: no contract takes a file in raw/",
    ]


def test_folder_markers_and_duplicates_are_nothing_to_tell(telling, topics):
    telling.register(messages(an_event("raw/odd/", size=0), an_event("raw/odd.bin")))
    topics.published.clear()
    telling.told.clear()

    telling.register(messages(an_event("raw/odd.bin")))

    assert topics.published == []


def test_a_topic_that_cannot_be_reached_keeps_no_file_out(ledger, functions):
    alerts = Alerts(Notices(ledger), Topics(refuses=("platform",)), topic="platform", environment="dev")

    found = Registrar(ledger, functions, DISPATCH, alerts=alerts).register(
        messages(an_event("raw/odd.bin"), an_event())
    )

    assert found == NOTHING_FAILED
    assert set(states(ledger).values()) == {FileStatus.UNROUTED, FileStatus.RECEIVED}


def test_files_of_a_tenant_on_hold_are_held_and_start_nothing(registrar, ledger, functions):
    Holds(ledger).hold("acme", "the source sends rubbish")

    registrar.register(messages(an_event()))

    assert states(ledger) == {"raw/sales/a.csv": FileStatus.HELD}
    assert functions.invoked == []


def test_a_hold_is_in_force_seconds_later_also_where_the_tenant_was_read_before(registrar, ledger):
    registrar.register(messages(an_event("raw/sales/before.csv")))
    Holds(ledger).hold("acme", "the source sends rubbish")
    [known] = registrar.directory._known.values()
    assert known.until - time.monotonic() <= 5
    known.until = 0.0

    registrar.register(messages(an_event("raw/sales/after.csv")))

    assert states(ledger)["raw/sales/after.csv"] == FileStatus.HELD


def test_what_is_unrouted_while_the_tenant_is_held_is_still_listed(registrar, ledger):
    Holds(ledger).hold("acme", "the source sends rubbish")

    registrar.register(messages(an_event("raw/odd.bin")))

    assert states(ledger) == {"raw/odd.bin": FileStatus.UNROUTED}


def test_a_dataset_on_schedule_is_left_to_the_clock_however_much_arrives(registrar, ledger, functions):
    ledger.put_dataset(a_dataset(schedule={"rate_s": 86400}, max_files=2))

    registrar.register(messages(*(an_event(f"raw/sales/{number}.csv") for number in range(5))))

    assert functions.invoked == []
    assert set(states(ledger).values()) == {FileStatus.RECEIVED}


class Told:
    """Alerts that remember whose they were."""

    def __init__(self):
        self.tenants = []

    def tell(self, alert, tenant):
        self.tenants.append(alert.tenant)
        return True


def of_globex(name):
    return an_event(f"raw/{name}", bucket="lake-globex-dev-datalake")


def put_row(**row):
    boto3.client("dynamodb").put_item(TableName=TABLE, Item={name: {"S": value} for name, value in row.items()})


def test_a_row_among_its_slots_that_nobody_can_read_keeps_neither_its_own_files_nor_others(ledger, functions):
    enter(ledger, "globex")
    put_row(PK=table.slots_pk("acme"), SK="x", kind="nonsense")
    registrar = Registrar(ledger, functions, DISPATCH, alerts=Told())

    assert registrar.register(messages(an_event(), of_globex("sales/g.csv"), of_globex("x.txt"))) == NOTHING_FAILED

    assert [told["tenant"] for _, _, told in functions.invoked] == ["acme", "globex"]
    assert registrar.alerts.tenants == ["globex"]


def test_a_tenant_whose_slots_cannot_be_asked_for_keeps_no_other_and_owners_are_told(
    ledger, functions, monkeypatch, capsys
):
    enter(ledger, "globex")
    slots = ledger.slots

    def broken(tenant):
        if tenant == "acme":
            raise RuntimeError("InternalServerError")
        return slots(tenant)

    monkeypatch.setattr(ledger, "slots", broken)
    registrar = Registrar(ledger, functions, DISPATCH, alerts=Told())

    assert registrar.register(messages(an_event(), of_globex("sales/g.csv"), of_globex("x.txt"))) == NOTHING_FAILED

    assert [told["tenant"] for _, _, told in functions.invoked] == ["globex"]
    assert registrar.alerts.tenants == ["globex"]
    assert "dispatch_not_told" in capsys.readouterr().out
