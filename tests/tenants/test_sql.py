import pytest

from tenants.sql import expression_problems, identifier, literal

COLUMNS = ["amount", "rate", "name", "price", "tags", "day"]


def problems(text):
    return list(expression_problems(text, COLUMNS))


def test_a_name_stands_in_backticks_and_its_own_are_doubled():
    assert identifier("a`b") == "`a``b`"


@pytest.mark.parametrize("name", ["", "${env:HOME}", "a\nb", "a\x00"])
def test_a_name_that_spark_would_change_is_refused(name):
    with pytest.raises(ValueError, match="cannot be a column name"):
        identifier(name)


def test_a_text_cannot_leave_its_quotes():
    assert literal("it's \\ fine") == "'it\\'s \\\\ fine'"
    assert literal("${env:HOME}") == "'\\u0024{env:HOME}'"
    assert literal("$ 5") == "'$ 5'"


@pytest.mark.parametrize(
    "text",
    [
        "amount * rate",
        "round(amount / 2.5e1, 2)",
        "CASE WHEN amount > 0 THEN 'in' ELSE 'out' END",
        "concat_ws('-', name, 'it\\'s')",
        "cast(amount AS decimal(10, 2))",
        "price.amount",
        "price.`any thing`",
        "`amount` + 1",
        "transform(tags, x -> upper(x))",
        "name IS NULL OR TRUE",
        "map_filter(price, (k, v) -> v > 0)",
        "tags[0]",
        "DATE'2024-01-01'",
        "extract(year FROM day)",
        "'select -- not a comment'",
        "AMOUNT + Rate",
    ],
)
def test_expressions_over_one_row_pass(text):
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("amnt * rate", "no column amnt to compute with; did you mean 'amount'?"),
        ("(SELECT max(x) FROM t)", "no column SELECT"),
        ("amount) OR (true", "')' at character 7 closes nothing"),
        ("(amount", "'(' is never closed"),
        ("(amount]", "']' at character 8 closes nothing"),
        ("amount; drop table x", "';' at character 7 is not allowed"),
        ("amount -- rest", "comments are not allowed"),
        ("amount /* rest */", "comments are not allowed"),
        ("reflect('java.lang.System', 'getenv', 'HOME')", "function reflect is not one that a contract may use"),
        ("java_method('a', 'b')", "function java_method is not one"),
        ("rand()", "function rand is not one that a contract may use (of one row, deterministic)"),
        ("current_timestamp()", "function current_timestamp is not one"),
        ("current_timestamp", "no column current_timestamp"),
        ("sum(amount)", "function sum is not one"),
        ("row_number() OVER (ORDER BY amount)", "function row_number is not one"),
        ("uper(name)", "did you mean 'upper'?"),
        ("'${env:HOME}'", "'${' is not allowed"),
        ("${env:HOME}", "'$' at character 1 is not allowed"),
        ("r'\\'", "is not allowed"),
        ('"name"', "'\"' at character 1 is not allowed"),
        ("name = 'open", '"\'" at character 8 is not allowed'),
        (":parameter", "':' at character 1 is not allowed"),
        ("12abc", "'1' at character 1 is not allowed"),
        ("raise_error('x')", "function raise_error is not one"),
        ("`other`", "no column `other`"),
    ],
)
def test_whatever_else_is_refused_by_name(text, told):
    assert told in " | ".join(problems(text))


def test_a_raw_string_is_refused():
    assert problems("name = r'x'") == ["raw strings are not allowed in an expression"]
