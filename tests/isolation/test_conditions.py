import pytest

from isolation.conditions import ABSENT, Context, holds, parse
from isolation.errors import UnknownCondition


def value(operator, key, wanted, **context):
    """Of one condition, in a context that knows `k` and what is said here."""
    return holds(parse("here", {operator: {key: wanted}}), Context(context))


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "expected"),
    [
        ("StringEquals", "acme", ("acme",), True),
        ("StringEquals", "acme", ("Acme",), False),
        ("StringEquals", ["acme", "globex"], ("globex",), True),
        ("StringEquals", "ac*", ("acme",), False),
        ("StringEqualsIgnoreCase", "ACME", ("acme",), True),
        ("StringNotEquals", "acme", ("globex",), True),
        ("StringNotEquals", ["acme", "globex"], ("globex",), False),
        ("StringNotEqualsIgnoreCase", "ACME", ("acme",), False),
        ("StringLike", "ac*", ("acme",), True),
        ("StringLike", "ac?", ("acme",), False),
        ("StringNotLike", "ac*", ("acme",), False),
        ("Bool", "true", ("true",), True),
        ("Bool", "false", ("true",), False),
        ("Null", "false", ("acme",), True),
        ("Null", "true", ("acme",), False),
        ("NumericLessThan", "1.2", ("1.3",), None),
        ("IpAddress", "10.0.0.0/8", ("10.1.2.3",), None),
        ("DateLessThan", "2030-01-01", ("2029-01-01",), None),
    ],
)
def test_a_condition_on_a_known_value(operator, wanted, found, expected):
    assert value(operator, "k", wanted, k=found) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("StringEquals", False),
        ("StringLike", False),
        ("ArnLike", False),
        ("Bool", False),
        ("NumericLessThan", False),
        ("StringNotEquals", True),
        ("StringNotLike", True),
        ("ArnNotEquals", True),
        ("NumericNotEquals", True),
        ("NotIpAddress", True),
        ("StringEqualsIfExists", True),
        ("BoolIfExists", True),
        ("ForAllValues:StringLike", True),
        ("ForAllValues:StringNotLike", True),
        ("ForAnyValue:StringLike", False),
        ("ForAnyValue:StringNotLike", False),
        ("ForAnyValue:StringLikeIfExists", None),
    ],
)
def test_a_condition_on_a_key_that_is_not_there(operator, expected):
    assert value(operator, "k", "x", k=ABSENT) is expected


@pytest.mark.parametrize(("wanted", "expected"), [("true", True), ("false", False)])
def test_null_asks_for_absence(wanted, expected):
    assert value("Null", "k", wanted, k=ABSENT) is expected


@pytest.mark.parametrize("operator", ["StringEquals", "StringNotEquals", "Null", "Bool", "ForAllValues:StringLike"])
def test_of_a_key_of_which_nothing_is_known_every_condition_is_unknown(operator):
    assert value(operator, "k", "true") is None


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "expected"),
    [
        ("ForAllValues:StringLike", "T#acme#*", ("T#acme#*",), True),
        ("ForAllValues:StringLike", "T#acme#*", ("T#acme#x", "T#globex#x"), False),
        ("ForAllValues:StringLike", "T#acme*", ("T#acme-eu#*",), True),
        ("ForAnyValue:StringLike", "T#acme#*", ("T#acme#x", "T#globex#x"), True),
        ("ForAnyValue:StringLike", "T#acme#*", ("T#globex#x",), False),
        # Asked of one value, told of two: not documented.
        ("StringLike", "T#acme#*", ("T#acme#x", "T#globex#x"), None),
    ],
)
def test_conditions_on_several_values(operator, wanted, found, expected):
    assert value(operator, "k", wanted, k=found) is expected


@pytest.mark.parametrize(
    ("wanted", "expected"), [("T#acme#*", True), ("T#acme#META*", None), ("T#globex#*", False), ("T#ac*", True)]
)
def test_a_value_that_is_a_pattern_stands_for_every_text_that_matches(wanted, expected):
    assert value("StringLike", "k", wanted, k=("T#acme#*",)) is expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("arn:aws:iam::1:role/p-*-job", True),
        ("arn:aws:iam::1:role/p-globex-job", False),
        ("arn:aws:*:role/p-acme-job", None),
        ("arn:*:iam::*:role/*", True),
        ("*", None),
    ],
)
def test_arns_are_compared_part_by_part(wanted, expected):
    assert value("ArnLike", "k", wanted, k=("arn:aws:iam::1:role/p-acme-job",)) is expected


def test_keys_are_the_same_in_whatever_case():
    assert value("StringEquals", "AWS:principalTAG/Tenant", "acme", **{"aws:PrincipalTag/tenant": ("acme",)}) is True


def test_keys_below_what_is_closed_are_absent():
    context = Context({"aws:PrincipalTag/tenant": ("acme",)}, closed=("aws:PrincipalTag/",))

    assert holds(parse("here", {"Null": {"aws:PrincipalTag/team": "true"}}), context) is True
    assert holds(parse("here", {"Null": {"aws:PrincipalTag/tenant": "false"}}), context) is True


@pytest.mark.parametrize(
    ("found", "expected"), [(("acme",), True), (("globex",), False), (ABSENT, None), (("ac*",), None)]
)
def test_variables_are_filled_in_with_what_is_known(found, expected):
    context = {"k": ("acme/x",), "aws:PrincipalTag/tenant": found}

    assert value("StringLike", "k", "${aws:PrincipalTag/tenant}/*", **context) is expected


def test_all_conditions_of_a_block_have_to_hold():
    block = {"StringEquals": {"a": "1", "b": "2"}, "Bool": {"c": "true"}}

    def with_c(c):
        return holds(parse("here", block), Context({"a": ("1",), "b": ("2",), **c}))

    assert with_c({"c": ("true",)}) is True
    assert with_c({"c": ("false",)}) is False
    assert with_c({}) is None


@pytest.mark.parametrize("operator", ["StringSomehow", "NullIfExists", "ForAllValues:Null", "ForSome:StringLike", ""])
def test_an_unknown_operator_is_refused_by_name(operator):
    with pytest.raises(UnknownCondition, match=r"stack: Role, statement S: condition operator"):
        parse("stack: Role, statement S", {operator: {"k": "v"}})


def test_truth_values_may_be_written_without_quotes():
    (condition,) = parse("here", {"Bool": {"aws:SecureTransport": False}})

    assert condition.wanted == ("false",)
