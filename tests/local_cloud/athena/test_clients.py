"""Clients that know nothing of a local cloud: a process of their own, whose only hint is its environment."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.local_cloud.athena.conftest import Lake, bucket_of, database_of, workgroup_of

pytestmark = pytest.mark.cloud

BOTO3 = """
client = boto3.client("athena")
identity = client.start_query_execution(QueryString="SELECT 1", WorkGroup=WORKGROUP)["QueryExecutionId"]
found = client.get_query_execution(QueryExecutionId=identity)["QueryExecution"]["WorkGroup"]
"""
PYATHENA = """
import pyathena
from pyathena.cursor import DictCursor
from pyathena.pandas.cursor import PandasCursor

connection = pyathena.connect(work_group=WORKGROUP, schema_name=DATABASE, poll_interval=0.02)
sql = "SELECT transaction_id, amount, booked_on, approved FROM transactions WHERE month = %(month)s ORDER BY 1"
weights = "SELECT transaction_id, weight FROM transactions ORDER BY 1"
question = "SELECT count(*) FROM sales WHERE month = ?"
cursor = connection.cursor()
found = {
    "rows": [[str(value) for value in row] for row in cursor.execute(sql, {"month": "09"}).fetchall()],
    "dictionary": connection.cursor(DictCursor).execute("SELECT count(*) AS n FROM transactions").fetchone(),
    "frame": connection.cursor(PandasCursor).execute(weights).as_pandas()["weight"].tolist()[:3],
    "parameter": cursor.execute(question, ["'09'"], paramstyle="qmark").fetchone(),
    "columns": [column.name for column in cursor.get_table_metadata("sales", schema_name=DATABASE).columns],
}
"""
AWSWRANGLER = """
import awswrangler

def read(**way):
    sql = "SELECT id, amount, note FROM sales ORDER BY id"
    frame = awswrangler.athena.read_sql_query(sql, database=DATABASE, workgroup=WORKGROUP, keep_files=True, **way)
    frame = frame.sort_values("id")
    return [frame["id"].tolist(), [str(a) for a in frame["amount"]], int(frame["note"].isna().sum())]

found = {
    "csv": read(ctas_approach=False),
    "ctas": read(ctas_approach=True),
    "unload": read(ctas_approach=False, unload_approach=True, s3_output=OUTPUT),
    "tables": awswrangler.catalog.tables(database=DATABASE, name_contains="sales")["Table"].tolist(),
}
"""


def run(lake: Lake, script: str) -> Any:
    """The script's `found`."""
    key, secret, token = lake.keys("acme")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = inherited | {
        "AWS_ENDPOINT_URL": lake.endpoint,
        "AWS_ENDPOINT_URL_ATHENA": lake.athena_endpoint,
        "AWS_CA_BUNDLE": str(lake.facts.ca_bundle),
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
    }
    names = {
        "WORKGROUP": workgroup_of("acme"),
        "DATABASE": database_of("acme"),
        "OUTPUT": f"s3://{bucket_of('acme')}/wrangler/",
    }
    head = "import json\nimport boto3\n" + "".join(f"{name} = {value!r}\n" for name, value in names.items())
    whole = f"{head}{script}\nprint(json.dumps(found))\n"
    done = subprocess.run(
        [sys.executable, "-c", whole], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_boto3_finds_the_endpoint(lake: Lake):
    assert run(lake, BOTO3) == workgroup_of("acme")


def test_pyathena_reads_rows_dictionaries_and_frames(lake: Lake):
    assert run(lake, PYATHENA) == {
        "rows": [["t1", "10.50", "2024-09-20", "True"], ["t2", "20.25", "2024-09-21", "False"]],
        "dictionary": {"n": 5},
        "frame": [0.5, 12345678.9, 0.0005],
        "parameter": [2],
        "columns": ["id", "amount", "note"],
    }


def test_awswrangler_reads_frames_each_way_it_knows(lake: Lake):
    frame = [[1, 2, 3], ["1.50", "2.50", "3.50"], 1]

    assert run(lake, AWSWRANGLER) == {"csv": frame, "ctas": frame, "unload": frame, "tables": ["sales"]}
