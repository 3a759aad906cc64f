import pytest

from glue_scripts.tables import _comment


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (None, ""),
        ("", ""),
        ("what was\npaid", " COMMENT 'what was paid'"),
        ("it's C:\\temp", " COMMENT 'it\\'s C:\\\\temp'"),
        ("${env:AWS_SECRET_ACCESS_KEY}", " COMMENT '\\u0024{env:AWS_SECRET_ACCESS_KEY}'"),
    ],
)
def test_a_description_stays_one_literal_into_which_spark_fills_nothing(text, written):
    assert _comment(text) == written
