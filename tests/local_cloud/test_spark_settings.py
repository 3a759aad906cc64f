from local_cloud.spark_settings import parse_conf


def test_glues_conf_argument_is_a_chain_of_settings():
    argument = "spark.a=1 --conf spark.b=x=y --conf spark.sql.extensions=a,b"

    assert parse_conf(argument) == {"spark.a": "1", "spark.b": "x=y", "spark.sql.extensions": "a,b"}


def test_no_conf_argument_is_no_setting():
    assert parse_conf("") == {}
