import re

import pytest

from tenants.document import parse
from tenants.errors import RegistryError

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


def refused(text, **options):
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(RegistryError) as raised:
        parse(raw, "tenants/tenants.yaml", **options)
    return str(raised.value).splitlines()


def value_of(text):
    return parse(text.encode(), "x.yaml").value


def test_scalars_stay_as_they_are_written():
    text = "a: no\nb: 0123\nc: 1.0\nd: 2024-01-01\ne: 12e3\nf: 1_000\ng: 0x1F\nh: on\ni: true\nj: NULL\n"

    assert value_of(text) == {
        "a": "no", "b": "0123", "c": "1.0", "d": "2024-01-01", "e": "12e3",
        "f": "1_000", "g": "0x1F", "h": "on", "i": "true", "j": "NULL",
    }  # fmt: skip


def test_only_null_and_nothing_are_none():
    assert value_of("a: null\nb: ~\nc:\nd: ''\ne: 'null'\n") == {"a": None, "b": None, "c": None, "d": "", "e": "null"}


def test_a_key_that_other_readers_take_for_a_boolean_stays_text():
    assert value_of("no: 1\non: 2\n") == {"no": "1", "on": "2"}


def test_lines_are_those_of_the_keys_and_items():
    document = parse(b"tenants:\n  # first\n  - id: acme\n    datasets:\n      - orders\n", "t.yaml")

    assert str(document.problem(("tenants", 0, "datasets", 0), "oh")) == "t.yaml:5: tenants[acme].datasets[0]: oh"


def test_a_place_that_is_not_written_is_told_at_the_nearest_line():
    document = parse(b"tenants:\n  - id: acme\n", "t.yaml")

    assert str(document.problem(("tenants", 0, "owner"), "is missing")) == "t.yaml:2: tenants[acme].owner: is missing"


def test_an_alias_bomb_is_refused_at_its_first_anchor():
    lines = refused(BOMB)

    assert lines[0] == "tenants/tenants.yaml:1: anchor &a is not allowed; write the value out"
    assert "tenants/tenants.yaml:2: alias *a is not allowed; write the value out" in lines


def test_an_anchor_alone_is_refused():
    assert refused("a: &x 1\n") == ["tenants/tenants.yaml:1: anchor &x is not allowed; write the value out"]


def test_a_merge_key_is_refused():
    assert refused("a: 1\n<<: {b: 2}\n") == [
        "tenants/tenants.yaml:2: merge key << is not allowed; write the values out"
    ]


def test_a_duplicate_key_is_refused_with_both_lines():
    assert refused("a: 1\nb: 2\na: 3\n") == ["tenants/tenants.yaml:3: key 'a' is given twice, first in line 1"]


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!custom", "!!int", "!"])
def test_a_tag_is_refused(tag):
    assert ": tag " in refused(f"a: {tag} '1'\n")[0]


def test_a_second_document_is_refused():
    assert refused("a: 1\n---\nb: 2\n")[0] == "tenants/tenants.yaml:2: holds a second document; expected one"


def test_a_mapping_as_key_is_refused():
    assert refused("? {a: 1}\n: 2\n")[0] == "tenants/tenants.yaml:1: a key must be plain text"


@pytest.mark.parametrize("text", ["[" * 9 + "]" * 9, "a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}"])
def test_nesting_deeper_than_eight_is_refused(text):
    assert refused(text) == ["tenants/tenants.yaml:1: is nested deeper than 8 levels"]


def test_a_hundred_thousand_brackets_are_refused_and_not_recursed_into():
    assert refused("[" * 100_000) == ["tenants/tenants.yaml:1: is nested deeper than 8 levels"]


def test_a_megabyte_and_more_is_refused():
    assert refused("# " + "x" * 1_000_000) == ["tenants/tenants.yaml:1: is larger than 1,000,000 bytes"]


def test_bytes_that_are_not_utf_8_are_refused_with_their_line():
    assert refused("a: 1\nb: ä\n".encode("latin-1")) == [
        "tenants/tenants.yaml:2: is not UTF-8: invalid continuation byte"
    ]


def test_utf_16_is_refused():
    assert "is not UTF-8" in refused("a: 1\n".encode("utf-16"))[0]


@pytest.mark.parametrize("text", ["a: [1\n", "a: b: c\n", "\tа: 1\n", "a: 'x\n", "a: \x00\n", "@: 1\n"])
def test_broken_yaml_is_refused_with_file_and_line(text):
    assert re.match(r"tenants/tenants\.yaml:\d+: is not YAML: ", refused(text)[0])


def test_all_problems_are_told_at_once():
    assert len(refused("a: &x 1\nb: *x\na: 2\nc: !t 3\n")) == 4
