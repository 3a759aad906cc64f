import pytest

from glue_scripts.commit_object import CommitObject, PartFile, SourceFile, key_of
from glue_scripts.errors import CommitObjectUnreadable


def test_what_is_written_is_read_back():
    commit = CommitObject(
        batch="b1",
        run="r1",
        tenant="acme",
        dataset="people",
        contract="people",
        version="1.0.0",
        fingerprint="f",
        arrived=("2024-09-20T10:00:00+00:00", "2024-09-20T11:00:00+00:00"),
        files=(
            PartFile(key="processed/people/year=2024/month=09/r1-0.parquet", rows=3, bytes=9, year="2024", month="09"),
        ),
        quarantine=(),
        sources=(SourceFile(key="raw/ü.csv", version="v", rows=3, rejected=0),),
    )

    assert CommitObject.from_json(commit.to_json(), "k") == commit
    assert commit.rows == 3


def test_it_lies_beside_the_files_under_the_name_of_the_batch():
    assert key_of("people", "b1") == "processed/people/_commits/b1.json"


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"files": 3}'])
def test_something_else_is_refused_by_its_key(text):
    with pytest.raises(CommitObjectUnreadable, match="processed/x"):
        CommitObject.from_json(text, "processed/x")
