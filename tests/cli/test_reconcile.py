"""The commands against a Lambda endpoint on this machine, behind which the function itself or a made-up one answers."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from moto import mock_aws

from cli.errors import LakeError, WrongInput
from cli.reconcile import call, joined, seconds
from ingestion import journal
from ingestion.findings import Report
from ingestion.reconcile import Reconciler
from lineage import table
from lineage.values import TenantEntry
from tests.ingestion.builders import Functions
from tests.ingestion.test_reconcile import SETTINGS
from tests.lineage.builders import a_dataset

BUCKET, LEDGER = "mycompany-acme-dev-datalake", "mycompany-dev-ledger"


class Lambda:
    """Answers Invoke with what `answer` makes of the payload; an exception becomes a FunctionError."""

    def __init__(self):
        self.payloads = []
        self.names = []
        self.answer = lambda payload: a_report(payload["tenant"])

    def invoke(self, path, payload):
        self.names.append(path.split("/")[3])
        self.payloads.append(payload)
        try:
            return self.answer(payload), {}
        except Exception as error:
            said = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return said, {"X-Amz-Function-Error": "Unhandled"}


@pytest.fixture
def functions(monkeypatch):
    made = Lambda()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said, headers = made.invoke(self.path, payload)
            body = json.dumps(said).encode()
            self.send_response(200)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{server.server_port}")
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def connection(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    from cli.connection import connect

    with mock_aws():
        made = connect("dev")
        made.client("dynamodb").create_table(**table.definition(LEDGER))
        for tenant in ("acme", "skyline"):
            deploy(made, tenant)
        yield made


def deploy(connection, tenant):
    bucket = connection.names(tenant).bucket
    s3 = connection.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


@pytest.fixture
def run(lake, connection, functions):
    return lambda *arguments: lake(*arguments, "-e", "dev")


def a_report(tenant="acme", **more):
    return {**Report(tenant=tenant, dry_run=False).as_json(), "listed": 5, **more}


def counts(**more):
    return {"registered": 0, "orphans": 0, "ghosts": 0, "stuck": 0, **more}


ORPHAN = {"key": "raw/old.csv", "version": None, "size": 1, "why": "no entry in 30 days"}
GHOST = {"key": "raw/gone.csv", "version": "v1", "dataset": "sales", "why": "it waits, but its object is gone"}
NEW = {"key": "raw/a.csv", "version": "v", "dataset": "sales", "size": 1, "state": "RECEIVED", "reason": None}
STUCK = {"what": "run", "subject": "0192", "dataset": "sales", "job": "j", "why": "no sign of life", "done": "fenced"}


def test_the_function_looks_at_the_bucket_and_a_backfill_registers_what_was_there(
    run, connection, functions, monkeypatch
):
    monkeypatch.setattr(journal, "write", lambda *_, **__: None)  # a function's stdout is not the command's
    reconciler = Reconciler(connection.ledger, connection.client("s3"), Functions(), SETTINGS)
    functions.answer = reconciler.handle
    connection.ledger.put_tenant(
        TenantEntry(
            tenant="acme",
            state="active",
            bucket=BUCKET,
            account="111122223333",
            database="mycompany_acme_dev",
            jobs={"raw_to_processed": "a", "processed_to_analytics": "b"},
        )
    )
    connection.ledger.put_dataset(a_dataset(files=("raw/2023/**",)))
    connection.client("s3").put_object(Bucket=BUCKET, Key="raw/2023/a b+c.csv", Body=b"1")

    first = run("backfill", "acme", "--prefix", "raw/2023/", "--json")
    second = run("backfill", "acme", "--prefix", "raw/2023/", "--json")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert [one["key"] for one in json.loads(first.stdout)["registered"]] == ["raw/2023/a b+c.csv"]
    assert json.loads(second.stdout)["counts"] == counts()
    assert set(functions.names) == {"mycompany-dev-reconcile"}


def test_a_clean_bucket_ends_with_0_and_a_line(run):
    result = run("reconcile", "acme")

    assert result.exit_code == 0
    assert "acme: 5 objects listed, 0 registered, 0 orphans, 0 ghosts, 0 stuck" in result.stderr


def test_what_was_mended_ends_with_0_and_is_told(run, functions):
    functions.answer = lambda _: a_report(registered=[NEW], stuck=[STUCK], counts=counts(registered=1, stuck=1))

    result = run("reconcile", "acme")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "tenant\tfinding\twhat\tdataset\tdetail",
        "acme\tregistered\traw/a.csv\tsales\tRECEIVED",
        "acme\tstuck\trun 0192\tsales\tno sign of life: fenced",
    ]


def test_what_a_person_must_look_at_ends_with_1(run, functions):
    functions.answer = lambda _: a_report(orphans=[ORPHAN], ghosts=[GHOST], counts=counts(orphans=2, ghosts=1))

    result = run("reconcile", "acme")

    assert result.exit_code == 1
    assert "acme: 2 orphans to look at" in result.stderr
    assert "acme: 1 ghost to look at" in result.stderr
    assert "acme\torphans\tand 1 more" in result.stdout


def test_a_dry_run_says_what_would_be_done(run, functions):
    report = a_report(dry_run=True, counts=counts(registered=3), staging={"found": 2, "removed": 0, "bytes": 3_000_000})
    functions.answer = lambda _: report

    result = run("reconcile", "acme", "--dry-run", "--grace", "1h", "--prefix", "raw/2024")

    asked = functions.payloads[0]
    assert (asked["dry_run"], asked["grace_s"], asked["prefix"]) == (True, 3600, "raw/2024")
    assert "3 to register" in result.stderr
    assert "2 leftovers to remove (3.0 MB)" in result.stderr


def test_a_report_that_stopped_is_gone_on_with_and_put_together(run, functions):
    answers = [
        a_report(registered=[NEW], counts=counts(registered=1), truncated=True, resume="raw/m.csv"),
        a_report(registered=[NEW], counts=counts(registered=1), young=2),
    ]
    functions.answer = lambda _: answers.pop(0)

    result = run("reconcile", "acme", "--json")

    report = json.loads(result.stdout)
    assert [payload.get("resume") for payload in functions.payloads] == [None, "raw/m.csv"]
    assert (report["listed"], report["young"], report["truncated"]) == (10, 2, False)
    assert (report["counts"]["registered"], len(report["registered"])) == (2, 2)
    assert "5 objects so far" in result.stderr


def test_of_all_tenants_one_that_cannot_be_listed_stops_no_other(run, functions):
    def answer(payload):
        if payload["tenant"] == "acme":
            raise PermissionError("AccessDenied on its bucket")
        return a_report(payload["tenant"])

    functions.answer = answer

    result = run("reconcile", "--all", "--json")

    assert result.exit_code == 1
    assert [one["tenant"] for one in json.loads(result.stdout)] == ["skyline"]
    assert "acme: function mycompany-dev-reconcile failed: PermissionError: AccessDenied on its bucket" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("reconcile",),
        ("reconcile", "acme", "--all"),
        ("reconcile", "acme", "--grace", "soon"),
        ("reconcile", "acme", "--prefix", "bogus"),
        ("backfill", "acme", "--prefix", "processed/"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_done(run, functions, arguments):
    result = run(*arguments)

    assert result.exit_code == 2
    assert functions.payloads == []


def test_a_tenant_that_is_not_deployed_says_what_to_run(run, connection):
    bucket = connection.names("acme").bucket
    connection.client("s3").delete_bucket(Bucket=bucket)

    result = run("reconcile", "acme")

    assert result.exit_code == 1
    assert "lake deploy acme -e dev" in result.stderr


def test_after_a_ledger_was_written_anew_files_of_any_age_may_be_registered(connection, functions):
    call(connection, "acme", grace_s=0, any_age=True)

    assert functions.payloads[0]["grace_s"] == 0
    assert functions.payloads[0]["oldest_s"] > 100 * 365 * 86_400


def test_a_failing_function_is_named_with_its_log(connection, functions):
    functions.answer = lambda _: 1 / 0

    with pytest.raises(LakeError, match=r"acme: .*ZeroDivisionError.*/aws/lambda/mycompany-dev-reconcile"):
        call(connection, "acme")


def test_two_reports_add_up():
    one = a_report(staging={"found": 1, "removed": 1, "bytes": 10}, resume="k", truncated=True)
    two = a_report(staging={"found": 2, "removed": 1, "bytes": 5})

    assert joined(one, two)["staging"] == {"found": 3, "removed": 2, "bytes": 15}
    assert joined(one, two)["resume"] is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0s", 0), ("0", 0), ("30s", 30), ("15m", 900), ("2h", 7200), ("1d", 86400), ("1 hour", 3600)],
)
def test_durations_are_short_or_as_in_the_registry(text, expected):
    assert seconds(text) == expected


def test_what_is_no_duration_is_said():
    with pytest.raises(WrongInput, match="'soon' is no duration"):
        seconds("soon")
