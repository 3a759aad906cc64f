import json

import pytest

from cdk_app.holes import HoleInKey, HoleLost, HoleMistaken, HoleUnfit, Number, Text
from cdk_app.patterns import number
from cdk_app.stencils import Stencil, encoded, refuse_holes_in, refuse_keys

FIRST = 7_310_259_481_630_001
NUMBERS = {FIRST: "workers"}
OWNER, BUCKET, WORKERS = Text("owner"), Text("bucket"), Number("workers", 1)
HOSTILE = [
    'quotes " and \\ and \\" too',
    "\n\t\r\b\f\x00\x1f\x7f",
    "Ünïcödé 日本 🚀 \u2028\u2029",
    "${AWS::AccountId} {{resolve:x}} ${Token[TOKEN.1]}",
    '{"Ref": "Lake"}',
    'qzhole-owner"qz qzhole-bucket-qz 7310259481630001',
    "",
]


def cut(document, indent=1):
    return Stencil.cut(json.dumps(document, indent=indent, ensure_ascii=False), NUMBERS, where="here")


def filled(document, owner="o", bucket="b", workers="2", indent=1):
    return cut(document, indent).fill({"owner": encoded(owner), "bucket": bucket, "workers": workers})


@pytest.mark.parametrize("owner", HOSTILE)
def test_free_text_is_written_as_json_writes_it_however_deep_it_stands(owner):
    def document(text, count):
        once = json.dumps({"mail": text, "to": f"<{text}>"}, ensure_ascii=False)
        twice = json.dumps({"body": once}, ensure_ascii=False)
        return {"a": text, "b": [f"{text}{text}", once], "c": twice, "n": count}

    wanted = json.dumps(document(owner, 10), indent=1, ensure_ascii=False)
    assert filled(document(f"{OWNER}", WORKERS), owner=owner, workers="10") == wanted
    assert json.loads(wanted)["a"] == owner


def test_numbers_and_names_may_touch_other_texts():
    assert filled({"a": f"x{BUCKET}/{BUCKET}*", "b": [WORKERS]}, indent=None) == '{"a": "xb/b*", "b": [2]}'


def test_half_of_a_pair_of_unicode_is_refused():
    with pytest.raises(HoleUnfit, match="no text of Unicode"):
        encoded("\ud800")


@pytest.mark.parametrize(
    "text",
    [
        f"{BUCKET}".upper(),
        f"{BUCKET}"[:-1],
        f"{BUCKET}"[3:] + f"{BUCKET}"[:9],
        f"{BUCKET}".replace("-", "_"),
        FIRST * 10,
        f"v{FIRST}",
        -FIRST,
    ],
)
def test_a_value_that_was_changed_on_its_way_is_refused_with_what_stands_around_it(text):
    with pytest.raises(HoleLost, match=r"here: .* changed .*TopicName"):
        cut({"TopicName": text})


@pytest.mark.parametrize("key", [f"Lake{BUCKET}", f"{OWNER}", "LakeQZHOLEBUCKETQZ", "7310259481630001"])
def test_a_value_in_a_key_is_refused_with_the_path_to_it(key):
    with pytest.raises(HoleInKey, match=r"here: .*Resources / "):
        refuse_keys(json.dumps({"Resources": [{key: {"Type": "x"}}]}), where="here")


def test_a_shape_that_holds_what_looks_like_a_hole_is_refused_by_name():
    with pytest.raises(HoleMistaken, match="query newest: holds 'QzHole'"):
        refuse_holes_in({"dataset orders": "orders", "query newest": "SELECT 'QzHole-x'"})


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (10**12, "1000000000000"),
        (2**53, "9007199254740992"),
        (2**53 + 1, "9007199254740992"),
        (123_456_789_012_345_678_901, "123456789012345680000"),
        (10**20, "100000000000000000000"),
        (10**21, "1e+21"),
        (1_234_567_890 * 10**12, "1.23456789e+21"),
    ],
)
def test_numbers_are_written_as_javascript_writes_them(value, written):
    assert number(value) == written
