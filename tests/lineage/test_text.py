import pytest

from lineage.text import visible


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("raw/Süß 漢字.csv", "raw/Süß 漢字.csv"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("a\x1b]0;b\x07", "a\\x1b]0;b\\x07"),
        ("a\u202evsc.exe", "a\\u202evsc.exe"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("a\ud800b", "a\\ud800b"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text, told):
    assert visible(text) == told
