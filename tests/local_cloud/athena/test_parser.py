import pytest

from local_cloud.athena.errors import QueryFailed, SyntaxRefused
from local_cloud.athena.parser import parse
from local_cloud.athena.statement import Kind


@pytest.mark.parametrize(
    ("text", "kind", "type_"),
    [
        ("SELECT 1;", Kind.SELECT, "DML"),
        ("  -- why\n WITH a AS (SELECT 1) SELECT * FROM a", Kind.SELECT, "DML"),
        ("(SELECT 1) UNION (SELECT 2)", Kind.SELECT, "DML"),
        ("TABLE t", Kind.SELECT, "DML"),
        ("VALUES 1", Kind.SELECT, "DML"),
        ("create or replace view v as select 1 as x", Kind.CREATE_VIEW, "DDL"),
        ("CREATE TABLE t AS SELECT 1 AS x WITH NO DATA", Kind.CTAS, "DDL"),
        ("CREATE EXTERNAL TABLE t (x int) LOCATION 's3://b/t/'", Kind.CREATE_TABLE, "DDL"),
        ("INSERT INTO t VALUES (1)", Kind.INSERT, "DML"),
        ("INSERT INTO t (SELECT 1)", Kind.INSERT, "DML"),
        ("UNLOAD (SELECT ')' AS x) TO 's3://b/t/' WITH (format = 'PARQUET')", Kind.UNLOAD, "DML"),
        ("DROP TABLE IF EXISTS `db`.`t`", Kind.DROP_TABLE, "DDL"),
        ("MSCK REPAIR TABLE t", Kind.REPAIR, "DDL"),
        ("ALTER TABLE t ADD IF NOT EXISTS PARTITION (y = 1)", Kind.ADD_PARTITION, "DDL"),
        ("SHOW TABLES IN db 'a*'", Kind.SHOW_TABLES, "UTILITY"),
        ("SHOW SCHEMAS", Kind.SHOW_DATABASES, "UTILITY"),
        ("DESCRIBE FORMATTED db.t", Kind.DESCRIBE, "UTILITY"),
        ("EXPLAIN (FORMAT TEXT) SELECT 1", Kind.EXPLAIN, "UTILITY"),
        ("EXECUTE p USING 1, 'a,b'", Kind.EXECUTE, "DML"),
    ],
)
def test_a_statement_is_recognised(text: str, kind: Kind, type_: str):
    statement = parse(text)

    assert (statement.kind, statement.type) == (kind, type_)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT 1; SELECT 2", "Only one sql statement is allowed"),
        ("SELEC 1", "line 1:1: mismatched input 'SELEC'"),
        ("SELECT\n FROM t", "mismatched input 'FROM'"),
        ("SELECT 1 FROM t WHERE", "line 1:"),
        ("CREATE TABLE t (x int) LOCATION 's3://b/t/'", "External keyword required"),
        ("SHOW PARTITIONS", "mismatched input '<EOF>'"),
        ("DROP TABLE t CASCADE", "line 1:14: mismatched input 'CASCADE'"),
        ("", "Empty query"),
    ],
)
def test_what_is_no_statement_is_refused_with_its_place(text: str, words: str):
    with pytest.raises(SyntaxRefused) as caught:
        parse(text)

    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["DELETE FROM t", "UPDATE t SET a = 1", "MERGE INTO t USING s ON 1 = 1", "VACUUM t"])
def test_statements_that_write_iceberg_are_known_and_not_run(text: str):
    with pytest.raises(QueryFailed, match="NOT_SUPPORTED"):
        parse(text)
