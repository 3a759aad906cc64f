"""A release: of the tag that is the version, with its section of the changelog and its bills of materials."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "c" * 40
GH = """#!/usr/bin/env bash
if [[ "$1" == api ]]; then
  printf "%s\\n" "$2" > asked
  echo "${MERGED:-behind}"
  exit
fi
printf "%s\\n" "$@" > arguments
cat > notes
"""
CHANGELOG = """# Changelog

## [1.2.3] - 2026-11-21

### Added

- Something `$(touch injected)` new.

## [1.2.2] - 2026-11-01

- Something older.
"""


@pytest.fixture
def releasing(tmp_path: Path) -> Path:
    """A checkout of version 1.2.3 with its bills of materials, and a `gh` that writes down its arguments."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "sbom").mkdir()
    for name in ("project", "emulator", "jars"):
        (tmp_path / f"sbom/{name}.cdx.json").write_text("{}")
    (tmp_path / "bin").mkdir()
    gh = tmp_path / "bin/gh"
    gh.write_text(GH)
    gh.chmod(0o755)
    return tmp_path


def release(folder: Path, tag: str, **more: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "TAG": tag, "REPOSITORY": "mycompany/lake"}
    variables |= {"COMMIT": COMMIT, **more}
    script = ROOT / ".github/scripts/release"
    return subprocess.run([script], cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_a_release_has_the_bills_of_materials_of_what_is_released(releasing: Path):
    result = release(releasing, "v1.2.3")

    assert result.returncode == 0, result.stderr
    assert (releasing / "arguments").read_text().splitlines() == [
        "release", "create", "v1.2.3", "--verify-tag", "--title", "Tenantlake 1.2.3", "--notes-file", "-",
        "sbom/emulator.cdx.json", "sbom/jars.cdx.json", "sbom/project.cdx.json",
    ]  # fmt: skip


def test_the_notes_of_a_release_are_its_section_of_the_changelog(releasing: Path):
    release(releasing, "v1.2.3")

    assert (releasing / "notes").read_text().strip() == "### Added\n\n- Something `$(touch injected)` new."
    assert not (releasing / "injected").exists()


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("## [1.2.3] - 2026-11-21", "## [1.2.3] - unreleased", "expected the day of the release, not 'unreleased'"),
        ("## [1.2.3] - 2026-11-21", "## [1.2.30] - 2026-11-21", "has no section '## [1.2.3] - DATE'"),
        ("### Added\n\n- Something `$(touch injected)` new.\n", "", "the section 1.2.3 says nothing"),
    ],
)
def test_what_the_changelog_does_not_tell_is_not_released(releasing: Path, before: str, after: str, says: str):
    changelog = releasing / "CHANGELOG.md"
    changelog.write_text(CHANGELOG.replace(before, after))

    result = release(releasing, "v1.2.3")

    assert says in result.stderr
    assert (result.returncode, (releasing / "arguments").exists()) == (2, False)


@pytest.mark.parametrize("tag", ["v1.2.4", "1.2.3", "v1.2.3-rc1", "v1.2.3; touch injected", "", "v1.2.3\nx", "--help"])
def test_a_tag_that_is_not_the_version_is_refused(releasing: Path, tag: str):
    assert release(releasing, tag).returncode == 2
    assert not (releasing / "arguments").exists()
    assert not (releasing / "injected").exists()


def test_no_release_without_its_bills_of_materials(releasing: Path):
    (releasing / "sbom/jars.cdx.json").unlink()

    result = release(releasing, "v1.2.3")

    assert "sbom/jars.cdx.json is not there: run make sbom first" in result.stderr
    assert (result.returncode, (releasing / "arguments").exists()) == (2, False)


@pytest.mark.parametrize(("merged", "code"), [("behind", 0), ("identical", 0), ("ahead", 2), ("diverged", 2), ("x", 2)])
def test_only_a_commit_that_was_merged_is_released(releasing: Path, merged: str, code: int):
    result = release(releasing, "v1.2.3", MERGED=merged)

    assert (result.returncode, (releasing / "arguments").exists()) == (code, code == 0)
    assert (releasing / "asked").read_text() == f"repos/mycompany/lake/compare/main...{COMMIT}\n"


@pytest.mark.parametrize("commit", ["", "main", "x/../../y", f"{COMMIT}/../.."])
def test_a_commit_that_is_none_is_not_asked_for(releasing: Path, commit: str):
    assert release(releasing, "v1.2.3", COMMIT=commit).returncode == 2
    assert not (releasing / "asked").exists()
