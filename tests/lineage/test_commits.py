"""Keys of commit objects."""

import pytest

from lineage import commits


def test_a_key_is_made_and_read_back():
    key = commits.key_of("sales", "4f2a")

    assert key == "processed/sales/_commits/4f2a.json"
    assert key.startswith(commits.folder("sales"))
    assert commits.parse(key) == ("sales", "4f2a")
    assert commits.is_commit(key)


@pytest.mark.parametrize(
    "key",
    [
        "processed/sales/year=2024/month=09/x.parquet",
        "processed/sales/_commits/deep/4f2a.json",
        "processed/sales/_commits/4f2a.json.tmp",
        "processed/sales/_commits/4f2a.json\n",
        "processed/_commits/4f2a.json",
        "raw/processed/sales/_commits/4f2a.json",
        "processed/Sales/_commits/4f2a.json",
    ],
)
def test_what_is_not_quite_such_a_key_is_none(key):
    assert commits.parse(key) is None
    assert not commits.is_commit(key)
