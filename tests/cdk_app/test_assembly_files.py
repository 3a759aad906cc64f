import os

import pytest

from cdk_app.assembly_files import AssemblyFiles

STACK = "acme.template.json"


@pytest.fixture
def write(tmp_path):
    """Writes an assembly of one template as often as it is called; returns what was known of it before."""

    def write(content="{}", key="k1", note="n"):
        files = AssemblyFiles(tmp_path)
        known = files.note(key, STACK)
        if known is None:
            files.put(STACK, content.encode(), (key, note))
        else:
            files.leave(STACK)
        files.close("manifest", {}, {})
        return known

    return write


def test_what_was_made_from_the_same_is_known_and_left_alone(write, tmp_path):
    assert [write(), write(), write()] == [None, "n", "n"]
    assert (tmp_path / STACK).read_text() == "{}"


def test_what_is_made_from_something_else_is_not_known(write, tmp_path):
    write()

    assert write("[]", key="k2", note="m") is None
    assert (write(key="k2"), (tmp_path / STACK).read_text()) == ("m", "[]")


@pytest.mark.parametrize("content", ["{ }", "[]"], ids=["longer", "as long"])
def test_a_file_that_somebody_changed_is_written_again(write, tmp_path, content):
    write()
    (tmp_path / STACK).write_text(content)

    assert write() is None
    assert (tmp_path / STACK).read_text() == "{}"


def test_a_file_that_somebody_removed_is_written_again(write, tmp_path):
    write()
    (tmp_path / STACK).unlink()

    assert write() is None
    assert (tmp_path / STACK).read_text() == "{}"


@pytest.mark.parametrize("index", ["", "[]", "{}", "\x00"])
def test_without_an_index_nothing_is_known(write, tmp_path, index):
    write()
    (tmp_path / "stamped.json").write_text(index)

    assert write() is None


def test_files_that_go_together_are_known_together(tmp_path):
    files = AssemblyFiles(tmp_path)
    files.put("a.template.json", b"1", ("k", "n"))
    files.put("a.assets.json", b"2", ("k", "n"))
    files.close("manifest", {}, {})
    os.utime(tmp_path / "a.assets.json", ns=(1, 1))

    files = AssemblyFiles(tmp_path)

    assert files.note("k", "a.template.json") == "n"
    assert files.note("k", "a.template.json", "a.assets.json") is None
    assert files.note("other", "a.template.json") is None
