import json
import time
import uuid

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.athena.conftest import Lake, bucket_of, database_of, workgroup_of

pytestmark = pytest.mark.cloud


def test_a_select_is_answered_with_names_rows_and_types(lake: Lake):
    sql = "SELECT transaction_id, amount, booked_on, count(*) OVER () FROM transactions ORDER BY 1 LIMIT 2"

    identity = lake.start(sql)
    lake.wait(identity)
    answer = lake.athena("acme").get_query_results(QueryExecutionId=identity)["ResultSet"]

    rows = [[datum.get("VarCharValue") for datum in row["Data"]] for row in answer["Rows"]]
    assert rows == [
        ["transaction_id", "amount", "booked_on", "_col3"],
        ["t1", "10.50", "2024-09-20", "5"],
        ["t2", "20.25", "2024-09-21", "5"],
    ]
    columns = [(c["Name"], c["Type"], c["Precision"], c["Scale"]) for c in answer["ResultSetMetadata"]["ColumnInfo"]]
    assert columns == [
        ("transaction_id", "varchar", 2147483647, 0),
        ("amount", "decimal", 18, 2),
        ("booked_on", "date", 0, 0),
        ("_col3", "bigint", 19, 0),
    ]


def test_the_result_object_lies_exactly_where_the_execution_says(lake: Lake):
    execution = lake.run("SELECT 'a\"b' AS x, CAST(NULL AS varchar) AS y, '' AS z, 'c,d' AS w")

    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location == f"s3://{bucket_of('acme')}/athena-results/{execution['QueryExecutionId']}.csv"
    key = location.removeprefix(f"s3://{bucket_of('acme')}/")
    body = lake.root("s3").get_object(Bucket=bucket_of("acme"), Key=key)["Body"].read()
    assert body == b'"x","y","z","w"\n"a""b",,"","c,d"\n'


def test_no_other_object_is_left_by_a_query(lake: Lake):
    identity = lake.start("SELECT 1")
    lake.wait(identity)

    found = lake.root("s3").list_objects_v2(Bucket=bucket_of("acme"), Prefix="athena-results/")["Contents"]

    ours = sorted(item["Key"] for item in found if identity in item["Key"])
    assert ours == [f"athena-results/{identity}.csv", f"athena-results/{identity}.csv.metadata"]


def test_pages_follow_each_other_and_values_may_span_lines(lake: Lake):
    identity = lake.start("SELECT x, 'two\nlines' AS t FROM UNNEST(sequence(1, 5)) AS s(x) ORDER BY x")
    lake.wait(identity)
    client = lake.athena("acme")

    first = client.get_query_results(QueryExecutionId=identity, MaxResults=3)
    second = client.get_query_results(QueryExecutionId=identity, MaxResults=3, NextToken=first["NextToken"])

    values = [row["Data"][0]["VarCharValue"] for page in (first, second) for row in page["ResultSet"]["Rows"]]
    assert values == ["x", "1", "2", "3", "4", "5"]
    assert second["ResultSet"]["Rows"][0]["Data"][1]["VarCharValue"] == "two\nlines"
    assert "NextToken" not in second


def test_null_is_a_datum_without_a_value_and_empty_text_is_one_with(lake: Lake):
    identity = lake.start("SELECT CAST(NULL AS varchar), ''")
    lake.wait(identity)

    rows = lake.athena("acme").get_query_results(QueryExecutionId=identity)["ResultSet"]["Rows"]

    assert rows[1]["Data"] == [{}, {"VarCharValue": ""}]


def test_statistics_name_the_bytes_of_the_files_that_were_read(lake: Lake):
    whole = lake.run("SELECT count(*) FROM transactions")
    part = lake.run("SELECT count(*) FROM transactions WHERE year = 2024 AND month = '10'")

    objects = lake.root("s3").list_objects_v2(Bucket=bucket_of("acme"), Prefix="analytics-ready/transactions/year=")
    sizes = {item["Key"]: item["Size"] for item in objects["Contents"]}
    assert whole["Statistics"]["DataScannedInBytes"] == sum(sizes.values())
    october = [size for key, size in sizes.items() if "month=10" in key]
    assert part["Statistics"]["DataScannedInBytes"] == sum(october)


def test_several_executions_are_described_at_once(lake: Lake):
    identity = lake.start("SELECT 1")
    lake.wait(identity)
    absent = str(uuid.uuid4())

    answer = lake.athena("acme").batch_get_query_execution(QueryExecutionIds=[identity, absent])

    assert [e["QueryExecutionId"] for e in answer["QueryExecutions"]] == [identity]
    assert [e["QueryExecutionId"] for e in answer["UnprocessedQueryExecutionIds"]] == [absent]


def test_executions_are_listed_newest_first(lake: Lake):
    older = lake.start("SELECT 1")
    lake.wait(older)
    newer = lake.start("SELECT 2")
    lake.wait(newer)

    listed = lake.athena("acme").list_query_executions(WorkGroup=workgroup_of("acme"))["QueryExecutionIds"]

    assert listed.index(newer) < listed.index(older)


def test_the_same_request_token_starts_one_query(lake: Lake):
    token = str(uuid.uuid4())

    first = lake.start("SELECT 1", ClientRequestToken=token)
    again = lake.start("SELECT 1", ClientRequestToken=token)

    assert first == again
    with pytest.raises(ClientError, match="Idempotent parameters do not match"):
        lake.start("SELECT 2", ClientRequestToken=token)


