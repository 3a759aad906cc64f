"""Clients that know nothing of a local cloud: their only hint is the environment."""

import boto3
import pytest

from tests.local_cloud.athena.conftest import Lake, bucket_of, database_of, workgroup_of

pytestmark = pytest.mark.cloud


@pytest.fixture
def environment(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    key, secret, token = lake.keys("acme")
    for name, value in {
        "AWS_ENDPOINT_URL": lake.endpoint,
        "AWS_ENDPOINT_URL_ATHENA": lake.athena_endpoint,
        "AWS_CA_BUNDLE": str(lake.facts.ca_bundle),
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.mark.usefixtures("environment")
def test_boto3_finds_the_endpoint():
    client = boto3.client("athena")

    identity = client.start_query_execution(QueryString="SELECT 1", WorkGroup=workgroup_of("acme"))["QueryExecutionId"]

    assert client.get_query_execution(QueryExecutionId=identity)["QueryExecution"]["WorkGroup"] == workgroup_of("acme")


@pytest.mark.usefixtures("environment")
def test_pyathena_reads_rows_dictionaries_and_frames():
    import pyathena
    from pyathena.cursor import DictCursor
    from pyathena.pandas.cursor import PandasCursor

    connection = pyathena.connect(work_group=workgroup_of("acme"), schema_name=database_of("acme"), poll_interval=0.02)
    sql = "SELECT transaction_id, amount, booked_on, approved FROM transactions WHERE month = %(month)s ORDER BY 1"

    rows = connection.cursor().execute(sql, {"month": "09"}).fetchall()
    one = connection.cursor(DictCursor).execute("SELECT count(*) AS n FROM transactions").fetchone()
    frame = (
        connection.cursor(PandasCursor)
        .execute("SELECT transaction_id, weight FROM transactions ORDER BY 1")
        .as_pandas()
    )

    assert [(row[0], str(row[1]), str(row[2]), row[3]) for row in rows] == [
        ("t1", "10.50", "2024-09-20", True),
        ("t2", "20.25", "2024-09-21", False),
    ]
    assert one == {"n": 5}
    assert frame["weight"].tolist()[:3] == [0.5, 12345678.9, 0.0005]


@pytest.mark.usefixtures("environment")
def test_pyathena_binds_question_marks_and_lists_the_catalog():
    import pyathena

    connection = pyathena.connect(work_group=workgroup_of("acme"), schema_name=database_of("acme"), poll_interval=0.02)
    cursor = connection.cursor()

    count = cursor.execute("SELECT count(*) FROM sales WHERE month = ?", ["'09'"], paramstyle="qmark").fetchone()
    described = cursor.get_table_metadata("sales", schema_name=database_of("acme"))

    assert count == (2,)
    assert [column.name for column in described.columns] == ["id", "amount", "note"]


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    "way", [{"ctas_approach": False}, {"ctas_approach": True}, {"ctas_approach": False, "unload_approach": True}]
)
def test_awswrangler_reads_a_frame(way: dict[str, bool], request: pytest.FixtureRequest):
    import awswrangler

    output = (
        f"s3://{bucket_of('acme')}/wrangler/{abs(hash(request.node.name))}/" if way.get("unload_approach") else None
    )

    frame = awswrangler.athena.read_sql_query(
        "SELECT id, amount, note FROM sales ORDER BY id",
        database=database_of("acme"),
        workgroup=workgroup_of("acme"),
        s3_output=output,
        keep_files=True,
        **way,
    )

    assert sorted(frame["id"].tolist()) == [1, 2, 3]
    assert sorted(str(amount) for amount in frame["amount"]) == ["1.50", "2.50", "3.50"]
    assert frame["note"].isna().sum() == 1
