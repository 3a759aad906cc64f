"""Writes a pull request's plan below it: `python3 pull_request_comment.py`, told by environment variables what ran.

The artifact was made by the code of the pull request, so it may hold anything. It says nothing here but text inside a
fence: which pull request it is for is found by the commit that GitHub says was checked, never in the artifact.
"""

import io
import json
import lzma
import os
import re
import subprocess
import sys
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

ARTIFACT, MEMBER = "plan", "plan.txt"
MARK = "<!-- plan of this pull request -->"
AUTHOR = "github-actions[bot]"
LONGEST_ARCHIVE, LONGEST_TEXT = 1_000_000, 5_000_000  # bytes
LONGEST_SHOWN, LONGEST_LINE = 60_000, 500  # characters; GitHub takes 65,536 of a comment
KEPT = frozenset("\n\t")
# Python's readers of archives say in many ways that one is broken.
UNREADABLE = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, MemoryError,
    zlib.error, lzma.LZMAError,
)  # fmt: skip
WORDS = re.compile(r"tenants/(contracts/)?[\w.-]+\.(yaml|md)|docs/.*\.md|[\w.-]+\.md")
SHA, NUMBER, REPOSITORY = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9]{1,19}"), re.compile(r"[\w.-]+/[\w.-]+")


class NotShown(Exception):
    """There is no plan to show, for a reason that the log tells."""


def main(environment: Mapping[str, str]) -> int:
    try:
        repository = checked(environment, "REPOSITORY", REPOSITORY)
        run, sha = checked(environment, "RUN", NUMBER), checked(environment, "HEAD_SHA", SHA)
        number = pull_request(repository, sha, environment["HEAD_OWNER"], environment["HEAD_BRANCH"])
        tell(repository, run, sha, number)
    except NotShown as why:
        print(f"::notice::no comment: {why}")
    return 0


def tell(repository: str, run: str, sha: str, number: int) -> None:
    """Where no plan can be shown, one of an earlier commit does not stay as if it were of this."""
    own = own_comment(repository, number)
    try:
        body = comment(text_of(archive(repository, run)), sha, changed_code(repository, number))
    except NotShown as why:
        if own is not None:
            write(repository, number, own, f"{MARK}\nNo plan of {sha}: {why}.\n")
        raise
    write(repository, number, own, body)


def checked(environment: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = environment.get(name, "")
    if not pattern.fullmatch(value):
        raise NotShown(f"{name} is not what GitHub would say")
    return value


def pull_request(repository: str, sha: str, owner: str, branch: str) -> int:
    """The one open pull request whose newest commit was checked; a fork's branch may be named as it likes."""
    query = urlencode({"state": "open", "head": f"{owner}:{branch}", "per_page": 100})
    found = [
        each["number"] for each in json.loads(api(f"repos/{repository}/pulls?{query}")) if is_for(each, sha, repository)
    ]
    if len(found) != 1:
        raise NotShown(f"{len(found)} open pull requests are at {sha}: it was closed, or has newer commits")
    return int(found[0])


def is_for(pull: Mapping[str, Any], sha: str, repository: str) -> bool:
    return pull["head"]["sha"] == sha and pull["base"]["repo"]["full_name"] == repository


def archive(repository: str, run: str) -> bytes:
    listed = json.loads(api(f"repos/{repository}/actions/runs/{run}/artifacts?per_page=100&name={ARTIFACT}"))[
        "artifacts"
    ]
    found = [each for each in listed if each["name"] == ARTIFACT and not each["expired"]]
    if not found:
        raise NotShown(f"the run has no artifact named {ARTIFACT}")
    # A run that was started again keeps those of its earlier attempts.
    newest = max(found, key=lambda each: int(each["id"]))
    if int(newest["size_in_bytes"]) > LONGEST_ARCHIVE:
        raise NotShown(f"the artifact is longer than {LONGEST_ARCHIVE:,} bytes")
    return api(f"repos/{repository}/actions/artifacts/{int(newest['id'])}/zip")


def changed_code(repository: str, number: int) -> int:
    """How many files it changes that are more than words about tenants: they made the plan."""
    pages = json.loads(api(f"repos/{repository}/pulls/{number}/files?per_page=100", "--paginate", "--slurp"))
    return sum(not WORDS.fullmatch(each["filename"]) for page in pages for each in page)


def text_of(packed: bytes) -> str:
    """The text in the archive, which is read in memory and never unpacked to a file."""
    if len(packed) > LONGEST_ARCHIVE:
        raise NotShown(f"the artifact is longer than {LONGEST_ARCHIVE:,} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archived:
            if archived.namelist() != [MEMBER]:
                raise NotShown(f"the artifact holds something else than {MEMBER}")
            with archived.open(MEMBER) as member:
                content = member.read(LONGEST_TEXT + 1)
    except UNREADABLE as error:
        raise NotShown(f"the artifact is no archive that can be read ({type(error).__name__})") from error
    if len(content) > LONGEST_TEXT:
        raise NotShown(f"the plan is longer than {LONGEST_TEXT:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotShown("the plan is not UTF-8") from error


def comment(text: str, sha: str, code: int = 0) -> str:
    """Inside a fence nothing is alive: no mention, no link, no HTML, no image."""
    warning = (
        f"\n**It was made by code that this pull request changes** ({code} files): read that first.\n" if code else ""
    )
    shown = shortened(harmless(text))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", shown)), default=0))
    head = f"{MARK}\n**Plan** of {sha}, compared with the base by `lake plan --against`; no account was asked.\n"
    folded = f"<details><summary>What would change</summary>\n\n{fence}text\n{shown}\n{fence}\n\n</details>\n"
    return f"{head}{warning}\n{folded}"


def harmless(text: str) -> str:
    """What cannot be seen, or turns round what can, is written out; lines end in one way."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each if each in KEPT or is_visible(each) else f"\\u{{{ord(each):x}}}" for each in lines)


def is_visible(character: str) -> bool:
    """Controls, directions, private and unassigned characters, and separators other than the blank are not."""
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def shortened(text: str) -> str:
    lines = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} …" for line in text.strip("\n").split("\n")]
    shown = "\n".join(lines)
    if len(shown) <= LONGEST_SHOWN:
        return shown
    return f"{shown[:LONGEST_SHOWN].rpartition(chr(10))[0]}\n… the rest stands in the artifact of the run"


def own_comment(repository: str, number: int) -> int | None:
    pages = json.loads(api(f"repos/{repository}/issues/{number}/comments?per_page=100", "--paginate", "--slurp"))
    return next((int(each["id"]) for page in pages for each in page if is_own(each)), None)


def write(repository: str, number: int, own: int | None, body: str) -> None:
    """In place of our comment of an earlier commit, if there is one."""
    place = f"issues/{number}/comments" if own is None else f"issues/comments/{own}"
    method = "POST" if own is None else "PATCH"
    api(f"repos/{repository}/{place}", "--method", method, "--input", "-", given=json.dumps({"body": body}).encode())
    print(f"pull request {number}: {'commented' if own is None else 'comment replaced'}")


def is_own(each: Mapping[str, Any]) -> bool:
    return (each["user"] or {}).get("login") == AUTHOR and (each["body"] or "").startswith(MARK)


def api(path: str, *options: str, given: bytes | None = None) -> bytes:
    return subprocess.run(["gh", "api", path, *options], input=given, stdout=subprocess.PIPE, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(os.environ))
