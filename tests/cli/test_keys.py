from pathlib import Path

import pytest

from cli.errors import WrongInput
from cli.keys import address

DATASETS = {
    "transactions": ("raw/**/network_*_transactions_*.csv*",),
    "flights": ("raw/flights/*.csv", "raw/flights/*.csv.gz"),
    "authors": ("raw/authors/**",),
}


def placed(name, **options):
    found = address(Path("somewhere") / name, DATASETS, **options)
    return found.key, found.dataset


def test_a_name_that_a_contract_takes_goes_straight_under_raw():
    assert placed("network_3_transactions_2024_09_20.csv") == (
        "raw/network_3_transactions_2024_09_20.csv",
        "transactions",
    )


def test_a_dataset_option_gives_the_folder_that_the_contract_demands():
    assert placed("2013-01.csv", dataset="flights") == ("raw/flights/2013-01.csv", "flights")


def test_a_file_named_like_a_dataset_goes_into_its_folder():
    assert placed("authors-2024.json") == ("raw/authors/authors-2024.json", "authors")
    assert placed("authorships.json") == ("raw/authorships.json", None)


def test_a_prefix_is_put_under_raw():
    assert placed("2013-01.csv", to="flights") == ("raw/flights/2013-01.csv", "flights")
    assert placed("2013-01.csv", to="raw/flights/") == ("raw/flights/2013-01.csv", "flights")


def test_a_key_is_taken_as_it_is():
    assert placed("x.csv", key="raw/flights/2013-01.csv") == ("raw/flights/2013-01.csv", "flights")


def test_what_no_contract_takes_is_put_and_belongs_to_nobody():
    assert placed("notes.txt") == ("raw/notes.txt", None)


def test_a_key_outside_raw_is_refused():
    with pytest.raises(WrongInput, match="files enter the lake under raw/"):
        placed("x.csv", key="processed/x.csv")


@pytest.mark.parametrize("options", [{"to": "../x"}, {"to": "raw/a/../../x"}, {"to": "a//b"}, {"key": "raw/./x.csv"}])
def test_a_key_that_readers_would_look_for_elsewhere_is_refused(options):
    with pytest.raises(WrongInput, match="no part of a key may be"):
        placed("x.csv", **options)
