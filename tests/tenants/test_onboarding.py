import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.document import parse
from tenants.errors import RegistryError
from tenants.onboarding import with_tenant

BLOCK = """\
# who is here
organization: mycompany   # bucket: mycompany-…

tenants:
  - id: acme   # never re-used
    name:   Acme GmbH
    datasets: [ orders,  returns ]  # two

  - id: skyline
    datasets:
      - name: flights
        # five is enough
        max_wait: 5 minutes   # said ops

# the end
"""

ADDED = """\
  - id: newco
    name: New Co
    owner: a@b.example
    datasets: [orders]
"""


def add(text, **given_values):
    values = {"tenant": "newco", "name": "New Co", "owner": "a@b.example", "datasets": ["orders"], "tier": None}
    return with_tenant(text, shown="tenants.yaml", **values | given_values)


def test_a_tenant_comes_after_the_last_one_and_nothing_else_moves():
    before, mark, after = BLOCK.partition("# said ops\n")

    assert add(BLOCK) == before + mark + "\n" + ADDED + after


def test_the_indent_of_the_list_is_kept():
    text = "tenants:\n- id: acme\n  datasets: [a]\n"

    assert add(text) == text + (
        "- id: newco\n  name: New Co\n  owner: a@b.example\n  datasets: [orders]\n"
    )  # fmt: skip


def test_a_file_without_a_last_line_end_gets_one():
    assert add("tenants:\n  - id: acme") == "tenants:\n  - id: acme\n" + ADDED


def test_windows_line_ends_stay():
    text = BLOCK.replace("\n", "\r\n")

    assert add(text) == add(BLOCK).replace("\n", "\r\n")


@pytest.mark.parametrize("start", ["tenants:\n", "tenants: []\n", "tenants: null\n", "tenants:\n\n"])
def test_the_first_tenant_opens_the_list(start):
    found = add(f"organization: mycompany\n{start}")

    assert found.startswith("organization: mycompany\ntenants:\n" + ADDED)


def test_a_missing_list_is_written_at_the_end():
    assert add("organization: mycompany\n") == "organization: mycompany\ntenants:\n" + ADDED


def test_a_comment_beside_an_empty_list_stays():
    assert add("tenants: []  # none yet\n") == "tenants:  # none yet\n" + ADDED


def test_a_list_in_one_line_is_refused_with_its_line():
    with pytest.raises(RegistryError, match=r"tenants\.yaml:2: tenants: is written in one line"):
        add("organization: x\ntenants: [{id: acme}]\n")


def test_tier_and_several_datasets_are_written():
    assert add("tenants:\n", tier="premium", datasets=["a", "b"]) == (
        "tenants:\n  - id: newco\n    name: New Co\n    owner: a@b.example\n    tier: premium\n    datasets: [a, b]\n"
    )


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=30)


@given(names)
def test_any_name_is_read_back_as_it_was_given(name):
    found = parse(add(BLOCK, name=name).encode(), "x").value

    assert found["tenants"][-1] == {"id": "newco", "name": name, "owner": "a@b.example", "datasets": ["orders"]}
    assert found["tenants"][:-1] == parse(BLOCK.encode(), "x").value["tenants"]


comments = st.sampled_from(["", "\n", "# note\n", "  # note: deeper\n", "\n\n# - id: old\n"])


@given(
    comments,
    comments,
    comments,
    st.sampled_from(["datasets: [a]", "datasets:\n      - a", "name: >-\n      two\n      lines"]),
)
def test_every_line_that_was_there_is_still_there_in_order(top, middle, end, last):
    text = f"{top}organization: x\ntenants:\n  - id: one\n{middle}  - id: two\n    {last}\n{end}"

    kept = add(text).splitlines(keepends=True)
    expected = text.splitlines(keepends=True)

    start = next(position for position, line in enumerate(kept) if "newco" in line)
    rest = kept[: start - (len(kept) - len(expected) - 4)] + kept[start + 4 :]
    assert rest == expected
