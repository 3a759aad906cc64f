"""The audit: a hole fails it, and so does a package that nobody could be asked about."""

import importlib.util
from datetime import date
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("audit", ROOT / "requirements/audit.py")
audit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(audit)

TODAY = date(2026, 11, 21)
WHY = "Glue 5.1 brings this version; the hole is in a server that is never started"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`pip-audit` and npm that write down how they were called, and fail for what contains the text in `hole`."""
    script = f'#!/usr/bin/env bash\necho "$PWD $*" >> {tmp_path}/calls\n[[ "$*" != *"$(<{tmp_path}/hole)"* ]]\n'
    for name in ("bin/python", "bin/pip-audit", "node/bin/node"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)
    (tmp_path / "hole").write_text("none")
    monkeypatch.setattr(audit.sys, "executable", str(tmp_path / "bin/python"))
    return tmp_path


def calls(tools: Path) -> list[str]:
    return (tools / "calls").read_text().splitlines()


def test_every_lock_file_is_asked_about_and_a_package_that_cannot_be_is_a_failure(tools: Path):
    audit.main(str(tools / "node"))

    python, npm = calls(tools)[: len(audit.LOCKS)], calls(tools)[len(audit.LOCKS) :]
    assert [line.rpartition("/")[2] for line in python] == [f"{name}.lock" for name in audit.LOCKS]
    assert all(" --strict --disable-pip --require-hashes " in line for line in python)
    assert [line.partition(" ")[0] for line in npm] == [
        f"{ROOT}/tests/oracle",
        f"{ROOT}/tests/cdk_cli",
        f"{ROOT}/tests/workflow_runner",
    ]
    assert all(" audit --package-lock-only --audit-level=low" in line for line in npm)
    assert set(audit.NPM) == {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("tests/*/package-lock.json")}
    assert set(audit.LOCKS) == {path.stem for path in (ROOT / "requirements").glob("*.lock")} - {"jars"}


@pytest.mark.parametrize("hole", ["project.lock", "bootstrap.lock", "cache/npm"])
def test_a_hole_in_one_fails_after_all_have_been_asked(tools: Path, hole: str):
    (tools / "hole").write_text(hole)

    with pytest.raises(SystemExit, match="audit: holes, or packages that nobody could be asked about"):
        audit.main(str(tools / "node"))

    assert len(calls(tools)) == len(audit.LOCKS) + len(audit.NPM)


def test_a_hole_that_is_lived_with_is_named_to_the_tool_until_its_day(tmp_path: Path):
    path = tmp_path / "audit.known"
    path.write_text(f"# a comment\n\nGHSA-1234 2026-11-21 {WHY}\n")

    holes = audit.known(path, TODAY)

    assert audit.of_python(Path("x.lock"), holes)[-4:] == ["--ignore-vuln", "GHSA-1234", "--requirement", "x.lock"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"GHSA-1234 2026-11-20 {WHY}", "audit.known:1: GHSA-1234 was to be closed by 2026-11-20; close it"),
        ("GHSA-1234 2026-12-01 later", "audit.known:1: GHSA-1234: a reason of 40 characters or more"),
        (f"GHSA-1234 {WHY}", "audit.known:1: expected an advisory, a day"),
        ("GHSA-1234", "audit.known:1: expected an advisory, a day"),
    ],
)
def test_a_hole_without_an_end_or_a_reason_or_past_its_end_is_refused(tmp_path: Path, line: str, told: str):
    path = tmp_path / "audit.known"
    path.write_text(line + "\n")

    with pytest.raises(SystemExit, match=told):
        audit.known(path, TODAY)


def test_the_holes_that_are_lived_with_today_are_in_order():
    audit.known(audit.KNOWN, date.min)
