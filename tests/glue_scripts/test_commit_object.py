import json

import pytest

from glue_scripts.commit_object import CommitObject, PartFile, SourceFile
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
        sources=(
            SourceFile(key="raw/ü.csv", version="v", rows=3, rejected=0, epoch=2, replaces=("b0", "b-1")),
            SourceFile(key="raw/gone.csv", version="v", rows=0, rejected=0, epoch=1, stay=("b0",)),
        ),
        code="1.0",
        attempt=2,
    )

    assert CommitObject.from_json(commit.to_json(), "k") == commit
    assert commit.rows == 3


def test_what_earlier_code_left_out_is_empty_and_what_later_code_adds_is_passed_over():
    source = {"key": "raw/a.csv", "version": None, "rows": 1, "rejected": 0, "colour": "red"}
    names = ("batch", "run", "tenant", "dataset", "contract", "version", "fingerprint")
    text = dict.fromkeys(names, "x") | {"arrived": ["a", "b"], "files": [], "quarantine": [], "sources": [source]}

    commit = CommitObject.from_json(json.dumps(text | {"colour": "blue"}).encode(), "k")

    assert (commit.code, commit.attempt) == ("", 1)
    assert commit.sources == (SourceFile(key="raw/a.csv", version=None, rows=1, rejected=0),)


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"files": 3}'])
def test_something_else_is_refused_by_its_key(text):
    with pytest.raises(CommitObjectUnreadable, match="processed/x"):
        CommitObject.from_json(text, "processed/x")
