from local_cloud.athena.cursor import Name
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
