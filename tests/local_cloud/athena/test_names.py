import pytest

from local_cloud.athena.cursor import Name
from local_cloud.athena.errors import QueryFailed
from local_cloud.athena.names import name_of, place, tables
from local_cloud.athena.syntax import parse_query


def test_a_with_query_hides_a_table_of_its_name_but_not_from_itself():
    tree = parse_query("WITH t AS (SELECT * FROM t), u AS (SELECT * FROM t) SELECT * FROM u, db.v, T")

    found = [(name_of(node), place(node)) for node in tables(tree)]

    assert sorted(found, key=str) == [
        (Name("t"), "line 1:26"),
        (Name("v", "db"), "line 1:70"),
    ]


def test_the_catalogs_name_is_dropped_in_any_case():
    tree = parse_query('SELECT * FROM "AwsDataCatalog".Db."T"')

    assert [name_of(node) for node in tables(tree)] == [Name("t", "db")]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t", []),
        ("WITH RECURSIVE t AS (SELECT * FROM t) SELECT * FROM t", ["t"]),
        ("WITH RECURSIVE t AS (SELECT * FROM t UNION ALL SELECT 1) SELECT * FROM t", ["t"]),
        ("WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT * FROM (SELECT * FROM t) AS x) SELECT * FROM t", []),
        ("WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", ["b"]),
        ("WITH a AS (SELECT 1) SELECT * FROM (WITH b AS (SELECT * FROM a) SELECT * FROM b, c), b", ["b", "c"]),
    ],
)
def test_a_recursive_query_is_visible_in_the_second_part_of_its_union_only(sql: str, expected: list[str]):
    assert sorted(name_of(node).name for node in tables(parse_query(sql))) == expected


@pytest.mark.parametrize("name", ["/etc/passwd", "s3://b/k.csv", "x.parquet", "c:\\x"])
def test_a_with_query_cannot_be_named_like_a_file(name: str):
    with pytest.raises(QueryFailed, match="NOT_SUPPORTED"):
        list(tables(parse_query(f'WITH RECURSIVE "{name}" AS (SELECT * FROM "{name}") SELECT * FROM "{name}"')))
