from local_cloud.athena.parser import parse


def test_the_clauses_of_an_external_table_are_read():
    options = parse(
        "CREATE EXTERNAL TABLE IF NOT EXISTS db.t (a int COMMENT 'first', b array<struct<x:int,y:decimal(10,2)>>) "
        "COMMENT 'c' PARTITIONED BY (year int) ROW FORMAT SERDE 's' WITH SERDEPROPERTIES ('k' = 'v') "
        "STORED AS PARQUET LOCATION 's3://b/t/' TBLPROPERTIES ('projection.enabled' = 'true')"
    ).options

    assert options["columns"] == [("a", "int", "first"), ("b", "array<struct<x:int,y:decimal(10,2)>>", "")]
    assert options["partition_keys"] == [("year", "int", "")]
    assert (options["serde"], options["serde_properties"]) == ("s", {"k": "v"})
    assert (options["format"], options["location"]) == ("parquet", "s3://b/t/")
    assert options["properties"] == {"projection.enabled": "true"}
