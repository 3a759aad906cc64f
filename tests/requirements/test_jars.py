"""The jar fetcher: what it keeps is what the lock file names."""

import hashlib
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("jars", ROOT / "requirements/jars.py")
jars = importlib.util.module_from_spec(spec)
spec.loader.exec_module(jars)


def test_every_line_of_the_lock_file_has_exact_coordinates_and_a_checksum():
    pairs = jars.coordinates(ROOT / "requirements/jars.lock")

    assert len(pairs) == 11
    assert all(coordinate.count(":") == 2 and len(sha256) == 64 for coordinate, sha256 in pairs)


def test_a_jar_that_is_there_with_the_right_checksum_is_kept(tmp_path: Path):
    (tmp_path / "a-1.jar").write_bytes(b"jar")

    assert jars.fetch("g:a:1", hashlib.sha256(b"jar").hexdigest(), tmp_path) == "kept    a-1.jar"


def test_a_jar_with_another_checksum_is_refused_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    central = tmp_path / "central"
    (central / "g/a/1").mkdir(parents=True)
    (central / "g/a/1/a-1.jar").write_bytes(b"something else")
    monkeypatch.setattr(jars, "CENTRAL", central.as_uri())

    with pytest.raises(SystemExit, match=r"a-1\.jar: .* does not have the SHA-256"):
        jars.fetch("g:a:1", hashlib.sha256(b"jar").hexdigest(), tmp_path)

    assert not (tmp_path / "a-1.jar").exists()
