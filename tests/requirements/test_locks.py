"""Lock files: every package exact, every package with its hash, and nothing installed around them."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "requirements"
LOCKS = sorted(path for path in FOLDER.glob("*.lock") if path.name != "jars.lock")
PIN = re.compile(r"[a-z0-9][a-z0-9.-]*(\[[a-z0-9,-]+\])?==[0-9][A-Za-z0-9.]*( ; [^\\]+)? \\\Z")
HASH = re.compile(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?\Z")


def entries(lock: Path) -> list[list[str]]:
    """A requirement's line with the lines that belong to it."""
    found: list[list[str]] = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line.startswith("    --hash"):
            found[-1].append(line)
        elif line and not line.lstrip().startswith("#"):
            found.append([line])
    return found


def names(lock: Path) -> dict[str, str]:
    return {line.partition("==")[0].partition("[")[0]: line for line, *_ in entries(lock)}


def test_there_is_a_lock_for_every_list_of_wishes_and_one_for_the_installer():
    wishes = {path.stem for path in FOLDER.glob("*.in")}

    assert {path.stem for path in LOCKS} == wishes | {"bootstrap"}
    assert wishes == {"project", "development", "emulator", "audit"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_requirement_is_exact_and_has_a_hash(lock: Path):
    found = entries(lock)

    assert [line for line, *_ in found if not PIN.match(line)] == []
    assert [line for line, *hashes in found if not hashes] == []
    assert [text for _, *hashes in found for text in hashes if not HASH.match(text)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_names_no_index_no_address_and_no_file(lock: Path):
    text = "\n".join(line for each in entries(lock) for line in each)

    assert re.findall(r"https?:|git\+|file:| @ |--index|--extra|--find|--trusted|-e |\.\./", text) == []


@pytest.mark.parametrize("name", ["project", "development", "emulator", "audit"])
def test_whatever_is_wished_for_is_locked(name: str):
    lines = (FOLDER / f"{name}.in").read_text(encoding="utf-8").splitlines()
    wished = [re.split(r"[\[<>=;@ ]", line)[0] for line in lines if line and line[0] not in "#-"]
    locked = names(FOLDER / f"{name}.lock")

    assert [each for each in wished if re.sub(r"[-_.]+", "-", each).lower() not in locked] == []


def test_what_is_tested_is_what_is_run():
    project, development = names(FOLDER / "project.lock"), names(FOLDER / "development.lock")

    assert {name: line for name, line in project.items() if development.get(name) != line} == {}


@pytest.mark.parametrize("folder", ["tests/oracle", "tests/cdk_cli", "tests/workflow_runner"])
def test_every_package_from_npm_has_a_digest_and_comes_from_the_registry(folder: str):
    lock = json.loads((ROOT / folder / "package-lock.json").read_text(encoding="utf-8"))
    packages = {path: each for path, each in lock["packages"].items() if path}

    assert lock["lockfileVersion"] == 3
    assert packages
    assert [path for path, each in packages.items() if not each.get("integrity", "").startswith("sha512-")] == []
    assert [
        each["resolved"]
        for each in packages.values()
        if not each.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/")
    ] == []
    assert [path for path, each in packages.items() if each.get("hasInstallScript") or each.get("link")] == []


def test_the_makefile_installs_with_hashes_or_without_anything_else():
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    installs = [line.strip() for line in text.splitlines() if re.search(r"pip install|npm-cli\.js\" (?!audit)", line)]

    assert len(installs) >= 6
    for line in installs:
        is_hashed = "--require-hashes -r requirements/" in line
        is_own = "--no-deps --no-build-isolation --editable ." in line
        is_npm = re.search(r"npm-cli\.js\"\s+ci\s+--ignore-scripts", line) is not None
        assert is_hashed or is_own or is_npm, line
