import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.routing import Rule, dataset_of, matches


@pytest.mark.parametrize(
    ("glob", "key", "expected"),
    [
        ("raw/sales/**", "raw/sales/a.csv", True),
        ("raw/sales/**", "raw/sales/2024/09/a.csv", True),
        ("raw/sales/**", "raw/sales2/a.csv", False),
        ("raw/**/network_*_transactions_*.csv*", "raw/network_3_transactions_2024_09_20.csv", True),
        ("raw/**/network_*_transactions_*.csv*", "raw/x/y/network_3_transactions_2024_09_20.csv.gz", True),
        ("raw/**/network_*_transactions_*.csv*", "raw/x/old_network_3_transactions_1.csv", False),
        ("raw/*.csv", "raw/a.csv", True),
        ("raw/*.csv", "raw/x/a.csv", False),
        ("raw/?.csv", "raw/a.csv", True),
        ("raw/?.csv", "raw/ab.csv", False),
        ("raw/?.csv", "raw//.csv", False),
        ("raw/a.csv", "raw/axcsv", False),
        ("raw/[ab].csv", "raw/a.csv", False),
        ("raw/[ab].csv", "raw/[ab].csv", True),
        ("raw/Sales/**", "raw/sales/a.csv", False),
        ("raw/**", "raw/a\nb.csv", True),
        ("raw/a+b (1).csv", "raw/a+b (1).csv", True),
        ("raw/**/x/**/y.csv", "raw/x/y.csv", True),
        ("raw/**/x/**/y.csv", "raw/1/x/2/3/y.csv", True),
    ],
)
def test_globs(glob, key, expected):
    assert matches(key, glob) is expected


def test_the_most_specific_glob_wins():
    everything = Rule(dataset="everything", files=("raw/**",))
    sales = Rule(dataset="sales", files=("raw/sales/**",))
    refunds = Rule(dataset="refunds", files=("raw/sales/**/refund_*.csv",))

    assert dataset_of("raw/other/a.csv", [everything, sales, refunds]) == "everything"
    assert dataset_of("raw/sales/a.csv", [everything, sales, refunds]) == "sales"
    assert dataset_of("raw/sales/2024/refund_1.csv", [everything, sales, refunds]) == "refunds"


def test_among_equals_the_first_name_wins_in_whatever_order_they_come():
    a, b = Rule(dataset="a", files=("raw/**",)), Rule(dataset="b", files=("raw/**",))

    assert dataset_of("raw/x.csv", [a, b]) == dataset_of("raw/x.csv", [b, a]) == "a"


def test_a_key_that_no_contract_matches_has_no_dataset():
    assert dataset_of("raw/odd.bin", [Rule(dataset="sales", files=("raw/sales/**",))]) is None
    assert dataset_of("raw/odd.bin", []) is None


MEANING = {"**/": r"(?:[^/]*/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}


@given(
    st.text("ab/.\n", max_size=12), st.lists(st.sampled_from(["**/", "**", "*", "?", "a", "b", "/", "."]), max_size=8)
)
def test_a_glob_takes_what_its_regular_expression_takes(key, parts):
    glob = "".join(parts)
    tokens = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    pattern = "".join(MEANING.get(token) or re.escape(token) for token in tokens)

    assert matches(key, glob) is (re.fullmatch(pattern, key, re.DOTALL) is not None)


@pytest.mark.parametrize(
    ("key", "glob"),
    [("raw/" + "/" * 1020, "raw/**/**/**/**/x.csv"), ("raw/" + "a" * 1020, "raw/*a*a*a*a*a*a*b")],
)
@pytest.mark.timeout(30)
def test_no_key_and_no_glob_keep_the_others_waiting(key, glob):
    assert not matches(key, glob)


@given(st.text(min_size=1, max_size=50))
def test_a_key_without_wildcards_matches_itself(key):
    if not set(key) & set("*?"):
        assert matches(key, key)


@given(st.text(max_size=30))
def test_two_stars_match_anything_under_a_folder(rest):
    assert matches(f"raw/{rest}", "raw/**")
