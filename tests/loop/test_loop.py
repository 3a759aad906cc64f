"""The main job, as a user does it: add a tenant, put files, ask, trace."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(900)]

HEADER = "transaction_id,occurred_at,network,customer_id,merchant,channel,currency,amount,rate,status"


def transactions(folder: Path, name: str, *rows: str) -> Path:
    path = folder / f"network_7_transactions_{name}.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def row(identity: str, amount: str = "10.00", *, at: str = "2031-05-06 07:08:09", network: str = "7") -> str:
    return f"{identity},{at},{network},c1,shop,card,USD,{amount},0.5,settled"


@pytest.fixture(scope="module")
def mine(lake) -> str:
    """A tenant that a user adds: five lines, then `lake deploy`."""
    added = lake.ok(
        "tenant", "add", "mine", "--name", "Mine", "--owner", "me@mine.example", "--dataset", "transactions"
    )
    assert added.code == 0
    deployed = lake.ok("deploy", "--json").json()
    assert {each["stack"]: each["action"] for each in deployed if each["action"] != "unchanged"} == {
        "mycompany-mine-local-tenant": "created"
    }
    return "mine"


def test_the_demo_ends_with_answers_right_totals_a_lineage_tree_and_what_to_do_next(demo):
    _, answer = demo

    assert answer.code == 0, answer.err
    assert "revenue_eur" in answer.out
    assert "✓" in answer.err
    assert "✗" not in answer.err
    assert "network_3_transactions" in answer.out
    assert "lake down" in answer.err


def test_the_demo_run_twice_gives_the_same_answers_and_puts_nothing_again(demo, lake):
    before = len(lake.ok("runs", "acme", "--json").json())

    again = lake("demo")

    assert again.code == 0, again.err
    assert again.out == demo[1].out
    assert len(lake.ok("runs", "acme", "--json").json()) == before


def test_all_flights_of_2013_are_there(lake):
    assert lake.rows("skyline", "select count(*) as n from flights") == [{"n": 336776}]


def test_a_file_that_is_put_can_be_asked_for_when_put_returns(lake, mine, tmp_path):
    path = transactions(tmp_path, "2031_05_06", row("a1"), row("a2", "2.50"))

    answer = lake.ok("put", mine, path, "--wait", "--json").json()

    assert [(file["state"], file["rows"], file["rejected"]) for file in answer] == [("QUERYABLE", 2, 0)]
    assert lake.rows(
        mine, "select transaction_id, amount_eur from transactions where transaction_id like 'a%' order by 1"
    ) == [
        {"transaction_id": "a1", "amount_eur": "5.00"},
        {"transaction_id": "a2", "amount_eur": "1.25"},
    ]


def test_data_lies_by_year_and_month_in_each_zone(lake, mine, tmp_path):
    lake.ok("put", mine, transactions(tmp_path, "zones", row("z1", at="2030-02-03 00:00:00")), "--wait")
    keys = s3_keys(lake, "mycompany-mine-local-datalake")

    assert any(key.startswith("processed/transactions/year=2030/month=02/") for key in keys)
    assert any(
        key.startswith("analytics-ready/transactions/year=2030/month=02/") and key.endswith(".parquet") for key in keys
    )
    assert any(key.startswith("processed/transactions/_commits/") for key in keys)


def test_a_malformed_row_goes_to_quarantine_with_its_reason_and_the_rest_goes_on(lake, mine, tmp_path):
    path = transactions(tmp_path, "rows", row("b1"), row("b2", "many"))

    lake.ok("put", mine, path, "--wait")

    listed = {file["key"]: file for file in lake.ok("files", mine, "--json").json()}
    assert (listed[f"raw/{path.name}"]["rows"], listed[f"raw/{path.name}"]["rejected"]) == (1, 1)
    found = lake.rows(mine, f"select reasons, record from transactions_quarantine where file = 'raw/{path.name}'")
    assert "amount" in str(found[0]["reasons"])
    assert "many" in str(found[0]["reasons"])
    assert "b2" in found[0]["record"]
    assert lake.rows(mine, "select count(*) as n from transactions where transaction_id in ('b1', 'b2')") == [{"n": 1}]


def test_a_malformed_file_is_quarantined_with_its_reason_and_the_others_go_on(lake, mine, tmp_path):
    bad = tmp_path / "network_7_transactions_truncated.csv.gz"
    bad.write_bytes(b"\x1f\x8b\x08\x00 this is no gzip")
    good = transactions(tmp_path, "beside_a_bad_one", row("c1"))

    answer = lake("put", mine, bad, good, "--wait", "--json")

    assert answer.code == 1
    states = {file["key"]: (file["state"], file["reason"]) for file in answer.json()}
    assert states[f"raw/{good.name}"][0] == "QUERYABLE"
    assert states[f"raw/{bad.name}"][0] == "QUARANTINED"
    assert states[f"raw/{bad.name}"][1]


def test_a_key_that_no_contract_matches_is_unrouted_and_listed(lake, mine, tmp_path):
    path = tmp_path / "holiday photo.jpg"
    path.write_bytes(b"not data")

    answer = lake("put", mine, path, "--key", "raw/holiday photo.jpg", "--wait")

    assert "UNROUTED" in answer.err
    listed = lake.ok("files", mine, "--state", "UNROUTED", "--json").json()
    assert [file["key"] for file in listed] == ["raw/holiday photo.jpg"]


@pytest.mark.parametrize("name", ["with space", "per%20cent", "a+b", "ümläut", "eq=al", "[br]{ck}"])
def test_awkward_file_names_arrive(lake, mine, tmp_path, name):
    path = transactions(tmp_path, name, row(f"awk-{name}"))

    lake.ok("put", mine, path, "--wait")

    assert lake.rows(mine, f"select count(*) as n from transactions where transaction_id = 'awk-{name}'") == [{"n": 1}]


def test_a_newer_row_replaces_the_older_one_of_the_same_key(lake, mine, tmp_path):
    lake.ok("put", mine, transactions(tmp_path, "first", row("d1", "1.00")), "--wait")
    lake.ok("put", mine, transactions(tmp_path, "second", row("d1", "8.00")), "--wait")

    assert lake.rows(mine, "select amount from transactions where transaction_id = 'd1'") == [{"amount": "8.00"}]


def test_an_event_that_is_delivered_again_counts_once(lake, mine, tmp_path):
    path = transactions(tmp_path, "twice", row("e1"))
    lake.ok("put", mine, path, "--wait")
    runs = len(lake.ok("runs", mine, "--json").json())
    files = len(lake.ok("files", mine, "--json").json())

    in_child(lake, AGAIN, "mycompany-mine-local-datalake", f"raw/{path.name}")

    assert len(lake.ok("runs", mine, "--json").json()) == runs
    assert len(lake.ok("files", mine, "--json").json()) == files
    assert lake.rows(mine, "select count(*) as n from transactions where transaction_id = 'e1'") == [{"n": 1}]


def test_any_s3_client_with_the_printed_variables_can_drop_a_file(lake, mine, tmp_path):
    key = "raw/network_7_transactions_by_boto3.csv"

    in_child(lake, PUT, "mycompany-mine-local-datalake", key, f"{HEADER}\n{row('f1')}\n")
    lake.ok("put", mine, transactions(tmp_path, "after_boto3", row("f2")), "--wait")

    states = wait_for(lake, mine, key)
    assert states == "QUERYABLE"
    assert lake.rows(mine, "select count(*) as n from transactions where transaction_id in ('f1', 'f2')") == [{"n": 2}]


def test_lineage_leads_from_a_file_down_to_the_table_and_from_the_table_up_to_the_file(lake, mine, tmp_path):
    path = transactions(tmp_path, "traced", row("g1"))
    lake.ok("put", mine, path, "--wait")

    down = lake.ok("lineage", mine, f"raw/{path.name}", "--down", "--json").json()
    up = lake.ok("lineage", mine, "transactions", "--up", "--json").json()

    assert any("analytics-ready/transactions" in node["name"] for node in down["nodes"])
    assert any(node["name"].startswith(f"raw/{path.name}") for node in up["nodes"])
    assert not down["truncated"]
    assert all(edge["run"] for edge in down["edges"])
    known = {node["id"] for node in down["nodes"]}
    assert all({edge["from"], edge["to"]} <= known for edge in down["edges"])


def test_every_run_can_be_listed_and_its_log_read(lake, mine, tmp_path):
    lake.ok("put", mine, transactions(tmp_path, "logged", row("h1")), "--wait")

    runs = lake.ok("runs", mine, "--json").json()
    keys = {"run", "job", "dataset", "state", "started", "ended", "files", "rows_in", "rows_out", "rejected", "error"}

    assert {run["state"] for run in runs} == {"COMPLETED"}
    assert {run["job"] for run in runs} == {"raw_to_processed", "processed_to_analytics"}
    assert set(runs[0]) == keys
    assert runs[0]["run"] in lake.ok("runs", mine, "--logs", runs[0]["run"]).out


def test_one_tenant_cannot_ask_for_the_rows_of_another(lake, mine):
    own = lake("query", mine, "select count(*) from transactions")
    foreign = lake("query", mine, "select count(*) from mycompany_acme_local.transactions")

    assert own.code == 0, own.err
    assert foreign.code == 1
    assert "mycompany_acme_local" in foreign.err


def test_an_unknown_tenant_is_not_found_and_the_known_ones_are_named(lake, tmp_path):
    answer = lake("put", "nobody", transactions(tmp_path, "x", row("x")))

    assert answer.code == 3
    assert "nobody" in answer.err
    assert "acme" in answer.err


def test_a_missing_file_is_wrong_input(lake):
    answer = lake("put", "acme", "no/such/file.csv")

    assert answer.code == 2
    assert "no/such/file.csv" in answer.err


def test_wrong_sql_is_answered_in_one_line_as_athena_words_it(lake):
    answer = lake("query", "acme", "select nothing from transactions")

    assert answer.code == 1
    assert "COLUMN_NOT_FOUND" in answer.err


def test_state_survives_down_and_up(lake, mine):
    before = lake.rows("acme", "select count(*) as n, sum(amount_eur) as total from transactions")
    files = lake.ok("files", mine, "--json").json()

    lake.ok("down")
    down = lake("query", "acme", "select 1")
    lake.ok("up")

    assert down.code == 1
    assert "lake up" in down.err
    assert lake.rows("acme", "select count(*) as n, sum(amount_eur) as total from transactions") == before
    assert lake.ok("files", mine, "--json").json() == files


def test_deploying_again_changes_nothing(lake, mine):
    assert {each["action"] for each in lake.ok("deploy", "--json").json()} == {"unchanged"}


def test_the_totals_are_those_of_the_files_themselves(lake):
    """Computed here a second time, with csv and Decimal only."""
    from decimal import ROUND_HALF_UP, Decimal

    latest: dict[str, Decimal] = {}
    for path in sorted((lake.home / "demo").rglob("network_1_transactions_*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for record in csv.DictReader(file):
                try:
                    euro = Decimal(record["amount"]) * Decimal(record["rate"])
                except (ArithmeticError, TypeError):
                    continue
                latest[record["transaction_id"]] = euro.quantize(Decimal("0.01"), ROUND_HALF_UP)
    found = lake.rows("acme", "select transaction_id, amount_eur from transactions where network = 1")

    assert found
    assert {each["transaction_id"]: Decimal(each["amount_eur"]) for each in found}.items() <= latest.items()


PUT = """
import sys, boto3
boto3.client("s3").put_object(Bucket=sys.argv[1], Key=sys.argv[2], Body=sys.argv[3].encode())
"""

KEYS = """
import sys, json, boto3
pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=sys.argv[1])
print(json.dumps([item["Key"] for page in pages for item in page.get("Contents", [])]))
"""

AGAIN = """
import sys, json, time, boto3
bucket, key = sys.argv[1:]
scan = boto3.client("dynamodb").get_paginator("scan").paginate(TableName="mycompany-local-ledger",
    FilterExpression="#k = :k and begins_with(SK, :v)", ExpressionAttributeNames={"#k": "key"},
    ExpressionAttributeValues={":k": {"S": key}, ":v": {"S": "V#"}})
