"""The comment with a pull request's plan: whatever the artifact holds, it is text in the right pull request, or nothing."""

import importlib.util
import io
import json
import zipfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.workflow_runner.runner import Event, run

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / ".github/scripts/pull_request_comment.py"
SHA, OTHER = "a" * 40, "b" * 40
TOLD = {
    "REPOSITORY": "mycompany/lake",
    "RUN": "1001",
    "HEAD_SHA": SHA,
    "HEAD_OWNER": "someone",
    "HEAD_BRANCH": "change",
}

spec = importlib.util.spec_from_file_location("pull_request_comment", SCRIPT)
assert spec is not None
assert spec.loader is not None
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


def packed(content: bytes = b"a plan\n", *names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("plan.txt",):
            archive.writestr(name, content)
    return buffer.getvalue()


def a_pull(number: int = 7, sha: str = SHA, base: str = "mycompany/lake") -> dict:
    return {"number": number, "head": {"sha": sha}, "base": {"repo": {"full_name": base}}}


class GitHub:
    """What `gh api` answers, and what it was told to write."""

    def __init__(self, archive: bytes, pulls: list, comments: list) -> None:
        self.archive, self.pulls, self.comments = archive, pulls, comments
        self.artifacts = [{"id": 5, "name": "plan", "expired": False, "size_in_bytes": len(archive)}]
        self.files = ["tenants/tenants.yaml"]
        self.asked: list[str] = []
        self.written: list[tuple[str, str, str]] = []

    def __call__(self, path: str, *options: str, given: bytes | None = None) -> bytes:
        self.asked.append(path)
        if given is not None:
            self.written.append((options[1], path, json.loads(given)["body"]))
            return b"{}"
        if path.endswith("/zip"):
            return self.archive
        if "/artifacts?" in path:
            return json.dumps({"artifacts": self.artifacts}).encode()
        if "/files?" in path:
            return json.dumps([[{"filename": name} for name in self.files]]).encode()
        return json.dumps([self.comments] if "/comments" in path else self.pulls).encode()


@pytest.fixture
def github(monkeypatch):
    def of(archive=None, pulls=None, comments=()):
        made = GitHub(packed() if archive is None else archive, [a_pull()] if pulls is None else pulls, list(comments))
        monkeypatch.setattr(script, "api", made)
        return made

    return of


def test_the_plan_is_below_its_pull_request_in_a_fence(github):
    there = github(packed(b"prod\n\nmycompany-acme-prod-tenant: update\n"))

    assert script.main(TOLD) == 0
    ((method, path, body),) = there.written
    assert (method, path) == ("POST", "repos/mycompany/lake/issues/7/comments")
    assert "```text\nprod\n\nmycompany-acme-prod-tenant: update\n```\n" in body
    assert SHA in body


def test_a_later_plan_takes_the_place_of_ours_and_of_nobody_elses(github):
    strangers = {"id": 1, "user": {"login": "someone"}, "body": script.MARK}
    other = {"id": 2, "user": {"login": "github-actions[bot]"}, "body": "something else"}
    ours = {"id": 3, "user": {"login": "github-actions[bot]"}, "body": f"{script.MARK}\nold"}
    there = github(comments=[strangers, other, ours])

    script.main(TOLD)

    assert [written[:2] for written in there.written] == [("PATCH", "repos/mycompany/lake/issues/comments/3")]


def test_the_pull_request_is_found_by_the_commit_that_was_checked_and_not_in_the_artifact(github):
    there = github(
        packed(b"pull request: 1\n#1\n"), pulls=[a_pull(1, OTHER), a_pull(7), a_pull(9, SHA, "someone/lake")]
    )

    script.main(TOLD)

    assert [written[1] for written in there.written] == ["repos/mycompany/lake/issues/7/comments"]
    assert "head=someone%3Achange" in there.asked[0]


def test_a_branch_named_as_a_query_asks_for_nothing_else(github):
    there = github()

    script.main({**TOLD, "HEAD_BRANCH": "x&state=closed&per_page=1#"})

    assert (
        there.asked[0]
        == "repos/mycompany/lake/pulls?state=open&head=someone%3Ax%26state%3Dclosed%26per_page%3D1%23&per_page=100"
    )


def test_of_a_run_that_was_started_again_the_newest_artifact_is_shown(github):
    there = github()
    plan = {"name": "plan", "expired": False, "size_in_bytes": 100}
    there.artifacts = [{**plan, "id": 5}, {**plan, "id": 11}, {**plan, "id": 12, "expired": True}, {**plan, "id": 7}]

    script.main(TOLD)

    assert [path for path in there.asked if path.endswith("/zip")] == ["repos/mycompany/lake/actions/artifacts/11/zip"]
    assert len(there.written) == 1


def test_where_nothing_can_be_shown_an_older_plan_does_not_stay(github):
    ours = {"id": 3, "user": {"login": "github-actions[bot]"}, "body": f"{script.MARK}\n**Plan** of {OTHER}"}
    gone = {"id": 2, "user": None, "body": None}
    there = github(b"no archive", comments=[gone, ours])

    script.main(TOLD)

    ((method, path, body),) = there.written
    assert (method, path) == ("PATCH", "repos/mycompany/lake/issues/comments/3")
    assert f"No plan of {SHA}: the artifact is no archive that can be read" in body


@pytest.mark.parametrize(
    ("files", "warned"),
    [
        (["tenants/tenants.yaml", "tenants/contracts/orders.yaml", "docs/tenants.md", "README.md"], False),
        (["tenants/tenants.yaml", ".github/scripts/plan_against"], True),
        (["deployment/planner.py"], True),
        (["tenants/model.py"], True),
        (["tenants/contracts/../../cli/app.py"], True),
        (["docs/x.md\n.github/workflows/check.yml"], True),
    ],
)
def test_a_plan_that_the_pull_requests_own_code_made_says_so(github, files: list[str], warned: bool):
    there = github()
    there.files = files

    script.main(TOLD)

    ((_, _, body),) = there.written
    assert ("**It was made by code that this pull request changes** (1 files)" in body) is warned


BOMB = packed(b"0" * 5_000_001)


def flipped(method: int, at: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("plan.txt", b"a plan of some length " * 20)
    content = bytearray(buffer.getvalue())
    content[at] ^= 0xFF
    return bytes(content)


NOT_SHOWN = {
    "is no archive": b"<html>not found</html>",
    "holds something else": packed(b"x", "other.txt"),
    "holds something else too": packed(b"x", "plan.txt", "more.txt"),
    "holds a path": packed(b"x", "../../plan.txt"),
    "is empty of files": packed(b"x", "plan.txt")[:4],
    "is a bomb": BOMB,
    "is longer than an archive may be": b"PK" + b"0" * 1_000_001,
    "is not UTF-8": packed(b"\xff\xfe plan"),
    "is cut": packed()[:60],
    "has a wrong checksum": packed().replace(packed()[14:18], b"\0\0\0\0"),
    "has a stream that is none": b"".join((packed(b"x" * 900)[:38], b"\xff\xff\xff", packed(b"x" * 900)[41:])),
}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_with_any_byte_turned_is_read_or_told_of_and_never_a_traceback(method: int):
    for at in range(len(flipped(method, 0))):
        try:
            script.text_of(flipped(method, at))
        except script.NotShown:
            continue


@pytest.mark.parametrize("why", NOT_SHOWN)
def test_an_artifact_of_another_form_is_told_in_the_log_and_nowhere_else(github, capsys, why: str):
    there = github(NOT_SHOWN[why])

    assert script.main(TOLD) == 0
    assert there.written == []
    assert capsys.readouterr().out.startswith("::notice::no comment: ")


def test_an_artifact_that_says_it_is_too_long_is_not_even_fetched(github):
    there = github()
    there.artifacts[0]["size_in_bytes"] = 1_000_001

    script.main(TOLD)

    assert not any(path.endswith("/zip") for path in there.asked)


@pytest.mark.parametrize(
    ("pulls", "names"),
    [
        ([], ["plan"]),
        ([a_pull(7), a_pull(8)], ["plan"]),
        ([a_pull(7, OTHER)], ["plan"]),
        (None, []),
        (None, ["other"]),
    ],
)
def test_without_exactly_one_pull_request_and_an_artifact_nothing_is_written(github, pulls, names):
    there = github(pulls=pulls)
    there.artifacts = [{**there.artifacts[0], "name": name} for name in names]

    script.main(TOLD)

    assert there.written == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REPOSITORY", "x/../../orgs"),
        ("REPOSITORY", ""),
        ("RUN", "1; ls"),
        ("HEAD_SHA", "main"),
        ("HEAD_SHA", f"{SHA}\n"),
    ],
)
def test_what_github_would_not_say_is_not_put_into_a_path(github, name: str, value: str):
    there = github()

    script.main({**TOLD, name: value})

    assert there.asked == []


