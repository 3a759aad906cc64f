import pytest

from local_cloud import losses
from local_cloud.state import ACCOUNT, Folders


@pytest.fixture
def folders(tmp_path):
    made = Folders(tmp_path / "lake")
    made.make()
    return made


def an_object(folders, bucket, key, body="x"):
    path = folders.buckets / ACCOUNT / bucket / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body)
    path.with_name(path.name + ".meta.json").write_text(f"of {body}")


def bodies(folders):
    root = folders.buckets / ACCOUNT
    return {str(file.relative_to(root)): file.read_text() for file in root.rglob("*") if file.is_file()}


def test_buckets_that_the_saved_state_does_not_know_are_set_aside(folders):
    an_object(folders, "known", "k")
    an_object(folders, "new", "k")

    losses.note(folders, "killed", {"known"})

    assert sorted(bodies(folders)) == ["known/k", "known/k.meta.json"]
    assert losses.aside(folders) == ["new"]


def test_what_is_brought_back_is_as_it_was(folders):
    for key in ("a/b.csv", ".ministack-keys/raw%2F%2E%2E"):
        an_object(folders, "new", key)
    before = bodies(folders)
    losses.note(folders, "killed", set())

    losses.bring_back(folders)

    assert bodies(folders) == before
    assert losses.aside(folders) == []


def test_an_object_that_was_written_since_then_stays_with_what_is_known_of_it(folders):
    an_object(folders, "new", "both", "old")
    an_object(folders, "new", "lost", "old")
    losses.note(folders, "killed", set())
    an_object(folders, "new", "both", "now")

    losses.bring_back(folders)

    assert bodies(folders) == {
        "new/both": "now",
        "new/both.meta.json": "of now",
        "new/lost": "old",
        "new/lost.meta.json": "of old",
    }


def test_of_two_kills_in_a_row_the_later_objects_win(folders):
    an_object(folders, "new", "k", "first")
    losses.note(folders, "killed", set())
    an_object(folders, "new", "k", "second")
    losses.note(folders, "killed", set())

    losses.bring_back(folders)

    assert bodies(folders)["new/k"] == "second"


def test_a_loss_stays_until_it_is_settled_and_remembers_its_steps(folders):
    noted = losses.note(folders, "killed", set())

    losses.step(folders, noted, "deployed")

    assert losses.read(folders).done == ("deployed",)
    losses.settle(folders)
    assert losses.read(folders) is None


def test_without_a_saved_state_the_loss_says_so(folders):
    assert "before a first clean stop" in losses.note(folders, "killed", set()).text()
    (folders.emulator / "s3.json").write_text("{}")
    assert "as of the last clean stop at" in losses.note(folders, "killed", set()).text()