[entered] = [item for page in scan for item in page["Items"]]
known = {"key": key, "size": int(entered["size"]["N"]), "etag": entered["etag"]["S"],
         "sequencer": entered["sequencer"]["S"]}
if "version" in entered:
    known["version-id"] = entered["version"]["S"]
event = {"version": "0", "id": "again", "source": "aws.s3", "detail-type": "Object Created",
         "account": "000000000000", "region": "us-east-1", "time": "2031-01-01T00:00:00Z",
         "detail": {"bucket": {"name": bucket}, "object": known}}
sqs = boto3.client("sqs")
queue = sqs.get_queue_url(QueueName="mycompany-local-arrivals")["QueueUrl"]
for _ in range(3):
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(event))
count = lambda: sum(int(value) for value in sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[
    "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"])["Attributes"].values())
end = time.monotonic() + 60
while count() and time.monotonic() < end:
    time.sleep(0.2)
time.sleep(3)  # what a second run would need to begin
sys.exit("messages are still in the queue" if count() else 0)
"""


def in_child(lake, script: str, *arguments: str) -> str:
    """Run a script with nothing of ours but the variables of `lake env`."""
    variables = {"PATH": lake.variables["PATH"], **lake.environment()}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def s3_keys(lake, bucket: str) -> list[str]:
    return json.loads(in_child(lake, KEYS, bucket))


def wait_for(lake, tenant: str, key: str) -> Any:
    import time

    end = time.monotonic() + 120
    while time.monotonic() < end:
        states = {file["key"]: file["state"] for file in lake.ok("files", tenant, "--json").json()}
        if states.get(key) in {"QUERYABLE", "QUARANTINED", "FAILED"}:
            return states[key]
        time.sleep(1)
    raise AssertionError(f"{key}: {states.get(key)} after two minutes")