ALIVE = [
    "@mycompany/admins look",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "[click](https://evil.example)",
    "![](https://evil.example/pixel)",
    "https://evil.example",
    "</details>",
    "<!-- plan of this pull request -->",
    "fixes #1",
    "```\n@mycompany/admins\n```",
    "````\n</details>@mycompany/admins\n````",
    "~~~\n@someone\n~~~",
    "\u202etxt.exe",
    "zero\u200bwidth",
    "\x1b[31mred\x1b[0m",
    "line\u2028separator\x0bvertical\x0cpage\x85next",
    "::set-output name=x::y",
    "\r\n```\r@someone",
]


def fenced(body: str) -> str:
    """What stands inside the one fence, as CommonMark finds its end."""
    lines = body.split("\n")
    begin = next(number for number, line in enumerate(lines) if line.endswith("text") and line.startswith("```"))
    fence = lines[begin].removesuffix("text")
    end = next(number for number in range(begin + 1, len(lines)) if is_closing(lines[number], fence))
    assert lines[end + 1 :] == ["", "</details>", ""], "the fence ended before its text did"
    return "\n".join(lines[begin + 1 : end])


def is_closing(line: str, fence: str) -> bool:
    bare = line.strip(" \t")
    return set(bare) == {"`"} and len(bare) >= len(fence)


