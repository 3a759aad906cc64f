import copy
import json
import re
from dataclasses import fields

import pytest

from cdk_app.holes import HoleRefused, Number, Text, holed
from cdk_app.values import SavedQuery, TenantValues

TEXT = Text("bucket")
NUMBER = Number("workers", 3)


@pytest.mark.parametrize(
    "look",
    [
        lambda: TEXT == "x",
        lambda: "x" == TEXT,  # noqa: SIM300 - this order is what is tried
        lambda: TEXT != "x",
        lambda: TEXT < "x",
        lambda: "x" >= TEXT,  # noqa: SIM300 - this order is what is tried
        lambda: TEXT in ["x", "y"],
        lambda: "x" in TEXT,
        lambda: bool(TEXT),
        lambda: 1 if TEXT else 0,
        lambda: TEXT or "x",
        lambda: len(TEXT),
        lambda: TEXT[0],
        lambda: TEXT[2:],
        lambda: list(TEXT),
        lambda: TEXT * 2,
        lambda: TEXT % (),
        lambda: {TEXT: 1},
        lambda: {TEXT},
        lambda: f"{TEXT:>10}",
        lambda: TEXT.replace("-", "_"),
        lambda: TEXT.removeprefix("alias/"),
        lambda: TEXT.startswith("x"),
        lambda: TEXT.split("-"),
        lambda: TEXT.title() + "x",
        lambda: TEXT.encode("ascii"),
        lambda: TEXT.join(["a", "b"]),
        lambda: re.match(TEXT, "x"),
        lambda: {"standard": 1}.get(TEXT),
    ],
)
def test_a_text_that_is_looked_at_refuses_and_says_which_value_it_stands_for(look):
    with pytest.raises(HoleRefused, match="bucket"):
        look()


@pytest.mark.parametrize(
    "look",
    [
        lambda: NUMBER == 2,
        lambda: 2 == NUMBER,  # noqa: SIM300 - this order is what is tried
        lambda: NUMBER > 90,
        lambda: 90 < NUMBER,  # noqa: SIM300 - this order is what is tried
        lambda: bool(NUMBER),
        lambda: NUMBER or 1,
        lambda: NUMBER + 1,
        lambda: 1 + NUMBER,
        lambda: 2 * NUMBER,
        lambda: NUMBER / 2,
        lambda: NUMBER // 2,
        lambda: -NUMBER,
        lambda: abs(NUMBER),
        lambda: int(NUMBER),
        lambda: float(NUMBER),
        lambda: f"{NUMBER}",
        lambda: str(NUMBER),
        lambda: {NUMBER: 1},
        lambda: min(NUMBER, 1),
        lambda: max(1, NUMBER),
    ],
)
def test_a_number_that_is_counted_with_refuses_and_says_which_value_it_stands_for(look):
    with pytest.raises(HoleRefused, match="workers"):
        look()


def test_values_can_be_placed():
    assert f"a {TEXT} b" == "a qzhole-bucket-qz b"
    parts = ["a", TEXT]
    assert "/".join(parts) == "a/qzhole-bucket-qz"
    assert "a:" + TEXT == "a:qzhole-bucket-qz"
    assert json.dumps([TEXT, NUMBER]) == '["qzhole-bucket-qz", 7310259481630003]'
    assert copy.deepcopy(TEXT) is TEXT
    assert copy.deepcopy(NUMBER) is NUMBER


def test_every_value_of_a_tenant_is_a_hole_but_its_shape():
    queries = (SavedQuery(name="newest", description="", sql="SELECT 1"),)

    values = holed(("orders",), queries)

    assert (values.datasets, values.queries) == (("orders",), queries)
    others = [field.name for field in fields(TenantValues) if field.name not in ("datasets", "queries", "names")]
    assert {type(getattr(values, name)) for name in others} == {Text, Number}
    assert isinstance(values.names.log_group, Text)
    assert {type(name) for name in (*values.roles, *values.jobs.values(), values.maintenance)} == {Text}


def test_no_two_holes_are_spelled_alike():
    values = holed((), ())
    from cdk_app.holes import NAMES

    spelled = [f"{getattr(values.names, name)}" for name in NAMES] + list(
        map(str, [*values.jobs.values(), values.tenant])
    )

    assert len({*spelled}) == len(spelled)
    assert not [one for one in spelled for other in spelled if one is not other and one in other]
