"""A checkout brings the repository as it is now, or as it was at a commit, and can harm neither."""

import subprocess

import pytest

from tests.workflow_runner.runner import run
from tests.workflow_runner.sample import PIN, write


@pytest.fixture
def repository(tmp_path):
    """One commit tagged v1, then one more; after that a change, a new file, and an ignored one."""
    folder = write(tmp_path / "repository")
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "kept").write_text("first")
    (folder / ".gitignore").write_text("/made/\n")
    save(folder, "first")
    git(folder, "tag", "v1")
    (folder / "kept").write_text("second")
    (folder / "gone").write_text("soon")
    save(folder, "second")
    (folder / "kept").write_text("changed")
    (folder / "gone").unlink()
    (folder / "new").write_text("new")
    (folder / "made").mkdir()
    (folder / "made/tool").write_text("tool")
    return folder


def git(folder, *words):
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *author, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def save(folder, message):
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", message)


def checked_out(repository, given, command, permissions="{contents: read}", **options):
    steps = f"[{{uses: actions/checkout@{PIN}, with: {given}}}, {{id: shown, if: always(), run: '{command}'}}]"
    text = f"on: workflow_dispatch\njobs: {{one: {{runs-on: x, permissions: {permissions}, steps: {steps}}}}}"
    return run("checkout.yml", {}, write(repository, checkout=text), **options).job("one")


def test_the_working_tree_is_there_with_what_was_changed_and_without_what_is_ignored(repository):
    job = checked_out(repository, "{}", "cat kept new; echo; ls -A; git status --short kept gone; git rev-parse HEAD")

    lines = job.step("shown").log.splitlines()
    assert lines[0] == "changednew"
    assert lines[1:-3] == [".git", ".github", ".gitignore", "apply", "kept", "new", "plan"]
    assert lines[-3:] == [" D gone", " M kept", git(repository, "rev-parse", "HEAD")]


def test_a_commit_is_there_as_it_was(repository):
    job = checked_out(repository, "{ref: v1, path: base}", "cat base/kept; ls; git -C base status --short")

    assert job.step("shown").log == "firstbase\n"
    assert job.steps[0].outputs["commit"] == git(repository, "rev-parse", "v1")


@pytest.mark.parametrize(
    ("given", "permissions", "message"),
    [
        ("{ref: lost}", "{contents: read}", "no commit is called lost"),
        ("{ref: --upload-pack=evil}", "{contents: read}", "no commit is called --upload-pack=evil"),
        ("{path: ../../outside}", "{contents: read}", "leads out of the workspace"),
        ("{repository: a/b}", "{contents: read}", "only this repository is here"),
        ("{}", "{}", "needs 'contents: read'"),
    ],
)
def test_a_checkout_that_cannot_be_fails(repository, given, permissions, message):
    job = checked_out(repository, given, "true", permissions)

    assert job.steps[0].outcome == "failure"
    assert message in job.annotations[0].message


def test_what_a_command_does_with_git_or_files_stays_in_the_workspace(repository):
    before = git(repository, "rev-parse", "HEAD"), git(repository, "status", "--short")
    command = "echo evil >kept; git config user.email a@b; git config user.name a; git commit -qam evil; git remote; "
    command += "git push || echo no push"

    job = checked_out(repository, "{}", command)

    assert "no push" in job.step("shown").log
    assert (repository / "kept").read_text() == "changed"
    assert before[0] == git(repository, "rev-parse", "HEAD")
    assert before[1] == git(repository, "status", "--short").replace("?? .github/workflows/checkout.yml\n", "")


def test_what_is_linked_is_led_to(repository):
    job = checked_out(repository, "{}", "cat made/tool; test -L made && echo linked", linked=("made",))

    assert job.step("shown").log == "toollinked\n"