@pytest.mark.parametrize("text", ALIVE)
def test_nothing_in_a_plan_is_alive(github, text: str):
    there = github(packed(text.encode()))

    script.main(TOLD)

    ((_, _, body),) = there.written
    assert "someone" not in body.partition("<details>")[0]
    assert not any(character in fenced(body) for character in "\u202e\u200b\x1b\u2028\x0b\x0c\x85\r")


@given(st.text(max_size=300) | st.text("`~\n\r @<>x", max_size=60))
def test_no_text_whatever_ends_its_fence(text: str):
    body = script.comment(text, SHA)

    assert fenced(body) == script.shortened(script.harmless(text))
    assert len(body) <= 65_536


def test_a_long_plan_and_its_long_lines_are_cut_and_say_so():
    body = script.comment("x" * 1_000 + "\n" + "tenant: update\n" * 20_000, SHA)

    assert len(body) < 65_536
    assert f"{'x' * 500} …\n" in body
    assert "… the rest stands in the artifact of the run" in body


def test_a_workflow_that_may_write_runs_nothing_of_the_pull_request():
    document = yaml.safe_load((ROOT / ".github/workflows/pull_request_comment.yml").read_text())
    (job,) = document["jobs"].values()
    checkout, comment = job["steps"]

    assert document[True] == {"workflow_run": {"workflows": ["check"], "types": ["completed"]}}
    assert job["permissions"] == {"actions": "read", "contents": "read", "pull-requests": "write"}
    assert checkout["with"] == {"persist-credentials": False}, "no ref: the default branch"
    assert comment["run"] == "python3 .github/scripts/pull_request_comment.py"
    assert "uses" not in comment


GH = """#!/usr/bin/env python3
import json, os, pathlib, sys
folder, path = pathlib.Path(os.environ["FOLDER"]), sys.argv[2]
if "--input" in sys.argv:
    (folder / "written").write_text(json.dumps([sys.argv[1:], os.environ["GH_TOKEN"], json.load(sys.stdin)["body"]]))
elif path.endswith("/zip"):
    sys.stdout.buffer.write((folder / "plan.zip").read_bytes())
elif "/artifacts?" in path:
    size = (folder / "plan.zip").stat().st_size
    print(json.dumps({"artifacts": [{"id": 5, "name": "plan", "expired": False, "size_in_bytes": size}]}))
elif "/comments" in path or "/files?" in path:
    print("[[]]")
else:
    pull = {"number": 7, "head": {"sha": "SHA"}, "base": {"repo": {"full_name": "example/tenantlake"}}}
    print(json.dumps([pull]))
""".replace("SHA", SHA)


@pytest.fixture
def commented(tmp_path: Path):
    """Runs the workflow after a run of `check` on this event, in a branch of this name; what it wrote, if anything."""
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "plan.zip").write_bytes(packed(b"mycompany-acme-prod-tenant: update\n@mycompany/admins"))

    def of(event: str, branch: str):
        owner = {"owner": {"login": "someone"}}
        told = {"id": 1001, "event": event, "head_sha": SHA, "head_branch": branch, "head_repository": owner}
        record = run(
            "pull_request_comment.yml",
            environment={"FOLDER": str(tmp_path)},
            path=(tmp_path,),
            event=Event(name="workflow_run", payload={"workflow_run": told}),
        )
        written = tmp_path / "written"
        return record, json.loads(written.read_text()) if written.exists() else None

    return of


@pytest.mark.parametrize("branch", ["change", "$(touch injected)", "x; touch injected #", "`id`"])
def test_the_workflow_comments_whatever_the_branch_is_called(commented, branch: str):
    record, (arguments, token, body) = commented("pull_request", branch)

    assert record.result == "success"
    assert arguments == ["api", "repos/example/tenantlake/issues/7/comments", "--method", "POST", "--input", "-"]
    assert token
    assert "```text\nmycompany-acme-prod-tenant: update\n@mycompany/admins\n```" in body
    assert record.job("comment").permissions == {"actions": "read", "contents": "read", "pull-requests": "write"}
    assert record.job("comment").environment is None
    (checkout,) = record.job("comment").uses("actions/checkout")
    assert "ref" not in checkout.inputs


def test_a_check_of_main_leads_to_no_comment(commented):
    record, written = commented("push", "main")

    assert written is None
    assert record.results["comment"] == "skipped"
