"""With a memory the registry is what it is without one, and so is whatever is wrong with it."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenants import registry as registries
from tenants.blocks import Blocks
from tenants.errors import RegistryError
from tenants.registry import load
from tests.templates import write_registry

HEAD = """organization: mycompany
tenants:
"""
TENANTS = (
    "  - id: {id}\n    name: Acme\n    owner: a@b.example\n    datasets: [orders]\n",
    "  # about the next\n  - id: {id}\n    name: 'Two\n\n  lines'\n    owner: a@b.example\n    datasets:\n    - orders\n",
    "  - {{id: {id}, name: X, owner: a@b.example,\n  datasets: [orders]}}\n",
    "  - id: {id}\n    name: Acme   # why\n\n    owner: a@b.example\n    retention: {{raw: 7 days}}\n    datasets: [orders]\n\n",
    "  -\n    id: {id}\n    name: Acme\n    owner: a@b.example\n    datasets: [orders]\n",
    '  - id: {id}\n    name: "Open\n    owner: a@b.example\n    datasets: [orders]\n',
    '  - id: {id}\n    name: shut"\n    owner: a@b.example\n    datasets: [orders]\n',
    "  - id: {id}\n    name: [\n    owner: a@b.example\n    datasets: [orders]\n",
    "  - id: {id}\n    name: |\n  - id: inner\n    owner: a@b.example\n    datasets: [orders]\n",
    "  - id: {id}\n    onwer: a@b.example\n    datasets: [order]\n",
    "  - id: {id}\n    name: One\u2028  - id: two\n    owner: a@b.example\n    datasets: [orders]\n",
    "    - id: {id}\n      name: Deeper\n      owner: a@b.example\n      datasets: [orders]\n",
    "- id: {id}\n  name: At the edge\n  owner: a@b.example\n  datasets: [orders]\n",
)
ENDS = ("", "tiers:\n  standard: {}\n", "tiers:\n  - id: x\n", "...\n", "---\ntenants: []\n", "# the end")

RIGHT = TENANTS[0], TENANTS[3], TENANTS[4]
IDS = st.sampled_from(["abc", "abd", "abe", "abf", "dev"])
blocks = st.tuples(st.sampled_from(RIGHT) | st.sampled_from(RIGHT) | st.sampled_from(TENANTS), IDS)
texts = st.builds(
    lambda items, end: HEAD + "".join(text.format(id=name) for text, name in items) + end,
    st.lists(blocks, max_size=4, unique_by=lambda block: block[1]),
    st.just("") | st.sampled_from(ENDS),
)


def outcome(folder, **options):
    try:
        return load(folder, **options)
    except RegistryError as error:
        return str(error)


@pytest.fixture
def folder(tmp_path):
    return write_registry(tmp_path / "tenants")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(texts, min_size=1, max_size=4))
def test_a_file_that_changes_again_and_again_is_read_the_same_with_a_memory(folder, tmp_path, versions):
    memory = tmp_path / "memory.json"
    memory.unlink(missing_ok=True)

    for text in versions:
        (folder / "tenants.yaml").write_text(text)
        assert outcome(folder, memory=memory) == outcome(folder)
        assert outcome(folder, memory=memory) == outcome(folder)


@pytest.fixture
def read(monkeypatch):
    """Ids of the tenants that were read, for each time."""
    found = []
    whole = registries._read

    def of(*given):
        registry, begins = whole(*given)
        found.append([tenant.id for tenant in registry.tenants])
        return registry, begins

    monkeypatch.setattr(registries, "_read", of)
    return found


def tenants(*names):
    return HEAD + "".join(TENANTS[0].format(id=name) for name in names)


def test_only_tenants_that_changed_are_read_again(folder, tmp_path, read):
    file, memory = folder / "tenants.yaml", tmp_path / "memory.json"
    for text in (
        tenants("abc", "abd", "abe"),
        tenants("abc", "abd", "abe").replace("Acme", "Umbrella", 2).replace("Umbrella", "Acme", 1),
        tenants("abe", "abc"),
        tenants("abe", "abc", "abf"),
    ):
        file.write_text(text)
        load(folder, memory=memory)

    assert read == [["abc", "abd", "abe"], ["abd"], ["abe"], ["abf"]]
    assert len(json.loads(memory.read_text())["tenants"]) == 3


@pytest.mark.parametrize(
    "edit",
    [
        ("tenants.yaml", "organization: mycompany", "organization: ourcompany"),
        ("environments.yaml", "777788889999", "777788880000"),
        ("contracts/orders.yaml", "Orders", "All orders"),
    ],
)
def test_what_is_around_tenants_makes_all_be_read_again(folder, tmp_path, read, edit):
    file, before, after = edit
    (folder / "tenants.yaml").write_text(tenants("abc", "abd"))
    load(folder, memory=tmp_path / "memory.json")
    text = (folder / file).read_text()
    assert before in text
    (folder / file).write_text(text.replace(before, after))

    load(folder, memory=tmp_path / "memory.json")

    assert read[1:] == [["abc", "abd"]]


@pytest.mark.parametrize(
    "change", [{"CODE": Path("/nowhere")}, {"version": lambda _library: "99"}], ids=["code", "library"]
)
def test_other_code_makes_all_be_read_again(folder, tmp_path, read, monkeypatch, change):
    (folder / "tenants.yaml").write_text(tenants("abc", "abd"))
    load(folder, memory=tmp_path / "memory.json")
    for name, value in change.items():
        monkeypatch.setattr(f"tenants.memory.{name}", value)

    load(folder, memory=tmp_path / "memory.json")

    assert read[1:] == [["abc", "abd"]]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"context": 1}', "\x00"])
def test_a_memory_that_holds_something_else_is_no_memory(folder, tmp_path, content):
    (tmp_path / "memory.json").write_text(content)

    assert load(folder, memory=tmp_path / "memory.json") == load(folder)


def test_without_a_place_to_keep_it_everything_is_read_as_before(folder, tmp_path):
    (tmp_path / "file").write_text("in the way")

    assert load(folder, memory=tmp_path / "file" / "memory.json") == load(folder)


def test_commands_at_the_same_time_keep_their_memories_one_after_the_other(folder, tmp_path):
    memory = tmp_path / "memory.json"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: load(folder, memory=memory), range(24)))

    assert found == [load(folder)] * 24
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["memory.json"]


def test_the_same_id_in_two_places_is_refused_with_both_lines(folder, tmp_path):
    (folder / "tenants.yaml").write_text(tenants("abc", "abd"))
    load(folder, memory=tmp_path / "memory.json")
    (folder / "tenants.yaml").write_text(tenants("abc", "abd") + TENANTS[3].format(id="abc"))

    with pytest.raises(RegistryError, match=r"tenants.yaml:11: .*'abc' is given twice, first in line 3"):
        load(folder, memory=tmp_path / "memory.json")


def test_a_file_of_more_than_a_megabyte_is_read(folder, tmp_path):
    many = HEAD + "".join(TENANTS[0].format(id=f"t{number}") for number in range(100, 15_000))
    assert len(many) > 1_000_000

    assert len(load(folder, tenants=many, memory=tmp_path / "memory.json").tenants) == 14_900


def test_blocks_are_whole_lines_and_together_the_text():
    text = HEAD + "  # first\n" + "".join(TENANTS[which].format(id="abc") for which in (0, 3, 0)) + "tiers: {}\n"

    found = Blocks.of(text)

    assert found.only(range(3)) == text
    assert (found.before, found.after) == (HEAD + "  # first\n", "tiers: {}\n")
    assert [block.count("id: abc") for block in found.blocks] == [1, 1, 1]
    assert found.lines([0, 1, 2]) == [4, 8, 15]
    assert found.lines([0, 2]) == [4, 8]


def test_a_registry_without_environments_is_told_in_the_same_words_with_a_memory(folder, tmp_path):
    (folder / "environments.yaml").unlink()

    told = outcome(folder)

    assert "environments.yaml" in str(told)
    assert outcome(folder, memory=tmp_path / "memory.json") == told