def test_a_running_query_is_stopped(lake: Lake):
    identity = lake.start(
        "SELECT count(*) FROM UNNEST(sequence(1, 100000)) a(x), UNNEST(sequence(1, 100000)) b(y) WHERE x * y % 7 = 3"
    )
    time.sleep(0.5)

    lake.athena("acme").stop_query_execution(QueryExecutionId=identity)

    assert lake.wait(identity)["Status"]["State"] == "CANCELLED"
    with pytest.raises(ClientError, match="was cancelled"):
        lake.athena("acme").get_query_results(QueryExecutionId=identity)


def test_runtime_statistics_are_given(lake: Lake):
    identity = lake.start("SELECT * FROM transactions")
    lake.wait(identity)

    found = lake.athena("acme").get_query_runtime_statistics(QueryExecutionId=identity)["QueryRuntimeStatistics"]

    assert found["Rows"]["OutputRows"] == 5


def test_text_that_is_no_statement_is_refused_before_it_has_an_id(lake: Lake):
    with pytest.raises(ClientError) as caught:
        lake.start("SELEC 1")

    assert caught.value.response["Error"]["Code"] == "InvalidRequestException"
    assert "line 1:1: mismatched input 'SELEC'" in str(caught.value)


def test_an_unknown_execution_is_an_invalid_request(lake: Lake):
    with pytest.raises(ClientError, match="was not found"):
        lake.athena("acme").get_query_execution(QueryExecutionId=str(uuid.uuid4()))


def test_parameters_fill_question_marks_outside_of_text(lake: Lake):
    sql = "SELECT transaction_id, '?' FROM transactions WHERE month = ? AND amount > ?"

    assert lake.rows(sql, ExecutionParameters=["'09'", "15"]) == [["t2", "?"]]


def test_a_parameter_that_is_no_literal_is_refused(lake: Lake):
    with pytest.raises(ClientError, match="must be a literal"):
        lake.start("SELECT ?", ExecutionParameters=["(SELECT 1)"])


def test_a_wrong_number_of_parameters_is_refused(lake: Lake):
    with pytest.raises(ClientError, match="expected 1 but found 2"):
        lake.start("SELECT ?", ExecutionParameters=["1", "2"])


def test_a_prepared_statement_is_executed_with_values(lake: Lake):
    lake.rows("PREPARE by_month FROM SELECT count(*) FROM transactions WHERE month = ?")

    assert lake.rows("EXECUTE by_month USING '09'") == [["2"]]
    assert lake.rows("EXECUTE by_month", ExecutionParameters=["'11'"]) == [["1"]]
    lake.rows("DEALLOCATE PREPARE by_month")
    assert "not found" in lake.reason("EXECUTE by_month USING '09'")


def test_prepared_statements_of_the_api_are_executed(lake: Lake):
    lake.root("athena").create_prepared_statement(
        StatementName="twice", WorkGroup=workgroup_of("acme"), QueryStatement="SELECT ? * 2"
    )

    assert lake.rows("EXECUTE twice USING 21") == [["42"]]


def test_named_queries_come_from_the_deployers_file_and_from_the_api(lake: Lake):
    entry = {
        "Name": "by_month",
        "Database": database_of("acme"),
        "QueryString": "SELECT 1",
        "WorkGroup": workgroup_of("acme"),
    }
    other = entry | {"Name": "theirs", "WorkGroup": workgroup_of("globex")}
    (lake.facts.folder / "named_queries.json").write_text(json.dumps([entry, other]))
    made = lake.root("athena").create_named_query(**(entry | {"Name": "by_hand"}))["NamedQueryId"]
    client = lake.athena("acme")

    ids = client.list_named_queries(WorkGroup=workgroup_of("acme"))["NamedQueryIds"]

    found = client.batch_get_named_query(NamedQueryIds=ids)["NamedQueries"]
    assert sorted(query["Name"] for query in found) == ["by_hand", "by_month"]
    assert client.get_named_query(NamedQueryId=made)["NamedQuery"]["QueryString"] == "SELECT 1"
    theirs = lake.athena("globex").list_named_queries(WorkGroup=workgroup_of("globex"))["NamedQueryIds"]
    with pytest.raises(ClientError, match="not authorized"):
        client.get_named_query(NamedQueryId=theirs[0])


def test_calls_that_are_not_ours_reach_the_emulator(lake: Lake):
    found = lake.athena("acme").get_work_group(WorkGroup=workgroup_of("acme"))["WorkGroup"]

    assert found["Name"] == workgroup_of("acme")


def test_the_catalog_is_described_without_naming_a_workgroup(lake: Lake):
    client = lake.athena("acme")

    databases = client.list_databases(CatalogName="AwsDataCatalog", WorkGroup=workgroup_of("acme"))["DatabaseList"]
    table = client.get_table_metadata(
        CatalogName="AwsDataCatalog",
        DatabaseName=database_of("acme"),
        TableName="sales",
        WorkGroup=workgroup_of("acme"),
    )["TableMetadata"]
    theirs = lake.athena("globex").list_table_metadata(CatalogName="AwsDataCatalog", DatabaseName=database_of("globex"))

    assert [database["Name"] for database in databases] == [database_of("acme")]
    assert [key["Name"] for key in table["PartitionKeys"]] == ["year", "month"]
    assert "sales" not in [table["Name"] for table in theirs["TableMetadataList"]]
