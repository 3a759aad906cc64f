"""Each mutant is found by the test that is there for it; without the mutant the same play shows nothing.

`python -m tests.mutants.test_mutants` writes the table of mutants.
"""

from pathlib import Path

import pytest

from tests.faults.lake import Lake
from tests.faults.worlds import seeded
from tests.glue_scripts import test_jobs
from tests.mutants.catalogue import APPENDS, MUTANTS, misordered, one_bad_file
from tests.mutants.mutation import Change, killer, outcome, table

PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr("lineage.store._pause", lambda _attempt: None)
    monkeypatch.setattr("traceback.print_exc", lambda **_: None)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_is_found_and_only_a_mutant(mutant, played):
    with pytest.MonkeyPatch.context() as patches:
        play = killer(mutant, played, patches)

    assert play is not None, f"{mutant.name}: nobody noticed"
    assert outcome(play) == []


@pytest.mark.parametrize("mutant", [*MUTANTS, APPENDS], ids=str)
def test_the_test_that_finds_it_is_there(mutant):
    for name in mutant.killed_by.split(", "):
        path, _, test = name.partition("::")
        assert f"def {test.partition('[')[0]}(" in (PROJECT / path).read_text(), name


@pytest.mark.slow
@pytest.mark.cloud
@pytest.mark.spark
@pytest.mark.parametrize("compacted", [False, True])
def test_an_append_that_does_not_replace_its_own_batch_is_found(lake, compacted):
    with pytest.MonkeyPatch.context() as patches:
        for change in APPENDS.changes:
            change.apply(patches)
        with pytest.raises(AssertionError):
            test_jobs.test_a_batch_is_there_once_even_if_its_trace_is_gone(lake, patches, compacted)


def test_a_change_that_fits_nowhere_is_reported():
    with pytest.MonkeyPatch.context() as patches, pytest.raises(AssertionError, match="is there 0 times"):
        Change("lineage.fates:halves", "no such text", "").apply(patches)


def test_versions_of_one_second_are_ordered_by_their_sequencers():
    assert misordered("9A", "1B0") == []
    assert misordered("0055AED6DCD90281E5", "0055AED6DCD90281E6") == []


@pytest.mark.parametrize("files", [1, 2, 3, 4, 5, 8])
def test_one_bad_file_of_a_batch_is_given_up_and_the_others_go_through(played, files):
    with seeded(files):
        assert one_bad_file(played(Lake()), files) == []


if __name__ == "__main__":
    print(table([*MUTANTS, APPENDS]))
